//! Machines that come, change, and finish a run: joiners, movers, and ends of tasks.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tenure_api::requests::{NewIdentity, Stage};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules;
use tenure_core::identity::binding::{Binding, BindingMatch, BindingState, Recheck, binding_breaks};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::template::Template;
use tenure_core::identity::{
    CharterDraft, Identity, IdentityState, Releaser, RevocationTrigger, SuspensionKind, WorkloadBinding,
};
use tenure_core::inventory::environment::parse_name;
use tenure_core::people::person::Role;
use tenure_core::signal::SubjectKind;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::issuer::{Issuer, Preset};

use crate::credentials::revocation;
use crate::endings::removals::blast;
use crate::endings::removals::plan::{can_be_held, has_not_ended, is_of};
use crate::identities::dormancy::{self, ByRule};
use crate::identities::{lifecycle, registration};
use crate::inventory::{references, templates};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::signals::effects::{self, AT_ONCE, JOINER, MOVER, Said, Turn, evidence};

/// Names that are tried before a draft is given up.
const NAMES: usize = 3;

/// A workload was deployed: a draft for it from the source's template (R8, R80). People hand it in and approve it like
/// any other; whoever has an identity already, in whatever state, gets nothing.
pub(crate) async fn workload_joins(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let workload = &said.word().subject.id;
    let Some(name) = &said.source.template else {
        return Ok(Turn::ignored("its source has no template to make drafts from"));
    };
    let Some(template) = kernel.one::<Template>(name).await? else {
        return Ok(Turn::done("no draft was made: the source's template is gone"));
    };
    if said.word().subject.kind != SubjectKind::Workload {
        return Ok(Turn::done("no draft was made: only a workload gets one"));
    }
    if let Some(known) = identity_of_workload(kernel, workload, &said.source.environments).await? {
        let mut turn =
            Turn::done(format!("{known} is registered for it: nothing was made, and its state stays as it is"));
        turn.outcome.identities.push(known);
        return Ok(turn);
    }
    let Some(name) = free_name(kernel, workload, said).await? else {
        return Ok(Turn::done("no draft was made: every name for it is taken"));
    };
    // First bound to what the platform proves, if that is registered and told; else to a key that is enrolled by hand.
    let mut why = String::new();
    for binding in
        [binding_by_issuer(kernel, said).await?, Some(WorkloadBinding::JoinToken { workload: workload.clone() })]
    {
        let Some(binding) = binding else { continue };
        let ask = NewIdentity {
            kind: template.kind,
            name: name.clone(),
            template: said.source.template.clone(),
            charter: CharterDraft { workload_binding: Some(binding), ..CharterDraft::default() },
            stage: Stage::Draft,
            token: None,
        };
        match draft(kernel, changeset, said, &ask, now).await {
            Ok(identity) => {
                let mut turn = Turn::done(format!("a draft was made: {}", identity.id));
                turn.outcome.identities.push(identity.id);
                return Ok(turn);
            }
            Err(OpError::Invalid(problems)) => {
                why = problems
                    .iter()
                    .map(|problem| format!("{}: {}", problem.field, problem.hint))
                    .collect::<Vec<_>>()
                    .join("; ");
            }
            Err(OpError::Refused { reason, detail, .. }) => why = detail.unwrap_or_else(|| reason.hint().to_owned()),
            Err(other) => return Err(other),
        }
    }
    let text = format!(
        "{} told of a new workload, and the template doesn't make a draft of it: {why}\nLook: tenure signal show {}",
        said.source.id, said.signal.id
    );
    if let Some(event) = changeset.events.first_mut() {
        *event = notify(event.clone(), &[said.source.owner], &[], "A deployment made no draft", &text);
    }
    let cut: String = why.chars().take(500).collect();
    Ok(Turn::done(format!("no draft was made: {cut}")))
}

/// An identity that is registered for a workload and has not ended.
async fn identity_of_workload(
    kernel: &Kernel,
    workload: &str,
    environments: &[String],
) -> Result<Option<IdentityId>, OpError> {
    let mut pages = kernel.pages(Query::of([Identity::WORKLOAD.of(workload)]));
    while let Some(found) = pages.next().await? {
        let lives = |row: &&Stored<Identity>| has_not_ended(row.state) || row.state == IdentityState::Retiring;
        if let Some(found) = found.readable().iter().filter(|row| is_of(environments, row)).find(lives) {
            return Ok(Some(found.id));
        }
    }
    Ok(None)
}

/// A name for a workload's identity: its own, or its own and a part of the signal's id, as names are never used twice.
async fn free_name(kernel: &Kernel, workload: &str, said: &Said) -> Result<Option<String>, OpError> {
    let id = said.signal.id.to_string();
    for n in 0..NAMES {
        let end = if n == 0 { "" } else { id.get(id.len().saturating_sub(4 * n)..).unwrap_or("") };
        let name = name_of(workload, end);
        let taken = kernel.find(Query::of([Identity::NAME.of(&name)])).await?.readable();
        if taken.is_empty() && parse_name("name", &name).is_ok() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What the source's issuer proves of the workload, as far as the signal tells it.
async fn binding_by_issuer(kernel: &Kernel, said: &Said) -> Result<Option<WorkloadBinding>, OpError> {
    let Some(url) = &said.source.issuer else {
        return Ok(None);
    };
    let Some(issuer) = references::find_issuer(kernel, url).await? else {
        return Ok(None);
    };
    let claims = claims_of(&issuer, &said.word().facts);
    if !claims.contains_key(issuer.preset.workload_claim()) {
        return Ok(None);
    }
    Ok(Some(WorkloadBinding::Oidc { workload: said.word().subject.id.clone(), issuer: url.clone(), claims }))
}

/// Adds a draft to the signal's commit. There is no step from here to anything but a draft.
async fn draft(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    ask: &NewIdentity,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let (charter, clipped) = templates::templated(kernel, ask, now).await?;
    let mut problems: Vec<_> = registration::check_name(kernel, ask).await?;
    let mut identity = registration::new_identity(kernel, ask, charter, said.source.owner, now);
    let references = references::check_references(kernel, ask.kind, &identity.charter, &mut problems).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    identity.tier = references.tier(identity.kind, &identity.charter);
    templates::check_template_tier(kernel, ask, identity.tier).await?;
    let binding = registration::binding_of(kernel, &identity, references.issuer.as_ref(), now).await?;
    identity.bindings.extend(binding.as_ref().map(|(binding, _)| binding.id));
    let mut event = kernel
        .event(now, EventKind::IdentityRegistered)
        .subject(identity.id)
        .subject(said.signal.id)
        .fact("workflow", JOINER)
        .fact("name", &identity.name)
        .fact("identity_kind", identity.kind)
        .fact("template", &identity.template)
        .fact("tier", identity.tier)
        .fact("clipped", &clipped)
        .fact("charter", &identity.charter);
    event = identity.charter.owner.into_iter().fold(event, |event, owner| event.subject(owner));
    let text = format!(
        "{}: drafted from a template because a workload was deployed. It can do nothing until somebody completes it, hands it in, and it is approved.\nLook: tenure identity show {}\nThen: tenure identity submit {}",
        identity.id, identity.id, identity.id
    );
    changeset.event(effects::tell_source_owner(
        said,
        event,
        identity.charter.owner,
        "A deployment made a draft",
        &text,
    ));
    changeset.once.push(Once { space: "identity_name", key: identity.name.clone(), until: None });
    if let Some((binding, once)) = binding {
        changeset.insert(&binding);
        changeset.once.push(once);
    }
    changeset.insert(&identity);
    Ok(identity)
}

/// A workload, a pipeline or a repository was changed: what its bindings fix is held against what is told. What
/// contradicts it is cut and held; else nothing is issued but on a proof that is newer than the signal (R77, R86).
pub(crate) async fn workload_moves(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let Some(ending) = blast::ending(kernel, &said.word().subject, &said.source.environments).await? else {
        return Ok(Turn::ignored("nothing by that name is known here"));
    };
    let mut outcome = said.signal.outcome.clone();
    let found = blast::concerned_by(kernel, &ending, outcome.cursor.as_deref(), AT_ONCE).await?;
    let next = found.next();
    let rows = found.readable();
    let mut broken = Vec::new();
    for stored in rows.iter().filter(|row| has_not_ended(row.state)) {
        let bindings = live_bindings(kernel, stored).await?;
        let breaks = breaks(kernel, &bindings, said).await?;
        for binding in &bindings {
            let rechecked =
                Binding { recheck: Some(Recheck { since: now, because: said.signal.id }), ..(*binding.value).clone() };
            changeset.replace(binding, &rechecked);
        }
        let event = kernel
            .event(now, EventKind::WorkloadMover)
            .subject(stored.id)
            .subject(said.signal.id)
            .fact("workflow", MOVER)
            .fact("signal", said.word().kind)
            .fact("broken", &breaks)
            .fact("bindings", bindings.len());
        changeset.event(event);
        outcome.identities.push(stored.id);
        if !breaks.is_empty() && can_be_held(stored.state) {
            broken.push((stored, breaks));
        }
    }
    if outcome.identities.is_empty() && next.is_none() {
        return Ok(Turn::ignored("no identity here lives by it"));
    }
    outcome.what = "its identities come with a newer proof, or get nothing".into();
    let many = u32::try_from(broken.len()).unwrap_or(u32::MAX);
    if effects::spend_blast(kernel, changeset, said, many, now).await? {
        for (stored, breaks) in broken {
            hold_broken(kernel, changeset, stored, said, &breaks, now).await?;
            outcome.what = "what no longer matches is held; the others come with a newer proof, or get nothing".into();
        }
    } else {
        let text = format!(
            "{}: {many} identities no longer match what is told of their workload, and {} has held as much in this hour as it may. They get nothing new without a matching proof, and were not held.\nLook: tenure signal show {}\nHold them: tenure removal raise",
            said.signal.id, said.source.id, said.signal.id
        );
        if let Some(event) = changeset.events.first_mut() {
            *event = notify(
                event.clone().fact("alert", true),
                &[],
                &[Role::Security],
                "Changed workloads wait for you",
                &text,
            );
        }
        outcome.what = "over the source's blast cap: nothing was held, and newer proofs are demanded".into();
    }
    Ok(Turn::go_on(outcome, next))
}

async fn live_bindings(kernel: &Kernel, identity: &Identity) -> Result<Vec<Stored<Binding>>, OpError> {
    let mut bindings = Vec::new();
    for id in &identity.bindings {
        bindings.extend(kernel.one::<Binding>(id).await?.filter(|binding| binding.state != BindingState::Removed));
    }
    Ok(bindings)
}

/// The claims that these bindings fix and that the signal contradicts.
async fn breaks(kernel: &Kernel, bindings: &[Stored<Binding>], said: &Said) -> Result<Vec<String>, OpError> {
    let mut breaks = Vec::new();
    for binding in bindings {
        let issuer = match &binding.matches {
            BindingMatch::Oidc { issuer, .. } => kernel.one::<Issuer>(issuer).await?,
            BindingMatch::PublicKey { .. } | BindingMatch::Certificate { .. } => None,
        };
        let (preset, fixed) =
            issuer.map_or((Preset::Oidc, BTreeMap::new()), |issuer| (issuer.preset, issuer.fixed_claims.clone()));
        breaks.extend(binding_breaks(preset, &binding.matches, &fixed, &said.word().facts));
    }
    breaks.sort_unstable();
    breaks.dedup();
    Ok(breaks)
}

async fn hold_broken(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    said: &Said,
    breaks: &[String],
    now: Timestamp,
) -> Result<(), OpError> {
    let reason = format!("what is told of its workload contradicts its binding: {}", breaks.join(", "));
    let by = ByRule {
        kind: SuspensionKind::BindingBroken,
        releasable_by: Releaser::Security,
        reason: &reason,
        rule: &rules::BINDING_BROKEN,
        detail: "",
        evidence: evidence(said, breaks),
        alert: true,
    };
    let cut_by_rule = stored.charter.auto_revocation.contains(&RevocationTrigger::Suspension);
    let Some(identity) = dormancy::suspended_by_rule(kernel, changeset, (*stored.value).clone(), by, now).await? else {
        return Ok(());
    };
    if !cut_by_rule {
        revocation::cut_with_receipt(kernel, changeset, Scope::Identity(stored.id), &reason, now).await?;
    }
    changeset.replace(stored, &identity);
    Ok(())
}

/// A run has ended, whatever came of it: what its identities hold is cut, and those whose charters say so retire (R16,
/// R68).
pub(crate) async fn task_ends(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let Some(ending) = blast::ending(kernel, &said.word().subject, &said.source.environments).await? else {
        return Ok(Turn::ignored("nothing by that name is known here"));
    };
    let mut outcome = said.signal.outcome.clone();
    let found = blast::concerned_by(kernel, &ending, outcome.cursor.as_deref(), AT_ONCE).await?;
    let next = found.next();
    let rows = found.readable();
    let mut of_the_run = Vec::new();
    for stored in rows.iter().filter(|row| can_be_held(row.state)) {
        // Another run's identity fixes what this run doesn't have.
        if breaks(kernel, &live_bindings(kernel, stored).await?, said).await?.is_empty() {
            of_the_run.push(stored);
        }
    }
    if of_the_run.is_empty() && next.is_none() && outcome.identities.is_empty() {
        return Ok(Turn::ignored("no identity here lives by it"));
    }
    let retiring = of_the_run.iter().filter(|row| ends_with_task(row)).count();
    if !effects::spend_blast(kernel, changeset, said, u32::try_from(retiring).unwrap_or(u32::MAX), now).await? {
        return effects::begin_removal(kernel, changeset, said, now).await;
    }
    for stored in of_the_run {
        let event = kernel
            .event(now, EventKind::IdentityTaskCompleted)
            .subject(stored.id)
            .subject(said.signal.id)
            .fact("outcome", said.word().kind);
        changeset.event(event);
        if ends_with_task(stored) {
            lifecycle::retire_in(kernel, changeset, stored, "task_completed", &said.reason(), now).await?;
        } else {
            revocation::cut_with_receipt(kernel, changeset, Scope::Identity(stored.id), "the workload ended", now)
                .await?;
        }
        outcome.identities.push(stored.id);
    }
    outcome.what = "what its identities held is revoked; those that end with their task retire".into();
    Ok(Turn::go_on(outcome, next))
}

fn ends_with_task(identity: &Identity) -> bool {
    identity.complete_charter().is_ok_and(|charter| charter.ends_with_task())
}

/// The claims of an issuer's tokens that a signal tells and that a binding may fix: the ids that stay, and what narrows
/// them.
fn claims_of(issuer: &Issuer, facts: &serde_json::Map<String, Json>) -> BTreeMap<String, Json> {
    let preset: Preset = issuer.preset;
    let of_repository = preset.repository_claims().iter().copied();
    let wanted = [preset.workload_claim()]
        .into_iter()
        .chain(preset.narrowing_claims().iter().copied())
        .chain(of_repository)
        .chain(issuer.required_claims.iter().map(String::as_str));
    let told = wanted.filter_map(|name| {
        // Platforms write the same id as a number in a webhook and as a text in a token.
        let value = match facts.get(name)? {
            Json::Number(number) => Json::String(number.to_string()),
            other => other.clone(),
        };
        Some((name.to_owned(), value))
    });
    told.filter(|(_, value)| matches!(value, Json::String(text) if !text.is_empty())).collect()
}

/// An identity's name made of a workload's: what names may not have becomes `-`, and the end stays, as that tells
/// workloads apart.
fn name_of(workload: &str, end: &str) -> String {
    const ROOM: usize = 56;
    let mut name = String::new();
    for letter in workload.to_lowercase().chars() {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' };
        if letter != '-' || !name.ends_with('-') {
            name.push(letter);
        }
    }
    let kept = name.len().saturating_sub(ROOM);
    let mut name = name.get(kept..).unwrap_or_default().trim_matches('-').to_owned();
    if name.is_empty() {
        name.push_str("workload");
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, "w-");
    }
    if !end.is_empty() {
        name.push('-');
        name.push_str(&end.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workloads_name_becomes_an_identitys() {
        assert_eq!(name_of("prod/deployment/billing_exporter", ""), "prod-deployment-billing-exporter");
        assert_eq!(name_of("9/Über--x", "AB12"), "w-9-ber-x-ab12");
        for workload in ["a", "9", "x/y", &"long/".repeat(40), "ÄÖ", "deployment/ends-with-"] {
            for end in ["", "8f3k"] {
                let name = name_of(workload, end);
                assert!(parse_name("name", &name).is_ok(), "{workload} {name}");
            }
        }
    }
}
