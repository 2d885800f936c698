//! Who holds an agent's binding: a second holder at the same time is a finding (R59, NHI9:2025), and policy may block
//! it. And a binding whose workload was changed is verified by the first proof that is newer (R86).
//!
//! Where a platform says in which cluster or region its workload runs, two of them at the same time are one identity shared
//! (R89).
//!
//! Replicas of a service may share a key until each has its own; two agents may not. So only agents' holders are kept,
//! and nobody else's issuance writes more than it did.

use serde_json::{Map, Value as Json, json};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::finding::rules;
use tenure_core::identity::binding::{Binding, Instance, MAX_INSTANCES};
use tenure_core::identity::place::{self, MAX_PLACE, PlaceKind};
use tenure_core::identity::{Identity, Kind};
use tenure_core::policy::{Question, Value};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::confirmation::Confirmation;
use tenure_core::trust::issuer::Issuer;

use crate::credentials::liveness;
use crate::credentials::misuse::{self, Apart};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;

/// What tells one holder from another: the key that its credentials are bound to, or else where it calls from.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn of(confirmation: Option<&Confirmation>, source: &str) -> Self {
        Self(confirmation.map_or_else(|| format!("addr:{source}"), Instance::mark_of))
    }
}

/// What begins the mark of a place.
const AT: &str = "at:";

/// Where a token says that its workload runs, as a binding remembers it: its cluster, or else its region. Pipelines run one
/// after the other.
pub(crate) fn place_of(issuer: &Issuer, claims: &Map<String, Json>) -> Option<String> {
    [PlaceKind::Cluster, PlaceKind::Region].into_iter().find_map(|kind| {
        let told = place::told(issuer.preset, &issuer.url, claims, kind)?;
        let told = told.get(..told.floor_char_boundary(MAX_PLACE))?;
        Some(format!("{AT}{} {told}", kind.as_str()))
    })
}

fn holders(binding: &Binding) -> impl Iterator<Item = &Instance> {
    binding.instances.iter().filter(|instance| !instance.mark.starts_with(AT))
}

/// One identity that is attested in another place while it may be running in the first one yet is shared, whatever its
/// charter says: a finding (R89). Places that its charter or an exception names were approved.
pub(crate) async fn note_places(
    kernel: &Kernel,
    identity: &Identity,
    binding: &Binding,
    place: Option<&str>,
    now: Timestamp,
) {
    let Some(place) = place.filter(|_| identity.charter.places.is_empty()) else { return };
    let sort = place.split(' ').next().unwrap_or(AT);
    let elsewhere =
        |instance: &&Instance| instance.mark.starts_with(sort) && instance.mark != place && now < instance.until;
    let Some(other) = binding.instances.iter().find(elsewhere) else { return };
    let told = |mark: &str| mark.strip_prefix(AT).unwrap_or(mark).to_owned();
    let evidence = json!({"binding": binding.id, "attested_in": told(place), "and_in": told(&other.mark)});
    let about = Apart {
        rule: &rules::TWO_PLACES,
        seen: EventKind::BindingSecondInstance,
        title: "One identity is attested from two places",
        what: "Its platform vouched for it in another cluster or region while a credential of the first one may be alive.",
    };
    misuse::note_apart(kernel, about, identity.id, &binding.id.to_string(), evidence).await;
}

/// Whether another holder of an agent's binding than this one has a credential that is alive.
pub(crate) async fn is_second(
    kernel: &Kernel,
    identity: &Identity,
    binding: &Stored<Binding>,
    mark: &Mark,
    now: Timestamp,
) -> Result<bool, OpError> {
    let others = || holders(binding).filter(|instance| instance.mark != mark.0 && now < instance.until);
    if identity.kind != Kind::Agent || others().next().is_none() {
        return Ok(false);
    }
    // What the other one held may have been revoked or given back since: then it is gone, and this one takes its place.
    let found = kernel.find(Query::of([Credential::IDENTITY.of(identity.id)])).await?;
    let more = found.next().is_some();
    // What can't be read may be theirs.
    let credentials = found.whole()?;
    let may_be_theirs = |credential: &Credential| {
        let at_hand = credential.binding == Some(binding.id) && now < credential.expires_at;
        at_hand && others().any(|other| other.may_hold(credential.confirmation.as_ref()))
    };
    for credential in credentials.iter().filter(|credential| may_be_theirs(credential)) {
        if liveness::held(kernel, credential.id, now).await?.is_some_and(|held| held.status.is_ok()) {
            return Ok(true);
        }
    }
    Ok(more)
}

/// Whether this would be permitted to the only holder.
pub(crate) fn is_for_one(kernel: &Kernel, mut question: Question) -> bool {
    question.context.insert("second_instance", Value::Bool(false));
    kernel.policy.decide(&question).allowed()
}

/// A second holder is a finding, whether it is let in or not.
pub(crate) async fn note_second(kernel: &Kernel, identity: &Identity, binding: &Binding, mark: &Mark, let_in: bool) {
    let holders: Vec<&str> = holders(binding).map(|instance| instance.mark.as_str()).collect();
    let evidence = json!({"binding": binding.id, "holders": holders, "presented_by": mark.0, "let_in": let_in});
    let about = Apart {
        rule: &rules::KEY_SHARED,
        seen: EventKind::BindingSecondInstance,
        title: "A second instance presented an agent's key",
        what: "Another instance presented its key while a credential of the first one was alive.",
    };
    misuse::note_apart(kernel, about, identity.id, &binding.id.to_string(), evidence).await;
}

/// Demands that the binding is as it was read; notes who presented it, and that it is verified anew where that was
/// wanted.
#[expect(clippy::too_many_arguments, reason = "what an issuance knows of its holder")]
pub(crate) fn note_instance(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    binding: &Stored<Binding>,
    (mark, place): (&Mark, Option<&str>),
    until: Timestamp,
    second: bool,
    now: Timestamp,
) {
    if identity.kind != Kind::Agent && binding.recheck.is_none() && place.is_none() {
        changeset.expect(binding);
        return;
    }
    let mut seen = (*binding.value).clone();
    if let Some(recheck) = seen.recheck.take() {
        let verified = kernel
            .event(now, EventKind::BindingVerified)
            .subject(identity.id)
            .subject(binding.id)
            .fact("signal", recheck.because)
            .fact("since", recheck.since);
        changeset.event(verified);
    }
    if identity.kind == Kind::Agent {
        remember(&mut seen.instances, &mark.0, until, now);
    }
    if let Some(place) = place {
        remember(&mut seen.instances, place, until, now);
    }
    if second && let Some(issued) = changeset.events.first_mut() {
        *issued = issued.clone().fact("second_instance", true);
    }
    if seen == *binding.value {
        changeset.expect(binding);
    } else {
        changeset.replace(binding, &seen);
    }
}

/// Notes a holder. It is noted for twice as long as it needs, so that the row is not written for each of its
/// credentials; whether one of them is alive is looked up when somebody else comes.
fn remember(instances: &mut Vec<Instance>, mark: &str, until: Timestamp, now: Timestamp) {
    if instances.iter().any(|instance| instance.mark == mark && instance.until >= until) {
        return;
    }
    instances.retain(|instance| instance.mark != mark && now < instance.until);
    if instances.len() >= MAX_INSTANCES {
        instances.remove(0);
    }
    instances.push(Instance { mark: mark.to_owned(), until: until.plus(until.since(now)) });
}

#[cfg(test)]
mod tests {
    use tenure_core::base::time::Span;

    use super::*;

    #[test]
    fn a_holder_is_written_seldom_and_the_list_is_bounded() {
        let at = |secs: i64| Timestamp::from_secs(secs);
        let mark = |n: usize| format!("jkt:{n}");
        let mut instances = Vec::new();
        let mut writes = 0;
        for second in 0..600 {
            let before = instances.clone();
            remember(&mut instances, &mark(0), at(second).plus(Span::from_secs(60)), at(second));
            writes += usize::from(before != instances);
            assert!(instances.first().unwrap().until >= at(second + 60));
        }
        assert!(writes <= 10, "{writes}");
        for n in 1..40 {
            remember(&mut instances, &mark(n), at(700), at(600));
            assert!(instances.len() <= MAX_INSTANCES);
        }
        assert_eq!(instances.last().unwrap().mark, "jkt:39");
        // Who is long gone is forgotten.
        remember(&mut instances, &mark(1), at(5_000), at(4_900));
        assert_eq!(instances.len(), 1);
    }
}
