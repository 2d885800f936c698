//! Wiring: opens the store, makes the engine, serves, and runs the workers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tenure_api::sign_in::Recovered;
use tenure_connectors::Builtin;
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::store::port::Store;
use tenure_credentials::entropy::OsEntropy;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_engine::kernel::outbound::Push;
use tenure_engine::kernel::{epoch, keys, refresh};
use tenure_engine::log::{epochs, places, push};
use tenure_engine::people::setup;
use tenure_engine::{Kernel, Ports, Settings, run};
use tenure_outbound::Outbound;
use tenure_policy::{CedarPolicy, Loader, Solver};
use tenure_server::outbound::{DocumentFetch, FilePush, WebhookPush};
use tenure_server::{Clients, Listener, Places, Proxies, ServeError, Tls};
use tenure_store::{PostgresStore, SqliteStore};
use tokio::sync::watch;

use crate::config::{Config, Listen, Location, Role, networks};
use crate::telemetry;

/// Runs the server.
///
/// On the first start it makes its data folder (mode 0700) with a root key (mode 0600), an SQLite database and a file
/// `setup-token`, with which `tenure setup` makes the first administrator within 15 minutes.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Settings (file key, variable):
  listen           TENURE_LISTEN            address, default localhost:8420 (127.0.0.1 and ::1)
  public_url       TENURE_PUBLIC_URL        base URL for clients
  role             TENURE_ROLE              all (default), api or worker: of several processes on one PostgreSQL database
  data             TENURE_DATA              folder, default .tenure
  store            TENURE_STORE             sqlite:PATH or postgres://…
  root_key_file    TENURE_ROOT_KEY_FILE     default DATA/root-key
                   TENURE_ROOT_KEY          the key itself, 32 bytes as hex or base64url
  tls.certificate  TENURE_TLS_CERTIFICATE   PEM chain
  tls.key          TENURE_TLS_KEY           PEM key
  mtls_listen      TENURE_MTLS_LISTEN       address of a second listener, which asks for client certificates
  mtls_public_url  TENURE_MTLS_PUBLIC_URL   base URL for clients of that one
  tls_in_front     TENURE_TLS_IN_FRONT      a proxy terminates TLS; needs trusted_proxies
  trusted_proxies  TENURE_TRUSTED_PROXIES   their addresses, CIDRs: what they say of whom they forward is believed
  proxy_source     TENURE_PROXY_SOURCE      how they say it: x-forwarded-for (default), forwarded, proxy-protocol (v2)
  outbound_allow   TENURE_OUTBOUND_ALLOW    private networks that may be fetched from, CIDRs
  checkpoint_push  TENURE_CHECKPOINT_PUSH   folders or URLs that get each checkpoint
  mail.host        TENURE_MAIL_HOST         mail server by which people are notified
  mail.port        TENURE_MAIL_PORT         default 587, 465 or 25, by mail.tls
  mail.from        TENURE_MAIL_FROM         sender's address
  mail.username    TENURE_MAIL_USERNAME     name to sign in with
  mail.password_file  TENURE_MAIL_PASSWORD_FILE  its password
                   TENURE_MAIL_PASSWORD     the password itself
  mail.tls         TENURE_MAIL_TLS          starttls (default), implicit, or none on this machine
  webhook.url      TENURE_WEBHOOK_URL       receiver that is told of every notice
  webhook.secret_file  TENURE_WEBHOOK_SECRET_FILE  what signs: whsec_…
                   TENURE_WEBHOOK_SECRET    the secret itself
  issuance_budget  TENURE_ISSUANCE_BUDGET   credentials of one identity in a minute
  write_budget     TENURE_WRITE_BUDGET      changes of one person in a minute, default 6000
  write_budget_kib TENURE_WRITE_BUDGET_KIB  what they add to the database in a minute, in KiB, default 32768
  refusal_budget   TENURE_REFUSAL_BUDGET    refusals of one caller recorded one by one in a minute
  key_overlap      TENURE_KEY_OVERLAP       how long a new key is published before it signs, e.g. 5m
  request_open_for        TENURE_REQUEST_OPEN_FOR        how long a request stays open, default 7d
  request_remind_after    TENURE_REQUEST_REMIND_AFTER    when its approvers are reminded, default 1d
  request_escalate_after  TENURE_REQUEST_ESCALATE_AFTER  when others are told that nobody answers, default 3d
  solver           TENURE_SOLVER            cvc5, which analyses proposed policy sets
  early_review     TENURE_EARLY_REVIEW      when a person's new access lapses without a review, e.g. 30d
  review_within    TENURE_REVIEW_WITHIN     how long a review may take before its identity is suspended, e.g. 14d
  rotation_review  TENURE_ROTATION_REVIEW   how closely an identity is looked at after a rotation: by_tier, light or full
  transfer_window  TENURE_TRANSFER_WINDOW   how long an identity goes on without its owner, default 7d
  lapsed_grace     TENURE_LAPSED_GRACE      how long one that nobody took stays suspended before it retires, default 30d
  removal_hold     TENURE_REMOVAL_HOLD      how long what a removal holds can be released before it retires, default 7d
  new_context      TENURE_NEW_CONTEXT       what becomes of agents, vendors' integrations and shared identities in a new context:
                                            note, reapprove (default) or hold
  use_daily_for    TENURE_USE_DAILY_FOR     how long it is kept how often identities were used, by the day, default 90d
  use_monthly_for  TENURE_USE_MONTHLY_FOR   and by the month, default 396d
  archive_after    TENURE_ARCHIVE_AFTER     how old the log's entries get before they are compressed, default 30d
  erase_departed_after  TENURE_ERASE_DEPARTED_AFTER  how long names of people who left are kept, for ever if not set
  review_every     TENURE_REVIEW_EVERY      how often every identity is reviewed, in place of 30d or 90d by its risk tier
  dormant_after    TENURE_DORMANT_AFTER     how long any identity may go unused, in place of 30d or 60d by its risk tier
  hold_findings    TENURE_HOLD_FINDINGS     rules of posture whose breach suspends the identity, e.g. wildcard-scope,orphaned
  json_logs        TENURE_JSON_LOGS         log as JSON; TENURE_LOG=debug says more
  otlp_endpoint    TENURE_OTLP_ENDPOINT     collector that gets spans by OTLP over HTTP, e.g. http://127.0.0.1:4318

Examples:
  tenure server
  tenure server --data /var/lib/tenure --listen localhost:8420
  TENURE_STORE=postgres://tenure@db/tenure tenure server --config /etc/tenure/tenure.toml
  tenure server --role worker --config /etc/tenure/tenure.toml")]
pub struct Args {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What this process does: everything, the API, or what falls due.
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address to listen on, or localhost:PORT for both of this machine; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Listen>,
}

/// The system's clocks.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }

    fn monotonic(&self) -> Span {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Span::from_micros(now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000))
    }
}

/// A server that runs inside this process.
pub struct Running {
    /// The base URL; of a worker, where its own health is.
    pub url: String,
    /// The base URL at which client certificates are asked for, if there is one.
    pub mtls_url: Option<String>,
    /// The file with the set-up token, if set-up was not done yet.
    pub setup_token: Option<PathBuf>,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Lets requests that are under way finish, then stops.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task failed");
            }
        }
    }
}

/// Runs until a signal comes.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = configured(args.config.as_deref(), args.data)?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(role) = args.role {
        config.role = role;
    }
    let telemetry = telemetry::start(&config)?;
    raise_file_limit();
    let running = start(&config, Arc::new(SystemClock)).await?;
    if let Some(path) = &running.setup_token {
        eprintln!("the set-up token is in {} for 15 minutes", path.display());
        eprintln!(
            "hint: run `tenure setup --data {} --server {} --name \"Your Name\"`",
            config.data.display(),
            running.url
        );
    }
    if let Some(url) = &running.mtls_url {
        eprintln!("and, for clients with certificates, {url}");
    }
    if !config.role.serves() {
        eprintln!("Tenure works off what falls due, and tells of its own health:");
    }
    eprintln!("Tenure serves {}", running.url);
    terminated().await?;
    eprintln!("stopping");
    running.stop().await;
    telemetry.stop().await;
    Ok(())
}

/// Takes as many open files as the system allows: the usual limit of 1,024 is less than the connections that are served
/// at once.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = limit.current, "the number of open files stays limited");
    }
}

/// Waits until the process is asked to stop.
pub async fn terminated() -> anyhow::Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Opens everything and serves in the background, with the time that `clock` tells.
///
/// # Errors
/// The configuration, the store, or an address can't be used.
pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Running> {
    config.check_exposure()?;
    config.check_role()?;
    if config.solver.is_some() && !Solver::BUILT_IN {
        bail!(
            "`solver` is set, and this build can't ask one\nhint: use a release, or build with `cargo build --release --features solver`"
        );
    }
    telemetry::check(config)?;
    let proxies = Arc::new(Proxies {
        trusted: networks("trusted_proxies", &config.trusted_proxies)?,
        source: config.proxy_source,
    });
    make_folder(&config.data)?;
    // A new key would be none of a database that exists.
    let exists = matches!(config.location()?, Location::Sqlite(database) if database.exists());
    // A worker works for a deployment that somebody has set up.
    let root = root_key(config, !exists && config.role.serves())?;
    let store = open_store(config, &root).await?;
    let tls = config.tls.as_ref().map(|tls| Tls { certificate: tls.certificate.clone(), key: tls.key.clone() });
    let listeners = bind(config.listen, tls.as_ref()).await?;
    let address = listeners.first().context("nothing is listened on")?.address()?;
    let mutual = match config.mtls_listen.filter(|_| config.role.serves()) {
        Some(address) => Some(Listener::bind(address, tls.as_ref(), Clients::Certificates).await?),
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = public_url(config, scheme, address, &*store).await?;
    let outbound = Arc::new(Outbound::new(config.outbound_networks()?));
    let mtls_url = match (&mutual, &config.mtls_public_url) {
        (None, _) => None,
        (Some(_), Some(url)) => Some(checked_url(url)?),
        (Some(mutual), None) => Some(format!("https://{}", mutual.address()?)),
    };
    let engine = Arc::new(build(config, &url, mtls_url.clone(), store, root, &outbound, Arc::clone(&clock))?);
    keys::recover(&engine).await?;
    places::keep_checkpoints_at(&engine, &checkpoint_places(config, &outbound)?).await?;
    let offered = if config.role.serves() { setup::offer_setup(&engine).await? } else { None };
    let setup_token = match offered {
        Some(token) => {
            let path = config.data.join("setup-token");
            write_secret(&path, token.expose())?;
            Some(path)
        }
        None => {
            if config.role.serves() {
                // Spent: what is left of it would only puzzle whoever finds it.
                let _ = std::fs::remove_file(config.data.join("setup-token"));
            }
            None
        }
    };
    let channels = match config.role.works() {
        true => crate::channels::configured(config, &outbound, &url, &clock)?,
        false => Vec::new(),
    };
    let (stop, stopped) = watch::channel(false);
    let router = if config.role.serves() {
        tenure_server::router(Arc::clone(&engine))
    } else {
        tenure_server::worker_router(Arc::clone(&engine))
    };
    #[cfg(feature = "otlp")]
    let router = match config.otlp_endpoint {
        Some(_) => crate::otlp::continuing(router),
        None => router,
    };
    let places = Places::default();
    let serve = |listener| {
        let (proxies, places) = (Arc::clone(&proxies), places.clone());
        tokio::spawn(tenure_server::serve(listener, router.clone(), proxies, places, stopped.clone()))
    };
    let mut tasks: Vec<_> = listeners.into_iter().chain(mutual).map(serve).collect();
    tasks.push(tokio::spawn(run::keep(Arc::clone(&engine), stopped.clone())));
    if config.role.works() {
        tasks.push(tokio::spawn(run::work(engine, channels, stopped)));
    }
    Ok(Running {
        url: if config.role.serves() { url } else { format!("{scheme}://{address}") },
        mtls_url,
        setup_token,
        stop,
        tasks,
    })
}

/// Listens where it is said. Under the name of this machine that is both of its addresses: whoever listened on the
/// other one would get what clients send to the server.
async fn bind(listen: Listen, tls: Option<&Tls>) -> anyhow::Result<Vec<Listener>> {
    let port = match listen {
        Listen::Address(address) => return Ok(vec![Listener::bind(address, tls, Clients::Anonymous).await?]),
        Listen::Localhost(port) => port,
    };
    let mut tries = 0;
    loop {
        let first = Listener::bind((Ipv4Addr::LOCALHOST, port).into(), tls, Clients::Anonymous).await?;
        let chosen = first.address()?.port();
        match Listener::bind((Ipv6Addr::LOCALHOST, chosen).into(), tls, Clients::Anonymous).await {
            Ok(second) => return Ok(vec![first, second]),
            // A machine without IPv6 has one address.
            Err(ServeError::Bind { source, .. }) if has_no_ipv6(&source) => return Ok(vec![first]),
            // A port of the system's choice may be taken on the other side.
            Err(ServeError::Bind { source, .. })
                if port == 0 && tries < 16 && source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                tries += 1
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_no_ipv6(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// The base URL for clients: as configured, or else by where the server listens. A deployment that was set up under an
/// address of this machine keeps that, since its issuer identifiers begin with it.
async fn public_url(config: &Config, scheme: &str, address: SocketAddr, store: &dyn Store) -> anyhow::Result<String> {
    if let Some(url) = &config.public_url {
        return checked_url(url);
    }
    let authority = match config.listen {
        Listen::Address(_) => address.to_string(),
        Listen::Localhost(_) => {
            let by_name = format!("localhost:{}", address.port());
            let by_address = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
                .map(|ip| SocketAddr::new(ip, address.port()).to_string());
            let set_up_as = tenure_engine::people::setup::set_up_as(store).await?;
            set_up_as.filter(|known| by_address.contains(known)).unwrap_or(by_name)
        }
    };
    Ok(format!("{scheme}://{authority}"))
}

fn build(
    config: &Config,
    url: &str,
    mtls_url: Option<String>,
    store: Arc<dyn Store>,
    root: RootKey,
    outbound: &Arc<Outbound>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Kernel> {
    Ok(Kernel::new(
        Ports {
            store,
            policy: Arc::new(
                CedarPolicy::default_set()
                    .map_err(|error| anyhow::anyhow!("the default policies are broken: {error}"))?,
            ),
            policies: Arc::new(Loader),
            connectors: Arc::new(Builtin::new(outbound, &clock)),
            clock,
            entropy: Arc::new(OsEntropy),
            fetch: Arc::new(DocumentFetch::new(Arc::clone(outbound))),
            root,
        },
        Settings {
            public_url: url.to_owned(),
            mtls_url,
            issuance_budget: config.issuance_budget,
            write_budget: config.write_budget,
            write_budget_kib: config.write_budget_kib,
            refusal_budget: config.refusal_budget,
            key_overlap: config.key_overlap,
            request_open_for: config.request_open_for,
            request_remind_after: config.request_remind_after,
            request_escalate_after: config.request_escalate_after,
            solver: config.solver.clone(),
            early_review: config.early_review,
            review_within: config.review_within,
            rotation_review: config.rotation_review,
            transfer_window: config.transfer_window,
            lapsed_grace: config.lapsed_grace,
            removal_hold: config.removal_hold,
            new_context: config.new_context,
            use_daily_for: config.use_daily_for,
            use_monthly_for: config.use_monthly_for,
            archive_after: config.archive_after,
            erase_departed_after: config.erase_departed_after,
            scratch: config.data.clone(),
            dormant_after: config.dormant_after,
            review_every: config.review_every,
            hold_findings: config.hold_findings()?,
            ..Settings::default()
        },
    ))
}

/// Gives a deployment an administrator back who can act, by an invitation that replaces the sign-ins which they lost.
///
/// It works on the database itself, with the root key, and not through the server: stop a server on SQLite first. The
/// log records it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tenure recover --data /var/lib/tenure
  tenure recover --config /etc/tenure/tenure.toml --person per_…")]
pub struct RecoverArgs {
    /// The configuration file of the server (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Who becomes administrator again; any active administrator if not given.
    #[arg(long, value_name = "PERSON")]
    person: Option<tenure_core::base::id::PersonId>,
}

/// Recovers, and leaves the invitation in `invitation` of the data folder; while nobody signs in, a token in
/// `operator-token` too.
pub async fn recover(args: RecoverArgs) -> anyhow::Result<()> {
    let config = configured(args.config.as_deref(), args.data)?;
    let root = root_key(&config, false)?;
    let Offline { engine, url } = offline(&config, root).await?;
    if epoch::is_contradicted(&engine) {
        let begun = epochs::begin_epoch(&engine).await?;
        eprintln!(
            "a checkpoint outside contradicted the log: epoch {} has begun, and everything that was issued before is refused",
            begun.number
        );
    }
    let done = setup::recover_administrator(&engine, args.person).await?;
    push::hand_over_checkpoint(&engine).await;
    hand_out(&config, &url, &done)
}

/// The configuration of a server, with another data folder where one is named.
pub(crate) fn configured(file: Option<&Path>, data: Option<PathBuf>) -> anyhow::Result<Config> {
    let mut config = Config::read(file, std::env::vars())?;
    if let Some(data) = data {
        config.data = data;
    }
    Ok(config)
}

/// A deployment that is worked on without its server.
pub(crate) struct Offline {
    pub engine: Kernel,
    /// The base URL of its server.
    pub url: String,
}

/// Opens a deployment's database without serving it, and holds its log against the checkpoints that are kept of it.
pub(crate) async fn offline(config: &Config, root: RootKey) -> anyhow::Result<Offline> {
    let store = open_store(config, &root).await?;
    let outbound = Arc::new(Outbound::new(Vec::new()));
    let address = match config.listen {
        Listen::Address(address) => address,
        Listen::Localhost(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = public_url(config, scheme, address, &*store).await?;
    let engine = build(config, &url, None, store, root, &outbound, Arc::new(SystemClock))?;
    refresh::catch_up(&engine).await?;
    places::keep_checkpoints_at(&engine, &checkpoint_places(config, &outbound)?).await?;
    Ok(Offline { engine, url })
}

/// Leaves in the data folder what a recovered administrator comes in with.
pub(crate) fn hand_out(config: &Config, url: &str, done: &Recovered) -> anyhow::Result<()> {
    eprintln!("{} administers again", done.person.id);
    if let Some(token) = &done.operator_token {
        let target = config.data.join("operator-token");
        write_secret(&target, token)?;
        eprintln!("nobody signs in here yet: an operator token for 8h is in {}", target.display());
    }
    let target = config.data.join("invitation");
    write_secret(&target, &done.invitation)?;
    eprintln!(
        "an invitation is in {} until {}\nhint: enter it on {url}/sign-in; the sign-ins that they had end with its use",
        target.display(),
        done.expires_at
    );
    Ok(())
}

fn checked_url(url: &str) -> anyhow::Result<String> {
    let good = url.starts_with("https://") || url.starts_with("http://");
    if !good || url.ends_with('/') || url.contains(['?', '#', ' ']) {
        bail!("`public_url` has to be an http(s) URL without a slash at its end, e.g. https://tenure.example.com");
    }
    Ok(url.to_owned())
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("can't make the data folder {}", path.display()))
}

/// The root key from the environment or its file; the file is made only if `create` says so.
#[expect(clippy::disallowed_methods, reason = "the binary's configuration: settings are read here, and handed in")]
pub(crate) fn root_key(config: &Config, create: bool) -> anyhow::Result<RootKey> {
    if let Ok(text) = std::env::var("TENURE_ROOT_KEY") {
        return RootKey::from_text(&text).context("TENURE_ROOT_KEY is no root key");
    }
    let path = config.root_key_file.clone().unwrap_or_else(|| config.data.join("root-key"));
    let key = if create { RootKey::open_or_create_file(&path, &OsEntropy) } else { RootKey::open_file(&path) };
    key.with_context(|| {
        format!(
            "can't use the root key {}\nhint: every process of a deployment has the same one: TENURE_ROOT_KEY_FILE, or TENURE_ROOT_KEY",
            path.display()
        )
    })
}

async fn open_store(config: &Config, root: &RootKey) -> anyhow::Result<Arc<dyn Store>> {
    let sealer = Arc::new(RowMac::new(root));
    Ok(match config.location()? {
        Location::Sqlite(path) => Arc::new(
            SqliteStore::open(&path, sealer).with_context(|| format!("can't open the database {}", path.display()))?,
        ),
        Location::Postgres(url) => {
            Arc::new(PostgresStore::connect(&url, sealer).await.context("can't open the PostgreSQL database")?)
        }
    })
}

/// Where checkpoints are kept: beside the database, so that an older copy of it is noticed, and where the operator
/// says.
fn checkpoint_places(config: &Config, outbound: &Arc<Outbound>) -> anyhow::Result<Vec<Arc<dyn Push>>> {
    let mut places: Vec<Arc<dyn Push>> = vec![Arc::new(FilePush::newest_only(&config.data))];
    for place in &config.checkpoint_push {
        if place.starts_with("http://") || place.starts_with("https://") {
            places.push(Arc::new(WebhookPush::new(Arc::clone(outbound), place)?));
        } else {
            places.push(Arc::new(FilePush::new(place)));
        }
    }
    Ok(places)
}

/// Writes a secret so that only its owner can read it; what stood there is replaced.
pub fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("can't write {}", temporary.display()))?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path).with_context(|| format!("can't write {}", path.display()))
}
