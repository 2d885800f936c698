//! Packages, and what people hold.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post, put};
use serde::Deserialize;
use tenure_api::person_access::{PersonAccessReport, PutPackage};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::person_grant::{Package, PersonGrant};
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/packages", get(packages))
        .route("/v1/packages/{name}", put(put_package).get(package))
        .route("/v1/people/{id}/access", get(access))
        .route("/v1/person-grants/{id}/revoke", post(revoke))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
}

async fn packages(State(app): State<App>, Operator(caller): Operator, Query(listing): Query<Listing>) -> Reply<Page<View<Package>>> {
    let ask = ListAsk::new([], listing.after, listing.limit);
    ok(app.engine.list::<Package>(&caller, ask).await?)
}

async fn package(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<View<Package>> {
    ok(app.engine.get::<Package>(&caller, &name).await?)
}

async fn put_package(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>, Body(ask): Body<PutPackage>) -> Reply<View<Package>> {
    ok(app.engine.put_package(&caller, &name, ask).await?)
}

async fn access(State(app): State<App>, Operator(caller): Operator, Path(person): Path<String>) -> Reply<PersonAccessReport> {
    ok(app.engine.person_access(&caller, id(&person, "person")?).await?)
}

async fn revoke(State(app): State<App>, Operator(caller): Operator, Path(grant): Path<String>, Body(ask): Body<Because>) -> Reply<View<PersonGrant>> {
    ok(app.engine.revoke_person_grant(&caller, id(&grant, "person grant")?, ask.reason).await?)
}
