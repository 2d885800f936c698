//! Names: what people call records instead of ids, both ways.
//!
//! A name that nothing bears stands for an id that nothing has: then the operation itself says what its caller may
//! learn, as of any unknown id. Names are for people. Software names what it means by id, which is never somebody
//! else's tomorrow.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use tenure_core::base::id::{
    ApplicationId, CloudAccountId, IdentityId, IssuerId, NeedId, PersonId, ResourceId, SourceId, TargetId, TeamId,
    VendorId,
};
use tenure_core::identity::Identity;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, Need, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::signal::Source;
use tenure_core::store::document::Order;
use tenure_core::store::port::Snapshot;
use tenure_core::store::row::{Record, RowKey, Stored};
use tenure_core::store::term::{Field, Term};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::{Listed, Query};
use crate::kernel::search::ask::Question;
use crate::kernel::{Kernel, authority, search};

/// People of one name that are told apart.
const MOST: usize = 20;
/// Records of one answer that are named.
const NAMED: usize = 1_000;

/// A record that has a name.
pub trait Named: Record {
    /// Its id.
    type Id: FromStr + Copy + std::fmt::Display;
    /// What its list calls the name; none if it isn't found by one.
    const FILTER: Option<Field<Self>>;
    /// An id that no record has.
    const NOBODY: Self::Id;

    /// Its name; none if it was erased.
    fn name(&self) -> Option<String>;

    /// The id of the one that a person calls by a name; [`Named::NOBODY`] if none is called so.
    ///
    /// # Errors
    /// Several have the name, or the store can't be read.
    fn called(kernel: &Kernel, _caller: &Caller, name: &str) -> impl Future<Output = Result<Self::Id, OpError>> + Send {
        by_term::<Self>(kernel, name)
    }
}

macro_rules! named {
    ($($record:ty, $id:ty, $filter:expr, $name:expr;)*) => {$(
        impl Named for $record {
            type Id = $id;
            const FILTER: Option<Field<Self>> = $filter;
            const NOBODY: Self::Id = <$id>::from_u128(0);

            fn name(&self) -> Option<String> {
                let name: fn(&Self) -> Option<String> = $name;
                name(self)
            }
        }
    )*};
}

named! {
    Application, ApplicationId, Some(Application::NAME), |application| Some(application.name.clone());
    Team, TeamId, Some(Team::NAME), |team| Some(team.name.clone());
    Vendor, VendorId, Some(Vendor::NAME), |vendor| Some(vendor.name.clone());
    Need, NeedId, Some(Need::NAME), |need| Some(need.name.clone());
    Source, SourceId, Some(Source::NAME), |source| Some(source.name.clone());
    Resource, ResourceId, Some(Resource::URI), |resource| Some(resource.uri.clone());
    TargetSystem, TargetId, Some(TargetSystem::NAME), |target| Some(target.name.clone());
    Issuer, IssuerId, Some(Issuer::URL), |issuer| Some(issuer.url.clone());
    CloudAccount, CloudAccountId, None, |account| Some(format!("{}/{}", account.provider, account.account));
}

impl Named for Identity {
    type Id = IdentityId;
    const FILTER: Option<Field<Self>> = Some(Identity::NAME);
    const NOBODY: Self::Id = IdentityId::from_u128(0);

    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// By its name, whoever may read it: whether there is one of a name is not everybody's to learn.
    async fn called(kernel: &Kernel, caller: &Caller, name: &str) -> Result<IdentityId, OpError> {
        let Some(one) = only_one(kernel, Identity::NAME.of(name)).await? else { return Ok(Identity::NOBODY) };
        let own = authority::owns_identity(caller, &one) || caller.person_id() == Some(one.registered_by);
        let is_known = own || authority::can_read(kernel, caller, "identity", "", false).is_ok();
        Ok(if is_known { one.id } else { Identity::NOBODY })
    }
}

impl Named for Person {
    type Id = PersonId;
    const FILTER: Option<Field<Self>> = None;
    const NOBODY: Self::Id = PersonId::from_u128(0);

    fn name(&self) -> Option<String> {
        self.name.clone()
    }

    /// By e-mail address or name.
    fn called(kernel: &Kernel, caller: &Caller, name: &str) -> impl Future<Output = Result<Self::Id, OpError>> + Send {
        person_called(kernel, caller, name)
    }
}

/// The record that a text means: its id, or what people call it.
///
/// # Errors
/// Several have the name, and the caller may know them.
pub async fn meant<T: Named>(kernel: &Kernel, caller: &Caller, text: &str) -> Result<T::Id, OpError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    match caller.person_id() {
        Some(_) => T::called(kernel, caller, text).await,
        None => Ok(T::NOBODY),
    }
}

async fn by_term<T: Named>(kernel: &Kernel, name: &str) -> Result<T::Id, OpError> {
    let Some(filter) = T::FILTER else { return Ok(T::NOBODY) };
    let one = only_one(kernel, filter.of(name)).await?;
    Ok(one.and_then(|one| one.row_id().parse().ok()).unwrap_or(T::NOBODY))
}

/// The record that bears a term, if it is the only one.
async fn only_one<T: Record>(kernel: &Kernel, term: Term<T>) -> Result<Option<Stored<T>>, OpError> {
    let found = kernel.find(Query::of([term]).limit(2)).await?.whole()?;
    Ok(<[Stored<T>; 1]>::try_from(found).ok().map(|[one]| one))
}

/// Whoever may not read people calls nobody but themselves by name: whether a name or an address is somebody's is not
/// everybody's to learn.
async fn person_called(kernel: &Kernel, caller: &Caller, name: &str) -> Result<PersonId, OpError> {
    let wanted = name.to_lowercase();
    let is = |value: &Option<String>| value.as_ref().is_some_and(|value| value.to_lowercase() == wanted);
    let question = Question {
        kind: Person::KIND,
        filters: Vec::new(),
        text: String::new(),
        whole: Some(name.to_owned()),
        order: Order::Id,
        descending: false,
        after: None,
        limit: MOST,
    };
    let Some(answer) = search::ask::ask(kernel, &question).await? else {
        return Err(OpError::SearchBuilding { retry_after: search::ask::AGAIN_AFTER });
    };
    let (rows, _) = search::readable(kernel, Person::KIND, &answer.ids).await?;
    let may_read = authority::can_read(kernel, caller, Person::NAME, "", Person::OPEN).is_ok();
    let is_known = |person: &Stored<Person>| may_read || caller.person_id() == Some(person.id);
    let mut named = Vec::new();
    for person in rows.iter().filter_map(|row| row.decode::<Person>().ok()).filter(is_known) {
        if is(&person.email) {
            return Ok(person.id);
        }
        if is(&person.name) {
            named.push(person);
        }
    }
    match named.as_slice() {
        [] => Ok(Person::NOBODY),
        [one] => Ok(one.id),
        several => {
            let known =
                |person: &Person| format!("{} ({})", person.id, person.email.as_deref().unwrap_or("no e-mail address"));
            let all: Vec<String> = several.iter().map(|person| known(person)).collect();
            Err(OpError::field("person", "name_ambiguous", &format!("say which one is meant: {}", all.join(", "))))
        }
    }
}

/// The names of the records that these texts are the ids of, by id; what has none, or isn't there, is left out.
///
/// # Errors
/// The store can't be read.
pub async fn of<'a>(
    kernel: &Kernel,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>, OpError> {
    type Read = fn(&Snapshot, usize) -> Option<String>;
    type Sort = fn(&str) -> Option<(RowKey, Read)>;
    fn read<T: Named>(snapshot: &Snapshot, n: usize) -> Option<String> {
        snapshot.get::<T>(n).ok()??.name()
    }
    fn sort<T: Named>(text: &str) -> Option<(RowKey, Read)> {
        text.parse::<T::Id>().ok().map(|id| (RowKey::new(T::KIND, id), read::<T> as Read))
    }
    const SORTS: &[Sort] = &[
        sort::<Identity>,
        sort::<Person>,
        sort::<Application>,
        sort::<Team>,
        sort::<Resource>,
        sort::<Vendor>,
        sort::<Need>,
        sort::<CloudAccount>,
        sort::<Source>,
        sort::<Issuer>,
    ];
    let texts: BTreeSet<&str> = texts.into_iter().collect();
    let known: Vec<(&str, (RowKey, Read))> = texts
        .into_iter()
        .filter_map(|text| SORTS.iter().find_map(|sort| sort(text)).map(|known| (text, known)))
        .take(NAMED)
        .collect();
    if known.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: Vec<RowKey> = known.iter().map(|(_, (key, _))| key.clone()).collect();
    let snapshot = kernel.store.load(&keys).await?;
    let names = known.iter().enumerate();
    Ok(names.filter_map(|(n, (text, (_, read)))| Some(((*text).to_owned(), read(&snapshot, n)?))).collect())
}
