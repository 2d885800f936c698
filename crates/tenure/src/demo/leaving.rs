//! Somebody leaves: what they answered for finds another owner, or stops.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::database::Login;
use super::files;
use super::organisation::Organisation;
use super::page::{say, step};
use super::wire::Answer;
use super::workload::field;

/// What the departure left.
pub struct Leave {
    /// Those whose transfer nobody took, by name.
    left: Vec<&'static str>,
}

/// Lea leaves by HR's feed. One identity is taken, one declined, one is nobody's.
pub async fn departure(harbour: &Organisation, login: Option<&Login>) -> anyhow::Result<Leave> {
    step(
        12,
        "Somebody leaves, and each of her identities is offered to somebody",
        "HR's feed says that Lea has left. Nothing breaks at once: each identity gets a window (a week; here seconds) to find an owner.",
    )?;
    let (ada, hal, olu, sam) =
        (harbour.person("ada")?, harbour.person("hal")?, harbour.person("olu")?, harbour.person("sam")?);
    let lea = harbour.person("lea")?;
    let content = files::fill_feed(files::LEAVERS, harbour.now)?;
    let body = json!({"source": "hr", "complete": false, "format": "csv", "content": content});
    let parts = ["/items/0/outcome", "/items/0/key"];
    let done = harbour.wire.aloud(ada.speaks(), Method::POST, "/v1/people/import", Some(&body), &parts).await?;
    ensure!(done.text("/items/0/outcome")? == "left", "the feed did not end her time: {}", done.body);
    let gone = harbour.wire.quiet(Method::GET, &lea.token, "/v1/identities", None).await?;
    ensure!(gone.status == 401, "what stood for her still works");

    let page = harbour.wire.get(&sam.token, &format!("/v1/transfers?from={}", lea.id)).await?;
    let mut transfers = BTreeMap::new();
    let mut rows = vec![["identity", "offered to", "transfer"].map(str::to_owned).to_vec()];
    for transfer in page.items() {
        let name = harbour.name_of(field(transfer, "identity")?);
        let to = transfer.get("offered_to").and_then(Value::as_str);
        rows.push(vec![
            name.clone(),
            to.map_or_else(|| "nobody yet".to_owned(), |to| harbour.name_of(to)),
            field(transfer, "state")?.to_owned(),
        ]);
        transfers.insert(name, field(transfer, "id")?.to_owned());
    }
    super::page::table(&rows)?;
    let transfer = |name: &str| transfers.get(name).with_context(|| format!("{name} has no transfer"));
    let path = format!("/v1/transfers/{}/accept", transfer("demand-forecast")?);
    let taken = harbour.wire.aloud(hal.speaks(), Method::POST, &path, None, &["/state"]).await?;
    ensure!(taken.text("/state")? == "accepted", "it was not taken: {}", taken.body);
    let path = format!("/v1/transfers/{}", transfer("churn-report")?);
    let body = json!({"to": olu.id});
    let offered =
        harbour.wire.aloud(sam.speaks(), Method::POST, &format!("{path}/offer"), Some(&body), &["/state"]).await?;
    ensure!(offered.status == 200, "it was not offered: {}", offered.body);
    let declined =
        harbour.wire.aloud(olu.speaks(), Method::POST, &format!("{path}/decline"), None, &["/state"]).await?;
    ensure!(declined.status == 200, "it was not declined: {}", declined.body);
    transfer("basket-agent")?;
    let mut left = vec!["churn-report", "basket-agent"];
    if login.is_some() {
        transfer(Login::NAME)?;
        left.push(Login::NAME);
    }
    Ok(Leave { left })
}

/// What nobody took stops at the deadline.
pub async fn lapse(harbour: &Organisation, leave: &Leave, login: Option<&Login>) -> anyhow::Result<()> {
    step(
        14,
        "At the deadline, what nobody took is suspended",
        "It gets no credential, its tokens and logins are refused; who accepts it later lets it go on. What was taken never stopped.",
    )?;
    let sam = harbour.person("sam")?;
    let mut rows = vec![["identity", "state", "because", "owner"].map(str::to_owned).to_vec()];
    for name in &leave.left {
        let id = harbour.places.id(&format!("identity:{name}"))?;
        let path = format!("/v1/identities/{id}");
        let suspended = |answer: &Answer| answer.at("/state") == &json!("suspended");
        let stopped = harbour.until_aloud("the deadline of what nobody took", &sam.token, &path, suspended).await?;
        let because = stopped.text("/suspensions/0/kind")?;
        ensure!(because == "transfer_lapsed", "{name} was suspended for something else: {because}");
        if *name != Login::NAME {
            let refused = harbour.ask_token(harbour.key(name)?, id, "production").await?;
            ensure!(refused.status != 200, "{name} still gets tokens");
        }
        rows.push(vec![(*name).to_owned(), "suspended".into(), because, "nobody".into()]);
    }
    let id = harbour.places.id("identity:demand-forecast")?;
    let taken = harbour.wire.get(&sam.token, &format!("/v1/identities/{id}")).await?;
    let owner = taken.text("/charter/owner")?;
    ensure!(
        taken.text("/state")? == "active" && owner == harbour.person("hal")?.id,
        "what was taken did not go on: {}",
        taken.body
    );
    harbour.token(harbour.key("demand-forecast")?, id, "production").await?;
    rows.push(vec!["demand-forecast".into(), "active".into(), "·".into(), harbour.name_of(&owner)]);
    super::page::table(&rows)?;
    match login {
        Some(login) => login.stopped(harbour).await,
        None => Ok(()),
    }
}

/// What nobody took for long retires.
pub async fn retirement(harbour: &mut Organisation, leave: &Leave, login: Option<Login>) -> anyhow::Result<()> {
    step(
        18,
        "What nobody took for long retires, and its login is gone",
        "After a month (here seconds) without an owner it ends for good: the login is dropped in the database itself.",
    )?;
    let mut rows = vec![["identity", "because"].map(str::to_owned).to_vec()];
    for name in &leave.left {
        let path = format!("/v1/identities/{}", harbour.places.id(&format!("identity:{name}"))?);
        let retires = |answer: &Answer| answer.at("/retirement/because").is_string();
        let token = &harbour.person("sam")?.token;
        let ended = harbour.until_aloud("the end of what nobody took", token, &path, retires).await?;
        rows.push(vec![(*name).to_owned(), ended.text("/retirement/because")?]);
    }
    super::page::table(&rows)?;
    match login {
        Some(login) => login.ended(harbour).await,
        None => Ok(say!("    There was no login: no database is installed here.")?),
    }
}
