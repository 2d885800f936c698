//! Who and what there is besides identities.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::views::Revised;
use tenure_console::address::Address;
use tenure_console::directory::{self, Around, Duties, Entity};
use tenure_core::base::id::PersonId;
use tenure_core::credential::receipt::{Receipt, Target};
use tenure_core::identity::Identity;
use tenure_core::identity::transfer::Transfer;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::request::review::Review;
use tenure_core::request::{Request, Voter};
use tenure_core::store::term::Term;
use tenure_engine::access::transfers;
use tenure_engine::identities::registration;
use tenure_engine::kernel::authority;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::{ListAsk, Listed as _, MAX_PAGE};
use tenure_engine::matters::request;
use tenure_engine::reviews;

use crate::app::App;
use crate::caller::named::{self, Addressed, listed_names, names_in};
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Refusal, Shown, counted};
use crate::contract::api::Api;
use crate::contract::list::Filtered;
use crate::contract::page::page;
use crate::contract::query::Path;

/// Identities that a record's page names.
const NAMED: u16 = 50;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/people", get(list::<Person>))
        .page("/people/{id}", get(one::<Person>))
        .page("/teams", get(list::<Team>))
        .page("/teams/{id}", get(one::<Team>))
        .page("/applications", get(list::<Application>))
        .page("/applications/{id}", get(one::<Application>))
        .page("/vendors", get(list::<Vendor>))
        .page("/vendors/{id}", get(one::<Vendor>))
        .page("/resources", get(list::<Resource>))
        .page("/resources/{id}", get(one::<Resource>))
        .page("/environments", get(list::<Environment>))
        .page("/environments/{id}", get(one::<Environment>))
        .page("/cloud-accounts", get(list::<CloudAccount>))
        .page("/cloud-accounts/{id}", get(one::<CloudAccount>))
}

/// What of the rest belongs to a record.
trait Belongings {
    /// Its identities.
    fn identities(&self) -> Option<Term<Identity>>;

    /// The person whose duties are told.
    fn person(&self) -> Option<PersonId> {
        None
    }
}

/// A line for each sort of record: which identities are its own, and whose duties its page tells.
macro_rules! belongings {
    ($($sort:ty: |$record:ident| $identities:expr $(, of $person:expr)?;)*) => {$(
        impl Belongings for $sort {
            fn identities(&self) -> Option<Term<Identity>> {
                let $record = self;
                $identities
            }
            $(fn person(&self) -> Option<PersonId> {
                let $record = self;
                Some($person)
            })?
        }
    )*};
}

belongings! {
    Person: |person| Some(Identity::OWNER.of(person.id)), of person.id;
    Team: |team| Some(Identity::REMOVAL_GROUP.of(team.id));
    Application: |application| Some(Identity::APPLICATION.of(application.id));
    Vendor: |vendor| Some(Identity::VENDOR.of(vendor.id));
    Resource: |_resource| None;
    Environment: |environment| Some(Identity::ENVIRONMENT.of(&*environment.name));
    CloudAccount: |account| Some(Identity::CLOUD_ACCOUNT.of(account.id));
}

async fn list<T: Entity + Addressed + Filtered>(State(app): State<App>, asked: Asked<T>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| app.kernel.list::<T>(&reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &T::list(reader.frame(T::TITLE, T::PLACE), address, found, &names)))
}

async fn one<T: Entity + Addressed + Belongings>(
    State(app): State<App>,
    reader: Reader,
    Path(which): Path<String>,
) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let record: Revised<T> = named::get::<T>(&app, caller, &which).await?;
    let around = match record.record.identities() {
        Some(theirs) => {
            let ask = ListAsk { filters: vec![theirs], limit: Some(NAMED), ..ListAsk::default() };
            let identities = counted!(ask, |ask| registration::identities(kernel, caller, ask))?;
            let (duties, receipt) = match record.record.person() {
                Some(person) => {
                    (Box::pin(duties(&app, &reader, person)).await?, last_receipt(&app, &reader, person).await?)
                }
                None => (None, None),
            };
            Some(Around { identities, duties, receipt })
        }
        None => None,
    };
    let seen = (&record, around.as_ref().map(|around| &around.identities));
    let names = names_in(&app, &reader.caller, &seen).await?;
    let person = caller.person().ok_or(OpError::NotFound("person"))?;
    Ok(page(StatusCode::OK, &directory::page(reader.frame("", T::PLACE), &record, around, &names, person)))
}

/// The last receipt of somebody's suspension, or of their leaving, for whoever may read receipts.
async fn last_receipt(app: &App, reader: &Reader, person: PersonId) -> Result<Option<Receipt>, Refusal> {
    if !authority::reads_all(&app.kernel, &reader.caller, Receipt::NAME) {
        return Ok(None);
    }
    let theirs = vec![Receipt::TARGET.of(Target::Person(person))];
    let ask = ListAsk { filters: theirs, sort: Some(NEWEST_FIRST), limit: Some(1), ..ListAsk::default() };
    Ok(app.kernel.list::<Receipt>(&reader.caller, ask).await?.items.pop().map(|last| last.record))
}

/// What somebody answers for, and what waits for them; for themselves, and for whoever may read all of it.
async fn duties(app: &App, reader: &Reader, person: PersonId) -> Result<Option<Duties>, Refusal> {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let reads = |kind: &str| authority::reads_all(kernel, caller, kind);
    if person != reader.person && !["review", "transfer", "request"].into_iter().all(reads) {
        return Ok(None);
    }
    let theirs = ListAsk { filters: vec![Review::REVIEWER.of(person)], limit: Some(MAX_PAGE), ..ListAsk::default() };
    let reviews = reviews::reviews(kernel, caller, theirs).await?;
    let offered =
        ListAsk { filters: vec![Transfer::OFFERED_TO.of(person)], limit: Some(MAX_PAGE), ..ListAsk::default() };
    let transfers = transfers::transfers(kernel, caller, offered).await?;
    let votes = match person == reader.person {
        true => request::waiting_votes(kernel, caller, None, Some(MAX_PAGE)).await?,
        false => {
            let theirs = vec![Request::WAITS_FOR.of(Voter::Person(person))];
            request::requests(kernel, caller, ListAsk { filters: theirs, limit: Some(MAX_PAGE), ..ListAsk::default() })
                .await?
        }
    };
    let mut owns = Vec::new();
    let (applications, vendors) = (Application::OWNER.of(person), Vendor::OWNER.of(person));
    owns.extend(owned::<Application>(app, reader, person, applications).await?);
    owns.extend(owned::<Vendor>(app, reader, person, vendors).await?);
    let more = votes.next.is_some() || reviews.next.is_some() || transfers.next.is_some();
    Ok(Some(Duties { owns, reviews: reviews.items, transfers: transfers.items, votes: votes.items, more }))
}

/// How many records of a sort are somebody's, where the reader may read all of them.
async fn owned<T: Entity + Addressed>(
    app: &App,
    reader: &Reader,
    person: PersonId,
    theirs: Term<T>,
) -> Result<Option<(&'static str, u64, Address)>, Refusal> {
    if !authority::reads_all(&app.kernel, &reader.caller, T::NAME) {
        return Ok(None);
    }
    let ask = ListAsk { filters: vec![theirs], limit: Some(MAX_PAGE), ..ListAsk::default() };
    let found = counted!(ask, |ask| app.kernel.list::<T>(&reader.caller, ask))?;
    let count = found.count.unwrap_or(found.items.len() as u64);
    let to = Address::new(T::PATH).with("owner", person.to_string());
    Ok((count > 0).then_some((T::TITLE, count, to)))
}
