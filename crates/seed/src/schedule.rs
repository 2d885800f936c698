//! The schedule: whom each tale is told of, when each life begins, and how many credentials it has beside those of its
//! tale.

use tenure_core::base::time::{Span, Timestamp};

use crate::error::SeedError;
use crate::history::History;
use crate::random::{Sequence, number as number_of};
use crate::repertoire::Repertoire;
use crate::stencil::Stencil;
use crate::tale::WAITS;

const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;
/// When the first life may begin: departments are made before.
const FIRST: i64 = 7 * DAY;
/// How long before the end the last one begins.
const LAST: i64 = 3 * 60 * MINUTE;
/// By how long a token comes before the next thing that happens.
const MARGIN: i64 = 70 * MINUTE;

/// A life: which tale, in which department, from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) number: u32,
    pub(crate) tale: usize,
    pub(crate) variant: usize,
    pub(crate) department: u32,
    /// In microseconds.
    pub(crate) begins: i64,
}

/// Credentials that a life has beside its tale's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct More {
    pub(crate) earlier: u32,
    pub(crate) live: u32,
}

/// When more credentials can be issued after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) step: usize,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) rows: u64,
    pub(crate) credentials: u64,
}

pub(crate) struct Schedule<'a> {
    repertoire: &'a Repertoire,
    seed: u64,
    start: i64,
    pub(crate) end: i64,
    departments: u32,
    /// The sum of the weights up to each tale.
    weights: Vec<u64>,
    /// The tales of what waits at the end.
    waits: Vec<usize>,
    /// The number of the first identity that does.
    first_to_wait: u32,
    /// The number and the beginning of each life, in the order of their beginnings.
    pub(crate) lives: Vec<(i64, u32)>,
    more: Vec<More>,
    pub(crate) amount: Amount,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(repertoire: &'a Repertoire, history: &History, seed: u64) -> Result<Self, SeedError> {
        let mut sum = 0;
        let weights = repertoire
            .tales
            .iter()
            .map(|tale| {
                sum += u64::from(tale.weight);
                sum
            })
            .collect();
        if sum == 0 {
            return Err(SeedError::History("no tale is told".into()));
        }
        let mut schedule = Self {
            repertoire,
            seed,
            start: history.start()?.as_micros(),
            end: history.end()?.as_micros(),
            departments: history.departments,
            weights,
            waits: (0..).zip(&repertoire.tales).filter(|(_, tale)| tale.waits).map(|(n, _)| n).collect(),
            first_to_wait: history.identities - history.waiting,
            lives: Vec::new(),
            more: Vec::new(),
            amount: Amount::default(),
        };
        schedule.lives = (0..history.identities).map(|number| (schedule.life(number).begins, number)).collect();
        schedule.lives.sort_unstable();
        schedule.allot(history);
        Ok(schedule)
    }

    /// When a department is made.
    pub(crate) fn department_begins(&self, number: u32) -> i64 {
        let opened = self.repertoire.opened.as_micros();
        let spread = 4 * DAY / i64::from(self.departments) * i64::from(number);
        opened + spread + i64::try_from(number_of(self.seed, u64::from(number)) % MINUTE.unsigned_abs()).unwrap_or(0)
    }

    /// What becomes of an identity. It is a function of its number.
    pub(crate) fn life(&self, number: u32) -> Life {
        let mut sequence = Sequence::new(self.seed, 0x11fe_0000_0000 | u64::from(number));
        let waits = number >= self.first_to_wait;
        let tale = if waits {
            let place = usize::try_from(sequence.below(self.waits.len() as u64)).unwrap_or(0);
            self.waits.get(place).copied().unwrap_or(0)
        } else {
            let roll = sequence.below(self.weights.last().copied().unwrap_or(1));
            self.weights.partition_point(|sum| *sum <= roll)
        };
        let variants = self.repertoire.tales.get(tale).map_or(1, |tale| tale.variants.len() as u64);
        let variant = usize::try_from(sequence.below(variants)).unwrap_or(0);
        let department = u32::try_from(sequence.below(u64::from(self.departments))).unwrap_or(0);
        // More and more of them, as it goes.
        let share = isqrt(sequence.below(1 << 40));
        let last = self.end - LAST;
        let first = if waits { last - WAITS.as_micros() } else { self.start + FIRST };
        let at = first + ((i128::from(last - first) * i128::from(share)) >> 20) as i64;
        let at = in_office_hours(at, &mut sequence).clamp(first, last);
        // At no round time, as people are.
        let begins = at + i64::try_from(sequence.below(MINUTE.unsigned_abs())).unwrap_or(0);
        Life { number, tale, variant, department, begins }
    }

    pub(crate) fn stencil(&self, tale: usize, variant: usize) -> Option<&'a Stencil> {
        self.repertoire.tales.get(tale)?.variants.get(variant)
    }

    /// The steps of a life that come before the end.
    pub(crate) fn steps(&self, life: &Life) -> usize {
        let Some(stencil) = self.stencil(life.tale, life.variant) else { return 0 };
        stencil.steps.iter().take_while(|step| life.begins + step.offset < self.end).count()
    }

    /// When more credentials can be issued to it: before, and right at the end.
    pub(crate) fn windows(&self, life: &Life) -> (Option<Window>, Option<Window>) {
        let Some(stencil) = self.stencil(life.tale, life.variant) else { return (None, None) };
        let steps = self.steps(life);
        let mut earlier: Option<Window> = None;
        let mut live = None;
        for (n, step) in stencil.steps.iter().enumerate().take(steps) {
            let Some(lives) = step.life else { continue };
            let at = life.begins + step.offset;
            let next = stencil.steps.get(n + 1).map_or(i64::MAX, |next| life.begins.saturating_add(next.offset));
            let window = Window { step: n, from: at + MINUTE, until: next.min(self.end) - MARGIN };
            if window.until - window.from > 2 * MARGIN
                && earlier.is_none_or(|best| window.until - window.from > best.until - best.from)
            {
                earlier = Some(window);
            }
            let window =
                Window { step: n, from: (self.end - lives * 4 / 5).max(at + MINUTE), until: self.end - MINUTE / 4 };
            if next > self.end + MARGIN && window.until - window.from > 2 * MINUTE {
                live = Some(window);
            }
        }
        (earlier, live)
    }

    /// How many credentials it has beside its tale's.
    pub(crate) fn more(&self, number: u32) -> More {
        usize::try_from(number).ok().and_then(|place| self.more.get(place)).copied().unwrap_or_default()
    }

    fn allot(&mut self, history: &History) {
        let mut own = 0;
        let (mut earlier, mut live) = (0_u64, 0_u64);
        let numbers = 0..history.identities;
        for number in numbers.clone() {
            let life = self.life(number);
            let steps = self.steps(&life);
            if let Some(stencil) = self.stencil(life.tale, life.variant) {
                for step in stencil.steps.iter().take(steps) {
                    self.amount.rows += step.rows();
                    own += u64::from(step.life.is_some());
                }
            }
            let (before, at_end) = self.windows(&life);
            earlier += u64::from(before.is_some());
            live += u64::from(at_end.is_some());
        }
        let wanted = history.credentials.saturating_sub(own);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count"
        )]
        let wanted_live = if live == 0 { 0 } else { (wanted as f64 * history.live) as u64 };
        let wanted_earlier = if earlier == 0 { 0 } else { wanted - wanted_live };
        let mut so_far = (0_u64, 0_u64);
        let part = |wanted: u64, of: u64, place: u64| {
            let upto = |place: u64| u128::from(wanted) * u128::from(place) / u128::from(of.max(1));
            u32::try_from(upto(place + 1) - upto(place)).unwrap_or(u32::MAX)
        };
        self.more = Vec::with_capacity(numbers.len());
        for number in numbers {
            let (before, at_end) = self.windows(&self.life(number));
            let mut more = More::default();
            if before.is_some() {
                more.earlier = part(wanted_earlier, earlier, so_far.0);
                so_far.0 += 1;
            }
            if at_end.is_some() {
                more.live = part(wanted_live, live, so_far.1);
                so_far.1 += 1;
            }
            self.more.push(more);
            let more = u64::from(more.earlier) + u64::from(more.live);
            self.amount.rows += more;
            own += more;
        }
        self.amount.credentials = own;
        let departments = u64::from(self.departments);
        self.amount.rows += departments * self.repertoire.department.steps.iter().map(|step| step.rows()).sum::<u64>();
    }

    /// When one more credential is issued in a window.
    pub(crate) fn moment(&self, number: u32, window: &Window, place: u32, of: u32) -> i64 {
        let length = (window.until - window.from).max(1);
        let slice = length / i64::from(of.max(1));
        let roll = number_of(self.seed, 0x3043_0000_0000_0000 ^ u64::from(number) << 20 ^ u64::from(place));
        let within = i64::try_from(roll % slice.max(1).unsigned_abs()).unwrap_or(0);
        window.from + slice * i64::from(place) + within
    }
}

/// On a working day between eight and five, as most things are asked for.
fn in_office_hours(at: i64, sequence: &mut Sequence) -> i64 {
    if sequence.below(10) == 0 {
        return at;
    }
    let day = at.div_euclid(DAY);
    // 1970-01-01 was a Thursday, day 4.
    let weekday = (day + 3).rem_euclid(7) + 1;
    let day = if weekday > 5 { day - (weekday - 5) } else { day };
    let minutes = i64::try_from(sequence.below(9 * 60)).unwrap_or(0);
    day * DAY + (8 * 60 + minutes) * MINUTE
}

/// The root of a number of 40 bits, of 20 bits.
fn isqrt(n: u64) -> u64 {
    n.isqrt()
}

/// The moment at which the operator tokens of a round are handed out, the first round being the one after the first
/// tokens.
pub(crate) fn round_begins(start: Timestamp, round: u32) -> Timestamp {
    start.plus(Span::from_days(i64::from(round) * ROUND_DAYS - 1))
}

/// The round whose tokens count at a time.
pub(crate) fn round_at(start: Timestamp, at: i64) -> u32 {
    u32::try_from((at - start.as_micros()).max(0) / (ROUND_DAYS * DAY)).unwrap_or(0)
}

/// Days after which operator tokens are handed out anew; they live for thirty.
const ROUND_DAYS: i64 = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_its_round_lives_as_long_as_the_round() {
        let start = Timestamp::from_secs(1_790_000_000);
        for hour in 0..24 * 200 {
            let at = start.plus(Span::from_mins(60 * hour));
            let round = round_at(start, at.as_micros());
            let made = if round == 0 { start } else { round_begins(start, round) };
            assert!(made <= at && at < made.plus(crate::stage::TOKEN_LIFE), "hour {hour}");
        }
    }
}
