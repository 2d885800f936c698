use serde_json::{Value, json};
use tenure_api::log::DerivedIndex;
use tenure_api::why::PastAccess;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::log_index::{LogIndexStore as _, SegmentChange};
use tenure_log::Leaf;

use crate::identities::why::history::History;
use crate::identities::why::{reach_at, refusals};
use crate::kernel::error::OpError;
use crate::kernel::log_index::search::Search;
use crate::kernel::log_index::terms::Class;
use crate::kernel::work::system;
use crate::log::indexing::{self, index_all, reindex};
use crate::log::seal::tests::{World, world};
use crate::log::timeline::timeline;
use crate::state::verify::{Extent, check_state};

/// A repeatable choice.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const RESOURCES: [&str; 4] = ["res_a", "res_b", "res_c", "*"];
const IDENTITIES: [&str; 5] = ["idn_a", "idn_b", "idn_c", "idn_d", "idn_e"];
const PEOPLE: [&str; 3] = ["per_a", "per_b", "per_c"];
const APPLICATIONS: [&str; 3] = ["app_a", "app_b", "app_c"];
const GRANTS: [&str; 12] =
    ["gra_0", "gra_1", "gra_2", "gra_3", "gra_4", "gra_5", "gra_6", "gra_7", "pgr_0", "pgr_1", "pgr_2", "pgr_3"];

fn charter(dice: &mut Dice) -> Value {
    json!({"owner": dice.one(&PEOPLE), "application": dice.one(&APPLICATIONS), "environment": dice.one(&["production", "app_a"]), "vendor": ""})
}

/// Something that can happen to access, or beside it.
fn happening(world: &World, dice: &mut Dice) -> Event {
    let now = world.engine.now();
    let event = |kind| world.engine.event(now, kind);
    let grant = dice.one(&GRANTS);
    let (personal, holder) = match grant.starts_with("pgr") {
        true => (true, dice.one(&PEOPLE)),
        false => (false, dice.one(&IDENTITIES)),
    };
    let of = |plain, of_person| event(if personal { of_person } else { plain }).subject(grant).subject(holder);
    let identity = dice.one(&IDENTITIES);
    match dice.below(17) {
        0..=2 => {
            let resource = dice.one(&RESOURCES);
            let starts_at = now.plus(Span::from_secs(i64::try_from(dice.below(3)).unwrap() * 100));
            of(EventKind::GrantOpened, EventKind::PersonGrantOpened)
                .subject(resource)
                .fact("entitlement", json!({"resource": resource, "actions": [dice.one(&["read", "write"])]}))
                .fact("starts_at", starts_at)
                .fact("ends_at", starts_at.plus(Span::from_secs(i64::try_from(dice.below(20)).unwrap() * 1_000)))
                .fact("request", format!("req_{}", dice.below(9)))
                .fact("approved_by", [dice.one(&PEOPLE)])
                .fact("purpose", "a need")
                .fact("policies", ["p"])
        }
        3 => of(EventKind::GrantRevoked, EventKind::PersonGrantRevoked),
        4 => of(EventKind::GrantExpired, EventKind::PersonGrantExpired),
        5 => event(EventKind::IdentityRegistered).subject(identity).fact("charter", charter(dice)),
        6 => event(EventKind::IdentityCharterChanged).subject(identity).fact("charter", charter(dice)),
        7 => event(EventKind::IdentityCharterWritten).subject(identity).fact("charter", charter(dice)),
        8 => event(EventKind::IdentityActivated).subject(identity),
        9 => event(EventKind::IdentitySuspended).subject(identity),
        10 => event(EventKind::IdentityResumed).subject(identity).fact("causes_left", dice.below(2)),
        11 if dice.below(4) == 0 => event(EventKind::IdentityRetired).subject(identity),
        12 => event(EventKind::IdentityTransferred).subject(identity).fact("to", dice.one(&PEOPLE)),
        13 | 14 => {
            let (scope, id) = match dice.below(4) {
                0 => ("application", dice.one(&APPLICATIONS)),
                // Called as an application is.
                3 => ("environment", "app_a"),
                1 => ("owner", dice.one(&PEOPLE)),
                _ => ("identity", identity),
            };
            let kind = if dice.below(3) == 0 { EventKind::ScopeHeld } else { EventKind::ScopeReleased };
            event(kind).subject(id).fact("scope", scope)
        }
        15 => {
            let kinds = [EventKind::PersonSuspended, EventKind::PersonResumed, EventKind::PersonDeparted];
            event(kinds[usize::try_from(dice.below(3)).unwrap()]).subject(dice.one(&PEOPLE))
        }
        _ => event(EventKind::AccessRefused)
            .subject(dice.one(&["idn_a", "res_a", "anything at all"]))
            .fact("reason", "not_allowed")
            .fact("asked", "charter.write"),
    }
}

/// Adds to the log, some events at each moment.
async fn happens(world: &World, dice: &mut Dice, events: u64, busy: bool) {
    let mut left = events;
    while left > 0 {
        world.clock.advance(Span::from_secs(7));
        let n = left.min(1 + dice.below(40));
        let event = |dice: &mut Dice| match busy && dice.below(50) > 0 {
            true => world
                .engine
                .event(world.engine.now(), EventKind::CredentialIssued)
                .subject("crd_a")
                .subject(dice.one(&IDENTITIES)),
            false => happening(world, dice),
        };
        let mut changeset = Changeset::new(system(), world.engine.now(), event(dice));
        for _ in 1..n {
            let more = event(dice);
            changeset.event(more);
        }
        world.engine.settle(changeset).await.unwrap().unwrap();
        left -= n;
    }
}

fn leaves(world: &World) -> Vec<(u64, Leaf)> {
    world.store.dump().entries.iter().map(|entry| (entry.index, Leaf::parse(&entry.leaf).unwrap())).collect()
}

/// What the whole log says, for comparison.
fn folded(leaves: &[(u64, Leaf)], resource: &str, at: Timestamp) -> (u64, Vec<PastAccess>) {
    let mut history = History::default();
    let before = leaves.partition_point(|(_, leaf)| leaf.at <= at.as_micros());
    leaves[..before].iter().for_each(|(_, leaf)| history.apply(leaf));
    (before as u64, history.reach(resource, at))
}

async fn found(world: &World, resource: &str, at: Timestamp) -> (u64, Vec<PastAccess>) {
    let mut search = Search::begin(&world.engine).await.unwrap();
    let entries = search.first_after(at.as_micros()).await.unwrap();
    (entries, reach_at(&mut search, resource, at, entries).await.unwrap())
}

async fn refused(world: &World, subject: &str, before: Option<u64>, limit: u16) -> Vec<u64> {
    let found = refusals(&world.engine, &world.admin, subject, before, limit).await.unwrap();
    found.items.iter().map(|refusal| refusal.index).collect()
}

/// Compares answers at random moments with what the whole log says.
async fn agrees(world: &World, dice: &mut Dice) {
    let leaves = leaves(world);
    let span = leaves.last().unwrap().1.at - leaves[0].1.at;
    let mut held = 0;
    for _ in 0..12 {
        let at =
            leaves[0].1.at - 1_000_000 + i64::try_from(dice.below(u64::try_from(span + 2_000_000).unwrap())).unwrap();
        let (at, resource) = (Timestamp::from_micros(at), dice.one(&RESOURCES[..3]));
        let told = folded(&leaves, resource, at);
        assert_eq!(found(world, resource, at).await, told, "{resource} at {at}");
        held += told.1.len();
    }
    assert!(held > 0);
    for subject in ["idn_a", "res_a", "anything at all", "idn_b"] {
        let is = |leaf: &Leaf| {
            leaf.kind == "access.refused" && (leaf.actor.id == subject || leaf.subjects.iter().any(|s| s == subject))
        };
        let all: Vec<u64> = leaves.iter().rev().filter(|(_, leaf)| is(leaf)).map(|(index, _)| *index).collect();
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = refused(world, subject, before, 70).await;
            before = page.last().copied();
            pages.extend(page);
            if pages.len() >= all.len() || before.is_none() || pages.len() > 200 {
                break;
            }
        }
        assert!(all.starts_with(&pages) && pages.len() >= all.len().min(200), "{subject}: {pages:?}, {all:?}");
        let middle = leaves.len() as u64 / 2;
        let expected: Vec<u64> = all.iter().copied().filter(|index| *index < middle).take(3).collect();
        assert_eq!(refused(world, subject, Some(middle), 3).await, expected);
    }
}

#[tokio::test]
async fn r97_the_index_says_what_the_whole_log_says() {
    for seed in 0..2 {
        let (world, mut dice) = (world().await, Dice(seed));
        happens(&world, &mut dice, 900, false).await;
        agrees(&world, &mut dice).await;
        for round in 0..3 {
            happens(&world, &mut dice, 1_500, false).await;
            if round != 1 {
                index_all(&world.engine).await.unwrap();
            }
            agrees(&world, &mut dice).await;
        }
    }
}

#[tokio::test]
async fn r97_segments_are_merged_and_say_the_same() {
    let (world, mut dice) = (world().await, Dice(11));
    for _ in 0..19 {
        happens(&world, &mut dice, 1_024, true).await;
        index_all(&world.engine).await.unwrap();
    }
    let lengths = async || {
        let list = world.store.segments(&[]).await.unwrap().segments;
        list.iter().map(|segment| segment.to - segment.from).collect::<Vec<_>>()
    };
    assert_eq!(lengths().await, [16_384, 1_024, 1_024, 1_024]);
    agrees(&world, &mut dice).await;
    // What was merged is dropped once nobody can be reading it.
    world.clock.advance(Span::from_mins(61));
    index_all(&world.engine).await.unwrap();
    let live: Vec<u64> =
        world.store.segments(&[]).await.unwrap().segments.iter().map(|segment| segment.build).collect();
    world.store.alter_index_pages(|pages| assert!(pages.keys().all(|(build, _)| live.contains(build))));
    // Thrown away, it is made again: of what is there by then, the longest segments first.
    let list = world.store.segments(&[]).await.unwrap();
    let remove = list.segments.iter().map(|segment| segment.build).collect();
    assert!(world.store.change_segments(SegmentChange { version: list.version, add: None, remove }).await.unwrap());
    let error = refusals(&world.engine, &world.admin, "idn_a", None, 3).await.unwrap_err();
    assert!(matches!(error, OpError::IndexBuilding { covered: 0, size, .. } if size > 19_000), "{error}");
    index_all(&world.engine).await.unwrap();
    assert_eq!(lengths().await, [16_384, 1_024, 1_024, 1_024]);
    agrees(&world, &mut dice).await;
}

#[tokio::test]
async fn r97_an_altered_index_never_makes_an_answer_incomplete() {
    for attack in 0..6 {
        let (world, mut dice) = (world().await, Dice(attack));
        happens(&world, &mut dice, 3_000, false).await;
        index_all(&world.engine).await.unwrap();
        let list = world.store.segments(&[]).await.unwrap();
        let first = &list.segments[0];
        match attack {
            0 => world.store.alter_index_pages(|pages| pages.values_mut().for_each(|page| page[3] ^= 1)),
            1 => world.store.alter_index_pages(|pages| pages.retain(|(build, _), _| *build != first.build)),
            // A genuine page in another one's place.
            2 => world.store.alter_index_pages(|pages| {
                let other = pages[&(list.segments[1].build, 0)].clone();
                pages.insert((first.build, 0), other);
            }),
            // A segment that is not there.
            3 => {
                let change = SegmentChange { version: list.version, add: None, remove: vec![first.build] };
                assert!(world.store.change_segments(change).await.unwrap());
            }
            // A header that says that it covers what it doesn't.
            4 => {
                let mut longer = first.clone();
                longer.to = list.segments[1].to;
                let remove = list.segments.iter().map(|segment| segment.build).collect();
                let change = SegmentChange { version: list.version, add: Some(longer), remove };
                assert!(world.store.change_segments(change).await.unwrap());
            }
            // A genuine segment of a log that went another way.
            _ => {
                let other = crate::log::seal::tests::world().await;
                happens(&other, &mut Dice(77), 3_000, false).await;
                index_all(&other.engine).await.unwrap();
                let theirs = other.store.segments(&[]).await.unwrap().segments[0].clone();
                let mut pages = Vec::new();
                other.store.alter_index_pages(|all| {
                    pages.extend(
                        all.iter().filter(|((build, _), _)| *build == theirs.build).map(|(_, page)| page.clone()),
                    )
                });
                world.store.stage_pages(theirs.build, 0, &pages).await.unwrap();
                let change = SegmentChange { version: list.version, add: Some(theirs), remove: vec![first.build] };
                assert!(world.store.change_segments(change).await.unwrap());
            }
        }
        agrees(&world, &mut dice).await;
        index_all(&world.engine).await.unwrap();
        let (covered, size) = indexing::covered(&world.engine).await.unwrap();
        assert!(size - covered < 1_024, "attack {attack}: {covered} of {size}");
        agrees(&world, &mut dice).await;
    }
}

#[tokio::test]
async fn r97_two_replicas_make_one_index() {
    let (world, mut dice) = (world().await, Dice(5));
    happens(&world, &mut dice, 6_000, true).await;
    tokio::join!(async { index_all(&world.engine).await.unwrap() }, async { index_all(&world.engine).await.unwrap() });
    let list = world.store.segments(&[]).await.unwrap().segments;
    assert!(list.windows(2).all(|pair| pair[0].to == pair[1].from) && list.len() >= 5, "{list:?}");
    agrees(&world, &mut dice).await;
}

/// The timeline, read in pages of so many.
async fn told(world: &World, subject: &str, mut before: Option<u64>, limit: u16) -> Vec<u64> {
    let mut indexes = Vec::new();
    loop {
        let page = timeline(&world.engine, &world.admin, subject, before, limit).await.unwrap();
        indexes.extend(page.items.iter().map(|event| event.position.index));
        before = page.before;
        if before.is_none() {
            return indexes;
        }
    }
}

#[tokio::test]
async fn r97_a_timeline_tells_all_that_concerns_a_subject() {
    let (world, mut dice) = (world().await, Dice(23));
    happens(&world, &mut dice, 2_600, false).await;
    index_all(&world.engine).await.unwrap();
    happens(&world, &mut dice, 500, false).await;
    let leaves = leaves(&world);
    // What a fact names concerns it, too: whose charter it is, and on what a grant is.
    let named = |leaf: &Leaf, subject: &str| {
        let fact = |object: &str, name: &str| {
            leaf.data.get(object).and_then(|object| object.get(name)) == Some(&json!(subject))
        };
        ["owner", "application", "environment"].iter().any(|name| fact("charter", name))
            || (leaf.kind == "identity.transferred" && leaf.data["to"] == subject)
    };
    for subject in ["idn_a", "app_a", "res_a", "per_a", "gra_3", "anything at all"] {
        let concerns = |leaf: &Leaf| {
            leaf.subjects.iter().any(|s| s == subject) || leaf.actor.id == subject || named(leaf, subject)
        };
        let all: Vec<u64> = leaves.iter().rev().filter(|(_, leaf)| concerns(leaf)).map(|(index, _)| *index).collect();
        assert_eq!(told(&world, subject, None, 40).await, all, "{subject}");
        let middle: Vec<u64> = all.iter().copied().filter(|index| *index < 1_300).collect();
        assert_eq!(told(&world, subject, Some(1_300), 150).await, middle, "{subject}");
    }
    let error = timeline(&world.engine, &world.admin, "crd_a", None, 20).await.unwrap_err();
    assert!(matches!(error, OpError::Invalid(_)), "{error}");
    // Whoever may not read the log reads nobody's; that they asked is in the log.
    let other = world.person(Role::Requester).await;
    let refused = timeline(&world.engine, &other, "per_a", None, 20).await.unwrap_err();
    assert!(matches!(refused, OpError::Refused { .. }), "{refused}");
    assert!(matches!(reindex(&world.engine, &other, DerivedIndex::Log).await.unwrap_err(), OpError::Refused { .. }));
    let own = other.person_id().unwrap().to_string();
    let asked: Vec<String> = refusals(&world.engine, &world.admin, &own, None, 9)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|item| item.asked)
        .collect();
    assert_eq!(asked, ["log.reindex", "log.timeline"]);
}

#[tokio::test]
async fn r97_the_index_is_thrown_away_and_made_again() {
    let (world, mut dice) = (world().await, Dice(31));
    happens(&world, &mut dice, 2_100, false).await;
    index_all(&world.engine).await.unwrap();
    let before = told(&world, "idn_b", None, 100).await;
    reindex(&world.engine, &world.admin, DerivedIndex::Log).await.unwrap();
    assert_eq!(indexing::covered(&world.engine).await.unwrap().0, 0);
    assert_eq!(told(&world, "idn_b", None, 100).await, before);
    index_all(&world.engine).await.unwrap();
    assert!(indexing::covered(&world.engine).await.unwrap().0 >= 2_048);
    assert_eq!(told(&world, "idn_b", None, 100).await, before);
    let kinds: Vec<String> = timeline(&world.engine, &world.admin, "log", None, 1)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["log.reindexed"]);
}

#[tokio::test]
async fn a05_the_index_is_held_against_the_log() {
    for attack in 0..4 {
        let (world, mut dice) = (world().await, Dice(40 + attack));
        happens(&world, &mut dice, 3_200, false).await;
        index_all(&world.engine).await.unwrap();
        let faults = async || {
            let (report, _) = check_state(&world.engine, Extent::Full).await.unwrap();
            let name = |fault: &tenure_api::log::FaultyRow| format!("{}/{}: {:?}", fault.kind, fault.id, fault.fault);
            report.faults.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(faults().await, [""; 0]);
        let list = world.store.segments(&[]).await.unwrap();
        let second = list.segments[1].clone();
        let found = match attack {
            0 => {
                world.store.alter_index_pages(|pages| pages.get_mut(&(second.build, 0)).unwrap()[40] ^= 1);
                "log_index/1024..2048: Altered"
            }
            1 => {
                world.store.alter_index_pages(|pages| drop(pages.remove(&(second.build, 0))));
                "log_index/1024..2048: Altered"
            }
            // Of a defect, with the key: postings that the entries don't bear.
            2 => {
                indexing::make_wrongly(&world.engine, 1_024..2_048).await;
                "log_index/1024..2048: Misindexed"
            }
            _ => {
                let stretched = tenure_core::store::log_index::Segment { to: 3_072, ..second };
                let remove = list.segments[1..].iter().map(|segment| segment.build).collect();
                let change = SegmentChange { version: list.version, add: Some(stretched), remove };
                assert!(world.store.change_segments(change).await.unwrap());
                "log_index/1024..3072: Altered"
            }
        };
        assert_eq!(faults().await, [found]);
        // It counts no more, and what takes its place fits.
        index_all(&world.engine).await.unwrap();
        assert_eq!(faults().await, [""; 0]);
        assert!(indexing::covered(&world.engine).await.unwrap().0 >= 3_072);
        agrees(&world, &mut dice).await;
    }
}

/// How long questions take on a large log in SQLite, of `TENURE_FIGURES` entries: printed, and held to no bound.
#[tokio::test]
#[ignore = "long: figures of a large log"]
#[expect(clippy::disallowed_methods, reason = "what takes how long is measured by the machine's clock")]
async fn r97_figures_of_a_large_log() {
    use std::sync::Arc;

    use tenure_core::base::entropy::SeededEntropy;
    use tenure_core::base::id::EventId;
    use tenure_core::store::event::Actor;
    use tenure_core::store::port::{Outcome, Store as _};
    use tenure_credentials::root::RootKey;
    use tenure_credentials::row_sealer::RowMac;
    use tenure_policy::{CedarPolicy, Loader};
    use tenure_store::SqliteStore;

    use crate::kernel::Kernel;
    use crate::log::seal::tests::{TestClock, Web};
    use crate::{Ports, Settings};

    let entries: u64 = std::env::var("TENURE_FIGURES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let folder = std::env::temp_dir().join(format!("tenure-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = RootKey::from_text(&"07".repeat(32)).unwrap();
    let store = Arc::new(SqliteStore::open(folder.join("tenure.db"), Arc::new(RowMac::new(&root))).unwrap());
    let clock = Arc::new(TestClock::default());
    let ports = Ports {
        connectors: Arc::new(tenure_core::target::connector::NoConnectors),
        store: Arc::clone(&store) as _,
        policy: Arc::new(CedarPolicy::default_set().unwrap()),
        policies: Arc::new(Loader),
        clock: Arc::clone(&clock) as _,
        entropy: Arc::new(SeededEntropy::new(7)),
        fetch: Arc::new(Web::default()),
        root,
    };
    let kernel = Kernel::new(ports, Settings::default());
    let mut dice = Dice(1);
    let (identities, resources) = (10_000, 500);
    let mut written = 0;
    let (begun, start) = (std::time::Instant::now(), kernel.now());
    while written < entries {
        clock.advance(Span::from_secs(1));
        let now = kernel.now();
        let mut events = Vec::new();
        for n in 0..1_000 {
            let number = written + n;
            let identity = format!("idn_{:026}", dice.below(identities));
            let event = |kind| Event::new(EventId::from_u128(u128::from(number + 1) << 8), kind);
            events.push(match dice.below(1_000) {
                0..=9 => {
                    let resource = format!("res_{:026}", dice.below(resources));
                    event(EventKind::GrantOpened)
                        .subject(format!("gra_{number:026}"))
                        .subject(identity)
                        .subject(&resource)
                        .fact("entitlement", json!({"resource": resource, "actions": ["read"]}))
                        .fact("starts_at", now)
                        .fact("ends_at", now.plus(Span::from_secs(2_000)))
                        .fact("request", format!("req_{number:026}"))
                        .fact("approved_by", ["per_00000000000000000000000001"])
                        .fact("purpose", "a need")
                        .fact("policies", ["p"])
                }
                10..=14 => event(EventKind::IdentityCharterChanged).subject(identity).fact(
                    "charter",
                    json!({"owner": format!("per_{:026}", dice.below(2_000)), "application": format!("app_{:026}", dice.below(300)), "environment": "production"}),
                ),
                15..=17 => event(EventKind::IdentitySuspended).subject(identity),
                18..=20 => event(EventKind::IdentityResumed).subject(identity).fact("causes_left", 0),
                21 => event(EventKind::ScopeHeld).subject(format!("app_{:026}", dice.below(300))).fact("scope", "application"),
                22 => event(EventKind::ScopeReleased).subject(format!("app_{:026}", dice.below(300))).fact("scope", "application"),
                23..=29 => event(EventKind::AccessRefused).subject(identity).fact("reason", "not_allowed").fact("asked", "token.issue"),
                _ => event(EventKind::CredentialIssued)
                    .subject(format!("crd_{number:026}"))
                    .subject(&identity)
                    .fact("audience", "https://orders.internal")
                    .fact("expires_at", now.plus(Span::from_mins(10)))
                    .fact("actions", ["read"]),
            });
        }
        let mut events = events.into_iter();
        let mut changeset = Changeset::new(Actor::System { part: "figures".into() }, now, events.next().unwrap());
        for event in events {
            changeset.event(event);
        }
        assert!(matches!(store.commit(changeset).await, Outcome::Committed(_)));
        written += 1_000;
    }
    println!("{written} entries written in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    index_all(&kernel).await.unwrap();
    let took = begun.elapsed();
    let segments = store.segments(&[]).await.unwrap().segments;
    println!(
        "indexed in {took:?}: {:.0} entries a second, {} segments",
        written as f64 / took.as_secs_f64(),
        segments.len()
    );
    let span = kernel.now().since(start).as_secs();
    for cold in [true, false] {
        let mut access = Vec::new();
        let mut lines = Vec::new();
        let mut refused = Vec::new();
        let kernel_now = kernel.now();
        for n in 0..100 {
            let resource = format!("res_{:026}", dice.below(resources));
            let at = start.plus(Span::from_secs(i64::try_from(dice.below(u64::try_from(span).unwrap())).unwrap()));
            assert!(at <= kernel_now);
            let begun = std::time::Instant::now();
            let mut search = Search::begin(&kernel).await.unwrap();
            let until = search.first_after(at.as_micros()).await.unwrap();
            let found = reach_at(&mut search, &resource, at, until).await.unwrap().len();
            access.push((begun.elapsed(), found));
            let identity = format!("idn_{:026}", dice.below(identities));
            let begun = std::time::Instant::now();
            let mut search = Search::begin(&kernel).await.unwrap();
            let found = search.newest(Class::All, &identity, u64::MAX, 50).await.unwrap().len();
            lines.push((begun.elapsed(), found));
            let begun = std::time::Instant::now();
            let mut search = Search::begin(&kernel).await.unwrap();
            let found = search.newest(Class::Refused, &identity, u64::MAX, 50).await.unwrap().len();
            refused.push((begun.elapsed(), found));
            if cold && n == 0 {
                println!(
                    "first in this process: access {:?}, timeline {:?}, refusals {:?}",
                    access[0], lines[0], refused[0]
                );
            }
        }
        for (what, times) in [("access", &mut access), ("timeline", &mut lines), ("refusals", &mut refused)] {
            times.sort_unstable();
            println!("{what}: median {:?}, worst of 100 {:?} (time, found)", times[50], times[99]);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
