//! The log as pages: what happened, and the proof of each entry, which the reader's browser computes itself.

use askama::Template;
use tenure_api::log::{FeedEvent, InclusionProof};
use tenure_api::pages::is_id;
use tenure_api::views::Names;

use crate::address::Address;
use crate::assets;
use crate::entry::Entry;
use crate::frame::Frame;
use crate::list::Cell;
use crate::markup::filters;
use crate::records::Named;
use crate::when::{self, When};

/// What happened, the newest first.
#[derive(Template)]
#[template(path = "log.html")]
pub struct LogPage {
    frame: Frame,
    subject: String,
    entries: Vec<Entry>,
    earlier: Option<Address>,
    checkpoint: String,
    key: String,
}

impl LogPage {
    /// The page of some entries; `before` is where it goes on further back, and `subject` whom it is about.
    pub fn new(
        frame: Frame,
        (subject, before): (String, Option<u64>),
        events: Vec<FeedEvent>,
        names: &Names,
        (checkpoint, key): (String, String),
    ) -> Self {
        let now = frame.now;
        let address = Address::new("/log");
        let address = if subject.is_empty() { address } else { address.with("subject", &*subject) };
        Self {
            earlier: before.map(|before| address.with("before", before.to_string())),
            entries: events.into_iter().map(|event| Entry::new(event, names, now)).collect(),
            frame,
            subject,
            checkpoint,
            key,
        }
    }
}

/// One entry with all that it says, and its proof.
#[derive(Template)]
#[template(path = "log_entry.html")]
pub struct EntryPage {
    frame: Frame,
    at: When,
    entry: Entry,
    index: u64,
    kind: String,
    control: String,
    facts: Vec<(String, Cell)>,
    proof: Option<InclusionProof>,
}

impl EntryPage {
    /// The page of an entry; without a proof while no checkpoint covers it.
    pub fn new(frame: Frame, event: FeedEvent, names: &Names, proof: Option<InclusionProof>) -> Self {
        let text = |value: &str| names.get(value).cloned().unwrap_or_else(|| value.to_owned());
        let facts = event.data.iter().map(|(name, value)| {
            let cell = match (value.as_str(), value.as_array()) {
                (Some(one), _) if is_id(one) => Cell::Named(Named::of(one, names)),
                (Some(one), _) => Cell::Text(one.parse().map_or_else(|_| one.to_owned(), when::exact)),
                (_, Some(many)) if many.iter().all(|one| one.is_string()) => {
                    let many: Vec<String> = many.iter().filter_map(|one| one.as_str().map(text)).collect();
                    Cell::Text(many.join(", "))
                }
                _ => Cell::Text(value.to_string()),
            };
            (name.clone(), cell)
        });
        let facts = facts.collect();
        Self {
            at: When::new(event.at, frame.now),
            index: event.position.index,
            kind: event.kind.clone(),
            control: event.control.clone(),
            facts,
            entry: Entry::new(event, names, frame.now),
            frame,
            proof,
        }
    }

    fn script(&self) -> String {
        assets::PROOF.address()
    }
}
