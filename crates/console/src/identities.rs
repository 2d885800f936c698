//! The inventory: every identity that somebody may see.

use tenure_api::saved_views::SavedView;
use tenure_api::views::{IdentityView, Names, Page};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{IdentityState, Kind, RiskTier};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{self, Bulk, Cell, Choice, Choosable, Column, End, ListPage, Parts, SavedViews, Table, View, csv};
use crate::records::Named;
use crate::several::DEEDS;
use crate::state::State;
use crate::text;
use crate::views;
use crate::when::When;

/// The columns that there are to choose from, by their words in the address, and whether each is shown if nobody says.
const COLUMNS: &[(&str, Column, bool)] = &[
    ("kind", Column::new("Kind"), true),
    ("state", Column::new("State"), true),
    ("owner", Column::new("Owner"), true),
    ("backup", Column::new("Backup owner"), false),
    ("application", Column::new("Application"), false),
    ("environment", Column::new("Environment"), true),
    ("vendor", Column::new("Vendor"), false),
    ("risk", Column::sorted("Risk", "risk"), true),
    ("ends", Column::sorted("Ends", "end"), true),
    ("last_used", Column::sorted("Last used", "last_use"), true),
    ("registered", Column::sorted("Registered", "id"), false),
];

/// The words of columns that an address names, in our order; those that are shown if it names none.
///
/// # Errors
/// One is no word of a column: what it takes.
pub fn columns(words: Option<&str>) -> Result<Vec<&'static str>, String> {
    let Some(words) = words else {
        return Ok(COLUMNS.iter().filter(|(_, _, shown)| *shown).map(|(word, ..)| *word).collect());
    };
    let given: Vec<&str> = words.split(',').collect();
    if given.iter().all(|given| COLUMNS.iter().any(|(word, ..)| word == given)) {
        return Ok(COLUMNS.iter().map(|(word, ..)| *word).filter(|word| given.contains(word)).collect());
    }
    let known: Vec<&str> = COLUMNS.iter().map(|(word, ..)| *word).collect();
    Err(format!("it takes words of these, parted by commas: {}", known.join(", ")))
}

const VIEWS: &[View] = &[
    View { name: "All", parameters: &[] },
    View { name: "Active", parameters: &[("state", "active")] },
    View { name: "Suspended", parameters: &[("state", "suspended")] },
    View { name: "Waiting for approval", parameters: &[("state", "pending")] },
    View { name: "Without an owner", parameters: &[("unowned", "true")] },
    View { name: "Ending first", parameters: &[("state", "active"), ("sort", "end")] },
    View { name: "Dormant first", parameters: &[("state", "active"), ("sort", "last_use")] },
    View { name: "Riskiest", parameters: &[("state", "active"), ("sort", "-risk")] },
    View { name: "Shared", parameters: &[("shared", "true")] },
];

/// The page of the inventory, with these columns.
pub fn page(
    frame: Frame,
    address: Address,
    shown: &[&'static str],
    page: Page<IdentityView>,
    names: &Names,
    saved: &[SavedView],
) -> ListPage {
    let now = frame.now;
    let picked = COLUMNS.iter().filter(|(word, ..)| shown.contains(word)).map(|(_, column, _)| *column);
    let columns: Vec<Column> =
        [Column::new(text::SELECT), Column::sorted("Name", "name")].into_iter().chain(picked).collect();
    let bare = address.clone().without("after").without("limit").without(list::COLUMNS);
    let looked_at = address.clone().without("after").without("limit").query();
    let saved = saved.iter().map(|view| (view.name.clone(), views::opened(view), view.query == looked_at)).collect();
    let parts = Parts {
        export: Some(Address::new("/identities.csv").of(bare.parameters().to_vec())),
        address,
        make: Some((text::REGISTER, Address::new("/identities/new"))),
        intro: text::NOTHING_DISCOVERED,
        columns: &columns,
        views: VIEWS,
        choices: vec![
            Choice {
                name: "state",
                label: "State",
                words: IdentityState::ALL.iter().map(|state| state.as_str()).collect(),
            },
            Choice { name: "kind", label: "Kind", words: Kind::ALL.iter().map(|kind| kind.as_str()).collect() },
            Choice { name: "tier", label: "Risk", words: RiskTier::ALL.iter().map(|tier| tier.as_str()).collect() },
        ],
        is_searched: true,
        called: names.iter().map(|(id, name)| (id.clone(), name.clone())).collect(),
        empty: text::NO_IDENTITIES,
    };
    let end = End { next: page.next, count: page.count, unreadable: page.unreadable };
    let rows = page.items.iter().map(|view| row(view, shown, names, now)).collect();
    let choosable =
        COLUMNS.iter().map(|(word, column, _)| Choosable { word, name: column.name(), chosen: shown.contains(word) });
    ListPage::new(frame, parts, rows, end)
        .for_several(Bulk { action: Address::new("/identities/several"), deeds: DEEDS })
        .choosing(choosable.collect())
        .keeping(SavedViews { views: saved, keep: Address::new("/views"), manage: Address::new("/views") })
}

fn row(view: &IdentityView, shown: &[&'static str], names: &Names, now: Timestamp) -> Vec<Cell> {
    let identity = &view.record;
    let charter = &identity.charter;
    let first = [
        Cell::Pick { id: identity.id.to_string(), name: identity.name.clone() },
        Cell::Record {
            record: Named { name: identity.name.clone(), ..Named::of(identity.id, names) },
            lesser: charter.purpose.clone().unwrap_or_default(),
        },
    ];
    let cell = |word: &&'static str| match *word {
        "kind" => Cell::Text(text::plain(identity.kind.as_str())),
        "state" => Cell::State(state(view)),
        "owner" => Cell::of(charter.owner.map(|owner| Named::of(owner, names))),
        "backup" => Cell::of(charter.backup_owner.map(|owner| Named::of(owner, names))),
        "application" => Cell::of(charter.application.map(|application| Named::of(application, names))),
        "environment" => Cell::of(charter.environment.clone()),
        "vendor" => Cell::of(charter.vendor.map(|vendor| Named::of(vendor, names))),
        "risk" => Cell::State(identity.tier.into()),
        "ends" => Cell::of(charter.expires_at.map(|end| When::new(end, now))),
        "last_used" => Cell::of(view.last_used.map(|used| When::new(used, now))),
        _ => Cell::Time(When::new(identity.created_at, now)),
    };
    first.into_iter().chain(shown.iter().map(cell)).collect()
}

/// Where an identity stands: on hold it doesn't work, though it be active.
pub fn state(view: &IdentityView) -> State {
    match view.record.state {
        IdentityState::Active if !view.holds.is_empty() => State::new(crate::state::Shape::Bad, text::ON_HOLD),
        state => state.into(),
    }
}

/// Identities that something takes with it, as a table.
pub fn identity_table(caption: String, items: &[IdentityView], names: &Names, now: Timestamp) -> Table {
    let row = |view: &IdentityView| {
        let charter = &view.record.charter;
        vec![
            Cell::Record {
                record: Named { name: view.record.name.clone(), ..Named::of(view.record.id, names) },
                lesser: charter.purpose.clone().unwrap_or_default(),
            },
            Cell::State(state(view)),
            Cell::of(charter.owner.map(|owner| Named::of(owner, names))),
            Cell::of(charter.application.map(|application| Named::of(application, names))),
            Cell::of(view.last_used.map(|used| When::new(used, now))),
        ]
    };
    Table::new(caption, &["Identity", "State", "Owner", "Application", "Last used"], items.iter().map(row).collect())
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
