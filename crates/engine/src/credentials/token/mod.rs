//! The token endpoint's use case: a workload proves itself and gets a credential of minutes.

pub mod ask;
pub mod backchannel;
pub mod exchange;
pub mod instances;
pub mod intent;
pub mod prove;
pub mod sender;

use serde_json::json;
use tenure_api::views::TokenIssued;
use tenure_core::base::id::{BindingId, CredentialId, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate::{self, Ask, Delegated};
use tenure_core::identity::binding::{BindingMatch, BindingState, Instance};
use tenure_core::identity::context::{SeenContext, network_of};
use tenure_core::identity::{CredentialType, Identity};
use tenure_core::inventory::environment::Environment;
use tenure_core::policy::{Attributes, Value};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Committed;
use tenure_core::store::row::{RowKey, RowKind, Stored};
use tenure_core::store::secret::Pending;

use self::instances::Mark;
use self::intent::{Intent, Wish, granted_task, within_task};
use crate::credentials::token::ask::{Grant, TokenAsk, Wanted};
use crate::credentials::token::sender::token_type;
use crate::credentials::{deprecated_use, misuse};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::load::{self, KnownIdentity};
use crate::kernel::{Kernel, exceptional, keys};

pub use self::exchange::ACCESS_TOKEN_TYPE;

pub use self::intent::DETAIL_TYPES;

pub use self::sender::CERTIFICATE_WANTED;

pub use crate::credentials::token::ask::Dpop;

pub use crate::credentials::token::ask::Presented;
pub use crate::credentials::token::ask::Proof;

pub(crate) use crate::credentials::token::ask::TokenUse;

pub(crate) use crate::credentials::token::ask::unfit_proof;

/// What one decision to issue rests on and gives.
struct Issued {
    token: Pending<String>,
    token_type: &'static str,
    issued_token_type: Option<&'static str>,
    authorization_details: Option<serde_json::Value>,
    expires_in: i64,
    scope: String,
    credential: CredentialId,
    /// In which context it was asked for, and since when the key is in use that proved it.
    seen: SeenContext,
    key_since: Option<Timestamp>,
    /// The binding of the consumer who asked, of a shared identity.
    consumer: Option<BindingId>,
}

/// Issues one access token, or says why not. What was issued is durable before it is returned (invariant 2).
///
/// # Errors
/// The proof fails, the identity may not, or the store can't take the record.
pub async fn issue_token(kernel: &Kernel, ask: TokenAsk) -> Result<TokenIssued, OpError> {
    let environment = kernel.one::<Environment>(&ask.environment).await?.ok_or(OpError::NotFound("environment"))?;
    let id = prove::claimed_identity(kernel, ask.client_id.as_deref(), &ask.proof, &ask.source)?;
    if let Grant::Backchannel(auth_req_id) = &ask.grant {
        backchannel::unless_answered(kernel, &ask, id, auth_req_id).await?;
    }
    let error = match kernel.decide(|| decide_issuance(kernel, &ask, id, &environment)).await {
        Ok((issued, committed)) => {
            kernel.note_context(id, issued.seen.clone(), issued.key_since, committed.at());
            return hand_over(kernel, id, issued, &committed).await;
        }
        Err(error) => error,
    };
    match &error {
        // The latter is a step of the protocol, which the client answers with the same request once more.
        OpError::Unauthenticated(reason) | OpError::Refused { reason: reason @ Reason::DpopNonceNeeded, .. } => {
            kernel.count_stranger(*reason, &ask.source)
        }
        OpError::Refused { reason, answer, .. } => {
            ask::refuse_identity(kernel, id, ControlPoint::Issue, ask.asked(), reason.code(), &[], answer.as_deref())
                .await;
            if *reason == Reason::WrongEnvironment {
                misuse::note_proof_elsewhere(kernel, id, &ask.environment).await;
            }
            // What is refused before its state was looked at proved nothing of whose it is.
            if matches!(reason, Reason::IdentityRetired | Reason::IdentitySuspended) {
                misuse::note_use_after_end(kernel, id, "token", None).await;
            }
        }
        OpError::Invalid(fields) => {
            ask::refuse_identity(kernel, id, ControlPoint::Issue, ask.asked(), "invalid", fields, None).await
        }
        // The issuer's keys can't be had, or not yet the one that is named: whoever that was proved nothing.
        OpError::Unavailable(_) if matches!(ask.proof, Proof::ExternalToken(_)) => {
            kernel.count_stranger(Reason::ProofInvalid, &ask.source)
        }
        _ => {}
    }
    Err(error)
}

async fn hand_over(
    kernel: &Kernel,
    id: IdentityId,
    issued: Issued,
    committed: &Committed,
) -> Result<TokenIssued, OpError> {
    let token = Kernel::released(issued.token, committed)?;
    count(&kernel.counters.issued);
    kernel.touch(id.to_string(), committed.at());
    if let Some(binding) = issued.consumer {
        kernel.touch(binding.to_string(), committed.at());
    }
    Ok(TokenIssued {
        access_token: token.expose().clone(),
        token_type: issued.token_type.into(),
        issued_token_type: issued.issued_token_type.map(str::to_owned),
        authorization_details: issued.authorization_details,
        expires_in: issued.expires_in,
        scope: issued.scope,
        credential: issued.credential,
        log: kernel.logged(committed).await?,
    })
}

async fn decide_issuance(
    kernel: &Kernel,
    ask: &TokenAsk,
    id: IdentityId,
    environment: &Stored<Environment>,
) -> Result<(Changeset, Issued), OpError> {
    let reading = kernel.reading();
    let now = reading.now;
    let snapshot =
        kernel.store.load(&[RowKey::new(RowKind::Identity, id), load::environment_key(&ask.environment)]).await?;
    let identity = snapshot.get::<Identity>(0)?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
    let environment = snapshot.get::<Environment>(1)?.unwrap_or_else(|| environment.clone());
    let known = kernel.know_rest(identity).await?;
    let issuer = kernel.issuer_of(&environment.name);
    let proven = prove::prove(kernel, &known, &ask.proof, &issuer, &environment.name, now).await?;
    // From here on the caller is known: refusals are recorded one by one.
    if !reading.reliable {
        return Err(OpError::refused(Reason::ClockUnreliable));
    }
    if proven.binding.state == BindingState::Suspended {
        return Err(OpError::refused(Reason::BindingSuspended));
    }
    let sender = sender::sender(kernel, &ask.sender, now)?;
    let standing = gate::standing(known.facts(now))?;
    if standing.charter().environment != environment.name {
        return Err(OpError::refused(Reason::WrongEnvironment));
    }
    let wanted = wanted(kernel, ask, &known, &standing, now).await?;
    let ttl = standing.charter().credential_ttl;
    let mark = Mark::of(sender.confirmation.as_ref(), &ask.source);
    let second_instance = instances::is_second(kernel, &known.identity, &proven.binding, &mark, now).await?;
    let mut context = Attributes::from([
        ("method", Value::Text(ask.proof.method().to_owned())),
        ("ttl_secs", Value::Long(ttl.as_secs())),
        ("waived", Value::Set(exceptional::waived(kernel, &known.identity, now).await?)),
        ("in_intent", Value::Bool(wanted.outside.is_none())),
        ("second_instance", Value::Bool(second_instance)),
    ]);
    let delegation = wanted.delegated.as_ref().map(Delegated::delegation);
    context.extend(kernel.handed_on(&known.identity, delegation).await?);
    let credential = CredentialId::generate(now, kernel.entropy.as_ref());
    let issuance = Ask {
        credential,
        kind: CredentialType::AccessToken,
        environment: &environment,
        resource: &wanted.resource,
        binding: Some(proven.binding.id),
        ttl: proven.until.map(|until| until.since(now)),
        // A token that names its actor serves nobody else, and is no use to whoever else has it.
        confirmation: sender.confirmation.as_ref().filter(|_| wanted.may_act.is_none()),
        task: wanted.task.as_ref().map(|(name, _)| name.as_str()),
        delegation: wanted.delegated.as_ref(),
        may_act: wanted.may_act.as_ref(),
    };
    let considered = standing.consider(&*kernel.policy.engine(), issuance, &wanted.held, context);
    let (question, answer) = (considered.question().clone(), considered.answer().clone());
    if second_instance {
        instances::note_second(kernel, &known.identity, &proven.binding, &mark, answer.allowed()).await;
    }
    if let Some(reason) = wanted.outside {
        return Err(OpError::by_policy(reason, answer));
    }
    let permit = considered.permit().map_err(|reason| match reason {
        Reason::PolicyDenied if second_instance && instances::is_for_one(kernel, question) => {
            OpError::by_policy(Reason::SecondInstance, answer.clone())
        }
        other => OpError::by_policy(other, answer.clone()),
    })?;
    instances::note_places(kernel, &known.identity, &proven.binding, proven.place.as_deref(), now).await;
    let record = permit.record();
    let mut event = kernel
        .event(now, EventKind::CredentialIssued)
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
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    let consumer = known.identity.consumer_of(&proven.binding).map(str::to_owned);
    if let Some(consumer) = &consumer {
        event = event.fact("consumer", consumer);
    }
    if let Some(confirmation) = &record.confirmation {
        event = event.fact("cnf", confirmation);
    }
    if let Some((task, by)) = &wanted.task {
        event = event.fact("task", task).fact("task_by", by.as_str());
    }
    if !wanted.left_out.is_empty() {
        event = event.fact("left_out", &wanted.left_out);
    }
    if let Some(delegation) = &record.delegation {
        event = event.fact("chain", &delegation.chain).fact("parents", &delegation.parents);
        let tasks: Vec<_> =
            delegation.declared().map(|(identity, task)| json!({"identity": identity, "task": task})).collect();
        event = event.fact("tasks", tasks);
        for link in &delegation.chain {
            event = event.subject(link);
        }
    }
    if let Some(may_act) = &record.may_act {
        event = event.fact("may_act", may_act);
    }
    let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
    known.expect(&mut changeset);
    changeset.expect(&environment).expect(&wanted.resource);
    changeset.expects.extend(wanted.expects);
    for ancestor in &wanted.ancestors {
        ancestor.expect(&mut changeset);
    }
    instances::note_instance(
        kernel,
        &mut changeset,
        &known.identity,
        &proven.binding,
        (&mark, proven.place.as_deref()),
        record.expires_at,
        second_instance,
        now,
    );
    if let Some(issuer) = &proven.issuer {
        changeset.expect(issuer);
    }
    for grant in known.grants.iter().flatten().filter(|grant| wanted.held.grants().contains(&grant.id)) {
        changeset.expect(grant);
    }
    if let Grant::Backchannel(auth_req_id) = &ask.grant {
        backchannel::redeem_answer(kernel, &mut changeset, id, auth_req_id, credential, now).await?;
    }
    deprecated_use::note(kernel, &known.identity, record.resource, now);
    changeset.insert(&record);
    changeset.once.extend(proven.once);
    changeset.once.extend(sender.once);
    changeset.spends.push(ask::issuance_spend(kernel, id, now));
    let algorithm = environment.algorithm_at(wanted.resource.signing_algorithm, now);
    let signer = keys::token_signer(kernel, &environment, algorithm, now).await?;
    let issued = Issued {
        expires_in: permit.expires_at().as_secs() - now.as_secs(),
        scope: record.actions.join(" "),
        token_type: token_type(record.confirmation.as_ref()),
        issued_token_type: wanted.issued_token_type,
        authorization_details: wanted.details,
        credential,
        consumer: consumer.map(|_| proven.binding.id),
        seen: SeenContext {
            network: network_of(&ask.source),
            client: record.confirmation.as_ref().map(Instance::mark_of),
            workload: Some(proven.binding.workload.clone()),
            ..SeenContext::default()
        },
        key_since: match proven.binding.matches {
            BindingMatch::PublicKey { .. } | BindingMatch::Certificate { .. } => Some(proven.binding.created_at),
            BindingMatch::Oidc { .. } => None,
        },
        token: signer.sign(permit, &issuer, changeset.id).map_err(|error| OpError::Internal(error.to_string()))?,
    };
    Ok((changeset, issued))
}

/// What the grant that was asked for comes to, before policy is asked.
async fn wanted(
    kernel: &Kernel,
    ask: &TokenAsk,
    known: &KnownIdentity,
    standing: &gate::Standing<'_>,
    now: Timestamp,
) -> Result<Wanted, OpError> {
    match &ask.grant {
        Grant::Own => wanted_own(kernel, ask, known, standing, now),
        Grant::Exchange(subject_token) => {
            Box::pin(exchange::wanted_exchange(kernel, ask, subject_token, known, standing, now)).await
        }
        Grant::Backchannel(auth_req_id) => backchannel::wanted_backchannel(kernel, ask, known, auth_req_id, now).await,
    }
}

/// A credential under the identity's own authority.
pub(crate) fn wanted_own(
    kernel: &Kernel,
    ask: &TokenAsk,
    known: &KnownIdentity,
    standing: &gate::Standing<'_>,
    now: Timestamp,
) -> Result<Wanted, OpError> {
    let intent = Intent::parse(ask.authorization_details.as_deref())?;
    if let Some(detail) = &intent.delegation {
        return exchange::wanted_hand_on(kernel, ask, known, standing, Vec::new(), detail, now);
    }
    let resource = ask::wanted_resource(known, intent.resource(ask.resource.as_deref())?, standing)?;
    let holds = |action: &str| standing.held(&resource, &[action.to_owned()]).is_ok();
    let wish = Wish::read(&intent, ask.actions(), standing, &resource, &resource.actions, holds)?;
    let held = standing.held(&resource, &wish.actions)?;
    let (held, outside) = within_task(standing, &resource, wish.task(), &wish.actions, held);
    Ok(Wanted {
        outside,
        details: wish.task().map(|task| granted_task(task, &resource, held.actions())),
        task: wish.task,
        left_out: wish.left_out,
        resource,
        held,
        may_act: None,
        delegated: None,
        ancestors: Vec::new(),
        issued_token_type: None,
        expects: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
