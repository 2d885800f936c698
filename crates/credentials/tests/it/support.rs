//! A workload with a key, an issuer's clock, and what it takes to get a permit from the gate.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{
    ApplicationId, BindingId, CredentialId, EventId, GrantId, IdentityId, PersonId, RequestId, ResourceId, SigningKeyId,
};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate::{Ask, IdentityFacts, Permit, standing};
use tenure_core::credential::liveness::Scopes;
use tenure_core::identity::delegation::MayAct;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::{
    CharterDraft, Coverage, CredentialType, Identity, IdentityState, Kind, Parties, RetirementCondition, RiskTier,
    TrustBoundary, WorkloadBinding,
};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::{Answer, Attributes, PolicyEngine, Question};
use tenure_core::store::epoch::Trust;
use tenure_core::store::port::Committed;
use tenure_core::store::row::{Position, Stored};
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::trust::confirmation::Confirmation;
use tenure_core::trust::signing_key::SigningAlgorithm;
use tenure_credentials::jose::Jwk;
use tenure_credentials::token::TokenSigner;

pub const ISSUER: &str = "https://tenure.example/environments/prod";
pub const CLIENT: &str = "idn_00000000000000000000000007";
pub const NOW: i64 = 1_800_000_000;

pub fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An Ed25519 key as a workload holds it.
pub struct Workload {
    pub pair: Ed25519KeyPair,
    pub jwk: Jwk,
}

pub fn workload(byte: u8) -> Workload {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[byte; 32]).unwrap();
    let jwk = Jwk::from_value(&json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})).unwrap();
    Workload { pair, jwk }
}

impl Workload {
    pub fn sign_raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = self.pair.sign(input.as_bytes());
        format!("{input}.{}", b64(signature))
    }
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_raw(&header.to_string(), &payload.to_string())
    }
}

pub struct P256 {
    pub pair: EcdsaKeyPair,
    pub pkcs8: Vec<u8>,
    pub jwk: Value,
}

pub fn p256() -> P256 {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])});
    P256 { pair, pkcs8: pkcs8.as_ref().to_vec(), jwk }
}

pub fn assertion_claims() -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "jti": "one", "iat": NOW, "exp": NOW + 60})
}

pub fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

fn stored<T>(value: T) -> Stored<T> {
    Stored { value: Arc::new(value), revision: 1, created: Position::at(1), position: Position::at(1) }
}

/// A permit as the gate gives it to an identity in good standing.
pub fn permit(actions: &[&str]) -> Permit {
    permit_bound(actions, None, None, None)
}

/// The same for a credential that is bound to a key, for a task, or for others to act with.
pub fn permit_bound(
    actions: &[&str],
    confirmation: Option<&Confirmation>,
    task: Option<&str>,
    may_act: Option<&MayAct>,
) -> Permit {
    let (owner, other) = (PersonId::from_u128(1), PersonId::from_u128(2));
    let (application, resource_id) = (ApplicationId::from_u128(3), ResourceId::from_u128(4));
    let actions: Vec<String> = actions.iter().map(|a| (*a).to_owned()).collect();
    let entitlement = Entitlement { actions: actions.clone(), resource: resource_id.to_string() };
    let start = now().minus(Span::from_days(1));
    let end = now().plus(Span::from_days(30));
    let identity = stored(Identity {
        id: IdentityId::from_u128(7),
        kind: Kind::Workload,
        name: "billing-exporter".into(),
        state: IdentityState::Active,
        charter: CharterDraft {
            owner: Some(owner),
            backup_owner: Some(other),
            purpose: Some("exports invoices".into()),
            scope: vec![entitlement.clone()],
            trust_boundary: Some(TrustBoundary::TrustDomain("prod.example.com".into())),
            environment: Some("prod".into()),
            application: Some(application),
            workload_binding: Some(WorkloadBinding::PublicKey {
                workload: "deployment/x".into(),
                assertion_audience: tenure_core::identity::binding::AssertionAudience::Issuer,
                jwk: json!({}),
            }),
            expires_at: Some(end),
            retirement: vec![RetirementCondition::Idle { after: Span::from_days(10) }],
            rotation_cadence: Some(Span::from_days(30)),
            credential_types: vec![CredentialType::AccessToken],
            coverage: Some(Coverage::RoleBased),
            parties: Some(Parties { requester: other, operator: "billing".into(), beneficiary: "finance".into() }),
            ..CharterDraft::default()
        },
        tier: RiskTier::Low,
        tier_kept: None,
        struck: Vec::new(),
        deferred: Vec::new(),
        suspensions: vec![],
        valid_after: None,
        bindings: vec![],
        grants: vec![],
        memberships: vec![],
        activation: None,
        retirement: None,
        template: None,
        request: None,
        transfer: None,
        exceptions: vec![],
        resumed_at: None,
        reviewed_at: None,
        has_accounts: false,
        registered_by: other,
        created_at: start,
    });
    let person = stored(Person::new(owner, "Olu".into(), None, vec![Role::Owner], start));
    let grants = [Some(stored(Grant {
        id: GrantId::from_u128(5),
        identity: identity.id,
        entitlement,
        starts_at: start,
        ends_at: end,
        state: GrantState::Live,
        request: RequestId::from_u128(6),
        approved_by: vec![other],
        policies: vec![],
        purpose: String::new(),
        just_in_time: false,
    }))];
    let environment = Environment {
        name: "prod".into(),
        production: true,
        signing_algorithm: SigningAlgorithm::EdDsa,
        keys: vec![],
        created_at: start,
    };
    let resource = Resource {
        id: resource_id,
        uri: "https://ledger.example/api".into(),
        kind: "service".into(),
        actions,
        application,
        environment: "prod".into(),
        data_domains: vec![],
        verification: Verification::Online,
        when_unreachable: WhenUnreachable::Deny,
        signing_algorithm: None,
        logins: None,
        created_at: start,
    };
    let facts = IdentityFacts {
        identity: &identity,
        owner: Some(&person),
        scopes: Scopes { cuts: &[], holds: &[], trust: Trust::default() },
        grants: &grants,
        now: now(),
    };
    let standing = standing(facts).unwrap();
    let held = standing.held(&resource, &[]).unwrap();
    let ask = Ask {
        credential: CredentialId::from_u128(8),
        kind: CredentialType::AccessToken,
        environment: &environment,
        resource: &resource,
        binding: Some(BindingId::from_u128(9)),
        ttl: Some(Span::from_secs(600)),
        confirmation,
        task,
        delegation: None,
        may_act,
    };
    standing.consider(&Allows, ask, &held, Attributes::new()).permit().unwrap()
}

/// A policy that allows whatever it is asked.
struct Allows;

impl PolicyEngine for Allows {
    #[expect(clippy::disallowed_methods, reason = "it is a policy engine")]
    fn decide(&self, _: &Question) -> Answer {
        Answer::by_engine(true, false, String::new(), vec![])
    }
    fn version(&self) -> String {
        String::new()
    }
    fn recent(&self) -> Vec<(Question, Answer)> {
        vec![]
    }
}

/// A store's word that this commit is durable.
#[expect(clippy::disallowed_methods, reason = "it stands for a store")]
pub fn committed(id: EventId) -> Committed {
    Committed::by_store(id, Position::at(5), now(), vec![])
}

pub fn commit() -> EventId {
    EventId::from_u128(11)
}

pub fn release(pending: Pending<String>) -> Secret<String> {
    pending.release(&committed(commit())).unwrap()
}

pub fn kid() -> SigningKeyId {
    SigningKeyId::from_u128(12)
}

pub fn seed() -> Secret<[u8; 32]> {
    tenure_credentials::key::generate_seed(&SeededEntropy::new(99))
}

/// Our signer of access tokens.
pub fn signer() -> TokenSigner {
    TokenSigner::new(kid(), SigningAlgorithm::EdDsa, &Secret::new(seed().expose().to_vec())).unwrap()
}

pub fn access_token() -> String {
    release(signer().sign(permit(&["read", "write"]), ISSUER, commit()).unwrap()).expose().clone()
}
