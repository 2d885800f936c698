//! The verdict on all processors against the one of reading line by line, and bookmarks.

mod one_by_one;

use std::io::{self, Read};

use one_by_one::verify_one_by_one;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checkpoint::LogSigner;
use crate::export::{ExportWriter, MAX_LINE_BYTES};
use crate::leaf::{Actor, Leaf, RowDigest};
use crate::merkle::{Frontier, leaf_hash};
use crate::personal::PersonalValue;

fn signer() -> LogSigner {
    LogSigner::from_seed("tenure.example/log", 0, &[7; 32]).unwrap()
}

fn value(index: u64, field: &str) -> PersonalValue {
    PersonalValue { field: field.into(), salt: [index as u8; 32], value: format!("{field} of {index}") }
}

/// A leaf of some hundred bytes, or of many thousand, so that blocks end here and there.
fn leaf(index: u64) -> Leaf {
    let room = if index.is_multiple_of(7) { 20_000 } else { index as usize * 131 % 900 };
    let data = json!({"index": index, "note": "ä \"quoted\" \\ line\n", "room": "x".repeat(room)});
    Leaf {
        actor: Actor { id: "per_1".into(), kind: "person".into() },
        at: 1_700_000_000_000_000 + (index / 2) as i64,
        control: "issue".into(),
        data: data.as_object().unwrap().clone(),
        id: format!("evt_{index}"),
        kind: "credential.issued".into(),
        personal: ["email", "phone"].map(|field| (field.to_owned(), value(index, field).commitment())).into(),
        rows: vec![RowDigest { kind: "identity".into(), id: "idn_1".into(), revision: index, digest: [3; 32] }],
        subjects: vec!["idn_1".into()],
    }
}

fn leaves(count: u64) -> Vec<Vec<u8>> {
    // Of both versions.
    let one = |index| if index % 2 == 0 { leaf(index).encode_json() } else { leaf(index).encode() };
    (0..count).map(|index| one(index).unwrap()).collect()
}

fn checkpoint(leaves: &[Vec<u8>]) -> SignedNote {
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.append(leaf_hash(leaf)));
    signer().checkpoint(leaves.len() as u64, tree.root())
}

fn export_under(note: &SignedNote, leaves: &[Vec<u8>]) -> Vec<u8> {
    let header = Header::new(signer().verifier_key(), 0, note).unwrap();
    let mut writer = ExportWriter::new(Vec::new(), &Header { size: leaves.len() as u64, ..header }).unwrap();
    for (index, leaf) in (0..).zip(leaves) {
        // One with both values, one with one of them, two with none.
        let values = [value(index, "email"), value(index, "phone")];
        writer.entry(leaf, &values[..[2, 1, 0, 0][index as usize % 4]]).unwrap();
    }
    writer.finish().unwrap()
}

fn export(leaves: &[Vec<u8>]) -> Vec<u8> {
    export_under(&checkpoint(leaves), leaves)
}

fn lines(export: &[u8]) -> Vec<Vec<u8>> {
    export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn with(
    input: impl BufRead,
    expected: &Expectations<'_>,
    threads: usize,
    from: Option<Bookmark>,
    watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Result<Verified, Faults>, Unfinished> {
    verify_export_with(input, expected, Run { threads, from, bookmarks: true, watch })
}

fn on_threads(export: &[u8], expected: &Expectations<'_>, threads: usize) -> Result<Verified, Faults> {
    with(export, expected, threads, None, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Every bookmark that a run makes, and its verdict.
fn bookmarks(export: &[u8], expected: &Expectations<'_>) -> (Vec<Bookmark>, Result<Verified, Faults>) {
    let mut made = Vec::new();
    let verdict = with(export, expected, 2, None, &mut |progress| {
        made.extend(progress.bookmark());
        ControlFlow::Continue(())
    });
    (made, verdict.unwrap())
}

fn go_on(export: &[u8], expected: &Expectations<'_>, from: &Bookmark) -> Result<Result<Verified, Faults>, Unfinished> {
    let from = Some(Bookmark::parse(&from.to_text()).unwrap());
    with(export, expected, 2, from, &mut |_| ControlFlow::Continue(()))
}

const SIZE: u64 = 120;

#[derive(Debug, Clone)]
enum Tampering {
    Byte(u8),
    Bit(u8),
    Newline,
    RemoveLine,
    RepeatLine(prop::sample::Index),
    SwapLine(prop::sample::Index),
    EmptyLines(usize),
    Renumber(u64),
    OtherHash,
    OtherLeaf(prop::sample::Index),
    DropValues,
    LongLine,
    Cut,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        any::<u8>().prop_map(Tampering::Byte),
        (0..8_u8).prop_map(Tampering::Bit),
        Just(Tampering::Newline),
        Just(Tampering::RemoveLine),
        any::<prop::sample::Index>().prop_map(Tampering::RepeatLine),
        any::<prop::sample::Index>().prop_map(Tampering::SwapLine),
        (1..200_usize).prop_map(Tampering::EmptyLines),
        prop_oneof![0..SIZE + 5, Just(u64::MAX), any::<u64>()].prop_map(Tampering::Renumber),
        Just(Tampering::OtherHash),
        any::<prop::sample::Index>().prop_map(Tampering::OtherLeaf),
        Just(Tampering::DropValues),
        Just(Tampering::LongLine),
        Just(Tampering::Cut),
    ]
}

/// Tampers with a line, not with the header: what is wrong there comes up before any line is read.
fn tamper(all: &mut Vec<Vec<u8>>, line: prop::sample::Index, place: prop::sample::Index, how: Tampering) {
    if all.len() < 2 {
        return;
    }
    let entries = all.len() - 1;
    let line = 1 + line.index(entries);
    let at = place.index(all[line].len().max(1));
    let text = String::from_utf8_lossy(&all[line]).into_owned();
    match how {
        Tampering::Byte(byte) => all[line][at] = byte,
        Tampering::Bit(bit) => all[line][at] ^= 1 << bit,
        Tampering::Newline => all[line].insert(at, b'\n'),
        Tampering::RemoveLine => drop(all.remove(line)),
        Tampering::RepeatLine(to) => all.insert(1 + to.index(entries), all[line].clone()),
        Tampering::SwapLine(other) => all.swap(line, 1 + other.index(entries)),
        Tampering::EmptyLines(count) => all[line].extend(vec![b'\n'; count]),
        Tampering::Renumber(index) => {
            let number = text.find("\"i\":").map(|from| (from, from + text[from..].find(',').unwrap_or_default()));
            if let Some((from, to)) = number {
                all[line] = format!("{}\"i\":{index}{}", &text[..from], &text[to..]).into_bytes();
            }
        }
        Tampering::OtherHash => {
            all[line] = text.replacen("{\"h\":\"", "{\"h\":\"A", 1).replacen("A\",", "\",", 1).into_bytes()
        }
        Tampering::OtherLeaf(other) => all[line] = all[1 + other.index(entries)].clone(),
        Tampering::DropValues => {
            if let Some(from) = text.find(",\"personal\"") {
                all[line] = format!("{}}}\n", &text[..from]).into_bytes();
            }
        }
        Tampering::LongLine => all[line] = vec![b'x'; MAX_LINE_BYTES],
        Tampering::Cut => {
            all.truncate(line + 1);
            all[line].truncate(at);
        }
    }
    all.retain(|line| !line.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_reading_line_by_line(
        many in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), tampering()), 0..4),
        size in prop_oneof![0..4_u64, Just(SIZE), Just(SIZE)],
        signed in any::<bool>(),
        pick in any::<prop::sample::Index>(),
    ) {
        let entries = leaves(size);
        let note = checkpoint(&entries);
        let mut shown = entries.clone();
        if !signed && !shown.is_empty() {
            let at = pick.index(shown.len());
            shown[at] = leaf(at as u64 + 1).encode().unwrap();
        }
        let mut all = lines(&export_under(&note, &shown));
        for (line, place, how) in many {
            tamper(&mut all, line, place, how);
        }
        let export = all.concat();

        let notes: Vec<String> = [1, 40, 80].iter().filter(|at| **at <= size).map(|at| checkpoint(&entries[..*at as usize]).to_string()).collect();
        let kept: Vec<&str> = notes.iter().map(String::as_str).collect();
        let promises: Vec<_> = (0..size).step_by(30).map(|at| signer().promise(at, leaf_hash(&entries[at as usize]), 5)).collect();
        let keys = [signer().verifier_key().clone()];
        let expectations = [
            Expectations { keys: &keys, ..Expectations::default() },
            Expectations { keys: &keys, kept: &kept, promises: &promises, ..Expectations::default() },
        ];
        for expected in &expectations {
            let verdict = verify_one_by_one(&export[..], expected);
            for threads in [1, 2, 5] {
                prop_assert_eq!(&on_threads(&export, expected, threads), &verdict);
            }
            let (made, _) = bookmarks(&export, expected);
            if !made.is_empty() {
                let bookmark = &made[pick.index(made.len())];
                prop_assert_eq!(&go_on(&export, expected, bookmark).unwrap(), &verdict, "from {}", bookmark.entries());
            }
        }
    }
}

/// Gives a few bytes at a time, and fails at the end if it is told to.
struct Trickle<'a> {
    bytes: &'a [u8],
    step: usize,
    fails: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.fails {
            return Err(io::Error::other("gone"));
        }
        let count = self.step.min(into.len());
        self.bytes.read(&mut into[..count])
    }
}

#[test]
fn it_does_not_matter_how_the_stream_comes() {
    let whole = export(&leaves(SIZE));
    let expected = Expectations::default();
    for (step, cut) in [(1000, whole.len()), (77, whole.len() / 2), (9000, whole.len() / 3), (5, 40)] {
        for fails in [false, true] {
            let stream = || io::BufReader::with_capacity(64, Trickle { bytes: &whole[..cut], step, fails });
            let verdict = verify_one_by_one(stream(), &expected);
            assert_eq!(with(stream(), &expected, 3, None, &mut |_| ControlFlow::Continue(())).unwrap(), verdict);
        }
    }
}

#[test]
fn lines_at_the_longest_length_are_read_and_no_longer_ones() {
    let whole = export(&leaves(2));
    let header = &lines(&whole)[0];
    for length in [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, MAX_LINE_BYTES + (128 << 10)] {
        for end in ["", "\n", "\n\n{}\n"] {
            let export = [header.as_slice(), &vec![b'x'; length - 1], end.as_bytes()].concat();
            let verdict = verify_one_by_one(&export[..], &Expectations::default());
            assert_eq!(on_threads(&export, &Expectations::default(), 2), verdict, "{length} {end:?}");
        }
    }
}

#[test]
fn a_file_of_newlines_takes_no_memory_to_speak_of() {
    let header = lines(&export(&leaves(2))).swap_remove(0);
    let export = [header, vec![b'\n'; 3 << 20]].concat();
    let faults = on_threads(&export, &Expectations::default(), 2).unwrap_err();
    assert_eq!((faults.list.len(), faults.further), (100, (3 << 20) - 100 + 1));
}

#[test]
fn a_number_at_the_end_of_all_numbers_is_a_fault_and_no_panic() {
    let mut all = lines(&export(&leaves(3)));
    all[2] =
        String::from_utf8(all[2].clone()).unwrap().replacen("\"i\":1,", "\"i\":18446744073709551615,", 1).into_bytes();
    all.push(b"noise\n".to_vec());
    let faults = on_threads(&all.concat(), &Expectations::default(), 2).unwrap_err();
    assert!(faults.to_string().contains("18446744073709551615"), "{faults}");
}

#[test]
fn gaps_are_split_by_a_bounded_number_of_entries() {
    let header = String::from_utf8(lines(&export(&leaves(2))).swap_remove(0)).unwrap();
    let line = |index: u64| format!("{{\"i\":{index},\"leaf\":\"\"}}\n");
    // Every second one of those that were skipped comes late: each splits what is left.
    let numbers = (0..90).map(|gap| gap * 1_000_000 + 7).chain((0..20_000).map(|at| 1_000_008 + 2 * at));
    let export = header + &numbers.map(line).collect::<String>();
    let (made, verdict) = bookmarks(export.as_bytes(), &Expectations::default());
    let (faults, before) =
        (verdict.unwrap_err(), verify_one_by_one(export.as_bytes(), &Expectations::default()).unwrap_err());
    assert_eq!(faults.list, before.list);
    assert!(made.iter().all(|bookmark| bookmark.stand.gaps.len() <= walk::MAX_SPLIT_GAPS));
    let last = made.last().unwrap();
    assert_eq!(go_on(export.as_bytes(), &Expectations::default(), last).unwrap(), Err(faults));
}

#[test]
fn a_stop_leaves_a_bookmark_from_which_it_goes_on() {
    let whole = export(&leaves(SIZE));
    let expected = Expectations::default();
    let mut left = None;
    let stopped = with(&whole[..], &expected, 2, None, &mut |progress| {
        assert!(progress.bytes <= whole.len() as u64 && progress.size == SIZE);
        left = progress.bookmark();
        if progress.entries > 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped, Err(Unfinished::Stopped));
    let left = left.unwrap();
    assert!((41..SIZE).contains(&left.entries()));
    let mut further = Vec::new();
    let verdict = with(&whole[..], &expected, 2, Some(left.clone()), &mut |progress| {
        further.push((progress.entries, progress.bookmark()));
        ControlFlow::Continue(())
    });
    assert_eq!(verdict.unwrap(), verify_one_by_one(&whole[..], &expected));
    assert!(further[0].1.is_none() && further.last().unwrap().1.is_some(), "none on the way to the first one");
    // The bookmarks behind it are those of a whole run.
    let (whole_run, _) = bookmarks(&whole, &expected);
    assert_eq!(further.into_iter().rev().find_map(|(_, bookmark)| bookmark).as_ref(), whole_run.last());
}

#[test]
fn a_bookmark_holds_for_its_export_and_expectations_alone() {
    let entries = leaves(SIZE);
    let whole = export(&entries);
    let expected = Expectations::default();
    let (made, _) = bookmarks(&whole, &expected);
    let bookmark = &made[made.len() / 2];
    let refused = |export: &[u8], expected: &Expectations<'_>| match go_on(export, expected, bookmark) {
        Err(Unfinished::Bookmark(error)) => error,
        other => panic!("{other:?}"),
    };

    // Every byte that was verified is what it was: nothing hides behind the bookmark.
    let header = lines(&whole)[0].len();
    for place in (header..header + bookmark.bytes as usize).step_by(997) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert_eq!(refused(&changed, &expected), BookmarkError::OtherExport, "byte {place}");
    }
    // What comes behind it is verified.
    let mut changed = whole.clone();
    let behind = header + bookmark.bytes as usize + 3000;
    changed[behind] ^= 1;
    assert_eq!(go_on(&changed, &expected, bookmark).unwrap(), verify_one_by_one(&changed[..], &expected));
    assert!(go_on(&changed, &expected, bookmark).unwrap().is_err());

    assert_eq!(refused(&export(&leaves(SIZE + 1)), &expected), BookmarkError::OtherExport);
    assert_eq!(refused(&whole[..header + bookmark.bytes as usize - 5], &expected), BookmarkError::OtherExport);
    assert_eq!(refused(&whole[..header], &expected), BookmarkError::OtherExport);
    let keys = [signer().verifier_key().clone()];
    assert_eq!(refused(&whole, &Expectations { keys: &keys, ..expected }), BookmarkError::OtherExpectations);
    let kept = checkpoint(&entries[..9]).to_string();
    assert_eq!(refused(&whole, &Expectations { kept: &[&kept], ..expected }), BookmarkError::OtherExpectations);
    let promises = [signer().promise(0, [0; 32], 5)];
    assert_eq!(refused(&whole, &Expectations { promises: &promises, ..expected }), BookmarkError::OtherExpectations);
    let origin = Some("tenure.example/log/0");
    assert_eq!(refused(&whole, &Expectations { origin, ..expected }), BookmarkError::OtherExpectations);
}

#[test]
fn a_bookmark_that_was_cut_or_damaged_is_none() {
    let mut all = lines(&export(&leaves(SIZE)));
    all.remove(3);
    all[9] = b"noise\n".to_vec();
    let (made, _) = bookmarks(&all.concat(), &Expectations::default());
    let text = made.last().unwrap().to_text();
    assert_eq!(Bookmark::parse(&text).as_ref(), Ok(made.last().unwrap()));
    for cut in 0..text.len() {
        assert_eq!(Bookmark::parse(&text[..cut]), Err(BookmarkError::Malformed), "{cut}");
    }
    for place in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[place] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert!(Bookmark::parse(&changed).is_err(), "{place}");
    }
    assert!(Bookmark::parse(&format!("{text}\n")).is_err());
    assert!(Bookmark::parse("").is_err());

    // With a digest made anew it still has to be what a run can have left.
    let forge = |from: &str, to: &str| {
        let body = text.lines().next().unwrap().replacen(from, to, 1);
        assert_ne!(body, text.lines().next().unwrap(), "{from}");
        Bookmark::parse(&format!("{body}\n{}\n", bookmark::digest_of(&body)))
    };
    assert_eq!(forge(env!("CARGO_PKG_VERSION"), "0.0.1"), Err(BookmarkError::OtherRelease));
    assert_eq!(forge("bookmark/v1", "bookmark/v2"), Err(BookmarkError::Malformed));
    assert_eq!(forge("\"actual\":\"A", "\"actual\":\"B"), Err(BookmarkError::Malformed));
    assert_eq!(forge("entry_malformed", "entry_fine"), Err(BookmarkError::Malformed));
    assert_eq!(forge("\"further\":0", "\"further\":1"), Err(BookmarkError::Malformed));
    assert_eq!(forge("{\"format\"", "{ \"format\""), Err(BookmarkError::Malformed));
}

#[test]
fn a_forged_bookmark_does_not_lead_to_the_signed_root() {
    let entries = leaves(SIZE);
    let mut altered = entries.clone();
    altered[2] = leaf(3).encode().unwrap();
    let forged = export_under(&checkpoint(&entries), &altered);
    let expected = Expectations::default();
    let (made, verdict) = bookmarks(&forged, &expected);
    let mut bookmark = made[made.len() / 2].clone();
    assert!(!bookmark.stand.broken && verdict.is_err());
    bookmark.faults = Collector::default();
    bookmark.stand.last_at = None;
    assert_eq!(go_on(&forged, &expected, &bookmark).unwrap().unwrap_err().list[0].code, FaultCode::RootMismatch);
}
