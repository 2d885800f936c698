//! Transfers of identities from one accountable owner to another.

use axum::extract::State;
use tenure_api::people::NewOffer;
use tenure_api::views::{Page, Revised};
use tenure_core::identity::Identity;
use tenure_core::identity::transfer::Transfer;
use tenure_engine::access::transfers;

use crate::app::App;
use crate::caller::named::meant;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/identities/{id}/transfer", "Offers an identity to another owner.", start)
        .get("/v1/transfers", "Lists transfers.", list)
        .get("/v1/transfers/{id}", "Shows a transfer.", one)
        .post("/v1/transfers/{id}/offer", "Offers a transfer.", offer)
        .post("/v1/transfers/{id}/accept", "Accepts a transfer.", accept)
        .post("/v1/transfers/{id}/decline", "Declines a transfer.", decline)
        .post("/v1/transfers/{id}/withdraw", "Withdraws a transfer.", withdraw)
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Transfer>,
) -> Reply<Page<Revised<Transfer>>> {
    ok(transfers::transfers(&app.kernel, &caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(transfer): Path<String>,
) -> Reply<Revised<Transfer>> {
    ok(transfers::transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn start(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(identity): Path<String>,
    Body(ask): Body<NewOffer>,
) -> New<Revised<Transfer>> {
    created(
        transfers::start_transfer(&app.kernel, &caller, meant::<Identity>(&app, &caller, &identity).await?, ask)
            .await?,
    )
}

async fn offer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(transfer): Path<String>,
    Body(ask): Body<NewOffer>,
) -> Reply<Revised<Transfer>> {
    ok(transfers::offer_transfer(&app.kernel, &caller, id(&transfer, "transfer")?, ask).await?)
}

async fn accept(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(transfer): Path<String>,
) -> Reply<Revised<Transfer>> {
    ok(transfers::accept_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn decline(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(transfer): Path<String>,
) -> Reply<Revised<Transfer>> {
    ok(transfers::decline_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}

async fn withdraw(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(transfer): Path<String>,
) -> Reply<Revised<Transfer>> {
    ok(transfers::withdraw_transfer(&app.kernel, &caller, id(&transfer, "transfer")?).await?)
}
