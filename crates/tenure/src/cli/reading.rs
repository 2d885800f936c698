//! Requests as they were last read on this machine, so that the next reading can say what differs.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenure_api::request::RequestView;
use tenure_core::base::id::RequestId;
use tenure_core::base::time::Timestamp;

/// How many readings are kept: the latest.
const KEPT: usize = 100;

/// What stood in a request when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    pub at: Timestamp,
    /// The hash of what was read.
    pub content_hash: String,
    /// Names and values, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
}

impl Reading {
    /// What stands in a request.
    pub fn of(view: &RequestView, at: Timestamp) -> Self {
        let request = &view.request;
        let mut facts = vec![("purpose of the request".to_owned(), request.purpose.clone())];
        if let Some(tier) = request.tier {
            facts.push(("risk tier".to_owned(), tier.as_str().to_owned()));
        }
        let steps: Vec<String> = request
            .route
            .steps()
            .iter()
            .map(|step| step.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" or "))
            .collect();
        facts.push((
            "approved by".to_owned(),
            if steps.is_empty() { "a rule".to_owned() } else { steps.join(", and ") },
        ));
        for clipped in &request.clipped {
            facts.push((
                format!("cut down: {}", clipped.field),
                format!("{} in place of {}", clipped.given, clipped.wanted),
            ));
        }
        for fact in view.brief.iter().flat_map(|brief| &brief.facts) {
            let value = match &fact.before {
                Some(before) => format!("{} (today: {before})", fact.value),
                None => fact.value.clone(),
            };
            facts.push((fact.field.clone(), value));
        }
        Self { at, content_hash: request.content_hash.clone(), facts }
    }

    /// What differs from an earlier reading, name by name.
    pub fn since(&self, before: &Self) -> Vec<(String, String)> {
        let (then, now): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (before.facts.iter().cloned().collect(), self.facts.iter().cloned().collect());
        let gone = before.facts.iter().filter(|(name, _)| !now.contains_key(name));
        let gone = gone.map(|(name, value)| (name.clone(), format!("was {value}; is gone")));
        let changed = self.facts.iter().filter_map(|(name, value)| match then.get(name) {
            Some(old) if old == value => None,
            Some(old) => Some((name.clone(), format!("was {old}; is {value}"))),
            None => Some((name.clone(), format!("is new: {value}"))),
        });
        changed.chain(gone).collect()
    }
}

/// The readings of this machine's user: a file in the data folder that only they can read.
pub struct Readings {
    file: PathBuf,
}

impl Readings {
    /// Those in a data folder.
    pub fn new(data: PathBuf) -> Self {
        Self { file: data.join("requests-read.json") }
    }

    /// Keeps a reading and gives the one before it. It is a help and no more: where nothing can be kept, nothing is.
    pub fn exchange(&self, request: RequestId, reading: Reading) -> Option<Reading> {
        let text = std::fs::read(&self.file).unwrap_or_default();
        let mut readings: BTreeMap<RequestId, Reading> = serde_json::from_slice(&text).unwrap_or_default();
        let before = readings.insert(request, reading);
        while readings.len() > KEPT {
            let Some(oldest) = readings.iter().min_by_key(|(_, reading)| reading.at).map(|(id, _)| *id) else {
                break;
            };
            readings.remove(&oldest);
        }
        let _ = self.write(&readings);
        before
    }

    fn write(&self, readings: &BTreeMap<RequestId, Reading>) -> std::io::Result<()> {
        let next = self.file.with_extension(format!("{}.new", std::process::id()));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        let written = file.write_all(&serde_json::to_vec(readings)?).and_then(|()| std::fs::rename(&next, &self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(&next);
        }
        written
    }
}
