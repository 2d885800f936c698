//! Names: what people call records instead of ids, both ways.
//!
//! A name that nothing bears stands for an id that nothing has: then the operation itself says what its caller may
//! learn, as of any unknown id. So does the name of what its caller may not know: whoever may read it knows it, and
//! whoever answers for an identity that names it. An environment's name alone is everybody's, since its issuer is
//! (RFC 8414). Names are for people. Software names what it means by id, which is never somebody else's tomorrow.
//!
//! The other way, an id that a record refers to is named to whoever may read the record. One that somebody typed, into a
//! purpose or as a comment, refers to nothing: it is named to whoever may read what it is of, and to nobody else.

use std::collections::BTreeMap;
use std::str::FromStr;

use tenure_core::base::id::{
    ApplicationId, CampaignId, CloudAccountId, IdentityId, IssuerId, NeedId, PersonId, ResourceId, SourceId, TargetId,
    TeamId, VendorId,
};
use tenure_core::identity::Identity;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, Need, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::request::campaign::Campaign;
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
    /// What its sort is called in policies.
    const SORT: &'static str;

    /// Its name; none if it was erased.
    fn name(&self) -> Option<String>;

    /// Whether it is the caller's own.
    fn is_own(&self, _caller: &Caller) -> bool {
        false
    }

    /// The term of the identities that name it; none if there is no such term.
    fn of_identities(&self) -> Option<Term<Identity>> {
        None
    }

    /// The id of the one that a person calls by a name; [`Named::NOBODY`] if none that they know is called so.
    ///
    /// # Errors
    /// Several have the name, or the store can't be read.
    fn called(kernel: &Kernel, caller: &Caller, name: &str) -> impl Future<Output = Result<Self::Id, OpError>> + Send {
        by_term::<Self>(kernel, caller, name)
    }
}

/// Whether the caller may read a record, which is asked and not recorded.
fn reads<T: Named>(kernel: &Kernel, caller: &Caller, record: &T) -> bool {
    authority::can_read(kernel, caller, T::SORT, &record.row_id(), record.is_own(caller)).is_ok()
}

macro_rules! named {
    ($($record:ty, $id:ty, $sort:expr, $filter:expr, $name:expr, $own:expr, $of:expr;)*) => {$(
        impl Named for $record {
            type Id = $id;
            const FILTER: Option<Field<Self>> = $filter;
            const NOBODY: Self::Id = <$id>::from_u128(0);
            const SORT: &'static str = $sort;

            fn name(&self) -> Option<String> {
                let name: fn(&Self) -> Option<String> = $name;
                name(self)
            }

            fn is_own(&self, caller: &Caller) -> bool {
                let own: fn(&Self, &Person) -> bool = $own;
                matches!(caller, Caller::Person { person, .. } if own(self, person))
            }

            fn of_identities(&self) -> Option<Term<Identity>> {
                let of: fn(&Self) -> Option<Term<Identity>> = $of;
                of(self)
            }
        }
    )*};
}

named! {
    Application, ApplicationId, <Self as Listed>::NAME, Some(Application::NAME), |application| Some(application.name.clone()),
        |application, me| application.owner == me.id, |application| Some(Identity::APPLICATION.of(application.id));
    Team, TeamId, <Self as Listed>::NAME, Some(Team::NAME), |team| Some(team.name.clone()),
        |team, me| me.teams.contains(&team.id), |team| Some(Identity::REMOVAL_GROUP.of(team.id));
    Vendor, VendorId, <Self as Listed>::NAME, Some(Vendor::NAME), |vendor| Some(vendor.name.clone()),
        |vendor, me| vendor.owner == me.id, |vendor| Some(Identity::VENDOR.of(vendor.id));
    Need, NeedId, <Self as Listed>::NAME, Some(Need::NAME), |need| Some(need.name.clone()),
        |need, me| need.owner == me.id, |need| Some(Identity::NEED.of(need.id));
    Source, SourceId, "source", Some(Source::NAME), |source| Some(source.name.clone()), |_, _| false, |_| None;
    TargetSystem, TargetId, <Self as Listed>::NAME, Some(TargetSystem::NAME), |target| Some(target.name.clone()),
        |target, me| target.owner == me.id, |_| None;
    Campaign, CampaignId, <Self as Listed>::NAME, None, |campaign| Some(campaign.name.clone()),
        |campaign, me| campaign.opened_by == Some(me.id), |_| None;
    Issuer, IssuerId, <Self as Listed>::NAME, Some(Issuer::URL), |issuer| Some(issuer.url.clone()), |_, _| false, |_| None;
    CloudAccount, CloudAccountId, <Self as Listed>::NAME, None,
        |account| Some(format!("{}/{}", account.provider, account.account)), |account, me| account.owner == me.id,
        |account| Some(Identity::CLOUD_ACCOUNT.of(account.id));
}

impl Named for Resource {
    type Id = ResourceId;
    const FILTER: Option<Field<Self>> = Some(Resource::URI);
    const NOBODY: Self::Id = ResourceId::from_u128(0);
    const SORT: &'static str = <Self as Listed>::NAME;

    fn name(&self) -> Option<String> {
        Some(self.uri.clone())
    }

    /// By its URI, whoever may read it, answers for its application, or for an identity whose charter names it.
    async fn called(kernel: &Kernel, caller: &Caller, name: &str) -> Result<ResourceId, OpError> {
        let Some(one) = only_one(kernel, Resource::URI.of(name)).await? else { return Ok(Resource::NOBODY) };
        let is_known = reads(kernel, caller, &*one) || is_of_theirs(kernel, caller, &one).await?;
        Ok(if is_known { one.id } else { Resource::NOBODY })
    }
}

/// Identities of one owner whose charters are looked through for a resource: of whoever has more, it is named by its id.
const LOOKED_THROUGH: u16 = 200;

async fn is_of_theirs(kernel: &Kernel, caller: &Caller, resource: &Resource) -> Result<bool, OpError> {
    let Some(me) = caller.person_id() else { return Ok(false) };
    if kernel.one::<Application>(resource.application).await?.is_some_and(|application| application.owner == me) {
        return Ok(true);
    }
    let id = resource.id.to_string();
    let theirs = kernel.find(Query::of([Identity::OWNER.of(me)]).limit(LOOKED_THROUGH)).await?.readable();
    Ok(theirs.iter().any(|identity| identity.charter.scope.iter().any(|entitlement| entitlement.resource == id)))
}

impl Named for Identity {
    type Id = IdentityId;
    const FILTER: Option<Field<Self>> = Some(Identity::NAME);
    const NOBODY: Self::Id = IdentityId::from_u128(0);
    const SORT: &'static str = "identity";

    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn is_own(&self, caller: &Caller) -> bool {
        authority::owns_identity(caller, self) || caller.person_id() == Some(self.registered_by)
    }
}

impl Named for Person {
    type Id = PersonId;
    const FILTER: Option<Field<Self>> = None;
    const NOBODY: Self::Id = PersonId::from_u128(0);
    const SORT: &'static str = <Self as Listed>::NAME;

    fn name(&self) -> Option<String> {
        self.name.clone()
    }

    fn is_own(&self, caller: &Caller) -> bool {
        caller.person_id() == Some(self.id)
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

async fn by_term<T: Named>(kernel: &Kernel, caller: &Caller, name: &str) -> Result<T::Id, OpError> {
    let Some(filter) = T::FILTER else { return Ok(T::NOBODY) };
    let Some(one) = only_one(kernel, filter.of(name)).await? else { return Ok(T::NOBODY) };
    let is_known = reads(kernel, caller, &*one)
        || match (caller.person_id(), one.of_identities()) {
            (Some(me), Some(of_it)) => kernel.first(Query::of([Identity::OWNER.of(me), of_it])).await?.is_some(),
            _ => false,
        };
    Ok(one.row_id().parse().ok().filter(|_| is_known).unwrap_or(T::NOBODY))
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

/// A text of the form of an id, where it stands in what the caller may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention<'a> {
    /// The text.
    pub id: &'a str,
    /// Whether somebody typed it where anything can stand, so that it refers to nothing.
    pub typed: bool,
}

/// The names of the records that these are the ids of, by id; what has none, isn't there, or was only typed and isn't the
/// caller's to read, is left out.
///
/// # Errors
/// The store can't be read.
pub async fn of<'a>(
    kernel: &Kernel,
    caller: &Caller,
    mentions: impl IntoIterator<Item = Mention<'a>>,
) -> Result<BTreeMap<String, String>, OpError> {
    type Read = fn(&Kernel, &Caller, &Snapshot, usize, bool) -> Option<String>;
    type Sort = fn(&str) -> Option<(RowKey, Read)>;
    fn read<T: Named>(kernel: &Kernel, caller: &Caller, snapshot: &Snapshot, n: usize, typed: bool) -> Option<String> {
        let record = snapshot.get::<T>(n).ok()??;
        if typed && !reads(kernel, caller, &*record) {
            return None;
        }
        record.name()
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
        sort::<TargetSystem>,
        sort::<Campaign>,
    ];
    // What is referred to anywhere counts as that, wherever else it was typed.
    let mut once: BTreeMap<&str, bool> = BTreeMap::new();
    for Mention { id, typed } in mentions {
        once.entry(id).and_modify(|only_typed| *only_typed &= typed).or_insert(typed);
    }
    let known: Vec<(&str, bool, (RowKey, Read))> = once
        .into_iter()
        .filter_map(|(id, typed)| SORTS.iter().find_map(|sort| sort(id)).map(|known| (id, typed, known)))
        .take(NAMED)
        .collect();
    if known.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: Vec<RowKey> = known.iter().map(|(_, _, (key, _))| key.clone()).collect();
    let snapshot = kernel.store.load(&keys).await?;
    let name = |(n, (id, typed, (_, read))): (usize, &(&str, bool, (RowKey, Read)))| {
        Some(((*id).to_owned(), read(kernel, caller, &snapshot, n, *typed)?))
    };
    Ok(known.iter().enumerate().filter_map(name).collect())
}
