//! What the server says of itself while it runs: the log on standard error, and its spans to a collector, where the
//! build and the settings have it.

use std::env::VarError;
use std::error::Error as _;

use anyhow::bail;
use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// Whether this build can send spans.
const SENDS_SPANS: bool = cfg!(feature = "otlp");

/// What is sent while the server runs, and has to be handed over before its process ends.
#[must_use]
#[derive(Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otlp")]
    spans: Option<crate::otlp::Spans>,
}

impl Telemetry {
    /// Hands over what was not sent yet.
    pub(crate) async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = self.spans {
            spans.stop().await;
        }
    }
}

/// Refuses a setting that this build can't follow.
///
/// # Errors
/// Spans are to be sent, and nothing here sends them.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    if config.otlp_endpoint.is_some() && !SENDS_SPANS {
        bail!(
            "`otlp_endpoint` is set, and this build can't send spans\nhint: use a release, or build with `cargo build --release --features otlp`"
        );
    }
    Ok(())
}

/// Begins to log, and to send spans if a collector is named; once a process.
///
/// # Errors
/// Something logs already, or the collector can't be used.
pub(crate) fn start(config: &Config) -> anyhow::Result<Telemetry> {
    check(config)?;
    #[cfg(feature = "otlp")]
    if let Some(endpoint) = &config.otlp_endpoint {
        let spans = crate::otlp::start(endpoint, &config.outbound_networks()?, config.json_logs)?;
        return Ok(Telemetry { spans: Some(spans) });
    }
    start_log(config.json_logs)?;
    Ok(Telemetry::default())
}

/// Logs to standard error what `TENURE_LOG` says, once a process.
///
/// # Errors
/// Something logs already.
pub fn start_log(json: bool) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter()?).with_writer(std::io::stderr);
    let started = if json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
    started.map_err(|error| anyhow::anyhow!("{error}"))
}

/// What is logged: what `TENURE_LOG` says, or else what is worth a line.
///
/// # Errors
/// `TENURE_LOG` is no filter.
pub(crate) fn filter() -> anyhow::Result<EnvFilter> {
    let said = match EnvFilter::try_from_env("TENURE_LOG") {
        Ok(said) => said,
        Err(error) if matches!(error.source().and_then(|source| source.downcast_ref()), Some(VarError::NotPresent)) => {
            EnvFilter::new("info")
        }
        Err(error) => bail!("the variable TENURE_LOG is wrong: {error}\nhint: info,tenure_engine=debug is one"),
    };
    // What the driver of PostgreSQL logs below a warning holds rows, and with them what erasure doesn't reach.
    Ok(said.add_directive("tokio_postgres=warn".parse()?))
}
