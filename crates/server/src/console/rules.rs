//! Rules: what findings are about, and how each stands here.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_console::frame::Place;
use tenure_console::rules;
use tenure_console::text;
use tenure_engine::identities::{debt, findings};

use crate::app::App;
use crate::console::reader::{Reader, Shown};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::Path;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/debt", get(owed)).page("/rules", get(list)).page("/rules/{id}", get(one))
}

async fn list(State(app): State<App>, reader: Reader) -> Shown {
    let found = findings::finding_rules(&app.kernel, &reader.caller).await?;
    Ok(page(StatusCode::OK, &rules::rules(reader.frame(text::RULES, Place::Rules), &found)))
}

async fn owed(State(app): State<App>, reader: Reader) -> Shown {
    let owed = debt::debt(&app.kernel, &reader.caller).await?;
    Ok(page(StatusCode::OK, &rules::debt(reader.frame("", Place::Debt), &owed)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let found = findings::finding_rule(&app.kernel, &reader.caller, &which).await?;
    Ok(page(StatusCode::OK, &rules::rule(reader.frame("", Place::Rules), &found)))
}
