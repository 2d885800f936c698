//! Logins made just in time, as people see them.

use axum::extract::State;
use tenure_api::logins::LoginView;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::CredentialId;
use tenure_core::target::login::Login;
use tenure_engine::credentials::logins;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/logins", "Lists logins that were made just in time.", list).get(
        "/v1/logins/{id}",
        "Shows a login that was made just in time.",
        one,
    )
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Login>,
) -> Reply<Page<Revised<LoginView>>> {
    ok(logins::logins(&app.kernel, &caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<CredentialId>,
) -> Reply<Revised<LoginView>> {
    ok(logins::login(&app.kernel, &caller, id).await?)
}
