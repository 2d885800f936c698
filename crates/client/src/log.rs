//! The log: checkpoints, tiles, proofs and the export.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, chunk, json, open, send, text};

/// How long a replay of the whole log may take.
const REPLAY: Duration = Duration::from_secs(3_600);

/// That an entry is in the log (RFC 9162 §2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The entry's number, from 0.
    pub index: u64,
    /// The size of the tree that it is proven to be in.
    pub size: u64,
    /// The entry's leaf hash, base64url.
    pub leaf_hash: String,
    /// The audit path from the leaf up, base64url.
    pub proof: Vec<String>,
    /// The signed checkpoint of that size, if it is the newest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
}

/// That a longer log begins with a shorter one (RFC 9162 §2.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// The size of the shorter one.
    pub from: u64,
    /// The size of the longer one.
    pub to: u64,
    /// The proof, base64url.
    pub proof: Vec<String>,
    /// The signed checkpoint of the longer one, if it is the newest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
}

/// How the server's rows stand against its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReport {
    /// Entries that were replayed.
    pub entries: u64,
    /// Rows that were checked.
    pub rows: u64,
    /// Rows that don't fit the log.
    pub faults: Vec<FaultyRow>,
    /// Further ones that are not named.
    pub further: u64,
}

/// A row that doesn't fit the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultyRow {
    /// The kind of row, e.g. `identity`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// `altered`, `missing`, `rolled_back` or `unlogged`.
    pub fault: String,
}

/// An export that arrives in chunks.
#[derive(Debug)]
pub struct Export(Response);

impl Export {
    /// The next bytes; `None` at the end. An export that breaks off is an error, never a shorter export.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next_chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
        chunk(&mut self.0).await
    }
}

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/log/checkpoint`: the newest signed checkpoint, a C2SP signed note.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        text(self.request(Method::GET, "/v1/log/checkpoint")).await
    }

    /// `GET /v1/log/key`: the log's C2SP verifier key. Keep it: only a key from elsewhere proves that a log was not replaced.
    pub async fn log_key(&self) -> Result<String, ClientError> {
        Ok(text(self.request(Method::GET, "/v1/log/key")).await?.trim().to_owned())
    }

    /// `GET /v1/log/tile/{path}`: a tile or an entry bundle by its C2SP path, without the leading `tile/`.
    pub async fn tile(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let response = send(self.request(Method::GET, &format!("/v1/log/tile/{path}"))).await?;
        Ok(response.bytes().await.map_err(|error| ClientError::transport(&error))?.to_vec())
    }

    /// `GET /v1/log/inclusion`: proves that entry `index` is among the first `size`.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, ClientError> {
        json(self.request(Method::GET, "/v1/log/inclusion").query(&[("index", index), ("size", size)])).await
    }

    /// `GET /v1/log/consistency`: proves that the first `to` entries begin with the first `from`.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, ClientError> {
        json(self.request(Method::GET, "/v1/log/consistency").query(&[("from", from), ("to", to)])).await
    }

    /// `POST /v1/log/verify-state`: replays the log and names each row that doesn't fit it. It takes as long as the log is long.
    pub async fn verify_state(&self) -> Result<StateReport, ClientError> {
        json(self.stream_request(Method::POST, "/v1/log/verify-state").timeout(REPLAY)).await
    }

    /// `GET /v1/log/export`: everything that is committed, for an auditor to verify offline.
    pub async fn export(&self) -> Result<Export, ClientError> {
        open(self.stream_request(Method::GET, "/v1/log/export")).await.map(Export)
    }
}
