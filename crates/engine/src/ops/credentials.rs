//! Credentials as the inventory knows them, and the one check of whether one is alive.

use tenure_api::views::CredentialView;
use tenure_core::credential::Credential;
use tenure_core::gate;
use tenure_core::id::CredentialId;
use tenure_core::identity::Identity;
use tenure_core::liveness::credential_is_live;
use tenure_core::problem::Reason;
use tenure_core::row::Stored;
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
    /// What it may still be used for: what it was issued with ∩ what is held now.
    pub actions: Vec<String>,
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
        let status = credential_is_live(&credential, &known.identity, known.scopes(), now);
        let left = match status {
            // Nobody answers for it any more: what decisions refuse, introspection refuses too (invariant 7).
            Ok(()) => gate::standing(known.facts(now)).map(|standing| match known.resource(credential.resource) {
                Some(resource) => standing.left(resource, &credential.actions, credential.created),
                None => Vec::new(),
            }),
            Err(reason) => Err(reason),
        };
        let (status, actions) = match left {
            Ok(left) if left.is_empty() => (Err(Reason::NoLiveGrant), left),
            Ok(left) => (Ok(()), left),
            Err(reason) => (Err(reason), Vec::new()),
        };
        Ok(Some(Held {
            credential,
            known,
            status,
            actions,
        }))
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
        let id = held.credential.id.to_string();
        let noted = self.used.lock().get(&id).copied();
        Ok(CredentialView {
            // Not even the hash of a key leaves the store.
            record: Credential {
                hash: None,
                ..(*held.credential.value).clone()
            },
            owner: identity.charter.owner,
            purpose: identity.charter.purpose.clone(),
            last_used: self.store.last_used(&id).await?.max(noted),
            issued_position: held.credential.created,
            state: held.status.map_or_else(|reason| reason.code().to_owned(), |()| "live".to_owned()),
            identity_last_used: self.store.last_used(&identity.id.to_string()).await?,
        })
    }
}
