//! Where the server is, who asks, and how answers are printed.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use tenure_api::views::Revised;
use tenure_client::{Builder, Client, ClientError};
use tenure_core::base::time::Timestamp;

use super::failure::Failure;
use super::output::Output;

/// The largest file that is read whole: no feed of people may be larger, and everything else is smaller by far.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection and output")]
pub struct Globals {
    /// The server's base URL.
    #[arg(long, global = true, env = "TENURE_SERVER", value_name = "URL", default_value = "http://localhost:8420")]
    server: String,
    /// The file with the session or operator token; DATA/operator-token if not given. The variable TENURE_TOKEN may
    /// hold the token itself.
    #[arg(long, global = true, env = "TENURE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The data folder, for tokens; TENURE_DATA or ./.tenure if not given.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Certificates in PEM to trust instead of the system's.
    #[arg(long, global = true, env = "TENURE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow http to other machines: tokens cross the network in the clear.
    #[arg(long, global = true)]
    plain_http: bool,
    /// How to print data.
    #[arg(
        short,
        long,
        global = true,
        env = "TENURE_OUTPUT",
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    output: Format,
    /// Show ids, and not the names of what has them.
    #[arg(long, global = true)]
    ids: bool,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// JSON as the API gives it.
    Json,
}

/// What commands work with.
pub struct Context {
    globals: Globals,
    /// The printer of data.
    pub out: Output,
}

/// The revision that a change is meant for: the one that was given, or else what the record is at now.
pub async fn revision_or<T>(
    given: Option<u64>,
    read: impl Future<Output = Result<Revised<T>, ClientError>>,
) -> Result<u64, ClientError> {
    match given {
        Some(revision) => Ok(revision),
        None => Ok(read.await?.revision),
    }
}

/// As [`revision_or`], of a record that may not be there yet.
pub async fn revision_if_any<T>(
    given: Option<u64>,
    read: impl Future<Output = Result<Revised<T>, ClientError>>,
) -> Result<Option<u64>, ClientError> {
    match revision_or(given, read).await {
        Ok(revision) => Ok(Some(revision)),
        Err(error) if error.code() == Some("not_found") => Ok(None),
        Err(error) => Err(error),
    }
}

impl Context {
    /// From the global options.
    pub fn new(globals: Globals) -> Self {
        Self { out: Output::new(&globals.server, globals.output, globals.ids), globals }
    }

    /// The data folder.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is at the edge: it reads its environment and measures"
    )]
    pub fn data(&self) -> PathBuf {
        self.globals
            .data
            .clone()
            .or_else(|| std::env::var_os("TENURE_DATA").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(".tenure"))
    }

    /// A client that stands for the operator.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(self.builder()?.token(self.token()?).build()?)
    }

    /// A client that stands for nobody.
    pub fn anonymous(&self) -> anyhow::Result<Client> {
        Ok(self.builder()?.build()?)
    }

    fn builder(&self) -> anyhow::Result<Builder> {
        let builder = Client::builder(&self.globals.server).plain_http(self.globals.plain_http);
        Ok(match &self.globals.ca_file {
            Some(path) => {
                builder.authorities(std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?)
            }
            None => builder,
        })
    }

    /// The file that `tenure setup` writes.
    pub fn token_path(&self) -> PathBuf {
        self.globals.token_file.clone().unwrap_or_else(|| self.data().join("operator-token"))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is at the edge: it reads its environment and measures"
    )]
    fn token(&self) -> anyhow::Result<String> {
        if let Ok(token) = std::env::var("TENURE_TOKEN") {
            return Ok(token.trim_start_matches('\u{feff}').trim().to_owned());
        }
        let path = self.token_path();
        if !path.exists() {
            return Err(Failure::new(format!("there is no session in {}", path.display()))
                .hint("`tenure login` begins one, `tenure setup` makes the first administrator; else set TENURE_TOKEN, or name a file with --token-file or --data")
                .into());
        }
        read_secret(&path)
    }
}

/// Reads a small file, or standard input for `-`.
pub fn read_input(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
    };
    let size = read.with_context(|| format!("can't read {}", path.display()))?;
    if size as u64 > MAX_FILE {
        return Err(Failure::new(format!("{} is too large", path.display())).into());
    }
    // Editors of some systems begin a text with a byte order mark, which is no part of it.
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        text = rest.to_owned();
    }
    Ok(text)
}

/// Reads a file with a secret, and says so if others can read it as well.
pub fn read_secret(path: &Path) -> anyhow::Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let text = read_input(path)?.trim().to_owned();
    let mode = std::fs::metadata(path).map_or(
        0,
        |metadata| {
            if metadata.is_file() { metadata.permissions().mode() } else { 0 }
        },
    );
    if mode & 0o077 != 0 {
        eprintln!("warning: others can read {0}\nhint: chmod 600 {0}", path.display());
    }
    Ok(text)
}

/// That a new secret can go to this file: asked before the server makes one that nobody would hold.
pub fn must_be_new(path: Option<&Path>) -> anyhow::Result<()> {
    match path {
        Some(path) if path.exists() => Err(Failure::new(format!("{} exists already", path.display()))
            .hint("choose another name: a secret is never overwritten")
            .into()),
        _ => Ok(()),
    }
}

/// Writes a new secret file that only its owner can read; an existing one is never replaced.
pub fn write_new_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("{} exists already", path.display()))
                .hint("choose another name: a secret is never overwritten")
                .into());
        }
        Err(error) => return Err(error).with_context(|| format!("can't write {}", path.display())),
    };
    file.write_all(secret.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .with_context(|| format!("can't write {}", path.display()))
}

/// Writes a secret file that only its owner can read, in the place of one of before: whoever reads it meets the old one
/// or the new one, and never a part.
pub fn replace_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    write_new_secret(&beside, secret)?;
    std::fs::rename(&beside, path).with_context(|| {
        let _ = std::fs::remove_file(&beside);
        format!("can't write {}", path.display())
    })
}

/// Reads JSON in which whole lines may be comments that begin with `//`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read_input(path)?;
    // Blank lines keep the numbers in error messages right.
    let json: String = text
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") })
        .collect();
    serde_json::from_str(&json).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display()))
            .hint("fix the place that is named; `tenure identity charter-template` and `tenure template example` print files that pass once they are filled in")
            .into()
    })
}

/// A word of the API, such as a role.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// Asks before something that concerns many. Without a terminal nobody can be asked.
pub fn confirm(what: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    match ask(&format!("{what}. Go on?")) {
        Some(said) => match said? {
            true => Ok(()),
            false => Err(Failure::new("nothing was done").into()),
        },
        None => Err(Failure::usage(format!("{what}: there is no terminal to ask on")).hint("say --yes").into()),
    }
}

/// Asks on the terminal, where silence is no; none if there is no terminal.
pub fn ask(question: &str) -> Option<anyhow::Result<bool>> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    Some(read.map(|_| matches!(answer.trim(), "y" | "Y" | "yes")).map_err(Into::into))
}

/// Says it, and asks where there is a terminal to ask on; elsewhere it goes on.
///
/// # Errors
/// Somebody said no.
pub fn confirm_on_terminal(what: &str, yes: bool) -> anyhow::Result<()> {
    if !yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return confirm(what, false);
    }
    eprintln!("warning: {what}");
    Ok(())
}

/// The wall clock, for what is only shown or suggested.
#[expect(clippy::disallowed_methods, reason = "the command line suggests dates; it decides nothing by them")]
pub fn today() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
