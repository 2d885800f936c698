//! Requests and their votes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use tenure_api::request::{NewNote, NewVote};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::request::{Noted, RequestPage, VoteForm};
use tenure_console::{requests, text};
use tenure_core::base::id::RequestId;
use tenure_core::request::Request;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::{notes, request, votes};

use crate::app::App;
use crate::caller::named::{listed_names, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/requests", get(list))
        .page("/requests/{id}", get(one).post(vote))
        .page("/requests/{id}/notes", post(note))
}

async fn list(State(app): State<App>, asked: Asked<Request>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| request::requests(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::REQUESTS, Place::Requests);
    Ok(page(StatusCode::OK, &requests::page(frame, address, found, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let which = id(&which, "request")?;
    Ok(page(StatusCode::OK, &sheet(&app, &reader, which, empty(which), Noted::default()).await?))
}

/// Votes, for what the page showed: its content hash comes with the vote.
async fn vote(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, which) = (&sent.reader, id(&which, "request")?);
    // Whoever may not read it learns here that they may not, and nothing else.
    Box::pin(request::request(&app.kernel, &reader.caller, which)).await?;
    let comment = sent.text("comment");
    let ask = NewVote { content_hash: sent.text("content_hash"), comment: comment.clone() };
    let decided = match sent.text("decision").as_str() {
        "approve" => Box::pin(votes::vote(&app.kernel, &reader.caller, which, true, ask)).await,
        "deny" => Box::pin(votes::vote(&app.kernel, &reader.caller, which, false, ask)).await,
        _ => Err(OpError::field("decision", "value_unknown", "it takes `approve` or `deny`")),
    };
    let failure: crate::contract::error::Failure = match decided {
        // The page is read again, so that loading it anew votes for nothing.
        Ok(_) => return Ok(Redirect::to(&address(which)).into_response()),
        Err(error) => error.into(),
    };
    let status = status_of(&failure);
    let form = VoteForm { action: address(which), wrong: Some((*failure.0).into()), comment };
    Ok(page(status, &sheet(&app, reader, which, form, Noted::default()).await?))
}

/// Asks back, or answers.
async fn note(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, which) = (&sent.reader, id(&which, "request")?);
    // Whoever may not read it learns here that they may not, and nothing else.
    Box::pin(request::request(&app.kernel, &reader.caller, which)).await?;
    let text = sent.text("text");
    match Box::pin(notes::write_note(&app.kernel, &reader.caller, which, NewNote { text: text.clone() })).await {
        Ok(_) => Ok(Redirect::to(&format!("{}#history", address(which))).into_response()),
        Err(error) => {
            let failure: crate::contract::error::Failure = error.into();
            let status = status_of(&failure);
            let noted = Noted { wrong: Some((*failure.0).into()), text };
            Ok(page(status, &sheet(&app, reader, which, empty(which), noted).await?))
        }
    }
}

/// The form of a vote into which nothing was typed yet.
fn empty(which: RequestId) -> VoteForm {
    VoteForm { action: address(which), wrong: None, comment: String::new() }
}

async fn sheet(
    app: &App,
    reader: &Reader,
    which: RequestId,
    form: VoteForm,
    noted: Noted,
) -> Result<RequestPage, crate::console::reader::Refusal> {
    let view = Box::pin(request::request(&app.kernel, &reader.caller, which)).await?;
    let names = names_in(app, &view).await?;
    let person = reader.caller.person().ok_or(OpError::NotFound("person"))?;
    Ok(RequestPage::new(reader.frame("", Place::Requests), view, &names, person, form, noted))
}

fn address(request: RequestId) -> String {
    Address::new("/requests").below(&request.to_string()).to_string()
}
