//! The token endpoint's use case: a workload proves itself and gets a credential of minutes.

use tenure_api::views::TokenIssued;
use tenure_core::binding::{Binding, BindingMatch, BindingState};
use tenure_core::changeset::{Changeset, Once, Spend};
use tenure_core::environment::Environment;
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::gate::{self, Ask};
use tenure_core::id::{CredentialId, IdentityId};
use tenure_core::identity::{CredentialType, Identity, IdentityState};
use tenure_core::issuer::{Issuer, IssuerState};
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::port::Committed;
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::resource::Resource;
use tenure_core::row::{RowKey, RowKind, Stored};
use tenure_core::secret::{Pending, Secret};
use tenure_core::time::{Span, Timestamp};
use tenure_credentials::assertion::{verify_client_assertion, verify_first_proof};
use tenure_credentials::external::{claims_match, verify_external_token};
use tenure_credentials::jose::{Algorithm, JoseError, Jwk};

use crate::Engine;
use crate::counters::count;
use crate::error::OpError;
use crate::load::Known;
use crate::questions;
use crate::refusals::{Refusal, window};

/// How a workload proves itself at the token endpoint.
#[derive(Clone)]
pub enum Proof {
    /// A client assertion by a bound key (RFC 7523 §2.2).
    ClientAssertion(String),
    /// A token of a bound external issuer, as the grant itself (RFC 7523 §2.1).
    ExternalToken(String),
    /// A proof by a bound key that came with the identity's registration (R61); nobody else's request takes it.
    Registration(String),
}

impl Proof {
    const fn method(&self) -> &'static str {
        match self {
            Self::ClientAssertion(_) => "private_key_jwt",
            Self::ExternalToken(_) => "jwt_bearer",
            // The same proof of the same key, with the name in place of the id that was not there yet.
            Self::Registration(_) => "private_key_jwt",
        }
    }
}

/// What is asked of the token endpoint.
#[derive(Clone)]
pub struct TokenAsk {
    /// The environment whose issuer is asked.
    pub environment: String,
    /// Who claims to ask; an assertion names it itself.
    pub client_id: Option<String>,
    /// The proof.
    pub proof: Proof,
    /// The resource's identifier (RFC 8707); may be left out if only one is held.
    pub resource: Option<String>,
    /// The actions wanted, in OAuth's form; all that are held if left out.
    pub scope: Option<String>,
    /// Where the request comes from, for the record of strangers.
    pub source: String,
}

/// A proof that holds.
pub(crate) struct Proven {
    pub binding: Stored<Binding>,
    /// The external issuer that vouched, if one did.
    issuer: Option<Stored<Issuer>>,
    once: Once,
}

/// What one decision to issue rests on and gives.
struct Issued {
    token: Pending<String>,
    expires_in: i64,
    scope: String,
    credential: CredentialId,
}

impl Engine {
    /// Issues one access token, or says why not. What was issued is durable before it is returned (invariant 2).
    ///
    /// # Errors
    /// The proof fails, the identity may not, or the store can't take the record.
    pub async fn issue_token(&self, ask: TokenAsk) -> Result<TokenIssued, OpError> {
        let environment = self.one::<Environment>(&ask.environment).await?.ok_or(OpError::NotFound("environment"))?;
        let id = self.claimed_identity(ask.client_id.as_deref(), &ask.proof, &ask.source)?;
        let outcome = self.decide(|| self.decide_issuance(&ask, id, &environment)).await;
        match outcome {
            Ok((issued, committed)) => self.hand_over(id, issued, &committed).await,
            Err(OpError::Unauthenticated(reason)) => {
                self.count_stranger(reason, &ask.source);
                Err(OpError::Unauthenticated(reason))
            }
            Err(OpError::Refused { reason, detail, answer }) => {
                self.refuse_identity(id, ControlPoint::Issue, ask.proof.method(), reason.code(), &[], answer.as_deref())
                    .await;
                if reason == Reason::WrongEnvironment {
                    self.note_proof_elsewhere(id, &ask.environment).await;
                }
                Err(OpError::Refused { reason, detail, answer })
            }
            Err(OpError::Invalid(fields)) => {
                self.refuse_identity(id, ControlPoint::Issue, ask.proof.method(), "invalid", &fields, None)
                    .await;
                Err(OpError::Invalid(fields))
            }
            Err(other) => Err(other),
        }
    }

    async fn hand_over(&self, id: IdentityId, issued: Issued, committed: &Committed) -> Result<TokenIssued, OpError> {
        let token: Secret<String> = issued
            .token
            .release(committed)
            .ok_or_else(|| OpError::Internal("the commit is another's".into()))?;
        count(&self.counters.issued);
        self.touch(id.to_string(), committed.at);
        Ok(TokenIssued {
            access_token: token.expose().clone(),
            token_type: "Bearer".into(),
            expires_in: issued.expires_in,
            scope: issued.scope,
            credential: issued.credential,
            log: self.logged(committed).await?,
        })
    }

    /// Whom a proof claims to be, before anything is checked.
    pub(crate) fn claimed_identity(&self, client_id: Option<&str>, proof: &Proof, source: &str) -> Result<IdentityId, OpError> {
        let unknown = || {
            self.count_stranger(Reason::IdentityUnknown, source);
            OpError::Unauthenticated(Reason::IdentityUnknown)
        };
        match (client_id, proof) {
            (Some(text), _) => text.parse().map_err(|_| unknown()),
            (None, Proof::ClientAssertion(assertion)) => {
                let unverified = tenure_credentials::jose::read_unverified(assertion).map_err(|_| unknown())?;
                unverified.subject.and_then(|subject| subject.parse().ok()).ok_or_else(unknown)
            }
            (None, Proof::ExternalToken(_) | Proof::Registration(_)) => Err(OpError::field(
                "client_id",
                "client_id_missing",
                "name the identity as client_id: a proof names its identity",
            )),
        }
    }

    /// Checks a proof against the bindings of the identity that it names: exactly one must match (S-13).
    pub(crate) async fn prove(&self, known: &Known, proof: &Proof, issuer: &str, environment: &str, now: Timestamp) -> Result<Proven, OpError> {
        match proof {
            Proof::ClientAssertion(assertion) => self.prove_key(known, assertion, issuer, now),
            Proof::ExternalToken(token) => self.prove_external(known, token, environment, now).await,
            Proof::Registration(proof) => self.prove_registration(known, proof, issuer, now),
        }
    }

    fn prove_key(&self, known: &Known, assertion: &str, issuer: &str, now: Timestamp) -> Result<Proven, OpError> {
        let (keys, bindings) = self.bound_keys(known)?;
        let keys: Vec<&Jwk> = keys.iter().map(std::convert::AsRef::as_ref).collect();
        let client = known.identity.id.to_string();
        let verified = verify_client_assertion(assertion, &client, &keys, issuer, now).map_err(|_| OpError::Unauthenticated(Reason::ProofInvalid))?;
        proven_by(known, &bindings, verified.key_index, &verified.jti, verified.replay_until)
    }

    fn prove_registration(&self, known: &Known, proof: &str, issuer: &str, now: Timestamp) -> Result<Proven, OpError> {
        let (keys, bindings) = self.bound_keys(known)?;
        let keys: Vec<&Jwk> = keys.iter().map(std::convert::AsRef::as_ref).collect();
        let verified = verify_first_proof(proof, &keys, issuer, &known.identity.name, now).map_err(|_| OpError::Unauthenticated(Reason::ProofInvalid))?;
        proven_by(known, &bindings, verified.key_index, &verified.jti, verified.replay_until)
    }

    /// The keys that an identity's bindings name, each at the place of its binding.
    fn bound_keys(&self, known: &Known) -> Result<BoundKeys, OpError> {
        let mut keys = Vec::new();
        let mut bindings = Vec::new();
        for binding in known.bindings.iter().flatten().filter(|binding| binding.state != BindingState::Removed) {
            if let BindingMatch::PublicKey { jwk, thumbprint } = &binding.matches {
                keys.push(self.workload_key(jwk, thumbprint)?);
                bindings.push(binding.clone());
            }
        }
        Ok((keys, bindings))
    }

    async fn prove_external(&self, known: &Known, token: &str, environment: &str, now: Timestamp) -> Result<Proven, OpError> {
        let mut matched = None;
        for binding in known.bindings.iter().flatten().filter(|binding| binding.state != BindingState::Removed) {
            let BindingMatch::Oidc { issuer, claims } = &binding.matches else { continue };
            let Some(issuer) = self.one::<Issuer>(issuer).await? else { continue };
            if issuer.state != IssuerState::Active || !issuer.environments.iter().any(|name| name == environment) {
                continue;
            }
            let algorithms: Vec<Algorithm> = issuer.algorithms.iter().filter_map(|name| name.parse().ok()).collect();
            let verify = |keys: &tenure_credentials::jose::JwkSet| verify_external_token(token, keys, &algorithms, &issuer.url, &issuer.audience, now);
            let mut verified = verify(&*self.issuer_keys(&issuer, false).await?);
            if matches!(verified, Err(JoseError::KeyUnknown)) {
                verified = verify(&*self.issuer_keys(&issuer, true).await?);
            }
            let Ok(external) = verified else { continue };
            if !claims_match(&external.claims, claims) {
                continue;
            }
            if matched.is_some() {
                return Err(OpError::Unauthenticated(Reason::BindingNotMatched));
            }
            let once = Once {
                space: "jti",
                key: format!("external {}", external.token_hash),
                until: Some(external.replay_until),
            };
            matched = Some((binding.clone(), issuer, once));
        }
        let (binding, issuer, once) = matched.ok_or(OpError::Unauthenticated(Reason::BindingNotMatched))?;
        Ok(Proven {
            binding,
            issuer: Some(issuer),
            once,
        })
    }

    async fn decide_issuance(&self, ask: &TokenAsk, id: IdentityId, environment: &Stored<Environment>) -> Result<(Changeset, Issued), OpError> {
        let reading = self.reading();
        let now = reading.now;
        let snapshot = self
            .store
            .load(&[RowKey::new(RowKind::Identity, id), Self::environment_key(&ask.environment)])
            .await?;
        let identity = snapshot.get::<Identity>(0)?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
        let environment = snapshot.get::<Environment>(1)?.unwrap_or_else(|| environment.clone());
        let known = self.know_rest(identity).await?;
        let issuer = self.issuer_of(&environment.name);
        let proven = self.prove(&known, &ask.proof, &issuer, &environment.name, now).await?;
        // From here on the caller is known: refusals are recorded one by one.
        if !reading.reliable {
            return Err(OpError::refused(Reason::ClockUnreliable));
        }
        if proven.binding.state == BindingState::Suspended {
            return Err(OpError::refused(Reason::BindingSuspended));
        }
        let standing = gate::standing(known.facts(now))?;
        if standing.charter().environment != environment.name {
            return Err(OpError::refused(Reason::WrongEnvironment));
        }
        let resource = wanted_resource(&known, ask.resource.as_deref(), &standing)?;
        let actions: Vec<String> = ask
            .scope
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .filter(|action| !action.is_empty())
            .map(str::to_owned)
            .collect();
        let held = standing.held(&resource, &actions)?;
        let ttl = standing.charter().credential_ttl;
        let answer = self.policy.decide(&Question {
            principal: questions::identity(&known.identity),
            action: Action::Issue,
            resource: questions::resource(&resource),
            context: issue_context(&ask.proof, &known, &environment.name, ttl, self.waived(&known.identity, now).await?, now),
        });
        let credential = CredentialId::generate(now, self.entropy.as_ref());
        let permit = standing
            .permit(
                Ask {
                    credential,
                    kind: CredentialType::AccessToken,
                    environment: &environment,
                    resource: &resource,
                    binding: Some(proven.binding.id),
                    ttl: None,
                },
                &held,
                &answer,
            )
            .map_err(|reason| OpError::by_policy(reason, answer.clone()))?;
        let record = permit.record();
        let event = self
            .event(now, "credential.issued", ControlPoint::Issue)
            .subject(credential)
            .subject(id)
            .fact("type", record.kind)
            .fact("method", ask.proof.method())
            .fact("environment", &record.environment)
            .fact("resource", record.resource)
            .fact("actions", &record.actions)
            .fact("grants", &record.grants)
            .fact("binding", record.binding)
            .fact("expires_at", record.expires_at)
            .fact("policies", &answer.policies)
            .fact("policy_version", &answer.version);
        let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
        known.expect(&mut changeset);
        changeset.expect(&environment).expect(&resource).expect(&proven.binding);
        if let Some(issuer) = &proven.issuer {
            changeset.expect(issuer);
        }
        for grant in known.grants.iter().flatten().filter(|grant| held.grants.contains(&grant.id)) {
            changeset.expect(grant);
        }
        changeset.insert(&record);
        changeset.once.push(proven.once);
        changeset.spends.push(self.issuance_spend(id, now));
        let signer = self.token_signer(&environment, now).await?;
        let issued = Issued {
            expires_in: permit.expires_at().as_secs() - now.as_secs(),
            scope: record.actions.join(" "),
            credential,
            token: signer.sign(permit, &issuer, changeset.id),
        };
        Ok((changeset, issued))
    }

    /// One more credential from the identity's budget of the minute.
    pub(crate) fn issuance_spend(&self, id: IdentityId, now: Timestamp) -> Spend {
        let start = window(now);
        Spend {
            budget: format!("issue/{id}"),
            window: start,
            until: start.plus(Span::from_mins(2)),
            by: 1,
            limit: self.settings.issuance_budget,
        }
    }

    /// Records that an identity which proved itself was refused.
    pub(crate) async fn refuse_identity(
        &self,
        id: IdentityId,
        control: ControlPoint,
        asked: &str,
        code: &str,
        fields: &[FieldProblem],
        answer: Option<&Answer>,
    ) {
        self.record_refusal(Refusal {
            actor: Actor::Identity { id },
            control,
            asked,
            subjects: vec![id.to_string()],
            code,
            fields,
            answer,
        })
        .await;
    }

    /// One more authentication outside the token endpoint. Each purpose has a count of its own, so that questions never use up
    /// what a revocation needs.
    fn authentication_spend(&self, id: IdentityId, purpose: &str, now: Timestamp) -> Spend {
        let limit = self.settings.issuance_budget.saturating_mul(10);
        Spend {
            budget: format!("{purpose}/{id}"),
            limit,
            ..self.issuance_spend(id, now)
        }
    }

    /// Authenticates an identity by a client assertion outside the token endpoint, and uses the assertion up.
    ///
    /// # Errors
    /// The assertion fails or was used before.
    pub async fn authenticate_assertion(
        &self,
        environment: &str,
        client_id: Option<&str>,
        assertion: &str,
        purpose: &'static str,
        source: &str,
    ) -> Result<Stored<Identity>, OpError> {
        let proof = Proof::ClientAssertion(assertion.to_owned());
        let id = self.claimed_identity(client_id, &proof, source)?;
        let result = self
            .decide(|| async {
                let now = self.now();
                let known = self.know(id).await?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
                if matches!(
                    known.identity.state,
                    IdentityState::Draft | IdentityState::Pending | IdentityState::Closed | IdentityState::Retired
                ) {
                    return Err(OpError::Unauthenticated(Reason::IdentityNotActive));
                }
                let proven = self.prove(&known, &proof, &self.issuer_of(environment), environment, now).await?;
                if proven.binding.state == BindingState::Suspended {
                    return Err(OpError::Unauthenticated(Reason::BindingSuspended));
                }
                let event = self
                    .event(now, "identity.authenticated", ControlPoint::Use)
                    .subject(id)
                    .fact("purpose", purpose);
                let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
                changeset.expect(&known.identity).expect(&proven.binding);
                changeset.once.push(proven.once);
                changeset.spends.push(self.authentication_spend(id, purpose, now));
                Ok((changeset, known.identity))
            })
            .await;
        match result {
            Ok((identity, _)) => Ok(identity),
            Err(OpError::Unauthenticated(reason)) => {
                self.count_stranger(reason, source);
                Err(OpError::Unauthenticated(reason))
            }
            Err(OpError::Refused { reason, detail, answer }) => {
                self.refuse_identity(id, ControlPoint::Use, purpose, reason.code(), &[], answer.as_deref())
                    .await;
                Err(OpError::Refused { reason, detail, answer })
            }
            Err(other) => Err(other),
        }
    }
}

/// Keys, and the bindings that name them.
type BoundKeys = (Vec<std::sync::Arc<Jwk>>, Vec<Stored<Binding>>);

/// The proof that one of an identity's keys gave, with the id that it uses up.
fn proven_by(known: &Known, bindings: &[Stored<Binding>], key_index: usize, jti: &str, replay_until: Timestamp) -> Result<Proven, OpError> {
    let binding = bindings.get(key_index).ok_or(OpError::Unauthenticated(Reason::ProofInvalid))?.clone();
    let once = Once {
        space: "jti",
        key: format!("{} {jti}", known.identity.id),
        until: Some(replay_until),
    };
    Ok(Proven { binding, issuer: None, once })
}

/// The resource that a token is for: the one that is named, or the only one that the identity holds something on.
pub(crate) fn wanted_resource(known: &Known, uri: Option<&str>, standing: &gate::Standing<'_>) -> Result<Stored<Resource>, OpError> {
    let mut resources = known.resources.iter().flatten();
    match uri {
        Some(uri) => resources
            .find(|resource| resource.uri == uri)
            .cloned()
            .ok_or_else(|| OpError::because(Reason::ResourceUnknown, "the charter has nothing on this resource")),
        None => {
            let mut held = resources.filter(|resource| standing.held(resource, &[]).is_ok());
            match (held.next(), held.next()) {
                (Some(only), None) => Ok(only.clone()),
                (None, _) => Err(OpError::refused(Reason::NoLiveGrant)),
                (Some(_), Some(_)) => Err(OpError::field(
                    "resource",
                    "resource_missing",
                    "name the resource (RFC 8707): the identity holds more than one",
                )),
            }
        }
    }
}

fn issue_context(proof: &Proof, known: &Known, environment: &str, ttl: Span, waived: Vec<String>, now: Timestamp) -> Attributes {
    Attributes::from([
        ("method", Value::Text(proof.method().to_owned())),
        ("credential_type", Value::Text(CredentialType::AccessToken.as_str().to_owned())),
        ("ttl_secs", Value::Long(ttl.as_secs())),
        ("charter_complete", Value::Bool(true)),
        ("owner_active", Value::Bool(known.owner_active())),
        ("in_transfer", Value::Bool(known.in_transfer(now))),
        ("shared", Value::Bool(known.identity.charter.shared.is_some())),
        ("waived", Value::Set(waived)),
        ("live_grant", Value::Bool(true)),
        ("in_scope", Value::Bool(true)),
        ("environment", Value::Text(environment.to_owned())),
        ("weaker_credential", Value::Bool(false)),
        ("sender_constrained", Value::Bool(false)),
    ])
}
