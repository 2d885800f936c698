//! Fuzz targets: every parser of bytes that somebody else wrote.
//!
//! A target is a function of bytes that fails by a panic. It asserts more than that nothing panics: what was read is
//! written back as it came, bounds hold, and what was verified is the very thing that was signed. Each has a corpus,
//! `corpus/<target>/`, of samples that are good and of samples that are hostile; the tests below replay all of them on
//! every run, so that whatever was found once stays found. `cargo xtask fuzz` searches for more.

mod connectors;
mod core;
mod credentials;
mod edit;
mod log;
mod outbound;
mod people;
mod policy;
mod request;
mod server;
mod signals;
mod webauthn;

/// A parser under the fuzzer.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The target's name, which is its corpus' folder, too.
    pub name: &'static str,
    /// The parser fed with these bytes; it panics if something that has to hold doesn't.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident => $run:path,)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $run }),*];

        #[cfg(test)]
        mod replay {
            $(#[test] fn $name() { crate::tests::replay(stringify!($name), $run); })*
        }
    };
}

targets! {
    connectors_grant => crate::connectors::grant,
    connectors_nats_jwt => crate::connectors::nats_jwt,
    connectors_nats_login => crate::connectors::nats_login,
    connectors_nats_wire => crate::connectors::nats_wire,
    core_charter => crate::core::charter,
    core_id => crate::core::id,
    core_json => crate::core::json,
    core_text => crate::core::text,
    core_time => crate::core::time,
    core_uri => crate::core::uri,
    jose_edited => crate::credentials::edited_tokens,
    jose_jwk => crate::credentials::jwk,
    jose_token => crate::credentials::tokens,
    credentials_certificate => crate::credentials::certificate,
    credentials_opaque => crate::credentials::opaque,
    log_bookmark => crate::log::bookmark,
    log_bundle => crate::log::bundle,
    log_export => crate::log::export,
    log_export_edited => crate::log::edited_export,
    log_leaf => crate::log::leaf,
    log_note => crate::log::note,
    log_packed => crate::log::packed,
    log_path => crate::log::path,
    log_promise => crate::log::promise,
    outbound_address => crate::outbound::address,
    people_csv => crate::people::csv,
    people_json => crate::people::json,
    policy_cases => crate::policy::cases,
    policy_set => crate::policy::set,
    server_forwarded => crate::server::forwarded,
    server_proxy_header => crate::server::proxy_header,
    server_request => crate::request::request,
    signals_cloud_events => crate::signals::cloud_events,
    signals_github => crate::signals::github,
    signals_gitlab => crate::signals::gitlab,
    signals_kubernetes => crate::signals::kubernetes,
    signals_set => crate::signals::set,
    signals_signature => crate::signals::signature,
    webauthn_assertion => crate::webauthn::assertion,
    webauthn_assertion_edited => crate::webauthn::edited_assertion,
    webauthn_registration => crate::webauthn::registration,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    fn corpora() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
    }

    /// Runs a target on each sample of its corpus; a sample that fails is named.
    pub(super) fn replay(name: &str, run: fn(&[u8])) {
        let mut samples: Vec<PathBuf> =
            std::fs::read_dir(corpora().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        samples.sort();
        assert!(samples.len() > 1, "the corpus of {name} is empty");
        for sample in samples {
            let bytes = std::fs::read(&sample).unwrap();
            if std::panic::catch_unwind(|| run(&bytes)).is_err() {
                panic!("{name} fails on {}", sample.display());
            }
        }
        run(&[]);
    }

    #[test]
    fn each_target_has_a_corpus_and_each_corpus_a_target() {
        let folders: BTreeSet<String> = std::fs::read_dir(corpora())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        assert_eq!(folders, targets);
    }
}
