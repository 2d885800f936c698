//! A finding is let be for a while: the form that asks for its exception.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use serde_json::json;
use tenure_api::exceptions::{NewControl, NewException};
use tenure_api::findings::FindingView;
use tenure_console::accepting::{self, Typed};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_core::base::id::ExceptionId;
use tenure_core::request::exception::ExceptionType;
use tenure_engine::identities::findings;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::exceptions;

use crate::app::App;
use crate::caller::named::names_in;
use crate::console::making::span;
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/findings/{id}/accept", get(form).post(ask))
}

async fn form(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = findings::finding(&app.kernel, &reader.caller, id(&which, "finding")?).await?;
    shown(&app, &reader, &view, StatusCode::OK, Typed::default()).await
}

async fn shown(app: &App, reader: &Reader, view: &FindingView, status: StatusCode, typed: Typed) -> Shown {
    let names = names_in(app, &reader.caller, view).await?;
    Ok(page(status, &accepting::accepting(reader.frame("", Place::Findings), view, &names, typed)))
}

async fn ask(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    // Whoever may not read it learns here that they may not, and nothing else.
    let view = findings::finding(&app.kernel, &reader.caller, id(&which, "finding")?).await?;
    match sent.done(asked(&app, &sent, &view)).await {
        Ok(exception) => {
            let to = Address::new("/exceptions").below(&exception.to_string());
            Ok(Redirect::to(&to.to_string()).into_response())
        }
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed {
                wrong: Some((*failure.0).into()),
                reason: sent.text("reason"),
                monitoring: sent.text("monitoring"),
                duration: sent.text("duration"),
            };
            shown(&app, reader, &view, status, typed).await
        }
    }
}

async fn asked(app: &App, sent: &Sent, view: &FindingView) -> Result<ExceptionId, OpError> {
    let ask = NewException {
        kind: ExceptionType::AcceptedFinding.as_str().to_owned(),
        subject: json!({"type": "identity", "id": view.record.subject}),
        reason: sent.text("reason"),
        compensating: vec![NewControl { control: "monitoring".to_owned(), description: sent.text("monitoring") }],
        duration: span("duration", &sent.text("duration"))?,
        renews: None,
        places: Vec::new(),
        finding: Some(view.record.id),
    };
    Ok(exceptions::propose_exception(&app.kernel, &sent.reader.caller, ask).await?.record.id)
}
