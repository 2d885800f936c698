//! Stop: finds anything by any name, says what stops with it, and shows the proof line by line.

use askama::Template;
use tenure_api::views::{Names, ReceiptView};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{
    AccountOutcome, AccountPoint, PersonHeld, PersonOutcome, PersonPoint, PointState, Receipt, ReceiptState, Target,
};
use tenure_core::identity::scope::Scope;
use tenure_core::store::event::Actor;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Column, End, ListPage, Parts};
use crate::markup::{Markup, filters};
use crate::records::Named;
use crate::state::{Shape, State};
use crate::targets;
use crate::text;
use crate::when::When;

/// Something that can be stopped.
pub struct Found {
    /// What.
    pub name: String,
    /// What it is: `identity`, `application`.
    pub kind: &'static str,
    /// What tells it from others.
    pub lesser: String,
    /// The page on which it is stopped.
    pub to: Address,
}

/// The page that finds what is to be stopped.
#[derive(Template)]
#[template(path = "stop.html")]
pub struct StopPage {
    /// The frame.
    pub frame: Frame,
    /// What was looked for.
    pub words: String,
    /// What was found.
    pub found: Vec<Found>,
    /// Whether the index of records is being made, so that not all could be looked through.
    pub is_partial: bool,
}

/// Where the hold on a scope is released.
pub(crate) fn released_at(scope: &Scope) -> Address {
    Address::new("/holds").verb("release").with("kind", scope.kind()).with("id", scope.subject())
}

/// What was revoked, by name.
fn target(target: &Target, names: &Names) -> (&'static str, Named) {
    match target {
        Target::Credential(id) => ("credential", Named { name: text::A_CREDENTIAL.to_owned(), ..Named::of(id, names) }),
        Target::Scope(scope) => (scope.kind(), Named::of(scope.subject(), names)),
        Target::Person(id) => ("person", Named::of(id, names)),
    }
}

/// Where a receipt stands.
pub(crate) fn state(state: ReceiptState) -> State {
    let shape = match state {
        ReceiptState::RefusedVerified | ReceiptState::NothingToRefuse => Shape::Good,
        ReceiptState::Requested => Shape::Wait,
        ReceiptState::Lifted => Shape::Over,
        ReceiptState::Refused
        | ReceiptState::CannotRevoke
        | ReceiptState::EndedReadBack
        | ReceiptState::NarrowedReadBack
        | ReceiptState::AttestedGone
        | ReceiptState::Unreachable => Shape::Warn,
        ReceiptState::Unproven => Shape::Bad,
    };
    State::new(shape, text::receipt(state))
}

/// A receipt by what was revoked.
pub(crate) fn revoked(receipt: &Receipt, names: &Names) -> Named {
    let (kind, named) = target(&receipt.target, names);
    Named { name: format!("{} {}", text::sentence(&text::plain(kind)), named.name), ..Named::of(receipt.id, names) }
}

const COLUMNS: &[Column] =
    &[Column::new("What"), Column::new("Was"), Column::new("Proof"), Column::new("Asked"), Column::new("Points")];

/// The page of the list of receipts.
pub fn receipts_page(frame: Frame, address: Address, receipts: &[Receipt], end: End, names: &Names) -> ListPage {
    let now = frame.now;
    let row = |receipt: &Receipt| {
        vec![
            Cell::Record { record: revoked(receipt, names), lesser: text::reason(&receipt.reason) },
            Cell::Text(text::receipt_of(receipt.what).to_lowercase()),
            Cell::State(state(receipt.state())),
            Cell::Time(When::new(receipt.asked_at, now)),
            Cell::Number(receipt.points.len() as u64 + receipt.person.as_ref().map_or(0, |person| person.count.into())),
        ]
    };
    let rows = receipts.iter().map(row).collect();
    let is_last = address.parameters().is_empty();
    let parts = Parts {
        address,
        make: None,
        intro: if is_last { text::LAST_RECEIPTS } else { "" },
        columns: COLUMNS,
        views: &[],
        choices: Vec::new(),
        is_searched: false,
        called: names.iter().map(|(id, name)| (id.clone(), name.clone())).collect(),
        export: None,
        empty: text::NO_RECEIPTS,
    };
    ListPage::new(frame, parts, rows, end)
}

/// What was dropped at one place that a proof names.
const DROPPED: usize = 40;

/// A line of a proof.
struct Line {
    where_: Named,
    state: State,
    said: String,
    remark: &'static str,
    at: Option<When>,
    control: bool,
}

/// A receipt as a page.
#[derive(Template)]
#[template(path = "receipt.html")]
pub struct ReceiptPage {
    frame: Frame,
    proof: Proof,
}

impl ReceiptPage {
    /// The page of a receipt; the title says what was stopped.
    pub fn new(frame: Frame, proof: Proof) -> Self {
        Self { frame: Frame { title: proof.title(), ..frame }, proof }
    }
}

/// What was stopped, on the page that it was stopped on.
#[derive(Template)]
#[template(path = "stopped.html")]
pub struct StoppedPage {
    frame: Frame,
    proof: Proof,
}

impl StoppedPage {
    /// The page of what a receipt proves.
    pub fn new(frame: Frame, proof: Proof) -> Self {
        Self { frame: Frame { title: proof.title(), ..frame }, proof }
    }
}

/// The proof of a revocation, point by point: what a receipt's page shows, and is told of while it comes in.
#[derive(Template)]
#[template(path = "proof.html")]
pub struct Proof {
    kind: String,
    stopped: &'static str,
    dropped: Vec<String>,
    what: Named,
    state: State,
    reason: String,
    by: Option<Named>,
    asked: When,
    in_force: When,
    took: String,
    lines: Vec<Line>,
    /// What could come back, in a sentence, and the first of it; nothing before that was looked at.
    returning: Option<(String, Vec<Named>)>,
    is_done: bool,
    is_signed: bool,
    position: Option<u64>,
    id: String,
}

impl Markup for Proof {}

impl Proof {
    /// The proof of a receipt.
    pub fn new(view: ReceiptView, names: &Names, now: Timestamp) -> Self {
        let (kind, what) = target(&view.receipt.target, names);
        let receipt = &view.receipt;
        let micros = receipt.in_force_at.since(receipt.asked_at).as_micros();
        Self {
            kind: text::plain(kind),
            stopped: text::receipt_of(receipt.what),
            dropped: receipt
                .narrowed
                .iter()
                .flat_map(|narrowed| narrowed.dropped.iter().take(DROPPED).cloned())
                .collect(),
            state: state(view.state),
            reason: text::reason(&receipt.reason),
            by: match &receipt.requested_by {
                Actor::Person { id, .. } => Some(Named::of(id, names)),
                Actor::Identity { id } => Some(Named::of(id, names)),
                _ => None,
            },
            asked: When::new(receipt.asked_at, now),
            in_force: When::new(receipt.in_force_at, now),
            took: format!("{}.{:03} s", micros / 1_000_000, micros.rem_euclid(1_000_000) / 1_000),
            lines: receipt
                .points
                .iter()
                .map(|point| line(Named::of(point.resource, names), &point.outcome, now))
                .chain(
                    receipt
                        .accounts
                        .iter()
                        .flat_map(|accounts| &accounts.first)
                        .map(|point| account(point, names, now)),
                )
                .chain(receipt.person.iter().flat_map(|person| &person.first).map(|point| theirs(point, names, now)))
                .collect(),
            returning: receipt.returning.as_ref().map(|returning| {
                let named = returning.identities.iter().map(|id| Named::of(id, names));
                let said = match (returning.count, &receipt.target) {
                    (count, Target::Person(_)) => text::goes_on(count),
                    (0, _) => text::NOTHING_RETURNS.to_owned(),
                    (count, _) => text::comes_back(count),
                };
                (said, named.collect())
            }),
            is_done: !matches!(
                view.state,
                ReceiptState::Requested | ReceiptState::Unproven | ReceiptState::Unreachable
            ),
            is_signed: receipt.signed.is_some(),
            position: receipt.position.map(|position| position.index),
            id: receipt.id.to_string(),
            what,
        }
    }

    /// Whether every point has answered.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    fn title(&self) -> String {
        format!("{}: {}", self.stopped, self.what.name)
    }

    /// Its own page.
    fn home(&self) -> Address {
        Address::new("/receipts").below(&self.id)
    }

    /// Where it is told as it comes in.
    fn live(&self) -> Address {
        self.home().verb("live")
    }
}

/// An account at a target that had to be stopped or ended.
fn account(point: &AccountPoint, names: &Names, now: Timestamp) -> Line {
    let (state, said, at) = targets::outcome(&point.outcome);
    let target = Named::of(point.target, names).name;
    // A login made just in time has no page of its own: that of its target says what is there.
    let named = match point.login {
        Some(_) => Named::of(point.target, names),
        None => Named::of(point.account, names),
    };
    let where_ = Named { name: format!("{} at {target}", point.name), ..named };
    let control = matches!(point.outcome, AccountOutcome::RefusedVerified { .. });
    let remark = if matches!(point.outcome, AccountOutcome::Refused { .. }) { text::NO_CONTROL } else { "" };
    Line { where_, state, said, remark, at: at.map(|at| When::new(at, now)), control }
}

/// What a person had: it has no page of its own, its resource has.
fn theirs(point: &PersonPoint, names: &Names, now: Timestamp) -> Line {
    let what = match point.held {
        PersonHeld::Session(_) => text::A_SESSION,
        PersonHeld::OperatorToken(_) => text::AN_OPERATOR_TOKEN,
        PersonHeld::Grant(_) => text::GRANT_OF_THEIRS,
    };
    let where_ = match point.resource.map(|resource| Named::of(resource, names)) {
        Some(resource) => Named { name: format!("{what} at {}", resource.name), ..resource },
        None => Named { name: what.to_owned(), id: point.held.to_string(), to: None },
    };
    let (state, said, remark, at, control) = match &point.outcome {
        PersonOutcome::Refused { at, reason, control } => {
            let shape = if control.is_some() { Shape::Good } else { Shape::Warn };
            let remark = if control.is_some() { "" } else { text::NO_CONTROL };
            (State::new(shape, text::REFUSED), text::plain(reason), remark, *at, control.is_some())
        }
        PersonOutcome::DecidedElsewhere { at } => {
            (State::new(Shape::Warn, text::UNPROVEN), text::DECIDES_BY_ITSELF.to_owned(), "", *at, false)
        }
        PersonOutcome::Unproven { at, why } => (State::new(Shape::Bad, text::UNPROVEN), why.clone(), "", *at, false),
    };
    Line { where_, state, said, remark, at: Some(When::new(at, now)), control }
}

fn line(where_: Named, outcome: &PointState, now: Timestamp) -> Line {
    let (state, said, at, control) = match outcome {
        PointState::Requested => (State::new(Shape::Wait, text::ASKED), text::NOT_ANSWERED.to_owned(), None, false),
        PointState::Refused { at, reason, control, .. } => {
            let shape = if control.is_some() { Shape::Good } else { Shape::Warn };
            (State::new(shape, text::REFUSED), text::plain(reason), Some(*at), control.is_some())
        }
        PointState::AcceptedUntil { until } => {
            (State::new(Shape::Warn, text::ACCEPTED_UNTIL), text::CHECKS_BY_ITSELF.to_owned(), Some(*until), false)
        }
        PointState::NothingLive { at } => {
            (State::new(Shape::Good, text::NOTHING_LIVE), text::NOTHING_TO_REFUSE.to_owned(), Some(*at), false)
        }
        PointState::Unproven { at, why } => (State::new(Shape::Bad, text::UNPROVEN), why.clone(), Some(*at), false),
    };
    let remark = match outcome {
        PointState::Refused { control: None, .. } => text::NO_CONTROL,
        _ => "",
    };
    Line { where_, state, said, remark, at: at.map(|at| When::new(at, now)), control }
}
