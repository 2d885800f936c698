//! Where checkpoints go: a folder, or a receiver over HTTP. Whoever keeps them can show later that the log was rolled
//! back.

mod folder;
mod receiver;

use tenure_log::{Checkpoint, SignedNote};

pub use folder::FilePush;
pub use receiver::WebhookPush;

/// The digits of an epoch's number that count; what has more is no epoch.
const MAX_DIGITS: usize = 9;

/// The number in the name of an epoch's folder.
fn epoch_in(name: &str) -> Option<u64> {
    let number = name.strip_prefix("epoch-").filter(|number| number.len() <= MAX_DIGITS)?;
    number.parse().ok().filter(|epoch| name_of(*epoch) == name)
}

fn name_of(epoch: u64) -> String {
    format!("epoch-{epoch}")
}

/// The epoch of a log of this origin, which names it from the second on.
fn epoch_of(origin: &str) -> Option<u64> {
    origin.split('/').find_map(epoch_in)
}

fn parse(note: &str) -> Result<Checkpoint, String> {
    let note = SignedNote::parse(note).map_err(|error| error.to_string())?;
    Checkpoint::parse_text(&note.text).map_err(|error| error.to_string())
}
