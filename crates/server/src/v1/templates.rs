//! Templates of identities.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tenure_api::request::RequestView;
use tenure_api::templates::TemplateChange;
use tenure_api::views::{Page, Resource as View};
use tenure_core::identity::template::Template;
use tenure_engine::matters::policies;

use crate::App;
use crate::extract::{Body, Operator, Path, Reply, created, ok};
use crate::listing::List;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/templates", get(list))
        .route("/v1/templates/{name}", get(one).put(change))
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Template>) -> Reply<Page<View<Template>>> {
    ok(app.engine.list::<Template>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<View<Template>> {
    ok(app.engine.get::<Template>(&caller, &name).await?)
}

/// Opens the request about it; a lone administrator's is fulfilled at once.
async fn change(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>, Body(ask): Body<TemplateChange>) -> Reply<RequestView> {
    created(policies::change_template(&app.engine, &caller, &name, ask).await?)
}
