//! Break-glass of machines: the list, the page of each with what was found afterwards, and the form that starts one.

use tenure_api::views::{IdentityView, Names, Page, Revised};
use tenure_core::request::break_glass::{BreakGlass, BreakGlassState};

use crate::address::Address;
use crate::frame::Frame;
use crate::identity::scope_line;
use crate::list::{Cell, Choice, Column, ListPage, Look, View, listed};
use crate::problem::Wrong;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::{Typed, sheet_page};
use crate::when::{self, When};

const STATES: [BreakGlassState; 3] =
    [BreakGlassState::Unreviewed, BreakGlassState::Justified, BreakGlassState::Unjustified];
const SPANS: &[&str] = &["15m", "30m", "1h"];

/// What was typed of one that is to be started.
#[derive(Default)]
pub struct Starting {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// What it may do, and on what: `read res_…`.
    pub what: String,
    /// For how long.
    pub duration: String,
    /// Why now.
    pub reason: String,
}

fn state(state: BreakGlassState) -> State {
    let shape = match state {
        BreakGlassState::Unreviewed => Shape::Warn,
        BreakGlassState::Justified => Shape::Good,
        BreakGlassState::Unjustified => Shape::Bad,
    };
    State::new(shape, state.as_str())
}

fn address(glass: &BreakGlass) -> Address {
    Address::new("/break-glass").below(&glass.id.to_string())
}

/// The list.
pub fn list(frame: Frame, place: Address, page: Page<Revised<BreakGlass>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("Identity"),
                Column::new("State"),
                Column::new("Started by"),
                Column::new("Started"),
                Column::new("Ends"),
                Column::new("Look at it until"),
            ]
        },
        views: const {
            &[
                View { name: "To be looked at", parameters: &[("state", "unreviewed")] },
                View { name: "Not justified", parameters: &[("state", "unjustified")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(BreakGlassState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_GLASS,
        make: None,
    };
    listed(frame, place, page, names, look, |row, now| {
        let glass = &row.record;
        let name = Named::of(glass.identity, names).name;
        vec![
            Cell::Record {
                record: Named { name, to: Some(address(glass)), ..Named::of(glass.id, names) },
                lesser: glass.reason.clone(),
            },
            Cell::State(state(glass.state)),
            Cell::Named(Named::of(glass.started_by, names)),
            Cell::Time(When::new(glass.started_at, now)),
            Cell::Time(When::new(glass.ends_at, now)),
            Cell::Time(When::new(glass.review_by, now)),
        ]
    })
}

/// One of them, and the form by which somebody who didn't start it says what was found.
pub fn one(frame: Frame, view: &Revised<BreakGlass>, names: &Names, is_starter: bool, typed: Typed) -> SheetPage {
    let now = frame.now;
    let glass = &view.record;
    let mut sheet = Sheet { state: Some(state(glass.state)), lead: glass.reason.clone(), ..Sheet::default() };
    sheet.fact(text::ABOUT, [Cell::Named(Named::of(glass.identity, names))]);
    sheet.fact(text::MAY_DO, [Cell::Text(scope_line(&glass.entitlement, names))]);
    sheet.fact(text::STARTED_BY, [Cell::Named(Named::of(glass.started_by, names))]);
    sheet.fact(text::STARTS, [Cell::Time(When::new(glass.started_at, now))]);
    sheet.fact(text::ENDS_AT, [Cell::Time(When::new(glass.ends_at, now))]);
    let exception = Named { name: text::THE_EXCEPTION.to_owned(), ..Named::of(glass.exception, names) };
    sheet.fact(text::APPROVED_BEFORE, [Cell::Named(exception)]);
    sheet.fact(text::LOOK_UNTIL, [Cell::Time(When::new(glass.review_by, now))]);
    match &glass.review {
        Some(review) => {
            let by = Named::of(review.by, names).name;
            sheet.fact(
                text::WHAT_WAS_FOUND,
                [Cell::Text(format!("{} ({by}, {})", review.note, when::exact(review.at)))],
            );
        }
        None if is_starter => sheet.fact(text::WHAT_WAS_FOUND, [Cell::Text(text::SOMEBODY_ELSE_LOOKS.to_owned())]),
        None => {
            let note = Field::Lines {
                name: "comment",
                label: text::WHAT_WAS_FOUND,
                hint: text::REASON_HINT,
                value: typed.comment,
                required: true,
            };
            sheet.form = Some(Form {
                action: address(glass),
                wrong: typed.wrong,
                fields: vec![note],
                buttons: vec![
                    Button { decision: "justified", word: text::JUSTIFIED, class: "main" },
                    Button { decision: "unjustified", word: text::UNJUSTIFIED, class: "danger" },
                ],
                takes_fresh: true,
            });
        }
    }
    let title = text::glass_of(&Named::of(glass.identity, names).name);
    sheet_page(frame, title, ("/break-glass?state=unreviewed", text::BREAK_GLASS), sheet)
}

/// The form that starts one.
pub fn starting(frame: Frame, view: &IdentityView, names: &Names, typed: Starting) -> SheetPage {
    let identity = &view.record;
    let here = Address::new("/identities").below(&identity.id.to_string());
    let mut sheet = Sheet { lead: text::START_GLASS_LEAD.to_owned(), ..Sheet::default() };
    let choices =
        identity.charter.scope.iter().filter(|entitlement| !entitlement.is_wildcard()).flat_map(|entitlement| {
            entitlement.actions.iter().map(|action| {
                let resource = &entitlement.resource;
                let reads = format!("{action} on {}", names.get(resource).unwrap_or(resource));
                (format!("{action} {resource}"), reads)
            })
        });
    sheet.form = Some(Form {
        action: here.clone().verb("break-glass"),
        wrong: typed.wrong,
        fields: vec![
            Field::Pick { name: "what", label: text::MAY_DO, choices: choices.collect() },
            Field::select("duration", text::FOR_HOW_LONG, SPANS, &typed.duration),
            Field::reason(typed.reason),
        ],
        buttons: vec![Button::only(text::START_GLASS, true)],
        takes_fresh: true,
    });
    sheet_page(frame, text::glass_of(&identity.name), (&here.to_string(), &identity.name), sheet)
}
