//! Committing: an unknown outcome is settled by writing the same changeset again, a conflict by deciding again.

use std::future::Future;

use tenure_api::views::Logged;
use tenure_core::base::id::{EventId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::Identity;
use tenure_core::policy::set::InForce;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::epoch::Epoch;
use tenure_core::store::event::{Actor, ControlPoint, Effect, Event, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{Committed, Conflict, Outcome};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::store::secret::{Pending, Secret};
use tracing::{Instrument as _, field};

use crate::kernel::aggregates::{next_window, window};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, administrators, caller, epoch, idempotency, if_match, keys, refresh, rehearsal, spans};

/// How often a decision is made again when what it rested on changed.
const DECISIONS: u32 = 16;
/// How often an unknown outcome is asked about.
const SETTLEMENTS: u32 = 5;
/// What one person, or one identity by the API, may ask of approvers in a minute: each of these is somebody else's
/// work.
const REQUESTS: u32 = 600;

impl Kernel {
    /// A new event at a time.
    pub(crate) fn event(&self, now: Timestamp, kind: EventKind) -> Event {
        Event::new(EventId::generate(now, self.entropy.as_ref()), kind)
    }

    /// Commits what no policy was asked about, or says that it has to be decided again (`None`).
    pub(crate) async fn settle(&self, changeset: Changeset) -> Result<Option<Committed>, OpError> {
        self.settle_under(self.policy.basis(), changeset).await
    }

    /// Commits a decision that was made under this policy set, or says that it has to be made again (`None`): also when
    /// another set was put in force since, unless it takes authority away.
    pub(crate) async fn settle_under(
        &self,
        basis: Expect,
        mut changeset: Changeset,
    ) -> Result<Option<Committed>, OpError> {
        administrators::note(self, &mut changeset).await?;
        if let (Actor::Identity { id }, Some(as_of), true) =
            (&changeset.actor, changeset.as_of, changes_something(&changeset))
        {
            let now = self.one::<Identity>(id).await?.map(|identity| identity.revision);
            must_be_as_authenticated(Some(as_of), now)?;
            changeset.expects.push(Expect::Revision(RowKey::new(RowKind::Identity, id), as_of));
        }
        let mut contradicted = epoch::is_contradicted(self);
        match changeset.actor {
            // By the row, and not by what this process remembers of it: another one may have found it.
            Actor::Person { id, via } => contradicted |= self.stand_by(&mut changeset, id, via).await?,
            // What an identity gets as a credential has a budget of its own; this is for what it writes by the API.
            Actor::Identity { id } if !issues_or_uses(&changeset) && !changeset.is_essential() => {
                let spends = self.write_spends(&id, &changeset);
                changeset.spends.extend(spends);
            }
            _ => {}
        }
        if contradicted && !changeset.confers_nothing() && !begins_an_epoch(&changeset) {
            return Err(OpError::refused(Reason::LogContradicted));
        }
        self.follow_scopes(&mut changeset).await?;
        let takes = changeset.is_essential();
        if !takes {
            changeset.expects.push(basis);
        }
        let mut attempt = 0;
        loop {
            match self.write(&changeset).await {
                Outcome::Committed(committed) => {
                    self.note_committed(committed.at());
                    spans::note_commit(&changeset.actor, committed.position());
                    self.note_budgets(&changeset, committed.counts(), None);
                    if !is_routine(&changeset) {
                        let covered =
                            committed.position().index + u64::try_from(committed.leaf_hashes().len()).unwrap_or(0);
                        self.urgent
                            .send_if_modified(|urgent| covered > std::mem::replace(urgent, covered.max(*urgent)));
                    }
                    if changeset.puts.iter().any(|put| put.key == InForce::row_key()) {
                        refresh::refresh_policy(self).await?;
                    }
                    return Ok(Some(committed));
                }
                Outcome::Conflict(conflict @ (Conflict::Row(_) | Conflict::Fence { .. })) => {
                    count(&self.counters.conflicts);
                    if conflict == Conflict::Row(InForce::row_key()) {
                        refresh::refresh_policy(self).await?;
                    }
                    return Ok(None);
                }
                Outcome::Conflict(Conflict::Once { space, .. }) => return Err(used_up(space)),
                Outcome::Refused { budget } => {
                    self.note_budgets(&changeset, &[], Some(&budget));
                    return Err(self.spent(&budget, &changeset));
                }
                Outcome::Full => return Err(OpError::DiskFull),
                Outcome::Unavailable(why) => return Err(OpError::Unavailable(why)),
                Outcome::Unwritable(why) => return Err(OpError::Internal(why)),
                Outcome::Unknown if attempt < SETTLEMENTS => attempt += 1,
                Outcome::Unknown => {
                    return Err(OpError::Unavailable("the outcome of the commit is not known yet; ask again".into()));
                }
            }
        }
    }

    /// What cuts or holds a scope is brought to the accounts of its identities at targets, if anybody has any.
    async fn follow_scopes(&self, changeset: &mut Changeset) -> Result<(), OpError> {
        let scopes = changeset.puts.iter().filter(|put| matches!(put.key.kind, RowKind::Cut | RowKind::Hold));
        let scopes: Vec<String> = scopes.map(|put| put.key.id.clone()).collect();
        if scopes.is_empty() || self.first(Query::of([Identity::HAS_ACCOUNTS.of("true")])).await?.is_none() {
            return Ok(());
        }
        let due = scopes.into_iter().map(|scope| DueChange::Set(DueKind::Enforcement, scope, changeset.at));
        changeset.due.extend(due);
        Ok(())
    }

    /// Hands a changeset to the store, in a span of its own, and counts how long that took.
    async fn write(&self, changeset: &Changeset) -> Outcome {
        if rehearsal::is_on() {
            return Outcome::Unavailable("it is only rehearsed".into());
        }
        let first = changeset.events.first();
        let span =
            tracing::info_span!("commit", event = first.map(|event| event.kind().as_str()), position = field::Empty);
        let watch = self.stopwatch();
        let outcome = self.store.commit(changeset.clone()).instrument(span.clone()).await;
        self.timings.committed(first.map(Event::control), &outcome, watch.elapsed());
        if let Outcome::Committed(committed) = &outcome {
            self.due_now.committed(changeset);
            span.record("position", field::display(committed.position()));
            span.in_scope(|| tracing::debug!("committed"));
        }
        outcome
    }

    /// A person's change commits only while their session or token stands for them and they are who was authenticated:
    /// roles that they have lost since count no more. What is revoked meanwhile makes the decision come back here. What
    /// a person writes is bounded; what takes authority away is not. Gives whether a checkpoint outside contradicts the
    /// log, as read with what stands for them.
    async fn stand_by(&self, changeset: &mut Changeset, person: PersonId, via: Via) -> Result<bool, OpError> {
        let standing = caller::stands(self, person, via).await?;
        if changes_something(changeset) {
            must_be_as_authenticated(changeset.as_of, Some(standing.person.revision))?;
        }
        standing.expect(changeset);
        if !changeset.is_essential() {
            let spends = self.write_spends(&person, changeset);
            changeset.spends.extend(spends);
        }
        Ok(standing.contradicted)
    }

    /// Which budget is spent, as its owner may know it, and when it has room again.
    fn spent(&self, budget: &str, changeset: &Changeset) -> OpError {
        let what = match budget.split_once('/').map(|(name, _)| name) {
            Some("write") => format!("you have made the {} changes", self.settings.write_budget),
            Some("write_kib") => format!("you have written the {} KiB", self.settings.write_budget_kib),
            Some("request") => format!("you have asked approvers for the {REQUESTS} answers"),
            _ => String::new(),
        };
        let detail =
            (!what.is_empty()).then(|| format!("{what} that one caller may in a minute: go on in the next one; what takes authority away is never bounded"));
        let spend = changeset.spends.iter().find(|spend| spend.budget == budget);
        OpError::Refused {
            reason: Reason::BudgetSpent,
            detail,
            answer: None,
            // What is more than the whole budget never has room.
            retry_after: spend
                .filter(|spend| spend.by <= spend.limit)
                .map(|spend| next_window(spend.window).since(self.now())),
        }
    }

    /// What somebody's change takes from their budgets of a minute: by number, by size, and by the work that it makes
    /// for others.
    fn write_spends(&self, who: &dyn std::fmt::Display, changeset: &Changeset) -> Vec<Spend> {
        let start = window(changeset.at);
        let spend = |budget: &str, by: u32, limit: u32| Spend {
            budget: format!("{budget}/{who}"),
            window: start,
            until: start.plus(Span::from_mins(2)),
            by,
            limit,
        };
        let mut spends = vec![
            spend("write", 1, self.settings.write_budget),
            spend("write_kib", kibibytes(changeset), self.settings.write_budget_kib),
        ];
        if changeset
            .events
            .first()
            .is_some_and(|event| matches!(event.kind(), EventKind::RequestOpened | EventKind::RequestAmended))
        {
            spends.push(spend("request", 1, REQUESTS));
        }
        spends
    }

    /// Decides and commits; decides again on fresh rows when what the decision rested on has changed meanwhile.
    pub(crate) async fn decide<T, F, Fut>(&self, decision: F) -> Result<(T, Committed), OpError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<(Changeset, T), OpError>>,
    {
        for _ in 0..DECISIONS {
            // On the heap: decisions are large, and every caller's future would hold one.
            // Taken before the decision: a set that is put in force while it is made, has it made again.
            let basis = self.policy.basis();
            let (mut changeset, value) = Box::pin(decision()).await?;
            let claim = idempotency::open();
            if let Some(claim) = &claim {
                claim.join(&mut changeset);
            }
            let condition = if_match::open();
            if let Some(condition) = &condition {
                condition.join(self, &mut changeset).await?;
            }
            rehearsal::ends_with(&changeset)?;
            if let Some(committed) = self.settle_under(basis, changeset).await? {
                if let Some(claim) = &claim {
                    claim.carried_out();
                }
                if let Some(condition) = &condition {
                    condition.met();
                }
                return Ok((value, committed));
            }
            if let Some(claim) = claim
                && claim.is_taken(self).await?
            {
                return Err(OpError::Repeated);
            }
        }
        Err(OpError::Unavailable("too many others change the same records at once; try again".into()))
    }

    /// The secret that waited for its commit (invariant 2).
    pub(crate) fn released(pending: Pending<String>, committed: &Committed) -> Result<Secret<String>, OpError> {
        pending.release(committed).ok_or_else(|| OpError::Internal("the commit is another's".into()))
    }

    /// Where a commit's first event stands, with the log's promise (S-3).
    pub(crate) async fn logged(&self, committed: &Committed) -> Result<Logged, OpError> {
        let keys = keys::deployment_keys(self).await?;
        let nothing = || OpError::Internal("a commit has no entry in the log".into());
        let leaf = committed.leaf_hashes().first().copied().ok_or_else(nothing)?;
        let promise = keys.log.promise(committed.position().index, leaf, committed.at().as_micros());
        Ok(Logged {
            position: committed.position(),
            leaf_hash: crate::kernel::keys::base64url(&leaf),
            promise: promise.to_text(),
        })
    }
}

/// Whether a changeset says of nothing but issuance, use and refusals: these are many, and none of them takes anything
/// away that a rollback would give back.
fn is_routine(changeset: &Changeset) -> bool {
    let routine = |event: &Event| {
        matches!(event.control(), ControlPoint::Issue | ControlPoint::Renew | ControlPoint::Use)
            || event.kind() == EventKind::AccessRefused
    };
    changeset.events.iter().all(routine)
}

/// Whether a changeset is the way out of a contradiction, which takes the root key and no caller.
fn begins_an_epoch(changeset: &Changeset) -> bool {
    changeset.puts.iter().any(|put| put.key == Epoch::row_key())
}

/// Whether a changeset is an issuance or a use and nothing that is asked along with it: then no more is written than
/// what was proved is good for.
fn issues_or_uses(changeset: &Changeset) -> bool {
    let credential = |event: &Event| matches!(event.control(), ControlPoint::Issue | ControlPoint::Use);
    let asked = |event: &Event| matches!(event.control(), ControlPoint::Request | ControlPoint::Administer);
    changeset.events.first().is_some_and(credential) && !changeset.events.iter().any(asked)
}

/// The bytes that a changeset adds to the database and the log, in KiB.
fn kibibytes(changeset: &Changeset) -> u32 {
    let rows = changeset.puts.iter().map(|put| put.body.len());
    let facts = changeset.events.iter().map(|event| serde_json::to_vec(&event.data).map_or(0, |data| data.len()));
    u32::try_from(rows.chain(facts).sum::<usize>().div_ceil(1_024)).unwrap_or(u32::MAX)
}

/// Whether it says more than what was seen, such as that its author was refused.
fn changes_something(changeset: &Changeset) -> bool {
    changeset.effect() != Effect::Notes
}

/// What a caller may was judged by their own row as it was when they were authenticated. Whoever changed it since has
/// changed what they may: the request is to be made again, and judged anew.
fn must_be_as_authenticated(as_of: Option<u64>, now: Option<u64>) -> Result<(), OpError> {
    match as_of {
        Some(_) if as_of == now => Ok(()),
        Some(_) => Err(OpError::Unavailable("the caller's own record was changed meanwhile; try again".into())),
        None => Err(OpError::Internal("a caller's change doesn't say as of when they were authenticated".into())),
    }
}

fn used_up(space: &'static str) -> OpError {
    match space {
        "jti" | "passkey_challenge" | "sign_in_state" | "cli_code" | "signal" => {
            OpError::refused(Reason::ProofReplayed)
        }
        "dpop" => OpError::because(Reason::DpopInvalid, "this proof was used before"),
        "key" | "certificate" | "oidc_subject" | "passkey_credential" => OpError::refused(Reason::KeyAlreadyBound),
        "need_name" | "identity_name" | "application_name" | "environment_name" | "vendor_name" | "source_name" => {
            OpError::Taken { what: "name" }
        }
        "resource_uri" => OpError::Taken { what: "uri" },
        "cloud_account" => OpError::Taken { what: "account" },
        "issuer_url" => OpError::Taken { what: "url" },
        _ => OpError::Taken { what: "id" },
    }
}

#[cfg(test)]
mod tests {
    use tenure_api::people::NewTeam;
    use tenure_api::requests::NewHold;
    use tenure_core::identity::scope::Scope;
    use tenure_core::store::epoch::Contradiction;

    use super::*;
    use crate::credentials::holds;
    use crate::kernel::work::system;
    use crate::log::seal::tests::world;
    use crate::people::person;

    #[tokio::test]
    async fn d22_too_many_changes_of_a_person_are_told_as_that() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let mut spent = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        let person = world.admin.person_id().unwrap();
        let spends = engine.write_spends(&person, &spent);
        spent.spends.extend(
            spends
                .into_iter()
                .filter(|spend| spend.budget.starts_with("write/"))
                .map(|spend| Spend { by: spend.limit, ..spend }),
        );
        engine.settle(spent).await.unwrap().unwrap();
        let refused = person::create_team(engine, &world.admin, NewTeam { name: "one".into() }).await.unwrap_err();
        let OpError::Refused { reason, detail, retry_after, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(reason, Reason::BudgetSpent);
        assert!(detail.unwrap().contains("6000 changes"));
        // Then there is room, and not before.
        let wait = retry_after.unwrap();
        assert_eq!(now.plus(wait), next_window(window(now)));
        world.clock.advance(Span::from_micros(wait.as_micros() - 1));
        person::create_team(engine, &world.admin, NewTeam { name: "one".into() }).await.unwrap_err();
        world.clock.advance(Span::from_micros(1));
        person::create_team(engine, &world.admin, NewTeam { name: "one".into() }).await.unwrap();
    }

    #[tokio::test]
    async fn s1_what_another_process_found_against_the_log_counts_here_by_its_row() {
        let world = world().await;
        let engine = &world.engine;
        let now = engine.now();
        let found = Contradiction {
            kept_at: "file:///kept".into(),
            kept: String::new(),
            kept_entries: 1_000,
            kept_epoch: 0,
            entries: 10,
            found_at: now,
            ended_by: None,
        };
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::LogContradicted));
        changeset.insert(&found);
        engine.settle(changeset).await.unwrap().unwrap();
        assert!(!epoch::is_contradicted(engine), "this process hasn't been told");
        let made = person::create_team(engine, &world.admin, NewTeam { name: "one".into() }).await;
        assert!(matches!(made, Err(OpError::Refused { reason: Reason::LogContradicted, .. })), "{:?}", made.err());
        // What takes authority away goes on.
        let hold =
            NewHold { scope: Scope::Owner(world.admin.person_id().unwrap()), reason: "drill".into(), dry_run: false };
        holds::hold(engine, &world.admin, hold).await.unwrap();
    }
}
