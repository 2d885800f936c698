//! The places that keep checkpoints: what each proves of the database, and how each of them fares (S-1).
//!
//! A place proves by two signatures. The log's own key says what the log of this epoch was; the key of every epoch,
//! which follows from the root key alone, says that a checkpoint is of this deployment also where its log key is one
//! that this database has never had: that of a later epoch, or of another log under the same name. What neither has
//! signed proves nothing, and is told as a place that is not to be relied on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use tenure_core::base::time::Span;
use tenure_core::finding::rules;
use tenure_core::people::person::Role;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::BoxFuture;
use tenure_log::{Checkpoint, SignedNote, shard_origin};
use tokio::time::timeout;

use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::outbound::Push;
use crate::kernel::{Kernel, deployment, epoch, finding, keys};
use crate::log::contradiction::{self, KeptNote, SUBJECT};
use crate::log::push;
use crate::log::seal::{self, SealedLog};

/// How long a place may take to show what it keeps.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take for that, and to take a checkpoint: an outbound request has ten seconds.
const HAND_OVER: Duration = Duration::from_secs(15);
/// How long a place may fail before somebody is told.
const FAILS_FOR: Span = Span::from_mins(1);
/// Nothing is decided on a look that is older than this: a process that was stopped looks first. Longer than a look at
/// a place that doesn't answer takes, so that none of them holds decisions up.
const STALE: Span = Span::from_secs(20);
/// How far ahead of the own an epoch's number is believed without a signature.
const NEAR: u64 = 1_000;
/// Later epochs of one place that are looked into.
const MAX_EPOCHS: usize = 16;

/// The places that keep checkpoints.
#[derive(Default)]
struct Places(RwLock<Vec<Arc<Place>>>);

/// A place that keeps checkpoints, and what is known of it.
pub(crate) struct Place {
    pub push: Arc<dyn Push>,
    known: Mutex<PlaceState>,
    /// Held while it is looked at.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PlaceState {
    /// The newest checkpoint there that the log continues: it isn't held against the log again.
    continued: Option<String>,
    /// When it was last looked at, by the monotonic clock.
    looked_at: Option<Span>,
    /// Why it can't be read, or what it keeps is none of ours.
    look: Option<Fault>,
    /// Why it didn't take the last checkpoint.
    handing: Option<Fault>,
    /// Whether it works, and no finding says otherwise.
    settled: bool,
}

/// Something that keeps a place from keeping checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    why: String,
    /// Since when, by the monotonic clock.
    since: Span,
    /// Whether it doesn't end by itself.
    stays: bool,
}

/// What a look at a place found.
enum Seen {
    /// Nothing that the log doesn't continue.
    Continued,
    /// More entries than are sealed by now: another replica was faster. Or another process began an epoch while this
    /// one looked.
    NotYet,
    /// What the log doesn't continue.
    Contradicted(KeptNote),
    /// What no key of this deployment has signed.
    NotOurs(String),
    /// The place doesn't show it.
    Unread(String),
}

/// Which later epochs the places know of.
#[derive(Debug, Clone, Default)]
pub struct KeptEpochs {
    /// Each place that knows of some, with their numbers.
    pub found: Vec<(String, Vec<u64>)>,
    /// Each place that can't be read, and why.
    pub unread: Vec<(String, String)>,
}

impl Place {
    fn new(push: Arc<dyn Push>) -> Self {
        Self { push, known: Mutex::default(), looking: tokio::sync::Mutex::default() }
    }

    fn looked(&self, now: Span, fault: Option<(String, bool)>) {
        let mut known = self.known.lock();
        known.looked_at = Some(now);
        known.look = since(known.look.take(), fault, now);
    }

    fn handed(&self, now: Span, fault: Option<String>) {
        let mut known = self.known.lock();
        known.handing = since(known.handing.take(), fault.map(|why| (why, false)), now);
    }

    /// Why it is not to be relied on, if it has been like that for long enough.
    fn failure(&self, now: Span) -> Option<String> {
        let known = self.known.lock();
        let lasts = |fault: &&Fault| fault.stays || between(fault.since, now) >= FAILS_FOR;
        let failing = known.look.iter().chain(&known.handing).find(lasts);
        failing.map(|fault| fault.why.clone())
    }

    fn is_stale(&self, now: Span) -> bool {
        self.known.lock().looked_at.is_some_and(|looked| between(looked, now) > STALE)
    }
}

/// A fault that was there before keeps its beginning.
fn since(before: Option<Fault>, fault: Option<(String, bool)>, now: Span) -> Option<Fault> {
    let (why, stays) = fault?;
    let since = before.map_or(now, |before| before.since);
    Some(Fault { why, since, stays })
}

fn between(earlier: Span, later: Span) -> Span {
    Span::from_micros(later.as_micros().saturating_sub(earlier.as_micros()))
}

/// From now on checkpoints are kept at these places; what they keep already is held against the log, before anything is
/// issued. A place that can't be read says nothing.
///
/// # Errors
/// The store can't be read or written.
pub async fn keep_checkpoints_at(kernel: &Kernel, places: &[Arc<dyn Push>]) -> Result<(), OpError> {
    *kernel.memory.of::<Places>().0.write() =
        places.iter().map(|push| Arc::new(Place::new(Arc::clone(push)))).collect();
    kernel.look_before(|kernel| Box::pin(look_if_stale(kernel)));
    if deployment::deployment(kernel).await?.is_none() {
        return Ok(());
    }
    epoch::trust(kernel).await?;
    seal::seal_now(kernel).await?;
    look_at_all(kernel).await?;
    // A place that shows nothing may still object to what it is given.
    push::hand_over_checkpoint(kernel).await;
    look_at_all(kernel).await
}

/// The places where checkpoints are kept.
pub(crate) fn places(kernel: &Kernel) -> Vec<Arc<Place>> {
    kernel.memory.of::<Places>().0.read().clone()
}

/// How many places are not to be relied on as evidence: they don't take checkpoints, don't show them, or keep what is
/// none of ours.
pub fn failing_places(kernel: &Kernel) -> usize {
    let now = kernel.clock.monotonic();
    places(kernel).iter().filter(|place| place.failure(now).is_some()).count()
}

async fn look_at_all(kernel: &Kernel) -> Result<(), OpError> {
    let places = places(kernel);
    join_all(places.iter().map(|place| look_at(kernel, place))).await.into_iter().collect()
}

/// Looks at the places before a decision, if nobody has for long: this process was stopped meanwhile, or had no time.
async fn look_if_stale(kernel: &Kernel) -> Result<(), OpError> {
    let now = kernel.clock.monotonic();
    // On the way to every decision: nothing is copied unless one is stale.
    let places = kernel.memory.of::<Places>();
    let stale: Vec<_> = places.0.read().iter().filter(|place| place.is_stale(now)).cloned().collect();
    for place in stale {
        let _one = place.looking.lock().await;
        if place.is_stale(kernel.clock.monotonic()) {
            boxed_look(kernel, &place).await?;
        }
    }
    Ok(())
}

/// A look may end in a commit, which asks who decides, which may ask for a look: a type of its own ends that circle.
fn boxed_look<'a>(kernel: &'a Kernel, place: &'a Place) -> BoxFuture<'a, Result<(), OpError>> {
    Box::pin(look_once(kernel, place))
}

/// Holds what a place keeps against the log.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn look_at(kernel: &Kernel, place: &Place) -> Result<(), OpError> {
    let _one = place.looking.lock().await;
    look_once(kernel, place).await
}

async fn look_once(kernel: &Kernel, place: &Place) -> Result<(), OpError> {
    let seen = match timeout(PATIENCE, seen_at(kernel, place)).await {
        Ok(seen) => seen?,
        Err(_) => Seen::Unread("it doesn't answer".to_owned()),
    };
    let now = kernel.clock.monotonic();
    match seen {
        Seen::Continued | Seen::NotYet => place.looked(now, None),
        Seen::Contradicted(kept) => {
            place.looked(now, None);
            contradiction::contradicted_by(kernel, &place.push.target(), &kept).await?;
        }
        Seen::NotOurs(why) => place.looked(now, Some((why, true))),
        Seen::Unread(why) => place.looked(now, Some((why, false))),
    }
    Ok(())
}

async fn seen_at(kernel: &Kernel, place: &Place) -> Result<Seen, OpError> {
    let epoch = epoch::epoch_number(kernel);
    let seen = kept_at(kernel, place, epoch).await?;
    if let Seen::Contradicted(_) | Seen::NotOurs(_) = seen {
        // An epoch that began meanwhile is in the store before anything of it is kept anywhere.
        epoch::trust(kernel).await?;
        if epoch::epoch_number(kernel) != epoch {
            return Ok(Seen::NotYet);
        }
    }
    Ok(seen)
}

async fn kept_at(kernel: &Kernel, place: &Place, epoch: u64) -> Result<Seen, OpError> {
    let Some(deployment) = deployment::deployment(kernel).await? else {
        return Ok(Seen::NotYet);
    };
    let keys = keys::deployment_keys(kernel).await?;
    let every_epoch = keys.every_epoch.verifier_key();
    let later = match place.push.epochs_after(epoch).await {
        Ok(later) => later,
        Err(error) => return Ok(Seen::Unread(error.why)),
    };
    // What one of them proves counts, whatever others can't be read or prove nothing: whoever can add to a place hides
    // nothing by it.
    let (mut foreign, mut unread, mut notes) = (None, None, 0);
    for number in later.into_iter().rev() {
        if notes == MAX_EPOCHS {
            foreign = Some(format!(
                "it keeps checkpoints of more than {MAX_EPOCHS} later epochs that aren't this deployment's"
            ));
            break;
        }
        let origin = shard_origin(&deployment.name_in_epoch(number), keys.log.shard());
        let note = match place.push.newest(&origin).await {
            Ok(Some(note)) => note,
            Ok(None) => continue,
            Err(error) => {
                unread = Some(error.why);
                continue;
            }
        };
        notes += 1;
        match read(&note) {
            // Another deployment may keep its own here.
            Ok((_, checkpoint)) if checkpoint.origin != origin => {}
            Ok((signed, checkpoint)) if every_epoch.has_signed(&signed) => {
                return Ok(Seen::Contradicted(KeptNote { note, checkpoint, epoch: number }));
            }
            _ => foreign = Some(unsigned(&origin)),
        }
    }
    let seen = match place.push.newest(keys.log.origin()).await {
        Ok(Some(note)) if place.known.lock().continued.as_ref() == Some(&note) => Seen::Continued,
        Ok(Some(note)) => hold_against(kernel, place, note, epoch).await?,
        Ok(None) => Seen::Continued,
        Err(error) => Seen::Unread(error.why),
    };
    Ok(match (seen, foreign, unread) {
        (Seen::Continued | Seen::NotYet, Some(foreign), _) => Seen::NotOurs(foreign),
        (Seen::Continued | Seen::NotYet, None, Some(unread)) => Seen::Unread(unread),
        (seen, ..) => seen,
    })
}

/// What a checkpoint that is kept under the log's own name says of the log as it is sealed now.
async fn hold_against(kernel: &Kernel, place: &Place, note: String, epoch: u64) -> Result<Seen, OpError> {
    let keys = keys::deployment_keys(kernel).await?;
    let origin = keys.log.origin();
    let (signed, checkpoint) = match read(&note) {
        Ok(read) => read,
        Err(_) => return Ok(Seen::NotOurs(unsigned(origin))),
    };
    if checkpoint.origin != origin {
        return Ok(Seen::NotOurs(format!("it keeps the checkpoints of another log, {}", checkpoint.origin)));
    }
    let kept = KeptNote { note, checkpoint, epoch };
    if !keys.log.verifier_key().has_signed(&signed) {
        // Ours, and not of this log: two logs had one name.
        let ours = keys.every_epoch.verifier_key().has_signed(&signed);
        return Ok(if ours { Seen::Contradicted(kept) } else { Seen::NotOurs(unsigned(origin)) });
    }
    let size = kept.checkpoint.size;
    // Replicas seal for each other: what one has kept is committed, or was never this log's.
    if size > kernel.store.head().await?.size {
        return Ok(Seen::Contradicted(kept));
    }
    let Some(log) = SealedLog::newest(kernel).await?.filter(|log| log.size >= size) else {
        return Ok(Seen::NotYet);
    };
    let own = Checkpoint::open(&log.checkpoint, &keys::checkpoint_keys(kernel).await?)
        .map_err(|error| OpError::Internal(format!("the sealed checkpoint: {error}")))?
        .checkpoint;
    let proof = log.consistency(size, log.size).await?;
    if !tenure_log::verify_consistency(size, &kept.checkpoint.root, own.size, &own.root, &proof) {
        return Ok(Seen::Contradicted(kept));
    }
    place.known.lock().continued = Some(kept.note);
    Ok(Seen::Continued)
}

/// Hands a checkpoint over, never over one that the log doesn't provably continue: that one is the evidence.
pub(crate) async fn keep_at(kernel: &Kernel, place: &Place, checkpoint: &str) -> Result<(), String> {
    let handed = match timeout(HAND_OVER, kept_there(kernel, place, checkpoint)).await {
        Ok(handed) => handed,
        Err(_) => Err("it doesn't answer".to_owned()),
    };
    place.handed(kernel.clock.monotonic(), handed.clone().err());
    handed
}

async fn kept_there(kernel: &Kernel, place: &Place, checkpoint: &str) -> Result<(), String> {
    let said = |error: OpError| error.to_string();
    match seen_at(kernel, place).await.map_err(said)? {
        Seen::Continued => {}
        Seen::NotYet => return Ok(()),
        Seen::Contradicted(kept) => {
            return contradiction::contradicted_by(kernel, &place.push.target(), &kept).await.map_err(said);
        }
        Seen::NotOurs(why) | Seen::Unread(why) => return Err(why),
    }
    let mut note = SignedNote::parse(checkpoint).map_err(|error| error.to_string())?;
    keys::deployment_keys(kernel).await.map_err(said)?.every_epoch.sign(&mut note);
    let note = note.to_string();
    place.push.push(&note).await.map_err(|error| error.why)?;
    place.known.lock().continued = Some(note);
    Ok(())
}

/// Says what changed about a place: that it doesn't keep what it should, or does again.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn tell_of(kernel: &Kernel, place: &Place) -> Result<(), OpError> {
    let failure = place.failure(kernel.clock.monotonic());
    let settled = place.known.lock().settled;
    if (failure.is_none() && settled) || deployment::deployment(kernel).await?.is_none() {
        return Ok(());
    }
    let target = place.push.target();
    let open = finding::is_found(kernel, &rules::CHECKPOINTS_NOT_KEPT, SUBJECT, &target).await?;
    if open != failure.is_some() {
        note_failure(kernel, &target, failure.as_deref()).await?;
    }
    place.known.lock().settled = failure.is_none();
    Ok(())
}

async fn note_failure(kernel: &Kernel, target: &str, failure: Option<&str>) -> Result<(), OpError> {
    kernel
        .decide(|| async {
            let now = kernel.now();
            let kind = if failure.is_some() {
                EventKind::LogPlaceFailed
            } else {
                EventKind::LogPlaceRecovered
            };
            let mut event = kernel
                .event(now, kind)
                .subject(SUBJECT)
                .fact("workflow", "deployment.epoch")
                .fact("place", target);
            if let Some(why) = failure {
                let text = format!(
                    "{target} doesn't keep the log's checkpoints: {why}.\nUntil it does, a database that is put back to an earlier state is not noticed there."
                );
                event = event.fact("why", why);
                event = notify(
                    event,
                    &[],
                    &[Role::Security, Role::Administrator],
                    "A place doesn't keep the log's checkpoints",
                    &text,
                );
            }
            let mut changeset = Changeset::new(Actor::System { part: "log".into() }, now, event);
            let rule = &rules::CHECKPOINTS_NOT_KEPT;
            match failure {
                Some(why) => {
                    let evidence = Map::from_iter([("place".to_owned(), Value::from(target)), ("why".to_owned(), Value::from(why))]);
                    finding::raise(kernel, &mut changeset, rule, SUBJECT, target, evidence, now).await?;
                }
                None => {
                    finding::no_longer_about(kernel, &mut changeset, rule, SUBJECT, target, "it keeps checkpoints again", now).await?;
                }
            }
            Ok((changeset, ()))
        })
        .await?;
    Ok(())
}

/// Which epochs the places know of, after the first one.
pub(crate) async fn kept_epochs(kernel: &Kernel) -> KeptEpochs {
    let mut kept = KeptEpochs::default();
    for place in places(kernel) {
        let target = place.push.target();
        match timeout(PATIENCE, epochs_kept_at(kernel, &place)).await {
            Ok(Ok(epochs)) if epochs.is_empty() => {}
            Ok(Ok(epochs)) => kept.found.push((target, epochs)),
            Ok(Err(why)) => kept.unread.push((target, why)),
            Err(_) => kept.unread.push((target, "it doesn't answer".to_owned())),
        }
    }
    kept
}

/// Those of which it has a checkpoint under the name that the epoch's log has: anybody may make a folder. One without
/// the signature of every epoch counts only near the own: a number that somebody made up far away is none that was
/// used.
async fn epochs_kept_at(kernel: &Kernel, place: &Place) -> Result<Vec<u64>, String> {
    let told = |error: OpError| error.to_string();
    let Some(deployment) = deployment::deployment(kernel).await.map_err(|error| told(error.into()))? else {
        return Ok(Vec::new());
    };
    let keys = keys::deployment_keys(kernel).await.map_err(told)?;
    let every_epoch = keys.every_epoch.verifier_key();
    let mut epochs = Vec::new();
    for number in place.push.epochs_after(0).await.map_err(|error| error.why)? {
        let origin = shard_origin(&deployment.name_in_epoch(number), keys.log.shard());
        let note = place.push.newest(&origin).await.map_err(|error| error.why)?;
        let is_near = number <= epoch::epoch_number(kernel).saturating_add(NEAR);
        let is_ours = |(signed, checkpoint): (SignedNote, Checkpoint)| {
            checkpoint.origin == origin && (is_near || every_epoch.has_signed(&signed))
        };
        if note.is_some_and(|note| read(&note).is_ok_and(is_ours)) {
            epochs.push(number);
        }
    }
    Ok(epochs)
}

/// Stops everything at once in this process, whatever the store says.
pub(crate) fn distrust(kernel: &Kernel) {
    kernel.contradicted.store(true, Ordering::Relaxed);
}

fn read(note: &str) -> Result<(SignedNote, Checkpoint), String> {
    let signed = SignedNote::parse(note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse_text(&signed.text).map_err(|error| error.to_string())?;
    Ok((signed, checkpoint))
}

fn unsigned(origin: &str) -> String {
    format!("what it keeps as a checkpoint of {origin} bears no signature of a key of this deployment")
}

#[cfg(test)]
mod tests {
    use tenure_api::people::NewTeam;
    use tenure_core::base::problem::Reason;
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::kernel::caller;
    use crate::kernel::outbound::FetchError;
    use crate::log::epochs;
    use crate::log::seal::tests::{World, world};
    use crate::log::sealer::run_sealer;
    use crate::people::person;

    /// A place whose contents the test sets, and that says when it got what.
    struct Shelf {
        pace: Duration,
        own: Mutex<Result<Option<String>, FetchError>>,
        later: Mutex<Option<(u64, String)>>,
        got: mpsc::UnboundedSender<u64>,
    }

    impl Shelf {
        fn new(pace: Duration) -> (Arc<Self>, mpsc::UnboundedReceiver<u64>) {
            let (got, told) = mpsc::unbounded_channel();
            let shelf = Self { pace, own: Mutex::new(Ok(None)), later: Mutex::default(), got };
            (Arc::new(shelf), told)
        }
    }

    impl Push for Shelf {
        fn target(&self) -> String {
            "shelf".into()
        }
        fn newest<'a>(&'a self, origin: &'a str) -> BoxFuture<'a, Result<Option<String>, FetchError>> {
            let later = self.later.lock().clone().filter(|(epoch, _)| origin.contains(&format!("/epoch-{epoch}/")));
            let newest = later.map_or_else(|| self.own.lock().clone(), |(_, note)| Ok(Some(note)));
            Box::pin(std::future::ready(newest))
        }
        fn epochs_after(&self, epoch: u64) -> BoxFuture<'_, Result<Vec<u64>, FetchError>> {
            let later = self.later.lock().iter().map(|(later, _)| *later).filter(|later| *later > epoch).collect();
            Box::pin(std::future::ready(Ok(later)))
        }
        fn pace(&self) -> Duration {
            self.pace
        }
        fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
            let (_, kept) = read(checkpoint).unwrap();
            *self.own.lock() = Ok(Some(checkpoint.to_owned()));
            let _ = self.got.send(kept.size);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    async fn kept_by(world: &World, shelf: &Arc<Shelf>) {
        let place: Arc<dyn Push> = Arc::clone(shelf) as _;
        keep_checkpoints_at(&world.engine, &[place]).await.unwrap();
    }

    /// A checkpoint under this name, which the log's key and that of every epoch sign, or either.
    async fn signed(world: &World, name: &str, size: u64, seed: Option<[u8; 32]>, every_epoch: bool) -> String {
        let keys = keys::deployment_keys(&world.engine).await.unwrap();
        let mut note = match seed {
            Some(seed) => tenure_log::LogSigner::from_seed(name, 0, &seed).unwrap().checkpoint(size, [7; 32]),
            None => keys.log.checkpoint(size, [7; 32]),
        };
        if every_epoch {
            keys.every_epoch.sign(&mut note);
        }
        note.to_string()
    }

    /// Nobody waits for it.
    const RARELY: Duration = Duration::from_secs(172_800);

    /// Waits for a checkpoint of so many entries or more, and gives its size.
    async fn of(got: &mut mpsc::UnboundedReceiver<u64>, size: u64) -> u64 {
        loop {
            let kept = timeout(Duration::from_secs(20), got.recv()).await.expect("it comes").unwrap();
            if kept >= size {
                return kept;
            }
        }
    }

    #[tokio::test]
    async fn a04_what_takes_authority_away_is_kept_elsewhere_before_its_time_comes() {
        let world = world().await;
        let (elsewhere, mut got) = Shelf::new(RARELY);
        kept_by(&world, &elsewhere).await;
        let (stop, stopped) = watch::channel(false);
        let sealing = tokio::spawn(run_sealer(Arc::clone(&world.engine), stopped));
        // At the start, and by the loop.
        for _ in 0..2 {
            of(&mut got, 1).await;
        }
        for name in ["one", "two"] {
            // What is issued and used waits for the place's time, and comes with what doesn't.
            let size = world.size().await + 3;
            world.fill(size, EventKind::IdentityAuthenticated).await;
            seal::seal_now(&world.engine).await.unwrap();
            person::create_team(&world.engine, &world.admin, NewTeam { name: name.into() }).await.unwrap();
            let kept = of(&mut got, size).await;
            assert!(kept > size, "{kept} of {size}");
        }
        stop.send(true).unwrap();
        sealing.await.unwrap();
    }

    #[tokio::test]
    async fn a04_beside_the_database_each_seal_is_kept() {
        let world = world().await;
        let (beside, mut got) = Shelf::new(Duration::ZERO);
        kept_by(&world, &beside).await;
        let (stop, stopped) = watch::channel(false);
        let sealing = tokio::spawn(run_sealer(Arc::clone(&world.engine), stopped));
        for size in 2..6 {
            world.fill(size, EventKind::IdentityAuthenticated).await;
            assert_eq!(of(&mut got, size).await, size);
        }
        stop.send(true).unwrap();
        sealing.await.unwrap();
    }

    #[tokio::test]
    async fn a04_a_process_that_was_stopped_looks_before_it_decides() {
        let world = world().await;
        let owner = world.person(Role::Owner).await;
        let (shelf, _got) = Shelf::new(Duration::ZERO);
        kept_by(&world, &shelf).await;
        *shelf.own.lock() = Ok(Some(signed(&world, "", 1_000, None, true).await));
        assert!(caller::still(&world.engine, &owner).await.is_ok() && !epoch::is_contradicted(&world.engine));
        world.clock.advance(Span::from_secs(60));
        let refused = caller::still(&world.engine, &owner).await.err().unwrap();
        assert!(matches!(refused, OpError::Unauthenticated(Reason::LogContradicted)), "{refused:?}");
        // Somebody has to look into it.
        assert!(epoch::is_contradicted(&world.engine) && caller::still(&world.engine, &world.admin).await.is_ok());
    }

    #[tokio::test]
    async fn a04_what_a_place_proves_is_told_from_what_it_only_says() {
        let name = "127.0.0.1:8420/epoch-3";
        // Of a later epoch, whose log key nobody here has: the key of every epoch tells.
        for (every_epoch, contradicted) in [(true, true), (false, false)] {
            let world = world().await;
            let (shelf, _got) = Shelf::new(Duration::ZERO);
            *shelf.later.lock() = Some((3, signed(&world, name, 2, Some([9; 32]), every_epoch).await));
            kept_by(&world, &shelf).await;
            assert_eq!(
                (epoch::is_contradicted(&world.engine), failing_places(&world.engine)),
                (contradicted, usize::from(!contradicted))
            );
            // What is neither is no reason to stop; a number that was used is never used again.
            let begun = epochs::begin_epoch(&world.engine).await.unwrap();
            assert_eq!((begun.number, begun.kept.found), (4, vec![("shelf".to_owned(), vec![3])]));
            assert_eq!(begun.ended.map(|ended| ended.kept_epoch), contradicted.then_some(3));
        }
        // Another deployment keeps its own in the same folder.
        let world = world().await;
        let (shelf, _got) = Shelf::new(Duration::ZERO);
        *shelf.later.lock() = Some((3, signed(&world, "other.example/epoch-3", 2, Some([9; 32]), true).await));
        kept_by(&world, &shelf).await;
        assert_eq!((epoch::is_contradicted(&world.engine), failing_places(&world.engine)), (false, 0));
        // Two logs of one name.
        for (every_epoch, contradicted) in [(false, false), (true, true)] {
            *shelf.own.lock() = Ok(Some(signed(&world, "127.0.0.1:8420", 1, Some([9; 32]), every_epoch).await));
            kept_by(&world, &shelf).await;
            assert_eq!(
                (epoch::is_contradicted(&world.engine), failing_places(&world.engine)),
                (contradicted, usize::from(!contradicted))
            );
        }
    }
}
