//! Agents, the chains in which identities act for each other, and single credentials.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tenure_api::requests::{Revocation, RevocationTarget};
use tenure_console::address::Address;
use tenure_console::agents as pages;
use tenure_console::frame::Place;
use tenure_console::watch::Typed;
use tenure_core::base::id::CredentialId;
use tenure_core::identity::Identity;
use tenure_engine::credentials::{liveness, revocation};
use tenure_engine::identities::registration;
use tenure_engine::kernel::query::{ListAsk, MAX_PAGE};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities/{id}/chains", get(chains)).page("/credentials/{id}", get(credential).post(stop))
}

async fn chains(State(app): State<App>, reader: Reader, Path(who): Path<String>) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let id = meant::<Identity>(&app, caller, &who).await?;
    let view = registration::identity(kernel, caller, id).await?;
    let ask = ListAsk { limit: Some(MAX_PAGE), ..ListAsk::default() };
    let credentials = liveness::credentials_of(kernel, caller, id, ask).await?;
    let names = names_in(&app, caller, &(&view, &credentials)).await?;
    Ok(page(StatusCode::OK, &pages::chains(reader.frame("", Place::Identities), &view, &credentials, &names)))
}

async fn credential(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    credential_page(&app, &reader, id(&which, "credential")?, StatusCode::OK, Typed::default()).await
}

async fn credential_page(app: &App, reader: &Reader, id: CredentialId, status: StatusCode, typed: Typed) -> Shown {
    let view = liveness::credential(&app.kernel, &reader.caller, id).await?;
    let names = names_in(app, &reader.caller, &view).await?;
    Ok(page(status, &pages::credential(reader.frame("", Place::Identities), &view, &names, typed)))
}

/// Stops it, and with it everything that derives from it.
async fn stop(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let (reader, reason) = (&sent.reader, sent.text("reason"));
    let credential = id(&which, "credential")?;
    // Whoever may not read it learns here that they may not, and nothing else.
    liveness::credential(&app.kernel, &reader.caller, credential).await?;
    let ask = Revocation { target: RevocationTarget::Credential(credential), reason: reason.clone(), suspend: false };
    match sent.done(revocation::revoke(&app.kernel, &reader.caller, ask)).await {
        Ok(receipt) => {
            let proof = Address::new("/receipts").below(&receipt.receipt.id.to_string());
            Ok(Redirect::to(&proof.to_string()).into_response())
        }
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed { wrong: Some((*failure.0).into()), comment: reason, to: String::new() };
            credential_page(&app, reader, credential, status, typed).await
        }
    }
}
