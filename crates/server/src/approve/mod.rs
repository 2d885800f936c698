//! The approval page: where a link in a notice leads. It shows what is asked for, and takes the answer of the one
//! person whose link it is.

mod page;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use tenure_api::request::NewVote;
use tenure_console::address::encoded;
use tenure_console::problem::Wrong;
use tenure_console::request::VoteForm;
use tenure_core::base::problem::Reason;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::link;
use tenure_engine::people::sign_in;

use crate::app::App;
use crate::caller::named::names_in;
use crate::contract::api::Api;
use crate::contract::body::{Unchecked, check_fields};
use crate::contract::error::Failure;
use crate::contract::page::status_of;
use crate::contract::query::Path;
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::Browser;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.page("/approve/{link}", get(show).post(answer))
}

async fn show(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    Path(link): Path<String>,
) -> Result<Response, Failure> {
    let caller = match reader(&app, &source, caller, &link).await? {
        Ok(caller) => caller,
        Err(response) => return Ok(response),
    };
    asked(&app, &caller, &link, StatusCode::OK, Typed::default()).await
}

/// What was typed into the form, and what was wrong with it.
#[derive(Default)]
struct Typed {
    comment: String,
    wrong: Option<Wrong>,
}

/// The page of what is asked, as it is now.
async fn asked(app: &App, caller: &Caller, link: &str, status: StatusCode, typed: Typed) -> Result<Response, Failure> {
    let approval = match link::approval(&app.kernel, caller, link).await {
        Ok(approval) => approval,
        Err(error) => return Ok(page::problem(error.into())),
    };
    let names = names_in(app, caller, &approval.request).await?;
    let person = caller.person().ok_or(OpError::NotFound("approval link"))?;
    let form = VoteForm { action: format!("/approve/{link}"), wrong: typed.wrong, comment: typed.comment };
    Ok(page::approval(app, status, person, &names, approval, form))
}

/// The answer that a form of the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    content_hash: String,
    decision: Decision,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Deny,
}

async fn answer(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    Path(link): Path<String>,
    Unchecked(answered): Unchecked<Answered>,
) -> Result<Response, Failure> {
    let caller = match reader(&app, &source, caller, &link).await? {
        Ok(caller) => caller,
        Err(response) => return Ok(response),
    };
    let comment = answered.comment.clone();
    match Box::pin(answered_by_link(&app, &caller, &link, answered)).await {
        // The page is read again, so that loading it anew votes for nothing.
        Ok(()) => Ok(Redirect::to(&format!("/approve/{link}")).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            asked(&app, &caller, &link, status, Typed { comment, wrong: Some((*failure.0).into()) }).await
        }
    }
}

async fn answered_by_link(app: &App, caller: &Caller, link: &str, answered: Answered) -> Result<(), Failure> {
    check_fields(&[("comment", &answered.comment)])?;
    let vote = NewVote { content_hash: answered.content_hash, comment: answered.comment };
    link::answer_by_link(&app.kernel, caller, link, answered.decision == Decision::Approve, vote).await?;
    Ok(())
}

/// Who reads the page: somebody who signed in just now and can't have been phished (S-7), or else the way to do that
/// and back. A link that isn't good leads nobody anywhere, and costs its sender their share of attempts; a good one has
/// its own.
async fn reader(
    app: &App,
    source: &str,
    caller: Option<Caller>,
    link: &str,
) -> Result<Result<Caller, Response>, Failure> {
    match link::linked(&app.kernel, link).await {
        Ok(_) => app.sign_ins.count(Attempt::Link(link))?,
        Err(OpError::NotFound(_)) => {
            app.sign_ins.count(Attempt::NoLink { source })?;
            if caller.is_none() {
                app.kernel.count_stranger(Reason::ProofInvalid, source);
            }
            return Ok(Err(page::not_good()));
        }
        Err(other) => return Err(other.into()),
    }
    match caller {
        Some(caller) if sign_in::me(&app.kernel, &caller).fresh => Ok(Ok(caller)),
        _ => {
            let back = encoded(&format!("/approve/{link}"));
            Ok(Err(Redirect::to(&format!("/sign-in?fresh=true&return_to={back}")).into_response()))
        }
    }
}
