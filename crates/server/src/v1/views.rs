//! Saved views of the inventory.

use axum::extract::State;
use tenure_api::saved_views::{NewView, SavedView, ViewChange};
use tenure_api::views::Page;
use tenure_engine::people::views;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::console::views::kept_of;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get(
        "/v1/views",
        "Lists the views of the inventory that one keeps, and those shared with a team of one's own.",
        list,
    )
    .post("/v1/views", "Keeps a view of the inventory under a name.", save)
    .post("/v1/views/{id}/change", "Changes a view of one's own.", change)
    .post("/v1/views/{id}/delete", "Deletes a view of one's own.", delete)
}

async fn list(State(app): State<App>, Operator(caller): Operator) -> Reply<Page<SavedView>> {
    ok(views::views(&app.kernel, &caller).await?)
}

async fn save(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewView>) -> New<SavedView> {
    let ask = NewView { query: kept_of(&ask.query)?, ..ask };
    created(views::save_view(&app.kernel, &caller, ask).await?)
}

async fn change(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(view): Path<String>,
    Body(mut ask): Body<ViewChange>,
) -> Reply<SavedView> {
    if let Some(query) = &mut ask.query {
        *query = kept_of(query)?;
    }
    ok(views::change_view(&app.kernel, &caller, id(&view, "view of yours")?, ask).await?)
}

async fn delete(State(app): State<App>, Operator(caller): Operator, Path(view): Path<String>) -> Reply<SavedView> {
    ok(views::delete_view(&app.kernel, &caller, id(&view, "view of yours")?).await?)
}
