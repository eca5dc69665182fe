"""A signed checkpoint over a log of which we may not hold every entry yet, and proofs out of it.

    held so far   0 1 2 3 4 | 5 6 7 8 9 ... N     the author signed size N; we hold the first five leaves
                            proof given: the few nodes to the right of the bar

An author signs its newest size only; whoever catches up receives stretches that end before it, each with the
consistency proof from its end to that size. The nodes of that proof are all one needs to prove *any* prefix of
what one holds to the next peer, so a half-fed peer can already feed others.

Pure. It refuses to know entries, keys and links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.merkle import Tree, node_hash

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cover:
    """A checkpoint whose signature and consistency with our leaves were verified."""

    size: int = 0
    root: bytes = b""
    note: bytes = b""
    beyond: dict[Span, bytes] = field(default_factory=dict)  # nodes that reach past the leaves we held then

    def proof(self, tree: Tree, first: int) -> tuple[bytes, ...]:
        """The consistency proof from `first` (at most the leaves in `tree`) to the checkpoint."""
        return tuple(self._node(tree, begin, end) for begin, end in proof_spans(first, self.size))

    def _node(self, tree: Tree, begin: int, end: int) -> bytes:
        known = self.beyond.get((begin, end))
        if known is not None:
            return known
        if end <= tree.size:
            return subtree(tree, begin, end)
        middle = begin + split(end - begin)
        return node_hash(self._node(tree, begin, middle), self._node(tree, middle, end))


def cover(size: int, root: bytes, note: bytes, held: int, proof: Sequence[bytes]) -> Cover:
    """The cover that a verified proof from `held` leaves to (size, root) makes."""
    spans = proof_spans(held, size)
    return Cover(size, root, note, {s: n for s, n in zip(spans, proof, strict=True) if s[1] > held})


def proof_spans(first: int, second: int) -> list[Span]:
    """Which ranges of leaves the hashes of a consistency proof stand for, in its order (RFC 9162, 2.1.4.1)."""
    spans: list[Span] = []
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


def subtree(tree: Tree, begin: int, end: int) -> bytes:
    """The hash over leaves begin..end, a node of the tree of `end` leaves: the last leaf before it has it as a sibling
    on its way to the root."""
    if begin == 0:
        return tree.root(end)
    low, high, depth = 0, end, 0
    while (middle := low + split(high - low)) != begin:  # down to the parent of begin..end, which it is the right of
        low, high = (low, middle) if begin < middle else (middle, high)
        depth += 1
    return tree.inclusion(begin - 1, end)[::-1][depth]


def fold_right(nodes: list[bytes]) -> bytes:
    """The root over complete subtrees, largest first."""
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def grown_root(tree: Tree, leaves: Sequence[bytes]) -> bytes:
    """The root that `tree` would have with `leaves` appended; the tree stays as it is."""
    size, nodes = tree.size, tree.frontier()
    for leaf in leaves:
        node, carry = leaf, size
        while carry & 1:
            node = node_hash(nodes.pop(), node)
            carry >>= 1
        nodes.append(node)
        size += 1
    return fold_right(nodes)
