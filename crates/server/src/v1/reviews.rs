//! Reviews.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_api::person_access::ReviewCompleted;
use tenure_api::views::{Page, Resource as View};
use tenure_core::review::Review;
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/reviews", get(list))
        .route("/v1/reviews/{id}", get(one))
        .route("/v1/reviews/{id}/complete", post(complete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
    state: Option<String>,
    identity: Option<String>,
    person_grant: Option<String>,
    reviewer: Option<String>,
    trigger: Option<String>,
}

async fn list(State(app): State<App>, Operator(caller): Operator, Query(listing): Query<Listing>) -> Reply<Page<View<Review>>> {
    let ask = ListAsk::new(
        [
            ("identity", listing.identity),
            ("person_grant", listing.person_grant),
            ("state", listing.state),
            ("reviewer", listing.reviewer),
            ("trigger", listing.trigger),
        ],
        listing.after,
        listing.limit,
    );
    ok(app.engine.reviews(&caller, ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>) -> Reply<View<Review>> {
    ok(app.engine.review(&caller, id(&review, "review")?).await?)
}

async fn complete(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>, Body(ask): Body<ReviewCompleted>) -> Reply<View<Review>> {
    ok(app.engine.complete_review(&caller, id(&review, "review")?, ask).await?)
}
