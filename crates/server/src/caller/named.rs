//! Records by id or by name, as an address names them.

use tenure_api::views::{Names, Revised};
use tenure_core::identity::Identity;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::identity::template::Template;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Vendor};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::Package;
use tenure_core::people::team::Team;
use tenure_core::signal::{Signal, Source};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;
use tenure_engine::kernel::authority;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::names::{self, Named};
use tenure_engine::kernel::query::Listed;

use crate::app::App;
use crate::contract::error::Failure;

/// The record that a part of an address means, by id or by name; a malformed id is a name that nothing bears.
pub(crate) async fn meant<T: Named>(app: &App, caller: &Caller, text: &str) -> Result<T::Id, Failure> {
    Ok(names::meant::<T>(&app.kernel, caller, text).await?)
}

/// The row of the record of a sort that a part of an address means, by id or by name.
pub(crate) async fn row_of(app: &App, caller: &Caller, kind: RowKind, text: &str) -> Result<RowKey, Failure> {
    let id = match kind {
        RowKind::Application => meant::<Application>(app, caller, text).await?.to_string(),
        RowKind::Identity => meant::<Identity>(app, caller, text).await?.to_string(),
        RowKind::Issuer => meant::<Issuer>(app, caller, text).await?.to_string(),
        RowKind::Need => meant::<Need>(app, caller, text).await?.to_string(),
        RowKind::Person => meant::<Person>(app, caller, text).await?.to_string(),
        RowKind::Resource => meant::<Resource>(app, caller, text).await?.to_string(),
        RowKind::Source => meant::<Source>(app, caller, text).await?.to_string(),
        RowKind::Target => meant::<TargetSystem>(app, caller, text).await?.to_string(),
        RowKind::Vendor => meant::<Vendor>(app, caller, text).await?.to_string(),
        // Of the others an address takes the id, which is how their rows are named.
        _ => text.to_owned(),
    };
    Ok(RowKey::new(kind, id))
}

/// A plain record, and how an address names it.
pub(crate) trait Addressed: Listed {
    /// The id that a part of an address means.
    fn meant_by(app: &App, caller: &Caller, text: &str) -> impl Future<Output = Result<String, Failure>> + Send;
}

macro_rules! addressed {
    ($($record:ty),* $(,)?) => {$(
        impl Addressed for $record {
            async fn meant_by(app: &App, caller: &Caller, text: &str) -> Result<String, Failure> {
                Ok(meant::<Self>(app, caller, text).await?.to_string())
            }
        }
    )*};
}

macro_rules! addressed_by_itself {
    ($($record:ty),* $(,)?) => {$(
        impl Addressed for $record {
            async fn meant_by(_: &App, _: &Caller, text: &str) -> Result<String, Failure> {
                Ok(text.to_owned())
            }
        }
    )*};
}

addressed!(Application, CloudAccount, Issuer, Need, Person, Resource, Team, Vendor);
// Their names are their ids, or they have none.
addressed_by_itself!(DataDomain, Difference, Environment, NamingStandard, Package, Signal, Template);

/// One plain record, by id or by name.
pub(crate) async fn get<T: Addressed>(app: &App, caller: &Caller, text: &str) -> Result<Revised<T>, Failure> {
    let key = T::meant_by(app, caller, text).await?;
    Ok(app.kernel.get::<T>(caller, &key).await?)
}

/// The texts in a JSON document that are of the form of an id: a prefix of three letters, `_` and 26 characters.
pub(crate) fn ids_in(json: &[u8]) -> impl Iterator<Item = &str> {
    const LENGTH: usize = 30;
    let quoted = json
        .windows(LENGTH + 2)
        .filter(|window| window.first() == Some(&b'"') && window.last() == Some(&b'"') && window.get(4) == Some(&b'_'));
    quoted.filter_map(|window| std::str::from_utf8(window.get(1..=LENGTH)?).ok())
}

/// The sorts of records whose names a list says of its filters, by the prefix of their ids.
const SORTS: &[(&str, &str)] = &[
    ("app", <Application as Listed>::NAME),
    ("cla", <CloudAccount as Listed>::NAME),
    ("idn", "identity"),
    ("per", <Person as Listed>::NAME),
    ("res", <Resource as Listed>::NAME),
    ("tea", <Team as Listed>::NAME),
    ("ven", <Vendor as Listed>::NAME),
];

/// The names of the records whose ids a list holds, and of those that its filters name, as far as the caller may read
/// these: an id alone tells nobody whose it is.
pub(crate) async fn listed_names(
    app: &App,
    caller: &Caller,
    found: &impl serde::Serialize,
    filters: &[(String, String)],
) -> Result<Names, Failure> {
    let may_read = |id: &str| {
        let sort = SORTS.iter().find(|(prefix, _)| id.split_once('_').is_some_and(|(given, _)| given == *prefix));
        sort.is_some_and(|(_, kind)| authority::reads_all(&app.kernel, caller, kind))
    };
    let readable: Vec<&String> = filters.iter().map(|(_, value)| value).filter(|value| may_read(value)).collect();
    names_in(app, &(found, readable)).await
}

/// The names of the records whose ids a view holds, as the API puts them beside it.
pub(crate) async fn names_in(app: &App, view: &impl serde::Serialize) -> Result<Names, Failure> {
    let json = serde_json::to_vec(view).map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(names::of(&app.kernel, ids_in(&json)).await?)
}
