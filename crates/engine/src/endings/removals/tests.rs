use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use tenure_core::base::id::{ApplicationId, BindingId, IdentityId, IssuerId, SignalId, SourceId};
use tenure_core::base::state::InState;
use tenure_core::base::time::Span;
use tenure_core::identity::binding::{Binding, BindingMatch, BindingState};
use tenure_core::identity::template::{Template, WhenOver};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, Kind, SuspensionKind, WorkloadBinding};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::Standing;
use tenure_core::signal::removal::HOLD;
use tenure_core::signal::{Format, Signal, SignalOutcome, SignalState, Source, SourceKey, Word};
use tenure_core::store::event_kind::EventKind;

use super::*;
use crate::endings::removals;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;
use crate::run::deadlines;

const REPOSITORY: &str = "acme/payments";

async fn put(world: &World, write: impl FnOnce(&mut Changeset)) {
    let now = world.engine.now();
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    write(&mut changeset);
    world.engine.settle(changeset).await.unwrap().unwrap();
}

fn subject(kind: SubjectKind, id: &str) -> SignalSubject {
    SignalSubject { kind, id: id.into() }
}

async fn source(world: &World, blast_cap: u32) -> Source {
    let source = Source {
        id: SourceId::from_u128(900),
        name: "forge".into(),
        format: Format::CloudEvents,
        owner: world.admin.person_id().unwrap(),
        kinds: SignalKind::ALL.to_vec(),
        subjects: vec!["repository:*".into(), "workload:*".into(), "application:*".into()],
        environments: Vec::new(),
        rate_per_minute: 600,
        blast_cap,
        template: Some("service".into()),
        issuer: None,
        key: SourceKey::Token { hash: String::new() },
        state: InState::proposed(true),
        proposed_by: world.admin.person_id().unwrap(),
        confirmed_by: None,
        single_person: true,
        created_at: world.engine.now(),
    };
    put(world, |changeset| {
        changeset.insert(&source);
    })
    .await;
    source
}

/// Has a source say this, and works it off.
async fn say(world: &World, kind: SignalKind, about: SignalSubject, at: Option<Timestamp>, facts: Json) -> Signal {
    let engine = &world.engine;
    let now = engine.now();
    let signal = Signal {
        id: SignalId::generate(now, engine.entropy.as_ref()),
        source: SourceId::from_u128(900),
        word: Word {
            kind,
            subject: about,
            occurred_at: at,
            facts: facts.as_object().cloned().unwrap_or_else(Map::new),
        },
        digest: String::new(),
        received_at: now,
        state: SignalState::Received,
        outcome: SignalOutcome::default(),
    };
    put(world, |changeset| {
        changeset.insert(&signal);
        changeset.due.push(DueChange::Set(DueKind::Signal, signal.id.to_string(), now));
    })
    .await;
    for _ in 0..20 {
        deadlines::work_due(engine).await.unwrap();
        let stored = engine.must::<Signal>("signal", signal.id).await.unwrap();
        if stored.state != SignalState::Received {
            return (*stored.value).clone();
        }
    }
    panic!("the signal was not worked off")
}

/// So many active identities of a repository.
async fn of_repository(world: &World, first: u128, count: u128) {
    let owner = world.admin.person_id().unwrap();
    put(world, |changeset| {
        for id in first..first + count {
            let charter = CharterDraft { repositories: vec![REPOSITORY.into()], ..CharterDraft::default() };
            changeset.insert(&active(id, charter, owner, world.engine.now()));
        }
    })
    .await;
}

async fn state(world: &World, id: u128) -> IdentityState {
    let identity = world.engine.must::<Identity>("identity", IdentityId::from_u128(id)).await.unwrap();
    identity.state
}

async fn settled(world: &World) {
    while deadlines::work_due(&world.engine).await.unwrap() > 0 {}
}

#[tokio::test]
async fn ten_thousand_identities_are_cut_and_held_by_one_record_each_and_retire_in_batches() {
    const IDENTITIES: u128 = 10_000;
    let world = world().await;
    let engine = &world.engine;
    let owner = world.admin.person_id().unwrap();
    let now = engine.now();
    let application = Application {
        id: ApplicationId::from_u128(1),
        name: "billing".into(),
        owner,
        removal_group: None,
        standing: Standing::Open,
        created_at: now,
    };
    put(&world, |changeset| {
        changeset.insert(&application);
    })
    .await;
    for first in (1..=IDENTITIES).step_by(500) {
        put(&world, |changeset| {
            for id in first..first + 500 {
                let charter = CharterDraft { application: Some(application.id), ..CharterDraft::default() };
                changeset.insert(&active(id, charter, owner, now));
            }
        })
        .await;
    }
    let ask = |dry_run, expect| NewRemoval {
        subject: subject(SubjectKind::Application, "billing"),
        kind: None,
        reason: "replaced".into(),
        compromise: false,
        dry_run,
        expect,
    };
    let before = world.size().await;
    let plan = removals::raise_removal(engine, &world.admin, ask(true, None)).await.unwrap().record;
    assert_eq!((world.size().await, plan.blast.count, plan.blast.identities.len()), (before, 10_000, 1_000));
    let removal =
        removals::raise_removal(engine, &world.admin, ask(false, Some(plan.digest.clone()))).await.unwrap().record;
    assert_eq!((removal.digest, removal.state.get(), removal.receipts.len()), (plan.digest, RemovalState::Held, 1));
    assert_eq!(world.size().await, before + 2, "one commit with the raising and the holding, whatever the number");
    // Nobody retires before the hold is over, and what was raised isn't raised twice.
    assert!(removals::raise_removal(engine, &world.admin, ask(false, None)).await.is_err());
    settled(&world).await;
    assert_eq!(state(&world, 1).await, IdentityState::Active);
    world.clock.advance(Span::from_days(7));
    deadlines::work_due(engine).await.unwrap();
    let retiring = engine.must::<Removal>("removal", removal.id).await.unwrap();
    assert_eq!((retiring.state.get(), retiring.retired), (RemovalState::Retiring, 50));
    assert_eq!(engine.must::<Application>("application", application.id).await.unwrap().standing, Standing::Closed);
    assert_eq!(
        (state(&world, 50).await != IdentityState::Active, state(&world, 51).await),
        (true, IdentityState::Active)
    );
    deadlines::work_due(engine).await.unwrap();
    assert_eq!(engine.must::<Removal>("removal", removal.id).await.unwrap().retired, 100);
}

#[tokio::test]
async fn more_than_fit_in_one_commit_are_held_right_after_and_let_go_by_somebody_else() {
    let world = world().await;
    let engine = &world.engine;
    source(&world, 1_000).await;
    of_repository(&world, 1, 250).await;
    let signal =
        say(&world, SignalKind::PipelineDeleted, subject(SubjectKind::Repository, "Acme/Payments"), None, json!({}))
            .await;
    let id = signal.outcome.removal.unwrap();
    settled(&world).await;
    for n in [1, 100, 101, 250] {
        assert_eq!(state(&world, n).await, IdentityState::Suspended, "{n}");
    }
    // Who answers for the source placed it, and doesn't lift it; nor does anybody who isn't of security.
    let released =
        |caller: Caller| async move { removals::release_removal(engine, &caller, id, "false alarm".into()).await };
    assert!(released(world.admin.clone()).await.is_err());
    assert!(released(world.person(Role::Owner).await).await.is_err());
    let held = engine.must::<Removal>("removal", id).await.unwrap();
    assert_eq!((held.blast.count, held.receipts.len()), (250, 100));
    let security = world.person(Role::Security).await;
    released(security).await.unwrap();
    settled(&world).await;
    // Their owner is there, and nothing else held them.
    for n in [1, 100, 101, 250] {
        assert_eq!(state(&world, n).await, IdentityState::Active, "{n}");
    }
    world.clock.advance(Span::from_days(8));
    settled(&world).await;
    assert!(state(&world, 1).await != IdentityState::Retiring, "what was released doesn't retire");
}

#[tokio::test]
async fn s12_many_small_signals_come_to_the_same_as_a_large_one() {
    let world = world().await;
    let engine = &world.engine;
    source(&world, 3).await;
    let owner = world.admin.person_id().unwrap();
    put(&world, |changeset| {
        for id in 1..=6 {
            let charter = CharterDraft {
                workload_binding: Some(WorkloadBinding::JoinToken { workload: format!("prod/w{id}") }),
                ..CharterDraft::default()
            };
            changeset.insert(&active(id, charter, owner, engine.now()));
        }
    })
    .await;
    let gone = async |n: u128| {
        world.clock.advance(Span::from_mins(1));
        say(&world, SignalKind::WorkloadRemoved, subject(SubjectKind::Workload, &format!("prod/w{n}")), None, json!({}))
            .await
    };
    for n in 1..=3 {
        gone(n).await;
        assert_eq!(state(&world, n).await, IdentityState::Suspended);
    }
    let waiting = gone(4).await.outcome.removal.unwrap();
    assert_eq!(state(&world, 4).await, IdentityState::Active);
    assert_eq!(engine.must::<Removal>("removal", waiting).await.unwrap().state, RemovalState::Waiting);
    // It waits for a person of security who has seen what it does, however long, and for no time.
    let digest = |view: Revised<Removal>| ConfirmRemoval { digest: view.record.digest };
    let security = world.person(Role::Security).await;
    let old = digest(removals::removal(engine, &security, waiting).await.unwrap());
    put(&world, |changeset| {
        let charter = CharterDraft {
            workload_binding: Some(WorkloadBinding::JoinToken { workload: "prod/w4".into() }),
            ..CharterDraft::default()
        };
        changeset.insert(&active(40, charter, owner, engine.now()));
    })
    .await;
    assert!(matches!(
        removals::confirm_removal(engine, &security, waiting, old).await,
        Err(OpError::Refused { reason: Reason::PlanChanged, .. })
    ));
    let seen = digest(removals::removal(engine, &security, waiting).await.unwrap());
    assert!(removals::confirm_removal(engine, &world.admin, waiting, seen.clone()).await.is_err());
    removals::confirm_removal(engine, &security, waiting, seen).await.unwrap();
    assert_eq!((state(&world, 4).await, state(&world, 40).await), (IdentityState::Suspended, IdentityState::Suspended));
    // An hour later the source may hold again.
    world.clock.advance(Span::from_mins(61));
    gone(5).await;
    assert_eq!(state(&world, 5).await, IdentityState::Suspended);
}

fn template() -> Template {
    Template {
        name: "service".into(),
        description: "services".into(),
        kind: Kind::Workload,
        defaults: CharterDraft::default(),
        default_life: Span::from_mins(30),
        max_life: Span::from_mins(60),
        max_credential_ttl: None,
        environments: Vec::new(),
        max_scope: Vec::new(),
        max_tier: tenure_core::identity::RiskTier::High,
        repositories: Vec::new(),
        when_over: WhenOver::Refuse,
        version: 1,
        changed_at: Timestamp::from_secs(0),
    }
}

#[tokio::test]
async fn s12_a_signal_never_brings_back_what_stands_or_has_ended_and_an_older_one_makes_nothing() {
    let world = world().await;
    let engine = &world.engine;
    source(&world, 100).await;
    put(&world, |changeset| {
        changeset.insert(&template());
    })
    .await;
    let owner = world.admin.person_id().unwrap();
    let web = || subject(SubjectKind::Workload, "prod/web");
    let early = engine.now();
    world.clock.advance(Span::from_mins(5));
    // The end is heard of before the beginning that came first.
    say(&world, SignalKind::WorkloadRemoved, web(), None, json!({})).await;
    let stale = say(&world, SignalKind::WorkloadCreated, web(), Some(early), json!({})).await;
    assert_eq!((stale.state, stale.outcome.identities.len()), (SignalState::Stale, 0));
    // A newer one makes one draft, and no more.
    world.clock.advance(Span::from_mins(1));
    let made = say(&world, SignalKind::WorkloadCreated, web(), None, json!({})).await;
    let draft = *made.outcome.identities.first().unwrap();
    let stored = engine.must::<Identity>("identity", draft).await.unwrap();
    assert_eq!((stored.state, stored.registered_by, stored.name.as_str()), (IdentityState::Draft, owner, "prod-web"));
    world.clock.advance(Span::from_mins(1));
    let again = say(&world, SignalKind::WorkloadCreated, web(), None, json!({})).await;
    assert_eq!(again.outcome.identities, [draft]);
    // Whatever state an identity is in, it stays in it.
    for (n, held) in [(1_u128, IdentityState::Suspended), (2, IdentityState::Retiring)] {
        let workload = format!("prod/old-{n}");
        let charter = CharterDraft {
            workload_binding: Some(WorkloadBinding::JoinToken { workload: workload.clone() }),
            ..CharterDraft::default()
        };
        let mut identity = active(n, charter, owner, engine.now());
        identity.state = held;
        put(&world, |changeset| {
            changeset.insert(&identity);
        })
        .await;
        say(&world, SignalKind::WorkloadCreated, subject(SubjectKind::Workload, &workload), None, json!({})).await;
        assert_eq!(state(&world, n).await, held);
    }
}

#[tokio::test]
async fn a_mover_holds_what_it_contradicts_and_demands_newer_proofs_of_the_rest() {
    let world = world().await;
    let engine = &world.engine;
    source(&world, 100).await;
    of_repository(&world, 1, 2).await;
    for (n, id) in [(1_u128, "74"), (2, "75")] {
        let identity = engine.must::<Identity>("identity", IdentityId::from_u128(n)).await.unwrap();
        let binding = Binding {
            id: BindingId::from_u128(n),
            identity: identity.id,
            workload: "ci".into(),
            matches: BindingMatch::Oidc {
                issuer: IssuerId::from_u128(1),
                claims: BTreeMap::from([("repository_id".to_owned(), json!(id))]),
            },
            state: BindingState::Live,
            consumer: None,
            enrolled_with: None,
            recheck: None,
            instances: Vec::new(),
            created_at: engine.now(),
        };
        let mut bound = (*identity.value).clone();
        bound.bindings.push(binding.id);
        put(&world, |changeset| {
            changeset.replace(&identity, &bound).insert(&binding);
        })
        .await;
    }
    let moved = say(
        &world,
        SignalKind::RepositoryMoved,
        subject(SubjectKind::Repository, REPOSITORY),
        None,
        json!({"repository_id": 74}),
    )
    .await;
    assert_eq!(moved.outcome.identities.len(), 2);
    let broken = engine.must::<Identity>("identity", IdentityId::from_u128(2)).await.unwrap();
    assert_eq!((state(&world, 1).await, broken.state), (IdentityState::Active, IdentityState::Suspended));
    assert_eq!(broken.suspensions.first().unwrap().kind, SuspensionKind::BindingBroken);
    for n in [1, 2] {
        let binding = engine.must::<Binding>("binding", BindingId::from_u128(n)).await.unwrap();
        assert_eq!(binding.recheck.as_ref().unwrap().because, moved.id);
    }
}

#[tokio::test]
async fn an_identity_that_cannot_be_read_keeps_its_removal_from_being_done() {
    let world = world().await;
    source(&world, 500).await;
    of_repository(&world, 100, 3).await;
    let about = subject(SubjectKind::Repository, REPOSITORY);
    let said = say(&world, SignalKind::RepositoryArchived, about, None, json!({})).await;
    let removal = said.outcome.removal.unwrap();
    world.spoil::<Identity>(IdentityId::from_u128(101)).await;
    world.clock.advance(HOLD);
    for _ in 0..3 {
        deadlines::work_due(&world.engine).await.unwrap();
        world.clock.advance(Span::from_mins(5));
    }
    let standing = world.engine.must::<Removal>("removal", removal).await.unwrap();
    assert_eq!((standing.state.get(), standing.retired), (RemovalState::Held, 0));
    for id in [100, 102] {
        assert_ne!(state(&world, id).await, IdentityState::Active, "{id}");
    }
}

#[tokio::test]
async fn d02_a_removal_is_found_by_each_identity_that_it_concerns() {
    let world = world().await;
    source(&world, 500).await;
    of_repository(&world, 100, 70).await;
    let said =
        say(&world, SignalKind::RepositoryArchived, subject(SubjectKind::Repository, REPOSITORY), None, json!({}))
            .await;
    assert!(said.outcome.removal.is_some(), "{:?}", said.outcome);
    let owner = world.admin.person_id().unwrap();
    put(&world, |changeset| {
        changeset.insert(&active(2_000, CharterDraft::default(), owner, world.engine.now()));
    })
    .await;
    let found = async |id: u128| {
        let ask = ListAsk::default().only(Removal::IDENTITY.of(IdentityId::from_u128(id)));
        removals::removals(&world.engine, &world.admin, ask).await.unwrap().items.len()
    };
    for id in [100, 163, 164, 169] {
        assert_eq!(found(id).await, 1, "{id}");
    }
    assert_eq!(found(2_000).await, 0);
}
