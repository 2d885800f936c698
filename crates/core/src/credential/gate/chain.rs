//! Authority that is handed on (S-14): subject ∩ actor ∩ delegation grant ∩ what the subject's token says ∩ the tasks
//! of both, at every link.
//!
//! Nothing of it is kept as a decision: each time, the chain is judged anew by what its identities' charters, grants
//! and credentials say at that moment. So a delegation narrows with whatever it derives from, and dies with it.

use crate::base::id::{IdentityId, ResourceId};
use crate::base::problem::Reason;
use crate::base::time::Timestamp;
use crate::credential::Credential;
use crate::credential::gate::{Held, IdentityFacts, Standing, standing};
use crate::credential::liveness::credential_is_live;
use crate::identity::delegation::{DELEGATE, Delegation, MAX_DEPTH, MayAct, Task};
use crate::inventory::resource::Resource;
use crate::store::row::Stored;

/// One link of a chain, as read: whose authority is handed on, and the credential for Tenure itself that says to whom.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// What the identity's standing rests on.
    pub facts: IdentityFacts<'a>,
    /// Its credential, with `may_act`.
    pub credential: &'a Stored<Credential>,
    /// The resource that the credential is for: Tenure.
    pub tenure: &'a Resource,
}

/// A link that stands, with what it lets its actor do.
struct Handing<'a> {
    standing: Standing<'a>,
    link: Link<'a>,
    may_act: &'a MayAct,
}

impl Handing<'_> {
    /// Whether it hands this action on to its actor.
    fn admits(&self, action: &str, resource: &Resource) -> Result<(), Reason> {
        let named = self.may_act.resource == resource.id && self.may_act.actions.iter().any(|named| named == action);
        let granted = |delegate: &crate::identity::delegation::Delegate| {
            delegate.actor == self.may_act.actor && delegate.covers(action, resource.id)
        };
        if !named || !self.standing.charter().delegates.iter().any(granted) {
            return Err(Reason::DelegationNotAllowed);
        }
        self.standing.in_task(self.may_act.task.as_deref(), action, resource.id)?;
        let asked = [action.to_owned()];
        if self.standing.left(resource, &asked, self.link.credential.created).is_empty() {
            return Err(Reason::NoLiveGrant);
        }
        Ok(())
    }
}

impl Standing<'_> {
    /// The declared task: one of the charter's, if the charter declares any, and none otherwise (R54).
    ///
    /// # Errors
    /// None was declared although it has to be, or one that the charter doesn't have.
    pub fn intent(&self, task: Option<&str>) -> Result<Option<&Task>, Reason> {
        match task {
            None if self.charter.tasks.is_empty() => Ok(None),
            None => Err(Reason::IntentMissing),
            Some(name) => self.charter.task(name).map(Some).ok_or(Reason::OutsideIntent),
        }
    }

    /// The task that a request means which declares none: the only one that takes `best` of these actions or more, else
    /// the only one that takes any; of several that fit equally well, the charter's default. `None` if no task fits, or
    /// which one is meant can't be told.
    pub fn implied_task(&self, actions: &[String], best: usize, resource: ResourceId) -> Option<&Task> {
        for least in [best.max(1), 1] {
            let takes = |task: &&Task| actions.iter().filter(|action| task.covers(action, resource)).count() >= least;
            let fitting: Vec<&Task> = self.charter.tasks.iter().filter(takes).collect();
            match fitting.as_slice() {
                [] => {}
                [only] => return Some(only),
                several => {
                    return several.iter().find(|task| Some(&task.name) == self.charter.default_task.as_ref()).copied();
                }
            }
        }
        None
    }

    /// Whether the declared task takes this.
    ///
    /// # Errors
    /// As [`Standing::intent`], or it doesn't.
    pub fn in_task(&self, task: Option<&str>, action: &str, resource: ResourceId) -> Result<(), Reason> {
        match self.intent(task)? {
            Some(task) if !task.covers(action, resource) => Err(Reason::OutsideIntent),
            _ => Ok(()),
        }
    }
}

/// Judges the links of a chain that ends with `holder`; `further` says how many hands it goes through after that.
fn handings<'a>(links: &[Link<'a>], holder: IdentityId, further: usize) -> Result<Vec<Handing<'a>>, Reason> {
    if links.len().saturating_add(further) > MAX_DEPTH {
        return Err(Reason::DelegationTooDeep);
    }
    let chain: Vec<IdentityId> = links.iter().map(|link| link.facts.identity.id).chain([holder]).collect();
    let mut handings = Vec::with_capacity(links.len());
    for (place, (link, actor)) in links.iter().zip(chain.iter().skip(1)).enumerate() {
        // Nobody acts for themselves through others: what went round would no longer be told from what they do on their
        // own.
        if chain.iter().filter(|other| *other == actor).count() > 1 {
            return Err(Reason::DelegationNotAllowed);
        }
        handings.push(handing(links, place, *link, *actor, further)?);
    }
    Ok(handings)
}

fn handing<'a>(
    links: &[Link<'a>],
    place: usize,
    link: Link<'a>,
    actor: IdentityId,
    further: usize,
) -> Result<Handing<'a>, Reason> {
    let credential = link.credential;
    credential_is_live(credential, link.facts.identity, link.facts.scopes, link.facts.now)
        .map_err(|_| Reason::ParentEnded)?;
    let before = links.get(..place).unwrap_or_default();
    // Each credential derives from exactly those before it: links of several chains don't mix.
    let derives = match &credential.delegation {
        None => before.is_empty(),
        Some(delegation) => {
            !before.is_empty() && delegation.parents.iter().eq(before.iter().map(|link| &link.credential.id))
        }
    };
    if !derives {
        return Err(Reason::DelegationNotAllowed);
    }
    let standing = standing(link.facts).map_err(|_| Reason::ParentEnded)?;
    if standing.left(link.tenure, &[DELEGATE.to_owned()], credential.created).is_empty() {
        return Err(Reason::ParentEnded);
    }
    let may_act = credential.may_act.as_ref().filter(|may_act| may_act.actor == actor);
    let may_act = may_act.ok_or(Reason::DelegationNotAllowed)?;
    let delegate = standing.charter.delegates.iter().find(|delegate| delegate.actor == actor);
    let onward = delegate.ok_or(Reason::DelegationNotAllowed)?.onward;
    if usize::from(onward).saturating_add(place) < links.len().saturating_sub(1).saturating_add(further) {
        return Err(Reason::DelegationTooDeep);
    }
    standing.intent(may_act.task.as_deref())?;
    Ok(Handing { standing, link, may_act })
}

/// What is left now of actions that were handed on to `holder` over these links.
///
/// # Errors
/// A link has ended: the credential, its identity, its right to delegate or its delegation grant.
pub fn handed_on(
    links: &[Link<'_>],
    holder: IdentityId,
    resource: &Resource,
    actions: &[String],
    further: usize,
) -> Result<Vec<String>, Reason> {
    let handings = handings(links, holder, further)?;
    let admitted = |action: &&String| handings.iter().all(|handing| handing.admits(action, resource).is_ok());
    Ok(actions.iter().filter(admitted).cloned().collect())
}

/// What an actor gets by an exchange: only [`delegated`] and [`hand_on`] make it, and without it there is no permit for
/// a derived credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    resource: ResourceId,
    held: Held,
    delegation: Delegation,
    until: Timestamp,
    bound: bool,
}

impl Delegated {
    /// On which resource.
    pub const fn resource(&self) -> ResourceId {
        self.resource
    }
    /// What is held by it.
    pub const fn held(&self) -> &Held {
        &self.held
    }
    /// The chain and the credentials that it derives from.
    pub const fn delegation(&self) -> &Delegation {
        &self.delegation
    }
    /// When the shortest-lived parent ends (S-14).
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether somebody of the chain gets only credentials that are bound to a key: what derives from them is bound
    /// too.
    pub const fn bound(&self) -> bool {
        self.bound
    }

    fn new(resource: &Resource, held: Held, links: &[Link<'_>], holder: IdentityId, task: Option<&str>) -> Self {
        let end = held.until;
        let tasks = links.iter().map(|link| link.credential.may_act.as_ref().and_then(|may_act| may_act.task.clone()));
        Self {
            resource: resource.id,
            held,
            delegation: Delegation {
                chain: links.iter().map(|link| link.facts.identity.id).chain([holder]).collect(),
                parents: links.iter().map(|link| link.credential.id).collect(),
                tasks: tasks.chain([task.map(str::to_owned)]).collect(),
            },
            bound: links.iter().any(|link| link.facts.identity.charter.sender_constrained),
            until: links.iter().map(|link| link.credential.expires_at).fold(end, Timestamp::min),
        }
    }
}

/// What is asked for, if the test lets all of it through; with nothing asked for, what it lets through of `offered`.
fn through(
    asked: &[String],
    offered: &[String],
    test: impl Fn(&str) -> Result<(), Reason>,
) -> Result<Vec<String>, Reason> {
    if !asked.is_empty() {
        for action in asked {
            test(action)?;
        }
        return Ok(asked.to_vec());
    }
    let kept: Vec<String> = offered.iter().filter(|action| test(action).is_ok()).cloned().collect();
    match offered.first().map(|action| test(action)) {
        _ if !kept.is_empty() => Ok(kept),
        Some(Err(reason)) => Err(reason),
        _ => Err(Reason::DelegationNotAllowed),
    }
}

/// The authority that `actor` has over these links, for actions on a resource and for a task of its own (RFC 8693,
/// S-14).
///
/// # Errors
/// A link has ended or doesn't name the actor, the chain is too long or runs in a circle, or something asked for is
/// beyond one of the sets.
pub fn delegated(
    links: &[Link<'_>],
    actor: &Standing<'_>,
    task: Option<&str>,
    resource: &Resource,
    asked: &[String],
) -> Result<Delegated, Reason> {
    let holder = actor.facts.identity.id;
    let handings = handings(links, holder, 0)?;
    let last = handings.last().ok_or(Reason::DelegationNotAllowed)?;
    actor.intent(task)?;
    let actions = through(asked, &last.may_act.actions, |action| {
        handings.iter().try_for_each(|handing| handing.admits(action, resource))?;
        actor.held(resource, &[action.to_owned()])?;
        actor.in_task(task, action, resource.id)
    })?;
    let mut held = actor.held(resource, &actions)?;
    // Whoever checks the token by itself sees its end only: it doesn't outlast the grants of those for whom it is.
    for handing in &handings {
        held.until = held.until.min(handing.standing.held(resource, &actions)?.until);
    }
    Ok(Delegated::new(resource, held, links, holder, task))
}

/// What an identity wants to hand on.
#[derive(Debug, Clone, Copy)]
pub struct HandOn<'a> {
    /// To whom.
    pub actor: IdentityId,
    /// On which resource.
    pub resource: &'a Resource,
    /// Which actions; all that it can if empty.
    pub actions: &'a [String],
    /// For which task of its own charter.
    pub task: Option<&'a str>,
}

/// A credential for Tenure itself by which another identity may act for its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOn {
    /// What the holder holds on Tenure: the right to delegate, and nothing else.
    pub held: Held,
    /// What the actor may do at most.
    pub may_act: MayAct,
    /// What it derives from, if the holder's own authority was handed on to it.
    pub delegated: Option<Delegated>,
}

/// Lets an identity hand on what it holds itself, or what was handed on to it over these links.
///
/// # Errors
/// It has no right to delegate, its charter doesn't name the actor, the chain would be too long or run in a circle, or
/// something is beyond one of the sets.
pub fn hand_on(
    links: &[Link<'_>],
    holder: &Standing<'_>,
    tenure: &Resource,
    ask: HandOn<'_>,
) -> Result<HandedOn, Reason> {
    let id = holder.facts.identity.id;
    let held = holder.held(tenure, &[DELEGATE.to_owned()])?;
    if ask.actor == id || links.iter().any(|link| link.facts.identity.id == ask.actor) {
        return Err(Reason::DelegationNotAllowed);
    }
    let handings = handings(links, id, 1)?;
    let delegate = holder.charter.delegates.iter().find(|delegate| delegate.actor == ask.actor);
    let delegate = delegate.ok_or(Reason::DelegationNotAllowed)?;
    holder.intent(ask.task)?;
    let actions = through(ask.actions, &ask.resource.actions, |action| {
        handings.iter().try_for_each(|handing| handing.admits(action, ask.resource))?;
        holder.held(ask.resource, &[action.to_owned()])?;
        if !delegate.covers(action, ask.resource.id) {
            return Err(Reason::DelegationNotAllowed);
        }
        holder.in_task(ask.task, action, ask.resource.id)
    })?;
    let delegated = (!links.is_empty()).then(|| Delegated::new(tenure, held.clone(), links, id, ask.task));
    Ok(HandedOn {
        held,
        may_act: MayAct { actor: ask.actor, resource: ask.resource.id, actions, task: ask.task.map(str::to_owned) },
        delegated,
    })
}
