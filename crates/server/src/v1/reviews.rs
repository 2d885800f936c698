//! Reviews, and campaigns of them.

use axum::extract::State;
use tenure_api::reviews::{
    CampaignStatistics, CampaignView, CancelCampaign, ConfirmCampaign, NewCampaign, ReviewCompleted, ReviewHandOver,
    ReviewView, SeveralReviewed, SeveralReviews,
};
use tenure_api::views::{Page, Revised};
use tenure_core::request::campaign::Campaign;
use tenure_core::request::review::Review;
use tenure_engine::reviews::campaigns::{self, statistics};
use tenure_engine::reviews::{self, answers, handing_over, several};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::{List, scope_of};
use crate::contract::query::Path;
use crate::contract::reply::{Reply, Tried, id, ok, tried};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/reviews", "Lists reviews.", list)
        .get("/v1/reviews/{id}", "Shows a review, with what helps to answer it.", one)
        .post("/v1/reviews/{id}/complete", "Answers a review.", complete)
        .post("/v1/reviews/{id}/hand-over", "Hands a review over, with its identity.", hand_over)
        .post("/v1/reviews/bulk", "Answers several reviews alike.", bulk)
        .post("/v1/campaigns", "Opens a campaign of reviews.", open)
        .get("/v1/campaigns", "Lists campaigns.", campaign_list)
        .get("/v1/campaigns/{id}", "Shows a campaign, and what its deadline would do.", campaign)
        .get("/v1/campaigns/{id}/statistics", "Says how reviewers answered a campaign.", figures)
        .post("/v1/campaigns/{id}/confirm", "Confirms what a campaign's deadline does.", confirm)
        .post("/v1/campaigns/{id}/cancel", "Gives a campaign up.", cancel)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Review>) -> Reply<Page<Revised<Review>>> {
    ok(reviews::reviews(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(review): Path<String>) -> Reply<ReviewView> {
    ok(reviews::review(&app.kernel, &caller, id(&review, "review")?).await?)
}

async fn complete(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(review): Path<String>,
    Body(ask): Body<ReviewCompleted>,
) -> Reply<Revised<Review>> {
    ok(answers::complete_review(&app.kernel, &caller, id(&review, "review")?, ask).await?)
}

async fn hand_over(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(review): Path<String>,
    Body(ask): Body<ReviewHandOver>,
) -> Reply<Revised<Review>> {
    ok(handing_over::hand_over(&app.kernel, &caller, id(&review, "review")?, ask).await?)
}

async fn bulk(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<SeveralReviews>,
) -> Reply<SeveralReviewed> {
    ok(several::several(&app.kernel, &caller, ask).await?)
}

async fn open(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewCampaign>) -> Tried<CampaignView> {
    let nothing_made = ask.dry_run;
    let scope = scope_of(&ask.scope)?;
    tried(nothing_made, campaigns::open_campaign(&app.kernel, &caller, ask, scope).await?)
}

async fn campaign_list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Campaign>,
) -> Reply<Page<Revised<Campaign>>> {
    ok(campaigns::campaigns(&app.kernel, &caller, list.ask).await?)
}

async fn campaign(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(campaign): Path<String>,
) -> Reply<CampaignView> {
    ok(campaigns::campaign(&app.kernel, &caller, id(&campaign, "campaign")?).await?)
}

async fn figures(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(campaign): Path<String>,
) -> Reply<CampaignStatistics> {
    ok(statistics::statistics(&app.kernel, &caller, id(&campaign, "campaign")?).await?)
}

async fn confirm(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(campaign): Path<String>,
    Body(ask): Body<ConfirmCampaign>,
) -> Reply<Revised<Campaign>> {
    ok(campaigns::confirm_campaign(&app.kernel, &caller, id(&campaign, "campaign")?, ask).await?)
}

async fn cancel(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(campaign): Path<String>,
    Body(ask): Body<CancelCampaign>,
) -> Reply<Revised<Campaign>> {
    ok(campaigns::cancel_campaign(&app.kernel, &caller, id(&campaign, "campaign")?, ask).await?)
}
