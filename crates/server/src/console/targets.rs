//! Targets and their accounts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::views::Page;
use tenure_console::frame::Place;
use tenure_console::{targets, text};
use tenure_core::target::account::Account;
use tenure_core::target::system::TargetSystem;
use tenure_engine::credentials::refusal_times;
use tenure_engine::kernel::authority;
use tenure_engine::kernel::query::ListAsk;
use tenure_engine::targets::{accounts, suggestions, systems};

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::Path;
use crate::contract::reply::id;

/// Accounts that a target's page names.
const NAMED: u16 = 50;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/targets", get(list))
        .page("/targets/{id}", get(one))
        .page("/accounts", get(account_list))
        .page("/accounts/{id}", get(account))
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
    let times = match authority::reads_all(kernel, caller, "receipt") {
        true => Some(refusal_times::refusal_times(kernel, caller).await?),
        false => None,
    };
    let names = names_in(&app, caller, &(&view, &there)).await?;
    Ok(page(StatusCode::OK, &targets::target(reader.frame("", Place::Targets), &view, &there, times, &names)))
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
    let names = names_in(&app, caller, &(&view, &suggested)).await?;
    Ok(page(StatusCode::OK, &targets::account(reader.frame("", Place::Accounts), &view, &suggested, &names)))
}
