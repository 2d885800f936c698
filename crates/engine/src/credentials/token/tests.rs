//! What takes time or a change behind the workload's back: a clock that a test moves, and rows that it writes.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use tenure_api::requests::{Enrol, NewApplication, NewEnvironment, NewResource, Revocation, RevocationTarget};
use tenure_core::base::id::{BindingId, GrantId, RequestId, SignalId};
use tenure_core::base::time::Span;
use tenure_core::finding::Finding;
use tenure_core::finding::exceptional::{Access, ExceptionalAccess};
use tenure_core::identity::Kind;
use tenure_core::identity::binding::{AssertionAudience, Binding, BindingMatch, JOIN_TOKEN_LIFE, Recheck};
use tenure_core::identity::grant::{Grant as Held, GrantState};
use tenure_core::identity::scope::{Membership, Scope};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Verification, WhenUnreachable};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Outcome, Store};
use tenure_core::store::row::{Position, Record};

use super::*;
use crate::credentials::{revocation, token};
use crate::identities::enrolment;
use crate::inventory::directory;
use crate::kernel::query::Query;
use crate::log::reading;
use crate::log::seal::tests::{World, world};
use crate::matters::exceptions::tests::active;

/// An active identity that is bound to a key and holds `read` on a resource.
struct Stage {
    world: World,
    key: Ed25519KeyPair,
    id: IdentityId,
    binding: BindingId,
}

fn jwk(key: &Ed25519KeyPair) -> Json {
    json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref())})
}

fn sign(key: &Ed25519KeyPair, header: &Json, claims: &Json) -> String {
    let input =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).as_ref()))
}

impl Stage {
    async fn set(kind: Kind, workload_binding: impl Fn(&Ed25519KeyPair) -> Json) -> Self {
        let world = world().await;
        let engine = &world.engine;
        let environment = NewEnvironment {
            name: "prod".into(),
            production: true,
            signing_algorithm: tenure_core::trust::signing_key::SigningAlgorithm::EdDsa,
        };
        directory::create_environment(engine, &world.admin, environment).await.unwrap();
        let owner = world.admin.person_id().unwrap();
        let application = NewApplication { name: "billing".into(), owner, removal_group: None };
        let application = directory::create_application(engine, &world.admin, application).await.unwrap().record.id;
        let resource = NewResource {
            uri: "https://orders.internal".into(),
            kind: "database".into(),
            actions: vec!["read".into()],
            application,
            environment: "prod".into(),
            data_domains: Vec::new(),
            verification: Verification::Online,
            when_unreachable: WhenUnreachable::Deny,
            signing_algorithm: None,
        };
        let resource = directory::create_resource(engine, &world.admin, resource).await.unwrap().record.id;
        let (now, key) = (engine.now(), Ed25519KeyPair::generate().unwrap());
        let scope = json!([{"actions": ["read"], "resource": resource}]);
        let charter = json!({
            "owner": owner, "purpose": "exports invoices", "scope": scope, "environment": "prod", "application": application,
            "trust_boundary": {"type": "trust_domain", "value": "prod.example.com"}, "workload_binding": workload_binding(&key),
            "expires_at": now.plus(Span::from_days(20)), "retirement": [{"type": "idle", "after": "20d"}], "rotation_cadence": "30d",
            "coverage": "role_based", "parties": {"requester": owner, "operator": "billing", "beneficiary": "finance"},
            "tasks": if kind == Kind::Agent { json!([{"name": "export", "purpose": "exports", "scope": scope}]) } else { json!([]) },
        });
        let mut identity = active(7, serde_json::from_value(charter).unwrap(), owner, now);
        identity.kind = kind;
        let grant = Held {
            id: GrantId::generate(now, engine.entropy.as_ref()),
            identity: identity.id,
            entitlement: Entitlement { actions: vec!["read".into()], resource: resource.to_string() },
            starts_at: now,
            ends_at: now.plus(Span::from_days(20)),
            state: GrantState::Live,
            request: RequestId::from_u128(1),
            approved_by: Vec::new(),
            policies: Vec::new(),
            purpose: String::new(),
            just_in_time: false,
        };
        let thumbprint = tenure_credentials::assertion::parse_workload_key(&jwk(&key)).unwrap().thumbprint().to_owned();
        let binding = Binding {
            id: BindingId::generate(now, engine.entropy.as_ref()),
            identity: identity.id,
            workload: "w".into(),
            matches: BindingMatch::PublicKey {
                jwk: jwk(&key),
                thumbprint,
                assertion_audience: AssertionAudience::Issuer,
            },
            state: BindingState::Live,
            consumer: None,
            enrolled_with: None,
            recheck: None,
            instances: Vec::new(),
            created_at: now,
        };
        identity.grants.push(grant.id);
        identity.memberships.push(Membership { scope: Scope::Identity(identity.id), joined: Position::default() });
        let stage = Self { id: identity.id, binding: binding.id, key, world };
        stage
            .write(|changeset| {
                if kind != Kind::Bot {
                    identity.bindings.push(binding.id);
                    changeset.insert(&binding);
                }
                changeset.insert(&identity).insert(&grant);
            })
            .await;
        stage
    }

    /// One whose key is bound already.
    async fn bound(kind: Kind) -> Self {
        Self::set(kind, |key| json!({"type": "public_key", "workload": "w", "jwk": jwk(key)})).await
    }

    async fn write(&self, change: impl FnOnce(&mut Changeset)) {
        let engine = &self.world.engine;
        let event = engine.event(engine.now(), EventKind::PersonChanged);
        let mut changeset = Changeset::new(Actor::System { part: "test".into() }, engine.now(), event);
        change(&mut changeset);
        assert!(matches!(self.world.store.commit(changeset).await, Outcome::Committed(_)));
    }

    fn seconds(&self) -> i64 {
        self.world.engine.now().as_secs()
    }

    /// Asks with a proof that says it was made at this time.
    #[expect(clippy::disallowed_methods, reason = "a test at the edge")]
    async fn ask(&self, made_at: i64, source: &str) -> Result<TokenIssued, OpError> {
        let mut jti = [0u8; 16];
        aws_lc_rs::rand::fill(&mut jti).unwrap();
        let issuer = self.world.engine.issuer_of("prod");
        let claims = json!({"iss": self.id, "sub": self.id, "aud": issuer, "jti": URL_SAFE_NO_PAD.encode(jti), "iat": made_at, "exp": self.seconds() + 60});
        let task = json!([{"type": "tenure_task", "task": "export"}]).to_string();
        let is_agent = self.world.engine.one::<Identity>(self.id).await.unwrap().unwrap().kind == Kind::Agent;
        let ask = TokenAsk {
            environment: "prod".into(),
            client_id: None,
            proof: Proof::ClientAssertion(sign(
                &self.key,
                &json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}),
                &claims,
            )),
            resource: None,
            scope: None,
            authorization_details: is_agent.then_some(task),
            grant: Grant::Own,
            sender: Presented::default(),
            source: source.into(),
        };
        token::issue_token(&self.world.engine, ask).await
    }

    async fn stored(&self) -> Stored<Binding> {
        self.world.engine.one::<Binding>(self.binding).await.unwrap().unwrap()
    }

    async fn all<T: Record + Clone>(&self) -> Vec<T> {
        let all = self.world.engine.find::<T>(Query::every()).await.unwrap().whole().unwrap();
        all.into_iter().map(|row| (*row.value).clone()).collect()
    }

    async fn shared(&self) -> Vec<Finding> {
        self.all::<Finding>().await.into_iter().filter(|finding| finding.rule == "key-shared").collect()
    }
}

fn reason(result: Result<TokenIssued, OpError>) -> Reason {
    match result {
        Err(OpError::Refused { reason, .. } | OpError::Unauthenticated(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("issued"),
    }
}

#[tokio::test]
async fn r86_after_a_change_the_next_proof_has_to_be_newer() {
    let stage = Stage::bound(Kind::Workload).await;
    stage.ask(stage.seconds(), "a").await.unwrap();
    assert_eq!(stage.stored().await.revision, 1, "an issuance writes nothing more");
    let since = stage.world.engine.now();
    let stored = stage.stored().await;
    let because = SignalId::from_u128(5);
    let recheck = Some(Recheck { since, because });
    stage
        .write(|changeset| {
            let changed = Binding { recheck, ..(*stored.value).clone() };
            changeset.replace(&stored, &changed);
        })
        .await;
    // From before it was heard of, and from the same moment, which can't be told from before.
    for made_at in [stage.seconds() - 5, stage.seconds()] {
        assert_eq!(reason(stage.ask(made_at, "a").await), Reason::BindingUnverified);
    }
    stage.world.clock.advance(Span::from_secs(2));
    assert_eq!(reason(stage.ask(stage.seconds() - 2, "a").await), Reason::BindingUnverified);
    assert!(stage.stored().await.recheck.is_some());
    stage.ask(stage.seconds(), "a").await.unwrap();
    assert_eq!(stage.stored().await.recheck, None);
    let events = reading::events_after(&stage.world.engine, &stage.world.admin, None, 500).await.unwrap();
    let verified = events.iter().find(|event| event.kind == "binding.verified").unwrap();
    let issued = events.iter().rfind(|event| event.kind == "credential.issued").unwrap();
    assert_eq!(verified.position.index, issued.position.index + 1, "one commit");
    assert_eq!(verified.data["signal"], json!(because));
    // Verified is verified: what is older counts again, as before.
    stage.ask(stage.seconds() - 1, "a").await.unwrap();
    let refused = events
        .iter()
        .filter(|event| event.kind == "access.refused" && event.data["reason"] == json!("binding_unverified"));
    assert_eq!(refused.count(), 3);
}

#[tokio::test]
async fn r59_the_second_holder_of_an_agents_key_waits_for_the_end_of_the_first() {
    let stage = Stage::bound(Kind::Agent).await;
    for _ in 0..5 {
        stage.ask(stage.seconds(), "10.0.0.1").await.unwrap();
    }
    assert!(stage.stored().await.revision <= 2, "it is written seldom");
    assert!(stage.shared().await.is_empty());
    assert_eq!(reason(stage.ask(stage.seconds(), "10.0.0.2").await), Reason::SecondInstance);
    let found = stage.shared().await;
    assert_eq!((found.len(), found[0].subject.clone()), (1, stage.id.to_string()));
    assert_eq!(
        (&found[0].evidence["presented_by"], &found[0].evidence["let_in"]),
        (&json!("addr:10.0.0.2"), &json!(false))
    );
    // The first one goes on, and its end lets the second in.
    stage.ask(stage.seconds(), "10.0.0.1").await.unwrap();
    stage.world.clock.advance(Span::from_mins(9));
    assert_eq!(reason(stage.ask(stage.seconds(), "10.0.0.2").await), Reason::SecondInstance);
    stage.world.clock.advance(Span::from_mins(2));
    stage.ask(stage.seconds(), "10.0.0.2").await.unwrap();
    assert_eq!(reason(stage.ask(stage.seconds(), "10.0.0.1").await), Reason::SecondInstance);
    // So does the revocation of what it held.
    let revocation =
        Revocation { target: RevocationTarget::Identity(stage.id), reason: "restarted".into(), suspend: false };
    let security = stage.world.person(tenure_core::people::person::Role::Security).await;
    revocation::revoke(&stage.world.engine, &security, revocation).await.unwrap();
    stage.ask(stage.seconds(), "10.0.0.1").await.unwrap();
    assert_eq!(stage.shared().await.len(), 1, "one finding, counted");
}

#[tokio::test]
async fn r59_instances_of_what_is_no_agent_are_not_kept() {
    let stage = Stage::bound(Kind::Workload).await;
    for source in ["10.0.0.1", "10.0.0.2", "10.0.0.1"] {
        stage.ask(stage.seconds(), source).await.unwrap();
    }
    assert_eq!((stage.stored().await.revision, stage.shared().await.len()), (1, 0));
}

#[tokio::test]
async fn r106_a_late_bootstrap_token_is_refused_and_logged_apart() {
    let stage = Stage::set(Kind::Bot, |_| json!({"type": "join_token", "workload": "vm/7"})).await;
    let engine = &stage.world.engine;
    let security = stage.world.person(tenure_core::people::person::Role::Security).await;
    let enrol = async |key: &Ed25519KeyPair, token: &tenure_api::views::JoinTokenIssued| {
        let claims = json!({"aud": engine.issuer_of("prod"), "join_token_id": token.id, "jti": "once", "iat": stage.seconds(), "exp": stage.seconds() + 60});
        let ask = Enrol {
            join_token: token.join_token.clone(),
            jwk: jwk(key),
            proof: sign(key, &json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims),
        };
        enrolment::enrol(engine, ask, "10.0.0.1").await.map(|enrolled| enrolled.record)
    };
    let late = enrolment::create_join_token(engine, &security, stage.id).await.unwrap();
    let spent = |result: Result<Binding, OpError>| {
        matches!(result, Err(OpError::Refused { reason: Reason::JoinTokenSpent, .. }))
    };
    stage.world.clock.advance(JOIN_TOKEN_LIFE);
    assert!(spent(enrol(&stage.key, &late).await));
    stage.world.clock.advance(Span::from_millis(1));
    let timely = enrolment::create_join_token(engine, &security, stage.id).await.unwrap();
    stage.world.clock.advance(Span::from_micros(JOIN_TOKEN_LIFE.as_micros() - 1));
    enrol(&stage.key, &timely).await.unwrap();
    let log: Vec<(Access, String, Option<String>)> = stage
        .all::<ExceptionalAccess>()
        .await
        .into_iter()
        .filter(|entry| entry.identity == Some(stage.id))
        .map(|entry| (entry.access, entry.with, entry.refused))
        .collect();
    let (late, timely) = (late.id.to_string(), timely.id.to_string());
    assert_eq!(
        log,
        [
            (Access::JoinTokenCreated, late.clone(), None),
            (Access::JoinTokenRefused, late, Some("join_token_spent".into())),
            (Access::JoinTokenCreated, timely.clone(), None),
            (Access::JoinTokenUsed, timely, None),
        ]
    );
}
