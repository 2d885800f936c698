//! The table and the JSON.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Measured;

/// One measured operation.
pub struct Row {
    /// What was done.
    pub operation: &'static str,
    /// By what, on what.
    pub engine: &'static str,
    /// What it is compared with, if with anything.
    pub beside: Option<Beside>,
    /// How it went.
    pub measured: Measured,
}

/// What an operation is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The peer's logins: the same promise, a durable credential for a proof.
    Peer,
    /// The issuance by the same engine that is compared with the peer's: what more the operation does has a price.
    Plain,
}

/// All that a run measured.
pub struct Report {
    /// The operations in the order of the table; the peer's first.
    pub rows: Vec<Row>,
    /// What a row can't say, in sentences.
    pub notes: Vec<String>,
    /// Median of one durable 4 KiB write.
    pub fdatasync: Duration,
    /// Connections of the generator.
    pub connections: usize,
    /// Seconds of each measurement.
    pub seconds: u64,
}

/// The engine's name of the peer's stored logins.
pub const STORED: &str = "openbao stored";
/// The engine's name of the peer's unstored logins.
pub const BATCH: &str = "openbao batch";

impl Report {
    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} connections, {} s each, fdatasync of 4 KiB p50 {}; server and generator share this machine: compare only within one run\n\n",
            self.connections,
            self.seconds,
            millis(self.fdatasync)
        );
        let _ = writeln!(
            text,
            "{:<18} {:<17} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}  {:>14}  {:>13}  {:>13}",
            "operation",
            "engine",
            "rate/s",
            "/cpu-s",
            "/cpu-s+db",
            "p50",
            "p99",
            "max",
            "errors",
            "x stored (cpu)",
            "x batch (cpu)",
            "x plain (cpu)"
        );
        for row in &self.rows {
            let Measured { latency, errors, .. } = &row.measured;
            let with_database =
                row.measured.per_total_cpu().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
            let _ = writeln!(
                text,
                "{:<18} {:<17} {:>9.0} {:>9.0} {:>9} {:>9} {:>9} {:>9} {:>7}  {:>14}  {:>13}  {:>13}",
                row.operation,
                row.engine,
                row.measured.rate(),
                row.measured.per_server_cpu(),
                with_database,
                millis(latency.p50),
                millis(latency.p99),
                millis(latency.max),
                errors,
                self.to_peer(row, STORED).map_or_else(|| "-".to_owned(), one_place),
                self.to_peer(row, BATCH).map_or_else(|| "-".to_owned(), one_place),
                self.to_plain(row).map_or_else(|| "-".to_owned(), two_places),
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        for row in &self.rows {
            if let Some(example) = &row.measured.example {
                let _ = writeln!(
                    text,
                    "\n{} {}: {} errors, one of them: {example}",
                    row.operation, row.engine, row.measured.errors
                );
            }
        }
        text
    }

    /// The same for machines; times in microseconds.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let m = &row.measured;
                let pair = |ratio: Option<(f64, f64)>| ratio.map(|(rate, cpu)| json!({ "rate": rate, "per_server_cpu_second": cpu }));
                json!({
                    "operation": row.operation, "engine": row.engine, "rate_per_second": m.rate(), "per_server_cpu_second": m.per_server_cpu(),
                    "per_server_and_database_cpu_second": m.per_total_cpu(), "answers": m.answers, "errors": m.errors, "example_error": m.example,
                    "seconds": m.seconds, "server_cpu_seconds": m.server_cpu, "database_cpu_seconds": m.database_cpu, "generator_cpu_seconds": m.generator_cpu,
                    "p50_us": micros(m.latency.p50), "p99_us": micros(m.latency.p99), "max_us": micros(m.latency.max),
                    "times_openbao_stored": pair(self.to_peer(row, STORED)), "times_openbao_batch": pair(self.to_peer(row, BATCH)),
                    "times_plain_issuance": pair(self.to_plain(row)),
                })
            })
            .collect();
        json!({ "connections": self.connections, "seconds": self.seconds, "fdatasync_p50_us": micros(self.fdatasync), "rows": rows, "notes": self.notes })
    }

    /// How many times the peer's rate, and its rate per server CPU second.
    fn to_peer(&self, row: &Row, peer: &str) -> Option<(f64, f64)> {
        let base = self.rows.iter().find(|base| base.engine == peer)?;
        if row.beside == Some(Beside::Peer) { times(row, base) } else { None }
    }

    /// How many times the rate of the same engine's plain issuance, and its rate per server CPU second.
    fn to_plain(&self, row: &Row) -> Option<(f64, f64)> {
        let base = self.rows.iter().find(|base| base.engine == row.engine && base.beside == Some(Beside::Peer))?;
        if row.beside == Some(Beside::Plain) { times(row, base) } else { None }
    }
}

fn times(row: &Row, base: &Row) -> Option<(f64, f64)> {
    let (row, base) = (&row.measured, &base.measured);
    (base.answers > 0).then(|| (row.rate() / base.rate(), row.per_server_cpu() / base.per_server_cpu()))
}

fn one_place((rate, cpu): (f64, f64)) -> String {
    format!("{rate:.1} ({cpu:.1})")
}

fn two_places((rate, cpu): (f64, f64)) -> String {
    format!("{rate:.2} ({cpu:.2})")
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(
        operation: &'static str,
        engine: &'static str,
        beside: Option<Beside>,
        answers: usize,
        server_cpu: f64,
    ) -> Row {
        Row {
            operation,
            engine,
            beside,
            measured: Measured { answers, seconds: 10.0, server_cpu, ..Measured::default() },
        }
    }

    fn report() -> Report {
        let mut refused = row("introspection", "tenure sqlite", None, 0, 1.0);
        (refused.measured.errors, refused.measured.example) = (3, Some("401 no".to_owned()));
        let rows = vec![
            row("login", STORED, None, 10_000, 10.0),
            row("login", BATCH, None, 30_000, 10.0),
            row("issuance", "tenure sqlite", Some(Beside::Peer), 150_000, 5.0),
            refused,
            row("issuance", "tenure postgres", Some(Beside::Peer), 60_000, 5.0),
            row("exchange", "tenure postgres", Some(Beside::Plain), 30_000, 5.0),
        ];
        Report {
            rows,
            notes: vec!["tenure sqlite: nothing lost".to_owned()],
            fdatasync: Duration::from_micros(210),
            connections: 32,
            seconds: 10,
        }
    }

    #[test]
    fn only_what_makes_the_same_promise_is_compared() {
        let report = report();
        assert_eq!(report.to_peer(&report.rows[2], STORED), Some((15.0, 30.0)));
        assert_eq!(report.to_peer(&report.rows[2], BATCH), Some((5.0, 10.0)));
        assert_eq!(report.to_peer(&report.rows[3], STORED), None);
        assert_eq!(report.to_plain(&report.rows[5]), Some((0.5, 0.5)), "with its own engine");
        assert_eq!(report.to_peer(&report.rows[5], STORED), None);
        assert_eq!(report.to_plain(&report.rows[2]), None);
    }

    #[test]
    fn errors_are_shown_with_an_example() {
        let table = report().table();
        assert!(table.contains("introspection tenure sqlite: 3 errors, one of them: 401 no"), "{table}");
        assert!(table.contains("15.0 (30.0)") && table.contains("fdatasync of 4 KiB p50 0.21 ms"), "{table}");
        assert!(table.contains("tenure sqlite: nothing lost"), "{table}");
        assert!(table.contains("0.50 (0.50)"), "{table}");
    }

    #[test]
    fn the_json_holds_what_the_table_shows() {
        let json = report().json();
        assert_eq!(json["rows"][2]["times_openbao_batch"], json!({ "rate": 5.0, "per_server_cpu_second": 10.0 }));
        assert_eq!(json["rows"][0]["times_openbao_stored"], Value::Null);
        assert_eq!(json["rows"][5]["times_plain_issuance"], json!({ "rate": 0.5, "per_server_cpu_second": 0.5 }));
        assert_eq!(json["fdatasync_p50_us"], 210);
    }
}
