//! The same for several identities: what would happen to each, then what did.

use tenure_api::views::Names;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::problem::Wrong;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;

/// The deeds, in the words of the form.
pub const DEEDS: &[&str] = &["suspend", "resume", "transfer", "retire", "close"];

/// What became of one of them, or would.
pub enum Came {
    /// It was done, or would be.
    Done,
    /// It stands so already.
    StandsSo,
    /// It wasn't, or wouldn't be, with why.
    Refused(Wrong),
}

/// Several identities, and what is done to them.
pub struct Several<'a> {
    /// Which deed, in the word of the form.
    pub deed: &'a str,
    /// Their ids, with what the deed comes to for each, once that was looked at.
    pub each: Vec<(String, Option<Came>)>,
    /// Whether there are more that fit than can be chosen at once.
    pub has_more: bool,
    /// Whether it was done.
    pub is_done: bool,
    /// To whom they are offered, as it was typed.
    pub to: String,
    /// Why, as it was typed.
    pub reason: String,
    /// What was wrong with what was sent.
    pub wrong: Option<Wrong>,
}

/// The page.
pub fn page(frame: Frame, several: Several<'_>, names: &Names) -> SheetPage {
    let Several { deed, each, has_more, is_done, to, reason, wrong } = several;
    let count = |is: fn(&Came) -> bool| each.iter().filter(|(_, came)| came.as_ref().is_some_and(is)).count();
    let (good, refused) = (count(|came| matches!(came, Came::Done)), count(|came| matches!(came, Came::Refused(_))));
    let is_looked_at = each.iter().any(|(_, came)| came.is_some());
    let mut sheet = Sheet {
        back: Some((Address::new("/identities"), text::IDENTITIES.to_owned())),
        lead: match (is_done, is_looked_at) {
            (true, _) => text::several_done(good, refused, each.len()),
            (false, true) => text::several_would(good, refused, each.len()),
            (false, false) => text::several_chosen(each.len()),
        },
        ..Sheet::default()
    };
    if has_more {
        sheet.lead = format!("{} {}", sheet.lead, text::SEVERAL_MORE);
    }
    let ids: Vec<&str> = each.iter().map(|(id, _)| id.as_str()).collect();
    let ids = ids.join(",");
    let rows = each.iter().map(|(id, came)| {
        let (state, why) = match came {
            None => (Cell::Nothing, Cell::Nothing),
            Some(Came::Done) if is_done => (Cell::State(State::new(Shape::Good, text::WAS_DONE)), Cell::Nothing),
            Some(Came::Done) => (Cell::State(State::new(Shape::Good, text::WOULD_BE_DONE)), Cell::Nothing),
            Some(Came::StandsSo) => (Cell::State(State::new(Shape::Over, text::STANDS_SO)), Cell::Nothing),
            Some(Came::Refused(wrong)) => {
                (Cell::State(State::new(Shape::Bad, text::REFUSED)), Cell::Text(wrong.told()))
            }
        };
        vec![Cell::Named(Named::of(id, names)), state, why]
    });
    sheet.tables.push(Table::new("", &["Identity", "Outcome", "Why"], rows.collect()));
    if !is_done {
        let mut fields =
            vec![Field::Hidden { name: "deed", value: deed.to_owned() }, Field::Hidden { name: "ids", value: ids }];
        if deed == "transfer" {
            fields.push(Field::line("to", text::TO_WHOM, text::TO_WHOM_HINT, to));
        } else {
            fields.push(Field::reason(reason));
        }
        let look = Button { decision: "look", word: text::LOOK_AGAIN, class: "" };
        let class = if matches!(deed, "retire" | "close") { "danger" } else { "main" };
        let mut buttons = vec![look];
        if is_looked_at {
            buttons.insert(0, Button { decision: "do", word: text::DO_IT, class });
        }
        let action = Address::new("/identities/several");
        sheet.form = Some(Form { action, wrong, fields, buttons, takes_fresh: deed == "resume" });
    }
    SheetPage { frame, sheet }
}
