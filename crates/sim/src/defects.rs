//! Defects of what decides, planted where it can be done without touching it: in what it writes.

use serde_json::{Value, json};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::RowKind;
use tenure_store::Dump;

use crate::store::Planted;

/// The changeset as the engine would make it with the defect.
pub fn tampered(mut changeset: Changeset, before: &Dump, planted: Option<Planted>) -> Changeset {
    let has = |kind| changeset.events.iter().any(|event| event.kind() == kind);
    let change: fn(&mut Value, &Value) = match planted {
        Some(Planted::SamePerson) if has(EventKind::RequestApproved) => let_the_asker_approve,
        Some(Planted::VotesOutliveEdits) if has(EventKind::RequestAmended) => keep_votes,
        Some(Planted::TransfersForgetCuts) if has(EventKind::IdentityTransferred) => forget_cut,
        Some(Planted::NarrowingWidens) if has(EventKind::IdentityNarrowed) => widen,
        Some(Planted::SkipsParents) if has(EventKind::CredentialIssued) => forget_parents,
        Some(Planted::SignalsActivate) if has(EventKind::SignalWorkedOff) => activate,
        Some(Planted::ForgetsDeliveries) if has(EventKind::SignalReceived) => {
            changeset.once.clear();
            return changeset;
        }
        _ => return changeset,
    };
    for put in &mut changeset.puts {
        let old = before.rows.get(&put.key).and_then(|row| serde_json::from_slice(&row.body).ok()).unwrap_or_default();
        if let Ok(mut new) = serde_json::from_slice::<Value>(&put.body)
            && matches!(put.key.kind, RowKind::Request | RowKind::Identity | RowKind::Credential)
        {
            change(&mut new, &old);
            put.body = new.to_string().into_bytes();
        }
    }
    changeset
}

/// Nobody checks that approvers are others than who asks.
fn let_the_asker_approve(new: &mut Value, _: &Value) {
    let asker = new.pointer("/requested_by/id").cloned().unwrap_or_default();
    let is_person = new.pointer("/requested_by/type").is_some_and(|kind| kind == "person");
    let about_tenure = new.get("class").is_some_and(|class| class == "administration");
    if let Some(by) = new.pointer_mut("/votes/0/by").filter(|_| is_person && !about_tenure) {
        *by = asker;
    }
}

/// What was voted on may be edited, and the votes count for what it says then.
fn keep_votes(new: &mut Value, old: &Value) {
    if new.get("votes").is_none() {
        return;
    }
    let mut votes = old["votes"].clone();
    for vote in votes.as_array_mut().into_iter().flatten() {
        vote["content_hash"] = new["content_hash"].clone();
    }
    new["votes"] = votes;
}

/// What a cut of the former owner's scope killed comes alive.
fn forget_cut(new: &mut Value, old: &Value) {
    if new.get("valid_after").is_some() {
        new["valid_after"] = old["valid_after"].clone();
    }
}

/// A narrower charter says something more.
fn widen(new: &mut Value, _: &Value) {
    let actions = new.pointer_mut("/charter/scope/0/actions").and_then(Value::as_array_mut);
    if let Some(actions) = actions {
        actions.push(json!("enforce"));
    }
}

/// Nobody knows any more what it derives from.
fn forget_parents(new: &mut Value, _: &Value) {
    if let Some(credential) = new.as_object_mut() {
        credential.remove("delegation");
    }
}

/// A deployment is all that it takes.
fn activate(new: &mut Value, old: &Value) {
    if old.is_null() && new["state"] == "draft" {
        new["state"] = json!("active");
    }
}
