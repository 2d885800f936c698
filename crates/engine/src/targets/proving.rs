//! The proof of an end: the target itself refuses the secret that was handed out, and takes another login in the same
//! window (S-18).
//!
//! A refusal alone shows little: a target that is misconfigured refuses everybody. So a canary stands beside it, a login
//! of minutes that may do nothing, made by the connector for this alone, one at each target for as long as it is used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tenure_core::base::id::{CredentialId, TargetId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::Secret;
use tenure_core::target::account;
use tenure_core::target::connector::{ConnectorError, Ending, NewAccount, Probe, TargetLogin, words};
use tenure_core::target::login::{Login, LoginState, WINDOW};
use tenure_core::target::system::TargetSystem;

use crate::credentials::logins::{SEALED_AS, opened, sealed_anew};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::{self, system};
use crate::targets::reach::{PATIENCE, Reached};

/// Tries after which a refusal counts for what it is, although the target takes no canary either.
const TRIES_WITHOUT_CONTROL: u32 = 5;

/// A login that a target took, and when.
#[derive(Clone)]
struct Control {
    name: String,
    at: Timestamp,
}

/// The last try of a canary at a target.
struct Tried {
    at: Timestamp,
    came: Result<Control, NoControl>,
}

impl Tried {
    /// Whether it serves somebody now; that somebody waited for it, or came when it was over. One that the target took
    /// serves for its window. One that it didn't take serves whoever waited, and where it can't be asked whoever comes
    /// within the time that a call may take: nobody hangs there one after the other.
    fn serves(&self, waited: bool, now: Timestamp) -> bool {
        let age = now.since(self.at);
        match &self.came {
            Ok(control) => now.since(control.at) <= WINDOW,
            Err(NoControl::Unreachable(_)) => waited || age < PATIENCE,
            Err(NoControl::Impossible(_) | NoControl::Refused(_)) => waited,
        }
    }
}

/// The tries at one target: one at a time.
#[derive(Default)]
struct Tries {
    last: tokio::sync::Mutex<Option<Tried>>,
    /// How many are over.
    over: AtomicU64,
}

/// The canaries that each target took or didn't: whoever proves something there in the same window needs no other. One of
/// those who come at once makes it, and the others wait for what comes of it, also where it fails.
#[derive(Default)]
pub(crate) struct Controls(Mutex<BTreeMap<TargetId, Arc<Tries>>>);

impl Controls {
    fn at(&self, target: TargetId) -> Arc<Tries> {
        Arc::clone(self.0.lock().entry(target).or_default())
    }
}

/// Why there is nothing to hold a refusal against.
#[derive(Clone)]
enum NoControl {
    /// None can be made there.
    Impossible(String),
    /// One was made, and is refused as well.
    Refused(String),
    /// The target can't be asked.
    Unreachable(String),
}

impl From<ConnectorError> for NoControl {
    fn from(error: ConnectorError) -> Self {
        let said = words(&error.to_string());
        if error.is_of_the_target() { Self::Unreachable(said) } else { Self::Impossible(said) }
    }
}

/// A login that was ended at its target.
pub(crate) struct Ended<'a> {
    /// With what it signed in.
    pub login: &'a TargetLogin,
    /// What the target said of the act.
    pub ending: Ending,
    /// How often it was tried to prove it before.
    pub tries: u32,
}

/// Tries a login that was ended: what the target answers to it, and to a canary beside it.
pub(crate) async fn proved(
    kernel: &Kernel,
    reached: &Reached<'_>,
    target: &Stored<TargetSystem>,
    ended: Ended<'_>,
) -> Result<AccountOutcome, OpError> {
    let probe = reached.probe(ended.login).await;
    let at = kernel.now();
    let refusal = match probe {
        Ok(Probe::Accepted) => {
            let why = "the target ended it, and still takes its secret".to_owned();
            return Ok(AccountOutcome::Unproven { at, why });
        }
        Ok(Probe::Refused { words: said }) => words(&said),
        Err(error) if error.is_of_the_target() => {
            return Ok(AccountOutcome::Unreachable { at, why: words(&error.to_string()) });
        }
        Err(_) => return Ok(account::read_back(ended.ending, at)),
    };
    let Ending { words: done, sessions_ended, sessions_left } = ended.ending;
    let refused = |no_control: String| AccountOutcome::Refused {
        at,
        words: refusal.clone(),
        done: done.clone(),
        no_control,
        sessions_ended,
        sessions_left,
    };
    Ok(match control(kernel, reached, target).await? {
        Ok(Control { name, at: control_at }) => AccountOutcome::RefusedVerified {
            at,
            words: refusal,
            done,
            control: name,
            control_at,
            sessions_ended,
            sessions_left,
        },
        Err(NoControl::Impossible(why)) => refused(why),
        Err(NoControl::Unreachable(why)) => AccountOutcome::Unreachable { at, why },
        Err(NoControl::Refused(why)) => {
            let why =
                format!("a login that was just made is refused as well, so that the refusal shows nothing: {why}");
            if ended.tries < TRIES_WITHOUT_CONTROL { AccountOutcome::Unproven { at, why } } else { refused(why) }
        }
    })
}

/// A login that the target takes in this window.
async fn control(
    kernel: &Kernel,
    reached: &Reached<'_>,
    target: &Stored<TargetSystem>,
) -> Result<Result<Control, NoControl>, OpError> {
    let tries = kernel.memory.of::<Controls>().at(target.id);
    let before = tries.over.load(Ordering::Acquire);
    let mut last = tries.last.lock().await;
    let waited = tries.over.load(Ordering::Acquire) != before;
    if let Some(tried) = last.as_ref().filter(|tried| tried.serves(waited, kernel.now())) {
        return Ok(tried.came.clone());
    }
    *last = None;
    let came = tried_anew(kernel, reached, target).await?;
    *last = Some(Tried { at: kernel.now(), came: came.clone() });
    tries.over.fetch_add(1, Ordering::Release);
    Ok(came)
}

/// Tries the canary that stands there, or a new one.
async fn tried_anew(
    kernel: &Kernel,
    reached: &Reached<'_>,
    target: &Stored<TargetSystem>,
) -> Result<Result<Control, NoControl>, OpError> {
    let now = kernel.now();
    let standing = kernel.find(Query::of([Login::CANARY.of(target.id)])).await?;
    let lasts = |login: &Stored<Login>| {
        login.state == LoginState::Standing && login.sealed.is_some() && login.ends_at.since(now) > WINDOW
    };
    if let Some(login) = standing.readable().into_iter().find(lasts) {
        match tried(kernel, reached, &login).await? {
            Ok(Ok(at)) => return Ok(Ok(Control { name: login.name(), at })),
            // A new one would hang as well.
            Err(error) if error.is_of_the_target() => return Ok(Err(error.into())),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    let login = match made(kernel, reached, target).await? {
        Ok(login) => login,
        Err(why) => return Ok(Err(why)),
    };
    Ok(match tried(kernel, reached, &login).await? {
        Ok(Ok(at)) => Ok(Control { name: login.name(), at }),
        Ok(Err(said)) => Err(NoControl::Refused(said)),
        Err(error) => Err(error.into()),
    })
}

/// When a canary was taken, or what the target said to it.
pub(super) async fn tried(
    kernel: &Kernel,
    reached: &Reached<'_>,
    canary: &Login,
) -> Result<Result<Result<Timestamp, String>, ConnectorError>, OpError> {
    let login = TargetLogin { name: canary.name(), secret: opened(kernel, canary)? };
    Ok(match reached.probe(&login).await {
        Ok(Probe::Accepted) => Ok(Ok(kernel.now())),
        Ok(Probe::Refused { words: said }) => Ok(Err(words(&said))),
        Err(error) => Err(error),
    })
}

/// Makes a canary: recorded before it is there, so that it is ended whatever happens to whoever made it.
async fn made(
    kernel: &Kernel,
    reached: &Reached<'_>,
    target: &Stored<TargetSystem>,
) -> Result<Result<Stored<Login>, NoControl>, OpError> {
    let now = kernel.now();
    let id = CredentialId::generate(now, kernel.entropy.as_ref());
    let sealed = kernel.opaque.canary((&kernel.root, SEALED_AS), id, kernel.entropy.as_ref());
    let sealed = sealed.map_err(|error| OpError::Internal(error.to_string()))?;
    let canary = Login::canary(id, target, sealed, now);
    let event = kernel
        .event(now, EventKind::LoginCanaryIntended)
        .subject(id)
        .subject(target.id)
        .fact("name", canary.name())
        .fact("ends_at", canary.ends_at);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.insert(&canary);
    changeset.due.push(DueChange::Set(DueKind::Login, id.to_string(), canary.ends_at));
    if kernel.settle(changeset).await?.is_none() {
        return Ok(Err(NoControl::Unreachable("somebody else makes one at this moment".to_owned())));
    }
    let secret: Secret<String> = opened(kernel, &canary)?;
    let (name, mark) = (canary.name(), canary.mark());
    let account = NewAccount { name: &name, secret: &secret, grants: &[], ends_at: canary.ends_at, mark: &mark };
    let (seen, given) = match reached.let_in(&account).await {
        Ok(made) => made,
        Err(error) => return Ok(Err(error.into())),
    };
    let given = given.map(|given| sealed_anew(kernel, id, &given)).transpose()?;
    for _ in 0..work::ATTEMPTS {
        let now = kernel.now();
        let stored = kernel.must::<Login>("login", id).await?;
        let standing = Login {
            sealed: given.clone().or_else(|| stored.sealed.clone()),
            key: Some(seen.key.clone()),
            made_at: Some(now),
            state: LoginState::Standing,
            ..(*stored.value).clone()
        };
        let event =
            kernel.event(now, EventKind::LoginMade).subject(id).subject(target.id).fact("name", standing.name());
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&stored, &standing);
        if kernel.settle(changeset).await?.is_some() {
            return Ok(Ok(kernel.must::<Login>("login", id).await?));
        }
    }
    Ok(Err(NoControl::Unreachable("the canary could not be written down".to_owned())))
}
