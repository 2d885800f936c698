//! Removals: something that identities live by has ended.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::signal::removal::Removal;
use tenure_engine::endings::removals;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/removals", post(raise).get(list))
        .route("/v1/removals/{id}", get(one))
        .route("/v1/removals/{id}/confirm", post(confirm))
        .route("/v1/removals/{id}/release", post(release))
}

async fn raise(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewRemoval>) -> Reply<View<Removal>> {
    let nothing_made = ask.dry_run;
    let removal = removals::raise_removal(&app.kernel, &caller, ask).await?;
    if nothing_made { ok(removal) } else { created(removal) }
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Removal>) -> Reply<Page<View<Removal>>> {
    ok(removals::removals(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>) -> Reply<View<Removal>> {
    ok(removals::removal(&app.kernel, &caller, id(&removal, "removal")?).await?)
}

async fn confirm(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>, Body(ask): Body<ConfirmRemoval>) -> Reply<View<Removal>> {
    ok(removals::confirm_removal(&app.kernel, &caller, id(&removal, "removal")?, ask).await?)
}

async fn release(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>, Body(because): Body<Because>) -> Reply<View<Removal>> {
    ok(removals::release_removal(&app.kernel, &caller, id(&removal, "removal")?, because.reason).await?)
}
