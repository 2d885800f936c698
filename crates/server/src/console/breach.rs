//! A vendor's breach: declared, what it would stop, what came of it, and that it is over.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use tenure_console::address::Address;
use tenure_console::breach::{self, Seen};
use tenure_console::frame::Place;
use tenure_console::watch::Typed;
use tenure_core::base::id::VendorId;
use tenure_core::finding::{Finding, FindingState, rules};
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::Vendor;
use tenure_engine::endings::vendor_breach;
use tenure_engine::identities::{findings, registration};
use tenure_engine::kernel::authority;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::{ListAsk, MAX_PAGE};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::reader::{Reader, Sent, Shown, counted};
use crate::console::watch::refused;
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::page;
use crate::contract::query::Path;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/vendors/{id}/breach", get(form).post(decide))
}

async fn form(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let vendor = meant::<Vendor>(&app, &reader.caller, &which).await?;
    shown(&app, &reader, vendor, StatusCode::OK, Typed::default()).await
}

async fn shown(app: &App, reader: &Reader, which: VendorId, status: StatusCode, typed: Typed) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let vendor = kernel.get::<Vendor>(caller, &which.to_string()).await?.record;
    let ask = ListAsk { filters: vec![Identity::VENDOR.of(which)], limit: Some(MAX_PAGE), ..ListAsk::default() };
    let operated = counted!(ask, |ask| registration::identities(kernel, caller, ask))?;
    let found = match authority::reads_all(kernel, caller, "finding") {
        true => {
            let open = [Finding::RULE.of(rules::VENDOR_BREACHED.id), Finding::STATE.of(FindingState::Open)];
            let ask = ListAsk { filters: open.into(), limit: Some(MAX_PAGE), ..ListAsk::default() };
            Some(findings::findings(kernel, caller, ask).await?.items.into_iter().map(|view| view.record).collect())
        }
        false => None,
    };
    let seen = Seen { operated, findings: found };
    let names = names_in(app, caller, &(&vendor, &seen.operated, &seen.findings)).await?;
    Ok(page(status, &breach::breach(reader.frame("", Place::Vendors), &vendor, &seen, &names, typed)))
}

async fn decide(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let which = meant::<Vendor>(&app, &reader.caller, &which).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    app.kernel.get::<Vendor>(&reader.caller, &which.to_string()).await?;
    match refused(Box::pin(decided(&app, &sent, which)).await, sent.text("reason")) {
        None => {
            let to = Address::new("/vendors").below(&which.to_string()).verb("breach");
            Ok(Redirect::to(&to.to_string()).into_response())
        }
        Some((status, typed)) => shown(&app, reader, which, status, typed).await,
    }
}

/// What the form said, whatever has become of the vendor since it was shown.
async fn decided(app: &App, sent: &Sent, vendor: VendorId) -> Result<(), Failure> {
    sent.checked()?;
    let (caller, reason) = (&sent.reader.caller, sent.text("reason"));
    match sent.text("decision").as_str() {
        "over" => vendor_breach::breach_over(&app.kernel, caller, vendor, reason).await?,
        "declare" => vendor_breach::declare_breach(&app.kernel, caller, vendor, reason).await?,
        _ => return Err(OpError::field("decision", "decision_unknown", "declare it, or say that it is over").into()),
    };
    Ok(())
}
