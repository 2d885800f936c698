//! Why a token was refused.

use tenure_core::base::json::JsonError;

/// Why a token was refused. Each has a stable code for problems, records and tests; none repeats what the token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JoseError {
    /// Not a compact JWS of strict base64url and strict JSON, or a claim of the wrong type.
    #[error("not a well-formed token")]
    Malformed,
    /// Longer than the limit.
    #[error("the token is too long")]
    TooLarge,
    /// A JSON object names a member twice (RFC 7515 §4, RFC 8725 §2.6).
    #[error("a member appears twice")]
    DuplicateMember,
    /// `alg` is not on the caller's list, or is not the key's own algorithm.
    #[error("the signature algorithm is not accepted here")]
    AlgNotAllowed,
    /// The header brings or points to a key: `jwk`, `jku`, `x5u`, `x5c` (RFC 8725 §3.10).
    #[error("the header must not carry or point to a key")]
    HeaderKeyRefused,
    /// The header asks for another encoding: `b64`, `zip`.
    #[error("the header asks for an encoding that is not supported")]
    HeaderOptionRefused,
    /// `crit` names an extension; none is supported (RFC 7515 §4.1.11).
    #[error("the header names a critical extension that is not supported")]
    CritUnknown,
    /// `typ` is not the one wanted here (RFC 8725 §3.11).
    #[error("the token is of another type")]
    TypWrong,
    /// `kid` is missing where it is needed to choose between keys.
    #[error("the token does not say which key signed it")]
    KidMissing,
    /// No key has this `kid`: the caller may fetch the key set once more.
    #[error("the signing key is unknown")]
    KeyUnknown,
    /// The signature doesn't hold.
    #[error("the signature is invalid")]
    SignatureInvalid,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `exp` is missing.
    #[error("the token names no expiry")]
    ExpMissing,
    /// `iat` or `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is missing.
    #[error("the token does not say when it was issued")]
    IatMissing,
    /// The token lives longer than is accepted here.
    #[error("the token's lifetime is too long")]
    LifetimeTooLong,
    /// `aud` is not exactly the one value wanted here.
    #[error("the token is addressed to another audience, or to several")]
    AudienceWrong,
    /// `iss` is not the one wanted here.
    #[error("the token is from another issuer")]
    IssuerWrong,
    /// `sub` is missing or not the one wanted here.
    #[error("the token is about another subject")]
    SubjectWrong,
    /// `jti` is missing, empty or too long.
    #[error("the token has no usable jti")]
    JtiMissing,
    /// `join_token_id` is missing or names another join token.
    #[error("the proof is for another join token")]
    JoinTokenWrong,
}

impl JoseError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::DuplicateMember => "duplicate_member",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::HeaderKeyRefused => "header_key_refused",
            Self::HeaderOptionRefused => "header_option_refused",
            Self::CritUnknown => "crit_unknown",
            Self::TypWrong => "typ_wrong",
            Self::KidMissing => "kid_missing",
            Self::KeyUnknown => "key_unknown",
            Self::SignatureInvalid => "signature_invalid",
            Self::Expired => "expired",
            Self::ExpMissing => "exp_missing",
            Self::NotYetValid => "not_yet_valid",
            Self::IatMissing => "iat_missing",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::AudienceWrong => "audience_wrong",
            Self::IssuerWrong => "issuer_wrong",
            Self::SubjectWrong => "subject_wrong",
            Self::JtiMissing => "jti_missing",
            Self::JoinTokenWrong => "join_token_wrong",
        }
    }
}

impl From<JsonError> for JoseError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed => Self::Malformed,
            JsonError::DuplicateMember => Self::DuplicateMember,
        }
    }
}
