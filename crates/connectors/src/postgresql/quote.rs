//! Names and texts in PostgreSQL's SQL.

use tenure_core::target::connector::ConnectorError;

/// The longest name in bytes (NAMEDATALEN - 1): the server cuts a longer one off, and means another role by it.
pub(super) const MAX_NAME: usize = 63;

/// A name as an identifier that is nothing but this name.
pub(super) fn ident(name: &str) -> Result<String, ConnectorError> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(ConnectorError::Misconfigured(format!("a name has 1 to {MAX_NAME} bytes, none of them NUL")));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A text as a literal, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> Result<String, ConnectorError> {
    if text.contains('\0') {
        return Err(ConnectorError::Misconfigured("a text has no NUL in it".to_owned()));
    }
    Ok(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_name_and_is_never_cut() {
        assert_eq!(ident("a\"; DROP ROLE b; --").unwrap(), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(ident("ä\\'$1").unwrap(), "\"ä\\'$1\"");
        assert!(ident(&"x".repeat(MAX_NAME)).is_ok());
        for bad in [String::new(), "a\0b".to_owned(), "x".repeat(MAX_NAME + 1), "ü".repeat(32)] {
            assert!(ident(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_stays_one_text() {
        assert_eq!(literal("it's \\' a \\").unwrap(), "E'it''s \\\\'' a \\\\'");
        assert!(literal("\0").is_err());
    }
}
