//! Standard protocols.

mod authzen;
mod ciba;
mod exchange;
mod logins;
mod oauth;
mod signals;

use crate::app::App;
use crate::contract::api::Api;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    let rooms = [oauth::routes, ciba::routes, logins::routes, authzen::routes, signals::routes];
    rooms.into_iter().fold(api, |api, routes| routes(api))
}
