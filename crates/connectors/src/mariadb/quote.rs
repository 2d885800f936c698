//! Names and texts in MariaDB's SQL, under the `sql_mode` that sessions set.

use tenure_core::target::connector::ConnectorError;

/// The longest name of a user in characters.
const MAX_USER: usize = 80;
/// The longest name of anything else in characters.
const MAX_NAME: usize = 64;

/// A text as a literal.
pub(super) fn literal(text: &str) -> Result<String, ConnectorError> {
    if text.contains('\0') {
        return Err(ConnectorError::Misconfigured("a text has no NUL in it".to_owned()));
    }
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

/// A name as an identifier that is nothing but this name.
pub(super) fn ident(name: &str) -> Result<String, ConnectorError> {
    check(name, MAX_NAME)?;
    Ok(format!("`{}`", name.replace('`', "``")))
}

/// A user's name as the server keeps it. Its columns are padded with blanks and hold no character beyond the basic plane:
/// a name with such would be taken for another one.
pub(super) fn check_user(name: &str) -> Result<(), ConnectorError> {
    check(name, MAX_USER)
}

fn check(name: &str, longest: usize) -> Result<(), ConnectorError> {
    let good = !name.is_empty()
        && name.chars().count() <= longest
        && !name.ends_with(' ')
        && name.chars().all(|c| c != '\0' && c <= '\u{ffff}');
    if good {
        Ok(())
    } else {
        Err(ConnectorError::Misconfigured(format!(
            "a name has 1 to {longest} characters of the basic plane, none of them NUL, and no blank at its end"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_a_name_stay_one() {
        assert_eq!(literal("it's \\' \"x\"").unwrap(), "'it''s \\\\'' \"x\"'");
        assert_eq!(ident("a`; DROP USER b; --").unwrap(), "`a``; DROP USER b; --`");
        assert!(literal("\0").is_err());
        for bad in ["", "a ", "a\0", "😀", &"x".repeat(MAX_USER + 1)] {
            assert!(check_user(bad).is_err() && ident(bad).is_err(), "{bad:?}");
        }
        assert!(check_user(&"ü".repeat(MAX_USER)).is_ok());
    }
}
