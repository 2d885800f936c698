//! Teams whose members change.

use tenure_core::base::id::TeamId;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::row::Stored;

use crate::people::dates;

/// What stands after a team's id in the subject of the deadline by which a removal group has somebody again.
pub(crate) const EMPTY: &str = "/removals";

/// Writes somebody who joins, with their dates.
pub(crate) fn join(changeset: &mut Changeset, person: &Person) {
    changeset.insert(person);
    let now = changeset.at;
    look_at_groups(changeset, person.teams.iter().copied(), now);
    if let Some(at) = dates::next(person) {
        changeset.due.push(DueChange::Set(DueKind::Person, person.id.to_string(), at));
    }
}

/// Writes somebody who moves, with their dates. Their roles, and what they answer for, stay as they are.
pub(crate) fn move_to(changeset: &mut Changeset, stored: &Stored<Person>, person: &Person) {
    changeset.replace(stored, person);
    let now = changeset.at;
    look_at_groups(changeset, moved_between(stored, person), now);
    let subject = person.id.to_string();
    changeset.due.push(match dates::next(person) {
        Some(at) => DueChange::Set(DueKind::Person, subject, at),
        None => DueChange::Clear(DueKind::Person, subject),
    });
}

pub(crate) fn group_due(team: TeamId) -> String {
    format!("{team}{EMPTY}")
}

/// Has the teams looked at that somebody joins or leaves, and those that answer for something no longer.
pub(crate) fn look_at_groups(changeset: &mut Changeset, teams: impl IntoIterator<Item = TeamId>, now: Timestamp) {
    for team in teams {
        let due = DueChange::Set(DueKind::Leaver, group_due(team), now);
        if !changeset.due.contains(&due) {
            changeset.due.push(due);
        }
    }
}

/// The teams in which somebody is now or was, and not both.
pub(crate) fn moved_between(from: &Person, to: &Person) -> Vec<TeamId> {
    let left = from.teams.iter().filter(|team| !to.teams.contains(team));
    let joined = to.teams.iter().filter(|team| !from.teams.contains(team));
    left.chain(joined).copied().collect()
}
