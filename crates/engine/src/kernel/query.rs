//! Lists and single records, paged by id.
//!
//! A page of the API goes on by a cursor that says where, and that this server gave it for this very list: its kind of record and every
//! filter, also those that were added because the caller sees only their own. Anything else as a cursor is told, never an empty page.

use std::collections::BTreeMap;

use tenure_api::views::{Names, Page, Resource as View};
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::FieldProblem;
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::store::port::{ListQuery, StoreError};
use tenure_core::store::row::{BadRow, Record, RowKind, Stored};
use tenure_core::trust::issuer::Issuer;
use tenure_credentials::root::RootKey;
use tenure_credentials::vouch::Vouch;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, authority};

/// Rows of one page, and pages, that a summary counts at most.
const ROWS: u16 = 1_000;
const PAGES: usize = 10;

/// Records of a page if nobody says how many.
pub const DEFAULT_PAGE: u16 = 50;
/// How many records a page has at most.
pub const MAX_PAGE: u16 = 200;

/// The longest cursor in bytes: an id of 512 bytes in base64url, and its tag.
const MAX_CURSOR: usize = 800;

/// What is asked of a list.
#[derive(Debug, Clone, Default)]
pub struct ListAsk {
    /// Filters that must all hold, by name.
    pub filters: Vec<(&'static str, String)>,
    /// Where to go on: the cursor that an earlier page of this list gave.
    pub after: Option<String>,
    /// How many at most, 1 to [`MAX_PAGE`]; 50 if not given.
    pub limit: Option<u16>,
}

/// Records of a list, those of them that can't be read, and where it goes on.
pub(crate) struct Listing<T> {
    /// The records.
    pub rows: Vec<Stored<T>>,
    /// Rows that can't be read.
    pub unreadable: Vec<BadRow>,
    /// Where the next page starts, if there may be more.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// The records alone, where one that can't be read must not be taken for one that isn't there.
    ///
    /// # Errors
    /// One of them can't be read.
    pub(crate) fn whole(self) -> Result<Vec<Stored<T>>, OpError> {
        match self.unreadable.into_iter().next() {
            Some(bad) => Err(StoreError::from(bad).into()),
            None => Ok(self.rows),
        }
    }
}

/// What becomes of a list with a row that was altered outside Tenure (S-2).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Altered {
    /// Nothing is decided on it.
    Fails,
    /// Whoever reads the page is told which one it is.
    IsNamed,
}

/// What a page of the API says besides its items.
pub(crate) struct PageEnd {
    next: Option<String>,
    unreadable: Vec<String>,
}

impl PageEnd {
    /// The page with these items.
    pub(crate) fn page<T>(self, items: Vec<T>) -> Page<T> {
        Page {
            items,
            next: self.next,
            unreadable: self.unreadable,
            names: Names::new(),
        }
    }
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

impl Kernel {
    /// The records that a query finds, for a decision: one that can't be read is logged and named, one that was altered fails it.
    pub(crate) async fn listing<T: Record>(&self, query: &ListQuery) -> Result<Listing<T>, OpError> {
        self.listing_with(query, Altered::Fails).await
    }

    async fn listing_with<T: Record>(&self, query: &ListQuery, altered: Altered) -> Result<Listing<T>, OpError> {
        let page = match altered {
            Altered::Fails => self.store.list(query).await?,
            Altered::IsNamed => self.store.page(query).await?,
        };
        let (rows, unreadable) = page.records();
        for bad in &unreadable {
            tracing::error!(row = %bad.key, why = bad.why, "a row can't be read; `tenure log verify-state` names all of them");
        }
        Ok(Listing {
            rows,
            unreadable,
            next: page.next,
        })
    }

    /// The records of a kind that have these terms and can be read, and where the next page begins.
    pub(crate) async fn listed<T: Record>(
        &self,
        kind: RowKind,
        terms: Vec<String>,
        after: Option<String>,
        limit: u16,
    ) -> Result<(Vec<Stored<T>>, Option<String>), OpError> {
        let listing = self.listing(&ListQuery { kind, terms, after, limit }).await?;
        Ok((listing.rows, listing.next))
    }

    /// A page as the API asks for it.
    pub(crate) async fn page<T: Record>(&self, ask: ListAsk) -> Result<(Vec<Stored<T>>, PageEnd), OpError> {
        self.page_of_any(&[], ask).await
    }

    /// A page of what passes the filters and has one of these terms besides, if there are any.
    pub(crate) async fn page_of_any<T: Record>(&self, any: &[String], ask: ListAsk) -> Result<(Vec<Stored<T>>, PageEnd), OpError> {
        let limit = ask.limit.unwrap_or(DEFAULT_PAGE);
        let mut terms: Vec<String> = ask.filters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        terms.sort_unstable();
        let cursors = Cursors::new(&self.root, T::KIND, &terms, any);
        let mut problems = Vec::new();
        if !(1..=MAX_PAGE).contains(&limit) {
            problems.push(FieldProblem::new("limit", "limit_unfit", format!("ask for 1 to {MAX_PAGE} records")));
        }
        let after = match ask.after.map(|cursor| cursors.open(&cursor)).transpose() {
            Ok(after) => after,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if !problems.is_empty() {
            return Err(OpError::Invalid(problems));
        }
        let kind = T::KIND;
        let listing = match any {
            [] => self.listing_with::<T>(&ListQuery { kind, terms, after, limit }, Altered::IsNamed).await?,
            any => self.listing_by_any(any, &terms, after.as_deref(), limit, Altered::IsNamed).await?,
        };
        let end = PageEnd {
            next: listing.next.map(|id| cursors.seal(&id)),
            unreadable: listing.unreadable.into_iter().map(|bad| bad.key.id).collect(),
        };
        Ok((listing.rows, end))
    }

    /// The next records that have all of these terms and any of those and can be read, in the order of their ids, and after which to look
    /// on if there may be more.
    pub(crate) async fn listed_by_any<T: Record>(
        &self,
        any: &[String],
        terms: &[String],
        after: Option<&str>,
        n: u16,
    ) -> Result<(Vec<Stored<T>>, Option<String>), OpError> {
        let listing = self.listing_by_any(any, terms, after, n, Altered::Fails).await?;
        Ok((listing.rows, listing.next))
    }

    /// The same, with those that can't be read.
    pub(crate) async fn listing_by_any<T: Record>(
        &self,
        any: &[String],
        terms: &[String],
        after: Option<&str>,
        n: u16,
        altered: Altered,
    ) -> Result<Listing<T>, OpError> {
        let mut found = BTreeMap::new();
        let mut more = false;
        for term in any {
            let query = ListQuery {
                kind: T::KIND,
                terms: std::iter::once(term).chain(terms).cloned().collect(),
                after: after.map(str::to_owned),
                limit: n,
            };
            let listing = self.listing_with::<T>(&query, altered).await?;
            more |= listing.next.is_some();
            found.extend(listing.rows.into_iter().map(|row| (row.row_id(), Ok(row))));
            found.extend(listing.unreadable.into_iter().map(|bad| (bad.key.id.clone(), Err(bad))));
        }
        more |= found.len() > usize::from(n);
        let mut listing = Listing {
            rows: Vec::new(),
            unreadable: Vec::new(),
            next: None,
        };
        for (id, row) in found.into_iter().take(usize::from(n)) {
            match row {
                Ok(row) => listing.rows.push(row),
                Err(bad) => listing.unreadable.push(bad),
            }
            listing.next = more.then_some(id);
        }
        Ok(listing)
    }

    /// A page of plain records.
    ///
    /// # Errors
    /// The caller may not read them.
    pub async fn list<T: Listed>(&self, caller: &Caller, ask: ListAsk) -> Result<Page<View<T>>, OpError> {
        authority::may_read(self, caller, T::NAME, "", T::OPEN).await?;
        let (rows, end) = self.page::<T>(ask).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.record_view(&row).await?);
        }
        Ok(end.page(items))
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
        authority::may_read(self, caller, T::NAME, id, own || T::OPEN).await?;
        self.record_view(&row.ok_or(OpError::NotFound(T::NAME))?).await
    }

    async fn record_view<T: Listed>(&self, row: &Stored<T>) -> Result<View<T>, OpError> {
        Ok(View {
            record: (*row.value).clone(),
            revision: row.revision,
            hold: match row.scope() {
                Some(scope) => hold_on(self, &scope).await?,
                None => None,
            },
            log: None,
            names: Names::new(),
        })
    }
}

/// The cursors of one list with its filters.
struct Cursors {
    vouch: Vouch,
    list: Vec<String>,
}

impl Cursors {
    /// Of the records of this kind that have all of these terms, and any of those if there are any.
    fn new(root: &RootKey, kind: RowKind, terms: &[String], any: &[String]) -> Self {
        let any = any.iter().map(|term| format!("or {term}"));
        Self {
            vouch: Vouch::new(root, "list cursor"),
            list: std::iter::once(kind.as_str().to_owned()).chain(terms.iter().cloned()).chain(any).collect(),
        }
    }

    fn list(&self) -> Vec<&str> {
        self.list.iter().map(String::as_str).collect()
    }

    /// The cursor behind the row with this id.
    fn seal(&self, id: &str) -> String {
        self.vouch.carried(id, &self.list())
    }

    /// The id behind which a list goes on.
    fn open(&self, cursor: &str) -> Result<String, FieldProblem> {
        let carried = Some(cursor).filter(|cursor| cursor.len() <= MAX_CURSOR);
        let hint = "give `next` of the page before, whole, with the same list and the same filters; or leave it out for the first page";
        carried
            .and_then(|cursor| self.vouch.brought_back(cursor, &self.list()))
            .ok_or_else(|| FieldProblem::new("after", "cursor_unknown", hint))
    }
}

/// Looks at up to ten thousand records that have these terms; true if there are more.
pub(crate) async fn each<T: Record>(kernel: &Kernel, terms: &[&str], look: &mut (dyn FnMut(&T) + Send)) -> Result<bool, OpError> {
    let mut after = None;
    for _ in 0..PAGES {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        let (rows, next) = kernel.listed::<T>(T::KIND, terms, after, ROWS).await?;
        rows.iter().for_each(|row| look(&row.value));
        match next {
            Some(next) => after = Some(next),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// A page of the records that have these terms and can be read, up to two hundred, and where the next begins.
pub(crate) async fn rows<T: Record>(kernel: &Kernel, terms: &[String], after: Option<String>) -> Result<(Vec<Stored<T>>, Option<String>), OpError> {
    kernel.listed(T::KIND, terms.to_vec(), after, 200).await
}

/// The hold on a scope, while there is one.
pub(crate) async fn hold_on(kernel: &Kernel, scope: &Scope) -> Result<Option<Hold>, OpError> {
    let hold = kernel.one::<Hold>(scope).await?;
    Ok(hold.filter(|hold| hold.placed_by.is_some()).map(|hold| (*hold.value).clone()))
}

/// The first records of a kind that have these terms and can be read.
pub(crate) async fn all<T: Record>(kernel: &Kernel, terms: Vec<String>, limit: u16) -> Result<Vec<Stored<T>>, OpError> {
    Ok(kernel.listed(T::KIND, terms, None, limit).await?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d12_a_cursor_is_its_lists_and_its_filters() {
        let root = RootKey::from_text(&"01".repeat(32)).unwrap();
        let terms = |text: &[&str]| text.iter().map(|term| (*term).to_owned()).collect::<Vec<_>>();
        let people = Cursors::new(&root, RowKind::Person, &terms(&["state=active"]), &[]);
        let cursor = people.seal("per_1");
        assert_eq!(people.open(&cursor).unwrap(), "per_1");
        let longer = format!("{cursor}A");
        for bad in ["", ".", "per_1", &cursor[1..], &cursor[..cursor.len() - 1], &longer, &"x".repeat(4_000)] {
            assert_eq!(people.open(bad).unwrap_err().code, "cursor_unknown", "{bad}");
        }
        for other in [
            Cursors::new(&root, RowKind::Team, &terms(&["state=active"]), &[]),
            Cursors::new(&root, RowKind::Person, &terms(&["state=departed"]), &[]),
            Cursors::new(&root, RowKind::Person, &[], &terms(&["state=active"])),
            Cursors::new(&root, RowKind::Person, &[], &[]),
            Cursors::new(&RootKey::from_text(&"02".repeat(32)).unwrap(), RowKind::Person, &terms(&["state=active"]), &[]),
        ] {
            assert!(other.open(&cursor).is_err());
        }
    }
}
