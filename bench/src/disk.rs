//! How long this disk takes to make a small write durable: the floor of every unbatched commit.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stats::Latencies;

const WRITES: usize = 400;
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Median time of `fdatasync` after appending 4 KiB to a file in `folder`.
pub fn fdatasync_p50(folder: &Path) -> Result<Duration> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path)?;
    let mut latencies = Latencies::default();
    for _ in 0..WRITES {
        file.write_all(&BLOCK)?;
        let start = Instant::now();
        file.sync_data()?;
        latencies.add(start.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(latencies.finish().p50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_measures_something_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fdatasync_p50(folder.path()).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
