"""The public data sets of a swarm, as far as their sketches tell: to compare one's own with, before training on them.

Looked up in a peer's store, beside the node that may be running on it. Entries in a store were admitted, and sketches
checked then; only entries of this kind are decoded, so a long ledger costs little. It writes and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ledger.canonical import decode_entry
from ledger.entry import Data, Enrol, PeerId
from ledger.errors import RemoteError
from ledger.sketch import Sketch, verify_sketch
from ledger.store import Store

_MARK: Final = b'"kind":"data"'  # canonical JSON: an entry without these bytes is of another kind


@dataclass(frozen=True, slots=True)
class Published:
    """A public data set of a peer."""

    peer: PeerId
    name: str  # as the peer calls itself
    records: int
    sketch: Sketch


def published(store: Store, *, but: PeerId) -> Iterator[Published]:
    """The newest public data set of every peer except `but`, where its sketch is here."""
    for log in store.logs():
        newest: Data | None = None
        for entry in (decode_entry(data) for data in store.entries(log) if _MARK in data):
            if isinstance(entry, Data) and entry.sketch:
                newest = entry
        blob = store.blob(newest.sketch) if newest is not None else None
        if newest is None or blob is None or log == but:
            continue
        try:
            sketch = verify_sketch(blob, newest)
        except RemoteError:  # it held when it came; what no longer does is not compared
            continue
        yield Published(log, _name(store, log), newest.records, sketch)


def _name(store: Store, log: PeerId) -> str:
    """Every log begins with an enrolment, the founder's after genesis."""
    begin = map(decode_entry, islice(store.entries(log), 2))
    return next((entry.name for entry in begin if isinstance(entry, Enrol)), "")
