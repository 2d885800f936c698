//! What an event tells to whom, and when a delivery that failed is tried again.

use serde::Deserialize;
use serde_json::{Map, Value};
use tenure_api::pages;
use tenure_core::base::backoff::Backoff;
use tenure_core::base::id::PersonId;
use tenure_core::base::text;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::Role;
use tenure_log::Leaf;

use crate::kernel::notice::{FACT, Lease, MAX_PEOPLE, MAX_TEXT, MAX_TITLE, Outbox, Pending, Undelivered};

/// Deliveries that one channel keeps beside the log; past that, reading waits.
pub const MAX_PENDING: usize = 1_000;
/// Deliveries tried in one round.
pub const ROUND: usize = 64;
/// Attempts that a refused notice gets before it may be given up for want of room.
const FAIR_ATTEMPTS: u32 = 8;
/// The time between two attempts at one notice.
const AGAIN: Backoff = Backoff::new(Span::from_secs(2), Span::from_mins(10));
/// The time in which nothing is tried although the receiver may be back.
const REST: Backoff = Backoff::new(Span::from_secs(2), Span::from_mins(1));
/// What an event says about who is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The people named.
    pub to: Vec<PersonId>,
    /// Those who hold one of these roles.
    pub roles: Vec<Role>,
    /// One line without control characters.
    pub title: String,
    /// Lines ended by `\n`, without other control characters.
    pub text: String,
    /// The event's other facts.
    pub data: Map<String, Value>,
}

/// Whether leaf bytes can tell anything: spares reading most of a busy log.
pub fn may_tell(leaf: &[u8]) -> bool {
    Leaf::may_have_fact(leaf, "notify")
}

/// Decides what an entry of the log tells; nothing if its event has nobody told.
pub fn told(leaf: &Leaf) -> Option<Told> {
    #[derive(Deserialize)]
    struct Fact {
        to: Vec<PersonId>,
        roles: Vec<Role>,
        title: String,
        text: String,
    }
    let fact = Fact::deserialize(leaf.data.get(FACT)?).ok()?;
    let mut data = leaf.data.clone();
    data.remove(FACT);
    let mut to = fact.to;
    to.truncate(MAX_PEOPLE);
    Some(Told { to, roles: fact.roles, title: line(&fact.title), text: lines(&fact.text), data })
}

/// The page on which to look at what an event is about: its first subject that has one.
pub fn link(public_url: &str, subjects: &[String]) -> Option<String> {
    subjects.iter().find_map(|subject| Some(format!("{public_url}{}", pages::page_of(subject)?)))
}

/// Text that may be somebody else's, as one line that is what it looks like.
fn line(text: &str) -> String {
    let kept: String = text::line(text).chars().take(MAX_TITLE).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that may be somebody else's, as lines that are what they look like.
fn lines(text: &str) -> String {
    text::lines(text).chars().take(MAX_TEXT).collect()
}

impl Outbox {
    /// Whether somebody else works on it.
    pub fn is_held_from(&self, worker: &str, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.worker != worker && lease.until > now)
    }

    /// Claims it.
    pub fn claim(&mut self, worker: &str, until: Timestamp) {
        self.lease = Some(Lease { worker: worker.to_owned(), until });
    }

    /// What to try now: what was tried least first, so that what can't be delivered never stands before what can.
    pub fn due(&self, now: Timestamp) -> Vec<Pending> {
        if self.resting_until.is_some_and(|until| until > now) {
            return Vec::new();
        }
        let mut due: Vec<Pending> = self.pending.iter().filter(|pending| pending.again_at <= now).cloned().collect();
        due.sort_by_key(|pending| (pending.attempts, pending.index));
        due.truncate(ROUND);
        due
    }

    /// Makes room for `n` more deliveries, by giving up what the receiver has refused most often if need be; `None` if
    /// there is none. A notice of more people than fit at all is taken once nothing else is left.
    pub fn make_room(&mut self, n: usize) -> Option<Vec<Pending>> {
        let mut given_up = Vec::new();
        let mut kept = self.pending.clone();
        while !kept.is_empty() && kept.len() + n > MAX_PENDING {
            let worst =
                kept.iter().enumerate().filter(|(_, pending)| pending.refused && pending.attempts >= FAIR_ATTEMPTS);
            let (place, _) = worst.max_by_key(|(_, pending)| pending.attempts)?;
            given_up.push(kept.remove(place));
        }
        self.pending = kept;
        Some(given_up)
    }

    /// Notes how a round ended: deliveries that are done, and those that failed and why.
    pub fn settle(&mut self, done: &[Pending], failed: &[(Pending, Undelivered)], now: Timestamp) {
        self.lease = None;
        let same = |a: &Pending, b: &Pending| (a.index, a.person) == (b.index, b.person);
        self.pending.retain(|pending| !done.iter().any(|done| same(done, pending)));
        for (tried, why) in failed {
            for pending in self.pending.iter_mut().filter(|pending| same(tried, pending)) {
                pending.attempts = pending.attempts.saturating_add(1);
                pending.again_at = now.plus(AGAIN.after(pending.attempts));
                pending.why = Some(why.to_string());
                pending.refused = matches!(why, Undelivered::Refused(_));
            }
        }
        let is_down =
            done.is_empty() && !failed.is_empty() && failed.iter().all(|(_, why)| matches!(why, Undelivered::Later(_)));
        if is_down {
            self.failures = self.failures.saturating_add(1);
            self.resting_until = Some(now.plus(REST.after(self.failures)));
            return;
        }
        if self.failures > 0 && !done.is_empty() {
            // The receiver is back: what waited for it waits no longer.
            for pending in self.pending.iter_mut().filter(|pending| !pending.refused) {
                pending.again_at = now;
            }
        }
        self.failures = 0;
        self.resting_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(index: u64) -> Pending {
        Pending {
            index,
            event: format!("evt_{index}"),
            kind: "person.changed".into(),
            at: Timestamp::from_secs(0),
            person: None,
            attempts: 0,
            again_at: Timestamp::from_secs(0),
            why: None,
            refused: false,
        }
    }

    fn outbox(pending: Vec<Pending>) -> Outbox {
        Outbox { pending, ..Outbox::new("mail", 0) }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn later() -> Undelivered {
        Undelivered::Later("it can't be reached".into())
    }

    fn refused() -> Undelivered {
        Undelivered::Refused("550".into())
    }

    #[test]
    fn d20_text_of_others_is_one_line_or_lines_and_nothing_hidden() {
        assert_eq!(line("a\r\nBcc: x@y\u{202e}\tb\u{2028}c\0"), "a Bcc: x@y\u{fffd} b c\u{fffd}");
        assert_eq!(line(&"x".repeat(500)).len(), MAX_TITLE);
        assert_eq!(
            lines("a\r\nb\rc\u{2028}d\u{1b}[0m\u{200b}\u{feff}e\n.\n"),
            "a\nb\nc\nd\u{fffd}[0m\u{fffd}\u{fffd}e\n.\n"
        );
        assert_eq!(lines(&"é".repeat(9_000)).chars().count(), MAX_TEXT);
    }

    #[test]
    fn a_link_leads_to_the_page_of_the_first_subject_that_has_one() {
        let id = |prefix: &str| format!("{prefix}_{}", "0".repeat(26));
        let subjects = [id("opt"), id("req"), id("idn")];
        let page = format!("https://t.example/requests/{}", id("req"));
        assert_eq!(link("https://t.example", &subjects), Some(page));
        assert_eq!(link("https://t.example", &[]), None);
    }

    #[test]
    fn a_receiver_that_is_down_rests_and_its_return_frees_everything() {
        let mut outbox = outbox(vec![pending(1), pending(2), pending(3)]);
        for round in 1..=12 {
            let tried = pending(1);
            outbox.settle(&[], &[(tried, later())], at(100));
            assert_eq!((outbox.failures, outbox.pending[0].attempts), (round, round));
        }
        assert_eq!(outbox.resting_until, Some(at(160)), "at most a minute");
        assert!(outbox.due(at(159)).is_empty());
        assert_eq!(outbox.due(at(160)).iter().map(|p| p.index).collect::<Vec<_>>(), [2, 3], "the other is due later");
        outbox.settle(&[pending(2)], &[], at(160));
        assert_eq!((outbox.failures, outbox.resting_until), (0, None));
        assert_eq!(
            outbox.due(at(160)).iter().map(|p| p.index).collect::<Vec<_>>(),
            [3, 1],
            "what was tried least comes first"
        );
    }

    #[test]
    fn what_is_refused_rests_alone_and_is_tried_for_ever() {
        let mut outbox = outbox(vec![pending(1), pending(2)]);
        for _ in 0..100 {
            outbox.settle(&[], &[(pending(1), refused())], at(0));
        }
        assert_eq!((outbox.failures, outbox.resting_until), (0, None));
        assert_eq!(outbox.due(at(0)).iter().map(|p| p.index).collect::<Vec<_>>(), [2]);
        assert_eq!(outbox.due(at(600)).len(), 2);
        assert_eq!((outbox.pending[0].attempts, outbox.pending[0].why.as_deref()), (100, Some("refused: 550")));
    }

    #[test]
    fn only_for_want_of_room_is_anything_given_up_and_only_what_was_refused_often() {
        let mut full = outbox((0..MAX_PENDING as u64).map(pending).collect());
        assert_eq!(full.make_room(1), None, "nothing was refused: reading waits");
        for (index, attempts) in [(4, 7), (5, 9), (6, 30)] {
            full.pending[index].refused = true;
            full.pending[index].attempts = attempts;
        }
        full.pending[7].attempts = 90;
        let before = full.clone();
        assert_eq!(full.make_room(3), None);
        assert_eq!(full, before);
        assert_eq!(full.make_room(2).unwrap().iter().map(|p| p.index).collect::<Vec<_>>(), [6, 5]);
        assert_eq!(full.pending.len(), MAX_PENDING - 2);
        assert_eq!(outbox(Vec::new()).make_room(MAX_PENDING * 2), Some(Vec::new()));
    }

    #[test]
    fn a_lease_keeps_others_away_until_it_ends() {
        let mut outbox = outbox(vec![]);
        outbox.claim("a", at(60));
        assert!(
            outbox.is_held_from("b", at(59)) && !outbox.is_held_from("a", at(59)) && !outbox.is_held_from("b", at(60))
        );
        outbox.settle(&[], &[], at(60));
        assert!(!outbox.is_held_from("b", at(0)));
    }
}
