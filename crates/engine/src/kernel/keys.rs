//! Signing keys in memory: opened once, found by id. They are few, and every use checks the environment's row anyway.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tenure_core::base::id::SigningKeyId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::environment::{Environment, EnvironmentKey};
use tenure_core::store::epoch::Epoch;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::store::secret::Secret;
use tenure_core::trust::signing_key::{KeyUse, SigningAlgorithm, SigningKey};
use tenure_credentials::jose::Jwk;
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::receipt::ReceiptSigner;
use tenure_credentials::token::{SignedToken, TokenSigner, token_hash};
use tenure_log::{LogSigner, NoteSigner, VerifierKey};

use crate::kernel::deployment::{self, Deployment};
use crate::kernel::error::OpError;
use crate::kernel::key_cache::{DeploymentKeys, KnownToken, MAX_TOKENS, MAX_WORKLOAD_KEYS, PublicKey};
use crate::kernel::{Kernel, administrators, refresh};

const SEAL_LABEL: &str = "signing-key";

/// A fresh Ed25519 key and its sealed record.
pub(crate) fn new_key(kernel: &Kernel, key_use: KeyUse, now: Timestamp) -> Result<SigningKey, OpError> {
    new_key_of(kernel, key_use, SigningAlgorithm::EdDsa, now)
}

/// A fresh key of this algorithm and its sealed record.
pub(crate) fn new_key_of(
    kernel: &Kernel,
    key_use: KeyUse,
    algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<SigningKey, OpError> {
    let id = SigningKeyId::generate(now, kernel.entropy.as_ref());
    let key = tenure_credentials::key::generate(algorithm, kernel.entropy.as_ref())
        .map_err(|e| OpError::Internal(e.to_string()))?;
    let sealed = kernel
        .root
        .seal(SEAL_LABEL, &id.to_string(), key.private.expose(), kernel.entropy.as_ref())
        .map_err(|e| OpError::Internal(e.to_string()))?;
    Ok(SigningKey { id, key_use, algorithm, public: key.public, sealed, created_at: now })
}

async fn load_key(kernel: &Kernel, id: SigningKeyId) -> Result<std::sync::Arc<SigningKey>, OpError> {
    let snapshot = kernel.store.load(&[RowKey::new(RowKind::SigningKey, id)]).await?;
    let stored =
        snapshot.get::<SigningKey>(0)?.ok_or_else(|| OpError::Internal(format!("the signing key {id} is missing")))?;
    Ok(stored.value)
}

fn open_seed(kernel: &Kernel, key: &SigningKey) -> Result<Secret<[u8; 32]>, OpError> {
    kernel.root.open_seed(SEAL_LABEL, &key.id.to_string(), &key.sealed).map_err(|_| unopened(key.id))
}

/// The deployment's own keys.
pub(crate) async fn deployment_keys(kernel: &Kernel) -> Result<Arc<DeploymentKeys>, OpError> {
    if let Some(keys) = kernel.keys.deployment.read().as_ref() {
        return Ok(Arc::clone(keys));
    }
    let deployment = deployment::deployment(kernel).await?.ok_or(OpError::Setup("set-up has not been done"))?;
    let keys = Arc::new(open_deployment_keys(kernel, &deployment).await?);
    *kernel.keys.deployment.write() = Some(Arc::clone(&keys));
    Ok(keys)
}

async fn open_deployment_keys(kernel: &Kernel, deployment: &Deployment) -> Result<DeploymentKeys, OpError> {
    let log = load_key(kernel, deployment.log_key).await?;
    let receipt = load_key(kernel, deployment.receipt_key).await?;
    if log.key_use != KeyUse::Log || receipt.key_use != KeyUse::Receipt {
        return Err(OpError::Internal("a deployment key is for another use".into()));
    }
    let log_signer = LogSigner::from_seed(&deployment.log_name, 0, open_seed(kernel, &log)?.expose())
        .map_err(|e| OpError::Internal(e.to_string()))?;
    let every_epoch = NoteSigner::from_seed(
        &format!("{}/every-epoch", deployment.host()),
        kernel.root.subkey("kept checkpoints").expose(),
    )
    .map_err(|e| OpError::Internal(e.to_string()))?;
    let seed = open_seed(kernel, &receipt)?;
    let receipt_public = tenure_credentials::key::public_of(&seed).map_err(|e| OpError::Internal(e.to_string()))?;
    let receipt_signer = ReceiptSigner::new(receipt.id, &seed).map_err(|e| OpError::Internal(e.to_string()))?;
    Ok(DeploymentKeys { log: log_signer, every_epoch, receipt: receipt_signer, receipt_public })
}

/// The signer of an environment's current key of this algorithm.
pub(crate) async fn token_signer(
    kernel: &Kernel,
    environment: &Environment,
    algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<Arc<TokenSigner>, OpError> {
    let missing = || {
        OpError::Internal(format!("the environment {} has no signing key for {}", environment.name, algorithm.as_str()))
    };
    let id = environment.signing_key(algorithm, now).ok_or_else(missing)?;
    if let Some(signer) = kernel.keys.signers.read().get(&id) {
        return Ok(Arc::clone(signer));
    }
    let key = load_key(kernel, id).await?;
    if key.key_use != KeyUse::AccessToken(environment.name.clone()) {
        return Err(OpError::Internal(format!("the signing key {id} is for another use")));
    }
    let private = kernel.root.open(SEAL_LABEL, &key.id.to_string(), &key.sealed).map_err(|_| unopened(id))?;
    let signer = Arc::new(TokenSigner::new(id, key.algorithm, &private).map_err(|e| OpError::Internal(e.to_string()))?);
    kernel.keys.signers.write().insert(id, Arc::clone(&signer));
    Ok(signer)
}

/// The public keys that an environment's verifiers may meet now.
pub(crate) async fn public_keys(
    kernel: &Kernel,
    environment: &Environment,
    now: Timestamp,
) -> Result<Vec<PublicKey>, OpError> {
    let mut keys = Vec::new();
    for key in environment.published(now) {
        let known = kernel.keys.public.read().get(&key.id).cloned();
        let public = match known {
            Some(public) => public,
            None => {
                let record = load_key(kernel, key.id).await?;
                let (key, jwk) = VerifyingKey::from_record(key.id, record.algorithm, &record.public)
                    .map_err(|_| OpError::Internal(format!("the public key {} is malformed", key.id)))?;
                let prepared = (jwk, key);
                kernel.keys.public.write().insert(record.id, prepared.clone());
                prepared
            }
        };
        keys.push(public);
    }
    Ok(keys)
}

/// The public keys of an environment, as JWKs: for everyone.
///
/// # Errors
/// No such environment.
pub async fn key_set(kernel: &Kernel, environment: &str) -> Result<Vec<serde_json::Value>, OpError> {
    let environment = kernel.must::<Environment>("environment", environment).await?;
    let keys = public_keys(kernel, &environment, kernel.now()).await?;
    Ok(keys.into_iter().map(|(jwk, _)| jwk).collect())
}

/// [`Kernel::catch_up`], for a server: its public URL has to be the deployment's.
///
/// # Errors
/// It isn't; or as there.
pub async fn recover(kernel: &Kernel) -> Result<(), OpError> {
    refresh::catch_up(kernel).await?;
    match deployment::deployment(kernel).await? {
        Some(deployment) if deployment.host() != crate::kernel::deployment::log_name(&kernel.settings.public_url) => {
            Err(OpError::Unavailable(format!(
                "this deployment's public URL is that of {}, and issuer identifiers begin with it: set public_url to it",
                deployment.host()
            )))
        }
        _ => {
            // Until it can be said, nobody acts alone.
            if let Err(error) = administrators::state(kernel).await {
                tracing::warn!(%error, "who administers this deployment can't be written down yet");
            }
            Ok(())
        }
    }
}

/// Whether the store's disk is full, so that only what takes authority away is written (S-16).
pub fn disk_is_full(kernel: &Kernel) -> bool {
    kernel.store.is_full()
}

/// How many entries the log has.
///
/// # Errors
/// The store can't be reached.
pub async fn log_size(kernel: &Kernel) -> Result<u64, OpError> {
    Ok(kernel.store.head().await?.size)
}

/// How many entries the newest checkpoint covers.
///
/// # Errors
/// The store can't be reached.
pub async fn sealed_size(kernel: &Kernel) -> Result<u64, OpError> {
    Ok(kernel.store.sealed().await?.map_or(0, |sealed| sealed.size))
}

/// A token that was checked before.
pub(crate) fn known_token(kernel: &Kernel, token: &str) -> Option<Arc<KnownToken>> {
    kernel.keys.tokens.read().get(&token_hash(token)).map(Arc::clone)
}

/// A token of an environment, checked but for its times. One that is known holds as long as its key is published.
pub(crate) async fn signed_token(
    kernel: &Kernel,
    environment: &Environment,
    token: &str,
    now: Timestamp,
) -> Result<Arc<KnownToken>, OpError> {
    if let Some(known) = known_token(kernel, token)
        && known.environment == environment.name
        && environment.published(now).any(|key| key.id == known.signed.key())
    {
        return Ok(known);
    }
    let keys: Vec<_> = public_keys(kernel, environment, now).await?.into_iter().map(|(_, key)| key).collect();
    let signed = SignedToken::read(token, &keys, &kernel.issuer_of(&environment.name))
        .map_err(|_| OpError::Unauthenticated(Reason::ProofInvalid))?;
    let known = Arc::new(KnownToken { environment: environment.name.clone(), signed });
    let mut tokens = kernel.keys.tokens.write();
    if tokens.len() >= MAX_TOKENS {
        tokens.clear();
    }
    tokens.insert(token_hash(token), Arc::clone(&known));
    Ok(known)
}

/// A workload's public key, prepared; parsed once for each key.
pub(crate) fn workload_key(kernel: &Kernel, jwk: &serde_json::Value, thumbprint: &str) -> Result<Arc<Jwk>, OpError> {
    if let Some(key) = kernel.keys.workload.read().get(thumbprint) {
        return Ok(Arc::clone(key));
    }
    let key = Arc::new(Jwk::from_value(jwk).map_err(|e| OpError::Internal(e.to_string()))?);
    let mut keys = kernel.keys.workload.write();
    if keys.len() >= MAX_WORKLOAD_KEYS {
        keys.clear();
    }
    keys.insert(thumbprint.to_owned(), Arc::clone(&key));
    Ok(key)
}

fn unopened(id: SigningKeyId) -> OpError {
    OpError::Internal(format!("the signing key {id} can't be opened with this root key"))
}

/// Base64url without padding, as everywhere on the wire.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An environment's next keys, one of each algorithm that it signs with: as it names them, their records, and the
/// event.
pub(crate) fn next_keys(
    kernel: &Kernel,
    environment: &Environment,
    signs_from: Timestamp,
    now: Timestamp,
) -> Result<(Vec<EnvironmentKey>, Vec<SigningKey>, Event), OpError> {
    let keys: Vec<SigningKey> = environment
        .algorithms()
        .into_iter()
        .map(|algorithm| new_key_of(kernel, KeyUse::AccessToken(environment.name.clone()), algorithm, now))
        .collect::<Result<_, _>>()?;
    let named = keys.iter().map(|key| EnvironmentKey::new(key, signs_from));
    let mut event =
        kernel.event(now, EventKind::EnvironmentKeyRotated).subject(&environment.name).fact("signs_from", signs_from);
    if let [key] = keys.as_slice() {
        event = event.fact("key", key.id).fact("public_key", &key.public);
    } else {
        let told = |key: &SigningKey| json!({"key": key.id, "algorithm": key.algorithm, "public_key": key.public});
        event = event.fact("keys", keys.iter().map(told).collect::<Vec<_>>());
    }
    Ok((named.collect(), keys, event))
}

/// Publishes an environment's first key of an algorithm.
/// An event that tells the first key of an algorithm, if there is one.
pub(crate) fn with_key(event: Event, key: Option<&SigningKey>) -> Event {
    match key {
        Some(key) => event.fact("key", key.id).fact("public_key", &key.public),
        None => event,
    }
}

/// The keys by which the log's checkpoints can be known: its own, and the one that it had until this epoch.
pub(crate) async fn checkpoint_keys(kernel: &Kernel) -> Result<Vec<VerifierKey>, OpError> {
    let mut keys = vec![deployment_keys(kernel).await?.log.verifier_key().clone()];
    if let Some(epoch) = kernel.one::<Epoch>("this").await? {
        let key = VerifierKey::parse(&epoch.before.verifier_key);
        keys.push(key.map_err(|_| OpError::Internal("the epoch's record names no key".into()))?);
    }
    Ok(keys)
}
