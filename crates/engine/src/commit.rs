//! Committing: an unknown outcome is settled by writing the same changeset again, a conflict by deciding again.

use std::future::Future;

use tenure_api::views::Logged;
use tenure_core::changeset::{Changeset, Spend};
use tenure_core::event::{Actor, ControlPoint, Event, Via};
use tenure_core::id::{EventId, PersonId};
use tenure_core::port::{Committed, Conflict, Outcome};
use tenure_core::problem::Reason;
use tenure_core::time::{Span, Timestamp};

use crate::Engine;
use crate::counters::count;
use crate::error::OpError;
use crate::refusals::window;

/// How often a decision is made again when what it rested on changed.
const DECISIONS: u32 = 16;
/// How often an unknown outcome is asked about.
const SETTLEMENTS: u32 = 5;
/// What one person may write in a minute.
const WRITES: u32 = 6_000;

impl Engine {
    /// A new event at a time.
    pub(crate) fn event(&self, now: Timestamp, kind: &'static str, control: ControlPoint) -> Event {
        Event::new(EventId::generate(now, self.entropy.as_ref()), kind, control)
    }

    /// Commits, or says that the decision has to be made again (`None`).
    pub(crate) async fn settle(&self, mut changeset: Changeset) -> Result<Option<Committed>, OpError> {
        if let Actor::Person { id, via } = changeset.actor {
            self.stand_by(&mut changeset, id, via).await?;
        }
        let mut attempt = 0;
        loop {
            match self.store.commit(changeset.clone()).await {
                Outcome::Committed(committed) => {
                    self.note_committed(committed.at);
                    return Ok(Some(committed));
                }
                Outcome::Conflict(Conflict::Row(_) | Conflict::Fence { .. }) => {
                    count(&self.counters.conflicts);
                    return Ok(None);
                }
                Outcome::Conflict(Conflict::Once { space, .. }) => return Err(used_up(space)),
                Outcome::Refused { .. } => return Err(OpError::refused(Reason::BudgetSpent)),
                Outcome::Unavailable(why) => return Err(OpError::Unavailable(why)),
                Outcome::Unknown if attempt < SETTLEMENTS => attempt += 1,
                Outcome::Unknown => return Err(OpError::Unavailable("the outcome of the commit is not known yet; ask again".into())),
            }
        }
    }

    /// A person's change commits only while their session or token stands for them: one that is revoked meanwhile makes the decision
    /// come back here. What a person writes is bounded; what takes authority away is not.
    async fn stand_by(&self, changeset: &mut Changeset, person: PersonId, via: Via) -> Result<(), OpError> {
        let standing = self.stands(person, via).await?;
        standing.expect(changeset);
        let person = standing.person;
        let disables = changeset
            .events
            .iter()
            .any(|event| matches!(event.control, ControlPoint::Suspend | ControlPoint::Revoke | ControlPoint::Retire));
        if !disables {
            let start = window(changeset.at);
            changeset.spends.push(Spend {
                budget: format!("write/{}", person.id),
                window: start,
                until: start.plus(Span::from_mins(2)),
                by: 1,
                limit: WRITES,
            });
        }
        Ok(())
    }

    /// Decides and commits; decides again on fresh rows when what the decision rested on has changed meanwhile.
    pub(crate) async fn decide<T, F, Fut>(&self, decision: F) -> Result<(T, Committed), OpError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<(Changeset, T), OpError>>,
    {
        for _ in 0..DECISIONS {
            let (changeset, value) = decision().await?;
            if let Some(committed) = self.settle(changeset).await? {
                return Ok((value, committed));
            }
        }
        Err(OpError::Unavailable("too many others change the same records at once; try again".into()))
    }

    /// Where a commit's first event stands, with the log's promise (S-3).
    pub(crate) async fn logged(&self, committed: &Committed) -> Result<Logged, OpError> {
        let keys = self.deployment_keys().await?;
        let leaf = committed.leaf_hashes.first().copied().unwrap_or_default();
        let promise = keys.log.promise(committed.position.index, leaf, committed.at.as_micros());
        Ok(Logged {
            position: committed.position,
            leaf_hash: crate::keys::base64url(&leaf),
            promise: promise.to_text(),
        })
    }
}

fn used_up(space: &'static str) -> OpError {
    match space {
        "jti" => OpError::refused(Reason::ProofReplayed),
        "key" | "oidc_subject" => OpError::refused(Reason::KeyAlreadyBound),
        "identity_name" | "application_name" | "environment_name" => OpError::Taken { what: "name" },
        "resource_uri" => OpError::Taken { what: "uri" },
        "issuer_url" => OpError::Taken { what: "url" },
        _ => OpError::Taken { what: "id" },
    }
}
