//! The outbox: reads the committed log and hands its notices to the channels.
//!
//! A round is two commits with the deliveries between them. The first moves a channel's [`Outbox`] over the entries
//! that were read, keeps what is to be delivered from them, and claims the row; the second takes out what was
//! delivered. A crash in between delivers again, and never skips. Any replica may run any round: it writes the row only
//! at the revision that it read, and only once the lease of whoever else was at it is over. Rounds that find nothing to
//! tell write nothing.

pub mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use tenure_core::base::id::{EventId, PersonId, RequestId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{Actor, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::LogEntry;
use tenure_core::store::row::Stored;
use tenure_log::Leaf;
use tokio::sync::watch;
use tracing::{Instrument as _, field};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::{self, ANSWER, MAX_PEOPLE, Notice, Notify, Outbox, Pending, Recipient, Undelivered};
use crate::kernel::query::Query;
use crate::log::outbox::plan::{link, may_tell, told};

/// Lets commits gather, and bounds what an idle channel costs.
const PACE: Duration = Duration::from_millis(100);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a worker may take before another takes over: longer than any round.
const LEASE: Span = Span::from_secs(45);
/// A round begins no further deliveries after this.
const ROUND_TIME: Span = Span::from_secs(10);
/// How long one delivery may take, whatever the channel says.
const DELIVERY: Duration = Duration::from_secs(20);
/// Deliveries under way at once.
const AT_ONCE: usize = 8;
/// Entries read at once.
const PAGE: u16 = 500;
/// Entries read before the row is written although they told nothing: what a restart reads again at most.
const LAG: u64 = 10_000;
/// A channel that is configured later doesn't tell what happened longer ago than this.
const HISTORY: Span = Span::from_days(1);

/// One channel's worker.
pub(crate) struct Worker {
    pub(crate) engine: Arc<Kernel>,
    pub(crate) channel: Arc<dyn Notify>,
    name: String,
    /// Where reading goes on; it runs ahead of the row's own over entries that tell nothing.
    read: u64,
    stop: watch::Receiver<bool>,
}

/// What to do after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There may be more.
    Again,
    /// Nothing before the log grows or a delivery falls due.
    Wait,
    /// Nothing can be read before something is delivered, or before another worker is done.
    Blocked,
}

/// What was read from the log for a channel.
#[derive(Default)]
struct Taken {
    deliveries: usize,
    given_up: Vec<Pending>,
    /// Events of which nobody is told, because nobody has the role.
    to_nobody: Vec<String>,
    is_full: bool,
}

/// How a round's deliveries ended.
#[derive(Default)]
struct Ended {
    delivered: Vec<Pending>,
    failed: Vec<(Pending, Undelivered)>,
    /// The person has left, or has no address.
    unreachable: Vec<Pending>,
}

/// Runs every channel until `stop` is true or its sender is gone.
pub(crate) async fn run(engine: Arc<Kernel>, channels: Vec<Arc<dyn Notify>>, stop: watch::Receiver<bool>) {
    engine.channels.lock().extend(channels.iter().map(|channel| channel.channel()));
    let workers = channels.into_iter().map(|channel| Worker::new(&engine, channel, stop.clone()).run());
    join_all(workers).await;
}

impl Worker {
    pub(crate) fn new(engine: &Arc<Kernel>, channel: Arc<dyn Notify>, stop: watch::Receiver<bool>) -> Self {
        Self {
            name: EventId::generate(engine.now(), engine.entropy.as_ref()).to_string(),
            engine: Arc::clone(engine),
            channel,
            read: 0,
            stop,
        }
    }

    async fn run(mut self) {
        let mut stop = self.stop.clone();
        while !*stop.borrow() {
            let next = match self.round().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, channel = self.channel.channel(), "notices wait");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let seen = match next {
                Next::Again => continue,
                Next::Wait => self.read,
                // The log's growth helps nothing; its wait ends by time as well.
                Next::Blocked => u64::MAX,
            };
            tokio::select! {
                () = async { tokio::time::sleep(PACE).await; self.engine.store.grown(seen).await; } => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// One round.
    pub(crate) async fn round(&mut self) -> Result<Next, OpError> {
        let head = self.engine.store.head().await?.size;
        // Set-up demands an empty log, so nothing is written before it.
        if head == 0 {
            return Ok(Next::Wait);
        }
        let Some(stored) = self.load().await? else {
            self.begin(head).await?;
            return Ok(Next::Again);
        };
        let now = self.engine.now();
        if stored.is_held_from(&self.name, now) {
            return Ok(Next::Blocked);
        }
        let mut outbox = (*stored.value).clone();
        self.read = self.read.max(outbox.next);
        let taken = self.take(&mut outbox, now).await?;
        let due = outbox.due(now);
        let told_something = taken.deliveries > 0 || !taken.to_nobody.is_empty();
        if due.is_empty() && !told_something && self.read - stored.next < LAG {
            return Ok(if taken.is_full { Next::Blocked } else { Next::Wait });
        }
        outbox.next = self.read;
        if !due.is_empty() {
            outbox.claim(&self.name, now.plus(LEASE));
        }
        let mut event =
            self.event(now, EventKind::NoticesTaken).fact("read_to", outbox.next).fact("deliveries", taken.deliveries);
        event = with_list(event, "to_nobody", &taken.to_nobody);
        event = with_list(event, "given_up", &named(&taken.given_up));
        let mut changeset = Changeset::new(actor(), now, event);
        changeset.replace(&stored, &outbox);
        if self.engine.settle(changeset).await?.is_some() && !due.is_empty() {
            let ended = self.deliver(due).await?;
            self.settle(ended).await?;
        }
        Ok(Next::Again)
    }

    async fn load(&self) -> Result<Option<Stored<Outbox>>, OpError> {
        self.engine.one::<Outbox>(Outbox::id_of(self.channel.channel())).await
    }

    fn event(&self, now: Timestamp, kind: EventKind) -> Event {
        let channel = self.channel.channel();
        self.engine.event(now, kind).subject(Outbox::id_of(channel))
    }

    /// Makes the channel's row, so that from here on nothing is missed.
    async fn begin(&self, head: u64) -> Result<(), OpError> {
        let now = self.engine.now();
        let from = self.first_since(now.minus(HISTORY), head).await?;
        let mut changeset = Changeset::new(actor(), now, self.event(now, EventKind::NoticesStarted).fact("from", from));
        changeset.insert(&Outbox::new(self.channel.channel(), from));
        self.engine.settle(changeset).await.map(|_| ())
    }

    /// The first entry that is not older, by bisection: times never decrease along the log.
    async fn first_since(&self, since: Timestamp, head: u64) -> Result<u64, OpError> {
        let (mut low, mut high) = (0, head);
        while low < high {
            let middle = low + (high - low) / 2;
            let leaf = parsed(&self.entry(middle).await?)?;
            if Timestamp::from_micros(leaf.at) < since {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn entry(&self, index: u64) -> Result<LogEntry, OpError> {
        let found = self.engine.store.entries(index, 1).await?.into_iter().find(|entry| entry.index == index);
        found.ok_or_else(|| OpError::Internal(format!("the entry {index} is missing from the log")))
    }

    /// Reads on, up to the log's end or until there is no more room.
    async fn take(&mut self, outbox: &mut Outbox, now: Timestamp) -> Result<Taken, OpError> {
        let mut taken = Taken::default();
        let from = self.read;
        while self.read - from < LAG {
            let page = self.engine.store.entries(self.read, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for entry in page {
                // What a commit says of a reading is one leaf.
                if taken.given_up.len() + taken.to_nobody.len() >= MAX_PEOPLE {
                    return Ok(taken);
                }
                let leaf = may_tell(&entry.leaf).then(|| parsed(&entry)).transpose()?;
                if let Some((leaf, told)) = leaf.and_then(|leaf| told(&leaf).map(|told| (leaf, told))) {
                    let people = if self.channel.addresses_people() {
                        self.people(told.to, &told.roles).await?.into_iter().map(Some).collect()
                    } else {
                        vec![None]
                    };
                    let Some(given_up) = outbox.make_room(people.len()) else {
                        taken.is_full = true;
                        return Ok(taken);
                    };
                    taken.given_up.extend(given_up);
                    taken.deliveries += people.len();
                    if people.is_empty() {
                        taken.to_nobody.push(leaf.id.clone());
                    }
                    outbox.pending.extend(people.into_iter().map(|person| pending(entry.index, &leaf, person, now)));
                }
                self.read = entry.index + 1;
            }
        }
        Ok(taken)
    }

    /// The people named, and those who hold one of the roles now; [`MAX_PEOPLE`] at most.
    async fn people(&self, named: Vec<PersonId>, roles: &[Role]) -> Result<Vec<PersonId>, OpError> {
        let mut people = named;
        'roles: for role in roles {
            let holders = Query::of([Person::ROLE.of(role), Person::STATE.of(PersonState::Active)]);
            let limit = u16::try_from(MAX_PEOPLE).unwrap_or(u16::MAX);
            for id in self.engine.find(holders.limit(limit)).await?.readable().iter().map(|person| person.id) {
                if people.len() >= MAX_PEOPLE {
                    break 'roles;
                }
                if !people.contains(&id) {
                    people.push(id);
                }
            }
        }
        Ok(people)
    }

    async fn deliver(&self, due: Vec<Pending>) -> Result<Ended, OpError> {
        let mut ended = Ended::default();
        let mut leaves: HashMap<u64, Leaf> = HashMap::new();
        let began = self.engine.now();
        let mut due = due.into_iter().peekable();
        while due.peek().is_some() {
            if *self.stop.borrow() || self.engine.now().since(began) > ROUND_TIME {
                break;
            }
            let mut notices = Vec::with_capacity(AT_ONCE);
            for pending in due.by_ref().take(AT_ONCE) {
                let leaf = match leaves.entry(pending.index) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(slot) => {
                        slot.insert(parsed(&self.entry(pending.index).await?)?)
                    }
                };
                match self.notice(leaf, pending.person).await? {
                    Some(notice) => notices.push((pending, notice)),
                    None => ended.unreachable.push(pending),
                }
            }
            let before = ended.delivered.len();
            let tried = notices.len();
            for (pending, result) in
                join_all(notices.into_iter().map(|(pending, notice)| self.hand_over(pending, notice))).await
            {
                match result {
                    Ok(()) => ended.delivered.push(pending),
                    Err(why) => {
                        tracing::warn!(channel = self.channel.channel(), event = pending.event, %why, "a notice is tried again later");
                        ended.failed.push((pending, why));
                    }
                }
            }
            // A receiver that takes none of several is left alone for now; the next round begins with what was not
            // tried.
            if tried > 0 && ended.delivered.len() == before {
                break;
            }
        }
        Ok(ended)
    }

    async fn hand_over(&self, pending: Pending, notice: Notice) -> (Pending, Result<(), Undelivered>) {
        let channel = self.channel.channel();
        let span =
            tracing::info_span!("notice", channel, event = pending.event, kind = pending.kind, outcome = field::Empty);
        let watch = self.engine.stopwatch();
        let result = tokio::time::timeout(DELIVERY, self.channel.deliver(&notice)).instrument(span.clone()).await;
        let result =
            result.unwrap_or_else(|_| Err(Undelivered::Later(format!("it took longer than {} s", DELIVERY.as_secs()))));
        span.record("outcome", self.engine.timings.notified(channel, &result, watch.elapsed()));
        span.in_scope(|| tracing::debug!("a delivery ended"));
        (pending, result)
    }

    /// The words of a notice, for a person as they are now; nothing if they can't be told.
    async fn notice(&self, leaf: &Leaf, person: Option<PersonId>) -> Result<Option<Notice>, OpError> {
        let Some(mut told) = told(leaf) else { return Ok(None) };
        let mut address = link(&self.engine.settings.public_url, &leaf.subjects);
        let answer = told.data.remove(ANSWER).and_then(|fact| Answer::deserialize(fact).ok());
        let to = match person {
            None => {
                if let Some(answer) = &answer {
                    // Whoever relays the notice hands each their own.
                    let people = self.people(told.to.clone(), &told.roles).await?;
                    let links = people
                        .into_iter()
                        .map(|person| json!({"person": person, "link": answer.link_of(&self.engine, person)}));
                    told.data.insert(ANSWER.to_owned(), links.collect());
                }
                let nameless = |person| Recipient { person, name: None, email: None };
                told.to.into_iter().map(nameless).collect()
            }
            Some(id) => match self.engine.one::<Person>(id).await? {
                Some(person) if person.state == PersonState::Active && person.email.is_some() => {
                    address = answer.map(|answer| answer.link_of(&self.engine, id)).or(address);
                    vec![Recipient { person: id, name: person.name.clone(), email: person.email.clone() }]
                }
                _ => return Ok(None),
            },
        };
        Ok(Some(Notice {
            id: leaf.id.clone(),
            kind: leaf.kind.clone(),
            at: Timestamp::from_micros(leaf.at),
            title: told.title,
            text: told.text,
            link: address,
            to,
            roles: told.roles,
            subjects: leaf.subjects.clone(),
            data: told.data,
        }))
    }

    /// Takes out what is done, unless another worker has taken over meanwhile.
    async fn settle(&self, ended: Ended) -> Result<(), OpError> {
        let Some(stored) = self.load().await? else {
            return Ok(());
        };
        if stored.lease.as_ref().is_none_or(|lease| lease.worker != self.name) {
            return Ok(());
        }
        let now = self.engine.now();
        let mut outbox = (*stored.value).clone();
        let mut event = self.event(now, EventKind::NoticesSettled).fact("failed", ended.failed.len());
        event = with_list(event, "delivered", &named(&ended.delivered));
        event = with_list(event, "unreachable", &named(&ended.unreachable));
        let done = [ended.delivered, ended.unreachable].concat();
        outbox.settle(&done, &ended.failed, now);
        let mut changeset = Changeset::new(actor(), now, event);
        changeset.replace(&stored, &outbox);
        self.engine.settle(changeset).await.map(|_| ())
    }
}

/// What an event says about the answer that it asks for.
#[derive(Deserialize)]
struct Answer {
    request: RequestId,
    content_hash: String,
    until: Timestamp,
}

impl Answer {
    fn link_of(&self, engine: &Kernel, person: PersonId) -> String {
        notice::approval_link(engine, self.request, &self.content_hash, person, self.until)
    }
}

fn pending(index: u64, leaf: &Leaf, person: Option<PersonId>, now: Timestamp) -> Pending {
    Pending {
        index,
        event: leaf.id.clone(),
        kind: leaf.kind.clone(),
        at: Timestamp::from_micros(leaf.at),
        person,
        attempts: 0,
        again_at: now,
        why: None,
        refused: false,
    }
}

fn parsed(entry: &LogEntry) -> Result<Leaf, OpError> {
    Leaf::read(&entry.leaf).map_err(|error| OpError::Internal(format!("the entry {}: {error}", entry.index)))
}

fn actor() -> Actor {
    Actor::System { part: "notify".into() }
}

/// Deliveries as the log names them: the event, and the person if one was addressed.
fn named(deliveries: &[Pending]) -> Vec<serde_json::Value> {
    let name = |pending: &Pending| match pending.person {
        Some(person) => json!({"event": pending.event, "person": person}),
        None => json!({"event": pending.event}),
    };
    deliveries.iter().map(name).collect()
}

fn with_list<T: serde::Serialize>(event: Event, name: &str, list: &[T]) -> Event {
    if list.is_empty() { event } else { event.fact(name, list) }
}

#[cfg(test)]
mod tests;
