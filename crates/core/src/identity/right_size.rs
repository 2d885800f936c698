//! What an identity's charter grants beside what of it was used, and the scope that would do (R101).
//!
//! A proposal is replayed against what was decided before it is offered. It never drops in silence what is used more
//! rarely than the window is long: that is named apart, is kept unless whoever asks says otherwise, and then they have
//! read what the replay says of it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::id::{GrantId, ResourceId};
use crate::base::time::{Span, Timestamp};
use crate::identity::checker::MAX_ITEMS;
use crate::identity::delegation::DELEGATE;
use crate::identity::grant::Grant;
use crate::identity::tally::{OTHERS, UNNAMED, UseCounts, UseLedger};
use crate::inventory::entitlement::{Entitlement, WILDCARD};
use crate::store::use_note::UsePart;

/// Against the decisions of how many days a proposal is replayed.
pub const REPLAYED_DAYS: u16 = 90;
/// What was used within this time is rare at most, and not unused: a yearly job comes once in it.
pub const RARE_WITHIN: Span = Span::from_days(396);

/// Over which time use is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum UseWindow {
    /// Seven days.
    #[serde(rename = "7d")]
    Week,
    /// Thirty days.
    #[default]
    #[serde(rename = "30d")]
    Month,
    /// Ninety days.
    #[serde(rename = "90d")]
    Quarter,
}

impl UseWindow {
    /// How many days it is.
    pub const fn days(self) -> u16 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
        }
    }
    /// The name that it is asked for by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }
    /// When it began.
    pub fn begins(self, now: Timestamp) -> Timestamp {
        now.minus(Span::from_days(i64::from(self.days())))
    }
}

impl FromStr for UseWindow {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Week, Self::Month, Self::Quarter].into_iter().find(|window| window.as_str() == text).ok_or(())
    }
}

/// What is known of the use of something that is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UseVerdict {
    /// A decision within the window allowed it.
    Used,
    /// It can't be told: tokens were shown at the resource, and nobody asked what for; or it is used where nothing is
    /// counted.
    Untold,
    /// It was granted within the window, and wasn't used yet.
    New,
    /// It was used within 13 months, and not within the window.
    Rare,
    /// It was not used within 13 months, as far as is known.
    Unused,
}

/// Something that a charter grants, and its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantedUse {
    /// The resource; `*` for every one.
    pub resource: String,
    /// The action; `*` for every one.
    pub action: String,
    /// The live grants that give it.
    pub grants: Vec<GrantId>,
    /// Decisions in the window that allowed it.
    pub allowed: u64,
    /// Decisions in the window that refused it.
    pub refused: u64,
    /// Decisions that allowed it, as far back as is counted.
    pub allowed_ever: u64,
    /// When a decision last allowed it.
    pub last_used: Option<Timestamp>,
    /// What is known of its use.
    pub verdict: UseVerdict,
}

/// What a narrower scope would have done to the decisions of the last 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Decisions that allowed something, and wouldn't have.
    pub would_deny: u64,
    /// Decisions that allowed something of the present scope.
    pub of: u64,
    /// Of those, decisions that aren't told apart: of them nothing can be said.
    pub untold: u64,
}

/// A narrower scope, with what it would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NarrowerScope {
    /// The scope.
    pub scope: Vec<Entitlement>,
    /// The decisions of the last 90 days under it.
    pub replayed: Replay,
}

/// Why nothing is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// All that is granted is used, new, rare, or can't be told.
    NothingUnused,
    /// Nothing of what is granted was used: whether it is needed at all is the question.
    NothingUsed,
    /// Its use is counted for less than the window.
    CountedTooShortly,
    /// It does more different things than are told apart, under a wildcard.
    TooManyThings,
}

impl Withheld {
    /// What it means, for whoever asked.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NothingUnused => "nothing that the charter grants is unused: its scope is as small as its use",
            Self::NothingUsed => {
                "nothing that the charter grants was used in the window, as far as is counted: ask whether it is needed at all"
            }
            Self::CountedTooShortly => "its use is counted for less than the window: wait, or ask for a shorter window",
            Self::TooManyThings => {
                "under its wildcard it does more different things than are told apart: name in its charter what it needs"
            }
        }
    }
}

/// An identity's charter beside its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RightSize {
    /// The first day whose uses are counted.
    pub counted_since: Timestamp,
    /// All that is granted.
    pub granted: Vec<GrantedUse>,
    /// What of it was used in the window, is new, or can't be told.
    pub used: Vec<GrantedUse>,
    /// What of it was used within 13 months, and not within the window: asked about, never dropped in silence.
    pub rare: Vec<GrantedUse>,
    /// What of it wasn't used, as far as is known.
    pub unused: Vec<GrantedUse>,
    /// The scope without what is unused; what is rare stays in it.
    pub proposal: Option<Vec<Entitlement>>,
    /// The decisions of the last 90 days under the proposal, or under the present scope if there is none.
    pub replayed: Replay,
    /// The scope without what is rare either, where something is.
    pub without_rare: Option<NarrowerScope>,
    /// Why there is no proposal.
    pub withheld: Option<Withheld>,
}

impl RightSize {
    /// The share of what is granted that wasn't used in the window, in per cent.
    pub fn unused_percent(&self) -> u8 {
        let idle = self.unused.len() + self.rare.len();
        u8::try_from((idle * 100).checked_div(self.granted.len()).unwrap_or_default()).unwrap_or(100)
    }
}

/// What a charter grants, with what is known of its use.
#[derive(Debug, Clone, Copy)]
pub struct UseFacts<'a> {
    /// The charter's scope.
    pub scope: &'a [Entitlement],
    /// The live grants.
    pub grants: &'a [Grant],
    /// Since when the identity works, if it does.
    pub active_since: Option<Timestamp>,
    /// What was counted.
    pub ledger: &'a UseLedger,
    /// Over which time.
    pub window: UseWindow,
    /// As of when.
    pub now: Timestamp,
}

impl UseFacts<'_> {
    /// The resources and actions whose last use is to be known: what is granted by name, and what was counted.
    pub fn things(&self) -> Vec<(String, String)> {
        let granted = self.scope.iter().flat_map(|entitlement| {
            entitlement.actions.iter().map(|action| (entitlement.resource.clone(), action.clone()))
        });
        let counted = self.ledger.names.each().map(|(_, resource, action)| (resource.to_string(), action.to_owned()));
        // Where tokens were shown isn't counted apart for what is over the bound of names.
        let shown = self.scope.iter().map(|entitlement| (entitlement.resource.clone(), UNNAMED.to_owned()));
        let mut things: Vec<(String, String)> = granted.chain(counted).chain(shown).collect();
        things.sort_unstable();
        things.dedup();
        things
    }

    /// What is granted beside what is used, and the scope that would do. `last_used`: when a thing was last used.
    pub fn right_size(&self, last_used: &dyn Fn(&str, &str) -> Option<Timestamp>) -> RightSize {
        let looked =
            Looked { facts: self, last_used, recent: self.recent(self.window.days()), whole: self.ledger.whole() };
        let mut granted: Vec<GrantedUse> = Vec::new();
        for entitlement in self.scope {
            for action in &entitlement.actions {
                if !granted.iter().any(|known| known.resource == entitlement.resource && known.action == *action) {
                    granted.push(looked.granted_use(&entitlement.resource, action));
                }
            }
        }
        let of = |verdicts: &[UseVerdict]| -> Vec<GrantedUse> {
            granted.iter().filter(|granted| verdicts.contains(&granted.verdict)).cloned().collect()
        };
        let used = of(&[UseVerdict::Used, UseVerdict::Untold, UseVerdict::New]);
        let (rare, unused) = (of(&[UseVerdict::Rare]), of(&[UseVerdict::Unused]));
        let narrower = |keeps_rare: bool| looked.narrower(&granted, keeps_rare);
        let proposal = self.withheld(&looked, &granted).map_or_else(|| narrower(true), Err);
        let without_rare = match proposal {
            Ok(_) | Err(Withheld::NothingUnused) if looked.has_rare(&rare) => narrower(false).ok(),
            _ => None,
        };
        let scope = proposal.as_ref().map_or(self.scope, Vec::as_slice);
        RightSize {
            counted_since: Timestamp::from_secs(i64::from(self.ledger.names.since) * Span::from_days(1).as_secs()),
            replayed: self.replay(scope),
            without_rare: without_rare.map(|scope| NarrowerScope { replayed: self.replay(&scope), scope }),
            withheld: proposal.as_ref().err().copied(),
            proposal: proposal.ok(),
            granted,
            used,
            rare,
            unused,
        }
    }

    fn withheld(&self, looked: &Looked<'_>, granted: &[GrantedUse]) -> Option<Withheld> {
        let begins = day_of(self.window.begins(self.now));
        if !granted.iter().any(|granted| matches!(granted.verdict, UseVerdict::Used | UseVerdict::Untold)) {
            return Some(Withheld::NothingUsed);
        }
        if self.ledger.names.since > begins {
            return Some(Withheld::CountedTooShortly);
        }
        let wildcard = self.scope.iter().any(Entitlement::is_wildcard);
        (wildcard && (self.ledger.names.overflowed || looked.whole.of(OTHERS).allowed > 0))
            .then_some(Withheld::TooManyThings)
    }

    /// The decisions of the last 90 days under another scope.
    pub fn replay(&self, scope: &[Entitlement]) -> Replay {
        let counts = self.recent(REPLAYED_DAYS);
        let untold = u64::from(counts.of(OTHERS).allowed);
        let mut replay = Replay { would_deny: 0, of: untold, untold };
        for (number, resource, action) in self.ledger.names.each() {
            let allowed = u64::from(counts.of(number).allowed);
            if covers(self.scope, resource, action) {
                replay.of += allowed;
                replay.would_deny += if covers(scope, resource, action) { 0 } else { allowed };
            }
        }
        replay
    }

    fn recent(&self, days: u16) -> UseCounts {
        self.ledger.from_day(day_of(self.now).saturating_sub(days))
    }
}

fn day_of(at: Timestamp) -> u16 {
    match UsePart::day_of(at) {
        UsePart::Day(day) => day,
        _ => 0,
    }
}

/// Whether a scope covers a use. Of one of which only the resource is known, whether it names the resource.
fn covers(scope: &[Entitlement], resource: ResourceId, action: &str) -> bool {
    scope.iter().any(|entitlement| match action {
        UNNAMED => entitlement.resource == WILDCARD || entitlement.resource == resource.to_string(),
        action => entitlement.covers(action, resource),
    })
}

/// Use as it was looked at.
struct Looked<'a> {
    facts: &'a UseFacts<'a>,
    last_used: &'a dyn Fn(&str, &str) -> Option<Timestamp>,
    recent: UseCounts,
    whole: UseCounts,
}

impl Looked<'_> {
    fn granted_use(&self, resource: &str, action: &str) -> GrantedUse {
        let entitlement = Entitlement { actions: vec![action.to_owned()], resource: resource.to_owned() };
        let (mut allowed, mut refused, mut allowed_ever) = (0, 0, 0);
        let mut last_used = (self.last_used)(resource, action);
        let (mut shown, mut shown_ever) = (false, false);
        for (number, of, named) in self.facts.ledger.names.each() {
            let (recent, whole) = (self.recent.of(number), self.whole.of(number));
            let at = (self.last_used)(&of.to_string(), named);
            if named == UNNAMED {
                let here = resource == WILDCARD || resource == of.to_string();
                shown |= here && (recent.allowed > 0 || self.within(at, self.facts.window.begins(self.facts.now)));
                shown_ever |= here && (whole.allowed > 0 || self.within(at, self.facts.now.minus(RARE_WITHIN)));
            } else if entitlement.covers(named, of) {
                allowed += u64::from(recent.allowed);
                refused += u64::from(recent.refused);
                allowed_ever += u64::from(whole.allowed);
                last_used = last_used.max(at);
            }
        }
        let grants: Vec<&Grant> = self.facts.grants.iter().filter(|grant| gives(grant, &entitlement)).collect();
        let begins = self.facts.window.begins(self.facts.now);
        let since = grants.iter().map(|grant| grant.starts_at).min().max(self.facts.active_since);
        let verdict = if allowed > 0 || self.within(last_used, begins) {
            UseVerdict::Used
        } else if shown || action == DELEGATE {
            UseVerdict::Untold
        } else if since.is_some_and(|since| since > begins) {
            UseVerdict::New
        } else if allowed_ever > 0 || shown_ever || self.within(last_used, self.facts.now.minus(RARE_WITHIN)) {
            UseVerdict::Rare
        } else {
            UseVerdict::Unused
        };
        GrantedUse {
            resource: entitlement.resource,
            action: action.to_owned(),
            grants: grants.iter().map(|grant| grant.id).collect(),
            allowed,
            refused,
            allowed_ever,
            last_used,
            verdict,
        }
    }

    fn within(&self, at: Option<Timestamp>, since: Timestamp) -> bool {
        at.is_some_and(|at| at >= since && at <= self.facts.now)
    }

    /// Whether something would go with what is rare: of what is granted by name, or under a wildcard.
    fn has_rare(&self, rare: &[GrantedUse]) -> bool {
        let wildcards = || self.facts.scope.iter().filter(|entitlement| entitlement.is_wildcard());
        !rare.is_empty()
            || self.facts.ledger.names.each().any(|(_, resource, action)| {
                let under = wildcards().any(|wildcard| covers(std::slice::from_ref(wildcard), resource, action));
                under && self.granted_use(&resource.to_string(), action).verdict == UseVerdict::Rare
            })
    }

    /// The scope without what is unused, and, if so asked, without what is rare.
    fn narrower(&self, granted: &[GrantedUse], keeps_rare: bool) -> Result<Vec<Entitlement>, Withheld> {
        let stays = |verdict: UseVerdict| match verdict {
            UseVerdict::Unused => false,
            UseVerdict::Rare => keeps_rare,
            UseVerdict::Used | UseVerdict::Untold | UseVerdict::New => true,
        };
        let mut scope: Vec<Entitlement> = Vec::new();
        for entitlement in self.facts.scope {
            for action in &entitlement.actions {
                let known =
                    granted.iter().find(|known| known.resource == entitlement.resource && known.action == *action);
                let Some(known) = known.filter(|known| stays(known.verdict)) else { continue };
                let one = Entitlement { actions: vec![action.clone()], resource: entitlement.resource.clone() };
                // A wildcard that is new, or of which nothing can be told, stays as it is.
                if !one.is_wildcard() || known.verdict == UseVerdict::New || action == DELEGATE {
                    put(&mut scope, &one.resource, action);
                    continue;
                }
                for (_, resource, named) in self.facts.ledger.names.each() {
                    let id = resource.to_string();
                    if covers(std::slice::from_ref(&one), resource, named)
                        && stays(self.granted_use(&id, named).verdict)
                    {
                        // Of a token that was shown, it isn't known for which of the actions.
                        put(&mut scope, &id, if named == UNNAMED { action } else { named });
                    }
                }
            }
        }
        if scope.is_empty() {
            return Err(Withheld::NothingUsed);
        }
        if scope.len() > MAX_ITEMS || scope.iter().any(|entitlement| entitlement.actions.len() > MAX_ITEMS) {
            return Err(Withheld::TooManyThings);
        }
        let same = |one: &[Entitlement], other: &[Entitlement]| {
            one.iter().all(|e| e.actions.iter().all(|action| holds(other, e, action)))
        };
        if same(self.facts.scope, &scope) {
            return Err(Withheld::NothingUnused);
        }
        Ok(scope)
    }
}

/// Whether a scope names an action on the resource of an entitlement.
fn holds(scope: &[Entitlement], of: &Entitlement, action: &String) -> bool {
    scope.iter().any(|entitlement| entitlement.resource == of.resource && entitlement.actions.contains(action))
}

/// Whether a grant gives something, or a part of it where that is a wildcard.
fn gives(grant: &Grant, entitlement: &Entitlement) -> bool {
    let either = |held: &str, asked: &str| held == asked || held == WILDCARD || asked == WILDCARD;
    either(&grant.entitlement.resource, &entitlement.resource)
        && entitlement.actions.iter().any(|asked| grant.entitlement.actions.iter().any(|held| either(held, asked)))
}

fn put(scope: &mut Vec<Entitlement>, resource: &str, action: &str) {
    match scope.iter_mut().find(|entitlement| entitlement.resource == resource) {
        Some(known) if known.actions.iter().any(|held| held == action) => {}
        Some(known) => known.actions.push(action.to_owned()),
        None => scope.push(Entitlement { actions: vec![action.to_owned()], resource: resource.to_owned() }),
    }
}

#[cfg(test)]
#[path = "right_size_tests.rs"]
mod tests;
