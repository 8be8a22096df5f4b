"""Merkle tree hashing and proofs of RFC 6962 §2.1 (RFC 9162 §2.1 is the same tree). Pure; SHA-256 only.

Positions and sizes count leaves from 0. Never hashes a leaf and a node alike: that is what the prefixes are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH_SIZE = 32
"""Bytes of every hash here."""
EMPTY_ROOT = sha256(b"").digest()
"""Hash of the tree without leaves (RFC 6962 §2.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry: SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The roots of the perfect subtrees of a growing tree, largest first: all that appending needs."""

    def __init__(self) -> None:
        self.size = 0
        """Leaves so far."""
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; amortized constant time."""
        carry = self.size
        self.size += 1
        while carry & 1:
            leaf = sha256(b"\x01" + self._peaks.pop() + leaf).digest()
            carry >>= 1
        self._peaks.append(leaf)

    def root(self) -> bytes:
        """Tree hash of all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> CompactRange:
        """An independent range, so that an append that fails can be forgotten."""
        made = CompactRange()
        made.size = self.size
        made._peaks = list(self._peaks)
        return made


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Tree hash of leaf hashes: MTH of RFC 6962 §2.1."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Audit path of one leaf: PATH of RFC 6962 §2.1.1, nearest sibling first; raise IndexError outside the tree."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree of {len(leaves)}")
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    if index < split:
        return (*inclusion_proof(leaves[:split], index), tree_root(leaves[split:]))
    return (*inclusion_proof(leaves[split:], index - split), tree_root(leaves[:split]))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether the leaf hash is at `index` of the tree with this size and root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and found == root


def consistency_proof(leaves: Sequence[bytes], earlier: int) -> tuple[bytes, ...]:
    """PROOF of RFC 6962 §2.1.2 that the first `earlier` leaves are a prefix; raise IndexError outside 1..size."""
    if not 0 < earlier <= len(leaves):
        raise IndexError(f"a tree of {earlier} in a tree of {len(leaves)}")
    return _subproof(leaves, earlier, whole=True)


def verify_consistency(
    earlier: int, later: int, earlier_root: bytes, later_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether the tree of size `later` only appends to the one of size `earlier` (RFC 9162 §2.1.4.2)."""
    if not 0 < earlier <= later:
        return False
    if earlier == later:
        return not proof and earlier_root == later_root
    path = list(proof)
    if earlier & (earlier - 1) == 0:  # a perfect tree is its own first node
        path.insert(0, earlier_root)
    if not path:
        return False
    position, last = earlier - 1, later - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old = node_hash(node, old)
            new = node_hash(node, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        position >>= 1
        last >>= 1
    return last == 0 and old == earlier_root and new == later_root


def _subproof(leaves: Sequence[bytes], earlier: int, *, whole: bool) -> tuple[bytes, ...]:
    if earlier == len(leaves):
        return () if whole else (tree_root(leaves),)
    split = _split(len(leaves))
    if earlier <= split:
        return (*_subproof(leaves[:split], earlier, whole=whole), tree_root(leaves[split:]))
    return (*_subproof(leaves[split:], earlier - split, whole=False), tree_root(leaves[:split]))


def _split(size: int) -> int:
    """Largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
