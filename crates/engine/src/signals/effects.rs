//! What signals set off: drafts, looks at bindings, removals, holds, ends of tasks, reviews, departures (R8, R77,
//! R80–R88, R94).
//!
//! A signal takes away, or has a draft made that people hand in and approve like any other. Nothing here activates,
//! resumes, renews, changes an owner or counts as use (S-12); no path from here leads to one.

use serde_json::{Map, Value as Json};
use tenure_core::base::id::{PersonId, SignalId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::policy::{Action, Attributes, Entity, EntityType, Question, Value};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::signal::removal::{Because, Blasts, Removal};
use tenure_core::signal::{Effect, Heard, Signal, SignalKind, SignalOutcome, SignalState, Source, SubjectKind, Word};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::trust::state::TrustState;

use crate::access::departures;
use crate::endings::removals::plan::{Ending, can_be_held, ends_for_good, waits};
use crate::endings::removals::{self, LEAVER, Raised, blast, steps};
use crate::identities::review_opening::{self, reviewer_of};
use crate::kernel::Kernel;
use crate::kernel::authority::inventory;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{acknowledge, system};
use crate::reviews::facts::privileges_of;
use crate::signals::workloads;

/// The workflows of machines by the names of those of people (R77).
pub(crate) const JOINER: &str = "workload.joiner";
pub(crate) const MOVER: &str = "workload.mover";
/// Identities that one commit looks at.
pub(crate) const AT_ONCE: u16 = 50;

/// What one turn on a signal came to.
pub(crate) struct Turn {
    pub state: SignalState,
    pub outcome: SignalOutcome,
}

impl Turn {
    pub(crate) fn of(state: SignalState, what: impl Into<String>) -> Self {
        Self { state, outcome: SignalOutcome { what: what.into(), ..SignalOutcome::default() } }
    }

    pub(crate) fn done(what: impl Into<String>) -> Self {
        Self::of(SignalState::Done, what)
    }

    pub(crate) fn ignored(what: impl Into<String>) -> Self {
        Self::of(SignalState::Ignored, what)
    }

    /// There is more to look at: the signal comes again.
    pub(crate) fn go_on(mut outcome: SignalOutcome, next: Option<String>) -> Self {
        let state = if next.is_some() { SignalState::Received } else { SignalState::Done };
        outcome.cursor = next;
        outcome.identities.truncate(100);
        Self { state, outcome }
    }
}

/// A signal with its source, as they were read.
pub(crate) struct Said {
    pub signal: Stored<Signal>,
    pub source: Stored<Source>,
}

impl Said {
    pub(crate) fn word(&self) -> &Word {
        &self.signal.word
    }
    /// What an effect says of its reason.
    pub(crate) fn reason(&self) -> String {
        format!("{} by {}", self.word().kind.as_str(), self.signal.id)
    }
    fn at(&self) -> Timestamp {
        self.word().occurred_at.unwrap_or(self.signal.received_at).min(self.signal.received_at)
    }
}

/// The question whether a source may have this done by itself.
fn signal_question(source: &Source, word: &Word, blast: u32) -> Question {
    Question {
        principal: Entity {
            kind: EntityType::Source,
            id: source.id.to_string(),
            attributes: Attributes::from([
                ("format", Value::Text(source.format.as_str().to_owned())),
                ("active", Value::Bool(source.state == TrustState::Active)),
            ]),
        },
        action: Action::Signal,
        resource: inventory(word.subject.kind.as_str(), "", ""),
        context: Attributes::from([
            ("kind", Value::Text(word.kind.as_str().to_owned())),
            ("in_kinds", Value::Bool(source.kinds.contains(&word.kind))),
            ("in_subjects", Value::Bool(source.covers(&word.subject))),
            ("blast", Value::Long(i64::from(blast))),
            ("cap", Value::Long(i64::from(source.blast_cap))),
            ("confirmed", Value::Bool(false)),
        ]),
    }
}

/// Works off a signal. The changeset holds the effect, the signal as it then stands, and what was heard last of the
/// subject.
pub(crate) async fn work_signal(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<SignalId>() else {
        return Ok(None);
    };
    let Some(signal) = kernel.one::<Signal>(id).await? else {
        return Ok(None);
    };
    if signal.state != SignalState::Received {
        return Ok(None);
    }
    let source = kernel.must::<Source>("source", signal.source).await?;
    let said = Said { signal, source };
    let mut changeset = Changeset::new(system(), now, worked_event(kernel, &said, now));
    let turn = match judge(kernel, &mut changeset, &said).await? {
        Some(turn) => turn,
        None => Box::pin(take_effect(kernel, &mut changeset, &said, now)).await?,
    };
    close_turn(&mut changeset, claimed, &said, turn, now);
    Ok(Some(changeset))
}

fn close_turn(changeset: &mut Changeset, claimed: &Claimed, said: &Said, turn: Turn, now: Timestamp) {
    if let Some(event) = changeset.events.first_mut() {
        *event = event
            .clone()
            .fact("state", turn.state)
            .fact("what", &turn.outcome.what)
            .fact("removal", turn.outcome.removal);
    }
    let signal = Signal { state: turn.state, outcome: turn.outcome, ..(*said.signal.value).clone() };
    changeset.replace(&said.signal, &signal);
    if signal.state == SignalState::Received {
        changeset.due.push(DueChange::Retry(DueKind::Signal, claimed.subject.clone(), claimed.fence, now));
    } else {
        acknowledge(changeset, claimed);
    }
}

fn worked_event(kernel: &Kernel, said: &Said, now: Timestamp) -> Event {
    let word = said.word();
    let (control, workflow) = match word.kind.effect() {
        Effect::Joiner => (ControlPoint::Request, Some(JOINER)),
        Effect::Mover => (ControlPoint::Suspend, Some(MOVER)),
        Effect::Leaver => (ControlPoint::Suspend, Some(LEAVER)),
        Effect::Hold => (ControlPoint::Suspend, None),
        Effect::TaskEnd | Effect::PersonLeaves => (ControlPoint::Retire, None),
        Effect::Review => (ControlPoint::Review, None),
    };
    let mut event = kernel
        .event(now, EventKind::SignalWorkedOff)
        .at(control)
        .subject(said.signal.id)
        .subject(said.source.id)
        .fact("signal", word.kind);
    if let Some(workflow) = workflow {
        event = event.fact("workflow", workflow);
    }
    // The keys of people are no public facts.
    if word.subject.kind == SubjectKind::Person { event } else { event.fact("subject", &word.subject) }
}

/// Whether the signal counts at all: its source, the policy, and what was heard of its subject before.
async fn judge(kernel: &Kernel, changeset: &mut Changeset, said: &Said) -> Result<Option<Turn>, OpError> {
    let (source, word) = (&said.source, said.word());
    if source.state != TrustState::Active {
        return Ok(Some(Turn::ignored("its source doesn't count any more")));
    }
    changeset.expect(source);
    let answer = kernel.policy.decide(&signal_question(source, word, 0));
    // A policy that fails doesn't stand in the way of what takes away (S-9): that goes on, and waits for a person
    // below.
    let gives = matches!(word.kind.effect(), Effect::Joiner | Effect::Review);
    let counts = answer.allowed() || (answer.errored() && !gives);
    if !counts {
        let reason = if answer.errored() { Reason::PolicyError } else { Reason::PolicyDenied };
        if let Some(event) = changeset.events.first_mut() {
            *event = event.clone().fact("reason", reason).fact("policies", answer.policies());
        }
        return Ok(Some(Turn::ignored(format!("the policy doesn't let its source have this done ({reason})"))));
    }
    note_heard(kernel, changeset, said).await
}

/// Puts the signal in order: what is older than the newest word on its subject adds nothing, and what takes away always
/// counts.
async fn note_heard(kernel: &Kernel, changeset: &mut Changeset, said: &Said) -> Result<Option<Turn>, OpError> {
    let word = said.word();
    // A person leaves whatever was said before; and a row's id, in which the source's key for them would stand, is in
    // the log for good.
    if word.subject.kind == SubjectKind::Person {
        return Ok(None);
    }
    let at = said.at();
    let key = Heard::id(said.source.id, &word.subject);
    let read = kernel.one::<Heard>(&key).await?;
    let adds = matches!(word.kind.effect(), Effect::Joiner | Effect::Mover);
    if let Some(heard) = &read {
        // At the same instant an end weighs more than a beginning.
        let ends = begins_removal(heard.kind);
        let stale = heard.at > at || (heard.at == at && ends && word.kind.effect() == Effect::Joiner);
        if adds && stale && said.signal.outcome.cursor.is_none() {
            changeset.expect(heard);
            return Ok(Some(Turn::of(
                SignalState::Stale,
                format!("{} was said of it at {}", heard.kind.as_str(), heard.at),
            )));
        }
    }
    let heard = Heard { source: said.source.id, subject: word.subject.clone(), kind: word.kind, at };
    match &read {
        Some(newer) if newer.at > at || (newer.at == at && !begins_removal(word.kind)) => changeset.expect(newer),
        Some(older) => changeset.replace(older, &heard),
        None => changeset.insert(&heard),
    };
    Ok(None)
}

async fn take_effect(kernel: &Kernel, changeset: &mut Changeset, said: &Said, now: Timestamp) -> Result<Turn, OpError> {
    match said.word().kind.effect() {
        Effect::Joiner => workloads::workload_joins(kernel, changeset, said, now).await,
        Effect::Mover => workloads::workload_moves(kernel, changeset, said, now).await,
        Effect::Leaver | Effect::Hold => begin_removal(kernel, changeset, said, now).await,
        Effect::TaskEnd => workloads::task_ends(kernel, changeset, said, now).await,
        Effect::Review => release_reviewed(kernel, changeset, said, now).await,
        Effect::PersonLeaves => person_leaves(kernel, changeset, said, now).await,
    }
}

/// Whether the source may hold this many more now; if it may, they are counted.
pub(crate) async fn spend_blast(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    more: u32,
    now: Timestamp,
) -> Result<bool, OpError> {
    let read = kernel.one::<Blasts>(said.source.id).await?;
    let lately = read.as_ref().map_or(0, |blasts| blasts.lately(now));
    let question = signal_question(&said.source, said.word(), lately.saturating_add(more));
    if !kernel.policy.decide(&question).allowed() {
        return Ok(false);
    }
    if more == 0 {
        return Ok(true);
    }
    let empty = || Blasts { source: said.source.id, held: Vec::new() };
    let next = read.as_ref().map_or_else(empty, |read| (*read.value).clone()).with(more, now);
    match &read {
        Some(read) => changeset.replace(read, &next),
        None => changeset.insert(&next),
    };
    Ok(true)
}

/// Something ended, or another system stopped it: a removal begins, or waits for a person of security.
pub(crate) async fn begin_removal(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let word = said.word();
    let Some(ending) = blast::ending(kernel, &word.subject, &said.source.environments).await? else {
        return Ok(Turn::ignored("nothing by that name is known here"));
    };
    if ending.closed {
        return Ok(Turn::done("it has ended already"));
    }
    let planned = blast::plan_removal(kernel, word.kind, &ending, false, now).await?;
    let registered = ending.scope.is_some() || word.subject.kind == SubjectKind::Need;
    if planned.blast.count == 0 && !(registered && ends_for_good(word.kind)) {
        return Ok(Turn::ignored("no identity here lives by it"));
    }
    if let Some(open) = removals::open_removal(kernel, &ending.subject, &ending.environments, word.kind).await? {
        // A scope holds whoever comes to it later; of others, only what is not held yet makes another removal.
        let all_held = open.scope.is_some() || open.held_at.is_none() || !any_active(kernel, &ending, &open).await?;
        if all_held {
            let mut turn = Turn::done(format!("{} is under way for it", open.id));
            turn.outcome.removal = Some(open.id);
            return Ok(turn);
        }
    }
    let held = planned.held;
    let raised = Raised {
        kind: word.kind,
        ending: &ending,
        because: Because::Signal(said.signal.id),
        reason: &said.reason(),
        compromise: false,
        planned,
    };
    let removal = steps::planned_removal(kernel, raised, now);
    let mut turn;
    if spend_blast(kernel, changeset, said, held, now).await? {
        let removal = steps::hold_removal(kernel, changeset, removal, &ending, Some(said.source.owner), now).await?;
        changeset.insert(&removal);
        turn = Turn::done(format!("identities held: {}", removal.blast.count));
        turn.outcome.identities = removal.blast.identities.iter().take(100).copied().collect();
        turn.outcome.removal = Some(removal.id);
    } else {
        let why = format!("That is more than {} may hold in an hour ({})", said.source.id, said.source.blast_cap);
        steps::wait_for_confirmation(kernel, changeset, &removal, &why, now);
        turn = Turn::done("over the source's blast cap: a person of security has to confirm it");
        turn.outcome.removal = Some(removal.id);
    }
    Ok(turn)
}

/// Whether an identity works that a removal doesn't hold, and that doesn't wait for an exception.
async fn any_active(kernel: &Kernel, ending: &Ending, open: &Removal) -> Result<bool, OpError> {
    let mut after = None;
    loop {
        let found = blast::concerned_by(kernel, ending, after.as_deref(), 500).await?;
        after = found.next();
        if found.readable().iter().any(|row| row.state == IdentityState::Active && !waits(open, row)) {
            return Ok(true);
        }
        if after.is_none() {
            return Ok(false);
        }
    }
}

/// A release or a changed integration: whoever answers for each identity sees what it may beside what it did (R88).
async fn release_reviewed(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let Some(ending) = blast::ending(kernel, &said.word().subject, &said.source.environments).await? else {
        return Ok(Turn::ignored("nothing by that name is known here"));
    };
    let mut outcome = said.signal.outcome.clone();
    let found = blast::concerned_by(kernel, &ending, outcome.cursor.as_deref(), AT_ONCE).await?;
    let next = found.next();
    let rows = found.readable();
    for stored in rows.iter().filter(|row| can_be_held(row.state)) {
        let review = review_release(kernel, changeset, stored, now).await?;
        outcome.identities.push(stored.id);
        outcome.reviews.push(review);
    }
    outcome.reviews.truncate(100);
    if outcome.identities.is_empty() && next.is_none() {
        return Ok(Turn::ignored("no identity here lives by it"));
    }
    outcome.what = "what its identities hold is to be reviewed".into();
    Ok(Turn::go_on(outcome, next))
}

/// The review of an identity for a release. One that is open is brought up to date.
async fn review_release(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    now: Timestamp,
) -> Result<tenure_core::base::id::ReviewId, OpError> {
    let trigger = ReviewTrigger::Release;
    let open =
        Query::of([Review::IDENTITY.of(stored.id), Review::STATE.of(ReviewState::Open), Review::TRIGGER.of(trigger)]);
    let privileges = privileges_of(kernel, stored, now).await?;
    if let Some(open) = kernel.find(open).await?.readable().first() {
        let review = Review { privileges, ..(*open.value).clone() };
        let event = kernel
            .event(now, EventKind::ReviewRefreshed)
            .subject(review.id)
            .subject(stored.id)
            .fact("trigger", trigger);
        changeset.event(event).replace(open, &review);
        return Ok(review.id);
    }
    let due_at = now.plus(kernel.settings.review_within);
    let (mut review, event) = review_opening::review_of(
        kernel,
        ReviewSubject::Identity(stored.id),
        trigger,
        reviewer_of(stored),
        due_at,
        now,
    );
    review.privileges = privileges;
    let unused = review.privileges.iter().filter(|privilege| privilege.last_used.is_none()).count();
    changeset.event(event.fact("privileges", review.privileges.len()).fact("never_used", unused));
    changeset.insert(&review);
    changeset.due.push(DueChange::Set(DueKind::Review, review.id.to_string(), review.due_at));
    Ok(review.id)
}

/// Somebody's employment has ended: they leave as by any other way, and nothing else comes of it (R94).
async fn person_leaves(
    kernel: &Kernel,
    changeset: &mut Changeset,
    said: &Said,
    now: Timestamp,
) -> Result<Turn, OpError> {
    let known = Query::of([Person::SOURCE_KEY.of(&said.word().subject.id)]);
    let rows = kernel.find(known.limit(2)).await?.readable();
    let Some(stored) = rows.first() else {
        return Ok(Turn::ignored("nobody is known by that key"));
    };
    if stored.state == PersonState::Departed {
        return Ok(Turn::done("the person has left already"));
    }
    if !spend_blast(kernel, changeset, said, 1, now).await? {
        let text = format!(
            "{}: employment has ended, says {}, which has held as much in this hour as it may. Nothing was done.\nIf it is so: tenure person depart {}",
            stored.id, said.source.id, stored.id
        );
        let event = kernel
            .event(now, EventKind::PersonDepartureWaits)
            .subject(stored.id)
            .subject(said.signal.id)
            .fact("alert", true);
        changeset.event(notify(event, &[], &[Role::Security], "A departure waits for you", &text));
        let mut turn = Turn::done("over the source's blast cap: a person of security has to do it by hand");
        turn.outcome.person = Some(stored.id);
        return Ok(turn);
    }
    changeset
        .event(departures::departed_event(kernel, stored.id, "employment_ended", now).fact("signal", said.signal.id));
    let next = (*stored.value).clone();
    departures::depart(kernel, changeset, stored, next, "a signal says that their employment has ended", now).await?;
    let mut turn = Turn::done("the person has left");
    turn.outcome.person = Some(stored.id);
    Ok(turn)
}

/// Has the owner of a source told what came of it.
pub(crate) fn tell_source_owner(said: &Said, event: Event, more: Option<PersonId>, title: &str, text: &str) -> Event {
    let mut to = vec![said.source.owner];
    to.extend(more);
    notify(event, &to, &[], title, text)
}

/// Whether a word ends something, so that it outweighs others of the same instant.
fn begins_removal(kind: SignalKind) -> bool {
    matches!(kind.effect(), Effect::Leaver | Effect::Hold)
}

/// The facts of a word that bindings fix, as evidence.
pub(crate) fn evidence(said: &Said, broken: &[String]) -> Map<String, Json> {
    let word = said.word();
    let told: Map<String, Json> =
        word.facts.iter().filter(|(name, _)| broken.contains(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut map = Map::new();
    map.insert("signal".into(), Json::String(said.signal.id.to_string()));
    map.insert("broken".into(), broken.to_vec().into());
    map.insert("told".into(), Json::Object(told));
    map
}
