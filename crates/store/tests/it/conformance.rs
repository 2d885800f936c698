//! Random operations give the same answers on every engine; memory is the oracle.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Once, Put, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{ListQuery, LogEntry, Outcome, Page, Snapshot, Store, StoreError};
use tenure_core::store::row::{RowKey, RowKind};

use crate::support::*;

const KINDS: [RowKind; 3] = [RowKind::Identity, RowKind::Credential, RowKind::Cut];
const IDS: [&str; 5] = ["a", "b", "b\0", "bé", "c"];
const TERMS: [&str; 3] = ["s=1", "s=2", "o=x"];
const DUE: [DueKind; 2] = [DueKind::Grant, DueKind::IdentityIdle];

/// Which revision a change names.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Current,
    Exactly(u64),
}

#[derive(Debug, Clone)]
struct Row {
    kind: usize,
    id: usize,
    guess: Guess,
}

#[derive(Debug, Clone)]
enum Due {
    Set(usize, usize, i64),
    Clear(usize, usize),
    /// By the token of this earlier claim.
    Ack(usize),
    Retry(usize, i64),
}

#[derive(Debug, Clone)]
struct Change {
    at: i64,
    expects: Vec<Row>,
    puts: Vec<(Row, u8, Vec<usize>, Option<i64>)>,
    once: Vec<(usize, Option<i64>)>,
    spends: Vec<(usize, i64, u32)>,
    due: Vec<Due>,
    personal: Vec<(usize, usize)>,
    erase: Option<usize>,
    events: usize,
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Change),
    Again(usize),
    Load(Vec<(usize, usize)>),
    List { kind: usize, terms: Vec<usize>, without: Vec<usize>, after: Option<usize>, newest_first: bool, limit: u16 },
    Claim(usize, i64, i64, u16),
    Entries(u64, u16),
    Purge(i64, u32),
    Touch(usize, i64),
}

fn row() -> impl Strategy<Value = Row> {
    let guess = prop_oneof![4 => Just(Guess::Current), 1 => (0..3_u64).prop_map(Guess::Exactly)];
    (0..KINDS.len(), 0..IDS.len(), guess).prop_map(|(kind, id, guess)| Row { kind, id, guess })
}

fn change() -> impl Strategy<Value = Change> {
    use proptest::collection::vec;
    use proptest::option::{of, weighted};
    let put = (row(), any::<u8>(), proptest::sample::subsequence(vec![0, 1, 2], 0..=3), weighted(0.3, 0..40_i64));
    let due = prop_oneof![
        (0..2_usize, 0..3_usize, 0..40_i64).prop_map(|(kind, subject, at)| Due::Set(kind, subject, at)),
        (0..2_usize, 0..3_usize).prop_map(|(kind, subject)| Due::Clear(kind, subject)),
        (0..8_usize).prop_map(Due::Ack),
        (0..8_usize, 0..40_i64).prop_map(|(claim, at)| Due::Retry(claim, at)),
    ];
    let rows = (vec(row(), 0..3), vec(put, 0..3));
    let rest = (
        vec((0..4_usize, of(0..40_i64)), 0..2),
        vec((0..2_usize, 0..2_i64, 1..3_u32), 0..2),
        vec(due, 0..2),
        vec((0..2_usize, 0..2_usize), 0..3),
        weighted(0.1, 0..2_usize),
        1..4_usize,
    );
    (0..40_i64, rows, rest).prop_map(|(at, (expects, puts), (once, spends, due, personal, erase, events))| Change {
        at,
        expects,
        puts,
        once,
        spends,
        due,
        personal,
        erase,
        events,
    })
}

/// At most so many of the terms.
fn terms(most: usize) -> impl Strategy<Value = Vec<usize>> {
    proptest::sample::subsequence(vec![0, 1, 2], 0..=most)
}

fn step() -> impl Strategy<Value = Step> {
    use proptest::collection::vec;
    prop_oneof![
        10 => change().prop_map(Step::Commit),
        1 => (0..30_usize).prop_map(Step::Again),
        2 => vec((0..KINDS.len(), 0..IDS.len()), 0..5).prop_map(Step::Load),
        3 => (0..KINDS.len(), terms(2), terms(2), proptest::option::of(0..IDS.len()), any::<bool>(), 0..4_u16)
            .prop_map(|(kind, terms, without, after, newest_first, limit)| Step::List { kind, terms, without, after, newest_first, limit }),
        3 => (0..2_usize, 0..50_i64, 1..20_i64, 1..3_u16).prop_map(|(kind, now, lease, n)| Step::Claim(kind, now, lease, n)),
        1 => (0..20_u64, 0..9_u16).prop_map(|(from, n)| Step::Entries(from, n)),
        1 => (0..50_i64, 1..4_u32).prop_map(|(now, n)| Step::Purge(now, n)),
        1 => (0..3_usize, 0..40_i64).prop_map(|(subject, at)| Step::Touch(subject, at)),
    ]
}

/// What can be compared across engines.
#[derive(Debug, PartialEq)]
enum Answer {
    Outcome(Outcome),
    Rows(Vec<Option<Shown>>, u64),
    Page(Vec<Shown>, Option<String>),
    Claimed(Vec<(String, Timestamp)>),
    Entries(Vec<LogEntry>, Vec<[u8; 32]>),
    Purged(u64),
    Used(Option<Timestamp>),
}

/// One engine with what its run so far gave.
struct Run<'a> {
    store: &'a dyn Store,
    changes: Vec<Changeset>,
    claims: Vec<(DueKind, String, u64)>,
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) -> Result<Answer, StoreError> {
        Ok(match step {
            Step::Commit(change) => {
                let changeset = self.build(change).await?;
                self.changes.push(changeset.clone());
                Answer::Outcome(self.store.commit(changeset).await)
            }
            Step::Again(n) => match self.changes.get(*n) {
                Some(changeset) => Answer::Outcome(self.store.commit(changeset.clone()).await),
                None => Answer::Purged(0),
            },
            Step::Load(keys) => {
                let keys: Vec<RowKey> = keys.iter().map(|(kind, id)| key(KINDS[*kind], IDS[*id])).collect();
                let Snapshot { rows, head } = self.store.load(&keys).await?;
                Answer::Rows(rows.into_iter().map(|row| row.map(|row| shown(&row))).collect(), head)
            }
            Step::List { kind, terms, without, after, newest_first, limit } => {
                let texts = |terms: &[usize]| terms.iter().map(|term| TERMS[*term].to_owned()).collect();
                let (terms, without) = (texts(terms), texts(without));
                let after = after.map(|after| IDS[after].to_owned());
                let (newest_first, limit) = (*newest_first, *limit);
                let query = ListQuery { kind: KINDS[*kind], terms, without, after, newest_first, limit };
                let Page { rows, next, .. } = self.store.list(&query).await?;
                Answer::Page(rows.iter().map(|row| shown(row)).collect(), next)
            }
            Step::Claim(kind, now, lease, n) => {
                let claimed = self.store.claim(DUE[*kind], secs(*now), Span::from_secs(*lease), *n).await?;
                for claimed in &claimed {
                    let before = self
                        .claims
                        .iter()
                        .filter(|(kind, subject, _)| (*kind, subject) == (claimed.kind, &claimed.subject));
                    assert!(before.map(|(.., fence)| *fence).max() < Some(claimed.fence), "a token repeats");
                }
                self.claims
                    .extend(claimed.iter().map(|claimed| (claimed.kind, claimed.subject.clone(), claimed.fence)));
                Answer::Claimed(claimed.into_iter().map(|claimed| (claimed.subject, claimed.due_at)).collect())
            }
            Step::Entries(from, n) => Answer::Entries(
                self.store.entries(*from, *n).await?,
                self.store.leaf_hashes(*from, u32::from(*n)).await?,
            ),
            Step::Purge(now, n) => Answer::Purged(self.store.purge(secs(*now), *n).await?),
            Step::Touch(subject, at) => {
                self.store.touch(&[(format!("s{subject}"), secs(*at))]).await?;
                Answer::Used(self.store.last_used(&format!("s{subject}")).await?)
            }
        })
    }

    async fn revision(&self, row: &Row) -> Result<(RowKey, u64), StoreError> {
        let key = key(KINDS[row.kind], IDS[row.id]);
        let revision = match row.guess {
            Guess::Exactly(revision) => revision,
            Guess::Current => {
                self.store.load(std::slice::from_ref(&key)).await?.rows[0].as_ref().map_or(0, |row| row.revision)
            }
        };
        Ok((key, revision))
    }

    async fn build(&self, change: &Change) -> Result<Changeset, StoreError> {
        let number = self.changes.len() as u128 + 1;
        let mut built = changeset(number, secs(change.at));
        for n in 1..change.events {
            built.event(changeset((number << 8) + (1 << 40) + n as u128, secs(0)).events.remove(0));
        }
        for row in &change.expects {
            let (key, revision) = self.revision(row).await?;
            built.expects.push(if revision == 0 { Expect::Absent(key) } else { Expect::Revision(key, revision) });
        }
        for (row, body, terms, drop_after) in &change.puts {
            let (key, replaces) = self.revision(row).await?;
            let terms = terms.iter().map(|term| TERMS[*term].to_owned()).collect();
            built.puts.push(Put { key, replaces, body: vec![*body], terms, droppable_after: drop_after.map(secs) });
        }
        built.once = change
            .once
            .iter()
            .map(|(key, until)| Once { space: "jti", key: format!("k{key}"), until: until.map(secs) })
            .collect();
        let spend = |(budget, window, by): &(usize, i64, u32)| Spend {
            budget: format!("b{budget}"),
            window: secs(*window),
            until: secs(change.at),
            by: *by,
            limit: 6,
        };
        built.spends = change.spends.iter().map(spend).collect();
        built.due = change.due.iter().filter_map(|due| self.due(due)).collect();
        for (subject, field) in &change.personal {
            built.events[0].personal.push(personal(
                &format!("per_{subject}"),
                ["name", "mail"][*field],
                &"x".repeat(change.puts.len() + 1),
            ));
        }
        built.erase = change.erase.iter().map(|subject| format!("per_{subject}")).collect();
        Ok(built)
    }

    fn due(&self, due: &Due) -> Option<DueChange> {
        let subject = |n: &usize| format!("s{n}");
        let claim = |n: &usize| self.claims.get(*n).cloned();
        match due {
            Due::Set(kind, n, at) => Some(DueChange::Set(DUE[*kind], subject(n), secs(*at))),
            Due::Clear(kind, n) => Some(DueChange::Clear(DUE[*kind], subject(n))),
            Due::Ack(n) => claim(n).map(|(kind, subject, fence)| DueChange::Ack(kind, subject, fence)),
            Due::Retry(n, at) => {
                claim(n).map(|(kind, subject, fence)| DueChange::Retry(kind, subject, fence, secs(*at)))
            }
        }
    }
}

async fn compare(steps: &[Step]) {
    let engines = engines().await;
    let mut runs: Vec<Run<'_>> =
        engines.iter().map(|engine| Run { store: &*engine.store, changes: Vec::new(), claims: Vec::new() }).collect();
    let all: Vec<(usize, usize)> = (0..KINDS.len()).flat_map(|kind| (0..IDS.len()).map(move |id| (kind, id))).collect();
    let every = Step::List { kind: 0, terms: vec![], without: vec![], after: None, newest_first: false, limit: 100 };
    let closing = [Step::Entries(0, 1_000), Step::Load(all), every, Step::Claim(0, 1_000, 1, 100)];
    for (n, step) in steps.iter().chain(&closing).enumerate() {
        let mut oracle = None;
        for (run, engine) in runs.iter_mut().zip(&engines) {
            let answer = run.step(step).await;
            match &oracle {
                None => oracle = Some(answer),
                Some(oracle) => assert_eq!(oracle, &answer, "{} at step {n}: {step:?}", engine.name),
            }
        }
    }
}

#[test]
fn memory_is_sqlite_is_postgres() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // The server lives as long as one database does.
    let _server = tenure_store::testing::postgres();
    let config = Config { cases: 48, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let compared = runner.run(&proptest::collection::vec(step(), 1..60), |steps| {
        runtime.block_on(compare(&steps));
        Ok(())
    });
    compared.unwrap();
}
