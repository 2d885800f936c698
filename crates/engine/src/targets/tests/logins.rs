//! Logins made just in time, at a target in memory that has faults.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tenure_api::logins::LoginIssued;
use tenure_api::requests::{NewApplication, NewResource};
use tenure_connectors::faulty::{Faults, Faulty};
use tenure_core::base::id::{BindingId, CredentialId, GrantId, RequestId, ResourceId};
use tenure_core::credential::Credential;
use tenure_core::identity::binding::{AssertionAudience, Binding, BindingMatch, BindingState};
use tenure_core::identity::grant::{Grant as Held, GrantState};
use tenure_core::identity::scope::Membership;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Resource, TargetGrants, Verification, WhenUnreachable};
use tenure_core::store::changeset::DueChange;
use tenure_core::store::due::DueKind;
use tenure_core::store::row::Position;
use tenure_core::target::connector::Connectors;
use tenure_core::target::login::{Login, LoginPurpose, LoginState};

use super::*;
use crate::credentials::logins::{self, LoginAnswer, LoginAsk};
use crate::credentials::token::ask::{Grant, Presented, Proof, TokenAsk};
use crate::identities::grants;

pub(super) const READ: &str = "SELECT ON TABLE public.orders";
const WRITE: &str = "INSERT ON TABLE public.orders";
const WORKER: u128 = 7;

/// A target in memory, a resource that is there, and an identity that may read it.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) target: Arc<Faulty>,
    key: Ed25519KeyPair,
    pub(super) id: IdentityId,
    grant: GrantId,
    resource: ResourceId,
}

fn jwk(key: &Ed25519KeyPair) -> serde_json::Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref())})
}

impl Stage {
    pub(super) async fn set(mode: Mode) -> Self {
        Self::at(Faulty::new(TargetKind::Postgresql, 7), mode).await
    }

    pub(super) async fn at(target: Faulty, mode: Mode) -> Self {
        let target = Arc::new(target);
        Self::among(Arc::clone(&target), target, mode).await
    }

    /// The same, where a deployment has other targets too.
    pub(super) async fn among(target: Arc<Faulty>, all: Arc<dyn Connectors>, mode: Mode) -> Self {
        target.people_make("tenure", "hunter2", &["all"]);
        let world = world_with(all).await;
        let system = registered(&world, mode).await;
        let engine = &world.engine;
        let owner = world.admin.person_id().unwrap();
        let application = NewApplication { name: "billing".into(), owner, removal_group: None };
        let application = directory::create_application(engine, &world.admin, application).await.unwrap().record.id;
        let resource = NewResource {
            uri: "postgres://orders".into(),
            kind: "database".into(),
            actions: vec!["read".into(), "write".into(), "enforce".into()],
            application,
            environment: "prod".into(),
            data_domains: Vec::new(),
            verification: Verification::Online,
            when_unreachable: WhenUnreachable::Deny,
            signing_algorithm: None,
        };
        let resource = directory::create_resource(engine, &world.admin, resource).await.unwrap().record.id;
        let (now, key) = (engine.now(), Ed25519KeyPair::generate().unwrap());
        let scope = json!([{"actions": ["read", "write"], "resource": resource}]);
        let charter = json!({
            "owner": owner, "purpose": "exports invoices", "scope": scope, "environment": "prod", "application": application,
            "trust_boundary": {"type": "trust_domain", "value": "prod.example.com"},
            "workload_binding": {"type": "public_key", "workload": "w", "jwk": jwk(&key)},
            "expires_at": now.plus(Span::from_days(20)), "retirement": [{"type": "idle", "after": "20d"}], "rotation_cadence": "30d",
            "credential_types": ["access_token", "login"], "credential_ttl": "20m",
            "coverage": "role_based", "parties": {"requester": owner, "operator": "billing", "beneficiary": "finance"},
        });
        let mut identity = active(WORKER, serde_json::from_value(charter).unwrap(), owner, now);
        let grant = Held {
            id: GrantId::generate(now, engine.entropy.as_ref()),
            identity: identity.id,
            entitlement: Entitlement { actions: vec!["read".into(), "write".into()], resource: resource.to_string() },
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
        identity.bindings.push(binding.id);
        identity.memberships.push(Membership { scope: Scope::Identity(identity.id), joined: Position::default() });
        let mut changeset =
            Changeset::new(crate::kernel::work::system(), now, engine.event(now, EventKind::PersonChanged));
        changeset.insert(&identity).insert(&grant).insert(&binding);
        engine.settle(changeset).await.unwrap().unwrap();
        let stage = Self { id: identity.id, grant: grant.id, resource, key, world, target };
        stage.map(system, &[("read", &[READ]), ("write", &[READ, WRITE])]).await;
        stage
    }

    /// As an approved request makes it.
    pub(super) async fn map(&self, target: TargetId, actions: &[(&str, &[&str])]) {
        let engine = &self.world.engine;
        let grants = |grants: &[&str]| grants.iter().map(|grant| (*grant).to_owned()).collect();
        let actions = actions.iter().map(|(action, list)| ((*action).to_owned(), grants(list))).collect();
        let stored = engine.must::<Resource>("resource", self.resource).await.unwrap();
        let mapped = Resource { logins: Some(TargetGrants { target, actions }), ..(*stored.value).clone() };
        let now = engine.now();
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::ResourceUpdated));
        changeset.replace(&stored, &mapped);
        changeset.due.push(DueChange::Set(DueKind::Enforcement, format!("resource/{}", self.resource), now));
        engine.settle(changeset).await.unwrap().unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "a test at the edge")]
    fn question(&self) -> LoginAsk {
        let mut jti = [0u8; 16];
        aws_lc_rs::rand::fill(&mut jti).unwrap();
        let (issuer, now) = (self.world.engine.issuer_of("prod"), self.world.engine.now().as_secs());
        let claims = json!({"iss": self.id, "sub": self.id, "aud": issuer, "jti": URL_SAFE_NO_PAD.encode(jti), "iat": now, "exp": now + 60});
        let header = json!({"alg": "EdDSA", "typ": "client-authentication+jwt"});
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signed = format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()).as_ref()));
        let token = TokenAsk {
            environment: "prod".into(),
            client_id: None,
            proof: Proof::ClientAssertion(signed),
            resource: None,
            scope: Some("read".into()),
            authorization_details: None,
            grant: Grant::Own,
            sender: Presented::default(),
            source: "a".into(),
        };
        LoginAsk { token, ttl: None, request_id: None, login: None }
    }

    pub(super) async fn asked(&self) -> CredentialId {
        logins::ask_for_login(&self.world.engine, self.question()).await.unwrap().1
    }

    async fn fetched(&self, id: CredentialId) -> Result<LoginIssued, OpError> {
        match logins::fetch_login(&self.world.engine, self.id, id).await? {
            LoginAnswer::Issued(issued) => Ok(*issued),
            LoginAnswer::Awaited => Err(OpError::NotFound("it isn't there yet")),
        }
    }

    /// A login that stands, in somebody's hands.
    pub(super) async fn issued(&self) -> LoginIssued {
        let id = self.asked().await;
        work(&self.world).await;
        self.fetched(id).await.unwrap()
    }

    pub(super) async fn login(&self, id: CredentialId) -> Stored<Login> {
        self.world.engine.must::<Login>("login", id).await.unwrap()
    }

    pub(super) fn lets_in(&self, issued: &LoginIssued) -> bool {
        self.target.lets_in(&issued.name, &issued.secret)
    }

    pub(super) async fn cut(&self) {
        let security = self.world.person(Role::Security).await;
        let ask = json!({"target": {"type": "identity", "id": self.id}, "reason": "leaked"});
        revocation::revoke(&self.world.engine, &security, serde_json::from_value(ask).unwrap()).await.unwrap();
    }

    /// Everything that stands at the target and was made here.
    pub(super) async fn standing(&self) -> Vec<Stored<Login>> {
        let all = self.world.engine.find::<Login>(Query::every()).await.unwrap().whole().unwrap();
        all.into_iter().filter(|login| login.state == LoginState::Standing).collect()
    }
}

/// A target that is registered and confirmed, whose connector has its login.
async fn registered(world: &World, mode: Mode) -> TargetId {
    let engine = &world.engine;
    directory::create_environment(engine, &world.admin, serde_json::from_value(json!({"name": "prod"})).unwrap())
        .await
        .unwrap();
    let connector = active(CONNECTOR, CharterDraft::default(), world.admin.person_id().unwrap(), engine.now());
    let mut changeset = Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
    changeset.insert(&connector);
    engine.settle(changeset).await.unwrap().unwrap();
    let id = systems::create_target(engine, &world.admin, ask(&world.admin, mode)).await.unwrap().record.id;
    let login = TargetLoginAsk { name: "tenure".into(), secret: "hunter2".into() };
    systems::set_login(engine, &world.admin, id, login).await.unwrap();
    id
}

#[tokio::test]
async fn r58_at_rest_nothing_usable_is_there_and_a_login_stands_for_as_long_as_its_credential() {
    let stage = Stage::set(Mode::Issue).await;
    work(&stage.world).await;
    let before = stage.target.writes();
    assert_eq!(stage.standing().await.len(), 0);
    let id = stage.asked().await;
    assert!(matches!(logins::fetch_login(&stage.world.engine, stage.id, id).await.unwrap(), LoginAnswer::Awaited));
    work(&stage.world).await;
    assert_eq!(stage.target.writes(), before + 1);
    let issued = stage.fetched(id).await.unwrap();
    assert!(stage.lets_in(&issued) && issued.name.len() <= 63 && issued.scope == "read");
    let login = stage.login(id).await;
    assert_eq!((login.state, login.grants.as_slice()), (LoginState::Standing, [READ.to_owned()].as_slice()));
    // The secret is handed out once, and stands nowhere but sealed.
    assert_eq!(reason(stage.fetched(id).await.unwrap_err()), Some(Reason::IllegalTransition));
    // Whoever asks again may not be who asked first.
    assert_eq!(findings(&stage.world, &rules::SECRET_ASKED_AGAIN).await.len(), 1);
    assert!(!serde_json::to_string(&*login.value).unwrap().contains(&issued.secret));
    // R67: it has an end and what ends it, and no later end than the charter's life for credentials.
    let credential = stage.world.engine.must::<Credential>("credential", id).await.unwrap();
    assert_eq!(credential.expires_at.since(credential.issued_at), Span::from_mins(20));
    assert!(credential.revoked_by.contains(&"revocation".to_owned()));
    // A scan knows it: nobody is asked to claim it.
    pass(&stage.world, Span::from_mins(10)).await;
    assert!(stage.world.engine.first::<Account>(Query::of([Account::NAME.of(&issued.name)])).await.unwrap().is_none());
    assert!(stage.lets_in(&issued));
    // At its end it is gone there, was refused beside a login that was taken, and its secret is destroyed.
    pass(&stage.world, Span::from_mins(11)).await;
    let login = stage.login(id).await;
    assert!(!stage.lets_in(&issued));
    assert_eq!((login.state, &login.sealed), (LoginState::Ended, &None));
    let Some(AccountOutcome::RefusedVerified { words, control, .. }) = &login.outcome else {
        panic!("{:?}", login.outcome)
    };
    assert!(words.contains("password") && control.starts_with("tnr_") && *control != issued.name);
    // The canary goes too.
    pass(&stage.world, Span::from_mins(11)).await;
    assert_eq!(stage.standing().await.len(), 0);
}

#[tokio::test]
async fn r58_who_waits_for_a_login_is_told_what_keeps_it_and_nothing_of_what_lies_behind() {
    let stage = Stage::set(Mode::Issue).await;
    let engine = &stage.world.engine;
    let why = async |id| {
        let answer = logins::fetch_login(engine, stage.id, id).await.unwrap();
        assert!(matches!(answer, LoginAnswer::Awaited), "{answer:?}");
        logins::awaited(engine, id).await.unwrap().trouble
    };
    work(&stage.world).await;
    // Nothing keeps it: it is being made.
    let id = stage.asked().await;
    assert_eq!(why(id).await, None);
    work(&stage.world).await;
    stage.fetched(id).await.unwrap();
    // Its target is away; also for one that is asked for while nobody tries.
    stage.target.suffer(Faults { stalls: 100, ..Faults::default() });
    let [first, second] = [stage.asked().await, stage.asked().await];
    work(&stage.world).await;
    for id in [first, second, stage.asked().await] {
        let why = why(id).await.unwrap();
        assert!(why.contains("can't be reached") && why.contains("asked again at"), "{why}");
        assert!(!why.contains("db.example") && !why.contains("hunter2"), "{why}");
    }
    // The connector is stopped.
    let security = stage.world.person(Role::Security).await;
    let connector = IdentityId::from_u128(CONNECTOR);
    lifecycle::suspend(engine, &security, connector, "on leave".into()).await.unwrap();
    assert!(why(first).await.unwrap().contains("isn't active"));
}

#[tokio::test]
async fn r58_who_waits_for_a_login_is_told_that_its_target_was_not_looked_through_since_a_restore() {
    let stage = Stage::set(Mode::Issue).await;
    work(&stage.world).await;
    stage.world.clock.advance(Span::from_secs(1));
    stage.world.begin_epoch().await;
    let id = stage.asked().await;
    let awaited = logins::awaited(&stage.world.engine, id).await.unwrap();
    assert!(awaited.trouble.unwrap().contains("since the database was put back"));
    work(&stage.world).await;
    pass(&stage.world, Span::from_mins(2)).await;
    stage.fetched(id).await.unwrap();
}

#[tokio::test]
async fn r58_a_target_that_takes_our_word_makes_the_secret_and_it_ends_as_any_other() {
    let stage = Stage::at(Faulty::federating(TargetKind::Postgresql, 7), Mode::Issue).await;
    let id = stage.asked().await;
    let asked = stage.login(id).await;
    // Known before anybody is asked: how it is called there, for good.
    assert_eq!((asked.state, asked.key.as_deref()), (LoginState::Asked, Some(asked.name().as_str())));
    work(&stage.world).await;
    let issued = stage.fetched(id).await.unwrap();
    assert!(issued.secret.starts_with("made-by-the-target-") && stage.lets_in(&issued), "{issued:?}");
    assert!(!serde_json::to_string(&*stage.login(id).await.value).unwrap().contains(&issued.secret));
    pass(&stage.world, Span::from_mins(21)).await;
    let login = stage.login(id).await;
    assert!(!stage.lets_in(&issued));
    assert_eq!((login.state, &login.sealed), (LoginState::Ended, &None));
}

#[tokio::test]
async fn the_gate_decides_about_a_login_as_about_a_token() {
    let stage = Stage::set(Mode::Issue).await;
    let engine = &stage.world.engine;
    let refused = |ask: LoginAsk| async { reason(logins::ask_for_login(engine, ask).await.unwrap_err()) };
    let other = |scope: &str| {
        let mut ask = stage.question();
        ask.token.scope = Some(scope.to_owned());
        ask
    };
    assert_eq!(refused(other("drop")).await, Some(Reason::OutsideScope));
    assert_eq!(refused(other("enforce")).await, Some(Reason::OutsideScope));
    // All that is held, as far as logins are made for it.
    let ask = LoginAsk { token: TokenAsk { scope: None, ..stage.question().token }, ..stage.question() };
    let id = logins::ask_for_login(engine, ask).await.unwrap().1;
    assert_eq!(stage.login(id).await.grants, [WRITE.to_owned(), READ.to_owned()]);
    // A shorter life is had, a longer one isn't.
    for (ttl, life) in [(60, 60), (36_000, 1_200)] {
        let ask = LoginAsk { ttl: Some(ttl), ..stage.question() };
        let login = stage.login(logins::ask_for_login(engine, ask).await.unwrap().1).await;
        assert_eq!(login.ends_at.since(login.asked_at), Span::from_secs(life));
    }
    assert!(matches!(
        logins::ask_for_login(engine, LoginAsk { ttl: Some(1), ..stage.question() }).await,
        Err(OpError::Invalid(_))
    ));
    // A proof is good once; what another asked for is nobody's else.
    let question = stage.question();
    logins::ask_for_login(engine, question.clone()).await.unwrap();
    assert!(logins::ask_for_login(engine, question).await.is_err());
    assert!(logins::fetch_login(engine, IdentityId::from_u128(CONNECTOR), id).await.is_err());
    // A charter that doesn't list the type gets none; without a grant there is none.
    let stored = engine.must::<Identity>("identity", stage.id).await.unwrap();
    let mut plain = (*stored.value).clone();
    plain.charter.credential_types.clear();
    let mut changeset = Changeset::new(system(), engine.now(), engine.event(engine.now(), EventKind::PersonChanged));
    changeset.replace(&stored, &plain);
    engine.settle(changeset).await.unwrap().unwrap();
    assert_eq!(refused(stage.question()).await, Some(Reason::WeakerCredential));
    grants::revoke_grant(engine, &stage.world.admin, stage.grant, "over".into()).await.ok();
}

#[tokio::test]
async fn asking_twice_by_one_name_is_asking_once() {
    let stage = Stage::set(Mode::Issue).await;
    let engine = &stage.world.engine;
    let ask = || LoginAsk { request_id: Some("migration-7".into()), ..stage.question() };
    let first = logins::ask_for_login(engine, ask()).await.unwrap().1;
    assert_eq!(logins::ask_for_login(engine, ask()).await.unwrap().1, first);
    let mut other = ask();
    other.token.scope = Some("write".into());
    assert!(matches!(logins::ask_for_login(engine, other).await, Err(OpError::Invalid(_))));
    work(&stage.world).await;
    assert_eq!(stage.standing().await.len(), 1);
    stage.fetched(first).await.unwrap();
    // The secret isn't told again.
    assert_eq!(logins::ask_for_login(engine, ask()).await.unwrap().1, first);
    assert!(stage.fetched(first).await.is_err());
}

#[tokio::test]
async fn whatever_ends_its_credential_ends_the_login_at_its_target() {
    enum By {
        Cut,
        Suspension,
        Credential,
        Grant,
        Mapping,
        Retirement,
    }
    for by in [By::Cut, By::Suspension, By::Credential, By::Grant, By::Mapping, By::Retirement] {
        let stage = Stage::set(Mode::Issue).await;
        let issued = stage.issued().await;
        let engine = &stage.world.engine;
        let security = stage.world.person(Role::Security).await;
        let key = stage.login(issued.login).await.key.clone().unwrap();
        stage.target.open_session(&key);
        match by {
            By::Cut => stage.cut().await,
            By::Suspension => drop(lifecycle::suspend(engine, &security, stage.id, "odd".into()).await.unwrap()),
            By::Credential => {
                let ask = json!({"target": {"type": "credential", "id": issued.login}, "reason": "leaked"});
                revocation::revoke(engine, &security, serde_json::from_value(ask).unwrap()).await.unwrap();
            }
            By::Grant => drop(grants::revoke_grant(engine, &security, stage.grant, "over".into()).await.unwrap()),
            By::Mapping => stage.map(issued.target, &[("write", &[WRITE])]).await,
            By::Retirement => drop(lifecycle::retire(engine, &security, stage.id, "over".into()).await.unwrap()),
        }
        work(&stage.world).await;
        assert!(!stage.lets_in(&issued));
        let login = stage.login(issued.login).await;
        let Some(AccountOutcome::RefusedVerified { sessions_ended, sessions_left, .. }) = login.outcome else {
            panic!("{:?}", login.outcome)
        };
        assert_eq!((sessions_ended, sessions_left), (1, Some(0)));
        // What was ended there is not alive here again, whatever comes.
        let credential = engine.must::<Credential>("credential", issued.login).await.unwrap();
        assert!(credential.revoked_at.is_some());
    }
}

#[tokio::test]
async fn r72_r82_a_receipt_is_verified_only_by_refusals_beside_a_login_that_was_taken() {
    let stage = Stage::set(Mode::Issue).await;
    let (first, second) = (stage.issued().await, stage.issued().await);
    let engine = &stage.world.engine;
    let security = stage.world.person(Role::Security).await;
    lifecycle::retire(engine, &security, stage.id, "the pipeline is gone".into()).await.unwrap();
    pass(&stage.world, Span::from_secs(1)).await;
    pass(&stage.world, Span::from_secs(1)).await;
    let receipt = receipt_of(&stage.world, stage.id).await;
    assert_eq!(receipt.state(), ReceiptState::RefusedVerified);
    let points = receipt.accounts.as_ref().unwrap();
    assert_eq!((points.count, points.refused_verified), (2, 2));
    let named: Vec<_> = points.first.iter().map(|point| point.login).collect();
    assert!(named.contains(&Some(first.login)) && named.contains(&Some(second.login)));
    // One control at a target and window serves both.
    let controls: std::collections::BTreeSet<_> = points
        .first
        .iter()
        .map(|point| match &point.outcome {
            AccountOutcome::RefusedVerified { control, .. } => control.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(controls.len(), 1);
    assert!(receipt.signed.is_some());
    let identity = engine.must::<Identity>("identity", stage.id).await.unwrap();
    assert_eq!(identity.state, IdentityState::Retired);
    // A later revocation concerns none of it.
    stage.cut().await;
    work(&stage.world).await;
    let all = engine.find::<Receipt>(Query::every()).await.unwrap().whole().unwrap();
    let later = all.iter().find(|receipt| receipt.reason == "leaked").unwrap();
    assert_eq!((later.state(), &later.accounts), (ReceiptState::NothingToRefuse, &None));
}

#[tokio::test]
async fn what_the_target_still_takes_is_unproven_until_it_is_refused() {
    let stage = Stage::set(Mode::Issue).await;
    let issued = stage.issued().await;
    // Its catalogue says that it is gone, and it lets it in: nothing but a try finds that out.
    stage.target.suffer(Faults { ghosts: true, ..Faults::default() });
    stage.cut().await;
    work(&stage.world).await;
    let login = stage.login(issued.login).await;
    assert!(stage.lets_in(&issued));
    assert!(
        matches!(&login.outcome, Some(AccountOutcome::Unproven { why, .. }) if why.contains("still takes its secret"))
    );
    assert_eq!((login.state, login.sealed.is_some()), (LoginState::Ending, true));
    assert_eq!(receipt_of(&stage.world, stage.id).await.state(), ReceiptState::Unproven);
    stage.target.suffer(Faults::default());
    pass(&stage.world, Span::from_mins(60)).await;
    pass(&stage.world, Span::from_mins(10)).await;
    assert_eq!(receipt_of(&stage.world, stage.id).await.state(), ReceiptState::RefusedVerified);
    assert!(!stage.lets_in(&issued) && stage.login(issued.login).await.sealed.is_none());
}

#[tokio::test]
async fn a_target_that_lies_stalls_or_is_full_makes_one_login_or_none_and_ends_it() {
    let faults = [
        Faults { reply_lost: 100, ..Faults::default() },
        Faults { lies: 100, ..Faults::default() },
        Faults { stalls: 100, ..Faults::default() },
    ];
    for fault in faults {
        let stage = Stage::set(Mode::Issue).await;
        work(&stage.world).await;
        // Made, as far as anybody knows, not once; then once.
        stage.target.suffer(fault);
        let id = stage.asked().await;
        work(&stage.world).await;
        assert!(stage.login(id).await.trouble.is_some() && stage.fetched(id).await.is_err());
        stage.target.suffer(Faults::default());
        pass(&stage.world, Span::from_mins(2)).await;
        let issued = stage.fetched(id).await.unwrap();
        assert!(stage.lets_in(&issued));
        assert_eq!(stage.standing().await.len(), 1, "no second login");
        // Ended, as far as anybody knows, not at all; then so that it is proved.
        stage.target.suffer(fault);
        stage.cut().await;
        work(&stage.world).await;
        assert_eq!(stage.login(id).await.state, LoginState::Ending);
        stage.target.suffer(Faults::default());
        pass(&stage.world, Span::from_mins(20)).await;
        let login = stage.login(id).await;
        assert!(matches!(login.outcome, Some(AccountOutcome::RefusedVerified { .. })), "{:?}", login.outcome);
        assert!(!stage.lets_in(&issued));
    }
}

#[tokio::test]
async fn a_login_that_nobody_fetched_or_nobody_knows_to_be_there_is_ended_all_the_same() {
    // Made, and its answer lost until its time to be fetched is over.
    let stage = Stage::set(Mode::Issue).await;
    work(&stage.world).await;
    stage.target.suffer(Faults { reply_lost: 100, ..Faults::default() });
    let id = stage.asked().await;
    work(&stage.world).await;
    assert_eq!((stage.login(id).await.key.clone(), stage.target.sessions("00000002")), (None, Some(0)));
    pass(&stage.world, Span::from_mins(6)).await;
    assert_eq!(stage.login(id).await.end.as_ref().unwrap().because, "not_fetched");
    stage.target.suffer(Faults::default());
    pass(&stage.world, Span::from_mins(30)).await;
    assert_eq!(stage.login(id).await.state, LoginState::Ended);
    assert_eq!(stage.target.sessions("00000002"), None, "it is found by its name");
    // Full: there is none, and nothing is left of it.
    stage.target.fill(true);
    let id = stage.asked().await;
    pass(&stage.world, Span::from_mins(6)).await;
    assert!(stage.login(id).await.end.is_some());
    stage.target.fill(false);
    pass(&stage.world, Span::from_mins(30)).await;
    assert_eq!(stage.login(id).await.state, LoginState::Ended);
    // Standing, and never fetched.
    let id = stage.asked().await;
    work(&stage.world).await;
    assert_eq!(stage.login(id).await.state, LoginState::Standing);
    pass(&stage.world, Span::from_mins(6)).await;
    assert_eq!(stage.login(id).await.state, LoginState::Ended);
    assert!(stage.fetched(id).await.is_err());
}

#[tokio::test]
async fn s18_what_was_ended_and_works_again_is_found_and_ended_again() {
    let stage = Stage::set(Mode::Issue).await;
    let issued = stage.issued().await;
    stage.cut().await;
    work(&stage.world).await;
    let key = stage.target.people_make(&issued.name, &issued.secret, &[READ]);
    assert!(stage.lets_in(&issued));
    pass(&stage.world, Span::from_mins(10)).await;
    assert_eq!(findings(&stage.world, &rules::ACCOUNT_REVIVED).await.len(), 1);
    assert_eq!((stage.lets_in(&issued), stage.target.sessions(&key)), (false, None));
}

#[tokio::test]
async fn s17_without_its_connector_or_its_mode_a_target_makes_none() {
    let stage = Stage::set(Mode::End).await;
    let refused = logins::ask_for_login(&stage.world.engine, stage.question()).await.unwrap_err();
    assert_eq!(reason(refused), Some(Reason::ResourceUnknown));
    let stage = Stage::set(Mode::Issue).await;
    let issued = stage.issued().await;
    // The connector's own identity may no more: nothing is done in its place, and the receipt says so.
    let security = stage.world.person(Role::Security).await;
    let connector = IdentityId::from_u128(CONNECTOR);
    lifecycle::suspend(&stage.world.engine, &security, connector, "on leave".into()).await.unwrap();
    stage.cut().await;
    work(&stage.world).await;
    assert_eq!(receipt_of(&stage.world, stage.id).await.state(), ReceiptState::Unreachable);
    assert!(stage.lets_in(&issued));
    let canaries = stage.standing().await.into_iter().filter(|login| login.purpose == LoginPurpose::Canary);
    assert_eq!(canaries.count(), 0);
}
