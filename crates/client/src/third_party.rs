//! Vendors, cloud accounts, data domains, naming standards and templates.

use reqwest::Method;
use tenure_api::ownership::{Edited, OwnerEdit, VendorEdit};
use tenure_api::request::RequestView;
use tenure_api::requests::Because;
use tenure_api::templates::TemplateChange;
use tenure_api::third_party::{
    Classification, NewCloudAccount, NewDataDomain, NewNamingStandard, NewVendor, VendorEnded,
};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{CloudAccountId, VendorId};
use tenure_core::identity::Kind;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::identity::template::Template;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Vendor};

use crate::transport::{at_revision, edited, json, segment};
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/vendors`.
    pub async fn create_vendor(&self, ask: &NewVendor) -> Result<Revised<Vendor>, ClientError> {
        self.post("/v1/vendors", ask).await
    }

    /// `PATCH /v1/vendors/{id}` with `If-Match`: a contract that allows more by a request; fails if it is at another
    /// revision.
    pub async fn update_vendor(
        &self,
        id: VendorId,
        revision: u64,
        ask: &VendorEdit,
    ) -> Result<Edited<Revised<Vendor>>, ClientError> {
        self.patch_or_ask(&format!("/v1/vendors/{id}"), revision, ask).await
    }

    /// `GET /v1/vendors`; filters: `name`, `owner`, `standing`.
    pub async fn vendors(&self, query: &ListQuery) -> Result<Page<Revised<Vendor>>, ClientError> {
        self.list("/v1/vendors", query).await
    }

    /// `GET /v1/vendors/{id}`.
    pub async fn vendor(&self, id: VendorId) -> Result<Revised<Vendor>, ClientError> {
        self.get(&format!("/v1/vendors/{id}")).await
    }

    /// `POST /v1/vendors/{id}/breach`: what it operates is told, identity by identity.
    pub async fn declare_breach(&self, id: VendorId, because: &Because) -> Result<Revised<Vendor>, ClientError> {
        self.post(&format!("/v1/vendors/{id}/breach"), because).await
    }

    /// `POST /v1/vendors/{id}/breach-over`.
    pub async fn breach_over(&self, id: VendorId, because: &Because) -> Result<Revised<Vendor>, ClientError> {
        self.post(&format!("/v1/vendors/{id}/breach-over"), because).await
    }

    /// `POST /v1/vendors/{id}/end`: for ever; its identities are cut and held.
    pub async fn end_vendor(&self, id: VendorId, because: &Because) -> Result<VendorEnded, ClientError> {
        self.post(&format!("/v1/vendors/{id}/end"), because).await
    }

    /// `POST /v1/cloud-accounts`.
    pub async fn create_cloud_account(&self, ask: &NewCloudAccount) -> Result<Revised<CloudAccount>, ClientError> {
        self.post("/v1/cloud-accounts", ask).await
    }

    /// `PATCH /v1/cloud-accounts/{id}` with `If-Match`: fails if it is at another revision.
    pub async fn update_cloud_account(
        &self,
        id: CloudAccountId,
        revision: u64,
        ask: &OwnerEdit,
    ) -> Result<Revised<CloudAccount>, ClientError> {
        self.patch(&format!("/v1/cloud-accounts/{id}"), revision, ask).await
    }

    /// `GET /v1/cloud-accounts`; filters: `provider`, `account`, `environment`, `standing`.
    pub async fn cloud_accounts(&self, query: &ListQuery) -> Result<Page<Revised<CloudAccount>>, ClientError> {
        self.list("/v1/cloud-accounts", query).await
    }

    /// `GET /v1/cloud-accounts/{id}`.
    pub async fn cloud_account(&self, id: CloudAccountId) -> Result<Revised<CloudAccount>, ClientError> {
        self.get(&format!("/v1/cloud-accounts/{id}")).await
    }

    /// `POST /v1/data-domains`.
    pub async fn create_data_domain(&self, ask: &NewDataDomain) -> Result<Revised<DataDomain>, ClientError> {
        self.post("/v1/data-domains", ask).await
    }

    /// `GET /v1/data-domains`.
    pub async fn data_domains(&self, query: &ListQuery) -> Result<Page<Revised<DataDomain>>, ClientError> {
        self.list("/v1/data-domains", query).await
    }

    /// `GET /v1/data-domains/{name}`.
    pub async fn data_domain(&self, name: &str) -> Result<Revised<DataDomain>, ClientError> {
        self.get(&format!("/v1/data-domains/{}", segment(name))).await
    }

    /// `PUT /v1/data-domains/{name}` with `If-Match`: lower by a request; risk tiers are derived again. Fails if it is
    /// at another revision.
    pub async fn classify(
        &self,
        name: &str,
        revision: u64,
        ask: &Classification,
    ) -> Result<Edited<Revised<DataDomain>>, ClientError> {
        let request = self.request(Method::PUT, &format!("/v1/data-domains/{}", segment(name)));
        edited(at_revision(request, Some(revision)).json(ask)).await
    }

    /// `GET /v1/naming-standards`.
    pub async fn naming_standards(&self, query: &ListQuery) -> Result<Page<Revised<NamingStandard>>, ClientError> {
        self.list("/v1/naming-standards", query).await
    }

    /// `GET /v1/naming-standards/{kind}`.
    pub async fn naming_standard(&self, kind: Kind) -> Result<Revised<NamingStandard>, ClientError> {
        self.get(&format!("/v1/naming-standards/{}", kind.as_str())).await
    }

    /// `PUT /v1/naming-standards/{kind}`, with `If-Match` if there is one: fails if it is at another revision.
    pub async fn set_naming_standard(
        &self,
        kind: Kind,
        revision: Option<u64>,
        ask: &NewNamingStandard,
    ) -> Result<Revised<NamingStandard>, ClientError> {
        let request = self.request(Method::PUT, &format!("/v1/naming-standards/{}", kind.as_str()));
        json(at_revision(request, revision).json(ask)).await
    }

    /// `GET /v1/templates`; filter: `kind`.
    pub async fn templates(&self, query: &ListQuery) -> Result<Page<Revised<Template>>, ClientError> {
        self.list("/v1/templates", query).await
    }

    /// `GET /v1/templates/{name}`.
    pub async fn template(&self, name: &str) -> Result<Revised<Template>, ClientError> {
        self.get(&format!("/v1/templates/{}", segment(name))).await
    }

    /// `PUT /v1/templates/{name}`: opens the request about it.
    pub async fn change_template(&self, name: &str, ask: &TemplateChange) -> Result<RequestView, ClientError> {
        json(self.request(Method::PUT, &format!("/v1/templates/{}", segment(name))).json(ask)).await
    }
}
