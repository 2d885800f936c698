//! Graphs: who answers for identities and what these touch, or what one comes from, as a picture beside the table that
//! says the same.
//!
//! They stand in columns, since that is how authority runs: owners, identities, resources. Within a column nodes stand
//! near what they are tied to (two passes of barycentres, Sugiyama's second step), so that lines cross little. Where
//! there would be more lines than anybody can follow, identities are folded by their kind.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use tenure_api::views::{CredentialView, IdentityView, Names};

use crate::address::Address;
use crate::markup::Markup;
use crate::records::Named;
use crate::text;

/// Identities that are drawn one by one.
const SINGLE: usize = 24;
/// Other nodes of a column that are drawn; the rest is folded into one.
const MOST: usize = 40;
/// Letters of a label.
const LETTERS: usize = 30;
/// How high a row is, and one whose nodes have notes.
const ROW: usize = 30;
const TALL_ROW: usize = 48;
const WIDTH: usize = 250;
const GAP: usize = 110;
const TOP: usize = 34;
/// What is left beside the last column, so that its line is whole.
const EDGE: usize = 2;
/// How often the columns are gone through for places.
const PASSES: usize = 2;

/// A node of a picture, before it has its place.
pub(crate) struct Node {
    /// What it is called.
    pub label: String,
    /// What it has to do with the others; nothing if its column says that.
    pub note: &'static str,
    /// Its page.
    pub to: Option<Address>,
    /// Whether it is what the picture is about.
    pub is_subject: bool,
}

/// A picture in columns, before it is drawn.
pub(crate) struct Layers {
    /// What each column is called.
    pub heads: Vec<&'static str>,
    /// The nodes of each column.
    pub nodes: Vec<Vec<Node>>,
    /// From a node of each column but the last to one of the next.
    pub edges: Vec<Vec<(usize, usize)>>,
}

/// A node where it stands.
struct Placed {
    x: usize,
    y: usize,
    height: usize,
    text_x: usize,
    text_y: usize,
    note: &'static str,
    note_y: usize,
    label: String,
    whole: String,
    to: Option<Address>,
    is_subject: bool,
}

/// The picture of a graph.
#[derive(Template)]
#[template(path = "graph.html")]
pub struct Graph {
    width: usize,
    height: usize,
    said: String,
    heads: Vec<(usize, &'static str)>,
    lines: Vec<String>,
    nodes: Vec<Placed>,
}

impl Markup for Graph {}

impl Graph {
    /// The picture of some identities, each with its owner and what it touches; none of nothing.
    pub fn of(identities: &[IdentityView], names: &Names) -> Option<Self> {
        if identities.is_empty() {
            return None;
        }
        let (layers, owners, resources) = blast(identities, names);
        Some(Self::drawn(layers, text::pictured(owners, identities.len(), resources)))
    }

    /// The picture of chains, each by the credential of who acts last: for whom, who, and on what; none of nothing.
    pub fn of_chains(credentials: &[&CredentialView], names: &Names) -> Option<Self> {
        let said = text::pictured_chains(credentials.len());
        (!credentials.is_empty()).then(|| Self::drawn(chained(credentials, names), said))
    }
}

/// The nodes of a column in the making, each once.
#[derive(Default)]
struct Column {
    known: BTreeMap<String, usize>,
    nodes: Vec<Node>,
}

impl Column {
    fn node(&mut self, key: &str, node: impl FnOnce() -> Node) -> usize {
        if let Some(at) = self.known.get(key) {
            return *at;
        }
        if self.nodes.len() >= MOST {
            let rest = self.known.len();
            let at = *self.known.entry(String::new()).or_insert(rest);
            if at == rest {
                self.nodes.push(Node { label: text::THE_OTHERS.to_owned(), note: "", to: None, is_subject: false });
            }
            return at;
        }
        let at = self.nodes.len();
        self.known.insert(key.to_owned(), at);
        self.nodes.push(node());
        at
    }
}

/// Owners, identities and resources, with how many owners and resources there are before any is folded.
fn blast(identities: &[IdentityView], names: &Names) -> (Layers, usize, usize) {
    let is_folded = identities.len() > SINGLE;
    let named = |id: &str| {
        let Named { name, to, .. } = Named::of(id, names);
        Node { label: name, note: "", to, is_subject: false }
    };
    let (mut owners, mut middle, mut resources) = (Column::default(), Column::default(), Column::default());
    let (mut answers, mut touches) = (Vec::new(), Vec::new());
    let (mut all_owners, mut all_resources) = (BTreeSet::new(), BTreeSet::new());
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    for view in identities {
        *kinds.entry(view.record.kind.as_str()).or_default() += 1;
    }
    for view in identities {
        let identity = &view.record;
        let kind = identity.kind.as_str();
        let id = identity.id.to_string();
        let at = match is_folded {
            true => middle.node(kind, || Node {
                label: text::folded(kinds.get(kind).copied().unwrap_or_default(), kind),
                note: "",
                to: None,
                is_subject: false,
            }),
            false => middle.node(&id, || Node { label: identity.name.clone(), ..named(&id) }),
        };
        if let Some(owner) = identity.charter.owner {
            let owner = owner.to_string();
            let from = owners.node(&owner, || named(&owner));
            answers.push((from, at));
            all_owners.insert(owner);
        }
        for entitlement in &identity.charter.scope {
            let to = resources.node(&entitlement.resource, || named(&entitlement.resource));
            touches.push((at, to));
            all_resources.insert(&entitlement.resource);
        }
    }
    for edges in [&mut answers, &mut touches] {
        edges.sort_unstable();
        edges.dedup();
    }
    let layers = Layers {
        heads: vec![text::OWNERS, text::IDENTITIES, text::RESOURCES],
        nodes: vec![owners.nodes, middle.nodes, resources.nodes],
        edges: vec![answers, touches],
    };
    (layers, all_owners.len(), all_resources.len())
}

/// Who acts for whom, and on what.
fn chained(credentials: &[&CredentialView], names: &Names) -> Layers {
    let (mut first, mut holders, mut resources) = (Column::default(), Column::default(), Column::default());
    let (mut acts_for, mut touches) = (Vec::new(), Vec::new());
    let node = |column: &mut Column, id: String| {
        column.node(&id, || {
            let Named { name, to, .. } = Named::of(&id, names);
            Node { label: name, note: "", to, is_subject: false }
        })
    };
    for credential in credentials {
        let record = &credential.record;
        let holder = node(&mut holders, record.identity.to_string());
        let links = record.delegation.iter().flat_map(|delegation| &delegation.chain);
        for link in links.filter(|link| **link != record.identity) {
            acts_for.push((node(&mut first, link.to_string()), holder));
        }
        touches.push((holder, node(&mut resources, record.resource.to_string())));
    }
    for edges in [&mut acts_for, &mut touches] {
        edges.sort_unstable();
        edges.dedup();
    }
    Layers {
        heads: vec![text::ACTS_FOR, text::ACTS, text::RESOURCES],
        nodes: vec![first.nodes, holders.nodes, resources.nodes],
        edges: vec![acts_for, touches],
    }
}

/// Where each node of a column stands, the first at the top: near the middle of what it is tied to in the other column,
/// whose places are known.
fn near(count: usize, ties: impl IntoIterator<Item = (usize, usize)>, places: &[usize]) -> Vec<usize> {
    let mut sums = vec![(0usize, 0usize); count];
    for (here, there) in ties {
        if let (Some(sum), Some(place)) = (sums.get_mut(here), places.get(there)) {
            *sum = (sum.0 + place * 1_000, sum.1 + 1);
        }
    }
    let mut order: Vec<usize> = (0..count).collect();
    let weight =
        |at: &usize| sums.get(*at).map_or(usize::MAX, |(sum, ties)| sum.checked_div(*ties).unwrap_or(usize::MAX));
    order.sort_by_key(weight);
    let mut place = vec![0; count];
    for (row, at) in order.into_iter().enumerate() {
        if let Some(place) = place.get_mut(at) {
            *place = row;
        }
    }
    place
}

/// Where the nodes of each column stand: near what they are tied to on either side, looked at from the first column to the
/// last and back.
fn places(layers: &Layers) -> Vec<Vec<usize>> {
    let mut places: Vec<Vec<usize>> = layers.nodes.iter().map(|nodes| (0..nodes.len()).collect()).collect();
    let back = |edges: &[(usize, usize)]| edges.iter().map(|(from, to)| (*to, *from)).collect::<Vec<_>>();
    for _ in 0..PASSES {
        for (n, edges) in layers.edges.iter().enumerate() {
            let placed = places.get(n).zip(places.get(n + 1)).map(|(left, here)| near(here.len(), back(edges), left));
            if let (Some(placed), Some(here)) = (placed, places.get_mut(n + 1)) {
                *here = placed;
            }
        }
        for (n, edges) in layers.edges.iter().enumerate().rev() {
            let placed =
                places.get(n).zip(places.get(n + 1)).map(|(here, right)| near(here.len(), edges.clone(), right));
            if let (Some(placed), Some(here)) = (placed, places.get_mut(n)) {
                *here = placed;
            }
        }
    }
    places
}

impl Graph {
    /// Draws columns, with what the picture says in words.
    pub(crate) fn drawn(layers: Layers, said: String) -> Self {
        let places = places(&layers);
        let Layers { heads, nodes: columns, edges } = layers;
        let has_notes = columns.iter().flatten().any(|node| !node.note.is_empty());
        let row = if has_notes { TALL_ROW } else { ROW };
        let rows = columns.iter().map(Vec::len).max().unwrap_or_default().max(1);
        let width = columns.len() * (WIDTH + GAP) - GAP.min(columns.len() * GAP) + EDGE;
        // A shorter column stands in the middle of the longest.
        let y = |count: usize, place: usize| TOP + (rows - count.min(rows)) * row / 2 + place * row;
        let mut lines = Vec::new();
        for (n, edges) in edges.iter().enumerate() {
            let (Some(from), Some(to)) = (places.get(n), places.get(n + 1)) else { continue };
            let x = n * (WIDTH + GAP) + WIDTH;
            let path = |(a, b): &(usize, usize)| {
                let y1 = y(from.len(), *from.get(*a)?) + row / 2;
                let y2 = y(to.len(), *to.get(*b)?) + row / 2;
                let (half, end) = (x + GAP / 2, x + GAP);
                Some(format!("M{x} {y1}C{half} {y1} {half} {y2} {end} {y2}"))
            };
            lines.extend(edges.iter().filter_map(path));
        }
        let mut nodes = Vec::new();
        for (n, (members, places)) in columns.into_iter().zip(places).enumerate() {
            let (x, count) = (n * (WIDTH + GAP), members.len());
            for (node, place) in members.into_iter().zip(places) {
                let y = y(count, place);
                nodes.push(Placed {
                    x: x + 1,
                    y: y + 3,
                    height: row - 6,
                    text_x: x + 11,
                    text_y: y + row / 2 + if node.note.is_empty() { 5 } else { 12 },
                    note: node.note,
                    note_y: y + row / 2 - 4,
                    label: short(&node.label),
                    whole: node.label,
                    to: node.to,
                    is_subject: node.is_subject,
                });
            }
        }
        let heads = heads.into_iter().enumerate().map(|(n, head)| (n * (WIDTH + GAP), head)).collect();
        Self { width, height: TOP + rows * row + 6, said, heads, lines, nodes }
    }
}

/// A label as it fits its node.
fn short(label: &str) -> String {
    // What is the same of all of them tells none apart.
    text::cut(label.strip_prefix("https://").unwrap_or(label), LETTERS)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test that tells how long it took")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nodes_stand_near_what_they_are_tied_to() {
        // Three nodes tied to the places 2, 0 and 1.
        assert_eq!(near(3, [(0, 0), (1, 1), (2, 2)], &[2, 0, 1]), [2, 0, 1]);
        assert_eq!(near(2, std::iter::empty(), &[]), [0, 1]);
    }

    #[test]
    fn a_label_is_cut_between_letters() {
        assert_eq!(short(&"ö".repeat(31)), format!("{}…", "ö".repeat(30)));
        assert_eq!(short("a"), "a");
    }

    proptest! {
        #[test]
        fn no_node_stands_on_another_or_outside(
            sizes in prop::collection::vec(0usize..50, 1..6), ties in prop::collection::vec((0usize..5, 0usize..60, 0usize..60), 0..200), has_notes: bool,
        ) {
            let node = |n: usize| Node { label: n.to_string(), note: if has_notes { "n" } else { "" }, to: None, is_subject: n == 0 };
            let mut edges = vec![Vec::new(); sizes.len() - 1];
            let last = edges.len();
            for (column, from, to) in ties {
                // Some of them tie what isn't there.
                if column < last {
                    edges[column].push((from, to));
                }
            }
            let count: usize = sizes.iter().sum();
            let layers = Layers { heads: vec![""; sizes.len()], nodes: sizes.iter().map(|size| (0..*size).map(node).collect()).collect(), edges };
            let graph = Graph::drawn(layers, String::new());
            prop_assert_eq!(graph.nodes.len(), count);
            for (n, node) in graph.nodes.iter().enumerate() {
                prop_assert!(node.x + WIDTH <= graph.width && node.y + node.height <= graph.height && node.y >= TOP);
                prop_assert!(node.text_y < node.y + node.height && node.note_y > node.y);
                for other in &graph.nodes[n + 1..] {
                    prop_assert!(node.x != other.x || node.y.abs_diff(other.y) >= node.height);
                }
            }
        }
    }

    /// Five thousand identities, each of an owner of its own and touching eight resources.
    #[test]
    fn a_graph_of_five_thousand_identities_is_folded_and_drawn_at_once() {
        let id = |prefix: &str, n: usize| format!("{prefix}_{n:026}");
        let views: Vec<IdentityView> = (0..5_000usize).map(|n| {
            let scope: Vec<_> = (0..8).map(|k| serde_json::json!({"actions": ["read"], "resource": id("res", (n * 7 + k * 13) % 3_000)})).collect();
            serde_json::from_value(serde_json::json!({
                "id": id("idn", n), "kind": if n % 3 == 0 { "bot" } else { "workload" }, "name": format!("identity-{n}"), "state": "active",
                "charter": {"owner": id("per", n), "scope": scope}, "tier": "low", "suspensions": [], "valid_after": null, "bindings": [], "grants": [],
                "memberships": [], "activation": null, "retirement": null, "template": null, "request": null, "transfer": null, "exceptions": [],
                "registered_by": id("per", n), "created_at": "2026-01-01T00:00:00Z", "revision": 1, "ceilings": {"max_duration": "30d", "review_every": "30d", "dormant_after": "30d", "key_stale_after": "90d"}, "last_used": null, "holds": [],
            })).unwrap()
        }).collect();
        let names = views.iter().map(|view| (view.record.id.to_string(), view.record.name.clone())).collect();
        let start = std::time::Instant::now();
        let graph = Graph::of(&views, &names).unwrap();
        let html = graph.render().unwrap();
        println!(
            "a graph of {} identities: {:?}, {} bytes, {} nodes, {} lines",
            views.len(),
            start.elapsed(),
            html.len(),
            graph.nodes.len(),
            graph.lines.len()
        );
        assert_eq!(graph.said, "5000 identities of 5000 owners, touching 3000 resources.");
        assert!(
            graph.nodes.len() <= 2 * (MOST + 1) + 7 && graph.lines.len() <= 14 * (MOST + 1),
            "{} nodes, {} lines",
            graph.nodes.len(),
            graph.lines.len()
        );
    }
}
