//! The connectors: what Tenure's port to targets comes to at real servers.
//!
//! A folder is one kind of target. What a server says of itself is foreign text: it is bounded, and put into words
//! before anybody reads it. How servers really behave is written beside what is done about it; a connector's conformance
//! run against the real server holds it to the same list of assertions as every other one (`tests/it`).
//!
//! Connections go by the rule of [`tenure_outbound`]: a host is resolved once, each of its addresses is checked, and no
//! other is connected to (S-17).

#[cfg(feature = "testing")]
pub mod faulty;
mod ldap;
mod mariadb;
mod openbao;
mod place;
mod postgresql;
mod rabbitmq;
mod redis;

use std::sync::Arc;

use tenure_core::target::connector::{Connector, Connectors, TargetKind};
use tenure_outbound::Outbound;

pub use self::redis::Redis;
pub use ldap::Ldap;
pub use mariadb::{BadMariadbGrant, Mariadb, MariadbGrant, Where};
pub use openbao::Openbao;
pub use postgresql::{BadGrant, Grant, Postgresql, Privilege};
pub use rabbitmq::Rabbitmq;

/// The connectors that this build has.
#[derive(Debug)]
pub struct Builtin {
    postgresql: Postgresql,
    openbao: Openbao,
    mariadb: Mariadb,
    redis: Redis,
    rabbitmq: Rabbitmq,
    ldap: Ldap,
}

impl Builtin {
    /// All of them, on one way out.
    pub fn new(outbound: &Arc<Outbound>) -> Self {
        Self {
            postgresql: Postgresql::new(Arc::clone(outbound)),
            openbao: Openbao::new(Arc::clone(outbound)),
            mariadb: Mariadb::new(Arc::clone(outbound)),
            redis: Redis::new(Arc::clone(outbound)),
            rabbitmq: Rabbitmq::new(Arc::clone(outbound)),
            ldap: Ldap::new(Arc::clone(outbound)),
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
        }
    }
}
