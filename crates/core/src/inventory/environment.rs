//! Environments: each has its own issuer identifier, signing keys and audiences (S-6).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::id::SigningKeyId;
use crate::base::problem::FieldProblem;
use crate::base::time::Timestamp;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::trust::signing_key::{SigningAlgorithm, SigningKey};

/// A name of up to 63 characters `[a-z0-9-]` that starts with a letter: of environments, applications and identities.
///
/// # Errors
/// The problem to show for `field`.
pub fn parse_name(field: &str, name: &str) -> Result<(), FieldProblem> {
    let good = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(())
    } else {
        Err(FieldProblem::new(
            field,
            "name_malformed",
            "use the pattern ^[a-z][a-z0-9-]{0,61}[a-z0-9]$, e.g. billing-exporter",
        ))
    }
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name, part of the issuer identifier.
    pub name: String,
    /// Whether it counts as production.
    pub production: bool,
    /// What tokens are signed with for resources that don't say otherwise.
    #[serde(default, skip_serializing_if = "SigningAlgorithm::is_default")]
    pub signing_algorithm: SigningAlgorithm,
    /// Its signing keys that verifiers may still meet or are about to meet.
    pub keys: Vec<EnvironmentKey>,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// A signing key of an environment and its times, so that keys overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentKey {
    /// The key.
    pub id: SigningKeyId,
    /// What it signs with.
    #[serde(default, skip_serializing_if = "SigningAlgorithm::is_default")]
    pub algorithm: SigningAlgorithm,
    /// Signs from then on: after verifiers had time to fetch it.
    pub signs_from: Timestamp,
    /// Published until then: when the last token that it signed has ended.
    pub published_until: Option<Timestamp>,
}

impl EnvironmentKey {
    /// A key that signs from then on, and has no end yet.
    pub const fn new(key: &SigningKey, signs_from: Timestamp) -> Self {
        Self { id: key.id, algorithm: key.algorithm, signs_from, published_until: None }
    }
}

impl Environment {
    /// The key that signs with this algorithm at `now`: the newest that has begun.
    pub fn signing_key(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<SigningKeyId> {
        self.published(now)
            .filter(|key| key.algorithm == algorithm && key.signs_from <= now)
            .max_by_key(|key| key.signs_from)
            .map(|key| key.id)
    }

    /// What a token is signed with at `now` that is to be signed with `wanted`, or with what the environment says: a
    /// key that verifiers had no time to fetch signs nothing yet, and until then the oldest one that they know does.
    pub fn algorithm_at(&self, wanted: Option<SigningAlgorithm>, now: Timestamp) -> SigningAlgorithm {
        let has_begun = |algorithm: &SigningAlgorithm| self.signing_key(*algorithm, now).is_some();
        let oldest = || self.published(now).filter(|key| key.signs_from <= now).min_by_key(|key| key.signs_from);
        let default = Some(self.signing_algorithm);
        (wanted.filter(has_begun).or_else(|| default.filter(has_begun)).or_else(|| oldest().map(|key| key.algorithm)))
            .unwrap_or(self.signing_algorithm)
    }

    /// The algorithms that it has keys of, each once.
    pub fn algorithms(&self) -> BTreeSet<SigningAlgorithm> {
        self.keys.iter().map(|key| key.algorithm).collect()
    }

    /// The keys that verifiers may meet at `now`.
    pub fn published(&self, now: Timestamp) -> impl Iterator<Item = &EnvironmentKey> {
        self.keys.iter().filter(move |key| key.published_until.is_none_or(|until| now < until))
    }
}

impl Record for Environment {
    const KIND: RowKind = RowKind::Environment;
    fn row_id(&self) -> String {
        self.name.clone()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.name).into(), ..Document::default() }
    }
}
