//! LDAP directories: entries with a password, as OpenLDAP has them.
//!
//! - The connector's login is named by its entry's name.
//! - Options of an endpoint: `base`, below which accounts are looked for; `accounts`, below which they are made (the base);
//!   `filter`, which entries are accounts.
//! - Whoever is bound stays bound, whatever becomes of the entry: sessions are neither told nor ended. A directory needs
//!   an idle timeout.

mod entry;
mod session;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::exop::PasswordModify;
use ldap3::{Mod, Scope, SearchEntry, ldap_escape};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::entry::{
    ATTRIBUTES, ENDED, HELD, LOCKED, MADE_FOR, NONE, Tree, check_mark, check_name, hashed, held, is_locked, is_marked,
    made_for, released, seen, uuid,
};
use self::session::{Session, bind, connect, done, is_refusal, meaning, own, rejected, said, values};
use crate::place::{Form, GONE, Place, asked, gone, in_time, may_end, may_issue, may_provision, not_ourselves};

const FORM: Form = Form {
    schemes: &[("ldaps", Some(true)), ("ldap", Some(false))],
    ports: (636, 389),
    path: false,
    options: &["base", "accounts", "filter"],
};
const FILTER: &str = "(|(objectClass=simpleSecurityObject)(objectClass=account)(objectClass=applicationProcess))";
const GROUPS: &str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))";
const PAGE: i32 = 500;
/// Groups whose members are looked at.
const MAX_GROUPS: usize = 5_000;
const OUTLIVES: &str = "whoever is bound stays bound until the directory closes the connection";

/// The connector to directories.
#[derive(Debug)]
pub struct Ldap {
    outbound: Arc<Outbound>,
}

fn tree(place: &Place<'_>) -> Result<Tree, ConnectorError> {
    let bad = |why: &str| ConnectorError::Misconfigured(why.to_owned());
    let text = |text: &str| text.len() <= 1024 && !text.chars().any(char::is_control);
    let base = place.option("base").filter(|base| base.contains('=') && text(base));
    let base = base.ok_or_else(|| bad("the option base is missing, or is no name of an entry"))?;
    let accounts = place.option("accounts").unwrap_or(base);
    if !text(accounts) || !accounts.to_lowercase().ends_with(&base.to_lowercase()) {
        return Err(bad("the option accounts is no entry below the base"));
    }
    let filter = place.option("filter").unwrap_or(FILTER);
    if !text(filter) || ldap3::parse_filter(filter).is_err() {
        return Err(bad("the option filter is none that a directory understands"));
    }
    Ok(Tree { base: base.to_owned(), accounts: accounts.to_owned(), filter: filter.to_owned() })
}

/// A directory under the hand of the connector.
struct Act<'a> {
    session: Session,
    tree: Tree,
    login: &'a TargetLogin,
}

impl Ldap {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }

    async fn act<'r>(&self, reach: &Reach<'r>) -> Result<Act<'r>, ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        let tree = tree(&place)?;
        Ok(Act { session: own(&self.outbound, &place, reach).await?, tree, login: reach.login })
    }
}

impl Act<'_> {
    /// Each entry that a filter finds, page by page; false if the directory gave less than all.
    async fn each(
        &mut self,
        base: &str,
        filter: &str,
        attributes: &[&str],
        mut each: impl FnMut(SearchEntry) -> Result<bool, ConnectorError>,
    ) -> Result<bool, ConnectorError> {
        let attributes: Vec<String> = attributes.iter().map(|name| (*name).to_owned()).collect();
        let adapters: Vec<Box<dyn Adapter<'static, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
        let search = self.session.ldap.streaming_search_with(adapters, base, Scope::Subtree, filter, attributes);
        let mut search = search.await.map_err(|error| meaning(&error))?;
        let mut more = true;
        while more {
            match search.next().await.map_err(|error| meaning(&error))? {
                Some(entry) => more = each(SearchEntry::construct(entry))?,
                None => break,
            }
        }
        let result = search.finish().await;
        match result.rc {
            _ if !more => Ok(true),
            0 => Ok(true),
            // It says that there are more, and gives no more of them.
            4 | 11 => Ok(false),
            // There is no base: nothing is below it, or we may not see it.
            _ => Err(rejected(&result)),
        }
    }

    async fn one(&mut self, filter: &str) -> Result<Option<SearchEntry>, ConnectorError> {
        let mut found = None;
        let base = self.tree.base.clone();
        let whole = self
            .each(&base, filter, &ATTRIBUTES, |entry| {
                found = Some(entry);
                Ok(false)
            })
            .await?;
        if found.is_none() && !whole {
            return Err(ConnectorError::Rejected("the directory gave less than the whole answer".to_owned()));
        }
        Ok(found)
    }

    async fn by_key(&mut self, key: &str) -> Result<Option<SearchEntry>, ConnectorError> {
        self.one(&format!("(entryUUID={})", ldap_escape(key))).await
    }

    /// The entry of a key, which isn't our own.
    async fn other(&mut self, key: &str) -> Result<Option<SearchEntry>, ConnectorError> {
        let entry = self.by_key(key).await?;
        let ours = self.login.name.to_lowercase();
        not_ourselves(entry.as_ref().is_some_and(|entry| entry.dn.to_lowercase() == ours))?;
        Ok(entry)
    }

    /// The groups of entries, by the entries' names in small letters.
    async fn groups(&mut self, dns: &HashSet<String>) -> Result<(BTreeMap<String, Vec<String>>, bool), ConnectorError> {
        let one = dns.iter().next().filter(|_| dns.len() == 1);
        let filter = match one {
            Some(dn) => format!("(&{GROUPS}(|(member={0})(uniqueMember={0})))", ldap_escape(dn.as_str())),
            None => GROUPS.to_owned(),
        };
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut read = 0;
        let base = self.tree.base.clone();
        let whole = self
            .each(&base, &filter, &["member", "uniqueMember"], |group| {
                read += 1;
                for member in values(&group, "member").into_iter().chain(values(&group, "uniqueMember")) {
                    let member = member.to_lowercase();
                    if dns.contains(&member) {
                        groups.entry(member).or_default().push(group.dn.clone());
                    }
                }
                Ok(read < MAX_GROUPS)
            })
            .await?;
        Ok((groups, whole && read < MAX_GROUPS))
    }

    async fn groups_of(&mut self, dn: &str) -> Result<Vec<String>, ConnectorError> {
        let (mut groups, whole) = self.groups(&HashSet::from([dn.to_lowercase()])).await?;
        if !whole {
            return Err(ConnectorError::Rejected("the directory gave less than all groups".to_owned()));
        }
        Ok(groups.remove(&dn.to_lowercase()).unwrap_or_default())
    }

    async fn seen(&mut self, entry: &SearchEntry) -> Result<SeenAccount, ConnectorError> {
        let groups = self.groups_of(&entry.dn).await?;
        seen(&self.tree, entry, groups)
    }

    async fn passwords(&mut self, dn: &str) -> Result<Vec<String>, ConnectorError> {
        let search = self.session.ldap.search(dn, Scope::Base, "(objectClass=*)", ["userPassword"]).await;
        let (entries, _) = search.map_err(|error| meaning(&error))?.success().map_err(|error| meaning(&error))?;
        let entry = entries.into_iter().next().map(SearchEntry::construct);
        let Some(entry) = entry else { return Ok(Vec::new()) };
        let binary = entry.bin_attrs.iter().any(|(name, _)| name.eq_ignore_ascii_case("userPassword"));
        if binary {
            return Err(ConnectorError::Rejected("its password is no text".to_owned()));
        }
        Ok(values(&entry, "userPassword"))
    }

    /// Replaces the passwords of an entry, and what is marked of it, in one step.
    async fn set(
        &mut self,
        entry: &SearchEntry,
        passwords: Option<Vec<String>>,
        marks: &[(&str, bool)],
    ) -> Result<(), ConnectorError> {
        let set = |values: Vec<String>| values.into_iter().collect::<HashSet<String>>();
        let mut changes = Vec::new();
        if let Some(passwords) = passwords {
            changes.push(Mod::Replace("userPassword".to_owned(), set(passwords)));
        }
        let mut lines = values(entry, "description");
        for (mark, wanted) in marks {
            lines.retain(|line| line != mark);
            if *wanted {
                lines.push((*mark).to_owned());
            }
        }
        changes.push(Mod::Replace("description".to_owned(), set(lines)));
        done(self.session.ldap.modify(&entry.dn, changes).await, &[])?;
        self.keep_locked(entry).await
    }

    /// A directory's password policy takes a lock from whoever is given another password. What people locked is locked
    /// again.
    async fn keep_locked(&mut self, entry: &SearchEntry) -> Result<(), ConnectorError> {
        if !is_locked(entry) {
            return Ok(());
        }
        let locked = Mod::Replace("pwdAccountLockedTime".to_owned(), HashSet::from([LOCKED.to_owned()]));
        done(self.session.ldap.modify(&entry.dn, vec![locked]).await, &[])
    }

    /// Gives an entry a password: the directory hashes it as it does.
    async fn give(&mut self, dn: &str, secret: &Secret<String>) -> Result<(), ConnectorError> {
        if secret.expose().is_empty() {
            return Err(ConnectorError::Misconfigured("a password isn't empty".to_owned()));
        }
        let change = PasswordModify { user_id: Some(dn), old_pass: None, new_pass: Some(secret.expose()) };
        let result = self.session.ldap.extended(change).await.map_err(|error| meaning(&error))?.1;
        if result.rc == 0 { Ok(()) } else { Err(rejected(&result)) }
    }

    async fn member(&mut self, group: &str, dn: &str, wanted: bool) -> Result<(), ConnectorError> {
        let base = self.tree.base.to_lowercase();
        if !group.to_lowercase().ends_with(&base) {
            return Err(ConnectorError::Rejected(format!("it is no group below the base: {}", words(group))));
        }
        let value = || HashSet::from([dn.to_owned()]);
        let search = self.session.ldap.search(group, Scope::Base, "(objectClass=groupOfUniqueNames)", ["cn"]).await;
        let unique = search.map_err(|error| meaning(&error))?.success().map_err(|error| meaning(&error))?.0;
        let attribute = if unique.is_empty() { "member" } else { "uniqueMember" }.to_owned();
        let change = if wanted { Mod::Add(attribute, value()) } else { Mod::Delete(attribute, value()) };
        // It is one already, or is none.
        done(self.session.ldap.modify(group, vec![change]).await, &[if wanted { 20 } else { 16 }])
    }

    async fn provision(&mut self, account: &NewAccount<'_>) -> Result<SearchEntry, ConnectorError> {
        check_name(account.name)?;
        check_mark(account.mark)?;
        let mut wanted = Vec::new();
        for grant in account.grants {
            let group = grant.strip_prefix("MEMBER OF ").filter(|group| group.contains('=') && grant.len() <= 1024);
            wanted.push(group.ok_or_else(|| {
                ConnectorError::Rejected(format!(
                    "expected a grant such as MEMBER OF cn=readers,dc=acme,dc=example: {}",
                    words(grant)
                ))
            })?);
        }
        let dn = self.tree.dn(account.name);
        let mark = format!("{MADE_FOR}{}", account.mark);
        // An entry of this class has a password from the first moment on: one that nobody has.
        let one = |value: &str| HashSet::from([value.to_owned()]);
        let attributes = vec![
            ("objectClass".to_owned(), ["account", "simpleSecurityObject"].map(str::to_owned).into()),
            ("uid".to_owned(), one(account.name)),
            ("description".to_owned(), one(&mark)),
            ("userPassword".to_owned(), one(NONE)),
        ];
        done(self.session.ldap.add(&dn, attributes).await, &[68])?;
        let entry = self.at(&dn).await?;
        let entry = entry.ok_or_else(|| ConnectorError::Rejected("the entry that was made isn't there".to_owned()))?;
        if made_for(&entry).as_deref() != Some(account.mark) {
            return Err(ConnectorError::Taken);
        }
        for group in self.groups_of(&dn).await? {
            if !wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(&group)) {
                self.member(&group, &dn, false).await?;
            }
        }
        for group in wanted {
            self.member(group, &dn, true).await?;
        }
        self.give(&dn, account.secret).await?;
        self.set(&entry, None, &[(HELD, false), (ENDED, false)]).await?;
        let entry = self.at(&dn).await?;
        entry.ok_or_else(|| ConnectorError::Rejected("the entry that was made isn't there".to_owned()))
    }

    async fn at(&mut self, dn: &str) -> Result<Option<SearchEntry>, ConnectorError> {
        let search = self.session.ldap.search(dn, Scope::Base, "(objectClass=*)", ATTRIBUTES).await;
        let search = search.map_err(|error| meaning(&error))?;
        match search.1.rc {
            0 => Ok(search.0.into_iter().next().map(SearchEntry::construct)),
            32 => Ok(None),
            _ => Err(rejected(&search.1)),
        }
    }
}

fn ending(said: &str) -> Ending {
    Ending { words: words(&format!("{said}; {OUTLIVES}")), sessions_ended: 0, sessions_left: None }
}

impl Connector for Ldap {
    fn kind(&self) -> TargetKind {
        TargetKind::Ldap
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
        ]
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => include_str!("observe.conf"),
            Mode::End | Mode::Issue => include_str!("end.conf"),
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &["open connections, and what the directory's access rules give by other ways than groups"]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        tree(&Place::of(endpoint, &FORM)?).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let mut act = self.act(reach).await?;
            let accounts = act.tree.accounts.clone();
            if act.at(&accounts).await?.is_none() {
                return Ok(vec![format!("it can't see {}", words(&accounts))]);
            }
            let mut problems = Vec::new();
            if reach.mode >= Mode::End {
                // Taking what isn't there changes nothing, and is refused to those who may not.
                for attribute in ["description", "userPassword"] {
                    let nothing = Mod::Delete(attribute.to_owned(), HashSet::from([NONE.to_owned()]));
                    let result = act.session.ldap.modify(&accounts, vec![nothing]).await;
                    let result = result.map_err(|error| meaning(&error))?;
                    if result.rc == 50 {
                        problems.push(format!("it may not write {attribute} below {}", words(&accounts)));
                    }
                }
            }
            Ok(problems)
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let mut act = self.act(reach).await?;
            let (base, filter) = (act.tree.base.clone(), act.tree.filter.clone());
            // The directory gives entries in an order of its own: the first ones behind the place are kept.
            let filter = match after {
                Some(after) => format!("(&{filter}(entryUUID>={}))", ldap_escape(after)),
                None => filter,
            };
            let mut first: BTreeMap<String, SearchEntry> = BTreeMap::new();
            let mut more = false;
            let whole = act
                .each(&base, &filter, &ATTRIBUTES, |entry| {
                    let key = uuid(&entry)?;
                    if after.is_none_or(|after| key.as_str() > after) {
                        first.insert(key, entry);
                    }
                    if first.len() > MAX_FOUND {
                        first.pop_last();
                        more = true;
                    }
                    Ok(true)
                })
                .await?;
            let dns: HashSet<String> = first.values().map(|entry| entry.dn.to_lowercase()).collect();
            let (mut groups, all_groups) = act.groups(&dns).await?;
            let mut found = Found { next: first.keys().last().filter(|_| more).cloned(), ..Found::default() };
            for entry in first.values() {
                let groups = groups.remove(&entry.dn.to_lowercase()).unwrap_or_default();
                found.accounts.push(seen(&act.tree, entry, groups)?);
            }
            if !whole {
                found.unseen.push("entries beyond the limit that the directory has for this login".to_owned());
            }
            if !all_groups {
                found.unseen.push("groups beyond a limit: memberships may be missing".to_owned());
            }
            Ok(found)
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let mut act = self.act(reach).await?;
            match act.by_key(key).await? {
                Some(entry) => act.seen(&entry).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            let mut act = self.act(reach).await?;
            let entry = act.provision(account).await?;
            act.seen(&entry).await
        })
    }

    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_issue(reach)?;
            let mut act = self.act(reach).await?;
            let entry = act.other(key).await?.ok_or_else(gone)?;
            if is_marked(&entry, HELD) {
                let passwords = held(&[hashed(&entry.dn, secret)]);
                act.set(&entry, Some(passwords), &[]).await?;
            } else {
                act.give(&entry.dn, secret).await?;
                act.keep_locked(&entry).await?;
            }
            Ok(ending("another password"))
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut act = self.act(reach).await?;
            let Some(entry) = act.other(key).await? else { return Ok(ending(GONE)) };
            if is_marked(&entry, ENDED) {
                return Ok(ending("it is ended"));
            }
            let passwords = held(&act.passwords(&entry.dn).await?);
            act.set(&entry, Some(passwords), &[(HELD, true)]).await?;
            Ok(ending("its password is one that nobody has"))
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut act = self.act(reach).await?;
            let entry = act.other(key).await?.ok_or_else(gone)?;
            if is_marked(&entry, HELD) {
                let passwords = released(&act.passwords(&entry.dn).await?);
                act.set(&entry, Some(passwords), &[(HELD, false)]).await?;
            }
            Ok(())
        })
    }

    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut act = self.act(reach).await?;
            let Some(entry) = act.other(key).await? else { return Ok(ending(GONE)) };
            let groups = act.groups_of(&entry.dn).await?;
            let taken = groups.iter().filter(|group| !keep.contains(&format!("MEMBER OF {group}"))).cloned();
            let taken: Vec<String> = taken.collect();
            for group in &taken {
                act.member(group, &entry.dn, false).await?;
            }
            Ok(ending(&format!("{} of {} memberships taken", taken.len(), groups.len())))
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut act = self.act(reach).await?;
            let Some(entry) = act.other(key).await? else { return Ok(ending(GONE)) };
            // From here on nobody logs in by it, whatever comes.
            act.set(&entry, Some(vec![NONE.to_owned()]), &[(HELD, false), (ENDED, true)]).await?;
            for group in act.groups_of(&entry.dn).await? {
                act.member(&group, &entry.dn, false).await?;
            }
            let result = act.session.ldap.delete(&entry.dn).await.map_err(|error| meaning(&error))?;
            match result.rc {
                0 | 32 => Ok(ending("the entry is deleted")),
                // There are entries below it.
                66 => {
                    Ok(ending("its password is one that nobody has; the entry stays, since there are others below it"))
                }
                _ => Err(rejected(&result)),
            }
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let place = Place::of(endpoint, &FORM)?;
            let tree = tree(&place)?;
            // No name is nobody's, and not that of the entry above all accounts.
            let dn = if login.name.is_empty() { String::new() } else { tree.dn(&login.name) };
            let mut session = connect(&self.outbound, &place).await?;
            let result = bind(&mut session, &dn, login).await?;
            match result.rc {
                0 => Ok(Probe::Accepted),
                rc if is_refusal(rc) => Ok(Probe::Refused { words: said(&result) }),
                _ => Err(ConnectorError::Unreachable(said(&result))),
            }
        }))
    }
}
