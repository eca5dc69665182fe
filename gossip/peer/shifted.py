"""The model of another past than that of everything held: by difference.

    fold of all that we hold  - terms that are not in that past  + terms that have left the sum since

Rules kept here: bounded work, for others decide which past is asked for. Exact integers, so it is the very model that
a fold of that past gives. It refuses to know why somebody asks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from gossip.peer.book import Book
from ledger.entry import Hash
from ledger.fold import model_hash, model_header
from ledger.replica import Change


def shifted(book: Book, change: Change, find: Callable[[Hash], bytes | None], *, terms: int, size: int) -> Any | None:
    """The model after a change of terms, on the grid, to be read only; None if it is too much, or lacks a delta."""
    fold = book.require_fold()
    moves = [(fold.arithmetic.subtract, term) for term in change.removed]
    moves += [(fold.arithmetic.add, term) for term in change.added]
    if book.owed or len(moves) > terms:
        return None
    if not moves:
        return fold.theta
    theta, read = copy.copy(fold.theta), 0
    for move, (_, _, delta, weight) in moves:
        blob = find(delta)
        if blob is None or (read := read + len(blob)) > size:
            return None
        move(theta, fold.arithmetic.decode(blob, fold.parameters), weight)
    return theta


def hash_of(book: Book, theta: Any) -> Hash:
    """The name of a model."""
    fold = book.require_fold()
    if theta is fold.theta:
        return book.model_hash()
    return model_hash(fold.layout, fold.arithmetic.model_parts(theta))


def bytes_of(book: Book, theta: Any) -> bytes:
    """The bytes whose SHA-256 is that name."""
    fold = book.require_fold()
    return model_header(fold.layout) + b"".join(bytes(part) for part in fold.arithmetic.model_parts(theta))
