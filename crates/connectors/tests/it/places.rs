//! Where the real servers are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use serde_json::Value;
use tenure_connectors::Builtin;
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{Endpoint, Mode, Reach, TargetLogin};
use tenure_outbound::Outbound;

const VARIABLE: &str = "TENURE_TEST_TARGETS";
/// Longer than anything takes that isn't meant to hang.
pub const PATIENCE: Span = Span::from_secs(30);

static DESCRIBED: LazyLock<Value> = LazyLock::new(|| {
    let file = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "no real servers: run `cargo xtask test -p tenure-connectors`, or `cargo xtask targets` and set {VARIABLE}"
        )
    });
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
});

/// What is said of a server.
pub fn said(kind: &str, what: &str) -> String {
    DESCRIBED[kind][what].as_str().unwrap_or_else(|| panic!("nothing is said of {kind} {what}")).to_owned()
}

/// A port that is said of a server.
pub fn port(kind: &str, what: &str) -> u16 {
    DESCRIBED[kind][what].as_u64().and_then(|port| port.try_into().ok()).unwrap()
}

/// The authority that vouches for all of them.
pub fn ca() -> String {
    DESCRIBED["ca"].as_str().unwrap().to_owned()
}

/// An authority that vouches for none.
pub fn other_ca() -> String {
    DESCRIBED["other_ca"].as_str().unwrap().to_owned()
}

/// A server's endpoint, with these options.
pub fn endpoint(kind: &str, options: &[(&str, &str)]) -> Endpoint {
    let options: BTreeMap<_, _> =
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Endpoint { url: said(kind, "url"), ca: Some(ca()), plaintext: false, options }
}

/// The login of a server's administrator.
pub fn administrator(kind: &str) -> TargetLogin {
    login(&said(kind, "name"), &said(kind, "secret"))
}

pub fn login(name: &str, secret: &str) -> TargetLogin {
    TargetLogin { name: name.to_owned(), secret: Secret::new(secret.to_owned()) }
}

pub fn reach<'a>(endpoint: &'a Endpoint, login: &'a TargetLogin, mode: Mode) -> Reach<'a> {
    Reach { endpoint, login, mode, patience: PATIENCE }
}

/// The connectors, which may reach this machine.
pub fn builtin() -> Builtin {
    let clock: Arc<dyn Clock> = Arc::new(Wall);
    Builtin::new(&outbound(), &clock)
}

/// The machine's clock, by which requests are signed.
struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_secs(since.as_secs().cast_signed())
    }
    fn monotonic(&self) -> Span {
        Span::from_secs(0)
    }
}

/// A way out that may reach this machine.
pub fn outbound() -> Arc<Outbound> {
    Arc::new(Outbound::new(vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]))
}

/// A name that nobody else has.
pub fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}{}{}", mine(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// What is in every name of this process, and in no other one's.
pub fn mine() -> String {
    format!("p{}x", std::process::id())
}
