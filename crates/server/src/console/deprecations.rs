//! Deprecations: what goes on a day, and who still uses it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_console::deprecations;
use tenure_console::frame::Place;
use tenure_console::text;
use tenure_core::inventory::deprecation::{Deprecated, Deprecation};

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::reader::{Asked, Reader, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/deprecations", get(list)).page("/deprecations/{id}", get(one))
}

async fn list(State(app): State<App>, asked: Asked<Deprecation>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| app.kernel.list::<Deprecation>(&reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::DEPRECATIONS, Place::Deprecations);
    Ok(page(StatusCode::OK, &deprecations::deprecations(frame, address, found, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let of = id::<Deprecated>(&which, "deprecation")?.to_string();
    let view = app.kernel.get::<Deprecation>(&reader.caller, &of).await?;
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &deprecations::deprecation(reader.frame("", Place::Deprecations), &view, &names)))
}
