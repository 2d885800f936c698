//! Measures issuance-shaped commits per second: `cargo run --release -p tenure-store --example commit_rate`.
//!
//! Each of 32 callers, again and again: ten rows are expected as they were read, a credential with a term is inserted,
//! a proof id is used up, a budget is spent from, one event is recorded.

#![expect(clippy::disallowed_methods, reason = "a measurement: it goes by the machine's clock")]
#![expect(clippy::expect_used, reason = "a measurement that can't run ends by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tenure_core::base::id::{CredentialId, EventId, IdentityId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::{Changeset, Expect, Once, Put, Spend};
use tenure_core::store::event::{Actor, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Outcome, Store};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_store::testing::{TestSealer, durable_postgres};
use tenure_store::{MemoryStore, PostgresStore, SqliteStore};

const CALLERS: u64 = 32;
const IDENTITIES: u64 = 1_000;
const START: Timestamp = Timestamp::from_secs(1_790_000_000);

fn ids<K: tenure_core::base::id::IdKind>(now: Timestamp, n: u64) -> tenure_core::base::id::Id<K> {
    let millis = u128::from(now.as_micros().unsigned_abs() / 1_000);
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    tenure_core::base::id::Id::from_u128((millis << 80) | (7 << 76) | (u128::from(n & 0xfff) << 64) | u128::from(mixed))
}

fn put(kind: RowKind, id: String, terms: Vec<String>, drop_after: Option<Timestamp>) -> Put {
    Put { key: RowKey { kind, id }, replaces: 0, body: vec![b'x'; 450], terms, droppable_after: drop_after }
}

async fn seed(store: &dyn Store) {
    let event = Event::new(ids(START, 0), EventKind::DeploymentSetUp);
    let mut changeset = Changeset::new(Actor::System { part: "bench".into() }, START, event);
    for (kind, id) in [
        (RowKind::Application, "app_1"),
        (RowKind::Environment, "production"),
        (RowKind::Person, "per_1"),
        (RowKind::SigningKey, "key_1"),
        (RowKind::Policy, "policy"),
    ] {
        changeset.puts.push(put(kind, id.into(), Vec::new(), None));
    }
    assert!(matches!(store.commit(changeset).await, Outcome::Committed(_)));
    for n in 0..IDENTITIES {
        let event = Event::new(ids(START, 1_000_000 + n), EventKind::IdentityActivated);
        let mut changeset = Changeset::new(Actor::System { part: "bench".into() }, START, event);
        changeset.puts.push(put(
            RowKind::Identity,
            ids::<tenure_core::base::id::IdentityKind>(START, n).to_string(),
            Vec::new(),
            None,
        ));
        changeset.puts.push(put(RowKind::Binding, format!("bnd_{n}"), Vec::new(), None));
        assert!(matches!(store.commit(changeset).await, Outcome::Committed(_)));
    }
}

fn issuance(number: u64, now: Timestamp) -> Changeset {
    let n = number.wrapping_mul(7_919) % IDENTITIES;
    let identity: IdentityId = ids(START, n);
    let credential: CredentialId = ids(now, number);
    let id: EventId = ids(now, 10_000_000 + number);
    let event = Event::new(id, EventKind::CredentialIssued)
        .subject(credential)
        .subject(identity)
        .fact("audience", "https://payments.example/api")
        .fact("expires_at", now.plus(Span::from_mins(10)))
        .fact("policy", "policy-set 12: issue-and-use, grant gra_01k9")
        .fact("scope", "payments:read payments:write");
    let mut changeset = Changeset::new(Actor::Identity { id: identity }, now, event);
    for (kind, id) in [
        (RowKind::Identity, identity.to_string()),
        (RowKind::Binding, format!("bnd_{n}")),
        (RowKind::Application, "app_1".into()),
        (RowKind::Environment, "production".into()),
        (RowKind::Person, "per_1".into()),
        (RowKind::Policy, "policy".into()),
    ] {
        changeset.expects.push(Expect::Revision(RowKey { kind, id }, 1));
    }
    for scope in ["owner/per_1", "application/app_1", "environment/production"] {
        changeset.expects.push(Expect::Absent(RowKey::new(RowKind::Cut, scope)));
    }
    changeset.expects.push(Expect::Absent(RowKey::new(RowKind::Hold, identity)));
    let over = now.plus(Span::from_mins(10));
    changeset.puts.push(put(
        RowKind::Credential,
        credential.to_string(),
        vec![format!("identity={identity}")],
        Some(over),
    ));
    changeset.once.push(Once {
        space: "jti",
        key: format!("{n}/{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        until: Some(over),
    });
    changeset.spends.push(Spend {
        budget: format!("issue/{identity}"),
        window: START,
        until: over,
        by: 1,
        limit: 1_000_000,
    });
    changeset
}

async fn measure(name: &str, store: Arc<dyn Store>, time: Duration) {
    seed(&*store).await;
    let (number, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (store, number) = (Arc::clone(&store), Arc::clone(&number));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while started.elapsed() < time {
                    let now = START.plus(Span::from_micros(i64::try_from(started.elapsed().as_micros()).unwrap_or(0)));
                    let asked = Instant::now();
                    let outcome = store.commit(issuance(number.fetch_add(1, Ordering::Relaxed), now)).await;
                    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for caller in callers {
        waits.extend(caller.await.expect("a caller"));
    }
    let took = started.elapsed().as_secs_f64();
    waits.sort();
    let at = |percent: usize| waits.get((waits.len() - 1) * percent / 100).map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    println!(
        "{name}: {:.0} commits/s from {CALLERS} callers; p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        waits.len() as f64 / took,
        at(50),
        at(99),
        at(100)
    );
}

#[tokio::main]
async fn main() {
    let time = Duration::from_secs(std::env::args().nth(1).and_then(|secs| secs.parse().ok()).unwrap_or(5));
    measure("memory", Arc::new(MemoryStore::new(TestSealer::new())), time).await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("tenure.db"), TestSealer::new()).expect("SQLite opens");
    measure("sqlite", Arc::new(store), time).await;
    let database = durable_postgres();
    let store = PostgresStore::connect(database.url(), TestSealer::new()).await.expect("PostgreSQL opens");
    measure("postgres", Arc::new(store), time).await;
}
