//! The same for several identities: what would happen to each, then what did, some at a time.

use tenure_api::pages::is_id;
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
/// Letters of a refusal that a form keeps while the others are done.
const KEPT: usize = 60;

/// What became of one of them, or would.
pub enum Came {
    /// It was done.
    Done,
    /// It would be done.
    Would,
    /// It stands so already.
    StandsSo,
    /// It wasn't, or wouldn't be, with why.
    Refused(String),
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was looked at yet: something has to be said first.
    Chosen,
    /// What it would come to is shown.
    Shown,
    /// It was done to some, and goes on.
    Going,
    /// It was done.
    Over,
}

/// Several identities, and what is done to them.
pub struct Several<'a> {
    /// Which deed, in the word of the form.
    pub deed: &'a str,
    /// How far it has come.
    pub step: Step,
    /// Those to whom it was done already, or not, by their ids.
    pub earlier: Vec<(String, Came)>,
    /// The others, with what the deed comes to for each, once that was looked at.
    pub each: Vec<(String, Option<Came>)>,
    /// Whether there are more that fit than can be chosen at once.
    pub has_more: bool,
    /// The digest of what the others come to.
    pub digest: String,
    /// To whom they are offered, as it was typed.
    pub to: String,
    /// Why, as it was typed.
    pub reason: String,
    /// What was wrong with what was sent.
    pub wrong: Option<Wrong>,
}

/// Outcomes as a form keeps them while the others are done.
fn kept(earlier: &[(String, Came)]) -> String {
    let told = earlier.iter().map(|(id, came)| match came {
        Came::Refused(why) => format!("{id} {}", text::cut(&why.replace('|', "/"), KEPT)),
        Came::StandsSo => format!("{id} ="),
        Came::Done | Came::Would => id.clone(),
    });
    told.collect::<Vec<_>>().join("|")
}

/// The outcomes that a form kept. It is the reader's own, and shown to nobody else.
pub fn of_kept(text: &str) -> Vec<(String, Came)> {
    let told = text.split('|').map(|told| told.split_once(' ').unwrap_or((told, "")));
    let of_ids = told.filter(|(id, _)| is_id(id));
    let came = |said: &str| match said {
        "" => Came::Done,
        "=" => Came::StandsSo,
        why => Came::Refused(why.to_owned()),
    };
    of_ids.map(|(id, said)| (id.to_owned(), came(said))).collect()
}

/// The page.
pub fn page(frame: Frame, several: Several<'_>, names: &Names) -> SheetPage {
    let Several { deed, step, earlier, each, has_more, digest, to, reason, wrong } = several;
    let all = earlier.len() + each.len();
    let came = || earlier.iter().map(|(_, came)| came).chain(each.iter().filter_map(|(_, came)| came.as_ref()));
    let good = came().filter(|came| matches!(came, Came::Done | Came::Would)).count();
    let refused = came().filter(|came| matches!(came, Came::Refused(_))).count();
    let mut sheet = Sheet {
        back: Some((Address::new("/identities"), text::IDENTITIES.to_owned())),
        lead: match step {
            Step::Chosen => text::several_chosen(all),
            Step::Shown => text::several_would(good, refused, all),
            Step::Going => text::SEVERAL_GOING.to_owned(),
            Step::Over => text::several_done(good, refused, all),
        },
        progress: (step == Step::Going).then_some((earlier.len(), all)),
        ..Sheet::default()
    };
    if has_more {
        sheet.lead = format!("{} {}", sheet.lead, text::SEVERAL_MORE);
    }
    let ids: Vec<&str> = each.iter().map(|(id, _)| id.as_str()).collect();
    let ids = ids.join(",");
    let of_form = kept(&earlier);
    let earlier = earlier.into_iter().map(|(id, came)| (id, Some(came)));
    let rows = earlier.chain(each).map(|(id, came)| row(&id, came, names)).collect();
    sheet.tables.push(Table::new("", &["Identity", "Outcome", "Why"], rows));
    if step == Step::Over {
        return SheetPage { frame, sheet };
    }
    let hidden = |name, value| Field::Hidden { name, value };
    let mut fields = vec![hidden("deed", deed.to_owned()), hidden("ids", ids), hidden("digest", digest)];
    let class = if matches!(deed, "retire" | "close") { "danger" } else { "main" };
    let go = |word| Button { decision: "do", word, class };
    let mut buttons = Vec::new();
    if step == Step::Going {
        fields.extend([hidden("kept", of_form), hidden("reason", reason), hidden("to", to)]);
        buttons.push(go(text::GO_ON));
    } else {
        if !of_form.is_empty() {
            fields.push(hidden("kept", of_form));
        }
        fields.push(match deed {
            "transfer" => Field::line("to", text::TO_WHOM, text::TO_WHOM_HINT, to),
            _ => Field::reason(reason),
        });
        buttons.extend((step == Step::Shown).then(|| go(text::DO_IT)));
        buttons.push(Button { decision: "look", word: text::LOOK_AGAIN, class: "" });
    }
    let action = Address::new("/identities/several");
    sheet.form = Some(Form { action, wrong, fields, buttons, takes_fresh: deed == "resume" });
    SheetPage { frame, sheet }
}

fn row(id: &str, came: Option<Came>, names: &Names) -> Vec<Cell> {
    let state = |shape, word| Cell::State(State::new(shape, word));
    let (outcome, why) = match came {
        None => (Cell::Nothing, Cell::Nothing),
        Some(Came::Done) => (state(Shape::Good, text::WAS_DONE), Cell::Nothing),
        Some(Came::Would) => (state(Shape::Good, text::WOULD_BE_DONE), Cell::Nothing),
        Some(Came::StandsSo) => (state(Shape::Over, text::STANDS_SO), Cell::Nothing),
        Some(Came::Refused(why)) => (state(Shape::Bad, text::REFUSED), Cell::Text(why)),
    };
    vec![Cell::Named(Named::of(id, names)), outcome, why]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_keeps_is_read_as_it_was_told() {
        let id = |n: usize| format!("idn_{n:0>26}");
        let why = "not | allowed".to_owned() + &"x".repeat(100);
        let earlier = [(id(1), Came::Done), (id(2), Came::StandsSo), (id(3), Came::Refused(why))];
        let read = of_kept(&kept(&earlier));
        assert!(matches!(
            &read[..],
            [(a, Came::Done), (b, Came::StandsSo), (c, Came::Refused(why))]
                if [a, b, c] == [&id(1), &id(2), &id(3)] && why.starts_with("not / allowed") && why.chars().count() == KEPT + 1
        ));
        assert!(of_kept("<script>|x y|").is_empty());
    }
}
