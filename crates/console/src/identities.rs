//! The inventory: every identity that somebody may see.

use tenure_api::views::{IdentityView, Names, Page};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{IdentityState, Kind};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, End, ListPage, Parts, View, csv};
use crate::records::Named;
use crate::state::State;
use crate::text;
use crate::when::When;

const COLUMNS: &[Column] = &[
    Column::sorted("Name", "name"),
    Column::new("Kind"),
    Column::new("State"),
    Column::new("Owner"),
    Column::new("Environment"),
    Column::sorted("Risk", "risk"),
    Column::sorted("Ends", "end"),
    Column::sorted("Last used", "last_use"),
];

const VIEWS: &[View] = &[
    View { name: "All", parameters: &[] },
    View { name: "Active", parameters: &[("state", "active")] },
    View { name: "Suspended", parameters: &[("state", "suspended")] },
    View { name: "Waiting for approval", parameters: &[("state", "pending")] },
    View { name: "Ending first", parameters: &[("state", "active"), ("sort", "end")] },
    View { name: "Longest unused", parameters: &[("state", "active"), ("sort", "last_use")] },
    View { name: "Riskiest", parameters: &[("state", "active"), ("sort", "-risk")] },
    View { name: "Shared", parameters: &[("shared", "true")] },
];

/// The page of the inventory.
pub fn page(frame: Frame, address: Address, page: Page<IdentityView>, names: &Names) -> ListPage {
    let now = frame.now;
    let parts = Parts {
        export: Some(
            Address::new("/identities.csv").of(address.clone().without("after").without("limit").parameters().to_vec()),
        ),
        address,
        make: Some((text::REGISTER, Address::new("/identities/new"))),
        intro: "",
        columns: COLUMNS,
        views: VIEWS,
        choices: vec![
            Choice {
                name: "state",
                label: "State",
                words: IdentityState::ALL.iter().map(|state| state.as_str()).collect(),
            },
            Choice { name: "kind", label: "Kind", words: Kind::ALL.iter().map(|kind| kind.as_str()).collect() },
        ],
        is_searched: true,
        called: names.iter().map(|(id, name)| (id.clone(), name.clone())).collect(),
        empty: text::NO_IDENTITIES,
    };
    let end = End { next: page.next, count: page.count, unreadable: page.unreadable };
    let rows = page.items.iter().map(|view| row(view, names, now)).collect();
    ListPage::new(frame, parts, rows, end)
}

fn row(view: &IdentityView, names: &Names, now: Timestamp) -> Vec<Cell> {
    let identity = &view.record;
    let charter = &identity.charter;
    vec![
        Cell::Record {
            record: Named { name: identity.name.clone(), ..Named::of(identity.id, names) },
            lesser: charter.purpose.clone().unwrap_or_default(),
        },
        Cell::Text(text::plain(identity.kind.as_str())),
        Cell::State(state(view)),
        Cell::of(charter.owner.map(|owner| Named::of(owner, names))),
        Cell::of(charter.environment.clone()),
        Cell::State(identity.tier.into()),
        Cell::of(charter.expires_at.map(|end| When::new(end, now))),
        Cell::of(view.last_used.map(|used| When::new(used, now))),
    ]
}

/// Where an identity stands: on hold it doesn't work, though it be active.
pub fn state(view: &IdentityView) -> State {
    match view.record.state {
        IdentityState::Active if !view.holds.is_empty() => State::new(crate::state::Shape::Bad, text::ON_HOLD),
        state => state.into(),
    }
}

/// The head of the file that the inventory is exported to.
pub const CSV_HEAD: [&str; 11] =
    ["name", "kind", "state", "owner", "environment", "application", "risk", "ends", "last_used", "purpose", "id"];

/// Identities as lines of that file.
pub fn csv_lines(items: &[IdentityView], names: &Names) -> String {
    let named = |id: Option<String>| id.map(|id| names.get(&id).cloned().unwrap_or(id)).unwrap_or_default();
    csv(items.iter().map(|view| {
        let identity = &view.record;
        let charter = &identity.charter;
        vec![
            identity.name.clone(),
            identity.kind.as_str().to_owned(),
            identity.state.as_str().to_owned(),
            named(charter.owner.map(|owner| owner.to_string())),
            charter.environment.clone().unwrap_or_default(),
            named(charter.application.map(|application| application.to_string())),
            identity.tier.as_str().to_owned(),
            charter.expires_at.map(|end| end.to_string()).unwrap_or_default(),
            view.last_used.map(|used| used.to_string()).unwrap_or_default(),
            charter.purpose.clone().unwrap_or_default(),
            identity.id.to_string(),
        ]
    }))
}
