//! How long things take, for operators: histograms that are written without a lock.
//!
//! `prometheus-client` has a histogram of its own, behind a mutex. Every request and every commit of a process would
//! meet there, so this one is atomic counters, and only its text is that crate's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use tenure_core::base::time::{Clock, Span};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::port::Outcome;
use tenure_core::target::connector::TargetKind;

use crate::kernel::Kernel;
use crate::kernel::notice::Undelivered;

/// The upper bounds of the buckets, in microseconds: half a millisecond to ten seconds.
const BOUNDS: [u32; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
/// What took longer than the last bound has a bucket, too.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram of durations. Clones are the same histogram.
#[derive(Debug, Clone, Default)]
pub struct Durations(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    buckets: [AtomicU64; BUCKETS],
    /// The sum of all durations, in microseconds.
    sum: AtomicU64,
}

impl Durations {
    /// Counts something that took so long.
    pub fn observe(&self, took: Span) {
        let bucket = BOUNDS.partition_point(|bound| i64::from(*bound) < took.as_micros());
        if let Some(bucket) = self.0.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or_default(), Ordering::Relaxed);
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    #[expect(clippy::cast_precision_loss, reason = "a sum of microseconds is exact for 285 years")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.iter().map(|bound| f64::from(*bound) / 1e6).chain([f64::INFINITY]);
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Of the buckets as they were read: the last one and the count are one number.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// What measures how long something takes, by the monotonic clock.
#[derive(Clone, Copy)]
pub struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    began: Span,
}

impl Stopwatch<'_> {
    /// How long it has been running.
    pub fn elapsed(&self) -> Span {
        Span::from_micros(self.clock.monotonic().as_micros().saturating_sub(self.began.as_micros()))
    }
}

impl Kernel {
    /// A stopwatch that begins now.
    pub fn stopwatch(&self) -> Stopwatch<'_> {
        let clock = self.clock.as_ref();
        Stopwatch { clock, began: clock.monotonic() }
    }

    /// Hands what the engine counts and measures to a registry, for as long as that is encoded.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.counters.register(registry);
        self.timings.register(registry);
    }
}

/// Whose commit, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommitLabels {
    control: &'static str,
    outcome: &'static str,
}

/// On what channel, and whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticeLabels {
    channel: &'static str,
    outcome: &'static str,
}

/// At what sort of target, and how it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// How long the engine's work outside of itself takes.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    commits: Family<CommitLabels, Durations>,
    pub(crate) seals: Durations,
    notices: Family<NoticeLabels, Durations>,
    targets: Family<TargetLabels, Durations>,
}

impl Timings {
    /// Counts a commit at a control point.
    pub(crate) fn committed(&self, control: Option<ControlPoint>, outcome: &Outcome, took: Span) {
        let labels = CommitLabels {
            control: control.map_or("none", ControlPoint::as_str),
            outcome: match outcome {
                Outcome::Committed(_) => "committed",
                Outcome::Conflict(_) => "conflict",
                Outcome::Refused { .. } => "refused",
                Outcome::Full | Outcome::Unavailable(_) | Outcome::Unwritable(_) | Outcome::Unknown => "failed",
            },
        };
        self.commits.get_or_create(&labels).observe(took);
    }

    /// Counts an attempt to deliver a notice; gives the word for how it ended.
    pub(crate) fn notified(&self, channel: &'static str, result: &Result<(), Undelivered>, took: Span) -> &'static str {
        let outcome = match result {
            Ok(()) => "delivered",
            Err(Undelivered::Later(_)) => "later",
            Err(Undelivered::Refused(_)) => "refused",
        };
        self.notices.get_or_create(&NoticeLabels { channel, outcome }).observe(took);
        outcome
    }

    /// Counts an account that was stopped, ended or narrowed at a target, from when that was meant until it was shown.
    pub(crate) fn stopped_at_target(&self, kind: TargetKind, outcome: &'static str, took: Span) {
        self.targets.get_or_create(&TargetLabels { kind: kind.as_str(), outcome }).observe(took);
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "tenure_target_stop_duration",
            "From when an account was to be stopped, ended or narrowed until its target showed it, by kind and outcome",
            Unit::Seconds,
            self.targets.clone(),
        );
        registry.register_with_unit(
            "tenure_commit_duration",
            "How long the store took over a commit, by its control point and its outcome",
            Unit::Seconds,
            self.commits.clone(),
        );
        registry.register_with_unit(
            "tenure_seal_duration",
            "How long it took to seal what was committed under a signed checkpoint",
            Unit::Seconds,
            self.seals.clone(),
        );
        registry.register_with_unit(
            "tenure_notice_duration",
            "How long an attempt to deliver a notice took, by channel and outcome",
            Unit::Seconds,
            self.notices.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for micros in [0, 500, 501, 9_999_999, 10_000_000, 10_000_001] {
            durations.observe(Span::from_micros(micros));
        }
        let mut registry = Registry::default();
        registry.register_with_unit("d", "D", Unit::Seconds, durations);
        let mut said = String::new();
        text::encode(&mut said, &registry).unwrap();
        let count = |bound: &str| {
            let line = format!("d_seconds_bucket{{le=\"{bound}\"}} ");
            said.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(
            [count("0.0005"), count("0.001"), count("5.0"), count("10.0"), count("+Inf")],
            [2, 3, 3, 5, 6],
            "{said}"
        );
        assert!(said.contains("d_seconds_count 6\n") && said.contains("d_seconds_sum 30.001001\n"), "{said}");
    }
}
