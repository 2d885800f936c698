//! Records by id or by name, as an address names them.

use tenure_api::views::Resource as View;
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
use tenure_core::signal::Signal;
use tenure_core::trust::issuer::Issuer;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::names::{self, Named};
use tenure_engine::kernel::query::Listed;

use crate::app::App;
use crate::contract::error::Failure;

/// The record that a part of an address means, by id or by name; a malformed id is a name that nothing bears.
pub(crate) async fn meant<T: Named>(app: &App, caller: &Caller, text: &str) -> Result<T::Id, Failure> {
    Ok(names::meant::<T>(&app.kernel, caller, text).await?)
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
pub(crate) async fn get<T: Addressed>(app: &App, caller: &Caller, text: &str) -> Result<View<T>, Failure> {
    let key = T::meant_by(app, caller, text).await?;
    Ok(app.kernel.get::<T>(caller, &key).await?)
}
