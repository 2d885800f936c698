//! The connectors: what Tenure's port to targets comes to at real servers.
//!
//! A folder is one kind of target. What a server says of itself is foreign text: it is bounded, and put into words
//! before anybody reads it. How servers really behave is written beside what is done about it; a connector's conformance
//! run against the real server holds it to the same list of assertions as every other one (`tests/it`).
//!
//! Connections go by the rule of [`tenure_outbound`]: a host is resolved once, each of its addresses is checked, and no
//! other is connected to (S-17).

mod aws;
mod comment;
#[cfg(feature = "testing")]
pub mod faulty;
mod github;
mod gitlab;
mod ldap;
mod list;
mod locks;
mod mariadb;
mod mosquitto;
mod nats;
mod openbao;
mod place;
mod postgresql;
mod rabbitmq;
mod redis;
mod scim;
mod webhook;

use std::sync::Arc;

use tenure_core::base::time::Clock;
use tenure_core::target::connector::{Connector, Connectors, TargetKind};
use tenure_outbound::Outbound;

pub use self::redis::Redis;
pub use aws::AwsIam;
pub use github::Github;
pub use gitlab::Gitlab;
pub use ldap::Ldap;
pub use mariadb::{BadMariadbGrant, Mariadb, MariadbGrant, Where};
pub use mosquitto::Mosquitto;
pub use nats::Nats;
#[cfg(feature = "testing")]
pub use nats::testing as nats_parsers;
pub use openbao::Openbao;
pub use postgresql::{BadGrant, Grant, Postgresql, Privilege};
pub use rabbitmq::Rabbitmq;
pub use scim::Scim;
pub use webhook::Webhook;

/// The connectors that this build has.
#[derive(Debug)]
pub struct Builtin {
    postgresql: Postgresql,
    openbao: Openbao,
    mariadb: Mariadb,
    redis: Redis,
    rabbitmq: Rabbitmq,
    ldap: Ldap,
    mosquitto: Mosquitto,
    aws_iam: AwsIam,
    github: Github,
    gitlab: Gitlab,
    scim: Scim,
    nats: Nats,
    webhook: Webhook,
}

impl Builtin {
    /// All of them, on one way out; requests are signed by this clock.
    pub fn new(outbound: &Arc<Outbound>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            postgresql: Postgresql::new(Arc::clone(outbound)),
            openbao: Openbao::new(Arc::clone(outbound)),
            mariadb: Mariadb::new(Arc::clone(outbound)),
            redis: Redis::new(Arc::clone(outbound)),
            rabbitmq: Rabbitmq::new(Arc::clone(outbound)),
            ldap: Ldap::new(Arc::clone(outbound)),
            mosquitto: Mosquitto::new(Arc::clone(outbound)),
            aws_iam: AwsIam::new(Arc::clone(outbound), Arc::clone(clock)),
            github: Github::new(Arc::clone(outbound), Arc::clone(clock)),
            gitlab: Gitlab::new(Arc::clone(outbound)),
            scim: Scim::new(Arc::clone(outbound)),
            nats: Nats::new(Arc::clone(outbound), Arc::clone(clock)),
            webhook: Webhook::new(Arc::clone(outbound), Arc::clone(clock)),
        }
    }
}

impl Connectors for Builtin {
    fn of(&self, kind: TargetKind) -> Option<&dyn Connector> {
        match kind {
            TargetKind::Postgresql => Some(&self.postgresql),
            TargetKind::Openbao => Some(&self.openbao),
            TargetKind::Mariadb => Some(&self.mariadb),
            TargetKind::Redis => Some(&self.redis),
            TargetKind::Rabbitmq => Some(&self.rabbitmq),
            TargetKind::Ldap => Some(&self.ldap),
            TargetKind::Mosquitto => Some(&self.mosquitto),
            TargetKind::AwsIam => Some(&self.aws_iam),
            TargetKind::Github => Some(&self.github),
            TargetKind::Gitlab => Some(&self.gitlab),
            TargetKind::Scim => Some(&self.scim),
            TargetKind::Nats => Some(&self.nats),
            TargetKind::Webhook => Some(&self.webhook),
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::time::{Span, Timestamp};
    use tenure_core::store::secret::Secret;
    use tenure_core::target::connector::{Ability, ConnectorError, Endpoint, Mode, NewAccount, Reach, TargetLogin};

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_796_000_000)
        }
        fn monotonic(&self) -> Span {
            Span::from_secs(0)
        }
    }

    /// What a kind answers to each act, by the ability that it takes, at an endpoint that is none.
    async fn acts(connector: &dyn Connector) -> Vec<(Ability, ConnectorError)> {
        let endpoint = Endpoint { url: "none".to_owned(), ca: None, plaintext: false, options: Default::default() };
        let (secret, patience) = (Secret::new("a-Secret".to_owned()), Span::from_secs(1));
        let login = TargetLogin { name: "us".to_owned(), secret: secret.clone() };
        let reach = Reach { endpoint: &endpoint, login: &login, mode: Mode::Issue, patience };
        let new = NewAccount { name: "x", secret: &secret, grants: &[], ends_at: Timestamp::MAX, mark: "m" };
        let said = [
            (Ability::Provision, connector.provision(&reach, &new).await.map(drop)),
            (Ability::Rotate, connector.rotate(&reach, "1", &secret).await.map(drop)),
            (Ability::Hold, connector.hold(&reach, "1").await.map(drop)),
            (Ability::Hold, connector.release(&reach, "1").await),
            (Ability::Narrow, connector.narrow(&reach, "1", &[]).await.map(drop)),
            (Ability::Revoke, connector.revoke(&reach, "1").await.map(drop)),
            (Ability::Probe, connector.probe(&endpoint, &login, patience).await.map(drop)),
        ];
        said.into_iter().map(|(ability, said)| (ability, said.unwrap_err())).collect()
    }

    #[tokio::test]
    async fn what_a_kind_has_no_ability_for_it_says_why_and_the_rest_it_does_itself() {
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        let builtin = Builtin::new(&Arc::new(Outbound::new(Vec::new())), &clock);
        for kind in TargetKind::ALL {
            let connector = builtin.of(*kind).unwrap();
            for (ability, said) in acts(connector).await {
                let why = connector.cannot(ability);
                if connector.abilities().contains(&ability) {
                    assert!(!matches!(said, ConnectorError::Unable(_)), "{kind:?} {ability:?}: {said:?}");
                } else {
                    assert_eq!(said, ConnectorError::Unable(why.to_owned()), "{kind:?} {ability:?}");
                    assert!(!why.starts_with("targets of this kind"), "{kind:?} {ability:?}");
                }
            }
        }
    }
}
