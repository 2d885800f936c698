//! Logins made just in time at targets.

use std::fmt;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{CredentialId, TargetId};
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::TargetKind;
use tenure_core::target::login::Login;

use crate::views::Logged;

/// A login made just in time, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginView {
    /// The record.
    #[serde(flatten)]
    pub record: Login,
    /// Its name at the target.
    pub name: String,
    /// Whether its secret is still kept, sealed: until it was fetched and tried in vain.
    pub secret_kept: bool,
}

/// A login, handed out this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginIssued {
    /// The credential that it is.
    pub login: CredentialId,
    /// Where it is good.
    pub target: TargetId,
    /// What sort of system that is.
    pub kind: TargetKind,
    /// The target's address.
    pub url: String,
    /// The certificate authorities that its certificate is checked against, in PEM; those of the system if there are
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The name to sign in with.
    pub name: String,
    /// The password; of AWS, JSON with `access_key_id`, `secret_access_key`, `session_token` and `expiration`. It is shown
    /// this once.
    pub secret: String,
    /// The resource that it is for.
    pub resource: String,
    /// What it may be used for, separated by spaces.
    pub scope: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where the log says so.
    pub log: Logged,
}

impl fmt::Debug for LoginIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginIssued").field("login", &self.login).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A login that isn't there yet: asked for again with its id.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginAwaited {
    /// The credential that it will be.
    pub login: CredentialId,
    /// Why it isn't there yet, where that is known: without addresses, and of a target that can't be asked without its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
