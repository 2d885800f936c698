//! Roots, proofs and tiles against `ct-merkle`, known vectors and each other.

use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;
use tenure_log::merkle::{
    MissingNode, consistency_nodes, inclusion_nodes, prove_consistency, prove_inclusion, root, root_nodes,
};
use tenure_log::{
    EMPTY_ROOT, Frontier, Hash, HashReader, Node, Tile, TileBuilder, TileHashes, TileReader, leaf_hash,
    verify_consistency, verify_inclusion,
};

/// Inputs and roots of the certificate-transparency repository (`merkle_tree_test.cc`).
const VECTORS: [(&str, &str); 8] = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// All complete nodes of a log, its frontier at every size, and the foreign tree.
struct Fixture {
    nodes: HashMap<Node, Hash>,
    roots: Vec<Hash>,
    foreign: Vec<MemoryBackedTree<Sha256, Vec<u8>>>,
}

impl Fixture {
    fn new(size: u64) -> Self {
        let mut frontier = Frontier::new();
        let mut fixture = Self { nodes: HashMap::new(), roots: vec![frontier.root()], foreign: Vec::new() };
        let mut tree = MemoryBackedTree::new();
        fixture.foreign.push(tree.clone());
        for index in 0..size {
            frontier.append_with(leaf_hash(&entry(index)), |node, hash| {
                fixture.nodes.insert(node, hash);
            });
            fixture.roots.push(frontier.root());
            tree.push(entry(index));
            fixture.foreign.push(tree.clone());
        }
        fixture
    }
}

fn foreign_root(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root).into(), size)
}

#[test]
fn the_empty_tree_and_the_classic_vectors_hold() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), EMPTY_ROOT);
    for (input, expected) in VECTORS {
        frontier.append(leaf_hash(&unhex(input)));
        assert_eq!(frontier.root().to_vec(), unhex(expected));
    }
}

#[test]
fn every_root_and_proof_up_to_70_entries_agrees_with_ct_merkle() {
    let mut fixture = Fixture::new(70);
    for size in 0..=70u64 {
        let tree = &fixture.foreign[size as usize];
        let ours = fixture.roots[size as usize];
        assert_eq!(tree.root().as_bytes().as_slice(), ours);
        assert_eq!(root(&mut fixture.nodes, size).unwrap(), ours);
        let foreign = foreign_root(&ours, size);
        for index in 0..size {
            let proof = prove_inclusion(&mut fixture.nodes, index, size).unwrap();
            assert_eq!(proof.concat(), tree.prove_inclusion(index as usize).as_bytes());
            assert!(verify_inclusion(&leaf_hash(&entry(index)), index, size, &proof, &ours));
            let read = InclusionProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
            foreign.verify_inclusion(&entry(index), index, &read).unwrap();
        }
        for old in 1..=size {
            let proof = prove_consistency(&mut fixture.nodes, old, size).unwrap();
            let old_root = fixture.roots[old as usize];
            assert_eq!(proof.concat(), tree.prove_consistency((size - old) as usize).as_bytes());
            assert!(verify_consistency(old, &old_root, size, &ours, &proof));
            let read = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
            foreign.verify_consistency(&foreign_root(&old_root, old), &read).unwrap();
        }
        assert!(verify_consistency(0, &EMPTY_ROOT, size, &ours, &[]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_proves_nothing_else(size in 1u64..600, pick in any::<u64>(), bit in any::<prop::sample::Index>()) {
        let mut nodes = HashMap::new();
        let mut frontier = Frontier::new();
        for index in 0..size {
            frontier.append_with(leaf_hash(&entry(index)), |node, hash| { nodes.insert(node, hash); });
        }
        let (index, ours) = (pick % size, frontier.root());
        let leaf = leaf_hash(&entry(index));
        let proof = prove_inclusion(&mut nodes, index, size).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &ours));
        prop_assert!(!verify_inclusion(&leaf, index, size, &proof, &EMPTY_ROOT));
        prop_assert!(!verify_inclusion(&leaf, index ^ 1, size, &proof, &ours));
        prop_assert!(!verify_inclusion(&leaf, size, size, &proof, &ours));
        let mut longer = proof.clone();
        longer.push(leaf);
        prop_assert!(!verify_inclusion(&leaf, index, size, &longer, &ours));

        let old = pick % size + 1;
        let old_root = root(&mut nodes, old).unwrap();
        let consistency = prove_consistency(&mut nodes, old, size).unwrap();
        prop_assert!(verify_consistency(old, &old_root, size, &ours, &consistency));
        prop_assert!(!verify_consistency(old, &leaf_hash(b"x"), size, &ours, &consistency));
        prop_assert!(!verify_consistency(old, &old_root, size, &leaf_hash(b"x"), &consistency));
        prop_assert!(!verify_consistency(size + 1, &old_root, size, &ours, &consistency));
        for (proof, check) in [(proof, true), (consistency, false)] {
            if proof.is_empty() { continue; }
            let mut changed = proof.clone();
            let at = bit.index(proof.len() * 256);
            changed[at / 256][at % 256 / 8] ^= 1 << (at % 8);
            let accepted = if check { verify_inclusion(&leaf, index, size, &changed, &ours) }
                else { verify_consistency(old, &old_root, size, &ours, &changed) };
            prop_assert!(!accepted);
            let shorter = &proof[..proof.len() - 1];
            let accepted = if check { verify_inclusion(&leaf, index, size, shorter, &ours) }
                else { verify_consistency(old, &old_root, size, &ours, shorter) };
            prop_assert!(!accepted);
        }
    }

    #[test]
    fn a_plan_lists_exactly_what_a_proof_reads(size in 1u64..=u64::MAX, pick in any::<u64>()) {
        let index = pick % size;
        let read = |make: &dyn Fn(&mut Recorder)| {
            let mut recorder = Recorder::default();
            make(&mut recorder);
            recorder.0
        };
        let inclusion = read(&|recorder| assert!(prove_inclusion(recorder, index, size).is_ok()));
        prop_assert_eq!(inclusion, inclusion_nodes(index, size));
        let consistency = read(&|recorder| assert!(prove_consistency(recorder, index, size).is_ok()));
        prop_assert_eq!(consistency, consistency_nodes(index, size));
        let whole = read(&|recorder| assert!(root(recorder, size).is_ok()));
        prop_assert_eq!(&whole, &root_nodes(size));
        for node in whole {
            prop_assert!(Tile::of(node, size).is_some());
        }
    }

    #[test]
    fn verifiers_take_any_input(
        old in any::<u64>(), size in any::<u64>(), index in any::<u64>(),
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..70), hash in any::<[u8; 32]>(),
    ) {
        prop_assert!(!verify_inclusion(&hash, index, size, &proof, &EMPTY_ROOT));
        prop_assert!(!verify_consistency(old, &hash, size, &EMPTY_ROOT, &proof));
    }

    #[test]
    fn a_frontier_survives_its_bytes(size in 0u64..300, more in 0u64..20) {
        let mut frontier = Frontier::new();
        (0..size).for_each(|index| frontier.append(leaf_hash(&entry(index))));
        let bytes = frontier.to_bytes();
        let mut read = Frontier::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&read, &frontier);
        for index in size..size + more {
            read.append(leaf_hash(&entry(index)));
            frontier.append(leaf_hash(&entry(index)));
        }
        prop_assert_eq!(read.root(), frontier.root());
        prop_assert!(Frontier::from_bytes(&bytes[1..]).is_none());
    }
}

#[derive(Default)]
struct Recorder(Vec<Node>);

impl HashReader for Recorder {
    type Error = MissingNode;

    fn hash(&mut self, node: Node) -> Result<Hash, MissingNode> {
        self.0.push(node);
        Ok([0; 32])
    }
}

#[derive(Clone, Default)]
struct Shelf(HashMap<String, Vec<u8>>);

#[derive(Debug, thiserror::Error)]
#[error("no such tile")]
struct NoTile;

impl TileReader for Shelf {
    type Error = NoTile;

    fn tile(&mut self, tile: Tile) -> Result<Vec<u8>, NoTile> {
        self.0.get(&tile.path()).cloned().ok_or(NoTile)
    }
}

#[test]
fn tiles_give_the_same_roots_and_proofs_as_hashes() {
    let mut nodes = HashMap::new();
    let mut frontier = Frontier::new();
    let mut builder = TileBuilder::new();
    let mut shelf = Shelf::default();
    for index in 0..70_000u64 {
        let hash = leaf_hash(&index.to_be_bytes());
        frontier.append_with(hash, |node, hash| {
            nodes.insert(node, hash);
        });
        builder.append(hash, |tile, bytes| {
            shelf.0.insert(tile.path(), bytes);
        });
        let size = index + 1;
        if ![1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 70_000].contains(&size) {
            continue;
        }
        assert_eq!(builder.root(), frontier.root(), "{size}");
        let mut at_size = shelf.clone();
        at_size.0.extend(builder.partial().into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
        let resumed = TileBuilder::load(&mut at_size, size).unwrap();
        assert_eq!((resumed.size(), resumed.root()), (size, builder.root()));
        let mut tiles = TileHashes::new(at_size, size);
        assert_eq!(root(&mut tiles, size).unwrap(), frontier.root());
        assert_eq!(Frontier::load(&mut tiles, size).unwrap(), frontier);
        for pick in [0, 1, size / 3, size / 2, size - 1] {
            let from_tiles = pick.min(size - 1);
            assert_eq!(
                prove_inclusion(&mut tiles, from_tiles, size).unwrap(),
                prove_inclusion(&mut nodes, from_tiles, size).unwrap()
            );
            assert_eq!(
                prove_consistency(&mut tiles, pick, size).unwrap(),
                prove_consistency(&mut nodes, pick, size).unwrap()
            );
        }
    }
}

#[test]
fn a_resumed_builder_writes_the_same_tiles() {
    let hash = |index: u64| leaf_hash(&index.to_be_bytes());
    let mut whole = TileBuilder::new();
    let mut expected = Vec::new();
    (0..600).for_each(|index| whole.append(hash(index), |tile, bytes| expected.push((tile, bytes))));
    for cut in [0, 1, 255, 256, 300, 512] {
        let mut shelf = Shelf::default();
        let mut first = TileBuilder::new();
        let mut written = Vec::new();
        (0..cut).for_each(|index| first.append(hash(index), |tile, bytes| written.push((tile, bytes))));
        shelf.0.extend(first.partial().into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
        let mut second = TileBuilder::load(&mut shelf, cut).unwrap();
        (cut..600).for_each(|index| second.append(hash(index), |tile, bytes| written.push((tile, bytes))));
        assert_eq!(written, expected);
        assert_eq!(second.partial(), whole.partial());
    }
}

#[test]
fn damaged_or_missing_tiles_are_errors_and_not_wrong_answers() {
    let mut builder = TileBuilder::new();
    let mut shelf = Shelf::default();
    (0..300u64).for_each(|index| {
        builder.append(leaf_hash(&index.to_be_bytes()), |tile, bytes| {
            shelf.0.insert(tile.path(), bytes);
        });
    });
    assert!(root(&mut TileHashes::new(shelf.clone(), 300), 300).is_err(), "partial tiles are missing");
    shelf.0.extend(builder.partial().into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
    assert_eq!(root(&mut TileHashes::new(shelf.clone(), 300), 300).unwrap(), builder.root());
    shelf.0.get_mut("tile/0/000").unwrap().pop();
    assert!(prove_inclusion(&mut TileHashes::new(shelf, 300), 3, 300).is_err());
}
