//! Feeds of people: what an authoritative source says is read whole, compared with who is known, and followed (R17,
//! R92).
//!
//! Nothing happens before every row is good. Then it is done in bounded commits; each leaves things as a reader may
//! find them, and what is left when one fails is done when the feed is handed in again, which changes nothing that was
//! done.

use std::collections::BTreeMap;

use serde::Deserialize;
use tenure_api::people::{FeedFormat, ImportPeople, ImportReport, NewDecision};
use tenure_api::views::Revised;
use tenure_core::base::id::{DifferenceId, PersonId, TeamId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::people::difference::{Decided, Difference, DifferenceDecision, DifferenceKind};
use tenure_core::people::person::{Person, PersonState, SourceRef};
use tenure_core::people::team::Team;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::StoreError;
use tenure_core::store::row::Stored;

use crate::access::departures;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::{self, Caller};
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::{Listed, Query};
use crate::people::feed::{self, Row, is_plain};
use crate::people::person::{self, MOVER, make_team};
use crate::people::reconcile::{self, Fresh, ImportPlan, KnownPeople, Question};
use crate::people::setup::personal;
use crate::people::teams;

/// People, teams or questions that one commit writes.
const BATCH: usize = 50;
/// How often a feed is compared again because somebody changed the same records meanwhile.
const ROUNDS: usize = 8;
const PAGE: u16 = 1_000;

impl Listed for Difference {
    const NAME: &'static str = "difference";
}

/// What is known, with the rows as they were read.
struct Read {
    known: KnownPeople,
    people: BTreeMap<String, Stored<Person>>,
    standing: BTreeMap<DifferenceId, Stored<Difference>>,
}

/// Follows a feed of people, or says what following it would do.
///
/// # Errors
/// Every place in the feed that is wrong; it is complete and lacks too much; it would do something else than what was
/// expected; or the caller may not.
pub async fn import_people(kernel: &Kernel, caller: &Caller, ask: ImportPeople) -> Result<ImportReport, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "people.import", ""), async {
            may_import(kernel, caller)?;
            let rows = read_feed(&ask)?;
            let mut report: Option<ImportReport> = None;
            for _ in 0..ROUNDS {
                let now = kernel.now();
                let (read, plan) = compare_feed(kernel, &ask, &rows, now).await?;
                let digest = reconcile::digest(&ask.source, ask.complete, &rows, &plan);
                let report = report.get_or_insert_with(|| ImportReport {
                    source: ask.source.clone(),
                    dry_run: ask.dry_run,
                    rows: rows.len(),
                    unchanged: plan.unchanged,
                    teams_made: plan.teams.keys().cloned().collect(),
                    items: plan.items.clone(),
                    digest: digest.clone(),
                });
                if ask.expect.as_ref().is_some_and(|expected| *expected != report.digest) {
                    return Err(OpError::because(
                        Reason::RequestChanged,
                        "the feed would do something else now than in the dry run",
                    ));
                }
                if ask.dry_run || follow(kernel, caller, &ask, &read, plan, report, now).await? {
                    return Ok(report.clone());
                }
            }
            Err(OpError::Unavailable("too many others change the same people at once; hand it in again".into()))
        })
        .await
}

async fn compare_feed(
    kernel: &Kernel,
    ask: &ImportPeople,
    rows: &[Row],
    now: Timestamp,
) -> Result<(Read, ImportPlan), OpError> {
    let read = who_is_known(kernel, &ask.source).await?;
    let fresh = Fresh {
        person: &|| PersonId::generate(now, kernel.entropy.as_ref()),
        team: &|| TeamId::generate(now, kernel.entropy.as_ref()),
    };
    let plan = reconcile::plan(&ask.source, rows, ask.complete, &read.known, &fresh, now).map_err(|short| {
        OpError::because(
            Reason::FeedTooShort,
            format!("{} of the {} records of {} are missing or end", short.missing, short.expected, ask.source),
        )
    })?;
    Ok((read, plan))
}

/// Reads who is known. Of those of other sources only their managers are kept.
async fn who_is_known(kernel: &Kernel, source: &str) -> Result<Read, OpError> {
    let mut read = Read { known: KnownPeople::default(), people: BTreeMap::new(), standing: BTreeMap::new() };
    let mut people = kernel.pages::<Person>(Query::every().limit(PAGE));
    while let Some(found) = people.next().await? {
        let (rows, unreadable) = found.apart();
        for unreadable in unreadable {
            match source_of(&unreadable.body) {
                Ok(Some(from)) if from.source == source => {
                    read.known.unreadable.insert(from.key);
                }
                Ok(_) => {}
                // It may be of this source, under any key: nobody joins who may be known already.
                Err(_) => return Err(StoreError::from(unreadable.bad).into()),
            }
        }
        for stored in rows {
            if let Some(manager) = stored.manager {
                read.known.managers.insert(stored.id, manager);
            }
            match (&stored.source, &stored.email) {
                (Some(from), _) if from.source == source => {
                    read.known.people.insert(from.key.clone(), (*stored.value).clone());
                    read.people.insert(from.key.clone(), stored);
                }
                (None, Some(email)) if stored.state != PersonState::Departed => {
                    read.known.by_hand.insert(email.to_lowercase(), stored.id);
                }
                _ => {}
            }
        }
    }
    let mut teams = kernel.pages::<Team>(Query::every().limit(PAGE));
    while let Some(found) = teams.next().await? {
        read.known.teams.extend(found.readable().iter().map(|team| (team.name.clone(), team.id)));
    }
    let mut differences = kernel.pages(Query::of([Difference::STANDING.of(source)]).limit(PAGE));
    while let Some(found) = differences.next().await? {
        for stored in found.readable() {
            read.known.standing.push((*stored.value).clone());
            read.standing.insert(stored.id, stored);
        }
    }
    Ok(read)
}

/// Does what a plan says, and false if somebody else changed the same records: then it is made again.
async fn follow(
    kernel: &Kernel,
    caller: &Caller,
    ask: &ImportPeople,
    read: &Read,
    plan: ImportPlan,
    report: &ImportReport,
    now: Timestamp,
) -> Result<bool, OpError> {
    let mut changesets = Vec::new();
    let teams: Vec<Team> = plan.teams.iter().map(|(name, id)| new_team(&ask.source, *id, name, now)).collect();
    for batch in teams.chunks(BATCH) {
        changesets.push(gathered(
            caller,
            now,
            batch.iter().map(|team| person::team_event(kernel, team, now)),
            |changeset| {
                batch.iter().for_each(|team| make_team(changeset, team));
            },
        ));
    }
    for batch in plan.joiners.chunks(BATCH) {
        changesets.push(gathered(
            caller,
            now,
            batch.iter().map(|person| person::joined_event(kernel, person, now)),
            |changeset| {
                for person in batch {
                    teams::join(changeset, person);
                    changeset.once.extend(person.source.as_ref().map(once));
                }
            },
        ));
    }
    let movers: Vec<(&Stored<Person>, &Person)> =
        plan.movers.iter().filter_map(|(key, person)| Some((read.people.get(key)?, person))).collect();
    for batch in movers.chunks(BATCH) {
        changesets.push(gathered(
            caller,
            now,
            batch.iter().map(|(from, to)| person::moved_event(kernel, from, to, now)),
            |changeset| {
                batch.iter().for_each(|(from, to)| teams::move_to(changeset, from, to));
            },
        ));
    }
    let questions: Vec<Difference> =
        plan.questions.iter().map(|question| new_difference(kernel, &ask.source, question, now)).collect();
    for batch in questions.chunks(BATCH) {
        let opened =
            batch.iter().map(|difference| difference_event(kernel, EventKind::DifferenceOpened, difference, now));
        changesets.push(gathered(caller, now, opened, |changeset| {
            for difference in batch {
                changeset.insert(difference);
            }
        }));
    }
    let settled: Vec<(&Stored<Difference>, Difference)> =
        plan.settled.iter().filter_map(|id| read.standing.get(id)).map(|stored| (stored, over(stored, now))).collect();
    for batch in settled.chunks(BATCH) {
        let over =
            batch.iter().map(|(_, difference)| difference_event(kernel, EventKind::DifferenceSettled, difference, now));
        changesets.push(gathered(caller, now, over, |changeset| {
            for (stored, difference) in batch {
                changeset.replace(stored, difference);
            }
        }));
    }
    for changeset in changesets.into_iter().flatten() {
        if !done(kernel, caller, changeset).await? {
            return Ok(false);
        }
    }
    for (key, person) in plan.leavers {
        let Some(stored) = read.people.get(&key) else { continue };
        let event = departures::departed_event(kernel, person.id, "source", now)
            .fact("source", &ask.source)
            .fact("ends_at", person.ends_at);
        let mut changeset = Changeset::new(caller.author(), now, event);
        departures::depart(kernel, &mut changeset, stored, person, "their source of people says so", now).await?;
        if !done(kernel, caller, changeset).await? {
            return Ok(false);
        }
    }
    let event = kernel
        .event(now, EventKind::PeopleImported)
        .fact("source", &ask.source)
        .fact("complete", ask.complete)
        .fact("rows", report.rows)
        .fact("items", report.items.len())
        .fact("unchanged", report.unchanged)
        .fact("digest", &report.digest);
    let done = done(kernel, caller, Changeset::new(caller.author(), now, event)).await?;
    Ok(done)
}

fn may_import(kernel: &Kernel, caller: &Caller) -> Result<(), OpError> {
    kernel.allow(caller, Action::Import, inventory("person", "", ""), owns(false)).map(drop)
}

/// Commits; false if it has to be decided again, be it that a key or a name was taken at the same moment. Who hands a
/// feed in may stand in it: what the commits before did to their own record doesn't stop the others, as long as they
/// still may.
async fn done(kernel: &Kernel, caller: &Caller, mut changeset: Changeset) -> Result<bool, OpError> {
    let caller = caller::renewed(kernel, caller).await?;
    may_import(kernel, &caller)?;
    changeset.as_of = caller.author().as_of;
    match kernel.settle(changeset).await {
        Ok(committed) => Ok(committed.is_some()),
        Err(OpError::Taken { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn new_difference(kernel: &Kernel, source: &str, question: &Question, now: Timestamp) -> Difference {
    Difference {
        id: DifferenceId::generate(now, kernel.entropy.as_ref()),
        source: source.to_owned(),
        source_key: question.key.clone(),
        person: question.person,
        kind: question.kind.clone(),
        found_at: now,
        decision: None,
        over_since: None,
    }
}

fn difference_event(
    kernel: &Kernel,
    kind: EventKind,
    difference: &Difference,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    let mut event = kernel
        .event(now, kind)
        .subject(difference.id)
        .fact("source", &difference.source)
        .fact("about", difference.kind.about())
        .fact("workflow", MOVER);
    if let Some(person) = difference.person {
        event = event.subject(person).personal(personal(kernel, person, "source_key", &difference.source_key));
    }
    event
}

/// Answers a question that a feed raised. To keep things as they are counts as long as the source says the same.
///
/// # Errors
/// No such open question, this is no answer to it, or the caller is no administrator.
pub async fn decide_difference(
    kernel: &Kernel,
    caller: &Caller,
    id: DifferenceId,
    ask: NewDecision,
) -> Result<Revised<Difference>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "difference.decide", id), async {
            let ((difference, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    kernel.allow(caller, Action::Administer, inventory("difference", id, ""), administration(false, false))?;
                    let by = caller.must_be_person()?;
                    let stored = kernel.must::<Difference>("difference", id).await?;
                    if stored.decision.is_some() || stored.over_since.is_some() {
                        return Err(OpError::because(Reason::IllegalTransition, "it is decided already"));
                    }
                    if !stored.kind.takes(ask.decision) {
                        return Err(OpError::field(
                            "decision",
                            "decision_unfit",
                            "a missing record: keep or depart; a look-alike: keep, bind or create; what can't be followed: keep",
                        ));
                    }
                    let acts = matches!(ask.decision, DifferenceDecision::Depart | DifferenceDecision::Bind);
                    let difference = Difference {
                        decision: Some(Decided {
                            what: Some(ask.decision),
                            by: Some(by),
                            at: now,
                        }),
                        over_since: acts.then_some(now),
                        ..(*stored.value).clone()
                    };
                    let event = difference_event(kernel, EventKind::DifferenceDecided, &difference, now).fact("decision", ask.decision);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    match ask.decision {
                        DifferenceDecision::Depart => depart_missing(kernel, &mut changeset, &stored, now).await?,
                        DifferenceDecision::Bind => bind(kernel, &mut changeset, &stored, now).await?,
                        // The source's record becomes a person when the source names it again.
                        DifferenceDecision::Keep | DifferenceDecision::Create => {}
                    }
                    changeset.replace(&stored, &difference);
                    Ok((changeset, (difference, stored.revision + 1)))
                })
                .await?;
            kernel.changed(difference, revision, &committed).await
        })
        .await
}

async fn depart_missing(
    kernel: &Kernel,
    changeset: &mut Changeset,
    difference: &Difference,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = person_of(kernel, difference).await?;
    let event =
        departures::departed_event(kernel, stored.id, "missing_in_source", now).fact("source", &difference.source);
    changeset.event(event);
    let reason = "their source of people no longer has them";
    departures::depart(kernel, changeset, &stored, (*stored.value).clone(), reason, now).await.map(|_| ())
}

/// The record that was made by hand follows the source from now on. It confers nothing: the roles stay what they are.
async fn bind(
    kernel: &Kernel,
    changeset: &mut Changeset,
    difference: &Difference,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = person_of(kernel, difference).await?;
    let DifferenceKind::LooksLike { person } = difference.kind else {
        return Ok(());
    };
    if stored.id != person || stored.source.is_some() || stored.state == PersonState::Departed {
        return Err(OpError::because(Reason::IllegalTransition, "the person follows a source already, or has left"));
    }
    let source = SourceRef { source: difference.source.clone(), key: difference.source_key.clone() };
    changeset.once.push(once(&source));
    let person = Person { source: Some(source), ..(*stored.value).clone() };
    changeset.event(person::moved_event(kernel, &stored, &person, now));
    changeset.replace(&stored, &person);
    Ok(())
}

async fn person_of(kernel: &Kernel, difference: &Difference) -> Result<Stored<Person>, OpError> {
    let id = difference.person.ok_or(OpError::NotFound("person"))?;
    kernel.must::<Person>("person", id).await
}

/// Where a person's record comes from, though the rest of it can't be read; an error if not even that is said.
fn source_of(body: &[u8]) -> Result<Option<SourceRef>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Sourced {
        source: Option<SourceRef>,
    }
    serde_json::from_slice(body).map(|sourced: Sourced| sourced.source)
}

fn read_feed(ask: &ImportPeople) -> Result<Vec<Row>, OpError> {
    let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    if !is_plain(&ask.source, 40) || !ask.source.bytes().all(is_name) {
        return Err(OpError::field("source", "source_malformed", "name the source in 1 to 40 of a-z, 0-9, - and _"));
    }
    let rows = match (ask.format, &ask.content) {
        (FeedFormat::Csv, Some(text)) if ask.people.is_empty() => feed::read_csv(text),
        (FeedFormat::Json, None) => feed::read_json(&ask.people),
        _ => Err(vec![FieldProblem::new(
            "content",
            "content_misplaced",
            "give a csv feed as `content`, a json feed as `people`",
        )]),
    };
    rows.map_err(OpError::Invalid)
}

fn new_team(source: &str, id: TeamId, name: &str, now: Timestamp) -> Team {
    Team {
        id,
        name: name.to_owned(),
        source: Some(SourceRef { source: source.to_owned(), key: name.to_owned() }),
        created_at: now,
    }
}

/// A source's key is one person's for ever.
fn once(source: &SourceRef) -> Once {
    Once { space: "person_source", key: format!("{}/{}", source.source, source.key), until: None }
}

/// A question that the source has answered by itself; a decision about it is over with it.
fn over(stored: &Difference, now: Timestamp) -> Difference {
    Difference {
        decision: stored.decision.clone().or(Some(Decided { what: None, by: None, at: now })),
        over_since: Some(now),
        ..stored.clone()
    }
}

/// One changeset of several events; none if there are none.
fn gathered(
    caller: &Caller,
    now: Timestamp,
    events: impl Iterator<Item = tenure_core::store::event::Event>,
    write: impl FnOnce(&mut Changeset),
) -> Option<Changeset> {
    let mut events = events;
    let mut changeset = Changeset::new(caller.author(), now, events.next()?);
    changeset.events.extend(events);
    write(&mut changeset);
    Some(changeset)
}
