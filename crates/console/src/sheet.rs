//! Sheets: one record with what is to be known of it, and the form of what can be done with it.

use askama::Template;

use crate::address::Address;
use crate::frame::Frame;
use crate::graph::Graph;
use crate::list::{Cell, Table};
use crate::markup::filters;
use crate::problem::{Kept, Wrong};
use crate::state::State;
use crate::text;

/// A field of a form, with what was typed.
pub enum Field {
    /// Text of several lines.
    Lines {
        /// Its name.
        name: &'static str,
        /// What it is called.
        label: &'static str,
        /// What to know about it.
        hint: &'static str,
        /// What was typed.
        value: String,
        /// Whether it may not be left empty.
        required: bool,
    },
    /// Text of one line.
    Line {
        /// Its name.
        name: &'static str,
        /// What it is called.
        label: &'static str,
        /// What to know about it.
        hint: &'static str,
        /// What was typed.
        value: String,
        /// The input's type: `text`, `date`.
        kind: &'static str,
        /// Whether it may not be left empty.
        required: bool,
    },
    /// One of several words of the API.
    Select {
        /// Its name.
        name: &'static str,
        /// What it is called.
        label: &'static str,
        /// The words, and whether each is chosen.
        words: Vec<(&'static str, bool)>,
    },
    /// One of a few.
    Choice {
        /// Its name.
        name: &'static str,
        /// What it is called.
        label: &'static str,
        /// What there is to choose from.
        options: Vec<Choice>,
    },
    /// One of several records.
    Pick {
        /// Its name.
        name: &'static str,
        /// What it is called.
        label: &'static str,
        /// Each with its value and how it reads.
        choices: Vec<(String, String)>,
    },
    /// What the form keeps to itself, several of them: each by its name.
    Kept(Vec<(String, String)>),
    /// What the form keeps to itself.
    Hidden {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// One of what there is to choose from.
pub struct Choice {
    /// The value.
    pub value: &'static str,
    /// What it is.
    pub label: &'static str,
    /// What it means.
    pub hint: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Field {
    /// Its name, what it is called and what stands in it, of a field that is typed or chosen.
    pub fn said(&self) -> Option<(&'static str, &'static str, String)> {
        match self {
            Self::Line { name, label, value, .. } | Self::Lines { name, label, value, .. } => {
                Some((name, label, value.clone()))
            }
            Self::Select { name, label, words } => {
                let chosen = words.iter().find(|(_, is_chosen)| *is_chosen).or(words.first())?;
                Some((name, label, chosen.0.to_owned()))
            }
            Self::Choice { .. } | Self::Pick { .. } | Self::Hidden { .. } | Self::Kept(_) => None,
        }
    }

    /// Why something is done: it goes into the record.
    pub fn reason(value: String) -> Self {
        Self::Lines { name: "reason", label: text::REASON, hint: text::REASON_HINT, value, required: true }
    }

    /// A line that may not be left empty.
    pub const fn line(name: &'static str, label: &'static str, hint: &'static str, value: String) -> Self {
        Self::Line { name, label, hint, value, kind: "text", required: true }
    }

    /// A line that may be left empty.
    pub const fn optional(name: &'static str, label: &'static str, hint: &'static str, value: String) -> Self {
        Self::Line { name, label, hint, value, kind: "text", required: false }
    }

    /// A day.
    pub const fn day(name: &'static str, label: &'static str, hint: &'static str, value: String) -> Self {
        Self::Line { name, label, hint, value, kind: "date", required: true }
    }

    /// One of several words; the first if none is chosen.
    pub fn select(name: &'static str, label: &'static str, words: &[&'static str], chosen: &str) -> Self {
        Self::Select { name, label, words: words.iter().map(|word| (*word, *word == chosen)).collect() }
    }

    /// What somebody has to say besides.
    pub fn comment(value: String) -> Self {
        Self::Lines { name: "comment", label: text::COMMENT, hint: text::REASON_HINT, value, required: false }
    }
}

/// A button of a form. Of several, each says what is decided.
pub struct Button {
    /// What is decided; empty if there is nothing to decide between.
    pub decision: &'static str,
    /// Its word.
    pub word: &'static str,
    /// How it looks: `main`, `danger`, or as any other.
    pub class: &'static str,
}

impl Button {
    /// The button of a form that does one thing.
    pub const fn only(word: &'static str, is_final: bool) -> Self {
        Self { decision: "", word, class: if is_final { "danger" } else { "main" } }
    }
}

/// What can be done with a record, as a form.
pub struct Form {
    /// Where it is sent.
    pub action: Address,
    /// What was wrong with what was sent.
    pub wrong: Option<Wrong>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its buttons.
    pub buttons: Vec<Button>,
    /// Whether it takes a fresh sign-in.
    pub takes_fresh: bool,
}

/// A way to what can be done on another page.
pub struct Way {
    /// What it does.
    pub word: &'static str,
    /// Where.
    pub to: Address,
    /// How it looks.
    pub class: &'static str,
}

/// What a sheet says and asks.
#[derive(Default)]
pub struct Sheet {
    /// Where one comes from.
    pub back: Option<(Address, String)>,
    /// Where the record stands.
    pub state: Option<State>,
    /// What it is, or what happens.
    pub lead: String,
    /// Ways to what can be done with it.
    pub ways: Vec<Way>,
    /// What is to be known of it.
    pub facts: Vec<(&'static str, Vec<Cell>)>,
    /// The same as a picture.
    pub picture: Option<Graph>,
    /// Whom it is about.
    pub tables: Vec<Table>,
    /// How many of how many are done: its form is sent on by itself until all are.
    pub progress: Option<(usize, usize)>,
    /// What can be done.
    pub form: Option<Form>,
    /// What was typed into a form that there is no more.
    pub kept: Option<Kept>,
}

impl Sheet {
    /// Adds a fact, if there is anything to it.
    pub fn fact(&mut self, label: &'static str, values: impl IntoIterator<Item = Cell>) {
        let values: Vec<Cell> = values.into_iter().collect();
        if !values.is_empty() {
            self.facts.push((label, values));
        }
    }
}

/// The page of a sheet.
#[derive(Template)]
#[template(path = "sheet.html")]
pub struct SheetPage {
    /// The frame.
    pub frame: Frame,
    /// The sheet.
    pub sheet: Sheet,
}
