//! Reception of signals (S-12): a delivery is authenticated over its raw bytes, read into words, held against its
//! source's registration, and durable before it is acknowledged. What comes of it is worked off afterwards.
//!
//! A delivery is known by the hash of its body, for ever: the ids that platforms put beside the body are not under
//! their signature, so that a captured delivery could come again under a new one.

use sha2::{Digest, Sha256};
use tenure_api::signals::{DeliveryTaken, SignalTaken};
use tenure_core::base::id::{SignalId, SourceId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::text;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::Person;
use tenure_core::signal::{
    Effect, Format, MAX_SUBJECT, Signal, SignalKind, SignalOutcome, SignalState, Source, SourceKey, SubjectKind, Word,
};
use tenure_core::store::changeset::{Changeset, DueChange, Once, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::state::TrustState;
use tenure_credentials::jose::{Algorithm, JoseError, JwkSet};
use tenure_credentials::opaque::{OpaqueKind, Parsed};
use tenure_credentials::signal::{
    SecurityEvent, SetError, is_github_signature, is_standard_signature, is_timed_signature, verify_set,
};
use tenure_signals::{Headers, MAX_FACTS, MAX_WORDS};

use crate::kernel::Kernel;
use crate::kernel::aggregates::window;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::refusals::{OF_NO_INTEREST, Refusal};
use crate::people::setup::personal;
use crate::signals::{rhythm, sources};
use crate::trust::issuers;

const OPERATION: &str = "signal.deliver";

/// A delivery as it came.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The id or the name of the source in the address.
    pub source: &'a str,
    /// The headers, by lower-case name.
    pub headers: &'a [(&'a str, &'a str)],
    /// The raw body.
    pub body: &'a [u8],
    /// Where it comes from, for the record of strangers.
    pub from: &'a str,
}

/// Why a delivery was not taken. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// As any operation.
    #[error(transparent)]
    Refused(#[from] OpError),
    /// A security event token is not what it has to be.
    #[error(transparent)]
    Token(SetError),
}

/// A delivery that its source made.
struct Authentic {
    source: Stored<Source>,
    /// The security event token that it is, if it is one.
    token: Option<SecurityEvent>,
}

/// Takes a delivery, whole or not at all; a platform's batch of more than [`MAX_WORDS`] in parts. What was taken is
/// durable before this returns.
///
/// # Errors
/// Why nothing was taken.
pub async fn take_delivery(kernel: &Kernel, delivery: Delivery<'_>) -> Result<DeliveryTaken, NotTaken> {
    let now = kernel.now();
    let authentic = authentic(kernel, delivery, now).await.inspect_err(|failure| {
        if matches!(failure, NotTaken::Token(_) | NotTaken::Refused(OpError::Unauthenticated(_))) {
            kernel.count_stranger(Reason::SignalNotAuthentic, delivery.from);
        }
    })?;
    rhythm::note_heard(kernel, &authentic.source, now).await;
    let source = authentic.source.id;
    let digest = crate::kernel::keys::base64url(&Sha256::digest(delivery.body));
    let taken = match judged(&delivery, &authentic) {
        Ok((words, _)) if words.is_empty() => {
            kernel.count_aside(OF_NO_INTEREST, source);
            return Ok(DeliveryTaken { signals: Vec::new(), duplicate: false });
        }
        Ok((words, left_out)) => {
            if left_out > 0 {
                kernel.count_aside(Reason::SignalOutsideSource.code(), source);
            }
            take_in_parts(kernel, &authentic, &words, &digest).await
        }
        Err(error) => Err(error),
    };
    match taken {
        Ok(signals) => Ok(DeliveryTaken { signals, duplicate: false }),
        Err(OpError::Refused { reason: Reason::ProofReplayed, .. }) => {
            Ok(DeliveryTaken { signals: taken_before(kernel, source, digest).await?, duplicate: true })
        }
        Err(OpError::Refused { reason: Reason::BudgetSpent, detail, answer, retry_after }) => {
            let refused = OpError::Refused { reason: Reason::SignalsTooFast, detail, answer, retry_after };
            Err(not_taken(kernel, source, refused).await.into())
        }
        Err(error) => Err(not_taken(kernel, source, error).await.into()),
    }
}

/// Records that a source was refused.
async fn not_taken(kernel: &Kernel, source: SourceId, error: OpError) -> OpError {
    let (code, fields) = match &error {
        OpError::Refused { reason, .. } => (reason.code(), &[][..]),
        OpError::Invalid(fields) => ("invalid", fields.as_slice()),
        _ => return error,
    };
    kernel
        .record_refusal(Refusal {
            actor: Actor::Source { id: source },
            control: ControlPoint::Request,
            asked: OPERATION,
            subjects: vec![source.to_string()],
            code,
            fields,
            answer: None,
        })
        .await;
    error
}

/// A delivery with the source that made it.
async fn authentic(kernel: &Kernel, delivery: Delivery<'_>, now: Timestamp) -> Result<Authentic, NotTaken> {
    let stranger = || NotTaken::from(OpError::Unauthenticated(Reason::SignalNotAuthentic));
    let source = sources::find_source(kernel, delivery.source).await?.ok_or_else(stranger)?;
    if source.state != TrustState::Active {
        return Err(stranger());
    }
    if let SourceKey::Keys { .. } = &source.key {
        let token = Some(verified_token(kernel, &source, delivery, now).await?);
        return Ok(Authentic { source, token });
    }
    if !holds_secret(kernel, &source, delivery, now)? {
        return Err(stranger());
    }
    Ok(Authentic { source, token: None })
}

async fn verified_token(
    kernel: &Kernel,
    source: &Source,
    delivery: Delivery<'_>,
    now: Timestamp,
) -> Result<SecurityEvent, NotTaken> {
    let SourceKey::Keys { issuer, audience, jwks_uri, algorithms } = &source.key else {
        return Err(OpError::Unauthenticated(Reason::SignalNotAuthentic).into());
    };
    let malformed = || NotTaken::Token(JoseError::Malformed.into());
    let is_set =
        |kind: &str| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/secevent+jwt");
    if !Headers(delivery.headers).get("content-type").is_some_and(is_set) {
        return Err(malformed());
    }
    let token = std::str::from_utf8(delivery.body).map_err(|_| malformed())?;
    let algorithms: Vec<Algorithm> = algorithms.iter().filter_map(|name| name.parse().ok()).collect();
    let registration = source.id.to_string();
    let check = |keys: &JwkSet| verify_set(token, keys, &algorithms, issuer, audience, now);
    let lacks = |error: &SetError| *error == SetError::Jose(JoseError::KeyUnknown);
    issuers::check_by_keys(kernel, &registration, jwks_uri, check, lacks).await?.map_err(NotTaken::Token)
}

/// Whether a delivery was made with the source's own secret.
fn holds_secret(kernel: &Kernel, source: &Source, delivery: Delivery<'_>, now: Timestamp) -> Result<bool, OpError> {
    let headers = Headers(delivery.headers);
    let body = delivery.body;
    Ok(match (source.format, &source.key) {
        (Format::Github, SourceKey::Hmac { sealed }) => match headers.get("x-hub-signature-256") {
            Some(signature) => {
                is_github_signature(sources::open_source_key(kernel, source.id, sealed)?.expose(), signature, body)
            }
            None => false,
        },
        (Format::Gitlab, SourceKey::Hmac { sealed }) => {
            let parts = (headers.get("webhook-id"), headers.get("webhook-timestamp"), headers.get("webhook-signature"));
            let (Some(id), Some(at), Some(signature)) = parts else {
                return Ok(false);
            };
            is_standard_signature(
                sources::open_source_key(kernel, source.id, sealed)?.expose(),
                id,
                at,
                signature,
                body,
                now,
            )
        }
        (Format::CloudEvents | Format::Kubernetes, SourceKey::Hmac { sealed }) => match headers.get("tenure-signature")
        {
            Some(signature) => {
                is_timed_signature(sources::open_source_key(kernel, source.id, sealed)?.expose(), signature, body, now)
            }
            None => false,
        },
        (Format::Gitlab, SourceKey::Token { hash }) => is_token(kernel, source.id, headers.get("x-gitlab-token"), hash),
        (Format::Kubernetes, SourceKey::Token { hash }) => {
            let scheme_and_token = headers.get("authorization").and_then(|value| value.split_once(' '));
            let bearer = scheme_and_token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            is_token(kernel, source.id, bearer.map(|(_, token)| token), hash)
        }
        _ => false,
    })
}

fn is_token(kernel: &Kernel, source: SourceId, given: Option<&str>, hash: &str) -> bool {
    let parsed = given.and_then(|text| Parsed::parse(text.trim()).ok());
    parsed.is_some_and(|parsed| {
        parsed.kind() == OpaqueKind::Source && parsed.id() == Some(source) && kernel.opaque.matches(&parsed, hash)
    })
}

/// Takes each part that wasn't taken before; a refusal if all were.
async fn take_in_parts(
    kernel: &Kernel,
    authentic: &Authentic,
    words: &[Word],
    digest: &str,
) -> Result<Vec<SignalTaken>, OpError> {
    let mut signals = Vec::with_capacity(words.len());
    let mut replayed = None;
    for (n, part) in words.chunks(MAX_WORDS).enumerate() {
        match take(kernel, authentic, part, digest, n).await {
            Ok(taken) => signals.extend(taken),
            Err(error @ OpError::Refused { reason: Reason::ProofReplayed, .. }) => replayed = Some(error),
            Err(error) => return Err(error),
        }
    }
    match replayed {
        Some(error) if signals.is_empty() => Err(error),
        _ => Ok(signals),
    }
}

/// Writes the signals of a part of a delivery, all in one commit.
async fn take(
    kernel: &Kernel,
    authentic: &Authentic,
    words: &[Word],
    digest: &str,
    part: usize,
) -> Result<Vec<SignalTaken>, OpError> {
    let source = &authentic.source;
    let (signals, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            let mut changeset: Option<Changeset> = None;
            let mut signals = Vec::with_capacity(words.len());
            for word in words {
                let signal = received(SignalId::generate(now, kernel.entropy.as_ref()), source.id, word, digest, now);
                let event = received_event(kernel, &signal, now).await?;
                let changeset = match &mut changeset {
                    Some(changeset) => changeset.event(event),
                    none => none.insert(Changeset::new(Actor::Source { id: source.id }, now, event)),
                };
                changeset.insert(&signal);
                changeset.due.push(DueChange::Set(DueKind::Signal, signal.id.to_string(), now));
                signals.push(taken(&signal));
            }
            let mut changeset =
                changeset.ok_or_else(|| OpError::Internal("a delivery without words was to be taken".into()))?;
            // The source with the key that was checked, and no later one.
            changeset.expect(source);
            let jti = authentic.token.as_ref().map(|token| token.jti.as_str());
            changeset.once.extend(used_up(source.id, digest, part, jti));
            let ends = signals.iter().filter(|signal| takes_away(signal.kind)).count();
            changeset.spends.extend(rate(source, "signals", signals.len() - ends, now));
            changeset.spends.extend(rate(source, "endings", ends, now));
            Ok((changeset, signals))
        })
        .await?;
    Ok(signals)
}

async fn received_event(kernel: &Kernel, signal: &Signal, now: Timestamp) -> Result<Event, OpError> {
    let subject = &signal.word.subject;
    let mut event = kernel
        .event(now, EventKind::SignalReceived)
        .subject(signal.id)
        .subject(signal.source)
        .fact("source", signal.source)
        .fact("kind", signal.word.kind)
        .fact("occurred_at", signal.word.occurred_at)
        .fact("digest", &signal.digest);
    if subject.kind != SubjectKind::Person {
        return Ok(event.fact("subject", subject.to_string()));
    }
    // By what key a source knows a person is theirs to have erased.
    event = event.fact("subject", subject.kind.as_str());
    let known = Query::of([Person::SOURCE_KEY.of(&subject.id)]);
    Ok(match kernel.find(known.limit(1)).await?.readable().first() {
        Some(person) => event.subject(person.id).personal(personal(kernel, person.id, "source_key", &subject.id)),
        None => event,
    })
}

/// The signals of a delivery that came before, as they stand now.
async fn taken_before(kernel: &Kernel, source: SourceId, digest: String) -> Result<Vec<SignalTaken>, OpError> {
    let same = Query::of([Signal::DIGEST.of(digest), Signal::SOURCE.of(source)]);
    let signals = kernel.find(same.limit(1_000)).await?.readable();
    Ok(signals.iter().map(|signal| taken(signal)).collect())
}

/// The words of a delivery, if its source may say them: of a platform's those that it may say, if there are any, and
/// how many were left out.
fn judged(delivery: &Delivery<'_>, authentic: &Authentic) -> Result<(Vec<Word>, usize), OpError> {
    let source = &authentic.source;
    let words = match &authentic.token {
        Some(token) => tenure_signals::read_set(&token.claims),
        None => tenure_signals::read(source.format, &Headers(delivery.headers), delivery.body),
    };
    let mut words =
        words.map_err(|error| OpError::Invalid(vec![FieldProblem::new("body", error.code(), error.to_string())]))?;
    // What a platform sends together is the doing of many: nobody may keep the rest from being heard by adding what its
    // source may not say.
    let all = words.len();
    let mixed = matches!(source.format, Format::Github | Format::Gitlab | Format::Kubernetes)
        && words.iter().any(|word| may_say(source, word));
    if mixed {
        words.retain(|word| may_say(source, word));
    }
    for word in &words {
        let (kind, subject) = (word.kind.as_str(), &word.subject);
        if !source.kinds.contains(&word.kind) {
            return Err(OpError::because(
                Reason::SignalOutsideSource,
                format!("it holds a signal of kind {kind}, which {} may not send", source.name),
            ));
        }
        if !is_well_formed(&subject.id) || !source.covers(subject) {
            return Err(OpError::because(
                Reason::SignalOutsideSource,
                format!(
                    "it holds a {kind} about a {} that is outside the subjects of {}",
                    subject.kind.as_str(),
                    source.name
                ),
            ));
        }
        if word.facts.len() > MAX_FACTS || word.facts.values().any(|fact| fact.is_array() || fact.is_object()) {
            return Err(OpError::field("facts", "facts_malformed", "send at most 32 facts with plain values"));
        }
    }
    let left_out = all - words.len();
    Ok((words, left_out))
}

fn may_say(source: &Source, word: &Word) -> bool {
    source.kinds.contains(&word.kind) && is_well_formed(&word.subject.id) && source.covers(&word.subject)
}

/// Whether a name can stand for one thing only: no part of it is empty, goes up, or is hidden.
pub(crate) fn is_well_formed(id: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.trim() == part;
    // SPIFFE and WIMSE ids are names with a scheme.
    let path = id.strip_prefix("spiffe://").or_else(|| id.strip_prefix("wimse://")).unwrap_or(id);
    !id.is_empty()
        && id.len() <= MAX_SUBJECT
        && text::check_line(id).is_ok()
        && !id.contains(['*', '\\'])
        && path.split('/').all(part)
}

fn received(id: SignalId, source: SourceId, word: &Word, digest: &str, now: Timestamp) -> Signal {
    Signal {
        id,
        source,
        word: Word {
            // What is said to have happened later than now would stand above every true word until then.
            occurred_at: word.occurred_at.map(|at| at.min(now)),
            ..word.clone()
        },
        digest: digest.to_owned(),
        received_at: now,
        state: SignalState::Received,
        outcome: SignalOutcome::default(),
    }
}

fn taken(signal: &Signal) -> SignalTaken {
    SignalTaken { id: signal.id, kind: signal.word.kind, subject: signal.word.subject.clone(), state: signal.state }
}

/// What a delivery uses up, for ever: its body and, of a token, its id, which stays the same where a signature is bent.
fn used_up(source: SourceId, digest: &str, part: usize, jti: Option<&str>) -> impl Iterator<Item = Once> {
    let delivery = match part {
        0 => format!("{source} {digest}"),
        part => format!("{source} {digest} part {part}"),
    };
    let jti = jti.map(|jti| format!("{source} jti {jti}"));
    [Some(delivery), jti].into_iter().flatten().map(|key| Once { space: "signal", key, until: None })
}

/// What the source spends of its minute. What takes away has a budget of its own, so that nobody keeps an end from
/// being heard by making the same source say other things (S-12).
fn rate(source: &Source, budget: &str, signals: usize, now: Timestamp) -> Option<Spend> {
    let start = window(now);
    (signals > 0).then(|| Spend {
        budget: format!("{budget}/{}", source.id),
        window: start,
        until: start.plus(Span::from_mins(2)),
        by: u32::try_from(signals).unwrap_or(u32::MAX),
        limit: source.rate_per_minute,
    })
}

const fn takes_away(kind: SignalKind) -> bool {
    matches!(kind.effect(), Effect::Leaver | Effect::Hold | Effect::TaskEnd | Effect::PersonLeaves)
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn a_name_has_one_reading() {
        for good in [
            "acme/payments",
            "prod/deployment/web",
            "hr/4711",
            "Acme Corp",
            "aws/123456789012",
            "...",
            "a..b/c",
            "spiffe://example.org/payments",
        ] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "acme/",
            "/acme",
            "acme//payments",
            "acme/../evil",
            "acme/./x",
            "..",
            " acme",
            "acme/ x",
            "acme\n",
            "acme\\x",
            "acme/*",
            "https://example.org/payments",
            "spiffe:///payments",
            "ac\u{200b}me",
            "ac\u{202e}me",
        ] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
        assert!(!is_well_formed(&"x".repeat(151)));
    }
}
