//! Bindings: how a workload proves that it is an identity; and the join tokens that enrol one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::id::{BindingId, IdentityId, IssuerId, JoinTokenId, SignalId};
use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Term, Terms};
use crate::trust::confirmation::Confirmation;
use crate::trust::issuer::Preset;

/// How long a join token is good for (S-15).
pub const JOIN_TOKEN_LIFE: Span = Span::from_mins(10);

/// Whether a binding may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindingState {
    /// It may.
    Live,
    /// Not until it is released.
    Suspended,
    /// Never again.
    Removed,
}

/// What is checked of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum BindingMatch {
    /// A signature by this key (RFC 7523).
    PublicKey {
        /// The public key as a JWK.
        jwk: serde_json::Value,
        /// Its thumbprint (RFC 7638, SHA-256, base64url): no other identity can have it (R75).
        thumbprint: String,
        /// To whom its assertions are addressed.
        #[serde(default, skip_serializing_if = "AssertionAudience::is_strict")]
        assertion_audience: AssertionAudience,
    },
    /// A TLS connection with this client certificate (RFC 8705 §2.2, `self_signed_tls_client_auth`).
    Certificate {
        /// SHA-256 over its DER, base64url: no other identity can have it (R75).
        thumbprint: String,
    },
    /// A token of this issuer whose claims have exactly these values.
    Oidc {
        /// The registered issuer.
        issuer: IssuerId,
        /// The claims.
        claims: BTreeMap<String, serde_json::Value>,
    },
}

/// To whom a workload addresses its client assertions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudience {
    /// The issuer identifier and nothing else (rfc7523bis).
    #[default]
    Issuer,
    /// Also the token endpoint's URL, alone: for clients that know only RFC 7523 as it was.
    TokenEndpoint,
}

impl AssertionAudience {
    /// Whether it is what the standard demands today.
    pub const fn is_strict(&self) -> bool {
        matches!(self, Self::Issuer)
    }
}

/// Something about the workload changed: the next proof has to be newer, and is looked at anew (R86).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recheck {
    /// When it was heard of: proofs that were made before don't count.
    pub since: Timestamp,
    /// What was said.
    pub because: SignalId,
}

/// One holder of a binding's proof, told apart by the key that its credentials are bound to or else by where it calls
/// from (R59).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// What tells it apart: `jkt:…`, `x5t:…` or `addr:…`.
    pub mark: String,
    /// Until when it counts as running: the end of what it was issued last, at least.
    pub until: Timestamp,
}

/// Holders of one binding that are remembered.
pub const MAX_INSTANCES: usize = 16;

impl Instance {
    /// Whether a credential that is bound to this key, or to none, may be this holder's.
    pub fn may_hold(&self, confirmation: Option<&Confirmation>) -> bool {
        match confirmation {
            Some(confirmation) => self.mark == Self::mark_of(confirmation),
            None => self.mark.starts_with("addr:"),
        }
    }

    /// The mark of whoever holds this key.
    pub fn mark_of(confirmation: &Confirmation) -> String {
        match confirmation {
            Confirmation::Jkt(thumbprint) => format!("jkt:{thumbprint}"),
            Confirmation::Certificate(thumbprint) => format!("x5t:{thumbprint}"),
        }
    }
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Its id.
    pub id: BindingId,
    /// Whose it is.
    pub identity: IdentityId,
    /// The workload that holds the proof.
    pub workload: String,
    /// What is checked.
    #[serde(rename = "match")]
    pub matches: BindingMatch,
    /// Whether it may be used.
    pub state: BindingState,
    /// The consumer of a shared identity that it tells apart (R105).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The join token that enrolled it, if one did.
    pub enrolled_with: Option<JoinTokenId>,
    /// That it has to be verified anew before anything is issued on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<Recheck>,
    /// Who presented it lately; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<Instance>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Binding {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by the thumbprint of its key or certificate.
    pub const KEY: Field<Self> = Field::new("key");
    /// Listed by the claim of an issuer's tokens that names the workload.
    const CLAIM: Field<Self> = Field::new("claim");

    /// The term of the bindings to tokens with this claim, its value cut where it is long: whoever lists them looks at
    /// the claims themselves.
    pub fn by_claim(name: &str, value: &serde_json::Value) -> Term<Self> {
        Self::CLAIM.of(claim_text(name, value))
    }
}

impl Record for Binding {
    const KIND: RowKind = RowKind::Binding;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        let terms = Terms::none().with(Self::IDENTITY, self.identity);
        match &self.matches {
            BindingMatch::PublicKey { thumbprint, .. } | BindingMatch::Certificate { thumbprint } => {
                terms.with(Self::KEY, thumbprint)
            }
            BindingMatch::Oidc { claims, .. } => {
                let anchors = Preset::ALL.iter().map(|preset| preset.workload_claim());
                terms
                    .each(Self::CLAIM, anchors.filter_map(|name| claims.get(name).map(|value| claim_text(name, value))))
            }
        }
    }
}

/// A claim as bindings are listed by it.
fn claim_text(name: &str, value: &serde_json::Value) -> String {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{name} {}", value.chars().take(100).collect::<String>())
}

/// A one-time join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinToken {
    /// Its id, part of its text.
    pub id: JoinTokenId,
    /// For which identity.
    pub identity: IdentityId,
    /// Keyed hash of its secret part, base64url.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The binding that it enrolled, once it was used.
    pub enrolled: Option<BindingId>,
}

impl JoinToken {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for JoinToken {
    const KIND: RowKind = RowKind::JoinToken;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::IDENTITY, self.identity)
    }
}

/// The claims that a binding fixes, itself or through its issuer, and that what a source says contradicts (R86). What
/// it doesn't tell of breaks nothing; numbers and their texts are the same id.
pub fn binding_breaks(
    preset: Preset,
    matches: &BindingMatch,
    fixed_by_issuer: &BTreeMap<String, serde_json::Value>,
    facts: &serde_json::Map<String, serde_json::Value>,
) -> Vec<String> {
    let BindingMatch::Oidc { claims, .. } = matches else {
        return Vec::new();
    };
    let contradicted = |(name, fixed): &(&String, &serde_json::Value)| {
        facts.get(*name).is_some_and(|now| !is_one_of(preset, name, now, fixed))
    };
    let mut broken: Vec<String> =
        claims.iter().chain(fixed_by_issuer).filter(contradicted).map(|(name, _)| name.clone()).collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

/// Whether it is the value that is fixed, or one of the list that an issuer fixes.
fn is_one_of(preset: Preset, name: &str, now: &serde_json::Value, fixed: &serde_json::Value) -> bool {
    let now = plain(&preset.comparable(name, now));
    let is = |one: &serde_json::Value| plain(&preset.comparable(name, one)) == now;
    match fixed {
        serde_json::Value::Array(several) => several.iter().any(is),
        one => is(one),
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
        value.as_object().unwrap().clone().into_iter().collect()
    }

    #[test]
    fn a_contradicted_claim_breaks_a_binding_and_nothing_else_does() {
        let oidc = BindingMatch::Oidc {
            issuer: IssuerId::from_u128(1),
            claims: map(&json!({"repository_id": "74", "ref": "refs/heads/main"})),
        };
        let tenant = map(&json!({"repository_owner_id": "9"}));
        let breaks = |facts: serde_json::Value| {
            binding_breaks(Preset::GithubActions, &oidc, &tenant, facts.as_object().unwrap())
        };
        assert!(breaks(json!({})).is_empty());
        assert!(breaks(json!({"repository_id": 74, "repository": "acme/renamed", "visibility": "public"})).is_empty());
        assert_eq!(breaks(json!({"repository_id": "75"})), ["repository_id"]);
        // The repository went to another tenant: the issuer's own claim no longer holds.
        assert_eq!(breaks(json!({"repository_id": "74", "repository_owner_id": 10})), ["repository_owner_id"]);
        assert_eq!(
            breaks(json!({"ref": "refs/heads/evil", "repository_owner_id": 10})),
            ["ref", "repository_owner_id"]
        );
        let several = map(&json!({"repository_owner_id": ["9", "10"]}));
        assert!(
            binding_breaks(
                Preset::GithubActions,
                &oidc,
                &several,
                json!({"repository_owner_id": 10}).as_object().unwrap()
            )
            .is_empty()
        );
        let key = BindingMatch::Certificate { thumbprint: "x".into() };
        assert!(
            binding_breaks(Preset::GithubActions, &key, &tenant, json!({"repository_id": "75"}).as_object().unwrap())
                .is_empty()
        );
    }
}
