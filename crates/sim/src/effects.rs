//! What a signal and a removal may do, read from what they write (S-12). Nothing here asks the engine.

use std::collections::BTreeSet;

use tenure_core::base::id::IdentityId;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::{Person, Role};
use tenure_core::signal::removal::{Because, Removal, RemovalState};
use tenure_core::signal::{Effect, Heard, Signal, SignalState};
use tenure_core::store::changeset::{Changeset, Put};
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, RowKey, RowKind};
use tenure_store::Dump;

use crate::model::{Broken, record};

/// Identities that one commit of a removal holds.
const AT_ONCE: u32 = 100;

/// A commit against what was there before.
///
/// # Errors
/// The rule that it breaks.
pub fn check(changeset: &Changeset, before: &Dump) -> Result<(), Broken> {
    let by_signal = matches!(changeset.actor, Actor::Source { .. })
        || changeset.events.iter().any(|event| event.kind() == EventKind::SignalWorkedOff);
    for put in &changeset.puts {
        match put.key.kind {
            RowKind::Identity => {
                let (old, new) = sides::<Identity>(put, before)?;
                if by_signal {
                    signalled(old.as_ref(), &new)?;
                }
                retired(changeset, before, old.as_ref(), &new)?;
            }
            RowKind::Credential | RowKind::Grant | RowKind::Exception if by_signal && put.replaces == 0 => {
                return Err(("s12", format!("a signal made {}", put.key)));
            }
            RowKind::Signal => in_order(changeset, put, before)?,
            RowKind::Removal => removed(changeset, put, before)?,
            _ => {}
        }
    }
    Ok(())
}

fn sides<T: Record + Clone>(put: &Put, before: &Dump) -> Result<(Option<T>, T), Broken> {
    match serde_json::from_slice(&put.body) {
        Ok(new) => Ok((record(before, &put.key), new)),
        Err(error) => Err(("inv3", format!("{} can't be read: {error}", put.key))),
    }
}

/// A signal takes away or has a draft made: it activates, resumes and renews nothing, and changes no owner.
fn signalled(old: Option<&Identity>, new: &Identity) -> Result<(), Broken> {
    let broken = |what: &str| Err(("s12", format!("a signal {what} {}", new.id)));
    let Some(old) = old else {
        return if new.state == IdentityState::Draft { Ok(()) } else { broken("made more than a draft of") };
    };
    if new.state == IdentityState::Active && old.state != IdentityState::Active {
        return broken("activated");
    }
    if old.suspensions.iter().any(|cause| !new.suspensions.contains(cause)) && new.state != IdentityState::Retiring {
        return broken("lifted a suspension of");
    }
    if new.charter.expires_at > old.charter.expires_at {
        return broken("renewed");
    }
    if new.charter.owner != old.charter.owner {
        return broken("changed the owner of");
    }
    Ok(())
}

/// A joiner or a mover that is older than what was heard since does nothing.
fn in_order(changeset: &Changeset, put: &Put, before: &Dump) -> Result<(), Broken> {
    let (old, new) = sides::<Signal>(put, before)?;
    let adds = matches!(new.word.kind.effect(), Effect::Joiner | Effect::Mover);
    let begins = old.is_some_and(|old| old.outcome.cursor.is_none());
    if !adds || !begins || new.state != SignalState::Done {
        return Ok(());
    }
    let at = new.word.occurred_at.unwrap_or(new.received_at).min(new.received_at);
    let key = RowKey::new(RowKind::Heard, Heard::id(new.source, &new.word.subject));
    let newer = record::<Heard>(before, &key).is_some_and(|heard| heard.at > at);
    let does = changeset.puts.iter().any(|put| put.key.kind == RowKind::Identity);
    if newer && does {
        return Err(("s12", format!("{} of {at} did something after something newer was heard", new.id)));
    }
    Ok(())
}

/// A removal goes its way, retires nothing before its hold is over, and holds exactly what it said.
fn removed(changeset: &Changeset, put: &Put, before: &Dump) -> Result<(), Broken> {
    let (old, new) = sides::<Removal>(put, before)?;
    let was = old.as_ref().map(|old| old.state.get());
    let goes = old.as_ref().is_none_or(|old| old.state == new.state || old.state.may_become(new.state.get()));
    if !goes {
        return Err(("s12", format!("{} became {} from {was:?}", new.id, new.state.as_str())));
    }
    if new.state == RemovalState::Retiring && was == Some(RemovalState::Held) {
        let until = old.and_then(|old| old.retire_at);
        return match until {
            Some(until) if until <= changeset.at => Ok(()),
            _ => Err(("s12", format!("{} retires at {}, and holds until {until:?}", new.id, changeset.at))),
        };
    }
    let begins = new.state == RemovalState::Held && was != Some(RemovalState::Held);
    if begins && was == Some(RemovalState::Waiting) {
        confirmed(changeset, before, &new)?;
    }
    if !begins || new.scope.is_some() || new.blast.count > AT_ONCE {
        return Ok(());
    }
    let can_be_held = |id: &&IdentityId| {
        let row = record::<Identity>(before, &RowKey::new(RowKind::Identity, **id));
        row.is_some_and(|row| matches!(row.state, IdentityState::Active | IdentityState::Suspended))
    };
    let said: BTreeSet<IdentityId> = new.blast.identities.iter().filter(can_be_held).copied().collect();
    let identities = changeset.puts.iter().filter(|put| put.key.kind == RowKind::Identity);
    let held: BTreeSet<IdentityId> = identities.filter_map(|put| put.key.id.parse().ok()).collect();
    if said != held {
        return Err(("s12", format!("{} said that it holds {said:?}, and holds {held:?}", new.id)));
    }
    Ok(())
}

/// What waits is held because somebody of security said so, or because its owner or an administrator raised the same by
/// hand; never by itself.
fn confirmed(changeset: &Changeset, before: &Dump, new: &Removal) -> Result<(), Broken> {
    if let Actor::Person { id, .. } = changeset.actor
        && let Some(person) = record::<Person>(before, &RowKey::new(RowKind::Person, id))
    {
        let confirmed = new.confirmed_by == Some(id) && person.holds(Role::Security);
        let may_raise = new.owner == Some(id) || person.holds(Role::Security) || person.holds(Role::Administrator);
        if confirmed || new.because == Because::Person(id) && may_raise {
            return Ok(());
        }
    }
    Err(("s12", format!("{} waited, and {:?} had it held", new.id, changeset.actor)))
}

/// What a removal retires, it held until then, and nobody had let it go.
fn retired(changeset: &Changeset, before: &Dump, old: Option<&Identity>, new: &Identity) -> Result<(), Broken> {
    let begins = new.state == IdentityState::Retiring && old.is_some_and(|old| old.state != IdentityState::Retiring);
    let Some(put) = changeset.puts.iter().find(|put| begins && put.key.kind == RowKind::Removal) else {
        return Ok(());
    };
    let removal = record::<Removal>(before, &put.key);
    let due = removal.as_ref().is_some_and(|removal| {
        let over = removal.retire_at.is_some_and(|at| at <= changeset.at);
        over && matches!(removal.state.get(), RemovalState::Held | RemovalState::Retiring)
    });
    if due {
        return Ok(());
    }
    Err(("s12", format!("{} retires by {}, which is {:?}", new.id, put.key, removal.map(|removal| removal.state))))
}
