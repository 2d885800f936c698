//! Risk tiers follow what they are derived from (R119).
//!
//! When a data domain is classified otherwise, a walk over the identities derives the tiers of those that touch it again. What hangs on
//! the tier (cadence, dormancy, ceilings, the way of approval) reads it from the identity and so follows at once. What an identity
//! already holds beyond the new ceiling is not cut under a running workload: a review is opened and its owner is told; an overdue
//! review blocks renewal, and one that nobody answers suspends. A second walk a little later catches what was being registered while the first one passed.

use std::collections::HashMap;

use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::{Actor, ControlPoint};
use tenure_core::grant::{Grant, GrantState};
use tenure_core::id::{IdentityId, ResourceId};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, RiskTier};
use tenure_core::port::{Claimed, DueKind, ListQuery};
use tenure_core::resource::Resource;
use tenure_core::review::{ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::row::{RowKind, Stored};
use tenure_core::time::{Span, Timestamp};

use super::reviews::reviewer_of;
use crate::Engine;
use crate::error::OpError;
use crate::notice::notify;

const PAGE: u16 = 500;
/// Longer than any decision that read the old classification takes to commit.
const SETTLED_AFTER: Span = Span::from_secs(30);
const DOMAIN: &str = "data_domain/";
const SECOND: &str = "/again";
/// How often an identity that others change at the same time is looked at before the walk comes again.
const ATTEMPTS: u32 = 8;

/// The deadlines of the walks that follow a data domain's change.
pub(super) fn passes(domain: &str, now: Timestamp) -> [(String, Timestamp); 2] {
    [
        (format!("{DOMAIN}{domain}"), now),
        (format!("{DOMAIN}{domain}{SECOND}"), now.plus(SETTLED_AFTER)),
    ]
}

/// A walk by its deadline's subject: its name, the data domain, and the identity after which it goes on.
fn walk(subject: &str) -> Option<(&str, &str, Option<&str>)> {
    let (name, after) = match subject.split_once(' ') {
        Some((name, after)) => (name, Some(after)),
        None => (subject, None),
    };
    let domain = name.strip_prefix(DOMAIN)?;
    Some((name, domain.strip_suffix(SECOND).unwrap_or(domain), after))
}

impl Engine {
    /// Works off one page of a walk; the next page is a deadline of its own, so that a crash resumes there.
    pub(crate) async fn work_tier(&self, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
        let Some((name, domain, after)) = walk(&claimed.subject) else {
            return Ok(None);
        };
        let (rows, next) = self.listed::<Identity>(RowKind::Identity, Vec::new(), after.map(str::to_owned), PAGE).await?;
        let mut resources = HashMap::new();
        let mut changed = 0_u32;
        for identity in &rows {
            if !over(identity.state) && self.touches(&identity.charter, domain, &mut resources).await? && self.derive_tier(identity.id, domain).await? {
                changed += 1;
            }
        }
        let event = self
            .event(now, "data_domain.tiers_derived", ControlPoint::Administer)
            .subject(domain)
            .fact("identities", rows.len())
            .fact("changed", changed)
            .fact("done", next.is_none());
        let mut changeset = Changeset::new(Actor::System { part: "deadlines".into() }, now, event);
        changeset.due.push(DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence));
        if let Some(next) = next {
            changeset.due.push(DueChange::Set(DueKind::Tier, format!("{name} {next}"), now));
        }
        Ok(Some(changeset))
    }

    /// Whether a charter names the data domain, or a resource that holds it.
    async fn touches(&self, charter: &CharterDraft, domain: &str, seen: &mut HashMap<ResourceId, bool>) -> Result<bool, OpError> {
        if charter.data_domains.iter().any(|name| name == domain) {
            return Ok(true);
        }
        for id in charter.scope.iter().filter_map(|entitlement| entitlement.resource.parse::<ResourceId>().ok()) {
            let holds = match seen.get(&id) {
                Some(holds) => *holds,
                None => {
                    let resource = self.one::<Resource>(id).await?;
                    let holds = resource.is_some_and(|resource| resource.data_domains.iter().any(|name| name == domain));
                    seen.insert(id, holds);
                    holds
                }
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Derives an identity's tier again; true if it is another one now.
    async fn derive_tier(&self, id: IdentityId, domain: &str) -> Result<bool, OpError> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let Some(stored) = self.one::<Identity>(id).await?.filter(|stored| !over(stored.state)) else {
                return Ok(false);
            };
            let mut identity = (*stored.value).clone();
            identity.derive_tier(RiskTier::of(stored.kind, &stored.charter, self.risk_facts(&stored.charter).await?));
            if identity.tier == stored.tier {
                return Ok(false);
            }
            let changeset = self.tier_changed(&stored, identity, domain, now).await?;
            if self.settle(changeset).await?.is_some() {
                return Ok(true);
            }
        }
        Err(OpError::Unavailable(format!("{id} changes too fast for its tier to be derived")))
    }

    async fn tier_changed(&self, stored: &Stored<Identity>, identity: Identity, domain: &str, now: Timestamp) -> Result<Changeset, OpError> {
        let tier = identity.tier;
        let ceilings = identity.ceilings();
        let beyond = self.beyond(&identity, now).await?;
        let event = self
            .event(now, "identity.tier_changed", ControlPoint::Change)
            .subject(identity.id)
            .fact("workflow", "non_human.tier")
            .fact("data_domain", domain)
            .fact("old", stored.tier)
            .fact("new", tier)
            .fact("ceilings", ceilings)
            .fact("beyond_ceiling", &beyond);
        let owner: Vec<_> = identity.charter.owner.into_iter().collect();
        let mut text = format!("{} is of tier {} now; it was {}.", identity.id, tier.as_str(), stored.tier.as_str());
        if !beyond.is_empty() {
            text.push_str(&format!(
                "\nWhat it holds longer than the {} that the tier allows stays until its review is answered: {}.",
                ceilings.max_duration,
                beyond.join(", ")
            ));
        }
        let event = notify(event, &owner, &[], "The risk tier of an identity of yours has changed", &text);
        let mut changeset = Changeset::new(Actor::System { part: "deadlines".into() }, now, event);
        if matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
            self.watch(&mut changeset, &identity, now);
            if !beyond.is_empty() && !self.has_open_review(identity.id).await? {
                let about = ReviewSubject::Identity(identity.id);
                self.open_review(&mut changeset, about, ReviewTrigger::Cadence, reviewer_of(&identity), now);
            }
        }
        changeset.replace(stored, &identity);
        Ok(changeset)
    }

    /// What an identity holds for longer than its ceiling allows: its own end, and its grants.
    async fn beyond(&self, identity: &Identity, now: Timestamp) -> Result<Vec<String>, OpError> {
        let latest = now.plus(identity.ceilings().max_duration);
        let mut beyond = Vec::new();
        if identity.charter.expires_at.is_some_and(|end| end > latest) {
            beyond.push(identity.id.to_string());
        }
        for id in &identity.grants {
            let grant = self.one::<Grant>(id).await?;
            if grant.is_some_and(|grant| grant.state == GrantState::Live && grant.ends_at > latest) {
                beyond.push(id.to_string());
            }
        }
        Ok(beyond)
    }

    async fn has_open_review(&self, identity: IdentityId) -> Result<bool, OpError> {
        let page = self
            .store
            .list(&ListQuery {
                kind: RowKind::Review,
                terms: vec![
                    format!("identity={identity}"),
                    format!("state={}", ReviewState::Open.as_str()),
                    format!("trigger={}", ReviewTrigger::Cadence.as_str()),
                ],
                after: None,
                limit: 1,
            })
            .await?;
        Ok(!page.rows.is_empty())
    }
}

/// Whether an identity is on its way out, or gone: its tier says nothing any more.
const fn over(state: IdentityState) -> bool {
    matches!(state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_are_named_by_their_domain_and_go_on_behind_an_identity() {
        for (subject, _) in passes("orders", Timestamp::default()) {
            let (name, domain, after) = walk(&subject).unwrap();
            assert_eq!((name, domain, after), (subject.as_str(), "orders", None));
            let next = format!("{name} idn_x");
            assert_eq!(walk(&next), Some((name, "orders", Some("idn_x"))));
        }
        assert_eq!(walk("environment/x"), None);
    }
}
