//! The story, chapter by chapter.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tenure_client::assertion::{WorkloadKey, sign};
use tenure_core::base::time::Clock as _;
use tenure_credentials::entropy::OsEntropy;

use super::clock::PastClock;
use super::organisation::Organisation;
use super::page::{Ink, Wait, inked, say, step};
use super::past;
use super::wire::{Answer, Wire};
use super::workload::proof;
use super::{agents, approvals, database, ending, leaving, triggers, using};

/// The longest wait for something that happens by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the story, after months of its past if there are to be some; an error is the first step that did not give what
/// it should.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a client at the edge: it measures and reads its environment"
)]
pub async fn tell(
    url: &str,
    folder: &Path,
    full: bool,
    clock: &Arc<PastClock>,
    with_past: bool,
) -> anyhow::Result<Organisation> {
    let begun = Instant::now();
    step(
        1,
        "The organisation is loaded",
        "Harbour, a grocer, from examples/organisation: people from HR's feed, roles that two administrators give, identities of all kinds.",
    )?;
    let mut harbour = Organisation::found(Wire::new(url, full)?, folder, Arc::clone(clock)).await?;
    harbour.hire().await?;
    harbour.appoint(folder).await?;
    harbour.furnish().await?;
    if with_past {
        past::months(&mut harbour, folder).await?;
    }
    harbour.populate().await?;
    harbour.census().await?;

    approvals::ownerless(&harbour).await?;
    approvals::ephemeral(&harbour).await?;
    let exporter = approvals::standard(&harbour).await?;
    approvals::high_risk(&harbour).await?;
    approvals::access_of_a_person(&harbour).await?;

    let gateway = harbour.gateway().await?;
    let token = using::allowed(&harbour, &exporter, &gateway).await?;
    using::elsewhere(&harbour, &gateway).await?;
    using::narrowed(&harbour, &exporter, &gateway, &token).await?;
    using::why(&harbour, &exporter).await?;

    let login = database::found(&mut harbour, folder).await?;
    let leave = leaving::departure(&harbour, login.as_ref()).await?;
    using::policy(&harbour).await?;
    leaving::lapse(&harbour, &leave, login.as_ref()).await?;

    triggers::pipeline(&harbour).await?;
    let more = agents::more(&harbour, &gateway).await?;
    agents::parent(&harbour, &gateway, &more).await?;

    leaving::retirement(&mut harbour, &leave, login).await?;

    let cut = ending::cut(&harbour, &gateway, &token).await?;
    ending::receipt(&harbour, &cut.receipt).await?;
    let log = ending::log(&harbour).await?;
    summary(&harbour, &cut, &log, begun.elapsed())?;
    Ok(harbour)
}

/// What the reader has seen: what was refused, what was cut, what was proven, and how long it took.
fn summary(harbour: &Organisation, cut: &ending::Cut, log: &ending::Verified, took: Duration) -> std::io::Result<()> {
    let secs = took.as_secs_f64();
    say!(
        "\n{}",
        inked(
            Ink::Bold,
            &format!("Every step gave what it should, in {secs:.1} s and {} calls.", harbour.wire.calls())
        )
    )?;
    let refused = harbour.wire.refused();
    let count: usize = refused.iter().map(|(_, count)| count).sum();
    let codes: Vec<&str> = refused.iter().map(|(code, _)| code.as_str()).collect();
    say!("  refused  {count} of what was shown: {}", codes.join(", "))?;
    say!(
        "  cut      the application billing: its token was refused {:.1} ms after the answer; a leaver's identities and a login; a repository's pipeline; an agent with what derived from it",
        cut.refused_after.as_secs_f64() * 1_000.0
    )?;
    say!(
        "  proven   by the receipt's signature; by one signed root over {} entries of the log; by a changed byte in entry {} that was found",
        log.entries,
        log.changed
    )
}

impl Organisation {
    /// The token of the gateway of the orders database.
    async fn gateway(&self) -> anyhow::Result<String> {
        let id = self.places.id("identity:orders-gateway")?;
        self.token(self.key("orders-gateway")?, id, "production").await
    }

    /// What a workload gets for a proof by its own key.
    pub async fn token(&self, key: &WorkloadKey, identity: &str, environment: &str) -> anyhow::Result<String> {
        let answer = self.ask_token(key, identity, environment).await?;
        ensure!(answer.status == 200, "no token for {identity}: {}", answer.body);
        answer.text("/access_token")
    }

    /// Asks for a token.
    pub async fn ask_token(&self, key: &WorkloadKey, identity: &str, environment: &str) -> anyhow::Result<Answer> {
        let assertion = self.assertion(key, identity, environment)?;
        self.wire.form_quiet("", &format!("/env/{environment}/token"), &proof(&assertion)).await
    }

    /// A proof by the workload's own key (RFC 7523).
    pub fn assertion(&self, key: &WorkloadKey, identity: &str, environment: &str) -> anyhow::Result<String> {
        let audience = format!("{}/env/{environment}", self.wire.url());
        Ok(sign(key, identity.parse()?, &audience, self.clock.now(), &OsEntropy))
    }

    /// The question whether an identity may do something with the orders database.
    pub fn question(&self, identity: &str, token: &str, action: &str) -> anyhow::Result<Value> {
        Ok(json!({
            "subject": {"type": "identity", "id": identity, "properties": {"access_token": token}},
            "resource": {"type": "database", "id": self.places.id("resource:orders-db")?},
            "action": {"name": action},
        }))
    }

    /// Waits until an answer is as it should be.
    pub async fn until(&self, token: &str, path: &str, wanted: impl Fn(&Answer) -> bool) -> anyhow::Result<Answer> {
        self.wait(None, token, path, wanted).await
    }

    /// The same for what takes seconds: says what is waited for.
    pub async fn until_aloud(
        &self,
        what: &str,
        token: &str,
        path: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Answer> {
        self.wait(Some(Wait::of(what)), token, path, wanted).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the demo is a client at the edge: it measures and reads its environment"
    )]
    async fn wait(
        &self,
        mut told: Option<Wait>,
        token: &str,
        path: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        loop {
            let answer = self.wire.get(token, path).await?;
            if wanted(&answer) {
                if let Some(told) = told {
                    told.end()?;
                }
                return Ok(answer);
            }
            ensure!(begun.elapsed() < PATIENCE, "{path} is still {}", answer.body);
            if let Some(told) = &mut told {
                told.tick(begun.elapsed().as_secs())?;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
