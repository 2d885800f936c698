//! Out of office: one names who votes in one's place, and comes back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::people::NewStandIn;
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::problem::Wrong;
use tenure_console::sheet::{Button, Field, Form, Sheet, SheetPage};
use tenure_console::text;
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::stand_ins;

use crate::app::App;
use crate::caller::named::meant;
use crate::console::making::{day, morning};
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/people/{id}/stand-in", get(away).post(go))
        .page("/people/{id}/end-stand-in", get(returning).post(come_back))
}

/// The reader's own id: everybody names their own stand-in, so the pages of others are nobody's to see.
async fn oneself(app: &App, reader: &Reader, who: &str) -> Result<PersonId, Failure> {
    match meant::<Person>(app, &reader.caller, who).await? {
        id if id == reader.person => Ok(id),
        _ => Err(OpError::NotFound("page of somebody else's absence").into()),
    }
}

async fn away(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let id = oneself(&app, &reader, &who).await?;
    Ok(page(StatusCode::OK, &away_page(&reader, id, |_| String::new(), None)))
}

async fn go(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let id = oneself(&app, reader, &who).await?;
    let failure = match Box::pin(named(&app, &sent, id)).await {
        Ok(()) => return Ok(Redirect::to(&home(id).to_string()).into_response()),
        Err(failure) => failure,
    };
    let status = status_of(&failure);
    let wrong = Some((*failure.0).into());
    Ok(page(status, &away_page(reader, id, |name| sent.text(name), wrong)))
}

async fn named(app: &App, sent: &Sent, id: PersonId) -> Result<(), Failure> {
    let caller = &sent.reader.caller;
    let until = day("until", &sent.text("until"))?;
    let from: Option<Timestamp> = match sent.text("from") {
        first if first.is_empty() => None,
        first => {
            let (begins, ends) = (morning("from", &first)?, day("from", &first)?);
            // Today begins now.
            let is_today = begins <= sent.reader.now && sent.reader.now <= ends;
            Some(begins).filter(|_| !is_today)
        }
    };
    let ask = NewStandIn { person: meant::<Person>(app, caller, &sent.text("person")).await?, from, until };
    stand_ins::name_stand_in(&app.kernel, caller, id, ask).await?;
    Ok(())
}

fn away_page(reader: &Reader, id: PersonId, typed: impl Fn(&str) -> String, wrong: Option<Wrong>) -> SheetPage {
    let first = Field::Line {
        name: "from",
        label: text::AWAY_FROM,
        hint: text::AT_ONCE_HINT,
        value: typed("from"),
        kind: "date",
        required: false,
    };
    let form = Form {
        action: home(id).verb("stand-in"),
        wrong,
        fields: vec![
            Field::line("person", text::STAND_IN, text::STAND_IN_HINT, typed("person")),
            first,
            Field::day("until", text::UNTIL, text::AWAY_UNTIL_HINT, typed("until")),
        ],
        buttons: vec![Button::only(text::NAME_THEM, false)],
        takes_fresh: true,
    };
    sheet(reader, id, text::AWAY, text::AWAY_LEAD, form)
}

async fn returning(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let id = oneself(&app, &reader, &who).await?;
    Ok(page(StatusCode::OK, &back_page(&reader, id, None)))
}

async fn come_back(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let id = oneself(&app, reader, &who).await?;
    match Box::pin(stand_ins::end_stand_in(&app.kernel, &reader.caller, id)).await {
        Ok(_) => Ok(Redirect::to(&home(id).to_string()).into_response()),
        Err(error) => {
            let failure = Failure::from(error);
            Ok(page(status_of(&failure), &back_page(reader, id, Some((*failure.0).into()))))
        }
    }
}

fn back_page(reader: &Reader, id: PersonId, wrong: Option<Wrong>) -> SheetPage {
    let action = home(id).verb("end-stand-in");
    let buttons = vec![Button::only(text::BACK_AGAIN, false)];
    let form = Form { action, wrong, fields: Vec::new(), buttons, takes_fresh: false };
    sheet(reader, id, text::BACK_AGAIN, text::BACK_LEAD, form)
}

fn sheet(reader: &Reader, id: PersonId, title: &'static str, lead: &'static str, form: Form) -> SheetPage {
    let called = reader.caller.person().and_then(|person| person.name.clone());
    let sheet = Sheet {
        back: Some((home(id), called.unwrap_or_else(|| text::sentence(text::ERASED)))),
        lead: lead.to_owned(),
        form: Some(form),
        ..Sheet::default()
    };
    SheetPage { frame: reader.frame(title, Place::People), sheet }
}

fn home(id: PersonId) -> Address {
    Address::new("/people").below(&id.to_string())
}
