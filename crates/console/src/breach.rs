//! A vendor's breach: declared, what a stop of the vendor would stop, what came of it, and that it is over.

use tenure_api::views::{IdentityView, Names, Page};
use tenure_core::finding::Finding;
use tenure_core::identity::IdentityState;
use tenure_core::inventory::third_party::Vendor;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::{Typed, sheet_page};
use crate::when::When;

/// What there is to be seen of a breach.
pub struct Seen {
    /// The first identities that the vendor operates, and how many there are.
    pub operated: Page<IdentityView>,
    /// The open findings of them, where whoever reads may read findings.
    pub findings: Option<Vec<Finding>>,
}

/// The way from a vendor to its breach.
pub(crate) fn way(vendor: &Vendor) -> Way {
    let to = Address::new("/vendors").below(&vendor.id.to_string()).verb("breach");
    let word = if vendor.breach.is_some() { text::ITS_BREACH } else { text::DECLARE_BREACH };
    Way { word, to, class: "" }
}

/// The page.
pub fn breach(frame: Frame, vendor: &Vendor, seen: &Seen, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let home = Address::new("/vendors").below(&vendor.id.to_string());
    let mut sheet = Sheet::default();
    let button = match &vendor.breach {
        Some(breach) => {
            sheet.state = Some(State::new(Shape::Bad, text::BREACHED_VENDOR));
            sheet.lead = breach.reason.clone();
            sheet.fact(text::DECLARED_BY, [Cell::Named(Named::of(breach.declared_by, names))]);
            sheet.fact(text::DECLARED_AT, [Cell::Time(When::new(breach.at, now))]);
            Button { decision: "over", word: text::BREACH_OVER, class: "main" }
        }
        None => {
            sheet.lead = text::DECLARE_BREACH_LEAD.to_owned();
            Button { decision: "declare", word: text::DECLARE_BREACH, class: "danger" }
        }
    };
    let works = seen.operated.items.iter().filter(|view| view.record.state == IdentityState::Active).count();
    let count = seen.operated.count.unwrap_or(seen.operated.items.len() as u64);
    sheet.fact(text::WHAT_IT_OPERATES, [Cell::Text(text::operated(count, works, seen.operated.items.len()))]);
    sheet.ways.push(Way {
        word: text::STOP_ALL_OF_IT,
        to: Address::new("/stop").verb("vendor").below(&vendor.id.to_string()),
        class: "danger",
    });
    let rows = seen.operated.items.iter().map(|view| {
        let identity = &view.record;
        let found = seen.findings.iter().flatten().find(|finding| finding.subject == identity.id.to_string());
        vec![
            Cell::Named(Named::of(identity.id, names)),
            Cell::State(identity.state.into()),
            Cell::of(identity.charter.owner.map(|owner| Named::of(owner, names).name)),
            match found {
                Some(finding) => {
                    Cell::Named(Named { name: text::ITS_FINDING.to_owned(), ..Named::of(finding.id, names) })
                }
                None => Cell::Text(String::new()),
            },
        ]
    });
    let columns = ["Identity", "State", "Owner", "Finding"];
    sheet.tables.push(Table::new(text::WHAT_IT_OPERATES, &columns, rows.collect()));
    sheet.form = Some(Form {
        action: home.clone().verb("breach"),
        wrong: typed.wrong,
        fields: vec![Field::reason(typed.comment)],
        buttons: vec![button],
        takes_fresh: vendor.breach.is_some(),
    });
    sheet_page(frame, text::breach_of(&vendor.name), (&home.to_string(), &vendor.name), sheet)
}
