//! The simulated world: nodes over one store, operations under way, and the loop that chooses what happens next.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use aws_lc_rs::digest::{SHA256, digest};
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::Identity;
use tenure_core::identity::scope::Cut;
use tenure_core::policy::PolicyEngine;
use tenure_core::store::port::RowSealer;
use tenure_core::store::row::{Position, RowKey, RowKind};
use tenure_core::store::use_note::UseKey;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::keys;
use tenure_engine::{Kernel, Ports, Settings};
use tenure_policy::CedarPolicy;
use tenure_store::{Dump, MemoryStore};

use crate::check::Checker;
use crate::clock::{NodeClock, Time};
use crate::exec;
use crate::feed::Feed;
use crate::focus::Focus;
use crate::intent::{Asked, Fact, Intent, Subject};
use crate::model::{Broken, Model, Violation, record};
use crate::policies::LoadedOnce;
use crate::rng::Rng;
use crate::store::{FaultyStore, Observed, Planted, Shared};
use crate::workload::{Holder, Platform};

/// Nodes that share the store.
const NODES: usize = 2;
/// Operations under way at once.
const MAX_TASKS: usize = 5;
/// Issuances of one identity in a minute; small, so that it is reached.
const BUDGET: u32 = 6;
/// How long an identity goes on without its owner, and then stays suspended; short, so that both end within a run.
const TRANSFER_WINDOW: Span = Span::from_mins(12);
/// How long a removal holds; short, too.
const REMOVAL_HOLD: Span = Span::from_mins(30);
const LAPSED_GRACE: Span = Span::from_mins(40);
const ROOT_KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
/// Where every node says that it is reached.
pub const PUBLIC_URL: &str = "https://tenure.sim";

/// An operation under way.
pub type Operation = Pin<Box<dyn Future<Output = Result<Fact, OpError>>>>;

/// A server.
pub struct Node {
    /// Its engine.
    pub engine: Arc<Kernel>,
    /// Its clock.
    pub clock: Arc<NodeClock>,
}

/// An operation that was asked for and has not answered.
pub(crate) struct Task {
    number: u64,
    node: usize,
    asked: Asked,
    /// By how much the node's clock was off.
    clock: i64,
    intent: Intent,
    operation: Operation,
}

/// Somebody with an operator token.
pub struct Operator {
    /// Who.
    pub id: PersonId,
    /// The token.
    pub token: String,
}

/// Everything.
pub struct World {
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// What chooses.
    pub rng: Rng,
    /// The true time.
    pub time: Arc<Time>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The people: an administrator, two of security, a manager, owners, a second administrator.
    pub people: Vec<Operator>,
    /// The identities.
    pub subjects: Vec<Subject>,
    /// The enforcement points, one an environment.
    pub enforcers: Vec<Subject>,
    /// What was registered besides.
    pub places: crate::intent::Places,
    /// What was acknowledged.
    pub model: Model,
    /// Signed checkpoints that somebody kept.
    pub kept: Vec<String>,
    /// The platform's key.
    pub platform: Holder,
    /// The platform as a source of signals.
    pub feed: Feed,
    /// The identities of the chain, in its order.
    pub links: Vec<IdentityId>,
    /// What is asked most.
    pub focus: Option<Focus>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) checker: Checker,
    pub(crate) tasks: Vec<Task>,
    asked: u64,
    starts: u64,
    learned: usize,
    trace: Trace,
}

/// What happened, as text and as a hash.
pub struct Trace {
    hash: [u8; 32],
    /// The newest lines.
    pub lines: Vec<String>,
    verbose: bool,
}

impl Trace {
    fn say(&mut self, line: String) {
        let mut input = self.hash.to_vec();
        input.extend_from_slice(line.as_bytes());
        if let Ok(hash) = digest(&SHA256, &input).as_ref().try_into() {
            self.hash = hash;
        }
        if self.verbose {
            println!("{line}");
        }
        self.lines.push(line);
    }

    /// The hash over every line, in hexadecimal.
    pub fn hash(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn root_key() -> Result<RootKey, Broken> {
    RootKey::from_text(ROOT_KEY).map_err(|error| ("setup", error.to_string()))
}

/// Parsing the policies takes longer than a whole run: once a process.
fn policy() -> Result<Arc<CedarPolicy>, Broken> {
    static POLICY: OnceLock<Option<Arc<CedarPolicy>>> = OnceLock::new();
    let loaded = POLICY.get_or_init(|| CedarPolicy::default_set().ok().map(Arc::new));
    loaded.clone().ok_or_else(|| ("setup", "the default policies can't be read".into()))
}

/// Digests that leave out the content: a planted defect.
struct WeakDigests(RowMac);

impl RowSealer for WeakDigests {
    fn digest(&self, key: &RowKey, revision: u64, _body: &[u8]) -> [u8; 32] {
        self.0.digest(key, revision, b"")
    }
    fn mac(&self, digest: &[u8; 32], created: Position, position: Position) -> [u8; 32] {
        self.0.mac(digest, created, position)
    }
    fn last_use(&self, subject: &str, at: Timestamp) -> [u8; 32] {
        self.0.last_use(subject, at)
    }
    fn use_note(&self, key: UseKey, body: &[u8]) -> [u8; 32] {
        self.0.use_note(key, body)
    }
}

impl World {
    /// A deployment that is set up, with people, places and enforcement points.
    ///
    /// # Errors
    /// What went wrong before the first step.
    pub fn new(seed: u64, planted: Option<Planted>, focus: Option<Focus>, verbose: bool) -> Result<Self, Broken> {
        let sealer = RowMac::new(&root_key()?);
        let sealer: Arc<dyn RowSealer> =
            if planted == Some(Planted::WeakDigests) { Arc::new(WeakDigests(sealer)) } else { Arc::new(sealer) };
        let memory = Arc::new(MemoryStore::new(sealer));
        let rng = Rng::new(seed, 1);
        let platform = Holder::new(&rng.bytes()).ok_or(("setup", "no key for the platform".to_owned()))?;
        let mut world = Self {
            seed,
            step: 0,
            time: Arc::default(),
            nodes: Vec::new(),
            people: Vec::new(),
            subjects: Vec::new(),
            enforcers: Vec::new(),
            places: crate::intent::Places::default(),
            model: Model::default(),
            kept: Vec::new(),
            platform,
            feed: Feed::default(),
            focus,
            links: Vec::new(),
            shared: Shared::new(memory, seed, planted),
            checker: Checker::new(root_key()?, BUDGET),
            tasks: Vec::new(),
            asked: 0,
            starts: 0,
            learned: 0,
            trace: Trace { hash: [0; 32], lines: Vec::new(), verbose },
            rng,
        };
        for n in 0..NODES {
            let error = i64::try_from(world.rng.below(2_000_000)).unwrap_or_default() - 1_000_000;
            let clock = Arc::new(NodeClock::new(Arc::clone(&world.time), error));
            let engine = world.engine(n, &clock)?;
            world.nodes.push(Node { engine, clock });
        }
        world.furnish()?;
        world.look()?;
        Ok(world)
    }

    fn engine(&mut self, node: usize, clock: &Arc<NodeClock>) -> Result<Arc<Kernel>, Broken> {
        self.starts += 1;
        let ports = Ports {
            connectors: Arc::new(tenure_core::target::connector::NoConnectors),
            store: Arc::new(FaultyStore::new(Arc::clone(&self.shared), node)),
            policy: policy()? as Arc<dyn PolicyEngine>,
            policies: Arc::new(LoadedOnce),
            clock: Arc::clone(clock) as _,
            entropy: Arc::new(SeededEntropy::new(Rng::new(self.seed, 100 + self.starts).below(u64::MAX))),
            fetch: Arc::new(Platform::new(&self.platform)),
            root: root_key()?,
        };
        let settings = Settings {
            public_url: PUBLIC_URL.into(),
            issuance_budget: BUDGET,
            refusal_budget: 5,
            key_overlap: Span::from_mins(5),
            transfer_window: TRANSFER_WINDOW,
            lapsed_grace: LAPSED_GRACE,
            removal_hold: REMOVAL_HOLD,
            ..Settings::default()
        };
        Ok(Arc::new(Kernel::new(ports, settings)))
    }

    /// What happened so far.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How often each kind of event happened.
    pub fn kinds(&self) -> &std::collections::BTreeMap<String, u64> {
        self.checker.kinds()
    }

    /// Everything that the store holds.
    pub fn dump(&self) -> Arc<Dump> {
        self.shared.dump()
    }

    /// Adds a line to the trace.
    pub fn say(&mut self, what: &str) {
        let line = format!("{:>5} {} {what}", self.step, self.time.now());
        self.trace.say(line);
    }

    /// A number that no other proof has.
    pub const fn next_number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// Runs `steps` steps, then heals everything and waits until it is quiet.
    ///
    /// # Errors
    /// The first rule that did not hold.
    pub fn run(&mut self, steps: u64) -> Result<(), Violation> {
        let result = self.storm(steps).and_then(|()| self.calm());
        result.map_err(|(invariant, what)| {
            self.say(&format!("{invariant}: {what}"));
            Violation { invariant, what, seed: self.seed, step: self.step }
        })
    }

    fn storm(&mut self, steps: u64) -> Result<(), Broken> {
        self.shared.set_faults(true);
        for _ in 0..steps {
            self.step += 1;
            self.time.pass(Span::from_micros(i64::try_from(50 + self.rng.below(3_000)).unwrap_or_default()));
            match self.rng.below(1_000) {
                0..12 => self.lose(),
                12..16 => self.crash()?,
                16..22 => self.jump(),
                22..72 => self.wait(),
                roll if self.tasks.is_empty() || (roll < 480 && self.tasks.len() < MAX_TASKS) => self.ask()?,
                _ => self.go_on()?,
            }
            self.look()?;
        }
        Ok(())
    }

    /// Something new is asked of some node; now and then the network delivers it twice.
    fn ask(&mut self) -> Result<(), Broken> {
        let node = usize::try_from(self.rng.below(NODES as u64)).unwrap_or_default();
        let Some((intent, operation)) = self.choose(node) else {
            return Ok(());
        };
        self.begin(node, intent, operation);
        let last = self.tasks.len().saturating_sub(1);
        self.advance(last)
    }

    /// Begins an operation.
    pub fn begin(&mut self, node: usize, intent: Intent, operation: Operation) {
        let number = self.next_number();
        let Some(at) = self.nodes.get(node) else { return };
        let (now, clock) = (at.engine.now(), at.clock.error());
        let asked = Asked { step: self.step, at: now, head: self.dump().head.size };
        self.say(&format!("#{number} node {node}: {intent:?}"));
        self.tasks.push(Task { number, node, asked, clock, intent, operation });
    }

    fn go_on(&mut self) -> Result<(), Broken> {
        let n = usize::try_from(self.rng.below(self.tasks.len() as u64)).unwrap_or_default();
        self.advance(n)
    }

    pub(crate) fn advance(&mut self, n: usize) -> Result<(), Broken> {
        let Some(task) = self.tasks.get_mut(n) else {
            return Ok(());
        };
        if let Poll::Ready(result) = exec::poll(&mut task.operation) {
            let task = self.tasks.remove(n);
            self.observe()?;
            self.answered(task, result)?;
        }
        Ok(())
    }

    fn answered(&mut self, task: Task, result: Result<Fact, OpError>) -> Result<(), Broken> {
        let text = match &result {
            Ok(fact) => fact.to_string(),
            Err(OpError::Invalid(fields)) => {
                format!("invalid: {:?}", fields.iter().map(|field| field.code.as_str()).collect::<Vec<_>>())
            }
            Err(error) => error.to_string(),
        };
        self.say(&format!("#{} {text}", task.number));
        let jumped = self.nodes.get(task.node).is_none_or(|node| node.clock.error() != task.clock);
        let at = if jumped { Timestamp::default() } else { task.asked.at };
        self.judge(&task.intent, Asked { at, ..task.asked }, result)
    }

    /// What is just being given back, by key.
    pub fn loosening(&self) -> BTreeSet<String> {
        self.tasks.iter().filter_map(|task| task.intent.loosens()).collect()
    }

    /// An operation is dropped: its caller gave up, or the reply was lost.
    fn lose(&mut self) {
        if !self.tasks.is_empty() {
            let n = usize::try_from(self.rng.below(self.tasks.len() as u64)).unwrap_or_default();
            self.drop_task(n);
        }
    }

    fn drop_task(&mut self, n: usize) {
        let task = self.tasks.remove(n);
        self.say(&format!("#{} is lost", task.number));
        if let Some(key) = task.intent.loosens() {
            self.model.loosen(key, self.step);
        }
    }

    /// A node dies with all that it did and knew, and starts again; its clock is set right on the way.
    fn crash(&mut self) -> Result<(), Broken> {
        let n = usize::try_from(self.rng.below(NODES as u64)).unwrap_or_default();
        self.say(&format!("node {n} dies"));
        while let Some(place) = self.tasks.iter().position(|task| task.node == n) {
            self.drop_task(place);
        }
        let Some(clock) = self.nodes.get(n).map(|node| Arc::clone(&node.clock)) else {
            return Ok(());
        };
        clock.set_error(0);
        let engine = self.engine(n, &clock)?;
        // A node that can't read where the log stands doesn't start: it tries until it can.
        let recovered = (0..20).any(|_| matches!(exec::finish(keys::recover(&engine), 1_000), Some(Ok(()))));
        if !recovered {
            return Err(("internal", format!("node {n} can't start again")));
        }
        if let Some(node) = self.nodes.get_mut(n) {
            node.engine = engine;
        }
        Ok(())
    }

    /// A node's clock steps, a little or a lot, or is set right.
    fn jump(&mut self) {
        let n = usize::try_from(self.rng.below(NODES as u64)).unwrap_or_default();
        let error = match self.rng.below(20) {
            0..4 => 40_000_000,
            4..8 => -40_000_000,
            8 => 3_600_000_000,
            9..11 => -3_600_000_000,
            _ => 0,
        };
        self.say(&format!("node {n}'s clock is off by {} s", error / 1_000_000));
        if let Some(node) = self.nodes.get(n) {
            node.clock.set_error(error);
        }
    }

    fn wait(&mut self) {
        let span = match self.rng.below(20) {
            0..12 => Span::from_secs(i64::try_from(1 + self.rng.below(20)).unwrap_or(1)),
            12..17 => Span::from_secs(i64::try_from(20 + self.rng.below(200)).unwrap_or(1)),
            17..19 => Span::from_mins(i64::try_from(5 + self.rng.below(60)).unwrap_or(1)),
            _ => Span::from_mins(i64::try_from(60 + self.rng.below(600)).unwrap_or(1)),
        };
        self.time.pass(span);
        self.say(&format!("{span} pass"));
    }

    fn observe(&mut self) -> Result<(), Broken> {
        let observed = self.shared.take_observed();
        if observed.is_empty() {
            return Ok(());
        }
        let dump = self.dump();
        for observed in &observed {
            self.checker.commit(observed, &dump)?;
            self.note_cuts(observed);
        }
        Ok(())
    }

    /// Who was in the scopes that a commit cut.
    fn note_cuts(&mut self, observed: &Observed) {
        let puts = observed.changeset.puts.iter().filter(|put| observed.written && put.key.kind == RowKind::Cut);
        for cut in puts.filter_map(|put| serde_json::from_slice::<Cut>(&put.body).ok()) {
            let before = &observed.before;
            let identities = before.rows.keys().filter(|key| key.kind == RowKind::Identity);
            let members = identities.filter_map(|key| record::<Identity>(before, key)).filter(|identity| {
                let mut memberships = identity.memberships.iter();
                memberships.any(|membership| membership.scope == cut.scope)
            });
            let members = members.map(|identity| identity.id).collect();
            self.model.cut_off(cut.scope, before.head.size, members);
        }
    }

    /// Checks everything that can be seen now.
    pub(crate) fn look(&mut self) -> Result<(), Broken> {
        self.observe()?;
        let secrets = self.model.secrets.get(self.learned..).unwrap_or_default();
        self.learned = self.model.secrets.len();
        self.checker.content(&self.shared.dump(), secrets)
    }
}
