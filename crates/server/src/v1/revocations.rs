//! Revocations, holds and receipts.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_api::requests::{HoldRelease, NewHold, Revocation};
use tenure_api::views::{HoldView, Names, Page, Plain, ReceiptView, Revised};
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::Hold;
use tenure_engine::credentials::{holds, receipts, revocation};
use tenure_engine::kernel::error::OpError;
use tenure_engine::log::reading;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::{Api, Gives, Operation};
use crate::contract::body::Body;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, Tried, created, id, ok, tried};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post(
        "/v1/revocations",
        "Revokes everything of a scope: a credential, an identity, an owner, an application, an environment, a vendor, a cloud account.",
        revoke,
    )
    .get("/v1/receipts", "Lists receipts.", list)
    .get("/v1/receipts/{id}", "Shows a receipt.", receipt)
    .post("/v1/holds", "Places a hold on a scope: nothing of it acts until it is released.", hold)
    .get("/v1/holds", "Lists holds.", holds)
    .post("/v1/holds/release", "Releases a hold that somebody else placed.", release)
    .get("/.well-known/tenure-keys", "Gives the keys that receipts are verified with.", keys)
}

async fn revoke(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<Revocation>) -> New<ReceiptView> {
    created(revocation::revoke(&app.kernel, &caller, ask).await?)
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Receipt>,
) -> Reply<Page<Revised<Receipt>>> {
    ok(app.kernel.list::<Receipt>(&caller, list.ask).await?)
}

/// A receipt as it is kept, or its signed form alone.
enum ReceiptReply {
    View(Box<ReceiptView>),
    Signed(String),
}

impl IntoResponse for ReceiptReply {
    fn into_response(self) -> Response {
        match self {
            Self::View(view) => axum::Json(view).into_response(),
            Self::Signed(text) => ([(header::CONTENT_TYPE, SIGNED)], text).into_response(),
        }
    }
}

impl Gives for ReceiptReply {
    fn describe(operation: &mut Operation<'_>) {
        let view = operation.schema::<ReceiptView>();
        operation.answer(StatusCode::OK, "application/json", &view);
        operation.also_answer(StatusCode::OK, SIGNED, &serde_json::json!({"type": "string"}));
    }
}

/// The media type of a signed receipt (RFC 7515 §9.2.1).
const SIGNED: &str = "application/jose";

/// The receipt, or with `.jws` at its end the signed form alone.
async fn receipt(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
) -> Result<ReceiptReply, Failure> {
    let (name, signed) = name.strip_suffix(".jws").map_or((name.as_str(), false), |name| (name, true));
    let view = receipts::receipt(&app.kernel, &caller, id(name, "receipt")?).await?;
    if !signed {
        return Ok(ReceiptReply::View(Box::new(view)));
    }
    let text = view.receipt.signed;
    let text = text.ok_or(OpError::NotFound("signed receipt yet: not every point has answered"))?;
    Ok(ReceiptReply::Signed(text))
}

async fn hold(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewHold>) -> Tried<HoldView> {
    let nothing_made = ask.dry_run;
    let view = holds::hold(&app.kernel, &caller, ask).await?;
    tried(nothing_made, view)
}

async fn holds(State(app): State<App>, Operator(caller): Operator, list: List<Hold>) -> Reply<Page<Hold>> {
    ok(holds::holds(&app.kernel, &caller, list.ask).await?)
}

async fn release(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<HoldRelease>,
) -> Reply<Plain<Hold>> {
    let record = holds::release(&app.kernel, &caller, ask).await?;
    ok(Plain { record, names: Names::new() })
}

/// What receipts and the log are checked with.
async fn keys(State(app): State<App>) -> Reply<serde_json::Value> {
    ok(serde_json::json!({
        "receipts": {"keys": [receipts::receipt_key(&app.kernel).await?]},
        "log": reading::verifier_key(&app.kernel).await?,
    }))
}
