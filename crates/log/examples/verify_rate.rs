//! How fast an export is verified: `cargo run --release -p tenure-log --example verify_rate -- FILE [ENTRIES]` writes an
//! export of leaves such as an issuance's to FILE, if there is none yet, and verifies it.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "it measures how long something takes")]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tenure_log::{
    Actor, Expectations, ExportWriter, Frontier, Header, Leaf, LogSigner, RowDigest, leaf_hash, verify_export,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let entries = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    if !Path::new(&path).exists() {
        write(&path, entries);
    }
    let started = Instant::now();
    let verdict = verify_export(BufReader::new(File::open(&path).unwrap()), &Expectations::default());
    let seconds = started.elapsed().as_secs_f64();
    match verdict {
        Ok(verified) => {
            let rate = verified.entries as f64 / seconds;
            println!("{} entries in {seconds:.2} s: {rate:.0} entries/s", verified.entries);
        }
        Err(faults) => println!("{} faults in {seconds:.2} s", faults.list.len() as u64 + faults.further),
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
}

fn write(path: &str, entries: u64) {
    let signer = LogSigner::from_seed("tenure.example/log", 0, &[7; 32]).unwrap();
    let mut frontier = Frontier::new();
    (0..entries).for_each(|index| frontier.append(leaf_hash(&issuance(index))));
    let header = Header::new(signer.verifier_key(), 0, &signer.checkpoint(entries, frontier.root())).unwrap();
    let mut writer = ExportWriter::new(BufWriter::new(File::create(path).unwrap()), &header).unwrap();
    (0..entries).for_each(|index| writer.entry(&issuance(index), &[]).unwrap());
    writer.finish().unwrap();
}

fn issuance(index: u64) -> Vec<u8> {
    let id = |kind: &str, number: u64| format!("{kind}_0199{number:028x}");
    let digest = |salt: u64| leaf_hash(&(index ^ salt).to_be_bytes());
    let data = json!({
        "audience": "https://ledger.payments.example",
        "client": id("idn", index % 5_000),
        "expires_at": 1_764_000_300_000_000_u64 + index,
        "grant": id("grt", index % 9_000),
        "policy": {"decision": "allow", "digest": "sha256:6f2a3d6dbb04f0a5", "revision": 12},
        "risk": "moderate",
        "scope": "payments.read payments.write",
        "sender": "dpop",
        "ttl": 300,
    });
    let leaf = Leaf {
        actor: Actor { id: id("idn", index % 5_000), kind: "identity".into() },
        at: 1_764_000_000_000_000 + index as i64 * 50,
        control: "issue".into(),
        data: data.as_object().unwrap().clone(),
        id: id("evt", index),
        kind: "credential.issued".into(),
        personal: [].into(),
        rows: [("credential", id("crd", index), 0), ("identity", id("idn", index % 5_000), index)]
            .into_iter()
            .map(|(kind, id, revision)| RowDigest { kind: kind.into(), id, revision, digest: digest(revision + 1) })
            .collect(),
        subjects: vec![id("crd", index), id("idn", index % 5_000), id("app", index % 300)],
    };
    leaf.encode().unwrap()
}
