//! Why a ceremony failed.

/// Why a registration or an assertion was refused. None repeats what the client said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WebauthnError {
    /// Client data, attestation object or authenticator data can't be read.
    #[error("the response is not well-formed")]
    Malformed,
    /// The client data is of the other ceremony (§7.1 step 7, §7.2 step 11).
    #[error("the response is of another ceremony")]
    TypeWrong,
    /// Not the challenge of this flow.
    #[error("the response answers another challenge")]
    ChallengeWrong,
    /// Made for another origin.
    #[error("the response was made for another origin")]
    OriginWrong,
    /// Made in a frame inside another site.
    #[error("the response was made inside another site's page")]
    Embedded,
    /// The authenticator scoped it to another relying party.
    #[error("the response is for another relying party")]
    RelyingPartyWrong,
    /// An attestation that is neither absent nor by the credential itself.
    #[error("this form of attestation is not accepted; ask for none")]
    AttestationUnsupported,
    /// Not an ES256 or EdDSA key, or no strong one.
    #[error("the credential's key is not accepted; use ES256 or EdDSA")]
    KeyUnsupported,
    /// The signature doesn't hold.
    #[error("the signature is invalid")]
    SignatureInvalid,
    /// Nobody touched the authenticator.
    #[error("the authenticator saw no user")]
    UserNotPresent,
    /// The authenticator did not check who used it: a stolen key would do.
    #[error("the authenticator did not verify its user")]
    UserNotVerified,
    /// The backup flags contradict each other or the registration.
    #[error("the authenticator's backup flags contradict themselves")]
    BackupFlagsWrong,
    /// The signature holds, but its counter is not above the last one: two copies of the key are in use (§6.1.1).
    #[error("the signature counter went back: the passkey may have been copied")]
    CounterWentBack,
    /// The flow is unknown, over, or of another kind.
    #[error("the ceremony is over; begin again")]
    FlowOver,
}

impl WebauthnError {
    /// The stable code, for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "webauthn_malformed",
            Self::TypeWrong => "webauthn_type_wrong",
            Self::ChallengeWrong => "webauthn_challenge_wrong",
            Self::OriginWrong => "webauthn_origin_wrong",
            Self::Embedded => "webauthn_embedded",
            Self::RelyingPartyWrong => "webauthn_relying_party_wrong",
            Self::AttestationUnsupported => "webauthn_attestation_unsupported",
            Self::KeyUnsupported => "webauthn_key_unsupported",
            Self::SignatureInvalid => "webauthn_signature_invalid",
            Self::UserNotPresent => "webauthn_user_not_present",
            Self::UserNotVerified => "webauthn_user_not_verified",
            Self::BackupFlagsWrong => "webauthn_backup_flags_wrong",
            Self::CounterWentBack => "webauthn_counter_went_back",
            Self::FlowOver => "webauthn_flow_over",
        }
    }
}
