//! Idempotency keys: a request that its client may send twice is carried out once
//! (draft-ietf-httpapi-idempotency-key-header).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};

/// A request that was carried out under a key. It is written by the commit that carries it out, so that no other can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// SHA-256 over who asked, where, and the key, base64url.
    pub id: String,
    /// SHA-256 over the request: a key stands for no other one, base64url.
    pub request: String,
    /// When it was carried out.
    pub at: Timestamp,
    /// The answer, once it was given; none of one with a secret in it.
    pub answer: Option<KeptAnswer>,
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The entity tag of the record, if it was one.
    pub etag: Option<String>,
    /// The body.
    pub body: Value,
}

impl Idempotency {
    /// For how long a key stands for its request.
    pub const LIFE: Span = Span::from_days(1);
}

impl Record for Idempotency {
    const KIND: RowKind = RowKind::Idempotency;
    fn row_id(&self) -> String {
        self.id.clone()
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        Some(self.at.plus(Self::LIFE))
    }
}
