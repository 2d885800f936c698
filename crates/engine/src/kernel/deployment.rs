//! The record of the deployment: whose log it is, and its keys.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::SigningKeyId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::StoreError;
use tenure_core::store::row::{Record, RowKey, RowKind};

use crate::kernel::Kernel;

/// What stands in the log's name before the epoch's number, from the first on that is not the deployment's beginning.
pub(crate) const IN_EPOCH: &str = "/epoch-";

/// What is true of the deployment as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deployment {
    /// The name in the log's origin.
    pub log_name: String,
    /// The key that signs checkpoints and promises.
    pub log_key: SigningKeyId,
    /// The key that signs receipts.
    pub receipt_key: SigningKeyId,
    /// When set-up was done.
    pub created_at: Timestamp,
}

impl Deployment {
    /// The public URL's host and path, which the log's name begins with in every epoch.
    pub(crate) fn host(&self) -> &str {
        self.log_name.rsplit_once(IN_EPOCH).map_or(self.log_name.as_str(), |(host, _)| host)
    }

    /// The log's name in an epoch: what it signs there can't be taken for what it signed before.
    pub(crate) fn name_in_epoch(&self, number: u64) -> String {
        format!("{}{IN_EPOCH}{number}", self.host())
    }

    pub(crate) fn row_key() -> RowKey {
        RowKey::new(RowKind::Deployment, "this")
    }
}

impl Record for Deployment {
    const KIND: RowKind = RowKind::Deployment;
    fn row_id(&self) -> String {
        "this".into()
    }
}

/// The log's name: the public URL without its scheme, as C2SP origins are written.
pub(crate) fn log_name(public_url: &str) -> String {
    public_url.split_once("://").map_or(public_url, |(_, rest)| rest).trim_end_matches('/').to_owned()
}

/// The deployment's record, if set-up is done.
pub(crate) async fn deployment(kernel: &Kernel) -> Result<Option<std::sync::Arc<Deployment>>, StoreError> {
    let snapshot = kernel.store.load(&[Deployment::row_key()]).await?;
    Ok(snapshot.get::<Deployment>(0)?.map(|stored| stored.value))
}
