//! The load generator: closed loops, each on a connection of its own, first to warm up, then measured.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::join_all;
use tokio::time::{sleep, sleep_until};

use crate::cpu::Group;
use crate::http::{Connection, Reply};
use crate::stats::{Latencies, Summary};
use crate::tls::Client;

/// How hard and how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Loops, each with one request under way.
    pub connections: usize,
    /// Time before the measurement.
    pub warm_up: Duration,
    /// Time of the measurement.
    pub measured: Duration,
}

/// What is asked, and what counts as an answer.
pub struct Operation<'a> {
    /// Where the server is.
    pub address: SocketAddr,
    /// The bytes of the n-th request, counted over all connections; `None` once there are no more.
    pub request: &'a dyn Fn(usize) -> Option<&'a [u8]>,
    /// What the body of every right answer contains.
    pub expected: &'a str,
    /// The server's processes.
    pub server: Group,
    /// The database's processes, where it has any.
    pub database: Option<Group>,
}

/// A measurement.
#[derive(Debug, Default)]
pub struct Measured {
    /// Right answers.
    pub answers: usize,
    /// Wrong answers, other statuses than 2xx, broken connections.
    pub errors: usize,
    /// One of the errors.
    pub example: Option<String>,
    /// How long it was measured.
    pub seconds: f64,
    /// Latencies of the right answers.
    pub latency: Summary,
    /// CPU seconds of the server.
    pub server_cpu: f64,
    /// CPU seconds of the database's processes.
    pub database_cpu: Option<f64>,
    /// CPU seconds of the generator.
    pub generator_cpu: f64,
}

impl Measured {
    /// Right answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds.max(f64::EPSILON)
    }

    /// Right answers per CPU second of the server.
    pub fn per_server_cpu(&self) -> f64 {
        self.answers as f64 / self.server_cpu.max(f64::EPSILON)
    }

    /// Right answers per CPU second of the server and its database together.
    pub fn per_total_cpu(&self) -> Option<f64> {
        self.database_cpu.map(|database| self.answers as f64 / (self.server_cpu + database).max(f64::EPSILON))
    }
}

/// Runs the load in the clear. Ends early, with the time that it took, if the requests run out.
pub async fn run(load: Load, operation: &Operation<'_>) -> Result<Measured> {
    run_as(load, operation, None).await
}

/// Runs the load; over TLS, with its certificate on each connection, as a client that has one.
pub async fn run_as(load: Load, operation: &Operation<'_>, client: Option<&Client>) -> Result<Measured> {
    let begin = Instant::now() + load.warm_up;
    let end = begin + load.measured;
    let next = Cell::new(0);
    let mut loops = pin!(join_all((0..load.connections).map(|_| drive(operation, client, &next, begin, end))));
    if !load.warm_up.is_zero() {
        tokio::select! {
            _ = &mut loops => bail!("the requests ran out while warming up"),
            () = sleep_until(begin.into()) => {}
        }
    }
    let before = Used::now(operation);
    let early = tokio::select! {
        tallies = &mut loops => Some(tallies),
        () = sleep_until(end.into()) => None,
    };
    let (seconds, after) = (begin.elapsed().as_secs_f64(), Used::now(operation));
    let tallies = match early {
        Some(tallies) => tallies,
        None => loops.await,
    };
    let mut total = Tally::default();
    for tally in tallies {
        total.latencies.merge(tally.latencies);
        total.errors += tally.errors;
        total.example = total.example.or(tally.example);
    }
    Ok(Measured {
        answers: total.latencies.count(),
        errors: total.errors,
        example: total.example,
        seconds,
        latency: total.latencies.finish(),
        server_cpu: after.server - before.server,
        database_cpu: after.database.zip(before.database).map(|(after, before)| after - before),
        generator_cpu: after.generator - before.generator,
    })
}

#[derive(Default)]
struct Tally {
    latencies: Latencies,
    errors: usize,
    example: Option<String>,
}

impl Tally {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.errors += 1;
        self.example.get_or_insert_with(what);
    }
}

/// One closed loop. Counts what ends inside the measurement.
async fn drive(
    operation: &Operation<'_>,
    client: Option<&Client>,
    next: &Cell<usize>,
    begin: Instant,
    end: Instant,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection: Option<Connection> = None;
    loop {
        let start = Instant::now();
        let request = if start < end { (operation.request)(next.replace(next.get() + 1)) } else { None };
        let Some(request) = request else { return tally };
        let reply = exchange(operation.address, client, &mut connection, request).await;
        let now = Instant::now();
        let failed = reply.is_err();
        if now >= begin && now <= end {
            match reply {
                Ok(reply) if is_right(&reply, operation.expected) => tally.latencies.add(now - start),
                Ok(reply) => tally.wrong(|| reply.summary()),
                Err(why) => tally.wrong(|| format!("{why:#}")),
            }
        }
        if failed {
            // A server that is gone must not be hammered.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn exchange(
    address: SocketAddr,
    client: Option<&Client>,
    connection: &mut Option<Connection>,
    request: &[u8],
) -> Result<Reply> {
    if !connection.as_ref().is_some_and(Connection::is_reusable) {
        *connection = Some(Connection::open_as(address, client).await?);
    }
    match connection {
        Some(connection) => connection.exchange(request).await,
        None => bail!("no connection"),
    }
}

fn is_right(reply: &Reply, expected: &str) -> bool {
    reply.is_success() && String::from_utf8_lossy(&reply.body).contains(expected)
}

/// CPU seconds used until now.
struct Used {
    server: f64,
    database: Option<f64>,
    generator: f64,
}

impl Used {
    fn now(operation: &Operation<'_>) -> Self {
        let generator = Group::Process(rustix::process::getpid()).seconds();
        Self { server: operation.server.seconds(), database: operation.database.map(Group::seconds), generator }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request;
    use crate::http::tests::toy;

    async fn measure(replies: &'static [&'static str], requests: usize) -> Result<Measured> {
        let address = toy(replies).await;
        let bytes = request("POST", "/token", address, &[], b"{}");
        let load = Load { connections: 4, warm_up: Duration::from_millis(50), measured: Duration::from_millis(200) };
        let server = Group::Process(rustix::process::getpid());
        let operation = Operation {
            address,
            request: &|n| (n < requests).then_some(bytes.as_slice()),
            expected: "\"active\":true",
            server,
            database: Some(server),
        };
        run(load, &operation).await
    }

    #[tokio::test]
    async fn right_answers_are_counted_and_timed() {
        let measured =
            measure(&["HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"active\":true}"], usize::MAX).await.unwrap();
        assert!(measured.answers > 0, "{measured:?}");
        assert_eq!((measured.errors, measured.example.as_deref()), (0, None));
        assert!(measured.latency.p50 > Duration::ZERO);
        assert!(measured.seconds >= 0.19, "{measured:?}");
        assert!(measured.rate() > 0.0 && measured.per_total_cpu().is_some());
    }

    #[tokio::test]
    async fn a_2xx_with_the_wrong_body_and_other_statuses_are_errors_with_an_example() {
        let wrong =
            measure(&["HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"active\":false}"], usize::MAX).await.unwrap();
        assert_eq!((wrong.answers, wrong.example.as_deref()), (0, Some("200 {\"active\":false}")));
        let refused =
            measure(&["HTTP/1.1 429 Too Many Requests\r\ncontent-length: 3\r\n\r\nno!"], usize::MAX).await.unwrap();
        assert!(refused.errors > 0);
        assert_eq!((refused.answers, refused.example.as_deref()), (0, Some("429 no!")));
    }

    #[tokio::test]
    async fn a_closed_connection_is_opened_again() {
        let closing = measure(
            &["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{\"active\":true}"],
            usize::MAX,
        )
        .await
        .unwrap();
        assert!(closing.answers > 0, "{closing:?}");
        assert_eq!(closing.errors, 0, "{closing:?}");
    }

    #[tokio::test]
    async fn running_out_while_warming_up_is_no_measurement() {
        let error = measure(&["HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"active\":true}"], 3).await.unwrap_err();
        assert!(error.to_string().contains("ran out"), "{error}");
    }
}
