//! Queries: the records of a kind that bear these terms, in the order of their ids; and the pages of them that the API
//! gives.
//!
//! There is one [`Query`], and four ways to run it: [`Kernel::find`], [`Kernel::first`], [`Kernel::pages`], and
//! [`Kernel::page`] for callers. What is found has to be opened by saying what becomes of a record that can't be read:
//! [`Found::whole`] fails, and is for whatever a missing record would permit, or would spare; [`Found::readable`] goes
//! on without it. A row that was altered outside Tenure fails either (S-2), except for callers, who are told which one
//! it is.
//!
//! A term of a field of which records don't name each value is looked for together with the one that stands for the
//! rest ([`Term::rest`]): an index is never silently partial.
//!
//! A page of the API goes on by a cursor that says where, and that this server gave it for this very list: its kind of
//! record and every filter, also those that were added because the caller sees only their own. Anything else as a
//! cursor is told, never an empty page.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::FieldProblem;
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::store::document::Order;
use tenure_core::store::port::{ListQuery, StoreError};
use tenure_core::store::row::{BadRow, Record, RowKey, Stored};
use tenure_core::store::term::{Field, Term};
use tenure_core::trust::issuer::Issuer;
use tenure_credentials::root::RootKey;
use tenure_credentials::vouch::Vouch;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::search::ask::Question;
use crate::kernel::{Kernel, authority, search};

/// Records of one answer if a query doesn't say how many.
const DEFAULT: u16 = 200;

/// Records of a page if nobody says how many.
pub const DEFAULT_PAGE: u16 = 50;
/// How many records a page has at most.
pub const MAX_PAGE: u16 = 200;

/// How often a page of what was found is filled up after records that were written meanwhile.
const REFILLS: usize = 8;
/// Pages that are looked at for those of a page that a reader wants.
const SIFTED: usize = 8;
/// How many are looked for at least when one is: while many records change in the order of a list, the first one that is
/// found has changed each time, and the others haven't.
const SPARE: usize = 32;

/// The longest cursor in bytes: an id of 512 bytes in base64url, and its tag.
const MAX_CURSOR: usize = 800;

/// What is looked for among the records of a kind.
#[derive(Debug)]
pub(crate) struct Query<T> {
    all: Vec<Term<T>>,
    any: Option<Vec<Term<T>>>,
    without: Vec<Term<T>>,
    after: Option<String>,
    newest_first: bool,
    limit: u16,
}

impl<T> Query<T> {
    /// Every record of the kind.
    pub(crate) fn every() -> Self {
        Self::of([])
    }

    /// Those that have all of these terms.
    pub(crate) fn of(all: impl IntoIterator<Item = Term<T>>) -> Self {
        let all = all.into_iter().collect();
        Self { all, any: None, without: Vec::new(), after: None, newest_first: false, limit: DEFAULT }
    }

    /// Those of them that have one of these terms besides. Of none, there are none.
    #[must_use]
    pub(crate) fn any(self, any: impl IntoIterator<Item = Term<T>>) -> Self {
        let any = Some(any.into_iter().collect());
        Self { any, ..self }
    }

    /// Those of them that have none of these terms. What a record doesn't name it doesn't lack either: where a field has a
    /// term for the rest, whoever asks looks at what was found.
    #[must_use]
    pub(crate) fn without(self, without: impl IntoIterator<Item = Term<T>>) -> Self {
        let without = without.into_iter().collect();
        Self { without, ..self }
    }

    /// The greatest id first: of records whose ids go by the time at which they were made, what was made last.
    #[must_use]
    pub(crate) fn newest_first(self, newest_first: bool) -> Self {
        Self { newest_first, ..self }
    }

    /// Only what follows this id, if there is one.
    #[must_use]
    pub(crate) fn after(self, id: Option<String>) -> Self {
        Self { after: id, ..self }
    }

    /// At most so many at once, 1 to 1000; two hundred if nobody says.
    #[must_use]
    pub(crate) fn limit(self, limit: u16) -> Self {
        let limit = limit.clamp(1, 1_000);
        Self { limit, ..self }
    }

    /// The terms that each have to hold by themselves, and the groups of which one has to hold each.
    fn clauses(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let group = |terms: &[Term<T>]| {
            let mut group: Vec<String> = Vec::new();
            for term in terms.iter().flat_map(|term| std::iter::once(term.clone()).chain(term.rest())) {
                let text = term.to_string();
                if !group.contains(&text) {
                    group.push(text);
                }
            }
            group
        };
        let (mut each, mut groups) = (Vec::new(), Vec::new());
        for clause in self.all.chunks(1).chain(self.any.as_deref()).map(group) {
            match <[String; 1]>::try_from(clause) {
                Ok([one]) => each.push(one),
                Err(clause) => groups.push(clause),
            }
        }
        (each, groups)
    }

    /// What a store is asked: what it finds by any of these.
    fn lookups(&self) -> Vec<Vec<String>> {
        let (each, groups) = self.clauses();
        let product = |lookups: Vec<Vec<String>>, group: Vec<String>| {
            let with = |lookup: &Vec<String>, term: &String| std::iter::once(term).chain(lookup).cloned().collect();
            lookups.iter().flat_map(|lookup| group.iter().map(|term| with(lookup, term))).collect()
        };
        groups.into_iter().fold(vec![each], product)
    }
}

/// What was found, and where it goes on.
pub(crate) struct Found<T> {
    rows: Vec<Stored<T>>,
    unreadable: Vec<Unreadable>,
    next: Option<String>,
}

/// A record that was found and can't be read.
pub(crate) struct Unreadable {
    /// Which, and what is wrong with it.
    pub bad: BadRow,
    /// What it holds, if it wasn't altered.
    pub body: Vec<u8>,
}

impl<T> Found<T> {
    /// The records, where one that can't be read must not be taken for one that isn't there.
    ///
    /// # Errors
    /// One of them can't be read.
    pub(crate) fn whole(self) -> Result<Vec<Stored<T>>, OpError> {
        match self.unreadable.into_iter().next() {
            Some(unreadable) => Err(StoreError::from(unreadable.bad).into()),
            None => Ok(self.rows),
        }
    }

    /// The records that can be read; the others are in the server's log.
    pub(crate) fn readable(self) -> Vec<Stored<T>> {
        self.rows
    }

    /// The records that can be read, as long as there are any: for work after which its records are found no more, and
    /// which isn't done while one that can't be read is left.
    ///
    /// # Errors
    /// None of those that are left can be read.
    pub(crate) fn readable_first(self) -> Result<Vec<Stored<T>>, OpError> {
        if self.rows.is_empty() { self.whole() } else { Ok(self.rows) }
    }

    /// The records that can be read, and what can't be.
    pub(crate) fn apart(self) -> (Vec<Stored<T>>, Vec<Unreadable>) {
        (self.rows, self.unreadable)
    }

    /// The id behind which the query goes on, if there may be more.
    pub(crate) fn next(&self) -> Option<String> {
        self.next.clone()
    }

    /// How many were found, be they readable or not.
    pub(crate) fn count(&self) -> usize {
        self.rows.len() + self.unreadable.len()
    }

    /// A record that was found by its id.
    pub(crate) fn one(row: Option<Stored<T>>) -> Self {
        Self { rows: row.into_iter().collect(), unreadable: Vec::new(), next: None }
    }

    /// Without the records that nobody wants; what can't be read stays.
    #[must_use]
    pub(crate) fn wanted(mut self, wanted: impl Fn(&Stored<T>) -> bool) -> Self {
        self.rows.retain(wanted);
        self
    }
}

/// What a query finds, one answer after the other.
pub(crate) struct Pages<'k, T> {
    kernel: &'k Kernel,
    query: Option<Query<T>>,
}

impl<T: Record> Pages<'_, T> {
    /// What is found next, until there is no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Found<T>>, OpError> {
        let Some(query) = self.query.take() else {
            return Ok(None);
        };
        let found = self.kernel.look_for(&query, Altered::Fails).await?;
        self.query = found.next().map(|next| query.after(Some(next)));
        Ok(Some(found))
    }

    /// Whether there may be more.
    pub(crate) fn more(&self) -> bool {
        self.query.is_some()
    }

    /// Everything that is left, where one that can't be read must not be taken for one that isn't there.
    ///
    /// # Errors
    /// One of the records can't be read.
    pub(crate) async fn whole(mut self) -> Result<Vec<Stored<T>>, OpError> {
        let mut all = Vec::new();
        while let Some(found) = self.next().await? {
            all.extend(found.whole()?);
        }
        Ok(all)
    }

    /// Everything that is left and can be read.
    pub(crate) async fn readable(mut self) -> Result<Vec<Stored<T>>, OpError> {
        let mut all = Vec::new();
        while let Some(found) = self.next().await? {
            all.extend(found.readable());
        }
        Ok(all)
    }
}

/// What is asked of a list.
#[derive(Debug, Clone)]
pub struct ListAsk<T> {
    /// Terms that must all hold.
    pub filters: Vec<Term<T>>,
    /// Where to go on: the cursor that an earlier page of this list gave.
    pub after: Option<String>,
    /// How many at most, 1 to [`MAX_PAGE`]; 50 if not given.
    pub limit: Option<u16>,
    /// Text of which each word has to begin one of a record's.
    pub text: Option<String>,
    /// Their order, and whether it is turned round; by id if not given.
    pub sort: Option<(Order, bool)>,
    /// Whether those that fit are counted, on whichever page they are.
    pub count: bool,
}

impl<T> Default for ListAsk<T> {
    fn default() -> Self {
        Self { filters: Vec::new(), after: None, limit: None, text: None, sort: None, count: false }
    }
}

impl<T> ListAsk<T> {
    /// What the list is narrowed to by this field, if it is.
    pub fn value_of<V: ?Sized>(&self, field: Field<T, V>) -> Option<&str> {
        self.filters.iter().find(|term| term.is_of(field)).map(Term::value)
    }

    /// The same, narrowed to this term whatever it was by its field.
    #[must_use]
    pub fn only(mut self, term: Term<T>) -> Self {
        self.filters.retain(|filter| filter.name() != term.name());
        self.filters.push(term);
        self
    }
}

/// What becomes of a list with a row that was altered outside Tenure (S-2).
#[derive(Debug, Clone, Copy)]
enum Altered {
    /// Nothing is decided on it.
    Fails,
    /// Whoever reads the page is told which one it is.
    IsNamed,
}

/// What a page of the API says besides its items.
pub(crate) struct PageEnd {
    next: Option<String>,
    unreadable: Vec<String>,
    count: Option<u64>,
}

impl PageEnd {
    /// The page with these items.
    pub(crate) fn page<T>(self, items: Vec<T>) -> Page<T> {
        Page { items, next: self.next, count: self.count, unreadable: self.unreadable, names: Names::new() }
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
    /// What a query finds.
    ///
    /// # Errors
    /// The store can't be read, or a record was altered.
    pub(crate) async fn find<T: Record>(&self, query: Query<T>) -> Result<Found<T>, OpError> {
        self.look_for(&query, Altered::Fails).await
    }

    /// The first record that a query finds.
    ///
    /// # Errors
    /// The store can't be read, or the record can't be.
    pub(crate) async fn first<T: Record>(&self, query: Query<T>) -> Result<Option<Stored<T>>, OpError> {
        Ok(self.find(query.limit(1)).await?.whole()?.pop())
    }

    /// What a query finds, one answer after the other.
    pub(crate) fn pages<T: Record>(&self, query: Query<T>) -> Pages<'_, T> {
        let query = Some(query);
        Pages { kernel: self, query }
    }

    async fn look_for<T: Record>(&self, query: &Query<T>, altered: Altered) -> Result<Found<T>, OpError> {
        if query.all.iter().chain(query.any.iter().flatten()).chain(&query.without).any(Term::is_facet) {
            // Rows don't bear it: whoever asked would take what isn't found for what isn't there.
            return Err(OpError::Internal(format!("{} is asked for a facet by its rows", T::KIND.as_str())));
        }
        let mut found = BTreeMap::new();
        let mut more = false;
        let without: Vec<String> = query.without.iter().map(Term::to_string).collect();
        for terms in query.lookups() {
            let lookup = ListQuery {
                kind: T::KIND,
                terms,
                without: without.clone(),
                after: query.after.clone(),
                newest_first: query.newest_first,
                limit: query.limit,
            };
            let page = match altered {
                Altered::Fails => self.store.list(&lookup).await?,
                Altered::IsNamed => self.store.page(&lookup).await?,
            };
            more |= page.next.is_some();
            for row in page.rows {
                let record = row.decode().map_err(|bad| {
                    let body = row.body.clone();
                    Unreadable { bad, body }
                });
                found.insert(row.key.id.clone(), record);
            }
            for key in page.altered {
                let why = "it was altered outside Tenure".into();
                let id = key.id.clone();
                found.insert(id, Err(Unreadable { bad: BadRow { key, why }, body: Vec::new() }));
            }
        }
        let most = usize::from(query.limit);
        more |= found.len() > most;
        let mut first = Found { rows: Vec::with_capacity(found.len().min(most)), unreadable: Vec::new(), next: None };
        let in_order: Box<dyn Iterator<Item = _> + Send> = match query.newest_first {
            false => Box::new(found.into_iter()),
            true => Box::new(found.into_iter().rev()),
        };
        for (id, record) in in_order.take(most) {
            match record {
                Ok(record) => first.rows.push(record),
                Err(unreadable) => {
                    let Unreadable { bad, body } = unreadable;
                    first.unreadable.push(Unreadable { bad: told(bad), body });
                }
            }
            first.next = more.then_some(id);
        }
        Ok(first)
    }

    /// How many records bear these terms; `None` while the index of records is being made.
    pub(crate) async fn count<T: Record>(
        &self,
        terms: impl IntoIterator<Item = Term<T>>,
    ) -> Result<Option<u64>, OpError> {
        let filters = terms.into_iter().map(|term| vec![term.to_string()]).collect();
        search::ask::count(self, T::KIND, filters).await
    }

    /// A page as the API asks for it.
    pub(crate) async fn page<T: Record>(&self, ask: ListAsk<T>) -> Result<(Vec<Stored<T>>, PageEnd), OpError> {
        let limit = ask.limit.unwrap_or(DEFAULT_PAGE);
        let query = Query::of(ask.filters).limit(limit);
        let (order, descending) = ask.sort.unwrap_or((Order::Id, false));
        let cursors = Cursors::of(&self.root, &query).found_by(ask.text.as_deref(), ask.sort);
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
        let facets: Vec<String> = query.all.iter().filter(|term| term.is_facet()).map(Term::to_string).collect();
        let needs_index = ask.text.is_some() || ask.sort.is_some() || ask.count || !facets.is_empty();
        if T::KIND.is_searched() && (needs_index || query.all.len() > 1) {
            let (mut each, groups) = query.clauses();
            let filters = each.drain(..).map(|term| vec![term]).chain(groups).collect();
            let question = Question {
                kind: T::KIND,
                filters,
                text: ask.text.unwrap_or_default(),
                whole: None,
                order,
                descending,
                after: after.clone(),
                limit: usize::from(limit),
            };
            if let Some(page) = self.searched(question, &cursors, ask.count, &facets).await? {
                return Ok(page);
            }
            if needs_index {
                return Err(OpError::SearchBuilding { retry_after: search::ask::AGAIN_AFTER });
            }
        }
        let found = self.look_for(&query.after(after).newest_first(descending), Altered::IsNamed).await?;
        let end = PageEnd {
            next: found.next.map(|id| cursors.seal(&id)),
            unreadable: found.unreadable.into_iter().map(|unreadable| unreadable.bad.key.id).collect(),
            count: None,
        };
        Ok((found.rows, end))
    }

    /// A page of those that a query finds and a reader wants. While few of them are wanted it looks at so many pages, and
    /// may be shorter than was asked for: its cursor says where it goes on.
    pub(crate) async fn sifted<T: Record>(
        &self,
        query: Query<T>,
        after: Option<&str>,
        limit: Option<u16>,
        is_wanted: impl Fn(&Stored<T>) -> bool,
    ) -> Result<(Vec<Stored<T>>, PageEnd), OpError> {
        let cursors = Cursors::of(&self.root, &query);
        let limit = limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let after =
            after.map(|cursor| cursors.open(cursor)).transpose().map_err(|problem| OpError::Invalid(vec![problem]))?;
        let mut rows = Vec::with_capacity(usize::from(limit));
        let mut end = PageEnd { next: None, unreadable: Vec::new(), count: None };
        let mut query = query.after(after).limit(limit);
        for _ in 0..SIFTED {
            let found = self.look_for(&query, Altered::IsNamed).await?;
            end.unreadable.extend(found.unreadable.into_iter().map(|unreadable| unreadable.bad.key.id));
            end.next = found.next.clone();
            for row in found.rows.into_iter().filter(|row| is_wanted(row)) {
                if rows.len() == usize::from(limit) {
                    end.next = rows.last().map(|last: &Stored<T>| last.value.row_id());
                    break;
                }
                rows.push(row);
            }
            if end.next.is_none() || rows.len() == usize::from(limit) {
                break;
            }
            query = query.after(end.next.clone()).limit(MAX_PAGE);
        }
        end.next = end.next.map(|id| cursors.seal(&id));
        Ok((rows, end))
    }

    /// A page of what the index of records finds; `None` while the index is being made.
    async fn searched<T: Record>(
        &self,
        mut question: Question,
        cursors: &Cursors,
        is_counted: bool,
        facets: &[String],
    ) -> Result<Option<(Vec<Stored<T>>, PageEnd)>, OpError> {
        let limit = question.limit;
        let mut records = Vec::with_capacity(limit);
        let mut end = PageEnd { next: None, unreadable: Vec::new(), count: None };
        let mut room = limit;
        for attempt in 0..REFILLS {
            let Some(answer) = search::ask::ask(self, &question).await? else { return Ok(None) };
            if attempt == 0 {
                end.count = is_counted.then_some(answer.count);
                // Of facets nothing stands beside a row: by those nobody can tell.
                let is_borne = |group: &&Vec<String>| !group.iter().any(|term| facets.contains(term));
                let borne: Vec<Vec<String>> = question.filters.iter().filter(is_borne).cloned().collect();
                let fitting = self.indexed_by(answer.unreadable, &borne).await?;
                end.unreadable.extend(fitting.into_iter().map(|key| key.id));
            }
            let (rows, altered) = search::readable(self, T::KIND, &answer.ids).await?;
            end.unreadable.extend(altered.into_iter().map(|key| key.id));
            let places: HashMap<&String, &String> = answer.ids.iter().zip(&answer.places).collect();
            let mut behind = answer.next.clone();
            let mut last = None;
            for row in rows {
                if room == 0 {
                    // More were looked for than there was room.
                    behind = last;
                    break;
                }
                last = places.get(&row.key.id).map(|place| (*place).clone());
                match row.decode::<T>() {
                    Ok(record) if question.is_met_by(&*record.value) => records.push(record),
                    Ok(_) => continue,
                    Err(bad) => end.unreadable.push(told(bad).key.id),
                }
                room -= 1;
            }
            end.next = behind.as_deref().map(|place| cursors.seal(place));
            // What was written since it was found may fit no more: others take its place on the page.
            question.limit = room.max(SPARE);
            question.after = behind;
            if question.after.is_none() || room == 0 {
                break;
            }
        }
        Ok(Some((records, end)))
    }

    /// Those of these records that bear one of each group of terms, by what the store keeps beside them: of a record that
    /// can't be read nobody knows more.
    async fn indexed_by(&self, keys: Vec<RowKey>, groups: &[Vec<String>]) -> Result<Vec<RowKey>, OpError> {
        let mut fitting = Vec::new();
        for key in keys {
            let asked = |term: &String| (key.clone(), vec![term.clone()]);
            let mut fits = true;
            for group in groups {
                let asked: Vec<(RowKey, Vec<String>)> = group.iter().map(asked).collect();
                let beside = self.store.beside(&asked).await?;
                fits &= beside.iter().flatten().any(|beside| beside.indexed);
            }
            if fits {
                fitting.push(key);
            }
        }
        Ok(fitting)
    }

    /// A page of plain records.
    ///
    /// # Errors
    /// The caller may not read them.
    pub async fn list<T: Listed>(&self, caller: &Caller, ask: ListAsk<T>) -> Result<Page<Revised<T>>, OpError> {
        authority::may_read(self, caller, T::NAME, "", T::OPEN).await?;
        let (rows, end) = self.page(ask).await?;
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
    pub async fn get<T: Listed>(&self, caller: &Caller, id: &str) -> Result<Revised<T>, OpError> {
        let row = self.one::<T>(id).await?;
        let own = row.as_ref().and_then(|row| row.accountable()).is_some_and(|owner| caller.person_id() == Some(owner));
        // Also of what isn't there: whether it is, is not everybody's to learn.
        authority::may_read(self, caller, T::NAME, id, own || T::OPEN).await?;
        self.record_view(&row.ok_or(OpError::NotFound(T::NAME))?).await
    }

    /// A record that the caller names, of which it is still to be asked whether they may read it: as their own, or as one
    /// of all of its kind. Of what isn't there they are told so only if they may read all of them.
    pub(crate) async fn sought<T: Record>(
        &self,
        caller: &Caller,
        kind: &'static str,
        id: impl Display,
    ) -> Result<Stored<T>, OpError> {
        match self.one::<T>(&id).await? {
            Some(row) => Ok(row),
            None => Err(self.missing(caller, kind, id).await),
        }
    }

    /// What a caller is told of a record that isn't there.
    pub(crate) async fn missing(&self, caller: &Caller, kind: &'static str, id: impl Display) -> OpError {
        match authority::may_read(self, caller, kind, &id.to_string(), false).await {
            Ok(()) => OpError::NotFound(kind),
            Err(refused) => refused,
        }
    }

    pub(crate) async fn record_view<T: Listed>(&self, row: &Stored<T>) -> Result<Revised<T>, OpError> {
        Ok(Revised {
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

/// A row that can't be read, after the server's log was told.
fn told(bad: BadRow) -> BadRow {
    tracing::error!(row = %bad.key, why = bad.why, "a row can't be read; `tenure log verify-state` names all of them");
    bad
}

/// The cursors of one list with its filters.
struct Cursors {
    vouch: Vouch,
    list: Vec<String>,
}

impl Cursors {
    /// Of what a query finds.
    fn of<T: Record>(root: &RootKey, query: &Query<T>) -> Self {
        let (mut each, groups) = query.clauses();
        each.sort_unstable();
        let any = |(n, group): (usize, Vec<String>)| {
            let and = (n > 0).then(|| "and".to_owned());
            and.into_iter().chain(group.into_iter().map(|term| format!("or {term}")))
        };
        let any = groups.into_iter().enumerate().flat_map(any);
        let without = query.without.iter().map(|term| format!("without {term}"));
        Self {
            vouch: Vouch::new(root, "list cursor"),
            list: std::iter::once(T::KIND.as_str().to_owned()).chain(each).chain(any).chain(without).collect(),
        }
    }

    /// The same by words, in an order.
    fn found_by(mut self, text: Option<&str>, sort: Option<(Order, bool)>) -> Self {
        self.list.extend(text.map(|text| format!("by words {text}")));
        let way = |descending| if descending { "down" } else { "up" };
        self.list.extend(sort.map(|(order, descending)| format!("sorted {} {order}", way(descending))));
        self
    }

    fn list(&self) -> Vec<&str> {
        self.list.iter().map(String::as_str).collect()
    }

    /// The cursor behind the row at this place: of a list by ids its id, of another one the key of its order.
    fn seal(&self, place: &str) -> String {
        self.vouch.carried(place, &self.list())
    }

    /// The place behind which a list goes on.
    fn open(&self, cursor: &str) -> Result<String, FieldProblem> {
        let carried = Some(cursor).filter(|cursor| cursor.len() <= MAX_CURSOR);
        let hint = "give `next` of the page before, whole, with the same list and the same filters; or leave it out for the first page";
        carried
            .and_then(|cursor| self.vouch.brought_back(cursor, &self.list()))
            .ok_or_else(|| FieldProblem::new("after", "cursor_unknown", hint))
    }
}

/// The hold on a scope, while there is one.
pub(crate) async fn hold_on(kernel: &Kernel, scope: &Scope) -> Result<Option<Hold>, OpError> {
    let hold = kernel.one::<Hold>(scope).await?;
    Ok(hold.filter(|hold| hold.placed_by.is_some()).map(|hold| (*hold.value).clone()))
}

#[cfg(test)]
mod tests;
