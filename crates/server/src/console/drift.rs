//! Drift: what targets have and nobody approved, and what is decided about it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_console::address::Address;
use tenure_console::drift::{self as pages, Typed};
use tenure_console::frame::Place;
use tenure_console::text;
use tenure_core::base::id::DriftId;
use tenure_core::target::drift::Drift;
use tenure_engine::targets::drift;

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::making::day;
use crate::console::reader::{Asked, Reader, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/drift", get(list)).page("/drift/{id}", get(one).post(decide))
}

async fn list(State(app): State<App>, asked: Asked<Drift>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| drift::items_of(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &pages::list(reader.frame(text::DRIFT, Place::Drift), address, found, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    item_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn item_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = drift::item(&app.kernel, &reader.caller, id(which, "drift")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    Ok(page(status, &pages::page(reader.frame("", Place::Drift), &view, &names, typed)))
}

async fn decide(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let item = id(&which, "drift")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    drift::item(&app.kernel, &reader.caller, item).await?;
    match sent.done(decided(&app, &sent, item)).await {
        Ok(()) => Ok(Redirect::to(&Address::new("/drift").below(&item.to_string()).to_string()).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            let wrong = Some((*failure.0).into());
            let typed = Typed { wrong, reason: sent.text("reason"), until: sent.text("until") };
            item_page(&app, reader, &which, status, typed).await
        }
    }
}

async fn decided(app: &App, sent: &Sent, item: DriftId) -> Result<(), Failure> {
    let (kernel, caller, reason) = (&app.kernel, &sent.reader.caller, sent.text("reason"));
    match sent.text("decision").as_str() {
        "fix" => drift::fix(kernel, caller, item, DriftFix { reason }).await.map(drop)?,
        "accept" => drift::accept(kernel, caller, item, DriftAccept { reason }).await.map(drop)?,
        "ignore" => {
            let until = day("until", &sent.text("until"))?;
            drift::ignore(kernel, caller, item, DriftIgnore { reason, until }).await.map(drop)?;
        }
        _ => return Err(Failure::malformed("the form is not the page's: load it anew")),
    }
    Ok(())
}
