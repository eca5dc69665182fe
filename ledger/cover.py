"""A signed checkpoint over a log of which we may not hold every entry yet, and proofs out of it.

    held so far   0 1 2 3 4 | 5 6 7 8 9 ... N     the author signed size N; we hold the first five leaves
                            proof given: the few nodes to the right of the bar, kept with the note on disk

An author signs its newest size only; whoever catches up receives stretches that end before it, each with the
consistency proof from its end to that size. The nodes of that proof are all one needs to prove *any* prefix of
what one holds to the next peer, so a half-fed peer can already feed others, also after a restart (`kept`), and
also if the author never publishes the rest.

The same nodes prove single entries (`inclusion`), of a log in a bundle as of one on its way to us: whoever made the
bundle had the proof that leads from the last entry to the checkpoint (`from_last`).

Pure. It refuses to know entries, keys and links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ledger.merkle import Tree, consistency_spans, inclusion_spans, join_right, node_hash, split

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cover:
    """A checkpoint whose signature and consistency with our leaves were verified."""

    size: int = 0
    root: bytes = b""
    note: bytes = b""
    beyond: dict[Span, bytes] = field(default_factory=dict)  # nodes that reach past the leaves we held then
    reach: int = 0  # leaves up to which proofs can be given: all, or those we held then

    def inclusion(self, tree: Tree, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of leaf `index` (below `reach`) in the checkpoint."""
        return tuple(self._node(tree, *span) for span in inclusion_spans(index, self.size))

    def proof(self, tree: Tree, first: int) -> tuple[bytes, ...]:
        """The consistency proof from `first` (at most the leaves in `tree`) to the checkpoint."""
        return tuple(self._node(tree, begin, end) for begin, end in consistency_spans(first, self.size))

    def _node(self, tree: Tree, begin: int, end: int) -> bytes:
        known = self.beyond.get((begin, end))
        if known is not None:
            return known
        if end <= tree.size:
            return tree.span_root(begin, end)
        middle = begin + split(end - begin)
        return node_hash(self._node(tree, begin, middle), self._node(tree, middle, end))


def cover(size: int, root: bytes, note: bytes, held: int, proof: Sequence[bytes]) -> Cover:
    """The cover that a verified proof from `held` leaves to (size, root) makes."""
    spans = consistency_spans(held, size)
    return Cover(size, root, note, {s: n for s, n in zip(spans, proof, strict=True) if s[1] > held}, held)


def from_last(size: int, root: bytes, note: bytes, held: int, path: Sequence[bytes]) -> Cover:
    """The cover that a verified inclusion proof of the last of `held` leaves in (size, root) makes."""
    spans = inclusion_spans(held - 1, size)
    return Cover(size, root, note, {s: n for s, n in zip(spans, path, strict=True) if s[1] > held}, held)


def kept(size: int, note: bytes, held: int, proof: Sequence[bytes], tree: Tree) -> Cover:
    """The cover that the store gives back: it was verified before it was kept, and its root follows from it."""
    part = cover(size, b"", note, held, proof)
    return replace(part, root=part._node(tree, 0, size))


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
    return join_right(nodes)
