//! Sign-in for the command line (RFC 8252): the browser, where a person has signed in, hands a one-time code to a port
//! of the same machine, and only who knows the verifier behind the challenge turns it into a session.
//!
//! The code is sealed and holds all that it stands for, so nothing is kept until it is redeemed; redeeming it uses it
//! up.

use serde::{Deserialize, Serialize};
use tenure_api::sign_in::{CliExchange, CliSession};
use tenure_core::base::id::{PersonId, SessionId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::sign_in::{FRESH, Session};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{Actor, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::secret::Secret;
use tenure_credentials::id_token::sha256_text;

use crate::kernel::Kernel;
use crate::kernel::caller::{self, Caller};
use crate::kernel::error::OpError;
use crate::people::sign_in::{self, session_view};

const SEAL_LABEL: &str = "cli-sign-in";
/// How long a code is good for.
const CODE_LIFE: Span = Span::from_mins(2);
/// A verifier has 43 to 128 characters (RFC 7636 §4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

#[derive(Serialize, Deserialize)]
struct Code {
    person: PersonId,
    session: SessionId,
    challenge: String,
    expires_at: Timestamp,
}

/// Whether a browser's session is recent enough for a command line that asked for a fresh sign-in.
pub fn is_recent(kernel: &Kernel, caller: &Caller) -> bool {
    matches!(caller, Caller::Person { assurance: Some(assurance), .. } if kernel.now().since(assurance.at) <= FRESH)
}

/// A one-time code for the command line, on behalf of the person whose browser agreed.
///
/// # Errors
/// The caller is no browser's session, or the challenge is none.
pub fn cli_code(kernel: &Kernel, caller: &Caller, challenge: &str) -> Result<Secret<String>, OpError> {
    let Caller::Person { person, via: Via::Session(session), .. } = caller else {
        return Err(OpError::refused(Reason::NotAllowed));
    };
    if challenge.len() != 43 || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(OpError::field("challenge", "challenge_malformed", "give SHA-256 of the verifier, base64url"));
    }
    let code = Code {
        person: person.id,
        session: *session,
        challenge: challenge.to_owned(),
        expires_at: kernel.now().plus(CODE_LIFE),
    };
    let text = serde_json::to_vec(&code).map_err(|error| OpError::Internal(error.to_string()))?;
    let sealed = kernel
        .root
        .seal(SEAL_LABEL, "", &text, kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(Secret::new(sealed))
}

/// Turns a code into a session of the same worth as the browser's.
///
/// # Errors
/// The code is none, over, used, or another command line's; or the browser's session has ended meanwhile.
pub async fn redeem_cli_code(kernel: &Kernel, ask: &CliExchange, source: &str) -> Result<CliSession, OpError> {
    let result = redeem_code(kernel, ask).await;
    if let Err(OpError::Unauthenticated(reason) | OpError::Refused { reason, .. }) = &result {
        kernel.count_stranger(*reason, source);
    }
    let (secret, session) = result?;
    Ok(CliSession { session_token: secret.expose().clone(), session: session_view(&session, Some(session.id)) })
}

async fn redeem_code(kernel: &Kernel, ask: &CliExchange) -> Result<(Secret<String>, Session), OpError> {
    let invalid = || OpError::Unauthenticated(Reason::SignInFailed);
    let opened = kernel.root.open(SEAL_LABEL, "", &ask.code).map_err(|_| invalid())?;
    let code: Code = serde_json::from_slice(opened.expose()).map_err(|_| invalid())?;
    if !VERIFIER.contains(&ask.verifier.len()) || sha256_text(&ask.verifier) != code.challenge {
        return Err(invalid());
    }
    let ((pending, session), committed) = kernel
        .decide(|| async {
            let now = kernel.now();
            if now >= code.expires_at {
                return Err(invalid());
            }
            let standing = caller::stands(kernel, code.person, Via::Session(code.session)).await?;
            let assurance = standing.assurance().ok_or_else(invalid)?;
            let event = kernel
                .event(now, EventKind::SignInSucceeded)
                .subject(code.person)
                .subject(code.session)
                .fact("method", "cli");
            let mut changeset = Changeset::new(Actor::System { part: "sign-in".into() }, now, event);
            standing.expect(&mut changeset);
            changeset.once.push(Once { space: "cli_code", key: sha256_text(&ask.code), until: Some(code.expires_at) });
            let started =
                sign_in::start_session(kernel, &mut changeset, &standing.person, assurance, false, now).await?;
            Ok((changeset, started))
        })
        .await?;
    Ok((Kernel::released(pending, &committed)?, session))
}
