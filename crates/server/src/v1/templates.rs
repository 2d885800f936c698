//! Templates of identities.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use tenure_api::request::RequestView;
use tenure_api::templates::TemplateChange;
use tenure_api::views::{Page, Resource as View};
use tenure_core::template::Template;
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, created, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/templates", get(list))
        .route("/v1/templates/{name}", get(one).put(change))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
    kind: Option<String>,
}

async fn list(State(app): State<App>, Operator(caller): Operator, Query(listing): Query<Listing>) -> Reply<Page<View<Template>>> {
    let ask = ListAsk::new([("kind", listing.kind)], listing.after, listing.limit);
    ok(app.engine.list::<Template>(&caller, ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<View<Template>> {
    ok(app.engine.get::<Template>(&caller, &name).await?)
}

/// Opens the request about it; a lone administrator's is fulfilled at once.
async fn change(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>, Body(ask): Body<TemplateChange>) -> Reply<RequestView> {
    created(app.engine.change_template(&caller, &name, ask).await?)
}
