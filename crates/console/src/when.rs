//! Times: how long ago or until then in words, and the exact time at hand.

use askama::Template;
use tenure_core::base::time::{Span, Timestamp};

use crate::markup::Markup;

/// A time as a page shows it: relative to when the page was made, with the exact time in UTC behind it. The console's
/// script puts the reader's zone in the place of UTC.
#[derive(Debug, Clone, Template)]
#[template(path = "when.html")]
pub struct When {
    at: Timestamp,
    now: Timestamp,
}

impl Markup for When {}

impl When {
    /// A time, seen from now.
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    fn relative(&self) -> String {
        relative(self.at, self.now)
    }

    fn exact(&self) -> String {
        exact(self.at)
    }

    /// To the second, which is as exact as people read.
    fn machine(&self) -> Timestamp {
        Timestamp::from_secs(self.at.as_secs())
    }
}

/// `in 3 days`, `2 hours ago`, `just now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let secs = at.as_secs().saturating_sub(now.as_secs());
    let text = span(Span::from_secs(secs.saturating_abs()));
    match secs {
        -44..=44 => "just now".to_owned(),
        45.. => format!("in {text}"),
        _ => format!("{text} ago"),
    }
}

/// A length of time in its largest fitting unit: `3 days`.
pub fn span(span: Span) -> String {
    const UNITS: [(&str, i64); 5] =
        [("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)];
    let secs = span.as_secs();
    // Below two months days say more, and below two days hours.
    let unit = UNITS
        .into_iter()
        .find(|(name, unit)| secs >= unit * if matches!(*name, "year" | "month" | "day") { 2 } else { 1 });
    let (name, count) = unit.map_or(("second", secs), |(name, unit)| (name, secs / unit));
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// `30 Nov 2026, 07:46 UTC`.
pub fn exact(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let parts = || {
        let (date, time) = text.split_once('T')?;
        let mut date = date.rsplitn(3, '-');
        let (day, month, year) = (date.next()?, date.next()?, date.next()?);
        let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        Some(format!("{} {month} {year}, {} UTC", day.trim_start_matches('0'), time.get(..5)?))
    };
    parts().unwrap_or_else(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_words_and_exactly() {
        let now: Timestamp = "2026-11-30T07:46:29Z".parse().unwrap();
        let plus = |secs| relative(now.plus(Span::from_secs(secs)), now);
        let minus = |secs| relative(now.minus(Span::from_secs(secs)), now);
        assert_eq!(
            [plus(0), plus(60), plus(3_600), plus(47 * 3_600), plus(3 * 86_400)],
            ["just now", "in 1 minute", "in 1 hour", "in 47 hours", "in 3 days"]
        );
        assert_eq!(
            [minus(61), minus(59 * 86_400), minus(70 * 86_400), minus(800 * 86_400)],
            ["1 minute ago", "59 days ago", "2 months ago", "2 years ago"]
        );
        assert_eq!(exact(now), "30 Nov 2026, 07:46 UTC");
        let html = When::new(now.plus(Span::from_days(3)), now).render().unwrap();
        assert_eq!(html, "<time datetime=\"2026-12-03T07:46:29Z\" title=\"3 Dec 2026, 07:46 UTC\">in 3 days</time>");
    }
}
