//! Scans: the accounts of a target are looked through, one answer of its connector at a time, and each is kept with the
//! identity that it belongs to: one that nobody answers for yet, where it is new.
//!
//! What a scan does not list is not taken to be gone (R92): only an account that the whole catalogue is asked for by its
//! key, and does not have, is missing, and that is noted and nothing more. What a scan could not see makes nothing of that
//! unknown: it hides accounts from the list, and not from that question, by whose answer ends are proven, too.

use std::collections::HashSet;

use parking_lot::Mutex;
use tenure_core::base::id::{AccountId, IdentityId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::rules;
use tenure_core::identity::scope::{Cut, Hold, Membership, Scope};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, Kind, RiskTier};
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Position, Stored};
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::connector::{Connector, ConnectorError, Found, MADE_FOR, SeenAccount, words};
use tenure_core::target::system::{MAX_UNSEEN, Scan, ScanProgress, TargetSystem};

use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::load::expect_optional;
use crate::kernel::query::Query;
use crate::kernel::work::{self, system};
use crate::kernel::{Kernel, epoch};
use crate::targets::reach::Reached;
use crate::targets::{drift, gone, logins, systems};

/// Accounts that one commit writes.
const BATCH: usize = 200;
/// Pages that are looked through before the work is handed on.
const PAGES: usize = 4;
/// Accounts that one scan looks at, and how long it goes on: a target that tells no end of its accounts is none that is
/// looked through for ever.
const MOST: u64 = if cfg!(test) { 120 } else { 1_000_000 };
const LONGEST: Span = Span::from_days(1);
/// Accounts that a scan asks for one by one at its end, because it didn't see them.
const MISSED: usize = 200;
/// How often a target is looked through, at least, while an account is held there: what can be undone is watched (S-18).
const WATCH_EVERY: Span = Span::from_mins(15);
/// Grants that came or went that an entry of the log tells one by one; of more it tells how many.
const SAID: usize = 32;
/// The longest name of an identity that was found, in characters.
const MAX_NAME: usize = 100;

/// The accounts that the scans of this process have seen so far, of each target and the scan's beginning. A scan that
/// another process went on with looks for nothing that is missing.
#[derive(Default)]
pub(crate) struct SeenByScans(Mutex<Vec<(TargetId, Timestamp, HashSet<AccountId>)>>);

impl SeenByScans {
    fn begin(&self, target: TargetId, begun_at: Timestamp) {
        let mut scans = self.0.lock();
        scans.retain(|(other, _, _)| *other != target);
        scans.push((target, begun_at, HashSet::new()));
    }

    fn note(&self, target: TargetId, begun_at: Timestamp, accounts: impl IntoIterator<Item = AccountId>) {
        let mut scans = self.0.lock();
        if let Some((_, _, seen)) = scans.iter_mut().find(|(other, begun, _)| *other == target && *begun == begun_at) {
            seen.extend(accounts);
        }
    }

    fn end(&self, target: TargetId, begun_at: Timestamp) -> Option<HashSet<AccountId>> {
        let mut scans = self.0.lock();
        let place = scans.iter().position(|(other, begun, _)| *other == target && *begun == begun_at)?;
        Some(scans.swap_remove(place).2)
    }
}

/// Works off a scan that is due: some answers of the connector, and what they come to.
pub(crate) async fn work_scan(kernel: &Kernel, claimed: &Claimed) -> Result<(), OpError> {
    let now = kernel.now();
    let Ok(id) = claimed.subject.parse::<TargetId>() else {
        return kernel.settle(work::nothing_left(kernel, claimed, now)).await.map(drop);
    };
    let Some(target) = kernel.one::<TargetSystem>(id).await?.filter(|target| target.is_asked()) else {
        return kernel.settle(work::nothing_left(kernel, claimed, now)).await.map(drop);
    };
    let reached = match systems::reached(kernel, &target).await? {
        Ok(reached) => reached,
        Err(why) => return failed(kernel, claimed, id, &why).await,
    };
    let memory = kernel.memory.of::<SeenByScans>();
    // What was seen before the database was put back is looked at again (S-1).
    let trust = epoch::trust(kernel).await?;
    let (mut progress, after) = match target.scanning.as_ref().filter(|scan| trust.covers_time(Some(scan.begun_at))) {
        Some(progress) => (progress.clone(), progress.after.clone()),
        None => {
            memory.begin(id, now);
            (ScanProgress { after: None, begun_at: now, seen: 0, fresh: 0, unseen: Vec::new() }, None)
        }
    };
    let mut found = match reached.discover(after.as_deref()).await {
        Ok(found) => found,
        Err(error) => return failed(kernel, claimed, id, &error.to_string()).await,
    };
    if target.gone.is_some() {
        gone::answers(kernel, id).await?;
    }
    for page in 1..=PAGES {
        // While a page is kept, the target is asked for the next one.
        let read = progress.seen.saturating_add(found.accounts.len() as u64);
        let next =
            found.next.as_deref().filter(|_| page < PAGES && read < MOST && now.since(progress.begun_at) < LONGEST);
        let ahead = async {
            match next {
                Some(after) => Some(reached.discover(Some(after)).await),
                None => None,
            }
        };
        let (kept, ahead) = tokio::join!(kept(kernel, &target, &found, progress), ahead);
        progress = kept?;
        match ahead {
            Some(Ok(next)) => found = next,
            Some(Err(error)) => return failed(kernel, claimed, id, &error.to_string()).await,
            None => break,
        }
    }
    if found.next.is_some() {
        if progress.seen < MOST && now.since(progress.begun_at) < LONGEST {
            return go_on(kernel, claimed, id, progress).await;
        }
        let why = format!("accounts beyond the first {}: it tells no end of them", progress.seen);
        progress.unseen.insert(0, why);
        progress.unseen.truncate(MAX_UNSEEN);
    }
    if let Some(seen) = memory.end(id, progress.begun_at) {
        look_for_missing(kernel, &target, &reached, &seen).await?;
    }
    ended(kernel, claimed, id, progress).await
}

/// The page as it is kept: accounts that are new get an identity, of others what changed is noted.
async fn kept(
    kernel: &Kernel,
    target: &TargetSystem,
    found: &Found,
    mut progress: ScanProgress,
) -> Result<ScanProgress, OpError> {
    // What one answer could not see may be missing from any of its accounts.
    let in_part = !found.unseen.is_empty() || !progress.unseen.is_empty();
    for accounts in found.accounts.chunks(BATCH) {
        let (fresh, ids) = keep(kernel, target, accounts, in_part).await?;
        progress.seen += u64::try_from(accounts.len()).unwrap_or(0);
        progress.fresh += fresh;
        kernel.memory.of::<SeenByScans>().note(target.id, progress.begun_at, ids);
    }
    for unseen in &found.unseen {
        let unseen = words(unseen);
        if progress.unseen.len() < MAX_UNSEEN && !progress.unseen.contains(&unseen) {
            progress.unseen.push(unseen);
        }
    }
    progress.after.clone_from(&found.next);
    Ok(progress)
}

async fn keep(
    kernel: &Kernel,
    target: &TargetSystem,
    seen: &[SeenAccount],
    in_part: bool,
) -> Result<(u64, Vec<AccountId>), OpError> {
    loop {
        let now = kernel.now();
        let mut changeset: Option<Changeset> = None;
        let mut ids = Vec::with_capacity(seen.len());
        let mut fresh = 0;
        let mut discovery = Discovery::of(kernel, target).await?;
        let mut listed = HashSet::new();
        for account in seen {
            // A catalogue that lists an account twice has it once; Tenure's own logins are no accounts of somebody's.
            if !listed.insert(account.key.as_str()) || logins::note_found(kernel, target, account).await? {
                continue;
            }
            let known = kernel.first(Query::of([Account::KEY.of(Account::place(target.id, &account.key))])).await?;
            match known {
                Some(known) => {
                    ids.push(known.id);
                    note_seen(kernel, &mut changeset, &known, account, in_part, now).await?;
                }
                // The connector's own login is governed by its own identity.
                None if target.login.as_ref().is_some_and(|login| login.name == account.name) => {}
                None => {
                    fresh += 1;
                    ids.push(discovery.found(kernel, &mut changeset, target, account, in_part, now).await?);
                }
            }
        }
        match changeset {
            None => return Ok((fresh, ids)),
            Some(changeset) => {
                if kernel.settle(changeset).await?.is_some() {
                    return Ok((fresh, ids));
                }
            }
        }
    }
}

/// What an identity that is found joins: itself and its environment, as they stand now.
struct Discovery {
    head: u64,
    cut: Option<Stored<Cut>>,
    hold: Option<Stored<Hold>>,
    /// The names that are given in the same commit.
    named: HashSet<String>,
    /// Whether the target was looked through since the database was put back, if it ever was.
    is_reconciled: bool,
}

impl Discovery {
    async fn of(kernel: &Kernel, target: &TargetSystem) -> Result<Self, OpError> {
        let scope = Scope::Environment(target.environment.clone());
        let snapshot = kernel.store.load(&[scope.cut_key(), scope.hold_key()]).await?;
        let is_reconciled = target.is_reconciled(epoch::trust(kernel).await?);
        let (cut, hold) = (snapshot.get::<Cut>(0)?, snapshot.get::<Hold>(1)?);
        Ok(Self { head: snapshot.head, cut, hold, named: HashSet::new(), is_reconciled })
    }

    /// The identity of what was found: nobody answers for it.
    fn identity(&self, target: &TargetSystem, id: IdentityId, name: String, now: Timestamp) -> Identity {
        let joined = Position::at(self.head);
        let later = self.cut.as_ref().map_or(joined, |cut| joined.later(cut.position));
        Identity {
            id,
            kind: Kind::ServiceAccount,
            name,
            state: IdentityState::Discovered,
            charter: CharterDraft { environment: Some(target.environment.clone()), ..CharterDraft::default() },
            tier: RiskTier::High,
            tier_kept: None,
            struck: Vec::new(),
            deferred: Vec::new(),
            suspensions: Vec::new(),
            valid_after: None,
            bindings: Vec::new(),
            grants: Vec::new(),
            memberships: vec![
                Membership { scope: Scope::Identity(id), joined },
                Membership { scope: Scope::Environment(target.environment.clone()), joined: later },
            ],
            activation: None,
            retirement: None,
            template: None,
            request: None,
            transfer: None,
            exceptions: Vec::new(),
            resumed_at: None,
            reviewed_at: None,
            has_accounts: true,
            registered_by: target.owner,
            created_at: now,
        }
    }

    /// Keeps an account that is new, with an identity that nobody answers for yet.
    async fn found(
        &mut self,
        kernel: &Kernel,
        changeset: &mut Option<Changeset>,
        target: &TargetSystem,
        seen: &SeenAccount,
        in_part: bool,
        now: Timestamp,
    ) -> Result<AccountId, OpError> {
        let entropy = kernel.entropy.as_ref();
        let account_id = AccountId::generate(now, entropy);
        let identity_id = IdentityId::generate(now, entropy);
        let environment = Scope::Environment(target.environment.clone());
        let name = self.free_name(kernel, target, seen, account_id).await?;
        let identity = self.identity(target, identity_id, name.clone(), now);
        // Nothing of Tenure's own can be in the making there yet: it was made in what was lost.
        let stray = !self.is_reconciled && seen.marks.contains_key(MADE_FOR);
        let account = Account {
            id: account_id,
            target: target.id,
            identity: identity_id,
            seen: seen.clone(),
            found_at: now,
            seen_at: now,
            absent_since: None,
            seen_in_part: in_part,
            secret_after: None,
            claim_by: now.plus(target.claim_within),
            proposed: None,
            state: AccountState::Standing,
            intent: None,
            narrowing: None,
            stray,
            rotation: None,
        };
        let event = kernel
            .event(now, EventKind::IdentityDiscovered)
            .subject(identity_id)
            .subject(target.id)
            .fact("name", &identity.name)
            .fact("environment", &target.environment);
        let changeset = on(changeset, event, now);
        let event = kernel
            .event(now, EventKind::AccountFound)
            .subject(account_id)
            .subject(identity_id)
            .subject(target.id)
            .fact("name", &seen.name)
            .fact("sort", seen.sort)
            .fact("enabled", seen.enabled)
            .fact("privileged", seen.privileged)
            .fact("claim_by", account.claim_by)
            .fact("stray", stray);
        changeset.event(event);
        expect_optional(changeset, environment.cut_key(), self.cut.as_ref());
        expect_optional(changeset, environment.hold_key(), self.hold.as_ref());
        changeset.once.push(Once { space: "identity_name", key: name, until: None });
        changeset.once.push(Once {
            space: "account_key",
            key: format!("{} {account_id}", Account::place(target.id, &seen.key)),
            until: None,
        });
        changeset.insert(&identity).insert(&account);
        if self.hold.is_none() {
            // Nothing is held of it, and nothing was approved for it: what can differ is seen right here.
            let follows = (DueKind::Enforcement, Scope::Identity(identity_id).to_string());
            changeset.due.retain(
                |change| !matches!(change, DueChange::Set(kind, whose, _) if (*kind, whose) == (follows.0, &follows.1)),
            );
            drift::compare_new(kernel, changeset, &identity, &account, now).await?;
        }
        let due = if stray { now } else { account.claim_by };
        changeset.due.push(DueChange::Set(DueKind::Account, account_id.to_string(), due));
        if stray {
            told_stray(kernel, changeset, target, seen, (identity_id, account_id), now).await?;
        }
        Ok(account_id)
    }

    /// A name that no identity has or had: the account's and the target's, and its own number where that is taken.
    async fn free_name(
        &mut self,
        kernel: &Kernel,
        target: &TargetSystem,
        seen: &SeenAccount,
        id: AccountId,
    ) -> Result<String, OpError> {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c.to_ascii_lowercase() } else { '-' }
        };
        let name: String = seen.name.chars().take(MAX_NAME).map(plain).collect();
        let name = format!("{}.{}", name.trim_matches(|c: char| !c.is_ascii_alphanumeric()), target.name);
        let is_taken =
            self.named.contains(&name) || kernel.first(Query::of([Identity::NAME.of(&name)])).await?.is_some();
        let has_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if has_name && !is_taken {
            self.named.insert(name.clone());
            return Ok(name);
        }
        let number = id.to_string();
        Ok(format!(
            "{}-{}",
            name.trim_start_matches('.'),
            number.get(number.len().saturating_sub(8)..).unwrap_or_default()
        ))
    }
}

/// Tells of a login that bears the mark of what Tenure makes, and that no record knows.
async fn told_stray(
    kernel: &Kernel,
    changeset: &mut Changeset,
    target: &TargetSystem,
    seen: &SeenAccount,
    (identity, account): (IdentityId, AccountId),
    now: Timestamp,
) -> Result<(), OpError> {
    let mut evidence = serde_json::Map::new();
    evidence.insert("account".into(), seen.name.clone().into());
    evidence.insert("target".into(), target.name.clone().into());
    evidence.insert("made_for".into(), seen.marks.get(MADE_FOR).cloned().into());
    let rule = &rules::ACCOUNT_STRAY;
    finding::raise(kernel, changeset, rule, identity, &account.to_string(), evidence, now).await.map(drop)
}

fn on(changeset: &mut Option<Changeset>, event: tenure_core::store::event::Event, now: Timestamp) -> &mut Changeset {
    match changeset {
        Some(changeset) => changeset.event(event),
        None => changeset.insert(Changeset::new(system(), now, event)),
    }
}

/// Notes what the catalogue says now of an account that is known, where that is something else than before.
async fn note_seen(
    kernel: &Kernel,
    changeset: &mut Option<Changeset>,
    known: &Stored<Account>,
    seen: &SeenAccount,
    in_part: bool,
    now: Timestamp,
) -> Result<(), OpError> {
    // Sessions and last uses change all the time; what they were is read again before each act.
    let same = SeenAccount { sessions: known.seen.sessions, last_used_at: known.seen.last_used_at, ..seen.clone() };
    let used = seen
        .last_used_at
        .filter(|used| known.seen.last_used_at.is_none_or(|before| used.since(before) >= Span::from_days(1)));
    let same = same == known.seen && known.seen_in_part == in_part && known.absent_since.is_none();
    if same && used.is_none() {
        return Ok(());
    }
    let mut account = (*known.value).clone();
    account.seen = seen.clone();
    account.seen_at = now;
    account.absent_since = None;
    account.seen_in_part = in_part;
    let but = |grants: &[String], others: &[String]| -> Vec<String> {
        grants.iter().filter(|grant| !others.contains(grant)).cloned().collect()
    };
    let (added, gone) = (but(&seen.grants, &known.seen.grants), but(&known.seen.grants, &seen.grants));
    let event = kernel
        .event(now, EventKind::AccountSeenChanged)
        .subject(known.id)
        .subject(known.identity)
        .fact("name", &seen.name)
        .fact("enabled", seen.enabled)
        .fact("privileged", seen.privileged)
        .fact("grants_added", added.iter().take(SAID).collect::<Vec<_>>())
        .fact("added", added.len())
        .fact("grants_gone", gone.iter().take(SAID).collect::<Vec<_>>())
        .fact("gone", gone.len());
    let changeset = on(changeset, event, now);
    changeset.replace(known, &account);
    look_for_drift(changeset, known, now);
    // What was stopped here and works again was let go by somebody else (S-18), or what was dropped was given back.
    let widened = known.narrowing.as_ref().is_some_and(|narrowing| narrowing.still(seen).is_some());
    let works = seen.enabled && known.state != AccountState::Standing && known.open().is_none();
    // One that its target has from the start, which isn't held by itself, lets people in again, or no more.
    let turned = seen.built_in && seen.enabled != known.seen.enabled;
    if works || widened || turned {
        changeset.due.push(DueChange::Set(DueKind::Account, known.id.to_string(), now));
    }
    Ok(())
}

/// Has an account that changed held against what was approved for it.
pub(crate) fn look_for_drift(changeset: &mut Changeset, account: &Account, now: Timestamp) {
    let subject = Scope::Identity(account.identity).to_string();
    changeset.due.push(DueChange::Set(DueKind::Enforcement, subject, now));
}

/// Asks for the accounts of a target that a whole scan didn't see, one by one.
async fn look_for_missing(
    kernel: &Kernel,
    target: &TargetSystem,
    reached: &Reached<'_>,
    seen: &HashSet<AccountId>,
) -> Result<(), OpError> {
    let mut asked = 0;
    let mut pages = kernel.pages(Query::<Account>::of([Account::TARGET.of(target.id)]));
    while let Some(found) = pages.next().await? {
        for account in found.readable() {
            let unknown = account.absent_since.is_none()
                && account.state != AccountState::Ended
                && account.open().is_none()
                && !seen.contains(&account.id);
            if !unknown || asked >= MISSED {
                continue;
            }
            asked += 1;
            match reached.read(&account.seen.key).await {
                Ok(None) => missed(kernel, &account).await?,
                Ok(Some(_)) | Err(ConnectorError::Rejected(_) | ConnectorError::Unable(_)) => {}
                // It isn't known whether it is there: nothing is made of that.
                Err(_) => return Ok(()),
            }
        }
    }
    Ok(())
}

async fn missed(kernel: &Kernel, account: &Stored<Account>) -> Result<(), OpError> {
    let now = kernel.now();
    let missing = Account { absent_since: Some(now), ..(*account.value).clone() };
    let event = kernel
        .event(now, EventKind::AccountMissed)
        .subject(account.id)
        .subject(account.identity)
        .subject(account.target)
        .fact("name", &account.seen.name);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(account, &missing);
    look_for_drift(&mut changeset, account, now);
    // Who changed it meanwhile knows better; the next scan looks again.
    kernel.settle(changeset).await.map(drop)
}

async fn go_on(kernel: &Kernel, claimed: &Claimed, id: TargetId, progress: ScanProgress) -> Result<(), OpError> {
    changed(kernel, claimed, id, |target, now| {
        let event = kernel
            .event(now, EventKind::DeadlinePostponed)
            .subject(id)
            .fact("kind", claimed.kind.as_str())
            .fact("until", now)
            .fact("seen", progress.seen);
        (TargetSystem { scanning: Some(progress.clone()), ..target.asked(None, now) }, event, now)
    })
    .await
}

async fn ended(kernel: &Kernel, claimed: &Claimed, id: TargetId, progress: ScanProgress) -> Result<(), OpError> {
    let held = Query::<Account>::of([Account::TARGET.of(id), Account::STATE.of(AccountState::Held)]);
    let is_watched = kernel.first(held).await?.is_some();
    changed(kernel, claimed, id, |target, now| {
        let ScanProgress { begun_at, seen, fresh, unseen, .. } = progress.clone();
        let blind = kernel.connectors.of(target.kind).map(Connector::blind_spots).unwrap_or_default();
        let unseen: Vec<String> = blind.iter().map(|spot| words(spot)).chain(unseen).take(MAX_UNSEEN).collect();
        let event = kernel
            .event(now, EventKind::TargetScanned)
            .subject(id)
            .fact("seen", seen)
            .fact("fresh", fresh)
            .fact("unseen", &unseen)
            .fact("begun_at", begun_at);
        let scanned = Some(Scan { begun_at, ended_at: now, seen, fresh, unseen });
        let every = if is_watched { target.scan_every.min(WATCH_EVERY) } else { target.scan_every };
        let next = begun_at.plus(every).max(now);
        (TargetSystem { scanning: None, scanned, ..target.asked(None, now) }, event, next)
    })
    .await
}

async fn failed(kernel: &Kernel, claimed: &Claimed, id: TargetId, why: &str) -> Result<(), OpError> {
    changed(kernel, claimed, id, |target, now| {
        // Of one that is gone nobody expects an answer; it is tried now and then, since it may not be.
        let is_gone = target.is_gone();
        let target = TargetSystem { scanning: None, ..target.asked(Some(&words(why)), now) };
        let event = kernel
            .event(now, EventKind::TargetUnreachable)
            .subject(id)
            .fact("why", target.trouble.as_ref().map(|trouble| &trouble.why));
        let next = match is_gone {
            true => now.plus(target.scan_every),
            false => target.trouble.as_ref().map_or(now, tenure_core::target::system::Trouble::again_at),
        };
        (target, event, next)
    })
    .await
}

/// Writes what a step of a scan came to, with the scan's own deadline.
async fn changed(
    kernel: &Kernel,
    claimed: &Claimed,
    id: TargetId,
    change: impl Fn(TargetSystem, Timestamp) -> (TargetSystem, tenure_core::store::event::Event, Timestamp),
) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let now = kernel.now();
        let Some(stored) = kernel.one::<TargetSystem>(id).await? else { return Ok(()) };
        let (target, event, next) = change((*stored.value).clone(), now);
        let was_in_trouble = stored.trouble.is_some();
        let mut changeset = Changeset::new(system(), now, event);
        if target.trouble.is_some() && !target.is_gone() {
            let mut evidence = serde_json::Map::new();
            evidence.insert("why".into(), target.trouble.as_ref().map(|trouble| trouble.why.clone()).into());
            finding::raise(kernel, &mut changeset, &rules::TARGET_UNREACHABLE, id, "", evidence, now).await?;
        } else if was_in_trouble && target.trouble.is_none() {
            let subject = id.to_string();
            finding::no_longer(
                kernel,
                &mut changeset,
                &[&rules::TARGET_UNREACHABLE],
                &subject,
                "it answers again",
                now,
            )
            .await?;
        }
        changeset.replace(&stored, &target);
        changeset.due.push(if target.is_asked() {
            DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, next)
        } else {
            DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence)
        });
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and somebody goes on from what the target says then.
    Ok(())
}
