//! Grants in the normal forms of targets: people write them, and statements are made of them.

use tenure_connectors::{Grant, MariadbGrant};

/// Grants of both dialects of SQL: what is read is written back as it came, and is one line of SQL's quoting at most.
pub fn grant(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string(), text);
        if let Grant::On(privilege) = &grant {
            assert!(!privilege.path.is_empty() && privilege.path.len() <= 3);
            assert_eq!(privilege.kind == "ROUTINE", privilege.arguments.is_some());
        }
    }
    if let Ok(grant) = text.parse::<MariadbGrant>() {
        assert_eq!(grant.to_string(), text);
    }
}
