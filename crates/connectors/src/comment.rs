//! What stands in the comment of an account: what people wrote, and our own lines below it.
//!
//! For targets where nothing else of an account can be written by whoever may stop it and not by the account itself.

use std::collections::BTreeMap;

use tenure_core::target::connector::{ConnectorError, words};

const MARK: &str = "tenure: made for ";
const HELD: &str = "tenure: held";
const ENDED: &str = "tenure: ended";
/// The longest mark in bytes.
const MAX_MARK: usize = 200;

/// A comment in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comment {
    /// What people wrote.
    pub people: String,
    /// The mark of what we made.
    pub made_for: Option<String>,
    /// Whether it was us who stopped it.
    pub held: bool,
    /// Whether it was us who ended it.
    pub ended: bool,
}

impl Comment {
    pub fn read(text: &str) -> Self {
        let mut comment = Self::default();
        let mut people = Vec::new();
        for line in text.split('\n') {
            match line {
                HELD => comment.held = true,
                ENDED => comment.ended = true,
                line => match line.strip_prefix(MARK) {
                    Some(mark) => comment.made_for = Some(mark.to_owned()),
                    None => people.push(line),
                },
            }
        }
        comment.people = people.join("\n");
        comment
    }

    pub fn write(&self) -> String {
        let made_for = self.made_for.as_ref().map(|mark| format!("{MARK}{mark}"));
        let lines = [(!self.people.is_empty()).then(|| self.people.clone()), made_for];
        let lines = lines.into_iter().flatten();
        let lines = lines.chain(self.held.then(|| HELD.to_owned())).chain(self.ended.then(|| ENDED.to_owned()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What is told of it.
    pub fn marks(&self) -> BTreeMap<String, String> {
        let people = Some(words(&self.people)).filter(|people| !people.is_empty());
        let people = people.map(|people| ("comment".to_owned(), people));
        people.into_iter().chain(self.made_for.clone().map(|mark| ("tenure".to_owned(), words(&mark)))).collect()
    }
}

/// A mark that stays one line.
pub(crate) fn check_mark(mark: &str) -> Result<(), ConnectorError> {
    if mark.is_empty() || mark.len() > MAX_MARK || mark.chars().any(char::is_control) {
        return Err(ConnectorError::Misconfigured(format!("a mark is one line of 1 to {MAX_MARK} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays_as_they_wrote_it() {
        for people in ["", "owner: Ada", "two\nlines\n", "\n", "tenure: holds this"] {
            let comment = Comment { people: people.to_owned(), made_for: None, held: true, ended: false };
            let read = Comment::read(&comment.write());
            assert_eq!(read.people, people, "{people:?}");
            assert!(read.held && !read.ended);
        }
        let made = Comment { made_for: Some("idn_1".to_owned()), ..Comment::default() };
        assert_eq!(Comment::read(&made.write()), made);
        assert_eq!(Comment::default().write(), "");
        assert!(check_mark("idn_1").is_ok() && check_mark("a\ntenure: held").is_err() && check_mark("").is_err());
    }
}
