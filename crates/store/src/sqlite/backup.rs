//! A copy of the database as it is at one moment, whole in one file, while a server goes on writing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tenure_core::store::port::Head;

use super::{open, reader};
use crate::error::OpenError;

/// Copies the database into a new file with mode 0600: nothing that was erased, and no key, is in it. Returns the log's
/// head there.
///
/// # Errors
/// The database can't be read, or the file is there already or can't be made.
pub fn back_up(database: &Path, to: &Path) -> Result<Head, OpenError> {
    open::new_private_file(to)?;
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    // Into an empty file; its pages are written anew, so what was erased is not among them.
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|source| OpenError::File { path: to.to_owned(), source })?;
    head_of(to)
}

/// The log's head in a database that nobody has open.
///
/// # Errors
/// It is no database of Tenure's.
pub fn head_of(database: &Path) -> Result<Head, OpenError> {
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    Ok(reader::head(&connection)?)
}

/// Puts a backup in the database's place. What stood there is moved aside, to the database's name with
/// `.before-restore` behind it (then `.before-restore-2` and so on), and returned.
///
/// # Errors
/// A server has the database open, the backup is none, or a file can't be moved or written.
pub fn put_back(backup: &Path, database: &Path) -> Result<Option<std::path::PathBuf>, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    let lock = open::lock(database)?;
    head_of(backup)?;
    let beside = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        std::path::PathBuf::from(name)
    };
    // What an earlier restore moved aside stays: it may be all that is left of what is lost.
    let free = |number: u32| {
        let end = if number == 1 { ".before-restore".to_owned() } else { format!(".before-restore-{number}") };
        Some(beside(&end)).filter(|aside| !aside.exists())
    };
    let aside = if database.exists() { (1..=u32::MAX).find_map(free) } else { None };
    if let Some(aside) = &aside {
        // With its WAL, without which it is not whole.
        for end in ["-wal", "-shm"] {
            let (from, mut to) = (beside(end), aside.as_os_str().to_owned());
            to.push(end);
            match std::fs::rename(&from, &to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&from)(error)),
                _ => {}
            }
        }
        std::fs::rename(database, aside).map_err(failed(database))?;
    }
    open::new_private_file(database)?;
    std::fs::copy(backup, database).map_err(failed(backup))?;
    open::protect(database)?;
    std::fs::File::open(database).and_then(|file| file.sync_all()).map_err(failed(database))?;
    drop(lock);
    Ok(aside)
}
