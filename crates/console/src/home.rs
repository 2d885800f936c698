//! Home: what waits for whoever reads, each with its clock and one thing to do; and how the whole stands, for those who
//! may see it.

use askama::Template;
use tenure_api::findings::FindingView;
use tenure_api::overview::{Census, RefusalTimes};
use tenure_api::request::RequestView;
use tenure_api::views::{IdentityView, Names, Page, ReceiptView, Revised};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::transfer::Transfer;
use tenure_core::request::review::{Review, ReviewSubject};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::Table;
use crate::markup::filters;
use crate::plot::{self, Times};
use crate::records::Named;
use crate::state::State;
use crate::when::When;
use crate::{requests, stop, text};

/// How soon an end is said.
const SOON: Span = Span::from_days(7);

/// What waits for somebody, and what they may see of the whole.
pub struct Waiting {
    /// Requests that wait for their vote.
    pub votes: Page<RequestView>,
    /// Transfers that are offered to them.
    pub transfers: Vec<Revised<Transfer>>,
    /// Reviews that are theirs to answer.
    pub reviews: Vec<Revised<Review>>,
    /// Identities of theirs that are active, those that end first.
    pub ending: Vec<IdentityView>,
    /// The worst open findings, where they may read findings.
    pub findings: Option<Vec<FindingView>>,
    /// The last revocations, where they may read receipts.
    pub receipts: Option<Vec<ReceiptView>>,
    /// How long the last revocations took, where they may read receipts.
    pub times: Option<RefusalTimes>,
    /// Whether they may read all identities.
    pub is_counted: bool,
    /// The census, where they may, and unless it is being taken.
    pub census: Option<Census>,
    /// The names of what all that names.
    pub names: Names,
}

/// Something that waits.
struct Item {
    what: Named,
    lesser: String,
    mark: Option<State>,
    clock: When,
    clock_word: &'static str,
    is_late: bool,
    /// Whether its time is over.
    is_overdue: bool,
    deed: &'static str,
    to: Address,
}

/// A group of what waits.
struct Group {
    word: &'static str,
    items: Vec<Item>,
}

/// A bar of a distribution.
struct Bar {
    word: String,
    count: u64,
    to: Address,
}

/// The first page.
#[derive(Template)]
#[template(path = "home.html")]
pub struct HomePage {
    frame: Frame,
    groups: Vec<Group>,
    more_votes: bool,
    states: Vec<Bar>,
    kinds: Vec<Bar>,
    tiers: Vec<Bar>,
    unowned: u64,
    times: Option<Times>,
    at_targets: Option<Table>,
    times_at: Option<When>,
    most: u64,
    ratio: String,
    counted: Option<When>,
    is_being_counted: bool,
    is_new: bool,
    receipts: Option<Vec<Item>>,
    findings: Vec<Item>,
}

impl HomePage {
    /// The first page of somebody.
    pub fn new(frame: Frame, waiting: Waiting) -> Self {
        let now = frame.now;
        let Waiting { votes, transfers, reviews, ending, findings, receipts, times, is_counted, census, names } =
            waiting;
        let names = &names;
        let mut groups = vec![
            Group { word: text::VOTES, items: votes.items.iter().map(|view| vote(view, names, now)).collect() },
            Group {
                word: text::TRANSFERS,
                items: transfers.iter().map(|offered| transfer(&offered.record, names, now)).collect(),
            },
            Group { word: text::REVIEWS, items: reviews.iter().map(|open| review(&open.record, names, now)).collect() },
            Group { word: text::ENDING, items: ending.iter().filter_map(|view| ends(view, names, now)).collect() },
        ];
        let mut overdue: Vec<Item> = Vec::new();
        for group in &mut groups {
            let (late, rest) = std::mem::take(&mut group.items).into_iter().partition(|item| item.is_overdue);
            overdue.extend::<Vec<Item>>(late);
            group.items = rest;
        }
        groups.insert(0, Group { word: text::PAST_DUE, items: overdue });
        let bars = |parameter: &str, counts: &std::collections::BTreeMap<String, u64>, base: Address| -> Vec<Bar> {
            let mut bars: Vec<Bar> = counts
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(word, count)| Bar {
                    word: text::plain(word),
                    count: *count,
                    to: base.clone().with(parameter, word.clone()),
                })
                .collect();
            bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
            bars
        };
        let inventory = Address::new("/identities");
        let states =
            census.as_ref().map(|census| bars("state", &census.by_state, inventory.clone())).unwrap_or_default();
        let kinds = census
            .as_ref()
            .map(|census| bars("kind", &census.active_by_kind, inventory.clone().with("state", "active")))
            .unwrap_or_default();
        let tiers = census
            .as_ref()
            .map(|census| bars("tier", &census.active_by_tier, inventory.with("state", "active")))
            .unwrap_or_default();
        Self {
            more_votes: votes.next.is_some(),
            unowned: census.as_ref().map_or(0, |census| census.unowned),
            times_at: times.as_ref().map(|times| When::new(times.at, now)),
            at_targets: times.as_ref().and_then(plot::at_targets),
            times: times.as_ref().and_then(Times::new),
            most: states.iter().chain(&kinds).chain(&tiers).map(|bar| bar.count).max().unwrap_or(1),
            ratio: census.as_ref().map(ratio).unwrap_or_default(),
            is_new: census.as_ref().is_some_and(|census| census.by_state.values().all(|count| *count == 0)),
            is_being_counted: is_counted && census.is_none(),
            counted: census.map(|census| When::new(census.at, now)),
            states,
            kinds,
            tiers,
            receipts: receipts.map(|receipts| receipts.iter().map(|view| receipt(view, names, now)).collect()),
            findings: findings.unwrap_or_default().iter().map(|view| finding(view, names, now)).collect(),
            groups: groups.into_iter().filter(|group| !group.items.is_empty()).collect(),
            frame,
        }
    }
}

fn vote(view: &RequestView, names: &Names, now: Timestamp) -> Item {
    let request = &view.request;
    let what = requests::named(request, names);
    Item {
        lesser: format!("{} {}: {}", text::ASKED_BY, requests::asker(request, names).name, request.purpose),
        mark: request.tier.map(State::from),
        clock: When::new(request.lapses_at, now),
        clock_word: text::LAPSES,
        is_late: request.lapses_at.since(now) < Span::from_days(1),
        is_overdue: request.lapses_at <= now,
        deed: text::DECIDE,
        to: Address::new("/requests").below(&request.id.to_string()),
        what,
    }
}

fn transfer(transfer: &Transfer, names: &Names, now: Timestamp) -> Item {
    Item {
        what: Named::of(transfer.identity, names),
        lesser: format!("{} {}", text::OFFERED_BY, Named::of(transfer.from, names).name),
        mark: None,
        clock: When::new(transfer.deadline, now),
        clock_word: text::LAPSES,
        is_late: transfer.deadline.since(now) < Span::from_days(1),
        is_overdue: transfer.deadline <= now,
        deed: text::ANSWER,
        to: Address::new("/transfers").below(&transfer.id.to_string()),
    }
}

fn review(review: &Review, names: &Names, now: Timestamp) -> Item {
    let what = match &review.subject {
        ReviewSubject::Identity(id) => Named::of(id, names),
        ReviewSubject::PersonGrant(id) => Named { name: text::A_GRANT.to_owned(), ..Named::of(id, names) },
    };
    Item {
        what,
        lesser: text::review_because(review.trigger.as_str()),
        mark: None,
        clock: When::new(review.due_at, now),
        clock_word: text::DUE,
        is_late: review.due_at < now,
        is_overdue: review.due_at <= now,
        deed: text::ANSWER,
        to: Address::new("/reviews").below(&review.id.to_string()),
    }
}

fn ends(view: &IdentityView, names: &Names, now: Timestamp) -> Option<Item> {
    let end = view.record.charter.expires_at.filter(|end| end.since(now) < SOON)?;
    let to = Address::new("/identities").below(&view.record.id.to_string());
    Some(Item {
        what: Named { name: view.record.name.clone(), ..Named::of(view.record.id, names) },
        lesser: view.record.charter.purpose.clone().unwrap_or_default(),
        mark: None,
        clock: When::new(end, now),
        clock_word: text::ENDS,
        is_late: end.since(now) < Span::from_days(1),
        is_overdue: end <= now,
        deed: text::RENEW,
        to: to.verb("renew"),
    })
}

fn finding(view: &FindingView, names: &Names, now: Timestamp) -> Item {
    let finding = &view.record;
    let title = view.explanation.as_ref().map_or_else(|| text::plain(&finding.rule), |rule| rule.title.clone());
    Item {
        what: Named { name: title, ..Named::of(finding.id, names) },
        lesser: Named::of(&finding.subject, names).name,
        mark: Some(finding.severity.into()),
        clock: When::new(finding.opened_at, now),
        clock_word: text::SINCE,
        is_late: false,
        is_overdue: false,
        deed: text::LOOK,
        to: Address::new("/findings").below(&finding.id.to_string()),
    }
}

fn receipt(view: &ReceiptView, names: &Names, now: Timestamp) -> Item {
    let receipt = &view.receipt;
    Item {
        what: stop::revoked(receipt, names),
        lesser: text::reason(&receipt.reason),
        mark: Some(stop::state(view.state)),
        clock: When::new(receipt.asked_at, now),
        clock_word: text::ASKED,
        is_late: false,
        is_overdue: false,
        deed: text::LOOK,
        to: Address::new("/receipts").below(&receipt.id.to_string()),
    }
}

/// Active identities to active people.
fn ratio(census: &Census) -> String {
    let active: u64 = census.active_by_kind.values().sum();
    match census.people {
        0 => String::new(),
        _ if active == 0 => String::new(),
        people => text::ratio(active, people),
    }
}

/// What isn't there yet.
#[derive(Template)]
#[template(path = "later.html")]
pub struct LaterPage {
    /// The frame.
    pub frame: Frame,
}
