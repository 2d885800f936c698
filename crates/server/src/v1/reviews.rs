//! Reviews.

use axum::extract::State;
use tenure_api::person_access::ReviewCompleted;
use tenure_api::views::{Page, Revised};
use tenure_core::request::review::Review;
use tenure_engine::matters::reviews;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/reviews", "Lists reviews.", list).get("/v1/reviews/{id}", "Shows a review.", one).post(
        "/v1/reviews/{id}/complete",
        "Answers a review.",
        complete,
    )
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Review>) -> Reply<Page<Revised<Review>>> {
    ok(reviews::reviews(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>) -> Reply<Revised<Review>> {
    ok(reviews::review(&app.kernel, &caller, id(&review, "review")?).await?)
}

async fn complete(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(review): Path<String>,
    Body(ask): Body<ReviewCompleted>,
) -> Reply<Revised<Review>> {
    ok(reviews::complete_review(&app.kernel, &caller, id(&review, "review")?, ask).await?)
}
