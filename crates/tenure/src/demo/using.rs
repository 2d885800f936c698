//! What is approved is used: within its environment, within what its charter says now, and with an answer to every
//! "why".

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::files;
use super::organisation::Organisation;
use super::page::{say, step};
use super::wire::{Answer, Speaker, TOKEN};
use super::workload::{Workload, field, joined, proof};

/// The workload proves itself, and the gateway lets its call through.
pub async fn allowed(harbour: &Organisation, exporter: &Workload, gateway: &str) -> anyhow::Result<String> {
    step(
        7,
        "The workload proves itself, and its call is allowed",
        "An assertion by its own key (RFC 7523) gets a token of minutes; the database's gateway asks for a decision (OpenID AuthZEN).",
    )?;
    let assertion = harbour.assertion(&exporter.key, &exporter.id, "production")?;
    let who = Speaker { name: "invoice-exporter", token: "" };
    let answer = harbour.wire.form(who, "/env/production/token", &proof(&assertion), TOKEN).await?;
    ensure!(answer.status == 200, "no token for the exporter: {}", answer.body);
    let token = answer.text("/access_token")?;
    let answer = decide(harbour, gateway, &exporter.id, &token, "read").await?;
    ensure!(answer.at("/decision") == &json!(true), "the call was not allowed");
    Ok(token)
}

/// A credential of staging is worth nothing in production.
pub async fn elsewhere(harbour: &Organisation, gateway: &str) -> anyhow::Result<()> {
    step(
        8,
        "A credential of another environment is denied, and found",
        "orders-replica-staging, with a good token of its own, asks for the production database.",
    )?;
    let id = harbour.places.id("identity:orders-replica-staging")?;
    let token = harbour.token(harbour.key("orders-replica-staging")?, id, "staging").await?;
    let answer = decide(harbour, gateway, id, &token, "read").await?;
    ensure!(
        answer.at("/decision") == &json!(false) && answer.text("/context/reason_code")? == "wrong_environment",
        "the call from staging was not denied for its environment"
    );
    let path = format!("/v1/findings?state=open&subject={id}");
    let parts = [
        "/items/0/rule",
        "/items/0/severity",
        "/items/0/evidence/environment",
        "/items/0/evidence/resource_environment",
    ];
    let sam = harbour.person("sam")?;
    let found = harbour.wire.aloud(sam.speaks(), Method::GET, &path, None, &parts).await?;
    ensure!(found.text("/items/0/rule")? == "environment-mismatch", "no finding was raised");
    Ok(())
}

/// A campaign asks whether what exists is still needed. Narrowed to what was used it works on, and a wider charter is
/// asked for.
pub async fn narrowed(harbour: &Organisation, exporter: &Workload, gateway: &str, token: &str) -> anyhow::Result<()> {
    step(
        9,
        "A review narrows it to what it used",
        "A campaign asks whoever answers for each identity of an application whether it is still needed. What was not used is taken back at once; what nobody answers for is suspended by the deadline.",
    )?;
    let (sam, olu) = (harbour.person("sam")?, harbour.person("olu")?);
    let scope = format!("application={}", harbour.places.id("application:billing")?);
    let ask = json!({"name": "Billing, before the audit", "scope": scope, "reason": "the audit is near"});
    let parts = ["/name", "/in_scope", "/due_at"];
    let opened = harbour.wire.aloud(sam.speaks(), Method::POST, "/v1/campaigns", Some(&ask), &parts).await?;
    ensure!(opened.status == 201, "no campaign was opened: {}", opened.body);
    let id = opened.text("/id")?;
    harbour.until(&sam.token, &format!("/v1/campaigns/{id}"), |seen| seen.at("/state") == "open").await?;
    let listed = format!("/v1/reviews?campaign={id}&identity={}", exporter.id);
    let review = harbour.wire.get(&olu.token, &listed).await?.text("/items/0/id")?;
    let path = format!("/v1/reviews/{review}");
    let parts =
        ["/facts/granted/0/action", "/facts/granted/0/verdict", "/facts/granted/1/action", "/facts/granted/1/verdict"];
    let seen = harbour.wire.aloud(olu.speaks(), Method::GET, &path, None, &parts).await?;
    let used = |one: &&Value| one.get("verdict").is_some_and(|verdict| verdict == "used");
    let granted = seen.at("/facts/granted").as_array().context("the review says nothing of what is granted")?;
    let used: Vec<&str> = granted.iter().filter(used).map(|one| field(one, "action")).collect::<Result<_, _>>()?;
    ensure!(used == ["read"] && granted.len() == 2, "another use was counted: {}", seen.body);

    let shown = harbour.wire.get(&olu.token, &format!("/v1/identities/{}", exporter.id)).await?;
    let wide = shown.at("/charter").clone();
    let left = json!([{"actions": used, "resource": harbour.places.id("resource:orders-db")?}]);
    let ask = json!({"answer": "narrow", "scope": left, "comment": "it marks nothing as exported any more"});
    let path = format!("{path}/complete");
    let parts = ["/answer/answer", "/answer/dropped/0/actions"];
    let answer = harbour.wire.aloud(olu.speaks(), Method::POST, &path, Some(&ask), &parts).await?;
    ensure!(answer.status == 200, "the review was not answered: {}", answer.body);
    let answer = decide(harbour, gateway, &exporter.id, token, "write").await?;
    ensure!(answer.at("/decision") == &json!(false), "the old token still writes");
    let answer = decide(harbour, gateway, &exporter.id, token, "read").await?;
    ensure!(answer.at("/decision") == &json!(true), "the old token no longer reads");
    let path = format!("/v1/identities/{}/charter", exporter.id);
    let answer = harbour.wire.aloud(olu.speaks(), Method::PUT, &path, Some(&wide), &["/code"]).await?;
    ensure!(answer.status == 403 && answer.text("/code")? == "approval_needed", "the wider charter was let through");
    Ok(())
}

/// Who approved what, for which need, and what ends it; and who could touch a resource.
pub async fn why(harbour: &Organisation, exporter: &Workload) -> anyhow::Result<()> {
    step(
        10,
        "Why",
        "Who approved what, for which need, and what ends it; who can touch the database now; why somebody was refused. From the log.",
    )?;
    let (olu, aud) = (harbour.person("olu")?, harbour.person("aud")?);
    let path = format!("/v1/identities/{}/access", exporter.id);
    let parts = ["/access/0/entitlement/actions", "/access/0/need", "/access/0/ends"];
    let answer = harbour.wire.aloud(olu.speaks(), Method::GET, &path, None, &parts).await?;
    let by = answer.text("/access/0/approved_by/0")?;
    ensure!(by == harbour.person("max")?.id, "another approver is named: {}", answer.body);
    say!("    approved by {}", harbour.name_of(&by))?;

    let path = format!("/v1/resources/{}/access", harbour.places.id("resource:orders-db")?);
    let answer = harbour.wire.aloud(aud.speaks(), Method::GET, &path, None, &["/entries"]).await?;
    ensure!(answer.status == 200, "the auditor gets no answer");
    let mut rows = vec![["who", "may", "approved by", "for"].map(str::to_owned).to_vec()];
    for access in answer.at("/access").as_array().into_iter().flatten() {
        let by = joined(access.get("approved_by").unwrap_or(&Value::Null));
        let by: Vec<String> = by.split(", ").map(|id| harbour.name_of(id)).collect();
        let holder = field(access, "holder")?;
        let holder = if holder == exporter.id { "invoice-exporter".to_owned() } else { harbour.name_of(holder) };
        let may = joined(access.get("actions").unwrap_or(&Value::Null));
        rows.push(vec![holder, may, by.join(", "), field(access, "purpose")?.to_owned()]);
    }
    super::page::table(&rows)?;
    let held = |name: &str| rows.iter().any(|row| row.first().is_some_and(|holder| holder == name));
    ensure!(held("invoice-exporter") && held("pia") && !held("svc-restore"), "others can touch the database: {rows:?}");

    let path = format!("/v1/refusals?subject={}", exporter.id);
    let parts = ["/items/0/asked", "/items/0/reason", "/items/0/hint"];
    let answer = harbour.wire.aloud(olu.speaks(), Method::GET, &path, None, &parts).await?;
    ensure!(answer.text("/items/0/reason")? == "approval_needed", "the refusal is not on record: {}", answer.body);
    Ok(())
}

/// A policy changes by two people, who see what it changes.
pub async fn policy(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        13,
        "Meanwhile, a policy changes by two people",
        "Sam proposes that an agent always takes two. Bea sees what differs, and which recent decisions would come out otherwise.",
    )?;
    let (ada, bea, sam) = (harbour.person("ada")?, harbour.person("bea")?, harbour.person("sam")?);
    let before = harbour.wire.get(&ada.token, "/v1/policy").await?;
    let text = format!("{}{}", before.text("/text")?, files::TWO_FOR_AGENTS);
    let body = json!({"purpose": "agents act faster than one person reads", "text": text});
    let asked = harbour
        .wire
        .aloud(sam.speaks(), Method::POST, "/v1/policies", Some(&body), &["/state", "/matter/policy"])
        .await?;
    ensure!(asked.status == 201 && asked.text("/state")? == "open", "the policy needs nobody: {}", asked.body);
    let path = format!("/v1/policies/{}", asked.text("/matter/policy")?);
    let parts =
        ["/review/diff/added/0/id", "/review/replay/asked", "/review/replay/changed_count", "/review/analysis/verdict"];
    let review = harbour.wire.aloud(bea.speaks(), Method::GET, &path, None, &parts).await?;
    ensure!(review.status == 200, "the review failed: {}", review.body);
    let mut rows = vec![["decision", "kind", "tier", "environment", "was", "becomes"].map(str::to_owned).to_vec()];
    for changed in review.at("/review/replay/changed").as_array().into_iter().flatten() {
        let cell = |pointer: &str| changed.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let verdict = |side: &str| {
            let allowed = changed.pointer(&format!("/{side}/allowed")) == Some(&json!(true));
            let policies = joined(changed.pointer(&format!("/{side}/policies")).unwrap_or(&Value::Null));
            format!("{} by {policies}", if allowed { "allowed" } else { "denied" })
        };
        rows.push(vec![
            cell("/question/action"),
            cell("/question/context/kind"),
            cell("/question/context/tier"),
            cell("/question/resource/attributes/environment"),
            verdict("was"),
            verdict("becomes"),
        ]);
    }
    super::page::table(&rows)?;
    ensure!(rows.len() > 1, "no recent decision would come out otherwise: {}", review.at("/review/replay"));
    let done = harbour.vote_aloud(bea, &asked.text("/id")?, 200, &["/state", "/single_person"]).await?;
    ensure!(done.text("/state")? == "fulfilled", "an administrator's vote did not settle it");
    let after = harbour.wire.get(&ada.token, "/v1/policy").await?;
    let mut versions = String::new();
    for policy in [&before, &after] {
        let version: String = policy.text("/version")?.chars().take(19).collect();
        write!(versions, "{}{version}…", if versions.is_empty() { "" } else { " → " })?;
    }
    say!("    in force: {versions}")?;
    ensure!(before.text("/version")? != after.text("/version")?, "the old set is still in force");
    Ok(())
}

/// The gateway asks about the orders database.
pub async fn decide(
    harbour: &Organisation,
    gateway: &str,
    identity: &str,
    token: &str,
    action: &str,
) -> anyhow::Result<Answer> {
    let question = harbour.question(identity, token, action)?;
    let who = Speaker { name: "orders-gateway", token: gateway };
    let parts = ["/context/reason_code", "/context/policies"];
    let answer = harbour.wire.aloud(who, Method::POST, "/access/v1/evaluation", Some(&question), &parts).await?;
    ensure!(answer.status == 200, "the decision failed: {}", answer.body);
    Ok(answer)
}
