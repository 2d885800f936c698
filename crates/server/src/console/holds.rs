//! Holds in force, and their release.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use serde::Deserialize;
use tenure_api::requests::HoldRelease;
use tenure_console::frame::Place;
use tenure_console::text;
use tenure_console::watch::{self, Typed};
use tenure_core::identity::scope::{Hold, Scope};
use tenure_engine::credentials::holds;
use tenure_engine::kernel::authority;

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown};
use crate::console::stop::scope_of;
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Query;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/holds", get(list)).page("/holds/release", get(form).post(release))
}

async fn list(State(app): State<App>, asked: Asked<Hold>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = holds::holds(&app.kernel, &reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &watch::holds(reader.frame(text::HOLDS_IN_FORCE, Place::Holds), address, found, &names)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// What sort of scope.
    kind: String,
    /// Which, by id or by name.
    id: String,
}

async fn form(State(app): State<App>, reader: Reader, which: Result<Query<Which>, Failure>) -> Shown {
    let Query(Which { kind, id }) = which?;
    let scope = scope_of(&app, &reader, &kind, &id).await?;
    release_page(&app, &reader, &scope, StatusCode::OK, Typed::default()).await
}

async fn release_page(app: &App, reader: &Reader, scope: &Scope, status: StatusCode, typed: Typed) -> Shown {
    authority::may_read(&app.kernel, &reader.caller, "scope", "", false).await?;
    let names = names_in(app, &reader.caller, &scope.subject()).await?;
    Ok(page(status, &watch::release(reader.frame("", Place::Holds), scope, &names, typed)))
}

/// Releases the hold that somebody else placed.
async fn release(State(app): State<App>, sent: Sent) -> Shown {
    let (reader, reason) = (&sent.reader, sent.text("reason"));
    // Whoever may not read holds learns here that they may not, and nothing else.
    authority::may_read(&app.kernel, &reader.caller, "scope", "", false).await?;
    let scope = scope_of(&app, reader, &sent.text("kind"), &sent.text("id")).await?;
    let ask = HoldRelease { scope: scope.clone(), reason: reason.clone(), placed_by: None };
    match sent.done(holds::release(&app.kernel, &reader.caller, ask)).await {
        Ok(_) => Ok(Redirect::to("/holds").into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed { wrong: Some((*failure.0).into()), comment: reason, to: String::new() };
            release_page(&app, reader, &scope, status, typed).await
        }
    }
}
