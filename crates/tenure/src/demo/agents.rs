//! An agent asks for more while it runs, gets it for minutes, hands it on, and all of it dies with the agent.

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};

use super::organisation::Organisation;
use super::page::{say, step};
use super::using::decide;
use super::wire::{Answer, Speaker, TOKEN};
use super::workload::ASSERTION_TYPE;

const CIBA: &str = "urn:openid:params:grant-type:ciba";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What the support agent was given for minutes.
pub struct More {
    id: String,
    writing: String,
}

/// The agent asks people for more than it holds; what it had does not widen.
pub async fn more(harbour: &Organisation, gateway: &str) -> anyhow::Result<More> {
    step(
        16,
        "An agent asks for more while it runs, and gets it for minutes",
        "It declares its task (RFC 9396), asks as in OpenID CIBA, and two people answer, as the new policy wants. What it had does not widen.",
    )?;
    let id = harbour.places.id("identity:support-agent")?.to_owned();
    let task = json!([{"type": "tenure_task", "task": "find-order"}]).to_string();
    let orders = harbour.places.id("resource-uri:orders-db")?;
    let fields = [("grant_type", "client_credentials"), ("authorization_details", task.as_str()), ("resource", orders)];
    let reading = ask(harbour, "support-agent", "token", &fields).await?.text("/access_token")?;
    let denied = decide(harbour, gateway, &id, &reading, "write").await?;
    ensure!(denied.at("/decision") == &json!(false), "the agent writes with a task that only reads");

    let details = json!([{
        "type": "tenure_access", "locations": [orders], "actions": ["write"], "task": "redirect", "duration_secs": 300,
    }]);
    let details = details.to_string();
    let why = "customer 4711 has moved: order 1204 goes to the new address";
    let fields = [("authorization_details", details.as_str()), ("binding_message", why)];
    let asked = aloud(harbour, "support-agent", "bc-authorize", &fields).await?;
    ensure!(asked.status == 200, "the agent could not ask: {}", asked.body);
    let auth_req_id = asked.text("/auth_req_id")?;
    let fetch = [("grant_type", CIBA), ("auth_req_id", auth_req_id.as_str())];
    let waits = ask(harbour, "support-agent", "token", &fetch).await?;
    ensure!(waits.text("/error")? == "authorization_pending", "nobody answered, and yet: {}", waits.body);
    let request = asked.text("/request")?;
    let sam = harbour.person("sam")?;
    let parts = ["/purpose", "/route", "/waits_for"];
    let path = format!("/v1/requests/{request}");
    harbour.wire.aloud(sam.speaks(), Method::GET, &path, None, &parts).await?;
    harbour.settle(&request).await?;
    let settled = harbour.wire.get(&sam.token, &path).await?;
    let voters: Vec<String> = settled
        .at("/votes")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|vote| vote.get("by").and_then(Value::as_str))
        .map(|by| harbour.name_of(by))
        .collect();
    ensure!(settled.text("/state")? == "fulfilled" && voters.len() == 2, "two did not approve: {}", settled.body);
    say!("    approved by {}", voters.join(" and "))?;
    let given = aloud(harbour, "support-agent", "token", &fetch).await?;
    ensure!(given.status == 200, "the agent did not get what was approved: {}", given.body);
    let writing = given.text("/access_token")?;
    let allowed = decide(harbour, gateway, &id, &writing, "write").await?;
    ensure!(allowed.at("/decision") == &json!(true), "what was approved does not work: {}", allowed.body);
    let still = decide(harbour, gateway, &id, &reading, "write").await?;
    ensure!(still.at("/decision") == &json!(false), "the token that it had has widened");
    Ok(More { id, writing })
}

/// The agent hands it on, and is stopped: everything that derives from it is dead at once.
pub async fn parent(harbour: &Organisation, gateway: &str, more: &More) -> anyhow::Result<()> {
    step(
        17,
        "Another agent acts for it, and loses that with its parent",
        "Token exchange (RFC 8693): what both hold, within what the one's charter delegates to the other, for one task. The chain is in the record.",
    )?;
    let courier = harbour.places.id("identity:courier-agent")?;
    let subject_token = handed_on(harbour, "support-agent").await?;
    let task = task();
    let exchanged = aloud(harbour, "courier-agent", "token", &exchange(&subject_token, &task)).await?;
    ensure!(exchanged.status == 200, "the exchange was refused: {}", exchanged.body);
    let derived = exchanged.text("/access_token")?;
    let before = harbour.wire.form_quiet(gateway, "/env/production/introspect", &[("token", &derived)]).await?;
    say!(
        "    orders-gateway introspects it: for {}, by {}",
        harbour.name_of(&before.text("/sub")?),
        harbour.name_of(&before.text("/act/sub")?)
    )?;
    let allowed = decide(harbour, gateway, courier, &derived, "write").await?;
    ensure!(allowed.at("/decision") == &json!(true), "the courier may not: {}", allowed.body);

    let sam = harbour.person("sam")?;
    let body = json!({"reason": "it follows instructions from the mails of customers"});
    let path = format!("/v1/identities/{}/suspend", more.id);
    let stopped = harbour.wire.aloud(sam.speaks(), Method::POST, &path, Some(&body), &["/state"]).await?;
    ensure!(stopped.status == 200, "the agent was not stopped: {}", stopped.body);
    let after = decide(harbour, gateway, courier, &derived, "write").await?;
    ensure!(after.at("/decision") == &json!(false), "what derives from it still works");
    let own = decide(harbour, gateway, &more.id, &more.writing, "write").await?;
    ensure!(own.at("/decision") == &json!(false), "what it was given still works");
    Ok(())
}

/// An agent hands on to the courier what its charter lets it, and the courier acts for it, without a word.
///
/// # Errors
/// Either is refused.
pub async fn hand_on(harbour: &Organisation, parent: &str) -> anyhow::Result<()> {
    let subject_token = handed_on(harbour, parent).await?;
    let exchanged = ask(harbour, "courier-agent", "token", &exchange(&subject_token, &task())).await?;
    ensure!(exchanged.status == 200, "the exchange was refused: {}", exchanged.body);
    Ok(())
}

/// The token with which an agent lets the courier act for it.
async fn handed_on(harbour: &Organisation, parent: &str) -> anyhow::Result<String> {
    let courier = harbour.places.id("identity:courier-agent")?;
    let orders = harbour.places.id("resource-uri:orders-db")?;
    let details = json!([{"type": "tenure_delegation", "actor": courier, "locations": [orders], "actions": ["write"], "task": "redirect"}]);
    let details = details.to_string();
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", harbour.places.id("server:production")?),
        ("authorization_details", details.as_str()),
    ];
    let handed = ask(harbour, parent, "token", &fields).await?;
    ensure!(handed.status == 200, "the agent could not hand it on: {}", handed.body);
    handed.text("/access_token")
}

/// The task for which the courier acts.
fn task() -> String {
    json!([{"type": "tenure_task", "task": "redirect"}]).to_string()
}

fn exchange<'a>(subject_token: &'a str, task: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", EXCHANGE),
        ("subject_token", subject_token),
        ("subject_token_type", ACCESS_TOKEN),
        ("authorization_details", task),
    ]
}

async fn form(harbour: &Organisation, name: &str, fields: &[(&str, &str)]) -> anyhow::Result<Vec<(String, String)>> {
    let id = harbour.places.id(&format!("identity:{name}"))?;
    let assertion = harbour.assertion(harbour.key(name)?, id, "production")?;
    let mut all: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.push(("client_assertion_type".to_owned(), ASSERTION_TYPE.to_owned()));
    all.push(("client_assertion".to_owned(), assertion));
    Ok(all)
}

/// An agent's own request, with its proof, without a word.
async fn ask(harbour: &Organisation, name: &str, endpoint: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let form = form(harbour, name, fields).await?;
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    harbour.wire.form_quiet("", &format!("/env/production/{endpoint}"), &form).await
}

/// The same, aloud.
async fn aloud(harbour: &Organisation, name: &str, endpoint: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let form = form(harbour, name, fields).await?;
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let who = Speaker { name, token: "" };
    harbour.wire.form(who, &format!("/env/production/{endpoint}"), &form, TOKEN).await
}
