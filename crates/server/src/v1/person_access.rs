//! Packages, and what people hold.

use axum::extract::State;
use tenure_api::person_access::{PersonAccessReport, PutPackage};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::{Package, PersonGrant};
use tenure_engine::access::person_access::report;
use tenure_engine::matters::packages;

use crate::app::App;
use crate::caller::named::{get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::condition::Condition;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Edit, Reply, edited, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/packages", "Lists access packages.", packages)
        .put("/v1/packages/{name}", "Sets an access package.", put_package)
        .get("/v1/packages/{name}", "Shows an access package.", package)
        .get("/v1/people/{id}/access", "Shows what a person may do, and why.", access)
        .get("/v1/person-grants", "Lists what people hold for a while.", grants)
        .post("/v1/person-grants/{id}/revoke", "Revokes a grant of a person's.", revoke)
}

async fn packages(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Package>,
) -> Reply<Page<Revised<Package>>> {
    ok(app.kernel.list::<Package>(&caller, list.ask).await?)
}

async fn package(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
) -> Reply<Revised<Package>> {
    ok(get::<Package>(&app, &caller, &name).await?)
}

async fn put_package(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<PutPackage>,
) -> Edit<Revised<Package>> {
    edited(packages::put_package(&app.kernel, &caller, &name, if_match, ask).await?)
}

async fn access(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
) -> Reply<PersonAccessReport> {
    ok(report::person_access(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?).await?)
}

async fn grants(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<PersonGrant>,
) -> Reply<Page<Revised<PersonGrant>>> {
    ok(app.kernel.list::<PersonGrant>(&caller, list.ask).await?)
}

async fn revoke(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(grant): Path<String>,
    Body(ask): Body<Because>,
) -> Reply<Revised<PersonGrant>> {
    ok(report::revoke_person_grant(&app.kernel, &caller, id(&grant, "person grant")?, ask.reason).await?)
}
