//! Who administers the deployment, as a row with a MAC says it: somebody acts alone only while that row names nobody
//! else (S-10).
//!
//! A list can't say so. Its index is under no MAC, so that whoever reaches the database could make the second
//! administrator vanish from it, and the first go on alone. A row that isn't there lets nobody act alone either: set-up
//! writes it, and a server that finds a database of an earlier release without it writes it at its start. From its
//! first writing on it has a floor, so that it can be neither put back nor taken away on its own (S-2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::PersonId;
use tenure_core::people::person::{Person, Role};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, RowKey, RowKind, Stored};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::system;

/// Administrators that are named: more than anybody has, and few enough for a row.
const NAMED: usize = 256;

/// The people who hold the role of administrator, be they suspended or gone: otherwise the first could get rid of the
/// second and go on alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Administrators {
    /// Them.
    pub people: BTreeSet<PersonId>,
    /// Whether there were ever more than are named: then nobody is alone any more.
    pub more: bool,
}

impl Administrators {
    /// Those of a deployment that one person has just set up.
    pub(crate) fn only(person: PersonId) -> Self {
        Self { people: BTreeSet::from([person]), more: false }
    }

    pub(crate) fn row_key() -> RowKey {
        RowKey::new(RowKind::Deployment, "administrators")
    }

    /// Whether there is no second one.
    fn is_alone(&self) -> bool {
        self.people.len() < 2 && !self.more
    }

    fn note(&mut self, person: PersonId, administers: bool) {
        if !administers {
            self.people.remove(&person);
        } else if self.people.len() < NAMED || self.people.contains(&person) {
            self.people.insert(person);
        } else {
            self.more = true;
        }
    }
}

impl Record for Administrators {
    const KIND: RowKind = RowKind::Deployment;
    fn row_id(&self) -> String {
        "administrators".into()
    }
}

async fn read(kernel: &Kernel) -> Result<Option<Stored<Administrators>>, OpError> {
    Ok(kernel.store.load(&[Administrators::row_key()]).await?.get::<Administrators>(0)?)
}

/// Whether there is no second administrator (S-10). Where nothing says so, there may be one. What is stuck then is for
/// whoever holds the root key (`tenure recover`).
///
/// # Errors
/// The row was altered, or can't be read.
pub(crate) async fn is_alone(kernel: &Kernel) -> Result<bool, OpError> {
    Ok(read(kernel).await?.is_some_and(|row| row.is_alone()))
}

/// Notes who gets the role or loses it by a changeset, in that changeset.
///
/// # Errors
/// The row was altered, or can't be read.
pub(crate) async fn note(kernel: &Kernel, changeset: &mut Changeset) -> Result<(), OpError> {
    if !changeset.puts.iter().any(|put| put.key.kind == RowKind::Person) {
        return Ok(());
    }
    let stored = match read(kernel).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(()),
        // Whoever altered it doesn't keep anybody from taking authority away.
        Err(_) if changeset.is_essential() => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut known = (*stored.value).clone();
    let administers = Person::ROLE.of(Role::Administrator).to_string();
    for put in changeset.puts.iter().filter(|put| put.key.kind == RowKind::Person) {
        if let Ok(person) = put.key.id.parse() {
            known.note(person, put.terms.contains(&administers));
        }
    }
    if known != *stored.value {
        changeset.replace(&stored, &known);
    }
    Ok(())
}

/// Says who administers a deployment that an earlier release set up.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn state(kernel: &Kernel) -> Result<(), OpError> {
    let unsaid = crate::kernel::deployment::deployment(kernel).await?.is_some() && read(kernel).await?.is_none();
    if !unsaid {
        return Ok(());
    }
    let (known, rests_on) = listed(kernel).await?;
    let now = kernel.now();
    let event = kernel
        .event(now, EventKind::DeploymentAdministratorsStated)
        .fact("administrators", &known.people)
        .fact("more", known.more);
    let mut changeset = Changeset::new(system(), now, event);
    for person in &rests_on {
        changeset.expect(person);
    }
    changeset.insert(&known);
    // Another replica that said so first said the same.
    kernel.settle(changeset).await?;
    Ok(())
}

/// Who holds the role by the list of people, and the records that say so.
async fn listed(kernel: &Kernel) -> Result<(Administrators, Vec<Stored<Person>>), OpError> {
    let mut known = Administrators { people: BTreeSet::new(), more: false };
    let mut rests_on = Vec::new();
    let mut pages = kernel.pages(Query::of([Person::ROLE.of(Role::Administrator)]));
    while let Some(found) = pages.next().await? {
        let (rows, unreadable) = found.apart();
        for row in rows {
            known.note(row.id, true);
            rests_on.push(row);
        }
        // Somebody whose record can't be read leaves nobody alone.
        for person in unreadable.iter().filter_map(|unreadable| unreadable.bad.key.id.parse().ok()) {
            known.note(person, true);
        }
    }
    Ok((known, rests_on))
}

#[cfg(test)]
mod tests {
    use tenure_core::store::changeset::Put;
    use tenure_core::store::floor::Floor;
    use tenure_core::store::port::{Outcome, Store};

    use super::*;
    use crate::log::seal::tests::world;

    #[tokio::test]
    async fn s10_who_is_alone_is_said_by_a_row_and_not_by_a_list() {
        let world = world().await;
        let engine = &world.engine;
        assert!(is_alone(engine).await.unwrap());
        let second = world.person(Role::Administrator).await.person_id().unwrap();
        assert!(!is_alone(engine).await.unwrap());
        // Whoever gets at the database makes the second vanish from the list.
        let stored = engine.must::<Person>("person", second).await.unwrap();
        let mut hidden = Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
        hidden.replace(&stored, &*stored.value);
        for put in &mut hidden.puts {
            put.terms.clear();
        }
        assert!(matches!(world.store.commit(hidden).await, Outcome::Committed(_)));
        let listed = engine.find(Query::of([Person::ROLE.of(Role::Administrator)])).await.unwrap().readable();
        assert_eq!(listed.len(), 1);
        assert!(!is_alone(engine).await.unwrap());
    }

    #[tokio::test]
    async fn s10_an_administrator_who_cannot_be_read_is_one_still() {
        let world = world().await;
        let engine = &world.engine;
        let second = world.person(Role::Administrator).await.person_id().unwrap();
        world.spoil::<Person>(second).await;
        // As an earlier release left it.
        let (known, rests_on) = listed(engine).await.unwrap();
        assert_eq!((known.is_alone(), known.people.contains(&second), rests_on.len()), (false, true, 1));
    }

    #[tokio::test]
    async fn s10_a_role_that_is_taken_back_leaves_one_administrator() {
        let world = world().await;
        let engine = &world.engine;
        let second = world.person(Role::Administrator).await.person_id().unwrap();
        let stored = engine.must::<Person>("person", second).await.unwrap();
        let mut changeset =
            Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
        let plain = Person { roles: vec![], ..(*stored.value).clone() };
        changeset.replace(&stored, &plain);
        engine.settle(changeset).await.unwrap().unwrap();
        assert!(is_alone(engine).await.unwrap());
    }

    #[test]
    fn s10_its_first_writing_has_a_floor_already() {
        let put = |key: RowKey| Put { key, replaces: 0, body: vec![], terms: vec![], droppable_after: None };
        for key in [
            Administrators::row_key(),
            crate::kernel::freshness::SignInSetUp::row_key(),
            tenure_core::policy::set::InForce::row_key(),
        ] {
            assert!(Floor::guards_absence(&put(key).key));
        }
        assert!(!Floor::guards_absence(&RowKey::new(RowKind::Deployment, "this")));
    }
}
