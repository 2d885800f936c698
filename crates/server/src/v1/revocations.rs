//! Revocations, holds and receipts.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tenure_api::requests::{HoldRelease, NewHold, Revocation};
use tenure_api::views::{HoldView, Page, ReceiptView, Resource as View};
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::Hold;
use tenure_engine::credentials::{holds, receipts, revocation};
use tenure_engine::kernel::error::OpError;
use tenure_engine::log::reading;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/revocations", post(revoke))
        .route("/v1/receipts", get(list))
        .route("/v1/receipts/{id}", get(receipt))
        .route("/v1/holds", post(hold).get(holds))
        .route("/v1/holds/release", post(release))
        .route("/.well-known/tenure-keys", get(keys))
}

async fn revoke(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<Revocation>) -> Reply<ReceiptView> {
    created(revocation::revoke(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Receipt>) -> Reply<Page<View<Receipt>>> {
    ok(app.kernel.list::<Receipt>(&caller, list.ask).await?)
}

/// The receipt, or with `.jws` at its end the signed form alone.
async fn receipt(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Result<Response, Failure> {
    let (name, signed) = name.strip_suffix(".jws").map_or((name.as_str(), false), |name| (name, true));
    let view = receipts::receipt(&app.kernel, &caller, id(name, "receipt")?).await?;
    if !signed {
        return Ok(axum::Json(view).into_response());
    }
    let text = view
        .receipt
        .signed
        .ok_or(OpError::NotFound("signed receipt yet: not every point has answered"))?;
    Ok(([(header::CONTENT_TYPE, "application/jose")], text).into_response())
}

async fn hold(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewHold>) -> Reply<HoldView> {
    let nothing_made = ask.dry_run;
    let view = holds::hold(&app.kernel, &caller, ask).await?;
    if nothing_made { ok(view) } else { created(view) }
}

async fn holds(State(app): State<App>, Operator(caller): Operator, list: List<Hold>) -> Reply<Page<Hold>> {
    ok(holds::holds(&app.kernel, &caller, list.ask).await?)
}

async fn release(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<HoldRelease>) -> Reply<Hold> {
    ok(holds::release(&app.kernel, &caller, ask).await?)
}

/// What receipts and the log are checked with.
async fn keys(State(app): State<App>) -> Reply<serde_json::Value> {
    ok(serde_json::json!({
        "receipts": {"keys": [receipts::receipt_key(&app.kernel).await?]},
        "log": reading::verifier_key(&app.kernel).await?,
    }))
}
