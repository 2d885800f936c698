//! Sources of signals, and what they said.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::watch::Typed;
use tenure_console::{signals as pages, text};
use tenure_core::people::person::Role;
use tenure_core::signal::{Signal, Source};
use tenure_engine::kernel::error::OpError;
use tenure_engine::signals::sources;

use crate::app::App;
use crate::caller::named::{get as record, listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/sources", get(source_list))
        .page("/sources/{id}", get(source).post(change))
        .page("/signals", get(signal_list))
        .page("/signals/{source}", get(signal))
}

async fn source_list(State(app): State<App>, asked: Asked<Source>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = sources::sources(&app.kernel, &reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &pages::sources(reader.frame(text::SOURCES, Place::Signals), address, found, &names)))
}

async fn source(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    source_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn source_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = sources::source(&app.kernel, &reader.caller, meant::<Source>(app, &reader.caller, which).await?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let may_change = reader.holds(Role::Administrator) || reader.holds(Role::Security);
    let frame = reader.frame("", Place::Signals);
    Ok(page(status, &pages::source(frame, &view, &names, may_change, typed)))
}

/// Confirms it, or ends it.
async fn change(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, comment) = (&sent.reader, sent.text("comment"));
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let id = meant::<Source>(&app, caller, &which).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    sources::source(kernel, caller, id).await?;
    let done = sent.done(async {
        match sent.text("decision").as_str() {
            "confirm" => sources::confirm_source(kernel, caller, id).await,
            "remove" => sources::remove_source(kernel, caller, id, &comment).await,
            _ => Err(OpError::field("decision", "value_unknown", "it takes `confirm` or `remove`")),
        }
    });
    match done.await {
        Ok(_) => Ok(Redirect::to(&Address::new("/sources").below(&id.to_string()).to_string()).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            source_page(
                &app,
                reader,
                &which,
                status,
                Typed { wrong: Some((*failure.0).into()), comment, to: String::new() },
            )
            .await
        }
    }
}

async fn signal_list(State(app): State<App>, asked: Asked<Signal>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = app.kernel.list::<Signal>(&reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &pages::signals(reader.frame(text::SIGNALS, Place::Signals), address, found, &names)))
}

async fn signal(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = record::<Signal>(&app, &reader.caller, &which).await?;
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &pages::signal(reader.frame("", Place::Signals), &view.record, &names)))
}
