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
use crate::console::reader::{Asked, Reader, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::Path;
use crate::contract::reply::id;

/// Receipts of the page that nothing was asked of.
const LAST: usize = 200;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/receipts", get(list)).page("/receipts/{id}", get(one))
}

async fn list(State(app): State<App>, asked: Asked<Receipt>) -> Shown {
    let Asked { reader, ask, address } = asked;
    // Ids go by time, and a list by ids begins with the oldest: what is looked for is mostly the last.
    let (receipts, end) = if address.parameters().is_empty() {
        let last = receipts::last_receipts(&app.kernel, &reader.caller, LAST).await?;
        let last = last.into_iter().map(|view| view.receipt).collect::<Vec<_>>();
        (last, End { next: None, count: None, unreadable: Vec::new() })
    } else {
        let found = counted!(ask, |ask| app.kernel.list::<Receipt>(&reader.caller, ask))?;
        let end = End { next: found.next, count: found.count, unreadable: found.unreadable };
        (found.items.into_iter().map(|found| found.record).collect(), end)
    };
    let names = listed_names(&app, &reader.caller, &receipts, address.parameters()).await?;
    let frame = reader.frame(text::RECEIPTS, Place::Receipts);
    Ok(page(StatusCode::OK, &receipts_page(frame, address, &receipts, end, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view: ReceiptView = receipts::receipt(&app.kernel, &reader.caller, id(&which, "receipt")?).await?;
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &ReceiptPage::new(reader.frame("", Place::Receipts), view, &names)))
}
