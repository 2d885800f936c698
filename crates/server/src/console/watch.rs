//! What is watched: findings, exceptions, transfers, removals.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::findings::Resolve;
use tenure_api::people::NewOffer;
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::views::{Names, Revised};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::text;
use tenure_console::watch::{self, Raising, Typed};
use tenure_core::base::id::{FindingId, TransferId};
use tenure_core::finding::Finding;
use tenure_core::identity::transfer::Transfer;
use tenure_core::people::person::{Person, Role};
use tenure_core::request::exception::Exception;
use tenure_core::signal::removal::Removal;
use tenure_core::signal::{SignalSubject, SubjectKind};
use tenure_engine::access::transfers;
use tenure_engine::endings::removals;
use tenure_engine::identities::findings;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::exceptions;

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/findings", get(finding_list))
        .page("/findings/{id}", get(finding).post(resolve))
        .page("/exceptions", get(exception_list))
        .page("/exceptions/{id}", get(exception))
        .page("/transfers", get(transfer_list))
        .page("/transfers/{id}", get(transfer).post(take))
        .page("/removals", get(removal_list))
        .page("/removals/new", get(raise_form).post(raise))
        .page("/removals/{id}", get(removal).post(settle))
}

/// Why a form was not carried out, with what was typed; nothing if it was.
pub(super) fn refused(done: Result<(), Failure>, comment: String) -> Option<(StatusCode, Typed)> {
    let failure = done.err()?;
    Some((status_of(&failure), Typed { wrong: Some((*failure.0).into()), comment, to: String::new() }))
}

/// Back to a record's page, which is read again.
pub(super) fn back_to(list: &str, id: impl ToString) -> Shown {
    Ok(Redirect::to(&Address::new(list).below(&id.to_string()).to_string()).into_response())
}

async fn finding_list(State(app): State<App>, asked: Asked<Finding>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| findings::findings(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &watch::findings(reader.frame(text::FINDINGS, Place::Findings), address, found, &names)))
}

async fn finding(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    finding_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn finding_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = findings::finding(&app.kernel, &reader.caller, id(which, "finding")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    Ok(page(status, &watch::finding(reader.frame("", Place::Findings), &view, &names, typed)))
}

async fn resolve(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, how) = (&sent.reader, sent.text("comment"));
    let finding = id(&which, "finding")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    findings::finding(&app.kernel, &reader.caller, finding).await?;
    match refused(Box::pin(resolved(&app, &sent, finding)).await, how) {
        None => back_to("/findings", finding),
        Some((status, typed)) => finding_page(&app, reader, &which, status, typed).await,
    }
}

async fn resolved(app: &App, sent: &Sent, finding: FindingId) -> Result<(), Failure> {
    sent.checked()?;
    let ask = Resolve { how: sent.text("comment") };
    findings::resolve_finding(&app.kernel, &sent.reader.caller, finding, ask).await?;
    Ok(())
}

async fn exception_list(State(app): State<App>, asked: Asked<Exception>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| exceptions::exceptions(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::EXCEPTIONS, Place::Exceptions);
    Ok(page(StatusCode::OK, &watch::exceptions(frame, address, found, &names)))
}

async fn exception(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = exceptions::exception(&app.kernel, &reader.caller, id(&which, "exception")?).await?;
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &watch::exception(reader.frame("", Place::Exceptions), &view, &names)))
}

async fn transfer_list(State(app): State<App>, asked: Asked<Transfer>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| transfers::transfers(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &watch::transfers(reader.frame(text::TRANSFERS, Place::Transfers), address, found, &names)))
}

async fn transfer(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    transfer_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn transfer_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = transfers::transfer(&app.kernel, &reader.caller, id(which, "transfer")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let is_theirs = view.record.offered_to == Some(reader.person);
    let frame = reader.frame("", Place::Transfers);
    Ok(page(status, &watch::transfer(frame, &view.record, is_theirs, &names, typed)))
}

/// Accepts, declines, or offers it to somebody else.
async fn take(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, comment) = (&sent.reader, sent.text("comment"));
    let transfer = id(&which, "transfer")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    transfers::transfer(&app.kernel, &reader.caller, transfer).await?;
    match refused(Box::pin(taken(&app, &sent, transfer)).await, comment) {
        None => back_to("/transfers", transfer),
        Some((status, typed)) => transfer_page(&app, reader, &which, status, typed).await,
    }
}

async fn taken(app: &App, sent: &Sent, transfer: TransferId) -> Result<(), Failure> {
    sent.checked()?;
    let (kernel, caller) = (&app.kernel, &sent.reader.caller);
    match sent.text("decision").as_str() {
        "accept" => transfers::accept_transfer(kernel, caller, transfer).await?,
        "decline" => transfers::decline_transfer(kernel, caller, transfer).await?,
        "offer" => {
            let to = meant::<Person>(app, caller, &sent.text("comment")).await?;
            transfers::offer_transfer(kernel, caller, transfer, NewOffer { to }).await?
        }
        _ => {
            return Err(OpError::field("decision", "value_unknown", "it takes `accept`, `decline` or `offer`").into());
        }
    };
    Ok(())
}

async fn removal_list(State(app): State<App>, asked: Asked<Removal>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| removals::removals(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    Ok(page(StatusCode::OK, &watch::removals(reader.frame(text::REMOVALS, Place::Removals), address, found, &names)))
}

async fn removal(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    removal_page(&app, &reader, &which, StatusCode::OK, Typed::default()).await
}

async fn removal_page(app: &App, reader: &Reader, which: &str, status: StatusCode, typed: Typed) -> Shown {
    let view = removals::removal(&app.kernel, &reader.caller, id(which, "removal")?).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    let frame = reader.frame("", Place::Removals);
    Ok(page(status, &watch::removal(frame, &view.record, &names, reader.holds(Role::Security), typed)))
}

/// Confirms exactly what the page showed, or lets it go.
async fn settle(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, comment) = (&sent.reader, sent.text("comment"));
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let removal = id(&which, "removal")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    removals::removal(kernel, caller, removal).await?;
    let done = sent.done(async {
        match sent.text("decision").as_str() {
            "confirm" => {
                let ask = ConfirmRemoval { digest: sent.text("digest") };
                removals::confirm_removal(kernel, caller, removal, ask).await
            }
            "release" => removals::release_removal(kernel, caller, removal, comment.clone()).await,
            _ => Err(OpError::field("decision", "value_unknown", "it takes `confirm` or `release`")),
        }
    });
    match refused(done.await.map(drop), comment) {
        None => back_to("/removals", removal),
        Some((status, typed)) => removal_page(&app, reader, &which, status, typed).await,
    }
}

async fn raise_form(reader: Reader) -> Shown {
    let frame = reader.frame("", Place::Removals);
    Ok(page(StatusCode::OK, &watch::raising(frame, None, &Names::new(), Raising::default())))
}

/// Says what the end of something would do, or does exactly that.
async fn raise(State(app): State<App>, sent: Sent) -> Shown {
    let (reader, text) = (&sent.reader, |name| sent.text(name));
    let typed = Raising {
        kind: text("kind"),
        subject: text("subject"),
        reason: text("reason"),
        compromise: text("compromise"),
        wrong: None,
    };
    let dry_run = text("decision") != "do";
    match sent.done(raised(&app, reader, &typed, dry_run, text("expect"))).await {
        Ok(view) if dry_run => {
            let names = names_in(&app, &reader.caller, &view).await?;
            let frame = reader.frame("", Place::Removals);
            Ok(page(StatusCode::OK, &watch::raising(frame, Some(&view.record), &names, typed)))
        }
        Ok(view) => back_to("/removals", view.record.id),
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Raising { wrong: Some((*failure.0).into()), ..typed };
            let frame = reader.frame("", Place::Removals);
            Ok(page(status, &watch::raising(frame, None, &Names::new(), typed)))
        }
    }
}

async fn raised(
    app: &App,
    reader: &Reader,
    typed: &Raising,
    dry_run: bool,
    expect: String,
) -> Result<Revised<Removal>, Failure> {
    if !dry_run && expect.is_empty() {
        return Err(OpError::field("expect", "plan_not_seen", "look first at what it would do").into());
    }
    let kind = match typed.kind.as_str() {
        "application" => SubjectKind::Application,
        "vendor" => SubjectKind::Vendor,
        "cloud_account" => SubjectKind::CloudAccount,
        "need" => SubjectKind::Need,
        "repository" => SubjectKind::Repository,
        "workload" => SubjectKind::Workload,
        "identity" => SubjectKind::Identity,
        _ => return Err(OpError::field("kind", "value_unknown", "choose one of the sorts").into()),
    };
    let ask = NewRemoval {
        subject: SignalSubject { kind, id: typed.subject.clone() },
        kind: None,
        reason: typed.reason.clone(),
        compromise: typed.compromise == watch::YES,
        dry_run,
        expect: Some(expect).filter(|_| !dry_run),
    };
    Ok(removals::raise_removal(&app.kernel, &reader.caller, ask).await?)
}
