"""The lines of the log as a tree of hashes: read once, then any proof needs the lines of two blocks at most.

Reads only, and never more of the file than what a checkpoint promises.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from archive_restore.adapters.durable import storage_errors
from archive_restore.core.fixity import MANY
from archive_restore.core.merkle import BLOCK, BlockTree, leaf_hash
from archive_restore.errors import LogDamaged

_REF = b'"ref":"'


class LogLines:
    """The first so many lines of entries.jsonl, and where each block of them begins."""

    def __init__(self, entries: Path) -> None:
        self._path = entries
        self._offsets = [0]
        self._end = 0
        self._hashed: tuple[int, list[bytes]] = (0, [])
        """Leaf hashes of the block that was asked for last, and its number: proofs ask for one again and again."""
        self.tree = BlockTree(self._leaves)
        """Over the lines read so far."""

    def read_to(self, size: int) -> None:
        """Read on until the tree covers `size` lines; raise LogDamaged where there are not so many."""
        with storage_errors("reading", self._path), self._path.open("rb") as file:
            file.seek(self._end)
            for line in islice(file, max(0, size - self.tree.size)):
                if not line.endswith(b"\n"):
                    break
                self.tree.append(leaf_hash(line[:-1]))
                self._end += len(line)
                if self.tree.size % BLOCK == 0:
                    self._offsets.append(self._end)
        if self.tree.size < size:
            raise LogDamaged(
                f"the audit log has {self.tree.size} of the {size} entries that were promised",
                hint="Run `log verify`; restore audit/ from a copy",
            )

    def lines(self, start: int, end: int) -> list[bytes]:
        """Lines of a range that was read, without their ends."""
        block = start // BLOCK
        with storage_errors("reading", self._path), self._path.open("rb") as file:
            file.seek(self._offsets[block])
            found = list(islice(file, end - block * BLOCK))[start - block * BLOCK :]
        return [line.removesuffix(b"\n") for line in found]

    def _leaves(self, start: int, end: int) -> list[bytes]:
        block = start // BLOCK
        first = block * BLOCK
        if self._hashed[0] != block or len(self._hashed[1]) < end - first:
            lines = self.lines(first, min(first + BLOCK, self.tree.size))
            self._hashed = (block, [leaf_hash(line) for line in lines])
        return self._hashed[1][start - first : end - first]


def lines_about(entries: Path, refs: Collection[str], size: int) -> Iterator[tuple[int, bytes]]:
    """(index, line without its end) of the first `size` entries that are about one of these REFs; one pass.

    With them come all entries about many versions at once (core.fixity.MANY): whoever reads their digests knows which.
    """
    wanted = {ref.encode() for ref in (*refs, MANY)}
    mark = len(_REF)
    with storage_errors("reading", entries), entries.open("rb") as file:
        for index, line in enumerate(islice(file, size)):
            # The last one: quotes inside of texts are escaped, no REF holds one, and what follows are texts.
            start = line.rfind(_REF) + mark
            if line[start : line.find(b'"', start)] in wanted:
                yield index, line.removesuffix(b"\n")
