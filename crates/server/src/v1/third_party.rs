//! Vendors, cloud accounts, data domains and naming standards.

use axum::extract::State;
use tenure_api::ownership::{OwnerEdit, VendorEdit};
use tenure_api::requests::Because;
use tenure_api::third_party::{
    Classification, NewCloudAccount, NewDataDomain, NewNamingStandard, NewVendor, VendorEnded,
};
use tenure_api::views::{Page, Revised};
use tenure_core::identity::Kind;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Vendor};
use tenure_engine::endings::{vendor_breach, vendor_end};
use tenure_engine::inventory::{naming, ownership, third_party};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::Listed;
use tenure_engine::matters::{contracts, inventory_changes};

use crate::app::App;
use crate::caller::named::{Addressed, get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::condition::Condition;
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::query::Path;
use crate::contract::reply::{Edit, New, Reply, created, edited, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/vendors", "Makes a vendor.", create_vendor)
        .get("/v1/vendors", "Lists vendors.", list::<Vendor>)
        .get("/v1/vendors/{id}", "Shows a vendor.", one::<Vendor>)
        .patch("/v1/vendors/{id}", "Changes a vendor.", update_vendor)
        .post("/v1/vendors/{id}/end", "Ends a vendor.", end_vendor)
        .post("/v1/vendors/{id}/breach", "Declares that a vendor was breached.", declare_breach)
        .post("/v1/vendors/{id}/breach-over", "Says that a vendor's breach is over.", breach_over)
        .post("/v1/cloud-accounts", "Makes a cloud account.", create_cloud_account)
        .get("/v1/cloud-accounts", "Lists cloud accounts.", list::<CloudAccount>)
        .get("/v1/cloud-accounts/{id}", "Shows a cloud account.", one::<CloudAccount>)
        .patch("/v1/cloud-accounts/{id}", "Changes a cloud account.", update_cloud_account)
        .post("/v1/data-domains", "Makes a data domain.", create_data_domain)
        .get("/v1/data-domains", "Lists data domains.", list::<DataDomain>)
        .put("/v1/data-domains/{id}", "Classifies a data domain.", classify)
        .get("/v1/data-domains/{id}", "Shows a data domain.", one::<DataDomain>)
        .get("/v1/naming-standards", "Lists naming standards.", list::<NamingStandard>)
        .put("/v1/naming-standards/{id}", "Sets the naming standard of a kind.", set_naming_standard)
        .get("/v1/naming-standards/{id}", "Shows a naming standard.", one::<NamingStandard>)
}

async fn list<T: Listed + Filtered>(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<T>,
) -> Reply<Page<Revised<T>>> {
    ok(app.kernel.list::<T>(&caller, list.ask).await?)
}

async fn one<T: Addressed>(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(text): Path<String>,
) -> Reply<Revised<T>> {
    ok(get::<T>(&app, &caller, &text).await?)
}

async fn create_vendor(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewVendor>,
) -> New<Revised<Vendor>> {
    created(third_party::create_vendor(&app.kernel, &caller, ask).await?)
}

async fn end_vendor(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(vendor): Path<String>,
    Body(because): Body<Because>,
) -> Reply<VendorEnded> {
    ok(vendor_end::end_vendor(&app.kernel, &caller, meant::<Vendor>(&app, &caller, &vendor).await?, because.reason)
        .await?)
}

async fn declare_breach(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(vendor): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Vendor>> {
    let vendor = meant::<Vendor>(&app, &caller, &vendor).await?;
    ok(vendor_breach::declare_breach(&app.kernel, &caller, vendor, because.reason).await?)
}

async fn breach_over(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(vendor): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Vendor>> {
    let vendor = meant::<Vendor>(&app, &caller, &vendor).await?;
    ok(vendor_breach::breach_over(&app.kernel, &caller, vendor, because.reason).await?)
}

async fn update_vendor(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(vendor): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<VendorEdit>,
) -> Edit<Revised<Vendor>> {
    edited(
        contracts::update_vendor(&app.kernel, &caller, meant::<Vendor>(&app, &caller, &vendor).await?, if_match, ask)
            .await?,
    )
}

async fn update_cloud_account(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(account): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<OwnerEdit>,
) -> Reply<Revised<CloudAccount>> {
    let id = id(&account, "cloud account")?;
    ok(ownership::update_cloud_account(&app.kernel, &caller, id, if_match, ask).await?)
}

async fn create_cloud_account(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewCloudAccount>,
) -> New<Revised<CloudAccount>> {
    created(third_party::create_cloud_account(&app.kernel, &caller, ask).await?)
}

async fn create_data_domain(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewDataDomain>,
) -> New<Revised<DataDomain>> {
    created(third_party::create_data_domain(&app.kernel, &caller, ask).await?)
}

async fn classify(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<Classification>,
) -> Edit<Revised<DataDomain>> {
    edited(inventory_changes::classify(&app.kernel, &caller, &name, if_match, ask).await?)
}

async fn set_naming_standard(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(kind): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<NewNamingStandard>,
) -> Reply<Revised<NamingStandard>> {
    let kind = Kind::ALL.iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| Failure::from(OpError::NotFound("kind of identities")))?;
    ok(naming::set_naming_standard(&app.kernel, &caller, *kind, if_match, ask).await?)
}
