//! The cut, its receipt, and the record that proves both.

use std::time::Instant;

use anyhow::{Context, ensure};
use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;
use tenure_log::{Expectations, VerifierKey, verify_export};

use super::organisation::Organisation;
use super::page::{say, step};
use super::wire::Answer;

/// One record refuses everything that an application's identities were issued; the receipt's id.
pub async fn cut(harbour: &Organisation, gateway: &str, token: &str) -> anyhow::Result<String> {
    step(
        17,
        "An application is cut",
        "One record refuses everything that was issued to it until now: by introspection (RFC 7662), at once after the answer.",
    )?;
    let sam = harbour.person("sam")?;
    let before = harbour.wire.form_quiet(gateway, "/env/production/introspect", &[("token", token)]).await?;
    ensure!(before.at("/active") == &json!(true), "the token was dead before the cut");
    let billing = harbour.places.id("application:billing")?;
    let body = json!({"target": {"type": "application", "id": billing}, "reason": "the billing build server was broken into"});
    let answer = harbour
        .wire
        .aloud(sam.speaks(), Method::POST, "/v1/revocations", Some(&body), &["/id", "/state"])
        .await?;
    let cut_at = Instant::now();
    ensure!(answer.status == 201, "the cut was refused: {}", answer.body);
    let after = harbour.wire.form_quiet(gateway, "/env/production/introspect", &[("token", token)]).await?;
    let elapsed = cut_at.elapsed();
    say!("    orders-gateway > POST /env/production/introspect\n      < {} {}", after.status, after.body)?;
    say!("    refused {:.2} ms after the cut's answer", elapsed.as_secs_f64() * 1_000.0)?;
    ensure!(after.body == json!({"active": false}), "the token still works");
    answer.text("/id")
}

/// What the cut did at each enforcement, signed.
pub async fn receipt(harbour: &Organisation, id: &str) -> anyhow::Result<()> {
    step(
        18,
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
        say!("    {:<9}  {}", harbour.name_of(resource), point.get("outcome").unwrap_or(&Value::Null))?;
    }
    ensure!(answer.text("/state")? == "refused_verified", "the receipt is not verified: {}", answer.body);
    let public = keys(harbour).await?;
    let key = receipt_key(public.at("/receipts/keys/0"))?;
    verify_receipt(&answer.text("/signed")?, &[key]).map_err(|error| anyhow::anyhow!("the receipt's signature fails: {error}"))?;
    say!("    the signature holds")?;
    Ok(())
}

/// The log is verified from a copy, and a changed byte of it is found.
pub async fn log(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        19,
        "The log is verified offline",
        "The auditor exports it; every leaf is hashed again, and the root compared with the signed checkpoint.",
    )?;
    let export = harbour.wire.bytes(harbour.person("aud")?.speaks(), "/v1/log/export").await?;
    let log_key = VerifierKey::parse(&keys(harbour).await?.text("/log")?).context("the log's key is malformed")?;
    let log_keys = [log_key];
    let expected = Expectations {
        keys: &log_keys,
        ..Expectations::default()
    };
    let verified = verify_export(export.as_slice(), &expected).map_err(|faults| anyhow::anyhow!("the log has faults: {faults}"))?;
    say!("    {} entries, root {}", verified.entries, hex(&verified.root))?;

    step(20, "One byte of the export is changed, and found", "Whoever holds a copy needs nobody's word.")?;
    let mut tampered = export;
    let place = tampered.len() / 2;
    let byte = tampered.get_mut(place).context("the export is empty")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    match verify_export(tampered.as_slice(), &expected) {
        Ok(_) => anyhow::bail!("the changed byte was not found"),
        Err(faults) => say!("    byte {place} changed: {faults}")?,
    }
    Ok(())
}

async fn keys(harbour: &Organisation) -> anyhow::Result<Answer> {
    harbour.wire.get("", "/.well-known/tenure-keys").await
}

fn receipt_key(jwk: &Value) -> anyhow::Result<VerifyingKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).with_context(|| format!("the receipt key has no {name}"));
    let public = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text("x")?)?;
    let public: [u8; 32] = public.try_into().map_err(|_| anyhow::anyhow!("the receipt key is no Ed25519 key"))?;
    Ok(VerifyingKey::new(text("kid")?.parse()?, &public)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
