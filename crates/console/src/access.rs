//! Exceptional access: what people hold for a while and until when, the packages that it comes in, and the list of what
//! lets somebody in besides the ordinary way (R106, R116).

use tenure_api::person_access::{PersonAccess, PersonAccessReport};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::exceptional::{Access, ExceptionalAccess};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person_grant::{Package, PersonGrant, PersonGrantState};
use tenure_core::store::event::Actor;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, View, listed};
use crate::problem::Kept;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::{Typed, sheet_page};
use crate::when::{self, When};

fn grant_state(state: PersonGrantState) -> State {
    let shape = match state {
        PersonGrantState::Scheduled => Shape::Wait,
        PersonGrantState::Live => Shape::Good,
        PersonGrantState::Expired | PersonGrantState::Revoked => Shape::Over,
    };
    State::new(shape, state.as_str())
}

fn entitled(entitlement: &Entitlement, names: &Names) -> String {
    format!("{} on {}", entitlement.actions.join(", "), Named::of(&entitlement.resource, names).name)
}

/// When its early review is due, if it waits for one.
fn review_due(grant: &PersonGrant, now: Timestamp) -> Cell {
    Cell::of((grant.needs_review() && !grant.state.is_terminal()).then(|| When::new(grant.review_by, now)))
}

/// The list of what people hold: who holds what until when, and what is to be looked at early.
pub fn person_grants(frame: Frame, address: Address, page: Page<Revised<PersonGrant>>, names: &Names) -> ListPage {
    const STATES: [PersonGrantState; 4] =
        [PersonGrantState::Scheduled, PersonGrantState::Live, PersonGrantState::Expired, PersonGrantState::Revoked];
    let look = Look {
        columns: const {
            &[
                Column::new("Who"),
                Column::new("May"),
                Column::new("State"),
                Column::new("Until"),
                Column::new("Early review by"),
                Column::new("Approved by"),
            ]
        },
        views: const {
            &[
                View { name: "In force", parameters: &[("state", "live")] },
                View { name: "Begins later", parameters: &[("state", "scheduled")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(PersonGrantState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_PERSON_GRANTS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let grant = &row.record;
        let approved: Vec<String> = grant.approved_by.iter().map(|by| Named::of(by, names).name).collect();
        vec![
            Cell::Record { record: holder(grant, names), lesser: grant.purpose.clone() },
            Cell::Text(entitled(&grant.entitlement, names)),
            Cell::State(grant_state(grant.state)),
            Cell::Time(When::new(grant.ends_at, now)),
            review_due(grant, now),
            Cell::Text(approved.join(", ")),
        ]
    })
}

/// Whose it is, leading to all that they hold.
fn holder(grant: &PersonGrant, names: &Names) -> Named {
    let person = Named::of(grant.person, names);
    Named { to: Some(held_at(&person.id)), ..person }
}

fn held_at(person: &str) -> Address {
    Address::new("/people").below(person).verb("access")
}

/// What a person holds, with who approved it, for which need, and what ends it (R46).
pub fn person_access(frame: Frame, report: &PersonAccessReport, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let person = Named::of(report.person, names);
    let mut sheet = Sheet { lead: text::HELD_LEAD.to_owned(), ..Sheet::default() };
    if report.access.is_empty() {
        sheet.fact(text::ACCESS, [Cell::Text(text::NONE.to_owned())]);
    }
    let row = |access: &PersonAccess| {
        let approved: Vec<String> = access.approved_by.iter().map(|by| Named::of(by, names).name).collect();
        let state = match access.live {
            true => State::new(Shape::Good, text::IN_FORCE),
            false => grant_state(access.state),
        };
        let request = Named { name: entitled(&access.entitlement, names), ..Named::of(access.request, names) };
        vec![
            Cell::Record { record: request, lesser: access.need.clone() },
            Cell::State(state),
            Cell::of(access.package.clone()),
            Cell::Time(When::new(access.until, now)),
            Cell::of(access.review_by.map(|by| When::new(by, now))),
            Cell::Text(approved.join(", ")),
            Cell::Text(access.ends.join("; ")),
        ]
    };
    let columns = &["May", "State", "Package", "Until", "Early review by", "Approved by", "What ends it"];
    sheet.tables.push(Table::new(text::ACCESS, columns, report.access.iter().map(row).collect()));
    let choices: Vec<(String, String)> =
        report.access.iter().map(|access| (access.grant.to_string(), entitled(&access.entitlement, names))).collect();
    if !choices.is_empty() {
        sheet.form = Some(Form {
            action: held_at(&person.id),
            wrong: typed.wrong,
            fields: vec![
                Field::Pick { name: "grant", label: text::TAKE_BACK_WHICH, choices },
                Field::reason(typed.comment),
            ],
            buttons: vec![Button::only(text::TAKE_BACK, true)],
            takes_fresh: false,
        });
    } else {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
    }
    let back = (format!("/people/{}", person.id), person.name.clone());
    sheet_page(frame, text::access_of(&person.name), (&back.0, &back.1), sheet)
}

/// The list of packages.
pub fn packages(frame: Frame, address: Address, page: Page<Revised<Package>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[Column::new("Package"), Column::new("At once"), Column::new("Later"), Column::new("For at most")]
        },
        views: &[],
        choices: Vec::new(),
        is_searched: false,
        empty: text::NO_PACKAGES,
        make: None,
    };
    listed(frame, address, page, names, look, |row, _| {
        let package = &row.record;
        let to = Some(Address::new("/packages").below(&package.name));
        vec![
            Cell::Record {
                record: Named { name: package.name.clone(), id: package.name.clone(), to },
                lesser: package.description.clone(),
            },
            Cell::Number(package.entitlements.len() as u64),
            Cell::Number(package.steps.iter().map(|step| step.entitlements.len() as u64).sum()),
            Cell::Text(when::span(package.max_duration)),
        ]
    })
}

/// A package: what it gives at once, and what it gives later.
pub fn package(frame: Frame, package: &Package, names: &Names) -> SheetPage {
    let now = frame.now;
    let mut sheet = Sheet { lead: package.description.clone(), ..Sheet::default() };
    sheet.fact(text::AT_MOST, [Cell::Text(when::span(package.max_duration))]);
    sheet.fact(text::MADE, [Cell::Time(When::new(package.created_at, now))]);
    let rows = package.parts().map(|(after, entitlement)| {
        let from = match after.as_secs() {
            0 => text::AT_ONCE.to_owned(),
            _ => text::after(&when::span(after)),
        };
        vec![
            Cell::Text(from),
            Cell::Text(entitlement.actions.join(", ")),
            Cell::Named(Named::of(&entitlement.resource, names)),
        ]
    });
    sheet.tables.push(Table::new(text::GIVES, &["From", "May", "On"], rows.collect()));
    sheet_page(frame, package.name.clone(), ("/packages", text::PACKAGES), sheet)
}

/// The list of exceptional access.
pub fn exceptional(frame: Frame, address: Address, page: Page<Revised<ExceptionalAccess>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("What"),
                Column::new("By"),
                Column::new("About"),
                Column::new("Allowed by"),
                Column::new("Refused"),
                Column::new("When"),
            ]
        },
        views: &[],
        choices: vec![Choice {
            name: "access",
            label: "What",
            words: Access::ALL.iter().map(|access| access.as_str()).collect(),
        }],
        is_searched: false,
        empty: text::NO_EXCEPTIONAL,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let access = &row.record;
        let by = match &access.actor {
            Actor::Person { id, .. } => Cell::Named(Named::of(id, names)),
            Actor::Identity { id } => Cell::Named(Named::of(id, names)),
            _ => Cell::Text(text::TENURE.to_owned()),
        };
        vec![
            Cell::Text(text::sentence(&text::plain(access.access.as_str()))),
            by,
            Cell::of(access.identity.map(|id| Named::of(id, names))),
            Cell::of(access.allowed_by.as_ref().map(|id| Named { name: text::allowed_by(id), ..Named::of(id, names) })),
            Cell::of(access.refused.as_ref().map(|code| text::plain(code))),
            Cell::Time(When::new(access.at, now)),
        ]
    })
}
