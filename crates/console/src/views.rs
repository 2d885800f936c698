//! Saved views of the inventory: the list of them, and the sheet of one's own.

use tenure_api::saved_views::SavedView;
use tenure_api::views::Names;
use tenure_core::base::id::{PersonId, TeamId};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::problem::Wrong;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage, Way};
use crate::text;
use crate::when::When;

/// Where a view is opened.
pub fn opened(view: &SavedView) -> Address {
    Address::new("/identities").of(crate::address::parameters(&view.query))
}

/// The page of every view that somebody sees.
pub fn list(frame: Frame, views: &[SavedView], reader: PersonId, names: &Names) -> SheetPage {
    let now = frame.now;
    let row = |view: &SavedView| {
        let id = view.id.to_string();
        let record = Named { name: view.name.clone(), id: id.clone(), to: Some(opened(view)) };
        let change = match view.person == reader {
            true => Cell::Named(Named { name: text::RENAME.to_owned(), to: Some(home(view)), id }),
            false => Cell::Nothing,
        };
        vec![
            Cell::Record { record, lesser: shown(view) },
            Cell::Named(Named::of(view.person, names)),
            Cell::of(view.team.map(|team| Named::of(team, names))),
            Cell::Time(When::new(view.saved_at, now)),
            change,
        ]
    };
    let columns = [text::NAME, text::WHOSE, text::SHARED_WITH, text::SAVED_AT, text::CHANGE_IT];
    let rows: Vec<_> = views.iter().map(row).collect();
    let lead = if rows.is_empty() { text::NO_VIEWS } else { text::VIEWS_LEAD };
    let tables = vec![Table::new("", &columns, rows)];
    let back = Some((Address::new("/identities"), text::IDENTITIES.to_owned()));
    SheetPage { frame, sheet: Sheet { back, lead: lead.to_owned(), tables, ..Sheet::default() } }
}

/// What was typed of a view, and what was wrong with it.
pub struct Typed {
    /// What it is to be called.
    pub name: String,
    /// The team that is to see it, as its id.
    pub team: String,
    /// What was wrong.
    pub wrong: Option<Wrong>,
}

/// The form of a view that isn't kept yet.
pub fn new(frame: Frame, query: String, typed: Typed) -> SheetPage {
    let form = Form {
        action: Address::new("/views"),
        wrong: typed.wrong,
        fields: vec![
            Field::line("name", text::NAME, text::VIEW_NAME_HINT, typed.name),
            Field::Hidden { name: "query", value: query },
        ],
        buttons: vec![Button::only(text::SAVE, false)],
        takes_fresh: false,
    };
    let back = Some((Address::new("/identities"), text::IDENTITIES.to_owned()));
    SheetPage { frame, sheet: Sheet { back, lead: text::VIEWS_LEAD.to_owned(), form: Some(form), ..Sheet::default() } }
}

/// One's own view, with the teams that it may be shared with.
pub fn one(frame: Frame, view: &SavedView, teams: &[TeamId], typed: Typed, names: &Names) -> SheetPage {
    let now = frame.now;
    let mut sheet = Sheet {
        back: Some((Address::new("/views"), text::VIEWS.to_owned())),
        ways: vec![Way { word: text::OPEN_VIEW, to: opened(view), class: "" }],
        ..Sheet::default()
    };
    sheet.fact(text::SHOWS, [Cell::Text(shown(view))]);
    sheet.fact(text::SAVED_AT, [Cell::Time(When::new(view.saved_at, now))]);
    let named = teams.iter().map(|team| (team.to_string(), Named::of(team, names).name));
    let mut choices: Vec<(String, String)> =
        std::iter::once((String::new(), text::NOBODY_ELSE.to_owned())).chain(named).collect();
    // What is chosen stands first.
    choices.sort_by_key(|(team, _)| *team != typed.team);
    let mut fields = vec![Field::line("name", text::NAME, text::VIEW_NAME_HINT, typed.name)];
    if choices.len() > 1 {
        fields.push(Field::Pick { name: "team", label: text::SHARED_WITH, choices });
    }
    let buttons = vec![
        Button { decision: "save", word: text::SAVE, class: "main" },
        Button { decision: "delete", word: text::DELETE, class: "danger" },
    ];
    sheet.form = Some(Form { action: home(view), wrong: typed.wrong, fields, buttons, takes_fresh: false });
    SheetPage { frame, sheet }
}

fn home(view: &SavedView) -> Address {
    Address::new("/views").below(&view.id.to_string())
}

/// What a view shows, as people read it.
fn shown(view: &SavedView) -> String {
    let parameters = crate::address::parameters(&view.query);
    let said = parameters.iter().map(|(name, value)| format!("{}: {value}", text::filter(name)));
    match parameters.is_empty() {
        true => text::ALL_OF_IT.to_owned(),
        false => said.collect::<Vec<_>>().join(" · "),
    }
}
