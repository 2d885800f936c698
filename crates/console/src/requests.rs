//! The list of requests.

use tenure_api::request::RequestView;
use tenure_api::views::{Names, Page};
use tenure_core::base::time::Timestamp;
use tenure_core::request::{Asker, Matter, Request, RequestState};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, End, ListPage, Parts, View};
use crate::records::Named;
use crate::text;
use crate::when::When;

const COLUMNS: &[Column] = &[
    Column::new("What"),
    Column::new("State"),
    Column::new("Asked by"),
    Column::new("Risk"),
    Column::new("Waits for"),
    Column::sorted("Asked", "id"),
    Column::new("Lapses"),
];

const VIEWS: &[View] = &[
    View { name: "Open", parameters: &[("state", "open")] },
    View { name: "All", parameters: &[] },
    View { name: "In force", parameters: &[("state", "fulfilled")] },
    View { name: "Denied", parameters: &[("state", "denied")] },
    View { name: "Lapsed", parameters: &[("state", "lapsed")] },
];

/// The page of the list.
pub fn page(frame: Frame, address: Address, page: Page<RequestView>, names: &Names) -> ListPage {
    let now = frame.now;
    let parts = Parts {
        address,
        make: None,
        intro: "",
        columns: COLUMNS,
        views: VIEWS,
        choices: vec![
            Choice {
                name: "state",
                label: "State",
                words: RequestState::ALL.iter().map(|state| state.as_str()).collect(),
            },
            Choice { name: "type", label: "About", words: Matter::NAMES.to_vec() },
        ],
        is_searched: false,
        called: names.iter().map(|(id, name)| (id.clone(), name.clone())).collect(),
        export: None,
        empty: text::NO_REQUESTS,
    };
    let rows = page.items.iter().map(|view| row(view, names, now)).collect();
    ListPage::new(frame, parts, rows, End { next: page.next, count: page.count, unreadable: page.unreadable })
}

/// The page of what waits for somebody's vote.
pub fn waiting(frame: Frame, address: Address, page: Page<RequestView>, names: &Names) -> ListPage {
    let now = frame.now;
    let parts = Parts {
        address,
        make: None,
        intro: "",
        columns: COLUMNS,
        views: &[],
        choices: Vec::new(),
        is_searched: false,
        called: Vec::new(),
        export: None,
        empty: text::NOTHING_WAITS,
    };
    let rows = page.items.iter().map(|view| row(view, names, now)).collect();
    ListPage::new(frame, parts, rows, End { next: page.next, count: page.count, unreadable: page.unreadable })
}

fn row(view: &RequestView, names: &Names, now: Timestamp) -> Vec<Cell> {
    let request = &view.request;
    let is_open = request.state == RequestState::Open;
    vec![
        Cell::Record { record: named(request, names), lesser: request.purpose.clone() },
        Cell::State(request.state.into()),
        Cell::Named(asker(request, names)),
        Cell::of(request.tier.map(crate::state::State::from)),
        Cell::of(Some(waits_for(view, names)).filter(|waits| is_open && !waits.is_empty())),
        Cell::Time(When::new(request.opened_at, now)),
        Cell::of(is_open.then(|| When::new(request.lapses_at, now))),
    ]
}

/// Who asks.
pub fn asker(request: &Request, names: &Names) -> Named {
    match request.requested_by {
        Asker::Person(id) => Named::of(id, names),
        Asker::Identity(id) => Named::of(id, names),
    }
}

/// A request by what it asks.
pub fn named(request: &Request, names: &Names) -> Named {
    Named { name: headline(&request.matter, names), ..Named::of(request.id, names) }
}

/// What is asked, in a few words.
pub fn headline(matter: &Matter, names: &Names) -> String {
    let name = |id: String| names.get(&id).cloned().unwrap_or(id);
    match matter {
        Matter::Activation { identity } => format!("{} becomes active", name(identity.to_string())),
        Matter::Access { identity, entitlement, .. } => {
            format!(
                "{} may {} on {}",
                name(identity.to_string()),
                entitlement.actions.join(", "),
                name(entitlement.resource.clone())
            )
        }
        Matter::Charter { identity, .. } => format!("Another charter of {}", name(identity.to_string())),
        Matter::Renewal { identity, .. } => format!("{} goes on", name(identity.to_string())),
        Matter::PersonAccess { person, package, .. } => match package {
            Some(package) => format!("{} gets the package {package}", name(person.to_string())),
            None => format!("Access of {}", name(person.to_string())),
        },
        Matter::Exception { .. } => "A control is waived".to_owned(),
        Matter::Roles { person, roles } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
            format!("Roles of {}: {roles}", name(person.to_string()))
        }
        Matter::Policy { .. } => "Another policy set".to_owned(),
        Matter::Template { template } => format!("The template {}", template.name),
        Matter::Inventory { change, .. } => format!("A wider {}: {}", change.noun(), name(change.id())),
    }
}

/// Whom it waits for: those by name, and the roles.
fn waits_for(view: &RequestView, names: &Names) -> String {
    let people = view.approvers.iter().map(|id| names.get(&id.to_string()).cloned().unwrap_or_else(|| id.to_string()));
    let roles = view.approver_roles.iter().map(|role| role.as_str().to_owned());
    people.chain(roles).collect::<Vec<_>>().join(", ")
}
