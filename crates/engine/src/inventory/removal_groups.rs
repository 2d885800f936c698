//! The team that answers for an identity's removal (R115): its charter's, else its application's. It stays when its
//! members change.
//!
//! When nobody in it is there any more, a finding names what it answers for. Administrators are told with a deadline,
//! and security is told again after each deadline that passes, until somebody is in the team again or other teams
//! answer for all of it.

use serde_json::{Map, Value, json};
use tenure_api::views::RemovalGroup;
use tenure_core::base::id::{ApplicationId, IdentityId, TeamId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules::REMOVAL_GROUP_EMPTY;
use tenure_core::identity::{CharterDraft, Identity, IdentityState};
use tenure_core::inventory::application::Application;
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::people::team::Team;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::term::Term;

use crate::inventory::ownership;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, acknowledge, system};
use crate::kernel::{Kernel, finding};
use crate::people::teams::{self, EMPTY};

/// Identities that a finding names.
const NAMED: usize = 100;

/// What a team answers for.
#[derive(Debug, Default)]
struct Charge {
    /// The first of the identities.
    named: Vec<IdentityId>,
    /// How many there are.
    identities: u64,
    applications: Vec<ApplicationId>,
}

/// What was written about a removal group.
enum Noted {
    Nothing,
    /// Nobody is left of it; somebody has to be by then.
    Empty(Timestamp),
    /// It has somebody again, or answers for nothing.
    Manned,
}

impl Noted {
    fn due(self, team: TeamId) -> Option<DueChange> {
        match self {
            Self::Nothing => None,
            Self::Empty(deadline) => Some(DueChange::Set(DueKind::Leaver, teams::group_due(team), deadline)),
            Self::Manned => Some(DueChange::Clear(DueKind::Leaver, teams::group_due(team))),
        }
    }
}

/// Opens the finding about a removal group that nobody is left of, with its notice, or resolves it. The deadline is the
/// caller's to set.
async fn note_removal_group(
    kernel: &Kernel,
    changeset: &mut Changeset,
    team: TeamId,
    now: Timestamp,
) -> Result<Noted, OpError> {
    let id = team.to_string();
    let is_open = finding::has_finding(kernel, &REMOVAL_GROUP_EMPTY, &id).await?;
    let manned = has_active_member(kernel, team).await?;
    let charge = match manned && !is_open {
        true => return Ok(Noted::Nothing),
        false => charge_of(kernel, team).await?,
    };
    if manned || charge.identities == 0 {
        if !is_open {
            return Ok(Noted::Nothing);
        }
        let how = if manned { "somebody is in the team again" } else { "it answers for no identity any more" };
        finding::no_longer(kernel, changeset, &[&REMOVAL_GROUP_EMPTY], &id, how, now).await?;
        return Ok(Noted::Manned);
    }
    if is_open {
        return Ok(Noted::Nothing);
    }
    finding::raise(kernel, changeset, &REMOVAL_GROUP_EMPTY, &id, "", evidence(&charge), now).await?;
    let deadline = now.plus(kernel.settings.transfer_window);
    let text = format!(
        "Nobody in the team {id} is there any more, and it answers for the removal of {} identities. Put somebody into it by {deadline}, or name another \
             team.\nAll of it: tenure finding list --rule {} --subject {id}",
        charge.identities, REMOVAL_GROUP_EMPTY.id
    );
    let event = kernel
        .event(now, EventKind::RemovalGroupEmpty)
        .subject(&id)
        .fact("identities", charge.identities)
        .fact("deadline", deadline);
    changeset.event(notify(event, &[], &[Role::Administrator], "A removal group has nobody who is there", &text));
    Ok(Noted::Empty(deadline))
}

/// Notes every group that somebody who left, or is there again, is a member of; returns how many were.
pub(crate) async fn note_removal_groups_of(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: &Person,
    now: Timestamp,
) -> Result<usize, OpError> {
    let mut noted = 0;
    for team in &person.teams {
        let due = note_removal_group(kernel, changeset, *team, now).await?.due(*team);
        noted += usize::from(due.is_some());
        changeset.due.extend(due);
    }
    Ok(noted)
}

/// Works off the deadline of a removal group: somebody may have joined or left it, or nobody did in time, which is told
/// to security, again and again.
pub(crate) async fn work_removal_group(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Some(team) = claimed.subject.strip_suffix(EMPTY).and_then(|id| id.parse::<TeamId>().ok()) else {
        return Ok(None);
    };
    let event = kernel.event(now, EventKind::RemovalGroupChecked).subject(team);
    let mut changeset = Changeset::new(system(), now, event);
    let again = |changeset: &mut Changeset, at| {
        changeset.due.push(DueChange::Retry(DueKind::Leaver, claimed.subject.clone(), claimed.fence, at));
    };
    match note_removal_group(kernel, &mut changeset, team, now).await? {
        Noted::Empty(deadline) => again(&mut changeset, deadline),
        Noted::Manned => acknowledge(&mut changeset, claimed),
        Noted::Nothing => {
            let Some(since) = finding::open_since(kernel, &REMOVAL_GROUP_EMPTY, &team.to_string()).await? else {
                return Ok(None);
            };
            let deadline = since.plus(kernel.settings.transfer_window);
            if now < deadline {
                return Ok(Some(work::postponed(kernel, claimed, deadline, now)));
            }
            let charge = charge_of(kernel, team).await?;
            let next = now.plus(kernel.settings.transfer_window);
            let text = format!(
                "Nobody who is there answers for the removal of {} identities of the team {team}, and nobody put somebody into it in time. This is said \
                     again at {next}.",
                charge.identities
            );
            let event = kernel
                .event(now, EventKind::RemovalGroupOverdue)
                .subject(team)
                .fact("identities", charge.identities)
                .fact("again", next);
            let to = [Role::Security, Role::Administrator];
            changeset.event(notify(event, &[], &to, "A removal group still has nobody who is there", &text));
            finding::raise(kernel, &mut changeset, &REMOVAL_GROUP_EMPTY, team, "", evidence(&charge), now).await?;
            again(&mut changeset, next);
        }
    }
    Ok(Some(changeset))
}

/// The identities whose removal a team answers for and isn't done, and the applications that name it.
async fn charge_of(kernel: &Kernel, team: TeamId) -> Result<Charge, OpError> {
    let mut charge = Charge::default();
    add_charge(kernel, &mut charge, Identity::REMOVAL_GROUP.of(team), |charter| charter.removal_group == Some(team))
        .await?;
    let mut applications = kernel.pages(Query::of([Application::REMOVAL_GROUP.of(team)]));
    while let Some(found) = applications.next().await? {
        for application in found.readable().iter().filter(|application| application.removal_group == Some(team)) {
            charge.applications.push(application.id);
            let of_application = Identity::APPLICATION.of(application.id);
            add_charge(kernel, &mut charge, of_application, |charter| charter.removal_group.is_none()).await?;
        }
    }
    Ok(charge)
}

async fn add_charge(
    kernel: &Kernel,
    charge: &mut Charge,
    term: Term<Identity>,
    is_theirs: impl Fn(&CharterDraft) -> bool,
) -> Result<(), OpError> {
    let mut pages = kernel.pages(Query::of([term]));
    while let Some(found) = pages.next().await? {
        let lives = |state| matches!(state, IdentityState::Active | IdentityState::Suspended | IdentityState::Retiring);
        for identity in found.readable().iter().filter(|row| lives(row.state) && is_theirs(&row.charter)) {
            charge.identities += 1;
            if charge.named.len() < NAMED {
                charge.named.push(identity.id);
            }
        }
    }
    Ok(())
}

/// What is wrong with a team as a removal group: there is none, or nobody in it is active.
pub(crate) async fn removal_group_problem(
    kernel: &Kernel,
    field: &str,
    team: TeamId,
) -> Result<Option<FieldProblem>, OpError> {
    if kernel.one::<Team>(team).await?.is_none() {
        return Ok(Some(FieldProblem::new(field, "team_unknown", "name a team by its id: tenure team list")));
    }
    if !has_active_member(kernel, team).await? {
        let hint = "nobody in this team is active: name one that can remove it";
        return Ok(Some(FieldProblem::new(field, "removal_group_empty", hint)));
    }
    Ok(None)
}

/// Adds what is wrong with the group that answers for the removal of an identity that is to be activated.
pub(crate) async fn needs_removal_group(
    kernel: &Kernel,
    charter: &CharterDraft,
    problems: &mut Vec<FieldProblem>,
) -> Result<(), OpError> {
    const FIELD: &str = "charter.removal_group";
    if problems.iter().any(|problem| problem.field == FIELD || problem.field == "charter.application") {
        return Ok(());
    }
    match removal_group_of(kernel, charter).await? {
        // The charter's own was looked at with its other references.
        Some((_, false)) => {}
        Some((team, true)) => problems.extend(removal_group_problem(kernel, FIELD, team).await?),
        None => {
            let hint =
                "name the team that answers for its removal, or give the application one: tenure application update";
            problems.push(FieldProblem::new(FIELD, "removal_group_missing", hint));
        }
    }
    Ok(())
}

/// The team that answers for the removal of what has this charter, and whether it is the application's.
async fn removal_group_of(kernel: &Kernel, charter: &CharterDraft) -> Result<Option<(TeamId, bool)>, OpError> {
    if let Some(team) = charter.removal_group {
        return Ok(Some((team, false)));
    }
    let Some(id) = charter.application else { return Ok(None) };
    let application = kernel.one::<Application>(id).await?;
    Ok(application.and_then(|application| application.removal_group).map(|team| (team, true)))
}

/// The same as it is shown.
pub(crate) async fn removal_group_view(
    kernel: &Kernel,
    charter: &CharterDraft,
) -> Result<Option<RemovalGroup>, OpError> {
    let Some((team, of_application)) = removal_group_of(kernel, charter).await? else {
        return Ok(None);
    };
    let name = kernel.one::<Team>(team).await?.map(|team| team.name.clone()).unwrap_or_default();
    Ok(Some(RemovalGroup { team, name, of_application, has_active_member: has_active_member(kernel, team).await? }))
}

/// Notes removal groups that were left without anybody, whatever became of the notice then; returns how many were
/// noted.
pub(crate) async fn sweep_removal_groups(kernel: &Kernel) -> Result<usize, OpError> {
    let mut noted = 0;
    let mut teams = kernel.pages::<Team>(Query::every());
    while let Some(found) = teams.next().await? {
        for team in &found.readable() {
            let now = kernel.now();
            let event = kernel.event(now, EventKind::RemovalGroupChecked).subject(team.id);
            let mut changeset = Changeset::new(system(), now, event);
            let Some(due) = note_removal_group(kernel, &mut changeset, team.id, now).await?.due(team.id) else {
                continue;
            };
            changeset.due.push(due);
            noted += usize::from(ownership::swept(kernel, changeset).await?);
        }
    }
    Ok(noted)
}

async fn has_active_member(kernel: &Kernel, team: TeamId) -> Result<bool, OpError> {
    let active = Query::of([Person::TEAM.of(team), Person::STATE.of(PersonState::Active)]);
    let rows = kernel.find(active.limit(1)).await?.readable();
    Ok(rows.iter().any(|person| person.is_active() && person.teams.contains(&team)))
}

fn evidence(charge: &Charge) -> Map<String, Value> {
    Map::from_iter([
        ("identities".to_owned(), json!(charge.named)),
        ("identities_in_all".to_owned(), json!(charge.identities)),
        ("applications".to_owned(), json!(charge.applications.iter().take(NAMED).collect::<Vec<_>>())),
    ])
}
