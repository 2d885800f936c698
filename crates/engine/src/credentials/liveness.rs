//! Credentials as the inventory knows them, and the one check of whether one is alive.

use tenure_api::views::{CredentialView, Page};
use tenure_core::base::id::{CredentialId, CredentialKind, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::gate::{self, Link};
use tenure_core::credential::liveness::credential_is_live;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::delegation::Delegation;
use tenure_core::identity::{Identity, Usage};
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::row::Stored;
use tenure_credentials::jose::SKEW;
use tenure_credentials::opaque::{OpaqueKind, Parsed};
use tenure_credentials::token::AccessClaims;

use crate::kernel::authority::{self, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::query::ListAsk;
use crate::kernel::{Kernel, keys, work};

/// A credential with what its life depends on.
pub(crate) struct LiveCredential {
    pub credential: Stored<Credential>,
    pub known: KnownIdentity,
    /// Alive, or why not.
    pub status: Result<(), Reason>,
    /// What it may still be used for: what it was issued with ∩ what is held now ∩ the task ∩ what every link of its
    /// chain still hands on.
    pub actions: Vec<String>,
    /// Those from whom it derives, the first link first.
    pub ancestors: Vec<Ancestor>,
}

impl LiveCredential {
    /// Bounds of use of its holder, and of everybody for whom the holder acts.
    pub(crate) fn usages(&self) -> impl Iterator<Item = &Usage> {
        let ancestors = self.ancestors.iter().map(|ancestor| &ancestor.known);
        std::iter::once(&self.known).chain(ancestors).filter_map(|known| known.identity.charter.usage.as_ref())
    }
}

/// Reads a credential and everything that its life depends on, and says whether it is alive.
///
/// Introspection, decisions and the checks behind receipts all come through here.
pub(crate) async fn held(kernel: &Kernel, id: CredentialId, now: Timestamp) -> Result<Option<LiveCredential>, OpError> {
    let Some(credential) = kernel.one::<Credential>(id).await? else {
        return Ok(None);
    };
    let Some(known) = kernel.know(credential.identity).await? else {
        return Ok(None);
    };
    let ancestors = match &credential.delegation {
        Some(delegation) => Box::pin(ancestors(kernel, delegation)).await?,
        None => Some(Vec::new()),
    };
    // Nobody answers for it any more: what decisions refuse, introspection refuses too (invariant 7).
    let left = credential_is_live(&credential, &known.identity, known.scopes(), now)
        .and_then(|()| left(&known, &credential, ancestors.as_deref(), now));
    let (status, actions) = match left {
        Ok(left) if left.is_empty() => (Err(Reason::NoLiveGrant), left),
        Ok(left) => (Ok(()), left),
        Err(reason) => (Err(reason), Vec::new()),
    };
    Ok(Some(LiveCredential { credential, known, status, actions, ancestors: ancestors.unwrap_or_default() }))
}

/// One credential of the inventory. Its secret is not stored anywhere (R5).
///
/// # Errors
/// No such credential, or the caller may not read it.
pub async fn credential(kernel: &Kernel, caller: &Caller, id: CredentialId) -> Result<CredentialView, OpError> {
    let Some(held) = held(kernel, id, kernel.now()).await? else {
        return Err(kernel.missing(caller, "credential", id).await);
    };
    authority::may_read(kernel, caller, "credential", &id.to_string(), owns_identity(caller, &held.known.identity))
        .await?;
    credential_view(kernel, &held).await
}

pub(crate) async fn credential_view(kernel: &Kernel, held: &LiveCredential) -> Result<CredentialView, OpError> {
    let identity: &Identity = &held.known.identity;
    let id = held.credential.id.to_string();
    Ok(CredentialView {
        // Not even the hash of a key leaves the store.
        record: Credential { hash: None, ..(*held.credential.value).clone() },
        owner: identity.charter.owner,
        purpose: identity.charter.purpose.clone(),
        consumer: consumer_of(kernel, identity, &held.credential).await?,
        last_used: work::last_used(kernel, &id).await?,
        issued_position: held.credential.created,
        state: held.status.map_or_else(|reason| reason.code().to_owned(), |()| "live".to_owned()),
        identity_last_used: work::last_used(kernel, &identity.id.to_string()).await?,
    })
}

/// The consumer for which a credential was issued, if its identity is shared and tells it apart.
async fn consumer_of(kernel: &Kernel, identity: &Identity, credential: &Credential) -> Result<Option<String>, OpError> {
    let Some(id) = credential.binding else { return Ok(None) };
    if identity.charter.shared.is_none() && identity.bindings.contains(&id) {
        return Ok(None);
    }
    let binding = kernel.one::<Binding>(id).await?;
    Ok(binding.and_then(|binding| identity.consumer_of(&binding).map(str::to_owned)))
}

/// What a credential may still be used for: each of those whose authority it is still has it, and still hands it on.
fn left(
    known: &KnownIdentity,
    credential: &Stored<Credential>,
    ancestors: Option<&[Ancestor]>,
    now: Timestamp,
) -> Result<Vec<String>, Reason> {
    let standing = gate::standing(known.facts(now))?;
    let Some(resource) = known.resource(credential.resource) else {
        return Ok(Vec::new());
    };
    let mut left = standing.left(resource, &credential.actions, credential.created);
    let links = ancestors.and_then(|ancestors| links(ancestors, now)).ok_or(Reason::ParentEnded)?;
    // Of what hands authority on, the chain goes one further, to the actor whom it names.
    let Some(may_act) = &credential.may_act else {
        standing.intent(credential.task.as_deref())?;
        left.retain(|action| standing.in_task(credential.task.as_deref(), action, resource.id).is_ok());
        return if links.is_empty() || left.is_empty() {
            Ok(left)
        } else {
            handed_on(&links, known, resource, &left, 0)
        };
    };
    if !standing.charter().delegates.iter().any(|delegate| delegate.actor == may_act.actor) {
        return Err(Reason::DelegationNotAllowed);
    }
    if !links.is_empty() {
        let target = known.resource(may_act.resource).ok_or(Reason::ParentEnded)?;
        handed_on(&links, known, target, &may_act.actions, 1)?;
    }
    Ok(left)
}

fn handed_on(
    links: &[gate::Link<'_>],
    holder: &KnownIdentity,
    resource: &Resource,
    actions: &[String],
    further: usize,
) -> Result<Vec<String>, Reason> {
    let left = gate::handed_on(links, holder.identity.id, resource, actions, further);
    left.ok().filter(|left| !left.is_empty()).ok_or(Reason::ParentEnded)
}

/// A page of the credentials of an identity whose records have not ended.
///
/// # Errors
/// No such identity, or the caller may not read it.
pub async fn credentials_of(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    mut ask: ListAsk<Credential>,
) -> Result<Page<CredentialView>, OpError> {
    let identity = kernel.sought::<Identity>(caller, "identity", id).await?;
    authority::may_read(kernel, caller, "credential", "", owns_identity(caller, &identity)).await?;
    ask.filters = vec![Credential::IDENTITY.of(id)];
    let (rows, end) = kernel.page(ask).await?;
    let now = kernel.now();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(held) = held(kernel, row.id, now).await? {
            items.push(credential_view(kernel, &held).await?);
        }
    }
    Ok(end.page(items))
}

/// The credential behind a token that a caller shows us, with whether it is alive.
pub(crate) async fn presented(
    kernel: &Kernel,
    token: &str,
    now: Timestamp,
) -> Result<Option<(AccessClaims, LiveCredential)>, OpError> {
    if let Some(claims) = api_key_claims(kernel, token).await? {
        let held = held(kernel, claims.credential, now).await?;
        if held.as_ref().is_some_and(|held| held.status.is_ok()) {
            kernel.touch(claims.credential.to_string(), now);
        }
        return Ok(held.map(|held| (claims, held)));
    }
    let Some(environment) = claimed_environment(kernel, token).await? else {
        return Ok(None);
    };
    let Ok(claims) = verified(kernel, &environment, token, now).await else {
        return Ok(None);
    };
    Ok(held(kernel, claims.credential, now)
        .await?
        .filter(|held| held.credential.identity == claims.identity)
        .map(|held| (claims, held)))
}

/// A link of a chain, with everything that its standing rests on.
pub(crate) struct Ancestor {
    pub known: KnownIdentity,
    pub credential: Stored<Credential>,
}

impl Ancestor {
    fn link(&self, now: Timestamp) -> Option<Link<'_>> {
        Some(Link {
            facts: self.known.facts(now),
            credential: &self.credential,
            tenure: self.known.resource(self.credential.resource)?,
        })
    }

    /// Demands that it is all as it was read: what is revoked meanwhile issues nothing any more.
    pub(crate) fn expect(&self, changeset: &mut Changeset) {
        self.known.expect(changeset);
        changeset.expect(&self.credential);
        for grant in self.known.grants.iter().flatten() {
            changeset.expect(grant);
        }
    }
}

/// The chain as the gate reads it; none if one of its charters has nothing on Tenure any more.
pub(crate) fn links(ancestors: &[Ancestor], now: Timestamp) -> Option<Vec<Link<'_>>> {
    ancestors.iter().map(|ancestor| ancestor.link(now)).collect()
}

/// Those that a credential derives from, the first link first; none if one of them is gone.
pub(crate) async fn ancestors(kernel: &Kernel, delegation: &Delegation) -> Result<Option<Vec<Ancestor>>, OpError> {
    let mut ancestors = Vec::with_capacity(delegation.parents.len());
    for (id, parent) in delegation.chain.iter().zip(&delegation.parents) {
        let (Some(known), Some(credential)) = (kernel.know(*id).await?, kernel.one::<Credential>(parent).await?) else {
            return Ok(None);
        };
        ancestors.push(Ancestor { known, credential });
    }
    Ok(Some(ancestors))
}

/// The claims of an access token of an environment, signature and times checked. Nodes' clocks differ, so a token may
/// be issued a little ahead of this one; whether it is over is for its record to say, to the moment.
pub(crate) async fn verified(
    kernel: &Kernel,
    environment: &Environment,
    token: &str,
    now: Timestamp,
) -> Result<AccessClaims, OpError> {
    let known = keys::signed_token(kernel, environment, token, now).await?;
    known.signed.at(now, SKEW).cloned().map_err(|_| OpError::Unauthenticated(Reason::ProofInvalid))
}

/// The environment that a token says it is from; nothing is checked yet.
pub(crate) async fn claimed_environment(kernel: &Kernel, token: &str) -> Result<Option<Stored<Environment>>, OpError> {
    if let Some(known) = keys::known_token(kernel, token) {
        return kernel.one::<Environment>(&known.environment).await;
    }
    let Ok(unverified) = tenure_credentials::jose::read_unverified(token) else {
        return Ok(None);
    };
    let prefix = format!("{}/env/", kernel.settings.public_url);
    match unverified.issuer.as_deref().and_then(|issuer| issuer.strip_prefix(&prefix)) {
        Some(name) if tenure_core::inventory::environment::parse_name("iss", name).is_ok() => {
            kernel.one::<Environment>(name).await
        }
        _ => Ok(None),
    }
}

/// What an API key says of itself, if it is one of ours and its secret is right: what the claims of an access token say
/// of that.
pub(crate) async fn api_key_claims(kernel: &Kernel, text: &str) -> Result<Option<AccessClaims>, OpError> {
    let Ok(parsed) = Parsed::parse(text) else {
        return Ok(None);
    };
    let (OpaqueKind::ApiKey, Some(id)) = (parsed.kind(), parsed.id::<CredentialKind>()) else {
        return Ok(None);
    };
    let Some(credential) = kernel.one::<tenure_core::credential::Credential>(id).await? else {
        return Ok(None);
    };
    if !credential.hash.as_deref().is_some_and(|hash| kernel.opaque.matches(&parsed, hash)) {
        return Ok(None);
    }
    let resource = kernel.one::<tenure_core::inventory::resource::Resource>(credential.resource).await?;
    Ok(resource.map(|resource| AccessClaims {
        credential: credential.id,
        identity: credential.identity,
        subject: credential.identity,
        confirmation: None,
        audience: resource.uri.clone(),
        scope: credential.actions.clone(),
        issued_at: credential.issued_at,
        expires_at: credential.expires_at,
    }))
}
