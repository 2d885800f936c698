//! Logins made just in time at targets: made by a worker, ended by a worker, and tried afterwards.
//!
//! A login's row says what is intended before anything is done, and its name derives from its id: what was begun and not
//! written down is begun again for the same login, and found by its name where the target's answer was lost.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::Duration;

use futures_util::{StreamExt as _, future, stream};
use parking_lot::Mutex;
use tenure_core::base::id::{CredentialId, TargetId};
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
use tenure_core::target::connector::{ConnectorError, Ending, Gone, NewAccount, SeenAccount, TargetLogin, words};
use tenure_core::target::login::{KEPT_FOR_PROBING, Login, LoginPurpose, LoginState, Rehearsal};
use tenure_core::target::system::TargetSystem;

use crate::credentials::logins::{Awaiting, opened, sealed_anew, why_over};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::work::{self, system};
use crate::kernel::{Kernel, epoch};
use crate::targets::proving::{self, Ended};
use crate::targets::reach::{self, Reached};
use crate::targets::{rehearsing, systems};

/// Logins that are made, or ended, in one go at one target.
const AT_ONCE: usize = 32;
/// Secrets that are tried at one target at once: each costs it a connection.
const PROBES: usize = 8;
/// How long one target is worked at in one turn: less than the lease of what is due there.
const TURN: Duration = Duration::from_secs(75);
/// Answers of a catalogue in which a login is looked for by its name.
const PAGES: usize = 40;

/// A login of which something is to be done at its target.
struct Due {
    claimed: Claimed,
    login: Stored<Login>,
    target: Stored<TargetSystem>,
}

impl Due {
    fn place(&self) -> Place {
        (self.target.id, self.login.state == LoginState::Asked)
    }
}

/// A target, and whether logins are made there or end.
type Place = (TargetId, bool);

/// Where this process works at logins now: at each place one batch at a time, since what is done together costs a target
/// far less. What falls due meanwhile is gathered for the next one.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Place, Vec<Claimed>>>);

/// The turn of whoever works at a place. If it is given up, what was gathered comes again when its leases end.
struct Turn<'a> {
    turns: &'a Turns,
    place: Place,
    is_over: bool,
}

impl Turns {
    /// The turn at a place; none if somebody has it: then they find these gathered.
    fn take(&self, place: Place, due: &[Due]) -> Option<Turn<'_>> {
        match self.0.lock().entry(place) {
            Entry::Occupied(mut gathered) => {
                // One whose lease ended while it waited here was claimed anew.
                let is_new = |one: &Claimed| due.iter().all(|due| due.claimed.subject != one.subject);
                gathered.get_mut().retain(is_new);
                gathered.get_mut().extend(due.iter().map(|due| due.claimed.clone()));
                None
            }
            Entry::Vacant(free) => {
                free.insert(Vec::new());
                Some(Turn { turns: self, place, is_over: false })
            }
        }
    }
}

impl Turn<'_> {
    /// The next of what was gathered. If there is nothing, the turn is over.
    fn next(&mut self) -> Vec<Claimed> {
        let mut places = self.turns.0.lock();
        let gathered = places.get_mut(&self.place);
        let next = gathered.map(|gathered| gathered.drain(..gathered.len().min(AT_ONCE)).collect());
        let next: Vec<Claimed> = next.unwrap_or_default();
        if next.is_empty() {
            places.remove(&self.place);
            self.is_over = true;
        }
        next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.turns.0.lock().remove(&self.place);
        }
    }
}

/// Works off logins whose turn it is; returns how many. What is to be done at one target is done there together; targets
/// don't wait for each other.
pub(crate) async fn work_logins(kernel: &Kernel, claimed: Vec<Claimed>) -> Result<usize, OpError> {
    let claims = claimed.len();
    let work = looked(kernel, claimed).await?.into_iter().map(|(place, due)| work_at(kernel, place, due));
    future::try_join_all(work).await?;
    Ok(claims)
}

/// What of this is to be done, and where.
async fn looked(kernel: &Kernel, claimed: Vec<Claimed>) -> Result<BTreeMap<Place, Vec<Due>>, OpError> {
    let due = Mutex::new(BTreeMap::<Place, Vec<Due>>::new());
    let at_once = claimed.len().max(1);
    let looked = work::work_off(kernel, claimed, at_once, |claimed| {
        let due = &due;
        async move {
            if let Some(one) = look(kernel, claimed).await? {
                due.lock().entry(one.place()).or_default().push(one);
            }
            Ok(())
        }
    });
    looked.await?;
    Ok(due.into_inner())
}

/// Does at a place what is to be done there, and what is gathered meanwhile; nothing, if somebody else is there.
async fn work_at(kernel: &Kernel, place: Place, mut due: Vec<Due>) -> Result<(), OpError> {
    let turns = kernel.memory.of::<Turns>();
    let Some(mut turn) = turns.take(place, &due) else { return Ok(()) };
    loop {
        let work = async {
            match place.1 {
                true => make(kernel, due).await,
                false => end(kernel, due).await,
            }
        };
        if tokio::time::timeout(TURN, work).await.is_err() {
            let target = place.0;
            tracing::warn!(%target, "a target took too long; its logins are worked on again when their leases end");
        }
        let gathered = turn.next();
        if gathered.is_empty() {
            return Ok(());
        }
        // Something may have become of them while they waited.
        let mut places = looked(kernel, gathered).await?;
        due = places.remove(&place).unwrap_or_default();
        for elsewhere in places.into_values().flatten() {
            let now = kernel.now();
            kernel.settle(work::postponed(kernel, &elsewhere.claimed, now, now)).await?;
        }
    }
}

/// What is to be done of a login, if it is anything at its target.
async fn look(kernel: &Kernel, claimed: Claimed) -> Result<Option<Due>, OpError> {
    let now = kernel.now();
    let nothing = || work::nothing_left(kernel, &claimed, now);
    let Ok(id) = claimed.subject.parse::<CredentialId>() else {
        return kernel.settle(nothing()).await.map(|_| None);
    };
    let Some(login) = kernel.one::<Login>(id).await? else {
        return kernel.settle(nothing()).await.map(|_| None);
    };
    let Some(target) = kernel.one::<TargetSystem>(login.target).await? else {
        return kernel.settle(nothing()).await.map(|_| None);
    };
    match login.state {
        LoginState::Ended => return kernel.settle(nothing()).await.map(|_| None),
        LoginState::Asked | LoginState::Standing => {
            if let Some(because) = why_over(kernel, &login, now).await? {
                return intend_end(kernel, &claimed, &login, &because, now).await.map(|()| None);
            }
            if login.state == LoginState::Standing || login.purpose == LoginPurpose::Canary {
                let next = login.next().unwrap_or(login.ends_at);
                return kernel.settle(work::postponed(kernel, &claimed, next, now)).await.map(|_| None);
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
        return kernel.settle(work::postponed(kernel, &claimed, at, now)).await.map(|_| None);
    }
    Ok(Some(Due { claimed, login, target }))
}

/// What became of a try to make a login.
enum Made {
    There {
        seen: SeenAccount,
        /// What its holder logs in with, where that isn't the secret that it was made with.
        sealed: Option<String>,
        /// Of a canary of a drill: when the target took it, or why it didn't.
        taken: Option<Result<Timestamp, String>>,
    },
    NotYet {
        why: String,
        unreachable: bool,
    },
}

/// Makes logins at their target. What fails, fails for its own login: its lease ends, and it is made again.
async fn make(kernel: &Kernel, due: Vec<Due>) {
    let Some(first) = due.first() else { return };
    let made = match systems::reached(kernel, &first.target).await {
        Ok(Ok(reached)) => {
            let made = made(kernel, &reached, &due).await;
            tried(kernel, &reached, &due, made).await
        }
        Ok(Err(why)) => due.iter().map(|_| Ok(Made::NotYet { why: why.clone(), unreachable: false })).collect(),
        Err(error) => return tracing::warn!(%error, target = %first.target.id, "logins can't be made now"),
    };
    let mut written = Vec::with_capacity(due.len());
    for (due, made) in due.iter().zip(made) {
        written.push(async move {
            let written = async { write_down_made(kernel, &due.claimed, due.login.id, made?).await };
            note_failure(kernel, &due.claimed, written.await);
        });
    }
    future::join_all(written).await;
}

async fn made(kernel: &Kernel, reached: &Reached<'_>, due: &[Due]) -> Vec<Result<Made, OpError>> {
    let opened: Vec<_> = due.iter().map(|due| opened(kernel, &due.login)).collect();
    let texts: Vec<_> = due.iter().map(|due| (due.login.name(), due.login.mark())).collect();
    let accounts: Vec<NewAccount<'_>> = due
        .iter()
        .zip(&texts)
        .zip(&opened)
        .filter_map(|((Due { login, .. }, (name, mark)), secret)| {
            let secret = secret.as_ref().ok()?;
            Some(NewAccount { name, secret, grants: &login.grants, ends_at: login.ends_at, mark })
        })
        .collect();
    let mut made = reached.let_in_all(&accounts).await.into_iter();
    drop(accounts);
    let became = |(opened, due): (Result<_, OpError>, &Due)| {
        opened?;
        Ok(match made.next() {
            Some(Ok((seen, secret))) if seen.enabled => {
                let sealed = secret.map(|secret| sealed_anew(kernel, due.login.id, &secret)).transpose()?;
                Made::There { seen, sealed, taken: None }
            }
            Some(Ok(_)) => {
                let why = "it was made, and the catalogue has it disabled".to_owned();
                Made::NotYet { why, unreachable: false }
            }
            Some(Err(error)) => Made::NotYet { why: words(&error.to_string()), unreachable: error.is_of_the_target() },
            None => Made::NotYet { why: "the connector said nothing of it".to_owned(), unreachable: false },
        })
    };
    opened.into_iter().zip(due).map(became).collect()
}

/// Tries the canaries of drills that stand now as their holders would, before they end.
async fn tried(
    kernel: &Kernel,
    reached: &Reached<'_>,
    due: &[Due],
    made: Vec<Result<Made, OpError>>,
) -> Vec<Result<Made, OpError>> {
    let mut tries = Vec::with_capacity(due.len());
    for (due, made) in due.iter().zip(made) {
        tries.push(async move {
            match made {
                Ok(Made::There { seen, sealed, .. }) if due.login.rehearsal.is_some() => {
                    let taken = Some(rehearsing::taken(kernel, reached, &due.login, sealed.as_ref()).await?);
                    Ok(Made::There { seen, sealed, taken })
                }
                made => made,
            }
        });
    }
    stream::iter(tries).buffered(PROBES).collect().await
}

/// What is known of a drill's canary after it was to be made.
fn rehearsed(login: &Login, made: &Made) -> Option<Rehearsal> {
    let (accepted_at, trouble) = match made {
        Made::There { taken: Some(Ok(at)), .. } => (Some(*at), None),
        Made::There { taken: Some(Err(why)), .. } | Made::NotYet { why, .. } => (None, Some(why.clone())),
        Made::There { taken: None, .. } => (None, None),
    };
    login.rehearsal.clone().map(|rehearsal| Rehearsal { accepted_at, trouble, ..rehearsal })
}

/// What can't be written down is done again once its lease ends.
fn note_failure(kernel: &Kernel, claimed: &Claimed, written: Result<(), OpError>) {
    if let Err(error) = written {
        count(&kernel.counters.retried);
        tracing::warn!(%error, subject = claimed.subject, "a login is worked on again when its lease ends");
    }
}

async fn write_down_made(kernel: &Kernel, claimed: &Claimed, id: CredentialId, made: Made) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let Some(login) = kernel.one::<Login>(id).await? else { return Ok(()) };
        if login.state != LoginState::Asked {
            return Ok(());
        }
        let now = kernel.now();
        let (changed, event, unreachable) = match &made {
            Made::There { seen, sealed, .. } => {
                let standing = Login {
                    key: Some(seen.key.clone()),
                    rehearsal: rehearsed(&login, &made),
                    sealed: sealed.clone().or_else(|| login.sealed.clone()),
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
                let (rehearsal, trouble) = (rehearsed(&login, &made), Some(why.clone()));
                let waiting = Login { tries, rehearsal, trouble, ..(*login.value).clone() };
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
        let answered = matches!(made, Made::There { .. });
        reach::note_target(kernel, &mut changeset, login.target, unreachable, answered, now).await?;
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, next));
        if kernel.settle(changeset).await?.is_some() {
            if answered {
                kernel.memory.of::<Awaiting>().stands(id);
            }
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

/// Ends logins at their target, reads each back, and tries its secret.
async fn end(kernel: &Kernel, due: Vec<Due>) {
    let Some(first) = due.first() else { return };
    let target = &first.target;
    let gone = target.gone.as_ref().and_then(|gone| gone.outcome());
    let reached = systems::reached(kernel, target).await;
    let ended = match (&gone, &reached) {
        (None, Ok(Ok(reached))) => Some((reached, taken(reached, &due).await)),
        (None, Err(error)) => return tracing::warn!(%error, target = %target.id, "logins can't be ended now"),
        _ => None,
    };
    let (reached_by, taken) = ended.unzip();
    let mut taken = taken.into_iter().flatten();
    let mut ends = Vec::with_capacity(due.len());
    for due in &due {
        let (taken, gone, reached) = (taken.next(), &gone, &reached);
        ends.push(async move {
            let outcome = match (gone, reached_by, taken) {
                (Some(gone), ..) => Ok(gone.clone()),
                (None, Some(reached), Some(taken)) => outcome(kernel, reached, due, taken).await,
                _ => Ok(AccountOutcome::Unreachable { at: kernel.now(), why: unreached(reached) }),
            };
            let written = async { write_down_end(kernel, &due.claimed, due.login.id, outcome?).await };
            note_failure(kernel, &due.claimed, written.await);
        });
    }
    stream::iter(ends).buffer_unordered(PROBES).collect::<()>().await;
}

fn unreached(reached: &Result<Result<Reached<'_>, String>, OpError>) -> String {
    match reached {
        Ok(Err(why)) => why.clone(),
        _ => "the connector said nothing of it".to_owned(),
    }
}

/// What a login comes to that was ended at its target: the target tries its secret, if anybody ever held it.
async fn outcome(
    kernel: &Kernel,
    reached: &Reached<'_>,
    due: &Due,
    taken: Result<Gone, ConnectorError>,
) -> Result<AccountOutcome, OpError> {
    let (at, login) = (kernel.now(), &due.login);
    let (ending, seen) = match taken {
        Ok(taken) => taken,
        Err(error) if error.is_of_the_target() => {
            return Ok(AccountOutcome::Unreachable { at, why: words(&error.to_string()) });
        }
        Err(error) => {
            let (why, until) = (words(&error.to_string()), Some(login.ends_at));
            return Ok(AccountOutcome::CannotRevoke { at, why, until });
        }
    };
    let stopped = account::stopped(ending, seen.as_ref(), at);
    let AccountOutcome::EndedReadBack { words, sessions_ended, sessions_left, .. } = &stopped else {
        return Ok(stopped);
    };
    let too_old = login.end.as_ref().is_some_and(|end| at.since(end.since) > KEPT_FOR_PROBING);
    // A canary was in nobody's hands, and proving its end would take another one.
    let is_canary = login.purpose == LoginPurpose::Canary;
    if login.sealed.is_none() || is_canary || too_old || is_nobodys(reached, login) || !reached.can_probe() {
        return Ok(stopped);
    }
    let ending = Ending { words: words.clone(), sessions_ended: *sessions_ended, sessions_left: *sessions_left };
    let tried = TargetLogin { name: login.name(), secret: opened(kernel, login)? };
    proving::proved(kernel, reached, &due.target, Ended { login: &tried, ending, tries: login.tries }).await
}

/// Ends logins at their target, and what the catalogue has of each then. Where the answer to its making was lost, a login
/// is looked for by its name.
async fn taken(reached: &Reached<'_>, due: &[Due]) -> Vec<Result<Gone, ConnectorError>> {
    let mut keys = Vec::with_capacity(due.len());
    let lost = due.iter().filter(|due| due.login.key.is_none()).map(|due| due.login.name()).collect();
    let found = named(reached, lost).await;
    for Due { login, .. } in due {
        keys.push(match (&login.key, &found) {
            // A denial would take the room of those that are needed.
            _ if is_nobodys(reached, login) => Err(Ok(without("its secret was handed to nobody, and is destroyed"))),
            (Some(key), _) => Ok(key.clone()),
            (None, Ok(found)) => match found.keys.get(&login.name()) {
                Some(key) => Ok(key.clone()),
                // One that stands has a key: nobody ever had the secret of this one.
                None => Err(Ok(without(&match &found.unseen {
                    Some(why) => format!("the catalogue has no account of its name, as far as it tells: {why}"),
                    None => "the catalogue has no account of its name".to_owned(),
                }))),
            },
            (None, Err(error)) => Err(Err(error.clone())),
        });
    }
    let known: Vec<String> = keys.iter().filter_map(|key| key.clone().ok()).collect();
    let mut ended = reached.revoke_all(&known).await.into_iter();
    let silent = || ConnectorError::Unreachable("the connector said nothing of it".to_owned());
    keys.into_iter()
        .map(|key| match key {
            Ok(_) => ended.next().unwrap_or_else(|| Err(silent())),
            Err(known) => known.map(|ending| (ending, None)),
        })
        .collect()
}

/// Whether nobody ever had what lets a session in, and nobody will: the target gave it to us alone.
fn is_nobodys(reached: &Reached<'_>, login: &Login) -> bool {
    reached.takes_our_word() && login.fetched_at.is_none()
}

/// The end of what isn't at the target.
fn without(words: &str) -> Ending {
    Ending { words: words.to_owned(), sessions_ended: 0, sessions_left: None }
}

/// What a catalogue has of some names.
#[derive(Default)]
struct Named {
    keys: BTreeMap<String, String>,
    /// Why one that isn't among them may be there all the same.
    unseen: Option<String>,
}

/// The accounts of these names, all by one look through the catalogue.
async fn named(reached: &Reached<'_>, mut names: BTreeSet<String>) -> Result<Named, ConnectorError> {
    let mut named = Named::default();
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        if names.is_empty() {
            return Ok(named);
        }
        let found = reached.discover(after.as_deref()).await?;
        for seen in found.accounts {
            if names.remove(&seen.name) {
                named.keys.insert(seen.name, seen.key);
            }
        }
        if let Some(unseen) = found.unseen.first() {
            named.unseen.get_or_insert_with(|| format!("not all accounts can be seen: {unseen}"));
        }
        after = found.next;
        if after.is_none() {
            return Ok(named);
        }
    }
    named.unseen = Some("there are too many accounts to find one by its name".to_owned());
    Ok(named)
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
        rehearsing::note_drilled(kernel, &mut changeset, &changed).await?;
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
