//! What an identity asks for while it runs, and how it learns the answer (R56): the shape of OpenID CIBA over a
//! [`crate::request`].
//!
//! What is asked for, and whether it was given, stands in the request alone; here stands who may fetch the answer, how
//! often they may ask for it, and where they are told.

use serde::{Deserialize, Serialize};

use crate::base::backoff::Backoff;
use crate::base::id::{CredentialId, IdentityId, RequestId};
use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// How long to wait between two questions (CIBA §7.3).
pub const INTERVAL: Span = Span::from_secs(5);
/// How much longer after each question that came too soon (CIBA §11).
pub const SLOWER: Span = Span::from_secs(5);
/// The longest that a client is made to wait between two questions.
pub const MAX_INTERVAL: Span = Span::from_mins(5);
/// A question may come this much before its time: networks and clocks waver.
const LEEWAY: Span = Span::from_micros(500_000);
/// The time between two attempts to call back: after the first failure it has doubled once.
const CALL_BACKS: Backoff = Backoff::new(Span::from_secs(1), Span::from_mins(10));
/// The shortest time that a request can be given.
pub const MIN_EXPIRY: Span = Span::from_secs(30);
/// The longest notification token in bytes (CIBA §7.1).
pub const MAX_NOTIFICATION_TOKEN: usize = 1_024;
/// How long the record stays after its end, so that a late question is told that it is late.
const KEPT: Span = Span::from_days(1);

/// An answer that an identity waits for. Its row's id is the request's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backchannel {
    /// The request that decides it.
    pub request: RequestId,
    /// Who asked, and alone may fetch the answer.
    pub identity: IdentityId,
    /// The environment whose issuer was asked.
    pub environment: String,
    /// Until when the answer can be fetched; the request lapses then.
    pub expires_at: Timestamp,
    /// How long to wait between two questions, by now.
    pub interval: Span,
    /// When it was last asked for while nobody had answered.
    pub asked_at: Option<Timestamp>,
    /// The credential that it was redeemed for, which happens once.
    pub redeemed: Option<CredentialId>,
    /// How it is called back, if it wants to be.
    pub callback: Option<Callback>,
}

/// A call that tells the identity that there is an answer (CIBA §10.2, ping).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The notification token, sealed; none once it was used.
    pub token: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was taken.
    pub delivered_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub why: Option<String>,
}

/// What a question gets while nobody has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Ask again after the interval.
    Pending,
    /// It came too soon: the interval has grown.
    SlowDown,
}

impl Backchannel {
    /// Notes a question while nobody has answered.
    pub fn asked(mut self, now: Timestamp) -> (Self, Wait) {
        let soonest = self.asked_at.map(|at| at.plus(self.interval).minus(LEEWAY));
        let wait = if soonest.is_some_and(|soonest| now < soonest) {
            let slower = Span::from_secs(self.interval.as_secs().saturating_add(SLOWER.as_secs()));
            self.interval = slower.min(MAX_INTERVAL);
            Wait::SlowDown
        } else {
            Wait::Pending
        };
        self.asked_at = Some(now);
        (self, wait)
    }

    /// The next attempt to call back: seconds that double, ten minutes at most, and none after the end.
    pub fn next_call(&self, now: Timestamp) -> Option<Timestamp> {
        let attempts = self.callback.as_ref().map_or(0, |callback| callback.attempts);
        let next = now.plus(CALL_BACKS.after(attempts.saturating_add(1)));
        (next < self.expires_at).then_some(next)
    }
}

impl Backchannel {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for Backchannel {
    const KIND: RowKind = RowKind::Backchannel;
    fn row_id(&self) -> String {
        self.request.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::IDENTITY, self.identity)
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        Some(self.expires_at.plus(KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn waiting() -> Backchannel {
        Backchannel {
            request: RequestId::from_u128(1),
            identity: IdentityId::from_u128(2),
            environment: "prod".into(),
            expires_at: at(3_600),
            interval: INTERVAL,
            asked_at: None,
            redeemed: None,
            callback: None,
        }
    }

    #[test]
    fn each_question_that_comes_too_soon_makes_the_next_wait_longer() {
        let (asked, wait) = waiting().asked(at(0));
        assert_eq!(wait, Wait::Pending, "the first may come at once");
        let (asked, wait) = asked.asked(at(5));
        assert_eq!((wait, asked.interval), (Wait::Pending, INTERVAL));
        let (asked, wait) = asked.asked(at(7));
        assert_eq!((wait, asked.interval), (Wait::SlowDown, Span::from_secs(10)));
        let (mut asked, wait) = asked.asked(at(13));
        assert_eq!((wait, asked.interval), (Wait::SlowDown, Span::from_secs(15)));
        for n in 0..100 {
            asked = asked.asked(at(14 + n)).0;
        }
        assert_eq!(asked.interval, MAX_INTERVAL);
    }

    #[test]
    fn calls_are_tried_ever_more_seldom_and_not_after_the_end() {
        let mut waiting = waiting();
        let mut callback = Callback { token: None, attempts: 1, delivered_at: None, why: None };
        waiting.callback = Some(callback.clone());
        assert_eq!(waiting.next_call(at(0)), Some(at(2)));
        callback.attempts = 40;
        waiting.callback = Some(callback);
        assert_eq!(waiting.next_call(at(0)), Some(at(600)));
        assert_eq!(waiting.next_call(at(3_599)), None);
    }
}
