//! Who acts for whom: handing authority on, and taking it up by token exchange (RFC 8693, S-14).
//!
//! The subject asks for a token that is addressed to Tenure and names its actor (`may_act`); the actor hands it in and
//! proves itself. What it then gets is what every one of the chain has and allows, now: [`gate::delegated`].

use serde_json::json;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate::{self, HandOn};
use tenure_core::identity::CredentialType;
use tenure_core::identity::delegation::DELEGATE;
use tenure_core::inventory::resource::Resource;

use crate::credentials::liveness::{self, Ancestor};
use crate::credentials::token::ask::{TokenAsk, Wanted};
use crate::credentials::token::intent::{DELEGATION_DETAIL, DelegationDetail, Intent, Wish, granted_task};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;

/// What an access token is called in an exchange (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Whether a resource is Tenure itself: its uri is the public URL, or the issuer identifier of its own environment.
pub(crate) fn is_tenure(kernel: &Kernel, resource: &Resource) -> bool {
    resource.is_at(&kernel.settings.public_url) || resource.is_at(&kernel.issuer_of(&resource.environment))
}

/// A token for Tenure itself by which another identity may act for this one.
pub(crate) fn wanted_hand_on(
    kernel: &Kernel,
    ask: &TokenAsk,
    known: &KnownIdentity,
    standing: &gate::Standing<'_>,
    ancestors: Vec<Ancestor>,
    detail: &DelegationDetail,
    now: Timestamp,
) -> Result<Wanted, OpError> {
    let mut own = known.resources.iter().flatten().filter(|resource| is_tenure(kernel, resource));
    let tenure = match ask.resource.as_deref() {
        Some(uri) => own.find(|resource| resource.is_at(uri)),
        None => own.next(),
    };
    let tenure = tenure.cloned().ok_or_else(|| {
        OpError::because(
            Reason::ResourceUnknown,
            "a delegation is for Tenure itself: the charter has to have the action delegate there",
        )
    })?;
    if ask.actions().iter().any(|action| action != DELEGATE) {
        return Err(OpError::because(
            Reason::OutsideScope,
            "what hands authority on is good for nothing else: ask for the scope delegate",
        ));
    }
    let uri = detail.location()?;
    let resource = known.resources.iter().flatten().find(|resource| resource.is_at(uri));
    let resource =
        resource.ok_or_else(|| OpError::because(Reason::ResourceUnknown, "the charter has nothing on the location"))?;
    let links = liveness::links(&ancestors, now).ok_or(Reason::ParentEnded)?;
    let handed = gate::hand_on(
        &links,
        standing,
        &tenure,
        HandOn { actor: detail.actor, resource, actions: &detail.actions, task: detail.task.as_deref() },
    )?;
    let details = json!([{
        "type": DELEGATION_DETAIL,
        "actor": handed.may_act.actor,
        "locations": [resource.uri],
        "actions": handed.may_act.actions,
        "task": handed.may_act.task,
    }]);
    Ok(Wanted {
        issued_token_type: handed.delegated.is_some().then_some(ACCESS_TOKEN_TYPE),
        resource: tenure,
        held: handed.held,
        // What may be done for it is bounded by the task; the token itself does nothing.
        task: None,
        left_out: Vec::new(),
        outside: None,
        may_act: Some(handed.may_act),
        delegated: handed.delegated,
        details: Some(details),
        ancestors,
        expects: Vec::new(),
    })
}

/// A credential under authority that was handed on: the subject's token, in the hands of the actor whom it names.
pub(crate) async fn wanted_exchange(
    kernel: &Kernel,
    ask: &TokenAsk,
    subject_token: &str,
    known: &KnownIdentity,
    standing: &gate::Standing<'_>,
    now: Timestamp,
) -> Result<Wanted, OpError> {
    let intent = Intent::parse(ask.authorization_details.as_deref())?;
    let ancestors = subject(kernel, ask, subject_token, known, now).await?;
    if let Some(detail) = &intent.delegation {
        return wanted_hand_on(kernel, ask, known, standing, ancestors, detail, now);
    }
    let may_act = ancestors.last().and_then(|subject| subject.credential.may_act.as_ref());
    let resource = may_act.and_then(|may_act| known.resource(may_act.resource)).cloned();
    let resource = resource.filter(|resource| matches!(intent.resource(ask.resource.as_deref()), Ok(uri) if uri.is_none_or(|uri| resource.is_at(uri))));
    let resource = resource.ok_or_else(|| {
        OpError::because(
            Reason::ResourceUnknown,
            "the subject token is for another resource, or the actor's own charter has nothing on it",
        )
    })?;
    let links = liveness::links(&ancestors, now).ok_or(Reason::ParentEnded)?;
    let offered = may_act.map(|may_act| may_act.actions.as_slice()).unwrap_or_default();
    let holds = |action: &str| {
        let action = [action.to_owned()];
        let handed = || gate::handed_on(&links, known.identity.id, &resource, &action, 0);
        standing.held(&resource, &action).is_ok() && handed().is_ok_and(|handed| !handed.is_empty())
    };
    let wish = Wish::read(&intent, ask.actions(), standing, &resource, offered, holds)?;
    let delegated = gate::delegated(&links, standing, wish.task(), &resource, &wish.actions)?;
    let held = delegated.held().clone();
    Ok(Wanted {
        details: wish.task().map(|task| granted_task(task, &resource, held.actions())),
        task: wish.task,
        left_out: wish.left_out,
        outside: None,
        may_act: None,
        delegated: Some(delegated),
        issued_token_type: Some(ACCESS_TOKEN_TYPE),
        held,
        resource,
        ancestors,
        expects: Vec::new(),
    })
}

/// Those for whom the actor wants to act, by the subject's token: addressed to Tenure, alive, and naming this actor
/// (S-14). To anybody else it says nothing about whether it is alive.
async fn subject(
    kernel: &Kernel,
    ask: &TokenAsk,
    token: &str,
    actor: &KnownIdentity,
    now: Timestamp,
) -> Result<Vec<Ancestor>, OpError> {
    let (claims, held) = liveness::presented(kernel, token, now).await?.ok_or_else(|| {
        OpError::because(Reason::CredentialUnknown, "the subject token is no access token of ours in its time")
    })?;
    let credential = held.credential;
    let names_actor = credential.may_act.as_ref().is_some_and(|may_act| may_act.actor == actor.identity.id);
    let to_tenure = held
        .known
        .resource(credential.resource)
        .is_some_and(|resource| is_tenure(kernel, resource) && claims.audience == resource.uri);
    if credential.kind != CredentialType::AccessToken || !names_actor {
        let detail = "the subject token doesn't name this actor: the subject asks for one with authorization_details of the type tenure_delegation";
        return Err(OpError::because(Reason::DelegationNotAllowed, detail));
    }
    if credential.environment != ask.environment {
        return Err(OpError::refused(Reason::WrongEnvironment));
    }
    held.status
        .map_err(|reason| OpError::because(Reason::ParentEnded, format!("the subject token is not alive: {reason}")))?;
    if !to_tenure {
        return Err(OpError::because(Reason::DelegationNotAllowed, "the subject token is not addressed to Tenure"));
    }
    let mut ancestors = held.ancestors;
    ancestors.push(Ancestor { known: held.known, credential });
    Ok(ancestors)
}
