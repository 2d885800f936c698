//! Break-glass of machines: the list, what was found afterwards, and the form that starts one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_api::break_glass::{AfterReviewed, NewBreakGlass};
use tenure_console::frame::Place;
use tenure_console::glass::{self, Starting};
use tenure_console::text;
use tenure_console::watch::Typed;
use tenure_core::base::id::{BreakGlassId, IdentityId};
use tenure_core::identity::Identity;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::break_glass::BreakGlass;
use tenure_engine::identities::registration;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::break_glass;

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::making::span;
use crate::console::reader::{Asked, Reader, Sent, Shown, counted};
use crate::console::watch::{back_to, refused};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/break-glass", get(list))
        .page("/break-glass/{id}", get(one).post(review))
        .page("/identities/{id}/break-glass", get(form).post(start))
}

async fn list(State(app): State<App>, asked: Asked<BreakGlass>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| app.kernel.list::<BreakGlass>(&reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::BREAK_GLASS, Place::BreakGlass);
    Ok(page(StatusCode::OK, &glass::list(frame, address, found, &names)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    glass_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn glass_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let which = id::<BreakGlassId>(which, "break_glass")?.to_string();
    let view = app.kernel.get::<BreakGlass>(&reader.caller, &which).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let is_starter = view.record.started_by == reader.person;
    Ok(page(status, &glass::one(reader.frame("", Place::BreakGlass), &view, &names, is_starter, typed)))
}

async fn review(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let glass = id::<BreakGlassId>(&which, "break_glass")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    app.kernel.get::<BreakGlass>(&reader.caller, &glass.to_string()).await?;
    let note = sent.text("comment");
    match refused(Box::pin(reviewed(&app, &sent, glass)).await, note) {
        None => back_to("/break-glass", glass),
        Some((status, typed)) => glass_page(&app, reader, &which, status, typed).await,
    }
}

async fn reviewed(app: &App, sent: &Sent, glass: BreakGlassId) -> Result<(), Failure> {
    sent.checked()?;
    let justified = match sent.text("decision").as_str() {
        "justified" => true,
        "unjustified" => false,
        _ => return Err(OpError::field("decision", "decision_unknown", "say whether it was needed").into()),
    };
    let ask = AfterReviewed { justified, note: sent.text("comment") };
    break_glass::review(&app.kernel, &sent.reader.caller, glass, ask).await?;
    Ok(())
}

async fn form(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let identity = meant::<Identity>(&app, &reader.caller, &which).await?;
    start_page(&app, &reader, identity, StatusCode::OK, Starting::default()).await
}

async fn start_page(app: &App, reader: &Reader, which: IdentityId, status: StatusCode, typed: Starting) -> Shown {
    let view = registration::identity(&app.kernel, &reader.caller, which).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    Ok(page(status, &glass::starting(reader.frame("", Place::BreakGlass), &view, &names, typed)))
}

async fn start(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let identity = meant::<Identity>(&app, &reader.caller, &which).await?;
    registration::identity(&app.kernel, &reader.caller, identity).await?;
    match sent.done(started(&app, &sent, identity)).await {
        Ok(glass) => back_to("/break-glass", glass),
        Err(failure) => {
            let status = status_of(&failure);
            let (what, duration, reason) = (sent.text("what"), sent.text("duration"), sent.text("reason"));
            let typed = Starting { wrong: Some((*failure.0).into()), what, duration, reason };
            start_page(&app, reader, identity, status, typed).await
        }
    }
}

async fn started(app: &App, sent: &Sent, identity: IdentityId) -> Result<BreakGlassId, OpError> {
    let what = sent.text("what");
    let (action, resource) = what
        .split_once(' ')
        .ok_or_else(|| OpError::field("what", "action_missing", "choose what it may do: an action on a resource"))?;
    let ask = NewBreakGlass {
        entitlement: Entitlement { actions: vec![action.to_owned()], resource: resource.to_owned() },
        duration: span("duration", &sent.text("duration"))?,
        reason: sent.text("reason"),
    };
    Ok(Box::pin(break_glass::start(&app.kernel, &sent.reader.caller, identity, ask)).await?.record.id)
}
