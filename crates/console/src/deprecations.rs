//! Deprecations: what goes on a day, and who still uses it.

use tenure_api::views::{Names, Page, Revised};
use tenure_core::inventory::deprecation::{Deprecation, DeprecationState};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, View, listed};
use crate::records::Named;
use crate::sheet::{Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::sheet_page;
use crate::when::When;

const STATES: [DeprecationState; 3] =
    [DeprecationState::Announced, DeprecationState::Past, DeprecationState::Withdrawn];

fn state(state: DeprecationState) -> State {
    let shape = match state {
        DeprecationState::Announced => Shape::Warn,
        DeprecationState::Past => Shape::Bad,
        DeprecationState::Withdrawn => Shape::Over,
    };
    State::new(shape, state.as_str())
}

/// The page of a deprecation.
pub(crate) fn deprecation_address(of: &str) -> Address {
    Address::new("/deprecations").below(of)
}

/// The list of deprecations.
pub fn deprecations(frame: Frame, address: Address, page: Page<Revised<Deprecation>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("What"),
                Column::new("State"),
                Column::new("Sunset"),
                Column::new("Callers"),
                Column::new("Why"),
            ]
        },
        views: const {
            &[
                View { name: "Announced", parameters: &[("state", "announced")] },
                View { name: "Past", parameters: &[("state", "past")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(DeprecationState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_DEPRECATIONS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let deprecation = &row.record;
        let of = deprecation.of.to_string();
        let record = Named { to: Some(deprecation_address(&of)), ..Named::of(&of, names) };
        vec![
            Cell::Record { record, lesser: deprecation.of.kind().to_owned() },
            Cell::State(state(deprecation.state)),
            Cell::Time(When::new(deprecation.sunset, now)),
            Cell::Number(deprecation.callers.len() as u64),
            Cell::Text(deprecation.reason.clone()),
        ]
    })
}

/// A deprecation, and who still uses what is deprecated.
pub fn deprecation(frame: Frame, view: &Revised<Deprecation>, names: &Names) -> SheetPage {
    let now = frame.now;
    let deprecation = &view.record;
    let mut sheet =
        Sheet { state: Some(state(deprecation.state)), lead: deprecation.reason.clone(), ..Sheet::default() };
    sheet.fact(text::ABOUT, [Cell::Named(Named::of(deprecation.of, names))]);
    sheet.fact(text::DEPRECATED_SINCE, [Cell::Time(When::new(deprecation.deprecated_since, now))]);
    sheet.fact(text::SUNSET, [Cell::Time(When::new(deprecation.sunset, now))]);
    sheet.fact(text::INSTEAD, deprecation.instead.clone().map(Cell::Text));
    sheet.fact(text::PROPOSED_BY, [Cell::Named(Named::of(deprecation.declared_by, names))]);
    if deprecation.other_uses > 0 {
        sheet.fact(text::OTHER_USES, [Cell::Number(deprecation.other_uses)]);
    }
    let mut callers: Vec<_> = deprecation.callers.iter().collect();
    callers.sort_by_key(|caller| std::cmp::Reverse(caller.last_at));
    let rows = callers.into_iter().map(|caller| {
        vec![
            Cell::Named(Named::of(&caller.caller, names)),
            Cell::Number(caller.uses),
            Cell::Time(When::new(caller.first_at, now)),
            Cell::Time(When::new(caller.last_at, now)),
        ]
    });
    let columns = ["Caller", "Uses", "First", "Last"];
    sheet.tables.push(Table::new(text::WHO_STILL_USES_IT, &columns, rows.collect()));
    let title = Named::of(deprecation.of, names).name;
    sheet_page(frame, title, ("/deprecations?state=announced", text::DEPRECATIONS), sheet)
}
