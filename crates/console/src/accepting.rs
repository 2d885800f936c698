//! The page on which a finding is let be for a while: an exception is asked for, which others approve.

use tenure_api::findings::FindingView;
use tenure_api::views::Names;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::Cell;
use crate::problem::Wrong;
use crate::records::Named;
use crate::rules::named_rule;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::text;
use crate::watch::{sheet_page, title_of};
use crate::ways::may_be_accepted;

const SPANS: &[&str] = &["7d", "30d", "90d"];

/// What was typed.
#[derive(Default)]
pub struct Typed {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// Why it is let be.
    pub reason: String,
    /// How it is watched meanwhile.
    pub monitoring: String,
    /// For how long.
    pub duration: String,
}

/// The form.
pub fn accepting(frame: Frame, view: &FindingView, names: &Names, typed: Typed) -> SheetPage {
    let finding = &view.record;
    let here = Address::new("/findings").below(&finding.id.to_string());
    let mut sheet = Sheet { state: Some(finding.severity.into()), ..Sheet::default() };
    sheet.fact(text::ABOUT, [Cell::Named(Named::of(&finding.subject, names))]);
    sheet.fact(text::THE_RULE, [Cell::Named(named_rule(&finding.rule, &finding.rule))]);
    if may_be_accepted(view) {
        sheet.lead = text::ACCEPT_FINDING_LEAD.to_owned();
        let monitoring = Field::Lines {
            name: "monitoring",
            label: text::HOW_IT_IS_WATCHED,
            hint: text::HOW_IT_IS_WATCHED_HINT,
            value: typed.monitoring,
            required: true,
        };
        let duration = Field::select("duration", text::FOR_HOW_LONG, SPANS, &typed.duration);
        sheet.form = Some(Form {
            action: here.clone().verb("accept"),
            wrong: typed.wrong,
            fields: vec![Field::reason(typed.reason), monitoring, duration],
            buttons: vec![Button::only(text::ASK_FOR_IT, false)],
            takes_fresh: false,
        });
    } else {
        sheet.lead = text::NOT_ACCEPTABLE.to_owned();
    }
    let title = title_of(view);
    sheet_page(frame, text::accept(&title), (&here.to_string(), &title), sheet)
}
