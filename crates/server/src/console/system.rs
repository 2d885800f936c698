//! How the server does: its health, its notices, and the configuration in force.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_console::frame::Place;
use tenure_console::system::{self as pages, Health};
use tenure_console::text;
use tenure_core::base::time::Timestamp;
use tenure_engine::credentials::holds;
use tenure_engine::kernel::{Settings, authority, epoch, keys};
use tenure_engine::log::{indexing, notifications, places};
use tenure_engine::state::verification;

use crate::app::App;
use crate::caller::named::names_in;
use crate::console::reader::{Reader, Refusal, Shown};
use crate::contract::api::Api;
use crate::contract::page::page;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/health", get(health))
}

async fn health(State(app): State<App>, reader: Reader) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    authority::may_read(kernel, caller, "configuration", "", false).await?;
    let channels = notifications::notifications(kernel, caller).await?;
    let names = names_in(&app, caller, &channels).await?;
    let health = known(&app).await?;
    let frame = reader.frame(text::SYSTEM, Place::System);
    Ok(page(StatusCode::OK, &pages::page(frame, &health, &channels, configuration(kernel.settings()), &names)))
}

/// The same as `/metrics` and `/readyz` know.
async fn known(app: &App) -> Result<Health, Refusal> {
    let kernel = &app.kernel;
    let (indexed, entries) = indexing::covered(kernel).await?;
    let (faults, verified_at) = verification::state_verified(kernel);
    Ok(Health {
        entries,
        sealed: keys::sealed_size(kernel).await?,
        indexed,
        clock_is_reliable: kernel.reading().reliable,
        disk_is_full: keys::disk_is_full(kernel),
        is_contradicted: epoch::is_contradicted(kernel),
        failing_places: places::failing_places(kernel),
        faults,
        verified_at: (verified_at > 0).then(|| Timestamp::from_secs(verified_at)),
        epoch: epoch::epoch_number(kernel),
        holds: holds::holds_in_force(kernel).await?.into_iter().collect(),
    })
}

/// What of the configuration people have to know: no key, no password, no address of a database stands in it.
fn configuration(settings: &Settings) -> Vec<(&'static str, String)> {
    let or_not = |value: Option<String>| value.unwrap_or_else(|| text::NOT_SET.to_owned());
    vec![
        ("public_url", settings.public_url.clone()),
        ("mtls_public_url", or_not(settings.mtls_url.clone())),
        ("issuance_budget", text::a_minute_each(settings.issuance_budget)),
        ("write_budget", text::a_minute_each(settings.write_budget)),
        ("write_budget_kib", text::a_minute_each(settings.write_budget_kib)),
        ("refusal_budget", text::a_minute_each(settings.refusal_budget)),
        ("key_overlap", settings.key_overlap.to_string()),
        ("request_open_for", settings.request_open_for.to_string()),
        ("request_remind_after", settings.request_remind_after.to_string()),
        ("request_escalate_after", settings.request_escalate_after.to_string()),
        ("early_review", settings.early_review.to_string()),
        ("review_within", settings.review_within.to_string()),
        ("review_every", or_not(settings.review_every.map(|span| span.to_string()))),
        ("dormant_after", or_not(settings.dormant_after.map(|span| span.to_string()))),
        ("hold_findings", or_not(Some(settings.hold_findings.join(", ")).filter(|rules| !rules.is_empty()))),
        ("transfer_window", settings.transfer_window.to_string()),
        ("lapsed_grace", settings.lapsed_grace.to_string()),
        ("removal_hold", settings.removal_hold.to_string()),
        ("rotation_review", settings.rotation_review.as_str().to_owned()),
        ("new_context", settings.new_context.as_str().to_owned()),
        ("use_daily_for", settings.use_daily_for.to_string()),
        ("use_monthly_for", settings.use_monthly_for.to_string()),
        ("archive_after", settings.archive_after.to_string()),
        ("erase_departed_after", or_not(settings.erase_departed_after.map(|span| span.to_string()))),
        ("clock_tolerance", settings.clock_tolerance.to_string()),
        ("solver", (if settings.solver.is_some() { text::YES } else { text::NO }).to_owned()),
    ]
}
