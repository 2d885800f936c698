//! Risk tiers follow what they are derived from (R119), and the charters of a vendor's identities what its contract
//! allows (R12, R35).
//!
//! When a data domain is classified otherwise, a resource holds other ones, or an environment becomes production or no
//! longer is, a walk over the identities derives the tiers of those that touch it again. What hangs on the tier
//! (cadence, dormancy, ceilings, the way of approval) reads it from the identity and so follows at once. What an
//! identity already holds beyond the new ceiling is not cut under a running workload: a review is opened and its owner
//! is told; an overdue review blocks renewal, and one that nobody answers suspends. A second walk a little later
//! catches what was being registered while the first one passed.

use std::collections::HashMap;

use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, RiskTier};
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::Vendor;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::identities::charter;
use crate::identities::dormancy::{self, Ended};
use crate::identities::review_opening::{self, reviewer_of};
use crate::inventory::{references, third_party};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::system;

const PAGE: u16 = 500;
/// Longer than any decision that read the old classification takes to commit.
const SETTLED_AFTER: Span = Span::from_secs(30);
const SECOND: &str = "/again";
/// How often an identity that others change at the same time is looked at before the walk comes again.
pub(crate) const ATTEMPTS: u32 = 8;

/// What was changed, and identities rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause<'a> {
    DataDomain(&'a str),
    Resource(&'a str),
    Environment(&'a str),
    /// A vendor whose contract allows less: its identities keep to that.
    Vendor(&'a str),
}

impl<'a> Cause<'a> {
    const fn kind(self) -> &'static str {
        match self {
            Self::DataDomain(_) => "data_domain",
            Self::Resource(_) => "resource",
            Self::Environment(_) => "environment",
            Self::Vendor(_) => "vendor",
        }
    }

    const fn derived(self) -> EventKind {
        match self {
            Self::DataDomain(_) => EventKind::DataDomainTiersDerived,
            Self::Resource(_) => EventKind::ResourceTiersDerived,
            Self::Environment(_) => EventKind::EnvironmentTiersDerived,
            Self::Vendor(_) => EventKind::VendorContractApplied,
        }
    }

    const fn id(self) -> &'a str {
        match self {
            Self::DataDomain(id) | Self::Resource(id) | Self::Environment(id) | Self::Vendor(id) => id,
        }
    }

    /// Has the walks begin that follow the change.
    pub(crate) fn follow(self, changeset: &mut Changeset, now: Timestamp) {
        let due = self.passes(now).into_iter();
        changeset.due.extend(due.map(|(subject, at)| DueChange::Set(DueKind::Tier, subject, at)));
    }

    fn passes(self, now: Timestamp) -> [(String, Timestamp); 2] {
        let name = format!("{}/{}", self.kind(), self.id());
        let second = format!("{name}{SECOND}");
        [(name, now), (second, now.plus(SETTLED_AFTER))]
    }
}

/// A walk by its deadline's subject: its name, what was changed, and the identity after which it goes on.
fn walk(subject: &str) -> Option<(&str, Cause<'_>, Option<&str>)> {
    let (name, after) = match subject.split_once(' ') {
        Some((name, after)) => (name, Some(after)),
        None => (subject, None),
    };
    let (kind, id) = name.split_once('/')?;
    let id = id.strip_suffix(SECOND).unwrap_or(id);
    let cause = match kind {
        "data_domain" => Cause::DataDomain(id),
        "resource" => Cause::Resource(id),
        "environment" => Cause::Environment(id),
        "vendor" => Cause::Vendor(id),
        _ => return None,
    };
    Some((name, cause, after))
}

/// Works off one page of a walk; the next page is a deadline of its own, so that a crash resumes there.
pub(crate) async fn work_tier(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Some((name, cause, after)) = walk(&claimed.subject) else {
        return Ok(None);
    };
    let concerned = match cause {
        Cause::Vendor(id) => Query::of([Identity::VENDOR.as_text().of(id)]),
        // What they touch is in no term.
        Cause::DataDomain(_) | Cause::Resource(_) | Cause::Environment(_) => Query::every(),
    };
    let found = kernel.find(concerned.after(after.map(str::to_owned)).limit(PAGE)).await?;
    let next = found.next();
    let rows = found.readable();
    let mut resources = HashMap::new();
    let mut changed = 0_u32;
    for identity in &rows {
        if over(identity.state) || !touches(kernel, &identity.charter, cause, &mut resources).await? {
            continue;
        }
        let follows = match cause {
            Cause::Vendor(_) => Box::pin(keep_to_contract(kernel, identity.id)).await?,
            Cause::DataDomain(_) | Cause::Resource(_) | Cause::Environment(_) => {
                derive_tier(kernel, identity.id, cause).await?
            }
        };
        changed += u32::from(follows);
    }
    let event = kernel
        .event(now, cause.derived())
        .subject(cause.id())
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

/// Whether a charter names what was changed, or a resource that holds the data domain.
async fn touches(
    kernel: &Kernel,
    charter: &CharterDraft,
    cause: Cause<'_>,
    seen: &mut HashMap<ResourceId, bool>,
) -> Result<bool, OpError> {
    let domain = match cause {
        Cause::DataDomain(name) => name,
        Cause::Resource(id) => return Ok(charter.scope.iter().any(|entitlement| entitlement.resource == id)),
        Cause::Environment(name) => return Ok(charter.environment.as_deref() == Some(name)),
        Cause::Vendor(id) => return Ok(charter.vendor.is_some_and(|vendor| vendor.to_string() == id)),
    };
    if charter.data_domains.iter().any(|name| name == domain) {
        return Ok(true);
    }
    for id in charter.scope.iter().filter_map(|entitlement| entitlement.resource.parse::<ResourceId>().ok()) {
        let holds = match seen.get(&id) {
            Some(holds) => *holds,
            None => {
                let resource = kernel.one::<Resource>(id).await?;
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
async fn derive_tier(kernel: &Kernel, id: IdentityId, cause: Cause<'_>) -> Result<bool, OpError> {
    for _ in 0..ATTEMPTS {
        let now = kernel.now();
        let Some(stored) = kernel.one::<Identity>(id).await?.filter(|stored| !over(stored.state)) else {
            return Ok(false);
        };
        let mut identity = (*stored.value).clone();
        identity.derive_tier(RiskTier::of(
            stored.kind,
            &stored.charter,
            references::risk_facts(kernel, &stored.charter).await?,
        ));
        if identity.tier == stored.tier {
            return Ok(false);
        }
        let changeset = tier_changed(kernel, &stored, identity, cause, now).await?;
        if kernel.settle(changeset).await?.is_some() {
            return Ok(true);
        }
    }
    Err(OpError::Unavailable(format!("{id} changes too fast for its tier to be derived")))
}

async fn tier_changed(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    identity: Identity,
    cause: Cause<'_>,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let tier = identity.tier;
    let ceilings = identity.ceilings();
    let beyond = beyond(kernel, &identity, now).await?;
    let event = kernel
        .event(now, EventKind::IdentityTierChanged)
        .subject(identity.id)
        .fact("workflow", "non_human.tier")
        .fact(cause.kind(), cause.id())
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
        dormancy::watch(&mut changeset, &identity, now);
        if !beyond.is_empty() && !has_open_review(kernel, identity.id).await? {
            let about = ReviewSubject::Identity(identity.id);
            review_opening::open_review(
                kernel,
                &mut changeset,
                about,
                ReviewTrigger::Cadence,
                reviewer_of(&identity),
                now,
            );
        }
    }
    changeset.replace(stored, &identity);
    Ok(changeset)
}

/// What an identity holds for longer than its ceiling allows: its own end, and its grants.
async fn beyond(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Vec<String>, OpError> {
    let latest = now.plus(identity.ceilings().max_duration);
    let mut beyond = Vec::new();
    if identity.charter.expires_at.is_some_and(|end| end > latest) {
        beyond.push(identity.id.to_string());
    }
    for id in &identity.grants {
        let grant = kernel.one::<Grant>(id).await?;
        if grant.is_some_and(|grant| grant.state == GrantState::Live && grant.ends_at > latest) {
            beyond.push(id.to_string());
        }
    }
    Ok(beyond)
}

async fn has_open_review(kernel: &Kernel, identity: IdentityId) -> Result<bool, OpError> {
    let open = Query::of([
        Review::IDENTITY.of(identity),
        Review::STATE.of(ReviewState::Open),
        Review::TRIGGER.of(ReviewTrigger::Cadence),
    ]);
    Ok(kernel.find(open.limit(1)).await?.count() > 0)
}

/// Whether an identity is on its way out, or gone: its tier says nothing any more.
const fn over(state: IdentityState) -> bool {
    matches!(state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed)
}

/// Has an identity keep to its vendor's contract as it is now; true if it didn't.
pub(crate) async fn keep_to_contract(kernel: &Kernel, id: IdentityId) -> Result<bool, OpError> {
    for _ in 0..ATTEMPTS {
        let now = kernel.now();
        // What isn't active yet is held against the contract when it is to be.
        let works =
            |identity: &Stored<Identity>| matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
        let Some(stored) = kernel.one::<Identity>(id).await?.filter(works) else {
            return Ok(false);
        };
        let Some(vendor) = stored.charter.vendor else {
            return Ok(false);
        };
        let vendor = kernel.must::<Vendor>("vendor", vendor).await?;
        let charter = third_party::within_contract(&stored.charter, &vendor);
        if charter == stored.charter {
            return Ok(false);
        }
        let changeset = match narrowed_to(kernel, &stored, charter, &vendor, now).await {
            Err(OpError::Invalid(_)) => match suspended_outside(kernel, &stored, &vendor, now).await? {
                Some(changeset) => changeset,
                None => return Ok(false),
            },
            narrowed => narrowed?,
        };
        if kernel.settle(changeset).await?.is_some() {
            return Ok(true);
        }
    }
    Err(OpError::Unavailable(format!("{id} changes too fast for its vendor's contract to be applied")))
}

pub(crate) async fn narrowed_to(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    charter: CharterDraft,
    vendor: &Stored<Vendor>,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let event = kernel
        .event(now, EventKind::IdentityNarrowed)
        .subject(stored.id)
        .fact("workflow", "non_human.charter")
        .fact("vendor", vendor.id)
        .fact("ends_at", charter.expires_at)
        .fact("data_domains", &charter.data_domains);
    let owner: Vec<_> = stored.charter.owner.into_iter().collect();
    let text = format!(
        "The contract with the vendor {} allows less than the charter of {} did: the charter was narrowed to it.\nLook: tenure identity show {}",
        vendor.name, stored.id, stored.id
    );
    let mut changeset = Changeset::new(
        system(),
        now,
        notify(event, &owner, &[], "A charter was narrowed to a vendor's contract", &text),
    );
    changeset.expect(vendor);
    charter::rechartered(kernel, &mut changeset, stored, charter, None, now).await?;
    Ok(changeset)
}

/// What can't be within the contract, such as an identity none of whose data domains is left, stops.
pub(crate) async fn suspended_outside(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    vendor: &Stored<Vendor>,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let event = kernel.event(now, EventKind::IdentityOutsideContract).subject(stored.id).fact("vendor", vendor.id);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(vendor);
    let ended = Ended::contract(vendor.id);
    let by = dormancy::need_ended(kernel, stored, &ended, &[]).await?;
    dormancy::suspend_by_rule(kernel, &mut changeset, stored, by, now).await?;
    Ok((!changeset.puts.is_empty()).then_some(changeset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_are_named_by_what_was_changed_and_go_on_behind_an_identity() {
        for cause in [
            Cause::DataDomain("orders"),
            Cause::Resource("res_x"),
            Cause::Environment("production"),
            Cause::Vendor("ven_x"),
        ] {
            for (name, _) in cause.passes(Timestamp::default()) {
                assert_eq!(walk(&name), Some((name.as_str(), cause, None)));
                let next = format!("{name} idn_x");
                assert_eq!(walk(&next), Some((name.as_str(), cause, Some("idn_x"))));
            }
        }
        assert_eq!(walk("need/x"), None);
    }
}
