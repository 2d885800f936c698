//! Histories: what is told, by a small TOML file.

use serde::Deserialize;
use tenure_core::base::time::{Span, Timestamp};

use crate::error::SeedError;

/// What a history tells. With the same seed it is the same, byte for byte.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Its name, in messages.
    pub name: String,
    /// How many days it tells of: 30 to 365.
    pub days: u16,
    /// When it ends; whoever makes it says so if the file doesn't.
    #[serde(default)]
    pub ends: Option<Timestamp>,
    /// How many identities there are at its end, in whatever state: at least one.
    pub identities: u32,
    /// How many of them wait for their approval at its end; the others don't wait, but for a few whose tale ends so.
    #[serde(default)]
    pub waiting: u32,
    /// How many credentials were issued to them; as many more as their lives come to by themselves.
    #[serde(default)]
    pub credentials: u64,
    /// Which share of those that don't come by themselves is issued in the last minutes, and so lives at the end.
    #[serde(default)]
    pub live: f64,
    /// Departments: each has a manager, three owners, a team of two, an application, four resources, a vendor, a cloud
    /// account and a need.
    pub departments: u32,
    /// How often each tale is played by the engine, each time with other details: 1 to 16.
    #[serde(default = "once")]
    pub variety: u8,
    /// Under which address the server will be reached: its issuers are named after it.
    #[serde(default = "here")]
    pub public_url: String,
    /// Whether each commit demands of the store what the engine's demanded: that rows are as they were read. It changes
    /// nothing of what is written, and takes its time.
    #[serde(default)]
    pub checked: bool,
    /// Tales that are told, by name, and how often beside the others: those that are left out are told as often as is
    /// usual.
    #[serde(default)]
    pub tales: std::collections::BTreeMap<String, u32>,
}

const fn once() -> u8 {
    1
}

fn here() -> String {
    "http://localhost:8420".into()
}

impl History {
    /// Reads a history.
    ///
    /// # Errors
    /// It is none, or says what can't be.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let history: Self = toml::from_str(text).map_err(|error| SeedError::History(error.to_string()))?;
        let wrong = |what: &str| Err(SeedError::History(what.to_owned()));
        match () {
            () if !(30..=365).contains(&history.days) => wrong("`days` has to be 30 to 365"),
            () if history.identities == 0 => wrong("`identities` has to be at least 1"),
            () if history.waiting > history.identities => wrong("`waiting` has to be at most `identities`"),
            () if history.departments == 0 => wrong("`departments` has to be at least 1"),
            () if !(0.0..=1.0).contains(&history.live) => wrong("`live` is a share: 0.0 to 1.0"),
            () if !(1..=16).contains(&history.variety) => wrong("`variety` has to be 1 to 16"),
            () => Ok(history),
        }
    }

    /// When it ends.
    ///
    /// # Errors
    /// Nobody said so.
    pub(crate) fn end(&self) -> Result<Timestamp, SeedError> {
        self.ends.ok_or_else(|| SeedError::History("nobody says when it ends: give it `ends`".into()))
    }

    /// When it begins.
    ///
    /// # Errors
    /// Nobody said when it ends.
    pub(crate) fn start(&self) -> Result<Timestamp, SeedError> {
        let start = self.end()?.minus(Span::from_days(i64::from(self.days)));
        // At a whole minute: budgets go by minutes.
        Ok(Timestamp::from_secs(start.as_secs() / 60 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histories_that_are_shipped_can_be_read() {
        for text in [
            include_str!("../histories/small.toml"),
            include_str!("../histories/bench.toml"),
            include_str!("../histories/million.toml"),
            include_str!("../histories/million-postgres.toml"),
            include_str!("../histories/pages.toml"),
        ] {
            History::parse(text).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_in_a_history_is_named() {
        let wrong = |text: &str| History::parse(text).unwrap_err().to_string();
        assert!(wrong("name = 'x'").contains("days"));
        let base = "name = 'x'\ndays = 90\nidentities = 1\ndepartments = 1\n";
        assert!(wrong(&format!("{base}live = 1.5")).contains("`live`"));
        assert!(wrong(&format!("{base}waiting = 2")).contains("`waiting`"));
        assert!(wrong(&format!("{base}variety = 0")).contains("`variety`"));
        assert!(wrong(&format!("{base}other = 0")).contains("other"));
        assert!(wrong("name = 'x'\ndays = 3\nidentities = 1\ndepartments = 1").contains("`days`"));
        assert!(wrong("name = 'x'\ndays = 90\nidentities = 0\ndepartments = 1").contains("`identities`"));
    }
}
