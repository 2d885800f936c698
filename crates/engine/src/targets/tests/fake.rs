//! A target in memory that has faults: it may be away, lose a reply after its effect, lie, or see only half.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tenure_core::store::port::BoxFuture;
use tenure_core::target::connector::{
    Ability, AccountSort, Connector, ConnectorError, Connectors, Ending, Endpoint, Found, MADE_FOR, Mode, ProofWorth,
    Reach, SeenAccount, TargetKind,
};

/// What is wrong with the target at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// Nobody can reach it.
    Away,
    /// It does what it is asked, and its answer is lost.
    ReplyLost,
    /// It says that it did, and did not.
    Lies,
    /// It keeps one session open.
    KeepsSessions,
    /// It can't take an account out of its catalogue, since it owns something: it lets it in no more.
    Owns,
    /// It has no room for one more connection, or doesn't trust ours: nothing is known of any account.
    Full,
    /// It would not.
    Refuses,
    /// It takes the question, and never answers.
    Hangs,
    /// It tells its accounts again and again, and that there are more.
    Endless,
}

#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) accounts: Mutex<BTreeMap<String, SeenAccount>>,
    pub(super) fault: Mutex<Fault>,
    pub(super) unseen: Mutex<Vec<String>>,
    pub(super) hidden: Mutex<Vec<String>>,
    /// What was asked, in order.
    pub(super) asked: Mutex<Vec<String>>,
}

const PAGE: usize = 2;

impl Fake {
    pub(super) fn add(&self, name: &str) {
        let account = SeenAccount {
            key: name.into(),
            name: name.into(),
            sort: AccountSort::Login,
            enabled: true,
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: Some(1),
            built_in: name == "root",
            privileged: false,
            grants: vec!["INSERT".into(), "SELECT".into()],
            more_grants: 0,
            marks: BTreeMap::new(),
        };
        self.accounts.lock().insert(name.into(), account);
    }

    /// A login that Tenure made, by its mark.
    pub(super) fn add_marked(&self, name: &str, made_for: &str) {
        self.add(name);
        if let Some(account) = self.accounts.lock().get_mut(name) {
            account.marks.insert(MADE_FOR.into(), made_for.into());
        }
    }

    /// Leaves every account these grants.
    pub(super) fn only(&self, grants: &[&str]) {
        for account in self.accounts.lock().values_mut() {
            account.grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        }
    }

    /// Gives an account something, as the target's own people do.
    pub(super) fn grant(&self, name: &str, grant: &str) {
        let mut accounts = self.accounts.lock();
        let account = accounts.get_mut(name).expect("it is there");
        account.grants.push(grant.into());
        account.privileged |= grant == "SUPERUSER";
    }

    pub(super) fn grants(&self, name: &str) -> Vec<String> {
        self.accounts.lock().get(name).map(|account| account.grants.clone()).unwrap_or_default()
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    pub(super) fn enabled(&self, name: &str) -> Option<bool> {
        self.accounts.lock().get(name).map(|account| account.enabled)
    }

    /// Comes back, unless the target hangs.
    async fn answers(&self) {
        if *self.fault.lock() == Fault::Hangs {
            std::future::pending::<()>().await;
        }
    }

    fn reached(&self, what: &str, key: &str) -> Result<Fault, ConnectorError> {
        self.asked.lock().push(format!("{what} {key}"));
        match *self.fault.lock() {
            Fault::Away => Err(ConnectorError::Unreachable("nobody answers".into())),
            Fault::Full => Err(ConnectorError::Unauthorized("too many connections for role \"tenure\"".into())),
            Fault::Refuses if what != "read" && what != "discover" => {
                Err(ConnectorError::Rejected("it owns the ledger".into()))
            }
            fault => Ok(fault),
        }
    }

    fn act(
        &self,
        reach: &Reach<'_>,
        what: &str,
        key: &str,
        change: impl FnOnce(&mut BTreeMap<String, SeenAccount>),
    ) -> Result<Ending, ConnectorError> {
        assert!(reach.mode >= Mode::End, "an observing connector was asked to {what}");
        let fault = self.reached(what, key)?;
        if fault != Fault::Lies {
            change(&mut self.accounts.lock());
        }
        match fault {
            Fault::ReplyLost => Err(ConnectorError::Unreachable("the answer was lost".into())),
            _ => Ok(Ending { words: format!("{what} done"), sessions_ended: 1, sessions_left: Some(0) }),
        }
    }
}

impl Connector for Fake {
    fn kind(&self) -> TargetKind {
        TargetKind::Postgresql
    }
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Discover, Ability::Hold, Ability::Narrow, Ability::Revoke]
    }
    fn proof(&self) -> ProofWorth {
        ProofWorth::ReadBack
    }
    fn rights(&self, _mode: Mode) -> &'static str {
        ""
    }
    fn blind_spots(&self) -> &'static [&'static str] {
        &["what it never lists"]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        match endpoint.url.starts_with("postgres://") {
            true => Ok(()),
            false => Err(ConnectorError::Misconfigured("give a URL that begins with postgres://".into())),
        }
    }
    fn whoami<'a>(&'a self, _reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn discover<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        Box::pin(async move {
            self.answers().await;
            self.reached("discover", after.unwrap_or_default())?;
            let hidden = self.hidden.lock().clone();
            let accounts = self.accounts.lock();
            let behind = accounts.values().filter(|account| after.is_none_or(|after| account.key.as_str() > after));
            let found: Vec<_> = behind.filter(|account| !hidden.contains(&account.key)).cloned().collect();
            let endless = *self.fault.lock() == Fault::Endless;
            let more = found.len() > PAGE || endless;
            let found: Vec<_> = found.into_iter().take(PAGE).collect();
            let first = || endless.then(String::new);
            let next = found.last().map(|last| last.key.clone()).filter(|_| more).or_else(first);
            Ok(Found { accounts: found, next, unseen: self.unseen.lock().clone() })
        })
    }
    fn read<'a>(
        &'a self,
        _reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        Box::pin(async move {
            self.reached("read", key)?;
            Ok(self.accounts.lock().get(key).cloned())
        })
    }
    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            self.answers().await;
            let keeps = *self.fault.lock() == Fault::KeepsSessions;
            self.act(reach, "hold", key, |accounts| {
                if let Some(account) = accounts.get_mut(key) {
                    account.enabled = false;
                    account.sessions = Some(u32::from(keeps));
                }
            })
        })
    }
    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        Box::pin(async move {
            let released = self.act(reach, "release", key, |accounts| {
                if let Some(account) = accounts.get_mut(key) {
                    account.enabled = true;
                }
            });
            released.map(drop)
        })
    }
    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            self.act(reach, "narrow", key, |accounts| {
                if let Some(account) = accounts.get_mut(key) {
                    account.grants.retain(|grant| keep.contains(grant));
                    account.privileged &= account.grants.iter().any(|grant| grant == "SUPERUSER");
                }
            })
        })
    }
    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        Box::pin(async move {
            self.answers().await;
            let owns = *self.fault.lock() == Fault::Owns;
            self.act(reach, "revoke", key, |accounts| match accounts.get_mut(key).filter(|_| owns) {
                Some(account) => {
                    account.enabled = false;
                    account.sessions = Some(0);
                }
                None => {
                    accounts.remove(key);
                }
            })
        })
    }
}

impl Connectors for Fake {
    fn of(&self, kind: TargetKind) -> Option<&dyn Connector> {
        (kind == TargetKind::Postgresql).then_some(self as &dyn Connector)
    }
}
