//! What is silent: a source that says nothing for longer than its own rhythm is a finding until it is heard again. What
//! lives by it isn't said to be removable meanwhile, and isn't renewed (`identities/silence.rs`).

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tenure_core::base::id::SourceId;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{Finding, rules};
use tenure_core::people::person::Role;
use tenure_core::signal::Source;
use tenure_core::signal::rhythm::{NOTED_EVERY, Rhythm};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::finding::{self, tell};
use crate::kernel::work::{self, acknowledge, system};

/// Sources of which this process remembers when it noted them.
const MAX_NOTED: usize = 10_000;

/// When this process noted last that a source was heard.
#[derive(Default)]
struct Noted(Mutex<HashMap<SourceId, Timestamp>>);

/// Notes that a source was heard, whatever it said. What can't be noted now is noted by what it says next.
pub(crate) async fn note_heard(kernel: &Kernel, source: &Stored<Source>, now: Timestamp) {
    let noted = kernel.memory.of::<Noted>();
    let is_news = |at: &Timestamp| now.since(*at) >= NOTED_EVERY;
    if noted.0.lock().get(&source.id).is_some_and(|at| !is_news(at)) {
        return;
    }
    if let Err(error) = note(kernel, source).await {
        tracing::warn!(%error, source = %source.id, "that a source was heard is noted later");
        return;
    }
    let mut noted = noted.0.lock();
    if noted.len() >= MAX_NOTED {
        noted.clear();
    }
    noted.insert(source.id, now);
}

async fn note(kernel: &Kernel, source: &Stored<Source>) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let now = kernel.now();
        let known = kernel.one::<Rhythm>(source.id).await?;
        if known.as_ref().is_some_and(|known| !known.is_news(now)) {
            return Ok(());
        }
        let mut event = kernel.event(now, EventKind::SourceSpoke).subject(source.id);
        if let Some(known) = &known {
            event = event.fact("heard_before", known.heard_at).fact("was_silent", known.silent_since.is_some());
        }
        let mut changeset = Changeset::new(system(), now, event);
        let rhythm = match &known {
            Some(known) => (*known.value).clone().heard(now),
            None => Rhythm::begun(source.id, now),
        };
        match &known {
            Some(known) => changeset.replace(known, &rhythm),
            None => changeset.insert(&rhythm),
        };
        finding::no_longer(kernel, &mut changeset, &[&rules::SOURCE_SILENT], source.id, "it was heard again", now)
            .await?;
        changeset.due.push(DueChange::Set(DueKind::Silence, source.id.to_string(), rhythm.silent_at()));
        match kernel.settle(changeset).await {
            Ok(Some(_)) => return Ok(()),
            // Another process noted it.
            Ok(None) | Err(OpError::Taken { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Works off that a source may not be silent for longer.
pub(crate) async fn work_silence(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<SourceId>() else { return Ok(None) };
    let Some(rhythm) = kernel.one::<Rhythm>(id).await? else { return Ok(None) };
    if rhythm.silent_since.is_some() {
        return Ok(None);
    }
    let source = kernel.one::<Source>(id).await?.filter(|source| source.state == TrustState::Active);
    let Some(source) = source else {
        // Nobody listens to it any more.
        let mut changeset = work::nothing_left(kernel, claimed, now);
        changeset.replace(&rhythm, &(*rhythm.value).clone().silent(now));
        return Ok(Some(changeset));
    };
    if now < rhythm.silent_at() {
        return Ok(Some(work::postponed(kernel, claimed, rhythm.silent_at(), now)));
    }
    let event = kernel
        .event(now, EventKind::SourceSilent)
        .subject(id)
        .fact("heard_at", rhythm.heard_at)
        .fact("may_be_silent", rhythm.may_be_silent());
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(&source);
    changeset.replace(&rhythm, &(*rhythm.value).clone().silent(now));
    let evidence = evidence(&source, &rhythm);
    if finding::raise(kernel, &mut changeset, &rules::SOURCE_SILENT, id, "", evidence, now).await?.is_some() {
        let text = format!(
            "{} was heard last at {}. What lives by it is not renewed until it is heard again.\nLook: tenure source show {id}",
            source.name, rhythm.heard_at
        );
        tell(&mut changeset, &[source.owner], &[Role::Security], "A source of signals is silent", &text);
    }
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

/// Nobody listens to a source any more: that it is silent is no finding.
pub(crate) async fn no_longer_listened_to(kernel: &Kernel, id: SourceId) -> Result<(), OpError> {
    let is_silent = |stored: &Stored<Finding>| stored.rule == rules::SOURCE_SILENT.id;
    for _ in 0..work::ATTEMPTS {
        let Some(stored) = finding::open_findings(kernel, &id.to_string()).await?.into_iter().find(is_silent) else {
            return Ok(());
        };
        let now = kernel.now();
        let (event, finding) = finding::resolution(kernel, &stored, None, "the source was removed", now);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&stored, &finding);
        kernel.settle(changeset).await?;
    }
    Ok(())
}

fn evidence(source: &Source, rhythm: &Rhythm) -> Map<String, Value> {
    let evidence = json!({
        "source": source.name, "heard_at": rhythm.heard_at, "may_be_silent": rhythm.may_be_silent(),
        "silences": rhythm.silences,
    });
    match evidence {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
