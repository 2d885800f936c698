//! The log's bytes, as an auditor reads them.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use tenure_log::note::VerifierKey;
use tenure_log::packed::{pack, pack_key, unpack, unpack_key};
use tenure_log::tile::{encode_bundle, entries_path, parse_bundle, parse_entries_path};
use tenure_log::{
    Actor, Bookmark, Checkpoint, Expectations, ExportWriter, Frontier, Hash, Header, Leaf, LogSigner, PersonalValue,
    Progress, Run, SignedNote, SignedPromise, Tile, leaf_hash, verify_export, verify_export_with,
};

use crate::edit::edited;

const ENTRIES: u64 = 5;

/// A log of five entries, its key, its export and a promise.
pub(crate) struct Log {
    key: VerifierKey,
    root: Hash,
    pub(crate) export: Vec<u8>,
    pub(crate) promise: String,
}

pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| {
    let signer = LogSigner::from_seed("fuzz.example/log", 0, &[7; 32]).unwrap();
    let personal = PersonalValue { field: "name".into(), salt: [3; 32], value: "Ada".into() };
    let leaves: Vec<Vec<u8>> = (0..ENTRIES)
        .map(|n| {
            let leaf = Leaf {
                actor: Actor { kind: "person".into(), id: "per_1".into() },
                at: 1_800_000_000_000_000 + n as i64,
                control: "administer".into(),
                data: serde_json::from_str(r#"{"n":1,"list":[true,null,"x"]}"#).unwrap(),
                id: format!("evt_{n}"),
                kind: "person.added".into(),
                personal: [("name".to_owned(), personal.commitment())].into(),
                rows: Vec::new(),
                subjects: vec!["per_2".into()],
            };
            leaf.encode_json().unwrap()
        })
        .collect();
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(leaf_hash(leaf)));
    let note = signer.checkpoint(ENTRIES, frontier.root());
    let key = signer.verifier_key().clone();
    let mut writer = ExportWriter::new(Vec::new(), &Header::new(&key, 0, &note).unwrap()).unwrap();
    for leaf in &leaves {
        writer.entry(leaf, std::slice::from_ref(&personal)).unwrap();
    }
    Log {
        key,
        root: frontier.root(),
        export: writer.finish().unwrap(),
        promise: signer.promise(2, leaf_hash(&leaves[2]), 1_800_000_000_000_000).to_text(),
    }
});

/// Records as they are kept: what was packed comes back, whatever was unpacked packs again, and little never becomes
/// much.
pub(crate) fn packed(bytes: &[u8]) {
    const ABOUT: &str = "idn_01m8mnyed1f2aa72h9ssdx8vaw";
    assert_eq!(unpack(&pack(bytes, ABOUT), ABOUT).unwrap(), bytes);
    if let Ok(json) = unpack(bytes, ABOUT) {
        assert!(json.len() <= bytes.len().saturating_mul(600));
        assert_eq!(unpack(&pack(&json, ABOUT), ABOUT).unwrap(), json);
    }
    assert_eq!(unpack_key(&pack_key(&unpack_key(bytes))), unpack_key(bytes));
}

/// Leaves: one encoding for each.
pub(crate) fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::parse(bytes) {
        let again = if bytes.starts_with(b"{") { leaf.encode_json() } else { leaf.encode() };
        assert_eq!(again.unwrap(), bytes);
    }
}

/// Notes, checkpoints and keys: one text for each, and none that the log's key didn't sign is opened.
pub(crate) fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = SignedNote::parse(text) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse_text(text) {
        assert_eq!(checkpoint.to_text(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(opened) = Checkpoint::open(text, std::slice::from_ref(&LOG.key)) {
        assert_eq!((opened.checkpoint.size, opened.checkpoint.root), (ENTRIES, LOG.root), "opened, and never signed");
    }
}

/// Paths of tiles and of bundles: one for each.
pub(crate) fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(tile) = Tile::parse(text) {
        assert_eq!(tile.path(), text);
    }
    if let Some((index, width)) = parse_entries_path(text) {
        assert_eq!(entries_path(index, width), text);
    }
}

/// Bundles of entries: the first byte says how many there are.
pub(crate) fn bundle(bytes: &[u8]) {
    let Some((width, bundle)) = bytes.split_first() else {
        return;
    };
    if let Some(entries) = parse_bundle(bundle, u16::from(*width)) {
        assert_eq!(entries.len(), usize::from(*width));
        assert_eq!(encode_bundle(&entries).unwrap(), bundle);
    }
}

/// Promises: one text for each, and none that the log didn't sign holds.
pub(crate) fn promise(bytes: &[u8]) {
    for given in [bytes.to_vec(), edited(LOG.promise.as_bytes(), bytes)] {
        let Ok(text) = std::str::from_utf8(&given) else {
            continue;
        };
        if let Ok(promise) = SignedPromise::parse(text) {
            assert_eq!(promise.to_text(), text);
            assert!(
                promise.verify(std::slice::from_ref(&LOG.key)).is_err() || text == LOG.promise,
                "holds, and was never given: {text}"
            );
        }
    }
}

fn verify(export: &[u8]) -> bool {
    let expected = Expectations { keys: std::slice::from_ref(&LOG.key), ..Expectations::default() };
    match verify_export(export, &expected) {
        Ok(verified) => {
            assert_eq!((verified.root, verified.entries), (LOG.root, ENTRIES), "verified, and never signed");
            true
        }
        Err(_) => false,
    }
}

/// Where a verification of the log's export was left off.
static BOOKMARK: LazyLock<String> = LazyLock::new(|| {
    let mut left = None;
    let mut watch = |progress: &Progress<'_>| {
        left = progress.bookmark();
        ControlFlow::Continue(())
    };
    let run = Run { threads: 1, from: None, bookmarks: true, watch: &mut watch };
    verify_export_with(&LOG.export[..], &Expectations::default(), run).unwrap().unwrap();
    left.unwrap().to_text()
});

/// Bookmarks: one text for each, and none that no run left is one.
pub(crate) fn bookmark(bytes: &[u8]) {
    for given in [bytes.to_vec(), edited(BOOKMARK.as_bytes(), bytes)] {
        let Ok(text) = std::str::from_utf8(&given) else {
            continue;
        };
        if let Ok(bookmark) = Bookmark::parse(text) {
            assert_eq!(bookmark.to_text(), text);
            assert_eq!(text, *BOOKMARK, "a bookmark that no run left");
        }
    }
}

/// Exports: whatever is verified is the log that was signed.
pub(crate) fn export(bytes: &[u8]) {
    verify(bytes);
}

/// An export that was signed, edited: nothing but an erased value passes.
pub(crate) fn edited_export(script: &[u8]) {
    let export = edited(&LOG.export, script);
    assert!(
        !verify(&export) || export.len() < LOG.export.len() || export == LOG.export,
        "an altered export is verified"
    );
}
