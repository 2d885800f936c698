//! Reviews.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::person_access::ReviewCompleted;
use tenure_api::views::{Page, Resource as View};
use tenure_core::request::review::Review;
use tenure_engine::matters::reviews;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/reviews", get(list))
        .route("/v1/reviews/{id}", get(one))
        .route("/v1/reviews/{id}/complete", post(complete))
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Review>) -> Reply<Page<View<Review>>> {
    ok(reviews::reviews(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>) -> Reply<View<Review>> {
    ok(reviews::review(&app.kernel, &caller, id(&review, "review")?).await?)
}

async fn complete(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>, Body(ask): Body<ReviewCompleted>) -> Reply<View<Review>> {
    ok(reviews::complete_review(&app.kernel, &caller, id(&review, "review")?, ask).await?)
}
