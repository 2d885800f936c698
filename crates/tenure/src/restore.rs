//! Backups of the embedded database, and putting one back (S-1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Span;
use tenure_core::store::port::Store;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_engine::Begun;
use tenure_engine::log::{epochs, push};
use tenure_engine::people::setup;
use tenure_store::{SqliteStore, back_up, put_back};

use crate::config::Location;
use crate::server::{Offline, configured, hand_out, make_folder, offline, root_key};

/// Copies the database into one file, while the server runs.
///
/// The file holds neither the root key nor anything that was erased. Keep the root key apart from it. On PostgreSQL use
/// pg_dump, or its continuous archiving.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tenure backup --data /var/lib/tenure --out /backup/tenure-monday.db
  tenure backup --config /etc/tenure/tenure.toml --out /backup/tenure-monday.db")]
pub struct BackupArgs {
    /// The configuration file of the server (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Puts a database back to an earlier state, and begins a new epoch: nothing of before is good any more.
///
/// It works on the database itself, with the root key: stop every server first. Access tokens, API keys, sessions,
/// operator tokens, invitations, join tokens and proofs of before are refused from then on, and every signing key is
/// new, the log's too. One administrator gets an invitation, as by `tenure recover`. What was suspended or revoked, and
/// who left, after the restored state stands as before it: look at the page on restoring.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tenure restore --data /var/lib/tenure --from /backup/tenure-monday.db
  tenure restore --config /etc/tenure/tenure.toml --new-epoch      # the database was put back by other means, such as pg_restore")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["from", "new_epoch"]))]
pub struct RestoreArgs {
    /// The configuration file of the server (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The backup to put in the database's place, which is moved aside.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Begin a new epoch on the database as it is.
    #[arg(long)]
    new_epoch: bool,
    /// Who becomes administrator again; any active administrator if not given.
    #[arg(long, value_name = "PERSON")]
    person: Option<PersonId>,
}

/// Makes a backup.
pub fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let config = configured(args.config.as_deref(), args.data)?;
    let Location::Sqlite(database) = config.location()? else {
        bail!(
            "the database is PostgreSQL\nhint: make its backups with pg_dump or by archiving its WAL; after pg_restore run `tenure restore --new-epoch`"
        );
    };
    if !database.exists() {
        bail!("there is no database at {}\nhint: name the server's --data or --config", database.display());
    }
    let head = back_up(&database, &args.out)
        .with_context(|| format!("can't back up {} to {}", database.display(), args.out.display()))?;
    eprintln!("{}: {} entries, until {}", args.out.display(), head.size, head.last_at);
    eprintln!(
        "hint: the root key is not in it; keep that apart, and try `tenure restore --from` on another machine now and then"
    );
    Ok(())
}

/// Puts a database back.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let config = configured(args.config.as_deref(), args.data)?;
    let root = root_key(&config, false)?;
    if let Some(backup) = &args.from {
        let Location::Sqlite(database) = config.location()? else {
            bail!(
                "the database is PostgreSQL\nhint: put it back with pg_restore, then run `tenure restore --new-epoch`"
            );
        };
        let copy = Copy::checked(backup, &database, &root)
            .await
            .with_context(|| format!("{} can't be restored here; nothing was changed", backup.display()))?;
        let aside = put_back(&copy.file(), &database)
            .with_context(|| format!("can't put {} in the place of {}", backup.display(), database.display()))?;
        if let Some(aside) = aside {
            eprintln!("what stood there is in {}", aside.display());
        }
    }
    let Offline { engine, url } = offline(&config, root).await?;
    let begun = epochs::begin_epoch(&engine).await?;
    tell(&begun);
    let recovered = setup::recover_administrator(&engine, args.person).await?;
    push::hand_over_checkpoint(&engine).await;
    hand_out(&config, &url, &recovered)
}

/// What is put back: a copy of the backup as it was checked, with what its WAL holds, in a folder that goes with this.
struct Copy(PathBuf);

impl Copy {
    /// Refuses a backup of another deployment, or for another root key, before it takes anything's place.
    async fn checked(backup: &Path, database: &Path, root: &RootKey) -> anyhow::Result<Self> {
        let mut folder = database.as_os_str().to_owned();
        folder.push(".to-restore");
        let copy = Self(PathBuf::from(folder));
        let _ = std::fs::remove_dir_all(&copy.0);
        make_folder(&copy.0)?;
        back_up(backup, &copy.file())?;
        // Opening a database may change it.
        let tried = copy.0.join("tried.db");
        back_up(&copy.file(), &tried)?;
        let store = SqliteStore::open(&tried, Arc::new(RowMac::new(root)))?;
        // Its MAC is checked as it is read.
        let deployment = store.load(&[RowKey::new(RowKind::Deployment, "this")]).await;
        let deployment = deployment
            .context("it is of another deployment, or the root key is another one than that it was made with")?;
        if deployment.rows.iter().all(Option::is_none) {
            bail!("no deployment was set up in it");
        }
        Ok(copy)
    }

    fn file(&self) -> PathBuf {
        self.0.join("copy.db")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What has begun, and what whoever restored has to do now.
fn tell(begun: &Begun) {
    for (place, epochs) in &begun.kept.found {
        let numbers: Vec<_> = epochs.iter().map(u64::to_string).collect();
        eprintln!("{place} keeps checkpoints of later epochs: {}", numbers.join(", "));
    }
    for (place, why) in &begun.kept.unread {
        eprintln!(
            "{place} can't be read: {why}\nhint: if it keeps checkpoints of epoch {} or later ones, restore again once it can be read, or the server will find itself contradicted",
            begun.number
        );
    }
    match &begun.ended {
        Some(ended) => {
            let lost = ended.kept_entries.saturating_sub(begun.entries.min(ended.entries));
            eprintln!(
                "the log had {} entries where {} keeps a checkpoint of {} (epoch {}): {lost} or more are lost, maybe suspensions, revocations and departures among them",
                ended.entries, ended.kept_at, ended.kept_entries, ended.kept_epoch
            );
        }
        None => eprintln!(
            "no checkpoint that is kept outside says how much is lost after the {} entries that are here",
            begun.entries
        ),
    }
    eprintln!(
        "epoch {} has begun: everything that was issued before is refused, and {} environments have new keys",
        begun.number, begun.environments
    );
    eprintln!(
        "hint: before you start the server, read docs/operations/restore.md: what was suspended, revoked, or who left in what is lost has to be done again; \
         workloads need clocks within {} of the server's to prove themselves anew",
        Span::from_secs(60)
    );
}
