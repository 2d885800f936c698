//! Operator tokens: bearer tokens that stand for a named person (S-7).

use tenure_api::requests::NewOperatorToken;
use tenure_api::views::OperatorTokenIssued;
use tenure_core::base::id::{OperatorTokenId, PersonId};
use tenure_core::base::time::Span;
use tenure_core::finding::exceptional::Access;
use tenure_core::people::person::{OperatorToken, Person, PersonState};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::freshness;
use crate::kernel::operation::Asked;
use crate::people::setup::{self, OPERATOR_TOKEN_LIFE};

pub(crate) const MAX_OPERATOR_TOKEN_LIFE: Span = Span::from_days(30);

/// Hands out an operator token that stands for a person until sign-in exists (S-7).
///
/// # Errors
/// No such active person, or the caller is no administrator.
pub async fn create_operator_token(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: NewOperatorToken,
) -> Result<OperatorTokenIssued, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "operator_token.create", id), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("operator_token", "", ""),
                administration(false, false),
            )?;
            let life = ask.ttl.unwrap_or(OPERATOR_TOKEN_LIFE);
            if life > MAX_OPERATOR_TOKEN_LIFE || life < Span::from_mins(1) {
                return Err(OpError::field("ttl", "ttl_out_of_range", "use 1m to 30d"));
            }
            let ((pending, token), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::before_sign_in(kernel).await?;
                    let person = kernel.must::<Person>("person", id).await?;
                    if person.state != PersonState::Active {
                        return Err(OpError::field(
                            "person",
                            "person_not_active",
                            "only an active person can have one",
                        ));
                    }
                    let event = kernel.event(now, EventKind::OperatorTokenCreated);
                    let (pending, token) = setup::new_operator_token(kernel, id, life, event.id, now);
                    let event = event.subject(id).subject(token.id).fact("expires_at", token.expires_at);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.expect(&person).insert(&token);
                    exceptional::exceptional(kernel, &mut changeset, operator_token(&token));
                    Ok((changeset, (pending, token)))
                })
                .await?;
            Ok(OperatorTokenIssued {
                id: token.id,
                person: id,
                operator_token: Kernel::released(pending, &committed)?.expose().clone(),
                expires_at: token.expires_at,
            })
        })
        .await
}

/// Revokes an operator token.
///
/// # Errors
/// No such token, or the caller is neither its person nor an administrator.
pub async fn revoke_operator_token(kernel: &Kernel, caller: &Caller, id: OperatorTokenId) -> Result<(), OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "operator_token.revoke", id), async {
            kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<OperatorToken>("operator token", id).await?;
                    // As with sessions: one's own, and for security and administrators anyone's.
                    if caller.person_id() != Some(stored.person)
                        && kernel
                            .allow(caller, Action::Revoke, inventory("operator_token", id, ""), owns(false))
                            .is_err()
                    {
                        kernel.allow(
                            caller,
                            Action::Administer,
                            inventory("operator_token", id, ""),
                            administration(false, false),
                        )?;
                    }
                    let token =
                        OperatorToken { revoked_at: stored.revoked_at.or(Some(now)), ..(*stored.value).clone() };
                    let event = kernel.event(now, EventKind::OperatorTokenRevoked).subject(id).subject(stored.person);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &token);
                    Ok((changeset, ()))
                })
                .await?;
            Ok(())
        })
        .await
}

/// An operator token stands for somebody who does not sign in: that is exceptional by itself.
pub(crate) fn operator_token(token: &OperatorToken) -> About<'static> {
    About {
        access: Access::OperatorTokenCreated,
        with: token.id.to_string(),
        identity: None,
        allowed_by: None,
        refused: None,
    }
}
