//! A credential or a proof where it doesn't belong: a finding of the identity it names (R59).

use serde_json::{Map, Value, json};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{Rule, rules};
use tenure_core::identity::{Identity, IdentityState, SuspensionKind};
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::target::login::Login;

use crate::credentials::enforcer::{self, Enforcer};
use crate::credentials::liveness;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::finding::{self, COUNTED_EVERY};

/// What a finding that is recorded apart is about, in words.
#[derive(Clone, Copy)]
pub(crate) struct Apart {
    pub rule: &'static Rule,
    /// The event that says what was seen.
    pub seen: EventKind,
    /// How its owner and security are told.
    pub title: &'static str,
    pub what: &'static str,
}

/// Records that an identity, or what somebody presented as its credential, was seen in another environment (R26).
pub(crate) async fn note_environment_mismatch(kernel: &Kernel, id: IdentityId, detail: &str, evidence: Value) {
    let about = Apart {
        rule: &rules::ENVIRONMENT_MISMATCH,
        seen: EventKind::IdentityOutOfEnvironment,
        title: "An identity was used in another environment",
        what: "It was presented in another environment than its own, and refused.",
    };
    note_apart(kernel, about, id, detail, evidence).await;
}

/// Records what was seen of an identity in a commit apart from what it was seen at. A finding that can't be written now
/// is lost, as what it is about is recorded already; the next one opens it.
pub(crate) async fn note_apart(kernel: &Kernel, about: Apart, id: IdentityId, detail: &str, evidence: Value) {
    if let Err(error) = raise_apart(kernel, about, id, detail, evidence).await {
        tracing::warn!(%error, identity = %id, rule = about.rule.id, "a finding could not be recorded now");
    }
}

pub(crate) async fn raise_apart(
    kernel: &Kernel,
    about: Apart,
    id: IdentityId,
    detail: &str,
    evidence: Value,
) -> Result<(), OpError> {
    let evidence = match evidence {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let Some(identity) = kernel.one::<Identity>(id).await? else {
        return Ok(());
    };
    for _ in 0..4 {
        let now = kernel.now();
        let known = finding::known_finding(kernel, about.rule, &id.to_string(), detail).await?;
        if known.open.is_some_and(|open| now.since(open.last_seen_at) < COUNTED_EVERY) {
            return Ok(());
        }
        let seen = kernel.event(now, about.seen).subject(id).fact("evidence", &evidence);
        let mut changeset = Changeset::new(Actor::System { part: "findings".into() }, now, seen);
        if finding::raise(kernel, &mut changeset, about.rule, id, detail, evidence.clone(), now).await?.is_some() {
            let owner: Vec<_> = identity.charter.owner.into_iter().collect();
            let text = format!("{id}: {}\nLook: tenure finding list --subject {id}", about.what);
            finding::tell(&mut changeset, &owner, &[Role::Security], about.title, &text);
        }
        match kernel.settle(changeset).await {
            // Somebody else opened the same one.
            Ok(Some(_)) | Err(OpError::Taken { .. }) => return Ok(()),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A refused use for the reason that the environments differ.
pub(crate) async fn note_use_elsewhere(
    kernel: &Kernel,
    id: IdentityId,
    resource: &Resource,
    asked_by: IdentityId,
    action: &str,
    proven: bool,
) {
    let environment = match kernel.one::<Identity>(id).await {
        Ok(identity) => identity.and_then(|identity| identity.charter.environment.clone()),
        Err(_) => None,
    };
    let evidence = json!({
        "identity": id, "environment": environment, "resource": resource.id, "resource_environment": resource.environment,
        "action": action, "enforcement_point": asked_by, "proven": proven,
    });
    note_environment_mismatch(kernel, id, &resource.id.to_string(), evidence).await;
}

/// Whether an identity has ended, or was suspended since it, or what it belongs to, is past its sunset.
fn is_over(identity: &Identity) -> bool {
    matches!(identity.state, IdentityState::Retiring | IdentityState::Retired)
        || identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::Sunset)
}

/// Who asked in the place of an identity, where it didn't itself.
#[derive(Clone, Copy)]
pub(crate) struct AskedBy {
    /// The enforcement point.
    pub enforcer: IdentityId,
    /// Whether a token of the identity's was shown to it: otherwise it only says who it was.
    pub proven: bool,
}

/// An identity was refused something: if it has ended and calls all the same, that is found (R99).
pub(crate) async fn note_use_after_end(kernel: &Kernel, id: IdentityId, asked: &str, asked_by: Option<AskedBy>) {
    let Ok(Some(identity)) = kernel.one::<Identity>(id).await else { return };
    if !is_over(&identity) {
        return;
    }
    let about = Apart {
        rule: &rules::USED_AFTER_END,
        seen: EventKind::IdentityUsedAfterEnd,
        title: "An identity that has ended is still calling",
        what: "It has ended, called all the same, and was refused.",
    };
    let evidence = json!({
        "identity": id, "retirement": identity.retirement, "asked": asked,
        "enforcement_point": asked_by.map(|by| by.enforcer), "proven": asked_by.is_none_or(|by| by.proven),
    });
    note_apart(kernel, about, id, asked, evidence).await;
}

/// The secret of a login was asked for again after it had been handed out.
pub(crate) async fn note_asked_again(kernel: &Kernel, login: &Login) {
    let about = Apart {
        rule: &rules::SECRET_ASKED_AGAIN,
        seen: EventKind::LoginAskedAgain,
        title: "A login's secret was asked for again",
        what: "The secret of a login of its was asked for again after it had been handed out, and refused.",
    };
    let evidence = json!({"login": login.id, "target": login.target, "fetched_at": login.fetched_at});
    note_apart(kernel, about, login.identity, &login.id.to_string(), evidence).await;
}

/// A page for people was asked for with an identity's credential (NHI10:2025).
pub async fn note_used_by_person(kernel: &Kernel, identity: &Identity, page: &str) {
    let about = Apart {
        rule: &rules::USED_BY_PERSON,
        seen: EventKind::IdentityUsedByPerson,
        title: "A person may use an identity's credential",
        what: "A page for people was asked for with its credential, and not shown.",
    };
    let evidence = json!({"identity": identity.id, "kind": identity.kind, "page": page});
    note_apart(kernel, about, identity.id, "", evidence).await;
}

/// A proof that was refused because it was shown to another environment's issuer.
pub(crate) async fn note_proof_elsewhere(kernel: &Kernel, id: IdentityId, asked: &str) {
    let environment = match kernel.one::<Identity>(id).await {
        Ok(identity) => identity.and_then(|identity| identity.charter.environment.clone()),
        Err(_) => None,
    };
    let evidence = json!({"identity": id, "environment": environment, "asked_environment": asked, "issuer": kernel.issuer_of(asked), "proven": true});
    note_environment_mismatch(kernel, id, asked, evidence).await;
}

/// A token of ours that an enforcement point showed to another environment's issuer than its own.
pub(crate) async fn note_token_elsewhere(
    kernel: &Kernel,
    enforcer: &Enforcer,
    asked: &str,
    token: &str,
    now: Timestamp,
) {
    let Ok(Some((claims, held))) = liveness::presented(kernel, token, now).await else {
        return;
    };
    if held.credential.environment == asked {
        return;
    }
    let evidence = json!({
        "identity": claims.identity, "environment": held.credential.environment, "credential": claims.credential,
        "asked_environment": asked, "enforcement_point": enforcer::enforcer_identity(enforcer).id, "proven": true,
    });
    note_environment_mismatch(kernel, claims.identity, asked, evidence).await;
}
