//! The Merkle tree against another implementation of it, and proofs that are none.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::super::merkle::{
    Hash, Tree, consistency_proof, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion,
};
use super::golden::Leaves;

fn leaf(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

struct Both {
    tree: Tree,
    leaves: Leaves,
    oracle: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Both {
    fn of(size: u64) -> Self {
        let mut both =
            Self { tree: Tree::default(), leaves: Leaves(Vec::new()), oracle: MemoryBackedTree::new() };
        for number in 0..size {
            both.tree.push(leaf_hash(&leaf(number)), &mut Vec::new());
            both.leaves.0.push(leaf_hash(&leaf(number)));
            both.oracle.push(leaf(number));
        }
        both
    }

    fn root(&self) -> Hash {
        self.tree.root()
    }
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

proptest! {
    #[test]
    fn roots_and_proofs_are_those_of_another_implementation(size in 1u64..700, at in any::<prop::sample::Index>()) {
        let both = Both::of(size);
        let oracle_root = both.oracle.root();
        prop_assert_eq!(&both.root()[..], &oracle_root.as_bytes()[..]);
        let index = at.index(size as usize) as u64;
        let proof = inclusion_proof(&both.leaves, index, size).unwrap();
        let oracle = both.oracle.prove_inclusion(index as usize);
        prop_assert_eq!(&concat(&proof), &oracle.as_bytes());
        prop_assert!(verify_inclusion(&both.leaves.0[index as usize], index, size, &proof, &both.root()));
        let earlier = index + 1;
        let proof = consistency_proof(&both.leaves, earlier, size).unwrap();
        let oracle = both.oracle.prove_consistency((size - earlier) as usize);
        prop_assert_eq!(&concat(&proof), &oracle.as_bytes());
        let earlier_root = Both::of(earlier).root();
        prop_assert!(verify_consistency(earlier, &earlier_root, size, &both.root(), &proof));
    }

    #[test]
    fn proofs_prove_nothing_else(size in 2u64..300, at in any::<prop::sample::Index>(), bit in 0usize..256) {
        let both = Both::of(size);
        let (index, root) = (at.index(size as usize) as u64, both.root());
        let leaf = both.leaves.0[index as usize];
        let proof = inclusion_proof(&both.leaves, index, size).unwrap();
        let flip = |hash: &Hash| { let mut hash = *hash; hash[bit / 8] ^= 1 << (bit % 8); hash };
        prop_assert!(!verify_inclusion(&flip(&leaf), index, size, &proof, &root));
        prop_assert!(!verify_inclusion(&leaf, index, size, &proof, &flip(&root)));
        prop_assert!(!verify_inclusion(&leaf, size, size, &proof, &root));
        prop_assert!(!verify_inclusion(&leaf, index ^ 1, size, &proof, &root));
        for changed in 0..proof.len() {
            let mut other = proof.clone();
            other[changed] = flip(&proof[changed]);
            prop_assert!(!verify_inclusion(&leaf, index, size, &other, &root));
            other.remove(changed);
            prop_assert!(!verify_inclusion(&leaf, index, size, &other, &root));
        }
        let longer = [&proof[..], &[leaf]].concat();
        prop_assert!(!verify_inclusion(&leaf, index, size, &longer, &root));
    }

    #[test]
    fn a_log_that_was_rewritten_is_not_consistent(earlier in 1u64..200, more in 1u64..200, bit in 0usize..256) {
        let size = earlier + more;
        let both = Both::of(size);
        let (earlier_root, root) = (Both::of(earlier).root(), both.root());
        let proof = consistency_proof(&both.leaves, earlier, size).unwrap();
        let flip = |hash: &Hash| { let mut hash = *hash; hash[bit / 8] ^= 1 << (bit % 8); hash };
        prop_assert!(!verify_consistency(earlier, &flip(&earlier_root), size, &root, &proof));
        prop_assert!(!verify_consistency(earlier, &earlier_root, size, &flip(&root), &proof));
        prop_assert!(!verify_consistency(size, &root, earlier, &earlier_root, &proof));
        for changed in 0..proof.len() {
            let mut other = proof.clone();
            other[changed] = flip(&proof[changed]);
            prop_assert!(!verify_consistency(earlier, &earlier_root, size, &root, &other));
        }
        prop_assert!(!verify_consistency(earlier, &earlier_root, size, &root, &proof[1..]));
    }
}

#[test]
fn every_log_goes_on_from_itself_and_from_nothing() {
    let (nothing, something) = (Both::of(0).root(), Both::of(5).root());
    assert!(verify_consistency(0, &nothing, 5, &something, &[]));
    assert!(verify_consistency(5, &something, 5, &something, &[]));
    assert!(!verify_consistency(0, &something, 5, &something, &[]));
    assert!(!verify_consistency(5, &something, 5, &nothing, &[]));
    assert!(!verify_consistency(5, &something, 5, &something, &[nothing]));
}

#[test]
fn a_tree_goes_on_from_its_edges() {
    for size in [0, 1, 255, 256, 257, 1000] {
        let mut tree = Both::of(size).tree;
        let mut again = Tree::from_edges(tree.edges().to_vec());
        assert_eq!((again.size(), again.root()), (size, tree.root()));
        let (mut full, mut full_again) = (Vec::new(), Vec::new());
        for number in size..size + 600 {
            tree.push(leaf_hash(&leaf(number)), &mut full);
            again.push(leaf_hash(&leaf(number)), &mut full_again);
        }
        assert_eq!((again.root(), full_again), (tree.root(), full));
    }
}
