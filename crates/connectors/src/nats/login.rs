//! What a connection to NATS is made with: a JWT and the key that it is of, as `.creds` files have them; and, in a
//! connector's own login, the keys that sign for it.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::ConnectorError;

use super::key::{Owner, Pair, seed_text};

/// The longest text of a login in bytes.
const MAX_TEXT: usize = 64 << 10;

/// The keys of a login.
pub(super) struct Keys {
    pub jwt: String,
    pub user: Pair,
    /// What signs the account's JWT.
    pub operator: Option<Pair>,
    /// What signs the JWTs of its users.
    pub account: Option<Pair>,
}

impl Keys {
    /// Reads a `.creds` file, and the seeds of an operator and of an account beside it; or only the JWT and the seeds of
    /// these, in one line.
    pub fn of(text: &str) -> Result<Self, ConnectorError> {
        let bad = |why: &str| {
            ConnectorError::Misconfigured(format!(
                "{why}: a login of NATS is a JWT and the seed of its key, as a .creds file has them"
            ))
        };
        if text.len() > MAX_TEXT {
            return Err(bad("it is too long"));
        }
        let (mut jwt, mut user, mut operator, mut account) = (None, None, None, None);
        // What a file says around its JWT and its seed.
        let says = |line: &&str| ["---", "***", "NKEYs are "].iter().any(|begin| line.starts_with(begin));
        let words = text.lines().map(str::trim).filter(|line| !says(line)).flat_map(str::split_whitespace);
        for word in words {
            let pair = |owner| Pair::of_seed(word, owner).ok_or_else(|| bad("a seed in it is none"));
            let is_new = match word {
                word if word.starts_with("SU") => user.replace(pair(Owner::User)?).is_none(),
                word if word.starts_with("SO") => operator.replace(pair(Owner::Operator)?).is_none(),
                word if word.starts_with("SA") => account.replace(pair(Owner::Account)?).is_none(),
                word if word.starts_with("eyJ") => jwt.replace(word.to_owned()).is_none(),
                _ => return Err(bad("a word in it is neither a JWT nor a seed")),
            };
            if !is_new {
                return Err(bad("it holds two of a sort"));
            }
        }
        match (jwt, user) {
            (Some(jwt), Some(user)) => Ok(Self { jwt, user, operator, account }),
            _ => Err(bad("it holds no JWT, or no user's seed")),
        }
    }
}

/// The 32 bytes of the key of a user that we make: those of its name and its secret alone, so that the same login is the
/// same key whoever makes it again.
pub(super) fn seed_of(name: &str, secret: &Secret<String>) -> Vec<u8> {
    let text = format!("tenure: the key of a user of NATS\0{}\0{name}\0{}", name.len(), secret.expose());
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// A `.creds` file.
pub(super) fn creds(jwt: &str, seed: &[u8]) -> Secret<String> {
    let mut text = String::new();
    let seed = seed_text(seed, Owner::User);
    let _ = writeln!(text, "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n");
    let _ = writeln!(text, "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------", seed.expose());
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_strictly() {
        let seed = seed_of("a", &Secret::new("b".to_owned()));
        let file = creds("eyJx.y.z", &seed).expose().clone();
        let keys = Keys::of(&file).unwrap();
        assert_eq!(keys.user.public(), Pair::of_bytes(&seed, Owner::User).unwrap().public());
        assert!(keys.jwt == "eyJx.y.z" && keys.operator.is_none() && keys.account.is_none());
        let operator = seed_text(&[3; 32], Owner::Operator).expose().clone();
        let account = seed_text(&[4; 32], Owner::Account).expose().clone();
        let keys = Keys::of(&format!("{file}{operator}\n{account}\n")).unwrap();
        assert!(keys.operator.is_some() && keys.account.is_some());
        let user = seed_text(&seed, Owner::User).expose().clone();
        assert!(Keys::of(&format!("eyJx.y.z {user} {operator} {account}")).unwrap().operator.is_some());
        for bad in [
            "",
            "a-Secret",
            &operator,
            &format!("{file}{file}"),
            &format!("{file}SOAAA\n"),
            &format!("{file}password\n"),
            &file.replace("eyJ", "x"),
        ] {
            let Err(error) = Keys::of(bad) else { panic!("{bad} was taken") };
            assert!(
                matches!(&error, ConnectorError::Misconfigured(why) if !why.contains("SO") && !why.contains("a-Sec"))
            );
        }
        assert_ne!(seed, seed_of("ab", &Secret::new(String::new())));
    }
}
