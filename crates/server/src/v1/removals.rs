//! Removals: something that identities live by has ended.

use axum::extract::State;
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::signal::removal::Removal;
use tenure_engine::endings::removals;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, Tried, id, ok, tried};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/removals", "Raises a removal by hand.", raise)
        .get("/v1/removals", "Lists removals.", list)
        .get("/v1/removals/{id}", "Shows a removal.", one)
        .post("/v1/removals/{id}/confirm", "Confirms a removal.", confirm)
        .post("/v1/removals/{id}/release", "Releases a removal.", release)
}

async fn raise(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewRemoval>,
) -> Tried<Revised<Removal>> {
    let nothing_made = ask.dry_run;
    let removal = removals::raise_removal(&app.kernel, &caller, ask).await?;
    tried(nothing_made, removal)
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Removal>,
) -> Reply<Page<Revised<Removal>>> {
    ok(removals::removals(&app.kernel, &caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(removal): Path<String>,
) -> Reply<Revised<Removal>> {
    ok(removals::removal(&app.kernel, &caller, id(&removal, "removal")?).await?)
}

async fn confirm(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(removal): Path<String>,
    Body(ask): Body<ConfirmRemoval>,
) -> Reply<Revised<Removal>> {
    ok(removals::confirm_removal(&app.kernel, &caller, id(&removal, "removal")?, ask).await?)
}

async fn release(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(removal): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Removal>> {
    ok(removals::release_removal(&app.kernel, &caller, id(&removal, "removal")?, because.reason).await?)
}
