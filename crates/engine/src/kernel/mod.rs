//! What every use case stands on: the store, the policy and the clock; deciding and committing; who may.

pub(crate) mod administrators;
pub mod authority;
pub mod budgets;
pub mod caller;
pub mod counters;
pub mod decide;
pub mod deployment;
pub(crate) mod digest;
pub(crate) mod due_now;
pub mod durations;
pub mod epoch;
pub mod error;
pub mod exceptional;
pub mod finding;
mod floors;
pub mod freshness;
pub mod idempotency;
pub mod if_match;
pub mod keys;
pub mod load;
pub(crate) mod log_index;
pub(crate) mod memory;
pub mod names;
pub mod notice;
pub mod operation;
pub mod outbound;
pub mod policy;
pub mod query;
pub(crate) mod recent;
pub mod refusals;
pub mod rehearsal;
mod reserved;
pub(crate) mod search;
pub(crate) mod sightings;
pub(crate) mod spans;
pub mod tallies;
pub mod work;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tenure_core::base::entropy::Entropy;
use tenure_core::base::time::{Clock, ClockGuard, Reading, Span, Timestamp};
use tenure_core::identity::context::NewContextPolicy;
use tenure_core::policy::{PolicyEngine, PolicyLoader};
use tenure_core::request::review::RotationReview;
use tenure_core::store::port::{BoxFuture, Store};
use tenure_core::target::connector::Connectors;
use tenure_credentials::nonce::NonceKey;
use tenure_credentials::opaque::OpaqueKeys;
use tenure_credentials::root::RootKey;
use tokio::sync::watch;

use crate::kernel::aggregates::Aggregates;
use crate::kernel::counters::Counters;
use crate::kernel::due_now::DueNow;
use crate::kernel::durations::Timings;
use crate::kernel::error::OpError;
use crate::kernel::floors::Floored;
use crate::kernel::key_cache::KeyCache;
use crate::kernel::memory::Memory;
use crate::kernel::outbound::Fetch;
use crate::kernel::policy::Policies;

/// What can be set about the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The base URL under which clients reach the server, without a slash at its end.
    pub public_url: String,
    /// The base URL of the listener that asks for client certificates, without a slash at its end, if there is one (RFC
    /// 8705 §5).
    pub mtls_url: Option<String>,
    /// Credentials that one identity may get in a minute.
    pub issuance_budget: u32,
    /// Changes that one person, or one identity by the API, may make in a minute; what takes authority away is not
    /// counted.
    pub write_budget: u32,
    /// How much these may add to database and log in a minute, in KiB.
    pub write_budget_kib: u32,
    /// Refusals of one known caller that are recorded one by one in a minute.
    pub refusal_budget: u32,
    /// How long a new signing key is published before it signs.
    pub key_overlap: Span,
    /// When access that a person got lapses unless its first review keeps it (R116).
    pub early_review: Span,
    /// How long a review of an identity may take before that is suspended (R93).
    pub review_within: Span,
    /// How closely an identity is looked at after a rotation (R81).
    pub rotation_review: RotationReview,
    /// How long every identity may go unused, in place of what its risk tier allows (R76).
    pub dormant_after: Option<Span>,
    /// How often every identity is reviewed, in place of what its tier says.
    pub review_every: Option<Span>,
    /// The rules of posture, by id, whose breach suspends the identity; the others' is told and nothing else.
    pub hold_findings: Vec<String>,
    /// How long an identity goes on after its owner left before it is suspended, unless somebody takes it (R91).
    pub transfer_window: Span,
    /// How long an identity that nobody took stays suspended before it retires.
    pub lapsed_grace: Span,
    /// How long what a removal holds can be released before it retires (S-12).
    pub removal_hold: Span,
    /// What becomes of whose approval rests on how they behave, when they are used in a new context (R111).
    pub new_context: NewContextPolicy,
    /// For how long it is kept on which day identities were used, and how often.
    pub use_daily_for: Span,
    /// For how long it is kept in which month.
    pub use_monthly_for: Span,
    /// How old the log's entries get before they are archived.
    pub archive_after: Span,
    /// How long the name and address of somebody who left are kept; for ever if it isn't set.
    pub erase_departed_after: Option<Span>,
    /// How far the wall clock may step before issuance stops (S-4).
    pub clock_tolerance: Span,
    /// How long a request stays open.
    pub request_open_for: Span,
    /// How long after its opening whoever may approve a request is reminded, and again after as long.
    pub request_remind_after: Span,
    /// How long after its opening a request that nobody answered is escalated.
    pub request_escalate_after: Span,
    /// Where what doesn't fit in memory is put for a while, in files without a name.
    pub scratch: std::path::PathBuf,
    /// The solver that analyses proposed policy sets (cvc5), if there is one.
    pub solver: Option<std::path::PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8420".into(),
            mtls_url: None,
            issuance_budget: 600,
            write_budget: 6_000,
            write_budget_kib: 32 * 1_024,
            refusal_budget: 60,
            key_overlap: Span::from_mins(5),
            early_review: tenure_core::people::person_grant::EARLY_REVIEW,
            review_within: tenure_core::request::review::ANSWER_WITHIN,
            rotation_review: RotationReview::default(),
            dormant_after: None,
            review_every: None,
            hold_findings: Vec::new(),
            transfer_window: tenure_core::identity::transfer::TRANSFER_WINDOW,
            lapsed_grace: tenure_core::identity::transfer::LAPSED_GRACE,
            removal_hold: tenure_core::signal::removal::HOLD,
            new_context: NewContextPolicy::default(),
            use_daily_for: Span::from_days(90),
            use_monthly_for: tenure_core::identity::right_size::RARE_WITHIN,
            archive_after: Span::from_days(30),
            erase_departed_after: None,
            clock_tolerance: Span::from_mins(5),
            request_open_for: tenure_core::request::OPEN_FOR,
            request_remind_after: tenure_core::request::REMIND_AFTER,
            request_escalate_after: tenure_core::request::ESCALATE_AFTER,
            scratch: std::env::temp_dir(),
            solver: None,
        }
    }
}

/// The ports that the engine works through.
pub struct Ports {
    /// Where rows and the log are.
    pub store: Arc<dyn Store>,
    /// Who decides as long as no other set was put in force: the built-in set.
    pub policy: Arc<dyn PolicyEngine>,
    /// What reads other sets.
    pub policies: Arc<dyn PolicyLoader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Outbound requests.
    pub fetch: Arc<dyn Fetch>,
    /// What asks targets.
    pub connectors: Arc<dyn Connectors>,
    /// What seals keys.
    pub root: RootKey,
}

/// A look outside: it may end in a commit, so it can't be part of what it is done for.
pub(crate) type Look = for<'a> fn(&'a Kernel) -> BoxFuture<'a, Result<(), OpError>>;

/// What every use case works through.
pub struct Kernel {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Policies,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) root: RootKey,
    pub(crate) opaque: OpaqueKeys,
    pub(crate) nonces: NonceKey,
    pub(crate) settings: Settings,
    pub(crate) keys: KeyCache,
    pub(crate) aggregates: Aggregates,
    pub(crate) used: Mutex<HashMap<String, Timestamp>>,
    guard: ClockGuard,
    last_committed: AtomicI64,
    /// Whether a checkpoint outside contradicts the log, and the epoch, as last read (S-1).
    pub(crate) contradicted: AtomicBool,
    pub(crate) epoch: AtomicU64,
    /// What rooms keep in memory.
    pub(crate) memory: Memory,
    /// A look outside before anything rests on the store, if there is somewhere to look.
    look: OnceLock<Look>,
    /// The log's length after the last commit by which more happened than issuance and use: what is kept outside has to
    /// cover it soon.
    pub(crate) urgent: watch::Sender<u64>,
    /// What the last look at the state found, and when (S-2).
    pub(crate) state_faults: AtomicU64,
    pub(crate) state_verified_at: AtomicI64,
    pub(crate) counters: Counters,
    pub(crate) timings: Timings,
    /// The channels that notices go out on.
    pub(crate) channels: Mutex<Vec<&'static str>>,
    /// What fell due by a change that was just made.
    pub(crate) due_now: DueNow,
}

impl Kernel {
    /// From now on this look is taken before anything rests on the store.
    pub(crate) fn look_before(&self, look: Look) {
        // There is one look; whoever sets it twice sets the same.
        let _ = self.look.set(look);
    }

    /// Looks outside, if there is somewhere to look.
    pub(crate) async fn look(&self) -> Result<(), OpError> {
        match self.look.get() {
            Some(look) => look(self).await,
            None => Ok(()),
        }
    }

    /// A kernel over these ports.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let guard = ClockGuard::new(ports.clock.as_ref(), settings.clock_tolerance);
        Self {
            store: Arc::new(Floored::new(ports.store, Arc::clone(&ports.clock))),
            policy: Policies::new(ports.policy, ports.policies),
            clock: ports.clock,
            entropy: ports.entropy,
            fetch: ports.fetch,
            connectors: ports.connectors,
            opaque: OpaqueKeys::new(&ports.root),
            nonces: NonceKey::new(&ports.root),
            root: ports.root,
            settings,
            keys: KeyCache::default(),
            aggregates: Aggregates::default(),
            used: Mutex::new(HashMap::new()),
            guard,
            last_committed: AtomicI64::new(0),
            contradicted: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            memory: Memory::default(),
            look: OnceLock::new(),
            urgent: watch::Sender::new(0),
            state_faults: AtomicU64::new(0),
            state_verified_at: AtomicI64::new(0),
            counters: Counters::default(),
            timings: Timings::default(),
            channels: Mutex::default(),
            due_now: DueNow::default(),
        }
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The issuer identifier of an environment (S-6).
    pub fn issuer_of(&self, environment: &str) -> String {
        format!("{}/env/{environment}", self.settings.public_url)
    }

    /// The time to decide with, and whether it may be relied on.
    pub fn reading(&self) -> Reading {
        self.guard.check(self.clock.as_ref(), Timestamp::from_micros(self.last_committed.load(Ordering::Relaxed)))
    }

    /// The time to decide with.
    pub fn now(&self) -> Timestamp {
        self.reading().now
    }

    pub(crate) fn note_committed(&self, at: Timestamp) {
        self.last_committed.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    /// Notes that a subject was used; written later, in batches.
    pub(crate) fn touch(&self, subject: String, at: Timestamp) {
        let mut used = self.used.lock();
        // Bounded: stamps that can't be kept until the next flush are lost, as they may be in a crash.
        if used.len() < 100_000 || used.contains_key(&subject) {
            used.insert(subject, at);
        }
    }
}
pub mod aggregates;
pub mod key_cache;
pub mod refresh;
