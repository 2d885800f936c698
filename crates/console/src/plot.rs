//! Plots: how many took how long, as a picture of bars with the same numbers in a table beside it.

use askama::Template;
use tenure_api::overview::{RefusalTimes, TargetTime};
use tenure_api::views::Names;
use tenure_core::base::time::Span;

use crate::list::{Cell, Table};
use crate::markup::{Markup, filters};
use crate::records::Named;
use crate::state::State;
use crate::{stop, text, when};

/// A bucket's width in the picture, and the height of its highest bar.
const WIDTH: usize = 44;
const HEIGHT: u64 = 120;
/// Where bars stand; the words are below.
const FLOOR: u64 = HEIGHT + 20;

/// A bar: so many of one proof, in a bucket.
struct Bar {
    class: &'static str,
    x: usize,
    y: u64,
    height: u64,
    said: String,
}

/// A bucket: its word, where that stands, and how many of each proof are in it.
struct Bucket {
    word: String,
    x: usize,
    counts: Vec<u32>,
}

/// How long those of one proof took.
struct Series {
    proof: State,
    count: u32,
    p50: String,
    p90: String,
    p99: String,
}

/// How long revocations took, as a distribution.
#[derive(Template)]
#[template(path = "times.html")]
pub struct Times {
    said: String,
    width: usize,
    series: Vec<Series>,
    bars: Vec<Bar>,
    buckets: Vec<Bucket>,
    besides: String,
}

impl Markup for Times {}

impl Times {
    /// The picture of these times; none of none.
    pub fn new(times: &RefusalTimes) -> Option<Self> {
        const CLASSES: [&str; 3] = ["first", "second", "third"];
        let bounds = times.by_proof.first()?.buckets.iter().map(|bucket| bucket.up_to_ms);
        let count = |proof: usize, n: usize| {
            times.by_proof.get(proof).and_then(|one| one.buckets.get(n)).map_or(0, |bucket| bucket.count)
        };
        let mut before = None;
        let mut buckets: Vec<Bucket> = Vec::new();
        for (n, bound) in bounds.enumerate() {
            let word = match (bound, before) {
                (Some(bound), _) => text::up_to(&length(bound)),
                (None, Some(before)) => text::longer_than(&length(before)),
                (None, None) => String::new(),
            };
            before = bound;
            let counts = (0..times.by_proof.len()).map(|proof| count(proof, n)).collect();
            buckets.push(Bucket { word, x: n * WIDTH + WIDTH / 2, counts });
        }
        // What is behind all of them says nothing.
        let is_empty = |bucket: &Bucket| bucket.counts.iter().all(|count| *count == 0);
        while buckets.last().is_some_and(is_empty) {
            buckets.pop();
        }
        let most =
            buckets.iter().map(|bucket| bucket.counts.iter().map(|count| u64::from(*count)).sum::<u64>()).max()?;
        let mut bars = Vec::new();
        for (n, bucket) in buckets.iter().enumerate() {
            let mut floor = FLOOR;
            for (proof, count) in bucket.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                // One that is there is seen.
                let height = (u64::from(*count) * HEIGHT / most.max(1)).max(2);
                floor = floor.saturating_sub(height);
                let class = CLASSES.get(proof).copied().unwrap_or_default();
                bars.push(Bar { class, x: n * WIDTH + 4, y: floor, height, said: format!("{}: {count}", bucket.word) });
            }
        }
        let series = times.by_proof.iter().map(|one| Series {
            proof: stop::state(one.proof),
            count: one.count,
            p50: length(one.p50_ms),
            p90: length(one.p90_ms),
            p99: length(one.p99_ms),
        });
        Some(Self {
            said: text::times_said(times.receipts, times.more),
            width: buckets.len() * WIDTH,
            series: series.collect(),
            bars,
            buckets,
            besides: text::times_besides(times.nothing_to_refuse, times.open),
        })
    }
}

/// How long it took at each target until what was stopped there was shown to be, as a table; none where nothing was.
pub fn at_targets(times: &RefusalTimes) -> Option<Table> {
    if times.by_target.is_empty() {
        return None;
    }
    let time = |millis: Option<u64>| Cell::of(millis.map(length).map(Cell::Text));
    let row = |one: &TargetTime| {
        let record = Named { name: one.name.clone(), ..Named::of(one.target, &Names::new()) };
        vec![
            Cell::Record { record, lesser: text::plain(one.kind.as_str()) },
            Cell::Number(one.count.into()),
            time(one.p50_ms),
            time(one.p90_ms),
            time(one.p99_ms),
            Cell::Number(one.open.into()),
            Cell::Number(one.cannot_revoke.into()),
            Cell::Number(one.attested_gone.into()),
        ]
    };
    let rows = times.by_target.iter().map(row).collect();
    Some(Table::new(text::AT_TARGETS, &AT_TARGETS, rows))
}

/// The columns of the times at targets.
const AT_TARGETS: [&str; 8] =
    ["Target", "Read back", "Half within", "90 % within", "99 % within", "Open", "Goes on", "Attested gone"];

/// A length of time of so many milliseconds, as short as it can be told.
fn length(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 if !millis.is_multiple_of(1_000) => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        1_000..60_000 => format!("{} s", millis / 1_000),
        _ => when::span(Span::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use tenure_api::overview::{RefusalTime, TimeBucket};
    use tenure_core::base::time::Timestamp;
    use tenure_core::credential::receipt::ReceiptState;

    use super::*;

    #[test]
    fn the_picture_and_the_table_say_the_same() {
        let bucket = |up_to_ms, count| TimeBucket { up_to_ms, count };
        let of = |proof, buckets| RefusalTime { proof, count: 5, p50_ms: 7, p90_ms: 1_500, p99_ms: 120_000, buckets };
        let times = RefusalTimes {
            at: Timestamp::default(),
            since: Timestamp::default(),
            receipts: 12,
            more: false,
            by_proof: vec![
                of(ReceiptState::RefusedVerified, vec![bucket(Some(10), 4), bucket(Some(300_000), 1), bucket(None, 0)]),
                of(
                    ReceiptState::CannotRevoke,
                    vec![bucket(Some(10), 0), bucket(Some(300_000), 1_000), bucket(None, 0)],
                ),
            ],
            nothing_to_refuse: 2,
            open: 0,
            by_target: Vec::new(),
            names: Names::new(),
        };
        let html = Times::new(&times).unwrap().render().unwrap();
        assert_eq!(html.matches("<rect").count(), 3, "{html}");
        for part in
            ["<title>up to 10 ms: 4</title>", "<td class=\"number\">1000</td>", "1.5 s", "2 minutes", "height=\"164\""]
        {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        // What nobody took has no place.
        assert!(!html.contains("longer than"), "{html}");
        assert!(Times::new(&RefusalTimes { by_proof: Vec::new(), ..times }).is_none());
    }
}
