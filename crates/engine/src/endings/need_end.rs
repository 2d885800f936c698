//! A need ends: the identities that serve it are suspended (R76).

use serde_json::json;
use tenure_api::views::Revised;
use tenure_core::base::id::{NeedId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::{Need, Standing};
use tenure_core::policy::Action;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Author, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::endings::removals;
use crate::identities::dormancy::{self, Ended};
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::work::{self, acknowledge, system};

/// Closes a need: the identities that serve it are suspended, the first fifty in this commit, the rest right after.
///
/// # Errors
/// It is closed already, or the caller is neither its owner, nor security, nor an administrator.
pub async fn close_need(
    kernel: &Kernel,
    caller: &Caller,
    id: NeedId,
    reason: String,
) -> Result<Revised<Need>, OpError> {
    check_reason(&reason)?;
    let closed = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "need.close", id), async {
            let ((need, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Need>("need", id).await?;
                    let own = caller.person_id() == Some(stored.owner);
                    let asked = kernel.allow(caller, Action::Suspend, inventory("need", id, ""), owns(own));
                    if let Err(refused) = asked {
                        kernel
                            .allow(caller, Action::Administer, inventory("need", id, ""), administration(false, false))
                            .map_err(|_| refused)?;
                    }
                    if stored.standing == Standing::Closed {
                        return Err(OpError::because(Reason::IllegalTransition, "the need is closed already"));
                    }
                    let by = caller.must_be_person()?;
                    let (mut changeset, need, more) =
                        closing(kernel, caller.author(), &stored, by, &reason, now).await?;
                    changeset.due.push(if more {
                        DueChange::Set(DueKind::Need, id.to_string(), now)
                    } else {
                        DueChange::Clear(DueKind::Need, id.to_string())
                    });
                    Ok((changeset, (need, stored.revision + 1)))
                })
                .await?;
            kernel.changed(need, revision, &committed).await
        })
        .await?;
    Ok(closed)
}

pub(crate) async fn closing(
    kernel: &Kernel,
    author: impl Into<Author>,
    stored: &Stored<Need>,
    by: PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<(Changeset, Need, bool), OpError> {
    let need = Need { standing: Standing::Closed, ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::NeedClosed)
        .subject(need.id)
        .subject(need.owner)
        .fact("name", &need.name)
        .fact("reason", reason);
    let mut changeset = Changeset::new(author, now, event);
    changeset.replace(stored, &need);
    // One that holds already goes on; it ends in the same retirement.
    let subject = SignalSubject { kind: SubjectKind::Need, id: need.name.clone() };
    if removals::open_removal(kernel, &subject, &[], SignalKind::IntegrationRemoved).await?.is_none() {
        removals::removal_of_closed_need(kernel, &mut changeset, &need, by, reason, now).await?;
    }
    let more = suspend_servants(kernel, &mut changeset, &need, now).await?;
    Ok((changeset, need, more))
}

pub(crate) async fn suspend_servants(
    kernel: &Kernel,
    changeset: &mut Changeset,
    need: &Need,
    now: Timestamp,
) -> Result<bool, OpError> {
    let facts = [("need", json!({"type": need.kind, "name": need.name, "owner": need.owner}))];
    dormancy::suspend_all(kernel, changeset, Identity::NEED.of(need.id), &Ended::need(need.id), &facts, now).await
}

/// Works off a need whose end has come, or whose identities are not all suspended yet.
pub(crate) async fn work_need(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<NeedId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Need>(id).await? else {
        return Ok(None);
    };
    let (mut changeset, more) = match (stored.standing, stored.ends_at) {
        (Standing::Open, Some(end)) if end <= now => {
            let (changeset, _, more) =
                closing(kernel, system(), &stored, stored.owner, "its end has come", now).await?;
            (changeset, more)
        }
        (Standing::Open, Some(end)) => return Ok(Some(work::postponed(kernel, claimed, end, now))),
        (Standing::Open, None) => return Ok(None),
        (Standing::Closed, _) => {
            let event = kernel.event(now, EventKind::NeedWorkedOff).subject(id);
            let mut changeset = Changeset::new(system(), now, event);
            let more = suspend_servants(kernel, &mut changeset, &stored, now).await?;
            (changeset, more)
        }
    };
    if more {
        changeset.due.push(DueChange::Retry(DueKind::Need, claimed.subject.clone(), claimed.fence, now));
    } else {
        acknowledge(&mut changeset, claimed);
    }
    Ok(Some(changeset))
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::IdentityId;
    use tenure_core::identity::{CharterDraft, Identity, IdentityState};
    use tenure_core::inventory::third_party::NeedKind;

    use super::*;

    use tenure_api::exceptions::NewNeed;

    use crate::inventory::needs;
    use crate::log::seal::tests::world;
    use crate::matters::exceptions::tests::active;
    use crate::run::deadlines;

    #[tokio::test]
    async fn more_than_fit_in_one_commit_are_worked_off_right_after() {
        const SERVANTS: u128 = 120;
        let world = world().await;
        let engine = &world.engine;
        let owner = world.admin.person_id().unwrap();
        let ask = NewNeed { kind: NeedKind::Contract, name: "atlas".into(), owner, ends_at: None };
        let need = needs::create_need(engine, &world.admin, ask).await.unwrap().record;
        let now = engine.now();
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        for id in 1..=SERVANTS {
            let charter = CharterDraft { need: Some(need.id), ..CharterDraft::default() };
            changeset.insert(&active(id, charter, owner, now));
        }
        engine.settle(changeset).await.unwrap().unwrap();
        let suspended = async || {
            let mut suspended = 0;
            for id in 1..=SERVANTS {
                let identity = engine.must::<Identity>("identity", IdentityId::from_u128(id)).await.unwrap();
                suspended += usize::from(identity.state == IdentityState::Suspended);
            }
            suspended
        };
        close_need(engine, &world.admin, need.id, "over".into()).await.unwrap();
        assert_eq!(suspended().await, 50);
        deadlines::work_due(engine).await.unwrap();
        assert_eq!(suspended().await, 100);
        deadlines::work_due(engine).await.unwrap();
        assert_eq!(suspended().await, 120);
        assert_eq!(engine.must::<Need>("need", need.id).await.unwrap().standing, Standing::Closed);
    }
}
