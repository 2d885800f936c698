//! Passkeys: registering one, seeing and removing one's own (S-7). Signing in with one is in [`assertion`].
//!
//! A ceremony keeps nothing here between its two requests ([`tenure_credentials::webauthn::Flows`]); the commit that
//! ends it uses the challenge up, so that an answer counts once, on whichever replica.

pub mod assertion;

use serde_json::{Value, json};
use tenure_api::passkeys::{PasskeyView, RegisterFinish};
use tenure_api::views::Page;
use tenure_core::base::id::{PasskeyId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::Person;
use tenure_core::people::sign_in::{Assurance, Passkey, Session, SignInBinding, SignInMethod, SignInProvider};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::trust::state::TrustState;
use tenure_credentials::webauthn::{
    ALGORITHMS, Credential, Flow, Flows, MAX_CREDENTIAL_ID, Purpose, Registration, RelyingParty, WebauthnError,
    credential_hash, decode, verify_registration,
};

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::keys::base64url;
use crate::kernel::operation::Asked;
use crate::kernel::{Kernel, freshness};
use crate::people::sign_in::{self, Entitled, MAX_SIGN_INS};

pub use self::assertion::SignedIn;

/// What browsers are told: a ceremony takes at most as long as its flow, in milliseconds.
const TIMEOUT: u32 = 300_000;
const MAX_NAME: usize = 64;
/// How far apart the clocks of replicas may be.
const CLOCKS_DIFFER: Span = Span::from_mins(5);

/// A ceremony that was begun.
pub struct Begun {
    /// What the browser gives to its authenticator, in the JSON form of Web Authentication Level 3.
    pub options: Value,
    /// What the client brings back with the answer.
    pub flow: Secret<String>,
}

/// A passkey that was registered.
pub struct Registered {
    /// The passkey.
    pub passkey: PasskeyView,
    /// The session that begins with it and its secret; none if it was registered inside one.
    pub session: Option<(Secret<String>, Session)>,
}

/// Begins the registration of a passkey, by an invitation or inside a fresh session of one's own.
///
/// # Errors
/// Neither is good, the person has too many, or browsers offer no passkeys under this public URL.
pub async fn begin_passkey(
    kernel: &Kernel,
    caller: Option<&Caller>,
    invitation: Option<&str>,
) -> Result<Begun, OpError> {
    let now = kernel.now();
    let relying_party = relying_party(kernel)?;
    let person = sign_in::may_bind(kernel, caller, invitation, now).await?.person;
    let held = live_passkeys(kernel, person.id).await?;
    if held.len() >= MAX_SIGN_INS {
        return Err(too_many());
    }
    let (flow, text) = Flows::new(&kernel.root)
        .begin(Purpose::Register { person: person.id }, now, kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(Begun { options: creation_options(&relying_party, &flow, &person, &held), flow: Secret::new(text) })
}

/// Ends the registration of a passkey: binds it to its person for ever, uses the invitation up, and signs in who came
/// with one.
///
/// # Errors
/// What entitled to it no longer does, the answer doesn't hold, or the passkey is bound already.
pub async fn finish_passkey(
    kernel: &Kernel,
    caller: Option<&Caller>,
    flow: &str,
    ask: &RegisterFinish,
) -> Result<Registered, OpError> {
    let relying_party = relying_party(kernel)?;
    let name = ask.name.as_deref().unwrap_or("passkey").trim();
    if name.is_empty() || name.len() > MAX_NAME || tenure_core::base::text::check_line(name).is_err() {
        return Err(OpError::field("name", "name_malformed", "give a name of 1 to 64 bytes"));
    }
    let ((passkey, begun), committed) = kernel
        .decide(|| async {
            let now = kernel.now();
            let entitled = sign_in::may_bind(kernel, caller, ask.invitation.as_deref(), now).await?;
            let flow = self::flow(kernel, flow, Purpose::Register { person: entitled.person.id }, now)
                .map_err(|_| OpError::Unauthenticated(Reason::ProofInvalid))?;
            let credential = read_registration(&relying_party, &flow, ask).map_err(not_accepted)?;
            if live_passkeys(kernel, entitled.person.id).await?.len() >= MAX_SIGN_INS {
                return Err(too_many());
            }
            bind_passkey(kernel, caller, &entitled, &flow, &credential, name, now).await
        })
        .await?;
    let session = match begun {
        Some((pending, session)) => Some((Kernel::released(pending, &committed)?, session)),
        None => None,
    };
    Ok(Registered { passkey, session })
}

async fn bind_passkey(
    kernel: &Kernel,
    caller: Option<&Caller>,
    entitled: &Entitled,
    flow: &Flow,
    credential: &Credential,
    name: &str,
    now: Timestamp,
) -> Result<(Changeset, (PasskeyView, Option<(Pending<String>, Session)>)), OpError> {
    let person = entitled.person.id;
    let passkey = Passkey {
        id: PasskeyId::generate(now, kernel.entropy.as_ref()),
        person,
        credential: base64url(&credential.id),
        credential_hash: credential_hash(&credential.id),
        public_key: base64url(&credential.public_key),
        counter: credential.counter,
        backup_eligible: credential.backup_eligible,
        name: name.to_owned(),
        created_at: now,
        removed_at: None,
    };
    // Who comes with an invitation proved to be the invited with it, and now with the passkey: they are signed in.
    // Others already are.
    let (author, begins) = match (entitled.invitation(), caller) {
        (None, Some(caller)) => (caller.author(), false),
        _ => (sign_in_itself().into(), true),
    };
    let event = kernel
        .event(now, EventKind::SignInBound)
        .subject(person)
        .subject(passkey.id)
        .fact("method", SignInMethod::Passkey)
        .fact("credential_hash", &passkey.credential_hash)
        .fact("backup_eligible", passkey.backup_eligible)
        .fact("invitation", entitled.invitation().map(|invitation| invitation.id))
        .fact("single_person", entitled.invitation().is_some_and(|invitation| invitation.single_person));
    let mut changeset = Changeset::new(author, now, event);
    changeset.insert(&passkey);
    changeset.once.push(Once { space: "passkey_credential", key: passkey.credential_hash.clone(), until: None });
    changeset.once.push(used(flow));
    sign_in::bind_sign_in(kernel, &mut changeset, entitled, now).await?;
    let session = match begins {
        true => Some(
            sign_in::start_session(kernel, &mut changeset, &entitled.person, passkey_assurance(now), true, now).await?,
        ),
        false => None,
    };
    Ok((changeset, (view(&passkey), session)))
}

/// The caller's own passkeys.
///
/// # Errors
/// The caller is no person.
pub async fn passkeys(kernel: &Kernel, caller: &Caller) -> Result<Page<PasskeyView>, OpError> {
    let held = live_passkeys(kernel, kernel.only_person(caller, "passkey.list").await?).await?;
    Ok(Page::whole(held.iter().map(|passkey| view(passkey)).collect()))
}

/// Takes one of the caller's own passkeys away, for ever, with every other session that a passkey of theirs began.
///
/// # Errors
/// No such passkey of theirs, their sign-in is not fresh, or it is their last way to sign in.
pub async fn remove_passkey(kernel: &Kernel, caller: &Caller, id: PasskeyId) -> Result<PasskeyView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "passkey.remove", id), async {
            let person = caller.must_be_person()?;
            let (passkey, _) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<Passkey>("passkey", id).await?;
                    if stored.person != person {
                        return Err(OpError::NotFound("passkey"));
                    }
                    if stored.removed_at.is_some() {
                        return Err(OpError::because(Reason::IllegalTransition, "the passkey was removed before"));
                    }
                    let passkey = Passkey { removed_at: Some(now), ..(*stored.value).clone() };
                    let event = kernel.event(now, EventKind::PasskeyRemoved).subject(id).subject(person);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &passkey);
                    expect_another_way_in(kernel, &mut changeset, person, id).await?;
                    end_other_sessions(kernel, &mut changeset, caller, person, now).await?;
                    Ok((changeset, view(&passkey)))
                })
                .await?;
            Ok(passkey)
        })
        .await
}

/// Demands that the person keeps a way to sign in, now and when the commit happens.
async fn expect_another_way_in(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    without: PasskeyId,
) -> Result<(), OpError> {
    if let Some(other) = live_passkeys(kernel, person).await?.iter().find(|passkey| passkey.id != without) {
        changeset.expect(other);
        return Ok(());
    }
    for binding in sign_in::of_person(kernel, SignInBinding::PERSON, person).readable().await? {
        if binding.removed_at.is_none()
            && let Some(provider) = kernel.one::<SignInProvider>(binding.provider).await?
            && provider.state == TrustState::Active
        {
            changeset.expect(&binding).expect(&provider);
            return Ok(());
        }
    }
    Err(OpError::because(
        Reason::NotAllowed,
        "this is the last way in which its person can sign in: register another passkey first",
    ))
}

/// What was removed may have been lost: what it opened elsewhere ends with it.
async fn end_other_sessions(
    kernel: &Kernel,
    changeset: &mut Changeset,
    caller: &Caller,
    person: PersonId,
    now: Timestamp,
) -> Result<(), OpError> {
    let is_callers = |session: &Session| matches!(caller.actor(), Actor::Person { via: tenure_core::store::event::Via::Session(id), .. } if id == session.id);
    for stored in sign_in::of_person(kernel, Session::PERSON, person).whole().await? {
        let live = stored.revoked_at.is_none() && now < stored.expires_at;
        if live && stored.assurance.method == SignInMethod::Passkey && !is_callers(&stored) {
            let ended = Session { revoked_at: Some(now), ..(*stored.value).clone() };
            changeset.event(kernel.event(now, EventKind::SessionRevoked).subject(stored.id).subject(person));
            changeset.replace(&stored, &ended);
        }
    }
    Ok(())
}

async fn live_passkeys(kernel: &Kernel, person: PersonId) -> Result<Vec<Stored<Passkey>>, OpError> {
    let mut passkeys = sign_in::of_person(kernel, Passkey::PERSON, person).readable().await?;
    passkeys.retain(|passkey| passkey.removed_at.is_none());
    Ok(passkeys)
}

/// Who we are to authenticators.
fn relying_party(kernel: &Kernel) -> Result<RelyingParty, OpError> {
    RelyingParty::from_url(&kernel.settings.public_url).ok_or_else(|| {
        OpError::field(
            "public_url",
            "passkeys_unavailable",
            "browsers offer passkeys only under https and a host name, or http://localhost: have an operator set public_url so",
        )
    })
}

/// Whether this server began a ceremony, and it is not over.
pub fn began_passkey_flow(kernel: &Kernel, text: &str) -> bool {
    Flows::new(&kernel.root).resume(text, kernel.now()).is_ok()
}

/// The flow that a client brought back, if it is one of this purpose.
fn flow(kernel: &Kernel, text: &str, purpose: Purpose, now: Timestamp) -> Result<Flow, WebauthnError> {
    let flow = Flows::new(&kernel.root).resume(text, now)?;
    if flow.purpose == purpose { Ok(flow) } else { Err(WebauthnError::FlowOver) }
}

fn creation_options(relying_party: &RelyingParty, flow: &Flow, person: &Person, held: &[Stored<Passkey>]) -> Value {
    let id = person.id.to_string();
    let name = person.name.as_deref().unwrap_or(&id);
    let parameters: Vec<_> = ALGORITHMS.iter().map(|alg| json!({"type": "public-key", "alg": alg})).collect();
    let exclude: Vec<_> = held.iter().map(|passkey| json!({"type": "public-key", "id": passkey.credential})).collect();
    json!({
        "rp": {"id": relying_party.id(), "name": "Tenure"},
        "user": {"id": user_handle(person.id), "name": person.email.as_deref().unwrap_or(name), "displayName": name},
        "challenge": flow.challenge,
        "pubKeyCredParams": parameters,
        "timeout": TIMEOUT,
        "excludeCredentials": exclude,
        "authenticatorSelection": {"residentKey": "required", "requireResidentKey": true, "userVerification": "required"},
        "attestation": "none",
    })
}

fn read_registration(
    relying_party: &RelyingParty,
    flow: &Flow,
    ask: &RegisterFinish,
) -> Result<Credential, WebauthnError> {
    let part = |text: &str, max| decode(text, max).ok_or(WebauthnError::Malformed);
    let answer = &ask.credential;
    let id = part(&answer.id, MAX_CREDENTIAL_ID)?;
    let client_data = part(&answer.response.client_data, Registration::MAX_PART)?;
    let attestation_object = part(&answer.response.attestation_object, Registration::MAX_PART)?;
    let registration =
        Registration { credential_id: &id, client_data: &client_data, attestation_object: &attestation_object };
    verify_registration(relying_party, &flow.challenge, &registration)
}

/// Who registers is known and can do something about it.
fn not_accepted(error: WebauthnError) -> OpError {
    OpError::Invalid(vec![tenure_core::base::problem::FieldProblem::new("credential", error.code(), error.to_string())])
}

fn too_many() -> OpError {
    OpError::because(Reason::NotAllowed, format!("a person has at most {MAX_SIGN_INS} passkeys: remove one first"))
}

fn passkey_assurance(now: Timestamp) -> Assurance {
    Assurance { method: SignInMethod::Passkey, at: now, phishing_resistant: true }
}

/// Whoever signs in is proven by the commit that says so, not before it.
fn sign_in_itself() -> Actor {
    Actor::System { part: "sign-in".into() }
}

/// The challenge is good for one answer, also where another replica's clock is behind.
fn used(flow: &Flow) -> Once {
    Once { space: "passkey_challenge", key: flow.challenge.clone(), until: Some(flow.ends_at.plus(CLOCKS_DIFFER)) }
}

/// The user handle (WebAuthn §5.4.3): says nothing about the person, and is at most 64 bytes.
fn user_handle(person: PersonId) -> String {
    base64url(person.to_string().as_bytes())
}

fn view(passkey: &Passkey) -> PasskeyView {
    PasskeyView {
        id: passkey.id,
        person: passkey.person,
        name: passkey.name.clone(),
        backup_eligible: passkey.backup_eligible,
        created_at: passkey.created_at,
        removed_at: passkey.removed_at,
    }
}
