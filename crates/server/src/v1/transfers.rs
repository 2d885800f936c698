//! Transfers of identities from one accountable owner to another.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::people::NewOffer;
use tenure_api::views::{Page, Resource as View};
use tenure_core::identity::transfer::Transfer;
use tenure_engine::access::transfers;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/identities/{id}/transfer", post(start))
        .route("/v1/transfers", get(list))
        .route("/v1/transfers/{id}", get(one))
        .route("/v1/transfers/{id}/offer", post(offer))
        .route("/v1/transfers/{id}/accept", post(accept))
        .route("/v1/transfers/{id}/decline", post(decline))
        .route("/v1/transfers/{id}/withdraw", post(withdraw))
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Transfer>) -> Reply<Page<View<Transfer>>> {
    ok(transfers::transfers(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(transfer): Path<String>) -> Reply<View<Transfer>> {
    ok(transfers::transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn start(State(app): State<App>, Operator(caller): Operator, Path(identity): Path<String>, Body(ask): Body<NewOffer>) -> Reply<View<Transfer>> {
    created(transfers::start_transfer(&app.kernel, &caller, id(&identity, "identity")?, ask).await?)
}

async fn offer(State(app): State<App>, Operator(caller): Operator, Path(transfer): Path<String>, Body(ask): Body<NewOffer>) -> Reply<View<Transfer>> {
    ok(transfers::offer_transfer(&app.kernel, &caller, id(&transfer, "transfer")?, ask).await?)
}

async fn accept(State(app): State<App>, Operator(caller): Operator, Path(transfer): Path<String>) -> Reply<View<Transfer>> {
    ok(transfers::accept_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn decline(State(app): State<App>, Operator(caller): Operator, Path(transfer): Path<String>) -> Reply<View<Transfer>> {
    ok(transfers::decline_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn withdraw(State(app): State<App>, Operator(caller): Operator, Path(transfer): Path<String>) -> Reply<View<Transfer>> {
    ok(transfers::withdraw_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}
