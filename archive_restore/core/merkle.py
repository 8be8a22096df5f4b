"""Merkle tree hashing and proofs of RFC 6962 §2.1 (RFC 9162 §2.1 is the same tree). Pure; SHA-256 only.

Positions and sizes count leaves from 0. Never hashes a leaf and a node alike: that is what the prefixes are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_SIZE = 32
"""Bytes of every hash here."""
EMPTY_ROOT = sha256(b"").digest()
"""Hash of the tree without leaves (RFC 6962 §2.1)."""
BLOCK = 256
"""Leaves a block: what a tile of C2SP tlog-tiles spans."""
REMEMBERED = 4096
"""Roots inside of blocks that are kept at a time."""
Range = tuple[int, int]
"""First leaf, and the one behind the last."""


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


class BlockTree:
    """A growing tree that keeps the roots of whole blocks and what lies above, and asks for leaves when it needs them.

    A million leaves take a quarter of a megabyte, and any proof the leaves of two blocks at most.
    """

    def __init__(self, leaves: Callable[[int, int], Sequence[bytes]]) -> None:
        """`leaves` gives the hashes of a range of leaves, at most BLOCK of them, that were appended."""
        self._leaves = leaves
        self._whole = CompactRange()
        self._block = CompactRange()
        self._levels: list[list[bytes]] = [[]]
        self._asked: dict[Range, bytes] = {}
        """Roots inside of blocks that were asked for: proofs of neighbours share most of theirs."""

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._whole.size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; amortized constant time."""
        self._whole.append(leaf)
        self._block.append(leaf)
        if self._block.size < BLOCK:
            return
        node, self._block = self._block.root(), CompactRange()
        for level in range(len(self._levels) + 1):
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            row.append(node)
            if len(row) % 2:
                return
            node = node_hash(row[-2], row[-1])

    def root(self) -> bytes:
        """Tree hash of all leaves so far."""
        return self._whole.root()

    def range_root(self, start: int, end: int) -> bytes:
        """Tree hash of a range of leaves; `start` is a multiple of the least power of two that holds the range."""
        count = end - start
        if count < BLOCK:
            found = self._asked.get((start, end))
            if found is None:
                if len(self._asked) >= REMEMBERED:
                    self._asked.clear()
                found = self._asked[start, end] = tree_root(self._leaves(start, end))
            return found
        if count & (count - 1) == 0:
            return self._levels[(count // BLOCK).bit_length() - 1][start // count]
        middle = start + _split(count)
        return node_hash(self.range_root(start, middle), self.range_root(middle, end))

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Audit path of one leaf in the tree of the first `size` leaves; raise IndexError outside."""
        return tuple(self.range_root(start, end) for start, end in inclusion_ranges(index, size))

    def consistency_proof(self, earlier: int, later: int) -> tuple[bytes, ...]:
        """Proof that the first `earlier` of the first `later` leaves are a prefix; raise IndexError outside."""
        return tuple(self.range_root(start, end) for start, end in consistency_ranges(earlier, later))


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Tree hash of leaf hashes: MTH of RFC 6962 §2.1."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    """The ranges of leaves whose tree hashes are the audit path of one leaf, nearest sibling first (RFC 6962 §2.1.1).

    Raise IndexError outside the tree.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of a tree of {size}")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        ranges.append((middle, end) if index < middle else (start, middle))
        start, end = (start, middle) if index < middle else (middle, end)
    return tuple(reversed(ranges))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Audit path of one leaf: PATH of RFC 6962 §2.1.1, nearest sibling first; raise IndexError outside the tree."""
    return tuple(tree_root(leaves[start:end]) for start, end in inclusion_ranges(index, len(leaves)))


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


def consistency_ranges(earlier: int, later: int) -> tuple[Range, ...]:
    """The ranges of leaves whose tree hashes prove that the first `earlier` of `later` are a prefix (RFC 6962 §2.1.2).

    Raise IndexError outside 1..later.
    """
    if not 0 < earlier <= later:
        raise IndexError(f"a tree of {earlier} in a tree of {later}")
    ranges: list[Range] = []
    start, end = 0, later
    while end != earlier:
        middle = start + _split(end - start)
        ranges.append((middle, end) if earlier <= middle else (start, middle))
        start, end = (start, middle) if earlier <= middle else (middle, end)
    if start:  # where the earlier tree is no node of its own, its last part is
        ranges.append((start, end))
    return tuple(reversed(ranges))


def consistency_proof(leaves: Sequence[bytes], earlier: int) -> tuple[bytes, ...]:
    """PROOF of RFC 6962 §2.1.2 that the first `earlier` leaves are a prefix; raise IndexError outside 1..size."""
    return tuple(tree_root(leaves[start:end]) for start, end in consistency_ranges(earlier, len(leaves)))


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


def _split(size: int) -> int:
    """Largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
