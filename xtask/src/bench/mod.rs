//! The bench: Tenure on both engines beside OpenBao, in one run on one machine.

mod assertion;
mod cpu;
mod disk;
mod http;
mod load;
mod openbao;
mod report;
mod signals;
mod stats;
mod tenure;
mod tls;

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::cpu::Group;
use self::http::{Connection, request};
use self::load::{Load, Measured};
use self::openbao::{OpenBao, Token};
use self::report::{BATCH, Beside, Report, Row, STORED};
use self::tenure::{Tenure, Work};
use self::tls::Client;
use crate::peers;
use crate::postgres::{Durability, Postgres};
use crate::process::abandoned;
use crate::workspace::{Workspace, make_folder, must};

const WARM_UP: Duration = Duration::from_secs(2);
/// Webhooks of the burst.
const WEBHOOKS: usize = 10_000;

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long each operation is measured: at most 60, since what is signed before has to last to the end.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Connections of the load generator, each with one request under way.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Which storage of Tenure's to measure.
    #[arg(long, value_enum, default_value_t = Engine::Both)]
    engine: Engine,
    /// Leave the peer out; then there are no ratios.
    #[arg(long)]
    skip_openbao: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
    /// Only the peer.
    None,
}

/// Measures and reports. Exit code 1 if any operation had errors.
pub fn run(workspace: &Workspace, args: &Args, runtime: &Runtime) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return Err(again_in_release(workspace));
    }
    let peers = peers::for_bench(workspace, !args.skip_openbao)?;
    if args.engine != Engine::None {
        must(&mut workspace.cargo(["build", "--release", "--package", "tenure"]))?;
    }
    let folder = Scratch::make(workspace)?;
    // Interrupted, the servers are killed as what holds them is dropped.
    let report = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            report = measure(workspace, args, &peers, &folder.0) => report,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("interrupted"),
        }
    })?;
    drop(folder);
    print!("{}", report.table());
    let path = workspace.target.join("bench.json");
    std::fs::write(&path, serde_json::to_string_pretty(&report.json())?)?;
    eprintln!("written to {}", path.display());
    Ok(if report.rows.iter().all(|row| row.measured.errors == 0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An unoptimised generator would measure itself: builds this program in release and becomes it. Returns only if that fails.
fn again_in_release(workspace: &Workspace) -> anyhow::Error {
    if let Err(why) = must(&mut workspace.cargo(["build", "--release", "--package", "xtask"])) {
        return why;
    }
    let program = workspace.target.join("release/xtask");
    anyhow::Error::new(Command::new(&program).args(std::env::args_os().skip(1)).exec()).context(format!("could not start {}", program.display()))
}

/// The data folders of a run: on the disk of the target folder, since /tmp may be memory. Removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn make(workspace: &Workspace) -> Result<Self> {
        for folder in abandoned(&workspace.target, "bench-") {
            let _ = std::fs::remove_dir_all(folder);
        }
        let folder = workspace.target.join(format!("bench-{}", std::process::id()));
        make_folder(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn measure(workspace: &Workspace, args: &Args, peers: &Path, folder: &Path) -> Result<Report> {
    let load = Load {
        connections: usize::from(args.connections),
        warm_up: WARM_UP,
        measured: Duration::from_secs(args.seconds),
    };
    let mut report = Report {
        rows: Vec::new(),
        notes: Vec::new(),
        fdatasync: disk::fdatasync_p50(folder)?,
        connections: load.connections,
        seconds: args.seconds,
    };
    if !args.skip_openbao {
        peer(&peers::openbao(peers)?, folder, load, &mut report.rows).await?;
    }
    let program = workspace.target.join("release/tenure");
    if matches!(args.engine, Engine::Sqlite | Engine::Both) {
        let server = Tenure::start(&program, &folder.join("sqlite"), None).await?;
        all(server, "tenure sqlite", load, &mut report).await?;
    }
    if matches!(args.engine, Engine::Postgres | Engine::Both) {
        let postgres = Postgres::start(folder, Durability::Durable).await?;
        let family = Group::Family(postgres.pid().context("PostgreSQL is not running")?);
        let server = Tenure::start(&program, &folder.join("postgres"), Some((postgres.url(), family))).await?;
        let measured = all(server, "tenure postgres", load, &mut report).await;
        postgres.stop().await?;
        measured?;
    }
    Ok(report)
}

async fn peer(program: &Path, folder: &Path, load: Load, rows: &mut Vec<Row>) -> Result<()> {
    let server = OpenBao::start(program, folder).await?;
    for (token, engine) in [(Token::Stored, STORED), (Token::Batch, BATCH)] {
        let measured = server.login(token, load).await?;
        push(
            rows,
            Row {
                operation: "AppRole login",
                engine,
                beside: None,
                measured,
            },
        );
    }
    server.stop().await
}

async fn all(server: Tenure, engine: &'static str, load: Load, report: &mut Report) -> Result<()> {
    for (work, operation, beside) in [
        (Work::Issuance, "durable issuance", Some(Beside::Peer)),
        (Work::Dpop, "issuance, DPoP", Some(Beside::Plain)),
        (Work::Exchange, "token exchange", Some(Beside::Plain)),
        (Work::Introspection, "introspection", None),
        (Work::Decision, "decision", None),
    ] {
        let measured = server
            .measure(work, load)
            .await
            .with_context(|| format!("could not measure {operation} of {engine}"))?;
        push(
            &mut report.rows,
            Row {
                operation,
                engine,
                beside,
                measured,
            },
        );
    }
    let signals::Burst { measured, drained } = server
        .burst(WEBHOOKS, load.connections)
        .await
        .with_context(|| format!("could not measure signals of {engine}"))?;
    report.notes.push(format!(
        "{engine}: a burst of {WEBHOOKS} signed webhooks: {} acknowledged, each recorded once; all worked off {:.1} s after the last",
        measured.answers,
        drained.as_secs_f64()
    ));
    push(
        &mut report.rows,
        Row {
            operation: "signals",
            engine,
            beside: None,
            measured,
        },
    );
    let server = server
        .with_certificates()
        .await
        .with_context(|| format!("could not start {engine} with client certificates"))?;
    let measured = server
        .issuance(load)
        .await
        .with_context(|| format!("could not measure issuance over mTLS of {engine}"))?;
    push(
        &mut report.rows,
        Row {
            operation: "issuance, mTLS",
            engine,
            beside: Some(Beside::Plain),
            measured,
        },
    );
    server.stop().await
}

fn push(rows: &mut Vec<Row>, row: Row) {
    let Measured {
        errors,
        generator_cpu,
        seconds,
        ..
    } = &row.measured;
    let busy = generator_cpu / seconds * 100.0;
    eprintln!(
        "bench: {} by {}: {:.0}/s, {errors} errors; the generator used {busy:.0} % of a core",
        row.operation,
        row.engine,
        row.measured.rate()
    );
    rows.push(row);
}

/// Whether a server answers `path` with 2xx; over TLS to a client that has a certificate.
async fn answers(address: SocketAddr, client: Option<&Client>, path: &str) -> bool {
    match Connection::open_as(address, client).await {
        Ok(mut connection) => connection
            .exchange(&request("GET", path, address, &[], b""))
            .await
            .is_ok_and(|reply| reply.is_success()),
        Err(_) => false,
    }
}
