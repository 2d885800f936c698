//! Graphs: who answers for identities, and what these touch, as a picture beside the table that says the same.
//!
//! Three columns, since that is how authority runs: owners, identities, resources. Within a column nodes stand near what
//! they are tied to (two passes of barycentres, Sugiyama's second step), so that lines cross little. Where there would be
//! more lines than anybody can follow, identities are folded by their kind.

use std::collections::BTreeMap;

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
const ROW: usize = 30;
const WIDTH: usize = 250;
const GAP: usize = 110;
const TOP: usize = 34;

/// A node of one column.
struct Node {
    label: String,
    to: Option<Address>,
}

/// A graph of three columns, before it is drawn.
#[derive(Default)]
struct Columns {
    nodes: [Vec<Node>; 3],
    /// From a node of the column to one of the next.
    edges: [Vec<(usize, usize)>; 2],
}

/// A node where it stands.
struct Placed {
    x: usize,
    y: usize,
    text_x: usize,
    text_y: usize,
    label: String,
    whole: String,
    to: Option<Address>,
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
        let columns = columns(identities, names);
        let said = text::pictured(columns.nodes[0].len(), identities.len(), columns.nodes[2].len());
        let heads = [text::OWNERS, text::IDENTITIES, text::RESOURCES];
        (!identities.is_empty()).then(|| drawn(columns, heads, said))
    }

    /// The picture of chains, each by the credential of who acts last: for whom, who, and on what; none of nothing.
    pub fn of_chains(credentials: &[&CredentialView], names: &Names) -> Option<Self> {
        let said = text::pictured_chains(credentials.len());
        let heads = [text::ACTS_FOR, text::ACTS, text::RESOURCES];
        (!credentials.is_empty()).then(|| drawn(chained(credentials, names), heads, said))
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
                self.nodes.push(Node { label: text::THE_OTHERS.to_owned(), to: None });
            }
            return at;
        }
        let at = self.nodes.len();
        self.known.insert(key.to_owned(), at);
        self.nodes.push(node());
        at
    }
}

fn columns(identities: &[IdentityView], names: &Names) -> Columns {
    let is_folded = identities.len() > SINGLE;
    let named = |id: &str| {
        let Named { name, to, .. } = Named::of(id, names);
        Node { label: name, to }
    };
    let (mut owners, mut middle, mut resources) = (Column::default(), Column::default(), Column::default());
    let mut edges: [Vec<(usize, usize)>; 2] = Default::default();
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
                to: None,
            }),
            false => middle.node(&id, || Node { label: identity.name.clone(), ..named(&id) }),
        };
        if let Some(owner) = identity.charter.owner {
            let owner = owner.to_string();
            let from = owners.node(&owner, || named(&owner));
            edges[0].push((from, at));
        }
        for entitlement in &identity.charter.scope {
            let to = resources.node(&entitlement.resource, || named(&entitlement.resource));
            edges[1].push((at, to));
        }
    }
    for edges in &mut edges {
        edges.sort_unstable();
        edges.dedup();
    }
    Columns { nodes: [owners.nodes, middle.nodes, resources.nodes], edges }
}

fn chained(credentials: &[&CredentialView], names: &Names) -> Columns {
    let (mut first, mut holders, mut resources) = (Column::default(), Column::default(), Column::default());
    let mut edges: [Vec<(usize, usize)>; 2] = Default::default();
    let node = |column: &mut Column, id: String| {
        column.node(&id, || {
            let Named { name, to, .. } = Named::of(&id, names);
            Node { label: name, to }
        })
    };
    for credential in credentials {
        let record = &credential.record;
        let holder = node(&mut holders, record.identity.to_string());
        let links = record.delegation.iter().flat_map(|delegation| &delegation.chain);
        for link in links.filter(|link| **link != record.identity) {
            let from = node(&mut first, link.to_string());
            edges[0].push((from, holder));
        }
        let to = node(&mut resources, record.resource.to_string());
        edges[1].push((holder, to));
    }
    for edges in &mut edges {
        edges.sort_unstable();
        edges.dedup();
    }
    Columns { nodes: [first.nodes, holders.nodes, resources.nodes], edges }
}

/// Where each node of a column stands, the first at the top: near the middle of what it is tied to in the other column,
/// whose places are known.
fn near(count: usize, ties: impl Iterator<Item = (usize, usize)>, places: &[usize]) -> Vec<usize> {
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

fn drawn(columns: Columns, heads: [&'static str; 3], said: String) -> Graph {
    let [left_head, middle_head, right_head] = heads;
    let Columns { nodes: [owners, middle, resources], edges: [first, second] } = columns;
    let back = |edges: &[(usize, usize)]| edges.iter().map(|(from, to)| (*to, *from)).collect::<Vec<_>>();
    let mut left: Vec<usize> = (0..owners.len()).collect();
    let mut centre = near(middle.len(), back(&first).into_iter(), &left);
    let mut right = near(resources.len(), back(&second).into_iter(), &centre);
    for _ in 0..2 {
        centre = near(middle.len(), second.iter().copied(), &right);
        left = near(owners.len(), first.iter().copied(), &centre);
        centre = near(middle.len(), back(&first).into_iter(), &left);
        right = near(resources.len(), back(&second).into_iter(), &centre);
    }
    let rows = left.len().max(centre.len()).max(right.len()).max(1);
    // A shorter column stands in the middle of the longest.
    let y = |count: usize, row: usize| TOP + (rows - count.min(rows)) * ROW / 2 + row * ROW;
    let line = |edges: &[(usize, usize)], column: usize, from: &[usize], to: &[usize]| -> Vec<String> {
        let x = column * (WIDTH + GAP) + WIDTH;
        let path = |(a, b): &(usize, usize)| {
            let y1 = y(from.len(), *from.get(*a)?) + ROW / 2;
            let y2 = y(to.len(), *to.get(*b)?) + ROW / 2;
            let (half, end) = (x + GAP / 2, x + GAP);
            Some(format!("M{x} {y1}C{half} {y1} {half} {y2} {end} {y2}"))
        };
        edges.iter().filter_map(path).collect()
    };
    let mut lines = line(&first, 0, &left, &centre);
    lines.extend(line(&second, 1, &centre, &right));
    let places = [(owners, left), (middle, centre), (resources, right)];
    let mut nodes = Vec::new();
    for (column, (members, rows_of)) in places.into_iter().enumerate() {
        let (x, count) = (column * (WIDTH + GAP), members.len());
        for (node, row) in members.into_iter().zip(rows_of) {
            let y = y(count, row);
            nodes.push(Placed {
                x,
                y: y + 3,
                text_x: x + 10,
                text_y: y + ROW / 2 + 5,
                label: short(&node.label),
                whole: node.label,
                to: node.to,
            });
        }
    }
    Graph {
        width: 3 * WIDTH + 2 * GAP + 2,
        height: TOP + rows * ROW + 6,
        said,
        heads: vec![(0, left_head), (WIDTH + GAP, middle_head), (2 * (WIDTH + GAP), right_head)],
        lines,
        nodes,
    }
}

/// A label as it fits its node.
fn short(label: &str) -> String {
    // What is the same of all of them tells none apart.
    let label = label.strip_prefix("https://").unwrap_or(label);
    match label.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", label.get(..end).unwrap_or_default()),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_near_what_they_are_tied_to() {
        // Three nodes tied to the places 2, 0 and 1.
        assert_eq!(near(3, [(0, 0), (1, 1), (2, 2)].into_iter(), &[2, 0, 1]), [2, 0, 1]);
        assert_eq!(near(2, std::iter::empty(), &[]), [0, 1]);
    }

    #[test]
    fn a_label_is_cut_between_letters() {
        assert_eq!(short(&"ö".repeat(31)), format!("{}…", "ö".repeat(30)));
        assert_eq!(short("a"), "a");
    }
}
