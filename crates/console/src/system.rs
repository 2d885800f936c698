//! How the server does: its health, what is delivered and what isn't, and the configuration in force, which holds no
//! secret.

use tenure_api::notices::{ChannelView, DeliveryView};
use tenure_api::views::{Names, Page};
use tenure_core::base::time::Timestamp;

use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::records::Named;
use crate::sheet::{Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;
use crate::when::When;

/// What is known of the server's health.
pub struct Health {
    /// Entries of the log.
    pub entries: u64,
    /// Entries under the newest signed checkpoint.
    pub sealed: u64,
    /// Entries that the log's index covers.
    pub indexed: u64,
    /// Whether the clock is relied on.
    pub clock_is_reliable: bool,
    /// Whether the database's disk is full.
    pub disk_is_full: bool,
    /// Whether a checkpoint that is kept outside contradicts the log.
    pub is_contradicted: bool,
    /// Places that don't keep the log's checkpoints.
    pub failing_places: usize,
    /// Rows that weren't what the log says when the state was last held against it.
    pub faults: u64,
    /// When that was; nothing if not since the start.
    pub verified_at: Option<Timestamp>,
    /// The number of the epoch.
    pub epoch: u64,
    /// Holds in force, by the sort of scope.
    pub holds: Vec<(&'static str, u64)>,
}

/// A line of what may be well or not.
fn line(what: &'static str, is_well: bool, said: [&'static str; 2]) -> Vec<Cell> {
    let [well, ill] = said;
    let state = match is_well {
        true => State::new(Shape::Good, text::WELL),
        false => State::new(Shape::Bad, text::LOOK_AT_IT),
    };
    vec![Cell::Text(what.to_owned()), Cell::State(state), Cell::Text((if is_well { well } else { ill }).to_owned())]
}

/// The page of the server's health.
pub fn page(
    frame: Frame,
    health: &Health,
    channels: &Page<ChannelView>,
    settings: Vec<(&'static str, String)>,
    names: &Names,
) -> SheetPage {
    let now = frame.now;
    let mut sheet = Sheet { lead: text::SYSTEM_LEAD.to_owned(), ..Sheet::default() };
    sheet.fact(text::LOG_ENTRIES, [Cell::Number(health.entries)]);
    sheet.fact(text::SEALED, [Cell::Number(health.sealed)]);
    sheet.fact(text::INDEXED, [Cell::Number(health.indexed)]);
    sheet.fact(text::EPOCH, [Cell::Number(health.epoch)]);
    sheet.fact(
        text::STATE_VERIFIED,
        [match health.verified_at {
            Some(at) => Cell::Time(When::new(at, now)),
            None => Cell::Text(text::NOT_SINCE_START.to_owned()),
        }],
    );
    let held = health.holds.iter().filter(|(_, count)| *count > 0);
    sheet.fact(text::HOLDS_IN_FORCE, held.map(|(scope, count)| Cell::Text(format!("{}: {count}", text::plain(scope)))));
    let rows = vec![
        line(text::THE_CLOCK, health.clock_is_reliable, text::CLOCK_SAYS),
        line(text::THE_DISK, !health.disk_is_full, text::DISK_SAYS),
        line(text::CHECKPOINTS, health.failing_places == 0, text::CHECKPOINTS_SAY),
        line(text::OUTSIDE, !health.is_contradicted, text::OUTSIDE_SAYS),
        line(text::THE_STATE, health.faults == 0, text::STATE_SAYS),
        line(text::THE_SEAL, health.entries.saturating_sub(health.sealed) < SEAL_LAG, text::SEAL_SAYS),
        line(text::THE_INDEX, health.entries.saturating_sub(health.indexed) < INDEX_LAG, text::INDEX_SAYS),
    ];
    sheet.tables.push(Table::new(text::IS_IT_WELL, &["What", "State", "That is"], rows));
    let channel = |channel: &ChannelView| {
        vec![
            Cell::Text(channel.channel.clone()),
            Cell::Text((if channel.configured { text::YES } else { text::NO }).to_owned()),
            Cell::Number(channel.pending as u64),
            Cell::of(channel.oldest.map(|at| When::new(at, now))),
            Cell::Number(channel.failures.into()),
            Cell::of(channel.resting_until.map(|at| When::new(at, now))),
        ]
    };
    if channels.items.is_empty() {
        sheet.fact(text::NOTICES, [Cell::Text(text::NO_CHANNELS.to_owned())]);
    }
    sheet.tables.push(Table::new(
        text::NOTICES,
        &["Channel", "Delivers here", "Undelivered", "The oldest", "Failures in a row", "Rests until"],
        channels.items.iter().map(channel).collect(),
    ));
    let waiting = |channel: &ChannelView| {
        let name = channel.channel.clone();
        channel.deliveries.iter().map(move |delivery| undelivered(&name, delivery, names, now)).collect::<Vec<_>>()
    };
    sheet.tables.push(Table::new(
        text::UNDELIVERED,
        &["What", "Channel", "To", "Happened", "Attempts", "Again", "Why not yet"],
        channels.items.iter().flat_map(waiting).collect(),
    ));
    let setting = |(name, value): (&'static str, String)| vec![Cell::Text(text::plain(name)), Cell::Text(value)];
    sheet.tables.push(Table::new(
        text::CONFIGURATION,
        &["Setting", "Value"],
        settings.into_iter().map(setting).collect(),
    ));
    SheetPage { frame, sheet }
}

/// Entries that may wait for a checkpoint, and for the index, before that is said: both follow the log by seconds.
const SEAL_LAG: u64 = 10_000;
const INDEX_LAG: u64 = 100_000;

fn undelivered(channel: &str, delivery: &DeliveryView, names: &Names, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::Named(Named {
            name: text::sentence(&text::plain(&delivery.kind.replace('.', " "))),
            id: delivery.event.clone(),
            to: Some(crate::address::Address::new("/log").below(&delivery.index.to_string())),
        }),
        Cell::Text(channel.to_owned()),
        Cell::of(delivery.person.map(|person| Named::of(person, names))),
        Cell::Time(When::new(delivery.at, now)),
        Cell::Number(delivery.attempts.into()),
        Cell::Time(When::new(delivery.again_at, now)),
        Cell::of(delivery.why.clone()),
    ]
}
