//! Before anything may authenticate: what is refused, what a rule lets through, and what one or two people approve.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_client::assertion::{WorkloadKey, sign_registration};
use tenure_core::base::time::Clock as _;
use tenure_credentials::entropy::OsEntropy;

use super::files;
use super::organisation::Organisation;
use super::page::{say, step};
use super::workload::Workload;

const IDENTITIES: &str = "/v1/identities";

/// No owner, no identity.
pub async fn ownerless(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        2,
        "A charter without an owner is refused",
        "No charter, no credential: the refusal names every field that is missing.",
    )?;
    let (_, mut body) = asked(harbour, files::INVOICE_EXPORTER)?;
    let charter = body.get_mut("charter").and_then(Value::as_object_mut).context("the file has no charter")?;
    charter.remove("owner");
    let olu = harbour.person("olu")?;
    let answer = harbour.wire.aloud(olu.speaks(), Method::POST, IDENTITIES, Some(&body), &["/fields"]).await?;
    ensure!(
        answer.status == 422 && answer.text("/fields/0/code")? == "owner_missing",
        "the charter without an owner was not refused for it"
    );
    Ok(())
}

/// What is low-risk, ephemeral and by a template needs nobody.
pub async fn ephemeral(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        3,
        "A job of minutes gets its decision and its credential in one call",
        "By a template, at low risk, outside production, for less than an hour: a named rule lets it through.",
    )?;
    let (key, mut body) = asked(harbour, files::STAGING_JOB)?;
    let name = body.get("name").and_then(Value::as_str).context("the file has no name")?.to_owned();
    let audience = format!("{}/env/staging", harbour.wire.url());
    let proof = sign_registration(&key, &name, &audience, harbour.clock.now(), &OsEntropy);
    if let Some(body) = body.as_object_mut() {
        body.insert("token".into(), json!({"proof": proof}));
    }
    let olu = harbour.person("olu")?;
    let parts = ["/state", "/tier", "/activation/policies", "/token/access_token", "/token/expires_in", "/token/scope"];
    let answer = harbour.wire.aloud(olu.speaks(), Method::POST, IDENTITIES, Some(&body), &parts).await?;
    ensure!(
        answer.status == 201 && answer.text("/state")? == "active" && answer.at("/activation/by") == &json!([]),
        "the job is not active by a rule: {}",
        answer.body
    );
    ensure!(answer.text("/token/access_token").is_ok(), "the job has no credential: {}", answer.body);
    Ok(())
}

/// Production waits for somebody other than who asks.
pub async fn standard(harbour: &Organisation) -> anyhow::Result<Workload> {
    step(
        4,
        "A production identity waits for its owner's manager",
        "Olu asks. His own approval is refused; Max, his manager, votes on exactly what he read.",
    )?;
    let (key, body) = asked(harbour, files::INVOICE_EXPORTER)?;
    let (olu, max) = (harbour.person("olu")?, harbour.person("max")?);
    let parts = ["/state", "/tier", "/request"];
    let answer = harbour.wire.aloud(olu.speaks(), Method::POST, IDENTITIES, Some(&body), &parts).await?;
    ensure!(answer.status == 201 && answer.text("/state")? == "pending", "the identity does not wait: {}", answer.body);
    let (id, request) = (answer.text("/id")?, answer.text("/request")?);
    let refused = harbour.ask_token(&key, &id, "production").await?;
    ensure!(refused.status != 200, "a pending identity got a token");
    let own = harbour.vote_aloud(olu, &request, 403, &["/code", "/detail"]).await?;
    ensure!(own.text("/code")? == "self_approval", "the own approval was refused for {}", own.body);
    let done = harbour.vote_aloud(max, &request, 200, &["/state", "/votes/0/purpose"]).await?;
    ensure!(done.text("/state")? == "fulfilled", "the manager's vote did not settle it");
    Ok(Workload { id, key })
}

/// What is high-risk takes two.
pub async fn high_risk(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        5,
        "High risk takes two people",
        "Payments are restricted data, in production, and the access is privileged: the manager and security, and for 30 days at most.",
    )?;
    let (_, body) = asked(harbour, files::PAYOUTS)?;
    let (olu, max, sam) = (harbour.person("olu")?, harbour.person("max")?, harbour.person("sam")?);
    let answer = harbour
        .wire
        .aloud(olu.speaks(), Method::POST, IDENTITIES, Some(&body), &["/state", "/tier", "/request"])
        .await?;
    ensure!(answer.status == 201 && answer.text("/tier")? == "high", "it is not of high risk: {}", answer.body);
    let request = answer.text("/request")?;
    let first = harbour.vote_aloud(max, &request, 200, &["/state", "/route", "/waits_for"]).await?;
    ensure!(first.text("/state")? == "open", "one vote was enough");
    let again = harbour.vote_aloud(max, &request, 403, &["/code"]).await?;
    ensure!(again.text("/code")? == "not_eligible", "one person filled two places");
    let second = harbour.vote_aloud(sam, &request, 200, &["/state"]).await?;
    ensure!(second.text("/state")? == "fulfilled", "two votes were not enough");
    Ok(())
}

/// The same gate for people, by a workflow of their own.
pub async fn access_of_a_person(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        6,
        "A person asks for access, too",
        "Pia joins accounting: a package, for a while, approved by her manager. It grows after a month and lapses without its early review.",
    )?;
    let (pia, max) = (harbour.person("pia")?, harbour.person("max")?);
    let matter = json!({"type": "person_access", "person": pia.id, "package": "accounting-clerk", "duration": "90d"});
    let body = json!({"matter": matter, "purpose": "joins accounting"});
    let asked = harbour
        .wire
        .aloud(pia.speaks(), Method::POST, "/v1/requests", Some(&body), &["/state", "/workflow", "/route"])
        .await?;
    ensure!(asked.status == 201, "the request was refused");
    let request = asked.text("/id")?;
    let done = harbour.vote_aloud(max, &request, 200, &["/state"]).await?;
    ensure!(done.text("/state")? == "fulfilled", "the manager's vote did not settle it");
    let held = harbour.wire.get(&pia.token, &format!("/v1/people/{}/access", pia.id)).await?;
    let mut grants = held.at("/access").as_array().cloned().unwrap_or_default();
    let text = |grant: &Value, pointer: &str| grant.pointer(pointer).and_then(Value::as_str).unwrap_or("·").to_owned();
    grants.sort_by_key(|grant| (text(grant, "/starts_at"), harbour.name_of(&text(grant, "/entitlement/resource"))));
    let day = |text: String| text.split('T').next().unwrap_or_default().to_owned();
    let mut rows = vec![["may", "state", "from", "early review by", "until"].map(str::to_owned).to_vec()];
    for grant in &grants {
        let resource = harbour.name_of(&text(grant, "/entitlement/resource"));
        rows.push(vec![
            format!("{} {resource}", text(grant, "/entitlement/actions/0")),
            text(grant, "/state"),
            day(text(grant, "/starts_at")),
            day(text(grant, "/review_by")),
            day(text(grant, "/until")),
        ]);
    }
    super::page::table(&rows)?;
    let states: Vec<String> = grants.iter().map(|grant| text(grant, "/state")).collect();
    ensure!(states == ["live", "live", "scheduled"], "the package gave {states:?}: {}", held.body);
    let first = grants.first().unwrap_or(&Value::Null);
    ensure!(text(first, "/review_by") != "·", "no early review is due");
    say!("    need: {}", text(first, "/need"))?;
    Ok(())
}

/// A request of the files, filled in with a fresh key.
fn asked(harbour: &Organisation, file: &str) -> anyhow::Result<(WorkloadKey, Value)> {
    let key = WorkloadKey::generate();
    let body = harbour.places.fill(file, harbour.now, Some(&key.public_jwk()))?;
    Ok((key, body))
}

impl Organisation {
    /// What the files call the thing with this id.
    pub fn name_of(&self, id: &str) -> String {
        let found = self.places.ids.iter().find(|(_, known)| *known == id);
        let name = found.and_then(|(name, _)| name.split(':').next_back());
        name.unwrap_or(id).to_owned()
    }
}
