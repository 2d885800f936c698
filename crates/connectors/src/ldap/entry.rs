//! Entries of a directory, and what stands in them.
//!
//! A hold keeps the password and makes it none that anybody has: it stands behind a scheme that no password fits. That
//! works whatever the directory's policy is; `pwdAccountLockedTime` only does where a policy with a lockout is in force.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ldap3::{SearchEntry, dn_escape};
use tenure_core::base::time::Timestamp;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

use super::session::values;

pub(super) const HELD: &str = "tenure: held";
pub(super) const ENDED: &str = "tenure: ended";
pub(super) const MADE_FOR: &str = "tenure: made for ";
/// In front of a password that is held. `!` is in no hash.
const HOLD: &str = "{CRYPT}!tenure-held:";
/// A password that nobody has.
pub(super) const NONE: &str = "{CRYPT}!tenure-none";
/// Locked for ever, by the directory's password policy.
pub(super) const LOCKED: &str = "000001010000Z";
const MAX_NAME: usize = 200;

/// What is read of an entry.
pub(super) const ATTRIBUTES: [&str; 10] = [
    "entryUUID",
    "uid",
    "cn",
    "description",
    "createTimestamp",
    "creatorsName",
    "manager",
    "seeAlso",
    "pwdAccountLockedTime",
    "authTimestamp",
];

/// The names of the endpoint's options that entries depend on.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub base: String,
    /// Below which entry accounts are made.
    pub accounts: String,
    pub filter: String,
}

impl Tree {
    /// The name of the entry of a login: its own, or the one that an account of this name has.
    pub fn dn(&self, name: &str) -> String {
        if name.contains('=') { name.to_owned() } else { format!("uid={},{}", dn_escape(name), self.accounts) }
    }

    /// What people call an entry: its `uid`, where it is one of those below which accounts are made. The directory writes
    /// names in a way of its own, so it is what stands in them that is compared.
    pub fn name(&self, entry: &SearchEntry) -> String {
        let below = entry.dn.len().checked_sub(self.accounts.len() + 1).and_then(|end| entry.dn.split_at_checked(end));
        let named = below
            .filter(|(_, base)| base.strip_prefix(',').is_some_and(|base| base.eq_ignore_ascii_case(&self.accounts)))
            .and_then(|(name, _)| unescaped(name.strip_prefix("uid=")?));
        named.filter(|name| !name.contains('=')).unwrap_or_else(|| entry.dn.clone())
    }
}

/// The value that is written in a name; none if it isn't one value (RFC 4514 §3).
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b',' | b'+' => return None,
            b'\\' => {
                let next = rest.next()?;
                match char::from(next).to_digit(16) {
                    Some(high) => {
                        let low = char::from(rest.next()?).to_digit(16)?;
                        bytes.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    None => bytes.push(next),
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn uuid(entry: &SearchEntry) -> Result<String, ConnectorError> {
    values(entry, "entryUUID").pop().ok_or_else(|| {
        ConnectorError::Rejected("the directory tells no entryUUID: it is none that can be followed".to_owned())
    })
}

pub(super) fn made_for(entry: &SearchEntry) -> Option<String> {
    values(entry, "description").iter().find_map(|line| line.strip_prefix(MADE_FOR).map(str::to_owned))
}

pub(super) fn is_marked(entry: &SearchEntry, mark: &str) -> bool {
    values(entry, "description").iter().any(|line| line == mark)
}

/// Whether its people locked it for ever.
pub(super) fn is_locked(entry: &SearchEntry) -> bool {
    values(entry, "pwdAccountLockedTime").iter().any(|time| time == LOCKED)
}

/// An entry as the port has it.
pub(super) fn seen(tree: &Tree, entry: &SearchEntry, groups: Vec<String>) -> Result<SeenAccount, ConnectorError> {
    let locked = is_locked(entry);
    let mut grants: Vec<String> = groups.into_iter().map(|group| format!("MEMBER OF {group}")).collect();
    grants.sort_unstable();
    let more_grants = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
    grants.truncate(MAX_TARGET_GRANTS);
    let people: Vec<String> =
        values(entry, "description").into_iter().filter(|line| !line.starts_with("tenure: ")).collect();
    let mut marks = BTreeMap::new();
    for (name, said) in [
        ("description", people.join("; ")),
        ("creator", values(entry, "creatorsName").join("; ")),
        ("manager", values(entry, "manager").join("; ")),
        ("see_also", values(entry, "seeAlso").join("; ")),
        ("tenure", made_for(entry).unwrap_or_default()),
    ] {
        if !said.is_empty() {
            marks.insert(name.to_owned(), words(&said));
        }
    }
    let time = |name: &str| values(entry, name).first().and_then(|time| generalized(time));
    Ok(SeenAccount {
        key: uuid(entry)?,
        name: tree.name(entry),
        sort: AccountSort::Login,
        enabled: !locked && !is_marked(entry, HELD) && !is_marked(entry, ENDED),
        ends_at: None,
        made_at: time("createTimestamp"),
        last_used_at: time("authTimestamp"),
        sessions: None,
        built_in: false,
        privileged: false,
        grants,
        more_grants,
        marks,
    })
}

/// A generalized time in UTC, to the second (RFC 4517 §3.3.13).
pub(super) fn generalized(text: &str) -> Option<Timestamp> {
    let digits = text.get(..14).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    if !text.ends_with('Z') {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

/// Passwords behind the scheme that no password fits.
pub(super) fn held(passwords: &[String]) -> Vec<String> {
    let passwords = passwords.iter();
    passwords
        .map(|password| if password.starts_with(HOLD) { password.clone() } else { format!("{HOLD}{password}") })
        .collect()
}

/// Passwords as they were before.
pub(super) fn released(passwords: &[String]) -> Vec<String> {
    passwords.iter().map(|password| password.strip_prefix(HOLD).unwrap_or(password).to_owned()).collect()
}

/// A password as a directory keeps it (RFC 2307's SSHA), for one that is held meanwhile.
pub(super) fn hashed(dn: &str, secret: &Secret<String>) -> String {
    let seed = digest(&SHA256, format!("{dn}\0{}", secret.expose()).as_bytes());
    let salt = seed.as_ref().get(..8).unwrap_or_default();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[secret.expose().as_bytes(), salt].concat());
    format!("{{SSHA}}{}", STANDARD.encode([hash.as_ref(), salt].concat()))
}

/// A name that is one value of `uid`, and its own.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    // The directory folds blanks and case: another name would be found under this one.
    let good = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.trim() == name
        && !name.contains("  ")
        && !name.contains('=')
        && !name.chars().any(char::is_control);
    if good {
        Ok(())
    } else {
        Err(ConnectorError::Misconfigured(format!(
            "a name has 1 to {MAX_NAME} bytes, no =, and no blank at either end or beside another"
        )))
    }
}

pub(super) fn check_mark(mark: &str) -> Result<(), ConnectorError> {
    if mark.is_empty() || mark.len() > MAX_NAME || mark.trim() != mark || mark.chars().any(char::is_control) {
        return Err(ConnectorError::Misconfigured("a mark is one line".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_keeps_every_password_and_none_that_fits() {
        let passwords = ["{SSHA}abc", "clear", "{CRYPT}$6$x"].map(str::to_owned);
        let stopped = held(&passwords);
        assert!(stopped.iter().all(|password| password.starts_with("{CRYPT}!")));
        assert_eq!(held(&stopped), stopped);
        assert_eq!(released(&stopped), passwords);
        assert_eq!(released(&passwords), passwords);
    }

    #[test]
    fn a_name_is_one_value_of_its_entry() {
        let tree = Tree { base: "dc=a".to_owned(), accounts: "ou=s,dc=a".to_owned(), filter: String::new() };
        assert_eq!(tree.dn("a,b+c\"d"), "uid=a\\2cb\\2bc\\22d,ou=s,dc=a");
        assert_eq!(tree.dn("cn=x,dc=a"), "cn=x,dc=a");
        for (written, is) in [
            ("a\\2Cb\\2Bc\\22d", Some("a,b+c\"d")),
            ("a\\,b", Some("a,b")),
            ("\\C3\\BC", Some("ü")),
            ("a,b", None),
            ("a\\", None),
        ] {
            assert_eq!(unescaped(written).as_deref(), is, "{written}");
        }
        for bad in ["", " a", "a ", "a  b", "a=b", "a\0", "a\n"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_of_a_directory_are_read() {
        assert_eq!(generalized("20261130120102Z"), "2026-11-30T12:01:02Z".parse().ok());
        assert_eq!(generalized("20261130120102.123456Z"), "2026-11-30T12:01:02Z".parse().ok());
        for bad in ["", "2026", "20261330120102Z", "20261130120102", "üüüüüüü"] {
            assert_eq!(generalized(bad), None, "{bad}");
        }
    }
}
