//! Invitations: with one a person binds a sign-in, once, within a day, and only after a second administrator agreed
//! (S-10).

use tenure_api::sign_in::{InvitationMade, InvitationView, NewInvitation};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{EventId, InvitationId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonState};
use tenure_core::people::sign_in::{INVITATION_LIFE, Invitation};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::secret::Pending;
use tenure_credentials::opaque::Minted;

use crate::kernel::Kernel;
use crate::kernel::administrators;
use crate::kernel::authority::{self, administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::operation::Asked;
use crate::kernel::query::ListAsk;

const KIND: &str = "invitation";

/// Invites a person to bind a sign-in. It is good for nothing until another administrator has confirmed it, or at once,
/// and marked so, while there is no other.
///
/// # Errors
/// No such active person, or the caller may not.
pub async fn create_invitation(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewInvitation,
) -> Result<InvitationMade, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "invitation.create", ask.person), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, "", ""), administration(false, false))?;
            let proposed_by = caller.must_be_person()?;
            let ((pending, invitation), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let person = kernel.must::<Person>("person", ask.person).await?;
                    if person.state != PersonState::Active {
                        return Err(OpError::field("person", "person_not_active", "only an active person can sign in"));
                    }
                    let alone = administrators::is_alone(kernel).await?;
                    // Alone, proposing is confirming.
                    let fresh = if alone { Some(freshness::freshness(kernel, caller, now).await?) } else { None };
                    let event = kernel.event(now, EventKind::InvitationMade);
                    let (pending, invitation) =
                        new_invitation(kernel, ask.person, proposed_by, alone, ask.replaces, event.id, now);
                    let event = event
                        .subject(invitation.id)
                        .subject(ask.person)
                        .fact("replaces", ask.replaces)
                        .fact("single_person", alone)
                        .fact("expires_at", invitation.expires_at)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    if let Some(fresh) = fresh {
                        fresh.expect(&mut changeset);
                    }
                    changeset.expect(&person).insert(&invitation);
                    Ok((changeset, (pending, invitation)))
                })
                .await?;
            Ok(InvitationMade {
                record: view(&invitation, kernel.now()),
                invitation: Kernel::released(pending, &committed)?.expose().clone(),
            })
        })
        .await
}

/// Agrees to an invitation that another administrator made.
///
/// # Errors
/// No such invitation, it is used, over or confirmed, or the caller made it, may not, or hasn't just signed in.
pub async fn confirm_invitation(
    kernel: &Kernel,
    caller: &Caller,
    id: InvitationId,
) -> Result<Revised<InvitationView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "invitation.confirm", id), async {
            let ((invitation, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Invitation>("invitation", id).await?;
                    let confirmed_by = authority::second_person(kernel, caller, KIND, id, stored.proposed_by)?;
                    // Who is invited doesn't vouch for themselves either.
                    if confirmed_by == stored.person {
                        return Err(OpError::refused(Reason::SamePerson));
                    }
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    if stored.single_person
                        || stored.confirmed_by.is_some()
                        || stored.used_at.is_some()
                        || now >= stored.expires_at
                    {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            "only an invitation that waits for it can be confirmed",
                        ));
                    }
                    let invitation = Invitation { confirmed_by: Some(confirmed_by), ..(*stored.value).clone() };
                    let event = kernel
                        .event(now, EventKind::InvitationConfirmed)
                        .subject(id)
                        .subject(stored.person)
                        .subject(stored.proposed_by)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &invitation);
                    Ok((changeset, (invitation, stored.revision + 1)))
                })
                .await?;
            kernel.changed(view(&invitation, kernel.now()), revision, &committed).await
        })
        .await
}

/// Takes an invitation back.
///
/// # Errors
/// No such invitation, it was used, or the caller may not.
pub async fn revoke_invitation(
    kernel: &Kernel,
    caller: &Caller,
    id: InvitationId,
) -> Result<Revised<InvitationView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "invitation.revoke", id), async {
            kernel.allow_taking_back(caller, Action::Trust, &inventory(KIND, id, ""))?;
            let ((invitation, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Invitation>("invitation", id).await?;
                    if stored.used_at.is_some() {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            "the invitation was used or taken back before",
                        ));
                    }
                    let invitation = Invitation { used_at: Some(now), ..(*stored.value).clone() };
                    let event = kernel.event(now, EventKind::InvitationRevoked).subject(id).subject(stored.person);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &invitation);
                    Ok((changeset, (invitation, stored.revision + 1)))
                })
                .await?;
            kernel.changed(view(&invitation, kernel.now()), revision, &committed).await
        })
        .await
}

/// Invitations of the last day, without their secrets.
///
/// # Errors
/// The caller may not read them.
pub async fn invitations(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Invitation>,
) -> Result<Page<Revised<InvitationView>>, OpError> {
    authority::may_read(kernel, caller, KIND, "", false).await?;
    let (rows, end) = kernel.page(ask).await?;
    let now = kernel.now();
    let items = rows.iter().map(|stored| Revised {
        record: view(stored, now),
        revision: stored.revision,
        hold: None,
        log: None,
        names: Names::new(),
    });
    Ok(end.page(items.collect()))
}

/// One invitation, without its secret.
///
/// # Errors
/// No such invitation, or the caller may not read it.
pub async fn invitation(
    kernel: &Kernel,
    caller: &Caller,
    id: InvitationId,
) -> Result<Revised<InvitationView>, OpError> {
    authority::may_read(kernel, caller, KIND, &id.to_string(), false).await?;
    let stored = kernel.must::<Invitation>("invitation", id).await?;
    let record = view(&stored, kernel.now());
    Ok(Revised { record, revision: stored.revision, hold: None, log: None, names: Names::new() })
}

/// A new invitation and its secret, for the commit that writes it.
pub(crate) fn new_invitation(
    kernel: &Kernel,
    person: PersonId,
    proposed_by: PersonId,
    single_person: bool,
    replaces: bool,
    commit: EventId,
    now: Timestamp,
) -> (Pending<String>, Invitation) {
    let id = InvitationId::generate(now, kernel.entropy.as_ref());
    let Minted { token, hash } = kernel.opaque.invitation(id, commit, kernel.entropy.as_ref());
    let invitation = Invitation {
        id,
        person,
        hash,
        created_at: now,
        expires_at: now.plus(INVITATION_LIFE),
        proposed_by,
        confirmed_by: None,
        single_person,
        replaces,
        used_at: None,
    };
    (token, invitation)
}

fn view(invitation: &Invitation, now: Timestamp) -> InvitationView {
    InvitationView {
        id: invitation.id,
        person: invitation.person,
        good: invitation.is_good(now),
        replaces: invitation.replaces,
        proposed_by: invitation.proposed_by,
        confirmed_by: invitation.confirmed_by,
        single_person: invitation.single_person,
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
        used_at: invitation.used_at,
    }
}
