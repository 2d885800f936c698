//! Whether the server lives, is ready, and what it counts.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tenure_api::notices::ChannelView;
use tenure_core::base::time::Timestamp;
use tenure_engine::credentials::holds;
use tenure_engine::kernel::{epoch, keys};
use tenure_engine::log::{notifications, places};
use tenure_engine::state::verification;

use crate::app::App;
use crate::contract::api::Api;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.page("/livez", get(async || "ok\n"))
        .page("/readyz", get(ready))
        .page("/metrics", get(metrics))
}

async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match keys::log_size(&app.kernel).await {
        // Still ready: a balancer that took it out of service would take revocations away too.
        // Likewise: what is left is to revoke.
        Ok(_) if epoch::is_contradicted(&app.kernel) => (
            StatusCode::OK,
            "degraded: a checkpoint that is kept outside contradicts the log, nothing is issued until `tenure restore --new-epoch`\n",
        ),
        Ok(_) if keys::disk_is_full(&app.kernel) => (StatusCode::OK, "degraded: the disk is full, only what takes authority away is written\n"),
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

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let size = keys::log_size(&app.kernel).await.unwrap_or(0);
    let sealed = keys::sealed_size(&app.kernel).await.unwrap_or(0);
    let reliable = u8::from(app.kernel.reading().reliable);
    let full = u8::from(keys::disk_is_full(&app.kernel));
    let contradicted = u8::from(epoch::is_contradicted(&app.kernel));
    let epoch = epoch::epoch_number(&app.kernel);
    let failing = places::failing_places(&app.kernel);
    let (faults, verified_at) = verification::state_verified(&app.kernel);
    let mut text = format!(
        "# HELP tenure_log_entries Entries of the log.\n# TYPE tenure_log_entries gauge\ntenure_log_entries {size}\n\
         # HELP tenure_log_sealed_entries Entries under the newest signed checkpoint.\n# TYPE tenure_log_sealed_entries gauge\ntenure_log_sealed_entries {sealed}\n\
         # HELP tenure_clock_reliable Whether the clock is relied on; 0 stops issuance.\n# TYPE tenure_clock_reliable gauge\ntenure_clock_reliable {reliable}\n\
         # HELP tenure_disk_full Whether the database's disk is full; 1 stops everything that enables.\n# TYPE tenure_disk_full gauge\ntenure_disk_full {full}\n\
         # HELP tenure_log_contradicted Whether a checkpoint that is kept outside contradicts the log; 1 stops issuance.\n# TYPE tenure_log_contradicted gauge\ntenure_log_contradicted {contradicted}\n\
         # HELP tenure_checkpoint_places_failing Places that don't keep the log's checkpoints: a rollback would not be noticed there.\n# TYPE tenure_checkpoint_places_failing gauge\ntenure_checkpoint_places_failing {failing}\n\
         # HELP tenure_epoch The number of the epoch; each time the database was put back, a new one began.\n# TYPE tenure_epoch gauge\ntenure_epoch {epoch}\n\
         # HELP tenure_state_faults Rows that were not what the log says when the state was last held against it.\n# TYPE tenure_state_faults gauge\ntenure_state_faults {faults}\n\
         # HELP tenure_state_verified_timestamp_seconds When that was; 0: not since the start.\n# TYPE tenure_state_verified_timestamp_seconds gauge\ntenure_state_verified_timestamp_seconds {verified_at}\n"
    );
    for (name, help, value) in app.kernel.counters().all() {
        text.push_str(&format!("# HELP {name} {}\n# TYPE {name} counter\n{name} {value}\n", help.trim()));
    }
    text.push_str(&holds(&app).await);
    text.push_str(&notifications(&app).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// The holds in force, by the sort of scope. Nothing is said while they can't be read: it would be untrue.
async fn holds(app: &App) -> String {
    let Ok(counts) = holds::holds_in_force(&app.kernel).await else {
        return String::new();
    };
    let mut text = "# HELP tenure_holds Holds in force, by the sort of scope.\n# TYPE tenure_holds gauge\n".to_owned();
    for (kind, count) in counts {
        text.push_str(&format!("tenure_holds{{scope=\"{kind}\"}} {count}\n"));
    }
    text
}

/// Reads a number off a channel, at a time.
type Gauge = fn(&ChannelView, Timestamp) -> i64;

/// How the delivery of notices stands, for each channel that this server delivers on.
async fn notifications(app: &App) -> String {
    let channels = notifications::configured_channels(&app.kernel).await.unwrap_or_default();
    if channels.is_empty() {
        return String::new();
    }
    let now = app.kernel.now();
    let gauges: [(&str, &str, Gauge); 3] = [
        ("tenure_notices_pending", "Notices that are still to be delivered.", |view, _| {
            i64::try_from(view.pending).unwrap_or(i64::MAX)
        }),
        ("tenure_notices_oldest_seconds", "How long ago the oldest of them happened.", |view, now| {
            view.oldest.map_or(0, |oldest| now.since(oldest).as_secs())
        }),
        ("tenure_notices_failures", "Rounds in a row in which the receiver took nothing.", |view, _| {
            i64::from(view.failures)
        }),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for view in &channels {
            text.push_str(&format!("{name}{{channel=\"{}\"}} {}\n", view.channel, value(view, now)));
        }
    }
    text
}
