//! Who is refused leaves a record, and nobody can fill the log with it; what time has to do with who is refused.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure_api::request::NewVote;
use tenure_api::requests::{Enrol, NewIdentity, Revocation};
use tenure_core::base::id::{IdentityId, JoinTokenId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::IdentityState;
use tenure_core::people::person::Role;
use tenure_core::store::row::Position;
use tenure_credentials::opaque::Parsed;

use super::*;
use crate::credentials::token::ask::{Grant, TokenAsk};
use crate::credentials::token::{self, Presented, Proof};
use crate::credentials::{liveness, revocation};
use crate::identities::{enrolment, lifecycle, registration};
use crate::inventory::directory;
use crate::kernel::aggregates::{Aggregates, MAX_HELD, MAX_NAMED};
use crate::kernel::caller::{self, Caller};
use crate::log::reading;
use crate::log::seal::tests::{World, world};
use crate::matters::{request, roles, votes};
use crate::people::{operator_tokens, person};
use crate::run::purging;

const MINUTE: Span = Span::from_mins(1);

struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
    fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())})
    }
    fn sign(&self, typ: &str, claims: &Value) -> String {
        let input = [json!({"alg": "EdDSA", "typ": typ}), claims.clone()]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes())))
    }
}

/// A world with an identity that proves itself by a key, or that enrols with a join token.
struct Org {
    world: World,
    owner: Caller,
    id: IdentityId,
    key: Key,
    proofs: std::cell::Cell<u32>,
}

fn ask<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

async fn org(binding: impl Fn(&Key) -> Value) -> Org {
    let (world, key) = (world().await, Key::new(1));
    let engine = &world.engine;
    let manager = world.person(Role::Manager).await;
    let named = json!({"name": "Olu", "roles": ["requester", "owner"], "manager": manager.person_id()});
    let owner = roles::create_person(engine, &world.admin, ask(named)).await.unwrap().record.id;
    let token = operator_tokens::create_operator_token(engine, &world.admin, owner, Default::default()).await.unwrap();
    let caller = caller::authenticate_person(engine, &token.operator_token).await.unwrap();
    directory::create_environment(engine, &world.admin, ask(json!({"name": "prod", "production": true})))
        .await
        .unwrap();
    let team = person::create_team(engine, &world.admin, ask(json!({"name": "removers"}))).await.unwrap().record.id;
    person::change_person(engine, &world.admin, owner, ask(json!({"teams": [team]}))).await.unwrap();
    let caller = caller::still(engine, &caller).await.unwrap();
    let application = directory::create_application(
        engine,
        &world.admin,
        ask(json!({"name": "billing", "owner": owner, "removal_group": team})),
    )
    .await
    .unwrap()
    .record
    .id;
    let resource = json!({"uri": "https://orders.internal", "type": "database", "actions": ["read"], "application": application, "environment": "prod", "verification": "online"});
    let resource = directory::create_resource(engine, &world.admin, ask(resource)).await.unwrap().record.id;
    let identity: NewIdentity = ask(json!({"kind": "workload", "name": "exporter", "stage": "pending", "charter": {
        "owner": owner,
        "purpose": "exports invoices",
        "scope": [{"actions": ["read"], "resource": resource}],
        "trust_boundary": {"type": "trust_domain", "value": "prod.example.com"},
        "environment": "prod",
        "application": application,
        "workload_binding": binding(&key),
        "expires_at": engine.now().plus(Span::from_days(30)),
        "retirement": [{"type": "idle", "after": "30d"}],
        "rotation_cadence": "30d",
        "coverage": "role_based",
        "parties": {"requester": owner, "operator": "billing", "beneficiary": "finance"},
    }}));
    let record = Box::pin(registration::register(engine, &caller, identity)).await.unwrap().record;
    let (id, request) = (record.id, record.request.unwrap());
    let vote = NewVote {
        content_hash: request::request(engine, &manager, request).await.unwrap().request.content_hash,
        comment: String::new(),
    };
    votes::activate(engine, &manager, id, vote).await.unwrap();
    Org { world, owner: caller, id, key, proofs: std::cell::Cell::new(0) }
}

fn by_key(key: &Key) -> Value {
    json!({"type": "public_key", "workload": "w", "jwk": key.jwk()})
}

fn by_join_token(_: &Key) -> Value {
    json!({"type": "join_token", "workload": "w"})
}

impl Org {
    /// Asks for a token with a fresh proof that holds on the wall clock.
    async fn ask(&self, scope: Option<&str>) -> Result<tenure_core::base::id::CredentialId, OpError> {
        let engine = &self.world.engine;
        let now = engine.now().as_secs();
        self.proofs.set(self.proofs.get() + 1);
        let claims = json!({"iss": self.id, "sub": self.id, "aud": engine.issuer_of("prod"), "jti": self.proofs.get().to_string(), "iat": now, "exp": now + 60});
        let ask = TokenAsk {
            environment: "prod".into(),
            client_id: None,
            proof: Proof::ClientAssertion(self.key.sign("client-authentication+jwt", &claims)),
            resource: None,
            scope: scope.map(str::to_owned),
            authorization_details: None,
            grant: Grant::Own,
            sender: Presented::default(),
            source: "192.0.2.1".into(),
        };
        token::issue_token(engine, ask).await.map(|issued| issued.credential)
    }

    async fn join_token(&self) -> String {
        enrolment::create_join_token(&self.world.engine, &self.owner, self.id).await.unwrap().join_token
    }

    async fn enrol(&self, key: &Key, join_token: &str) -> Result<(), OpError> {
        let engine = &self.world.engine;
        let now = engine.now().as_secs();
        let id: JoinTokenId = Parsed::parse(join_token).unwrap().id().unwrap();
        self.proofs.set(self.proofs.get() + 1);
        let claims = json!({"aud": engine.issuer_of("prod"), "join_token_id": id, "jti": self.proofs.get().to_string(), "iat": now, "exp": now + 60});
        let ask = Enrol { join_token: join_token.into(), jwk: key.jwk(), proof: key.sign("tenure-enrol+jwt", &claims) };
        enrolment::enrol(engine, ask, "192.0.2.1").await.map(|_| ())
    }

    async fn state(&self) -> IdentityState {
        registration::identity(&self.world.engine, &self.owner, self.id).await.unwrap().record.state
    }
}

#[track_caller]
fn reason<T>(result: Result<T, OpError>) -> Reason {
    let Err(error) = result else { panic!("it was not refused") };
    match error {
        OpError::Refused { reason, .. } | OpError::Unauthenticated(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Kinds, reasons, sources and counts of the refusals from a position on.
async fn refusals(world: &World, from: u64) -> Vec<(String, String, String, u64)> {
    let auditor = world.person(tenure_core::people::person::Role::Auditor).await;
    let mut found = Vec::new();
    let mut after = Position { shard: 0, index: from - 1 };
    loop {
        let page = reading::events_after(&world.engine, &auditor, Some(after), 500).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = last.position;
        for event in page.into_iter().filter(|event| event.kind.starts_with("access.refused")) {
            let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let count = event.data.get("count").and_then(Value::as_u64).unwrap_or(1);
            found.push((event.kind.clone(), text("reason"), text("source"), count));
        }
    }
}

#[tokio::test]
async fn ten_thousand_strangers_make_a_bounded_number_of_events() {
    let world = world().await;
    let from = world.size().await;
    for n in 0..10_000 {
        let reason = [Reason::ProofInvalid, Reason::ProofMissing, Reason::IdentityUnknown][n % 3];
        world.engine.count_stranger(reason, &format!("10.0.{}.{}", n / 256, n % 256));
    }
    // The minute is still running: nothing is written.
    world.engine.flush_refusals(false).await.unwrap();
    assert_eq!(world.size().await, from);
    world.clock.advance(MINUTE);
    world.engine.flush_refusals(false).await.unwrap();
    let written = world.size().await - from;
    assert!((1_000..=1_003).contains(&written), "{written}");
    // Written once, and none of them is lost.
    world.engine.flush_refusals(true).await.unwrap();
    assert_eq!(world.size().await, from + written);
    let found = refusals(&world, from).await;
    assert!(found.iter().all(|(kind, ..)| kind == "access.refused_aggregate"));
    assert_eq!(found.iter().map(|(.., count)| count).sum::<u64>(), 10_000);
    let others: BTreeMap<&str, u64> = found
        .iter()
        .filter(|(_, _, source, _)| source == "others")
        .map(|(_, reason, _, count)| (reason.as_str(), *count))
        .collect();
    assert_eq!(others.len(), 3);
    assert_eq!(others.values().sum::<u64>(), 9_000);

    // One source that knocks as often is one event a reason, and the next minute has room again.
    let from = world.size().await;
    for _ in 0..10_000 {
        world.engine.count_stranger(Reason::ProofInvalid, "192.0.2.1");
    }
    world.clock.advance(MINUTE);
    world.engine.flush_refusals(false).await.unwrap();
    assert_eq!(
        refusals(&world, from).await,
        [("access.refused_aggregate".into(), "proof_invalid".into(), "192.0.2.1".into(), 10_000)]
    );
}

#[test]
fn what_could_not_be_written_is_counted_on() {
    let aggregates = Aggregates::default();
    let (first, next) = (Timestamp::from_secs(60), Timestamp::from_secs(120));
    aggregates.count(first, "proof_invalid", "192.0.2.1");
    let taken = aggregates.take_before(next);
    assert_eq!(taken.len(), 1);
    aggregates.put_back(taken);
    aggregates.count(first, "proof_invalid", "192.0.2.1");
    assert_eq!(aggregates.take_before(next), [((first, "proof_invalid".into(), "192.0.2.1".into()), 2)]);
    assert!(aggregates.take_before(next).is_empty());
}

#[test]
fn s16_no_number_of_addresses_makes_more_lines_than_an_hour_has() {
    let aggregates = Aggregates::default();
    let address = |n: usize| format!("2001:db8:{:x}:{:x}::/64", n / 60_000, n % 60_000);
    let (mut lines, mut counted) = (0, 0);
    for minute in 0..60 {
        let now = Timestamp::from_secs(3_600 + minute * 60);
        for n in 0..5_000 {
            let reason = ["proof_invalid", "proof_missing"][n % 2];
            aggregates.count(now, reason, &address(usize::try_from(minute).unwrap() * 5_000 + n));
        }
        let taken = aggregates.take_before(now.plus(MINUTE));
        lines += taken.len();
        counted += taken.iter().map(|(_, count)| count).sum::<u64>();
    }
    assert_eq!(counted, 300_000, "each is counted");
    // The named ones of the hour, and a line for each reason in each minute.
    assert_eq!(lines, MAX_NAMED + 2 * 60);
    // The next hour has names again.
    aggregates.count(Timestamp::from_secs(7_200), "proof_invalid", "192.0.2.1");
    assert_eq!(aggregates.take_before(Timestamp::from_secs(8_000))[0].0.2, "192.0.2.1");
}

#[test]
fn s16_what_cannot_be_written_for_days_stays_small() {
    let aggregates = Aggregates::default();
    for minute in 0..3 * 1_440_u32 {
        for n in 0..3 {
            let now = Timestamp::from_secs(i64::from(minute) * 60);
            aggregates.count(now, ["a", "b"][n % 2], &format!("10.{}.{}.{n}", minute / 250, minute % 250));
        }
    }
    let taken = aggregates.take_before(Timestamp::from_secs(1 << 40));
    assert!(taken.len() <= MAX_HELD + 2, "{}", taken.len());
    assert_eq!(taken.iter().map(|(_, count)| count).sum::<u64>(), 3 * 3 * 1_440);
}

#[tokio::test]
async fn a_known_caller_beyond_its_budget_is_counted() {
    let org = org(by_key).await;
    let world = &org.world;
    org.ask(None).await.unwrap();
    let from = world.size().await;
    let budget = u64::from(world.engine.settings().refusal_budget);
    for _ in 0..200 {
        assert_eq!(reason(org.ask(Some("write")).await), Reason::OutsideScope);
    }
    assert_eq!(world.size().await, from + budget);
    world.clock.advance(MINUTE);
    world.engine.flush_refusals(false).await.unwrap();
    assert_eq!(world.size().await, from + budget + 1);
    // Its own name stands where a stranger's address would, and the new minute has a new budget.
    org.ask(Some("write")).await.unwrap_err();
    let found = refusals(world, from).await;
    let (last, rest) = found.split_last().unwrap();
    assert_eq!((last.0.as_str(), last.1.as_str()), ("access.refused", "outside_scope"));
    assert_eq!(
        rest.last().unwrap(),
        &("access.refused_aggregate".into(), "outside_scope".into(), org.id.to_string(), 200 - budget)
    );
    // To be refused often doesn't stop what is allowed.
    org.ask(None).await.unwrap();
}

#[tokio::test]
async fn somebody_else_cannot_spend_an_identitys_budget() {
    let org = org(by_key).await;
    let from = org.world.size().await;
    for n in 0..200u32 {
        // Under its name, by a key that is not its own.
        let claims = json!({"iss": org.id, "sub": org.id, "aud": org.world.engine.issuer_of("prod"), "jti": n.to_string(), "exp": org.world.engine.now().as_secs() + 60});
        let proof = Proof::ClientAssertion(Key::new(9).sign("client-authentication+jwt", &claims));
        let ask = TokenAsk {
            environment: "prod".into(),
            client_id: Some(org.id.to_string()),
            proof,
            resource: None,
            scope: None,
            authorization_details: None,
            grant: Grant::Own,
            sender: Presented::default(),
            source: "192.0.2.1".into(),
        };
        assert_eq!(reason(token::issue_token(&org.world.engine, ask).await), Reason::ProofInvalid);
    }
    assert_eq!(org.world.size().await, from);
    org.ask(Some("write")).await.unwrap_err();
    assert_eq!(org.world.size().await, from + 1);
    org.ask(None).await.unwrap();
}

#[tokio::test]
async fn a_join_token_is_good_for_ten_minutes() {
    let org = org(by_join_token).await;
    let late = org.join_token().await;
    org.world.clock.advance(Span::from_mins(10));
    let from = org.world.size().await;
    assert_eq!(reason(org.enrol(&org.key, &late).await), Reason::JoinTokenSpent);
    assert_eq!(refusals(&org.world, from).await[0].1, "join_token_spent");
    // To be late is no sign of theft.
    assert_eq!(org.state().await, IdentityState::Active);
    assert_eq!(reason(org.ask(None).await), Reason::ProofInvalid);

    let in_time = org.join_token().await;
    org.world.clock.advance(Span::from_micros(Span::from_mins(10).as_micros() - 1));
    org.enrol(&org.key, &in_time).await.unwrap();
    org.ask(None).await.unwrap();
    // A second presentation is, however late it comes.
    org.world.clock.advance(Span::from_days(1));
    assert_eq!(reason(org.enrol(&Key::new(2), &in_time).await), Reason::JoinTokenSpent);
    assert_eq!(org.state().await, IdentityState::Suspended);
    assert!(matches!(reason(org.ask(None).await), Reason::IdentitySuspended | Reason::BindingSuspended));
}

#[tokio::test]
async fn a_clock_that_steps_stops_issuance_but_no_revocation() {
    let tolerance = tenure_core::base::time::Span::from_mins(5).as_micros();
    for step in [tolerance + 1, -(tolerance + 1)] {
        let org = org(by_key).await;
        let world = &org.world;
        let credential = org.ask(None).await.unwrap();
        world.clock.step(step.signum() * tolerance);
        let tolerated = org.ask(None).await.unwrap();
        world.clock.step(step.signum());
        let from = world.size().await;
        assert_eq!(reason(org.ask(None).await), Reason::ClockUnreliable);
        assert_eq!(refusals(world, from).await[0].1, "clock_unreliable");
        assert_eq!(purging::purge(&world.engine).await.unwrap(), 0);

        let security = world.person(tenure_core::people::person::Role::Security).await;
        for target in [json!({"type": "credential", "id": credential}), json!({"type": "identity", "id": org.id})] {
            let ask: Revocation = ask(json!({"target": target, "reason": "test"}));
            revocation::revoke(&world.engine, &security, ask).await.unwrap();
        }
        for dead in [credential, tolerated] {
            let state = liveness::credential(&world.engine, &security, dead).await.unwrap().state;
            assert_ne!(state, "live", "after a step of {step} µs");
        }
        lifecycle::suspend(&world.engine, &security, org.id, "test".into()).await.unwrap();
        // Set right again, the clock is trusted again, and what was revoked stays so.
        world.clock.step(-step.signum() * (tolerance + 1));
        assert_eq!(reason(org.ask(None).await), Reason::IdentitySuspended);
    }
}

#[tokio::test]
async fn a_clock_that_steps_stops_enrolment_and_still_hears_a_replay() {
    let org = org(by_join_token).await;
    let (one, two) = (org.join_token().await, org.join_token().await);
    org.enrol(&org.key, &one).await.unwrap();
    org.world.clock.step(Span::from_mins(6).as_micros());
    assert_eq!(reason(org.enrol(&Key::new(2), &two).await), Reason::ClockUnreliable);
    assert_eq!(org.state().await, IdentityState::Active);
    assert_eq!(reason(org.enrol(&Key::new(2), &one).await), Reason::JoinTokenSpent);
    assert_eq!(org.state().await, IdentityState::Suspended);
}
