//! The verifier against tampering with exports.

use std::collections::HashMap;
use std::ops::Range;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use proptest::prelude::*;
use tenure_log::checkpoint::cosignature_message;
use tenure_log::export::Segment;
use tenure_log::{
    Expectations, ExportReader, ExportWriter, FaultCode, Faults, Frontier, Header, KeyAlgorithm, LogSigner,
    NoteSignature, PersonalValue, Verified, VerifierKey, leaf_hash, merkle, verify_export,
};

use crate::support::{checkpoint, email, export, export_under, leaf, leaves, root, signer};

const SIZE: u64 = 12;

fn check(bytes: &[u8]) -> Result<Verified, Faults> {
    verify_export(bytes, &Expectations { keys: &[signer().verifier_key().clone()], ..Expectations::default() })
}

fn lines(export: &[u8]) -> Vec<Vec<u8>> {
    export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// The first located fault.
fn first(result: Result<Verified, Faults>) -> (FaultCode, Option<u64>) {
    let faults = result.unwrap_err();
    (faults.list[0].code, faults.list[0].entries.as_ref().map(|at| at.start))
}

#[test]
fn an_untouched_export_is_verified() {
    let verified = check(&export(&leaves(SIZE))).unwrap();
    assert_eq!((verified.size, verified.entries, verified.root), (SIZE, SIZE, root(&leaves(SIZE))));
    assert_eq!((verified.personal_present, verified.erased), (SIZE, SIZE));
    assert!(verified.key_pinned && verified.witnessed.is_empty() && verified.from_kept.is_none());
    assert_eq!(check(&export(&[])).unwrap().size, 0);
    let unpinned = verify_export(&export(&leaves(3))[..], &Expectations::default()).unwrap();
    assert!(!unpinned.key_pinned);
}

#[test]
fn what_is_written_is_read() {
    let bytes = export(&leaves(3));
    let mut reader = ExportReader::new(&bytes[..]).unwrap();
    let mut writer = ExportWriter::new(Vec::new(), reader.header()).unwrap();
    while let Some(entry) = reader.next_entry().unwrap() {
        assert_eq!(entry.claimed_hash, Some(leaf_hash(&entry.leaf)));
        writer.entry(&entry.leaf, &entry.personal).unwrap();
    }
    assert!(writer.entry(b"x", &[]).is_err(), "more than the header says");
    assert_eq!(writer.finish().unwrap(), bytes);
    let header = Header::new(signer().verifier_key(), 0, &checkpoint(&leaves(3))).unwrap();
    assert!(ExportWriter::new(Vec::new(), &header).unwrap().finish().is_err(), "fewer than the header says");
}

#[test]
fn erasing_every_personal_value_keeps_the_proof() {
    let entries = leaves(4);
    let header = Header::new(signer().verifier_key(), 0, &checkpoint(&entries)).unwrap();
    let mut writer = ExportWriter::new(Vec::new(), &header).unwrap();
    entries.iter().for_each(|leaf| writer.entry(leaf, &[]).unwrap());
    let verified = check(&writer.finish().unwrap()).unwrap();
    assert_eq!((verified.personal_present, verified.erased), (0, 8));
}

#[test]
fn every_flipped_bit_in_the_entries_is_found() {
    let bytes = export(&leaves(2));
    let start = lines(&bytes)[0].len();
    for place in start..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            assert!(check(&changed).is_err(), "byte {place} bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_in_the_header_is_found() {
    let bytes = export(&leaves(1));
    let header = lines(&bytes)[0].len();
    for place in 0..header {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            assert!(check(&changed).is_err(), "byte {place} bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_found_in_its_entry(pick in 0..SIZE, bit in any::<prop::sample::Index>()) {
        let mut all = lines(&export(&leaves(SIZE)));
        let line = &mut all[pick as usize + 1];
        // The number and the newline are about order and are tested below.
        let inside = line.windows(8).position(|part| part == b"\"leaf\":\"").unwrap() + 8;
        let at = bit.index((line.len() - 2 - inside) * 8);
        line[inside + at / 8] ^= 1 << (at % 8);
        let faults = check(&all.concat()).unwrap_err();
        // A flip can make a newline, which shifts what follows; the first fault is in the entry all the same.
        prop_assert_eq!(faults.list[0].entries.clone(), Some(pick..pick + 1), "{}", faults);
    }

    #[test]
    fn a_removed_entry_is_named(pick in 0..SIZE) {
        let mut all = lines(&export(&leaves(SIZE)));
        all.remove(pick as usize + 1);
        let code = if pick == SIZE - 1 { FaultCode::EntriesTruncated } else { FaultCode::EntryRemoved };
        prop_assert_eq!(first(check(&all.concat())), (code, Some(pick)));
    }

    #[test]
    fn swapped_entries_are_named(a in 0..SIZE - 1, further in 0..SIZE) {
        let b = a + 1 + further % (SIZE - 1 - a);
        let mut all = lines(&export(&leaves(SIZE)));
        all.swap(a as usize + 1, b as usize + 1);
        prop_assert_eq!(first(check(&all.concat())), (FaultCode::EntryReordered, Some(a)));
    }

    #[test]
    fn a_repeated_entry_is_named(from in 0..SIZE, to in 0..=SIZE) {
        let mut all = lines(&export(&leaves(SIZE)));
        let copy = all[from as usize + 1].clone();
        all.insert(to as usize + 1, copy);
        let faults = check(&all.concat()).unwrap_err();
        let wrong = faults.list.iter().any(|fault| matches!(fault.code, FaultCode::EntryInserted | FaultCode::EntryReordered));
        prop_assert!(wrong, "{}", faults);
    }

    #[test]
    fn a_truncated_export_is_named(keep in 0..SIZE) {
        let all = lines(&export(&leaves(SIZE)));
        let cut = all[..=keep as usize].concat();
        prop_assert_eq!(first(check(&cut)), (FaultCode::EntriesTruncated, Some(keep)));
    }

    #[test]
    fn an_export_cut_anywhere_is_found(cut in any::<prop::sample::Index>()) {
        let bytes = export(&leaves(SIZE));
        prop_assert!(check(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_rewritten_history_is_found_and_bounded_by_kept_checkpoints(pick in 0..SIZE, operation in 0..4) {
        let entries = leaves(SIZE);
        let mut altered = entries.clone();
        let at = pick as usize;
        match operation {
            0 => { altered.remove(at); }
            1 => altered.insert(at, leaf(90).encode().unwrap()),
            2 => altered[at] = { let mut other = leaf(pick); other.kind.push('x'); other.encode().unwrap() },
            _ => altered.swap(at, (at + 1) % SIZE as usize),
        }
        // Renumbered and with hashes made anew, under the signed note of the real log.
        let forged = export_under(&checkpoint(&entries), &altered);
        let faults = check(&forged).unwrap_err();
        prop_assert!(!faults.list.is_empty());
        if altered.len() == entries.len() {
            let first_change = (0..entries.len()).find(|at| entries[*at] != altered[*at]).unwrap() as u64;
            let notes: Vec<String> = [4, 8].iter().map(|size| checkpoint(&entries[..*size]).to_string()).collect();
            let kept: Vec<&str> = notes.iter().map(String::as_str).collect();
            let keys = [signer().verifier_key().clone()];
            let expected = Expectations { keys: &keys, kept: &kept, ..Expectations::default() };
            let faults = verify_export(&forged[..], &expected).unwrap_err();
            let found = faults.list.iter().find(|fault| fault.code == FaultCode::RootMismatch).unwrap();
            let start = first_change / 4 * 4;
            prop_assert_eq!(found.entries.clone(), Some(start..start + 4));
        }
    }
}

#[test]
fn a_log_that_signs_a_rewritten_history_forks_from_what_was_kept() {
    let entries = leaves(SIZE);
    let mut altered = entries.clone();
    altered[6] = leaf(7).encode().unwrap();
    let forged = export(&altered);
    assert!(check(&forged).is_ok(), "without a kept checkpoint the new signature is all there is");
    let notes: Vec<String> = [4, 8, 12].iter().map(|size| checkpoint(&entries[..*size]).to_string()).collect();
    let expect = |kept: &[&str]| {
        let keys = [signer().verifier_key().clone()];
        verify_export(&forged[..], &Expectations { keys: &keys, kept, ..Expectations::default() })
    };
    assert_eq!(expect(&[&notes[0]]).unwrap().from_kept, Some(4));
    let faults = expect(&[&notes[1], &notes[0]]).unwrap_err();
    assert_eq!((faults.list[0].code, faults.list[0].entries.clone()), (FaultCode::Fork, Some(4..8)));
    assert_eq!(first(expect(&[&notes[2]])), (FaultCode::Fork, None), "same size, other root");
}

#[test]
fn a_rollback_is_found() {
    let entries = leaves(SIZE);
    let kept = checkpoint(&entries).to_string();
    let keys = [signer().verifier_key().clone()];
    let expected = Expectations { keys: &keys, kept: &[&kept], ..Expectations::default() };
    let older = export(&entries[..7]);
    assert!(check(&older).is_ok());
    assert_eq!(first(verify_export(&older[..], &expected)), (FaultCode::Rollback, Some(7)));
    assert_eq!(verify_export(&export(&entries)[..], &expected).unwrap().from_kept, Some(SIZE));
    assert_eq!(verify_export(&export(&leaves(SIZE + 5))[..], &expected).unwrap().from_kept, Some(SIZE));
    let foreign = LogSigner::from_seed("tenure.example/log", 0, &[8; 32]).unwrap().checkpoint(3, [0; 32]).to_string();
    let unusable = Expectations { keys: &keys, kept: &[&foreign], ..Expectations::default() };
    assert_eq!(first(verify_export(&older[..], &unusable)), (FaultCode::KeptUnusable, None));
}

#[test]
fn witnesses_are_named_and_cannot_stand_in_for_the_log() {
    let entries = leaves(3);
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    let witness = VerifierKey::new("witness.example", KeyAlgorithm::CosignatureV1, public).unwrap();
    let mut note = checkpoint(&entries);
    let mut signature = 1_700_000_000u64.to_be_bytes().to_vec();
    signature.extend_from_slice(pair.sign(cosignature_message(1_700_000_000, &note.text).as_bytes()).as_ref());
    note.signatures.push(NoteSignature { name: witness.name().into(), key_id: witness.key_id(), signature });
    let bytes = export_under(&note, &entries);
    let expect = |witnesses: &[VerifierKey]| {
        verify_export(&bytes[..], &Expectations { witnesses, ..Expectations::default() }).unwrap()
    };
    assert_eq!(expect(&[witness]).witnessed, ["witness.example"]);
    assert!(expect(&[]).witnessed.is_empty());

    let impostor = LogSigner::from_seed("tenure.example/log", 0, &[8; 32]).unwrap();
    let forged = export_under(&impostor.checkpoint(3, root(&entries)), &entries);
    let expected = Expectations {
        keys: &[signer().verifier_key().clone()],
        witnesses: &[impostor.verifier_key().clone()],
        ..Expectations::default()
    };
    assert_eq!(first(verify_export(&forged[..], &expected)), (FaultCode::UnknownKey, None));
}

#[test]
fn a_decoy_does_not_pass_for_the_change() {
    let entries = leaves(SIZE);
    let mut altered = entries.clone();
    altered[9] = leaf(8).encode().unwrap();
    let mut all = lines(&export_under(&checkpoint(&entries), &altered));
    let decoy = lines(&export(&entries))[4].clone();
    all[3] = [&decoy[..48], &all[3][48..]].concat();
    let faults = check(&all.concat()).unwrap_err();
    assert_eq!(faults.list[0].code, FaultCode::RootMismatch, "{faults}");
}

#[test]
fn wrong_keys_origins_and_sizes_are_found() {
    let bytes = export(&leaves(3));
    let other = LogSigner::from_seed("tenure.example/log", 0, &[8; 32]).unwrap();
    let keys = [other.verifier_key().clone()];
    let faults = verify_export(&bytes[..], &Expectations { keys: &keys, ..Expectations::default() }).unwrap_err();
    assert!(faults.list.iter().all(|fault| fault.code == FaultCode::UnknownKey), "{faults}");
    let elsewhere = Expectations { origin: Some("other.example/log/0"), ..Expectations::default() };
    assert_eq!(first(verify_export(&bytes[..], &elsewhere)), (FaultCode::WrongOrigin, None));
    let text = String::from_utf8(bytes).unwrap();
    let shard = text.replacen("\"shard\":0", "\"shard\":1", 1);
    assert_eq!(first(check(shard.as_bytes())), (FaultCode::WrongOrigin, None));
    let size = text.replacen("\"size\":3", "\"size\":4", 1);
    assert_eq!(first(check(size.as_bytes())), (FaultCode::SizeMismatch, None));
    let signed = text.replacen("/0\\n3\\n", "/0\\n4\\n", 1);
    assert!(check(signed.as_bytes()).unwrap_err().list.iter().any(|fault| fault.code == FaultCode::BadSignature));
}

#[test]
fn wrong_contents_are_found_even_when_the_log_signed_them() {
    let note = |entries: &[Vec<u8>]| Header::new(signer().verifier_key(), 0, &checkpoint(entries)).unwrap();
    let write = |entries: &[Vec<u8>], personal: &[PersonalValue]| {
        let mut writer = ExportWriter::new(Vec::new(), &note(entries)).unwrap();
        entries.iter().for_each(|leaf| writer.entry(leaf, personal).unwrap());
        first(check(&writer.finish().unwrap()))
    };
    let backwards = [leaf(5), leaf(3)].map(|leaf| leaf.encode().unwrap());
    assert_eq!(write(&backwards, &[]), (FaultCode::TimeBackwards, Some(1)));
    let mut spaced = leaves(2);
    spaced[1].push(b' ');
    assert_eq!(write(&spaced, &[]), (FaultCode::LeafMalformed, Some(1)));
    assert_eq!(write(&leaves(1), &[email(1)]), (FaultCode::PersonalMismatch, Some(0)));
    assert_eq!(write(&leaves(1), &[email(0), email(0)]), (FaultCode::PersonalUnknown, Some(0)));
}

#[test]
fn promises_are_held_against_the_log() {
    let entries = leaves(4);
    let bytes = export(&entries);
    let kept = signer().promise(2, leaf_hash(&entries[2]), 5);
    let later = signer().promise(4, [0; 32], 5);
    let broken = signer().promise(3, leaf_hash(&entries[2]), 5);
    let check = |promises: &[_]| verify_export(&bytes[..], &Expectations { promises, ..Expectations::default() });
    let verified = check(&[later.clone(), kept.clone()]).unwrap();
    assert_eq!((verified.promises_kept, verified.promises_pending), (1, 1));
    assert_eq!(first(check(&[kept.clone(), broken])), (FaultCode::PromiseBroken, Some(3)));
    let mut unsigned = kept;
    unsigned.signature[5] ^= 1;
    assert_eq!(first(check(&[unsigned])), (FaultCode::PromiseUnusable, None));
}

/// The entries of a log of [`SIZE`], as a segment.
fn segment(entries: Range<usize>) -> Vec<u8> {
    let leaves = leaves(SIZE);
    let mut hashes = HashMap::new();
    let mut tree = Frontier::new();
    for leaf in &leaves {
        tree.append_with(leaf_hash(leaf), |node, hash| {
            hashes.insert(node, hash);
        });
    }
    let before = Frontier::load(&mut hashes, entries.start as u64).unwrap();
    let proof = merkle::prove_consistency(&mut hashes, entries.end as u64, SIZE).unwrap();
    let header = Header::new(signer().verifier_key(), 0, &checkpoint(&leaves)).unwrap();
    let header = header.cut(entries.end as u64, Segment { before, proof });
    let mut writer = ExportWriter::new(Vec::new(), &header).unwrap();
    for (index, leaf) in leaves.iter().enumerate().take(entries.end).skip(entries.start) {
        writer.entry(leaf, &[email(index as u64)]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn any_segment_is_verified_alone() {
    for start in 0..12 {
        for end in start + 1..=12 {
            let kept = [start, end, 3].map(|size| checkpoint(&leaves(size as u64)).to_string());
            let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
            let key = [signer().verifier_key().clone()];
            let expected = Expectations { keys: &key, kept: &kept, ..Expectations::default() };
            let verified = verify_export(&segment(start..end)[..], &expected).unwrap();
            assert_eq!((verified.first, verified.entries), (start as u64, (end - start) as u64));
            let elsewhere = u64::from(!(start..=end).contains(&3));
            assert_eq!((verified.kept_elsewhere, verified.from_kept), (elsewhere, Some(end as u64)));
            // A checkpoint of another history, wherever its end is in the segment.
            let forged: Vec<Vec<u8>> = (0..end as u64).map(|index| leaf(index + 1).encode().unwrap()).collect();
            let fork = checkpoint(&forged).to_string();
            let expected = Expectations { keys: &key, kept: &[&fork], ..Expectations::default() };
            assert_eq!(first(verify_export(&segment(start..end)[..], &expected)).0, FaultCode::Fork);
        }
    }
}

#[test]
fn a_segment_is_no_others_and_nothing_of_it_can_be_changed() {
    let whole = segment(3..9);
    // Each bit of the header is signed, proven, or of the one form that a header has.
    let header = lines(&whole)[0].len();
    for place in 0..header {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert!(check(&changed).is_err(), "{}", String::from_utf8_lossy(&changed[..header]));
    }
    let told = |lines: Vec<Vec<u8>>| check(&lines.concat());
    for place in 1..=6 {
        let mut removed = lines(&whole);
        removed.remove(place);
        assert!(told(removed).is_err());
        let mut swapped = lines(&whole);
        swapped[place] = lines(&segment(2..12))[place + 3].clone();
        assert!(told(swapped).is_err());
        let mut changed = lines(&whole);
        let other =
            ExportReader::new(&segment(2..12)[..]).map(|mut reader| reader.next_entry().unwrap().unwrap()).unwrap();
        let text = String::from_utf8(changed[place].clone()).unwrap();
        let at = text.find("\"leaf\":\"").unwrap() + 8;
        let end = at + text[at..].find('"').unwrap();
        let leaf = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &other.leaf);
        changed[place] = format!("{}{leaf}{}", &text[..at], &text[end..]).into_bytes();
        assert_eq!(first(told(changed)), (FaultCode::EntryChanged, Some(place as u64 + 2)));
    }
    // Under the header of another segment, of a whole log, and without an entry.
    for other in [segment(3..10), segment(2..9), segment(4..10), export(&leaves(SIZE))] {
        let other = [&lines(&other)[..1], &lines(&whole)[1..]].concat();
        assert!(told(other).is_err());
    }
    assert_eq!(first(told(lines(&whole)[..6].to_vec())), (FaultCode::EntriesTruncated, Some(8)));
    let text = String::from_utf8(lines(&whole)[0].clone()).unwrap();
    for (size, code) in [(3, FaultCode::HeaderMalformed), (13, FaultCode::SizeMismatch)] {
        let header = text.replacen("\"size\":9", &format!("\"size\":{size}"), 1);
        assert_eq!(first(told(vec![header.into_bytes()])).0, code);
    }
}
