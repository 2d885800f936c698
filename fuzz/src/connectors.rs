//! What targets and their people write: grants in the normal forms of targets, of which statements are made; what NATS
//! servers say, and JWTs and logins of NATS.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use tenure_connectors::{Grant, MariadbGrant, nats_parsers as nats};

use crate::edit::edited;

/// The longest line and message of NATS, and what a line of debug text has beside them.
const MAX_SAID: usize = 64 << 20;

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

/// What a NATS server says: the same however its bytes arrive, and no more of it than arrived.
pub(crate) fn nats_wire(bytes: &[u8]) {
    let whole = nats::wire(bytes, bytes.len());
    for at_once in [1, 2, 7] {
        assert_eq!(nats::wire(bytes, at_once), whole);
    }
    if let Some((heard, left)) = whole {
        assert!(left <= bytes.len() && heard.len() <= bytes.len());
        assert!(heard.iter().map(String::len).sum::<usize>() <= MAX_SAID);
    }
}

static ACCOUNT: LazyLock<(String, String)> = LazyLock::new(|| {
    let nats = json!({ "type": "account", "revocations": { "*": 5 }, "tags": ["owner:ada"], "signing_keys": ["AX"] });
    let claims = [("sub", "ACCOUNT".into()), ("nats", nats)].map(|(name, value)| (name.to_owned(), value));
    nats::signed(&[9; 32], Map::from_iter(claims)).unwrap()
});

/// An account's JWT: nobody's but its operator's counts, what is ours in it comes back as it was written, and what is
/// others' stays as it is.
pub(crate) fn nats_jwt(bytes: &[u8]) {
    let (right, operator) = &*ACCOUNT;
    let operators = [operator.clone()];
    assert!(nats::is_verified(right, &operators));
    for text in [String::from_utf8(bytes.to_vec()).ok(), String::from_utf8(edited(right.as_bytes(), bytes)).ok()] {
        let Some(text) = text else { continue };
        assert!(text == *right || !nats::is_verified(&text, &operators), "nobody signed {text}");
        let Some(claims) = nats::claims(&text) else { continue };
        assert!(claims["nats"].is_object());
        let once = nats::rewritten(claims.clone(), 0);
        assert_eq!(nats::rewritten(once.clone(), 0), once);
        for (name, value) in claims.as_object().unwrap().iter().filter(|(name, _)| *name != "nats") {
            assert_eq!(once[name], *value);
        }
        let ours = |tag: &&Value| tag.as_str().is_none_or(|tag| tag.starts_with("tenure."));
        let tags = |of: &Value| of["nats"]["tags"].as_array().cloned().unwrap_or_default();
        for tag in tags(&claims).iter().filter(|tag| !ours(tag)) {
            assert!(tags(&once).contains(tag), "{tag} is somebody's");
        }
    }
}

/// A login of NATS, and a key in each line of a text: one text is the key of one sort of owner, and has one spelling.
pub(crate) fn nats_login(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if nats::is_login(text) {
        assert!(text.contains("eyJ") && text.contains("SU") && text.len() <= 64 << 10);
    }
    for line in text.lines() {
        let is_key = nats::is_key(line);
        assert!(is_key.iter().filter(|is| **is).count() <= 1);
        if is_key.contains(&true) {
            assert!(line.len() == 56 && line.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        }
    }
}
