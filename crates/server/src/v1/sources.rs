//! Sources of signals, and the signals that they sent.

use axum::extract::State;
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::signals::{NewSource, SourceMade, SourceView};
use tenure_api::views::{Page, Revised};
use tenure_core::signal::{Signal, Source};
use tenure_engine::signals::sources;

use crate::app::App;
use crate::caller::named::{get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::condition::Condition;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/sources", "Makes a source of signals.", create)
        .get("/v1/sources", "Lists sources of signals.", sources)
        .get("/v1/sources/{id}", "Shows a source of signals.", source)
        .patch("/v1/sources/{id}", "Changes a source of signals.", update)
        .post("/v1/sources/{id}/confirm", "Confirms a source of signals.", confirm)
        .post("/v1/sources/{id}/remove", "Removes a source of signals.", remove)
        .post("/v1/sources/{id}/rotate-key", "Rotates the key of a source of signals.", rotate_key)
        .get("/v1/signals", "Lists signals.", signals)
        .get("/v1/signals/{id}", "Shows a signal.", signal)
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewSource>) -> New<SourceMade> {
    created(sources::create_source(&app.kernel, &caller, ask).await?)
}

async fn sources(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Source>,
) -> Reply<Page<Revised<SourceView>>> {
    ok(sources::sources(&app.kernel, &caller, list.ask).await?)
}

async fn source(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
) -> Reply<Revised<SourceView>> {
    ok(sources::source(&app.kernel, &caller, meant::<Source>(&app, &caller, &source).await?).await?)
}

async fn update(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<OwnerEdit>,
) -> Reply<Revised<SourceView>> {
    ok(sources::update_source(&app.kernel, &caller, meant::<Source>(&app, &caller, &source).await?, if_match, ask)
        .await?)
}

async fn confirm(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
) -> Reply<Revised<SourceView>> {
    ok(sources::confirm_source(&app.kernel, &caller, meant::<Source>(&app, &caller, &source).await?).await?)
}

async fn remove(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<SourceView>> {
    ok(sources::remove_source(&app.kernel, &caller, meant::<Source>(&app, &caller, &source).await?, &because.reason)
        .await?)
}

async fn rotate_key(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
) -> Reply<SourceMade> {
    ok(sources::rotate_source_key(&app.kernel, &caller, meant::<Source>(&app, &caller, &source).await?).await?)
}

async fn signals(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Signal>,
) -> Reply<Page<Revised<Signal>>> {
    ok(app.kernel.list::<Signal>(&caller, list.ask).await?)
}

async fn signal(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(signal): Path<String>,
) -> Reply<Revised<Signal>> {
    ok(get::<Signal>(&app, &caller, &signal).await?)
}
