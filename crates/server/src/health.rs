//! Whether the server lives, is ready, and what it counts.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use tenure_api::notices::ChannelView;
use tenure_engine::credentials::holds;
use tenure_engine::identities::debt;
use tenure_engine::kernel::{epoch, keys};
use tenure_engine::log::{notifications, places};
use tenure_engine::state::verification;

use crate::app::App;
use crate::contract::api::Api;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.page("/livez", get(async || "ok\n")).page("/readyz", get(ready)).page("/metrics", get(metrics))
}

async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match keys::log_size(&app.kernel).await {
        // Still ready: a balancer that took it out of service would take revocations away too.
        // Likewise: what is left is to revoke.
        Ok(_) if epoch::is_contradicted(&app.kernel) => (
            StatusCode::OK,
            "degraded: a checkpoint that is kept outside contradicts the log, nothing is issued until `tenure restore --new-epoch`\n",
        ),
        Ok(_) if keys::disk_is_full(&app.kernel) => {
            (StatusCode::OK, "degraded: the disk is full, only what takes authority away is written\n")
        }
        Ok(_) if app.kernel.reading().reliable && places::failing_places(&app.kernel) > 0 => (
            StatusCode::OK,
            "degraded: a place doesn't keep the log's checkpoints, a rollback would not be noticed there: see the finding `checkpoints-not-kept`\n",
        ),
        Ok(_) if app.kernel.reading().reliable && verification::state_verified(&app.kernel).0 > 0 => (
            StatusCode::OK,
            "degraded: rows of the database aren't what the log says: see the finding `state-altered`\n",
        ),
        Ok(_) if app.kernel.reading().reliable => (StatusCode::OK, "ok\n"),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "the clock stepped: nothing is issued\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store can't be reached\n"),
    }
}

/// The media type of the text that `prometheus-client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A channel that notices go out on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    channel: String,
}

/// The sort of scope that holds have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScopeLabels {
    scope: &'static str,
}

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DebtLabels {
    of: &'static str,
}

/// What is counted and measured, and what is so at this moment: that goes into a registry which is made anew for each
/// reading, so that nothing is said which can't be read now.
async fn metrics(State(app): State<App>) -> Response {
    let mut registry = Registry::default();
    state(&app, &mut registry).await;
    holds(&app, &mut registry).await;
    debt(&app, &mut registry).await;
    notifications(&app, &mut registry).await;
    app.kernel.register_metrics(&mut registry);
    app.timings.register(&mut registry);
    let mut text = String::new();
    match text::encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// How the log, the clock and the database stand.
async fn state(app: &App, registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(value));
    gauge("tenure_log_entries", "Entries of the log", keys::log_size(&app.kernel).await.unwrap_or(0));
    gauge(
        "tenure_log_sealed_entries",
        "Entries under the newest signed checkpoint",
        keys::sealed_size(&app.kernel).await.unwrap_or(0),
    );
    gauge(
        "tenure_clock_reliable",
        "Whether the clock is relied on; 0 stops issuance",
        app.kernel.reading().reliable.into(),
    );
    gauge(
        "tenure_disk_full",
        "Whether the database's disk is full; 1 stops everything that enables",
        keys::disk_is_full(&app.kernel).into(),
    );
    gauge(
        "tenure_log_contradicted",
        "Whether a checkpoint that is kept outside contradicts the log; 1 stops issuance",
        epoch::is_contradicted(&app.kernel).into(),
    );
    gauge(
        "tenure_checkpoint_places_failing",
        "Places that don't keep the log's checkpoints: a rollback would not be noticed there",
        u64::try_from(places::failing_places(&app.kernel)).unwrap_or(u64::MAX),
    );
    gauge(
        "tenure_epoch",
        "The number of the epoch; each time the database was put back, a new one began",
        epoch::epoch_number(&app.kernel),
    );
    let (faults, verified_at) = verification::state_verified(&app.kernel);
    gauge(
        "tenure_state_faults",
        "Rows that were not what the log says when the state was last held against it",
        faults,
    );
    registry.register_with_unit(
        "tenure_state_verified_timestamp",
        "When the state was last held against the log; 0: not since the start",
        Unit::Seconds,
        ConstGauge::new(verified_at),
    );
}

/// The holds in force, by the sort of scope. Nothing is said while they can't be read: it would be untrue.
async fn holds(app: &App, registry: &mut Registry) {
    let Ok(counts) = holds::holds_in_force(&app.kernel).await else {
        return;
    };
    let family = Family::<ScopeLabels, Gauge>::default();
    for (scope, count) in counts {
        family.get_or_create(&ScopeLabels { scope }).set(number(count));
    }
    registry.register("tenure_holds", "Holds in force, by the sort of scope", family);
}

/// What is allowed for a while and has to be paid off, as it was counted last night. Nothing is said before.
async fn debt(app: &App, registry: &mut Registry) {
    let Some(day) = debt::trend(&app.kernel).await.ok().and_then(|days| days.last().copied()) else {
        return;
    };
    let family = Family::<DebtLabels, Gauge>::default();
    for (of, count) in [
        ("shared_identities", day.shared_identities),
        ("exceptions", day.exceptions),
        ("renewed_exceptions", day.renewed_exceptions),
        ("breached_exceptions", day.breached_exceptions),
        ("unowned", day.unowned),
        ("findings", day.findings),
    ] {
        family.get_or_create(&DebtLabels { of }).set(number(count));
    }
    registry.register("tenure_debt", "What is allowed for a while and has to be paid off, counted each night", family);
}

/// How the delivery of notices stands, for each channel that this server delivers on.
async fn notifications(app: &App, registry: &mut Registry) {
    let channels = notifications::configured_channels(&app.kernel).await.unwrap_or_default();
    let now = app.kernel.now();
    let gauges = |value: &dyn Fn(&ChannelView) -> i64| {
        let family = Family::<ChannelLabels, Gauge>::default();
        for view in &channels {
            let labels = ChannelLabels { channel: view.channel.to_string() };
            family.get_or_create(&labels).set(value(view));
        }
        family
    };
    registry.register(
        "tenure_notices_pending",
        "Notices that are still to be delivered",
        gauges(&|view| number(view.pending)),
    );
    registry.register_with_unit(
        "tenure_notices_oldest",
        "How long ago the oldest of the pending notices happened",
        Unit::Seconds,
        gauges(&|view| view.oldest.map_or(0, |oldest| now.since(oldest).as_secs())),
    );
    registry.register(
        "tenure_notices_failures",
        "Rounds in a row in which the receiver took nothing",
        gauges(&|view| view.failures.into()),
    );
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
