//! Drift: what targets have and nobody approved, or lack; the list, and the page of each with its one decision.

use tenure_api::views::{Names, Page, Revised};
use tenure_core::target::drift::{Drift, DriftKind, DriftState};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, View, listed};
use crate::problem::{Kept, Wrong};
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::targets;
use crate::text;
use crate::watch;
use crate::when::When;

/// What was typed into the form of a difference.
#[derive(Default)]
pub struct Typed {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// The reason.
    pub reason: String,
    /// The day until which it is left alone.
    pub until: String,
}

/// The list of differences.
pub fn list(frame: Frame, address: Address, page: Page<Revised<Drift>>, names: &Names) -> ListPage {
    const STATES: [DriftState; 3] = [DriftState::Open, DriftState::Ignored, DriftState::Closed];
    let look = Look {
        columns: const {
            &[
                Column::new("Account"),
                Column::new("What"),
                Column::new("State"),
                Column::new("Identity"),
                Column::new("Target"),
                Column::new("Found"),
            ]
        },
        views: const {
            &[
                View { name: "Open", parameters: &[("state", "open")] },
                View { name: "Left alone", parameters: &[("state", "ignored")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![
            Choice { name: "state", label: "State", words: STATES.map(DriftState::as_str).to_vec() },
            Choice { name: "kind", label: "What", words: DriftKind::ALL.iter().map(|kind| kind.as_str()).collect() },
        ],
        is_searched: false,
        empty: text::NO_DRIFT,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let item = &row.record;
        vec![
            Cell::Record {
                record: Named { name: item.name.clone(), ..Named::of(item.id, names) },
                lesser: item.grants.first().cloned().unwrap_or_default(),
            },
            Cell::Text(text::plain(item.kind.as_str())),
            Cell::State(state(item)),
            Cell::Named(Named::of(item.identity, names)),
            Cell::Named(Named::of(item.target, names)),
            Cell::Time(When::new(item.found_at, now)),
        ]
    })
}

fn state(item: &Drift) -> State {
    let shape = match *item.state {
        DriftState::Open if item.kind == DriftKind::AccountMissing => Shape::Warn,
        DriftState::Open => Shape::Bad,
        DriftState::Ignored => Shape::Wait,
        DriftState::Closed => Shape::Over,
    };
    State::new(shape, item.state.as_str())
}

/// The page of a difference.
pub fn page(frame: Frame, view: &Revised<Drift>, names: &Names, typed: Typed) -> SheetPage {
    let (now, item) = (frame.now, &view.record);
    let mut sheet = Sheet { state: Some(state(item)), lead: text::DRIFT_LEAD.to_owned(), ..Sheet::default() };
    sheet.fact(text::ABOUT, [Cell::Named(Named { name: item.name.clone(), ..Named::of(item.account, names) })]);
    sheet.fact(text::BELONGS_TO, [Cell::Named(Named::of(item.identity, names))]);
    sheet.fact(text::TARGET, [Cell::Named(Named::of(item.target, names))]);
    let mut grants: Vec<Cell> = item.grants.iter().cloned().map(Cell::Text).collect();
    if item.more_grants > 0 {
        grants.push(Cell::Text(text::and_more(item.more_grants.into())));
    }
    sheet.fact(text::GAINED, grants);
    sheet.fact(text::FIXED_BY, [Cell::Text(item.kind.rule().action.to_owned())]);
    sheet.fact(text::FOUND, [Cell::Time(When::new(item.found_at, now))]);
    if let Some(decision) = &item.decision {
        let request = decision
            .request
            .map(|request| Cell::Named(Named { name: text::THE_REQUEST.to_owned(), ..Named::of(request, names) }));
        let cells = [
            Cell::Text(format!("{}: {}", text::plain(decision.choice.as_str()), decision.reason)),
            Cell::Named(Named::of(decision.by, names)),
            Cell::Time(When::new(decision.at, now)),
        ];
        sheet.fact(text::DECIDED, cells.into_iter().chain(request));
        sheet.fact(text::LEFT_ALONE_UNTIL, decision.until.map(|until| Cell::Time(When::new(until, now))));
    }
    if let Some(outcome) = &item.outcome {
        let (state, said, at) = targets::outcome(outcome);
        let at = at.map(|at| Cell::Time(When::new(at, now)));
        sheet.fact(text::WHAT_SHOWS_IT, [Cell::State(state), Cell::Text(said)].into_iter().chain(at));
    }
    if let Some(closed) = &item.closed {
        sheet.kept = Kept::of(typed.wrong, typed.reason);
        sheet.fact(text::CLOSED_BY, [Cell::Text(closed.how.clone()), Cell::Time(When::new(closed.at, now))]);
    } else {
        sheet.form = Some(form(item, typed));
    }
    watch::sheet_page(frame, text::plain(item.kind.as_str()), ("/drift?state=open", text::DRIFT), sheet)
}

fn form(item: &Drift, typed: Typed) -> Form {
    let button = |decision, word, class| Button { decision, word, class };
    let mut buttons = Vec::new();
    if item.kind != DriftKind::AccountMissing {
        buttons.push(button("fix", text::TAKE_AWAY, "danger"));
    }
    if item.kind.is_access() {
        buttons.push(button("accept", text::ASK_FOR_IT, ""));
    }
    buttons.push(button("ignore", text::LEAVE_ALONE, ""));
    let until = Field::Line {
        name: "until",
        label: text::LEFT_ALONE_UNTIL,
        hint: text::LEFT_ALONE_HINT,
        value: typed.until,
        kind: "date",
        required: false,
    };
    Form {
        action: Address::new("/drift").below(&item.id.to_string()),
        wrong: typed.wrong,
        fields: vec![Field::reason(typed.reason), until],
        buttons,
        takes_fresh: true,
    }
}
