//! The real world ends an identity: a repository is archived, and what was its pipeline's is over.

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_credentials::signal::github_signature;

use super::organisation::Organisation;
use super::page::{Ink, exchange, say, step};
use super::wire::Answer;

/// GitHub says that a repository was archived: its pipeline is cut and held at once, and retires when nobody objects.
pub async fn pipeline(harbour: &Organisation) -> anyhow::Result<()> {
    step(
        15,
        "A repository is archived, and its pipeline ends",
        "GitHub's signed webhook cuts and holds what the repository's pipeline has. After a week (here seconds) it retires, unless security objects.",
    )?;
    let (ada, bea, mia, sam) =
        (harbour.person("ada")?, harbour.person("bea")?, harbour.person("mia")?, harbour.person("sam")?);
    let body = json!({
        "name": "github", "format": "github", "owner": mia.id, "auth": {"type": "hmac"},
        "kinds": ["repository_archived", "run_ended"], "subjects": ["repository:harbour/*"], "blast_cap": 5,
    });
    let parts = ["/state", "/secret", "/delivery_url"];
    let proposed = harbour.wire.aloud(ada.speaks(), Method::POST, "/v1/sources", Some(&body), &parts).await?;
    ensure!(proposed.text("/state")? == "proposed", "one administrator was enough: {}", proposed.body);
    let confirm = format!("/v1/sources/{}/confirm", proposed.text("/id")?);
    let confirmed =
        harbour.wire.aloud(bea.speaks(), Method::POST, &confirm, None, &["/state", "/confirmed_by"]).await?;
    ensure!(confirmed.text("/state")? == "active", "the source is not confirmed: {}", confirmed.body);

    let id = harbour.places.id("identity:ci-insights")?;
    let key = harbour.key("ci-insights")?;
    harbour.token(key, id, "production").await?;
    let body = json!({
        "subject": {"type": "repository", "id": "harbour/insights"}, "reason": "what would it take with it?", "dry_run": true,
    });
    let parts = ["/blast/count", "/blast/identities", "/blast/live_credentials", "/digest"];
    let planned = harbour.wire.aloud(sam.speaks(), Method::POST, "/v1/removals", Some(&body), &parts).await?;
    ensure!(planned.at("/blast/identities") == &json!([id]), "the plan names others: {}", planned.body);

    let delivery = archived().to_string();
    let signature = github_signature(&proposed.text("/secret")?, delivery.as_bytes());
    let path = format!("/signals/{}", proposed.text("/id")?);
    let headers = [
        ("x-github-event", "repository"),
        ("x-github-delivery", "7b1e2f10"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let forged = [headers[0], headers[1], ("x-hub-signature-256", "sha256=00")];
    let refused = harbour.wire.webhook("somebody", &path, &forged, delivery.clone()).await?;
    ensure!(refused.status == 401, "an unsigned delivery was taken");
    let taken = harbour.wire.webhook("GitHub", &path, &headers, delivery.clone()).await?;
    ensure!(
        taken.status == 202 && taken.at("/duplicate") == &json!(false),
        "the delivery was not taken: {}",
        taken.body
    );

    let list = "/v1/removals?subject=repository:harbour/insights";
    let held = harbour.until(&sam.token, list, |answer| answer.items().next().is_some()).await?;
    ensure!(held.at("/items/0/digest") == planned.at("/digest"), "the effect is not what the plan said: {}", held.body);
    say!("    the removal took exactly what the plan named: the digests are the same")?;
    let refused = harbour.ask_token(key, id, "production").await?;
    ensure!(refused.status != 200, "the pipeline still gets tokens");
    exchange(
        "ci-insights POST /env/production/token",
        Ink::Red,
        &refused.status.to_string(),
        &refused.text("/reason_code")?,
    )?;
    let again = harbour.wire.webhook("GitHub", &path, &headers, delivery).await?;
    ensure!(again.at("/duplicate") == &json!(true), "a delivery counted twice: {}", again.body);

    let identity = format!("/v1/identities/{id}");
    let retired = |answer: &Answer| answer.at("/state") == &json!("retired");
    harbour.until_aloud("the end of the time in which security could object", &sam.token, &identity, retired).await?;
    let parts = ["/state", "/retirement/because"];
    harbour.wire.aloud(mia.speaks(), Method::GET, &identity, None, &parts).await?;
    Ok(())
}

/// What GitHub sends when a repository is archived (docs.github.com, webhook event `repository`), as far as it matters.
fn archived() -> Value {
    json!({
        "action": "archived",
        "repository": {
            "id": 703_114_221, "node_id": "R_kgDOKejZrQ", "name": "insights", "full_name": "harbour/insights", "archived": true, "private": true,
            "owner": {"id": 9_001_177, "login": "harbour", "type": "Organization"},
            "updated_at": "2026-11-20T09:12:44Z",
        },
        "sender": {"id": 40_213, "login": "mia-costa", "type": "User"},
    })
}
