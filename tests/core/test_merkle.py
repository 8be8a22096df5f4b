"""The tree of RFC 6962 against the published Certificate Transparency vectors, its own proofs, and their forgeries."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.merkle import (
    BLOCK,
    EMPTY_ROOT,
    BlockTree,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The reference inputs and tree hashes of the Certificate Transparency implementations.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(data) for data in INPUTS]
MANY = [leaf_hash(b"%d" % number) for number in range(1100)]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots(size):
    assert tree_root(LEAVES[:size]).hex() == ROOTS[size]
    growing = CompactRange()
    for leaf in LEAVES[:size]:
        growing.append(leaf)
    assert (growing.size, growing.root().hex()) == (size, ROOTS[size])


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_the_published_audit_paths(index, size, path):
    assert [node.hex() for node in inclusion_proof(LEAVES[:size], index)] == path


@pytest.mark.parametrize(
    ("earlier", "later", "path"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_the_published_consistency_proofs(earlier, later, path):
    assert [node.hex() for node in consistency_proof(LEAVES[:later], earlier)] == path


def test_leaves_and_nodes_are_hashed_apart():
    assert leaf_hash(b"x") == hashlib.sha256(b"\0x").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\1" + b"l" * 32 + b"r" * 32).digest()
    assert tree_root([]) == EMPTY_ROOT == hashlib.sha256().digest()


def forged(proof: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """The proof with one node changed, one missing, one too many."""
    changed = [(*proof[:i], bytes([node[0] ^ 1]) + node[1:], *proof[i + 1 :]) for i, node in enumerate(proof)]
    return [*changed, (*proof, bytes(32)), *([proof[:-1], proof[1:]] if proof else [])]


@given(st.integers(1, 70), st.data())
def test_every_entry_can_be_proved_and_no_other(size, data):
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root, proof = tree_root(leaves), inclusion_proof(leaves, index)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)
    for wrong in (-1, index + 1, size):
        assert not verify_inclusion(leaves[index], wrong, size, proof, root)
    for bad in forged(proof):
        assert not verify_inclusion(leaves[index], index, size, bad, root)


@given(st.integers(1, 70), st.data())
def test_growth_can_be_proved_and_nothing_else(later, data):
    leaves = [leaf_hash(b"%d" % number) for number in range(later)]
    earlier = data.draw(st.integers(1, later))
    old, new = tree_root(leaves[:earlier]), tree_root(leaves)
    proof = consistency_proof(leaves, earlier)
    assert verify_consistency(earlier, later, old, new, proof)
    other = leaf_hash(b"forged")
    assert not verify_consistency(earlier, later, other, new, proof)
    assert not verify_consistency(earlier, later, old, other, proof)
    for bad in forged(proof):
        assert not verify_consistency(earlier, later, old, new, bad)
    changed = [other, *leaves[1:]]
    assert not verify_consistency(earlier, later, old, tree_root(changed), consistency_proof(changed, earlier))


@given(st.integers(0, 200))
def test_growing_is_the_same_as_hashing_everything(size):
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    growing = CompactRange()
    for leaf in leaves:
        growing.append(leaf)
    kept = growing.copy()
    kept.append(leaf_hash(b"more"))
    assert growing.root() == tree_root(leaves)
    assert kept.root() == tree_root([*leaves, leaf_hash(b"more")])


def test_what_is_outside_the_tree_has_no_proof():
    for index in (-1, 8):
        with pytest.raises(IndexError):
            inclusion_proof(LEAVES, index)
    for earlier in (0, 9):
        with pytest.raises(IndexError):
            consistency_proof(LEAVES, earlier)
    assert not verify_consistency(0, 8, EMPTY_ROOT, tree_root(LEAVES), ())
    assert not verify_consistency(3, 8, tree_root(LEAVES[:3]), tree_root(LEAVES), ())


@given(st.integers(1, 1100), st.data())
def test_a_tree_of_blocks_proves_what_the_leaves_prove(size, data):
    leaves = MANY[:size]
    tree = BlockTree(lambda start, end: leaves[start:end])
    for leaf in leaves:
        tree.append(leaf)
    assert (tree.size, tree.root()) == (size, tree_root(leaves))
    whole = data.draw(st.integers(1, size))
    index, earlier = data.draw(st.integers(0, whole - 1)), data.draw(st.integers(1, whole))
    assert tree.inclusion_proof(index, whole) == inclusion_proof(leaves[:whole], index)
    assert tree.consistency_proof(earlier, whole) == consistency_proof(leaves[:whole], earlier)


def test_a_tree_of_blocks_asks_for_the_leaves_of_two_blocks_at_most():
    asked = []

    def leaves(start, end):
        asked.append(end - start)
        return MANY[start:end]

    tree = BlockTree(leaves)
    for leaf in MANY:
        tree.append(leaf)
    assert asked == []
    tree.inclusion_proof(700, len(MANY))
    assert sum(asked) <= 2 * BLOCK
