use parking_lot::Mutex;
use serde_json::{Value, json};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{BoxFuture, Outcome, Store};
use tokio::sync::Notify as Signal;

use super::*;
use crate::kernel::caller::Caller;
use crate::kernel::notice::{FACT, notify};
use crate::log::notifications;
use crate::log::outbox::plan::MAX_PENDING;
use crate::log::seal::tests::{World, world};

/// What a receiver does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Down,
    /// Refuses what has this title.
    Dislikes(&'static str),
    /// Never answers.
    Hangs,
}

/// A channel that keeps what it was handed.
struct Receiver {
    addresses: bool,
    mood: Mutex<Mood>,
    got: Mutex<Vec<Notice>>,
    asked: Signal,
}

impl Notify for Receiver {
    fn channel(&self) -> &'static str {
        if self.addresses { "mail" } else { "webhook" }
    }
    fn addresses_people(&self) -> bool {
        self.addresses
    }
    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>> {
        self.asked.notify_one();
        let mood = *self.mood.lock();
        Box::pin(async move {
            match mood {
                Mood::Down => return Err(Undelivered::Later("it can't be reached".into())),
                Mood::Dislikes(title) if title == notice.title => return Err(Undelivered::Refused("no".into())),
                Mood::Hangs => std::future::pending().await,
                Mood::Takes | Mood::Dislikes(_) => tokio::task::yield_now().await,
            }
            self.got.lock().push(notice.clone());
            Ok(())
        })
    }
}

impl Receiver {
    fn new(addresses: bool, mood: Mood) -> Arc<Self> {
        Arc::new(Self { addresses, mood: Mutex::new(mood), got: Mutex::default(), asked: Signal::new() })
    }
    fn titles(&self) -> Vec<String> {
        self.got.lock().iter().map(|notice| notice.title.clone()).collect()
    }
}

fn worker(world: &World, channel: &Arc<Receiver>) -> Worker {
    Worker::new(&world.engine, Arc::clone(channel) as _, watch::channel(false).1)
}

/// Rounds until there is nothing left to do.
async fn work(worker: &mut Worker) -> Next {
    loop {
        match worker.round().await.unwrap() {
            Next::Again => {}
            next => return next,
        }
    }
}

async fn person(world: &World, name: &str, email: Option<&str>, role: Role) -> PersonId {
    let now = world.engine.now();
    let administrator = world.admin.person_id().unwrap();
    let mut person = (*world.engine.must::<Person>("person", administrator).await.unwrap().value).clone();
    person.id = PersonId::generate(now, world.engine.entropy.as_ref());
    (person.name, person.email, person.roles) = (Some(name.into()), email.map(Into::into), vec![role]);
    let mut changeset = Changeset::new(actor(), now, world.engine.event(now, EventKind::PersonCreated));
    changeset.insert(&person);
    assert!(world.engine.settle(changeset).await.unwrap().is_some());
    person.id
}

/// Whom events are about.
const IDENTITY: &str = "idn_00000000000000000000000002";

async fn tell(world: &World, to: &[PersonId], roles: &[Role], title: &str) -> String {
    let now = world.engine.now();
    let event = world.engine.event(now, EventKind::PersonChanged).subject("opt_1").subject(IDENTITY).fact("n", 1);
    let event = notify(event, to, roles, title, "first\r\nsecond");
    let id = event.id.to_string();
    let outcome = world.store.commit(Changeset::new(actor(), now, event)).await;
    assert!(matches!(outcome, Outcome::Committed(_)));
    id
}

/// The facts of every event of a kind.
async fn facts(world: &World, kind: &str) -> Vec<Value> {
    let entries = world.store.entries(0, u16::MAX).await.unwrap();
    let leaves = entries.iter().map(|entry| parsed(entry).unwrap());
    leaves.filter(|leaf| leaf.kind == kind).map(|leaf| Value::Object(leaf.data)).collect()
}

async fn outbox(world: &World, channel: &str) -> Outbox {
    (*world.engine.must::<Outbox>("outbox", Outbox::id_of(channel)).await.unwrap().value).clone()
}

#[tokio::test]
async fn people_and_holders_of_a_role_are_told_once_and_nobody_else() {
    let world = world().await;
    let zoe = person(&world, "Zoë", Some("zoe@example.com"), Role::Owner).await;
    let sam = person(&world, "Sam", Some("sam@example.com"), Role::Security).await;
    let mute = person(&world, "Mute", None, Role::Security).await;
    let gone = person(&world, "Gone", Some("gone@example.com"), Role::Security).await;
    let channel = Receiver::new(true, Mood::Takes);
    let mut worker = worker(&world, &channel);
    work(&mut worker).await;
    let id = tell(&world, &[zoe, gone, zoe], &[Role::Security], "Bad\r\nnews").await;
    // They leave between the event and its delivery.
    let stored = world.engine.must::<Person>("person", gone).await.unwrap();
    let mut person = (*stored.value).clone();
    person.state = PersonState::Departed;
    let now = world.engine.now();
    let mut changeset = Changeset::new(actor(), now, world.engine.event(now, EventKind::PersonDeparted));
    changeset.replace(&stored, &person);
    assert!(world.engine.settle(changeset).await.unwrap().is_some());
    work(&mut worker).await;

    let got = channel.got.lock().clone();
    let recipients: Vec<_> =
        got.iter().flat_map(|notice| &notice.to).map(|to| (to.person, to.email.clone().unwrap())).collect();
    assert_eq!(recipients, [(zoe, "zoe@example.com".to_owned()), (sam, "sam@example.com".to_owned())]);
    let first = &got[0];
    assert_eq!(
        (first.id.as_str(), first.kind.as_str(), first.title.as_str()),
        (id.as_str(), "person.changed", "Bad news")
    );
    assert_eq!((first.text.as_str(), first.to[0].name.as_deref()), ("first\nsecond", Some("Zoë")));
    assert_eq!(first.link.as_deref(), Some(&*format!("http://127.0.0.1:8420/identities/{IDENTITY}")));
    assert!(first.data.contains_key("n") && !first.data.contains_key(FACT));
    assert!(!format!("{got:?}").contains("example.com"), "names and addresses are not printed");

    let settled = facts(&world, "notices.settled").await;
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[0]["delivered"], json!([{"event": id, "person": zoe}, {"event": id, "person": sam}]));
    // Those who are named come first.
    assert_eq!(settled[0]["unreachable"], json!([{"event": id, "person": gone}, {"event": id, "person": mute}]));

    // With nothing to tell, nothing is written.
    let size = world.size().await;
    assert_eq!(work(&mut worker).await, Next::Wait);
    world.fill(size + 700, EventKind::PersonChanged).await;
    assert_eq!(work(&mut worker).await, Next::Wait);
    assert_eq!((world.size().await, channel.titles().len()), (size + 700, 2));
}

#[tokio::test]
async fn a_channel_for_all_gets_a_notice_once_and_no_personal_value() {
    let world = world().await;
    let zoe = person(&world, "Zoë", Some("zoe@example.com"), Role::Owner).await;
    let channel = Receiver::new(false, Mood::Takes);
    let mut worker = worker(&world, &channel);
    let id = tell(&world, &[zoe], &[Role::Security], "news").await;
    work(&mut worker).await;
    let got = channel.got.lock().clone();
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].id.as_str(), &got[0].roles), (id.as_str(), &vec![Role::Security]));
    assert_eq!(got[0].to, [Recipient { person: zoe, name: None, email: None }]);
}

#[tokio::test]
async fn while_the_receiver_is_down_notices_wait_and_then_come_once_each() {
    let world = world().await;
    let zoe = person(&world, "Zoë", Some("zoe@example.com"), Role::Owner).await;
    let channel = Receiver::new(true, Mood::Down);
    let mut first = worker(&world, &channel);
    tell(&world, &[zoe], &[], "one").await;
    assert_eq!(work(&mut first).await, Next::Wait);
    for round in 2..9 {
        let rest = outbox(&world, "mail").await.resting_until.unwrap();
        world.clock.advance(rest.since(world.engine.now()));
        work(&mut first).await;
        let outbox = outbox(&world, "mail").await;
        assert!(outbox.failures <= round && outbox.pending.len() == 1);
        assert_eq!(outbox.pending[0].why.as_deref(), Some("it can't be reached"));
    }
    tell(&world, &[zoe], &[], "two").await;
    work(&mut first).await;
    *channel.mood.lock() = Mood::Takes;
    // Another process goes on where this one ended.
    let mut second = worker(&world, &channel);
    world.clock.advance(Span::from_mins(1));
    work(&mut second).await;
    world.clock.advance(Span::from_mins(10));
    work(&mut first).await;
    assert_eq!(channel.titles(), ["two", "one"]);
    let outbox = outbox(&world, "mail").await;
    assert_eq!((outbox.pending.len(), outbox.failures, outbox.resting_until), (0, 0, None));
}

#[tokio::test]
async fn what_is_refused_keeps_nothing_back() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Dislikes("bad"));
    let mut worker = worker(&world, &channel);
    for title in ["bad", "good", "bad", "better"] {
        tell(&world, &[], &[], title).await;
    }
    work(&mut worker).await;
    assert_eq!(channel.titles(), ["good", "better"]);
    for _ in 0..30 {
        world.clock.advance(Span::from_mins(10));
        work(&mut worker).await;
    }
    assert_eq!(
        outbox(&world, "webhook").await.pending.iter().map(|pending| pending.attempts).collect::<Vec<_>>(),
        [31, 31]
    );
    *channel.mood.lock() = Mood::Takes;
    world.clock.advance(Span::from_mins(10));
    work(&mut worker).await;
    assert_eq!(channel.titles(), ["good", "better", "bad", "bad"]);
}

#[tokio::test]
async fn what_a_worker_had_in_hand_when_it_died_is_delivered_by_another() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Hangs);
    let mut first = worker(&world, &channel);
    tell(&world, &[], &[], "one").await;
    tokio::select! {
        _ = work(&mut first) => panic!("nothing answered"),
        () = channel.asked.notified() => {}
    }
    drop(first);
    *channel.mood.lock() = Mood::Takes;
    let mut second = worker(&world, &channel);
    assert_eq!(work(&mut second).await, Next::Blocked, "the first might still live");
    world.clock.advance(LEASE);
    work(&mut second).await;
    assert_eq!(channel.titles(), ["one"]);
}

#[tokio::test]
async fn a_worker_that_was_overtaken_writes_nothing() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Takes);
    let first = worker(&world, &channel);
    tell(&world, &[], &[], "one").await;
    let mut second = worker(&world, &channel);
    work(&mut second).await;
    let before = (world.size().await, outbox(&world, "webhook").await);
    let stale = Ended {
        delivered: vec![pending(0, &parsed(&first.entry(0).await.unwrap()).unwrap(), None, world.engine.now())],
        ..Ended::default()
    };
    first.settle(stale).await.unwrap();
    assert_eq!((world.size().await, outbox(&world, "webhook").await), before);
}

#[tokio::test]
async fn workers_of_several_replicas_share_the_work() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Takes);
    let (mut first, mut second) = (worker(&world, &channel), worker(&world, &channel));
    let mut told = Vec::new();
    for n in 0..40 {
        told.push(format!("{n:02}"));
        tell(&world, &[], &[], &told[n]).await;
        if n % 4 == 0 {
            let (a, b) = tokio::join!(first.round(), second.round());
            a.unwrap();
            b.unwrap();
        }
    }
    work(&mut first).await;
    work(&mut second).await;
    let mut titles = channel.titles();
    titles.sort();
    assert_eq!(titles, told);
}

#[tokio::test]
async fn a_channel_that_comes_later_tells_only_of_the_last_day() {
    let world = world().await;
    tell(&world, &[], &[], "old").await;
    world.clock.advance(HISTORY);
    world.clock.advance(Span::from_secs(1));
    tell(&world, &[], &[], "new").await;
    let channel = Receiver::new(false, Mood::Takes);
    let mut worker = worker(&world, &channel);
    work(&mut worker).await;
    assert_eq!(channel.titles(), ["new"]);
    // From then on nothing is too old.
    *channel.mood.lock() = Mood::Down;
    tell(&world, &[], &[], "late").await;
    world.clock.advance(HISTORY);
    world.clock.advance(HISTORY);
    *channel.mood.lock() = Mood::Takes;
    work(&mut worker).await;
    assert_eq!(channel.titles(), ["new", "late"]);
}

#[tokio::test]
async fn reading_that_finds_nothing_is_written_down_at_times() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Takes);
    let mut worker = worker(&world, &channel);
    work(&mut worker).await;
    let size = world.size().await;
    world.fill(size + LAG * 2, EventKind::PersonChanged).await;
    work(&mut worker).await;
    assert!(outbox(&world, "webhook").await.next >= LAG);
    assert!(world.size().await <= size + LAG * 2 + 3);
}

#[tokio::test]
async fn past_its_bound_the_outbox_leaves_notices_in_the_log_and_loses_none() {
    let world = world().await;
    let channel = Receiver::new(false, Mood::Down);
    let mut worker = worker(&world, &channel);
    for n in 0..MAX_PENDING + 100 {
        tell(&world, &[], &[], &n.to_string()).await;
    }
    assert_eq!(work(&mut worker).await, Next::Blocked);
    let full = outbox(&world, "webhook").await;
    assert_eq!(full.pending.len(), MAX_PENDING);
    assert!(serde_json::to_vec(&full).unwrap().len() < 300_000);
    *channel.mood.lock() = Mood::Takes;
    world.clock.advance(Span::from_mins(1));
    while !matches!(work(&mut worker).await, Next::Wait) {}
    let mut titles: Vec<usize> = channel.titles().iter().map(|title| title.parse().unwrap()).collect();
    titles.sort_unstable();
    assert_eq!(titles, (0..MAX_PENDING + 100).collect::<Vec<_>>());
}

#[tokio::test]
async fn how_delivery_stands_is_for_those_who_read_the_inventory() {
    let world = world().await;
    world.engine.channels.lock().push("webhook");
    let channel = Receiver::new(false, Mood::Down);
    let mut worker = worker(&world, &channel);
    let id = tell(&world, &[], &[], "one").await;
    work(&mut worker).await;
    let security = world.person(Role::Security).await;
    for caller in [&world.admin, &security] {
        let views = notifications::notifications(&world.engine, caller).await.unwrap().items;
        assert_eq!(views.len(), 1);
        assert!(views[0].configured && views[0].pending == 1 && views[0].failures == 1);
        assert_eq!((views[0].deliveries[0].event.as_str(), views[0].deliveries[0].attempts), (id.as_str(), 1));
    }
    let owner: Caller = world.person(Role::Owner).await;
    assert!(matches!(notifications::notifications(&world.engine, &owner).await, Err(OpError::Refused { .. })));
    assert_eq!(notifications::configured_channels(&world.engine).await.unwrap()[0].pending, 1);
}
