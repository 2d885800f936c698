//! A target in memory that has faults, for the tests of whoever asks connectors.
//!
//! What it does wrong is drawn from a seed: the same calls meet the same faults. What really is so, a test asks past all
//! faults: [`Faulty::lets_in`].

mod federation;

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, AccountSort, Connector, ConnectorError, Connectors, Ending, Endpoint, Federation, Found, MAX_FOUND, Mode,
    NewAccount, Probe, ProofWorth, Reach, SeenAccount, TargetKind, TargetLogin,
};

use crate::place::{may_end, may_issue, may_provision, not_ourselves};

/// How often each fault comes, in calls of a hundred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// It does what it is asked, and the answer is lost.
    pub reply_lost: u8,
    /// It lists a part, and says that there is more that it doesn't tell.
    pub partial: u8,
    /// It says that it did what it is asked, and does nothing.
    pub lies: u8,
    /// It does nothing, and says nothing until nobody waits any more.
    pub stalls: u8,
    /// Whether it takes what it ends out of its catalogue, and goes on letting it in.
    pub ghosts: bool,
    /// Whether it takes every question, and answers none.
    pub hangs: bool,
    /// Whether it takes new accounts so, and answers all else.
    pub hangs_on_new: bool,
}

impl Faults {
    /// Every fault, each in a fifth of all calls.
    pub const MANY: Self =
        Self { reply_lost: 20, partial: 20, lies: 20, stalls: 20, ghosts: false, hangs: false, hangs_on_new: false };
}

/// A target with faults.
pub struct Faulty {
    kind: TargetKind,
    /// Whether it takes tokens of ours.
    federates: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    random: u64,
    faults: Faults,
    locked_out: bool,
    full: bool,
    rejects_new: bool,
    /// What is in no catalogue and is let in all the same.
    ghosts: BTreeMap<String, Login>,
    accounts: BTreeMap<String, Login>,
    made: u64,
    writes: u64,
}

struct Login {
    name: String,
    secret: Secret<String>,
    enabled: bool,
    held: bool,
    grants: Vec<String>,
    sessions: u32,
    ends_at: Option<Timestamp>,
    mark: Option<String>,
}

/// What comes over a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    ReplyLost,
    Partial,
    Lie,
    Stall,
}

impl Faulty {
    /// A target of a kind without accounts and without faults.
    pub fn new(kind: TargetKind, seed: u64) -> Self {
        Self { kind, federates: false, state: Mutex::new(State { random: seed, ..State::default() }) }
    }

    /// From now on these faults come.
    pub fn suffer(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Whether the connector's own login is refused from now on.
    pub fn lock_us_out(&self, refused: bool) {
        self.state.lock().locked_out = refused;
    }

    /// Whether it has no place for another account or connection from now on.
    pub fn fill(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// Would make no other account from now on, or would again.
    pub fn reject_new(&self, rejects: bool) {
        self.state.lock().rejects_new = rejects;
    }

    /// An account as the target's people make it; gives its key.
    pub fn people_make(&self, name: &str, secret: &str, grants: &[&str]) -> String {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        let secret = Secret::new(secret.to_owned());
        self.state.lock().make(name, secret, grants, None, None)
    }

    /// What the target's people do to an account behind everybody's back: let it in or not.
    pub fn people_set(&self, key: &str, enabled: bool) {
        if let Some(login) = self.state.lock().accounts.get_mut(key) {
            login.enabled = enabled;
        }
    }

    /// Opens a session of an account.
    pub fn open_session(&self, key: &str) {
        if let Some(login) = self.state.lock().accounts.get_mut(key) {
            login.sessions = login.sessions.saturating_add(1);
        }
    }

    /// Whether the target really lets a login in.
    pub fn lets_in(&self, name: &str, secret: &str) -> bool {
        self.state.lock().lets_in(name, secret)
    }

    /// How many sessions an account really has; none if it is gone.
    pub fn sessions(&self, key: &str) -> Option<u32> {
        self.state.lock().accounts.get(key).map(|login| login.sessions)
    }

    /// How often anything was changed.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// An act: its effect, unless it is not to be, and its answer, unless that is lost.
    fn act<T>(
        &self,
        effect: impl FnOnce(&mut State) -> Result<T, ConnectorError>,
        lie: T,
    ) -> Result<T, ConnectorError> {
        let mut state = self.state.lock();
        match state.fate()? {
            Fate::Stall => Err(stalled()),
            Fate::Lie => Ok(lie),
            Fate::ReplyLost => {
                effect(&mut state)?;
                Err(ConnectorError::Unreachable("the connection was closed before the answer".to_owned()))
            }
            Fate::Well | Fate::Partial => effect(&mut state),
        }
    }

    /// What is asked of it, unless it hangs.
    fn answers<'a, T: Send + 'a>(&self, answer: impl FnOnce() -> T) -> BoxFuture<'a, T> {
        if self.state.lock().faults.hangs { Box::pin(std::future::pending()) } else { ready(answer()) }
    }

    fn look<T>(&self, look: impl FnOnce(&State, Fate) -> T) -> Result<T, ConnectorError> {
        let mut state = self.state.lock();
        match state.fate()? {
            Fate::Stall | Fate::ReplyLost => Err(stalled()),
            fate => Ok(look(&state, fate)),
        }
    }
}

fn full() -> ConnectorError {
    ConnectorError::Unreachable("it has no connection left".to_owned())
}

fn stalled() -> ConnectorError {
    ConnectorError::Unreachable("it did not answer in time".to_owned())
}

impl State {
    /// SplitMix64: small, and the same everywhere.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fate(&mut self) -> Result<Fate, ConnectorError> {
        if self.locked_out {
            return Err(ConnectorError::Unauthorized("the password is wrong".to_owned()));
        }
        let mut drawn = self.draw() % 100;
        let Faults { reply_lost, partial, lies, stalls, .. } = self.faults;
        for (often, fate) in
            [(reply_lost, Fate::ReplyLost), (partial, Fate::Partial), (lies, Fate::Lie), (stalls, Fate::Stall)]
        {
            if drawn < u64::from(often) {
                return Ok(fate);
            }
            drawn -= u64::from(often);
        }
        Ok(Fate::Well)
    }

    fn make(
        &mut self,
        name: &str,
        secret: Secret<String>,
        grants: Vec<String>,
        ends_at: Option<Timestamp>,
        mark: Option<String>,
    ) -> String {
        self.made += 1;
        let key = format!("{:08}", self.made);
        let login =
            Login { name: name.to_owned(), secret, enabled: true, held: false, grants, sessions: 0, ends_at, mark };
        self.accounts.insert(key.clone(), login);
        key
    }

    fn lets_in(&self, name: &str, secret: &str) -> bool {
        self.accounts
            .values()
            .chain(self.ghosts.values())
            .any(|login| login.enabled && login.name == name && login.secret.expose() == secret)
    }

    fn end_sessions(&mut self, key: &str, words: &str) -> Ending {
        self.writes += 1;
        let sessions = self.accounts.get_mut(key).map_or(0, |login| std::mem::take(&mut login.sessions));
        Ending { words: words.to_owned(), sessions_ended: sessions, sessions_left: Some(0) }
    }

    /// An account that isn't the connector's own.
    fn other(&mut self, reach: &Reach<'_>, key: &str) -> Result<Option<&mut Login>, ConnectorError> {
        let login = self.accounts.get_mut(key);
        not_ourselves(login.as_ref().is_some_and(|login| login.name == reach.login.name))?;
        Ok(login)
    }
}

fn seen(key: &str, login: &Login) -> SeenAccount {
    SeenAccount {
        key: key.to_owned(),
        name: login.name.clone(),
        sort: AccountSort::Login,
        enabled: login.enabled,
        ends_at: login.ends_at,
        made_at: None,
        last_used_at: None,
        sessions: Some(login.sessions),
        built_in: false,
        privileged: login.grants.iter().any(|grant| grant == "all"),
        grants: login.grants.clone(),
        more_grants: 0,
        marks: login.mark.iter().map(|mark| ("tenure".to_owned(), mark.clone())).collect(),
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

fn said(words: &str) -> Ending {
    Ending { words: words.to_owned(), sessions_ended: 0, sessions_left: Some(0) }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Connectors for Faulty {
    fn of(&self, kind: TargetKind) -> Option<&dyn Connector> {
        (kind == self.kind).then_some(self)
    }
}

impl Connector for Faulty {
    fn kind(&self) -> TargetKind {
        self.kind
    }

    fn abilities(&self) -> &'static [Ability] {
        &[
            Ability::Discover,
            Ability::Provision,
            Ability::Rotate,
            Ability::Hold,
            Ability::Narrow,
            Ability::Revoke,
            Ability::Probe,
            Ability::CountSessions,
            Ability::EndSessions,
        ]
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, mode: Mode) -> &'static str {
        mode.as_str()
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        if endpoint.url.is_empty() {
            return Err(ConnectorError::Misconfigured("there is no URL".to_owned()));
        }
        Ok(())
    }

    fn whoami<'a>(&'a self, _reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        self.answers(|| self.look(|_, _| Vec::new()))
    }

    fn discover<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        self.answers(|| {
            self.look(|state, fate| {
                let behind = state.accounts.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
                let mut accounts: Vec<_> = behind.take(MAX_FOUND + 1).map(|(key, login)| seen(key, login)).collect();
                let more = accounts.len() > MAX_FOUND;
                accounts.truncate(MAX_FOUND);
                let next = accounts.last().map(|account| account.key.clone()).filter(|_| more);
                if fate != Fate::Partial {
                    return Found { accounts, next, unseen: Vec::new() };
                }
                accounts.truncate(accounts.len() / 2);
                Found { accounts, next, unseen: vec!["a part of the accounts: the answer was cut short".to_owned()] }
            })
        })
    }

    fn read<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        self.answers(|| self.look(|state, _| state.accounts.get(key).map(|login| seen(key, login))))
    }

    fn federation(&self) -> Option<&dyn Federation> {
        self.federates.then_some(self)
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        let make = |state: &mut State| {
            may_provision(reach, account)?;
            if state.full {
                return Err(full());
            }
            if state.rejects_new {
                return Err(ConnectorError::Rejected("it has room for no other account".to_owned()));
            }
            let known = state.accounts.iter_mut().find(|(_, login)| login.name == account.name);
            let key = match known {
                Some((_, login)) if login.mark.as_deref() != Some(account.mark) => return Err(ConnectorError::Taken),
                Some((key, login)) => {
                    login.secret = account.secret.clone();
                    login.grants = account.grants.to_vec();
                    login.ends_at = Some(account.ends_at);
                    (login.enabled, login.held, login.sessions) = (true, false, 0);
                    key.clone()
                }
                None => {
                    let (grants, mark) = (account.grants.to_vec(), Some(account.mark.to_owned()));
                    state.make(account.name, account.secret.clone(), grants, Some(account.ends_at), mark)
                }
            };
            state.writes += 1;
            let made = state.accounts.get(&key).map(|login| seen(&key, login));
            made.ok_or_else(|| ConnectorError::Rejected("the account that was made isn't there".to_owned()))
        };
        // Who makes nothing can't tell what it made: that lie is a lost answer.
        let mut state = self.state.lock();
        if state.faults.hangs || state.faults.hangs_on_new {
            return Box::pin(std::future::pending());
        }
        ready(match state.fate() {
            Err(error) => Err(error),
            Ok(Fate::Stall | Fate::Lie) => Err(stalled()),
            Ok(Fate::ReplyLost) => make(&mut state).and(Err(stalled())),
            Ok(Fate::Well | Fate::Partial) => make(&mut state),
        })
    }

    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let rotate = |state: &mut State| {
            may_issue(reach)?;
            let Some(login) = state.other(reach, key)? else {
                return Err(ConnectorError::Rejected("there is no such account".to_owned()));
            };
            login.secret = secret.clone();
            Ok(state.end_sessions(key, "another secret"))
        };
        self.answers(|| self.act(rotate, said("another secret")))
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let hold = |state: &mut State| {
            may_end(reach)?;
            if let Some(login) = state.other(reach, key)? {
                login.held |= login.enabled;
                login.enabled = false;
            }
            Ok(state.end_sessions(key, "stopped"))
        };
        self.answers(|| self.act(hold, said("stopped")))
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        let release = |state: &mut State| {
            may_end(reach)?;
            let Some(login) = state.other(reach, key)? else {
                return Err(ConnectorError::Rejected("there is no such account".to_owned()));
            };
            login.enabled |= std::mem::take(&mut login.held);
            state.writes += 1;
            Ok(())
        };
        self.answers(|| self.act(release, ()))
    }

    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let narrow = |state: &mut State| {
            may_end(reach)?;
            if let Some(login) = state.other(reach, key)? {
                login.grants.retain(|grant| keep.contains(grant));
            }
            Ok(state.end_sessions(key, "narrowed"))
        };
        self.answers(|| self.act(narrow, said("narrowed")))
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        let ghosts = self.state.lock().faults.ghosts;
        let revoke = |state: &mut State| {
            may_end(reach)?;
            state.other(reach, key)?;
            let ending = state.end_sessions(key, "ended");
            let gone = state.accounts.remove(key);
            match gone {
                Some(login) if ghosts => state.ghosts.insert(key.to_owned(), login),
                _ if !ghosts => state.ghosts.remove(key),
                _ => None,
            };
            Ok(ending)
        };
        self.answers(|| self.act(revoke, said("ended")))
    }

    fn probe<'a>(
        &'a self,
        _endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        _patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        let mut state = self.state.lock();
        if state.faults.hangs {
            return Box::pin(std::future::pending());
        }
        // It is not our own login that is tried, and a target that lies lies about its acts.
        let stalls = u64::from(state.faults.stalls);
        ready(if state.draw() % 100 < stalls {
            Err(stalled())
        } else if state.full {
            Err(full())
        } else if state.lets_in(&login.name, login.secret.expose()) {
            Ok(Probe::Accepted)
        } else {
            Ok(Probe::Refused { words: "the password is wrong".to_owned() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint { url: "memory://x".to_owned(), ca: None, plaintext: false, options: BTreeMap::new() }
    }

    fn us() -> TargetLogin {
        TargetLogin { name: "us".to_owned(), secret: Secret::new("s".to_owned()) }
    }

    /// What comes of many holds of one account: each answer, and whether it was so.
    async fn holds(seed: u64) -> Vec<(bool, bool)> {
        let (faulty, endpoint, us) = (Faulty::new(TargetKind::Postgresql, seed), endpoint(), us());
        let reach = Reach { endpoint: &endpoint, login: &us, mode: Mode::End, patience: Span::from_secs(1) };
        let key = faulty.people_make("app", "word", &["read", "write"]);
        faulty.suffer(Faults::MANY);
        let mut seen = Vec::new();
        for _ in 0..200 {
            faulty.people_set(&key, true);
            let said = faulty.hold(&reach, &key).await;
            seen.push((said.is_ok(), faulty.lets_in("app", "word")));
        }
        seen
    }

    #[tokio::test]
    async fn the_same_seed_brings_the_same_faults_and_every_sort_of_them() {
        let first = holds(7).await;
        assert_eq!(first, holds(7).await);
        assert_ne!(first, holds(8).await);
        // Done and said; done and lost; not done and said; not done and not said.
        for wanted in [(true, false), (false, false), (true, true), (false, true)] {
            assert!(first.contains(&wanted), "{wanted:?}");
        }
    }

    #[tokio::test]
    async fn without_faults_it_is_a_target_like_any_other() {
        let (faulty, endpoint, us) = (Faulty::new(TargetKind::Redis, 1), endpoint(), us());
        let with = |mode| Reach { endpoint: &endpoint, login: &us, mode, patience: Span::from_secs(1) };
        let people = faulty.people_make("app", "word", &["read", "write"]);
        assert!(matches!(faulty.hold(&with(Mode::Observe), &people).await, Err(ConnectorError::Unable(_))));
        assert_eq!(faulty.writes(), 0);
        faulty.open_session(&people);
        let end = with(Mode::End);
        assert_eq!(faulty.hold(&end, &people).await.unwrap().sessions_ended, 1);
        assert!(!faulty.lets_in("app", "word") && faulty.sessions(&people) == Some(0));
        faulty.release(&end, &people).await.unwrap();
        faulty.narrow(&end, &people, &["read".to_owned()]).await.unwrap();
        let read = faulty.read(&end, &people).await.unwrap().unwrap();
        assert_eq!((read.enabled, read.grants), (true, vec!["read".to_owned()]));
        let secret = Secret::new("ours".to_owned());
        let new = NewAccount { name: "app", secret: &secret, grants: &[], ends_at: Timestamp::MAX, mark: "m" };
        assert_eq!(faulty.provision(&end, &new).await, Err(ConnectorError::Taken));
        let made = faulty.provision(&end, &NewAccount { name: "ours", ..new }).await.unwrap();
        assert!(faulty.lets_in("ours", "ours") && made.marks["tenure"] == "m");
        faulty.revoke(&end, &people).await.unwrap();
        assert_eq!(faulty.read(&end, &people).await.unwrap(), None);
        assert_eq!(faulty.discover(&end, None).await.unwrap().accounts.len(), 1);
        faulty.lock_us_out(true);
        assert!(matches!(faulty.discover(&end, None).await, Err(ConnectorError::Unauthorized(_))));
        assert!(faulty.of(TargetKind::Redis).is_some() && faulty.of(TargetKind::Ldap).is_none());
    }
}
