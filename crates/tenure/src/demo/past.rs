//! What was before the demo's story, and since: an organisation that is left running has months behind it, by the
//! same calls, on a server whose clock is handed in.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tenure_client::assertion::{WorkloadKey, sign_enrolment};
use tenure_core::base::time::{Clock, Span};
use tenure_credentials::entropy::OsEntropy;

use super::agents;
use super::files;
use super::organisation::{Organisation, merge};
use super::page::say;

/// How long ago the organisation began.
pub const BEGAN: Span = Span::from_days(108);
/// How long the server's log stands still before all that fell due is done.
const QUIET: Duration = Duration::from_millis(350);
/// The longest wait for that.
const PATIENCE: Duration = Duration::from_secs(30);
/// How old operator tokens may get, which live for thirty days.
const TOKEN_AGE: Span = Span::from_days(9);

/// What is told of an identity that isn't in the story.
struct Life<'a> {
    harbour: &'a mut Organisation,
    folder: &'a Path,
    lives: Vec<Value>,
}

impl Life<'_> {
    /// Registers an identity of the past, and has it approved as it needs.
    async fn begins(&mut self, name: &str) -> anyhow::Result<()> {
        let (kind, common, entry) = self.of(name)?;
        self.harbour.register(&kind, name, &common, &entry).await.with_context(|| format!("{name} of the past"))
    }

    /// The same, without anybody's vote: its request waits.
    async fn waits(&mut self, name: &str) -> anyhow::Result<()> {
        let (kind, mut charter, entry) = self.of(name)?;
        merge(&mut charter, entry.get("charter"));
        let key = WorkloadKey::generate();
        self.harbour.places.fill_value(&mut charter, self.harbour.now, Some(&key.public_jwk()))?;
        let owner = charter.get("owner").and_then(Value::as_str).unwrap_or_default().to_owned();
        merge(
            &mut charter,
            Some(&json!({"parties": {"requester": owner, "operator": "team commerce", "beneficiary": "customers"}})),
        );
        let asker = self.harbour.by_id(&owner)?.token.clone();
        let body = json!({"kind": kind, "name": name, "stage": "pending", "charter": charter});
        self.harbour.wire.post(&asker, "/v1/identities", body).await.map(drop)
    }

    fn of(&self, name: &str) -> anyhow::Result<(String, Value, Value)> {
        let called = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(name);
        let entry = self.lives.iter().find(called).with_context(|| format!("past.json has no {name}"))?.clone();
        let kind = entry.get("kind").and_then(Value::as_str).context("an identity of the past has no kind")?;
        let common = json!({
            "trust_boundary": {"type": "trust_domain", "value": "prod.harbour.example"}, "environment": "production",
            "expires_at": "{today+60d}", "retirement": [{"type": "idle", "after": "30d"}], "rotation_cadence": "30d",
            "coverage": "role_based",
        });
        Ok((kind.to_owned(), common, entry))
    }

    /// Gets a token for each of them, as they do all day.
    async fn work(&self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            let id = self.harbour.places.id(&format!("identity:{name}"))?;
            self.harbour.token(self.harbour.key(name)?, id, "production").await?;
        }
        Ok(())
    }

    /// The same for all that work every few days.
    async fn all_work(&self) -> anyhow::Result<()> {
        for name in AT_WORK {
            played(self.work(&[*name]).await)?;
        }
        Ok(())
    }

    /// Has somebody do something with an identity.
    async fn does(&self, who: &str, name: &str, deed: &str, reason: &str) -> anyhow::Result<()> {
        let id = self.harbour.places.id(&format!("identity:{name}"))?;
        let token = &self.harbour.person(who)?.token;
        let path = format!("/v1/identities/{id}/{deed}");
        self.harbour.wire.post(token, &path, json!({"reason": reason})).await.map(drop)
    }

    /// Lets days pass, and waits until what fell due meanwhile is done.
    async fn pass(&mut self, days: i64) -> anyhow::Result<()> {
        if self.harbour.clock.now().since(self.harbour.tokens_since) > TOKEN_AGE {
            self.harbour.renew_tokens(self.folder, Some("30d")).await?;
        }
        self.harbour.clock.pass(Span::from_days(days));
        self.harbour.now = self.harbour.clock.now();
        settled(self.harbour).await
    }
}

/// Waits until the log has not grown for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a client at the edge: it measures and reads its environment"
)]
async fn settled(harbour: &Organisation) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (mut size, mut since) = (String::new(), Instant::now());
    while since.elapsed() < QUIET {
        ensure!(begun.elapsed() < PATIENCE, "the server has not come to rest");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let checkpoint = harbour.wire.text("/v1/log/checkpoint").await?;
        let now = checkpoint.lines().nth(1).unwrap_or_default().to_owned();
        if now != size {
            (size, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// A part of the past was played, or is left out, and that is said: the story doesn't rest on it.
fn played(part: anyhow::Result<()>) -> std::io::Result<()> {
    match part {
        Ok(()) => Ok(()),
        Err(error) => say!("    left out of the past: {error:#}"),
    }
}

fn life<'a>(harbour: &'a mut Organisation, folder: &'a Path) -> anyhow::Result<Life<'a>> {
    let lives = serde_json::from_str(files::PAST).context("past.json is no list")?;
    Ok(Life { harbour, folder, lives })
}

/// What came and went before the story: ended by its date, by somebody, by having nothing to do, by a leak.
///
/// # Errors
/// A step did not give what it should.
pub async fn months(harbour: &mut Organisation, folder: &Path) -> anyhow::Result<()> {
    harbour.renew_tokens(folder, Some("30d")).await?;
    let mut life = life(harbour, folder)?;
    played(life.begins("coupon-importer").await)?;
    played(life.begins("svc-loyalty").await)?;
    played(life.work(&["coupon-importer", "svc-loyalty"]).await)?;
    life.pass(18).await?;
    played(life.begins("ci-app").await)?;
    played(life.work(&["coupon-importer", "svc-loyalty", "ci-app"]).await)?;
    life.pass(18).await?;
    let loyalty = life.harbour.places.id("identity:svc-loyalty")?.to_owned();
    let leaked =
        json!({"target": {"type": "identity", "id": loyalty}, "reason": "its key stood in a chat", "suspend": true});
    played(life.harbour.wire.post(&life.harbour.person("sam")?.token, "/v1/revocations", leaked).await.map(drop))?;
    played(life.does("lea", "svc-loyalty", "retire", "points are counted by the shop itself now").await)?;
    played(life.begins("price-agent").await)?;
    played(life.work(&["ci-app"]).await)?;
    life.pass(16).await?;
    played(life.work(&["ci-app"]).await)?;
    played(life.does("hal", "ci-app", "retire", "the app is built with the shop").await)?;
    played(life.begins("pallet-bot").await)?;
    played(life.work(&["pallet-bot"]).await)?;
    life.pass(16).await?;
    played(life.does("sam", "pallet-bot", "suspend", "it wrote to every ticket that was open").await)?;
    life.pass(16).await?;
    let names = life.lives.iter().filter_map(|life| life.get("name").and_then(Value::as_str)).map(str::to_owned);
    let names: Vec<_> = names.collect();
    life.harbour.forget(&names);
    Ok(())
}

/// Identities that work every few days.
const AT_WORK: &[&str] = &[
    "svc-checkout",
    "orders-gateway",
    "parcel-labels",
    "fraud-scorer",
    "parcelo-tracking",
    "brightmail-newsletter",
    "ticket-bot",
];

/// What happened since the story, and what of it waits: votes, a removal, a transfer, an exception near its end, a join
/// token that was shown twice.
///
/// # Errors
/// A step did not give what it should.
pub async fn weeks(harbour: &mut Organisation, folder: &Path) -> anyhow::Result<()> {
    harbour.renew_tokens(folder, Some("30d")).await?;
    harbour.now = harbour.clock.now();
    let mut life = life(harbour, folder)?;
    played(life.begins("returns-agent").await)?;
    for n in 0..4 {
        life.all_work().await?;
        played(agents::hand_on(life.harbour, "returns-agent").await)?;
        if n == 0 {
            played(life.exception("ticket-bot", "the team is at the fair, and reviews it afterwards", "26d").await)?;
        }
        life.pass(5).await?;
    }
    life.all_work().await?;
    played(agents::hand_on(life.harbour, "returns-agent").await)?;
    // Votes of several people.
    played(life.waits("svc-refunds").await)?;
    played(life.waits("stock-mirror").await)?;
    let harbour = &mut *life.harbour;
    let (ada, mia, sam) = (harbour.person("ada")?, harbour.person("mia")?, harbour.person("sam")?);
    let restore = json!({"type": "access", "identity": harbour.places.id("identity:svc-restore")?, "duration": "2h",
        "entitlement": {"actions": ["read", "write"], "resource": harbour.places.id("resource:orders-db")?}});
    let restore = json!({"matter": restore, "purpose": "restores the orders of Friday night"});
    played(harbour.wire.post(&mia.token, "/v1/requests", restore).await.map(drop))?;
    let roles = json!({"roles": ["requester"], "purpose": "asks for what finance needs"});
    played(
        harbour
            .wire
            .post(&ada.token, &format!("/v1/people/{}/roles", harbour.person("pia")?.id), roles)
            .await
            .map(drop),
    )?;
    // A removal that can still be released, and an identity that is offered.
    let gone = json!({"subject": {"type": "repository", "id": "harbour/shop"}, "reason": "its repository moves to another host"});
    played(harbour.wire.post(&sam.token, "/v1/removals", gone).await.map(drop))?;
    let exporter = harbour.wire.get(&sam.token, "/v1/identities?name=invoice-exporter").await?.text("/items/0/id")?;
    let to = json!({"to": harbour.person("hal")?.id});
    played(
        harbour
            .wire
            .post(&harbour.person("olu")?.token, &format!("/v1/identities/{exporter}/transfer"), to)
            .await
            .map(drop),
    )?;
    played(life.shown_twice("till-berlin-01").await)?;
    life.pass(3).await?;
    played(life.work(&["svc-checkout", "parcel-labels"]).await)?;
    life.harbour.clock.pass(BEGAN);
    settled(life.harbour).await?;
    life.harbour.renew_tokens(folder, None).await
}

impl Life<'_> {
    /// Has an exception of an identity approved.
    async fn exception(&self, name: &str, reason: &str, duration: &str) -> anyhow::Result<()> {
        let subject = json!({"type": "identity", "id": self.harbour.places.id(&format!("identity:{name}"))?});
        let watched = json!([{"control": "monitoring", "description": "each use is looked at daily"}]);
        let body = json!({"type": "late_review", "subject": subject, "reason": reason, "duration": duration, "compensating": watched});
        let asker = &self.harbour.person("mia")?.token;
        let proposed = self.harbour.wire.post(asker, "/v1/exceptions", body).await?;
        self.harbour.settle(&proposed.text("/request")?).await
    }

    /// A device's join token is shown a second time, with another key.
    async fn shown_twice(&self, name: &str) -> anyhow::Result<()> {
        let harbour = &*self.harbour;
        let id = harbour.places.id(&format!("identity:{name}"))?;
        let join = harbour
            .wire
            .post(&harbour.person("hal")?.token, &format!("/v1/identities/{id}/join-tokens"), json!({}))
            .await?;
        let (token, audience) = (join.text("/join_token")?, join.text("/audience")?);
        for expected in [201, 401] {
            let key = WorkloadKey::generate();
            let proof = sign_enrolment(&key, &token, &audience, harbour.clock.now(), &OsEntropy)?;
            let body = json!({"join_token": token, "jwk": key.public_jwk(), "proof": proof});
            let answer = harbour.wire.quiet(reqwest::Method::POST, "", "/v1/enrol", Some(&body)).await?;
            ensure!(answer.status < 300 || expected != 201, "{name} could not enrol: {}", answer.body);
            ensure!(answer.status >= 400 || expected == 201, "a join token was good twice: {}", answer.body);
        }
        Ok(())
    }
}
