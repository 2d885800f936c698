//! What a person holds, with the three answers of R46; and taking it back.

use tenure_api::person_access::{PersonAccess, PersonAccessReport};
use tenure_api::views::{Names, Revised};
use tenure_core::base::id::{PersonGrantId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;

use crate::access::person_access::{self, grant_deadlines, verdict};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Listed;

impl Listed for PersonGrant {
    const NAME: &'static str = "person_grant";
}

/// For each access of a person: who approved it, for which need, and what ends it, in one call (R46).
///
/// # Errors
/// No such person, or the caller may not read about them.
pub async fn person_access(kernel: &Kernel, caller: &Caller, id: PersonId) -> Result<PersonAccessReport, OpError> {
    let now = kernel.now();
    let person = kernel.sought::<Person>(caller, "person", id).await?;
    let mine = caller.person_id().is_some_and(|who| who == id || person.manager == Some(who));
    authority::may_read(kernel, caller, "person", &id.to_string(), mine).await?;
    let mut access = Vec::new();
    for grant in person_access::held_by(kernel, id).await? {
        let live = person.is_active() && verdict::is_in_force(kernel, &grant, now).await?;
        access.push(view(&grant, live));
    }
    Ok(PersonAccessReport { person: id, access, names: Names::new() })
}

/// Takes a person's grant back. Security may, and the person and their manager.
///
/// # Errors
/// No such grant, it has ended, or the caller may not.
pub async fn revoke_person_grant(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonGrantId,
    reason: String,
) -> Result<Revised<PersonGrant>, OpError> {
    check_reason(&reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "person_grant.revoke", id), async {
            let ((grant, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<PersonGrant>("person grant", id).await?;
                    let person = kernel.must::<Person>("person", stored.person).await?;
                    let own = caller.person_id().is_some_and(|who| who == person.id || person.manager == Some(who));
                    kernel.allow(caller, Action::Revoke, inventory("person_grant", id, ""), owns(own))?;
                    if stored.state.is_terminal() {
                        return Err(OpError::because(Reason::IllegalTransition, "the grant has ended already"));
                    }
                    let mut changeset = Changeset::new(
                        caller.author(),
                        now,
                        grant_deadlines::revoked_event(kernel, &stored, &reason, now),
                    );
                    let grant = grant_deadlines::take_back_grant(kernel, &mut changeset, &stored, None, now).await?;
                    Ok((changeset, (grant, stored.revision + 1)))
                })
                .await?;
            kernel.changed(grant, revision, &committed).await
        })
        .await
}

fn view(grant: &PersonGrant, live: bool) -> PersonAccess {
    PersonAccess {
        grant: grant.id,
        entitlement: grant.entitlement.clone(),
        package: grant.package.clone(),
        request: grant.request,
        exception: grant.exception,
        approved_by: grant.approved_by.clone(),
        policies: grant.policies.clone(),
        policy_version: grant.policy_version.clone(),
        need: grant.purpose.clone(),
        ends: ends(grant),
        starts_at: grant.starts_at,
        until: last_day(grant),
        review_by: grant.needs_review().then_some(grant.review_by),
        state: grant.state,
        live,
    }
}

fn last_day(grant: &PersonGrant) -> Timestamp {
    if grant.needs_review() { grant.review_by.min(grant.ends_at) } else { grant.ends_at }
}

fn ends(grant: &PersonGrant) -> Vec<String> {
    let mut ends = vec![format!("date: {}", grant.ends_at)];
    if grant.needs_review() {
        ends.push(format!("no review by {}", grant.review_by));
    }
    if let Some(exception) = grant.exception {
        ends.push(format!("the end or the withdrawal of {exception}"));
    }
    ends.extend(["the person's suspension", "the person's departure", "revocation"].map(str::to_owned));
    ends
}
