//! Reviews and campaigns of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::reviews::{
    CampaignView, CancelCampaign, ConfirmCampaign, NewCampaign, ReviewCompleted, ReviewHandOver,
};
use tenure_console::frame::Place;
use tenure_console::reviews as pages;
use tenure_console::reviews::Opening;
use tenure_console::text;
use tenure_console::watch::Typed;
use tenure_core::base::id::ReviewId;
use tenure_core::base::time::Span;
use tenure_core::people::person::{Person, Role};
use tenure_core::request::campaign::{Campaign, NoAnswer};
use tenure_core::request::review::{Review, ReviewAnswer};
use tenure_engine::kernel::error::OpError;
use tenure_engine::reviews::{self, answers, campaigns, handing_over};

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown, counted};
use crate::console::watch::{back_to, refused};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::list::scope_of;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/reviews", get(review_list))
        .page("/reviews/{id}", get(review).post(answer))
        .page("/campaigns", get(campaign_list))
        .page("/campaigns/new", get(opening_form).post(open))
        .page("/campaigns/{id}", get(campaign).post(settle))
}

async fn review_list(State(app): State<App>, asked: Asked<Review>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| reviews::reviews(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &pages::reviews(reader.frame(text::REVIEWS, Place::Reviews), address, found, &names)))
}

async fn review(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    review_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn review_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = reviews::review(&app.kernel, &reader.caller, id(which, "review")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    Ok(page(status, &pages::review(reader.frame("", Place::Reviews), &view, &names, typed)))
}

async fn answer(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, comment) = (&sent.reader, sent.text("comment"));
    let review = id(&which, "review")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    reviews::review(&app.kernel, &reader.caller, review).await?;
    match refused(Box::pin(answered(&app, &sent, review)).await, comment) {
        None => back_to("/reviews", review),
        Some((status, typed)) => {
            let typed = Typed { to: sent.text("to"), ..typed };
            review_page(&app, reader, &which, status, typed).await
        }
    }
}

async fn answered(app: &App, sent: &Sent, review: ReviewId) -> Result<(), Failure> {
    sent.checked()?;
    let (kernel, caller) = (&app.kernel, &sent.reader.caller);
    let answer = match sent.text("decision").as_str() {
        "keep" => ReviewAnswer::Keep,
        "narrow" => ReviewAnswer::Narrow,
        "revoke" => ReviewAnswer::Revoke,
        "hand_over" => {
            let to = meant::<Person>(app, caller, &sent.text("to")).await?;
            handing_over::hand_over(kernel, caller, review, ReviewHandOver { to }).await?;
            return Ok(());
        }
        _ => {
            let hint = "it takes `keep`, `narrow`, `revoke` or `hand_over`";
            return Err(OpError::field("decision", "value_unknown", hint).into());
        }
    };
    let ask = ReviewCompleted { answer, comment: sent.text("comment"), scope: None };
    answers::complete_review(kernel, caller, review, ask).await?;
    Ok(())
}

async fn campaign_list(State(app): State<App>, asked: Asked<Campaign>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| campaigns::campaigns(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::CAMPAIGNS, Place::Campaigns);
    Ok(page(StatusCode::OK, &pages::campaigns(frame, address, found, &names)))
}

async fn campaign(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    campaign_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn campaign_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = campaigns::campaign(&app.kernel, &reader.caller, id(which, "campaign")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let frame = reader.frame("", Place::Campaigns);
    Ok(page(status, &pages::campaign(frame, &view, &names, reader.holds(Role::Security), typed)))
}

/// Confirms exactly what the page showed, or gives the campaign up.
async fn settle(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, reason) = (&sent.reader, sent.text("reason"));
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let campaign = id(&which, "campaign")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    campaigns::campaign(kernel, caller, campaign).await?;
    let done = sent.done(async {
        match sent.text("decision").as_str() {
            "confirm" => {
                let ask = ConfirmCampaign { digest: sent.text("digest") };
                campaigns::confirm_campaign(kernel, caller, campaign, ask).await
            }
            "cancel" => {
                let ask = CancelCampaign { reason: reason.clone() };
                campaigns::cancel_campaign(kernel, caller, campaign, ask).await
            }
            _ => Err(OpError::field("decision", "value_unknown", "it takes `confirm` or `cancel`")),
        }
    });
    match refused(done.await.map(drop), reason.clone()) {
        None => back_to("/campaigns", campaign),
        Some((status, typed)) => campaign_page(&app, reader, &which, status, typed).await,
    }
}

async fn opening_form(reader: Reader) -> Shown {
    let frame = reader.frame("", Place::Campaigns);
    Ok(page(StatusCode::OK, &pages::opening(frame, None, Opening::default())))
}

/// Says how many identities a campaign would be of, or opens it.
async fn open(State(app): State<App>, sent: Sent) -> Shown {
    let (reader, text) = (&sent.reader, |name| sent.text(name));
    let typed = Opening {
        wrong: None,
        name: text("name"),
        scope: text("scope"),
        due_in: text("due_in"),
        no_answer: text("no_answer"),
        cap: text("cap"),
        reason: text("reason"),
    };
    let dry_run = text("decision") != "open";
    let frame = reader.frame("", Place::Campaigns);
    match sent.done(opened(&app, reader, &typed, dry_run)).await {
        Ok(view) if dry_run => Ok(page(StatusCode::OK, &pages::opening(frame, view.in_scope, typed))),
        Ok(view) => back_to("/campaigns", view.campaign.record.id),
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Opening { wrong: Some((*failure.0).into()), ..typed };
            Ok(page(status, &pages::opening(frame, None, typed)))
        }
    }
}

async fn opened(app: &App, reader: &Reader, typed: &Opening, dry_run: bool) -> Result<CampaignView, Failure> {
    let due_in = match typed.due_in.trim() {
        "" => None,
        text => {
            Some(text.parse::<Span>().map_err(|error| OpError::field("due_in", "duration_unfit", &error.to_string()))?)
        }
    };
    let cap = match typed.cap.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| OpError::field("cap", "cap_unfit", "give a number"))?),
    };
    let no_answer = match typed.no_answer.as_str() {
        "suspend" => NoAnswer::Suspend,
        "retire" => NoAnswer::Retire,
        _ => return Err(OpError::field("no_answer", "value_unknown", "choose one of the two").into()),
    };
    let (name, scope, reason) = (typed.name.clone(), typed.scope.clone(), typed.reason.clone());
    let ask = NewCampaign { name, scope, due_in, no_answer, cap, reason, dry_run };
    let scope = scope_of(&ask.scope)?;
    Ok(campaigns::open_campaign(&app.kernel, &reader.caller, ask, scope).await?)
}
