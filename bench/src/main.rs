//! The bench: Tenure on both engines beside OpenBao, or beside another build of itself, in one run on one machine.

#![expect(clippy::disallowed_methods, reason = "the bench is at the edge: it measures by the machine's clock")]

mod assertion;
mod compare;
mod cpu;
mod discovery;
mod disk;
mod http;
mod inventory;
mod load;
mod logins;
mod openbao;
mod pages;
mod posture;
mod report;
mod signals;
mod stats;
mod tenure;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use self::compare::Comparison;
use self::cpu::Group;
use self::http::{Connection, request};
use self::load::{Load, Measured};
use self::openbao::{OpenBao, Token};
use self::report::{BATCH, Beside, Report, Row, STORED};
use self::tenure::{Scale, Tenure, Work};
use self::tls::Client;
use xtask::peers;
use xtask::postgres::{Durability, Postgres};
use xtask::process::abandoned;
use xtask::workspace::{Workspace, make_folder, must};

const WARM_UP: Duration = Duration::from_secs(2);
const SQLITE: &str = "tenure sqlite";
const POSTGRES: &str = "tenure postgres";
/// Webhooks of the burst.
const WEBHOOKS: usize = 10_000;

/// Measures issuance (plain, with DPoP, over mTLS, by token exchange), introspection, decisions and signals on both
/// engines, beside OpenBao's AppRole login or beside another build of Tenure, in one run.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
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
    /// Show that the bench runs, on a debug build and a moment for each operation; no figures, no peer, nothing is
    /// judged but errors.
    #[arg(long, conflicts_with_all = ["seconds", "compare", "rounds"])]
    smoke: bool,
    /// The binary of another build of Tenure, to be measured in turn with this tree's: each operation's ratio is
    /// judged.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// How often the two builds take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20), requires = "compare")]
    rounds: u8,
    /// A data folder that `tenure-seed` made: how soon it is ready, and how long its lists take, alone and beside
    /// issuance. Nothing else is measured then.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["smoke", "compare", "rounds"])]
    seeded: Option<PathBuf>,
    /// Of that folder, measure the pages of the console and nothing else: the server's time for each, what a browser
    /// transfers with everything, and in how many requests.
    #[arg(long, requires = "seeded")]
    pages: bool,
    /// Of that folder, measure reviews and posture and nothing else: a campaign of 50,000, its reviewer's pages, the nightly
    /// look over everything with issuance beside it, and a right size replayed against 100,000 decisions.
    #[arg(long, requires = "seeded", conflicts_with = "pages")]
    posture: bool,
    /// The database of that folder; SQLite in it if not given.
    #[arg(long, value_name = "URL", requires = "seeded")]
    database: Option<String>,
    /// The public URL that its history was made for.
    #[arg(long, value_name = "URL", requires = "seeded", default_value = "http://localhost:8420")]
    public_url: String,
    /// Seconds to wait at most until it is calm: it verifies its state after a start, and archives what is old.
    #[arg(long, value_name = "SECONDS", requires = "seeded", default_value_t = 1_200)]
    patience: u64,
    /// Measure logins just in time at a PostgreSQL beside OpenBao's database engine, and nothing else: how fast they are
    /// made, and how soon all are gone.
    #[arg(long, conflicts_with_all = ["compare", "rounds", "seeded"])]
    logins: bool,
    /// Measure the first look through a PostgreSQL with so many roles, and through an OpenBao with so many tokens, and
    /// nothing else: how long it takes until each is in the inventory.
    #[arg(long, value_name = "ACCOUNTS", conflicts_with_all = ["compare", "rounds", "seeded", "logins"])]
    discovery: Option<usize>,
    /// The binary to measure; this tree's, built before, if not given.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
    /// Only the peer.
    None,
}

impl Engine {
    /// The engines to measure, by their names in the table.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[SQLITE],
            Self::Postgres => &[POSTGRES],
            Self::Both => &[SQLITE, POSTGRES],
            Self::None => &[],
        }
    }
}

fn main() -> ExitCode {
    bench(&Args::parse()).unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        ExitCode::FAILURE
    })
}

/// Measures and reports. Exit code 1 if any operation had errors, or is slower than the build that it is compared with.
fn bench(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    // One thread: the generator shares two cores with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let with_peer = !args.skip_openbao && !args.smoke && args.compare.is_none() && args.seeded.is_none();
    let peers = peers::for_bench(&workspace, with_peer)?;
    let program = program(&workspace, args)?;
    let folder = Scratch::make(&workspace)?;
    // Interrupted, the servers are killed as what holds them is dropped.
    let (text, json, failed) = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let work = async {
            match (&args.compare, &args.seeded) {
                (_, Some(data)) => seeded(args, &program, data, &folder.0).await,
                (Some(other), None) => compare(args, &program, other, &folder.0).await,
                (None, None) if args.logins => {
                    let peer = with_peer.then(|| peers::openbao(&peers)).transpose()?;
                    let workloads = if args.smoke { 2 } else { 100 };
                    let figures = logins::measure(&program, peer.as_deref(), &folder.0, workloads).await?;
                    Ok((logins::table(&figures), logins::json(&figures), logins::failed(&figures)))
                }
                (None, None) if let Some(count) = args.discovery => {
                    let peer = with_peer.then(|| peers::openbao(&peers)).transpose()?;
                    let figures = discovery::measure(&program, peer.as_deref(), &folder.0, count).await?;
                    Ok((discovery::table(&figures), discovery::json(&figures), false))
                }
                (None, None) => measure(args, &program, with_peer.then_some(peers.as_path()), &folder.0).await,
            }
        };
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("interrupted"),
        }
    })?;
    drop(folder);
    print!("{text}");
    if !args.smoke {
        let path = workspace.target.join("bench.json");
        std::fs::write(&path, serde_json::to_string_pretty(&json)?)?;
        eprintln!("written to {}", path.display());
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The binary to measure, built if none is named.
fn program(workspace: &Workspace, args: &Args) -> Result<PathBuf> {
    if let Some(program) = &args.program {
        return Ok(program.clone());
    }
    if args.engine != Engine::None {
        let profile = if args.smoke { "dev" } else { "release" };
        must(&mut workspace.cargo(["build", "--package", "tenure", "--profile", profile]))?;
    }
    Ok(workspace.target.join(if args.smoke { "debug/tenure" } else { "release/tenure" }))
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

impl Args {
    fn load(&self) -> Load {
        Load {
            connections: usize::from(self.connections),
            warm_up: if self.smoke { Duration::from_millis(100) } else { WARM_UP },
            measured: if self.smoke { Duration::from_millis(300) } else { Duration::from_secs(self.seconds) },
        }
    }

    fn scale(&self) -> Scale {
        match self.smoke {
            true => Scale { workloads: 2, tokens: 4 },
            false => Scale { workloads: 64, tokens: 512 },
        }
    }

    fn report(&self, folder: &Path) -> Result<Report> {
        Ok(Report {
            rows: Vec::new(),
            notes: Vec::new(),
            fdatasync: disk::fdatasync_p50(folder)?,
            connections: usize::from(self.connections),
            seconds: self.seconds,
        })
    }
}

/// Text, JSON, and whether something failed.
type Outcome = (String, Value, bool);

async fn measure(args: &Args, program: &Path, peers: Option<&Path>, folder: &Path) -> Result<Outcome> {
    let mut report = args.report(folder)?;
    if let Some(peers) = peers {
        peer(&peers::openbao(peers)?, folder, args.load(), &mut report.rows).await?;
    }
    for engine in args.engine.names() {
        on(engine, program, args, folder, &mut report).await?;
    }
    let failed = report.rows.iter().any(|row| row.measured.errors > 0);
    if args.smoke {
        return Ok((
            format!("{} operations ran, with{} errors\n", report.rows.len(), if failed { "" } else { "out" }),
            report.json(),
            failed,
        ));
    }
    Ok((report.table(), report.json(), failed))
}

/// Measures a deployment with a history.
async fn seeded(args: &Args, program: &Path, data: &Path, folder: &Path) -> Result<Outcome> {
    let asked = inventory::Asked {
        program,
        data,
        store: args.database.clone(),
        public_url: &args.public_url,
        patience: Duration::from_secs(args.patience),
    };
    if args.pages {
        return pages::measure(&asked).await;
    }
    if args.posture {
        let (table, json) = posture::measure(&asked, folder).await?;
        return Ok((table, json, false));
    }
    let (table, json) = inventory::measure(&asked, &args.report(folder)?).await?;
    Ok((table, json, false))
}

/// Measures two builds in turn: on a machine that changes its speed, only what was measured side by side compares.
async fn compare(args: &Args, program: &Path, other: &Path, folder: &Path) -> Result<Outcome> {
    let mut reports = [Vec::new(), Vec::new()];
    for round in 0..args.rounds {
        // Each goes first as often as the other.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let mut report = args.report(folder)?;
            let (named, program) = if which == 0 { ("this", program) } else { ("other", other) };
            eprintln!("bench: round {} of {}, {named} build", round + 1, args.rounds);
            for engine in args.engine.names() {
                let place = folder.join(format!("{named}-{round}"));
                make_folder(&place)?;
                on(engine, program, args, &place, &mut report).await?;
            }
            if let Some(reports) = reports.get_mut(which) {
                reports.push(report);
            }
        }
    }
    let [this, other] = reports;
    let compared = Comparison::of(&this, &other);
    Ok((compared.table(), compared.json(), compared.is_worse()))
}

/// Measures every operation on one engine, on a server of its own.
async fn on(engine: &'static str, program: &Path, args: &Args, folder: &Path, report: &mut Report) -> Result<()> {
    if engine == SQLITE {
        let server = Tenure::start(program, &folder.join("sqlite"), None, args.scale()).await?;
        return all(server, engine, args, report).await;
    }
    let postgres = Postgres::start(folder, Durability::Durable).await?;
    let family = Group::Family(postgres.pid().context("PostgreSQL is not running")?);
    let server = Tenure::start(program, &folder.join("postgres"), Some((postgres.url(), family)), args.scale()).await?;
    let measured = all(server, engine, args, report).await;
    postgres.stop().await?;
    measured
}

async fn peer(program: &Path, folder: &Path, load: Load, rows: &mut Vec<Row>) -> Result<()> {
    let server = OpenBao::start(program, folder).await?;
    for (token, engine) in [(Token::Stored, STORED), (Token::Batch, BATCH)] {
        let measured = server.login(token, load).await?;
        push(rows, Row { operation: "AppRole login", engine, beside: None, measured });
    }
    server.stop().await
}

async fn all(server: Tenure, engine: &'static str, args: &Args, report: &mut Report) -> Result<()> {
    let load = args.load();
    let webhooks = if args.smoke { 20 } else { WEBHOOKS };
    for (work, operation, beside) in [
        (Work::Issuance, "durable issuance", Some(Beside::Peer)),
        (Work::Dpop, "issuance, DPoP", Some(Beside::Plain)),
        (Work::Exchange, "token exchange", Some(Beside::Plain)),
        (Work::Introspection, "introspection", None),
        (Work::Decision, "decision", None),
    ] {
        let measured =
            server.measure(work, load).await.with_context(|| format!("could not measure {operation} of {engine}"))?;
        push(&mut report.rows, Row { operation, engine, beside, measured });
    }
    let signals::Burst { measured, drained } = server
        .burst(webhooks, load.connections)
        .await
        .with_context(|| format!("could not measure signals of {engine}"))?;
    report.notes.push(format!(
        "{engine}: a burst of {webhooks} signed webhooks: {} acknowledged, each recorded once; all worked off {:.1} s after the last",
        measured.answers,
        drained.as_secs_f64()
    ));
    push(&mut report.rows, Row { operation: "signals", engine, beside: None, measured });
    let server = server
        .with_certificates()
        .await
        .with_context(|| format!("could not start {engine} with client certificates"))?;
    let measured =
        server.issuance(load).await.with_context(|| format!("could not measure issuance over mTLS of {engine}"))?;
    push(&mut report.rows, Row { operation: "issuance, mTLS", engine, beside: Some(Beside::Plain), measured });
    server.stop().await
}

fn push(rows: &mut Vec<Row>, row: Row) {
    let Measured { errors, generator_cpu, seconds, .. } = &row.measured;
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
        Ok(mut connection) => {
            connection.exchange(&request("GET", path, address, &[], b"")).await.is_ok_and(|reply| reply.is_success())
        }
        Err(_) => false,
    }
}
