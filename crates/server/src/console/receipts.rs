//! Receipts: what proves a revocation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::views::ReceiptView;
use tenure_console::frame::Place;
use tenure_console::list::End;
use tenure_console::stop::{Proof, ReceiptPage, receipts_page};
use tenure_console::text;
use tenure_core::base::id::ReceiptId;
use tenure_core::credential::receipt::Receipt;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_engine::credentials::receipts;
use tenure_engine::kernel::caller::Caller;

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::live::{Stopping, Tells, Told, live};
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Shown, counted};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::page;
use crate::contract::query::Path;
use crate::contract::reply::id;

/// Routes whose replies are streams.
pub(super) fn streams(api: Api<App>) -> Api<App> {
    api.page("/receipts/{id}/live", get(live_proof))
}

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/receipts", get(list)).page("/receipts/{id}", get(one))
}

async fn list(State(app): State<App>, asked: Asked<Receipt>) -> Shown {
    let Asked { reader, mut ask, address } = asked;
    ask.sort.get_or_insert(NEWEST_FIRST);
    let found = counted!(ask, |ask| app.kernel.list::<Receipt>(&reader.caller, ask))?;
    let end = End { next: found.next, count: found.count, unreadable: found.unreadable };
    let receipts: Vec<Receipt> = found.items.into_iter().map(|found| found.record).collect();
    let names = listed_names(&app, &reader.caller, &receipts, address.parameters()).await?;
    let frame = reader.frame(text::RECEIPTS, Place::Receipts);
    Ok(page(StatusCode::OK, &receipts_page(frame, address, &receipts, end, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let proof = proof(&app, &reader.caller, id(&which, "receipt")?).await?;
    Ok(page(StatusCode::OK, &ReceiptPage::new(reader.frame("", Place::Receipts), proof)))
}

/// The proof of a receipt as it comes in.
async fn live_proof(State(app): State<App>, reader: Reader, Path(which): Path<String>, stopping: Stopping) -> Shown {
    let receipt: ReceiptId = id(&which, "receipt")?;
    live(app, reader, RowKey::new(RowKind::Receipt, receipt), stopping, LiveProof(receipt)).await
}

/// The proof of a receipt, told again whenever it changes.
struct LiveProof(ReceiptId);

impl Tells for LiveProof {
    async fn tell(&self, app: &App, caller: &Caller) -> Result<Told, Failure> {
        let proof = proof(app, caller, self.0).await?;
        let is_over = proof.is_done();
        Ok(Told { html: proof.to_string(), is_over })
    }
}

async fn proof(app: &App, caller: &Caller, receipt: ReceiptId) -> Result<Proof, Failure> {
    let view: ReceiptView = receipts::receipt(&app.kernel, caller, receipt).await?;
    let names = names_in(app, caller, &view).await?;
    Ok(Proof::new(view, &names, app.kernel.now()))
}
