//! Entries of the log as lines: what happened, by whom, and which entry proves it.

use askama::Template;
use tenure_api::log::{FeedActor, FeedEvent};
use tenure_api::views::Names;
use tenure_core::base::time::Timestamp;

use crate::markup::{Markup, filters};
use crate::records::Named;
use crate::text;
use crate::when::When;

/// Facts that a line says beside what happened.
const TOLD: [&str; 7] = ["reason", "because", "comment", "purpose", "asked", "how", "detail"];

/// Letters that a line says of each; the entry's own page says all of it.
const LETTERS: usize = 280;

/// One entry of the log.
#[derive(Template)]
#[template(path = "entry.html")]
pub struct Entry {
    at: When,
    kind: String,
    by: Option<Named>,
    part: String,
    subjects: Vec<Named>,
    facts: Vec<(String, String)>,
    index: u64,
}

impl Markup for Entry {}

impl Entry {
    /// An entry with the names of what it names.
    pub fn new(event: FeedEvent, names: &Names, now: Timestamp) -> Self {
        let FeedActor { kind, id } = &event.actor;
        let is_named = matches!(kind.as_str(), "person" | "identity");
        let by = is_named.then(|| Named::of(id, names));
        let part = if id.is_empty() { kind.clone() } else { id.clone() };
        // Why something was refused is a word of Tenure's; why something was done, what somebody wrote.
        let is_refusal = event.kind.starts_with("access.refused");
        let fact = |name: &&str| {
            let value = event.data.get(*name)?.as_str().filter(|value| !value.is_empty())?;
            let said = if is_refusal { text::plain(value) } else { text::reason(value) };
            Some((text::plain(name), text::cut(&said, LETTERS)))
        };
        Self {
            at: When::new(event.at, now),
            kind: text::sentence(&text::plain(&event.kind.replace('.', " "))),
            by,
            part,
            subjects: event
                .subjects
                .iter()
                .filter(|id| names.contains_key(*id))
                .map(|id| Named::of(id, names))
                .collect(),
            facts: TOLD.iter().filter_map(fact).collect(),
            index: event.position.index,
        }
    }
}
