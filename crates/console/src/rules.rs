//! Rules: what findings are about, as data; the table of them and the page of each.

use tenure_api::findings::{DebtView, RuleList, RuleStanding};
use tenure_core::finding::Fix;
use tenure_core::finding::debt::DebtDay;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::records::Named;
use crate::sheet::{Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::sheet_page;
use crate::when::When;

/// Days of the debt that a page shows.
const DAYS_SHOWN: usize = 90;

/// The page of a rule.
pub(crate) fn rule_address(id: &str) -> Address {
    Address::new("/rules").below(id)
}

/// A rule by its title.
pub(crate) fn named_rule(id: &str, title: &str) -> Named {
    Named { name: title.to_owned(), id: id.to_owned(), to: Some(rule_address(id)) }
}

/// What Tenure does about a breach by itself, as things are set.
fn fix(standing: &RuleStanding) -> State {
    match (standing.rule.fix, standing.holds) {
        (Fix::Note, _) => State::new(Shape::Wait, text::IT_IS_TOLD),
        (Fix::BySetting, false) => State::new(Shape::Wait, text::IT_IS_TOLD_AS_SET),
        (Fix::BySetting, true) => State::new(Shape::Good, text::IT_IS_HELD_AS_SET),
        (Fix::Hold, _) => State::new(Shape::Good, text::IT_IS_HELD),
    }
}

fn suppressed_by(standing: &RuleStanding) -> Option<Cell> {
    standing.rule.suppressed_by.map(|kind| Cell::Text(text::plain(kind.as_str())))
}

/// The table of rules.
pub fn rules(frame: Frame, rules: &RuleList) -> SheetPage {
    let row = |standing: &RuleStanding| {
        let rule = &standing.rule;
        vec![
            Cell::Record { record: named_rule(&rule.id, &rule.title), lesser: rule.id.clone() },
            Cell::State(rule.severity.into()),
            Cell::Text(rule.frameworks.join(", ")),
            Cell::State(fix(standing)),
            suppressed_by(standing).unwrap_or(Cell::Nothing),
            Cell::of(standing.open),
        ]
    };
    let columns = ["Rule", "Severity", "Frameworks", "What Tenure does", "Suppressed by", "Open"];
    let table = Table::new(text::RULES, &columns, rules.items.iter().map(row).collect());
    let lead = if rules.capped { text::RULES_LEAD_CAPPED } else { text::RULES_LEAD };
    let sheet = Sheet { lead: lead.to_owned(), tables: vec![table], ..Sheet::default() };
    sheet_page(frame, text::RULES.to_owned(), ("/findings?state=open", text::FINDINGS), sheet)
}

/// A rule: what it says, which risks it answers, what it can't see, what fixes it, and how it stands here.
pub fn rule(frame: Frame, standing: &RuleStanding) -> SheetPage {
    let rule = &standing.rule;
    let mut sheet = Sheet { state: Some(rule.severity.into()), lead: rule.evidence.clone(), ..Sheet::default() };
    sheet.fact(text::FIXED_BY, [Cell::Text(rule.action.clone())]);
    sheet.fact(text::BY_ITSELF, [Cell::State(fix(standing))]);
    sheet.fact(text::SUPPRESSED_BY, suppressed_by(standing));
    sheet.fact(text::BLIND_SPOTS, [Cell::Text(rule.blind_spots.clone())]);
    sheet.fact(text::FALSE_POSITIVES, [Cell::Text(rule.false_positives.clone())]);
    sheet.fact(text::FRAMEWORKS, [Cell::Text(rule.frameworks.join(", "))]);
    sheet.fact(text::OPEN_FINDINGS, standing.open.map(Cell::Number));
    if standing.open.is_some() {
        let to = Address::new("/findings").with("state", "open").with("rule", &rule.id);
        sheet.ways.push(Way { word: text::OPEN_FINDINGS, to, class: "" });
    }
    sheet_page(frame, rule.title.clone(), ("/rules", text::RULES), sheet)
}

/// What is allowed for a while and has to be paid off, and how that went.
pub fn debt(frame: Frame, owed: &DebtView) -> SheetPage {
    let now = frame.now;
    let mut sheet = Sheet { lead: text::DEBT_LEAD.to_owned(), ..Sheet::default() };
    sheet.fact(text::SHARED_IDENTITIES, [Cell::Number(owed.debt.shared_identities)]);
    sheet.fact(text::EXCEPTIONS_IN_FORCE, [Cell::Number(owed.debt.exceptions)]);
    sheet.fact(text::RENEWED_EXCEPTIONS, [Cell::Number(owed.debt.renewed_exceptions)]);
    sheet.fact(text::BREACHED_EXCEPTIONS, [Cell::Number(owed.debt.breached_exceptions)]);
    sheet.fact(text::NOBODYS, [Cell::Number(owed.debt.unowned)]);
    let row = |day: &DebtDay| {
        vec![
            Cell::Time(When::new(day.at, now)),
            Cell::Number(day.shared_identities),
            Cell::Number(day.exceptions),
            Cell::Number(day.renewed_exceptions),
            Cell::Number(day.breached_exceptions),
            Cell::Number(day.unowned),
            Cell::Number(day.findings),
        ]
    };
    let columns = ["Counted", "Shared", "Exceptions", "Renewed", "Breached", "Nobody’s", "Findings"];
    let days = owed.trend.iter().rev().take(DAYS_SHOWN).map(row).collect();
    sheet.tables.push(Table::new(text::DAY_BY_DAY, &columns, days));
    sheet_page(frame, text::DEBT.to_owned(), ("/exceptions?state=active", text::EXCEPTIONS), sheet)
}
