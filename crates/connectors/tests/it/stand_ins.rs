//! What GitHub's and GitLab's stand-ins are told by the tests (xtask/peers/github.mjs, xtask/peers/gitlab.mjs).

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tenure_core::target::connector::{Connector, ConnectorError, Endpoint, Mode, NewAccount, SeenAccount, TargetLogin};
use tenure_outbound::{Authorities, Call, Destination};

use crate::places::{ca, login, outbound, reach, said};

/// Has a stand-in do what its people would.
pub async fn people(kind: &str, what: &str, body: Value) -> Value {
    let url = said(kind, "url");
    let origin = url.split("/api/").next().unwrap();
    let to: Destination = format!("{origin}/stand-in/{what}").parse().unwrap();
    let authorities = Authorities::from_pem(&ca()).unwrap();
    let call = Call {
        method: Method::POST,
        authorities: &authorities,
        headers: HeaderMap::new(),
        body: Some(body.to_string().into_bytes()),
        patience: Duration::from_secs(30),
        limit: 1 << 26,
    };
    let answer = outbound().call(&to, call).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "{what}");
    serde_json::from_slice(&answer.body.unwrap()).unwrap()
}

/// All accounts, each told once, and what isn't seen.
pub async fn all(
    connector: &dyn Connector,
    endpoint: &Endpoint,
    login: &TargetLogin,
) -> (Vec<SeenAccount>, Vec<String>) {
    let reach = reach(endpoint, login, Mode::Observe);
    let (mut accounts, mut unseen, mut after) = (Vec::<SeenAccount>::new(), Vec::new(), None::<String>);
    loop {
        let found = connector.discover(&reach, after.as_deref()).await.unwrap();
        for account in found.accounts {
            assert!(accounts.iter().all(|told| told.key != account.key), "an account is told once");
            accounts.push(account);
        }
        unseen.extend(found.unseen);
        after = found.next;
        if after.is_none() {
            return (accounts, unseen);
        }
    }
}

/// Nothing is written where only observing is allowed, and what such a target can't do is said in every mode.
pub async fn observes(connector: &dyn Connector, endpoint: &Endpoint, us: &TargetLogin, key: &str) {
    let secret = login("", "a-Secret").secret;
    let ends_at = tenure_core::base::time::Timestamp::from_secs(4_000_000_000);
    let new = NewAccount { name: "x", secret: &secret, grants: &[], ends_at, mark: "m" };
    for mode in Mode::ALL {
        let reach = reach(endpoint, us, *mode);
        let mut said = vec![
            connector.hold(&reach, key).await.map(|_| ()),
            connector.release(&reach, key).await,
            connector.narrow(&reach, key, &[]).await.map(|_| ()),
            connector.rotate(&reach, key, &secret).await.map(|_| ()),
            connector.provision(&reach, &new).await.map(|_| ()),
        ];
        if *mode == Mode::Observe {
            said.push(connector.revoke(&reach, key).await.map(|_| ()));
        }
        for said in said {
            assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
        }
    }
}

/// Who isn't let in is told nothing, and nothing of the secret gets into what is said.
pub async fn unauthorized(connector: &dyn Connector, endpoint: &Endpoint, wrong: &TargetLogin, key: &str) {
    let reach = reach(endpoint, wrong, Mode::End);
    for said in [
        connector.whoami(&reach).await.map(|_| ()),
        connector.discover(&reach, None).await.map(|_| ()),
        connector.read(&reach, key).await.map(|_| ()),
        connector.revoke(&reach, key).await.map(|_| ()),
    ] {
        assert!(matches!(said, Err(ConnectorError::Unauthorized(_))), "{said:?}");
        let said = format!("{said:?} {reach:?} {connector:?}");
        assert!(!said.contains(wrong.secret.expose().as_str()), "{said}");
    }
}
