//! Reviews and campaigns of them: their lists, and the page of each.

use tenure_api::reviews::{CampaignView, Forecast, ReviewFacts, ReviewView};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::time::Timestamp;
use tenure_core::request::campaign::{Campaign, CampaignState, NoAnswer};
use tenure_core::request::review::{Review, ReviewAnswer, ReviewState, ReviewSubject};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, View, listed};
use crate::problem::{Kept, Wrong};
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::{Typed, sheet_page};
use crate::when::{self, When};

fn review_subject(review: &Review) -> String {
    match &review.subject {
        ReviewSubject::Identity(id) => id.to_string(),
        ReviewSubject::PersonGrant(id) => id.to_string(),
    }
}

/// Where a review stands.
pub fn review_state(review: &Review, now: Timestamp) -> State {
    match *review.state {
        ReviewState::Open if review.due_at < now => State::new(Shape::Bad, text::OVERDUE),
        ReviewState::Open => State::new(Shape::Wait, review.state.as_str()),
        ReviewState::Lapsed => State::new(Shape::Bad, review.state.as_str()),
        ReviewState::Answered => State::new(Shape::Good, review.state.as_str()),
        ReviewState::Closed => State::new(Shape::Over, review.state.as_str()),
    }
}

/// The list of reviews.
pub fn reviews(frame: Frame, address: Address, page: Page<Revised<Review>>, names: &Names) -> ListPage {
    const STATES: [ReviewState; 4] =
        [ReviewState::Open, ReviewState::Answered, ReviewState::Lapsed, ReviewState::Closed];
    let look = Look {
        columns: const {
            &[
                Column::new("About"),
                Column::new("State"),
                Column::new("Why"),
                Column::new("Reviewer"),
                Column::new("Due"),
            ]
        },
        views: const {
            &[
                View { name: "Open", parameters: &[("state", "open")] },
                View { name: "Lapsed", parameters: &[("state", "lapsed")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(ReviewState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_REVIEWS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let review = &row.record;
        let about = match &review.subject {
            ReviewSubject::Identity(id) => Named::of(id, names).name,
            ReviewSubject::PersonGrant(_) => text::A_GRANT.to_owned(),
        };
        vec![
            Cell::Named(Named { name: about, ..Named::of(review.id, names) }),
            Cell::State(review_state(review, now)),
            Cell::Text(text::plain(review.trigger.as_str())),
            Cell::of(review.reviewer.map(|reviewer| Named::of(reviewer, names))),
            Cell::Time(When::new(review.due_at, now)),
        ]
    })
}

/// A review: what is asked, what is known, and the answer.
pub fn review(frame: Frame, view: &ReviewView, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let review = &view.review.record;
    let about = Named::of(review_subject(review), names);
    let title = match &review.subject {
        ReviewSubject::Identity(_) => text::still_needed(&about.name),
        ReviewSubject::PersonGrant(_) => text::still_needed(text::A_GRANT),
    };
    let mut sheet = Sheet {
        state: Some(review_state(review, now)),
        lead: text::review_because(review.trigger.as_str()),
        ..Sheet::default()
    };
    sheet.fact(text::ABOUT, [Cell::Named(about)]);
    sheet.fact(text::REVIEWER, review.reviewer.map(|reviewer| Cell::Named(Named::of(reviewer, names))));
    sheet.fact(text::CAMPAIGN, review.campaign.map(|campaign| Cell::Named(Named::of(campaign, names))));
    sheet.fact(text::ASKED_AT, [Cell::Time(When::new(review.opened_at, now))]);
    sheet.fact(text::DUE_AT, [Cell::Time(When::new(review.due_at, now))]);
    let handed = review.handed_over.iter().map(|handed| {
        let (by, to) = (Named::of(handed.by, names).name, Named::of(handed.to, names).name);
        Cell::Text(format!("{by} → {to}, {}", when::exact(handed.at)))
    });
    sheet.fact(text::HANDED_OVER, handed);
    if let Some(answer) = &review.answer {
        let kept = match answer.answer {
            ReviewAnswer::Keep => text::KEPT,
            ReviewAnswer::Narrow => text::WAS_NARROWED,
            ReviewAnswer::Revoke => text::REVOKED,
        };
        let by = Named::of(answer.by, names).name;
        let said = format!("{kept} ({by}, {}) {}", when::exact(answer.at), answer.comment);
        sheet.fact(text::ANSWERED, [Cell::Text(said)]);
        let dropped = answer.dropped.iter().map(|entitlement| {
            let on = Named::of(&entitlement.resource, names).name;
            Cell::Text(format!("{} on {on}", entitlement.actions.join(", ")))
        });
        sheet.fact(text::LEFT_OUT, dropped);
    }
    match &view.facts {
        Some(facts) => known(&mut sheet, facts, names, now),
        None => privileges(&mut sheet, review, names, now),
    }
    if *review.state == ReviewState::Open {
        let is_identity = matches!(review.subject, ReviewSubject::Identity(_));
        let mut buttons = vec![Button { decision: "keep", word: text::KEEP, class: "main" }];
        let mut fields = vec![Field::comment(typed.comment)];
        if is_identity {
            buttons.push(Button { decision: "narrow", word: text::NARROW_TO_USE, class: "" });
            buttons.push(Button { decision: "hand_over", word: text::HAND_OVER, class: "" });
            fields.push(Field::optional("to", text::NOT_MINE, text::NOT_MINE_HINT, typed.to));
        }
        buttons.push(Button { decision: "revoke", word: text::REVOKE, class: "danger" });
        sheet.form = Some(Form {
            action: Address::new("/reviews").below(&review.id.to_string()),
            wrong: typed.wrong,
            fields,
            buttons,
            takes_fresh: true,
        });
    } else {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
    }
    sheet_page(frame, title, ("/reviews?state=open", text::REVIEWS), sheet)
}

/// What is known now of the identity that is reviewed.
fn known(sheet: &mut Sheet, facts: &ReviewFacts, names: &Names, now: Timestamp) {
    let time = |at: Option<Timestamp>| {
        at.map_or_else(|| Cell::Text(text::NEVER.to_owned()), |at| Cell::Time(When::new(at, now)))
    };
    sheet.fact(text::STILL_YOURS, [Cell::of(facts.owner.map(|owner| Named::of(owner, names)))]);
    let recommended = match facts.recommendation.answer {
        Some(ReviewAnswer::Keep) => text::KEEP,
        Some(ReviewAnswer::Narrow) => text::NARROW_TO_USE,
        Some(ReviewAnswer::Revoke) => text::REVOKE,
        None => text::LOOK_CLOSELY,
    };
    let because = facts.recommendation.because.join("; ");
    sheet.fact(text::RECOMMENDED, [Cell::Text(format!("{recommended}: {because}"))]);
    sheet.fact(text::USED_LAST, [time(facts.last_used)]);
    sheet.fact(text::REVIEWED_AT, [time(facts.reviewed_at)]);
    sheet.fact(text::ENDS_BY, facts.ends.iter().cloned().map(Cell::Text));
    let findings = facts.findings.iter().map(|finding| {
        let record = Named { name: text::plain(&finding.rule), ..Named::of(finding.id, names) };
        Cell::Record { record, lesser: finding.severity.as_str().to_owned() }
    });
    sheet.fact(text::FINDINGS, findings);
    let of_peers = |count: u16| format!("{count} of {}", facts.peers.count);
    let rows = facts.granted.iter().map(|one| {
        vec![
            Cell::Text(one.action.clone()),
            Cell::Named(Named::of(&one.resource, names)),
            Cell::Number(one.allowed),
            time(one.last_used),
            Cell::Text(of_peers(one.peers)),
        ]
    });
    let columns = ["Action", "Resource", "In 90 days", "Last used", "Others like it"];
    if !facts.granted.is_empty() {
        sheet.tables.push(Table::new(text::WHAT_IT_HOLDS, &columns, rows.collect()));
    }
    if let Some(proposal) = &facts.proposal {
        let left = proposal.iter().map(|entitlement| {
            let on = Named::of(&entitlement.resource, names).name;
            Cell::Text(format!("{} on {on}", entitlement.actions.join(", ")))
        });
        sheet.fact(text::WOULD_BE_LEFT, left);
        sheet.fact(
            text::WOULD_HAVE_DENIED,
            facts.replayed.map(|replay| Cell::Text(text::would_deny(replay.would_deny, replay.of))),
        );
    }
}

/// What it held when the review was opened.
fn privileges(sheet: &mut Sheet, review: &Review, names: &Names, now: Timestamp) {
    let rows = review.privileges.iter().map(|privilege| {
        let used = privilege.last_used;
        vec![
            Cell::Text(privilege.action.clone()),
            Cell::Named(Named::of(&privilege.resource, names)),
            used.map_or_else(|| Cell::Text(text::NEVER.to_owned()), |used| Cell::Time(When::new(used, now))),
        ]
    });
    sheet.tables.push(Table::new(text::WHAT_IT_HOLDS, &["Action", "Resource", "Last used"], rows.collect()));
}

fn campaign_state(campaign: &Campaign) -> State {
    let shape = match campaign.state.get() {
        CampaignState::Opening | CampaignState::Open | CampaignState::Applying => Shape::Wait,
        CampaignState::Waiting => Shape::Bad,
        CampaignState::Closed => Shape::Good,
        CampaignState::Cancelled => Shape::Over,
    };
    State::new(shape, campaign.state.as_str())
}

/// The list of campaigns.
pub fn campaigns(frame: Frame, address: Address, page: Page<Revised<Campaign>>, names: &Names) -> ListPage {
    const STATES: [CampaignState; 6] = [
        CampaignState::Opening,
        CampaignState::Open,
        CampaignState::Waiting,
        CampaignState::Applying,
        CampaignState::Closed,
        CampaignState::Cancelled,
    ];
    let look = Look {
        columns: const {
            &[
                Column::new("Campaign"),
                Column::new("State"),
                Column::new("Opened"),
                Column::new("Waiting"),
                Column::new("Lapsed"),
                Column::new("Due"),
            ]
        },
        views: const {
            &[
                View { name: "Open", parameters: &[("state", "open")] },
                View { name: "Wait for security", parameters: &[("state", "waiting")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(CampaignState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_CAMPAIGNS,
        make: Some((text::NEW_CAMPAIGN, "/campaigns/new")),
    };
    listed(frame, address, page, names, look, |row, now| {
        let campaign = &row.record;
        vec![
            Cell::Named(Named { name: campaign.name.clone(), ..Named::of(campaign.id, names) }),
            Cell::State(campaign_state(campaign)),
            Cell::Number(campaign.tally.opened),
            Cell::Number(campaign.tally.waiting()),
            Cell::Number(campaign.tally.lapsed),
            Cell::Time(When::new(campaign.due_at, now)),
        ]
    })
}

/// A campaign: how far it is, and what its deadline would do.
pub fn campaign(frame: Frame, view: &CampaignView, names: &Names, is_security: bool, typed: Typed) -> SheetPage {
    let now = frame.now;
    let campaign = &view.campaign.record;
    let mut sheet = Sheet { state: Some(campaign_state(campaign)), lead: campaign.reason.clone(), ..Sheet::default() };
    sheet.fact(text::OPENED_BY, campaign.opened_by.map(|by| Cell::Named(Named::of(by, names))));
    sheet.fact(text::ITS_SCOPE, [Cell::Text(campaign.scope.clone())]);
    sheet.fact(text::ASKED_AT, [Cell::Time(When::new(campaign.opened_at, now))]);
    sheet.fact(text::DUE_AT, [Cell::Time(When::new(campaign.due_at, now))]);
    let deed = match campaign.no_answer {
        NoAnswer::Suspend => text::IS_SUSPENDED,
        NoAnswer::Retire => text::IS_RETIRED,
    };
    sheet.fact(text::WITHOUT_ANSWER, [Cell::Text(text::no_answer(deed, campaign.cap))]);
    sheet.fact(text::IN_SCOPE, view.in_scope.map(Cell::Number));
    let open = campaign.tally.open.iter().filter(|(_, count)| **count > 0);
    sheet.fact(text::WAIT_FOR_ANSWER, open.map(|(tier, count)| Cell::Text(format!("{count} of tier {tier}"))));
    let tally = &campaign.tally;
    let counts = [
        (tally.opened, "opened"),
        (tally.passed_over, "open already"),
        (tally.kept, text::KEPT),
        (tally.narrowed, text::WAS_NARROWED),
        (tally.revoked, text::REVOKED),
        (tally.lapsed, "lapsed"),
        (tally.late, "late by an exception"),
        (tally.closed, "closed"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    sheet.fact(text::ANSWERED, counts.map(|(count, word)| Cell::Text(format!("{count} {word}"))));
    sheet.fact(text::SEEN_BY, campaign.confirmed_by.map(|by| Cell::Named(Named::of(by, names))));
    let of_it = Address::new("/reviews").with("campaign", campaign.id.to_string());
    sheet.ways.push(Way { word: text::ITS_REVIEWS, to: of_it, class: "" });
    if let Some(forecast) = &view.forecast {
        forecasted(&mut sheet, forecast, names);
    }
    match campaign.state.is_over() || campaign.state == CampaignState::Applying {
        true => sheet.kept = Kept::of(typed.wrong, typed.comment),
        false => sheet.form = Some(deciding(campaign, view.forecast.as_ref(), is_security, typed)),
    }
    let title = campaign.name.clone();
    sheet_page(frame, title, ("/campaigns", text::CAMPAIGNS), sheet)
}

fn forecasted(sheet: &mut Sheet, forecast: &Forecast, names: &Names) {
    sheet.fact(text::DEADLINE_WOULD, [Cell::Text(text::would_end(forecast.identities, forecast.high))]);
    let rows = forecast.first.iter().map(|id| vec![Cell::Named(Named::of(id, names))]);
    sheet.tables.push(Table::new(text::FIRST_OF_THEM, &["Identity"], rows.collect()));
}

/// Confirms exactly what is shown, or gives the campaign up.
fn deciding(campaign: &Campaign, forecast: Option<&Forecast>, is_security: bool, typed: Typed) -> Form {
    let waits = campaign.state == CampaignState::Waiting;
    let mut fields = vec![Field::reason(typed.comment)];
    let mut buttons = Vec::new();
    if let Some(forecast) = forecast.filter(|_| waits && is_security) {
        fields.push(Field::Hidden { name: "digest", value: forecast.digest.clone() });
        buttons.push(Button { decision: "confirm", word: text::DO_EXACTLY, class: "danger" });
    }
    buttons.push(Button { decision: "cancel", word: text::GIVE_UP, class: "" });
    Form {
        action: Address::new("/campaigns").below(&campaign.id.to_string()),
        wrong: typed.wrong,
        fields,
        buttons,
        takes_fresh: true,
    }
}

/// What was typed into the form of a new campaign.
#[derive(Default)]
pub struct Opening {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// What it is called.
    pub name: String,
    /// Which identities.
    pub scope: String,
    /// How long it takes.
    pub due_in: String,
    /// What becomes of what nobody answers.
    pub no_answer: String,
    /// How many its deadline suspends by itself.
    pub cap: String,
    /// Why.
    pub reason: String,
}

/// The form of a new campaign; once it was tried, how many identities are in its scope.
pub fn opening(frame: Frame, tried: Option<u64>, typed: Opening) -> SheetPage {
    let mut sheet = Sheet { lead: text::CAMPAIGN_LEAD.to_owned(), ..Sheet::default() };
    sheet.fact(text::IN_SCOPE, tried.map(Cell::Number));
    let mut buttons = vec![Button { decision: "try", word: text::LOOK_FIRST, class: "main" }];
    if tried.is_some() {
        buttons.push(Button { decision: "open", word: text::OPEN_IT, class: "main" });
    }
    sheet.form = Some(Form {
        action: Address::new("/campaigns/new"),
        wrong: typed.wrong,
        fields: vec![
            Field::line("name", text::NAME, "", typed.name),
            Field::line("scope", text::ITS_SCOPE, text::SCOPE_HINT, typed.scope),
            Field::optional("due_in", text::HOW_LONG, text::HOW_LONG_HINT, typed.due_in),
            Field::select("no_answer", text::WITHOUT_ANSWER, &["suspend", "retire"], &typed.no_answer),
            Field::optional("cap", text::CAP, text::CAP_HINT, typed.cap),
            Field::reason(typed.reason),
        ],
        buttons,
        takes_fresh: false,
    });
    sheet_page(frame, text::NEW_CAMPAIGN.to_owned(), ("/campaigns", text::CAMPAIGNS), sheet)
}
