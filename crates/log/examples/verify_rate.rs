//! How fast an export is verified: `cargo run --release -p tenure-log --example verify_rate -- FILE [ENTRIES]` writes an
//! export of an issuance's leaves to FILE, if there is none yet, and verifies it.

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
    let id = |kind: &str, number: u64| format!("{kind}_01m{number:023}");
    let digest = leaf_hash(&index.to_be_bytes());
    let workload = index % 5_000;
    let data = json!({
        "actions": ["read"],
        "binding": id("bnd", workload),
        "environment": "staging",
        "expires_at": format!("2026-11-29T22:{:02}:{:02}.{:06}Z", index / 60 % 60, index % 60, index % 999_999 + 1),
        "grants": [id("gra", workload)],
        "method": "private_key_jwt",
        "policies": ["issue-and-use"],
        "policy_version": "sha256:70ca8dcdf078b8677c91ce9f4c1634d6aed95d7e6707faaa98178b3c83da7dbf",
        "resource": id("res", index % 300),
        "type": "access_token",
    });
    let leaf = Leaf {
        actor: Actor { id: id("idn", workload), kind: "identity".into() },
        at: 1_795_990_438_005_146 + index as i64 * 50,
        control: "issue".into(),
        data: data.as_object().unwrap().clone(),
        id: id("evt", index),
        kind: "credential.issued".into(),
        personal: [].into(),
        rows: vec![RowDigest { kind: "credential".into(), id: id("crd", index), revision: 1, digest }],
        subjects: vec![id("crd", index), id("idn", workload)],
    };
    leaf.encode().unwrap()
}
