//! Signing in with a passkey: nobody says who they are, their passkey does (discoverable credentials).
//!
//! Refusals all read the same outside. In the record, an answer whose signature doesn't hold is a stranger's and is
//! counted; one whose signature holds is from whoever has the passkey, and is recorded by itself.

use serde_json::json;
use tenure_api::passkeys::{AuthenticationResponse, PasskeyView};
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::people::sign_in::{Passkey, Session, SignInMethod};
use tenure_core::store::changeset::{Changeset, Spend};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::{Pending, Secret};
use tenure_credentials::webauthn::{
    Assertion, Credential, Flow, Flows, MAX_CREDENTIAL_ID, Purpose, RelyingParty, WebauthnError, credential_hash,
    decode, verify_assertion,
};

use crate::kernel::Kernel;
use crate::kernel::aggregates::window;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::refusals::Refusal;
use crate::people::passkeys::{self, Begun, TIMEOUT, passkey_assurance, sign_in_itself, used, user_handle, view};
use crate::people::sign_in;

/// How often an answer is checked again when its passkey or person changed meanwhile.
const ATTEMPTS: u32 = 8;
/// Sign-ins of one person in a minute.
const SIGN_INS: u32 = 30;

/// Somebody who signed in.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Its secret.
    pub secret: Secret<String>,
    /// The passkey that was used.
    pub passkey: PasskeyView,
}

/// Why an answer signs nobody in.
enum Refused {
    /// Nothing is proven.
    Stranger,
    /// The passkey's own signature holds, but something else doesn't.
    Holder { passkey: Stored<Passkey>, code: &'static str },
    /// The signature holds, but its counter was passed before.
    Copied { passkey: Stored<Passkey> },
    /// It could not be checked.
    Failed(OpError),
}

impl<E: Into<OpError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// An answer that holds.
struct Checked {
    passkey: Stored<Passkey>,
    person: Stored<Person>,
    counter: u32,
}

/// Begins a sign-in with a passkey.
///
/// # Errors
/// Browsers offer no passkeys under this public URL.
pub fn begin_passkey_sign_in(kernel: &Kernel) -> Result<Begun, OpError> {
    let relying_party = passkeys::relying_party(kernel)?;
    let (flow, text) = Flows::new(&kernel.root)
        .begin(Purpose::SignIn, kernel.now(), kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))?;
    let options = json!({
        "challenge": flow.challenge,
        "timeout": TIMEOUT,
        "rpId": relying_party.id(),
        "allowCredentials": [],
        "userVerification": "required",
    });
    Ok(Begun { options, flow: Secret::new(text) })
}

/// Ends a sign-in with a passkey: a session of its person's browser. `source` is where a refusal is counted.
///
/// # Errors
/// The answer proves nobody who may sign in; all such errors are alike.
pub async fn finish_passkey_sign_in(
    kernel: &Kernel,
    flow: &str,
    answer: &AuthenticationResponse,
    source: &str,
) -> Result<SignedIn, OpError> {
    let relying_party = passkeys::relying_party(kernel)?;
    for _ in 0..ATTEMPTS {
        let now = kernel.now();
        let Ok(flow) = passkeys::flow(kernel, flow, Purpose::SignIn, now) else {
            return Err(refuse_sign_in(kernel, Refused::Stranger, None, source).await);
        };
        let checked = match check_assertion(kernel, &relying_party, &flow, answer).await {
            Ok(checked) => checked,
            Err(refused) => return Err(refuse_sign_in(kernel, refused, Some(&flow), source).await),
        };
        let (changeset, (pending, session)) = sign_in_with(kernel, &checked, &flow, now).await?;
        match kernel.settle(changeset).await {
            Ok(None) => {}
            Ok(Some(committed)) => {
                return Ok(SignedIn {
                    session,
                    secret: Kernel::released(pending, &committed)?,
                    passkey: view(&checked.passkey),
                });
            }
            Err(OpError::Refused { reason: Reason::ProofReplayed, .. }) => {
                let code = Reason::ProofReplayed.code();
                let passkey = checked.passkey;
                return Err(refuse_sign_in(kernel, Refused::Holder { passkey, code }, None, source).await);
            }
            Err(error) => return Err(error),
        }
    }
    Err(OpError::Unavailable("too many others change the same records at once; try again".into()))
}

async fn sign_in_with(
    kernel: &Kernel,
    checked: &Checked,
    flow: &Flow,
    now: Timestamp,
) -> Result<(Changeset, (Pending<String>, Session)), OpError> {
    let event = kernel
        .event(now, EventKind::SignInSucceeded)
        .subject(checked.person.id)
        .subject(checked.passkey.id)
        .fact("method", SignInMethod::Passkey);
    let mut changeset = Changeset::new(sign_in_itself(), now, event);
    if checked.counter == checked.passkey.counter {
        changeset.expect(&checked.passkey);
    } else {
        let counted = Passkey { counter: checked.counter, ..(*checked.passkey.value).clone() };
        changeset.replace(&checked.passkey, &counted);
    }
    changeset.once.push(used(flow));
    changeset.spends.push(spend(checked.person.id, now));
    let assurance = passkey_assurance(now);
    let started = sign_in::start_session(kernel, &mut changeset, &checked.person, assurance, true, now).await?;
    Ok((changeset, started))
}

async fn check_assertion(
    kernel: &Kernel,
    relying_party: &RelyingParty,
    flow: &Flow,
    answer: &AuthenticationResponse,
) -> Result<Checked, Refused> {
    let part = |text: &str, max| decode(text, max).ok_or(Refused::Stranger);
    let id = part(&answer.id, MAX_CREDENTIAL_ID)?;
    let client_data = part(&answer.response.client_data, Assertion::MAX_PART)?;
    let authenticator_data = part(&answer.response.authenticator_data, Assertion::MAX_PART)?;
    let signature = part(&answer.response.signature, Assertion::MAX_PART)?;
    let passkey = passkey_of(kernel, &credential_hash(&id)).await?.ok_or(Refused::Stranger)?;
    if answer.response.user_handle.as_deref() != Some(&*user_handle(passkey.person)) {
        return Err(Refused::Stranger);
    }
    let credential = Credential {
        id,
        public_key: decode(&passkey.public_key, Assertion::MAX_PART).ok_or(Refused::Stranger)?,
        counter: passkey.counter,
        backup_eligible: passkey.backup_eligible,
    };
    let assertion =
        Assertion { client_data: &client_data, authenticator_data: &authenticator_data, signature: &signature };
    match verify_assertion(relying_party, &flow.challenge, &credential, &assertion) {
        Ok(counter) => may_sign_in(kernel, passkey, counter).await,
        Err(WebauthnError::CounterWentBack) => Err(Refused::Copied { passkey }),
        Err(
            error @ (WebauthnError::UserNotPresent | WebauthnError::UserNotVerified | WebauthnError::BackupFlagsWrong),
        ) => Err(Refused::Holder { passkey, code: error.code() }),
        Err(_) => Err(Refused::Stranger),
    }
}

async fn may_sign_in(kernel: &Kernel, passkey: Stored<Passkey>, counter: u32) -> Result<Checked, Refused> {
    if passkey.removed_at.is_some() {
        let code = Reason::CredentialRevoked.code();
        return Err(Refused::Holder { passkey, code });
    }
    match kernel.one::<Person>(passkey.person).await? {
        Some(person) if person.state == PersonState::Active => Ok(Checked { passkey, person, counter }),
        _ => Err(Refused::Holder { passkey, code: "person_not_active" }),
    }
}

async fn passkey_of(kernel: &Kernel, hash: &str) -> Result<Option<Stored<Passkey>>, OpError> {
    kernel.first(Query::of([Passkey::CREDENTIAL.of(hash)])).await
}

/// Records a refusal, and gives what the client is told.
async fn refuse_sign_in(kernel: &Kernel, refused: Refused, flow: Option<&Flow>, source: &str) -> OpError {
    match refused {
        Refused::Failed(error) => return error,
        Refused::Stranger => kernel.count_stranger(Reason::ProofInvalid, source),
        Refused::Holder { passkey, code } => refuse_holder(kernel, &passkey, code).await,
        Refused::Copied { passkey } => suspect_copy(kernel, &passkey, flow).await,
    }
    OpError::Unauthenticated(Reason::ProofInvalid)
}

async fn refuse_holder(kernel: &Kernel, passkey: &Passkey, code: &str) {
    kernel
        .record_refusal(Refusal {
            actor: sign_in_itself(),
            control: ControlPoint::Use,
            asked: "passkey.sign_in",
            subjects: vec![passkey.person.to_string(), passkey.id.to_string()],
            code,
            fields: &[],
            answer: None,
        })
        .await;
}

/// Two copies of a key are in use, or somebody sent the same answer twice: the challenge tells them apart.
async fn suspect_copy(kernel: &Kernel, passkey: &Passkey, flow: Option<&Flow>) {
    let now = kernel.now();
    let event = kernel
        .event(now, EventKind::PasskeyCopySuspected)
        .subject(passkey.person)
        .subject(passkey.id)
        .fact("counter", passkey.counter);
    let mut changeset = Changeset::new(sign_in_itself(), now, event);
    changeset.once.extend(flow.map(used));
    changeset.spends.push(spend(passkey.person, now));
    match kernel.settle(changeset).await {
        Ok(_) => refuse_holder(kernel, passkey, WebauthnError::CounterWentBack.code()).await,
        Err(OpError::Refused { reason: Reason::ProofReplayed, .. }) => {
            refuse_holder(kernel, passkey, Reason::ProofReplayed.code()).await
        }
        Err(error) => {
            tracing::warn!(%error, passkey = %passkey.id, "a passkey that may have been copied could not be recorded");
            refuse_holder(kernel, passkey, WebauthnError::CounterWentBack.code()).await;
        }
    }
}

fn spend(person: PersonId, now: Timestamp) -> Spend {
    let start = window(now);
    Spend {
        budget: format!("sign_in/{person}"),
        window: start,
        until: start.plus(Span::from_mins(2)),
        by: 1,
        limit: SIGN_INS,
    }
}
