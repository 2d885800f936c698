//! Spans to a collector, by OTLP over HTTP with protobuf.
//!
//! Only spans of Tenure's own leave, and nothing of the log's lines: what is in a span is chosen (ids, positions,
//! routes), while a line may quote what somebody else said. They go out as every request does, by `tenure-outbound`;
//! the collector is the operator's own word, so that it may stand on this machine or in a private network without
//! `outbound_allow`, which would let everybody else's addresses lead there, too.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry::{Context, Key, KeyValue, Value};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tenure_outbound::{Cidr, Destination, Outbound};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt as log};

use crate::telemetry::filter;

/// Where a collector may stand besides public addresses.
const PRIVATE: [&str; 6] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/// The largest answer of a collector that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The spans that are sent while the server runs.
pub(crate) struct Spans(SdkTracerProvider);

impl Spans {
    /// Hands over what was not sent yet; waits some seconds at most.
    pub(crate) async fn stop(self) {
        // It waits for a thread, which waits for a request on this runtime.
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not handed over"),
            Err(error) => tracing::warn!(%error, "the last spans were not handed over"),
        }
    }
}

/// Logs as ever, and sends spans to the collector at `endpoint`, once a process.
///
/// # Errors
/// The endpoint is no URL, or something logs already.
pub(crate) fn start(endpoint: &str, allowed: &[Cidr], json: bool) -> anyhow::Result<Spans> {
    let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let collector = Collector {
        outbound: Arc::new(Outbound::new(reached(allowed)?)),
        to: address.parse().with_context(|| format!("`otlp_endpoint` is {endpoint:?}"))?,
        runtime: tokio::runtime::Handle::current(),
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(address)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .context("`otlp_endpoint` can't be used")?;
    let about = Resource::builder()
        .with_service_name("tenure")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Conventional(exporter))
        // Whoever calls doesn't say what is left out.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(about)
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tenure"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|data| {
            data.is_span() && *data.level() <= tracing::Level::INFO && data.target().starts_with("tenure")
        }));
    let lines = log::layer().with_writer(std::io::stderr);
    let lines = if json { lines.json().boxed() } else { lines.with_ansi(false).boxed() };
    let started = tracing_subscriber::registry().with(lines.with_filter(filter()?)).with(spans).try_init();
    started.map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Spans(provider))
}

fn reached(allowed: &[Cidr]) -> anyhow::Result<Vec<Cidr>> {
    let private = PRIVATE.iter().map(|block| block.parse::<Cidr>().map_err(|error| anyhow::anyhow!("{error}")));
    private.chain(allowed.iter().cloned().map(Ok)).collect()
}

/// Makes each request's span a part of the trace that its client names in `traceparent` (W3C Trace Context).
pub(crate) fn continuing(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let extractor = HeaderExtractor(request.headers());
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
        opentelemetry::context::FutureExt::with_context(next.run(request), context).await
    }))
}

/// The collector, reached from whatever thread has spans for it.
struct Collector {
    outbound: Arc<Outbound>,
    to: Destination,
    /// The exporter's thread has no runtime of its own.
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.to).finish()
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'sent>(
        &'a self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<opentelemetry_http::Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'a: 'sent,
        Self: 'sent,
    {
        let (outbound, to) = (Arc::clone(&self.outbound), self.to.clone());
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            outbound.post(&to, parts.headers, body, |status| status.is_success().then_some(MAX_ANSWER)).await
        });
        Box::pin(async move {
            let answer = sent.await??;
            let body = answer.body.unwrap_or_default();
            Ok(opentelemetry_http::Response::builder().status(answer.status).body(body.into())?)
        })
    }
}

/// Says in the words of OpenTelemetry's conventions what the log says in its own.
#[derive(Debug)]
struct Conventional<E>(E);

impl<E: SpanExporter> SpanExporter for Conventional<E> {
    fn export(&self, mut batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        batch.iter_mut().for_each(translate);
        self.0.export(batch)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn translate(span: &mut SpanData) {
    let mut attributes: Vec<KeyValue> = Vec::with_capacity(span.attributes.len());
    let is_request = span.name == "request";
    for KeyValue { key, value, .. } in span.attributes.drain(..) {
        let key = match key.as_str() {
            "method" if is_request => Key::from_static_str("http.request.method"),
            "route" if is_request => Key::from_static_str("http.route"),
            "status" if is_request => Key::from_static_str("http.response.status_code"),
            name => Key::new(format!("tenure.{name}")),
        };
        // What is said again counts: of two commits of a request the later one.
        match attributes.iter_mut().find(|known| known.key == key) {
            Some(known) => known.value = value,
            None => attributes.push(KeyValue::new(key, value)),
        }
    }
    if is_request {
        span.span_kind = SpanKind::Server;
        let find = |key: &str| attributes.iter().find(|known| known.key.as_str() == key).map(|known| &known.value);
        let method = find("http.request.method").map(Value::as_str).unwrap_or_default();
        let route = find("http.route").map(Value::as_str).unwrap_or_default();
        span.name = format!("{method} {route}").trim_end().to_owned().into();
        if matches!(find("http.response.status_code"), Some(Value::I64(500..))) {
            span.status = Status::error("");
        }
        attributes.retain(|known| known.key.as_str() != "http.route" || !known.value.as_str().is_empty());
    }
    span.attributes = attributes;
}
