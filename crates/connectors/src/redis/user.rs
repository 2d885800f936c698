//! A user of a Redis as its access control list has it, and rules in one normal form.
//!
//! A grant is one rule: `+get`, `~app:*`, `&news`, a whole selector in parentheses; or, where commands are not only
//! given, the whole list of them, since its order counts: `+@all -flushall`.
//!
//! A user has no comment. What is known of one stands in selectors that give nothing: one for a channel on which nobody
//! speaks, and no command.

use std::collections::BTreeSet;

use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

const HELD: &str = "&tenure:held";
const MADE_FOR: &str = "&tenure:made_for:";
const NO_COMMANDS: &str = "-@all";
const MAX_NAME: usize = 200;
const MAX_RULE: usize = 1024;
/// What is as good as everything: these let a user give itself the rest.
const TO_EVERYTHING: [&str; 9] =
    ["+@all", "+@admin", "+@dangerous", "+acl", "+config", "+debug", "+module", "+acl|setuser", "+config|set"];

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    pub enabled: bool,
    /// Whether any password is taken.
    pub open: bool,
    pub commands: Vec<String>,
    /// Keys and channels.
    pub patterns: BTreeSet<String>,
    /// What stands in the parentheses of selectors, without our own.
    pub selectors: BTreeSet<String>,
    pub held: bool,
    pub made_for: Option<String>,
}

impl User {
    /// Adds a selector, which may be one of ours.
    pub fn select(&mut self, selector: String) {
        let mut parts = selector.split_whitespace().filter(|part| *part != NO_COMMANDS);
        match (parts.next(), parts.next()) {
            (Some(HELD), None) => self.held = true,
            (Some(mark), None) if mark.starts_with(MADE_FOR) => {
                self.made_for = mark.strip_prefix(MADE_FOR).map(str::to_owned);
            }
            _ => {
                self.selectors.insert(selector);
            }
        }
    }

    /// What it may do.
    pub fn grants(&self) -> BTreeSet<String> {
        let mut grants: BTreeSet<String> = self.patterns.clone();
        let given: Vec<&String> = self.commands.iter().skip_while(|rule| *rule == NO_COMMANDS).collect();
        if given.iter().all(|rule| rule.starts_with('+')) {
            grants.extend(given.into_iter().cloned());
        } else {
            grants.insert(self.commands.join(" "));
        }
        grants.extend(self.selectors.iter().map(|selector| format!("({selector})")));
        grants
    }

    /// As the port has it.
    pub fn seen(&self, name: &str, sessions: u32) -> SeenAccount {
        let grants = self.grants();
        let more_grants = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
        let mut marks = std::collections::BTreeMap::new();
        if let Some(mark) = &self.made_for {
            marks.insert("tenure".to_owned(), words(mark));
        }
        if self.open {
            marks.insert("password".to_owned(), "any".to_owned());
        }
        let everything = |rule: &String| TO_EVERYTHING.contains(&rule.as_str());
        let selected = |selector: &String| selector.split_whitespace().any(|rule| TO_EVERYTHING.contains(&rule));
        SeenAccount {
            key: name.to_owned(),
            name: name.to_owned(),
            sort: AccountSort::Login,
            enabled: self.enabled,
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: Some(sessions),
            built_in: name == "default",
            privileged: self.commands.iter().any(everything) || self.selectors.iter().any(selected),
            grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
            more_grants,
            marks,
        }
    }

    /// The rules of its selectors, ours among them.
    pub fn selector_rules(&self) -> Vec<String> {
        let ours = self.held.then(|| format!("({HELD})"));
        let made_for = self.made_for.as_ref().map(|mark| format!("({MADE_FOR}{mark})"));
        let selectors = self.selectors.iter().map(|selector| format!("({selector})"));
        selectors.chain(ours).chain(made_for).collect()
    }
}

/// The rules of a grant, to be given to a user that has none.
pub(super) fn rules(grant: &str) -> Result<Vec<&str>, ConnectorError> {
    let bad = || {
        ConnectorError::Rejected(format!(
            "expected a grant such as +get, ~app:*, &news or (+get ~app:*): {}",
            words(grant)
        ))
    };
    if grant.len() > MAX_RULE || grant.chars().any(char::is_control) {
        return Err(bad());
    }
    if let Some(inside) = grant.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        let good = !inside.is_empty() && inside.split(' ').all(is_rule) && !inside.contains("tenure:");
        return if good { Ok(vec![grant]) } else { Err(bad()) };
    }
    let rules: Vec<&str> = grant.split(' ').collect();
    let commands = rules.iter().all(|rule| is_command(rule));
    if commands || (rules.len() == 1 && is_rule(grant) && !grant.starts_with("&tenure:")) {
        Ok(rules)
    } else {
        Err(bad())
    }
}

fn is_command(rule: &str) -> bool {
    let command = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '|');
    rule.strip_prefix(['+', '-'])
        .map(|rule| rule.strip_prefix('@').unwrap_or(rule))
        .is_some_and(|rule| !rule.is_empty() && rule.chars().all(command))
}

fn is_rule(rule: &str) -> bool {
    let pattern =
        |pattern: &str| !pattern.is_empty() && !pattern.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    is_command(rule)
        || rule.strip_prefix(['~', '&']).is_some_and(pattern)
        || ["%R~", "%W~", "%RW~"].iter().any(|prefix| rule.strip_prefix(prefix).is_some_and(pattern))
}

/// A name as the server takes them.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ConnectorError::Misconfigured(format!("a name has 1 to {MAX_NAME} bytes, and no blank in it")));
    }
    Ok(())
}

/// A mark that stands in a pattern for itself.
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

    #[test]
    fn no_grant_is_anything_but_a_grant() {
        for good in ["+get", "+@read", "+acl|whoami", "~app:*", "%R~a", "&news", "(+get ~a)", "+@all -flushall"] {
            assert!(rules(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "on",
            "nopass",
            ">word",
            "#abc",
            "reset",
            "allkeys",
            "~",
            "+",
            "~a b",
            "+get ~a",
            "+get >word",
            "(on)",
            "()",
            "(+get",
            "(+get) on",
            "+GET",
            "resetpass",
            "<word",
            "&tenure:held",
            "(&tenure:held)",
            "~a\r\n",
            "-@all on",
        ] {
            assert!(rules(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn our_selectors_are_told_from_those_of_others() {
        let mut user = User::default();
        for selector in ["~a -@all +get", "&tenure:held -@all", "resetchannels", "-@all &tenure:made_for:idn_1"] {
            user.select(selector.to_owned());
        }
        assert!(user.held && user.made_for.as_deref() == Some("idn_1"));
        assert_eq!(user.selectors.len(), 2);
        assert_eq!(user.selector_rules().len(), 4);
        user.commands = ["-@all", "+get", "+set"].map(str::to_owned).to_vec();
        assert!(user.grants().contains("+get") && user.grants().contains("(~a -@all +get)"));
        user.commands = ["+@all", "-flushall"].map(str::to_owned).to_vec();
        assert!(user.grants().contains("+@all -flushall"));
    }
}
