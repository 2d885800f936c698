//! The log: checkpoints, tiles, proofs and the export.

use std::time::Duration;

use reqwest::{Method, Response};
use tenure_api::log::{
    ConsistencyProof, DerivedIndex, ExportRange, InclusionProof, Reindexed, Reindexing, StateReport, Timeline,
};
use tenure_api::views::{Page, Revised};
use tenure_core::finding::exceptional::ExceptionalAccess;

use crate::transport::{chunk, json, open, send, text};
use crate::{Client, ClientError, ListQuery};

/// How long a replay of the whole log may take.
const REPLAY: Duration = Duration::from_secs(3_600);

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

    /// `GET /v1/log/key`: the log's C2SP verifier key. Keep it: only a key from elsewhere proves that a log was not
    /// replaced.
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

    /// `GET /v1/log/exceptional`: each use of access that is exceptional by itself, the oldest first.
    pub async fn exceptional_accesses(
        &self,
        query: &ListQuery,
    ) -> Result<Page<Revised<ExceptionalAccess>>, ClientError> {
        self.list("/v1/log/exceptional", query).await
    }

    /// `POST /v1/log/verify-state`: replays the log and names each row that doesn't fit it. It takes as long as the
    /// state is large; with `full` also as long as the log is long, which is read from its first entry on then.
    pub async fn verify_state(&self, full: bool) -> Result<StateReport, ClientError> {
        let request = self.stream_request(Method::POST, "/v1/log/verify-state").query(&[("full", full)]);
        json(request.timeout(REPLAY)).await
    }

    /// `GET /v1/log/timeline`: what happened to a subject and what it did, the newest first.
    pub async fn timeline(&self, subject: &str, before: Option<u64>, limit: u16) -> Result<Timeline, ClientError> {
        let mut query = vec![("subject", subject.to_owned()), ("limit", limit.to_string())];
        query.extend(before.map(|before| ("before", before.to_string())));
        json(self.request(Method::GET, "/v1/log/timeline").query(&query)).await
    }

    /// `POST /v1/log/reindex`: throws an index away, to be made again.
    pub async fn reindex(&self, of: DerivedIndex) -> Result<Reindexed, ClientError> {
        json(self.request(Method::POST, "/v1/log/reindex").query(&Reindexing { of })).await
    }

    /// `GET /v1/log/export`: what is committed, all of it or a range, for an auditor to verify offline.
    pub async fn export(&self, range: &ExportRange) -> Result<Export, ClientError> {
        open(self.stream_request(Method::GET, "/v1/log/export").query(range)).await.map(Export)
    }
}
