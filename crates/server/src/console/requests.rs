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
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::{Paging, Path, Query};
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/requests", get(list))
        .page("/waiting", get(waiting))
        .page("/requests/{id}", get(one).post(vote))
        .page("/requests/{id}/notes", post(note))
}

async fn list(State(app): State<App>, asked: Asked<Request>) -> Shown {
    let Asked { reader, mut ask, address } = asked;
    ask.sort.get_or_insert(NEWEST_FIRST);
    let found = counted!(ask, |ask| request::requests(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::REQUESTS, Place::Requests);
    Ok(page(StatusCode::OK, &requests::page(frame, address, found, &names)))
}

/// What waits for the reader's vote, the oldest first: it lapses first.
async fn waiting(State(app): State<App>, reader: Reader, asked: Result<Query<Paging>, Failure>) -> Shown {
    let Query(Paging { after, limit }) = asked?;
    let mut address = Address::new("/waiting");
    if let Some(limit) = limit {
        address = address.with("limit", limit.to_string());
    }
    if let Some(after) = &after {
        address = address.with("after", after.clone());
    }
    let found = request::waiting_votes(&app.kernel, &reader.caller, after, limit).await?;
    let names = names_in(&app, &reader.caller, &found.items).await?;
    Ok(page(StatusCode::OK, &requests::waiting(reader.frame(text::WAITING, Place::Requests), address, found, &names)))
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
    let failure = match Box::pin(voted(&app, &sent, which, ask)).await {
        // The page is read again, so that loading it anew votes for nothing.
        Ok(()) => return Ok(Redirect::to(&address(which)).into_response()),
        Err(failure) => failure,
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
    let ask = NewNote { text: text.clone() };
    match sent.done(notes::write_note(&app.kernel, &reader.caller, which, ask)).await {
        Ok(_) => Ok(Redirect::to(&format!("{}#history", address(which))).into_response()),
        Err(failure) => {
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

async fn voted(app: &App, sent: &Sent, which: RequestId, ask: NewVote) -> Result<(), Failure> {
    sent.checked()?;
    let approves = match sent.text("decision").as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(OpError::field("decision", "value_unknown", "it takes `approve` or `deny`").into()),
    };
    votes::vote(&app.kernel, &sent.reader.caller, which, approves, ask).await?;
    Ok(())
}

async fn sheet(
    app: &App,
    reader: &Reader,
    which: RequestId,
    form: VoteForm,
    noted: Noted,
) -> Result<RequestPage, crate::console::reader::Refusal> {
    let view = Box::pin(request::request(&app.kernel, &reader.caller, which)).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let person = reader.caller.person().ok_or(OpError::NotFound("person"))?;
    Ok(RequestPage::new(reader.frame("", Place::Requests), view, &names, person, form, noted))
}

fn address(request: RequestId) -> String {
    Address::new("/requests").below(&request.to_string()).to_string()
}
