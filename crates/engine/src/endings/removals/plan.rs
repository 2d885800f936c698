//! Removals, decided purely: whom the end of something concerns, what a plan's digest says, and which step comes next.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::deferral::{DeferredRemoval, RemovalTrigger};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState, SuspensionCause, SuspensionKind};
use tenure_core::signal::removal::{Removal, RemovalState};
use tenure_core::signal::{Effect, SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::term::Term;

/// What a subject stands for here, and how the identities that live by it are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The subject, by the name that it has here.
    pub subject: SignalSubject,
    /// The scope that is cut and held as one, if the subject is one.
    pub scope: Option<Scope>,
    /// The environments whose identities are meant; empty: every environment's.
    pub environments: Vec<String>,
    /// Who answers for it.
    pub owner: Option<PersonId>,
    /// The identity, if the subject is one.
    pub identity: Option<IdentityId>,
    /// Terms of lists: whatever has one of them may be concerned.
    pub terms: Vec<Term<Identity>>,
    /// Whether it is over already.
    pub closed: bool,
}

impl Ending {
    /// Whether an identity that was found by the terms is concerned.
    pub fn concerns(&self, identity: &Identity) -> bool {
        let lists = |name: &String| name.to_lowercase() == self.subject.id.to_lowercase();
        let named = self.subject.kind != SubjectKind::Repository || identity.charter.repositories.iter().any(lists);
        named && self.meant(identity)
    }

    /// Whether an identity is of an environment that is meant.
    pub fn meant(&self, identity: &Identity) -> bool {
        is_of(&self.environments, identity)
    }
}

/// Whether an identity is of one of these environments; of any, if none is named.
pub fn is_of(environments: &[String], identity: &Identity) -> bool {
    environments.is_empty() || identity.charter.environment.as_ref().is_some_and(|name| environments.contains(name))
}

/// Whether an identity can still be taken anything from.
pub const fn has_not_ended(state: IdentityState) -> bool {
    matches!(state, IdentityState::Draft | IdentityState::Pending | IdentityState::Active | IdentityState::Suspended)
}

/// Whether an identity works, or would once its causes are released: what is cut and held.
pub const fn can_be_held(state: IdentityState) -> bool {
    matches!(state, IdentityState::Active | IdentityState::Suspended)
}

/// The hash over what a removal does to whom: the same for a dry run and its effect.
pub fn digest(
    kind: SignalKind,
    subject: &SignalSubject,
    identities: &BTreeMap<String, IdentityState>,
    deferred: &[IdentityId],
) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("tenure removal v1\n{}\n{}\n{}\n", kind.as_str(), subject.kind.as_str(), subject.id.len()));
    hash.update(&subject.id);
    for (id, state) in identities {
        hash.update(format!("\n{id} {}", state.as_str()));
    }
    for id in deferred {
        hash.update(format!("\n{id} waits"));
    }
    format!("sha256:{}", hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Whether a removal of this kind cuts what was issued and ends in retirement; what another system only stopped is held
/// and nothing more.
pub fn ends_for_good(kind: SignalKind) -> bool {
    kind.effect() != Effect::Hold
}

/// What a removal demands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it waits for a person, or is over.
    Nothing,
    /// Nothing until then.
    Later(Timestamp),
    /// More identities are to be cut and held.
    HoldMore,
    /// Its hold is over: what ended is closed, and retirement begins.
    Retire,
    /// More identities are to retire.
    RetireMore,
    /// All have begun to retire: it is done once the last has.
    Watch,
    /// More identities are to be let go.
    LiftMore,
}

/// Decides.
pub fn step(removal: &Removal, now: Timestamp) -> Step {
    let unfinished = removal.cursor.is_some();
    match (removal.state.get(), removal.retire_at) {
        (RemovalState::Waiting | RemovalState::Done, _) => Step::Nothing,
        (RemovalState::Released, _) if unfinished => Step::LiftMore,
        (RemovalState::Released, _) => Step::Nothing,
        (RemovalState::Held, _) if unfinished => Step::HoldMore,
        (RemovalState::Held, None) => Step::Nothing,
        (RemovalState::Held, Some(at)) if at > now => Step::Later(at),
        (RemovalState::Held, Some(_)) => Step::Retire,
        (RemovalState::Retiring, _) if unfinished => Step::RetireMore,
        (RemovalState::Retiring, _) => Step::Watch,
    }
}

/// What becomes of one identity when the hold is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It begins to retire.
    Retire,
    /// It never began: it is given up.
    Close,
    /// Nothing: it has ended, or security let it go by itself.
    Spare,
}

/// Decides for one identity that is concerned.
pub fn end_of(removal: &Removal, ending: &Ending, identity: &Identity) -> End {
    // Where one of a scope waits, the others are held one by one; what came to it since ends with it all the same.
    let is_scope = removal.scope.is_some() || ending.scope.is_some();
    match identity.state {
        IdentityState::Draft | IdentityState::Pending => End::Close,
        state if !can_be_held(state) || waits(removal, identity) => End::Spare,
        _ if is_scope || is_held_by(removal, identity) => End::Retire,
        _ => End::Spare,
    }
}

/// Whether an identity's part in a removal waits for the end of an exception.
pub fn waits(removal: &Removal, identity: &Identity) -> bool {
    let need_ended = |deferred: &DeferredRemoval| {
        removal.subject.kind == SubjectKind::Need && deferred.trigger == RemovalTrigger::ServiceEnded
    };
    let waits = |deferred: &DeferredRemoval| deferred.is_of(removal.id) || need_ended(deferred);
    !removal.compromise && identity.deferred.iter().any(waits)
}

/// Whether an identity keeps as many causes by signals and removals as it may: more than it could live by anything that
/// ends.
pub fn is_full(identity: &Identity) -> bool {
    const KEPT: usize = 128;
    let signalled = |cause: &&SuspensionCause| cause.kind == SuspensionKind::Signalled;
    identity.suspensions.iter().filter(signalled).count() >= KEPT
}

/// Whether an identity is suspended for this removal. Beyond the causes that are kept, being suspended at all has to
/// do.
pub fn is_held_by(removal: &Removal, identity: &Identity) -> bool {
    let need = removal.subject.kind == SubjectKind::Need;
    let caused = cause_of(removal, identity).is_some();
    caused
        || is_full(identity)
        || (need && identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::NeedEnded))
}

/// The place of the cause that this removal placed.
pub fn cause_of(removal: &Removal, identity: &Identity) -> Option<usize> {
    let mark = removal.mark();
    identity.suspensions.iter().position(|cause| cause.reason.starts_with(&mark))
}

/// When a removal that retires is looked at again: soon at first, then less and less often.
pub fn watched_again(removal: &Removal, now: Timestamp) -> Timestamp {
    let since = removal.retire_at.map_or(Span::from_secs(0), |began| now.since(began));
    let wait = (since.as_micros() / 2).clamp(Span::from_secs(1).as_micros(), Span::from_mins(5).as_micros());
    now.plus(Span::from_micros(wait))
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{RemovalId, SignalId};
    use tenure_core::base::state::InState;
    use tenure_core::signal::removal::{Because, BlastRadius};

    use super::*;

    fn removal(state: RemovalState, retire_at: Option<Timestamp>, cursor: Option<&str>) -> Removal {
        let waiting = Removal {
            id: RemovalId::from_u128(5),
            kind: SignalKind::PipelineDeleted,
            subject: SignalSubject { kind: SubjectKind::Repository, id: "acme/payments".into() },
            scope: None,
            environments: Vec::new(),
            because: Because::Signal(SignalId::from_u128(1)),
            reason: "gone".into(),
            compromise: false,
            blast: BlastRadius::default(),
            digest: String::new(),
            state: InState::default(),
            created_at: Timestamp::from_secs(0),
            held_at: None,
            retire_at,
            confirmed_by: None,
            released: None,
            retired: 0,
            done_at: None,
            owner: None,
            receipts: Vec::new(),
            cursor: cursor.map(str::to_owned),
        };
        let then = Timestamp::from_secs(1);
        let steps = match state {
            RemovalState::Waiting => 0,
            RemovalState::Held => 1,
            RemovalState::Retiring => 2,
            RemovalState::Done => 3,
            RemovalState::Released => return waiting.release(PersonId::from_u128(1), "kept").unwrap(),
        };
        (0..steps).fold(waiting, |removal, step| {
            let next = match step {
                0 => removal.hold(then, retire_at),
                1 => removal.retire(),
                _ => removal.done(then),
            };
            next.unwrap()
        })
    }

    #[test]
    fn what_is_held_stays_held_until_its_time_and_nothing_waiting_moves_by_itself() {
        let at = Timestamp::from_secs(100);
        let before = Timestamp::from_secs(99);
        assert_eq!(step(&removal(RemovalState::Waiting, Some(at), None), at), Step::Nothing);
        assert_eq!(step(&removal(RemovalState::Held, Some(at), None), before), Step::Later(at));
        assert_eq!(step(&removal(RemovalState::Held, Some(at), None), at), Step::Retire);
        // Whoever is not held yet is held before anything retires.
        assert_eq!(step(&removal(RemovalState::Held, Some(at), Some("x")), at), Step::HoldMore);
        assert_eq!(step(&removal(RemovalState::Held, None, None), at), Step::Nothing);
        assert_eq!(step(&removal(RemovalState::Retiring, Some(at), Some("x")), at), Step::RetireMore);
        assert_eq!(step(&removal(RemovalState::Retiring, Some(at), None), at), Step::Watch);
        assert_eq!(step(&removal(RemovalState::Released, Some(at), Some("x")), at), Step::LiftMore);
        assert_eq!(step(&removal(RemovalState::Released, Some(at), None), at), Step::Nothing);
        assert_eq!(step(&removal(RemovalState::Done, Some(at), None), at), Step::Nothing);
    }

    #[test]
    fn the_digest_changes_with_whatever_would_be_done() {
        let subject = |id: &str| SignalSubject { kind: SubjectKind::Application, id: id.into() };
        let of = |pairs: &[(&str, IdentityState)]| {
            pairs.iter().map(|(id, state)| ((*id).to_owned(), *state)).collect::<BTreeMap<_, _>>()
        };
        let one = of(&[("idn_1", IdentityState::Active)]);
        let base = digest(SignalKind::ApplicationRetired, &subject("billing"), &one, &[]);
        assert_eq!(base, digest(SignalKind::ApplicationRetired, &subject("billing"), &one, &[]));
        for other in [
            digest(SignalKind::WorkloadRemoved, &subject("billing"), &one, &[]),
            digest(SignalKind::ApplicationRetired, &subject("edge"), &one, &[]),
            digest(
                SignalKind::ApplicationRetired,
                &subject("billing"),
                &of(&[("idn_1", IdentityState::Suspended)]),
                &[],
            ),
            digest(SignalKind::ApplicationRetired, &subject("billing"), &one, &[IdentityId::from_u128(1)]),
            digest(
                SignalKind::ApplicationRetired,
                &subject("billing"),
                &of(&[("idn_1", IdentityState::Active), ("idn_2", IdentityState::Active)]),
                &[],
            ),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn only_what_stops_without_ending_is_held_without_retirement() {
        for kind in SignalKind::ALL {
            assert_eq!(ends_for_good(*kind), *kind != SignalKind::WorkloadDisabled);
        }
    }
}
