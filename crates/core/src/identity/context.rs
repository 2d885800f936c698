//! The contexts that an identity is known in: where it calls from, with which key, for which workload, at which hours,
//! how much at once, and what it does for each of its tasks (R57, R104, R111).
//!
//! They are learnt over its first days, in at most [`MAX_BYTES`]. What is met later is new, until a person says that it
//! belongs there. An attack that was there from the beginning was learnt: security has the baseline begun anew.

mod order;

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::time::{Span, Timestamp};
use crate::base::varint::{put_varint, take, varint};
use crate::identity::context::order::{MAX_ORDER_BYTES, Orders, number_of};

pub use crate::identity::context::order::MAX_ORDERS;

/// How long the contexts of an identity are learnt from its first use on, and what it does for a task from the task's
/// first use on.
pub const LEARNT_FOR: Span = Span::from_days(7);
/// Bytes of what is known of an identity.
pub const MAX_BYTES: usize = MAX_KEPT_BYTES + MAX_ORDER_BYTES;
/// Bytes of it besides the orders in which it does things.
const MAX_KEPT_BYTES: usize = 1_024;
/// Bytes that a context's text is cut to.
const MAX_TEXT: usize = 64;
/// Above so many hours of the day it is taken to work at any of them.
const MANY_HOURS: u32 = 18;
const FORM: u8 = 2;
/// The form without orders: what it says is still read.
const FORM_WITHOUT_ORDERS: u8 = 1;

/// What tells one context from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContextDimension {
    /// The network that it calls from: an IPv4 /24 or an IPv6 /48.
    Network,
    /// The key that its credentials are bound to.
    Client,
    /// The workload that it proves itself as, by its binding.
    Workload,
    /// An action that it takes for a task.
    Task,
    /// An action that it takes for a task directly after another one.
    Order,
    /// The hour of the day (UTC).
    Hour,
    /// How much it is used within some seconds, by powers of eight.
    Rate,
}

impl ContextDimension {
    const KEPT: [Self; 4] = [Self::Network, Self::Client, Self::Workload, Self::Task];

    /// The name in findings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Client => "client",
            Self::Workload => "workload",
            Self::Task => "task",
            Self::Order => "order",
            Self::Hour => "hour",
            Self::Rate => "rate",
        }
    }

    /// How many of it are kept: of more, those that were met last.
    const fn most(self) -> usize {
        match self {
            Self::Network => 12,
            Self::Client | Self::Workload => 6,
            Self::Task => 24,
            Self::Order | Self::Hour | Self::Rate => 0,
        }
    }
}

/// What becomes of a vendor's integration, an agent or a shared identity that is used in a new context (R111). Of every
/// other identity a new context is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewContextPolicy {
    /// It is a finding.
    Note,
    /// Its owner is asked whether it is still needed as it is, and it is suspended without an answer; with a stale key
    /// it is held at once.
    #[default]
    Reapprove,
    /// It is held until security releases it.
    Hold,
}

impl NewContextPolicy {
    /// The name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Reapprove => "reapprove",
            Self::Hold => "hold",
        }
    }
}

impl FromStr for NewContextPolicy {
    type Err = UnknownContextPolicy;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Note, Self::Reapprove, Self::Hold];
        known.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownContextPolicy)
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say what becomes of whoever is used in a new context: note, reapprove or hold")]
pub struct UnknownContextPolicy;

/// The network of an address, as far as contexts tell networks apart.
pub fn network_of(address: &str) -> Option<String> {
    // An IPv4 client of a socket that hears both has an address of IPv6.
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}::/48"))
        }
    }
}

/// A use, by what tells contexts apart; what isn't known of it is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenContext {
    /// [`ContextDimension::Network`].
    pub network: Option<String>,
    /// [`ContextDimension::Client`].
    pub client: Option<String>,
    /// [`ContextDimension::Workload`].
    pub workload: Option<String>,
    /// The task and what was done for it.
    pub task: Option<(String, String)>,
    /// What was done for it directly before, by the same token.
    pub after: Option<String>,
    /// The hour of the day.
    pub hour: Option<u8>,
    /// How often it was met at once.
    pub times: u32,
}

/// A context that an identity isn't known in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContext {
    /// In what it differs.
    pub dimension: ContextDimension,
    /// What is known.
    pub known: Vec<String>,
    /// What was met.
    pub new: String,
    /// What it comes to, of an order.
    order: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    dimension: ContextDimension,
    text: String,
    /// The day on which it was met last; of a task itself, on which it was met first.
    day: u16,
}

/// What is known of an identity's contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    began: Timestamp,
    last: u16,
    hours: u32,
    rate: u8,
    orders: Orders,
    kept: Vec<Kept>,
}

impl Baseline {
    /// Nothing is known yet; learning begins.
    pub fn begun(at: Timestamp) -> Self {
        Self { began: at, last: 0, hours: 0, rate: 0, orders: Orders::default(), kept: Vec::new() }
    }

    /// When learning began.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Until when everything is learnt.
    pub const fn learns_until(&self) -> Timestamp {
        self.began.plus(LEARNT_FOR)
    }

    /// The last day on which the identity was met.
    pub const fn last_day(&self) -> u16 {
        self.last
    }

    /// What is known of a dimension.
    pub fn known(&self, dimension: ContextDimension) -> Vec<String> {
        match dimension {
            ContextDimension::Hour => (0..24_u8).filter(|hour| self.hours & (1 << hour) != 0).map(hour_text).collect(),
            ContextDimension::Rate => vec![rate_text(self.rate)],
            ContextDimension::Order if self.orders.has_none() => vec![ANY_ORDER.to_owned()],
            ContextDimension::Order => {
                let tasks: Vec<&str> = self.of(ContextDimension::Task).map(|kept| kept.text.as_str()).collect();
                self.orders.among(&tasks).into_iter().map(|(before, after)| order_text(before, after)).collect()
            }
            kept => self.of(kept).map(|kept| kept.text.clone()).filter(|text| !text.ends_with(TASK_ITSELF)).collect(),
        }
    }

    fn of(&self, dimension: ContextDimension) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(move |kept| kept.dimension == dimension)
    }

    /// Takes a use in: what is new about it, unless it is still learnt. `day`: the day of `now`.
    pub fn meet(&mut self, seen: &SeenContext, now: Timestamp, day: u16) -> Vec<NewContext> {
        self.last = self.last.max(day);
        let learning = now < self.learns_until();
        let mut new = Vec::new();
        for (dimension, text) in [
            (ContextDimension::Network, &seen.network),
            (ContextDimension::Client, &seen.client),
            (ContextDimension::Workload, &seen.workload),
        ] {
            let Some(text) = text else { continue };
            // Of a dimension in which nothing was ever told nothing can be new.
            let known_none = self.of(dimension).next().is_none();
            if !self.refresh(dimension, text, day) {
                self.learn_or_tell(learning || known_none, dimension, text, day, &mut new);
            }
        }
        if let Some((task, action)) = &seen.task {
            self.meet_task(task, action, learning, day, &mut new);
            if let Some(before) = &seen.after {
                self.meet_order(task, (before, action), learning, day, &mut new);
            }
        }
        if let Some(hour) = seen.hour.filter(|hour| *hour < 24) {
            let near = [hour, (hour + 1) % 24, (hour + 23) % 24];
            if learning || self.hours == 0 {
                self.hours |= 1 << hour;
            } else if self.hours.count_ones() < MANY_HOURS && near.iter().all(|hour| self.hours & (1 << hour) == 0) {
                new.push(self.told(ContextDimension::Hour, hour_text(hour)));
            }
        }
        let rate = rate_of(seen.times);
        if learning {
            self.rate = self.rate.max(rate);
        } else if rate > self.rate {
            new.push(self.told(ContextDimension::Rate, rate_text(rate)));
        }
        new
    }

    /// A task that wasn't met before is learnt from then on as an identity is: what it may do at all is its charter's.
    fn meet_task(&mut self, task: &str, action: &str, learning: bool, day: u16, new: &mut Vec<NewContext>) {
        let itself = format!("{}{TASK_ITSELF}", clip(task, MAX_TEXT / 2));
        let began = self.of(ContextDimension::Task).find(|kept| kept.text == itself).map(|kept| kept.day);
        if began.is_none() {
            self.learn(ContextDimension::Task, &itself, day);
        }
        let text = format!("{} {action}", clip(task, MAX_TEXT / 2));
        if !self.refresh(ContextDimension::Task, &text, day) {
            self.learn_or_tell(learning || is_young(began, day), ContextDimension::Task, &text, day, new);
        }
    }

    /// One action for a task directly after another: learnt for as long as the task's own actions are. The same one once
    /// more is no order.
    fn meet_order(
        &mut self,
        task: &str,
        (before, after): (&str, &str),
        learning: bool,
        day: u16,
        new: &mut Vec<NewContext>,
    ) {
        let text = |action: &str| clip(&format!("{} {action}", clip(task, MAX_TEXT / 2)), MAX_TEXT).to_owned();
        let (before, after) = (text(before), text(after));
        if before == after || self.orders.has_none() {
            return;
        }
        let itself = number_of(&format!("{}{TASK_ITSELF}", clip(task, MAX_TEXT / 2)));
        let began = self.orders.began(itself);
        if began.is_none() {
            self.orders.begin(itself, day);
        }
        let pair = (number_of(&before), number_of(&after));
        if self.orders.refresh(pair.0, pair.1, day) {
            return;
        }
        if learning || is_young(began, day) {
            self.orders.learn(pair.0, pair.1, day);
        } else {
            let known = self.known(ContextDimension::Order);
            let dimension = ContextDimension::Order;
            new.push(NewContext { dimension, known, new: order_text(&before, &after), order: Some(pair) });
        }
    }

    fn learn_or_tell(
        &mut self,
        learns: bool,
        dimension: ContextDimension,
        text: &str,
        day: u16,
        new: &mut Vec<NewContext>,
    ) {
        if learns {
            self.learn(dimension, text, day);
        } else {
            new.push(self.told(dimension, clip(text, MAX_TEXT).to_owned()));
        }
    }

    fn told(&self, dimension: ContextDimension, new: String) -> NewContext {
        NewContext { dimension, known: self.known(dimension), new, order: None }
    }

    /// A person said that a context belongs to it.
    pub fn accept(&mut self, new: &NewContext, day: u16) {
        match new.dimension {
            ContextDimension::Hour => {
                let hour = (0..24).find(|hour| hour_text(*hour) == new.new);
                self.hours |= hour.map_or(0, |hour| 1 << hour);
            }
            ContextDimension::Rate => {
                self.rate = (0..=MAX_RATE).find(|rate| rate_text(*rate) == new.new).unwrap_or_default().max(self.rate);
            }
            ContextDimension::Order => new.order.into_iter().for_each(|(before, after)| {
                self.orders.learn(before, after, day);
            }),
            kept => self.learn(kept, &new.new, day),
        }
    }

    fn refresh(&mut self, dimension: ContextDimension, text: &str, day: u16) -> bool {
        let text = clip(text, MAX_TEXT);
        match self.kept.iter_mut().find(|kept| kept.dimension == dimension && kept.text == text) {
            Some(kept) => {
                kept.day = kept.day.max(day);
                true
            }
            None => false,
        }
    }

    fn learn(&mut self, dimension: ContextDimension, text: &str, day: u16) {
        if self.refresh(dimension, text, day) {
            return;
        }
        if self.of(dimension).count() >= dimension.most() {
            // Since when a task is known is forgotten last: it would be learnt anew, whatever is done for it.
            let is_of = |kept: &Kept| kept.dimension == dimension;
            if !self.forget_oldest(|kept| is_of(kept) && !kept.text.ends_with(TASK_ITSELF)) {
                self.forget_oldest(is_of);
            }
        }
        self.kept.push(Kept { dimension, text: clip(text, MAX_TEXT).to_owned(), day });
    }

    /// Whether there was one.
    fn forget_oldest(&mut self, of: impl Fn(&Kept) -> bool) -> bool {
        let oldest = self.kept.iter().enumerate().filter(|(_, kept)| of(kept)).min_by_key(|(_, kept)| kept.day);
        oldest.map(|(place, _)| place).map(|place| self.kept.remove(place)).is_some()
    }

    /// As bytes, at most [`MAX_BYTES`]: what was met longest ago is forgotten until they fit.
    pub fn pack(&self) -> Vec<u8> {
        let mut fitting = self.clone();
        loop {
            let bytes = fitting.bytes();
            if bytes.len() <= MAX_BYTES || fitting.kept.is_empty() {
                return bytes;
            }
            if !fitting.forget_oldest(|kept| !kept.text.ends_with(TASK_ITSELF)) {
                fitting.forget_oldest(|_| true);
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM, self.rate];
        bytes.extend(self.began.as_micros().to_be_bytes());
        bytes.extend(self.last.to_be_bytes());
        bytes.extend(self.hours.to_be_bytes());
        self.orders.put(&mut bytes);
        for kept in &self.kept {
            bytes.push(kept.dimension as u8);
            bytes.extend(kept.day.to_be_bytes());
            put_varint(&mut bytes, kept.text.len() as u64);
            bytes.extend(kept.text.as_bytes());
        }
        bytes
    }

    /// From bytes; `None` if these say something else.
    pub fn unpack(mut rest: &[u8]) -> Option<Self> {
        let [form, rate] = take(&mut rest)?;
        let began = Timestamp::from_micros(i64::from_be_bytes(take(&mut rest)?));
        let (last, hours) = (u16::from_be_bytes(take(&mut rest)?), u32::from_be_bytes(take(&mut rest)?));
        let orders = match form {
            FORM => Orders::take(&mut rest)?,
            FORM_WITHOUT_ORDERS => Orders::default(),
            _ => return None,
        };
        let mut baseline = Self { began, last, hours, rate, orders, kept: Vec::new() };
        while !rest.is_empty() {
            let [dimension] = take(&mut rest)?;
            let dimension = ContextDimension::KEPT.into_iter().find(|known| *known as u8 == dimension)?;
            let day = u16::from_be_bytes(take(&mut rest)?);
            let length = usize::try_from(varint(&mut rest)?).ok()?;
            let (text, behind) = rest.split_at_checked(length)?;
            rest = behind;
            baseline.kept.push(Kept { dimension, day, text: String::from_utf8(text.to_vec()).ok()? });
        }
        Some(baseline)
    }
}

/// What stands behind a task's own name, where an action would.
const TASK_ITSELF: &str = " \u{1}";
/// What is said of whoever does more in different orders than are kept.
const ANY_ORDER: &str = "any: it does things in more orders than are told apart";
/// Above it everything is as much.
const MAX_RATE: u8 = 10;

fn clip(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether what began on a day is still learnt.
fn is_young(began: Option<u16>, day: u16) -> bool {
    let days = LEARNT_FOR.as_secs() / Span::from_days(1).as_secs();
    began.is_none_or(|began| i64::from(day.saturating_sub(began)) < days)
}

fn order_text(before: &str, after: &str) -> String {
    format!("{after}, directly after {before}")
}

fn hour_text(hour: u8) -> String {
    format!("{hour:02}:00Z")
}

/// By powers of eight: what is twice as much is no other context.
fn rate_of(times: u32) -> u8 {
    u8::try_from(times.max(1).ilog2() / 3).unwrap_or(MAX_RATE).min(MAX_RATE)
}

fn rate_text(rate: u8) -> String {
    format!("up to {} at once", 8_u64.pow(u32::from(rate) + 1) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn day(n: i64) -> (Timestamp, u16) {
        (START.plus(Span::from_days(n)), u16::try_from(20_717 + n).unwrap())
    }

    fn from(network: &str) -> SeenContext {
        SeenContext { network: network_of(network), times: 1, ..SeenContext::default() }
    }

    fn doing(task: &str, action: &str) -> SeenContext {
        SeenContext { task: Some((task.into(), action.into())), times: 1, ..SeenContext::default() }
    }

    fn meet(baseline: &mut Baseline, seen: &SeenContext, n: i64) -> Vec<String> {
        let (now, day) = day(n);
        baseline.meet(seen, now, day).into_iter().map(|new| format!("{} {}", new.dimension.as_str(), new.new)).collect()
    }

    #[test]
    fn networks_are_told_apart_by_their_first_bits() {
        assert_eq!(network_of("10.1.2.3").as_deref(), Some("10.1.2.0/24"));
        assert_eq!(network_of("::ffff:10.1.2.3").as_deref(), Some("10.1.2.0/24"));
        assert_eq!(network_of("2001:db8:1:2::3").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network_of("unknown"), None);
    }

    #[test]
    fn r104_what_is_met_after_the_first_days_is_new() {
        let mut baseline = Baseline::begun(START);
        assert!(meet(&mut baseline, &from("10.1.2.3"), 0).is_empty());
        assert!(meet(&mut baseline, &from("10.1.3.3"), 6).is_empty());
        assert!(meet(&mut baseline, &from("10.1.2.200"), 8).is_empty(), "the same network");
        assert_eq!(meet(&mut baseline, &from("192.0.2.1"), 8), ["network 192.0.2.0/24"]);
        assert_eq!(meet(&mut baseline, &from("192.0.2.1"), 9), ["network 192.0.2.0/24"], "it stays new");
        let new = baseline.meet(&from("192.0.2.1"), day(9).0, day(9).1).remove(0);
        assert_eq!(new.known, ["10.1.2.0/24", "10.1.3.0/24"]);
        baseline.accept(&new, day(9).1);
        assert!(meet(&mut baseline, &from("192.0.2.9"), 10).is_empty(), "until a person says that it belongs there");
    }

    #[test]
    fn r57_an_action_that_was_never_seen_for_a_task_is_new() {
        let mut baseline = Baseline::begun(START);
        assert!(meet(&mut baseline, &doing("refund", "read orders"), 0).is_empty());
        assert_eq!(meet(&mut baseline, &doing("refund", "write orders"), 8), ["task refund write orders"]);
        // A task of its own begins by being learnt.
        assert!(meet(&mut baseline, &doing("report", "read orders"), 20).is_empty());
        assert!(meet(&mut baseline, &doing("report", "write orders"), 22).is_empty());
        assert_eq!(meet(&mut baseline, &doing("report", "drop orders"), 28), ["task report drop orders"]);
        assert_eq!(baseline.known(ContextDimension::Task).len(), 3);
    }

    fn then(task: &str, before: &str, action: &str) -> SeenContext {
        SeenContext { after: Some(before.into()), ..doing(task, action) }
    }

    #[test]
    fn r57_an_order_that_was_never_seen_for_a_task_is_new() {
        let mut baseline = Baseline::begun(START);
        for (before, action) in [("read orders", "write refund"), ("write refund", "read orders")] {
            assert!(meet(&mut baseline, &then("refund", before, action), 0).is_empty());
        }
        assert!(meet(&mut baseline, &then("refund", "read orders", "close case"), 1).is_empty());
        assert!(meet(&mut baseline, &then("refund", "read orders", "write refund"), 8).is_empty(), "as it always did");
        // Each action is known, and the one was never there directly after the other.
        let odd = then("refund", "close case", "write refund");
        let new = ["order refund write refund, directly after refund close case"];
        assert_eq!(meet(&mut baseline, &odd, 8), new);
        assert_eq!(meet(&mut baseline, &odd, 9), new, "it stays new");
        assert!(
            meet(&mut baseline, &then("refund", "read orders", "read orders"), 9).is_empty(),
            "once more is no order"
        );
        let known = baseline.known(ContextDimension::Order);
        assert!(known.contains(&"refund close case, directly after refund read orders".to_owned()), "{known:?}");
        let read = Baseline::unpack(&baseline.pack()).unwrap();
        assert_eq!(read.known(ContextDimension::Order), known);
        let told = baseline.meet(&odd, day(9).0, day(9).1).remove(0);
        baseline.accept(&told, day(9).1);
        assert!(meet(&mut baseline, &odd, 10).is_empty(), "until a person says that it belongs there");
        // Another task has orders of its own, learnt from its own first use on.
        assert!(meet(&mut baseline, &then("report", "close case", "read orders"), 20).is_empty());
        assert!(meet(&mut baseline, &then("report", "read orders", "close case"), 26).is_empty());
        assert_eq!(meet(&mut baseline, &then("report", "close case", "write refund"), 28).len(), 2, "and its action");
    }

    #[test]
    fn r57_who_does_things_in_more_orders_than_are_kept_has_none_and_it_is_said() {
        let mut baseline = Baseline::begun(START);
        for n in 0..MAX_ORDERS {
            assert!(meet(&mut baseline, &then("chat", &format!("tool {n}"), "answer"), 0).is_empty());
        }
        assert_eq!(baseline.known(ContextDimension::Order), [ANY_ORDER]);
        assert!(meet(&mut baseline, &then("chat", "answer", "answer twice"), 1).is_empty());
        assert!(baseline.pack().len() <= MAX_BYTES);
        assert_eq!(Baseline::unpack(&baseline.pack()).unwrap().known(ContextDimension::Order), [ANY_ORDER]);
    }

    #[test]
    fn what_an_earlier_release_learnt_is_read_and_orders_are_learnt_from_then_on() {
        let mut baseline = Baseline::begun(START);
        meet(&mut baseline, &doing("refund", "read orders"), 0);
        let mut earlier = baseline.pack();
        assert_eq!((earlier.remove(16), earlier[0]), (0, FORM), "no orders are kept yet");
        earlier[0] = FORM_WITHOUT_ORDERS;
        let mut baseline = Baseline::unpack(&earlier).unwrap();
        assert_eq!(baseline.known(ContextDimension::Task), ["refund read orders"]);
        assert!(meet(&mut baseline, &then("refund", "write orders", "read orders"), 100).is_empty());
        assert_eq!(meet(&mut baseline, &then("refund", "close case", "read orders"), 107).len(), 1);
    }

    #[test]
    fn since_when_a_task_is_known_is_not_pushed_out_by_what_is_done_for_it() {
        let mut baseline = Baseline::begun(START);
        for n in 0..60 {
            meet(&mut baseline, &doing("chat", &format!("use tool {n} of a very long name that takes room")), 1);
        }
        let mut baseline = Baseline::unpack(&baseline.pack()).unwrap();
        assert_eq!(meet(&mut baseline, &doing("chat", "drop orders"), 9), ["task chat drop orders"]);
    }

    #[test]
    fn r111_another_hour_and_a_greater_rate_are_new() {
        let mut baseline = Baseline::begun(START);
        let at = |hour, times| SeenContext { hour: Some(hour), times, ..SeenContext::default() };
        assert!(meet(&mut baseline, &at(23, 5), 0).is_empty());
        assert!(meet(&mut baseline, &at(0, 7), 8).is_empty(), "an hour later is no other one");
        assert_eq!(meet(&mut baseline, &at(12, 1), 8), ["hour 12:00Z"]);
        assert_eq!(meet(&mut baseline, &at(23, 4_000), 8), ["rate up to 4095 at once"]);
        let new = baseline.meet(&at(12, 4_000), day(9).0, day(9).1);
        new.iter().for_each(|new| baseline.accept(new, day(9).1));
        assert!(meet(&mut baseline, &at(12, 4_000), 10).is_empty());
    }

    #[test]
    fn what_was_never_told_is_learnt_when_it_is() {
        let mut baseline = Baseline::begun(START);
        assert!(meet(&mut baseline, &SeenContext { times: 1, ..SeenContext::default() }, 0).is_empty());
        assert!(meet(&mut baseline, &from("10.1.2.3"), 30).is_empty());
        assert_eq!(meet(&mut baseline, &from("10.9.2.3"), 31).len(), 1);
    }

    #[test]
    fn other_bytes_are_no_baseline() {
        let other_form: Vec<u8> = std::iter::once(3).chain([0; 16]).collect();
        for bytes in [&[][..], &[2, 0], &[FORM; 15], &[FORM; 17], &other_form] {
            assert_eq!(Baseline::unpack(bytes), None, "{bytes:?}");
        }
    }

    fn seen() -> impl Strategy<Value = SeenContext> {
        let text = || proptest::option::of("[a-zé ]{0,90}");
        (text(), text(), text(), text(), text(), 0..24_u8, any::<u32>()).prop_map(
            |(network, client, workload, task, after, hour, times)| SeenContext {
                network,
                client,
                workload,
                task: task.map(|task| (task.clone(), task)),
                after,
                hour: Some(hour),
                times,
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_is_met_takes_one_and_a_half_kilobytes_and_comes_back(met in proptest::collection::vec((seen(), 0..30_i64), 0..60)) {
            let mut baseline = Baseline::begun(START);
            for (seen, n) in &met {
                let (now, day) = day(*n);
                baseline.meet(seen, now, day);
                let bytes = baseline.pack();
                prop_assert!(bytes.len() <= MAX_BYTES);
                let read = Baseline::unpack(&bytes).unwrap();
                prop_assert_eq!(read.pack(), bytes);
            }
        }

        #[test]
        fn whatever_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Baseline::unpack(&bytes);
        }
    }
}
