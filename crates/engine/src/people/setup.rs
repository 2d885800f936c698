//! The first administrator (S-10): by a set-up token, once, while the log is empty.

use parking_lot::Mutex;
use tenure_api::requests::Setup;
use tenure_api::sign_in::{NewInvitation, Recovered};
use tenure_api::views::SetupDone;
use tenure_core::base::id::{EventId, OperatorTokenId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::exceptional::Access;
use tenure_core::identity::RiskTier;
use tenure_core::people::person::{OperatorToken, Person, PersonState, Role};
use tenure_core::request::campaign::cadence_of;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, Personal, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Store, StoreError};
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::trust::signing_key::KeyUse;
use tenure_credentials::opaque::{Minted, OpaqueKind, Parsed, SetupToken};

use crate::kernel::administrators::Administrators;
use crate::kernel::caller::{self, Caller};
use crate::kernel::deployment::{self, Deployment};
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, freshness, keys};
use crate::people::operator_tokens::operator_token;
use crate::people::{invitations, operator_tokens};

const SETUP_TOKEN_LIFE: Span = Span::from_mins(15);
/// How long an operator token is good for where nothing else is said.
pub(crate) const OPERATOR_TOKEN_LIFE: Span = Span::from_mins(8 * 60);

/// The set-up token that was handed out last by this process, until it was used.
#[derive(Default)]
struct Expected(Mutex<Option<Awaited>>);

/// A set-up token that was handed out by this process.
struct Awaited {
    hash: String,
    expires_at: Timestamp,
}

pub(crate) fn personal(engine: &Kernel, subject: PersonId, field: &'static str, value: &str) -> Personal {
    let mut salt = [0u8; 32];
    engine.entropy.fill(&mut salt);
    Personal { subject: subject.to_string(), field, salt, value: value.to_owned() }
}

/// A set-up token to leave for the operator, if set-up was not done yet. A later call replaces it.
///
/// # Errors
/// The store can't be read.
pub async fn offer_setup(kernel: &Kernel) -> Result<Option<Secret<String>>, OpError> {
    let head = kernel.store.head().await?;
    let now = kernel.now();
    let id = OperatorTokenId::generate(now, kernel.entropy.as_ref());
    let Some(SetupToken { token, hash }) = kernel.opaque.setup_token(id, head, kernel.entropy.as_ref()) else {
        return Ok(None);
    };
    *kernel.memory.of::<Expected>().0.lock() = Some(Awaited { hash, expires_at: now.plus(SETUP_TOKEN_LIFE) });
    Ok(Some(token))
}

/// Makes the first administrator and the deployment's keys.
///
/// # Errors
/// The token is wrong or over, or set-up was done before.
pub async fn set_up(kernel: &Kernel, ask: Setup) -> Result<SetupDone, OpError> {
    let now = kernel.now();
    if kernel.store.head().await?.size > 0 {
        return Err(OpError::Setup("set-up was done before"));
    }
    let good = Parsed::parse(&ask.setup_token).ok().filter(|parsed| {
        parsed.kind() == OpaqueKind::Setup
            && kernel
                .memory
                .of::<Expected>()
                .0
                .lock()
                .as_ref()
                .is_some_and(|awaited| now < awaited.expires_at && kernel.opaque.matches(parsed, &awaited.hash))
    });
    if good.is_none() {
        return Err(OpError::Unauthenticated(Reason::ProofInvalid));
    }
    crate::people::person::check_person(&ask.name, ask.email.as_deref())?;
    let log_key = keys::new_key(kernel, KeyUse::Log, now)?;
    let receipt_key = keys::new_key(kernel, KeyUse::Receipt, now)?;
    let deployment = Deployment {
        log_name: deployment::log_name(&kernel.settings.public_url),
        log_key: log_key.id,
        receipt_key: receipt_key.id,
        created_at: now,
    };
    let id = PersonId::generate(now, kernel.entropy.as_ref());
    let person = Person::new(id, ask.name.clone(), ask.email.clone(), vec![Role::Administrator], now);
    let event = kernel.event(now, EventKind::DeploymentSetUp);
    let (pending, token) = new_operator_token(kernel, person.id, OPERATOR_TOKEN_LIFE, event.id, now);
    let mut event = event
        .subject(person.id)
        .fact("roles", &person.roles)
        .fact("log_key", &log_key.public)
        .fact("receipt_key", &receipt_key.public)
        .fact("operator_token", token.id)
        .fact("single_person", true)
        .personal(personal(kernel, person.id, "name", &ask.name));
    if let Some(email) = &ask.email {
        event = event.personal(personal(kernel, person.id, "email", email));
    }
    let mut changeset = Changeset::new(Actor::System { part: "set-up".into() }, now, event);
    changeset
        .insert(&deployment)
        .insert(&log_key)
        .insert(&receipt_key)
        .insert(&person)
        .insert(&Administrators::only(person.id))
        .insert(&token);
    for tier in RiskTier::ALL {
        let at = now.plus(kernel.settings.review_every.unwrap_or(tier.ceilings().review_every));
        changeset.due.push(DueChange::Set(DueKind::Campaign, cadence_of(*tier), at));
    }
    exceptional::exceptional(kernel, &mut changeset, operator_token(&token));
    let Some(committed) = kernel.settle(changeset).await? else {
        return Err(OpError::Setup("set-up was done by somebody else at the same moment"));
    };
    *kernel.memory.of::<Expected>().0.lock() = None;
    Ok(SetupDone {
        person,
        operator_token: Kernel::released(pending, &committed)?.expose().clone(),
        expires_at: token.expires_at,
    })
}

/// Whether set-up was done.
///
/// # Errors
/// The store can't be read.
pub async fn is_set_up(kernel: &Kernel) -> Result<bool, OpError> {
    Ok(kernel.store.head().await?.size > 0)
}

/// Sets up in a browser, where a passkey follows at once: makes the first administrator, and the invitation with which
/// they bind it. The operator token that set-up makes ends with that, as it is handed to nobody.
///
/// # Errors
/// As [`set_up`].
pub async fn set_up_in_a_browser(kernel: &Kernel, ask: Setup) -> Result<String, OpError> {
    let done = set_up(kernel, ask).await?;
    let caller = caller::authenticate_person(kernel, &done.operator_token).await?;
    let invitation = NewInvitation { person: done.person.id, replaces: false };
    let made = invitations::create_invitation(kernel, &caller, invitation).await?;
    if let Caller::Person { via: Via::OperatorToken(token), .. } = &caller {
        operator_tokens::revoke_operator_token(kernel, &caller, *token).await?;
    }
    Ok(made.invitation)
}

/// Gives an administrator back to a deployment that has lost its last one: whoever holds the root key may (S-10). It
/// restores one person, with an invitation that replaces the sign-ins which they lost, and issues nothing else; the log
/// says so. While nobody signs in, an operator token comes with it.
///
/// # Errors
/// Set-up was not done, or there is no such active person.
pub async fn recover_administrator(kernel: &Kernel, person: Option<PersonId>) -> Result<Recovered, OpError> {
    if deployment::deployment(kernel).await?.is_none() {
        return Err(OpError::Setup("set-up has not been done"));
    }
    let id = match person {
        Some(id) => id,
        None => any_administrator(kernel).await?,
    };
    let ((person, pending, invitation, operator), committed) = kernel
        .decide(|| async {
            let now = kernel.now();
            let set_up = freshness::sign_in_is_set_up(kernel).await?;
            let before_sign_in = if set_up { None } else { Some(freshness::before_sign_in(kernel).await?) };
            let stored = kernel.must::<Person>("person", id).await?;
            if stored.state != PersonState::Active {
                return Err(OpError::field("person", "person_not_active", "only an active person can administer"));
            }
            let mut person = (*stored.value).clone();
            let event = kernel.event(now, EventKind::DeploymentRecovered);
            let (pending, invitation) = invitations::new_invitation(kernel, id, id, true, true, event.id, now);
            let event = event
                .subject(id)
                .subject(invitation.id)
                .fact("operator_token", before_sign_in.is_some())
                .fact("single_person", true)
                .fact("role_given", !person.roles.contains(&Role::Administrator));
            let event = notify(
                event,
                &[],
                &[Role::Administrator],
                "An administrator was recovered with the root key",
                &format!(
                    "Somebody who holds the root key made {id} an administrator again with `tenure recover`.\n\
                         If that was none of you, take it back and change the root key."
                ),
            );
            let mut changeset = Changeset::new(Actor::System { part: "recover".into() }, now, event);
            if person.roles.contains(&Role::Administrator) {
                changeset.expect(&stored);
            } else {
                person.roles.push(Role::Administrator);
                changeset.replace(&stored, &person);
            }
            changeset.insert(&invitation);
            let about = About {
                access: Access::AdministratorRecovered,
                with: invitation.id.to_string(),
                identity: None,
                allowed_by: None,
                refused: None,
            };
            exceptional::exceptional(kernel, &mut changeset, about);
            let mut operator = None;
            if let Some(fresh) = before_sign_in {
                let (pending, token) = new_operator_token(kernel, id, OPERATOR_TOKEN_LIFE, changeset.id, now);
                fresh.expect(&mut changeset);
                changeset.insert(&token);
                operator = Some(pending);
            }
            Ok((changeset, (person, pending, invitation, operator)))
        })
        .await?;
    Ok(Recovered {
        person,
        invitation: Kernel::released(pending, &committed)?.expose().clone(),
        expires_at: invitation.expires_at,
        operator_token: match operator {
            Some(pending) => Some(Kernel::released(pending, &committed)?.expose().clone()),
            None => None,
        },
    })
}

async fn any_administrator(kernel: &Kernel) -> Result<PersonId, OpError> {
    let active = Query::of([Person::ROLE.of(Role::Administrator), Person::STATE.of(PersonState::Active)]);
    // Enough of them that one whose record can't be read doesn't stand in the way.
    let people = kernel.find(active.limit(100)).await?.readable();
    let first = people.first().ok_or(OpError::NotFound("active administrator: name a person"))?;
    Ok(first.id)
}

/// A fresh operator token and its record, for the commit that writes it.
pub(crate) fn new_operator_token(
    kernel: &Kernel,
    person: PersonId,
    life: Span,
    commit: EventId,
    now: Timestamp,
) -> (Pending<String>, OperatorToken) {
    let id = OperatorTokenId::generate(now, kernel.entropy.as_ref());
    let Minted { token, hash } = kernel.opaque.operator_token(id, commit, kernel.entropy.as_ref());
    (token, OperatorToken { id, person, hash, created_at: now, expires_at: now.plus(life), revoked_at: None })
}

/// The public URL's authority under which a deployment was set up, if it was.
///
/// # Errors
/// The store can't be read.
pub async fn set_up_as(store: &dyn Store) -> Result<Option<String>, StoreError> {
    let stored = store.load(&[Deployment::row_key()]).await?.get::<Deployment>(0)?;
    Ok(stored.map(|deployment| deployment.log_name.clone()))
}
