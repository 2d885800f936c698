//! Business needs: what identities serve, and what becomes of them when it ends (R76).

use tenure_api::exceptions::NewNeed;
use tenure_api::views::Revised;
use tenure_core::base::id::{NeedId, PersonId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::inventory::environment::parse_name;
use tenure_core::inventory::third_party::{Need, Standing};
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::inventory::ownership;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Listed;

impl Listed for Need {
    const NAME: &'static str = "need";
    fn accountable(&self) -> Option<PersonId> {
        Some(self.owner)
    }
}

/// Registers a business need.
///
/// # Errors
/// The fields are wrong, the name is taken, or the caller is no administrator.
pub async fn create_need(kernel: &Kernel, caller: &Caller, ask: NewNeed) -> Result<Revised<Need>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "need.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("need", "", ""), administration(false, false))?;
            let (need, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
                    let owner = ownership::who_answers(kernel, ask.owner, &mut problems).await?;
                    if ask.ends_at.is_some_and(|end| end <= now) {
                        problems.push(FieldProblem::new(
                            "ends_at",
                            "end_past",
                            "set an end in the future, or leave it out",
                        ));
                    }
                    let Some(owner) = owner.filter(|_| problems.is_empty()) else {
                        return Err(OpError::Invalid(problems));
                    };
                    let need = Need {
                        id: NeedId::generate(now, kernel.entropy.as_ref()),
                        kind: ask.kind,
                        name: ask.name.clone(),
                        owner: ask.owner,
                        ends_at: ask.ends_at,
                        standing: Standing::Open,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::NeedCreated)
                        .subject(need.id)
                        .subject(ask.owner)
                        .fact("type", need.kind)
                        .fact("name", &need.name)
                        .fact("ends_at", need.ends_at);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expect(&owner).insert(&need);
                    if let Some(end) = need.ends_at {
                        changeset.due.push(DueChange::Set(DueKind::Need, need.id.to_string(), end));
                    }
                    changeset.once.push(Once { space: "need_name", key: ask.name.clone(), until: None });
                    Ok((changeset, need))
                })
                .await?;
            kernel.changed(need, 1, &committed).await
        })
        .await
}
