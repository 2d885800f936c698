//! Paths of delegation, found by a bounded search of the graph of who may act for whom.
//!
//! Two things are looked for. One identity of a lower tier that may, over somebody between them, act with the authority of
//! one of the highest tier: each link was approved by itself, and nobody saw the path. And somebody who approved an
//! identity that what they own may act for: who may approve and who may use are one.
//!
//! A link counts only as far as it hands authority on: by how many times it may be handed on further, and for the
//! resources that all links name. The search goes from what is acted for to who acts, at most four links (S-14), and looks
//! at no more than so many ends for each.

use std::collections::{BTreeMap, BTreeSet};

use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::identity::delegation::Delegate;
use tenure_core::identity::{Identity, RiskTier};
use tenure_core::inventory::entitlement::WILDCARD;

/// Links of a path, at most.
pub const MAX_LINKS: usize = 4;
/// Links of the whole graph that are held in memory.
pub const MAX_EDGES: usize = 100_000;
/// Ends that are looked at for one identity that is acted for.
const MAX_VISITS: usize = 2_000;
/// Paths that are found at once.
pub const MAX_PATHS: usize = 1_000;

/// What is known of an identity in the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its tier.
    pub tier: RiskTier,
    /// Its owner.
    pub owner: Option<PersonId>,
    /// Who approved it.
    pub approvers: Vec<PersonId>,
}

impl Node {
    /// Of an identity.
    pub fn of(identity: &Identity) -> Self {
        Self {
            tier: identity.tier,
            owner: identity.charter.owner,
            approvers: identity.activation.as_ref().map(|activation| activation.by.clone()).unwrap_or_default(),
        }
    }
}

/// Who may act for whom, of identities that work.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<IdentityId, Node>,
    delegates: BTreeMap<IdentityId, Vec<Delegate>>,
    edges: usize,
}

/// A path that no link of it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToxicPath {
    /// Who acts, who is between, and who is acted for.
    pub path: Vec<IdentityId>,
    /// The tier of who acts.
    pub from: RiskTier,
    /// The tier of who is acted for.
    pub to: RiskTier,
    /// The resources that all of its links name.
    pub resources: Vec<String>,
    /// Who approved what they can use by it, if that is what is wrong.
    pub approver: Option<PersonId>,
}

impl Graph {
    /// Adds what an identity hands on; false if there is no more room.
    pub fn add(&mut self, identity: &Identity) -> bool {
        let delegates = &identity.charter.delegates;
        if delegates.is_empty() {
            return true;
        }
        if self.edges + delegates.len() > MAX_EDGES {
            return false;
        }
        self.edges += delegates.len();
        self.nodes.insert(identity.id, Node::of(identity));
        self.delegates.insert(identity.id, delegates.clone());
        true
    }

    /// Who acts for others, and isn't known yet.
    pub fn unknown(&self) -> BTreeSet<IdentityId> {
        let actors = self.delegates.values().flatten().map(|delegate| delegate.actor);
        actors.filter(|actor| !self.nodes.contains_key(actor)).collect()
    }

    /// Says what is known of who acts.
    pub fn know(&mut self, id: IdentityId, node: Node) {
        self.nodes.insert(id, node);
    }

    /// The paths that are found, the same for the same graph; and whether there were more.
    pub fn toxic(&self) -> (Vec<ToxicPath>, bool) {
        let mut found = Vec::new();
        for (id, node) in &self.nodes {
            if !self.delegates.contains_key(id) {
                continue;
            }
            let mut search = Search { graph: self, last: node, visits: 0, path: vec![*id], found: &mut found };
            search.go(*id, u8::MAX, None);
            if found.len() > MAX_PATHS {
                found.truncate(MAX_PATHS);
                return (found, true);
            }
        }
        (found, false)
    }
}

/// The search from one identity that is acted for.
struct Search<'a> {
    graph: &'a Graph,
    last: &'a Node,
    visits: usize,
    /// From who is acted for to where the search stands.
    path: Vec<IdentityId>,
    found: &'a mut Vec<ToxicPath>,
}

impl Search<'_> {
    fn go(&mut self, at: IdentityId, onward: u8, reach: Option<&BTreeSet<String>>) {
        if self.path.len() > MAX_LINKS {
            return;
        }
        for delegate in self.graph.delegates.get(&at).into_iter().flatten() {
            self.visits += 1;
            if self.visits > MAX_VISITS || self.found.len() > MAX_PATHS {
                return;
            }
            let (false, Some(node)) = (self.path.contains(&delegate.actor), self.graph.nodes.get(&delegate.actor))
            else {
                continue;
            };
            let left = reached(reach, delegate);
            if left.is_empty() {
                continue;
            }
            self.path.push(delegate.actor);
            self.judge(node, &left);
            // How often it may be handed on is bounded by each link before.
            if let Some(onward) = onward.min(delegate.onward.saturating_add(1)).checked_sub(1).filter(|left| *left > 0)
            {
                self.go(delegate.actor, onward, Some(&left));
            }
            self.path.pop();
        }
    }

    fn judge(&mut self, first: &Node, reach: &BTreeSet<String>) {
        let climbs = self.path.len() > 2 && first.tier < self.last.tier && self.last.tier == RiskTier::High;
        let approver = first.owner.filter(|owner| self.last.approvers.contains(owner));
        if climbs || approver.is_some() {
            self.found.push(ToxicPath {
                path: self.path.iter().rev().copied().collect(),
                from: first.tier,
                to: self.last.tier,
                resources: reach.iter().cloned().collect(),
                approver,
            });
        }
    }
}

/// The resources that are left of what was handed on so far.
fn reached(reach: Option<&BTreeSet<String>>, delegate: &Delegate) -> BTreeSet<String> {
    let own: BTreeSet<String> = delegate.scope.iter().map(|entitlement| entitlement.resource.clone()).collect();
    match reach {
        None => own,
        Some(reach) if own.contains(WILDCARD) => reach.clone(),
        Some(reach) if reach.contains(WILDCARD) => own,
        Some(reach) => reach.intersection(&own).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::inventory::entitlement::Entitlement;

    use super::*;

    fn id(n: u128) -> IdentityId {
        IdentityId::from_u128(n)
    }

    fn person(n: u128) -> PersonId {
        PersonId::from_u128(n)
    }

    fn node(tier: RiskTier, owner: u128, approver: u128) -> Node {
        Node { tier, owner: Some(person(owner)), approvers: vec![person(approver)] }
    }

    fn delegate(actor: u128, resource: &str, onward: u8) -> Delegate {
        let scope = vec![Entitlement { actions: vec!["read".into()], resource: resource.into() }];
        Delegate { actor: id(actor), scope, onward }
    }

    /// 1 acts for 2, which acts for 3.
    fn chain(onward: u8, first: &str, last: &str) -> Graph {
        let mut graph = Graph::default();
        graph.know(id(1), node(RiskTier::Low, 11, 90));
        graph.know(id(2), node(RiskTier::High, 12, 90));
        graph.know(id(3), node(RiskTier::High, 13, 90));
        graph.delegates.insert(id(3), vec![delegate(2, last, onward)]);
        graph.delegates.insert(id(2), vec![delegate(1, first, 0)]);
        graph
    }

    #[test]
    fn a_path_from_a_low_tier_to_a_high_one_is_found_over_who_is_between() {
        let (found, more) = chain(1, "orders", "orders").toxic();
        assert!(!more);
        assert_eq!(found.len(), 1, "a link that was approved by itself is none: {found:?}");
        assert_eq!((found[0].path.clone(), found[0].approver), (vec![id(1), id(2), id(3)], None));
        assert_eq!(found[0].resources, ["orders"]);
        assert_eq!(chain(1, "*", "orders").toxic().0[0].resources, ["orders"]);
    }

    #[test]
    fn what_may_not_be_handed_on_and_what_links_do_not_share_is_no_path() {
        assert!(chain(0, "orders", "orders").toxic().0.is_empty());
        assert!(chain(1, "invoices", "orders").toxic().0.is_empty());
    }

    #[test]
    fn who_approved_what_their_own_identity_may_act_for_is_found_at_any_length() {
        let mut graph = chain(0, "orders", "orders");
        graph.know(id(3), node(RiskTier::Low, 13, 12));
        let (found, _) = graph.toxic();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.clone(), found[0].approver), (vec![id(2), id(3)], Some(person(12))));
    }

    #[test]
    fn circles_and_crowds_end() {
        let mut graph = Graph::default();
        for n in 1..=40 {
            graph.know(id(n), node(if n % 2 == 0 { RiskTier::Low } else { RiskTier::High }, n, 90));
            let all = (1..=40).filter(|other| *other != n).map(|other| delegate(other, "*", 3)).collect();
            graph.delegates.insert(id(n), all);
        }
        let (found, more) = graph.toxic();
        assert!(more && found.len() == MAX_PATHS);
        assert!(found.iter().all(|path| path.path.len() <= MAX_LINKS + 1));
        assert_eq!(graph.toxic().0, found, "the same graph has the same paths");
    }
}
