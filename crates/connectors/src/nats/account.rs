//! An account of NATS and its users: what the account's JWT says of them, what servers tell of connections, and what of
//! it is ours.
//!
//! Users are JWTs that the account signed: nobody has a list of them. Whom we made and whom we stopped stands in tags of
//! the account's JWT, which whoever holds a user's key can't change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, MADE_FOR, MAX_TARGET_GRANTS, SeenAccount, words};

use super::jwt::{claims, text, texts};
use super::key::{Owner, is_public};

const HELD: &str = "tenure.held:";
const KNOWN: &str = "tenure.known:";
const MADE: &str = "tenure.made:";
const MAX_NAME: usize = 200;
const MAX_SUBJECT: usize = 200;
/// What a user's grants begin with, and where its JWT has them.
const WAYS: [(&str, &str); 2] = [("publish:", "pub"), ("subscribe:", "sub")];

/// A user that we made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub name: String,
    pub mark: String,
    /// When it was issued, and when its JWT ends, in seconds.
    pub issued: i64,
    pub ends: i64,
}

/// A user that we stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub name: String,
    /// The entry that it had before: what people revoked stays so when it is let go.
    pub before: Option<i64>,
}

/// The claims of an account's JWT that are about its users.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub claims: Value,
    /// Until when each user's JWTs are refused, by when they were issued, in seconds.
    pub revoked: BTreeMap<String, i64>,
    /// Whom we stopped.
    pub held: BTreeMap<String, Held>,
    /// Others to whom we did something: whoever isn't connected is told by nobody else.
    pub known: BTreeMap<String, String>,
    pub made: BTreeMap<String, Made>,
    /// Tags of others.
    tags: Vec<String>,
}

impl Account {
    pub fn of(claims: Value) -> Self {
        let revoked = claims.pointer("/nats/revocations").and_then(Value::as_object).into_iter().flatten();
        let revoked = revoked.filter_map(|(key, at)| Some((key.clone(), at.as_i64()?))).collect();
        let (mut held, mut known, mut made, mut tags) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), Vec::new());
        for tag in texts(&claims, "/nats/tags") {
            if let Some((key, it)) = tag.strip_prefix(HELD).and_then(held_of) {
                held.insert(key, it);
            } else if let Some((key, name)) = tag.strip_prefix(KNOWN).and_then(named) {
                known.insert(key, name);
            } else if let Some((key, it)) = tag.strip_prefix(MADE).and_then(made_of) {
                made.insert(key, it);
            } else {
                tags.push(tag);
            }
        }
        Self { claims, revoked, held, known, made, tags }
    }

    /// Its claims with what was changed of its users. What we made and is over by itself is left out, and with it what
    /// was revoked of it: until then an entry stays.
    pub fn written(&self, now: i64) -> Map<String, Value> {
        let over = |key: &String| self.made.get(key).is_some_and(|made| made.ends <= now - DAY);
        let revoked: BTreeMap<_, _> = self.revoked.iter().filter(|(key, _)| !over(key)).collect();
        let held = self.held.iter().filter(|(key, _)| !over(key));
        let held = held.map(|(key, Held { name, before })| {
            format!("{HELD}{key}:{}:{name}", before.map(|before| before.to_string()).unwrap_or_default())
        });
        let known = self.known.iter().filter(|(key, _)| !over(key));
        let known = known.map(|(key, name)| format!("{KNOWN}{key}:{name}"));
        let made = self
            .made
            .iter()
            .filter(|(key, _)| !over(key))
            .map(|(key, it)| format!("{MADE}{key}:{}:{}:{}:{}", it.issued, it.ends, it.mark, it.name));
        let tags: Vec<String> = self.tags.iter().cloned().chain(held).chain(known).chain(made).collect();
        let mut claims = self.claims.as_object().cloned().unwrap_or_default();
        if let Some(nats) = claims.get_mut("nats").and_then(Value::as_object_mut) {
            nats.insert("revocations".to_owned(), json!(revoked));
            nats.insert("tags".to_owned(), tags.into());
        }
        claims
    }

    /// Whether JWTs of a user that were issued then are refused: by its own entry, or by everybody's.
    pub fn is_revoked(&self, key: &str, issued: i64) -> bool {
        [key, "*"].iter().any(|key| self.revoked.get(*key).is_some_and(|until| issued <= *until))
    }
}

/// A day, by which clocks of servers may be off.
const DAY: i64 = 86_400;

fn named(tag: &str) -> Option<(String, String)> {
    let (key, name) = tag.split_once(':').filter(|(key, _)| is_public(key, Owner::User))?;
    Some((key.to_owned(), name.to_owned()))
}

fn held_of(tag: &str) -> Option<(String, Held)> {
    let (key, rest) = named(tag)?;
    let (before, name) = rest.split_once(':')?;
    let before = if before.is_empty() { None } else { Some(before.parse().ok()?) };
    Some((key, Held { name: name.to_owned(), before }))
}

fn made_of(tag: &str) -> Option<(String, Made)> {
    let mut parts = tag.splitn(5, ':');
    let key = parts.next().filter(|key| is_public(key, Owner::User))?.to_owned();
    let (issued, ends) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((key, Made { issued, ends, mark: parts.next()?.to_owned(), name: parts.next()?.to_owned() }))
}

/// A user, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    name: Option<String>,
    issued: Option<i64>,
    ends: Option<i64>,
    grants: BTreeSet<String>,
    tags: Vec<String>,
    pub sessions: u32,
}

impl User {
    /// Adds a connection of it, with its JWT where the server tells it.
    pub fn connected(&mut self, jwt: Option<&str>, account: &Account) {
        self.sessions = self.sessions.saturating_add(1);
        let Some(claims) = jwt.and_then(claims) else { return };
        let issued = claims.get("iat").and_then(Value::as_i64);
        if self.issued.is_some() && issued <= self.issued {
            return;
        }
        self.issued = issued;
        self.ends = claims.get("exp").and_then(Value::as_i64);
        self.name = Some(text(&claims, "/name")).filter(|name| !name.is_empty());
        self.tags = texts(&claims, "/nats/tags");
        self.grants = grants(scope(account, &text(&claims, "/iss")).or(claims.get("nats")).unwrap_or(&Value::Null));
    }

    /// Adds that we made it.
    pub fn made(&mut self, made: &Made) {
        self.name.get_or_insert_with(|| made.name.clone());
        self.issued = self.issued.max(Some(made.issued));
        self.ends = self.ends.max(Some(made.ends));
    }

    /// Adds what it was called.
    pub fn called(&mut self, name: &str) {
        self.name.get_or_insert_with(|| name.to_owned());
    }

    /// What it is called, if that is known.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// When the newest of its JWTs that is known was issued.
    pub const fn issued(&self) -> Option<i64> {
        self.issued
    }

    pub fn seen(&self, key: &str, account: &Account) -> SeenAccount {
        let mark = account.made.get(key).map(|made| (MADE_FOR.to_owned(), words(&made.mark)));
        let tags = Some(("tags".to_owned(), words(&self.tags.join(", ")))).filter(|_| !self.tags.is_empty());
        let time = |secs: Option<i64>| secs.map(Timestamp::from_secs);
        // Of whom nothing is known but the entry, there may be a JWT that is newer than it.
        let issued = self.issued.unwrap_or(i64::MIN);
        SeenAccount {
            key: key.to_owned(),
            name: self.name.clone().unwrap_or_else(|| key.to_owned()),
            sort: AccountSort::Login,
            enabled: !account.is_revoked(key, issued),
            ends_at: time(self.ends),
            made_at: time(self.issued),
            last_used_at: None,
            sessions: Some(self.sessions),
            built_in: false,
            privileged: WAYS.iter().all(|(word, _)| self.grants.contains(&format!("{word}>"))),
            more_grants: u32::try_from(self.grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
            grants: self.grants.iter().take(MAX_TARGET_GRANTS).cloned().collect(),
            marks: mark.into_iter().chain(tags).collect(),
        }
    }
}

/// The template of what a signing key of an account gives, if that is such a one.
fn scope<'a>(account: &'a Account, key: &str) -> Option<&'a Value> {
    let keys = account.claims.pointer("/nats/signing_keys").and_then(Value::as_array)?;
    keys.iter().find(|scope| scope.get("key").and_then(Value::as_str) == Some(key))?.get("template")
}

/// What permissions allow. What is allowed nothing by name is allowed everything; what is denied of it is no grant.
fn grants(permissions: &Value) -> BTreeSet<String> {
    let mut grants = BTreeSet::new();
    for (word, way) in WAYS {
        let allowed = texts(permissions, &format!("/{way}/allow"));
        if texts(permissions, &format!("/{way}/deny")).iter().any(|subject| subject == ">") {
            continue;
        }
        if allowed.is_empty() {
            grants.insert(format!("{word}>"));
        }
        grants.extend(allowed.into_iter().map(|subject| format!("{word}{subject}")));
    }
    grants
}

/// Grants as a user's JWT has them; without one it may do nothing.
pub(super) fn permissions(grants: &[String]) -> Result<[(&'static str, Value); 2], ConnectorError> {
    let mut lists: [BTreeSet<&str>; 2] = Default::default();
    for grant in grants {
        let found = WAYS.iter().zip(&mut lists).find_map(|((word, _), list)| Some((grant.strip_prefix(word)?, list)));
        let Some((subject, list)) = found.filter(|(subject, _)| is_subject(subject)) else {
            return Err(ConnectorError::Rejected(format!(
                "expected a grant such as publish:orders.new or subscribe:orders.>: {}",
                words(grant)
            )));
        };
        list.insert(subject);
    }
    let [publish, subscribe] =
        lists.map(|list| if list.is_empty() { json!({ "deny": [">"] }) } else { json!({ "allow": list }) });
    Ok([("pub", publish), ("sub", subscribe)])
}

fn is_subject(subject: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let mut tokens = subject.split('.').rev();
    subject.len() <= MAX_SUBJECT
        && subject.chars().all(plain)
        && tokens.next().is_some_and(|last| !last.is_empty())
        && tokens.all(|token| !token.is_empty() && token != ">")
}

/// A name that we give, which stands in a tag of the account.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) || name.trim() != name {
        return Err(ConnectorError::Misconfigured(format!(
            "a name has 1 to {MAX_NAME} bytes, and no blank at either end"
        )));
    }
    Ok(())
}

/// A mark that is one part of a tag.
pub(super) fn check_mark(mark: &str) -> Result<(), ConnectorError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if mark.is_empty() || mark.len() > MAX_NAME || !mark.chars().all(plain) {
        return Err(ConnectorError::Misconfigured("a mark has letters, digits, _, - and . alone".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "UAKD4JW6WGYM6AIAZ246JBO522ZHX652N5OPOUKQ2C67WLHYKL2NXFMZ";

    #[test]
    fn what_is_ours_comes_back_and_what_is_others_stays() {
        let told = json!({ "sub": "A", "nats": { "limits": { "conn": -1 }, "tags": ["owner:ada", "tenure.made:x"],
            "revocations": { "*": 5, "UX": 9 } } });
        let mut account = Account::of(told.clone());
        let made = Made { name: "a:b".to_owned(), mark: "idn_1".to_owned(), issued: 10, ends: 20 };
        account.made.insert(KEY.to_owned(), made.clone());
        account.held.insert(KEY.to_owned(), Held { name: "a:b".to_owned(), before: Some(3) });
        account.revoked.insert(KEY.to_owned(), 10);
        let read = Account::of(account.written(15).into());
        assert_eq!((read.made.get(KEY), read.held.len(), read.revoked[KEY]), (Some(&made), 1, 10));
        assert_eq!(read.claims["nats"]["limits"], told["nats"]["limits"]);
        // Over for longer than clocks are off: the JWT is refused by itself.
        let later = Account::of(read.written(20 + DAY).into());
        assert!(later.made.is_empty() && later.held.is_empty() && later.revoked.len() == 2);
        assert_eq!(later.claims["nats"]["tags"], told["nats"]["tags"]);
        assert!(read.is_revoked(KEY, 10) && !read.is_revoked(KEY, 11) && read.is_revoked("UY", 5));
    }

    #[test]
    fn grants_come_back_as_they_are_written() {
        let given = ["publish:a.*.c", "subscribe:_INBOX.>", "subscribe:ü"].map(str::to_owned);
        let told = Value::from_iter(permissions(&given).unwrap().map(|(way, list)| (way.to_owned(), list)));
        assert_eq!(grants(&told), given.into_iter().collect());
        let none = Value::from_iter(permissions(&[]).unwrap().map(|(way, list)| (way.to_owned(), list)));
        assert!(grants(&none).is_empty());
        assert_eq!(grants(&json!({})).len(), 2, "who is told nothing may do everything");
        for bad in
            ["", "publish:", "publish:a b", "publish:a..b", "publish:>.a", "read:a", "publish:.", "subscribe:a\u{0}"]
        {
            assert!(permissions(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signing_key_with_a_scope_says_what_its_users_may() {
        let account = Account::of(json!({ "nats": { "signing_keys": ["AX",
            { "kind": "user_scope", "key": "AY", "template": { "pub": { "allow": ["a"] }, "sub": { "deny": [">"] } } }] } }));
        assert_eq!(grants(scope(&account, "AY").unwrap()), ["publish:a".to_owned()].into());
        assert!(scope(&account, "AX").is_none());
    }
}
