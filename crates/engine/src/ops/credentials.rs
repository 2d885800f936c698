//! Credentials as the inventory knows them, and the one check of whether one is alive.

use tenure_api::views::CredentialView;
use tenure_core::credential::Credential;
use tenure_core::grant::Grant;
use tenure_core::id::CredentialId;
use tenure_core::identity::Identity;
use tenure_core::liveness::credential_is_live;
use tenure_core::problem::Reason;
use tenure_core::row::{RowKey, RowKind, Stored};
use tenure_core::time::Timestamp;

use super::identities::owns_identity;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::load::Known;

/// A credential with what its life depends on.
pub(crate) struct Held {
    pub credential: Stored<Credential>,
    pub known: Known,
    /// Alive, or why not.
    pub status: Result<(), Reason>,
}

impl Engine {
    /// Reads a credential and everything that its life depends on, and says whether it is alive.
    ///
    /// Introspection, decisions and the checks behind receipts all come through here.
    pub(crate) async fn held(&self, id: CredentialId, now: Timestamp) -> Result<Option<Held>, OpError> {
        let Some(credential) = self.one::<Credential>(id).await? else {
            return Ok(None);
        };
        let Some(known) = self.know(credential.identity).await? else {
            return Ok(None);
        };
        let grants = self.grants_of(&credential, &known).await?;
        let live = credential_is_live(&credential, &known.identity, known.scopes(), &grants, now);
        // Nobody answers for it any more: what decisions refuse, introspection refuses too (invariant 7).
        let status = live.and_then(|()| if known.owner_active() { Ok(()) } else { Err(Reason::OwnerNotActive) });
        Ok(Some(Held { credential, known, status }))
    }

    async fn grants_of(&self, credential: &Credential, known: &Known) -> Result<Vec<Option<Stored<Grant>>>, OpError> {
        let find = |id| known.grants.iter().flatten().find(|grant| grant.id == id).cloned();
        let held: Vec<_> = credential.grants.iter().map(|id| find(*id)).collect();
        if held.iter().all(Option::is_some) {
            return Ok(held);
        }
        // A grant that has left the identity's list has ended; its own row says how.
        let keys: Vec<RowKey> = credential.grants.iter().map(|id| RowKey::new(RowKind::Grant, id)).collect();
        let snapshot = self.store.load(&keys).await?;
        Ok((0..keys.len()).map(|n| snapshot.get(n)).collect::<Result<_, _>>()?)
    }

    /// One credential of the inventory. Its secret is not stored anywhere (R5).
    ///
    /// # Errors
    /// No such credential, or the caller may not read it.
    pub async fn credential(&self, caller: &Caller, id: CredentialId) -> Result<CredentialView, OpError> {
        let held = self.held(id, self.now()).await?.ok_or(OpError::NotFound("credential"))?;
        self.may_read(caller, "credential", &id.to_string(), owns_identity(caller, &held.known.identity))
            .await?;
        self.credential_view(&held).await
    }

    pub(crate) async fn credential_view(&self, held: &Held) -> Result<CredentialView, OpError> {
        let identity: &Identity = &held.known.identity;
        Ok(CredentialView {
            record: (*held.credential.value).clone(),
            issued_position: held.credential.created,
            state: held.status.map_or_else(|reason| reason.code().to_owned(), |()| "live".to_owned()),
            identity_last_used: self.store.last_used(&identity.id.to_string()).await?,
        })
    }
}
