//! What the index answers is what a reading of all records gives, on random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, Kind, RiskTier};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::document::{Order, words};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Store as _;
use tenure_core::store::row::{Record, RowKey, RowKind};
use tenure_core::store::search::{ChangedRecord, PlacedRecord, SearchChange, SearchSegment, SearchState};

use super::ask::{Answer, Question, ask};
use super::check::{self, IdSum, IndexFaults};
use super::fold::{anew, fold_all, fold_more};
use super::view::{Segment, view};
use crate::kernel::Kernel;
use crate::kernel::query::ListAsk;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};

/// A repeatable choice.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const PARTS: [&str; 6] = ["Payments", "pay", "batch", "Export", "api", "authenticationservice"];
const PURPOSES: [&str; 5] =
    ["Exports orders nightly", "pays invoices", "", "authentication of the API", "mail to anna.berg@example.com"];

fn identity(world: &World, dice: &mut Dice, id: u128) -> Identity {
    let now = world.engine.now();
    let owner = PersonId::from_u128(u128::from(dice.below(4)) + 1);
    let ends = [None, Some(now), Some(now.plus(Span::from_days(7))), Some(now.plus(Span::from_days(30)))];
    let charter = CharterDraft {
        owner: Some(owner),
        purpose: Some(dice.one(&PURPOSES).to_owned()),
        environment: Some(dice.one(&["production", "test"]).to_owned()),
        expires_at: dice.one(&ends),
        ..CharterDraft::default()
    };
    Identity {
        id: IdentityId::from_u128(id),
        kind: dice.one(&[Kind::Workload, Kind::Pipeline]),
        name: format!("{}-{}-{:04}", dice.one(&PARTS), dice.one(&PARTS), dice.below(10_000)),
        state: dice.one(&[IdentityState::Draft, IdentityState::Active, IdentityState::Suspended]),
        charter,
        tier: dice.one(&[RiskTier::Low, RiskTier::Medium, RiskTier::High]),
        tier_kept: None,
        struck: Vec::new(),
        deferred: Vec::new(),
        suspensions: Vec::new(),
        valid_after: None,
        bindings: Vec::new(),
        grants: Vec::new(),
        memberships: Vec::new(),
        activation: None,
        retirement: None,
        template: None,
        request: None,
        transfer: None,
        exceptions: Vec::new(),
        resumed_at: None,
        reviewed_at: None,
        has_accounts: false,
        registered_by: owner,
        created_at: now,
    }
}

/// What a reading of all records would give.
#[derive(Default)]
struct Model {
    identities: BTreeMap<String, Identity>,
    used: BTreeMap<String, Timestamp>,
}

impl Model {
    /// Writes some identities: new ones, or ones that are there.
    async fn write(&mut self, world: &World, dice: &mut Dice, n: u64, fresh: bool) {
        let event = world.engine.event(world.engine.now(), EventKind::PersonChanged);
        let mut changeset = Changeset::new(system(), world.engine.now(), event);
        let mut written = BTreeMap::new();
        for _ in 0..n {
            let is_new = fresh || self.identities.is_empty();
            let id = match is_new {
                true => self.identities.len() as u128 + written.len() as u128 + 1,
                false => u128::from(dice.below(self.identities.len() as u64)) + 1,
            };
            let identity = identity(world, dice, id);
            written.insert(identity.row_id(), identity);
        }
        for identity in written.values() {
            match self.identities.contains_key(&identity.row_id()) {
                true => {
                    let before = world.engine.must::<Identity>("identity", identity.id).await.unwrap();
                    changeset.replace(&before, identity);
                }
                false => {
                    changeset.insert(identity);
                }
            }
        }
        world.engine.settle(changeset).await.unwrap().unwrap();
        self.identities.extend(written);
    }

    /// Uses some of them; by more than a day later than before, so that the order by use follows.
    async fn touch(&mut self, world: &World, dice: &mut Dice, n: u64) {
        world.clock.advance(Span::from_days(1));
        let now = world.engine.now();
        let ids: Vec<String> = self.identities.keys().cloned().collect();
        for _ in 0..n {
            let id = &ids[usize::try_from(dice.below(ids.len() as u64)).unwrap()];
            self.used.insert(id.clone(), now);
        }
        let used: Vec<(String, Timestamp)> =
            self.used.iter().filter(|(_, at)| **at == now).map(|(id, at)| (id.clone(), *at)).collect();
        world.engine.store.touch(&used).await.unwrap();
    }

    fn answer(&self, question: &Question) -> Vec<String> {
        let fits = |identity: &&Identity| {
            let terms = identity.terms().into_text();
            let own = identity.document().words();
            question.filters.iter().all(|group| group.iter().any(|term| terms.contains(term)))
                && words(&question.text).iter().all(|word| own.iter().any(|own| own.starts_with(word.as_str())))
        };
        let mut found: Vec<&Identity> = self.identities.values().filter(fits).collect();
        match question.order {
            Order::Id => {}
            Order::Name => found.sort_by_key(|identity| identity.name.to_lowercase()),
            Order::End => found.sort_by_key(|identity| identity.charter.expires_at.unwrap_or(Timestamp::MAX)),
            Order::Risk => found.sort_by_key(|identity| identity.tier),
            Order::LastUse => found.sort_by_key(|identity| self.used.get(&identity.row_id())),
        }
        if question.descending {
            // What is equal goes by id, both ways turned round.
            found.reverse();
        }
        found.into_iter().map(Record::row_id).collect()
    }
}

fn question(dice: &mut Dice) -> Question {
    let filters = [
        vec!["state=active".to_owned()],
        vec!["environment=production".to_owned()],
        vec!["state=draft".to_owned(), "kind=pipeline".to_owned()],
        vec![format!("owner={}", PersonId::from_u128(2))],
        vec!["nothing=bears it".to_owned()],
    ];
    let mut chosen = Vec::new();
    for filter in filters {
        if dice.below(4) == 0 {
            chosen.push(filter);
        }
    }
    Question {
        kind: RowKind::Identity,
        filters: chosen,
        text: dice
            .one(&["", "", "pay", "PAYM batch", "e", "authenticationservi", "anna berg", "zz", "00", "exp or"])
            .to_owned(),
        whole: None,
        order: dice.one(&[Order::Id, Order::Name, Order::End, Order::Risk, Order::LastUse]),
        descending: dice.below(2) == 0,
        after: None,
        limit: usize::try_from(1 + dice.below(200)).unwrap(),
    }
}

async fn asked(world: &World, question: &Question) -> Answer {
    ask(&world.engine, question).await.unwrap().expect("the index is made")
}

/// The whole list, page by page.
async fn paged(world: &World, mut question: Question) -> (Vec<String>, u64) {
    let mut all = Vec::new();
    loop {
        let answer = asked(world, &question).await;
        assert!(answer.ids.len() <= question.limit && answer.unreadable.is_empty());
        assert!(answer.next.is_none() || answer.ids.len() == question.limit);
        question.after = answer.next;
        all.extend(answer.ids);
        if question.after.is_none() {
            return (all, answer.count);
        }
    }
}

async fn check(world: &World, model: &Model, dice: &mut Dice, questions: usize) {
    for _ in 0..questions {
        let question = question(dice);
        let (found, count) = paged(world, question.clone()).await;
        let wanted = model.answer(&question);
        assert_eq!(count as usize, wanted.len(), "{question:?}");
        assert_eq!(found, wanted, "{question:?}");
    }
}

#[tokio::test]
async fn what_is_found_is_what_the_records_say_however_much_is_folded() {
    for seed in 1..=3 {
        let (world, mut dice, mut model) = (world().await, Dice(seed), Model::default());
        check(&world, &model, &mut dice, 3).await;
        for round in 0..14 {
            let fresh = round < 6 || dice.below(3) == 0;
            for _ in 0..dice.below(12) {
                let n = 1 + dice.below(100);
                model.write(&world, &mut dice, n, fresh).await;
            }
            if !model.identities.is_empty() {
                model.touch(&world, &mut dice, 40).await;
            }
            check(&world, &model, &mut dice, 4).await;
            // Some of what there is to do, or all of it.
            let most = dice.one(&[0, 1, 2, 1_000]);
            for _ in 0..most {
                if fold_more(&world.engine, RowKind::Identity).await.unwrap().is_none() {
                    break;
                }
                check(&world, &model, &mut dice, 1).await;
            }
        }
        fold_all(&world.engine).await.unwrap();
        check(&world, &model, &mut dice, 10).await;
        let (segments, changed) = stands(&world).await;
        assert!(!segments.is_empty() && changed < 512, "{segments:?}, {changed}");
        assert!(segments.iter().all(|(documents, dead)| dead * 2 <= *documents), "{segments:?}");
    }
}

/// The documents of each segment, and how many of them are dead; and how many records are in none as they stand.
/// Puts a segment and places into the index, as somebody does who has the database.
async fn forge(world: &World, segment: SearchSegment, placed: Vec<PlacedRecord>) {
    let SearchState { version, next, .. } = world.store.search().search_state(RowKind::Identity, &[], 1).await.unwrap();
    let kind = RowKind::Identity;
    let forged = SearchChange { kind, version, next, put: vec![segment], remove: Vec::new(), placed };
    assert!(world.store.search().change_search(forged).await.unwrap());
}

async fn stands(world: &World) -> (Vec<(u32, u32)>, usize) {
    let view = view(&world.engine, RowKind::Identity, 4_096).await.unwrap();
    let of = |segment: &Arc<Segment>| (segment.header.documents, segment.dead);
    (view.segments.iter().map(of).collect(), view.changed.len())
}

#[tokio::test]
async fn short_segments_become_longer_ones_and_dead_ones_go() {
    let (world, mut dice, mut model) = (world().await, Dice(9), Model::default());
    for _ in 0..9 {
        for _ in 0..6 {
            model.write(&world, &mut dice, 100, true).await;
        }
        assert_eq!(fold_more(&world.engine, RowKind::Identity).await.unwrap(), Some(600));
        check(&world, &model, &mut dice, 2).await;
    }
    assert_eq!(stands(&world).await.0.len(), 9);
    fold_all(&world.engine).await.unwrap();
    assert_eq!(stands(&world).await, (vec![(5_400, 0)], 0), "nine short ones became one");
    // Each is written again: the one that they stood in is emptied and goes.
    for _ in 0..400 {
        model.write(&world, &mut dice, 60, false).await;
    }
    fold_all(&world.engine).await.unwrap();
    let (segments, _) = stands(&world).await;
    assert_eq!(
        segments.iter().map(|(documents, dead)| documents - dead).sum::<u32>() as usize + stands(&world).await.1,
        5_400
    );
    assert!(segments.iter().all(|(documents, dead)| dead * 2 <= *documents), "{segments:?}");
    check(&world, &model, &mut dice, 10).await;
}

#[tokio::test]
async fn an_index_that_says_otherwise_is_right_once_it_was_made_again() {
    let (world, mut dice, mut model) = (world().await, Dice(13), Model::default());
    for _ in 0..6 {
        model.write(&world, &mut dice, 100, true).await;
    }
    fold_all(&world.engine).await.unwrap();
    model.write(&world, &mut dice, 50, false).await;
    // Somebody who has the database hides what changed, says that another document is dead, and sets the next place back.
    let search = world.store.search();
    let now = search.search_state(RowKind::Identity, &[], 4_096).await.unwrap();
    let hide =
        |changed: &ChangedRecord| PlacedRecord { id: changed.id.clone(), revision: 99, place: changed.place.unwrap() };
    let forged = SearchChange {
        kind: RowKind::Identity,
        version: now.version,
        next: 3,
        put: vec![SearchSegment { dead: 1, dead_bits: Some(vec![0b1000]), ..now.segments[0].clone() }],
        remove: Vec::new(),
        placed: now.changed.iter().map(hide).collect(),
    };
    assert!(search.change_search(forged).await.unwrap());
    assert_ne!(faults(&world.engine, &model).await, IndexFaults::default());
    anew(&world.engine).await.unwrap();
    assert_eq!(faults(&world.engine, &model).await, IndexFaults::default(), "before anything is folded");
    check(&world, &model, &mut dice, 5).await;
    fold_all(&world.engine).await.unwrap();
    model.write(&world, &mut dice, 30, true).await;
    check(&world, &model, &mut dice, 10).await;
    assert_eq!(faults(&world.engine, &model).await, IndexFaults::default());
    let next = search.search_state(RowKind::Identity, &[], 0).await.unwrap().next;
    assert!(next > 600, "no place is given twice: {next}");
}

/// What a verification says of the index, to a process.
async fn faults(engine: &Kernel, model: &Model) -> IndexFaults {
    let mut there = IdSum::default();
    model.identities.keys().for_each(|id| there.add(id));
    let since = engine.store.head().await.unwrap().size;
    check::check(engine, RowKind::Identity, since, there).await.unwrap()
}

#[tokio::test]
async fn what_the_index_lacks_or_says_otherwise_is_found_by_a_verification() {
    let (world, mut dice, mut model) = (world().await, Dice(11), Model::default());
    for _ in 0..7 {
        model.write(&world, &mut dice, 100, true).await;
    }
    fold_all(&world.engine).await.unwrap();
    model.write(&world, &mut dice, 30, false).await;
    model.write(&world, &mut dice, 30, true).await;
    model.touch(&world, &mut dice, 40).await;
    assert_eq!(faults(&world.engine, &model).await, IndexFaults::default());
    let state = async || world.store.search().search_state(RowKind::Identity, &[], 4_096).await.unwrap();
    let change = |state: &SearchState| SearchChange {
        kind: RowKind::Identity,
        version: state.version,
        next: state.next,
        put: Vec::new(),
        remove: Vec::new(),
        placed: Vec::new(),
    };
    // Somebody who has the database takes a changed record off the list: its old document stands for it.
    let now = state().await;
    let written = now.changed.iter().find(|changed| changed.place.is_some() && changed.revision > 1).unwrap();
    let placed = PlacedRecord { id: written.id.clone(), revision: 99, place: written.place.unwrap() };
    let hidden = SearchChange { placed: vec![placed], ..change(&now) };
    assert!(world.store.search().change_search(hidden).await.unwrap());
    let mut wrong = IndexFaults { misindexed: vec![RowKey::new(RowKind::Identity, &written.id)], ..Default::default() };
    assert_eq!(faults(&world.engine, &model).await, wrong);
    // One that was never folded: nothing stands for it.
    let now = state().await;
    let fresh = now.changed.iter().find(|changed| changed.place.is_none()).unwrap();
    let placed = PlacedRecord { id: fresh.id.clone(), revision: 99, place: 1 << 40 };
    let hidden = SearchChange { placed: vec![placed], ..change(&now) };
    assert!(world.store.search().change_search(hidden).await.unwrap());
    wrong.unindexed.push(RowKey::new(RowKind::Identity, &fresh.id));
    assert_eq!(faults(&world.engine, &model).await, wrong);
    // One that is said to be dead.
    let now = state().await;
    let segment = SearchSegment { dead: 1, dead_bits: Some(vec![0b1000]), ..now.segments[0].clone() };
    let dead = SearchChange { put: vec![segment], ..change(&now) };
    assert!(world.store.search().change_search(dead).await.unwrap());
    assert_eq!(faults(&world.engine, &model).await.unindexed.len(), 2);
    // A page that is not what it was.
    world.store.alter_index_pages(|pages| {
        let first = now.segments[0].build;
        pages.iter_mut().filter(|((build, _), _)| *build == first).for_each(|(_, page)| page[3] ^= 1);
    });
    assert_eq!(faults(&world.another(), &model).await.altered.len(), 1);
}

#[tokio::test]
async fn what_somebody_notes_who_has_the_database_keeps_nobody_busy() {
    let (world, mut dice, mut model) = (world().await, Dice(13), Model::default());
    for _ in 0..7 {
        model.write(&world, &mut dice, 100, true).await;
    }
    // Revisions that no record has, and records that are none.
    let note = |id: &str, revision| world.store.note_changed(&RowKey::new(RowKind::Identity, id), revision);
    model.identities.keys().for_each(|id| note(id, 1_001));
    (0..600).for_each(|n| note(&IdentityId::from_u128(1 << 64 | n).to_string(), 1));
    fold_all(&world.engine).await.unwrap();
    assert_eq!(stands(&world).await, (vec![(700, 0)], 0));
    check(&world, &model, &mut dice, 5).await;
    // A segment of places that run backwards, under a number that no build has.
    let strange = SearchSegment {
        build: u64::MAX,
        from: 9,
        to: 3,
        header: Some(vec![0]),
        dead: u32::MAX,
        dead_bits: Some(Vec::new()),
    };
    forge(&world, strange, Vec::new()).await;
    assert!(!faults(&world.engine, &model).await.altered.is_empty());
    fold_all(&world.engine).await.unwrap();
    assert_eq!(stands(&world).await, (vec![(700, 0)], 0));
    check(&world, &model, &mut dice, 5).await;
    // Documents that stand nowhere: nothing can be folded again, and nobody goes on trying.
    let state = world.store.search().search_state(RowKind::Identity, &[], 4_096).await.unwrap();
    let segment = SearchSegment { dead: 690, dead_bits: Some(vec![0xff; 80]), ..state.segments[0].clone() };
    let nowhere = |id: &String| PlacedRecord { id: id.clone(), revision: 1, place: 1 << 40 };
    forge(&world, segment, model.identities.keys().map(nowhere).collect()).await;
    fold_all(&world.engine).await.unwrap();
    assert!(!faults(&world.engine, &model).await.unindexed.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_named_to_whom_it_may_concern() {
    let (world, mut dice, mut model) = (world().await, Dice(3), Model::default());
    model.write(&world, &mut dice, 40, true).await;
    let (first, identity) = model.identities.iter().next().unwrap();
    world.spoil::<Identity>(first).await;
    let page = async |owner: PersonId| {
        let ask = ListAsk { filters: vec![Identity::OWNER.of(owner)], count: true, ..ListAsk::default() };
        let (_, end) = world.engine.page::<Identity>(ask).await.unwrap();
        end.page(Vec::<u8>::new()).unreadable
    };
    let owner = identity.charter.owner.unwrap();
    assert_eq!(page(owner).await, std::slice::from_ref(first));
    for other in (1..=4).map(PersonId::from_u128).filter(|other| *other != owner) {
        assert_eq!(page(other).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_segment_that_was_altered_is_not_believed_and_is_made_again() {
    let (world, mut dice, mut model) = (world().await, Dice(5), Model::default());
    for _ in 0..7 {
        model.write(&world, &mut dice, 100, true).await;
    }
    fold_all(&world.engine).await.unwrap();
    check(&world, &model, &mut dice, 2).await;
    world.store.alter_index_pages(|pages| {
        for page in pages.values_mut() {
            page[3] ^= 1;
        }
    });
    // Another process, which has checked none of its pages yet.
    let engine = world.another();
    let question = Question { filters: vec![vec!["state=active".to_owned()]], ..question(&mut dice) };
    assert_eq!(ask(&engine, &question).await.unwrap(), None, "the index is made again first");
    while fold_more(&engine, RowKind::Identity).await.unwrap().is_some() {}
    let answer = ask(&engine, &question).await.unwrap().unwrap();
    assert_eq!(answer.count as usize, model.answer(&question).len());
    check(&world, &model, &mut dice, 5).await;
}
