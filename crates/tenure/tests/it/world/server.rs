//! A running server: in this process with a clock of the test's, or the real binary.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tenure::config::Config;
use tenure_core::base::time::Clock;
use tenure_store::testing::TestPostgres;

use super::Store;
use super::clock::{self, TestClock};

/// What every server of a test is told.
const SETTINGS: [(&str, &str); 3] =
    [("TENURE_LISTEN", "127.0.0.1:0"), ("TENURE_OUTBOUND_ALLOW", "127.0.0.0/8"), ("TENURE_KEY_OVERLAP", "2s")];
/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server runs.
#[derive(Debug, Clone)]
pub enum Host {
    /// The real binary in a process of its own, by the machine's clock: what is killed, read from its output, or met by
    /// others' clients.
    Binary,
    /// Another build of it.
    Program(PathBuf),
    /// Inside this process by that clock: the same wiring (`tenure::server::start`), with no process to start and no
    /// time to wait for.
    Inside(TestClock),
}

impl Host {
    /// Inside this process, by a clock that begins now.
    pub fn inside() -> Self {
        Self::Inside(TestClock::new(TestClock::of_the_machine()))
    }

    /// Makes its time that of this thread's test.
    pub fn is_of_this_thread(&self) {
        clock::set_thread_time(self.clock());
    }

    /// The clock that isn't the machine's.
    pub fn clock(&self) -> Option<TestClock> {
        match self {
            Self::Binary | Self::Program(_) => None,
            Self::Inside(clock) => Some(clock.clone()),
        }
    }
}

/// A running server.
pub struct Server {
    host: Host,
    running: Mutex<Running>,
    pub url: String,
    pub data: tempfile::TempDir,
    said: Arc<Mutex<String>>,
    database: Option<TestPostgres>,
}

enum Running {
    Binary(Child),
    Inside(Inside),
}

/// The thread that serves, until it is told to stop.
struct Inside {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    stopped: mpsc::Receiver<()>,
}

impl Server {
    /// Starts the binary with an empty store of this sort.
    pub fn start(store: Store, environment: &[(&str, &str)]) -> Self {
        let database = (store == Store::Postgres).then(tenure_store::testing::postgres);
        Self::on(&Host::Binary, tempfile::tempdir().unwrap(), database, environment)
    }

    /// Starts a server on what these hold.
    pub fn on(
        host: &Host,
        data: tempfile::TempDir,
        database: Option<TestPostgres>,
        environment: &[(&str, &str)],
    ) -> Self {
        let said = Arc::default();
        let (running, url) =
            Running::start(host, data.path(), database.as_ref().map(TestPostgres::url), environment, &said);
        Self { host: host.clone(), running: Mutex::new(running), url, data, said, database }
    }

    /// Starts a server that was stopped or killed, on the same data and address.
    pub fn restart(&mut self, environment: &[(&str, &str)]) {
        let address = self.address();
        let mut all = vec![("TENURE_LISTEN", address.as_str()), ("TENURE_PUBLIC_URL", self.url.as_str())];
        all.extend_from_slice(environment);
        let (running, _) = Running::start(&self.host, self.data.path(), self.database(), &all, &self.said);
        *self.running.lock().unwrap() = running;
    }

    /// From its next start on it runs like this.
    pub fn goes_on_as(&mut self, host: Host) {
        self.host = host;
    }

    /// The address that it listens on.
    pub fn address(&self) -> String {
        let authority = self.url.split_once("://").unwrap().1;
        authority.replace("localhost", "127.0.0.1")
    }

    /// Asks the server to stop, and waits until it has.
    pub fn stop(&self) {
        match &mut *self.running.lock().unwrap() {
            Running::Binary(child) => {
                assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
                assert!(child.wait().unwrap().success());
            }
            Running::Inside(inside) => {
                drop(inside.stop.take());
                inside.stopped.recv_timeout(PATIENCE).unwrap();
            }
        }
    }

    /// Kills the server as a power cut would. Only a process can be killed.
    pub fn kill(&self) {
        match &mut *self.running.lock().unwrap() {
            Running::Binary(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Running::Inside(_) => panic!("a server inside the test can't be killed: start the binary"),
        }
    }

    /// How much processor time it has taken so far. Only a process has its own.
    pub fn processor_time(&self) -> Duration {
        let Running::Binary(child) = &*self.running.lock().unwrap() else {
            panic!("a server inside the test has no time of its own: start the binary")
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        // The name in parentheses may hold anything; the times are the 14th and 15th field, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The URL of its database, if it is on PostgreSQL.
    pub fn database(&self) -> Option<&str> {
        self.database.as_ref().map(TestPostgres::url)
    }

    /// What it has written to its standard error so far. Only of the binary: what is logged inside a test is the test's
    /// own output.
    pub fn said(&self) -> String {
        assert!(
            matches!(self.host, Host::Binary),
            "the output of a server inside the test is nobody's: start the binary"
        );
        self.said.lock().unwrap().clone()
    }

    /// From its next start on it stands on this database.
    pub fn stands_on(&mut self, database: TestPostgres) {
        self.database = Some(database);
    }

    /// Leaves its database to whoever asks.
    pub fn take_database(&mut self) -> Option<TestPostgres> {
        self.database.take()
    }

    pub fn data(&self) -> PathBuf {
        self.data.path().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Binary(child) = &mut *self.running.lock().unwrap() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn start(
        host: &Host,
        data: &Path,
        database: Option<&str>,
        environment: &[(&str, &str)],
        said: &Arc<Mutex<String>>,
    ) -> (Self, String) {
        match host {
            Host::Binary => Self::launched(Path::new(env!("CARGO_BIN_EXE_tenure")), data, database, environment, said),
            Host::Program(program) => Self::launched(program, data, database, environment, said),
            Host::Inside(clock) => {
                let mut settings: Vec<(String, String)> =
                    SETTINGS.iter().chain(environment).map(|(name, value)| ((*name).into(), (*value).into())).collect();
                settings.push(("TENURE_DATA".into(), data.to_str().unwrap().into()));
                settings.extend(database.map(|url| ("TENURE_STORE".into(), url.into())));
                let config = Config::read(None, settings).unwrap();
                let (inside, url) = Inside::start(config, Arc::new(clock.clone()));
                (Self::Inside(inside), url)
            }
        }
    }

    fn launched(
        program: &Path,
        data: &Path,
        database: Option<&str>,
        environment: &[(&str, &str)],
        said: &Arc<Mutex<String>>,
    ) -> (Self, String) {
        let (child, url) = launch(program, data, database, environment, said);
        (Self::Binary(child), url)
    }
}

impl Inside {
    fn start(config: Config, clock: Arc<dyn Clock>) -> (Self, String) {
        // The second server of a test finds that something logs already.
        let _ = tenure::telemetry::start_log(false);
        let (stop, mut told) = tokio::sync::oneshot::channel();
        let (started, url) = mpsc::channel();
        let (ended, stopped) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let running = tenure::server::start(&config, clock)
                    .await
                    .unwrap_or_else(|error| panic!("the server did not start: {error:#}"));
                started.send(running.url.clone()).unwrap();
                let _ = (&mut told).await;
                running.stop().await;
            });
            drop(runtime);
            let _ = ended.send(());
        });
        let url = url.recv_timeout(PATIENCE).expect("the server starts");
        (Self { stop: Some(stop), stopped }, url)
    }
}

/// The binary, in an environment without settings.
pub fn tenure() -> Command {
    clean(Path::new(env!("CARGO_BIN_EXE_tenure")))
}

/// A program that is told neither what the tests are told nor what somebody set for a server of their own.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TENURE_")) {
        command.env_remove(name);
    }
    command
}

fn launch(
    program: &Path,
    data: &Path,
    database: Option<&str>,
    environment: &[(&str, &str)],
    said: &Arc<Mutex<String>>,
) -> (Child, String) {
    let mut command = clean(program);
    command.arg("server").arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.envs(SETTINGS);
    if let Some(database) = database {
        command.env("TENURE_STORE", database);
    }
    command.envs(environment.iter().copied());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = Arc::clone(said);
    let note = move |line: &str| said.lock().unwrap().push_str(&format!("{line}\n"));
    let mut start = String::new();
    let url = loop {
        let Some(Ok(line)) = lines.next() else { panic!("the server did not start: {start}") };
        note(&line);
        match line.strip_prefix("Tenure serves ") {
            Some(url) => break url.to_owned(),
            None => start.push_str(&format!("{line}\n")),
        }
    };
    let on = move |line: String| {
        eprintln!("server: {line}");
        note(&line);
    };
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(on));
    (child, url)
}
