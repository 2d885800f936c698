//! What a role may do, in one normal form: read from the catalogue, shown to people, and taken away again.

use std::fmt;
use std::str::FromStr;

use super::quote::{MAX_NAME, ident};
use tenure_core::target::connector::ConnectorError;

/// The longest grant in bytes that is read.
const MAX_GRANT: usize = 2048;

const ATTRIBUTES: [&str; 5] = ["SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"];
const PRIVILEGES: [&str; 15] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "MAINTAIN",
    "USAGE",
    "EXECUTE",
    "CREATE",
    "CONNECT",
    "TEMPORARY",
    "SET",
    "ALTER SYSTEM",
];
/// What privileges are on, and of how many names its path is made: the database's is the first where there are two and
/// more, and where there is one it is shared by all databases.
const KINDS: [(&str, usize); 12] = [
    ("DATABASE", 1),
    ("TABLESPACE", 1),
    ("PARAMETER", 1),
    ("SCHEMA", 2),
    ("LANGUAGE", 2),
    ("FOREIGN DATA WRAPPER", 2),
    ("FOREIGN SERVER", 2),
    ("LARGE OBJECT", 2),
    ("TABLE", 3),
    ("SEQUENCE", 3),
    ("TYPE", 3),
    ("ROUTINE", 3),
];
const GRANTABLE: &str = " WITH GRANT OPTION";
const ADMIN: &str = " WITH ADMIN OPTION";

/// One thing that a role may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// An attribute of the role.
    Attribute(&'static str),
    /// It is a member of another one.
    Member {
        /// Of which.
        of: String,
        /// Whether it may make others members, too.
        admin: bool,
    },
    /// A privilege on an object.
    On(Privilege),
}

/// A privilege on an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Privilege {
    /// Which.
    pub what: &'static str,
    /// On which column alone.
    pub column: Option<String>,
    /// What sort of object.
    pub kind: &'static str,
    /// The object's name, from the database down.
    pub path: Vec<String>,
    /// The types of a routine's arguments, as the catalogue writes them.
    pub arguments: Option<String>,
    /// Whether it may hand the privilege on.
    pub grantable: bool,
}

impl Privilege {
    /// The database that the object is in; none if all databases share it.
    pub fn database(&self) -> Option<&str> {
        if self.path.len() > 1 { self.path.first().map(String::as_str) } else { None }
    }

    /// The statement's part before the role: `SELECT ("id") ON TABLE "public"."t"`. A routine is called what the
    /// catalogue calls it.
    pub(super) fn sql(&self, routine: Option<&str>) -> Result<String, ConnectorError> {
        let mut sql = self.what.to_owned();
        if let Some(column) = &self.column {
            sql.push_str(&format!(" ({})", ident(column)?));
        }
        sql.push_str(&format!(" ON {} ", self.kind));
        match (self.kind, routine) {
            ("ROUTINE", Some(routine)) => sql.push_str(routine),
            ("LARGE OBJECT", _) => {
                let number = self.path.last().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default();
                sql.push_str(&number.to_string());
            }
            ("PARAMETER", _) => {
                let parts = self.path.first().map(String::as_str).unwrap_or_default().split('.').map(ident);
                sql.push_str(&parts.collect::<Result<Vec<_>, _>>()?.join("."));
            }
            _ => {
                let skip = usize::from(self.database().is_some());
                let parts = self.path.iter().skip(skip).map(|part| ident(part));
                sql.push_str(&parts.collect::<Result<Vec<_>, _>>()?.join("."));
            }
        }
        Ok(sql)
    }
}

/// A privilege of the server's by its name.
pub(super) fn privilege(name: &str) -> Option<&'static str> {
    PRIVILEGES.into_iter().find(|known| *known == name)
}

/// A sort of object by its name.
pub(super) fn kind(name: &str) -> Option<&'static str> {
    KINDS.iter().map(|(known, _)| *known).find(|known| *known == name)
}

/// A name as it is shown: quoted where it isn't plain.
pub(super) fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => f.write_str(attribute),
            Self::Member { of, admin } => {
                write!(f, "MEMBER OF {}{}", shown(of), if *admin { ADMIN } else { "" })
            }
            Self::On(Privilege { what, column, kind, path, arguments, grantable }) => {
                f.write_str(what)?;
                if let Some(column) = column {
                    write!(f, " ({})", shown(column))?;
                }
                let path: Vec<_> = path.iter().map(|part| shown(part)).collect();
                write!(f, " ON {kind} {}", path.join("."))?;
                if let Some(arguments) = arguments {
                    write!(f, "({arguments})")?;
                }
                f.write_str(if *grantable { GRANTABLE } else { "" })
            }
        }
    }
}

/// Why a text is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a grant such as SELECT ON TABLE orders.public.invoices, MEMBER OF readers or CREATEDB")]
pub struct BadGrant;

impl FromStr for Grant {
    type Err = BadGrant;

    /// Reads the normal form, and nothing else.
    fn from_str(text: &str) -> Result<Self, BadGrant> {
        if text.len() > MAX_GRANT {
            return Err(BadGrant);
        }
        let grant = Self::read(text).ok_or(BadGrant)?;
        // What is written in another way would be taken for another grant than the one that the catalogue has.
        if grant.to_string() == text { Ok(grant) } else { Err(BadGrant) }
    }
}

impl Grant {
    fn read(text: &str) -> Option<Self> {
        if let Some(attribute) = ATTRIBUTES.into_iter().find(|attribute| *attribute == text) {
            return Some(Self::Attribute(attribute));
        }
        if let Some(role) = text.strip_prefix("MEMBER OF ") {
            let (of, rest) = name(role)?;
            return match rest {
                "" => Some(Self::Member { of, admin: false }),
                ADMIN => Some(Self::Member { of, admin: true }),
                _ => None,
            };
        }
        let (what, rest) = PRIVILEGES
            .into_iter()
            .filter_map(|privilege| Some((privilege, text.strip_prefix(privilege)?.strip_prefix(' ')?)))
            .next()?;
        let (column, rest) = match rest.strip_prefix('(') {
            Some(rest) => {
                let (column, rest) = name(rest)?;
                (Some(column), rest.strip_prefix(") ")?)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix("ON ")?;
        let (kind, parts, mut rest) = KINDS
            .into_iter()
            .filter_map(|(kind, parts)| Some((kind, parts, rest.strip_prefix(kind)?.strip_prefix(' ')?)))
            .next()?;
        let mut path = Vec::with_capacity(parts);
        for part in 0..parts {
            if part > 0 {
                rest = rest.strip_prefix('.')?;
            }
            let (name, behind) = name(rest)?;
            path.push(name);
            rest = behind;
        }
        let (rest, grantable) = rest.strip_suffix(GRANTABLE).map_or((rest, false), |rest| (rest, true));
        let arguments = match (kind, rest) {
            ("ROUTINE", rest) => Some(rest.strip_prefix('(')?.strip_suffix(')')?.to_owned()),
            (_, "") => None,
            _ => return None,
        };
        if kind == "LARGE OBJECT" && path.last()?.parse::<u32>().is_err() {
            return None;
        }
        Some(Self::On(Privilege { what, column, kind, path, arguments, grantable }))
    }
}

/// The name at the beginning of a text, and what is behind it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end =
            text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return (name.len() <= 4 * MAX_NAME && !name.contains('\0')).then_some((name, behind)),
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
            "SUPERUSER",
            "MEMBER OF readers",
            "MEMBER OF \"Readers; \"\"x\" WITH ADMIN OPTION",
            "SELECT ON TABLE orders.public.invoices",
            "SELECT (total) ON TABLE orders.public.invoices WITH GRANT OPTION",
            "CONNECT ON DATABASE orders",
            "USAGE ON SCHEMA orders.public",
            "EXECUTE ON ROUTINE orders.public.f(integer, \"My\".\"type)\")",
            "EXECUTE ON ROUTINE orders.public.f() WITH GRANT OPTION",
            "USAGE ON FOREIGN SERVER orders.\"far away\"",
            "SELECT ON LARGE OBJECT orders.\"16401\"",
            "ALTER SYSTEM ON PARAMETER \"a.b\"",
        ] {
            assert_eq!(good.parse::<Grant>().map(|grant| grant.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "LOGIN",
            "superuser",
            "MEMBER OF ",
            "MEMBER OF a; DROP ROLE b",
            "MEMBER OF \"plain\"",
            "MEMBER OF \"open",
            "SELECT ON TABLE invoices",
            "SELECT ON TABLE a.b.c.d",
            "SELECT ON TABLE a.b.c; DROP TABLE d",
            "SELECT, INSERT ON TABLE a.b.c",
            "SELECT  ON TABLE a.b.c",
            "ALL ON TABLE a.b.c",
            "SELECT ON LARGE OBJECT a.x",
            "EXECUTE ON ROUTINE a.b.c",
            "SELECT ON TABLE a.b.c TO public",
            "SELECT (a, b) ON TABLE a.b.c",
        ] {
            assert_eq!(bad.parse::<Grant>(), Err(BadGrant), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_role_or_a_table_is_called_comes_back(
            names in proptest::collection::vec("[^\\x00]{1,20}", 4), grantable in any::<bool>(),
        ) {
            let [database, schema, table, column] = names.try_into().unwrap();
            let member = Grant::Member { of: column.clone(), admin: grantable };
            prop_assert_eq!(&member.to_string().parse::<Grant>().unwrap(), &member);
            let on = Grant::On(Privilege {
                what: "SELECT", column: Some(column), kind: "TABLE", path: vec![database, schema, table], arguments: None, grantable,
            });
            prop_assert_eq!(&on.to_string().parse::<Grant>().unwrap(), &on);
        }
    }
}
