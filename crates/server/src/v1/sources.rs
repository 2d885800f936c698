//! Sources of signals, and the signals that they sent.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::signals::{NewSource, SourceMade, SourceView};
use tenure_api::views::{Page, Resource as View};
use tenure_core::signal::{Signal, Source};
use tenure_engine::signals::sources;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::condition::if_match;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Read, Reply, created, id, ok, read};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/sources", post(create).get(sources))
        .route("/v1/sources/{id}", get(source).patch(update))
        .route("/v1/sources/{id}/confirm", post(confirm))
        .route("/v1/sources/{id}/remove", post(remove))
        .route("/v1/sources/{id}/rotate-key", post(rotate_key))
        .route("/v1/signals", get(signals))
        .route("/v1/signals/{id}", get(signal))
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewSource>) -> Reply<SourceMade> {
    created(sources::create_source(&app.kernel, &caller, ask).await?)
}

async fn sources(State(app): State<App>, Operator(caller): Operator, list: List<Source>) -> Reply<Page<View<SourceView>>> {
    ok(sources::sources(&app.kernel, &caller, list.ask).await?)
}

async fn source(State(app): State<App>, Operator(caller): Operator, Path(source): Path<String>) -> Read<SourceView> {
    read(sources::source(&app.kernel, &caller, id(&source, "source")?).await?)
}

async fn update(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(source): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<OwnerEdit>,
) -> Reply<View<SourceView>> {
    ok(sources::update_source(&app.kernel, &caller, id(&source, "source")?, if_match(&headers)?, ask).await?)
}

async fn confirm(State(app): State<App>, Operator(caller): Operator, Path(source): Path<String>) -> Reply<View<SourceView>> {
    ok(sources::confirm_source(&app.kernel, &caller, id(&source, "source")?).await?)
}

async fn remove(State(app): State<App>, Operator(caller): Operator, Path(source): Path<String>, Body(because): Body<Because>) -> Reply<View<SourceView>> {
    ok(sources::remove_source(&app.kernel, &caller, id(&source, "source")?, &because.reason).await?)
}

async fn rotate_key(State(app): State<App>, Operator(caller): Operator, Path(source): Path<String>) -> Reply<SourceMade> {
    ok(sources::rotate_source_key(&app.kernel, &caller, id(&source, "source")?).await?)
}

async fn signals(State(app): State<App>, Operator(caller): Operator, list: List<Signal>) -> Reply<Page<View<Signal>>> {
    ok(app.kernel.list::<Signal>(&caller, list.ask).await?)
}

async fn signal(State(app): State<App>, Operator(caller): Operator, Path(signal): Path<String>) -> Reply<View<Signal>> {
    ok(app.kernel.get::<Signal>(&caller, &signal).await?)
}
