//! Lists of accounts from elsewhere.

use axum::extract::State;
use tenure_api::intake::{ImportAccounts, IntakeReport};
use tenure_api::views::{Page, Revised};
use tenure_core::target::sighting::Sighting;
use tenure_engine::targets::intake;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::reply::{Reply, ok};

/// The largest list in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post_within("/v1/identities/import", "Imports a list of accounts from elsewhere.", MAX_LIST, import).get(
        "/v1/sightings",
        "Lists what lists from elsewhere say of accounts.",
        sightings,
    )
}

async fn import(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<ImportAccounts>,
) -> Reply<IntakeReport> {
    ok(Box::pin(intake::import_accounts(&app.kernel, &caller, ask)).await?)
}

async fn sightings(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Sighting>,
) -> Reply<Page<Revised<Sighting>>> {
    ok(intake::sightings(&app.kernel, &caller, list.ask).await?)
}
