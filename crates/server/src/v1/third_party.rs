//! Vendors, cloud accounts, data domains and naming standards.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use tenure_api::ownership::{Edited, OwnerEdit, VendorEdit};
use tenure_api::requests::Because;
use tenure_api::third_party::{Classification, NewCloudAccount, NewDataDomain, NewNamingStandard, NewVendor, VendorEnded};
use tenure_api::views::{Page, Resource as View};
use tenure_core::identity::Kind;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Vendor};
use tenure_engine::endings::vendor_end;
use tenure_engine::inventory::{naming, ownership, third_party};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::Listed;
use tenure_engine::matters::{contracts, inventory_changes};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::condition::if_match;
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::query::Path;
use crate::contract::reply::{Read, Reply, created, edited, id, ok, read};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/vendors", post(create_vendor).get(list::<Vendor>))
        .route("/v1/vendors/{id}", get(one::<Vendor>).patch(update_vendor))
        .route("/v1/vendors/{id}/end", post(end_vendor))
        .route("/v1/cloud-accounts", post(create_cloud_account).get(list::<CloudAccount>))
        .route("/v1/cloud-accounts/{id}", get(one::<CloudAccount>).patch(update_cloud_account))
        .route("/v1/data-domains", post(create_data_domain).get(list::<DataDomain>))
        .route("/v1/data-domains/{id}", put(classify).get(one::<DataDomain>))
        .route("/v1/naming-standards", get(list::<NamingStandard>))
        .route("/v1/naming-standards/{id}", put(set_naming_standard).get(one::<NamingStandard>))
}

async fn list<T: Listed + Filtered>(State(app): State<App>, Operator(caller): Operator, list: List<T>) -> Reply<Page<View<T>>> {
    ok(app.kernel.list::<T>(&caller, list.ask).await?)
}

async fn one<T: Listed>(State(app): State<App>, Operator(caller): Operator, Path(id): Path<String>) -> Read<T> {
    read(app.kernel.get::<T>(&caller, &id).await?)
}

async fn create_vendor(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewVendor>) -> Reply<View<Vendor>> {
    created(third_party::create_vendor(&app.kernel, &caller, ask).await?)
}

async fn end_vendor(State(app): State<App>, Operator(caller): Operator, Path(vendor): Path<String>, Body(because): Body<Because>) -> Reply<VendorEnded> {
    ok(vendor_end::end_vendor(&app.kernel, &caller, id(&vendor, "vendor")?, because.reason).await?)
}

async fn update_vendor(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(vendor): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<VendorEdit>,
) -> Reply<Edited<View<Vendor>>> {
    edited(contracts::update_vendor(&app.kernel, &caller, id(&vendor, "vendor")?, if_match(&headers)?, ask).await?)
}

async fn update_cloud_account(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(account): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<OwnerEdit>,
) -> Reply<View<CloudAccount>> {
    let id = id(&account, "cloud account")?;
    ok(ownership::update_cloud_account(&app.kernel, &caller, id, if_match(&headers)?, ask).await?)
}

async fn create_cloud_account(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewCloudAccount>) -> Reply<View<CloudAccount>> {
    created(third_party::create_cloud_account(&app.kernel, &caller, ask).await?)
}

async fn create_data_domain(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewDataDomain>) -> Reply<View<DataDomain>> {
    created(third_party::create_data_domain(&app.kernel, &caller, ask).await?)
}

async fn classify(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<Classification>,
) -> Reply<Edited<View<DataDomain>>> {
    edited(inventory_changes::classify(&app.kernel, &caller, &name, if_match(&headers)?, ask).await?)
}

async fn set_naming_standard(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(kind): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<NewNamingStandard>,
) -> Reply<View<NamingStandard>> {
    let kind = Kind::ALL.iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| Failure::from(OpError::NotFound("kind of identities")))?;
    ok(naming::set_naming_standard(&app.kernel, &caller, *kind, if_match(&headers)?, ask).await?)
}
