use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tenure_api::people::NewPerson;
use tenure_api::requests::Setup;
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{BoxFuture, Outcome, Store};
use tenure_core::store::row::Record;
use tenure_core::target::connector::{Connectors, NoConnectors};
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_log::{Hash, VerifierKey};
use tenure_policy::{CedarPolicy, Loader};
use tenure_store::MemoryStore;
use tokio::sync::watch;

use super::*;
use crate::kernel::caller::{self, Caller};
use crate::kernel::outbound::{Answered, Fetch, FetchError, Form, Push};
use crate::kernel::work::system;
use crate::log::sealer::run_sealer;
use crate::log::{places, reading, seal};
use crate::matters::roles;
use crate::people::{operator_tokens, setup};
use crate::{Ports, Settings};

/// A clock that stands until it is moved.
#[derive(Default)]
pub(crate) struct TestClock {
    passed: AtomicI64,
    stepped: AtomicI64,
}

impl TestClock {
    /// Lets time pass.
    pub(crate) fn advance(&self, span: Span) {
        self.passed.fetch_add(span.as_micros(), Ordering::SeqCst);
    }
    /// Sets the wall clock this much ahead, or back, while no time passes.
    pub(crate) fn step(&self, micros: i64) {
        self.stepped.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let right = Timestamp::from_secs(1_800_000_000).plus(self.monotonic());
        Timestamp::from_micros(right.as_micros() + self.stepped.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Span {
        Span::from_micros(self.passed.load(Ordering::SeqCst))
    }
}

/// Documents by URL; what isn't there can't be fetched.
#[derive(Default)]
pub(crate) struct Web {
    pages: Mutex<HashMap<String, String>>,
    fetched: AtomicUsize,
}

impl Web {
    pub(crate) fn publish(&self, url: &str, document: &str) {
        self.pages.lock().insert(url.to_owned(), document.to_owned());
    }
    pub(crate) fn withdraw(&self, url: &str) {
        self.pages.lock().remove(url);
    }
    pub(crate) fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

impl Fetch for Web {
    fn get<'a>(&'a self, url: &'a str, _limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let page = self.pages.lock().get(url).cloned();
        Box::pin(async move {
            tokio::task::yield_now().await;
            page.map(String::into_bytes)
                .ok_or_else(|| FetchError { url: url.into(), why: "10.0.0.7 refused the connection".into() })
        })
    }
    fn post_form<'a>(&'a self, form: Form<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        Box::pin(async move { self.get(form.url, limit).await.map(|body| Answered { status: 200, body }) })
    }
    fn post_json<'a>(
        &'a self,
        url: &'a str,
        _bearer: &'a str,
        _body: &'a str,
    ) -> BoxFuture<'a, Result<u16, FetchError>> {
        Box::pin(async move { self.get(url, 0).await.map(|_| 204) })
    }
}

/// An engine over a store in memory, set up, and its first administrator.
pub(crate) struct World {
    pub engine: Arc<Kernel>,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<TestClock>,
    pub web: Arc<Web>,
    pub admin: Caller,
}

fn root() -> RootKey {
    RootKey::from_text(&"07".repeat(32)).unwrap()
}

fn process(
    store: &Arc<MemoryStore>,
    clock: &Arc<TestClock>,
    web: &Arc<Web>,
    connectors: Arc<dyn Connectors>,
) -> Arc<Kernel> {
    let ports = Ports {
        connectors,
        store: Arc::clone(store) as _,
        policy: Arc::new(CedarPolicy::default_set().unwrap()),
        policies: Arc::new(Loader),
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(SeededEntropy::new(7)),
        fetch: Arc::clone(web) as _,
        root: root(),
    };
    Arc::new(Kernel::new(ports, Settings::default()))
}

pub(crate) async fn world() -> World {
    world_with(Arc::new(NoConnectors)).await
}

/// The same, whose targets are asked by these connectors.
pub(crate) async fn world_with(connectors: Arc<dyn Connectors>) -> World {
    let store = Arc::new(MemoryStore::new(Arc::new(RowMac::new(&root()))));
    let (clock, web) = (Arc::new(TestClock::default()), Arc::new(Web::default()));
    let engine = process(&store, &clock, &web, connectors);
    let setup_token = setup::offer_setup(&engine).await.unwrap().unwrap().expose().clone();
    let setup = Setup { setup_token, name: "Ada".into(), email: Some("ada@example.com".into()) };
    let done = setup::set_up(&engine, setup).await.unwrap();
    let admin = caller::authenticate_person(&engine, &done.operator_token).await.unwrap();
    World { engine, store, clock, web, admin }
}

impl World {
    /// Another process of the deployment, which remembers nothing.
    pub(crate) fn another(&self) -> Arc<Kernel> {
        process(&self.store, &self.clock, &self.web, Arc::new(NoConnectors))
    }

    /// Begins a new epoch, as after a restore.
    pub(crate) async fn begin_epoch(&self) {
        crate::log::epochs::begin_epoch(&self.engine).await.unwrap();
    }

    /// Another person with this role, as a caller.
    pub(crate) async fn person(&self, role: Role) -> Caller {
        let ask = NewPerson { name: "Bob".into(), roles: vec![role], ..NewPerson::default() };
        let person = roles::create_person(&self.engine, &self.admin, ask).await.unwrap().record.id;
        let token = operator_tokens::create_operator_token(&self.engine, &self.admin, person, Default::default())
            .await
            .unwrap();
        caller::authenticate_person(&self.engine, &token.operator_token).await.unwrap()
    }

    /// Writes a record so that it can't be read, as a newer release may.
    pub(crate) async fn spoil<T: Record>(&self, id: impl std::fmt::Display) {
        let (now, stored) = (self.engine.now(), self.engine.one::<T>(id).await.unwrap().unwrap());
        let mut spoilt = Changeset::new(system(), now, self.engine.event(now, EventKind::PersonChanged));
        spoilt.replace(&stored, &*stored.value);
        spoilt.puts[0].body = b"{}".to_vec();
        assert!(matches!(self.store.commit(spoilt).await, Outcome::Committed(_)));
    }

    pub(crate) async fn size(&self) -> u64 {
        self.store.head().await.unwrap().size
    }

    /// Commits events until the log has this many.
    pub(crate) async fn fill(&self, size: u64, kind: EventKind) {
        let now = self.engine.now();
        let missing = size - self.size().await;
        let changeset =
            |_| Changeset::new(Actor::System { part: "test".into() }, now, self.engine.event(now, kind).fact("n", 1));
        let outcomes = self.store.commit_all((0..missing).map(changeset).collect());
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))));
    }

    /// The root over the first entries, made from the leaf hashes alone.
    pub(crate) async fn root(&self, size: u64) -> Hash {
        let mut tree = tenure_log::Frontier::new();
        self.store.leaf_hashes(0, size as u32).await.unwrap().into_iter().for_each(|hash| tree.append(hash));
        assert_eq!(tree.size(), size);
        tree.root()
    }

    pub(crate) async fn key(&self) -> VerifierKey {
        VerifierKey::parse(&reading::verifier_key(&self.engine).await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn sealing_signs_the_root_of_all_entries() {
    let world = world().await;
    assert_eq!(reading::checkpoint(&world.engine).await.unwrap(), None);
    let mut sealer = Sealer::default();
    for size in [1, 2, 255, 256, 257, 700, 70_000] {
        world.fill(size, EventKind::PersonChanged).await;
        assert_eq!(sealer.seal(&world.engine).await.unwrap(), size);
        assert_eq!(sealer.seal(&world.engine).await.unwrap(), size);
        let opened =
            Checkpoint::open(&reading::checkpoint(&world.engine).await.unwrap().unwrap(), &[world.key().await])
                .unwrap()
                .checkpoint;
        assert_eq!((opened.size, opened.root), (size, world.root(size).await));
        assert_eq!(
            encode(&decode(&world.store.sealed().await.unwrap().unwrap()).unwrap()),
            world.store.sealed().await.unwrap().unwrap().frontier
        );
    }
    let counts = [(0, 70_000 >> 8), (1, 70_000 >> 16), (2, 0)];
    for (level, full) in counts {
        for index in 0..full {
            assert_eq!(world.store.tile(level, index).await.unwrap().unwrap().len(), 8192);
        }
        assert_eq!(world.store.tile(level, full).await.unwrap(), None);
    }
}

#[tokio::test]
async fn replicas_that_seal_in_turn_agree() {
    let world = world().await;
    let (mut one, mut other) = (Sealer::default(), Sealer::default());
    for step in 1..20 {
        world.fill(step * 97, EventKind::PersonChanged).await;
        let sealer = if step % 3 == 0 { &mut one } else { &mut other };
        assert_eq!(sealer.seal(&world.engine).await.unwrap(), step * 97);
        assert_eq!(decode(&world.store.sealed().await.unwrap().unwrap()).unwrap().root(), world.root(step * 97).await);
    }
    assert_eq!(seal::seal_now(&world.engine).await.unwrap(), 19 * 97);
}

#[tokio::test]
async fn a_log_that_went_back_is_never_signed_again() {
    let (before, shorter, forked) = (world().await, world().await, world().await);
    let mut sealer = Sealer::default();
    before.fill(20, EventKind::PersonChanged).await;
    sealer.seal(&before.engine).await.unwrap();
    let refused = |result: Result<u64, OpError>, why: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };

    shorter.fill(19, EventKind::PersonChanged).await;
    refused(sealer.seal(&shorter.engine).await, "rolled back");
    seal::seal_now(&shorter.engine).await.unwrap();
    shorter.fill(40, EventKind::PersonChanged).await;
    refused(sealer.seal(&shorter.engine).await, "rolled back");

    // As long as before, but with another history.
    forked.fill(20, EventKind::TeamCreated).await;
    seal::seal_now(&forked.engine).await.unwrap();
    forked.fill(21, EventKind::TeamCreated).await;
    refused(sealer.seal(&forked.engine).await, "two checkpoints");
    assert_eq!(forked.store.sealed().await.unwrap().unwrap().size, 20);
}

#[tokio::test]
async fn damaged_sealed_state_is_refused() {
    let world = world().await;
    world.fill(300, EventKind::PersonChanged).await;
    seal::seal_now(&world.engine).await.unwrap();
    let sealed = world.store.sealed().await.unwrap().unwrap();
    assert!(decode(&sealed).is_ok());
    for cut in [0, 1, 8, 9, 10, 12, sealed.frontier.len() - 1] {
        assert!(decode(&Sealed { frontier: sealed.frontier[..cut].to_vec(), ..sealed.clone() }).is_err(), "{cut}");
    }
    assert!(decode(&Sealed { size: 299, ..sealed.clone() }).is_err());
    assert!(decode(&Sealed { frontier: [sealed.frontier.as_slice(), &[0]].concat(), ..sealed.clone() }).is_err());

    // Well-formed, but not what was signed.
    let mut frontier = sealed.frontier.clone();
    *frontier.last_mut().unwrap() ^= 1;
    let damage =
        Seal { from: 300, size: 300, frontier, checkpoint: sealed.checkpoint, tiles: Vec::new(), at: sealed.at };
    assert!(world.store.seal(damage).await.unwrap());
    world.fill(301, EventKind::PersonChanged).await;
    let error = seal::seal_now(&world.engine).await.unwrap_err().to_string();
    assert!(error.contains("signed root"), "{error}");
}

/// Fails at first, then says what it got.
struct Flaky {
    failures: AtomicUsize,
    got: tokio::sync::mpsc::UnboundedSender<String>,
}

impl Push for Flaky {
    fn target(&self) -> String {
        "flaky".into()
    }
    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
        let fails = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Box::pin(async move {
            if fails {
                return Err(FetchError { url: "flaky".into(), why: "away".into() });
            }
            self.got.send(checkpoint.to_owned()).map_err(|_| FetchError { url: "flaky".into(), why: "gone".into() })
        })
    }
}

#[tokio::test]
async fn the_loop_seals_and_hands_the_checkpoint_over_until_it_is_stopped() {
    let world = world().await;
    let (got, mut received) = tokio::sync::mpsc::unbounded_channel();
    let target = Arc::new(Flaky { failures: AtomicUsize::new(1), got });
    let (stop, stopped) = watch::channel(false);
    places::keep_checkpoints_at(&world.engine, &[target]).await.unwrap();
    let sealing = tokio::spawn(run_sealer(Arc::clone(&world.engine), stopped));
    let checkpoint = received.recv().await.unwrap();
    assert_eq!(Checkpoint::open(&checkpoint, &[world.key().await]).unwrap().checkpoint.size, 1);
    stop.send(true).unwrap();
    sealing.await.unwrap();
}
