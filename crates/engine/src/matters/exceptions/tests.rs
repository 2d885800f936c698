use tenure_core::base::state::InState;
use tenure_core::base::time::Span;
use tenure_core::identity::{Activation, CharterDraft, IdentityState, Kind, RiskTier, SuspensionKind};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::exception::{BREACH_GRACE, ExceptionState};
use tenure_core::store::changeset::DueChange;
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;

use super::*;
use crate::kernel::query::Query;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::plan::next_look;
use crate::run::deadlines;

/// An active identity with this charter, as a row of its own.
pub(crate) fn active(id: u128, charter: CharterDraft, person: PersonId, now: Timestamp) -> Identity {
    let activation = Activation {
        request: RequestId::from_u128(1),
        by: Vec::new(),
        at: now,
        purpose: String::new(),
        policies: Vec::new(),
        policy_version: String::new(),
    };
    Identity {
        id: IdentityId::from_u128(id),
        kind: Kind::Workload,
        name: format!("importer-{id}"),
        state: IdentityState::Active,
        charter: CharterDraft { owner: Some(person), ..charter },
        tier: RiskTier::High,
        tier_kept: None,
        struck: Vec::new(),
        deferred: Vec::new(),
        suspensions: Vec::new(),
        valid_after: None,
        bindings: Vec::new(),
        grants: Vec::new(),
        memberships: Vec::new(),
        activation: Some(activation),
        retirement: None,
        template: None,
        request: None,
        transfer: None,
        exceptions: Vec::new(),
        resumed_at: None,
        reviewed_at: None,
        has_accounts: false,
        registered_by: person,
        created_at: now,
    }
}

/// An active identity whose scope is a wildcard, and a breached exception that allows it.
async fn breached(world: &World) -> (IdentityId, ExceptionId) {
    let engine = &world.engine;
    let now = engine.now();
    let person = world.admin.person_id().unwrap();
    let charter = CharterDraft {
        scope: vec![Entitlement { actions: vec!["*".into()], resource: "*".into() }],
        ..CharterDraft::default()
    };
    let mut identity = active(7, charter, person, now);
    let exception = Exception {
        id: ExceptionId::generate(now, engine.entropy.as_ref()),
        kind: ExceptionType::WildcardScope,
        subject: ExceptionSubject::Identity(identity.id),
        reason: "legacy".into(),
        compensating: Vec::new(),
        places: Vec::new(),
        proposed_by: person,
        request: RequestId::from_u128(1),
        approved_by: Vec::new(),
        duration: Span::from_days(90),
        starts_at: None,
        ends_at: None,
        renews: None,
        renewals: 0,
        state: InState::default(),
        breached_at: None,
        accepts: None,
        created_at: now,
    };
    let exception =
        exception.activate(Vec::new(), now, now.plus(Span::from_days(90)), now).unwrap().breach(now).unwrap();
    identity.exceptions.push(exception.id);
    let event = engine.event(now, EventKind::PersonChanged);
    let mut changeset = Changeset::new(Actor::System { part: "test".into() }, now, event);
    changeset.insert(&identity).insert(&exception);
    let due = DueChange::Set(DueKind::Exception, exception.id.to_string(), next_look(&exception, now));
    changeset.due.push(due);
    engine.settle(changeset).await.unwrap().unwrap();
    (identity.id, exception.id)
}

#[tokio::test]
async fn a_breach_that_lasts_withdraws_the_waiver_and_stops_what_rests_on_it() {
    let world = world().await;
    let engine = &world.engine;
    let (identity, exception) = breached(&world).await;
    world.clock.advance(Span::from_micros(BREACH_GRACE.as_micros() - 1));
    deadlines::work_due(engine).await.unwrap();
    assert_eq!(engine.must::<Exception>("exception", exception).await.unwrap().state, ExceptionState::Breached);
    world.clock.advance(Span::from_millis(1));
    deadlines::work_due(engine).await.unwrap();
    assert_eq!(engine.must::<Exception>("exception", exception).await.unwrap().state, ExceptionState::Withdrawn);
    let stopped = engine.must::<Identity>("identity", identity).await.unwrap();
    assert_eq!((stopped.state, stopped.exceptions.len()), (IdentityState::Suspended, 0));
    assert_eq!(stopped.suspensions[0].kind, SuspensionKind::ExceptionEnded);
    let open = Query::of([Finding::SUBJECT.of(identity.to_string()), Finding::STATE.of(FindingState::Open)]);
    let found = engine.find(open).await.unwrap().whole().unwrap();
    assert_eq!((found.len(), found[0].rule.as_str(), found[0].state), (1, "exception-ended", FindingState::Open));
    // Worked off twice it is as it was.
    deadlines::work_due(engine).await.unwrap();
    assert_eq!(engine.must::<Identity>("identity", identity).await.unwrap().suspensions.len(), 1);
}
