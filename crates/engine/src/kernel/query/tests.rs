use tenure_core::base::id::{IdentityId, TeamId};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::{PersonState, Role};
use tenure_core::people::team::Team;
use tenure_core::signal::removal::Removal;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Outcome, Store};

use super::*;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};

#[test]
fn d12_a_cursor_is_its_lists_and_its_filters() {
    let root = RootKey::from_text(&"01".repeat(32)).unwrap();
    let active = || Query::<Person>::of([Person::STATE.of(PersonState::Active)]);
    let people = Cursors::of(&root, &active());
    let cursor = people.seal("per_1");
    assert_eq!(people.open(&cursor).unwrap(), "per_1");
    let longer = format!("{cursor}A");
    for bad in ["", ".", "per_1", &cursor[1..], &cursor[..cursor.len() - 1], &longer, &"x".repeat(4_000)] {
        assert_eq!(people.open(bad).unwrap_err().code, "cursor_unknown", "{bad}");
    }
    let either = |terms: [PersonState; 2]| Query::<Person>::every().any(terms.map(|state| Person::STATE.of(state)));
    for other in [
        Cursors::of(&root, &Query::of([Transfer::STATE.of(TransferState::Offered)])),
        Cursors::of(&root, &Query::of([Person::STATE.of(PersonState::Departed)])),
        Cursors::of(&root, &either([PersonState::Active, PersonState::Departed])),
        Cursors::of(&root, &Query::<Person>::every()),
        Cursors::of(&RootKey::from_text(&"02".repeat(32)).unwrap(), &active()),
    ] {
        assert!(other.open(&cursor).is_err());
    }
    // What is one list however it is asked for.
    assert_eq!(Cursors::of(&root, &either([PersonState::Active; 2])).open(&cursor).unwrap(), "per_1");
    let role = Person::ROLE.of(Role::Security);
    let both = [role.clone(), Person::STATE.of(PersonState::Active)];
    let cursor = Cursors::of(&root, &Query::of(both.clone())).seal("per_1");
    let [role, state] = both;
    assert!(Cursors::of(&root, &Query::of([state, role])).open(&cursor).is_ok());
}

#[test]
fn a_cursor_of_an_earlier_release_goes_on() {
    let root = RootKey::from_text(&"01".repeat(32)).unwrap();
    let vouch = Vouch::new(&root, "list cursor");
    let terms = [
        Identity::STATE.of(IdentityState::Active),
        Identity::ENFORCES.of("res_1"),
        Identity::OWNER.of(PersonId::from_u128(0)),
    ];
    let owner = format!("owner={}", PersonId::from_u128(0));
    let earlier = vouch.carried("idn_1", &["identity", &owner, "state=active", "or enforces=res_1", "or enforces=*"]);
    assert_eq!(Cursors::of(&root, &Query::of(terms)).open(&earlier).unwrap(), "idn_1");
}

#[test]
fn whoever_asks_for_a_term_asks_for_the_rest_too() {
    let lookups = |query: Query<Identity>| query.lookups();
    let active = || Identity::STATE.of(IdentityState::Active);
    assert_eq!(lookups(Query::every()), [Vec::<String>::new()]);
    assert_eq!(lookups(Query::of([active()])), [["state=active"]]);
    assert_eq!(lookups(Query::of([Identity::ENFORCES.of("res_1")])), [["enforces=res_1"], ["enforces=*"]]);
    assert_eq!(lookups(Query::of([Identity::ENFORCES.of("*")])), [["enforces=*"]]);
    assert_eq!(
        lookups(Query::of([active()]).any([Identity::by_repository("Acme/Pay")])),
        [["repository=acme/pay", "state=active"], ["repositories=more", "state=active"]]
    );
    assert_eq!(
        lookups(Query::of([Identity::ENFORCES.of("res_1")]).any([active(), Identity::ENFORCES.of("res_2")])).len(),
        6,
        "each of the one with each of the other"
    );
    assert_eq!(lookups(Query::of([active()]).any([])), Vec::<Vec<String>>::new(), "of none, there are none");
    let removal = |id| Removal::IDENTITY.of(IdentityId::from_u128(id)).to_string();
    let concerned = Query::<Removal>::of([Removal::IDENTITY.of(IdentityId::from_u128(1))]);
    assert_eq!(concerned.lookups(), [[removal(1)], ["identities=more".to_owned()]]);
}

/// Teams whose ids follow each other, some of which can't be read.
async fn teams(world: &World, names: &[&str], unreadable: &[usize]) {
    let engine = &world.engine;
    let now = engine.now();
    let mut made = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
    for (n, name) in names.iter().enumerate() {
        let team =
            Team { id: TeamId::from_u128(n as u128 + 1), name: (*name).to_owned(), source: None, created_at: now };
        made.insert(&team);
        if unreadable.contains(&n) {
            made.puts.last_mut().unwrap().body = b"{}".to_vec();
        }
    }
    assert!(matches!(world.store.commit(made).await, Outcome::Committed(_)));
}

fn ids(rows: &[Stored<Team>]) -> Vec<u128> {
    let id = |row: &Stored<Team>| (1..100).find(|n| TeamId::from_u128(*n) == row.id).unwrap();
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn pages_are_whole_or_readable() {
    let world = world().await;
    let engine = &world.engine;
    teams(&world, &["a", "b", "a", "b", "c", "a"], &[3]).await;
    let a = || Query::of([Team::NAME.of("a")]);
    assert_eq!(ids(&engine.find(a()).await.unwrap().whole().unwrap()), [1, 3, 6]);
    assert_eq!(ids(&engine.pages(a().limit(1)).whole().await.unwrap()), [1, 3, 6]);
    assert_eq!(engine.first(a()).await.unwrap().unwrap().id, TeamId::from_u128(1));
    assert!(engine.first(Query::of([Team::NAME.of("d")])).await.unwrap().is_none());
    // An unreadable one is skipped where somebody says so, and goes on behind it.
    for limit in 1..=7 {
        let either = || Query::every().any([Team::NAME.of("a"), Team::NAME.of("b")]).limit(limit);
        assert_eq!(ids(&engine.pages(either()).readable().await.unwrap()), [1, 2, 3, 6], "{limit}");
        assert!(engine.pages(either()).whole().await.is_err());
        assert_eq!(
            ids(&engine.pages(Query::every().limit(limit)).readable().await.unwrap()),
            [1, 2, 3, 5, 6],
            "{limit}"
        );
    }
    let found = engine.find(Query::every().any([Team::NAME.of("b"), Team::NAME.of("c")]).limit(2)).await.unwrap();
    let next = found.next();
    let (read, unreadable) = found.apart();
    assert_eq!((ids(&read), unreadable.len(), unreadable[0].body.as_slice()), (vec![2], 1, b"{}".as_slice()));
    let rest = engine.find(Query::every().any([Team::NAME.of("b"), Team::NAME.of("c")]).after(next)).await.unwrap();
    assert_eq!((rest.next(), rest.count(), ids(&rest.readable())), (None, 1, vec![5]));
    let mut pages = engine.pages(a().limit(2));
    assert_eq!(ids(&pages.next().await.unwrap().unwrap().readable()), [1, 3]);
    assert!(pages.more());
    assert_eq!(ids(&pages.next().await.unwrap().unwrap().readable()), [6]);
    assert!(!pages.more() && pages.next().await.unwrap().is_none());
}
