//! What a source says of workloads, twice, late and out of order; and the removals that follow from it or are raised by
//! hand.

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::json;
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::signals::{NewSource, SourceAuth};
use tenure_core::base::id::RemovalId;
use tenure_core::base::time::Span;
use tenure_core::signal::removal::{Removal, RemovalState};
use tenure_core::signal::{Format, SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::row::RowKind;
use tenure_engine::Kernel;
use tenure_engine::endings::removals;
use tenure_engine::kernel::caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::signals::reception::{self, Delivery, NotTaken};
use tenure_engine::signals::sources;

use crate::furnish::done;
use crate::intent::{Fact, Intent};
use crate::model::{Broken, record};
use crate::ops::{TEMPLATE, because, by};
use crate::workload::ISSUER;
use crate::world::{Operation, World};

const NAME: &str = "platform";
/// Small, so that some removals wait for a person.
const BLAST_CAP: u32 = 1;
/// What the source says, by how often: mostly what doesn't end anything.
const KINDS: &[(SignalKind, &str)] = &[
    (SignalKind::WorkloadCreated, "workload.created"),
    (SignalKind::WorkloadCreated, "workload.created"),
    (SignalKind::WorkloadChanged, "workload.changed"),
    (SignalKind::WorkloadChanged, "workload.changed"),
    (SignalKind::WorkloadDisabled, "workload.disabled"),
    (SignalKind::WorkloadRemoved, "workload.removed"),
    (SignalKind::RunEnded, "run.ended"),
    (SignalKind::Released, "release.published"),
];
/// Deliveries that may come again.
const KEPT: usize = 6;

impl World {
    /// A source that two administrators registered.
    pub(crate) fn source(&mut self) -> Result<(), Broken> {
        let missing = || ("setup", "something is missing".to_owned());
        let engine = Arc::clone(&self.nodes.first().ok_or_else(missing)?.engine);
        let (first, second) = (self.people.first().ok_or_else(missing)?, self.people.last().ok_or_else(missing)?);
        let admin = done("sign in", caller::authenticate_person(&engine, &first.token))?;
        let second = done("sign in", caller::authenticate_person(&engine, &second.token))?;
        let mut kinds: Vec<SignalKind> = KINDS.iter().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        let ask = NewSource {
            name: NAME.into(),
            format: Format::CloudEvents,
            owner: self.people.get(4).ok_or_else(missing)?.id,
            kinds,
            subjects: vec!["workload:*".into()],
            environments: Vec::new(),
            rate_per_minute: Some(30),
            blast_cap: Some(BLAST_CAP),
            template: Some(TEMPLATE.into()),
            issuer: Some(ISSUER.into()),
            auth: SourceAuth::Hmac {},
        };
        let made = done("create a source", sources::create_source(&engine, &admin, ask))?;
        done("confirm a source", sources::confirm_source(&engine, &second, made.source.record.id))?;
        self.feed.secret = made.secret.ok_or_else(missing)?;
        self.model.secrets.push(self.feed.secret.clone());
        Ok(())
    }

    /// The source says something, new or again.
    pub(crate) fn signal(&mut self, node: usize, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        if self.rng.per_mille(250)
            && let Some((header, body)) = self.rng.pick(&self.feed.sent).cloned()
        {
            return Some((Intent::Other("hear a signal again"), delivery(engine, header, body)));
        }
        let (_, kind) = *self.rng.pick(KINDS)?;
        let number = self.next_number();
        let workload = match kind {
            "workload.created" if self.rng.per_mille(600) => format!("deployed-{}", self.rng.below(4)),
            _ => self.subject()?.name.clone(),
        };
        // What happened a while ago is told late, and so after what happened since.
        let ago = Span::from_secs(i64::try_from(self.rng.below(if self.rng.per_mille(300) { 3_000 } else { 5 })).ok()?);
        let now = self.time.now();
        let body = json!({
            "specversion": "1.0", "id": format!("n{number}"), "source": "https://platform.sim", "type": format!("dev.tenure.{kind}.v1"),
            "subject": format!("workload:{workload}"), "time": now.minus(ago).to_string(),
            "data": {"sub": if self.rng.per_mille(700) { workload } else { "another".to_owned() }},
        })
        .to_string();
        let at = now.as_secs();
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.feed.secret.as_bytes());
        let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let header = format!("t={at},v1={hex}");
        if self.feed.sent.len() == KEPT {
            self.feed.sent.remove(0);
        }
        self.feed.sent.push((header.clone(), body.clone()));
        if self.rng.per_mille(200)
            && let Some(other) = self.nodes.get(1 - node.min(1)).map(|node| Arc::clone(&node.engine))
        {
            // The network delivers it twice.
            self.begin(1 - node.min(1), Intent::Signal(kind), delivery(other, header.clone(), body.clone()));
        }
        Some((Intent::Signal(kind), delivery(engine, header, body)))
    }

    /// Somebody says by hand that a workload has ended, or security decides about what waits or is held.
    pub(crate) fn removal(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let dump = self.dump();
        let removals = dump.rows.keys().filter(|key| key.kind == RowKind::Removal);
        let mut removals: Vec<Removal> = removals.filter_map(|key| record(&dump, key)).collect();
        // Mostly what somebody has to decide about, and of that what was asked for last.
        removals.sort_by_key(|removal| {
            (removal.state == RemovalState::Waiting, removal.state == RemovalState::Held, removal.id)
        });
        let known = match self.rng.below(10) {
            0..6 => removals.last(),
            6..8 => self.rng.pick(&removals),
            _ => None,
        };
        let token = self.operator()?;
        let Some((id, state)) = known.map(|removal| (removal.id, removal.state)) else {
            return self.raise(engine, token);
        };
        let confirms = if state == RemovalState::Waiting { 700 } else { 200 };
        Some(if self.rng.per_mille(confirms) {
            (Intent::Removal("confirm"), confirm(engine, token, id, self.rng.per_mille(150)))
        } else {
            let release = async move |engine: Arc<Kernel>, caller| {
                removals::release_removal(&engine, &caller, id, because()).await.map(|_| Fact::Done(1))
            };
            (Intent::Removal("release"), by(engine, token, release))
        })
    }

    fn raise(&self, engine: Arc<Kernel>, token: String) -> Option<(Intent, Operation)> {
        let ask = NewRemoval {
            subject: SignalSubject { kind: SubjectKind::Workload, id: self.subject()?.name.clone() },
            kind: self.rng.per_mille(500).then_some(SignalKind::WorkloadDisabled),
            reason: because(),
            compromise: false,
            dry_run: true,
            expect: None,
        };
        let raise = async move |engine: Arc<Kernel>, caller| {
            let seen = removals::raise_removal(&engine, &caller, ask.clone()).await?.record.digest;
            let ask = NewRemoval { dry_run: false, expect: Some(seen.clone()), ..ask };
            let raised = removals::raise_removal(&engine, &caller, ask).await?;
            Ok(Fact::Removal(seen, raised.record.digest))
        };
        Some((Intent::Removal("raise"), by(engine, token, raise)))
    }
}

/// Looks at a removal and confirms what was seen; or something else, which nobody saw.
fn confirm(engine: Arc<Kernel>, token: String, id: RemovalId, unseen: bool) -> Operation {
    by(engine, token, async move |engine: Arc<Kernel>, caller| {
        let seen = removals::removal(&engine, &caller, id).await?.record.digest;
        let digest = if unseen { format!("sha256:{}", "0".repeat(64)) } else { seen };
        let confirmed =
            removals::confirm_removal(&engine, &caller, id, ConfirmRemoval { digest: digest.clone() }).await?;
        Ok(Fact::Removal(digest, confirmed.record.digest))
    })
}

fn delivery(engine: Arc<Kernel>, signature: String, body: String) -> Operation {
    Box::pin(async move {
        let headers = [("content-type", "application/cloudevents+json"), ("tenure-signature", signature.as_str())];
        let delivery = Delivery { source: NAME, headers: &headers, body: body.as_bytes(), from: "sim" };
        match Box::pin(reception::take_delivery(&engine, delivery)).await {
            Ok(taken) => Ok(Fact::Done(taken.signals.len() as u64)),
            Err(NotTaken::Refused(error)) => Err(error),
            Err(NotTaken::Token(_)) => Err(OpError::Internal("a CloudEvent was taken for a token".into())),
        }
    })
}
