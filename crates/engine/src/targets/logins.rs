//! Logins made just in time at targets: made by a worker, ended by a worker, and tried afterwards.
//!
//! A login's row says what is intended before anything is done, and its name derives from its id: what was begun and not
//! written down is begun again for the same login, and found by its name where the target's answer was lost.

use tenure_core::base::id::CredentialId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::finding::rules;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::target::account;
use tenure_core::target::connector::{
    Connector, ConnectorError, Ending, NewAccount, Reach, SeenAccount, TargetLogin, words,
};
use tenure_core::target::login::{KEPT_FOR_PROBING, Login, LoginPurpose, LoginState};
use tenure_core::target::system::TargetSystem;

use crate::credentials::logins::{opened, sealed_anew, why_over};
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::work::{self, system};
use crate::kernel::{Kernel, epoch};
use crate::targets::proving::{self, Ended};
use crate::targets::reach::{self, PATIENCE};
use crate::targets::systems;

/// Answers of a catalogue in which a login is looked for by its name.
const PAGES: usize = 40;

/// Works off a login whose turn it is.
pub(crate) async fn work_login(kernel: &Kernel, claimed: &Claimed) -> Result<(), OpError> {
    let now = kernel.now();
    let nothing = || work::nothing_left(kernel, claimed, now);
    let Ok(id) = claimed.subject.parse::<CredentialId>() else { return kernel.settle(nothing()).await.map(drop) };
    let Some(login) = kernel.one::<Login>(id).await? else { return kernel.settle(nothing()).await.map(drop) };
    let Some(target) = kernel.one::<TargetSystem>(login.target).await? else {
        return kernel.settle(nothing()).await.map(drop);
    };
    match login.state {
        LoginState::Ended => return kernel.settle(nothing()).await.map(drop),
        LoginState::Asked | LoginState::Standing => {
            if let Some(because) = why_over(kernel, &login, now).await? {
                return intend_end(kernel, claimed, &login, &because, now).await;
            }
            if login.state == LoginState::Standing || login.purpose == LoginPurpose::Canary {
                let next = login.next().unwrap_or(login.ends_at);
                return kernel.settle(work::postponed(kernel, claimed, next, now)).await.map(drop);
            }
        }
        LoginState::Ending => {}
    }
    // A target that can't be asked has its own time: nobody waits for it in the place of others. One that is gone isn't
    // asked, and nothing is made at one that wasn't looked through in this epoch (S-1).
    let busy = target.trouble.as_ref().filter(|_| !target.is_gone()).map(|trouble| trouble.again_at());
    let early = login.state == LoginState::Asked && !target.is_reconciled(epoch::trust(kernel).await?);
    let early = early.then(|| now.plus(reach::BACKOFF.after(1)));
    if let Some(again_at) = busy.filter(|at| *at > now).or(early) {
        let at = if login.state == LoginState::Asked { again_at.min(login.fetch_by()) } else { again_at };
        return kernel.settle(work::postponed(kernel, claimed, at, now)).await.map(drop);
    }
    if login.state == LoginState::Asked {
        let tried = make(kernel, &target, &login).await?;
        return write_down_made(kernel, claimed, id, tried).await;
    }
    let outcome = end(kernel, &target, &login).await?;
    write_down_end(kernel, claimed, id, outcome).await
}

/// What became of a try to make a login.
enum Made {
    /// It stands, and its holder logs in with what is sealed here, if that isn't its secret.
    There(SeenAccount, Option<String>),
    NotYet {
        why: String,
        unreachable: bool,
    },
}

async fn make(kernel: &Kernel, target: &Stored<TargetSystem>, login: &Login) -> Result<Made, OpError> {
    let (connector, own) = match systems::reached(kernel, target).await? {
        Ok(reached) => reached,
        Err(why) => return Ok(Made::NotYet { why, unreachable: false }),
    };
    let reach = Reach { endpoint: &target.endpoint, login: &own, mode: target.mode, patience: PATIENCE };
    let secret = opened(kernel, login)?;
    let (name, mark) = (login.name(), login.mark());
    let account =
        NewAccount { name: &name, secret: &secret, grants: &login.grants, ends_at: login.ends_at, mark: &mark };
    let made = async {
        let seen = connector.provision(&reach, &account).await?;
        Ok((seen, connector.credential(&reach, &account).await?))
    };
    Ok(match made.await {
        Ok((seen, given)) if seen.enabled => {
            let sealed = given.map(|given| sealed_anew(kernel, login.id, &given)).transpose()?;
            Made::There(seen, sealed)
        }
        Ok(_) => Made::NotYet { why: "it was made, and the catalogue has it disabled".to_owned(), unreachable: false },
        Err(error) => {
            let unreachable = matches!(error, ConnectorError::Unreachable(_) | ConnectorError::Unauthorized(_));
            Made::NotYet { why: words(&error.to_string()), unreachable }
        }
    })
}

async fn write_down_made(kernel: &Kernel, claimed: &Claimed, id: CredentialId, made: Made) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let Some(login) = kernel.one::<Login>(id).await? else { return Ok(()) };
        if login.state != LoginState::Asked {
            return Ok(());
        }
        let now = kernel.now();
        let (changed, event, unreachable) = match &made {
            Made::There(seen, sealed) => {
                let standing = Login {
                    sealed: sealed.clone().or_else(|| login.sealed.clone()),
                    key: Some(seen.key.clone()),
                    made_at: Some(now),
                    state: LoginState::Standing,
                    tries: 0,
                    trouble: None,
                    ..(*login.value).clone()
                };
                let event = kernel.event(now, EventKind::LoginMade);
                (standing, event.fact("grants", &seen.grants), None)
            }
            Made::NotYet { why, unreachable } => {
                let tries = login.tries.saturating_add(1);
                let event = kernel.event(now, EventKind::LoginActFailed).fact("why", why).fact("tries", tries);
                let waiting = Login { tries, trouble: Some(why.clone()), ..(*login.value).clone() };
                (waiting, event, unreachable.then_some(why.as_str()))
            }
        };
        let event = event.subject(id).subject(login.identity).subject(login.target).fact("name", login.name());
        let next = match changed.state {
            LoginState::Standing => changed.next().unwrap_or(changed.ends_at),
            _ => now.plus(reach::BACKOFF.after(changed.tries)).min(changed.fetch_by()),
        };
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&login, &changed);
        let answered = matches!(made, Made::There(..));
        reach::note_target(kernel, &mut changeset, login.target, unreachable, answered, now).await?;
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, next));
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and the login is made again: it is the same one.
    Ok(())
}

/// Notes that a login is to end, before anything is done; its credential ends in the same commit.
async fn intend_end(
    kernel: &Kernel,
    claimed: &Claimed,
    login: &Stored<Login>,
    because: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let event = kernel
        .event(now, EventKind::LoginEndIntended)
        .subject(login.id)
        .subject(login.identity)
        .subject(login.target)
        .fact("name", login.name())
        .fact("because", because);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(login, &(*login.value).clone().ending(because, now));
    if let Some(credential) = kernel.one::<Credential>(login.id).await?
        && credential.revoked_at.is_none()
        && now < credential.expires_at
    {
        // What was ended at its target for a hold is not alive again when that is over.
        let event = kernel.event(now, EventKind::CredentialRevoked).subject(login.id).subject(login.identity);
        changeset.event(event.fact("reason", because).fact("expires_at", credential.expires_at));
        changeset.replace(&credential, &Credential { revoked_at: Some(now), ..(*credential.value).clone() });
    }
    changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, now));
    kernel.settle(changeset).await.map(drop)
}

/// Ends a login at its target, reads it back, and tries its secret.
async fn end(kernel: &Kernel, target: &Stored<TargetSystem>, login: &Login) -> Result<AccountOutcome, OpError> {
    if let Some(outcome) = target.gone.as_ref().and_then(|gone| gone.outcome()) {
        return Ok(outcome);
    }
    let (connector, own) = match systems::reached(kernel, target).await? {
        Ok(reached) => reached,
        Err(why) => return Ok(AccountOutcome::Unreachable { at: kernel.now(), why }),
    };
    let reach = Reach { endpoint: &target.endpoint, login: &own, mode: target.mode, patience: PATIENCE };
    let done = gone(connector, &reach, login).await;
    let at = kernel.now();
    let (ending, seen) = match done {
        Ok(done) => done,
        Err(error @ (ConnectorError::Unreachable(_) | ConnectorError::Unauthorized(_))) => {
            return Ok(AccountOutcome::Unreachable { at, why: words(&error.to_string()) });
        }
        Err(error) => {
            let (why, until) = (words(&error.to_string()), Some(login.ends_at));
            return Ok(AccountOutcome::CannotRevoke { at, why, until });
        }
    };
    let unproven = |why: String| AccountOutcome::Unproven { at, why };
    if seen.as_ref().is_some_and(|seen| seen.enabled) {
        return Ok(unproven("the target ended it, and its catalogue has it enabled".to_owned()));
    }
    let sessions_left = seen.and_then(|seen| seen.sessions).or(ending.sessions_left);
    if let Some(left) = sessions_left.filter(|left| *left > 0) {
        return Ok(unproven(format!("{left} of its sessions are still open")));
    }
    let ending = Ending { sessions_left, ..ending };
    let too_old = login.end.as_ref().is_some_and(|end| at.since(end.since) > KEPT_FOR_PROBING);
    // A canary was in nobody's hands, and proving its end would take another one.
    let is_canary = login.purpose == LoginPurpose::Canary;
    if login.sealed.is_none() || is_canary || too_old || !proving::can_probe(connector) {
        return Ok(account::read_back(ending, at));
    }
    let tried = TargetLogin { name: login.name(), secret: opened(kernel, login)? };
    proving::proved(kernel, connector, &reach, target, Ended { login: &tried, ending, tries: login.tries }).await
}

/// Ends a login at its target, and what the catalogue has of it then. Where the answer to its making was lost, it is
/// looked for by its name.
async fn gone(
    connector: &dyn Connector,
    reach: &Reach<'_>,
    login: &Login,
) -> Result<(Ending, Option<SeenAccount>), ConnectorError> {
    let key = match &login.key {
        Some(key) => key.clone(),
        None => match named(connector, reach, &login.name()).await? {
            Some(seen) => seen.key,
            None => {
                let words = "the catalogue has no account of its name".to_owned();
                return Ok((Ending { words, sessions_ended: 0, sessions_left: None }, None));
            }
        },
    };
    let ending = connector.revoke(reach, &key).await?;
    Ok((ending, connector.read(reach, &key).await?))
}

/// The account of a name; none if a whole catalogue has none.
async fn named(
    connector: &dyn Connector,
    reach: &Reach<'_>,
    name: &str,
) -> Result<Option<SeenAccount>, ConnectorError> {
    let mut after: Option<String> = None;
    let mut unseen = Vec::new();
    for _ in 0..PAGES {
        let found = connector.discover(reach, after.as_deref()).await?;
        if let Some(seen) = found.accounts.into_iter().find(|seen| seen.name == name) {
            return Ok(Some(seen));
        }
        unseen.extend(found.unseen);
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    match (after, unseen.first()) {
        (None, None) => Ok(None),
        (None, Some(unseen)) => Err(ConnectorError::Unreachable(format!("not all accounts can be seen: {unseen}"))),
        (Some(_), _) => {
            Err(ConnectorError::Unreachable("there are too many accounts to find one by its name".to_owned()))
        }
    }
}

/// Writes down what an end came to; open receipts that wait for it look again.
async fn write_down_end(
    kernel: &Kernel,
    claimed: &Claimed,
    id: CredentialId,
    outcome: AccountOutcome,
) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let Some(login) = kernel.one::<Login>(id).await? else { return Ok(()) };
        if login.state != LoginState::Ending {
            return Ok(());
        }
        let now = kernel.now();
        let changed = (*login.value).clone().ended(outcome.clone());
        let kind = if changed.is_over() { EventKind::LoginEnded } else { EventKind::LoginActFailed };
        let event = kernel
            .event(now, kind)
            .subject(id)
            .subject(login.identity)
            .subject(login.target)
            .fact("name", login.name())
            .fact("outcome", &outcome)
            .fact("tries", changed.tries);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&login, &changed);
        let unreachable = match &outcome {
            AccountOutcome::Unreachable { why, .. } => Some(why.as_str()),
            _ => None,
        };
        reach::note_target(kernel, &mut changeset, login.target, unreachable, changed.is_over(), now).await?;
        reach::wake_receipts(kernel, &mut changeset, login.identity, Some(id), now).await?;
        changeset.due.push(match changed.is_over() {
            true => DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence),
            false => {
                let at = now.plus(reach::BACKOFF.after(changed.tries));
                DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, at)
            }
        });
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and the target is read again.
    Ok(())
}

/// What a scan found under the name of a login that was made here: its own. One that is over, and works, works by
/// somebody else's doing, and is ended again (S-18).
pub(crate) async fn note_found(kernel: &Kernel, target: &TargetSystem, seen: &SeenAccount) -> Result<bool, OpError> {
    let Some(id) = Login::named(&seen.name) else { return Ok(false) };
    let Some(login) = kernel.one::<Login>(id).await?.filter(|login| login.target == target.id) else {
        return Ok(false);
    };
    if !login.is_over() || !seen.enabled {
        return Ok(true);
    }
    let now = kernel.now();
    let event = kernel
        .event(now, EventKind::LoginEndIntended)
        .subject(id)
        .subject(login.identity)
        .subject(target.id)
        .fact("name", &seen.name)
        .fact("because", "revived");
    let mut changeset = Changeset::new(system(), now, event);
    let ending = Login { key: Some(seen.key.clone()), ..(*login.value).clone() }.ending("revived", now);
    changeset.replace(&login, &ending);
    changeset.due.push(DueChange::Set(DueKind::Login, id.to_string(), now));
    let mut evidence = serde_json::Map::new();
    evidence.insert("account".into(), seen.name.clone().into());
    evidence.insert("target".into(), target.name.clone().into());
    let rule = &rules::ACCOUNT_REVIVED;
    finding::raise(kernel, &mut changeset, rule, login.identity, &id.to_string(), evidence, now).await?;
    // Who changed it meanwhile knows better; the next scan looks again.
    kernel.settle(changeset).await?;
    Ok(true)
}
