//! Notices: whom an event is told to, besides the log.
//!
//! The log is the outbox. Whoever writes an event says in it who has to know ([`notify`]); [`crate::run::notify`] reads
//! the committed log and hands each notice to the channels that are configured ([`Notify`]). Nothing is told before it
//! is committed, and what is committed is told at least once: a channel's [`Outbox`] row moves over an entry only in
//! the commit that keeps what is still to be delivered from it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenure_core::base::id::{PersonId, RequestId};
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Role;
use tenure_core::store::event::Event;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::row::{Record, RowKind};
use tenure_credentials::vouch::Vouch;

use crate::kernel::Kernel;

/// The fact of an event whose notice asks for an answer: each who is told gets a link of their own when it is
/// delivered.
pub(crate) const ANSWER: &str = "answer";

/// The public fact of an event that says who is told, and what.
pub const FACT: &str = "notify";
/// People told by one notice; the rest of a longer list is left to the log.
pub const MAX_PEOPLE: usize = 200;
/// The longest title in characters.
pub const MAX_TITLE: usize = 150;
/// The longest text in characters.
pub const MAX_TEXT: usize = 4_000;

/// Has people told of an event: those in `to`, and everyone who holds one of `roles` when it is delivered.
///
/// Title and text stand in the public log and leave by mail and webhook: no name, address or secret belongs into them,
/// only ids. Who isn't active at the time of delivery is told nothing.
#[must_use]
pub fn notify(event: Event, to: &[PersonId], roles: &[Role], title: &str, text: &str) -> Event {
    let mut people = to.to_vec();
    people.sort_unstable();
    people.dedup();
    people.truncate(MAX_PEOPLE);
    let fact = json!({"to": people, "roles": roles, "title": cut(title, MAX_TITLE), "text": cut(text, MAX_TEXT)});
    event.fact(FACT, fact)
}

fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// Who is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The person.
    pub person: PersonId,
    /// Their name, for channels that address people.
    pub name: Option<String>,
    /// Their e-mail address, for channels that address people.
    pub email: Option<String>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient").field("person", &self.person).finish_non_exhaustive()
    }
}

/// What is told of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The event's id: receivers that see it twice know that it is the same.
    pub id: String,
    /// What happened, e.g. `request.opened`.
    pub kind: String,
    /// When, by the log.
    pub at: Timestamp,
    /// One line, without control characters.
    pub title: String,
    /// Plain text of several lines, ended by `\n` alone.
    pub text: String,
    /// Where to look at what it is about.
    pub link: Option<String>,
    /// Who is told; exactly one for a channel that addresses people.
    pub to: Vec<Recipient>,
    /// Whose holders are told too.
    pub roles: Vec<Role>,
    /// Whom the event concerns: ids, most important first.
    pub subjects: Vec<String>,
    /// The event's other public facts.
    pub data: Map<String, Value>,
}

/// Why a notice was not delivered. The text names no person and no address: it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The receiver can't be reached or takes nothing now.
    #[error("{0}")]
    Later(String),
    /// The receiver works, and doesn't take this one.
    #[error("refused: {0}")]
    Refused(String),
}

/// A channel on which notices go out.
pub trait Notify: Send + Sync {
    /// Its name, part of its outbox's id.
    fn channel(&self) -> &'static str;
    /// Whether each person is told by themselves; else a notice goes out once, for all.
    fn addresses_people(&self) -> bool;
    /// Hands one notice over, within a bounded time. The same may come twice.
    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// How far a channel has read the log, and what it has taken from there and not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// The channel.
    pub channel: String,
    /// The log's first entry that was not looked at.
    pub next: u64,
    /// Who works on it, if somebody does.
    pub lease: Option<Lease>,
    /// Rounds in a row in which the receiver took nothing.
    pub failures: u32,
    /// Until when nothing is tried after such rounds.
    pub resting_until: Option<Timestamp>,
    /// What is still to be delivered, in the order of the log; at most `log::outbox::plan::MAX_PENDING`, or one
    /// notice's.
    pub pending: Vec<Pending>,
}

/// A worker's claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The worker's own random name.
    pub worker: String,
    /// When another may take over.
    pub until: Timestamp,
}

/// A delivery that is still to be made. Its words are read from the log again: nothing personal stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The entry's number in the log.
    pub index: u64,
    /// The event's id.
    pub event: String,
    /// What happened.
    pub kind: String,
    /// When, by the log.
    pub at: Timestamp,
    /// To whom, if the channel addresses people.
    pub person: Option<PersonId>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    pub again_at: Timestamp,
    /// Why the last attempt failed.
    pub why: Option<String>,
    /// Whether the receiver refused this one although it works.
    pub refused: bool,
}

impl Outbox {
    /// The outbox of a channel that has looked at nothing before this entry.
    pub fn new(channel: &str, next: u64) -> Self {
        Self { channel: channel.to_owned(), next, lease: None, failures: 0, resting_until: None, pending: Vec::new() }
    }

    /// The row of a channel's outbox.
    pub fn id_of(channel: &str) -> String {
        format!("notify/{channel}")
    }
}

impl Record for Outbox {
    const KIND: RowKind = RowKind::Cursor;
    fn row_id(&self) -> String {
        Self::id_of(&self.channel)
    }
}

/// The address of the approval page for one person, for a request as it reads now.
pub(crate) fn approval_link(
    kernel: &Kernel,
    request: RequestId,
    content_hash: &str,
    person: PersonId,
    until: Timestamp,
) -> String {
    let (request, person, until) = (request.to_string(), person.to_string(), until.as_secs().to_string());
    let tag = links(kernel).tag(&[&request, content_hash, &person, &until]);
    format!("{}/approve/{request}.{person}.{until}.{tag}", kernel.settings.public_url)
}

pub(crate) fn links(kernel: &Kernel) -> Vouch {
    Vouch::new(&kernel.root, "approval link")
}
