//! Packages, and what people hold.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use tenure_api::ownership::Edited;
use tenure_api::person_access::{PersonAccessReport, PutPackage};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::people::person_grant::{Package, PersonGrant};
use tenure_engine::access::person_access::report;
use tenure_engine::matters::packages;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::condition::if_match;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Read, Reply, edited, id, ok, read};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/packages", get(packages))
        .route("/v1/packages/{name}", put(put_package).get(package))
        .route("/v1/people/{id}/access", get(access))
        .route("/v1/person-grants/{id}/revoke", post(revoke))
}

async fn packages(State(app): State<App>, Operator(caller): Operator, list: List<Package>) -> Reply<Page<View<Package>>> {
    ok(app.kernel.list::<Package>(&caller, list.ask).await?)
}

async fn package(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Read<Package> {
    read(app.kernel.get::<Package>(&caller, &name).await?)
}

async fn put_package(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<PutPackage>,
) -> Reply<Edited<View<Package>>> {
    edited(packages::put_package(&app.kernel, &caller, &name, if_match(&headers)?, ask).await?)
}

async fn access(State(app): State<App>, Operator(caller): Operator, Path(person): Path<String>) -> Reply<PersonAccessReport> {
    ok(report::person_access(&app.kernel, &caller, id(&person, "person")?).await?)
}

async fn revoke(State(app): State<App>, Operator(caller): Operator, Path(grant): Path<String>, Body(ask): Body<Because>) -> Reply<View<PersonGrant>> {
    ok(report::revoke_person_grant(&app.kernel, &caller, id(&grant, "person grant")?, ask.reason).await?)
}
