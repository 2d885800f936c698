//! How a workload proves that it is an identity (R27).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::binding::AssertionAudience;

/// How the workload proves that it is this identity (R27). The binding itself is a record that is made with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum WorkloadBinding {
    /// It holds the private part of this key and signs assertions with it (RFC 7523).
    PublicKey {
        /// The workload that holds it, e.g. `deployment/billing-exporter`.
        workload: String,
        /// The public key as a JWK (RFC 7517): OKP Ed25519 or EC P-256.
        jwk: serde_json::Value,
        /// To whom its assertions are addressed; strict unless a client can't.
        #[serde(default, skip_serializing_if = "AssertionAudience::is_strict")]
        assertion_audience: AssertionAudience,
    },
    /// It connects with this client certificate (RFC 8705 §2.2).
    Certificate {
        /// The workload that holds its key.
        workload: String,
        /// The certificate in PEM.
        certificate: String,
    },
    /// An external OIDC issuer vouches for it.
    Oidc {
        /// The workload that the issuer vouches for.
        workload: String,
        /// The registered issuer's URL.
        issuer: String,
        /// Claims that must have exactly these values, by name or by path (`kubernetes.io/serviceaccount/uid`). Which
        /// ones have to be among them is the issuer's to say: the immutable id of the repository, project or account;
        /// without a preset `sub`.
        claims: BTreeMap<String, serde_json::Value>,
    },
    /// It enrols a key of its own with a one-time join token (S-15).
    JoinToken {
        /// The workload that will enrol.
        workload: String,
    },
    /// It signs in at targets with accounts of its own there, and proves itself to Tenure by nothing: for what was found
    /// at a target.
    Account {
        /// The workload that uses the account.
        workload: String,
    },
    /// A user of a directory of people: known so that it can be refused by name (R18).
    DirectoryUser {
        /// The workload that would use it.
        workload: String,
        /// The user.
        user: String,
    },
}

impl WorkloadBinding {
    /// The workload's name.
    pub fn workload(&self) -> &str {
        match self {
            Self::PublicKey { workload, .. }
            | Self::Certificate { workload, .. }
            | Self::Oidc { workload, .. }
            | Self::JoinToken { workload }
            | Self::Account { workload }
            | Self::DirectoryUser { workload, .. } => workload,
        }
    }
}
