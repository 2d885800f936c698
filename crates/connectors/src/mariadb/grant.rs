//! What an account may do, in one normal form.

use std::fmt;
use std::str::FromStr;

use tenure_core::target::connector::ConnectorError;

use super::quote::ident;

/// The longest grant in bytes that is read.
const MAX_GRANT: usize = 1024;
const GRANTABLE: &str = " WITH GRANT OPTION";

/// What accounts can be granted; a newer server's are shown by their names and taken by nobody.
const PRIVILEGES: [&str; 39] = [
    "ALTER",
    "ALTER ROUTINE",
    "BINLOG ADMIN",
    "BINLOG MONITOR",
    "BINLOG REPLAY",
    "CONNECTION ADMIN",
    "CREATE",
    "CREATE ROUTINE",
    "CREATE TABLESPACE",
    "CREATE TEMPORARY TABLES",
    "CREATE USER",
    "CREATE VIEW",
    "DELETE",
    "DELETE HISTORY",
    "DROP",
    "EVENT",
    "EXECUTE",
    "FEDERATED ADMIN",
    "FILE",
    "INDEX",
    "INSERT",
    "LOCK TABLES",
    "PROCESS",
    "READ_ONLY ADMIN",
    "REFERENCES",
    "RELOAD",
    "REPLICATION MASTER ADMIN",
    "REPLICATION SLAVE",
    "REPLICATION SLAVE ADMIN",
    "SELECT",
    "SET USER",
    "SHOW DATABASES",
    "SHOW VIEW",
    "SHUTDOWN",
    "SLAVE MONITOR",
    "SUPER",
    "TRIGGER",
    "UPDATE",
    "USAGE",
];

/// One thing that an account may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MariadbGrant {
    /// It has a role.
    Role(String),
    /// A privilege.
    On {
        /// Which.
        what: &'static str,
        /// On which column alone.
        column: Option<String>,
        /// Where.
        place: Where,
        /// Whether it may hand on what it has there.
        grantable: bool,
    },
}

/// Where a privilege counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// Everywhere.
    Everywhere,
    /// In databases whose names match this, with `%` and `_` as the server has them.
    Database(String),
    /// On a table or a view.
    Table(String, String),
    /// On a routine: `PROCEDURE` or `FUNCTION`.
    Routine(&'static str, String, String),
}

impl Where {
    fn write(&self, name: impl Fn(&str) -> Result<String, ConnectorError>) -> Result<String, ConnectorError> {
        Ok(match self {
            Self::Everywhere => "*.*".to_owned(),
            Self::Database(database) => format!("{}.*", name(database)?),
            Self::Table(database, table) => format!("{}.{}", name(database)?, name(table)?),
            Self::Routine(sort, database, routine) => format!("{sort} {}.{}", name(database)?, name(routine)?),
        })
    }

    /// As statements have it.
    pub(super) fn sql(&self) -> Result<String, ConnectorError> {
        self.write(ident)
    }
}

/// A privilege of the server's by its name.
pub(super) fn privilege(name: &str) -> Option<&'static str> {
    PRIVILEGES.into_iter().find(|known| *known == name)
}

fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

impl fmt::Display for MariadbGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "ROLE {}", shown(role)),
            Self::On { what, column, place, grantable } => {
                f.write_str(what)?;
                if let Some(column) = column {
                    write!(f, " ({})", shown(column))?;
                }
                let place = place.write(|name| Ok(shown(name))).unwrap_or_default();
                write!(f, " ON {place}{}", if *grantable { GRANTABLE } else { "" })
            }
        }
    }
}

/// Why a text is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a grant such as SELECT ON orders.invoices, SELECT ON orders.*, EXECUTE ON PROCEDURE orders.p or ROLE readers"
)]
pub struct BadMariadbGrant;

impl FromStr for MariadbGrant {
    type Err = BadMariadbGrant;

    /// Reads the normal form, and nothing else.
    fn from_str(text: &str) -> Result<Self, BadMariadbGrant> {
        let grant = if text.len() > MAX_GRANT { None } else { Self::read(text) };
        grant.filter(|grant| grant.to_string() == text).ok_or(BadMariadbGrant)
    }
}

impl MariadbGrant {
    fn read(text: &str) -> Option<Self> {
        if let Some(role) = text.strip_prefix("ROLE ") {
            let (role, rest) = name(role)?;
            return rest.is_empty().then_some(Self::Role(role));
        }
        let (what, mut rest) = PRIVILEGES
            .into_iter()
            .filter_map(|privilege| Some((privilege, text.strip_prefix(privilege)?.strip_prefix(' ')?)))
            .find(|(_, rest)| rest.starts_with("ON ") || rest.starts_with('('))?;
        let mut column = None;
        if let Some(behind) = rest.strip_prefix('(') {
            let (named, behind) = name(behind)?;
            column = Some(named);
            rest = behind.strip_prefix(") ")?;
        }
        let rest = rest.strip_prefix("ON ")?;
        let (rest, grantable) = rest.strip_suffix(GRANTABLE).map_or((rest, false), |rest| (rest, true));
        let routine = ["PROCEDURE", "FUNCTION"]
            .into_iter()
            .find_map(|sort| Some((sort, rest.strip_prefix(sort)?.strip_prefix(' ')?)));
        let place = if rest == "*.*" {
            Where::Everywhere
        } else if let Some((sort, rest)) = routine {
            let (database, rest) = name(rest)?;
            let (routine, rest) = name(rest.strip_prefix('.')?)?;
            if !rest.is_empty() {
                return None;
            }
            Where::Routine(sort, database, routine)
        } else {
            let (database, rest) = name(rest)?;
            match rest.strip_prefix('.')? {
                "*" => Where::Database(database),
                rest => {
                    let (table, rest) = name(rest)?;
                    if !rest.is_empty() {
                        return None;
                    }
                    Where::Table(database, table)
                }
            }
        };
        Some(Self::On { what, column, place, grantable })
    }
}

/// The name at the beginning of a text, and what is behind it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('`') else {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let (part, behind) = rest.split_once('`')?;
        name.push_str(part);
        match behind.strip_prefix('`') {
            Some(behind) => {
                name.push('`');
                rest = behind;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_normal_form_is_read_as_it_is_written_and_nothing_else_is() {
        for good in [
            "ROLE readers",
            "SELECT ON *.*",
            "SELECT ON orders.* WITH GRANT OPTION",
            "SELECT ON `app\\_%`.*",
            "SELECT (total) ON orders.invoices",
            "EXECUTE ON PROCEDURE orders.p",
            "ALTER ROUTINE ON FUNCTION orders.`f``; x`",
            "CREATE TEMPORARY TABLES ON orders.*",
        ] {
            assert_eq!(good.parse::<MariadbGrant>().map(|grant| grant.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "ALL ON *.*",
            "SELECT ON *",
            "SELECT ON a.b.c",
            "SELECT ON a.b; DROP USER x",
            "select ON a.b",
            "ROLE `a`",
            "ROLE a, b",
        ] {
            assert_eq!(bad.parse::<MariadbGrant>(), Err(BadMariadbGrant), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_table_is_called_comes_back(database in "[^\\x00]{1,20}", table in "[^\\x00]{1,20}", grantable in any::<bool>()) {
            let grant = MariadbGrant::On { what: "SELECT", column: Some(table.clone()), place: Where::Table(database, table), grantable };
            prop_assert_eq!(grant.to_string().parse::<MariadbGrant>(), Ok(grant));
        }
    }
}
