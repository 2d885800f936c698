//! The organisation's files, part of the program, and the places in them that are filled in when they are loaded:
//! `{today+30d}`, `{person:olu}`, `{resource:orders-db}`, `{key}` and the like.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;
use tenure_core::base::time::Timestamp;

/// HR's feed.
pub const PEOPLE: &str = include_str!("../../../../examples/organisation/people.csv");
/// HR's feed when somebody leaves.
pub const LEAVERS: &str = include_str!("../../../../examples/organisation/leavers.csv");
/// Roles and the directory.
pub const ORGANISATION: &str = include_str!("../../../../examples/organisation/organisation.json");
/// The identities that are there before the story begins, a file for each kind.
pub const IDENTITIES: [&str; 7] = [
    include_str!("../../../../examples/organisation/identities/service-accounts.json"),
    include_str!("../../../../examples/organisation/identities/workloads.json"),
    include_str!("../../../../examples/organisation/identities/pipelines.json"),
    include_str!("../../../../examples/organisation/identities/bots.json"),
    include_str!("../../../../examples/organisation/identities/agents.json"),
    include_str!("../../../../examples/organisation/identities/integrations.json"),
    include_str!("../../../../examples/organisation/identities/devices.json"),
];
/// Identities that came and went before the story, and that came after it.
pub const PAST: &str = include_str!("../../../../examples/organisation/past.json");
/// A job that a template lets through.
pub const STAGING_JOB: &str = include_str!("../../../../examples/organisation/requests/staging-job.json");
/// A workload of production.
pub const INVOICE_EXPORTER: &str = include_str!("../../../../examples/organisation/requests/invoice-exporter.json");
/// The charter of a login that nobody owned.
pub const BILLING_REPORT: &str = include_str!("../../../../examples/organisation/requests/billing-report.json");
/// A privileged service account that moves money.
pub const PAYOUTS: &str = include_str!("../../../../examples/organisation/requests/payouts.json");
/// A policy that is added.
pub const TWO_FOR_AGENTS: &str = include_str!("../../../../examples/organisation/two-for-agents.cedar");

/// What the places stand for.
#[derive(Debug, Default)]
pub struct Places {
    /// Ids by kind and name, as in `person:olu`.
    pub ids: BTreeMap<String, String>,
}

impl Places {
    /// The id of what a file calls `kind:name`.
    ///
    /// # Errors
    /// Nothing has that name.
    pub fn id(&self, name: &str) -> anyhow::Result<&str> {
        let id = self.ids.get(name).map(String::as_str);
        id.with_context(|| format!("the organisation's files name {name}, and there is none"))
    }

    /// Fills in JSON. `key` is the public key of the identity that it is about.
    ///
    /// # Errors
    /// It is no JSON, or a place stands for nothing.
    pub fn fill(&self, text: &str, now: Timestamp, key: Option<&Value>) -> anyhow::Result<Value> {
        let mut value = serde_json::from_str(text).context("a file of the organisation is no JSON")?;
        self.fill_value(&mut value, now, key)?;
        Ok(value)
    }

    /// Fills in a part of a file.
    ///
    /// # Errors
    /// A place stands for nothing.
    pub fn fill_value(&self, value: &mut Value, now: Timestamp, key: Option<&Value>) -> anyhow::Result<()> {
        match value {
            Value::String(text) => {
                let Some(place) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                    return Ok(());
                };
                *value = match (place, key) {
                    ("key", Some(key)) => key.clone(),
                    // Filled in later, with the identity's own.
                    ("key", None) => return Ok(()),
                    _ if place.starts_with("today") => Value::String(day(place, now)?.to_string()),
                    _ => Value::String(self.id(place)?.to_owned()),
                };
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill_value(item, now, key))?,
            Value::Object(fields) => fields.values_mut().try_for_each(|field| self.fill_value(field, now, key))?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }
}

/// Fills the days of a feed in.
///
/// # Errors
/// A place is no day.
pub fn fill_feed(text: &str, now: Timestamp) -> anyhow::Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').context("a feed has a { without a }")?;
        filled.push_str(before);
        filled.push_str(&day(place, now)?.to_string());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `today+30d`, `today-1d`.
fn day(place: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let days = place.strip_prefix("today").and_then(|rest| rest.strip_suffix('d'));
    match days.and_then(|days| days.parse::<i64>().ok()) {
        Some(days) => Ok(Timestamp::from_secs(now.as_secs().saturating_add(days.saturating_mul(86_400)))),
        None => bail!("{{{place}}} is no day: write {{today+30d}}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_filled_in_and_unknown_ones_are_named() {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut places = Places::default();
        places.ids.insert("person:olu".into(), "per_1".into());
        let text =
            r#"{"owner": "{person:olu}", "ends": "{today+1d}", "jwk": "{key}", "list": ["{person:olu}", "plain"]}"#;
        let filled = places.fill(text, now, Some(&json!({"kty": "OKP"}))).unwrap();
        assert_eq!(
            filled,
            json!({"owner": "per_1", "ends": "2023-11-15T22:13:20Z", "jwk": {"kty": "OKP"}, "list": ["per_1", "plain"]})
        );
        let unknown = places.fill(r#""{person:una}""#, now, None).unwrap_err();
        assert!(unknown.to_string().contains("person:una"), "{unknown}");
        assert_eq!(fill_feed("a,{today-1d},b\n", now).unwrap(), "a,2023-11-13T22:13:20Z,b\n");
        assert!(fill_feed("{tomorrow}", now).is_err() && fill_feed("{today+1d", now).is_err());
    }
}
