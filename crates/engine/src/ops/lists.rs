//! Lists and single records, paged by id.

use std::collections::BTreeMap;

use tenure_api::views::{CredentialView, IdentityView, Page, Resource as View};
use tenure_core::application::Application;
use tenure_core::credential::Credential;
use tenure_core::environment::Environment;
use tenure_core::id::{IdentityId, PersonId};
use tenure_core::identity::{Identity, enforcer_terms};
use tenure_core::issuer::Issuer;
use tenure_core::person::Person;
use tenure_core::port::{ListQuery, StoreError};
use tenure_core::receipt::Receipt;
use tenure_core::resource::Resource;
use tenure_core::row::{Record, Stored};
use tenure_core::scope::Scope;

use super::identities::owns_identity;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;

/// What is asked of a list.
#[derive(Debug, Clone, Default)]
pub struct ListAsk {
    /// Filters that must all hold, by name.
    pub filters: Vec<(&'static str, String)>,
    /// Only what comes after this id.
    pub after: Option<String>,
    /// How many at most; 50 if not given, 200 at most.
    pub limit: Option<u16>,
}

impl ListAsk {
    /// Asks for what has each filter that is given.
    pub fn new<const N: usize>(filters: [(&'static str, Option<String>); N], after: Option<String>, limit: Option<u16>) -> Self {
        let filters = filters.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
        Self { filters, after, limit }
    }
}

/// Records that are listed as they are.
pub trait Listed: Record + Clone {
    /// The kind in policies.
    const NAME: &'static str;
    /// Whether every caller may read them: who asks for an identity needs them.
    const OPEN: bool = false;
    /// Who answers for the record, and reads it as their own.
    fn accountable(&self) -> Option<PersonId> {
        None
    }
    /// What is held with it, if identities belong to it.
    fn scope(&self) -> Option<Scope> {
        None
    }
}
impl Listed for Person {
    const NAME: &'static str = "person";
    fn scope(&self) -> Option<Scope> {
        Some(Scope::Owner(self.id))
    }
    fn accountable(&self) -> Option<PersonId> {
        Some(self.id)
    }
}
impl Listed for Application {
    const NAME: &'static str = "application";
    fn scope(&self) -> Option<Scope> {
        Some(Scope::Application(self.id))
    }
    fn accountable(&self) -> Option<PersonId> {
        Some(self.owner)
    }
}
impl Listed for Environment {
    const NAME: &'static str = "environment";
    fn scope(&self) -> Option<Scope> {
        Some(Scope::Environment(self.name.clone()))
    }
}
impl Listed for Resource {
    const NAME: &'static str = "resource";
}
impl Listed for Issuer {
    const NAME: &'static str = "issuer";
}
impl Listed for Receipt {
    const NAME: &'static str = "receipt";
}

impl Engine {
    pub(crate) async fn page<T: Record>(&self, ask: ListAsk) -> Result<(Vec<tenure_core::row::Stored<T>>, Option<String>), OpError> {
        let terms = ask.filters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let limit = ask.limit.unwrap_or(50).clamp(1, 200);
        let page = self
            .store
            .list(&ListQuery {
                kind: T::KIND,
                terms,
                after: ask.after,
                limit,
            })
            .await?;
        let rows = page
            .rows
            .iter()
            .map(|row| row.decode::<T>())
            .collect::<Result<_, _>>()
            .map_err(StoreError::from)?;
        Ok((rows, page.next))
    }

    /// A page of what passes the filters and has one of these terms besides.
    pub(crate) async fn page_of_any<T: Record>(&self, any: &[String], ask: &ListAsk) -> Result<(Vec<Stored<T>>, Option<String>), OpError> {
        let terms: Vec<String> = ask.filters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.listed_by_any(any, &terms, ask.after.as_deref(), ask.limit.unwrap_or(50).clamp(1, 200))
            .await
    }

    /// The next records that have all of these terms and any of those, in the order of their ids, and after which to look on if there may be
    /// more.
    pub(crate) async fn listed_by_any<T: Record>(
        &self,
        any: &[String],
        terms: &[String],
        after: Option<&str>,
        n: u16,
    ) -> Result<(Vec<Stored<T>>, Option<String>), OpError> {
        let mut found = BTreeMap::new();
        let mut more = false;
        for term in any {
            let terms = std::iter::once(term).chain(terms).cloned().collect();
            let (rows, next) = self.listed::<T>(T::KIND, terms, after.map(str::to_owned), n).await?;
            more |= next.is_some();
            found.extend(rows.into_iter().map(|row| (row.row_id(), row)));
        }
        more |= found.len() > usize::from(n);
        let page: Vec<_> = found.into_iter().take(usize::from(n)).collect();
        let next = page.last().filter(|_| more).map(|(id, _)| id.clone());
        Ok((page.into_iter().map(|(_, row)| row).collect(), next))
    }

    /// A page of plain records.
    ///
    /// # Errors
    /// The caller may not read them.
    pub async fn list<T: Listed>(&self, caller: &Caller, ask: ListAsk) -> Result<Page<View<T>>, OpError> {
        self.may_read(caller, T::NAME, "", T::OPEN).await?;
        let (rows, next) = self.page::<T>(ask).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.record_view(&row).await?);
        }
        Ok(Page { items, next })
    }

    /// One plain record.
    ///
    /// # Errors
    /// No such record, or the caller may not read it.
    pub async fn get<T: Listed>(&self, caller: &Caller, id: &str) -> Result<View<T>, OpError> {
        let row = self.one::<T>(id).await?;
        let own = row
            .as_ref()
            .and_then(|row| row.accountable())
            .is_some_and(|owner| caller.person_id() == Some(owner));
        // Also of what isn't there: whether it is, is not everybody's to learn.
        self.may_read(caller, T::NAME, id, own || T::OPEN).await?;
        self.record_view(&row.ok_or(OpError::NotFound(T::NAME))?).await
    }

    async fn record_view<T: Listed>(&self, row: &Stored<T>) -> Result<View<T>, OpError> {
        Ok(View {
            record: (*row.value).clone(),
            revision: row.revision,
            hold: match row.scope() {
                Some(scope) => self.hold_on(&scope).await?,
                None => None,
            },
            log: None,
        })
    }

    /// A page of identities. Who may not read all of them sees those that they own.
    ///
    /// # Errors
    /// The caller may read none.
    pub async fn identities(&self, caller: &Caller, mut ask: ListAsk) -> Result<Page<IdentityView>, OpError> {
        if self.can_read(caller, "identity", "", false).is_err() {
            self.may_read(caller, "identity", "", true).await?;
            let person = self.only_person(caller, "identity.list").await?;
            ask.filters.retain(|(name, _)| *name != "owner");
            ask.filters.insert(0, ("owner", person.to_string()));
        }
        let enforced = ask.filters.iter().position(|(name, _)| *name == "enforces").map(|n| ask.filters.remove(n).1);
        let (rows, next) = match enforced {
            Some(resource) => self.page_of_any::<Identity>(&enforcer_terms(&resource), &ask).await?,
            None => self.page::<Identity>(ask).await?,
        };
        let items = self.identity_views(rows).await?;
        Ok(Page { items, next })
    }

    /// A page of the credentials of an identity whose records have not ended.
    ///
    /// # Errors
    /// No such identity, or the caller may not read it.
    pub async fn credentials_of(&self, caller: &Caller, id: IdentityId, mut ask: ListAsk) -> Result<Page<CredentialView>, OpError> {
        let identity = self.must::<Identity>("identity", id).await?;
        self.may_read(caller, "credential", "", owns_identity(caller, &identity)).await?;
        ask.filters = vec![("identity", id.to_string())];
        let (rows, next) = self.page::<Credential>(ask).await?;
        let now = self.now();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(held) = self.held(row.id, now).await? {
                items.push(self.credential_view(&held).await?);
            }
        }
        Ok(Page { items, next })
    }
}
