//! Words of the server, the log and the demo.

words! {
    SYSTEM_LEAD = "How this server does, what of its notices is undelivered, and the configuration in force. No secret stands here.";
    LOG_ENTRIES = "Entries of the log";
    SEALED = "Under a signed checkpoint";
    INDEXED = "In its index";
    EPOCH = "Epoch";
    STATE_VERIFIED = "State held against the log";
    NOT_SINCE_START = "not since the start";
    IS_IT_WELL = "Is it well?";
    WELL = "well";
    LOOK_AT_IT = "look at it";
    THE_CLOCK = "Clock";
    THE_DISK = "Disk";
    CHECKPOINTS = "Checkpoints kept outside";
    OUTSIDE = "What is kept outside";
    THE_STATE = "State";
    THE_SEAL = "Sealing";
    THE_INDEX = "Index of the log";
    NOTICES = "Notices";
    NO_CHANNELS = "nobody is notified: neither mail nor a webhook was ever configured";
    UNDELIVERED = "Undelivered";
    CONFIGURATION = "Configuration in force";
    NOT_SET = "not set";
}

/// What is well of the clock, and what isn't.
pub const CLOCK_SAYS: [&str; 2] = ["relied on", "it stepped: nothing is issued until it is relied on again"];

/// What is well of the disk, and what isn't.
pub const DISK_SAYS: [&str; 2] = ["there is room", "full: only what takes authority away is written"];

/// What is well of the places that keep checkpoints, and what isn't.
pub const CHECKPOINTS_SAY: [&str; 2] =
    ["every place that is configured keeps them", "a place doesn’t: a rollback would not be noticed there"];

/// What is well of what is kept outside, and what isn't.
pub const OUTSIDE_SAYS: [&str; 2] =
    ["nothing contradicts the log", "a checkpoint contradicts the log: nothing is issued until a new epoch begins"];

/// What is well of the state, and what isn't.
pub const STATE_SAYS: [&str; 2] = ["its rows are what the log says", "rows aren’t what the log says: see the findings"];

/// What is well of sealing, and what isn't.
pub const SEAL_SAYS: [&str; 2] = ["follows the log", "many entries wait for a signed checkpoint"];

/// What is well of the index, and what isn't.
pub const INDEX_SAYS: [&str; 2] = ["follows the log", "it is being made: timelines wait for it"];

/// How much somebody may do in a minute.
pub fn a_minute_each(count: u32) -> String {
    format!("{count} a minute")
}
