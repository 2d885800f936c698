//! Two builds, measured in turn: ratios with what they vary by, and a verdict.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::report::Report;

/// A build is worse if every round of it was, and by more than this share of the other's median.
const TOLERANCE: f64 = 0.05;

/// Every operation of two builds.
pub struct Comparison(Vec<Compared>);

/// An operation of two builds.
#[derive(Debug)]
struct Compared {
    operation: &'static str,
    engine: &'static str,
    /// Rates of each round, per second, in ascending order.
    this: Vec<f64>,
    other: Vec<f64>,
    errors: usize,
}

/// What the rounds say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Better,
    Same,
    Worse,
    Failed,
}

impl Comparison {
    /// Over the rounds of each build.
    pub fn of(this: &[Report], other: &[Report]) -> Self {
        let rows = this.first().into_iter().flat_map(|report| &report.rows);
        let rates = |reports: &[Report], operation: &str, engine: &str| {
            let rows = reports.iter().flat_map(|report| &report.rows);
            let mut rates: Vec<f64> = rows
                .filter(|row| row.operation == operation && row.engine == engine)
                .map(|row| row.measured.rate())
                .collect();
            rates.sort_by(f64::total_cmp);
            rates
        };
        let errors = |operation: &str, engine: &str| {
            let rows = this.iter().chain(other).flat_map(|report| &report.rows);
            rows.filter(|row| row.operation == operation && row.engine == engine).map(|row| row.measured.errors).sum()
        };
        Self(
            rows.map(|row| Compared {
                operation: row.operation,
                engine: row.engine,
                this: rates(this, row.operation, row.engine),
                other: rates(other, row.operation, row.engine),
                errors: errors(row.operation, row.engine),
            })
            .collect(),
        )
    }

    /// Whether this build is worse at anything, or had errors.
    pub fn is_worse(&self) -> bool {
        self.0.iter().any(|row| matches!(row.verdict(), Verdict::Worse | Verdict::Failed))
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<18} {:<17} {:>24} {:>24} {:>7}  verdict\n",
            "operation", "engine", "this build/s (min max)", "other/s (min max)", "ratio"
        );
        for row in &self.0 {
            let _ = writeln!(
                text,
                "{:<18} {:<17} {:>24} {:>24} {:>7.2}  {}",
                row.operation,
                row.engine,
                spread(&row.this),
                spread(&row.other),
                row.ratio(),
                row.verdict().word()
            );
        }
        text
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let rows = self.0.iter().map(|row| {
            json!({
                "operation": row.operation, "engine": row.engine, "this_per_second": row.this, "other_per_second": row.other,
                "ratio": row.ratio(), "errors": row.errors, "verdict": row.verdict().word(),
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>() })
    }
}

impl Compared {
    /// This build's median by the other's.
    fn ratio(&self) -> f64 {
        median(&self.this) / median(&self.other).max(f64::EPSILON)
    }

    fn verdict(&self) -> Verdict {
        if self.errors > 0 {
            return Verdict::Failed;
        }
        let (Some((worst, best)), Some((other_worst, other_best))) = (ends(&self.this), ends(&self.other)) else {
            return Verdict::Failed;
        };
        if best < other_worst && self.ratio() < 1.0 - TOLERANCE {
            Verdict::Worse
        } else if worst > other_best && self.ratio() > 1.0 + TOLERANCE {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "the same",
            Self::Worse => "WORSE",
            Self::Failed => "FAILED",
        }
    }
}

fn ends(rates: &[f64]) -> Option<(f64, f64)> {
    Some((*rates.first()?, *rates.last()?))
}

fn median(rates: &[f64]) -> f64 {
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn spread(rates: &[f64]) -> String {
    let (least, most) = ends(rates).unwrap_or_default();
    format!("{:.0} ({least:.0} {most:.0})", median(rates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Measured;
    use crate::report::Row;

    fn round(answers: usize, errors: usize) -> Report {
        let measured = Measured { answers, errors, seconds: 1.0, ..Measured::default() };
        let row = Row { operation: "issuance", engine: "tenure sqlite", beside: None, measured };
        Report { rows: vec![row], notes: Vec::new(), fdatasync: std::time::Duration::ZERO, connections: 1, seconds: 1 }
    }

    fn verdict(this: [usize; 3], other: [usize; 3]) -> Verdict {
        let rounds = |rates: [usize; 3]| rates.map(|rate| round(rate, 0));
        Comparison::of(&rounds(this), &rounds(other)).0[0].verdict()
    }

    #[test]
    fn only_what_every_round_shows_is_a_verdict() {
        assert_eq!(verdict([100, 110, 120], [200, 210, 220]), Verdict::Worse);
        assert_eq!(verdict([200, 210, 220], [100, 110, 120]), Verdict::Better);
        assert_eq!(verdict([100, 110, 205], [200, 210, 220]), Verdict::Same, "one round was as fast");
        assert_eq!(verdict([97, 98, 99], [100, 101, 102]), Verdict::Same, "within the tolerance");
    }

    #[test]
    fn errors_fail_and_the_table_says_all() {
        let compared = Comparison::of(&[round(100, 0), round(120, 1)], &[round(50, 0), round(60, 0)]);
        assert!(compared.is_worse());
        let table = compared.table();
        assert!(
            table.contains("120 (100 120)") && table.contains("60 (50 60)") && table.contains("2.00  FAILED"),
            "{table}"
        );
        assert_eq!(compared.json()["rows"][0]["errors"], 1);
    }
}
