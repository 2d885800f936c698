//! Receipts: what proves a revocation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::views::ReceiptView;
use tenure_console::frame::Place;
use tenure_console::list::End;
use tenure_console::stop::{ReceiptPage, receipts_page};
use tenure_console::text;
use tenure_core::credential::receipt::Receipt;
use tenure_engine::credentials::receipts;

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::Path;
use crate::contract::reply::id;

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
    let view: ReceiptView = receipts::receipt(&app.kernel, &reader.caller, id(&which, "receipt")?).await?;
    let names = names_in(&app, &view).await?;
    Ok(page(StatusCode::OK, &ReceiptPage::new(reader.frame("", Place::Receipts), view, &names)))
}
