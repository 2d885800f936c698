//! Lists: a table of records, what it is narrowed by, in which order, and where it goes on. All of that is its address.

use askama::Template;
use tenure_api::views::{Names, Page};
use tenure_core::base::time::Timestamp;

use crate::address::Address;
use crate::frame::Frame;
use crate::markup::{Markup, filters};
use crate::records::Named;
use crate::state::State;
use crate::text;
use crate::when::When;

/// A cell of a table.
#[derive(Debug, Clone, Template)]
#[template(path = "cell.html")]
pub enum Cell {
    /// Nothing: it isn't there.
    Nothing,
    /// A text.
    Text(String),
    /// The record of the row, with a line below its name.
    Record {
        /// Which.
        record: Named,
        /// What stands below it; nothing if it is empty.
        lesser: String,
    },
    /// A box by which the record of the row is chosen.
    Pick {
        /// Its id.
        id: String,
        /// What it is called.
        name: String,
    },
    /// A record.
    Named(Named),
    /// A time.
    Time(When),
    /// A state.
    State(State),
    /// A number.
    Number(u64),
}

impl Markup for Cell {}

impl Cell {
    /// What there is, or nothing.
    pub fn of<T: Into<Self>>(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }

    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Whether it is so short that no line is broken in it.
    fn is_short(&self) -> bool {
        const LETTERS: usize = 24;
        match self {
            Self::Text(text) | Self::Named(Named { name: text, .. }) => text.chars().nth(LETTERS).is_none(),
            _ => false,
        }
    }
}

macro_rules! cells {
    ($($of:ty => $variant:ident),*) => {$(impl From<$of> for Cell { fn from(value: $of) -> Self { Self::$variant(value) } })*};
}

cells! { String => Text, Named => Named, When => Time, State => State, u64 => Number }

/// A column: its name, and by what the list is sorted for it, if it can be.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    name: &'static str,
    order: Option<&'static str>,
}

impl Column {
    /// A column.
    pub const fn new(name: &'static str) -> Self {
        Self { name, order: None }
    }

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A column by which the list can be sorted, in the word of the API.
    pub const fn sorted(name: &'static str, order: &'static str) -> Self {
        Self { name, order: Some(order) }
    }
}

/// A head of a table.
struct Heading {
    name: &'static str,
    to: Option<Address>,
    sorted: &'static str,
}

/// A filter of a few words, as a choice.
pub struct Choice {
    /// The parameter.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// The words that it takes, those of the API.
    pub words: Vec<&'static str>,
}

/// A word of a choice.
struct Word {
    value: &'static str,
    text: String,
    chosen: bool,
}

/// A filter that is on and no choice shows, with the way to take it off.
struct Chip {
    text: String,
    without: Address,
}

/// A view that is often asked for.
pub struct View {
    /// How it is called.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// A table as it stands by itself.
#[derive(Template)]
#[template(path = "table.html")]
pub struct Table {
    caption: String,
    headings: Vec<Heading>,
    rows: Vec<Vec<Cell>>,
}

impl Markup for Table {}

impl Table {
    /// A table that stays in its order.
    pub fn new(caption: impl Into<String>, columns: &[&'static str], rows: Vec<Vec<Cell>>) -> Self {
        let headings = columns.iter().map(|name| Heading { name, to: None, sorted: "" }).collect();
        Self { caption: caption.into(), headings, rows }
    }

    /// Whether it has no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each row with the names of its columns.
    fn cells<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'static str, &'a Cell)> {
        self.headings.iter().map(|heading| heading.name).zip(row)
    }
}

/// What a list is made of, beside its rows.
pub struct Parts<'a> {
    /// Its address, as it was asked.
    pub address: Address,
    /// What it says of itself below its title.
    pub intro: &'static str,
    /// Its columns.
    pub columns: &'a [Column],
    /// Views that are often asked for.
    pub views: &'static [View],
    /// Its choices.
    pub choices: Vec<Choice>,
    /// Whether it is looked through by words.
    pub is_searched: bool,
    /// The parameters that are no filter of their own, with how each that is on reads: of a filter by an id the name.
    pub called: Vec<(String, String)>,
    /// Where one more is made, and what that is called.
    pub make: Option<(&'static str, Address)>,
    /// Where the same is had as a file.
    pub export: Option<Address>,
    /// What stands in the place of no rows.
    pub empty: &'static str,
}

/// What can be done with several records of a list: its rows have boxes.
pub struct Bulk {
    /// Where that is sent.
    pub action: Address,
    /// The deeds, in the words of the form.
    pub deeds: &'static [&'static str],
}

/// The views that are kept of a list: each with its name, where it is, and whether it is what is looked at.
pub struct SavedViews {
    /// The views.
    pub views: Vec<(String, Address, bool)>,
    /// Where the present one is kept.
    pub keep: Address,
    /// Where they are renamed and deleted.
    pub manage: Address,
}

/// A column that can be chosen: its word in the address, its name, and whether it is.
pub struct Choosable {
    /// The word.
    pub word: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// Whether it is shown.
    pub chosen: bool,
}

/// Parameters of an address that narrow nothing.
const NO_FILTERS: [&str; 3] = ["sort", "limit", COLUMNS];
/// The parameter that says which columns are shown, their words parted by commas.
pub const COLUMNS: &str = "columns";

/// What a page of records says besides the records.
pub struct End {
    /// Where it goes on.
    pub next: Option<String>,
    /// How many there are on all pages.
    pub count: Option<u64>,
    /// Records that can't be read.
    pub unreadable: Vec<String>,
}

/// A list as a page.
#[derive(Template)]
#[template(path = "list.html")]
pub struct ListPage {
    frame: Frame,
    intro: &'static str,
    address: Address,
    views: Vec<(&'static str, Address, bool)>,
    is_searched: bool,
    words: String,
    choices: Vec<(&'static str, &'static str, Vec<Word>)>,
    kept: Vec<(String, String)>,
    chips: Vec<Chip>,
    table: Table,
    count: Option<u64>,
    first: Option<Address>,
    next: Option<Address>,
    make: Option<(&'static str, Address)>,
    export: Option<Address>,
    bulk: Option<Bulk>,
    choosable: Vec<Choosable>,
    saved: Option<SavedViews>,
    unreadable: Vec<String>,
    empty: &'static str,
}

impl ListPage {
    /// The page of a list.
    pub fn new(frame: Frame, parts: Parts<'_>, rows: Vec<Vec<Cell>>, end: End) -> Self {
        let Parts { address, intro, columns, views, choices, is_searched, called, make, export, empty } = parts;
        let bare = address.clone().without("after").without("count");
        let words = bare.get("q").unwrap_or_default().to_owned();
        let sort = bare.get("sort").unwrap_or_default().to_owned();
        let heading = |column: &Column| {
            let Some(order) = column.order else { return Heading { name: column.name, to: None, sorted: "" } };
            let down = format!("-{order}");
            let sorted = if sort == order {
                "ascending"
            } else if sort == down {
                "descending"
            } else {
                "none"
            };
            let to = bare.clone().with("sort", if sort == order { down } else { order.to_owned() });
            Heading { name: column.name, to: Some(to), sorted }
        };
        let is_choice = |name: &str| choices.iter().any(|choice| choice.name == name);
        let chips = bare
            .parameters()
            .iter()
            .filter(|(name, _)| !is_choice(name) && name != "q" && !NO_FILTERS.contains(&name.as_str()));
        let chips = chips.map(|(name, value)| {
            let said = called.iter().find(|(id, _)| id == value).map_or(value, |(_, said)| said);
            Chip { text: format!("{}: {said}", text::filter(name)), without: bare.clone().without(name) }
        });
        let kept = bare.parameters().iter().filter(|(name, _)| !is_choice(name) && name != "q");
        let chosen = bare.get(COLUMNS);
        let given: Vec<&(String, String)> = bare.parameters().iter().filter(|(name, _)| name != COLUMNS).collect();
        let view = |view: &View| {
            let parameters: Vec<(String, String)> =
                view.parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let is_on = parameters.len() == given.len() && parameters.iter().all(|pair| given.contains(&pair));
            let address = Address::new(bare.path()).of(parameters);
            // Whatever is looked at, it is by the same columns.
            (view.name, chosen.map_or(address.clone(), |chosen| address.with(COLUMNS, chosen)), is_on)
        };
        let word = |choice: &Choice, value: &'static str| Word {
            value,
            text: text::plain(value),
            chosen: bare.get(choice.name) == Some(value),
        };
        let table = Table { caption: String::new(), headings: columns.iter().map(heading).collect(), rows };
        Self {
            views: views.iter().map(view).collect(),
            chips: chips.collect(),
            kept: kept.cloned().collect(),
            choices: choices
                .iter()
                .map(|choice| {
                    (choice.name, choice.label, choice.words.iter().map(|value| word(choice, value)).collect())
                })
                .collect(),
            first: address.get("after").map(|_| bare.clone()),
            next: end.next.map(|next| bare.clone().with("after", next)),
            make,
            export,
            bulk: None,
            choosable: Vec::new(),
            saved: None,
            count: end.count,
            unreadable: end.unreadable,
            frame: if is_searched { frame.searching(&words) } else { frame },
            address: bare,
            intro,
            is_searched,
            words,
            table,
            empty,
        }
    }

    /// With what can be done with several of it at once.
    #[must_use]
    pub fn for_several(self, bulk: Bulk) -> Self {
        Self { bulk: Some(bulk), ..self }
    }

    /// With columns to choose from.
    #[must_use]
    pub fn choosing(self, choosable: Vec<Choosable>) -> Self {
        Self { choosable, ..self }
    }

    /// With the views that are kept of it.
    #[must_use]
    pub fn keeping(self, saved: SavedViews) -> Self {
        Self { saved: Some(saved), ..self }
    }

    /// What a view of it keeps.
    fn kept_by_view(&self) -> String {
        self.address.clone().without("limit").query()
    }

    /// The query of all that fits.
    fn query(&self) -> String {
        self.address.clone().without("limit").without(COLUMNS).query()
    }

    /// What the form of the columns keeps.
    fn kept_by_columns(&self) -> impl Iterator<Item = &(String, String)> {
        self.address.parameters().iter().filter(|(name, _)| name != COLUMNS)
    }

    fn shown(&self) -> usize {
        self.table.rows.len()
    }

    fn is_narrowed(&self) -> bool {
        self.address.parameters().iter().any(|(name, _)| !NO_FILTERS.contains(&name.as_str()))
    }

    fn is_whole(&self) -> bool {
        self.first.is_none() && self.next.is_none()
    }
}

/// What the list of a kind looks like.
pub(crate) struct Look {
    pub columns: &'static [Column],
    pub views: &'static [View],
    pub choices: Vec<Choice>,
    pub is_searched: bool,
    pub empty: &'static str,
    pub make: Option<(&'static str, &'static str)>,
}

/// A list by its look, each record by its row.
pub(crate) fn listed<T>(
    frame: Frame,
    address: Address,
    page: Page<T>,
    names: &Names,
    look: Look,
    row: impl Fn(&T, Timestamp) -> Vec<Cell>,
) -> ListPage {
    let now = frame.now;
    let rows = page.items.iter().map(|item| row(item, now)).collect();
    let Look { columns, views, choices, is_searched, empty, make } = look;
    let make = make.map(|(word, to)| (word, Address::new(to)));
    let called = names.iter().map(|(id, name)| (id.clone(), name.clone())).collect();
    let parts = Parts { address, intro: "", columns, views, choices, is_searched, called, make, export: None, empty };
    ListPage::new(frame, parts, rows, End { next: page.next, count: page.count, unreadable: page.unreadable })
}

/// Records as comma-separated values (RFC 4180), safe in a spreadsheet: what it would take for a formula begins with an
/// apostrophe, and reads as what it is.
pub fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn csv_cell(text: &str) -> String {
    let text = tenure_core::base::text::line(text);
    // Where a comma is a decimal sign, spreadsheets part cells at semicolons, and quotes are no bar to them.
    let parts: Vec<String> = text.split(';').map(|part| format!("{}{part}", guard(part))).collect();
    format!("\"{}\"", parts.join(";").replace('"', "\"\""))
}

/// What stands in front of a text that a spreadsheet would take for a formula. They look past spaces and quotes, and take
/// full-width signs for the plain ones.
fn guard(text: &str) -> &'static str {
    let first = text.trim_start_matches(|c: char| c.is_whitespace() || c == '"').chars().next();
    let is_formula = first.is_some_and(|first| "=+-@\t|%＝＋－＠".contains(first));
    if is_formula { "'" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spreadsheet_takes_a_cell_for_a_formula() {
        for evil in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1", "=cmd|' /C calc'!A0", "\"=1"] {
            let cell = csv_cell(evil);
            let inside = cell.trim_matches('"');
            assert!(inside.starts_with('\''), "{cell}");
        }
        for evil in ["x;=1+1;y", "x; =1", "x;\"=1", "x;＋1"] {
            let cell = csv_cell(evil);
            assert!(cell.split(';').skip(1).all(|part| part.starts_with(['\'', 'y'])), "{cell}");
        }
        assert_eq!(csv([vec!["a\"b".to_owned(), "c,\nd".to_owned()]]), "\"a\"\"b\",\"c, d\"\r\n");
    }
}
