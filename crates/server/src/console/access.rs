//! Exceptional access: what people hold, packages, and what lets somebody in besides the ordinary way.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_console::frame::Place;
use tenure_console::watch::Typed;
use tenure_console::{access as pages, text};
use tenure_core::finding::exceptional::ExceptionalAccess;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::{Package, PersonGrant};
use tenure_engine::access::person_access::report;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::exceptional;

use crate::app::App;
use crate::caller::named::{get as record, listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/person-grants", get(held))
        .page("/people/{id}/access", get(held_by).post(take_back))
        .page("/packages", get(packages))
        .page("/packages/{name}", get(package))
        .page("/log/exceptional", get(exceptional))
}

async fn held(State(app): State<App>, asked: Asked<PersonGrant>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = app.kernel.list::<PersonGrant>(&reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::PERSON_GRANTS, Place::Access);
    Ok(page(StatusCode::OK, &pages::person_grants(frame, address, found, &names)))
}

async fn held_by(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    access_page(&app, &reader, &who, StatusCode::OK, Typed::default()).await
}

async fn access_page(app: &App, reader: &Reader, who: &str, status: StatusCode, typed: Typed) -> Shown {
    let id = meant::<Person>(app, &reader.caller, who).await?;
    let report = report::person_access(&app.kernel, &reader.caller, id).await?;
    let names = names_in(app, &reader.caller, &report).await?;
    Ok(page(status, &pages::person_access(reader.frame("", Place::Access), &report, &names, typed)))
}

/// Takes one of their grants back.
async fn take_back(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    let (reader, reason) = (&sent.reader, sent.text("reason"));
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let person = meant::<Person>(&app, caller, &who).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    let report = report::person_access(kernel, caller, person).await?;
    let taken = sent.done(async {
        let grant = id(&sent.text("grant"), "person grant")?;
        if !report.access.iter().any(|access| access.grant == grant) {
            return Err(OpError::NotFound("grant of theirs").into());
        }
        Ok::<_, Failure>(report::revoke_person_grant(kernel, caller, grant, reason.clone()).await?)
    });
    match taken.await {
        Ok(_) => Ok(Redirect::to(&format!("/people/{person}/access")).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed { wrong: Some((*failure.0).into()), comment: reason, to: String::new() };
            access_page(&app, reader, &who, status, typed).await
        }
    }
}

async fn packages(State(app): State<App>, asked: Asked<Package>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = app.kernel.list::<Package>(&reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &pages::packages(reader.frame(text::PACKAGES, Place::Access), address, found, &names)))
}

async fn package(State(app): State<App>, reader: Reader, Path(name): Path<String>) -> Shown {
    let view = record::<Package>(&app, &reader.caller, &name).await?;
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &pages::package(reader.frame("", Place::Access), &view.record, &names)))
}

async fn exceptional(State(app): State<App>, asked: Asked<ExceptionalAccess>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = exceptional::exceptional_accesses(&app.kernel, &reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::EXCEPTIONAL, Place::Access);
    Ok(page(StatusCode::OK, &pages::exceptional(frame, address, found, &names)))
}
