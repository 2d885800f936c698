//! Saved views of the inventory.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::saved_views::{NewView, SavedView, ViewChange};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::views::{self as pages, Typed};
use tenure_console::{identities, list, text};
use tenure_core::base::id::{TeamId, ViewId};
use tenure_core::identity::Identity;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::views;

use crate::app::App;
use crate::caller::named::names_in;
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::page::{page, status_of};
use crate::contract::query::{Path, parameters};
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/views", get(all).post(save)).page("/views/{id}", get(one).post(change))
}

/// What a view keeps of a query, as an address of the inventory writes it: where a page of it begins, and how long that
/// is, is nothing of the view.
///
/// # Errors
/// The inventory takes no such query.
pub(crate) fn kept_of(query: &str) -> Result<String, Failure> {
    let given = parameters(query.trim().trim_start_matches('?')).map_err(OpError::Invalid)?;
    let kept = given
        .into_iter()
        .filter(|(name, value)| !["after", "limit", "count"].contains(&name.as_str()) && !value.trim().is_empty());
    let address = Address::new("").of(kept.collect());
    identities::columns(address.get(list::COLUMNS))
        .map_err(|takes| OpError::field(list::COLUMNS, "value_unknown", &takes))?;
    List::<Identity>::of(&address.clone().without(list::COLUMNS).query())?;
    Ok(address.query())
}

async fn all(State(app): State<App>, reader: Reader) -> Shown {
    let found = views::views(&app.kernel, &reader.caller).await?.items;
    let names = names_in(&app, &reader.caller, &found).await?;
    Ok(page(StatusCode::OK, &pages::list(reader.frame(text::VIEWS, Place::Identities), &found, reader.person, &names)))
}

async fn save(State(app): State<App>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let (name, query) = (sent.text("name"), sent.text("query"));
    let saved = async {
        let ask = NewView { name: name.clone(), query: kept_of(&query)?, team: None };
        Ok::<_, Failure>(views::save_view(&app.kernel, &reader.caller, ask).await?)
    };
    match sent.done(saved).await {
        Ok(view) => Ok(Redirect::to(&pages::opened(&view).to_string()).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed { name, team: String::new(), wrong: Some((*failure.0).into()) };
            let frame = reader.frame(text::SAVE_VIEW, Place::Identities);
            Ok(page(status, &pages::new(frame, query, typed)))
        }
    }
}

/// A view of the reader's own.
async fn own(app: &App, reader: &Reader, which: &str) -> Result<SavedView, Failure> {
    let view: ViewId = id(which, "view of yours")?;
    let found = views::views(&app.kernel, &reader.caller).await?.items;
    let own = found.into_iter().find(|found| found.id == view && found.person == reader.person);
    own.ok_or_else(|| OpError::NotFound("view of yours").into())
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = own(&app, &reader, &which).await?;
    let team = view.team.map(|team| team.to_string()).unwrap_or_default();
    let typed = Typed { name: view.name.clone(), team, wrong: None };
    sheet(&app, &reader, StatusCode::OK, &view, typed).await
}

async fn sheet(app: &App, reader: &Reader, status: StatusCode, view: &SavedView, typed: Typed) -> Shown {
    let teams: Vec<TeamId> = reader.caller.person().map(|person| person.teams.clone()).unwrap_or_default();
    let names = names_in(app, &reader.caller, &(&teams, view)).await?;
    let frame = reader.frame(view.name.clone(), Place::Identities);
    Ok(page(status, &pages::one(frame, view, &teams, typed, &names)))
}

async fn change(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let view = own(&app, reader, &which).await?;
    let (name, team) = (sent.text("name"), sent.text("team"));
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let done = async {
        if sent.text("decision") == "delete" {
            return Ok::<_, Failure>(views::delete_view(kernel, caller, view.id).await?);
        }
        let of_team = match team.as_str() {
            "" => None,
            team => Some(team.parse().map_err(|_| OpError::field("team", "team_unknown", text::OWN_TEAM))?),
        };
        let ask = ViewChange { name: Some(name.clone()), query: None, team: Some(of_team) };
        Ok(views::change_view(kernel, caller, view.id, ask).await?)
    };
    match sent.done(done).await {
        Ok(_) => Ok(Redirect::to("/views").into_response()),
        Err(failure) => {
            let typed = Typed { name, team, wrong: Some((*failure.0.clone()).into()) };
            sheet(&app, reader, status_of(&failure), &view, typed).await
        }
    }
}
