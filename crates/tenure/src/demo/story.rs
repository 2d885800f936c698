//! The story: one identity from charter to receipt.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_client::assertion::WorkloadKey;
use tenure_core::time::{Clock, Span, Timestamp};
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::verify_receipt;
use tenure_log::{Expectations, VerifierKey, verify_export};

use super::wire::Wire;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who and what is on the stage before the first step.
struct Scene {
    wire: Wire,
    administrator: String,
    owner: String,
    owner_token: String,
    security_token: String,
    billing: String,
    orders: String,
    /// Thirty days from now.
    expiry: Timestamp,
}

/// Tells the story; an error is the first step that did not give what it should.
pub async fn tell(url: &str, folder: &Path) -> anyhow::Result<()> {
    let wire = Wire::new(url)?;
    step(
        0,
        "The stage",
        "A server on an embedded database. Ada administers, Olu owns, Sam is security. Two environments, one database behind a gateway that asks Tenure.",
    );
    let scene = prepare(wire, folder).await?;
    let gateway = gateway(&scene).await?;

    step(
        1,
        "A charter without an owner is refused",
        "No charter, no credential: the refusal names every field that is missing.",
    );
    let key = WorkloadKey::generate();
    let mut charter = charter(&scene, &key, "production", &scene.orders, &["read"]);
    let without = {
        let mut without = charter.clone();
        without.as_object_mut().context("the charter is no object")?.remove("owner");
        without
    };
    let answer = scene
        .wire
        .json(
            Method::POST,
            Some(&scene.owner_token),
            "/v1/identities",
            Some(&json!({"kind": "workload", "name": "billing-exporter", "charter": without})),
        )
        .await?;
    ensure!(
        answer.status == 422 && answer.text("/fields/0/code")? == "owner_missing",
        "the charter without an owner was not refused for it"
    );

    step(
        2,
        "The complete charter becomes an active identity",
        "Owner, purpose, scope, boundary, environment, binding and an end: the owner activates it.",
    );
    let body = json!({"kind": "workload", "name": "billing-exporter", "charter": charter.take(), "stage": "active"});
    let answer = scene.wire.json(Method::POST, Some(&scene.owner_token), "/v1/identities", Some(&body)).await?;
    ensure!(answer.status == 201 && answer.text("/state")? == "active", "the identity is not active");
    let exporter = answer.text("/id")?;

    step(
        3,
        "The workload proves itself and gets a token of minutes",
        "An assertion signed with its own key (RFC 7523); no secret ever travelled.",
    );
    let token = token(&scene, &key, &exporter, "production", true).await?;

    step(
        4,
        "A call is allowed",
        "The gateway asks for a decision (OpenID AuthZEN) and gets the policies that determined it.",
    );
    let answer = decide(&scene, &gateway, &exporter, &token).await?;
    ensure!(answer == json!(true), "the call was not allowed");

    step(
        5,
        "The same call from another environment is denied",
        "A staging identity with a valid token of its own asks for the production database.",
    );
    let staging = staging(&scene).await?;
    let answer = scene
        .wire
        .json(
            Method::POST,
            Some(&gateway),
            "/access/v1/evaluation",
            Some(&question(&scene, &staging.0, &staging.1)),
        )
        .await?;
    ensure!(
        answer.status == 200 && *answer.at("/decision") == json!(false) && answer.text("/context/reason_code")? == "wrong_environment",
        "the call from staging was not denied for its environment"
    );

    step(6, "The application is cut", "One record refuses everything that was issued to it until now.");
    let body = json!({"target": {"type": "application", "id": scene.billing}, "reason": "the billing build server was broken into"});
    let answer = scene
        .wire
        .json(Method::POST, Some(&scene.security_token), "/v1/revocations", Some(&body))
        .await?;
    let cut_at = Instant::now();
    ensure!(answer.status == 201, "the cut was refused");
    let receipt = answer.text("/id")?;

    step(
        7,
        "The token is refused",
        "Introspection (RFC 7662) by the gateway, at once after the cut was acknowledged.",
    );
    let introspected = scene
        .wire
        .form_quiet(Some(&gateway), "/env/production/introspect", &[("token", &token)])
        .await?;
    let elapsed = cut_at.elapsed();
    println!("    > POST /env/production/introspect\n    < {} {}", introspected.status, introspected.body);
    println!("    refused {:.2} ms after the cut's answer", elapsed.as_secs_f64() * 1_000.0);
    ensure!(introspected.body == json!({"active": false}), "the token still works");
    let answer = decide(&scene, &gateway, &exporter, &token).await?;
    ensure!(answer == json!(false), "a decision still allows it");

    step(
        8,
        "The receipt",
        "Signed: asked, in force, and what each enforcement did, with a live credential as the positive control.",
    );
    show_receipt(&scene, &receipt).await?;

    step(
        9,
        "The log is verified offline",
        "Every leaf is hashed again, and the root compared with the signed checkpoint.",
    );
    let export = scene.wire.bytes(&scene.administrator, "/v1/log/export").await?;
    let log_key = VerifierKey::parse(&keys(&scene).await?.text("/log")?).context("the log's key is malformed")?;
    let log_keys = [log_key];
    let expected = Expectations {
        keys: &log_keys,
        ..Expectations::default()
    };
    let verified = verify_export(export.as_slice(), &expected).map_err(|faults| anyhow::anyhow!("the log has faults: {faults}"))?;
    println!("    {} entries, root {}", verified.entries, hex(&verified.root));

    step(10, "One byte of the export is changed, and found", "Whoever holds a copy needs nobody's word.");
    let mut tampered = export;
    let place = tampered.len() / 2;
    let byte = tampered.get_mut(place).context("the export is empty")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    match verify_export(tampered.as_slice(), &expected) {
        Ok(_) => anyhow::bail!("the changed byte was not found"),
        Err(faults) => println!("    byte {place} changed: {faults}"),
    }
    Ok(())
}

fn step(number: u8, title: &str, what: &str) {
    println!("\n{number:>2}. {title}\n    {what}");
}

async fn prepare(wire: Wire, folder: &Path) -> anyhow::Result<Scene> {
    let setup_token = std::fs::read_to_string(folder.join("setup-token")).context("the server left no set-up token")?;
    let body = json!({"setup_token": setup_token, "name": "Ada Admin", "email": "ada@example.com"});
    let done = wire.json(Method::POST, None, "/v1/setup", Some(&body)).await?;
    ensure!(done.status == 201, "set-up was refused");
    let administrator = done.text("/operator_token")?;
    crate::server::write_secret(&folder.join("operator-token"), &administrator)?;
    let (owner, owner_token) = person(&wire, &administrator, "Olu Owner", &["requester", "owner"]).await?;
    let (_, security_token) = person(&wire, &administrator, "Sam Security", &["security"]).await?;
    for (name, production) in [("production", true), ("staging", false)] {
        wire.quiet(&administrator, "/v1/environments", json!({"name": name, "production": production}))
            .await?;
    }
    let billing = wire
        .quiet(&administrator, "/v1/applications", json!({"name": "billing", "owner": owner}))
        .await?
        .text("/id")?;
    let orders = resource(&wire, &administrator, &billing, "orders-db", "production").await?;
    println!("    one application, one resource: https://orders-db.internal");
    Ok(Scene {
        wire,
        administrator,
        owner,
        owner_token,
        security_token,
        billing,
        orders,
        expiry: crate::server::SystemClock.now().plus(Span::from_days(30)),
    })
}

async fn person(wire: &Wire, administrator: &str, name: &str, roles: &[&str]) -> anyhow::Result<(String, String)> {
    let id = wire
        .quiet(administrator, "/v1/people", json!({"name": name, "roles": roles}))
        .await?
        .text("/id")?;
    let token = wire
        .quiet(administrator, &format!("/v1/people/{id}/operator-tokens"), json!({}))
        .await?
        .text("/operator_token")?;
    Ok((id, token))
}

async fn resource(wire: &Wire, administrator: &str, application: &str, name: &str, environment: &str) -> anyhow::Result<String> {
    let body = json!({
        "uri": format!("https://{name}.internal"), "type": "database", "actions": ["read", "write", "enforce"],
        "application": application, "environment": environment, "verification": "online",
    });
    wire.quiet(administrator, "/v1/resources", body).await?.text("/id")
}

fn charter(scene: &Scene, key: &WorkloadKey, environment: &str, resource: &str, actions: &[&str]) -> Value {
    json!({
        "owner": scene.owner,
        "purpose": "exports the day's invoices to the data warehouse",
        "scope": [{"actions": actions, "resource": resource}],
        "trust_boundary": {"type": "trust_domain", "value": format!("{environment}.example.com")},
        "environment": environment,
        "application": scene.billing,
        "workload_binding": {"type": "public_key", "workload": "deployment/billing-exporter", "jwk": key.public_jwk()},
        "expires_at": scene.expiry,
        "retirement": [{"type": "idle", "after": "30d"}],
        "rotation_cadence": "30d",
        "coverage": "role_based",
        "parties": {"requester": scene.owner, "operator": "team billing", "beneficiary": "finance"},
    })
}

/// Registers an identity in the scene's background.
async fn identity(scene: &Scene, name: &str, charter: Value) -> anyhow::Result<String> {
    scene
        .wire
        .quiet(
            &scene.owner_token,
            "/v1/identities",
            json!({"kind": "workload", "name": name, "charter": charter, "stage": "active"}),
        )
        .await?
        .text("/id")
}

/// The gateway in front of the database: an enforcement point, itself a chartered identity of another application.
async fn gateway(scene: &Scene) -> anyhow::Result<String> {
    let edge = scene
        .wire
        .quiet(&scene.administrator, "/v1/applications", json!({"name": "edge", "owner": scene.owner}))
        .await?
        .text("/id")?;
    let key = WorkloadKey::generate();
    let mut facts = charter(scene, &key, "production", &scene.orders, &["enforce"]);
    let fields = facts.as_object_mut().context("the charter is no object")?;
    fields.insert("application".into(), json!(edge));
    fields.insert("purpose".into(), json!("guards the orders database and asks Tenure about each call"));
    let id = identity(scene, "orders-gateway", facts).await?;
    token(scene, &key, &id, "production", false).await
}

/// A staging identity with a live token of its own.
async fn staging(scene: &Scene) -> anyhow::Result<(String, String)> {
    let preview = scene
        .wire
        .quiet(&scene.administrator, "/v1/applications", json!({"name": "preview", "owner": scene.owner}))
        .await?
        .text("/id")?;
    let database = resource(&scene.wire, &scene.administrator, &preview, "orders-db-staging", "staging").await?;
    let key = WorkloadKey::generate();
    let mut facts = charter(scene, &key, "staging", &database, &["read"]);
    let fields = facts.as_object_mut().context("the charter is no object")?;
    fields.insert("application".into(), json!(preview));
    let id = identity(scene, "billing-exporter-staging", facts).await?;
    let token = token(scene, &key, &id, "staging", false).await?;
    Ok((id, token))
}

async fn token(scene: &Scene, key: &WorkloadKey, identity: &str, environment: &str, aloud: bool) -> anyhow::Result<String> {
    let assertion = key.client_assertion(identity, &format!("{}/env/{environment}", scene.wire.url()))?;
    let path = format!("/env/{environment}/token");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let answer = if aloud {
        scene.wire.form(None, &path, &fields).await?
    } else {
        scene.wire.form_quiet(None, &path, &fields).await?
    };
    ensure!(answer.status == 200, "no token for {identity}: {}", answer.body);
    answer.text("/access_token")
}

fn question(scene: &Scene, identity: &str, token: &str) -> Value {
    json!({
        "subject": {"type": "identity", "id": identity, "properties": {"access_token": token}},
        "resource": {"type": "database", "id": scene.orders},
        "action": {"name": "read"},
    })
}

async fn decide(scene: &Scene, gateway: &str, identity: &str, token: &str) -> anyhow::Result<Value> {
    let answer = scene
        .wire
        .json(Method::POST, Some(gateway), "/access/v1/evaluation", Some(&question(scene, identity, token)))
        .await?;
    ensure!(answer.status == 200, "the decision failed");
    Ok(answer.at("/decision").clone())
}

async fn keys(scene: &Scene) -> anyhow::Result<super::wire::Answer> {
    scene.wire.json(Method::GET, None, "/.well-known/tenure-keys", None).await
}

async fn show_receipt(scene: &Scene, id: &str) -> anyhow::Result<()> {
    let answer = scene
        .wire
        .json(Method::GET, Some(&scene.security_token), &format!("/v1/receipts/{id}"), None)
        .await?;
    println!("    asked      {}", answer.text("/asked_at")?);
    println!("    in force   {}", answer.text("/in_force_at")?);
    for point in answer.at("/points").as_array().into_iter().flatten() {
        let (resource, outcome) = (point.pointer("/resource"), point.pointer("/outcome"));
        println!(
            "    {}   {}",
            resource.and_then(Value::as_str).unwrap_or_default(),
            outcome.unwrap_or(&Value::Null)
        );
    }
    println!("    state      {}", answer.text("/state")?);
    ensure!(answer.text("/state")? == "refused_verified", "the receipt is not verified");
    let public = keys(scene).await?;
    let key = receipt_key(public.at("/receipts/keys/0"))?;
    verify_receipt(&answer.text("/signed")?, &[key]).map_err(|error| anyhow::anyhow!("the receipt's signature fails: {error}"))?;
    println!("    the signature holds");
    Ok(())
}

fn receipt_key(jwk: &Value) -> anyhow::Result<VerifyingKey> {
    use base64::Engine as _;
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).with_context(|| format!("the receipt key has no {name}"));
    let public = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text("x")?)?;
    let public: [u8; 32] = public.try_into().map_err(|_| anyhow::anyhow!("the receipt key is no Ed25519 key"))?;
    Ok(VerifyingKey::new(text("kid")?.parse()?, &public)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
