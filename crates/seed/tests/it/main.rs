//! A small history, on SQLite and in memory: what it holds, and that the engine finds no fault with it.

use std::sync::Arc;

use tenure_core::store::port::Store;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_seed::{History, Report, Stand, generate, in_a_deep_place, root_key};
use tenure_store::MemoryStore;

const SEED: u64 = 7;

fn small() -> History {
    let mut history = History::parse(include_str!("../../histories/small.toml")).unwrap();
    history.identities = 250;
    history.credentials = 1_500;
    history.departments = 3;
    history
}

fn sealer() -> Arc<RowMac> {
    Arc::new(RowMac::new(&RootKey::from_text(&root_key(SEED)).unwrap()))
}

async fn told(store: Arc<dyn Store>, seed: u64) -> Report {
    let mut last = None;
    let report = generate(store, &small(), seed, &mut |stand| last = Some(stand)).await;
    let report = report.unwrap_or_else(|error| panic!("{error} {error:?}"));
    let Some(Stand::Telling(rows, all)) = last else { panic!("{last:?}") };
    assert_eq!(rows, all);
    report
}

#[test]
fn a_history_is_told() {
    let memory = Arc::new(MemoryStore::new(sealer()));
    let report = in_a_deep_place(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(told(Arc::clone(&memory) as _, SEED))
    });
    println!("{:#?}", report.unwrap());
}
