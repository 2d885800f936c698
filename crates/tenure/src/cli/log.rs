//! The log: events, checkpoints, proofs, and verification without a server.

mod verification;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tenure_api::log::{DerivedIndex, ExportRange};
use tenure_client::{Export, ListQuery};
use tenure_core::base::id::{ApplicationId, IdentityId, PersonId, ResourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::exceptional::Access;
use tenure_log::{Checkpoint, Expectations, Faults, Hash, SignedPromise, Verified, VerifierKey, verify_inclusion};

use super::context::{Context, read_input, word};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, clean, escaped, line, raw};

/// Follows what happens. An interruption loses no event and repeats none.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure events                       from the first event on
  tenure events --after 4711 -o json  one JSON object a line")]
pub struct Events {
    /// Only what comes behind this index.
    #[arg(long, value_name = "INDEX")]
    after: Option<u64>,
}

impl Events {
    /// Follows.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut events = context.client()?.events(self.after);
        loop {
            let event = events.next().await?;
            if context.out.is_json() {
                line(&escaped(&serde_json::to_string(&event)?))?;
            } else {
                let actor = if event.actor.id.is_empty() { &event.actor.kind } else { &event.actor.id };
                let text = format!(
                    "{:>8}  {}  {}  by {actor}  {}",
                    event.position.index,
                    event.at,
                    event.kind,
                    event.subjects.join(" ")
                );
                line(&clean(&text))?;
            }
        }
    }
}

/// The append-only log of everything that happened.
#[derive(Subcommand)]
#[command(after_help = "\
An auditor keeps the log's key and a checkpoint now and then, and needs nothing else of the server to check an export:

  tenure log key > log.key
  tenure log checkpoint > monday.checkpoint
  tenure log export -f copy.ndjson
  tenure log verify copy.ndjson --key-file log.key --kept monday.checkpoint")]
pub enum Log {
    /// Prints the log's public key.
    Key,
    /// Prints the newest signed checkpoint.
    Checkpoint,
    /// Gets what is committed: all of it, or a segment, which is verified alone as well.
    #[command(after_help = "\
Examples:
  tenure log export -f copy.ndjson
  tenure log export --since 2026-07-01T00:00:00Z --until 2026-10-01T00:00:00Z -f third-quarter.ndjson
  tenure log export --from 4711 -f what-came-since.ndjson")]
    Export {
        /// The file; standard output if not given. It holds personal values: only you can read it.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// From this entry on.
        #[arg(long, value_name = "INDEX")]
        from: Option<u64>,
        /// Only entries before this one.
        #[arg(long, value_name = "INDEX")]
        before: Option<u64>,
        /// From the first entry at or after this time on.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only entries before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Lists what let somebody in besides the ordinary way: join tokens, API keys, operator tokens, recoveries.
    #[command(after_help = "\
Examples:
  tenure log exceptional --all
  tenure log exceptional --access join_token_refused
  tenure log exceptional --identity idn_… -o json")]
    Exceptional {
        /// Only this sort.
        #[arg(long, value_parser = word::<Access>, value_name = "ACCESS", help = sorts())]
        access: Option<Access>,
        /// Only about this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only with this join token, API key, operator token or invitation, by id.
        #[arg(long, value_name = "ID")]
        with: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Tells what happened to somebody or something, and what they did, the newest first.
    #[command(after_help = "\
Examples:
  tenure log timeline billing-exporter
  tenure log timeline --person ada@example.com --limit 100
  tenure log timeline --resource https://orders.internal -o json
  tenure log timeline --id req_…")]
    Timeline(Timeline),
    /// Throws an index away, to be made again: the log's, for which questions about the past wait if the log is long, or
    /// that of records, for which lists by words wait.
    Reindex {
        /// The index of records, and not the log's.
        #[arg(long)]
        records: bool,
    },
    /// Proves that an entry is in the log, and checks the proof.
    Inclusion {
        /// The entry's index.
        index: u64,
        /// The log's key; the server's own word if not given.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Verifies an export without a server. Exit code 1 if anything is wrong with it.
    Verify(Verify),
    /// Has the server hold its database against its log, and names each row that doesn't fit. Exit code 1 if there is
    /// any.
    VerifyState {
        /// Read the log from its first entry on, and not from the newest digest of the state.
        #[arg(long)]
        full: bool,
    },
}

/// `log timeline`.
#[derive(Args)]
pub struct Timeline {
    #[command(flatten)]
    about: About,
    /// How many.
    #[arg(long, default_value_t = 20)]
    limit: u16,
    /// Only before this entry of the log.
    #[arg(long)]
    before: Option<u64>,
}

/// Whose timeline.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct About {
    /// The identity.
    identity: Option<IdentityId>,
    /// A person.
    #[arg(long)]
    person: Option<PersonId>,
    /// An application.
    #[arg(long)]
    application: Option<ApplicationId>,
    /// A resource.
    #[arg(long)]
    resource: Option<ResourceId>,
    /// Anything else that has an id: a request, a vendor, a grant.
    #[arg(long)]
    id: Option<String>,
}

const TIMELINE: &[Column] =
    &[("INDEX", "/position/index"), ("AT", "/at"), ("KIND", "/kind"), ("BY", "/actor/id"), ("ABOUT", "/subjects")];

impl Timeline {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let About { identity, person, application, resource, id } = self.about;
        let (option, subject) = match (identity, person, application, resource) {
            (Some(id), ..) => ("", id.to_string()),
            (_, Some(id), ..) => ("--person ", id.to_string()),
            (_, _, Some(id), _) => ("--application ", id.to_string()),
            (.., Some(id)) => ("--resource ", id.to_string()),
            _ => ("--id ", id.unwrap_or_default()),
        };
        let timeline = context.client()?.timeline(&subject, self.before, self.limit).await?;
        if let Some(before) = timeline.before {
            eprintln!("hint: further back: tenure log timeline {option}{subject} --before {before}");
        }
        context.out.rows(&timeline, &timeline.items, TIMELINE)
    }
}

const EXCEPTIONAL: &[Column] = &[
    ("AT", "/at"),
    ("ACCESS", "/access"),
    ("BY", "/actor/id"),
    ("WITH", "/with"),
    ("IDENTITY", "/identity"),
    ("ALLOWED BY", "/allowed_by"),
    ("REFUSED", "/refused"),
];

/// The sorts of exceptional access, for the help.
fn sorts() -> String {
    let names: Vec<&str> = Access::ALL.iter().map(|access| access.as_str()).collect();
    format!("Only this sort: {}", names.join(", "))
}

const FAULTY_ROWS: &[Column] = &[("KIND", "/kind"), ("ID", "/id"), ("FAULT", "/fault")];

/// `log verify`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure log verify copy.ndjson --key-file log.key
  tenure log verify copy.ndjson --key-file log.key --kept monday.checkpoint --kept friday.checkpoint
  tenure log verify copy.ndjson --key-file log.key --resume copy.state    a large one, to be interrupted
  zstdcat copy.ndjson.zst | tenure log verify - --key-file log.key -o json

It takes a few MiB of memory and all processors, whatever the file's size. docs/reference/log-export.md says what is in the
file and how to verify it by a program of your own.

Each fault has a stable code and, where it can be said, the entry's index. The faults' codes: unreadable, header_malformed,
wrong_origin, unknown_key, bad_signature, size_mismatch, entry_malformed, entry_changed, entry_removed, entry_inserted,
entry_reordered, entries_truncated, leaf_malformed, time_backwards, personal_mismatch, personal_unknown, root_mismatch,
rollback, fork, kept_unusable, promise_unusable, promise_broken.")]
pub struct Verify {
    /// The export; `-` is standard input.
    file: PathBuf,
    /// The log's key, as `tenure log key` printed it; may be given several times.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// A file with the log's keys, one a line.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A witness's key; may be given several times.
    #[arg(long, value_name = "KEY")]
    witness: Vec<String>,
    /// A file with a checkpoint that was kept earlier: the export must continue it; may be given several times.
    #[arg(long, value_name = "FILE")]
    kept: Vec<PathBuf>,
    /// A file with a promise of the log, or a reply that holds one; may be given several times.
    #[arg(long, value_name = "FILE")]
    promise: Vec<PathBuf>,
    /// Goes on from where this file says that it was left off, if there is one, and notes there how far it comes. Deleted
    /// once there is a verdict. What it says was verified isn't verified again: keep it as you keep the key.
    #[arg(long, value_name = "STATE_FILE")]
    resume: Option<PathBuf>,
}

impl Log {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Key => line(&context.anonymous()?.log_key().await?),
            Self::Checkpoint => line(&context.anonymous()?.checkpoint().await?),
            Self::Export { file, from, before, since, until } => {
                let range = ExportRange { from, before, since, until };
                export(context.client()?.export(&range).await?, file).await
            }
            Self::Exceptional { access, identity, with, paging } => {
                let client = context.client()?;
                let query = filtered([
                    ("access", access.map(|access| access.as_str().to_owned())),
                    ("identity", identity.map(|identity| identity.to_string())),
                    ("with", with),
                ]);
                let page = async |query: ListQuery| client.exceptional_accesses(&query).await;
                context.out.list(&paging, query, EXCEPTIONAL, page).await
            }
            Self::Timeline(timeline) => timeline.run(context).await,
            Self::Reindex { records } => {
                let of = if records { DerivedIndex::Records } else { DerivedIndex::Log };
                let reindexed = context.client()?.reindex(of).await?;
                match reindexed.of {
                    DerivedIndex::Log => {
                        eprintln!("the index of {} entries is made again, at some 100,000 a second", reindexed.entries)
                    }
                    DerivedIndex::Records => eprintln!("the index of records is made again, at some 10,000 a second"),
                }
                context.out.record(&reindexed)
            }
            Self::Inclusion { index, key } => inclusion(context, index, key).await,
            Self::Verify(verify) => verify.run(context),
            Self::VerifyState { full } => {
                let report = context.client()?.verify_state(full).await?;
                eprintln!("{} rows were held against {} entries", report.rows, report.entries);
                if report.from > 0 {
                    eprintln!(
                        "the log was read from entry {} on, where its digest ends; --full reads all of it",
                        report.from
                    );
                }
                if report.faults.is_empty() {
                    return context.out.record(&report);
                }
                context.out.rows(&report, &report.faults, FAULTY_ROWS)?;
                let count = report.faults.len() as u64 + report.further;
                Err(
                    Failure::new(format!("{count} row(s) don't fit the log, or what stands beside them doesn't fit them"))
                        .hint("nothing is issued on a row that was altered; restore from a backup, and read what is unreadable with the release that wrote it")
                        .into(),
                )
            }
        }
    }
}

async fn export(mut export: Export, file: Option<PathBuf>) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let Some(path) = file else {
        while let Some(chunk) = export.next_chunk().await? {
            raw(chunk.as_ref())?;
        }
        return Ok(());
    };
    // What stands under the name is whole, or what stood there before.
    let mut partial = path.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = || format!("can't write {}", partial.display());
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).with_context(failed)?;
    while let Some(chunk) = export.next_chunk().await? {
        file.write_all(chunk.as_ref()).with_context(failed)?;
    }
    file.sync_all().with_context(failed)?;
    std::fs::rename(&partial, &path).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("hint: tenure log verify {}", path.display());
    Ok(())
}

async fn inclusion(context: &Context, index: u64, key: Option<String>) -> anyhow::Result<()> {
    let client = context.anonymous()?;
    let pinned = key.is_some();
    let key = match key {
        Some(key) => key,
        None => client.log_key().await?,
    };
    let note = client.checkpoint().await?;
    let signed = Checkpoint::open(&note, &[verifier_key(&key)?])
        .map_err(|error| Failure::new(format!("the checkpoint does not hold: {error}")))?
        .checkpoint;
    let mut proof = client.inclusion(index, signed.size).await?;
    let path: Option<Vec<Hash>> = proof.proof.iter().map(|text| hash(text)).collect();
    let holds = match (hash(&proof.leaf_hash), path) {
        (Some(leaf), Some(path)) => verify_inclusion(&leaf, index, signed.size, &path, &signed.root),
        _ => false,
    };
    if !holds {
        return Err(Failure::new(format!("the server's proof does not show that entry {index} is in its log"))
            .hint("keep the checkpoint: it is evidence")
            .into());
    }
    eprintln!("entry {index} is in the log of {} entries", signed.size);
    warn_unpinned(pinned, "the server itself");
    proof.checkpoint = Some(note);
    context.out.record(&proof)
}

fn hash(text: &str) -> Option<Hash> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl Verify {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut keys = self.key.iter().map(|key| verifier_key(key)).collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(path) = &self.key_file {
            for key in read_input(path)?.lines().map(str::trim).filter(|key| !key.is_empty()) {
                keys.push(verifier_key(key)?);
            }
            if keys.is_empty() {
                return Err(Failure::usage(format!("{} holds no key", path.display())).into());
            }
        }
        let witnesses = self.witness.iter().map(|key| verifier_key(key)).collect::<anyhow::Result<Vec<_>>>()?;
        let kept = self.kept.iter().map(|path| read_input(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let promises = self.promise.iter().map(|path| promise(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let expected =
            Expectations { keys: &keys, witnesses: &witnesses, origin: None, kept: &kept, promises: &promises };
        let verdict = verification::verdict(&self.file, self.resume.as_deref(), &expected)?;
        if keys.is_empty() {
            warn_unpinned(false, "the export itself");
        }
        match verdict {
            Ok(verified) => sound(context, &verified),
            Err(faults) => {
                unsound(context, &faults)?;
                Err(Failure::new(format!("{} is not what the log signed", self.file.display()))
                    .hint("keep this copy: it is evidence")
                    .into())
            }
        }
    }
}

fn sound(context: &Context, verified: &Verified) -> anyhow::Result<()> {
    context.out.record(&json!({
        "result": "sound",
        "origin": verified.origin,
        "shard": verified.shard,
        "first": verified.first,
        "entries": verified.entries,
        "root": URL_SAFE_NO_PAD.encode(verified.root),
        "key": if verified.key_pinned { "given" } else { "taken from the export itself" },
        "personal_values": {"present": verified.personal_present, "erased": verified.erased},
        "witnessed_by": verified.witnessed,
        "continues_kept_checkpoint_of": verified.from_kept,
        "kept_checkpoints_of_other_entries": verified.kept_elsewhere,
        "promises": {"kept": verified.promises_kept, "pending": verified.promises_pending},
    }))
}

fn unsound(context: &Context, faults: &Faults) -> anyhow::Result<()> {
    if !context.out.is_json() {
        faults.list.iter().try_for_each(|fault| line(&clean(&fault.to_string())))?;
        return if faults.further > 0 { line(&format!("and {} more", faults.further)) } else { Ok(()) };
    }
    let list: Vec<Value> = faults
        .list
        .iter()
        .map(|fault| json!({"code": fault.code.as_str(), "entries": fault.entries.as_ref().map(|at| json!({"from": at.start, "below": at.end})), "detail": fault.detail}))
        .collect();
    context.out.record(&json!({"result": "unsound", "faults": list, "further": faults.further}))
}

fn warn_unpinned(pinned: bool, source: &str) {
    if !pinned {
        eprintln!(
            "warning: the key was taken from {source}: that shows what was damaged, not what was forged\nhint: give the log's key with --key, from where you kept it"
        );
    }
}

fn verifier_key(text: &str) -> anyhow::Result<VerifierKey> {
    VerifierKey::parse(text.trim()).map_err(|error| {
        Failure::usage(format!("the key is not one: {error}")).hint("`tenure log key` prints it").into()
    })
}

/// A promise by itself, or in the reply that it came with.
fn promise(path: &Path) -> anyhow::Result<SignedPromise> {
    let text = read_input(path)?;
    let text = text.trim();
    if let Ok(promise) = SignedPromise::parse(text) {
        return Ok(promise);
    }
    let reply: Value = serde_json::from_str(text).unwrap_or_default();
    let held = reply.pointer("/log/promise").or_else(|| reply.get("promise")).and_then(Value::as_str);
    held.and_then(|text| SignedPromise::parse(text).ok()).ok_or_else(|| {
        Failure::usage(format!("{} holds no promise", path.display()))
            .hint("each reply to a change has one, under log.promise")
            .into()
    })
}
