//! Suggestions of who may answer for an account that was found, each with what speaks for it.
//!
//! What is written beside the account at its target, its name, its neighbours and the repositories that it names are held
//! against the people, teams, applications and identities that are known. A suggestion is read by people, and proposed
//! by people: nobody answers for anything by it.

use std::collections::BTreeMap;

use tenure_api::targets::Suggestions;
use tenure_core::base::id::{AccountId, IdentityId, PersonId, TargetId, TeamId};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::application::Application;
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::people::team::Team;
use tenure_core::store::row::{Record, Stored};
use tenure_core::target::account::Account;
use tenure_core::target::suggestion::{
    Clue, Suggestion, SuggestionReason, clue_of, parts, stem, weighed, words_beside,
};
use tenure_core::target::system::TargetSystem;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::targets::accounts;

/// Records of a kind that are looked at, at most.
const LOOKED_AT: usize = 5_000;
/// Accounts beside one that are looked at, at most.
const BESIDE: usize = 50;
/// Members of a team who may each be the owner; of a larger one nobody is suggested.
const MEMBERS: usize = 5;

/// Who may answer for an account.
///
/// # Errors
/// No such account, or the caller may not read it.
pub async fn suggestions(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<Suggestions, OpError> {
    let account = accounts::account(kernel, caller, id).await?.record;
    let around = Around::of(kernel, account.target).await?;
    let items = around.suggest(kernel, &account).await?;
    Ok(Suggestions { account: id, items, partial: around.partial })
}

/// What accounts of a target are held against.
pub(crate) struct Around {
    /// Who may own, by the words that name them.
    people: BTreeMap<String, PersonId>,
    /// Who answers for an application, by its name.
    applications: BTreeMap<String, PersonId>,
    /// The members of a team who may own, by its name.
    teams: BTreeMap<String, Vec<PersonId>>,
    /// The target's accounts by how their names begin.
    beside: BTreeMap<String, Vec<(String, IdentityId)>>,
    target: Option<(String, PersonId)>,
    /// Whether there is more than was looked at.
    partial: bool,
}

impl Around {
    pub(crate) async fn of(kernel: &Kernel, target: TargetId) -> Result<Self, OpError> {
        let mut partial = false;
        let mut people = BTreeMap::new();
        let mut by_team: BTreeMap<TeamId, Vec<PersonId>> = BTreeMap::new();
        let owners = Query::of([Person::STATE.of(PersonState::Active), Person::ROLE.of(Role::Owner)]);
        for person in some(kernel, owners, &mut partial).await? {
            let words = person.email.iter().chain(person.name.iter()).map(|word| word.to_lowercase());
            let user =
                person.email.as_deref().and_then(|email| email.split_once('@')).map(|(user, _)| user.to_lowercase());
            people.extend(words.chain(user.filter(|user| user.len() > 2)).map(|word| (word, person.id)));
            person.teams.iter().for_each(|team| by_team.entry(*team).or_default().push(person.id));
        }
        let mut teams = BTreeMap::new();
        for team in some(kernel, Query::<Team>::every(), &mut partial).await? {
            let members = by_team.remove(&team.id).filter(|members| members.len() <= MEMBERS);
            teams.extend(members.map(|members| (team.name.to_lowercase(), members)));
        }
        let mut applications = BTreeMap::new();
        for application in some(kernel, Query::<Application>::every(), &mut partial).await? {
            applications.insert(application.name.to_lowercase(), application.owner);
        }
        let mut beside: BTreeMap<String, Vec<(String, IdentityId)>> = BTreeMap::new();
        for account in some(kernel, Query::<Account>::of([Account::TARGET.of(target)]), &mut partial).await? {
            let Some(stem) = stem(&account.seen.name) else { continue };
            let neighbours = beside.entry(stem.to_lowercase()).or_default();
            if neighbours.len() < BESIDE {
                neighbours.push((account.seen.name.clone(), account.identity));
            }
        }
        let target = kernel.one::<TargetSystem>(target).await?.map(|target| (target.name.clone(), target.owner));
        Ok(Self { people, applications, teams, beside, target, partial })
    }

    /// Who may answer for an account of the target, the strongest first.
    pub(crate) async fn suggest(&self, kernel: &Kernel, account: &Account) -> Result<Vec<Suggestion>, OpError> {
        let mut clues: Vec<(PersonId, SuggestionReason)> = Vec::new();
        let mut add = |owner: PersonId, clue: Clue, said: String| {
            clues.push((owner, SuggestionReason { clue, said }));
        };
        for (mark, word) in words_beside(&account.seen) {
            let said = || format!("{mark}: {word}");
            if let Some(person) = self.people.get(&word) {
                add(*person, clue_of(&mark, Clue::Named), said());
            }
            self.owners(&word).for_each(|owner| add(owner, clue_of(&mark, Clue::Mark), said()));
            if word.contains('/')
                && let Some(owner) = owner_of(kernel, Identity::by_repository(&word)).await?
            {
                add(owner, Clue::Repository, said());
            }
            if let Some(owner) = owner_of(kernel, Identity::NAME.of(&word)).await? {
                add(owner, clue_of(&mark, Clue::Mark), said());
            }
        }
        for part in parts(&account.seen.name) {
            self.owners(&part).for_each(|owner| add(owner, Clue::Name, part.clone()));
        }
        let stem = stem(&account.seen.name).map(str::to_lowercase).unwrap_or_default();
        for (name, identity) in self.beside.get(&stem).into_iter().flatten() {
            if *identity == account.identity {
                continue;
            }
            let known = kernel.one::<Identity>(*identity).await?;
            if let Some(owner) = known.and_then(|known| owner_in(&known)) {
                add(owner, Clue::Beside, name.clone());
            }
        }
        if let Some((name, owner)) = &self.target {
            add(*owner, Clue::Target, name.clone());
        }
        let mut suggestions = weighed(clues);
        let mut may_own = Vec::new();
        for suggestion in &suggestions {
            let person = kernel.one::<Person>(suggestion.owner).await?;
            may_own.push(person.is_some_and(|person| person.is_active() && person.holds(Role::Owner)));
        }
        let mut may_own = may_own.into_iter();
        suggestions.retain(|_| may_own.next().unwrap_or(false));
        Ok(suggestions)
    }

    /// Who answers for an application of this name, or is of a team of it.
    fn owners(&self, word: &str) -> impl Iterator<Item = PersonId> {
        let team = word.strip_prefix("team-").unwrap_or(word);
        let members = [self.teams.get(word), self.teams.get(team).filter(|_| team != word)];
        self.applications.get(word).into_iter().chain(members.into_iter().flatten().flatten()).copied()
    }
}

fn owner_in(identity: &Identity) -> Option<PersonId> {
    let stands = matches!(identity.state, IdentityState::Active | IdentityState::Suspended | IdentityState::Pending);
    identity.charter.owner.filter(|_| stands)
}

async fn owner_of(
    kernel: &Kernel,
    term: tenure_core::store::term::Term<Identity>,
) -> Result<Option<PersonId>, OpError> {
    Ok(kernel.first(Query::of([term])).await?.and_then(|identity| owner_in(&identity)))
}

async fn some<T: Record>(kernel: &Kernel, query: Query<T>, partial: &mut bool) -> Result<Vec<Stored<T>>, OpError> {
    let mut pages = kernel.pages(query);
    let mut rows = Vec::new();
    while let Some(found) = pages.next().await? {
        rows.extend(found.readable());
        if rows.len() >= LOOKED_AT {
            *partial |= pages.more();
            break;
        }
    }
    Ok(rows)
}
