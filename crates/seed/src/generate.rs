//! Telling: the tales of many, commit by commit, in the order of their times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::Receipt;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::port::{Outcome, Store};
use tenure_core::store::row::Position;
use tenure_engine::Kernel;
use tenure_engine::credentials::receipts;
use tenure_engine::log::seal;

use crate::error::SeedError;
use crate::finale::{Last, finale};
use crate::history::History;
use crate::holder::{Holder, workload_seed};
use crate::random::{Sequence, number, wide};
use crate::repertoire::Repertoire;
use crate::schedule::{Life, Schedule, round_at, round_begins};
use crate::stage::{Common, Hand};
use crate::stencil::{Occasion, Stencil, Subject, Teller, Told, Word, id_text, tell};
use crate::words;

/// Commits under way at once.
const IN_FLIGHT: usize = 1_000;
/// Last uses that are noted at once.
const TOUCHED: usize = 500;
/// Identities that are named at the end.
const NAMED: usize = 50;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// The engine plays the tales: so many of all.
    Playing(usize, usize),
    /// They are told: rows so far, and of all; the same for what happens at the end.
    Telling(u64, u64),
}

/// What was made.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rows that were committed, each as often as it was written.
    pub rows: u64,
    /// Commits.
    pub commits: u64,
    /// Entries of the log.
    pub entries: u64,
    /// How many records of each kind were made.
    pub made: BTreeMap<&'static str, u64>,
    /// How many identities are in each state at the end.
    pub states: BTreeMap<String, u64>,
    /// Credentials that are alive at the end, of those that are issued as tokens.
    pub live: u64,
    /// An operator token of the administrator, for thirty days from the history's end.
    pub operator_token: String,
    /// Some of the identities that get tokens at the end.
    pub identities: Vec<Seeded>,
    /// When the history ends.
    pub ends: Timestamp,
}

/// An identity that gets tokens at the end.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Seeded {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The tale that was told of it.
    pub tale: &'static str,
    /// The seed of its Ed25519 key, in hexadecimal.
    pub key: String,
}

/// The root key of a history of this seed, as its file holds it.
pub fn root_key(seed: u64) -> String {
    crate::stage::root_text(seed)
}

/// A kernel over a history that was made, at a time: what a server would have.
///
/// # Errors
/// The default policies can't be read.
pub fn kernel_of(store: Arc<dyn Store>, history: &History, seed: u64, now: Timestamp) -> Result<Kernel, SeedError> {
    Common::new(seed, &history.public_url)?.kernel(store, Hand::at(now), number(0xca11, now.as_micros().unsigned_abs()))
}

/// Makes a history in an empty store, whose rows are sealed under [`root_key`].
///
/// The same history and seed make the same log, byte for byte. One that was cut short can't be taken up again.
///
/// # Errors
/// The store holds something already or doesn't take a commit; or the engine does something else than the tales expect.
pub async fn generate(
    store: Arc<dyn Store>,
    history: &History,
    seed: u64,
    progress: &mut (dyn FnMut(Stand) + Send),
) -> Result<Report, SeedError> {
    let head = store.head().await?;
    if head.size > 0 {
        return Err(SeedError::NotEmpty(head.size));
    }
    let repertoire = Box::pin(Repertoire::play(history, seed, &mut |n, all| progress(Stand::Playing(n, all)))).await?;
    let schedule = Schedule::new(&repertoire, history, seed)?;
    let mut telling = Telling::new(&store, &repertoire, &schedule, history, seed)?;
    for changeset in &repertoire.frame {
        telling.commit(changeset.clone(), "the deployment").await?;
    }
    telling.tell_all(progress).await?;
    telling.flush().await?;
    telling.note_uses().await?;
    let mut report = std::mem::take(&mut telling.report);
    let last = telling.finale_of();
    drop(telling);
    let common = Common::new(seed, &history.public_url)?;
    let kernel = common.kernel(Arc::clone(&store), Hand::at(history.end()?), 0xf1a1)?;
    let rounds = |person: PersonId| {
        let first = last.first.get(&person.to_string()).cloned().unwrap_or_default();
        token_text(seed, history, &person.to_string(), schedule.end, &first)
    };
    report.operator_token = Box::pin(finale(&kernel, &store, &repertoire, &last, &rounds)).await?;
    seal::seal_now(&kernel).await.map_err(|error| SeedError::engine("seal the log", error))?;
    report.entries = store.head().await?.size;
    report.ends = history.end()?;
    Ok(report)
}

/// The operator token that a person has at a time.
fn token_text(seed: u64, history: &History, person: &str, at: i64, first: &str) -> Result<String, SeedError> {
    let start = history.start()?;
    Ok(match round_at(start, at) {
        0 => first.to_owned(),
        round => round_token(seed, start, person, round),
    })
}

fn round_token(seed: u64, start: Timestamp, person: &str, round: u32) -> String {
    let digest = Sha256::digest(person.as_bytes());
    let of = digest.iter().take(8).fold(0_u64, |of, byte| of << 8 | u64::from(*byte));
    let millis = round_begins(start, round).as_micros() / 1_000;
    id_text("opt", millis, wide(number(seed, of), u64::from(round)))
}

/// Something that is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Department { number: u32, step: usize },
    Round { round: u32, handing: usize, department: u32 },
    Life { number: u32, step: usize },
    More { number: u32, step: usize, again: u32 },
}

/// What is kept of a life while it goes on.
#[derive(Debug, Default)]
struct Kept {
    places: Vec<(usize, u64)>,
    x: Option<String>,
}

type Commit<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
type UnderWay<'a> = (Commit<'a>, u64, &'static str);

struct Telling<'a> {
    store: &'a Arc<dyn Store>,
    repertoire: &'a Repertoire,
    schedule: &'a Schedule<'a>,
    seed: u64,
    start: Timestamp,
    history: &'a History,
    departments: Vec<Told>,
    department_places: HashMap<u32, Vec<(usize, u64)>>,
    lives: HashMap<u32, Kept>,
    index: u64,
    under_way: VecDeque<UnderWay<'a>>,
    used: HashMap<String, i64>,
    rows: u64,
    report: Report,
}

/// Who speaks of an identity.
struct Voice<'a> {
    repertoire: &'a Repertoire,
    seed: u64,
    start: Timestamp,
    slug: &'a str,
    number: u32,
    x: &'a mut Option<String>,
    words: Option<[String; 6]>,
}

impl Voice<'_> {
    fn words(&mut self) -> &[String; 6] {
        let (seed, number, slug) = (self.seed, self.number, self.slug);
        self.words.get_or_insert_with(|| {
            let mut sequence = Sequence::new(seed, 0x3a3e_0000_0000 | u64::from(number));
            let name = words::identity(&mut sequence, slug, number);
            let purpose = words::purpose(&mut sequence, slug);
            let reason = words::reason(&mut sequence);
            let leaver = words::person(&mut sequence);
            let mail = words::mail(&leaver, u64::from(number) + 1_000_000);
            let repository = format!("harbour/{name}");
            [name, purpose, reason, leaver, mail, repository]
        })
    }
}

impl Teller for Voice<'_> {
    fn word(&mut self, word: Word) -> String {
        let [name, purpose, reason, leaver, mail, repository] = self.words();
        match word {
            Word::Name => name.clone(),
            Word::Purpose => purpose.clone(),
            Word::Reason => reason.clone(),
            Word::Leaver => leaver.clone(),
            Word::LeaverMail => mail.clone(),
            Word::Repository => repository.clone(),
            Word::Slug | Word::Account | Word::Person(_) | Word::Mail(_) => String::new(),
        }
    }

    fn x(&mut self) -> Result<String, SeedError> {
        if let Some(x) = &self.x {
            return Ok(x.clone());
        }
        let x = Holder::new(&workload_seed(self.seed, self.number))?.x();
        *self.x = Some(x.clone());
        Ok(x)
    }

    fn token(&mut self, person: &str, at: i64, first: &dyn Fn() -> String) -> String {
        match round_at(self.start, at) {
            0 => first(),
            round => round_token(self.seed, self.start, person, round),
        }
    }

    fn sign(&mut self, receipt: &Receipt) -> Result<String, SeedError> {
        // The keys stand in memory: nothing is waited for.
        match receipts::signed(&self.repertoire.signs.kernel, receipt).now_or_never() {
            Some(Ok(signed)) => Ok(signed),
            Some(Err(error)) => Err(SeedError::engine("sign a receipt", error)),
            None => Err(SeedError::missing("sign at once")),
        }
    }
}

/// Who speaks of a department.
struct Founder<'a>(&'a Told);

impl Teller for Founder<'_> {
    fn word(&mut self, word: Word) -> String {
        self.0.words.get(&word).cloned().unwrap_or_default()
    }
    fn x(&mut self) -> Result<String, SeedError> {
        Err(SeedError::Shape("a department has no key".into()))
    }
    fn token(&mut self, _person: &str, _at: i64, first: &dyn Fn() -> String) -> String {
        first()
    }
    fn sign(&mut self, _receipt: &Receipt) -> Result<String, SeedError> {
        Err(SeedError::Shape("a department revokes nothing".into()))
    }
}

impl<'a> Telling<'a> {
    fn new(
        store: &'a Arc<dyn Store>,
        repertoire: &'a Repertoire,
        schedule: &'a Schedule<'a>,
        history: &'a History,
        seed: u64,
    ) -> Result<Self, SeedError> {
        let mut departments = Vec::new();
        for n in 0..history.departments {
            let slug = words::slug(n);
            let mut sequence = Sequence::new(seed, 0xde9a_0000_0000 | u64::from(n));
            let mut known = HashMap::from([
                (Word::Slug, slug.clone()),
                (Word::Account, format!("{:012}", 100_000_000_000 + u64::from(n) * 7_919 + sequence.below(7_919))),
            ]);
            for place in 0..6_u8 {
                let name = words::person(&mut sequence);
                let mail = words::mail(&name, u64::from(n) * 8 + u64::from(place));
                known.insert(Word::Person(place), name);
                known.insert(Word::Mail(place), mail);
            }
            let shift = schedule.department_begins(n) - repertoire.department.begun;
            departments.push(Told { seed: number(seed, 0xde9a_1000_0000 | u64::from(n)), shift, slug, words: known });
        }
        Ok(Self {
            store,
            repertoire,
            schedule,
            seed,
            start: history.start()?,
            history,
            departments,
            department_places: HashMap::new(),
            lives: HashMap::new(),
            index: 0,
            under_way: VecDeque::with_capacity(IN_FLIGHT),
            used: HashMap::new(),
            rows: 0,
            report: Report::default(),
        })
    }

    async fn commit(&mut self, mut changeset: Changeset, about: &'static str) -> Result<(), SeedError> {
        if !self.history.checked {
            changeset.expects.clear();
        }
        if self.under_way.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        let index = self.index;
        self.index += changeset.events.len() as u64;
        self.rows += changeset.puts.len() as u64;
        self.report.rows += changeset.puts.len() as u64;
        self.report.commits += 1;
        for put in changeset.puts.iter().filter(|put| put.replaces == 0) {
            *self.report.made.entry(put.key.kind.as_str()).or_default() += 1;
        }
        // It is handed over now and never put off, so that the order is this one; what it comes to is looked at later.
        let mut commit: Commit<'a> = Box::pin(tokio::task::unconstrained(self.store.commit(changeset)));
        match std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await {
            Poll::Ready(outcome) => check(index, &outcome, about),
            Poll::Pending => {
                self.under_way.push_back((commit, index, about));
                Ok(())
            }
        }
    }

    async fn wait_for_one(&mut self) -> Result<(), SeedError> {
        match self.under_way.pop_front() {
            Some((commit, index, about)) => check(index, &commit.await, about),
            None => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), SeedError> {
        while !self.under_way.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn tell_all(&mut self, progress: &mut (dyn FnMut(Stand) + Send)) -> Result<(), SeedError> {
        let end = self.schedule.end;
        let mut next: BinaryHeap<Reverse<(i64, Next)>> = BinaryHeap::new();
        for number in 0..self.history.departments {
            next.push(Reverse((self.schedule.department_begins(number), Next::Department { number, step: 0 })));
        }
        for round in 1.. {
            let at = round_begins(self.start, round).as_micros();
            if at >= end {
                break;
            }
            for (handing, one) in self.repertoire.handings.iter().enumerate() {
                let departments = if one.of_department { self.history.departments } else { 1 };
                for department in 0..departments {
                    next.push(Reverse((at, Next::Round { round, handing, department })));
                }
            }
        }
        let mut coming = self.schedule.lives.iter().peekable();
        let all = self.schedule.amount.rows;
        let mut told = 0_u64;
        loop {
            let begins = coming.peek().map(|(at, _)| *at);
            let due = next.peek().map(|Reverse((at, _))| *at);
            if let Some(at) = begins
                && due.is_none_or(|due| at < due)
            {
                if let Some((at, number)) = coming.next() {
                    let number = *number;
                    let stencil = self.stencil_of(&self.schedule.life(number))?;
                    let offset = stencil.steps.first().map_or(0, |step| step.offset);
                    next.push(Reverse((at + offset, Next::Life { number, step: 0 })));
                }
                continue;
            }
            let Some(Reverse((at, what))) = next.pop() else { break };
            if at >= end {
                continue;
            }
            self.tell_one(at, what, &mut next).await?;
            told += 1;
            if told.is_multiple_of(512) {
                progress(Stand::Telling(self.rows, all));
            }
        }
        progress(Stand::Telling(self.rows, self.rows));
        Ok(())
    }

    fn stencil_of(&self, life: &Life) -> Result<&'a Stencil, SeedError> {
        self.schedule.stencil(life.tale, life.variant).ok_or_else(|| SeedError::Other("no such tale".into()))
    }

    async fn tell_one(
        &mut self,
        at: i64,
        what: Next,
        next: &mut BinaryHeap<Reverse<(i64, Next)>>,
    ) -> Result<(), SeedError> {
        match what {
            Next::Department { number, step } => self.tell_department(at, number, step, next).await,
            Next::Round { round, handing, department } => self.tell_round(at, round, handing, department).await,
            Next::Life { number, step } => self.tell_life(at, number, step, 0, next).await,
            Next::More { number, step, again } => self.tell_life(at, number, step, again, next).await,
        }
    }

    fn occasion(&self, at: i64, again: u32) -> Occasion {
        Occasion { at, again, index: self.index, end: self.schedule.end }
    }

    async fn tell_department(
        &mut self,
        at: i64,
        number: u32,
        step: usize,
        next: &mut BinaryHeap<Reverse<(i64, Next)>>,
    ) -> Result<(), SeedError> {
        let stencil = &self.repertoire.department;
        let occasion = self.occasion(at, 0);
        let Some(told) = self.departments.get(usize::try_from(number).unwrap_or(usize::MAX)) else {
            return Ok(());
        };
        let places = self.department_places.get(&number).cloned().unwrap_or_default();
        let subject = Subject { seed: told.seed, shift: told.shift, department: None, places: &places, fixed: None };
        let (changeset, _) = tell(stencil, None, step, &subject, occasion, &mut Founder(told))?;
        if stencil.steps.get(step).is_some_and(|step| step.is_named) {
            self.department_places.entry(number).or_default().push((step, occasion.index));
        }
        if let Some(following) = stencil.steps.get(step + 1) {
            let begins = stencil.begun + told.shift;
            next.push(Reverse((begins + following.offset, Next::Department { number, step: step + 1 })));
        }
        self.commit(changeset, "a department").await
    }

    async fn tell_round(&mut self, at: i64, round: u32, handing: usize, department: u32) -> Result<(), SeedError> {
        let Some(handing) = self.repertoire.handings.get(handing) else { return Ok(()) };
        let told = self.departments.get(usize::try_from(department).unwrap_or(usize::MAX));
        let person = match told.filter(|_| handing.of_department) {
            Some(told) => self.department_id(told, &handing.person.to_string())?,
            None => handing.person.to_string(),
        };
        let token = round_token(self.seed, self.start, &person, round);
        let of = Sha256::digest(format!("{person} {round}").as_bytes());
        let seed = of.iter().take(8).fold(self.seed, |seed, byte| number(seed, u64::from(*byte)));
        let subject = Subject {
            seed,
            shift: at - handing.stencil.steps.first().map_or(at, |step| handing.stencil.begun + step.offset),
            department: told,
            places: &[],
            fixed: Some((handing.token, token)),
        };
        let mut x = None;
        let mut voice = self.voice("", 0, &mut x);
        let occasion = self.occasion(at, 0);
        // Handed out by the token of the round before.
        let (changeset, _) =
            tell(&handing.stencil, Some(&self.repertoire.department), 0, &subject, occasion, &mut voice)?;
        self.commit(changeset, "an operator token").await
    }

    fn voice<'b>(&self, slug: &'b str, number: u32, x: &'b mut Option<String>) -> Voice<'b>
    where
        'a: 'b,
    {
        Voice { repertoire: self.repertoire, seed: self.seed, start: self.start, slug, number, x, words: None }
    }

    /// The id of a department's that was played under another one.
    fn department_id(&self, told: &Told, played: &str) -> Result<String, SeedError> {
        let slot = self.repertoire.department.slot_of(played);
        let slot = slot.ok_or_else(|| SeedError::Shape(format!("{played} is not the department's")))?;
        self.repertoire
            .department
            .id_of(slot, told)
            .ok_or_else(|| SeedError::Shape(format!("{played} is no id of the department's")))
    }

    async fn tell_life(
        &mut self,
        at: i64,
        number: u32,
        step: usize,
        again: u32,
        next: &mut BinaryHeap<Reverse<(i64, Next)>>,
    ) -> Result<(), SeedError> {
        let life = self.schedule.life(number);
        let stencil = self.stencil_of(&life)?;
        let occasion = self.occasion(at, again);
        let mut kept = self.lives.remove(&number).unwrap_or_default();
        let place = usize::try_from(life.department).unwrap_or(usize::MAX);
        let told = self.departments.get(place).ok_or_else(|| SeedError::Other("no such department".into()))?;
        let subject = Subject {
            seed: crate::random::number(self.seed, 0x11fe_1000_0000 | u64::from(number)),
            shift: life.begins - stencil.begun,
            department: Some(told),
            places: &kept.places,
            fixed: None,
        };
        let mut voice = self.voice(&told.slug, number, &mut kept.x);
        let (changeset, used) = tell(stencil, Some(&self.repertoire.department), step, &subject, occasion, &mut voice)?;
        let one = stencil.steps.get(step);
        let (earlier, live) = self.schedule.windows(&life);
        let more = self.schedule.more(number);
        for (window, count, first) in [(earlier, more.earlier, 1), (live, more.live, 1 + more.earlier)] {
            // One after the other: not all of them wait at once.
            let place = match again {
                0 => 0,
                again if again >= first && again < first + count => again - first + 1,
                _ => continue,
            };
            if let Some(window) = window.filter(|window| window.step == step && place < count) {
                let at = self.schedule.moment(number, &window, place, count);
                next.push(Reverse((at, Next::More { number, step, again: first + place })));
            }
        }
        if again == 0 {
            let state = one.and_then(|step| step.state.clone());
            if let Some(state) = state {
                let before = stencil.steps.iter().take(step).rev().find_map(|step| step.state.clone());
                if let Some(count) = before.and_then(|before| self.report.states.get_mut(&before)) {
                    *count -= 1;
                }
                *self.report.states.entry(state).or_default() += 1;
            }
            if one.is_some_and(|step| step.is_named) {
                kept.places.push((step, occasion.index));
            }
            if live.is_some_and(|window| window.step == step) && self.report.identities.len() < NAMED {
                let mut x = None;
                let mut voice = self.voice(&told.slug, number, &mut x);
                let key = workload_seed(self.seed, number).iter().map(|byte| format!("{byte:02x}")).collect();
                let tale = self.repertoire.tales.get(life.tale).map_or("", |tale| tale.name);
                if let Some(id) = used.clone() {
                    let name = voice.word(Word::Name);
                    self.report.identities.push(Seeded { id, name, tale, key });
                }
            }
        }
        if one.and_then(|step| step.life).is_some_and(|lives| at + lives > self.schedule.end) {
            self.report.live += 1;
        }
        if let Some(used) = used {
            let last = self.used.entry(used).or_default();
            *last = (*last).max(at);
        }
        let mut goes_on = more != crate::schedule::More::default();
        if again == 0
            && let Some(following) = stencil.steps.get(step + 1)
            && life.begins + following.offset < self.schedule.end
        {
            goes_on = true;
            next.push(Reverse((life.begins + following.offset, Next::Life { number, step: step + 1 })));
        }
        if goes_on || again > 0 {
            self.lives.insert(number, kept);
        }
        self.commit(changeset, self.repertoire.tales.get(life.tale).map_or("", |tale| tale.name)).await
    }

    async fn note_uses(&mut self) -> Result<(), SeedError> {
        let mut used: Vec<(String, Timestamp)> =
            self.used.drain().map(|(id, at)| (id, Timestamp::from_micros(at))).collect();
        used.sort_unstable();
        for chunk in used.chunks(TOUCHED) {
            self.store.touch(chunk).await?;
        }
        Ok(())
    }

    fn finale_of(&self) -> Last {
        let mut last = Last {
            slug: String::new(),
            application: None,
            vendor: None,
            leaver: None,
            first: self.repertoire.first_tokens.clone(),
        };
        if let Some(told) = self.departments.last() {
            let id = |played: &str| self.department_id(told, played).ok();
            last.slug.clone_from(&told.slug);
            last.application = id(&self.repertoire.played.application).and_then(|id| id.parse().ok());
            last.vendor = id(&self.repertoire.played.vendor).and_then(|id| id.parse().ok());
            last.leaver = id(&self.repertoire.played.leaver).and_then(|id| id.parse().ok());
        }
        last
    }
}

fn check(index: u64, outcome: &Outcome, about: &str) -> Result<(), SeedError> {
    match outcome {
        Outcome::Committed(committed) if committed.position() == Position::at(index) => Ok(()),
        other => Err(SeedError::Commit { number: index, outcome: Box::new(other.clone()), about: about.to_owned() }),
    }
}
