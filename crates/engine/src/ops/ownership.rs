//! Who answers for applications, vendors, cloud accounts, needs and sources: how a record of these is changed, and what becomes of it when its owner
//! leaves (R91, R98, R120).
//!
//! An identity without an owner stops, and so its transfer has to be accepted. These records hold no authority that could stop: whoever leaves is
//! followed by a finding for each, which administrators are told of with a deadline, and which security is told of again after each deadline that passes,
//! until an administrator has named another owner.

use serde_json::{Map, Value};
use tenure_api::ownership::{ApplicationEdit, OwnerEdit, VendorEdit};
use tenure_api::signals::SourceView;
use tenure_api::views::Resource as Changed;
use tenure_core::application::Application;
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::ControlPoint;
use tenure_core::finding::rules::OWNER_LEFT;
use tenure_core::id::{ApplicationId, CloudAccountId, NeedId, PersonId, SourceId, TeamId, VendorId};
use tenure_core::person::{Person, Role};
use tenure_core::policy::Action;
use tenure_core::port::{Claimed, DueKind};
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::row::{Record, Stored};
use tenure_core::signal::{Source, SourceState};
use tenure_core::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::time::Timestamp;

use super::Asked;
use super::third_party::contact_problem;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::notice::notify;
use crate::questions::{administration, inventory};
use crate::run::deadlines::system;

/// What stands after a person's id in the subject of the deadline by which what they left behind has other owners.
const OVERDUE: &str = "/owned";
/// Records that a notice names.
const NAMED: usize = 20;

/// Which revision of a record a change is meant for: `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// The caller didn't say.
    Missing,
    /// Whatever it is now: `*`.
    Any,
    /// This one, as the caller read it.
    Revision(u64),
}

/// A record that somebody answers for.
pub(crate) trait Owned: Record + Clone {
    /// The kind in policies and messages.
    const NAME: &'static str;
    /// The operation of changing it, for refusals.
    const OPERATION: &'static str;
    /// The event of a change.
    const UPDATED: &'static str;
    /// Who may change it in policies.
    const ACTION: Action = Action::Administer;
    fn owner(&self) -> PersonId;
    /// Whether it is over, and nobody has to answer for it.
    fn is_over(&self) -> bool;
}

macro_rules! owned {
    ($type:ty, $name:literal, $over:expr $(, $action:expr)?) => {
        impl Owned for $type {
            const NAME: &'static str = $name;
            const OPERATION: &'static str = concat!($name, ".update");
            const UPDATED: &'static str = concat!($name, ".updated");
            $(const ACTION: Action = $action;)?
            fn owner(&self) -> PersonId {
                self.owner
            }
            fn is_over(&self) -> bool {
                $over(self)
            }
        }
    };
}
owned!(Application, "application", |it: &Application| it.standing == Standing::Closed);
owned!(Vendor, "vendor", |it: &Vendor| it.standing == Standing::Closed);
owned!(CloudAccount, "cloud_account", |it: &CloudAccount| it.standing == Standing::Closed);
owned!(Need, "need", |it: &Need| it.standing == Standing::Closed);
owned!(Source, "source", |it: &Source| it.state == SourceState::Removed, Action::Trust);

/// What a change names that has to be there.
struct Named {
    owner: Option<PersonId>,
    removal_group: Option<TeamId>,
}

impl Named {
    fn owner(owner: PersonId) -> Self {
        Self {
            owner: Some(owner),
            removal_group: None,
        }
    }
}

impl Engine {
    /// Changes an application: who answers for it, and which team removes its identities.
    ///
    /// # Errors
    /// It is retired, `if_match` is missing or names another revision, a field is wrong, or the caller is no administrator.
    pub async fn update_application(
        &self,
        caller: &Caller,
        id: ApplicationId,
        if_match: IfMatch,
        ask: ApplicationEdit,
    ) -> Result<Changed<Application>, OpError> {
        let named = Named {
            owner: ask.owner,
            removal_group: ask.removal_group,
        };
        let problems = nothing_to_change("owner", ask.owner.is_none() && ask.removal_group.is_none());
        self.update(caller, &id.to_string(), if_match, named, problems, |application: Application| Application {
            owner: ask.owner.unwrap_or(application.owner),
            removal_group: ask.removal_group.or(application.removal_group),
            ..application
        })
        .await
    }

    /// Changes a vendor: who answers for it here, and whom to reach there.
    ///
    /// # Errors
    /// It has ended, `if_match` is missing or names another revision, a field is wrong, or the caller is no administrator.
    pub async fn update_vendor(&self, caller: &Caller, id: VendorId, if_match: IfMatch, ask: VendorEdit) -> Result<Changed<Vendor>, OpError> {
        let mut problems = nothing_to_change("owner", ask.owner.is_none() && ask.contact.is_none());
        problems.extend(ask.contact.as_deref().and_then(contact_problem));
        let named = Named {
            owner: ask.owner,
            removal_group: None,
        };
        self.update(caller, &id.to_string(), if_match, named, problems, |vendor: Vendor| Vendor {
            owner: ask.owner.unwrap_or(vendor.owner),
            contact: ask.contact.clone().unwrap_or(vendor.contact),
            ..vendor
        })
        .await
    }

    /// Has another person answer for a cloud account.
    ///
    /// # Errors
    /// It was deleted, `if_match` is missing or names another revision, the person isn't active, or the caller is no administrator.
    pub async fn update_cloud_account(&self, caller: &Caller, id: CloudAccountId, if_match: IfMatch, ask: OwnerEdit) -> Result<Changed<CloudAccount>, OpError> {
        let named = Named::owner(ask.owner);
        self.update(caller, &id.to_string(), if_match, named, Vec::new(), |account: CloudAccount| CloudAccount {
            owner: ask.owner,
            ..account
        })
        .await
    }

    /// Has another person answer for a business need.
    ///
    /// # Errors
    /// It is closed, `if_match` is missing or names another revision, the person isn't active, or the caller is no administrator.
    pub async fn update_need(&self, caller: &Caller, id: NeedId, if_match: IfMatch, ask: OwnerEdit) -> Result<Changed<Need>, OpError> {
        let named = Named::owner(ask.owner);
        self.update(caller, &id.to_string(), if_match, named, Vec::new(), |need: Need| Need {
            owner: ask.owner,
            ..need
        })
        .await
    }

    /// Has another person answer for a source of signals. What it may say stays as two people fixed it (S-12).
    ///
    /// # Errors
    /// It was removed, `if_match` is missing or names another revision, the person isn't active, or the caller is no administrator.
    pub async fn update_source(&self, caller: &Caller, id: SourceId, if_match: IfMatch, ask: OwnerEdit) -> Result<Changed<SourceView>, OpError> {
        let named = Named::owner(ask.owner);
        let changed = self
            .update(caller, &id.to_string(), if_match, named, Vec::new(), |source: Source| Source {
                owner: ask.owner,
                ..source
            })
            .await?;
        Ok(self.seen(changed))
    }

    async fn update<T: Owned>(
        &self,
        caller: &Caller,
        id: &str,
        if_match: IfMatch,
        named: Named,
        problems: Vec<FieldProblem>,
        edit: impl Fn(T) -> T,
    ) -> Result<Changed<T>, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Administer, T::OPERATION, id), async {
            self.allow(caller, T::ACTION, inventory(T::NAME, id, ""), administration(false, false))?;
            let ((record, revision), committed) = self
                .decide(|| async {
                    let now = self.now();
                    let stored = self.must::<T>(T::NAME, id).await?;
                    matches_revision(if_match, stored.revision)?;
                    if stored.is_over() {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            "it is over for ever: nothing of it is changed any more",
                        ));
                    }
                    let mut problems = problems.clone();
                    let owner = self.who_is_named(&named, &mut problems).await?;
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    let record = edit((*stored.value).clone());
                    let (before, after) = differences(&*stored.value, &record)?;
                    let event = self
                        .event(now, T::UPDATED, ControlPoint::Administer)
                        .subject(id)
                        .subject(record.owner())
                        .fact("before", before)
                        .fact("after", after);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    if let Some(owner) = &owner {
                        // Who leaves meanwhile is not made an owner.
                        changeset.expect(owner);
                        self.no_longer(&mut changeset, &[&OWNER_LEFT], id, "somebody who is there answers for it", now)
                            .await?;
                    }
                    changeset.replace(&stored, &record);
                    Ok((changeset, (record, stored.revision + 1)))
                })
                .await?;
            self.changed(record, revision, &committed).await
        })
        .await
    }

    async fn who_is_named(&self, named: &Named, problems: &mut Vec<FieldProblem>) -> Result<Option<Stored<Person>>, OpError> {
        if let Some(team) = named.removal_group {
            problems.extend(self.removal_group_problem("removal_group", team).await?);
        }
        let Some(owner) = named.owner else { return Ok(None) };
        let person = self.one::<Person>(owner).await?.filter(|person| person.is_active());
        if person.is_none() {
            problems.push(FieldProblem::new("owner", "owner_unknown", "name an active person"));
        }
        Ok(person)
    }

    /// Opens a finding for the first records of somebody who is away that have none, and tells administrators; returns how many.
    pub(crate) async fn note_left_behind(&self, changeset: &mut Changeset, owner: &Person, most: usize, now: Timestamp) -> Result<usize, OpError> {
        let mut opened = Vec::new();
        for (id, kind) in self.answered_for(owner.id).await? {
            if opened.len() == most {
                break;
            }
            if self.has_finding(&OWNER_LEFT, &id).await? {
                continue;
            }
            let evidence = Map::from_iter([("owner".to_owned(), Value::from(owner.id.to_string())), ("kind".to_owned(), Value::from(kind))]);
            self.raise(changeset, &OWNER_LEFT, &id, &owner.id.to_string(), evidence, now).await?;
            opened.push(id);
        }
        if opened.is_empty() {
            return Ok(0);
        }
        let deadline = now.plus(self.settings.transfer_window);
        let text = format!(
            "{} is away and answers for {}. Name others by {deadline}, e.g. tenure application update app_… --owner per_…\nAll of it: tenure finding list --rule {}",
            owner.id,
            in_short(&opened),
            OWNER_LEFT.id
        );
        let event = self
            .event(now, "ownership.left_behind", ControlPoint::Transfer)
            .subject(owner.id)
            .fact("records", &opened)
            .fact("deadline", deadline);
        changeset.event(notify(event, &[], &[Role::Administrator], "Records have no owner who is there", &text));
        changeset.due.push(DueChange::Set(DueKind::Leaver, format!("{}{OVERDUE}", owner.id), deadline));
        Ok(opened.len())
    }

    /// Resolves the findings about the records of somebody who is there again; returns how many, at most so many.
    pub(crate) async fn note_return(&self, changeset: &mut Changeset, owner: PersonId, most: usize, now: Timestamp) -> Result<usize, OpError> {
        let mut resolved = 0;
        for (id, _) in self.answered_for(owner).await? {
            if resolved < most && self.has_finding(&OWNER_LEFT, &id).await? {
                self.no_longer(changeset, &[&OWNER_LEFT], &id, "its owner is there again", now).await?;
                resolved += 1;
            }
        }
        Ok(resolved)
    }

    /// Works off the deadline by which what somebody left behind has other owners: what has none is told to security, again and again.
    pub(crate) async fn work_left_behind(&self, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
        let Some(id) = claimed.subject.strip_suffix(OVERDUE).and_then(|id| id.parse::<PersonId>().ok()) else {
            return Ok(None);
        };
        if self.one::<Person>(id).await?.is_none_or(|owner| owner.is_active()) {
            return Ok(None);
        }
        let left: Vec<String> = self.answered_for(id).await?.into_iter().map(|(id, _)| id).collect();
        if left.is_empty() {
            return Ok(None);
        }
        let again = now.plus(self.settings.transfer_window);
        let text = format!(
            "Nobody who is there answers for {}: {id} is away, and nobody named another owner in time. This is said again at {again}.",
            in_short(&left)
        );
        let event = self
            .event(now, "ownership.overdue", ControlPoint::Transfer)
            .subject(id)
            .fact("records", left.len())
            .fact("again", again);
        let event = notify(
            event,
            &[],
            &[Role::Security, Role::Administrator],
            "Records still have no owner who is there",
            &text,
        );
        let mut changeset = Changeset::new(system(), now, event);
        changeset
            .due
            .push(DueChange::Retry(DueKind::Leaver, claimed.subject.clone(), claimed.fence, again));
        Ok(Some(changeset))
    }

    /// Everything that somebody answers for and that isn't over, by id and kind. Identities are none of it: they have transfers.
    async fn answered_for(&self, owner: PersonId) -> Result<Vec<(String, &'static str)>, OpError> {
        let mut all = Vec::new();
        let of_owner = [format!("owner={owner}")];
        self.add_owned::<Application>(&mut all, owner, &of_owner).await?;
        self.add_owned::<Vendor>(&mut all, owner, &of_owner).await?;
        // Their rows have no term for it: there are as many as an organisation has accounts.
        self.add_owned::<CloudAccount>(&mut all, owner, &[]).await?;
        self.add_owned::<Need>(&mut all, owner, &of_owner).await?;
        self.add_owned::<Source>(&mut all, owner, &of_owner).await?;
        Ok(all)
    }

    async fn add_owned<T: Owned>(&self, all: &mut Vec<(String, &'static str)>, owner: PersonId, terms: &[String]) -> Result<(), OpError> {
        let mut after = None;
        loop {
            let (rows, next) = self.rows::<T>(terms, after).await?;
            let theirs = rows.iter().filter(|row| row.owner() == owner && !row.is_over());
            all.extend(theirs.map(|row| (row.row_id(), T::NAME)));
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

pub(crate) fn nothing_to_change(field: &str, is_empty: bool) -> Vec<FieldProblem> {
    let problem = || FieldProblem::new(field, "nothing_to_change", "give at least one field that is to be changed");
    is_empty.then(problem).into_iter().collect()
}

pub(crate) fn matches_revision(if_match: IfMatch, revision: u64) -> Result<(), OpError> {
    match if_match {
        IfMatch::Missing => Err(OpError::Unconditional),
        IfMatch::Revision(wanted) if wanted != revision => Err(OpError::Stale(revision)),
        IfMatch::Any | IfMatch::Revision(_) => Ok(()),
    }
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
    let same: Vec<String> = before
        .iter()
        .filter(|(name, value)| after.get(*name) == Some(value))
        .map(|(name, _)| name.clone())
        .collect();
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
