use tenure_core::base::problem::Reason;
use tenure_core::base::time::Span;
use tenure_core::people::person::Role;
use tenure_core::store::event_kind::EventKind;
use tenure_log::tile::parse_bundle;
use tenure_log::{Checkpoint, Expectations, leaf_hash, verify_consistency, verify_export, verify_inclusion};

use super::*;
use crate::access::departures;
use crate::log::seal::tests::{World, world};
use crate::log::{reading, seal};

async fn sealed(size: u64) -> World {
    let world = world().await;
    world.fill(size, EventKind::PersonChanged).await;
    assert_eq!(seal::seal_now(&world.engine).await.unwrap(), size);
    world
}

fn hashes(texts: &[String]) -> Vec<Hash> {
    texts.iter().map(|text| hash_of(text)).collect()
}

/// Reads base64url by search: the tests have no decoder of their own, and only 32 bytes to find.
fn hash_of(text: &str) -> Hash {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = text.bytes().flat_map(|c| {
        let value = ALPHABET.iter().position(|known| *known == c).unwrap();
        (0..6).rev().map(move |bit| (value >> bit) & 1 == 1)
    });
    std::array::from_fn(|_| (0..8).fold(0, |byte, _| byte << 1 | u8::from(bits.next().unwrap())))
}

#[tokio::test]
async fn every_tile_that_the_checkpoint_covers_is_there() {
    let world = sealed(600).await;
    let engine = &world.engine;
    let leaves = world.store.leaf_hashes(0, 600).await.unwrap();
    for (path, range) in [
        ("tile/0/000", 0..256),
        ("tile/0/001", 256..512),
        ("tile/0/002.p/88", 512..600),
        // What an earlier checkpoint covered: a narrower tile, and one that is full now.
        ("tile/0/002.p/3", 512..515),
        ("tile/0/001.p/7", 256..263),
    ] {
        assert_eq!(reading::tile(engine, path).await.unwrap().unwrap(), leaves[range].concat(), "{path}");
    }
    assert_eq!(reading::tile(engine, "tile/1/000.p/2").await.unwrap().unwrap().len(), 64);
    for path in [
        "tile/0/002",
        "tile/0/002.p/89",
        "tile/0/003.p/1",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/7/000.p/1",
        "tile/0/0",
        "",
        "checkpoint",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(reading::tile(engine, path).await.unwrap(), None, "{path}");
    }
}

#[tokio::test]
async fn entry_bundles_hold_the_exact_leaves() {
    let world = sealed(300).await;
    let leaves = world.store.leaf_hashes(0, 300).await.unwrap();
    world.fill(400, EventKind::PersonChanged).await;
    for (path, width, from) in
        [("tile/entries/000", 256, 0), ("tile/entries/001.p/44", 44, 256), ("tile/entries/001.p/5", 5, 256)]
    {
        let bundle = reading::tile(&world.engine, path).await.unwrap().unwrap();
        let found: Vec<Hash> = parse_bundle(&bundle, width).unwrap().into_iter().map(leaf_hash).collect();
        assert_eq!(found, leaves[from..from + usize::from(width)], "{path}");
    }
    for path in [
        "tile/entries/001.p/45",
        "tile/entries/001",
        "tile/entries/002.p/1",
        "tile/entries/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(reading::tile(&world.engine, path).await.unwrap(), None, "{path}");
    }
    let first = reading::tile(&world.engine, "tile/entries/000.p/1").await.unwrap().unwrap();
    let leaf = Leaf::parse(parse_bundle(&first, 1).unwrap()[0]).unwrap();
    let text = String::from_utf8(leaf.encode_json().unwrap()).unwrap();
    assert!(text.contains("deployment.set_up") && !text.contains("Ada") && !text.contains("ada@example.com"));
}

#[tokio::test]
async fn proofs_verify_for_any_sealed_size() {
    let world = sealed(700).await;
    let leaves = world.store.leaf_hashes(0, 700).await.unwrap();
    for size in [1, 2, 3, 255, 256, 257, 511, 513, 699, 700] {
        let root = world.root(size).await;
        for index in [0, 1, 2, 254, 255, 256, size / 2, size - 1] {
            let Ok(found) = reading::inclusion(&world.engine, index, size).await else {
                assert!(index >= size);
                continue;
            };
            let leaf = hash_of(&found.leaf_hash);
            assert_eq!(leaf, leaves[index as usize]);
            assert!(verify_inclusion(&leaf, index, size, &hashes(&found.proof), &root), "{index} in {size}");
            assert_eq!(found.checkpoint.is_some(), size == 700);
        }
        for from in [0, 1, 2, 255, 256, 257, size / 3, size].into_iter().filter(|from| *from <= size) {
            let found = reading::consistency(&world.engine, from, size).await.unwrap();
            let old = if from == 0 { tenure_log::EMPTY_ROOT } else { world.root(from).await };
            assert!(verify_consistency(from, &old, size, &root, &hashes(&found.proof)), "{from} to {size}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_proven_is_said_clearly() {
    let world = sealed(10).await;
    world.fill(20, EventKind::PersonChanged).await;
    let code = |error: OpError| match error {
        OpError::Invalid(fields) => fields[0].code.clone(),
        other => other.to_string(),
    };
    assert_eq!(code(reading::inclusion(&world.engine, 10, 10).await.unwrap_err()), "index_out_of_range");
    assert_eq!(code(reading::inclusion(&world.engine, 3, 11).await.unwrap_err()), "size_not_sealed");
    assert_eq!(code(reading::consistency(&world.engine, 5, 4).await.unwrap_err()), "from_above_to");
    assert_eq!(code(reading::consistency(&world.engine, 5, 20).await.unwrap_err()), "size_not_sealed");
    assert_eq!(code(reading::inclusion(&world.engine, u64::MAX - 1, u64::MAX).await.unwrap_err()), "size_not_sealed");
}

async fn whole(mut export: Export) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some(chunk) = export.next_chunk().await.unwrap() {
        assert!(chunk.len() < 400 << 10, "a piece of it, whatever it holds: {}", chunk.len());
        file.extend(chunk);
    }
    assert_eq!(export.next_chunk().await.unwrap(), None);
    file
}

#[tokio::test]
async fn an_export_holds_everything_committed_before_and_verifies_offline() {
    let world = sealed(3).await;
    let auditor = world.person(Role::Auditor).await;
    world.fill(1203, EventKind::PersonChanged).await;
    let export = reading::export(&world.engine, &auditor, ExportRange::default()).await.unwrap();
    world.fill(1300, EventKind::PersonChanged).await;
    let key = [world.key().await];
    let expected = Expectations { keys: &key, ..Expectations::default() };
    let verified = verify_export(whole(export).await.as_slice(), &expected).unwrap();
    assert_eq!((verified.size, verified.entries, verified.erased, verified.key_pinned), (1203, 1203, 0, true));
    assert_eq!(verified.personal_present, 3);

    let kept = reading::checkpoint(&world.engine).await.unwrap().unwrap();
    let Some(person) = world.admin.person_id() else { panic!("an operator") };
    departures::erase_person(&world.engine, &world.admin, person).await.unwrap();
    let file = whole(reading::export(&world.engine, &auditor, ExportRange::default()).await.unwrap()).await;
    assert!(!String::from_utf8_lossy(&file).contains("ada@example.com"));
    let expected = Expectations { kept: &[&kept], ..expected };
    let verified = verify_export(file.as_slice(), &expected).unwrap();
    assert_eq!((verified.size, verified.erased, verified.from_kept), (1301, 2, Some(1203)));
}

#[tokio::test]
async fn a_segment_is_verified_alone_against_the_newest_checkpoint_and_kept_ones() {
    let world = sealed(3).await;
    let auditor = world.person(Role::Auditor).await;
    world.fill(700, EventKind::PersonChanged).await;
    seal::seal_now(&world.engine).await.unwrap();
    let kept = reading::checkpoint(&world.engine).await.unwrap().unwrap();
    world.clock.advance(Span::from_mins(60));
    let later = world.engine.now();
    world.fill(1300, EventKind::PersonChanged).await;
    let key = [world.key().await];
    let expected = Expectations { keys: &key, kept: &[&kept], ..Expectations::default() };
    let range = |from, before| ExportRange { from, before, ..ExportRange::default() };
    let by_time = |since, until| ExportRange { since, until, ..ExportRange::default() };
    for (asked, entries, from_kept) in [
        (range(None, None), 0..1300, Some(700)),
        (range(Some(0), Some(1300)), 0..1300, Some(700)),
        (range(Some(300), None), 300..1300, Some(700)),
        (range(None, Some(512)), 0..512, None),
        (range(Some(511), Some(512)), 511..512, None),
        (range(Some(700), Some(701)), 700..701, Some(700)),
        (by_time(Some(later), None), 700..1300, Some(700)),
        (by_time(None, Some(later)), 0..700, Some(700)),
        (ExportRange { from: Some(690), ..by_time(None, Some(later)) }, 690..700, Some(700)),
    ] {
        let file = whole(reading::export(&world.engine, &auditor, asked).await.unwrap()).await;
        let verified = verify_export(file.as_slice(), &expected).unwrap();
        let read = verified.first..verified.first + verified.entries;
        assert_eq!((read, verified.size, verified.from_kept), (entries, 1300, from_kept), "{asked:?}");
        assert_eq!(verified.kept_elsewhere, u64::from(from_kept.is_none()));
    }
    for (asked, field) in [
        (range(Some(1300), None), "from range_empty"),
        (range(Some(9), Some(9)), "from range_empty"),
        (range(Some(u64::MAX), Some(9)), "from range_empty"),
        (range(None, Some(5000)), "before size_not_sealed"),
        (by_time(Some(later), Some(later)), "since range_empty"),
        (by_time(Some(Timestamp::MAX), None), "since range_empty"),
    ] {
        match reading::export(&world.engine, &auditor, asked).await {
            Err(OpError::Invalid(fields)) => assert_eq!(format!("{} {}", fields[0].field, fields[0].code), field),
            other => panic!("{asked:?}: {:?}", other.map(drop)),
        }
    }
}

#[tokio::test]
async fn the_feed_gives_each_event_once_and_in_order() {
    let world = sealed(1).await;
    let auditor = world.person(Role::Auditor).await;
    world.fill(700, EventKind::PersonChanged).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = reading::events_after(&world.engine, &auditor, after, 1000).await.unwrap();
        assert!(page.len() <= 500);
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|event| event.position.index).collect::<Vec<_>>(), (0..700).collect::<Vec<_>>());
    let first = &seen[0];
    assert_eq!(
        (first.kind.as_str(), first.control.as_str(), first.actor.kind.as_str()),
        ("deployment.set_up", "administer", "system")
    );
    assert_eq!((first.at, first.data["single_person"].as_bool()), (world.engine.now(), Some(true)));
    assert_eq!(reading::events_after(&world.engine, &auditor, None, 0).await.unwrap().len(), 1);
    reading::wait_for_events(&world.engine, 0).await;
    let elsewhere = Position { shard: 1, index: 0 };
    assert!(matches!(
        reading::events_after(&world.engine, &auditor, Some(elsewhere), 9).await,
        Err(OpError::Invalid(_))
    ));
}

#[tokio::test]
async fn who_may_not_audit_is_refused_and_the_refusal_recorded() {
    let world = sealed(1).await;
    let owner = world.person(Role::Owner).await;
    let before = world.size().await;
    assert!(matches!(
        reading::export(&world.engine, &owner, ExportRange::default()).await,
        Err(OpError::Refused { reason: Reason::NotAllowed, .. })
    ));
    assert!(matches!(
        reading::events_after(&world.engine, &owner, None, 10).await,
        Err(OpError::Refused { reason: Reason::NotAllowed, .. })
    ));
    let recorded =
        reading::events_after(&world.engine, &world.admin, Some(Position::at(before - 1)), 10).await.unwrap();
    assert_eq!(
        recorded.iter().map(|event| (event.kind.as_str(), event.data["asked"].as_str().unwrap())).collect::<Vec<_>>(),
        [("access.refused", "log.export"), ("access.refused", "log.events")]
    );
}

#[tokio::test]
async fn before_anything_is_sealed_there_is_no_tile() {
    let world = world().await;
    assert_eq!(reading::tile(&world.engine, "tile/0/000.p/1").await.unwrap(), None);
    assert!(reading::inclusion(&world.engine, 0, 1).await.is_err());
    seal::seal_now(&world.engine).await.unwrap();
    let note = reading::checkpoint(&world.engine).await.unwrap().unwrap();
    assert_eq!(Checkpoint::open(&note, &[world.key().await]).unwrap().checkpoint.origin, "127.0.0.1:8420/0");
    assert_eq!(reading::tile(&world.engine, "tile/0/000.p/1").await.unwrap().unwrap().len(), 32);
}
