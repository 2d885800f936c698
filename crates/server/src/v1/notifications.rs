//! How the delivery of notices stands.

use axum::extract::State;
use tenure_api::notices::ChannelView;
use tenure_api::views::Page;
use tenure_engine::log::notifications;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::query::{NoParameters, Query};
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/notifications", "Lists the channels of notices, and how far each has come.", list)
}

async fn list(State(app): State<App>, Operator(caller): Operator, _: Query<NoParameters>) -> Reply<Page<ChannelView>> {
    ok(notifications::notifications(&app.kernel, &caller).await?)
}
