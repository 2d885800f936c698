//! Control points of a joiner: that somebody was proven to be who they say they are, and that they were told what is asked
//! of them. A policy may have access wait for them (R118).

use tenure_api::people::NewJoinerCheck;
use tenure_api::views::Revised;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::people::person::{JoinerCheck, Person, Role};
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::authority::inventory;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::operation::Asked;
use crate::people::person::person_step;

/// The longest account of how it was done, in bytes.
const LONGEST: usize = 500;

/// Records that a joiner has passed a control point; one that was recorded before is recorded anew.
///
/// # Errors
/// It isn't said how, the caller is neither the person's manager nor of security nor an administrator, or is that person;
/// or the sign-in isn't fresh.
pub async fn record_check(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: NewJoinerCheck,
) -> Result<Revised<Person>, OpError> {
    let asked = Asked::new(ControlPoint::Change, "person.record_check", id);
    person_step(kernel, caller, asked, id, |stored, now| {
        let ask = &ask;
        async move {
            let Caller::Person { person: by, .. } = caller else {
                return Err(OpError::because(Reason::NotAllowed, "only a person says what somebody has passed"));
            };
            // Beyond any policy: nobody vouches for themselves.
            if by.id == id {
                return Err(OpError::refused(Reason::SamePerson));
            }
            let may = stored.manager == Some(by.id) || by.holds(Role::Security) || by.holds(Role::Administrator);
            let context = Attributes::from([("owns", Value::Bool(false)), ("addressed", Value::Bool(may))]);
            let answer = kernel.allow(caller, Action::Review, inventory("person", id, ""), context)?;
            let how = ask.how.trim();
            if how.is_empty() || how.len() > LONGEST {
                return Err(OpError::field("how", "how_missing", "say how it was done, in at most 500 bytes"));
            }
            let fresh = freshness::freshness(kernel, caller, now).await?;
            let event = kernel
                .event(now, EventKind::PersonCheckRecorded)
                .subject(id)
                .fact("check", ask.kind)
                .fact("how", how)
                .fact("policies", answer.policies())
                .fact("assurance", assurance_fact(caller));
            let mut changeset = Changeset::new(caller.author(), now, event);
            fresh.expect(&mut changeset);
            let mut person = (*stored.value).clone();
            person.checks.retain(|check| check.kind != ask.kind);
            person.checks.push(JoinerCheck { kind: ask.kind, by: by.id, at: now, how: how.to_owned() });
            changeset.replace(&stored, &person);
            Ok((changeset, person))
        }
    })
    .await
}
