//! The team that answers for an identity's removal (R115): its charter's, else its application's. It stays when its members change.

use tenure_api::requests::ApplicationChange;
use tenure_api::views::{RemovalGroup, Resource as Changed};
use tenure_core::application::Application;
use tenure_core::changeset::Changeset;
use tenure_core::event::ControlPoint;
use tenure_core::id::{ApplicationId, TeamId};
use tenure_core::identity::CharterDraft;
use tenure_core::person::Person;
use tenure_core::policy::Action;
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::row::RowKind;
use tenure_core::team::Team;
use tenure_core::third_party::Standing;

use super::Asked;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::questions::{administration, inventory};

impl Engine {
    /// Has an application's identities answered for by another team.
    ///
    /// # Errors
    /// No such application, it is retired, the team is unknown or has no active member, or the caller is no administrator.
    pub async fn change_application(&self, caller: &Caller, id: ApplicationId, ask: ApplicationChange) -> Result<Changed<Application>, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Administer, "application.change", id), async {
            self.allow(caller, Action::Administer, inventory("application", id, ""), administration(false, false))?;
            let ((application, revision), committed) = self
                .decide(|| async {
                    let now = self.now();
                    let stored = self.must::<Application>("application", id).await?;
                    if stored.standing == Standing::Closed {
                        return Err(OpError::because(Reason::IllegalTransition, "the application is retired"));
                    }
                    if let Some(problem) = self.removal_group_problem("removal_group", ask.removal_group).await? {
                        return Err(OpError::Invalid(vec![problem]));
                    }
                    let application = Application {
                        removal_group: Some(ask.removal_group),
                        ..(*stored.value).clone()
                    };
                    let event = self
                        .event(now, "application.changed", ControlPoint::Administer)
                        .subject(id)
                        .subject(ask.removal_group)
                        .fact("removal_group_before", stored.removal_group)
                        .fact("removal_group", ask.removal_group);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    changeset.replace(&stored, &application);
                    Ok((changeset, (application, stored.revision + 1)))
                })
                .await?;
            self.changed(application, revision, &committed).await
        })
        .await
    }

    /// What is wrong with a team as a removal group: there is none, or nobody in it is active.
    pub(crate) async fn removal_group_problem(&self, field: &str, team: TeamId) -> Result<Option<FieldProblem>, OpError> {
        if self.one::<Team>(team).await?.is_none() {
            return Ok(Some(FieldProblem::new(field, "team_unknown", "name a team by its id: tenure team list")));
        }
        if !self.has_active_member(team).await? {
            let hint = "nobody in this team is active: name one that can remove it";
            return Ok(Some(FieldProblem::new(field, "removal_group_empty", hint)));
        }
        Ok(None)
    }

    /// Adds what is wrong with the group that answers for the removal of an identity that is to be activated.
    pub(crate) async fn needs_removal_group(&self, charter: &CharterDraft, problems: &mut Vec<FieldProblem>) -> Result<(), OpError> {
        const FIELD: &str = "charter.removal_group";
        if problems.iter().any(|problem| problem.field == FIELD || problem.field == "charter.application") {
            return Ok(());
        }
        match self.removal_group_of(charter).await? {
            // The charter's own was looked at with its other references.
            Some((_, false)) => {}
            Some((team, true)) => problems.extend(self.removal_group_problem(FIELD, team).await?),
            None => {
                let hint = "name the team that answers for its removal, or give the application one: tenure application change";
                problems.push(FieldProblem::new(FIELD, "removal_group_missing", hint));
            }
        }
        Ok(())
    }

    /// The team that answers for the removal of what has this charter, and whether it is the application's.
    async fn removal_group_of(&self, charter: &CharterDraft) -> Result<Option<(TeamId, bool)>, OpError> {
        if let Some(team) = charter.removal_group {
            return Ok(Some((team, false)));
        }
        let Some(id) = charter.application else { return Ok(None) };
        let application = self.one::<Application>(id).await?;
        Ok(application.and_then(|application| application.removal_group).map(|team| (team, true)))
    }

    /// The same as it is shown.
    pub(crate) async fn removal_group_view(&self, charter: &CharterDraft) -> Result<Option<RemovalGroup>, OpError> {
        let Some((team, of_application)) = self.removal_group_of(charter).await? else {
            return Ok(None);
        };
        let name = self.one::<Team>(team).await?.map(|team| team.name.clone()).unwrap_or_default();
        Ok(Some(RemovalGroup {
            team,
            name,
            of_application,
            has_active_member: self.has_active_member(team).await?,
        }))
    }

    async fn has_active_member(&self, team: TeamId) -> Result<bool, OpError> {
        let terms = [format!("team={team}"), "state=active".to_owned()];
        let (rows, _) = self.listed::<Person>(RowKind::Person, terms.to_vec(), None, 1).await?;
        Ok(rows.iter().any(|person| person.is_active() && person.teams.contains(&team)))
    }
}
