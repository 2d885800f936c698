//! How fresh a sign-in is, and what that is worth (S-7).

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::policy::Value;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::row::{Record, RowKey, RowKind};

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;

/// That somebody has bound a sign-in in this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInSetUp {
    /// When the first one was bound.
    pub at: Timestamp,
}

impl SignInSetUp {
    pub(crate) fn row_key() -> RowKey {
        RowKey::new(RowKind::Deployment, "sign-in")
    }
}

impl Record for SignInSetUp {
    const KIND: RowKind = RowKind::Deployment;
    fn row_id(&self) -> String {
        "sign-in".into()
    }
}

/// That the caller may do what needs a fresh sign-in of a person (S-7).
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct Freshness {
    /// It rests on nobody having bound a sign-in yet.
    before_sign_in: bool,
}

impl Freshness {
    /// For a question about what somebody could do, were their sign-in fresh. It lets nobody do it.
    pub(crate) const fn supposed() -> Self {
        Self { before_sign_in: false }
    }

    /// What policies read of it.
    pub(crate) const fn fact(self) -> Value {
        Value::Bool(true)
    }

    /// Demands that what it rests on is still so when the commit happens. A session's own end is checked by the commit
    /// anyway.
    pub(crate) fn expect(self, changeset: &mut Changeset) {
        if self.before_sign_in {
            changeset.expect_absent(SignInSetUp::row_key());
        }
    }
}

/// What a caller's sign-in was worth, for the record.
pub(crate) fn assurance_fact(caller: &Caller) -> serde_json::Value {
    match caller {
        Caller::Person { assurance: Some(assurance), .. } => json!(assurance),
        Caller::Person { assurance: None, .. } => json!({"method": "operator_token"}),
        Caller::Identity { .. } => json!({"method": "access_token"}),
    }
}

/// Demands what approving, enabling, changing policy and break-glass need: a person's fresh sign-in that can't be
/// phished. An operator token passes only while nobody has bound a sign-in; an identity never does (S-7).
pub(crate) async fn freshness(kernel: &Kernel, caller: &Caller, now: Timestamp) -> Result<Freshness, OpError> {
    match caller {
        Caller::Person { assurance: Some(assurance), .. } if assurance.is_fresh(now) => {
            Ok(Freshness { before_sign_in: false })
        }
        Caller::Person { assurance: None, .. } if !sign_in_is_set_up(kernel).await? => {
            Ok(Freshness { before_sign_in: true })
        }
        _ => Err(OpError::refused(Reason::FreshSignInNeeded)),
    }
}

/// Demands that nobody has bound a sign-in yet: only until then do operator tokens stand for people.
pub(crate) async fn before_sign_in(kernel: &Kernel) -> Result<Freshness, OpError> {
    if sign_in_is_set_up(kernel).await? {
        return Err(OpError::because(
            Reason::NotAllowed,
            "people sign in here: invite the person (POST /v1/invitations); automation uses a chartered identity of its own",
        ));
    }
    Ok(Freshness { before_sign_in: true })
}

/// Whether somebody has bound a sign-in.
pub(crate) async fn sign_in_is_set_up(kernel: &Kernel) -> Result<bool, OpError> {
    let snapshot = kernel.store.load(&[SignInSetUp::row_key()]).await?;
    Ok(snapshot.get::<SignInSetUp>(0)?.is_some())
}
