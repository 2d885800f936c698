//! What names an account of an OpenBao for good.

use std::fmt;
use std::str::FromStr;

use tenure_core::target::connector::ConnectorError;

/// An account, by what the server knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A token, by its accessor.
    Token(String),
    /// A role of an AppRole method: its path, its name.
    Role(String, String),
    /// An entity: whoever logs in by one of its aliases.
    Entity(String),
    /// A lease: a login that the server made elsewhere.
    Lease(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(accessor) => write!(f, "token:{accessor}"),
            Self::Role(mount, name) => write!(f, "role:{mount}:{name}"),
            Self::Entity(id) => write!(f, "entity:{id}"),
            Self::Lease(id) => write!(f, "lease:{id}"),
        }
    }
}

impl FromStr for Key {
    type Err = ConnectorError;

    fn from_str(text: &str) -> Result<Self, ConnectorError> {
        let bad = || ConnectorError::Misconfigured("the key is none of an account of OpenBao".to_owned());
        let (sort, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or_else(bad)?;
        match sort {
            "token" => Ok(Self::Token(rest.to_owned())),
            "role" => {
                let (mount, name) = rest.rsplit_once(':').ok_or_else(bad)?;
                Ok(Self::Role(mount.to_owned(), name.to_owned()))
            }
            "entity" => Ok(Self::Entity(rest.to_owned())),
            "lease" => Ok(Self::Lease(rest.to_owned())),
            _ => Err(bad()),
        }
    }
}

/// A name of a role as the server takes it: it would write others in small letters, and mean another role by them.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let good = name.len() <= 200
        && name.starts_with(word)
        && name.ends_with(word)
        && name.chars().all(|c| word(c) || matches!(c, '-' | '.'));
    if good {
        Ok(())
    } else {
        Err(ConnectorError::Misconfigured(
            "a role's name has small letters, digits, _, - and . alone, 200 at most".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_are() {
        for text in ["token:a.b", "role:team/approle:ci", "entity:1-2", "lease:database/creds/x/y:z"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        for bad in ["", "1", "token:", "role:ci", "user:x"] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
        assert!(check_name("tenure_ab-1.c").is_ok());
        for bad in ["", "Upper", "a/b", "a b", "-a", "a.", "../a", &"a".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
