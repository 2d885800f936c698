use tenure_core::base::id::{AccountId, TargetId};
use tenure_core::finding::debt::DebtTrend;
use tenure_core::finding::{FindingState, Rule};
use tenure_core::identity::delegation::Delegate;
use tenure_core::identity::{CharterDraft, RiskTier};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::connector::{AccountSort, SeenAccount};

use super::*;
use crate::kernel::work::system;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;
use crate::run::deadlines;

fn id(n: u128) -> IdentityId {
    IdentityId::from_u128(n)
}

async fn write(world: &World, insert: impl FnOnce(&mut Changeset)) {
    let now = world.engine.now();
    let mut changeset = Changeset::new(system(), now, world.engine.event(now, EventKind::PersonChanged));
    insert(&mut changeset);
    world.engine.settle(changeset).await.unwrap().unwrap();
}

async fn open(world: &World, rule: &Rule) -> Vec<Stored<Finding>> {
    let open = Query::of([Finding::RULE.of(rule.id), Finding::STATE.of(FindingState::Open)]);
    world.engine.find(open).await.unwrap().whole().unwrap()
}

fn account(of: IdentityId, grants: &[&str]) -> Account {
    Account {
        id: AccountId::from_u128(1),
        target: TargetId::from_u128(1),
        identity: of,
        seen: SeenAccount {
            key: "AROA1".into(),
            name: "deployer".into(),
            enabled: true,
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            sort: AccountSort::Role,
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: None,
            built_in: false,
            privileged: false,
            more_grants: 0,
            marks: BTreeMap::new(),
        },
        found_at: Timestamp::default(),
        seen_at: Timestamp::default(),
        absent_since: None,
        seen_in_part: false,
        secret_after: None,
        claim_by: Timestamp::MAX,
        proposed: None,
        state: AccountState::Standing,
        intent: None,
        narrowing: None,
        stray: false,
        rotation: None,
    }
}

#[tokio::test]
async fn r41_the_nightly_look_finds_what_no_look_of_its_own_follows_and_writes_nothing_twice() {
    let world = world().await;
    let engine = &world.engine;
    let owner = world.admin.person_id().unwrap();
    write(&world, |changeset| {
        // Nothing had it looked at: its record was written past every use case.
        changeset.insert(&active(1, CharterDraft::default(), owner, engine.now()));
    })
    .await;
    let run = look_over_everything(engine).await.unwrap();
    assert_eq!((run.identities, run.looks), (1, 1));
    deadlines::work_due(engine).await.unwrap();
    assert_eq!(open(&world, &rules::MISSING_SCOPE).await.len(), 1);
    let run = look_over_everything(engine).await.unwrap();
    assert_eq!((run.identities, run.looks, run.settled), (1, 0, 0), "what is found is not looked at again");
    let trend = engine.one::<DebtTrend>(DebtTrend::ID).await.unwrap().unwrap();
    assert_eq!((trend.days.len(), trend.days[0].findings > 0), (1, true));
}

#[tokio::test]
async fn nhi6_a_trust_that_fixes_nobody_is_found_until_it_does() {
    let world = world().await;
    let open_trust =
        ["TRUST FEDERATED arn:aws:iam::1:oidc-provider/x IF {\"StringEquals\":{\"x:aud\":\"sts.amazonaws.com\"}}"];
    write(&world, |changeset| {
        changeset.insert(&account(id(1), &open_trust));
    })
    .await;
    look_over_everything(&world.engine).await.unwrap();
    let found = open(&world, &rules::OPEN_TRUST).await;
    assert_eq!((found.len(), found[0].subject.as_str()), (1, id(1).to_string().as_str()));
    assert_eq!(found[0].evidence["left_open"], "no subject is fixed");
    let stored = world.engine.must::<Account>("account", AccountId::from_u128(1)).await.unwrap();
    let fixed = r#"TRUST FEDERATED arn:aws:iam::1:oidc-provider/x IF {"StringEquals":{"x:aud":"a","x:sub":"b"}}"#;
    write(&world, |changeset| {
        changeset.replace(&stored, &account(id(1), &[fixed]));
    })
    .await;
    let run = look_over_everything(&world.engine).await.unwrap();
    assert_eq!((run.settled, open(&world, &rules::OPEN_TRUST).await.len()), (1, 0));
}

#[tokio::test]
async fn r98_what_is_nobodys_for_a_week_and_what_outlives_its_identity_is_found() {
    let world = world().await;
    let engine = &world.engine;
    let (owner, now) = (world.admin.person_id().unwrap(), engine.now());
    let found = Identity {
        state: IdentityState::Discovered,
        activation: None,
        charter: CharterDraft::default(),
        ..active(2, CharterDraft::default(), owner, now)
    };
    let retired = active(1, CharterDraft::default(), owner, now).retire("by_hand".into(), now).unwrap();
    write(&world, |changeset| {
        changeset.insert(&found).insert(&retired).insert(&account(id(1), &[]));
    })
    .await;
    look_over_everything(engine).await.unwrap();
    assert!(open(&world, &rules::UNOWNED_DISCOVERED).await.is_empty());
    assert!(open(&world, &rules::SECRET_OUTLIVES).await.is_empty());
    world.clock.advance(Span::from_days(8));
    look_over_everything(engine).await.unwrap();
    assert_eq!(open(&world, &rules::UNOWNED_DISCOVERED).await[0].subject, id(2).to_string());
    assert_eq!(open(&world, &rules::SECRET_OUTLIVES).await[0].subject, id(1).to_string());
}

#[tokio::test]
async fn a_path_of_delegation_that_no_link_shows_is_found_with_the_path() {
    let world = world().await;
    let owner = world.admin.person_id().unwrap();
    let delegate = |actor: u128, onward| Delegate {
        actor: id(actor),
        scope: vec![Entitlement { actions: vec!["read".into()], resource: "orders".into() }],
        onward,
    };
    let charter = |delegates| CharterDraft { delegates, ..CharterDraft::default() };
    let now = world.engine.now();
    write(&world, |changeset| {
        let low = Identity { tier: RiskTier::Low, ..active(1, charter(Vec::new()), owner, now) };
        changeset.insert(&low);
        changeset.insert(&active(2, charter(vec![delegate(1, 0)]), owner, now));
        changeset.insert(&active(3, charter(vec![delegate(2, 1)]), owner, now));
    })
    .await;
    look_over_everything(&world.engine).await.unwrap();
    let found = open(&world, &rules::TOXIC_PATH).await;
    assert_eq!(
        (found.len(), found[0].subject.clone(), found[0].detail.clone()),
        (1, id(1).to_string(), id(3).to_string())
    );
    assert_eq!(found[0].evidence["path"], json!([id(1), id(2), id(3)]));
    // Whoever is between is stopped: there is no path any more.
    let stored = world.engine.must::<Identity>("identity", id(2)).await.unwrap();
    let stopped = Identity { charter: charter(Vec::new()), ..(*stored.value).clone() };
    write(&world, |changeset| {
        changeset.replace(&stored, &stopped);
    })
    .await;
    look_over_everything(&world.engine).await.unwrap();
    assert!(open(&world, &rules::TOXIC_PATH).await.is_empty());
}
