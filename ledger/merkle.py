"""The RFC 6962 Merkle tree of a log: roots of every past size, proofs, and their verification.

    size 7:          root            leaf  SHA-256(0x00 || entry bytes)
                 /         \\         node  SHA-256(0x01 || left || right)
              h03           h46      the left part of every split is the largest power of two below the size
             /   \\         /   \\
           h01   h23     h45    6
           / \\   / \\     / \\
          0   1 2   3   4   5

Why it exists: one signed root commits an author to a whole log, and a proof of a few hashes shows that an
entry is in it (inclusion) or that it only ever grew (consistency).

Rules kept here: hashes are 32 raw bytes, never hex and never empty (an empty root or leaf is a classic way to
be fooled); a proof has exactly the length that its sizes demand; there is no consistency from size 0, for
every tree is consistent with nothing and such a "proof" proves nothing. It refuses to know what a leaf says.

Sections in comments are of RFC 9162, which spells out the same tree's verification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Protocol, Self

from ledger.errors import LocalError, RemoteError
from ledger.tail import TailBytes

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
_UPPER: Final = 6


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Column(Protocol):
    """Bytes that only grow: a bytearray, or what stands for one (spill.py)."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes | bytearray: ...
    def __iadd__(self, more: bytes, /) -> Self: ...


def prefix_bytes(column: Column, count: int) -> Column:
    """A column of its own with the first `count` bytes."""
    return column.prefix(count) if isinstance(column, TailBytes) else bytearray(column[:count])


class Tree:
    """A growing tree that remembers every complete subtree: 64 bytes of memory per leaf, or of what `column` makes.

    `append` costs two hashes on average; a root or proof at any past size costs O(log n) look-ups.
    """

    __slots__ = ("_column", "_levels", "_upper", "_upper_of")

    def __init__(self, leaves: Iterable[bytes] = (), *, column: Callable[[], Column] = bytearray) -> None:
        self._column = column
        # _levels[k] holds the hashes of the complete subtrees of 2^k leaves, side by side.
        self._levels: list[Column] = [column()]
        self._upper_of, self._upper = 0, list[bytes]()  # of the root asked for last; see root
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes, from leaf_hash) at the right."""
        if len(leaf) != HASH_BYTES:
            raise LocalError("a leaf hash is 32 bytes", why=f"got {len(leaf)}")
        self._levels[0] += leaf
        self._carry(0, self.size - 1, leaf)

    def append_all(self, leaves: Sequence[bytes]) -> None:
        """Append each: level by level, in a third of the time."""
        joined = b"".join(leaves)
        if len(joined) != HASH_BYTES * len(leaves):
            raise LocalError("a leaf hash is 32 bytes", why=f"{len(leaves)} of them have {len(joined)}")
        levels, height = self._levels, 0
        levels[0] += joined
        while len(levels[height]) >= 2 * HASH_BYTES:
            if height + 1 == len(levels):
                levels.append(self._column())
            below, above = levels[height], levels[height + 1]
            pairs = range(2 * len(above), len(below) - 2 * HASH_BYTES + 1, 2 * HASH_BYTES)
            above += b"".join([sha256(b"\x01" + below[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
            height += 1

    def _carry(self, height: int, index: int, node: bytes) -> None:
        """`node` is new at (height, index): add those above it that are complete now."""
        levels = self._levels
        while index & 1:
            node = node_hash(self.subtree(height, index - 1), node)
            index >>= 1
            height += 1
            if height == len(levels):
                levels.append(self._column())
            levels[height] += node

    def prefix(self, size: int) -> Tree:
        """A tree of its own with the first `size` leaves."""
        tree = Tree()
        tree._levels = [
            prefix_bytes(level, (self._check_size(size) >> height) * HASH_BYTES)
            for height, level in enumerate(self._levels)
        ]
        return tree

    @classmethod
    def opened(cls, log: str, size: int, frontier: Sequence[bytes], known: Mapping[int, bytes]) -> Tree:
        """A tree of `size` leaves of which nothing is held but its frontier, and some leaves by index.

        `log` is for the error that anything else raises (tail.py). RemoteError if no such frontier has that size.
        """
        heights = [height for height in range(size.bit_length()) if size >> height & 1]
        if [len(node) for node in frontier] != [HASH_BYTES] * len(heights):
            raise RemoteError("a frontier does not fit its tree", why=f"{len(frontier)} hashes for {size} leaves")
        tree = cls()
        nodes = dict(zip(heights, reversed(frontier), strict=True))
        leaves = {HASH_BYTES * index: leaf for index, leaf in known.items()}
        tree._levels = []
        for height in range(max(1, size.bit_length())):
            level = TailBytes(log, HASH_BYTES * ((size >> height) - (height in nodes)), {} if height else leaves)
            level += nodes.get(height, b"")
            tree._levels.append(level)
        return tree

    def extend(self, nodes: bytes, height: int) -> None:
        """Add a complete subtree of 2^height leaves at the right, from what `nodes` gave for it. It is believed."""
        count = 1 << height
        if len(nodes) != (2 * count - 1) * HASH_BYTES or self.size % count:
            raise LocalError("a subtree does not fit here", why=f"{len(nodes)} bytes, height {height} at {self.size}")
        index, at = self.size >> height, 0
        while len(self._levels) <= height:
            self._levels.append(self._column())
        for level in self._levels[: height + 1]:
            level += nodes[at : (at := at + count * HASH_BYTES)]
            count >>= 1
        self._carry(height, index, nodes[-HASH_BYTES:])

    def nodes(self) -> bytes:
        """Every hash that is kept: level after level, leaves first."""
        return b"".join([level[:] for level in self._levels])

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`."""
        self._check_size(index + 1)
        return self.subtree(0, index)

    def root(self, size: int | None = None) -> bytes:
        """The root when the tree had `size` leaves (now, if not given)."""
        size = self.size if size is None else self._check_size(size)
        if not size:
            return EMPTY_ROOT
        levels, node = self._levels, b""
        if size >> _UPPER != self._upper_of:  # roots are asked for in order: what is left of a block of 64 stays
            self._upper_of = size >> _UPPER
            upper = [b"\x01" + left for left in self._complete(0, size >> _UPPER << _UPPER)]
            self._upper = upper[::-1]
        rest = size & ((1 << _UPPER) - 1)
        while rest:  # from the smallest complete subtree to the largest
            low = rest & -rest
            height = low.bit_length() - 1
            end = (size >> height) * HASH_BYTES
            left = levels[height][end - HASH_BYTES : end]
            node = sha256(b"\x01" + left + node).digest() if node else bytes(left)
            rest ^= low
            size ^= low
        for joined in self._upper:
            node = sha256(joined + node).digest() if node else joined[1:]
        return node

    def roots(self, begin: int, count: int) -> list[bytes]:
        """The roots at begin + 1, ..., begin + count: side by side, in two thirds of the time."""
        self._check_size(begin + count)
        found: list[bytes] = []
        while count:
            block = begin >> _UPPER << _UPPER
            stop = min(begin + count, block + (1 << _UPPER))
            roots = self._prefix_roots(block, stop - block, _UPPER)[begin - block :]
            for left in reversed(self._complete(0, block)):
                joined = b"\x01" + left
                roots = [sha256(joined + root).digest() for root in roots]
            found += roots
            count -= stop - begin
            begin = stop
        return found

    def _prefix_roots(self, begin: int, count: int, height: int) -> list[bytes]:
        """The roots over begin..begin + 1, ..., begin..begin + count, within a subtree of that height at `begin`."""
        if height == 0:
            return [self.subtree(0, begin)]
        half = 1 << (height - 1)
        if count <= half:
            return self._prefix_roots(begin, count, height - 1)
        roots = self._prefix_roots(begin, half, height - 1)
        joined = b"\x01" + self.subtree(height - 1, begin >> (height - 1))
        roots += [sha256(joined + root).digest() for root in self._prefix_roots(begin + half, count - half, height - 1)]
        return roots

    def frontier(self, size: int | None = None) -> list[bytes]:
        """The complete subtrees that cover the first `size` leaves, largest first: all that appending needs."""
        return self._complete(0, self.size if size is None else self._check_size(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path from leaf `index` to the root at `size`, from the leaf upwards (section 2.1.3.1)."""
        size = self.size if size is None else self._check_size(size)
        if not 0 <= index < size:
            raise LocalError("no such leaf to prove", why=f"index {index} in a tree of {size}")
        return [self.span_root(*span) for span in inclusion_spans(index, size)]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """The proof that the tree of `first` leaves is a prefix of that of `second` (section 2.1.4.1)."""
        second = self.size if second is None else self._check_size(second)
        if not 1 <= first <= second:
            raise LocalError("no such consistency to prove", why=f"from size {first} to {second}")
        return [self.span_root(*span) for span in consistency_spans(first, second)]

    def span_root(self, begin: int, end: int) -> bytes:
        """The root over leaves begin..end, where begin is a multiple of the span's first split."""
        return join_right(self._complete(begin, end))

    def _complete(self, begin: int, end: int) -> list[bytes]:
        nodes: list[bytes] = []
        while begin < end:
            height = (end - begin).bit_length() - 1
            nodes.append(self.subtree(height, begin >> height))
            begin += 1 << height
        return nodes

    def subtree(self, height: int, index: int) -> bytes:
        """The root of the complete subtree over the leaves index * 2^height and the following 2^height - 1."""
        return bytes(self._levels[height][index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def _check_size(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise LocalError("the tree never had that size", why=f"{size} of {self.size}")
        return size


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes that are read once and not kept: memory O(log n)."""
    nodes: list[tuple[int, bytes]] = []  # (height, root) of complete subtrees, heights falling
    for leaf in leaves:
        height, node = 0, leaf
        while nodes and nodes[-1][0] == height:
            node = node_hash(nodes.pop()[1], node)
            height += 1
        nodes.append((height, node))
    return join_right([root for _, root in nodes]) if nodes else EMPTY_ROOT


def join_right(nodes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, largest first."""
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def inclusion_spans(index: int, size: int) -> list[tuple[int, int]]:
    """Which leaves begin..end each hash of an inclusion proof stands for, from the leaf upwards (section 2.1.3.1)."""
    spans: list[tuple[int, int]] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + split(end - begin)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    return spans[::-1]


def consistency_spans(first: int, second: int) -> list[tuple[int, int]]:
    """Which leaves begin..end each hash of a consistency proof stands for, in its order (section 2.1.4.1)."""
    spans: list[tuple[int, int]] = []
    begin, end, known = 0, second, True
    while first != end:
        middle = begin + split(end - begin)
        if first <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin, known = middle, False
    if not known:
        spans.append((begin, end))
    return spans[::-1]


def split(size: int) -> int:
    """The largest power of two below `size` (size >= 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise RemoteError unless `proof` shows that `leaf` is at `index` in the tree (size, root); section 2.1.3.2."""
    _check_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise RemoteError("a proof names a leaf outside its tree", why=f"index {index}, size {size}")
    node, last = leaf, size - 1
    for sibling in proof:
        if last == 0:
            raise RemoteError("an inclusion proof is too long")
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        index >>= 1
        last >>= 1
    if last:
        raise RemoteError("an inclusion proof is too short")
    if node != root:
        raise RemoteError("an inclusion proof does not lead to the root")


def inclusion_sides(index: int, size: int) -> list[bool]:
    """Of each hash of an inclusion proof, in its order, whether it stands to the left of the leaf."""
    return [end <= index for _, end in inclusion_spans(index, size)]


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise RemoteError unless `proof` shows that the first tree is a prefix of the second; section 2.1.4.2."""
    _check_hashes(first_root, second_root, *proof)
    if not 1 <= first <= second:
        raise RemoteError("a consistency proof is between impossible sizes", why=f"from {first} to {second}")
    if first == second:
        if proof:
            raise RemoteError("a consistency proof is too long")
        if first_root != second_root:
            raise RemoteError("two roots of one size differ", why=f"size {first}")
        return
    # A first tree that is one complete subtree is its own starting node, and is left out of the proof.
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        raise RemoteError("a consistency proof is too short")
    index, last = first - 1, second - 1
    while index & 1:
        index >>= 1
        last >>= 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            raise RemoteError("a consistency proof is too long")
        if index & 1 or index == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        index >>= 1
        last >>= 1
    if last:
        raise RemoteError("a consistency proof is too short")
    if old != first_root or new != second_root:
        raise RemoteError("a consistency proof does not lead to both roots")


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise RemoteError("a hash in a proof is not 32 bytes", why=f"{len(value)} bytes")
