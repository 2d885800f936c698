//! API keys: for what can't prove itself otherwise, by an exception that ends (R5, R32).

use tenure_api::api_keys::{ApiKeyIssued, NewApiKey};
use tenure_core::base::id::{CredentialId, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate::{self, Ask};
use tenure_core::finding::exceptional::Access;
use tenure_core::identity::{CredentialType, Identity, Kind};
use tenure_core::inventory::environment::Environment;
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::request::exception::{Exception, ExceptionType};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::Pending;

use crate::credentials::token::ask::{self, wanted_resource};
use crate::kernel::Kernel;
use crate::kernel::authority::{bootstrap, inventory, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::load::{KnownIdentity, expect};
use crate::kernel::operation::Asked;

/// Issues an API key, shown this once. It ends with the exception that allows it, at the latest.
///
/// # Errors
/// The charter doesn't list the type, no exception is in force, the identity doesn't stand, or the caller may not.
pub async fn create_api_key(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: NewApiKey,
) -> Result<ApiKeyIssued, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Issue, "api_key.create", id), async {
            let ((pending, view), committed) = kernel.decide(|| decide_api_key(kernel, caller, id, &ask)).await?;
            let secret = Kernel::released(pending, &committed)?;
            Ok(ApiKeyIssued { api_key: secret.expose().clone(), log: Some(kernel.logged(&committed).await?), ..view })
        })
        .await
}

async fn decide_api_key(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: &NewApiKey,
) -> Result<(Changeset, (Pending<String>, ApiKeyIssued)), OpError> {
    let reading = kernel.reading();
    let now = reading.now;
    let known = kernel.know(id).await?.ok_or(OpError::NotFound("identity"))?;
    let environment = known.identity.charter.environment.clone().unwrap_or_default();
    kernel.allow(
        caller,
        Action::Bootstrap,
        inventory("identity", id, &environment),
        bootstrap(owns_identity(caller, &known.identity), true, Span::default()),
    )?;
    if !reading.reliable {
        return Err(OpError::refused(Reason::ClockUnreliable));
    }
    let standing = gate::standing(known.facts(now))?;
    let environment = kernel.must::<Environment>("environment", &environment).await?;
    let resource = wanted_resource(&known, ask.resource.as_deref(), &standing)?;
    let held = standing.held(&resource, &ask.actions)?;
    let waiver = weaker_credential_waiver(kernel, &known.identity, now).await?;
    // It ends before the exception does.
    let until = waiver.as_ref().and_then(|waiver| waiver.ends_at).map_or(Span::default(), |end| end.since(now));
    let wanted = ask.ttl.unwrap_or(standing.charter().rotation_cadence).min(standing.charter().rotation_cadence);
    let ttl = wanted.min(until);
    let context = api_key_context(kernel, &known, if waiver.is_some() { ttl } else { wanted }, now).await?;
    let credential = CredentialId::generate(now, kernel.entropy.as_ref());
    let issuance = Ask {
        credential,
        kind: CredentialType::ApiKey,
        environment: &environment,
        resource: &resource,
        binding: None,
        ttl: Some(ttl),
        confirmation: None,
        task: None,
        delegation: None,
        may_act: None,
    };
    let considered = standing.consider(&*kernel.policy.engine(), issuance, &held, context);
    let answer = considered.answer().clone();
    let permit = considered.permit().map_err(|reason| OpError::by_policy(reason, answer.clone()))?;
    let commit = kernel.event(now, EventKind::CredentialIssued);
    let (key, record) = kernel.opaque.api_key(permit, commit.id, kernel.entropy.as_ref());
    let event = commit
        .subject(credential)
        .subject(id)
        .fact("type", record.kind)
        .fact("method", "api_key")
        .fact("environment", &record.environment)
        .fact("resource", record.resource)
        .fact("actions", &record.actions)
        .fact("grants", &record.grants)
        .fact("exception", waiver.as_ref().map(|waiver| waiver.id))
        .fact("expires_at", record.expires_at)
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    let mut changeset = Changeset::new(caller.author(), now, event);
    known.expect(&mut changeset);
    changeset.expect(&environment).expect(&resource);
    changeset.expects.extend(waiver.as_ref().map(expect));
    for grant in known.grants.iter().flatten().filter(|grant| held.grants().contains(&grant.id)) {
        changeset.expect(grant);
    }
    changeset.insert(&record);
    changeset.spends.push(ask::issuance_spend(kernel, id, now));
    let about = About {
        access: Access::ApiKeyIssued,
        with: credential.to_string(),
        identity: Some(id),
        allowed_by: waiver.as_ref().map(|waiver| waiver.id.to_string()),
        refused: None,
    };
    exceptional::exceptional(kernel, &mut changeset, about);
    let view = ApiKeyIssued {
        id: credential,
        identity: id,
        api_key: String::new(),
        resource: resource.uri.clone(),
        scope: record.actions.join(" "),
        expires_at: record.expires_at,
        log: None,
    };
    Ok((changeset, (key.token, view)))
}

async fn api_key_context(
    kernel: &Kernel,
    known: &KnownIdentity,
    ttl: Span,
    now: Timestamp,
) -> Result<Attributes, OpError> {
    Ok(Attributes::from([
        ("method", Value::Text("api_key".to_owned())),
        ("ttl_secs", Value::Long(ttl.as_secs())),
        ("waived", Value::Set(exceptional::waived(kernel, &known.identity, now).await?)),
        // A key is for no task in particular.
        ("in_intent", Value::Bool(known.identity.charter.tasks.is_empty())),
        ("depth", Value::Long(0)),
        ("through_agent", Value::Bool(known.identity.kind == Kind::Agent)),
        ("second_instance", Value::Bool(false)),
    ]))
}

/// The exception in force that lets the identity have a weaker credential: the one that ends last.
async fn weaker_credential_waiver(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<Stored<Exception>>, OpError> {
    let mut found: Option<Stored<Exception>> = None;
    for id in &identity.exceptions {
        let Some(exception) = kernel.one::<Exception>(id).await? else {
            continue;
        };
        let waives = exception.kind == ExceptionType::WeakerCredential && exception.is_in_force(now);
        if waives && found.as_ref().is_none_or(|other| other.ends_at < exception.ends_at) {
            found = Some(exception);
        }
    }
    Ok(found)
}
