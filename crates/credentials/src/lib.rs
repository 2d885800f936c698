//! What proves an identity, and what checks such proofs: JOSE, access tokens, receipts, one-time tokens, and the keys
//! behind them.
//!
//! Everything is a function of its arguments: time is a parameter, randomness is
//! [`tenure_core::base::entropy::Entropy`]. Three rules shape the crate. A key pins its algorithm, so a header can't
//! choose how it is verified. Claims exist only after the signature holds; whatever is read before says `unverified` in
//! its name. Only [`token::TokenSigner::sign`] makes an access token, only [`token::TokenSigner::vouch`] vouches for an
//! identity elsewhere, and both take the gate's [`tenure_core::credential::gate::Permit`] by value.

pub mod assertion;
pub mod certificate;
pub mod dpop;
mod encoding;
pub mod entropy;
pub mod external;
pub mod id_token;
pub mod index_keys;
pub mod jose;
pub mod key;
pub mod nonce;
pub mod opaque;
pub mod receipt;
pub mod root;
pub mod row_sealer;
pub mod signal;
pub mod token;
pub mod vouch;
pub mod webauthn;
