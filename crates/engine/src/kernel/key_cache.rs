//! Keys that were opened, and tokens whose signatures were checked, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tenure_core::base::id::SigningKeyId;
use tenure_credentials::jose::Jwk;
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::ReceiptSigner;
use tenure_credentials::token::{SignedToken, TokenSigner};
use tenure_log::{LogSigner, NoteSigner};

/// Prepared keys of workloads that are kept; about 20 MB.
pub(crate) const MAX_WORKLOAD_KEYS: usize = 20_000;

/// Tokens whose signatures are remembered; about 10 MB.
pub(crate) const MAX_TOKENS: usize = 16_384;

/// The keys of the deployment as a whole.
pub(crate) struct DeploymentKeys {
    /// Signs checkpoints and promises.
    pub log: LogSigner,
    /// Signs what is kept outside beside the log: it follows from the root key alone, so that a database of any epoch
    /// knows what any other one has left there.
    pub every_epoch: NoteSigner,
    /// Signs receipts.
    pub receipt: ReceiptSigner,
    /// The receipt key's public part.
    pub receipt_public: [u8; 32],
}

#[derive(Default)]
pub(crate) struct KeyCache {
    pub(crate) deployment: RwLock<Option<Arc<DeploymentKeys>>>,
    pub(crate) signers: RwLock<HashMap<SigningKeyId, Arc<TokenSigner>>>,
    pub(crate) public: RwLock<HashMap<SigningKeyId, PublicKey>>,
    /// Workloads' public keys by thumbprint, prepared for checking.
    pub(crate) workload: RwLock<HashMap<String, Arc<Jwk>>>,
    /// Tokens of ours whose signatures hold, by their hashes. Their keys, their times and their lives are checked at
    /// each use.
    pub(crate) tokens: RwLock<HashMap<[u8; 32], Arc<KnownToken>>>,
}

/// A public key of ours as it stands in the key set, and prepared for checking.
pub(crate) type PublicKey = (serde_json::Value, VerifyingKey);

/// A token of ours whose signature was checked.
pub(crate) struct KnownToken {
    /// The environment whose issuer the token names.
    pub environment: String,
    /// The token.
    pub signed: SignedToken,
}

impl KeyCache {
    /// Forgets every key: others are in force.
    pub(crate) fn forget(&self) {
        *self.deployment.write() = None;
        self.signers.write().clear();
        self.public.write().clear();
        self.tokens.write().clear();
    }
}
