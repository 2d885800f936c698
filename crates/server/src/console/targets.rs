//! Targets and their accounts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::views::{Page, Revised};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::problem::Wrong;
use tenure_console::{targets, text};
use tenure_core::store::term::Term;
use tenure_core::target::account::Account;
use tenure_core::target::login::Login;
use tenure_core::target::system::TargetSystem;
use tenure_engine::credentials::{logins, refusal_times};
use tenure_engine::kernel::authority;
use tenure_engine::kernel::query::ListAsk;
use tenure_engine::targets::{accounts, rotation, suggestions, systems};

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

/// Accounts that a target's page names.
const NAMED: u16 = 50;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/targets", get(list))
        .page("/targets/{id}", get(one))
        .page("/accounts", get(account_list))
        .page("/accounts/{id}", get(account))
        .page("/accounts/{id}/rotate", get(rotation_form).post(rotate))
}

async fn list(State(app): State<App>, asked: Asked<TargetSystem>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| systems::targets(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &targets::targets(reader.frame(text::TARGETS, Place::Targets), address, found, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let target = meant::<TargetSystem>(&app, caller, &which).await?;
    let view = systems::target(kernel, caller, target).await?;
    let there = if authority::reads_all(kernel, caller, "account") {
        let theirs = vec![Account::TARGET.of(target)];
        let ask = ListAsk { filters: theirs, limit: Some(NAMED), ..ListAsk::default() };
        accounts::accounts(kernel, caller, ask).await?
    } else {
        Page::whole(Vec::new())
    };
    let logins = match authority::reads_all(kernel, caller, "credential") {
        true => logins::logins(kernel, caller, last(Login::TARGET.of(target))).await?.items,
        false => Vec::new(),
    };
    let times = match authority::reads_all(kernel, caller, "receipt") {
        true => Some(refusal_times::refusal_times(kernel, caller).await?),
        false => None,
    };
    let names = names_in(&app, caller, &(&view, &there, &logins)).await?;
    let frame = reader.frame("", Place::Targets);
    Ok(page(StatusCode::OK, &targets::target(frame, &view, &there, &logins, times, &names)))
}

/// The last logins of a target or an identity.
pub(super) fn last(of: Term<Login>) -> ListAsk<Login> {
    ListAsk { filters: vec![of], sort: Some(NEWEST_FIRST), limit: Some(NAMED), ..ListAsk::default() }
}

async fn account_list(State(app): State<App>, asked: Asked<Account>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| accounts::accounts(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &targets::accounts(reader.frame(text::ACCOUNTS, Place::Accounts), address, found, &names)))
}

async fn account(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let view = accounts::account(kernel, caller, id(&which, "account")?).await?;
    let suggested = match accounts::is_unclaimed(kernel, &view.record).await? {
        true => Box::pin(suggestions::suggestions(kernel, caller, view.record.id)).await?.items,
        false => Vec::new(),
    };
    let may_rotate = accounts::is_rotatable(kernel, caller, view.record.id).await;
    let names = names_in(&app, caller, &(&view, &suggested)).await?;
    let frame = reader.frame("", Place::Accounts);
    Ok(page(StatusCode::OK, &targets::account(frame, &view, &suggested, may_rotate, &names)))
}

async fn rotation_form(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = accounts::rotatable(&app.kernel, &reader.caller, id(&which, "account")?).await?;
    rotation_page(&app, &reader, &view, StatusCode::OK, None).await
}

async fn rotation_page(
    app: &App,
    reader: &Reader,
    view: &Revised<Account>,
    status: StatusCode,
    wrong: Option<Wrong>,
) -> Shown {
    let names = names_in(app, &reader.caller, view).await?;
    Ok(page(status, &targets::rotation(reader.frame("", Place::Accounts), view, &names, wrong)))
}

async fn rotate(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    // Whoever may not do it learns here that they may not, and nothing else.
    let view = accounts::rotatable(&app.kernel, &reader.caller, id(&which, "account")?).await?;
    let which = view.record.id;
    match sent.done(rotation::rotate(&app.kernel, &reader.caller, which)).await {
        Ok(_) => Ok(Redirect::to(&Address::new("/accounts").below(&which.to_string()).to_string()).into_response()),
        Err(failure) => rotation_page(&app, reader, &view, status_of(&failure), Some((*failure.0).into())).await,
    }
}
