//! Lineage: what an identity comes from, what comes from it, and what of it comes back by itself; as a picture, and as a
//! table that says the same.

use std::collections::BTreeSet;

use tenure_api::views::{Access, CredentialView, IdentityView, Names};

use crate::graph::{Graph, Layers, Node};
use crate::list::{Cell, Table};
use crate::records::Named;
use crate::text;
use crate::when;

/// Links of one side that are told one by one; the rest is folded into one.
const MOST: usize = 24;

/// What has to do with an identity, and how.
struct Link {
    how: &'static str,
    what: Cell,
    node: Node,
}

impl Link {
    fn record(how: &'static str, named: Named) -> Self {
        let node = Node { label: named.name.clone(), note: how, to: named.to.clone(), is_subject: false };
        Self { how, what: Cell::Named(named), node }
    }

    fn said(how: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { how, node: Node { label: what.clone(), note: how, to: None, is_subject: false }, what: Cell::Text(what) }
    }
}

/// The lineage of an identity.
pub(crate) struct Lineage {
    /// The picture.
    pub picture: Graph,
    /// The same in words.
    pub table: Table,
}

impl Lineage {
    /// The lineage of an identity that the reader may see the whole of; of its credentials those that are shown, and
    /// whether there are more.
    pub(crate) fn of(
        view: &IdentityView,
        access: &[Access],
        credentials: &[CredentialView],
        more: bool,
        names: &Names,
    ) -> Self {
        let (before, before_count) = folded(comes_from(view, credentials, names));
        let (after, after_count) = folded(comes_of(view, access, credentials, more, names));
        let own = Node { label: view.record.name.clone(), note: "", to: None, is_subject: true };
        let edges = vec![(0..before.len()).map(|n| (n, 0)).collect(), (0..after.len()).map(|n| (0, n)).collect()];
        let (mut rows, mut nodes) = (Vec::new(), vec![Vec::new(), vec![own], Vec::new()]);
        for (side, links) in [(0, before), (2, after)] {
            for link in links {
                rows.push(vec![Cell::Text(text::sentence(link.how)), link.what]);
                if let Some(nodes) = nodes.get_mut(side) {
                    nodes.push(link.node);
                }
            }
        }
        let heads = vec![text::COMES_FROM, text::THE_IDENTITY, text::COMES_OF_IT];
        let said = text::lineage(&view.record.name, before_count, after_count);
        Self {
            picture: Graph::drawn(Layers { heads, nodes, edges }, said),
            table: Table::new(text::LINEAGE, &["How", "What"], rows),
        }
    }
}

/// The links of a side, the last of which stands for those that are too many; and how many there are.
fn folded(mut links: Vec<Link>) -> (Vec<Link>, usize) {
    let count = links.len();
    if count > MOST {
        links.truncate(MOST - 1);
        links.push(Link::said(text::AND_MORE, text::others(count + 1 - MOST)));
    }
    (links, count)
}

/// Who made it, whose word it rests on, and for whom it acts.
fn comes_from(view: &IdentityView, credentials: &[CredentialView], names: &Names) -> Vec<Link> {
    let identity = &view.record;
    let mut links = vec![Link::record(text::LINK_REGISTERED, Named::of(identity.registered_by, names))];
    if let Some(template) = &identity.template {
        links.push(Link::said(text::LINK_TEMPLATE, template));
    }
    if let Some(activation) = &identity.activation {
        links.extend(activation.by.iter().map(|by| Link::record(text::LINK_APPROVED, Named::of(by, names))));
        if activation.by.is_empty() {
            links.push(Link::said(text::LINK_APPROVED, text::A_RULE));
        }
    }
    links.extend(identity.charter.need.map(|need| Link::record(text::LINK_NEED, Named::of(need, names))));
    let chains = credentials.iter().filter_map(|view| view.record.delegation.as_ref());
    let parents: BTreeSet<_> = chains
        .flat_map(|delegation| delegation.chain.iter().copied().take_while(|link| *link != identity.id))
        .collect();
    links.extend(parents.into_iter().map(|parent| Link::record(text::LINK_ACTS_FOR, Named::of(parent, names))));
    links
}

/// Who may act for it, what it holds, and by what it would be back.
fn comes_of(
    view: &IdentityView,
    access: &[Access],
    credentials: &[CredentialView],
    more: bool,
    names: &Names,
) -> Vec<Link> {
    let charter = &view.record.charter;
    let delegates = charter.delegates.iter();
    let mut links: Vec<Link> =
        delegates.map(|delegate| Link::record(text::LINK_DELEGATES, Named::of(delegate.actor, names))).collect();
    let grants = access.iter().filter(|access| access.live).count();
    if grants > 0 {
        links.push(Link::said(text::LINK_HOLDS, text::live_grants(grants)));
    }
    let live = credentials.iter().filter(|view| view.state == "live").count();
    if live > 0 {
        links.push(Link::said(text::LINK_HOLDS, text::live_credentials(live, more)));
    }
    if !view.record.bindings.is_empty() {
        let workload = charter.workload_binding.as_ref().map(|binding| binding.workload()).unwrap_or_default();
        links.push(Link::said(text::LINK_BACK, text::proves_itself(workload)));
    }
    if let Some(renewal) = &charter.renewal {
        links.push(Link::said(text::LINK_BACK, text::renews_itself(&when::span(renewal.extend_by))));
    }
    links
}
