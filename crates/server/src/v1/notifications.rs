//! How the delivery of notices stands.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tenure_api::notices::ChannelView;
use tenure_api::views::Page;
use tenure_engine::log::notifications;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::query::{NoParameters, Query};
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/notifications", get(list))
}

async fn list(State(app): State<App>, Operator(caller): Operator, _: Query<NoParameters>) -> Reply<Page<ChannelView>> {
    ok(notifications::notifications(&app.kernel, &caller).await?)
}
