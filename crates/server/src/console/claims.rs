//! Whose something is that was found at a target: claimed by whoever answers for it, and proposed many at once by rule.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::targets::{Claim, Proposal, ProposedAccounts};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::list::{Cell, Table};
use tenure_console::problem::Wrong;
use tenure_console::records::Named;
use tenure_console::sheet::{Button, Field, Form, Sheet, SheetPage};
use tenure_console::text;
use tenure_core::base::id::{IdentityId, TargetId};
use tenure_core::base::time::Span;
use tenure_core::identity::{CharterDraft, Identity, RetirementCondition, WorkloadBinding};
use tenure_core::inventory::application::Application;
use tenure_core::people::person::Person;
use tenure_core::target::suggestion::Strength;
use tenure_core::target::system::TargetSystem;
use tenure_engine::kernel::error::OpError;
use tenure_engine::targets::{accounts, systems};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::making::day;
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;

/// The longest time without use that ends what is claimed, in days.
const IDLE: std::ops::RangeInclusive<i64> = 1..=366;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities/{id}/claim", get(claim_form).post(claim))
        .page("/targets/{id}/propose", get(propose_form).post(propose))
}

async fn claim_form(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let id = meant::<Identity>(&app, &reader.caller, &who).await?;
    accounts::claimable(&app.kernel, &reader.caller, id).await?;
    Ok(page(StatusCode::OK, &claim_page(&reader, id, |_| String::new(), None)))
}

async fn claim(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let id = meant::<Identity>(&app, &reader.caller, &who).await?;
    accounts::claimable(&app.kernel, &reader.caller, id).await?;
    match sent.done(claimed(&app, &sent, id)).await {
        Ok(()) => Ok(Redirect::to(&identity(id).to_string()).into_response()),
        Err(failure) => {
            let (status, wrong) = (status_of(&failure), Some((*failure.0).into()));
            Ok(page(status, &claim_page(reader, id, |name| sent.text(name), wrong)))
        }
    }
}

async fn claimed(app: &App, sent: &Sent, id: IdentityId) -> Result<(), Failure> {
    let caller = &sent.reader.caller;
    let days = sent.text("idle").parse::<i64>().ok().filter(|days| IDLE.contains(days));
    let days = days.ok_or_else(|| OpError::field("idle", "idle_malformed", "give 1 to 366 days"))?;
    let application = match sent.text("application") {
        name if name.is_empty() => None,
        name => Some(meant::<Application>(app, caller, &name).await?),
    };
    let workload = sent.text("workload");
    let charter = CharterDraft {
        purpose: Some(sent.text("purpose")),
        application,
        workload_binding: Some(WorkloadBinding::Account { workload }),
        expires_at: Some(day("ends_at", &sent.text("ends_at"))?),
        retirement: vec![RetirementCondition::Idle { after: Span::from_days(days) }],
        ..CharterDraft::default()
    };
    Box::pin(accounts::claim(&app.kernel, caller, id, Claim { kind: None, charter })).await?;
    Ok(())
}

fn claim_page(reader: &Reader, id: IdentityId, typed: impl Fn(&str) -> String, wrong: Option<Wrong>) -> SheetPage {
    let purpose = Field::Lines {
        name: "purpose",
        label: text::PURPOSE_OF_IT,
        hint: text::PURPOSE_OF_IT_HINT,
        value: typed("purpose"),
        required: true,
    };
    let idle = Some(typed("idle")).filter(|days| !days.is_empty()).unwrap_or_else(|| "90".to_owned());
    let form = Form {
        action: identity(id).verb("claim"),
        wrong,
        fields: vec![
            purpose,
            Field::optional("application", text::APPLICATION, text::CLAIMED_APPLICATION_HINT, typed("application")),
            Field::line("workload", text::WORKLOAD, text::WORKLOAD_OF_IT_HINT, typed("workload")),
            Field::day("ends_at", text::ENDS_AT, text::UNTIL_HINT, typed("ends_at")),
            Field::line("idle", text::IDLE_DAYS, text::IDLE_DAYS_HINT, idle),
        ],
        buttons: vec![Button::only(text::CLAIM_IT, false)],
        takes_fresh: false,
    };
    let sheet = Sheet {
        back: Some((Address::new("/accounts"), text::ACCOUNTS.to_owned())),
        lead: text::CLAIM_LEAD.to_owned(),
        form: Some(form),
        ..Sheet::default()
    };
    SheetPage { frame: reader.frame(text::CLAIM_IT, Place::Accounts), sheet }
}

fn identity(id: IdentityId) -> Address {
    Address::new("/identities").below(&id.to_string())
}

async fn propose_form(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let id = meant::<TargetSystem>(&app, &reader.caller, &which).await?;
    systems::target(&app.kernel, &reader.caller, id).await?;
    Ok(page(StatusCode::OK, &propose_page(&reader, id, |_| String::new(), None, None)))
}

async fn propose(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let id = meant::<TargetSystem>(&app, &reader.caller, &which).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    systems::target(&app.kernel, &reader.caller, id).await?;
    let rehearses = sent.text("decision") == "rehearse";
    let typed = |name: &str| sent.text(name);
    match sent.done(proposed(&app, &sent, id, rehearses)).await {
        Ok(chosen) if rehearses => {
            let names = names_in(&app, &reader.caller, &chosen).await?;
            let row = |one: &tenure_api::targets::Proposed| {
                let reasons: Vec<String> = one.reasons.iter().map(|reason| reason.said.clone()).collect();
                vec![
                    Cell::Named(Named { name: one.name.clone(), ..Named::of(one.account, &names) }),
                    Cell::Named(Named::of(one.owner, &names)),
                    Cell::Text(reasons.join("; ")),
                ]
            };
            let rows = chosen.accounts.iter().map(row).collect();
            let table = Table::new(text::WOULD_BE_PROPOSED, &["Account", "To", "Why"], rows);
            Ok(page(StatusCode::OK, &propose_page(reader, id, typed, None, Some(table))))
        }
        Ok(_) => Ok(Redirect::to(&target(id).to_string()).into_response()),
        Err(failure) => {
            let (status, wrong) = (status_of(&failure), Some((*failure.0).into()));
            Ok(page(status, &propose_page(reader, id, typed, wrong, None)))
        }
    }
}

async fn proposed(app: &App, sent: &Sent, id: TargetId, dry_run: bool) -> Result<ProposedAccounts, Failure> {
    let caller = &sent.reader.caller;
    let owner = match sent.text("owner") {
        name if name.is_empty() => None,
        name => Some(meant::<Person>(app, caller, &name).await?),
    };
    let marks = match sent.text("mark") {
        mark if mark.is_empty() => BTreeMap::new(),
        mark => {
            let malformed = || OpError::field("mark", "mark_malformed", "give name=text, such as comment=billing");
            let (name, text) = mark.split_once('=').ok_or_else(malformed)?;
            BTreeMap::from([(name.to_owned(), text.to_owned())])
        }
    };
    let strength = Strength::ALL.iter().find(|strength| strength.as_str() == sent.text("strength"));
    let ask = Proposal {
        name_prefix: sent.text("prefix"),
        marks,
        owner,
        by_suggestion: strength.copied().filter(|_| owner.is_none()),
        reason: sent.text("reason"),
        dry_run,
    };
    Ok(accounts::propose(&app.kernel, caller, id, ask).await?)
}

fn propose_page(
    reader: &Reader,
    id: TargetId,
    typed: impl Fn(&str) -> String,
    wrong: Option<Wrong>,
    rehearsed: Option<Table>,
) -> SheetPage {
    let words: Vec<&'static str> = Strength::ALL.iter().rev().map(|strength| strength.as_str()).collect();
    let form = Form {
        action: target(id).verb("propose"),
        wrong,
        fields: vec![
            Field::optional("prefix", text::NAME_BEGINS, text::NAME_BEGINS_HINT, typed("prefix")),
            Field::optional("mark", text::MARK_HAS, text::MARK_HAS_HINT, typed("mark")),
            Field::optional("owner", text::PROPOSE_TO, text::PROPOSE_TO_HINT, typed("owner")),
            Field::select("strength", text::AT_LEAST, &words, &typed("strength")),
            Field::reason(typed("reason")),
        ],
        buttons: vec![
            Button { decision: "rehearse", word: text::REHEARSE, class: "" },
            Button { decision: "propose", word: text::PROPOSE_THEM, class: "main" },
        ],
        takes_fresh: false,
    };
    let sheet = Sheet {
        back: Some((target(id), text::TARGET.to_owned())),
        lead: text::PROPOSE_LEAD.to_owned(),
        tables: rehearsed.into_iter().collect(),
        form: Some(form),
        ..Sheet::default()
    };
    SheetPage { frame: reader.frame(text::PROPOSE_BY_RULE, Place::Targets), sheet }
}

fn target(id: TargetId) -> Address {
    Address::new("/targets").below(&id.to_string())
}
