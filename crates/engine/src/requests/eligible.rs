//! Who could approve a request: asked before it opens, so that none waits for people who aren't there (S-8, S-9).

use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::people::team::Team;
use tenure_core::policy::{Action, PolicyEngine, Question};
use tenure_core::request::{Place, Route};

use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::error::OpError;
use crate::kernel::freshness::Freshness;
use crate::kernel::query::Query;
use crate::requests::facts::MatterFacts;
use crate::requests::route;
use crate::requests::vote::Voter;
use crate::requests::vote::vote_context;

/// Members of a team that runs or gains from something, at most: a request names each of them as one who may not
/// approve it.
const MAX_MEMBERS: usize = 1_000;
/// Holders of a role that are looked for: no route has more steps.
const ENOUGH: usize = 2;

/// Who may fill each place of a route, as things stand: nobody who asks or gains, and whom the policy lets vote.
#[derive(Debug, Default)]
pub(crate) struct Approvers {
    owner: Vec<PersonId>,
    manager: Vec<PersonId>,
    security: Vec<PersonId>,
    administrators: Vec<PersonId>,
}

impl Approvers {
    fn of(&self, place: Place) -> &[PersonId] {
        match place {
            Place::Owner => &self.owner,
            Place::Manager => &self.manager,
            Place::Security => &self.security,
            Place::Administrator => &self.administrators,
        }
    }

    /// Whether each step of a route finds a person of its own.
    pub(crate) fn can_fill(&self, route: Route) -> bool {
        self.assign(route.steps(), &mut Vec::new())
    }

    fn assign(&self, steps: &[&[Place]], taken: &mut Vec<PersonId>) -> bool {
        let Some((step, rest)) = steps.split_first() else {
            return true;
        };
        step.iter().flat_map(|place| self.of(*place)).any(|person| {
            if taken.contains(person) {
                return false;
            }
            taken.push(*person);
            let filled = self.assign(rest, taken);
            taken.pop();
            filled
        })
    }

    /// What these routes lack, in words.
    pub(crate) fn lacking(&self, routes: &[Route]) -> String {
        let ways: Vec<String> = routes
            .iter()
            .map(|route| {
                let steps = route
                    .steps()
                    .iter()
                    .map(|step| step.iter().map(|place| place.in_words()).collect::<Vec<_>>().join(" or "));
                format!("{} ({})", route.action().as_str(), steps.collect::<Vec<_>>().join(", and "))
            })
            .collect();
        let missing: Vec<&str> = [Place::Owner, Place::Manager, Place::Security, Place::Administrator]
            .into_iter()
            .filter(|place| {
                self.of(*place).is_empty()
                    && routes.iter().any(|route| route.steps().iter().any(|step| step.contains(place)))
            })
            .map(Place::in_words)
            .collect();
        let missing = if missing.is_empty() {
            "there is one person for two places".to_owned()
        } else {
            format!("there is no {} who neither asks nor gains by it", missing.join(", and no "))
        };
        format!("{missing}; the routes that policy permits: {}", ways.join("; "))
    }
}

/// Who could fill the places of the routes.
pub(crate) async fn approvers_of(kernel: &Kernel, facts: &MatterFacts) -> Result<Approvers, OpError> {
    let one = async |person: Option<PersonId>, place: Place| -> Result<Vec<PersonId>, OpError> {
        let Some(id) = person else { return Ok(Vec::new()) };
        let person = kernel.one::<Person>(id).await?;
        Ok(person
            .filter(|person| could_vote(kernel, person, place, facts))
            .map(|person| person.id)
            .into_iter()
            .collect())
    };
    let administration = facts.class == tenure_core::request::Class::Administration;
    Ok(Approvers {
        owner: one(facts.owner, Place::Owner).await?,
        manager: one(facts.manager, Place::Manager).await?,
        security: holders(kernel, Role::Security, Place::Security, facts, !administration).await?,
        administrators: holders(kernel, Role::Administrator, Place::Administrator, facts, administration).await?,
    })
}

async fn holders(
    kernel: &Kernel,
    role: Role,
    place: Place,
    facts: &MatterFacts,
    wanted: bool,
) -> Result<Vec<PersonId>, OpError> {
    let mut found = Vec::new();
    let mut pages = kernel.pages(Query::of([Person::ROLE.of(role), Person::STATE.of(PersonState::Active)]));
    while wanted && found.len() < ENOUGH {
        let Some(page) = pages.next().await? else { break };
        found.extend(
            page.readable().iter().filter(|person| could_vote(kernel, person, place, facts)).map(|person| person.id),
        );
    }
    Ok(found)
}

/// Whether somebody could fill a place of a request about this, were their sign-in fresh.
fn could_vote(kernel: &Kernel, person: &Person, place: Place, facts: &MatterFacts) -> bool {
    let holds = match place {
        Place::Owner => person.is_active(),
        Place::Manager => person.holds(Role::Manager),
        Place::Security => person.holds(Role::Security),
        Place::Administrator => person.holds(Role::Administrator),
    };
    let same_person = facts.keeps_out(person) && !facts.context.single_person;
    let voter = Voter { place, fills: holds, same_person, fresh: Freshness::supposed() };
    let question = Question {
        principal: authority::person(person),
        action: Action::Approve,
        resource: inventory("request", "", &facts.environment),
        context: vote_context(voter, &facts.matter, facts.class, facts.tier, facts.context.single_person),
    };
    let lets = |set: &dyn PolicyEngine| tenure_core::credential::gate::check(&set.decide(&question)).is_ok();
    holds
        && !same_person
        && lets(&*route::judging_set(kernel, facts))
        && facts.proposed_policy.as_ref().is_none_or(|set| lets(&**set))
}

/// Everybody who is of one of these teams now. A request keeps them out for good: nobody becomes an approver by leaving
/// a team (S-8).
///
/// # Errors
/// A team is too large to name its members.
pub(crate) async fn members_of(kernel: &Kernel, teams: &[TeamId]) -> Result<Vec<PersonId>, OpError> {
    let mut members = Vec::new();
    for team in teams {
        let mut pages = kernel.pages(Query::of([Person::TEAM.of(team)]));
        while let Some(found) = pages.next().await? {
            // Somebody who can't be read would not be kept out.
            members.extend(found.whole()?.iter().map(|person| person.id));
            if members.len() > MAX_MEMBERS {
                let hint = "a team that runs it or gains from it has at most 1000 members: name a smaller one";
                return Err(OpError::field("charter.parties", "team_too_large", hint));
            }
        }
    }
    Ok(members)
}

/// The teams that a party of a charter names, by id or by name: all whose names read like it, be it in other cases or
/// with letters of another script that look the same (UTS #39). Whoever reads it takes it for any of them.
pub(crate) async fn teams_of_party(kernel: &Kernel, party: &str) -> Result<Vec<TeamId>, OpError> {
    if let Ok(team) = party.to_ascii_lowercase().parse::<TeamId>() {
        return Ok(vec![team]);
    }
    let sought = readings(party);
    let mut teams = Vec::new();
    let mut pages = kernel.pages::<Team>(Query::every().limit(1_000));
    while let Some(found) = pages.next().await? {
        // One that can't be read may be the one that is meant.
        teams.extend(
            found
                .whole()?
                .iter()
                .filter(|team| readings(&team.name).iter().any(|reading| sought.contains(reading)))
                .map(|team| team.id),
        );
    }
    Ok(teams)
}

/// What a name looks like, its letters and digits alone: in lower case, and as it is written, where a capital I is an
/// l. Two names with a reading in common are taken for one by whoever reads them.
fn readings(name: &str) -> [String; 2] {
    let letters = |text: &str| unicode_security::skeleton(text).filter(|c| c.is_alphanumeric()).collect::<String>();
    [letters(&name.to_lowercase()), letters(name).to_lowercase()]
}

#[cfg(test)]
mod tests {
    use tenure_core::people::team::Team;
    use tenure_core::store::changeset::Changeset;
    use tenure_core::store::event_kind::EventKind;

    use super::*;
    use crate::kernel::work::system;
    use crate::log::seal::tests::world;

    #[tokio::test]
    async fn s08_a_member_who_cannot_be_read_is_not_let_in() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let team = Team { id: TeamId::from_u128(1), name: "payments".into(), source: None, created_at: now };
        let mut member = Person::new(PersonId::from_u128(9), "Bob".into(), None, Vec::new(), now);
        member.teams = vec![team.id];
        let mut made = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        made.insert(&team).insert(&member);
        engine.settle(made).await.unwrap().unwrap();
        assert_eq!(members_of(engine, &[team.id]).await.unwrap(), [member.id]);
        assert_eq!(teams_of_party(engine, "Payments").await.unwrap(), [team.id]);
        world.spoil::<Person>(member.id).await;
        assert!(members_of(engine, &[team.id]).await.is_err());
        world.spoil::<Team>(team.id).await;
        assert!(teams_of_party(engine, "Payments").await.is_err());
    }

    #[test]
    fn a08_names_that_look_the_same_read_the_same() {
        let alike = |one: &str, other: &str| readings(one).iter().any(|reading| readings(other).contains(reading));
        for name in [
            "billing",
            "Billing ",
            "BILLING",
            "b\u{456}lling",
            "biIling",
            "BiIIing",
            "b\u{131}lling",
            "bil-ling",
            "\"billing\"",
            "bi\u{307}lling",
        ] {
            assert!(alike(name, "billing"), "{name}");
        }
        assert!(alike("data  team", "Data-Team"));
        assert!(!alike("billings", "billing"));
    }
}
