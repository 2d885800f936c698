//! Makes a deployment with a history, from a seed.

#![expect(clippy::disallowed_methods, reason = "a tool of developers: its rate is measured by the machine's clock")]

use std::io::{IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::Store;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_seed::{History, Report, Stand, generate, in_a_deep_place, root_key};
use tenure_store::{PostgresStore, SqliteStore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes a data folder that `tenure server --data DIR` starts on, with months of history in it.
///
/// The engine itself plays what becomes of an identity, some forty tales in all; each is then told of many others, with
/// other names, ids, times and keys. So what stands there is what the engine would have written. The same history, end
/// and seed make the same log, byte for byte.
///
/// A run that is cut short leaves a folder that is good for nothing: remove it, and begin again.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cargo run -p tenure-seed --release -- --data /tmp/small --history crates/seed/histories/small.toml
  cargo run -p tenure-seed --release -- --data /tmp/bench --history crates/seed/histories/bench.toml --seed 3
  cargo run -p tenure-seed --release -- --data /tmp/pg --database postgres://localhost/tenure --history crates/seed/histories/million-postgres.toml

A history is a small TOML file:
  name = \"mine\"
  days = 180                          # how long it tells of, 30 to 365
  ends = \"2026-11-27T16:00:00Z\"       # left out: it ends when it is made
  identities = 400
  waiting = 20                        # of them, how many wait for their approval at the end
  credentials = 3000                  # at least; their lives come to some by themselves
  live = 0.3                          # the share of the others that is issued in the last minutes
  departments = 6                     # each with ten people and places
  variety = 2                         # how often each tale is played anew, 1 to 16
  checked = true                      # each commit demands what the engine's demanded of the store: slower
  tales = { workload-dormant = 0 }    # how often a tale is told beside the others; 0 is never

Then, with the binary of the product:
  tenure server --data /tmp/small
  tenure identity list --token-file /tmp/small/operator-token")]
struct Args {
    /// The data folder; it is made, and must not hold a root key yet.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The PostgreSQL database, an empty one; SQLite in the data folder if not given.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The history (TOML).
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// What everything made up is made of. Whoever knows it knows every key: for nothing but tests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When the history ends; the file's own end, or now.
    #[arg(long, value_name = "TIME")]
    ends: Option<Timestamp>,
    /// Under which address the server will be reached.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = in_a_deep_place(|| runtime.block_on(run(args))).map_err(anyhow::Error::from).and_then(|done| done);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.history)
        .with_context(|| format!("can't read the history {}", args.history.display()))?;
    let mut history = History::parse(&text)?;
    if let Some(url) = args.public_url {
        history.public_url = url;
    }
    history.ends = args.ends.or(history.ends).or_else(|| Some(now()));
    make_folder(&args.data)?;
    if args.data.join("root-key").exists() {
        bail!("{} holds a deployment already\nhint: name another folder, or remove it", args.data.display());
    }
    write_secret(&args.data.join("root-key"), &format!("{}\n", root_key(args.seed)))?;
    let sealer = Arc::new(RowMac::new(&RootKey::open_file(&args.data.join("root-key"))?));
    let file = args.data.join("tenure.db");
    let store: Arc<dyn Store> = match &args.database {
        None => Arc::new(SqliteStore::open(&file, sealer)?),
        Some(url) => Arc::new(PostgresStore::connect(url, sealer).await.context("can't open the PostgreSQL database")?),
    };
    let mut line = Line::new();
    let report = generate(store.clone(), &history, args.seed, &mut |stand| line.show(stand)).await;
    line.end();
    let report = report?;
    let took = line.told_for();
    drop(store);
    write_secret(&args.data.join("operator-token"), &report.operator_token)?;
    write_secret(&args.data.join("seeded.json"), &serde_json::to_string_pretty(&report.identities)?)?;
    say(&args.data, args.database.as_deref(), args.seed, &file, &report, took);
    Ok(())
}

/// Now, to the minute: so that what is printed of it is short, and can be given again.
fn now() -> Timestamp {
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    Timestamp::from_secs(now.as_secs() / 60 * 60)
}

fn say(data: &Path, database: Option<&str>, seed: u64, file: &Path, report: &Report, took: Duration) {
    println!("{:>12} rows in {:.1} s: {:.0} rows/s", report.rows, took.as_secs_f64(), rate(report.rows, took));
    println!("{:>12} commits", report.commits);
    println!("{:>12} entries of the log", report.entries);
    for (kind, count) in &report.made {
        println!("{count:>12} {kind}");
    }
    println!("{:>12} of the credentials are tokens that live at the end", report.live);
    for (state, count) in &report.states {
        println!("{count:>12} identities are {state}");
    }
    if database.is_none() {
        let bytes: u64 = ["", "-wal"]
            .iter()
            .filter_map(|end| std::fs::metadata(format!("{}{end}", file.display())).ok())
            .map(|metadata| metadata.len())
            .sum();
        println!("{bytes:>12} bytes on disk");
    }
    println!("It ends at {}; the same again: --seed {seed} --ends {}", report.ends, report.ends);
    let store = database.map_or(String::new(), |_| "TENURE_STORE=postgres://… ".to_owned());
    println!("Start it:   {store}tenure server --data {}", data.display());
    println!("Sign in:    Ada Lindqvist's operator token is in {}", data.join("operator-token").display());
    println!("Some identities, with the seeds of their keys: {}", data.join("seeded.json").display());
}

#[expect(clippy::cast_precision_loss, reason = "a rate, to read")]
fn rate(rows: u64, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64().max(0.001)
}

/// The line that says how far it is; none where nobody looks.
struct Line {
    shows: bool,
    begun: Option<Instant>,
    shown: Option<Instant>,
    ended: Option<Instant>,
}

impl Line {
    fn new() -> Self {
        Self { shows: std::io::stderr().is_terminal(), begun: None, shown: None, ended: None }
    }

    fn show(&mut self, stand: Stand) {
        let now = Instant::now();
        if matches!(stand, Stand::Telling(..)) {
            self.begun.get_or_insert(now);
            self.ended = Some(now);
        }
        let often = self.shown.is_some_and(|shown| now - shown < Duration::from_millis(200));
        if !self.shows || often {
            return;
        }
        self.shown = Some(now);
        let text = match stand {
            Stand::Playing(n, all) => format!("the engine plays: {n} of {all} tales"),
            Stand::Telling(rows, all) => {
                let rate = self.begun.map_or(0.0, |begun| rate(rows, now - begun));
                let left = if rate > 0.0 { rate_left(rows, all, rate) } else { 0 };
                let percent = rows.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
                format!("{percent:>3} %  {rows} of {all} rows  {rate:.0} rows/s  {left} s left")
            }
        };
        eprint!("\r\x1b[2K{text}");
        // Whoever closed their terminal doesn't want to know.
        let _ = std::io::stderr().flush();
    }

    fn end(&mut self) {
        if self.shows {
            eprint!("\r\x1b[2K");
        }
        if self.begun.is_some() {
            self.ended = Some(Instant::now());
        }
    }

    fn told_for(&self) -> Duration {
        match (self.begun, self.ended) {
            (Some(begun), Some(ended)) => ended - begun,
            _ => Duration::ZERO,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "seconds that are left, to read"
)]
fn rate_left(rows: u64, all: u64, rate: f64) -> u64 {
    (all.saturating_sub(rows) as f64 / rate) as u64
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("can't make the data folder {}", path.display()))
}

/// Writes what only its owner may read.
fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("can't write {}", path.display()))?;
    file.write_all(secret.as_bytes())?;
    Ok(())
}
