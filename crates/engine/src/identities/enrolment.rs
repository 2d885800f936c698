//! Enrolling a key of the workload's own with a one-time join token (S-15).

use tenure_api::requests::Enrol;
use tenure_api::views::{JoinTokenIssued, Revised};
use tenure_core::base::id::{BindingId, IdentityId, JoinTokenId, JoinTokenKind};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Span;
use tenure_core::credential::gate;
use tenure_core::finding::exceptional::Access;
use tenure_core::identity::binding::{
    AssertionAudience, Binding, BindingMatch, BindingState, JOIN_TOKEN_LIFE, JoinToken,
};
use tenure_core::identity::{Identity, WorkloadBinding};
use tenure_core::policy::{Action, Question};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_credentials::assertion::{parse_workload_key, verify_enrolment_proof};
use tenure_credentials::opaque::{Minted, OpaqueKind, Parsed};

use crate::identities::{bindings, lifecycle, review_opening};
use crate::kernel::authority::{self, identity as identity_entity, inventory, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::operation::Asked;
use crate::kernel::refusals::Refusal;
use crate::kernel::{Kernel, epoch};

/// Keys that one identity can have enrolled.
const MAX_BINDINGS: usize = 16;

/// Hands out a join token for an active identity whose charter says that it enrols that way.
///
/// # Errors
/// The identity isn't active or enrols otherwise, or the caller may not.
pub async fn create_join_token(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<JoinTokenIssued, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Issue, "join_token.create", id), async {
            let ((pending, token, environment), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let known = kernel.know(id).await?.ok_or(OpError::NotFound("identity"))?;
                    let standing = gate::standing(known.facts(now))?;
                    if !matches!(standing.charter().workload_binding, WorkloadBinding::JoinToken { .. }) {
                        return Err(OpError::because(
                            Reason::BindingNotMatched,
                            "the charter binds the workload otherwise than by a join token",
                        ));
                    }
                    let environment = standing.charter().environment.clone();
                    kernel.allow(
                        caller,
                        Action::Bootstrap,
                        inventory("identity", id, &environment),
                        authority::bootstrap(owns_identity(caller, &known.identity), true, Span::from_secs(0)),
                    )?;
                    let token_id = JoinTokenId::generate(now, kernel.entropy.as_ref());
                    let event = kernel.event(now, EventKind::JoinTokenCreated);
                    let Minted { token: pending, hash } =
                        kernel.opaque.join_token(token_id, event.id, kernel.entropy.as_ref());
                    let token = JoinToken {
                        id: token_id,
                        identity: id,
                        hash,
                        created_at: now,
                        expires_at: now.plus(JOIN_TOKEN_LIFE),
                        enrolled: None,
                    };
                    let event = event
                        .subject(id)
                        .subject(token_id)
                        .fact("workload", standing.charter().workload_binding.workload())
                        .fact("request", approval(&known.identity))
                        .fact("expires_at", token.expires_at);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    known.expect(&mut changeset);
                    changeset.insert(&token);
                    exceptional::exceptional(
                        kernel,
                        &mut changeset,
                        about(Access::JoinTokenCreated, &token, approval(&known.identity), None),
                    );
                    Ok((changeset, (pending, token, environment)))
                })
                .await?;
            Ok(JoinTokenIssued {
                id: token.id,
                join_token: Kernel::released(pending, &committed)?.expose().clone(),
                expires_at: token.expires_at,
                audience: kernel.issuer_of(&environment),
            })
        })
        .await
}

/// Enrols a key with a join token. A second presentation suspends the identity and the key that the first enrolled.
///
/// # Errors
/// The token is unknown, spent or over, the proof fails, or the key is another identity's.
pub async fn enrol(kernel: &Kernel, ask: Enrol, source: &str) -> Result<Revised<Binding>, OpError> {
    let stranger = |reason| {
        kernel.count_stranger(reason, source);
        OpError::Unauthenticated(reason)
    };
    let parsed = Parsed::parse(&ask.join_token)
        .ok()
        .filter(|parsed| parsed.kind() == OpaqueKind::Join)
        .ok_or_else(|| stranger(Reason::JoinTokenSpent))?;
    let token_id = parsed.id::<JoinTokenKind>().ok_or_else(|| stranger(Reason::JoinTokenSpent))?;
    let token = kernel
        .one::<JoinToken>(token_id)
        .await?
        .filter(|token| kernel.opaque.matches(&parsed, &token.hash))
        .ok_or_else(|| stranger(Reason::JoinTokenSpent))?;
    if token.enrolled.is_some() {
        replayed(kernel, &token).await?;
        return Err(refuse_enrolment(kernel, &token, Reason::JoinTokenSpent).await);
    }
    if kernel.now() >= token.expires_at || !epoch::of_this_epoch(kernel, token.created).await? {
        return Err(refuse_enrolment(kernel, &token, Reason::JoinTokenSpent).await);
    }
    let key = parse_workload_key(&ask.jwk).map_err(|e| OpError::field("jwk", e.code(), &e.to_string()))?;
    let outcome = kernel
        .decide(|| async {
            let reading = kernel.reading();
            let now = reading.now;
            let token = kernel.must::<JoinToken>("join token", token_id).await?;
            if token.enrolled.is_some() {
                return Err(OpError::refused(Reason::JoinTokenSpent));
            }
            // Ten minutes mean nothing on a clock that stepped (S-4); what a replay sets off goes on.
            if !reading.reliable {
                return Err(OpError::refused(Reason::ClockUnreliable));
            }
            let known = kernel.know(token.identity).await?.ok_or(OpError::refused(Reason::IdentityUnknown))?;
            let standing = gate::standing(known.facts(now))?;
            let environment = standing.charter().environment.clone();
            let proof = verify_enrolment_proof(&ask.proof, &key, &kernel.issuer_of(&environment), token_id, now)
                .map_err(|e| OpError::because(Reason::ProofInvalid, e.code()))?;
            let answer = kernel.policy.decide(&Question {
                principal: identity_entity(&known.identity),
                action: Action::Bootstrap,
                resource: inventory("identity", token.identity, &environment),
                context: authority::bootstrap(true, true, now.since(token.created_at)),
            });
            gate::check(&answer).map_err(|reason| OpError::by_policy(reason, answer.clone()))?;
            let binding = Binding {
                id: BindingId::generate(now, kernel.entropy.as_ref()),
                identity: token.identity,
                workload: standing.charter().workload_binding.workload().to_owned(),
                matches: BindingMatch::PublicKey {
                    jwk: key.to_json(),
                    thumbprint: key.thumbprint().to_owned(),
                    assertion_audience: AssertionAudience::Issuer,
                },
                state: BindingState::Live,
                consumer: None,
                enrolled_with: Some(token_id),
                recheck: None,
                instances: Vec::new(),
                created_at: now,
            };
            let mut identity = (*known.identity.value).clone();
            if identity.bindings.len() >= MAX_BINDINGS {
                return Err(OpError::because(Reason::BudgetSpent, "the identity has 16 keys already"));
            }
            identity.bindings.push(binding.id);
            let event = kernel
                .event(now, EventKind::KeyEnrolled)
                .subject(token.identity)
                .subject(binding.id)
                .subject(token_id)
                .fact("thumbprint", key.thumbprint())
                .fact("exceptional_access", true)
                .fact("policies", answer.policies());
            let mut changeset = Changeset::new(Actor::Identity { id: token.identity }, now, event);
            known.expect(&mut changeset);
            changeset.replace(&token, &JoinToken { enrolled: Some(binding.id), ..(*token.value).clone() });
            changeset.replace(&known.identity, &identity).insert(&binding);
            exceptional::exceptional(
                kernel,
                &mut changeset,
                about(Access::JoinTokenUsed, &token, approval(&known.identity), None),
            );
            if !known.identity.bindings.is_empty() {
                // Another key of the same identity is a rotation, and asks whether it is still needed (R93).
                review_opening::review_rotation(kernel, &mut changeset, &identity, now).await?;
            }
            changeset.once.push(Once { space: "key", key: key.thumbprint().to_owned(), until: None });
            changeset.once.push(Once {
                space: "jti",
                key: format!("{} {}", token.identity, proof.jti),
                until: Some(proof.replay_until),
            });
            Ok((changeset, binding))
        })
        .await;
    match outcome {
        Ok((binding, committed)) => kernel.changed(binding, 1, &committed).await,
        Err(error) => {
            if let OpError::Refused { reason, .. } = &error {
                // Somebody else may have enrolled with it since it was read: then this was the second presentation.
                let again = kernel.must::<JoinToken>("join token", token_id).await?;
                if again.enrolled.is_some() {
                    replayed(kernel, &again).await?;
                }
                refuse_enrolment(kernel, &again, *reason).await;
                if *reason == Reason::KeyAlreadyBound {
                    let actor = Actor::Identity { id: again.identity };
                    bindings::note_taken_key(kernel, actor, &again.identity.to_string(), key.thumbprint()).await;
                }
            }
            Err(error)
        }
    }
}

/// Suspends what a replayed join token enrolled: the identity, and the binding. Once the binding is suspended there is
/// nothing more to take, so that whoever holds the spent token can't suspend the identity again and again.
async fn replayed(kernel: &Kernel, token: &Stored<JoinToken>) -> Result<(), OpError> {
    let Some(enrolled) = token.enrolled else { return Ok(()) };
    for _ in 0..16 {
        let now = kernel.now();
        let Some(binding) =
            kernel.one::<Binding>(enrolled).await?.filter(|binding| binding.state == BindingState::Live)
        else {
            return Ok(());
        };
        let identity = kernel.must::<Identity>("identity", token.identity).await?;
        let mut changeset = match lifecycle::suspend_for_replay(kernel, &identity, now).await? {
            Some(changeset) => changeset,
            // The key is suspended in any case: two tokens of one identity may have been stolen.
            None => Changeset::new(
                Actor::System { part: "enrolment".into() },
                now,
                kernel.event(now, EventKind::BindingSuspended).subject(binding.id).subject(identity.id),
            ),
        };
        changeset.replace(&binding, &Binding { state: BindingState::Suspended, ..(*binding.value).clone() });
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    Err(OpError::Unavailable("the identity changes too fast to be suspended".into()))
}

async fn refuse_enrolment(kernel: &Kernel, token: &JoinToken, reason: Reason) -> OpError {
    let refusal = Refusal {
        actor: Actor::Identity { id: token.identity },
        control: ControlPoint::Issue,
        asked: "enrol",
        subjects: vec![token.identity.to_string(), token.id.to_string()],
        code: reason.code(),
        fields: &[],
        answer: None,
    };
    let apart = |changeset: &mut Changeset| {
        exceptional::exceptional(kernel, changeset, about(Access::JoinTokenRefused, token, None, Some(reason.code())));
    };
    kernel.record_refusal_with(refusal, apart).await;
    OpError::refused(reason)
}

/// The request that approved an identity: a join token exists only by it.
fn approval(identity: &Identity) -> Option<String> {
    identity.activation.as_ref().map(|activation| activation.request.to_string())
}

fn about<'a>(access: Access, token: &JoinToken, allowed_by: Option<String>, refused: Option<&'a str>) -> About<'a> {
    About { access, with: token.id.to_string(), identity: Some(token.identity), allowed_by, refused }
}
