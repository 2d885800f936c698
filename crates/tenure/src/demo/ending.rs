//! The cut, its receipt, and the record that proves both.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;
use tenure_log::{Expectations, FaultCode, Leaf, VerifierKey, verify_export};

use super::organisation::Organisation;
use super::page::{Ink, exchange, inked, say, step};
use super::wire::Answer;

/// What a cut came to.
pub struct Cut {
    /// The receipt's id.
    pub receipt: String,
    /// How long after the answer a token was refused.
    pub refused_after: Duration,
}

/// What was verified of the log.
pub struct Verified {
    /// How many entries.
    pub entries: u64,
    /// The entry of which a byte was changed.
    pub changed: u64,
}

/// One record refuses everything that an application's identities were issued.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a client at the edge: it measures and reads its environment"
)]
pub async fn cut(harbour: &Organisation, gateway: &str, token: &str) -> anyhow::Result<Cut> {
    step(
        19,
        "An application is cut",
        "One record refuses everything that was issued to it until now: by introspection (RFC 7662), at once after the answer.",
    )?;
    let sam = harbour.person("sam")?;
    let before = harbour.wire.form_quiet(gateway, "/env/production/introspect", &[("token", token)]).await?;
    ensure!(before.at("/active") == &json!(true), "the token was dead before the cut");
    let billing = harbour.places.id("application:billing")?;
    let body =
        json!({"target": {"type": "application", "id": billing}, "reason": "the billing build server was broken into"});
    let answer = harbour.wire.aloud(sam.speaks(), Method::POST, "/v1/revocations", Some(&body), &["/state"]).await?;
    let cut_at = Instant::now();
    ensure!(answer.status == 201, "the cut was refused: {}", answer.body);
    let after = harbour.wire.form_quiet(gateway, "/env/production/introspect", &[("token", token)]).await?;
    let elapsed = cut_at.elapsed();
    let more =
        format!("active {}, {:.1} ms after the cut's answer", after.at("/active"), elapsed.as_secs_f64() * 1_000.0);
    exchange("orders-gateway POST /env/production/introspect", Ink::Red, &after.status.to_string(), &more)?;
    ensure!(after.body == json!({"active": false}), "the token still works");
    Ok(Cut { receipt: answer.text("/id")?, refused_after: elapsed })
}

/// What the cut did at each enforcement, signed.
pub async fn receipt(harbour: &Organisation, id: &str) -> anyhow::Result<()> {
    step(
        20,
        "The receipt",
        "Signed: asked, in force, and what each enforcement did, with a live credential as the positive control.",
    )?;
    let sam = harbour.person("sam")?;
    let path = format!("/v1/receipts/{id}");
    harbour.until(&sam.token, &path, |answer| answer.at("/signed").is_string()).await?;
    let answer = harbour.wire.aloud(sam.speaks(), Method::GET, &path, None, &["/state"]).await?;
    say!("    asked      {}", answer.text("/asked_at")?)?;
    say!("    in force   {}", answer.text("/in_force_at")?)?;
    for point in answer.at("/points").as_array().into_iter().flatten() {
        let resource = point.get("resource").and_then(Value::as_str).unwrap_or_default();
        let outcome = |name: &str| point.pointer(&format!("/outcome/{name}")).and_then(Value::as_str);
        let control = if outcome("control").is_some() {
            ", and a live credential was accepted there at the same time"
        } else {
            ""
        };
        let reason = outcome("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
        let state = outcome("state").unwrap_or("unknown");
        say!("    {:<9}  {state}{reason}{control}", harbour.name_of(resource))?;
    }
    ensure!(answer.text("/state")? == "refused_verified", "the receipt is not verified: {}", answer.body);
    let public = keys(harbour).await?;
    let key = receipt_key(public.at("/receipts/keys/0"))?;
    verify_receipt(&answer.text("/signed")?, &[key])
        .map_err(|error| anyhow::anyhow!("the receipt's signature fails: {error}"))?;
    say!("    the signature holds")?;
    Ok(())
}

/// The log is verified from a copy, and a changed byte of it is found.
pub async fn log(harbour: &Organisation) -> anyhow::Result<Verified> {
    step(
        21,
        "The log is verified offline",
        "The auditor exports it; every leaf is hashed again, and the root compared with the signed checkpoint.",
    )?;
    let export = harbour.wire.bytes(harbour.person("aud")?.speaks(), "/v1/log/export").await?;
    let log_key = VerifierKey::parse(&keys(harbour).await?.text("/log")?).context("the log's key is malformed")?;
    let log_keys = [log_key];
    let expected = Expectations { keys: &log_keys, ..Expectations::default() };
    let verified = verify_export(export.as_slice(), &expected)
        .map_err(|faults| anyhow::anyhow!("the log has faults: {faults}"))?;
    let root: String = hex(&verified.root).chars().take(16).collect();
    say!("    {} entries under the root {root}…: the same that the server signed", verified.entries)?;

    step(22, "One byte of the export is changed, and found", "Whoever holds a copy needs nobody's word.")?;
    let changed = verified.entries / 2;
    let tampered = tamper(&export, changed)?;
    let faults = match verify_export(tampered.as_slice(), &expected) {
        Ok(_) => anyhow::bail!("the changed byte was not found"),
        Err(faults) => faults,
    };
    let first = faults.list.first().context("no fault is named")?;
    ensure!(first.code == FaultCode::EntryChanged, "the changed byte was found as something else: {faults}");
    say!("    a letter of entry {changed} is another one: {}", inked(Ink::Red, &first.to_string()))?;
    Ok(Verified { entries: verified.entries, changed })
}

/// The export with one byte of one entry changed: a digit of its event's id, so that the entry is as well-formed as
/// before and says something else. What any change comes to is the same; a byte that breaks the form would be found as
/// that.
fn tamper(export: &[u8], index: u64) -> anyhow::Result<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    // The header stands before the entries.
    let line =
        usize::try_from(index + 1).ok().and_then(|n| lines.get_mut(n)).context("the export has no such entry")?;
    let text = std::str::from_utf8(line)?;
    let (before, rest) = text.split_once("\"leaf\":\"").context("the entry has no leaf")?;
    let (leaf, after) = rest.split_once('"').context("the entry's leaf has no end")?;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut leaf = Leaf::parse(&base64.decode(leaf)?)?;
    let digit = leaf.id.pop().context("the leaf has no id")?;
    leaf.id.push(if digit == '0' { '1' } else { '0' });
    let bytes = leaf.encode()?;
    *line = format!("{before}\"leaf\":\"{}\"{after}", base64.encode(&bytes)).into_bytes();
    Ok(lines.concat())
}

async fn keys(harbour: &Organisation) -> anyhow::Result<Answer> {
    harbour.wire.get("", "/.well-known/tenure-keys").await
}

fn receipt_key(jwk: &Value) -> anyhow::Result<VerifyingKey> {
    let text =
        |name: &str| jwk.get(name).and_then(Value::as_str).with_context(|| format!("the receipt key has no {name}"));
    let public = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text("x")?)?;
    let public: [u8; 32] = public.try_into().map_err(|_| anyhow::anyhow!("the receipt key is no Ed25519 key"))?;
    Ok(VerifyingKey::new(text("kid")?.parse()?, &public)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
