//! Where tales are played: a kernel over a store in memory, by a clock that goes on when the tale says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use tenure_api::request::NewVote;
use tenure_api::requests::NewOperatorToken;
use tenure_api::reviews::ReviewCompleted;
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{OperatorTokenId, PersonId, RequestId};
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::request::review::{Review, ReviewAnswer, ReviewState};
use tenure_core::request::{Place, Request, RequestState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::port::{Outcome, Store};
use tenure_core::store::row::{Record, Row, RowKey, RowKind};
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::votes;
use tenure_engine::people::operator_tokens;
use tenure_engine::reviews::answers;
use tenure_engine::run::{deadlines, upkeep};
use tenure_engine::{Kernel, Ports, Settings};
use tenure_policy::{CedarPolicy, Loader};
use tenure_store::MemoryStore;

use crate::error::SeedError;
use crate::holder::{Platform, base64url};
use crate::random::{bytes, number};
use crate::recorder::{Part, Recorder};

/// How long an operator token is good for.
pub(crate) const TOKEN_LIFE: Span = Span::from_days(30);
/// How soon what falls due is worked off, and how long a lease holds.
const SOON: Span = Span::from_millis(700);
const LEASED: Span = Span::from_secs(11);
/// How long before its end the next one is handed out.
const RENEW_BEFORE: Span = Span::from_days(3);

/// A clock that goes on when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.as_micros())))
    }
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Span {
        self.now().since(Timestamp::from_micros(0))
    }
}

/// What every kernel of a history has in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) seed: u64,
    pub(crate) public_url: String,
    pub(crate) policy: Arc<CedarPolicy>,
}

impl Common {
    pub(crate) fn new(seed: u64, public_url: &str) -> Result<Self, SeedError> {
        let policy =
            CedarPolicy::default_set().map_err(|error| SeedError::Other(format!("the default policies: {error}")))?;
        Ok(Self { seed, public_url: public_url.to_owned(), policy: Arc::new(policy) })
    }

    /// The root key, as its file holds it.
    pub(crate) fn root_text(&self) -> String {
        root_text(self.seed)
    }

    pub(crate) fn root(&self) -> Result<RootKey, SeedError> {
        RootKey::from_text(&self.root_text()).map_err(|error| SeedError::Other(error.to_string()))
    }

    /// A kernel over a store.
    pub(crate) fn kernel(&self, store: Arc<dyn Store>, clock: Arc<Hand>, use_of: u64) -> Result<Kernel, SeedError> {
        let ports = Ports {
            connectors: Arc::new(tenure_core::target::connector::NoConnectors),
            store,
            policy: Arc::clone(&self.policy) as _,
            policies: Arc::new(Loader),
            clock,
            entropy: Arc::new(SeededEntropy::new(number(self.seed, use_of))),
            fetch: Arc::new(Platform::new(self.seed)?),
            root: self.root()?,
        };
        Ok(Kernel::new(ports, Settings { public_url: self.public_url.clone(), ..Settings::default() }))
    }
}

/// The root key of a seed, as its file holds it.
pub(crate) fn root_text(seed: u64) -> String {
    base64url(&bytes(seed, 0x6007))
}

/// What somebody acts with.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) id: OperatorTokenId,
    text: String,
    until: Timestamp,
}

/// A kernel over a store in memory.
pub(crate) struct Stage {
    pub(crate) common: Common,
    pub(crate) store: Arc<Recorder>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) kernel: Kernel,
    /// What was committed before it began.
    before: Vec<Changeset>,
    passes: Mutex<BTreeMap<PersonId, Pass>>,
    /// Every token that somebody had here, and who.
    handed: Mutex<BTreeMap<OperatorTokenId, PersonId>>,
    /// Who hands out operator tokens.
    administrator: Mutex<Option<PersonId>>,
}

impl Stage {
    /// An empty one at a time.
    pub(crate) fn new(common: &Common, now: Timestamp, use_of: u64) -> Result<Self, SeedError> {
        let store = Recorder::new(MemoryStore::new(Arc::new(RowMac::new(&common.root()?))));
        let clock = Hand::at(now);
        let kernel = common.kernel(Arc::clone(&store) as _, Arc::clone(&clock), use_of)?;
        Ok(Self {
            common: common.clone(),
            store,
            clock,
            kernel,
            before: Vec::new(),
            passes: Mutex::default(),
            handed: Mutex::default(),
            administrator: Mutex::default(),
        })
    }

    /// Another one that begins where this one stands.
    pub(crate) fn again(&self, use_of: u64) -> Result<Self, SeedError> {
        let mut stage = Self::new(&self.common, self.clock.now(), use_of)?;
        let own = self.store.commits().into_iter().map(|recorded| unfenced(recorded.changeset));
        stage.before = self.before.iter().cloned().chain(own).collect();
        stage.before.iter().for_each(|changeset| stage.store.note(changeset));
        for outcome in stage.store.memory.commit_all(stage.before.clone()) {
            let Outcome::Committed(_) = outcome else {
                return Err(SeedError::Other(format!("what was committed once is not a second time: {outcome:?}")));
            };
        }
        stage.passes.lock().clone_from(&self.passes.lock());
        *stage.administrator.lock() = *self.administrator.lock();
        Ok(stage)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn hand_out_by(&self, administrator: PersonId) {
        *self.administrator.lock() = Some(administrator);
    }

    /// Every token that somebody had, and who.
    pub(crate) fn handed(&self) -> BTreeMap<OperatorTokenId, PersonId> {
        let mut handed = self.handed.lock().clone();
        handed.extend(self.passes.lock().iter().map(|(person, pass)| (pass.id, *person)));
        handed
    }

    pub(crate) fn takes(&self, person: PersonId, id: OperatorTokenId, text: String, until: Timestamp) {
        if let Some(before) = self.passes.lock().insert(person, Pass { id, text, until }) {
            self.handed.lock().insert(before.id, person);
        }
    }

    /// Somebody, as who acts.
    pub(crate) async fn by(&self, person: PersonId) -> Result<Caller, SeedError> {
        let pass = self.passes.lock().get(&person).cloned();
        let pass = match pass {
            Some(pass) if self.now().plus(Span::from_mins(60)) < pass.until => pass,
            _ => {
                self.renew(person, Part::Beside).await?;
                self.passes.lock().get(&person).cloned().ok_or_else(|| SeedError::missing("hand out a token"))?
            }
        };
        caller::authenticate_person(&self.kernel, &pass.text)
            .await
            .map_err(|error| SeedError::engine("let somebody in", error))
    }

    /// Hands out a new operator token.
    pub(crate) async fn renew(&self, person: PersonId, part: Part) -> Result<(), SeedError> {
        let by = self.administrator.lock().ok_or_else(|| SeedError::missing("have an administrator"))?;
        let pass = self.passes.lock().get(&by).cloned().ok_or_else(|| SeedError::missing("know its administrator"))?;
        let before = self.store.is(part);
        let made = async {
            let caller = caller::authenticate_person(&self.kernel, &pass.text).await?;
            let ask = NewOperatorToken { ttl: Some(TOKEN_LIFE) };
            operator_tokens::create_operator_token(&self.kernel, &caller, person, ask).await
        };
        let made = made.await;
        self.store.is(before);
        let made = made.map_err(|error| SeedError::engine("hand out an operator token", error))?;
        self.takes(person, made.id, made.operator_token.clone(), self.now().plus(TOKEN_LIFE));
        Ok(())
    }

    /// Lets time pass. What falls due is worked off when it does, reviews are answered, and the administrator keeps a
    /// token.
    pub(crate) async fn pass(&self, span: Span) -> Result<(), SeedError> {
        let until = self.now().plus(span);
        loop {
            self.keep_administrator().await?;
            let next = self.next_stop(until);
            self.clock.set(next);
            let mut worked = 0;
            for _ in 0..64 {
                let done = deadlines::work_due(&self.kernel)
                    .await
                    .map_err(|error| SeedError::engine("work off what is due", error))?;
                worked += done;
                if done == 0 {
                    break;
                }
            }
            upkeep::flush_used(&self.kernel).await.map_err(|error| SeedError::engine("note what was used", error))?;
            self.answer_reviews().await?;
            if next >= until && worked == 0 {
                return Ok(());
            }
        }
    }

    /// When something is to be done next: what falls due, a second later than that.
    fn next_stop(&self, until: Timestamp) -> Timestamp {
        let due = self.store.next_due().map_or(until, |due| due.plus(SOON));
        // What is due still was leased to somebody who didn't finish: it is looked at when that is over.
        let due = if due <= self.now() { self.now().plus(LEASED) } else { due };
        let token = self.administrator.lock().and_then(|person| {
            self.passes.lock().get(&person).map(|pass| pass.until.minus(RENEW_BEFORE).plus(Span::from_secs(1)))
        });
        due.min(token.unwrap_or(until)).max(self.now()).min(until)
    }

    async fn keep_administrator(&self) -> Result<(), SeedError> {
        let Some(administrator) = *self.administrator.lock() else { return Ok(()) };
        let ends = self.passes.lock().get(&administrator).map(|pass| pass.until);
        match ends {
            Some(ends) if ends.minus(RENEW_BEFORE) < self.now() => self.renew(administrator, Part::Beside).await,
            _ => Ok(()),
        }
    }

    async fn answer_reviews(&self) -> Result<(), SeedError> {
        if !self.store.was_reviewed() {
            return Ok(());
        }
        for review in self.all::<Review>(RowKind::Review)? {
            let (Some(reviewer), ReviewState::Open) = (review.reviewer, review.state.get()) else { continue };
            self.clock.set(self.now().plus(Span::from_mins(190)));
            let by = self.by(reviewer).await?;
            let ask = ReviewCompleted { answer: ReviewAnswer::Keep, comment: "still needed".into(), scope: None };
            Box::pin(answers::complete_review(&self.kernel, &by, review.id, ask))
                .await
                .map_err(|error| SeedError::engine("take the answer to a review", error))?;
        }
        Ok(())
    }

    /// Every record of a kind.
    pub(crate) fn all<T: Record + Clone>(&self, kind: RowKind) -> Result<Vec<T>, SeedError> {
        let dump = self.store.memory.dump();
        let rows = dump.rows.iter().filter(|(key, _)| key.kind == kind);
        rows.map(|(_, row)| read(row)).collect()
    }

    /// A record.
    pub(crate) fn one<T: Record + Clone>(&self, kind: RowKind, id: impl std::fmt::Display) -> Result<T, SeedError> {
        let dump = self.store.memory.dump();
        let key = RowKey::new(kind, id);
        let row = dump.rows.get(&key).ok_or_else(|| SeedError::missing(&format!("have {key}")))?;
        read(row)
    }

    /// Has whoever may, vote on a request until it is decided.
    pub(crate) async fn approve(&self, id: RequestId, who: &Voters) -> Result<(), SeedError> {
        for _ in 0..3 {
            let request: Request = self.one(RowKind::Request, id)?;
            if request.state != RequestState::Open {
                return Ok(());
            }
            self.pass(Span::from_mins(95)).await?;
            let voter = who.voter(&request).ok_or_else(|| {
                SeedError::missing(&format!("have anybody left who may vote for {:?}", request.open_steps()))
            })?;
            self.vote(&request, voter, true).await?;
        }
        Ok(())
    }

    /// A vote.
    pub(crate) async fn vote(&self, request: &Request, voter: PersonId, approves: bool) -> Result<(), SeedError> {
        let by = self.by(voter).await?;
        let ask = NewVote { content_hash: request.content_hash.clone(), comment: String::new() };
        Box::pin(votes::vote(&self.kernel, &by, request.id, approves, ask))
            .await
            .map_err(|error| SeedError::engine("take a vote", error))?;
        Ok(())
    }

    /// What the engine says of something.
    pub(crate) async fn done<T>(
        &self,
        what: &str,
        operation: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, SeedError> {
        Box::pin(operation).await.map_err(|error| SeedError::engine(what, error))
    }
}

fn read<T: Record + Clone>(row: &Arc<Row>) -> Result<T, SeedError> {
    let stored = row.decode::<T>().map_err(|error| SeedError::Other(error.to_string()))?;
    Ok((*stored.value).clone())
}

/// The same changeset for whoever holds no lease: it says the same of when something falls due.
pub(crate) fn unfenced(mut changeset: Changeset) -> Changeset {
    use tenure_core::store::changeset::DueChange;
    for change in &mut changeset.due {
        *change = match change.clone() {
            DueChange::Ack(kind, subject, _) => DueChange::Clear(kind, subject),
            DueChange::Retry(kind, subject, _, at) => DueChange::Set(kind, subject, at),
            other => other,
        };
    }
    changeset
}

/// Who votes.
#[derive(Debug, Clone)]
pub(crate) struct Voters {
    pub(crate) security: Vec<PersonId>,
    pub(crate) administrators: Vec<PersonId>,
}

impl Voters {
    pub(crate) fn voter(&self, request: &Request) -> Option<PersonId> {
        let free = |person: &PersonId| {
            !request.interested.contains(person) && !request.votes.iter().any(|vote| vote.by == *person)
        };
        request.open_steps().first()?.iter().find_map(|place| match place {
            Place::Owner => request.owner.filter(free),
            Place::Manager => request.manager.filter(free),
            Place::Security => self.security.iter().copied().find(free),
            Place::Administrator => self.administrators.iter().copied().find(free),
        })
    }
}
