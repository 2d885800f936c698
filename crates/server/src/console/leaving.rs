//! What is done to a person from their page: they are stopped for a while and let go on, they leave, they are invited.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::people::NewDeparture;
use tenure_api::requests::ResumePerson;
use tenure_api::sign_in::NewInvitation;
use tenure_api::views::Revised;
use tenure_console::frame::Place;
use tenure_console::leaving::{self as pages, Typed};
use tenure_console::text;
use tenure_core::base::id::{InvitationId, PersonId};
use tenure_core::people::person::{Person, Role};
use tenure_core::people::sign_in::Invitation;
use tenure_engine::access::departures;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::invitations;

use crate::app::App;
use crate::caller::named::{get as record, listed_names, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/people/{id}/suspend", get(suspend_form).post(suspend))
        .page("/people/{id}/resume", get(resume_form).post(resume))
        .page("/people/{id}/depart", get(depart_form).post(depart))
        .page("/people/{id}/invite", get(invite_form).post(invite))
        .page("/invitations", get(invitation_list))
        .page("/invitations/{id}", get(invitation).post(settle))
}

fn typed(sent: &Sent, failure: Option<Failure>) -> Typed {
    Typed { reason: sent.text("reason"), wrong: failure.map(|failure| (*failure.0).into()) }
}

/// The person, as the reader may read them.
async fn person(app: &App, reader: &Reader, who: &str) -> Result<Revised<Person>, Failure> {
    record::<Person>(app, &reader.caller, who).await
}

fn home(id: PersonId) -> Shown {
    Ok(Redirect::to(&pages::home(id).to_string()).into_response())
}

async fn suspend_form(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let person = person(&app, &reader, &who).await?;
    let frame = reader.frame("", Place::People);
    Ok(page(StatusCode::OK, &pages::suspend(frame, &person.record, Typed::default())))
}

async fn suspend(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    // Whoever may not read them learns here that they may not, and nothing else.
    let person = person(&app, &sent.reader, &who).await?;
    let (caller, reason) = (&sent.reader.caller, sent.text("reason"));
    match sent.done(departures::suspend_person(&app.kernel, caller, person.record.id, reason)).await {
        Ok(_) => home(person.record.id),
        Err(failure) => {
            let (status, frame) = (status_of(&failure), sent.reader.frame("", Place::People));
            Ok(page(status, &pages::suspend(frame, &person.record, typed(&sent, Some(failure)))))
        }
    }
}

async fn resume_form(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let person = person(&app, &reader, &who).await?;
    let frame = reader.frame("", Place::People);
    Ok(page(StatusCode::OK, &pages::resume(frame, &person.record, Typed::default())))
}

async fn resume(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    // Whoever may not read them learns here that they may not, and nothing else.
    let person = person(&app, &sent.reader, &who).await?;
    let ask = ResumePerson { reason: sent.text("reason"), placed_by: None };
    match sent.done(departures::resume_person(&app.kernel, &sent.reader.caller, person.record.id, ask)).await {
        Ok(_) => home(person.record.id),
        Err(failure) => {
            let (status, frame) = (status_of(&failure), sent.reader.frame("", Place::People));
            Ok(page(status, &pages::resume(frame, &person.record, typed(&sent, Some(failure)))))
        }
    }
}

async fn depart_form(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let person = person(&app, &reader, &who).await?;
    let names = names_in(&app, &reader.caller, &person).await?;
    let frame = reader.frame("", Place::People);
    Ok(page(StatusCode::OK, &pages::depart(frame, &person.record, None, &names, Typed::default())))
}

/// Says what leaves with somebody, or has them leave once that was seen.
async fn depart(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    // Whoever may not read them learns here that they may not, and nothing else.
    let person = person(&app, &sent.reader, &who).await?;
    let dry_run = sent.text("decision") != "leave";
    let ask = NewDeparture { reason: sent.text("reason"), dry_run };
    let left = sent.done(async {
        match sent.text("seen").is_empty() && !dry_run {
            true => Err(OpError::field("seen", "plan_not_seen", "look first at what leaves with them")),
            false => departures::depart_person(&app.kernel, &sent.reader.caller, person.record.id, ask).await,
        }
    });
    let frame = sent.reader.frame("", Place::People);
    match left.await {
        Ok(plan) if dry_run => {
            let names = names_in(&app, &sent.reader.caller, &plan).await?;
            Ok(page(StatusCode::OK, &pages::depart(frame, &person.record, Some(&plan), &names, typed(&sent, None))))
        }
        Ok(_) => home(person.record.id),
        Err(failure) => {
            let (status, names) = (status_of(&failure), names_in(&app, &sent.reader.caller, &person).await?);
            Ok(page(status, &pages::depart(frame, &person.record, None, &names, typed(&sent, Some(failure)))))
        }
    }
}

async fn invite_form(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let person = person(&app, &reader, &who).await?;
    let frame = reader.frame("", Place::People);
    Ok(page(StatusCode::OK, &pages::invite(frame, &person.record, false, None)))
}

/// Makes an invitation, whose link stands on this answer and nowhere else.
async fn invite(State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    // Whoever may not read them learns here that they may not, and nothing else.
    let person = person(&app, &sent.reader, &who).await?;
    let replaces = sent.text("replaces") == "replace";
    let ask = NewInvitation { person: person.record.id, replaces };
    let frame = sent.reader.frame("", Place::People);
    match sent.done(invitations::create_invitation(&app.kernel, &sent.reader.caller, ask)).await {
        Ok(made) => {
            let link = format!("{}/sign-in#invitation={}", app.kernel.settings().public_url, made.invitation);
            Ok(page(StatusCode::OK, &pages::invited(frame, &person.record, &made.record, link)))
        }
        Err(failure) => {
            let status = status_of(&failure);
            Ok(page(status, &pages::invite(frame, &person.record, replaces, Some((*failure.0).into()))))
        }
    }
}

async fn invitation_list(State(app): State<App>, asked: Asked<Invitation>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = invitations::invitations(&app.kernel, &reader.caller, ask).await?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::INVITATIONS, Place::People);
    Ok(page(StatusCode::OK, &pages::invitations(frame, address, found, &names)))
}

async fn invitation(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    invitation_page(&app, &reader, id(&which, "invitation")?, StatusCode::OK, None).await
}

async fn invitation_page(
    app: &App,
    reader: &Reader,
    which: InvitationId,
    status: StatusCode,
    wrong: Option<tenure_console::problem::Wrong>,
) -> Shown {
    let view = invitations::invitation(&app.kernel, &reader.caller, which).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let frame = reader.frame("", Place::People);
    Ok(page(status, &pages::invitation(frame, &view.record, &names, reader.holds(Role::Administrator), wrong)))
}

/// Confirms it, or takes it back.
async fn settle(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (kernel, caller) = (&app.kernel, &sent.reader.caller);
    let which = id(&which, "invitation")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    invitations::invitation(kernel, caller, which).await?;
    let done = sent.done(async {
        match sent.text("decision").as_str() {
            "confirm" => invitations::confirm_invitation(kernel, caller, which).await,
            "revoke" => invitations::revoke_invitation(kernel, caller, which).await,
            _ => Err(OpError::field("decision", "value_unknown", "it takes `confirm` or `revoke`")),
        }
    });
    match done.await {
        Ok(_) => Ok(Redirect::to(&format!("/invitations/{which}")).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            invitation_page(&app, &sent.reader, which, status, Some((*failure.0).into())).await
        }
    }
}
