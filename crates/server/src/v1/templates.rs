//! Templates of identities.

use axum::extract::State;
use tenure_api::request::RequestView;
use tenure_api::templates::TemplateChange;
use tenure_api::views::{Page, Revised};
use tenure_core::identity::template::Template;
use tenure_engine::matters::policies;

use crate::app::App;
use crate::caller::named::get;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/templates", "Lists templates.", list).get("/v1/templates/{name}", "Shows a template.", one).put(
        "/v1/templates/{name}",
        "Asks for another text of a template.",
        change,
    )
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Template>,
) -> Reply<Page<Revised<Template>>> {
    ok(app.kernel.list::<Template>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<Revised<Template>> {
    ok(get::<Template>(&app, &caller, &name).await?)
}

/// Opens the request about it; a lone administrator's is fulfilled at once.
async fn change(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Body(ask): Body<TemplateChange>,
) -> New<RequestView> {
    created(policies::change_template(&app.kernel, &caller, &name, ask).await?)
}
