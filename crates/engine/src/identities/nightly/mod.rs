//! The nightly look over everything: what changed by time, or by something that no look of its own follows.
//!
//! Identities are read in pages, each with only what can change its answer: owners once a page, exceptions of those that
//! have some, overdue reviews and breached vendors once for all. What differs from the findings that are open is looked at
//! anew by the worker that writes findings (`dormancy.rs`); where nothing differs nothing is written. Between two pages it
//! rests, so that whoever issues doesn't wait behind it.

pub mod paths;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::json;
use tenure_core::base::id::{IdentityId, PersonId, ReviewId, VendorId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Finding, rules};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::third_party::{Breach, Vendor};
use tenure_core::people::person::Person;
use tenure_core::request::review::{Review, ReviewState};
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::open_trust;

use crate::identities::nightly::paths::{Graph, Node};
use crate::identities::nightly::sweep::{Seen, Sweep};
use crate::identities::posture::{self, Around, Broken};
use crate::identities::{debt, looks};
use crate::kernel::error::OpError;
use crate::kernel::finding::STANDING;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, exceptional};

/// Records of one page: they are read and judged in one go, while others of the thread wait.
const PAGE: u16 = 200;
/// Between two pages.
const REST: Duration = Duration::from_millis(1);
/// Owners that are remembered from page to page.
const MAX_OWNERS: usize = 50_000;
/// Open findings that are held against what is so; identities beyond are looked at by their own deadlines.
const MAX_OPEN: usize = 200_000;
/// How long what was found may be nobody's.
const CLAIMED_WITHIN: Span = Span::from_days(7);
/// How long what an ended identity held may stand: its end is tried meanwhile.
const ENDED_WITHIN: Span = Span::from_days(1);

/// What a look over everything came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NightlyRun {
    /// Identities that were read.
    pub identities: u64,
    /// Those that are looked at anew.
    pub looks: u64,
    /// Accounts that were read.
    pub accounts: u64,
    /// Findings that were opened or resolved besides.
    pub settled: u64,
}

/// Looks over everything once.
///
/// # Errors
/// The store can't be read or written; what was found until then stands.
pub async fn look_over_everything(kernel: &Kernel) -> Result<NightlyRun, OpError> {
    let mut run = NightlyRun::default();
    let graph = identities(kernel, &mut run).await?;
    accounts(kernel, &mut run).await?;
    unowned(kernel, &mut run).await?;
    toxic_paths(kernel, graph, &mut run).await?;
    debt::note_debt(kernel).await?;
    Ok(run)
}

/// What is read once for all identities.
struct Common {
    overdue: BTreeMap<IdentityId, Vec<ReviewId>>,
    breaches: BTreeMap<VendorId, Breach>,
    /// Findings of posture that are open, by identity.
    open: BTreeMap<IdentityId, Vec<(String, String)>>,
    /// Whether that is all of them.
    is_whole: bool,
    owners: HashMap<PersonId, bool>,
}

impl Common {
    async fn read(kernel: &Kernel, now: Timestamp) -> Result<Self, OpError> {
        let mut common = Self {
            overdue: BTreeMap::new(),
            breaches: BTreeMap::new(),
            open: BTreeMap::new(),
            is_whole: true,
            owners: HashMap::new(),
        };
        let mut reviews = kernel.pages(Query::of([Review::STATE.of(ReviewState::Open)]).limit(PAGE));
        while let Some(found) = reviews.next().await? {
            for review in found.readable().iter().filter(|review| review.due_at <= now) {
                if let tenure_core::request::review::ReviewSubject::Identity(id) = review.subject {
                    common.overdue.entry(id).or_default().push(review.id);
                }
            }
        }
        for vendor in kernel.pages(Query::of([Vendor::BREACHED.of("true")])).readable().await? {
            common.breaches.extend(vendor.breach.clone().map(|breach| (vendor.id, breach)));
        }
        let mut held = 0;
        for rule in posture::RULES {
            let open = Query::of([Finding::RULE.of(rule.id)]).any(STANDING.map(|state| Finding::STATE.of(state)));
            let mut pages = kernel.pages(open.limit(PAGE));
            while let Some(found) = pages.next().await? {
                for finding in found.readable() {
                    let Ok(id) = finding.subject.parse::<IdentityId>() else { continue };
                    held += 1;
                    if held > MAX_OPEN {
                        common.is_whole = false;
                        return Ok(common);
                    }
                    common.open.entry(id).or_default().push((finding.rule.clone(), finding.detail.clone()));
                }
            }
        }
        Ok(common)
    }

    async fn is_active(&mut self, kernel: &Kernel, owner: PersonId) -> Result<bool, OpError> {
        if let Some(known) = self.owners.get(&owner) {
            return Ok(*known);
        }
        let is_active = kernel.one::<Person>(owner).await?.is_some_and(|person| person.is_active());
        if self.owners.len() >= MAX_OWNERS {
            self.owners.clear();
        }
        self.owners.insert(owner, is_active);
        Ok(is_active)
    }

    async fn around(&mut self, kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Around, OpError> {
        Ok(Around {
            owner_active: match identity.charter.owner {
                Some(owner) => self.is_active(kernel, owner).await?,
                None => false,
            },
            waived: match identity.exceptions.is_empty() {
                true => Vec::new(),
                false => exceptional::waived(kernel, identity, now).await?,
            },
            overdue: self.overdue.get(&identity.id).cloned().unwrap_or_default(),
            breach: identity.charter.vendor.and_then(|vendor| self.breaches.get(&vendor).cloned()),
        })
    }

    /// Whether the findings that are open say something else than what is so.
    fn differs(&self, id: IdentityId, broken: &[Broken]) -> bool {
        let open = self.open.get(&id).map(Vec::as_slice).unwrap_or_default();
        let says =
            |broken: &Broken| open.iter().any(|(rule, detail)| rule == broken.rule.id && *detail == broken.detail);
        let is_so = |(rule, detail): &(String, String)| {
            broken.iter().any(|broken| broken.rule.id == rule && broken.detail == *detail)
        };
        if self.is_whole { !broken.iter().all(says) || !open.iter().all(is_so) } else { !broken.is_empty() }
    }
}

/// Identities that work or are suspended; returns who may act for whom.
async fn identities(kernel: &Kernel, run: &mut NightlyRun) -> Result<Graph, OpError> {
    let now = kernel.now();
    let mut common = Common::read(kernel, now).await?;
    let mut graph = Graph::default();
    // One state after the other: of both at once each page would be read twice.
    for state in [IdentityState::Active, IdentityState::Suspended] {
        let mut pages = kernel.pages(Query::of([Identity::STATE.of(state)]).limit(PAGE));
        while let Some(found) = pages.next().await? {
            let mut differing = Vec::new();
            for identity in found.readable() {
                run.identities += 1;
                let around = common.around(kernel, &identity, now).await?;
                if common.differs(identity.id, &posture::posture(&identity, &around, now)) {
                    differing.push(identity.id);
                }
                if identity.state == IdentityState::Active && !graph.add(&identity) {
                    tracing::warn!(identity = %identity.id, "more hands on authority than is searched for paths");
                }
            }
            run.looks += differing.len() as u64;
            looks::look_at(kernel, &differing, "the nightly look").await?;
            tokio::time::sleep(REST).await;
        }
    }
    Ok(graph)
}

/// Accounts whose trust is open, and those that outlive their identity.
async fn accounts(kernel: &Kernel, run: &mut NightlyRun) -> Result<(), OpError> {
    let now = kernel.now();
    let (mut trusts, mut outliving) = (Sweep::of(&rules::OPEN_TRUST), Sweep::of(&rules::SECRET_OUTLIVES));
    let states = [AccountState::Standing, AccountState::Held].map(|state| Account::STATE.of(state));
    let mut pages = kernel.pages(Query::every().any(states).limit(PAGE));
    while let Some(found) = pages.next().await? {
        for account in found.readable() {
            run.accounts += 1;
            let open = account.seen.grants.iter().find_map(|grant| Some((grant, open_trust::left_open(grant)?)));
            if let Some((grant, left_open)) = open {
                let evidence = json!({"account": account.id, "target": account.target, "name": account.seen.name,
                    "trust": grant, "left_open": left_open});
                trusts.found(Seen::new(account.identity, account.id, evidence));
            }
            if account.state != AccountState::Standing || !account.seen.enabled {
                continue;
            }
            let identity = kernel.one::<Identity>(account.identity).await?;
            let ended = identity.as_ref().and_then(|identity| identity.retirement.as_ref());
            if let Some(ended) = ended.filter(|ended| now.since(ended.started_at) > ENDED_WITHIN) {
                let evidence = json!({"account": account.id, "target": account.target, "name": account.seen.name,
                    "retirement": ended, "intent": account.intent});
                outliving.found(Seen::new(account.identity, account.id, evidence));
            }
        }
        tokio::time::sleep(REST).await;
    }
    run.settled += trusts.settle(kernel).await?;
    run.settled += outliving.settle(kernel).await?;
    Ok(())
}

/// What was found and is nobody's for too long.
async fn unowned(kernel: &Kernel, run: &mut NightlyRun) -> Result<(), OpError> {
    let now = kernel.now();
    let mut unowned = Sweep::of(&rules::UNOWNED_DISCOVERED);
    let mut pages = kernel.pages(Query::of([Identity::STATE.of(IdentityState::Discovered)]).limit(PAGE));
    while let Some(found) = pages.next().await? {
        for identity in found.readable() {
            if identity.charter.owner.is_none() && now.since(identity.created_at) > CLAIMED_WITHIN {
                let evidence = json!({"found_at": identity.created_at, "name": identity.name});
                unowned.found(Seen::new(identity.id, "", evidence));
            }
        }
        tokio::time::sleep(REST).await;
    }
    run.settled += unowned.settle(kernel).await?;
    Ok(())
}

/// Paths of delegation that no link of them shows.
async fn toxic_paths(kernel: &Kernel, mut graph: Graph, run: &mut NightlyRun) -> Result<(), OpError> {
    let unknown: BTreeSet<IdentityId> = graph.unknown();
    for id in unknown {
        let actor = kernel.one::<Identity>(id).await?;
        if let Some(actor) = actor.filter(|actor| actor.state == IdentityState::Active) {
            graph.know(id, Node::of(&actor));
        }
    }
    let (found, more) = graph.toxic();
    let mut toxic = Sweep::of(&rules::TOXIC_PATH);
    toxic.is_whole = !more;
    for path in &found {
        let (Some(first), Some(last)) = (path.path.first(), path.path.last()) else { continue };
        let evidence = json!({"path": path.path, "from_tier": path.from, "to_tier": path.to,
            "resources": path.resources, "approved_by": path.approver});
        toxic.found(Seen::new(*first, last, evidence));
    }
    run.settled += toxic.settle(kernel).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
