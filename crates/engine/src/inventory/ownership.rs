//! Who answers for applications, vendors, cloud accounts, needs and sources: how a record of these is changed, and what
//! becomes of it when its owner leaves (R91, R98, R120).
//!
//! An identity without an owner stops, and so its transfer has to be accepted. These records hold no authority that
//! could stop: whoever leaves is followed by a finding for each, which administrators are told of with a deadline, and
//! which security is told of again after each deadline that passes, until an administrator has named another owner.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tenure_api::ownership::{ApplicationEdit, OwnerEdit};
use tenure_api::views::Revised;
use tenure_core::base::id::{ApplicationId, CloudAccountId, NeedId, PersonId, TeamId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules::OWNER_LEFT;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::Action;
use tenure_core::signal::Source;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Record, Stored};
use tenure_core::store::term::Field;
use tenure_core::trust::state::TrustState;

use crate::inventory::removal_groups;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::load::is_away;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;
use crate::kernel::work::{BATCH, system};
use crate::kernel::{Kernel, finding};
use crate::people::teams::look_at_groups;

/// What stands after a person's id in the subject of the deadline by which what they left behind has other owners.
const OVERDUE: &str = "/owned";
/// Records that a notice names.
const NAMED: usize = 20;

/// A record that somebody answers for.
pub(crate) trait Owned: Record + Clone {
    /// The kind in policies and messages.
    const NAME: &'static str;
    /// The operation of changing it, for refusals.
    const OPERATION: &'static str;
    /// The event of a change.
    const UPDATED: EventKind;
    /// Who may change it in policies.
    const ACTION: Action = Action::Administer;
    /// What it is listed by as somebody's.
    const OWNED_BY: Field<Self, PersonId>;
    fn owner(&self) -> PersonId;
    /// The team that answers for removals by it.
    fn removal_group(&self) -> Option<TeamId> {
        None
    }
    /// Whether it is over, and nobody has to answer for it.
    fn is_over(&self) -> bool;
}

macro_rules! owned {
    ($type:ty, $name:literal, $updated:ident, $over:expr $(, action: $action:expr)? $(, group: $group:ident)?) => {
        impl Owned for $type {
            const NAME: &'static str = $name;
            const OPERATION: &'static str = concat!($name, ".update");
            const UPDATED: EventKind = EventKind::$updated;
            $(const ACTION: Action = $action;)?
            const OWNED_BY: Field<Self, PersonId> = <$type>::OWNER;
            fn owner(&self) -> PersonId {
                self.owner
            }
            $(fn removal_group(&self) -> Option<TeamId> {
                self.$group
            })?
            fn is_over(&self) -> bool {
                $over(self)
            }
        }
    };
}
owned!(Application, "application", ApplicationUpdated, |it: &Application| it.standing == Standing::Closed, group: removal_group);
owned!(Vendor, "vendor", VendorUpdated, |it: &Vendor| it.standing == Standing::Closed);
owned!(CloudAccount, "cloud_account", CloudAccountUpdated, |it: &CloudAccount| it.standing == Standing::Closed);
owned!(Need, "need", NeedUpdated, |it: &Need| it.standing == Standing::Closed);
owned!(Source, "source", SourceUpdated, |it: &Source| it.state == TrustState::Removed, action: Action::Trust);

/// What a change names that has to be there.
pub(crate) struct Named {
    owner: Option<PersonId>,
    removal_group: Option<TeamId>,
}

impl Named {
    pub(crate) fn owner(owner: PersonId) -> Self {
        Self { owner: Some(owner), removal_group: None }
    }
}

/// Changes an application: who answers for it, and which team removes its identities.
///
/// # Errors
/// It is retired, `if_match` is missing or doesn't hold, a field is wrong, or the caller is no administrator.
pub async fn update_application(
    kernel: &Kernel,
    caller: &Caller,
    id: ApplicationId,
    if_match: IfMatch,
    ask: ApplicationEdit,
) -> Result<Revised<Application>, OpError> {
    let named = Named { owner: ask.owner, removal_group: ask.removal_group };
    let problems = nothing_to_change("owner", ask.owner.is_none() && ask.removal_group.is_none());
    update(kernel, caller, &id.to_string(), if_match, named, problems, |application: Application| Application {
        owner: ask.owner.unwrap_or(application.owner),
        removal_group: ask.removal_group.or(application.removal_group),
        ..application
    })
    .await
}

/// Has another person answer for a cloud account.
///
/// # Errors
/// It was deleted, `if_match` is missing or doesn't hold, the person isn't active, or the caller is no administrator.
pub async fn update_cloud_account(
    kernel: &Kernel,
    caller: &Caller,
    id: CloudAccountId,
    if_match: IfMatch,
    ask: OwnerEdit,
) -> Result<Revised<CloudAccount>, OpError> {
    let named = Named::owner(ask.owner);
    update(kernel, caller, &id.to_string(), if_match, named, Vec::new(), |account: CloudAccount| CloudAccount {
        owner: ask.owner,
        ..account
    })
    .await
}

/// Has another person answer for a business need.
///
/// # Errors
/// It is closed, `if_match` is missing or doesn't hold, the person isn't active, or the caller is no administrator.
pub async fn update_need(
    kernel: &Kernel,
    caller: &Caller,
    id: NeedId,
    if_match: IfMatch,
    ask: OwnerEdit,
) -> Result<Revised<Need>, OpError> {
    let named = Named::owner(ask.owner);
    update(kernel, caller, &id.to_string(), if_match, named, Vec::new(), |need: Need| Need { owner: ask.owner, ..need })
        .await
}

pub(crate) async fn update<T: Owned>(
    kernel: &Kernel,
    caller: &Caller,
    id: &str,
    if_match: IfMatch,
    named: Named,
    problems: Vec<FieldProblem>,
    edit: impl Fn(T) -> T,
) -> Result<Revised<T>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, T::OPERATION, id), async {
            kernel.allow(caller, T::ACTION, inventory(T::NAME, id, ""), administration(false, false))?;
            let ((record, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<T>(T::NAME, id).await?;
                    if_match.demand(Some(stored.revision))?;
                    if stored.is_over() {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            "it is over for ever: nothing of it is changed any more",
                        ));
                    }
                    let mut problems = problems.clone();
                    let owner = who_is_named(kernel, &named, &mut problems).await?;
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    let record = edit((*stored.value).clone());
                    let (before, after) = differences(&*stored.value, &record)?;
                    let event = kernel
                        .event(now, T::UPDATED)
                        .subject(id)
                        .subject(record.owner())
                        .fact("before", before)
                        .fact("after", after);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    if let Some(owner) = &owner {
                        has_an_owner(kernel, &mut changeset, id, owner, now).await?;
                    }
                    // The team that answered for it until now may be one that nobody is left of.
                    look_at_groups(
                        &mut changeset,
                        stored.removal_group().filter(|before| record.removal_group() != Some(*before)),
                        now,
                    );
                    changeset.replace(&stored, &record);
                    Ok((changeset, (record, stored.revision + 1)))
                })
                .await?;
            kernel.changed(record, revision, &committed).await
        })
        .await
}

async fn who_is_named(
    kernel: &Kernel,
    named: &Named,
    problems: &mut Vec<FieldProblem>,
) -> Result<Option<Stored<Person>>, OpError> {
    if let Some(team) = named.removal_group {
        problems.extend(removal_groups::removal_group_problem(kernel, "removal_group", team).await?);
    }
    match named.owner {
        Some(owner) => who_answers(kernel, owner, problems).await,
        None => Ok(None),
    }
}

/// Who is to answer for a record: somebody who is there.
pub(crate) async fn who_answers(
    kernel: &Kernel,
    owner: PersonId,
    problems: &mut Vec<FieldProblem>,
) -> Result<Option<Stored<Person>>, OpError> {
    let owner = kernel.one::<Person>(owner).await?.filter(|owner| owner.is_active());
    if owner.is_none() {
        let hint = "name an active person who answers for it: tenure person list --state active";
        problems.push(FieldProblem::new("owner", "owner_unknown", hint));
    }
    Ok(owner)
}

/// Somebody who is there answers for a record from now on.
pub(crate) async fn has_an_owner(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: &str,
    owner: &Stored<Person>,
    now: Timestamp,
) -> Result<(), OpError> {
    // Who leaves meanwhile is not made an owner.
    changeset.expect(owner);
    finding::no_longer(kernel, changeset, &[&OWNER_LEFT], id, "somebody who is there answers for it", now).await
}

/// Opens a finding for the first records of somebody who is away that have none, and tells administrators; returns how
/// many.
pub(crate) async fn note_left_behind(
    kernel: &Kernel,
    changeset: &mut Changeset,
    owner: &Person,
    most: usize,
    now: Timestamp,
) -> Result<usize, OpError> {
    let mut opened = Vec::new();
    for (id, kind) in answered_for(kernel, owner.id).await? {
        if opened.len() == most {
            break;
        }
        if finding::has_finding(kernel, &OWNER_LEFT, &id).await? {
            continue;
        }
        let evidence = Map::from_iter([
            ("owner".to_owned(), Value::from(owner.id.to_string())),
            ("kind".to_owned(), Value::from(kind)),
        ]);
        finding::raise(kernel, changeset, &OWNER_LEFT, &id, &owner.id.to_string(), evidence, now).await?;
        opened.push(id);
    }
    if opened.is_empty() {
        return Ok(0);
    }
    let deadline = now.plus(kernel.settings.transfer_window);
    let text = format!(
        "{} is away and answers for {}. Name others by {deadline}, e.g. tenure application update app_… --owner per_…\nAll of it: tenure finding list --rule {}",
        owner.id,
        in_short(&opened),
        OWNER_LEFT.id
    );
    let event = kernel
        .event(now, EventKind::OwnershipLeftBehind)
        .subject(owner.id)
        .fact("records", &opened)
        .fact("deadline", deadline);
    changeset.event(notify(event, &[], &[Role::Administrator], "Records have no owner who is there", &text));
    changeset.due.push(DueChange::Set(DueKind::Leaver, format!("{}{OVERDUE}", owner.id), deadline));
    Ok(opened.len())
}

/// Resolves the findings about the records of somebody who is there again; returns how many, at most so many.
pub(crate) async fn note_return(
    kernel: &Kernel,
    changeset: &mut Changeset,
    owner: PersonId,
    most: usize,
    now: Timestamp,
) -> Result<usize, OpError> {
    let mut resolved = 0;
    for (id, _) in answered_for(kernel, owner).await? {
        if resolved < most && finding::has_finding(kernel, &OWNER_LEFT, &id).await? {
            finding::no_longer(kernel, changeset, &[&OWNER_LEFT], &id, "its owner is there again", now).await?;
            resolved += 1;
        }
    }
    Ok(resolved)
}

/// Works off the deadline by which what somebody left behind has other owners: what has none is told to security, again
/// and again.
pub(crate) async fn work_left_behind(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Some(id) = claimed.subject.strip_suffix(OVERDUE).and_then(|id| id.parse::<PersonId>().ok()) else {
        return Ok(None);
    };
    if kernel.one::<Person>(id).await?.is_none_or(|owner| owner.is_active()) {
        return Ok(None);
    }
    let left: Vec<String> = answered_for(kernel, id).await?.into_iter().map(|(id, _)| id).collect();
    if left.is_empty() {
        return Ok(None);
    }
    let again = now.plus(kernel.settings.transfer_window);
    let text = format!(
        "Nobody who is there answers for {}: {id} is away, and nobody named another owner in time. This is said again at {again}.",
        in_short(&left)
    );
    let event =
        kernel.event(now, EventKind::OwnershipOverdue).subject(id).fact("records", left.len()).fact("again", again);
    let event =
        notify(event, &[], &[Role::Security, Role::Administrator], "Records still have no owner who is there", &text);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.due.push(DueChange::Retry(DueKind::Leaver, claimed.subject.clone(), claimed.fence, again));
    Ok(Some(changeset))
}

/// Opens findings for what is answered for by people who had left before there was this rule, whom nothing told of
/// since; returns how many commits it took.
pub(crate) async fn sweep_left_behind(kernel: &Kernel) -> Result<usize, OpError> {
    let mut owners = BTreeSet::new();
    add_owners::<Application>(kernel, &mut owners).await?;
    add_owners::<Vendor>(kernel, &mut owners).await?;
    add_owners::<CloudAccount>(kernel, &mut owners).await?;
    add_owners::<Need>(kernel, &mut owners).await?;
    add_owners::<Source>(kernel, &mut owners).await?;
    let mut noted = 0;
    for owner in owners {
        let Some(person) = kernel.one::<Person>(owner).await?.filter(|person| is_away(person)) else {
            continue;
        };
        loop {
            let now = kernel.now();
            let event = kernel.event(now, EventKind::OwnershipSwept).subject(owner);
            let mut changeset = Changeset::new(system(), now, event);
            changeset.expect(&person);
            let opened = note_left_behind(kernel, &mut changeset, &person, BATCH, now).await?;
            if opened == 0 || !swept(kernel, changeset).await? {
                break;
            }
            noted += 1;
        }
    }
    Ok(noted)
}

/// Commits what a sweep found; false if others are at it, whose work the next sweep looks at.
pub(crate) async fn swept(kernel: &Kernel, changeset: Changeset) -> Result<bool, OpError> {
    match kernel.settle(changeset).await {
        Err(OpError::Taken { .. }) => Ok(false),
        settled => Ok(settled?.is_some()),
    }
}

async fn add_owners<T: Owned>(kernel: &Kernel, owners: &mut BTreeSet<PersonId>) -> Result<(), OpError> {
    let mut pages = kernel.pages::<T>(Query::every());
    while let Some(found) = pages.next().await? {
        owners.extend(found.readable().iter().filter(|row| !row.is_over()).map(|row| row.owner()));
    }
    Ok(())
}

/// Everything that somebody answers for and that isn't over, by id and kind. Identities are none of it: they have
/// transfers.
async fn answered_for(kernel: &Kernel, owner: PersonId) -> Result<Vec<(String, &'static str)>, OpError> {
    let mut all = Vec::new();
    add_owned::<Application>(kernel, &mut all, owner).await?;
    add_owned::<Vendor>(kernel, &mut all, owner).await?;
    add_owned::<CloudAccount>(kernel, &mut all, owner).await?;
    add_owned::<Need>(kernel, &mut all, owner).await?;
    add_owned::<Source>(kernel, &mut all, owner).await?;
    Ok(all)
}

async fn add_owned<T: Owned>(
    kernel: &Kernel,
    all: &mut Vec<(String, &'static str)>,
    owner: PersonId,
) -> Result<(), OpError> {
    let mut pages = kernel.pages(Query::of([T::OWNED_BY.of(owner)]));
    while let Some(found) = pages.next().await? {
        let theirs = found.readable();
        let theirs = theirs.iter().filter(|row| row.owner() == owner && !row.is_over());
        all.extend(theirs.map(|row| (row.row_id(), T::NAME)));
    }
    Ok(())
}

pub(crate) fn nothing_to_change(field: &str, is_empty: bool) -> Vec<FieldProblem> {
    let problem = || FieldProblem::new(field, "nothing_to_change", "give at least one field that is to be changed");
    is_empty.then(problem).into_iter().collect()
}

/// The fields of a record by name.
pub(crate) type Fields = Map<String, Value>;

/// The fields that differ, as they were and as they are.
pub(crate) fn differences<T: Record>(before: &T, after: &T) -> Result<(Fields, Fields), OpError> {
    let fields = |record: &T| match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => Ok(fields),
        other => Err(OpError::Internal(format!("a record is no object: {other:?}"))),
    };
    let (mut before, mut after) = (fields(before)?, fields(after)?);
    let same: Vec<String> =
        before.iter().filter(|(name, value)| after.get(*name) == Some(value)).map(|(name, _)| name.clone()).collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    Ok((before, after))
}

/// Some ids in a line, and how many more there are.
fn in_short(ids: &[String]) -> String {
    let named: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
    match ids.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::entropy::SeededEntropy;
    use tenure_core::finding::rules::REMOVAL_GROUP_EMPTY;
    use tenure_core::finding::{Finding, FindingState};
    use tenure_core::identity::CharterDraft;
    use tenure_core::people::person::PersonState;
    use tenure_core::people::team::Team;

    use super::*;
    use crate::log::seal::tests::world;
    use crate::matters::exceptions::tests::active;
    use crate::run::deadlines;
    use crate::run::ownership;

    /// A database in which somebody left before there were findings of this: what they answered for, and the team of
    /// which they were the last.
    #[tokio::test]
    async fn d08_who_had_left_before_is_found_without_anybody_asking_and_once() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let entropy = SeededEntropy::new(8);
        let lea = world.person(Role::Owner).await.person_id().unwrap();
        let team = Team { id: TeamId::generate(now, &entropy), name: "platform".into(), source: None, created_at: now };
        let account = CloudAccount {
            id: CloudAccountId::generate(now, &entropy),
            provider: "aws".into(),
            account: "42".into(),
            owner: lea,
            environment: "production".into(),
            standing: Standing::Open,
            created_at: now,
        };
        let charter = CharterDraft { removal_group: Some(team.id), ..CharterDraft::default() };
        let stored = engine.must::<Person>("person", lea).await.unwrap();
        let gone = Person { state: PersonState::Departed, teams: vec![team.id], ..(*stored.value).clone() };
        let mut before = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        before.insert(&team).insert(&account).replace(&stored, &gone);
        before.insert(&active(1, charter, world.admin.person_id().unwrap(), now));
        engine.settle(before).await.unwrap().unwrap();
        assert_eq!(ownership::sweep_ownership(engine).await.unwrap(), 2);
        for (rule, subject) in [(&OWNER_LEFT, account.id.to_string()), (&REMOVAL_GROUP_EMPTY, team.id.to_string())] {
            let found =
                engine.find(Query::of([Finding::RULE.of(rule.id), Finding::SUBJECT.of(subject)])).await.unwrap();
            let found = found.readable();
            assert!(matches!(found.as_slice(), [one] if one.state == FindingState::Open), "{}", rule.id);
        }
        let size = world.size().await;
        assert_eq!(ownership::sweep_ownership(engine).await.unwrap(), 0);
        assert_eq!(world.size().await, size, "what is found already is not found again");
        // The deadlines begin, too.
        world.clock.advance(engine.settings.transfer_window);
        assert!(deadlines::work_due(engine).await.unwrap() >= 2);
    }
}
