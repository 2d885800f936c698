//! A log to test with: fixed keys, times and salts.

use serde_json::json;
use tenure_log::{
    Actor, ExportWriter, Frontier, Hash, Header, Leaf, LogSigner, PersonalValue, RowDigest, SignedNote, leaf_hash,
};

pub fn signer() -> LogSigner {
    LogSigner::from_seed("tenure.example/log", 0, &[7; 32]).unwrap()
}

pub fn email(index: u64) -> PersonalValue {
    PersonalValue { field: "email".into(), salt: [index as u8; 32], value: format!("person{index}@example.com") }
}

pub fn phone(index: u64) -> PersonalValue {
    PersonalValue { field: "phone".into(), salt: [!index as u8; 32], value: format!("+43 1 {index}") }
}

pub fn leaf(index: u64) -> Leaf {
    let data = json!({"index": index, "note": "ä \"quoted\" \\ line\n", "tags": ["a", null, true, -1]});
    Leaf {
        actor: Actor { id: "per_1".into(), kind: "person".into() },
        at: 1_700_000_000_000_000 + (index / 2) as i64,
        control: "issue".into(),
        data: data.as_object().unwrap().clone(),
        id: format!("evt_{index}"),
        kind: "credential.issued".into(),
        personal: [email(index), phone(index)].map(|value| (value.field.clone(), value.commitment())).into(),
        rows: vec![RowDigest { kind: "identity".into(), id: "idn_1".into(), revision: index, digest: [3; 32] }],
        subjects: vec!["idn_1".into()],
    }
}

/// Leaves of both versions, as a log holds them that an earlier release began.
pub fn leaves(count: u64) -> Vec<Vec<u8>> {
    let in_a_version = |index| if index % 2 == 0 { leaf(index).encode_json() } else { leaf(index).encode() };
    (0..count).map(|index| in_a_version(index).unwrap()).collect()
}

pub fn root(leaves: &[Vec<u8>]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(leaf_hash(leaf)));
    frontier.root()
}

pub fn checkpoint(leaves: &[Vec<u8>]) -> SignedNote {
    signer().checkpoint(leaves.len() as u64, root(leaves))
}

/// An export with one of two personal values present and the other erased.
pub fn export_under(note: &SignedNote, leaves: &[Vec<u8>]) -> Vec<u8> {
    let header = Header::new(signer().verifier_key(), 0, note).unwrap();
    let mut writer = ExportWriter::new(Vec::new(), &Header { size: leaves.len() as u64, ..header }).unwrap();
    for (index, leaf) in leaves.iter().enumerate() {
        let index: u64 = Leaf::parse(leaf).map_or(index as u64, |leaf| leaf.data["index"].as_u64().unwrap());
        writer.entry(leaf, &[email(index)]).unwrap();
    }
    writer.finish().unwrap()
}

pub fn export(leaves: &[Vec<u8>]) -> Vec<u8> {
    export_under(&checkpoint(leaves), leaves)
}
