//! Templates of identities.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tenure_api::request::RequestView;
use tenure_api::templates::TemplateChange;
use tenure_api::views::{Page, Resource as View};
use tenure_core::identity::template::Template;
use tenure_engine::matters::policies;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/templates", get(list))
        .route("/v1/templates/{name}", get(one).put(change))
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Template>) -> Reply<Page<View<Template>>> {
    ok(app.kernel.list::<Template>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<View<Template>> {
    ok(app.kernel.get::<Template>(&caller, &name).await?)
}

/// Opens the request about it; a lone administrator's is fulfilled at once.
async fn change(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>, Body(ask): Body<TemplateChange>) -> Reply<RequestView> {
    created(policies::change_template(&app.kernel, &caller, &name, ask).await?)
}
