"""What a peer's store says its swarm has agreed on, for commands that run beside the node: model, policy, public data.

    rules_of(store)       -> SwarmRules(swarm, model, number, policy)     of all that it holds
    published(store)      -> data sets of which there are sketches        the newest of each peer

Why it exists: a whole replica would tell the same, and takes seconds to build from a long ledger; of entries that were
admitted already only those few are looked at that say something here. It writes nothing, and refuses to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ledger.canonical import decode_entry
from ledger.entry import Data, Enrol, Genesis, Hash, PeerId, PolicyChange
from ledger.errors import RemoteError
from ledger.in_force import in_force
from ledger.policy import Policy
from ledger.sketch import Sketch, verify_sketch
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class SwarmRules:
    swarm: Hash
    name: str
    model: str  # its declaration
    number: int  # of the policy in force: 0 is that of genesis
    policy: Policy


@dataclass(frozen=True, slots=True)
class Published:
    """A public data set of another peer."""

    peer: PeerId
    name: str  # as it calls itself
    records: int
    sketch: Sketch


def rules_of(store: Store) -> SwarmRules | None:
    """None if the peer has not heard of its swarm's genesis yet, or not of the policy."""
    first = store.entry(store.meta("founder").decode(), 0)
    genesis = decode_entry(first) if first is not None else None
    if not isinstance(genesis, Genesis):
        return None
    said: dict[tuple[int, Hash], set[str]] = {}
    for log in store.logs():
        key = _enrolled(store, log).key
        if key in genesis.admins:
            for entry in _entries(store, log, b'"kind":"policy"'):
                if isinstance(entry, PolicyChange):
                    said.setdefault((entry.number, entry.policy), set()).add(key)
    number, policy = in_force(genesis, {wish: tuple(sorted(admins)) for wish, admins in said.items()})
    text = store.blob(policy)
    if text is None:
        return None
    return SwarmRules(store.meta("swarm").decode(), genesis.name, genesis.model, number, Policy.from_blob(text))


def published(store: Store, *, but: PeerId) -> Iterator[Published]:
    """The newest public data set of every peer except `but`, where its sketch is here."""
    for log in store.logs():
        newest: Data | None = None
        for entry in _entries(store, log, b'"kind":"data"'):
            if isinstance(entry, Data) and entry.sketch:
                newest = entry
        blob = store.blob(newest.sketch) if newest is not None else None
        if newest is None or blob is None or log == but:
            continue
        try:
            sketch = verify_sketch(blob, newest)
        except RemoteError:  # it was checked when it came; what no longer holds is not compared
            continue
        yield Published(log, _enrolled(store, log).name, newest.records, sketch)


def _enrolled(store: Store, log: PeerId) -> Enrol:
    """Every log begins with one, the founder's after genesis."""
    return next(entry for entry in map(decode_entry, islice(store.entries(log), 2)) if isinstance(entry, Enrol))


def _entries(store: Store, log: PeerId, mark: bytes) -> Iterator[object]:
    """Entries that hold these bytes; only those are decoded."""
    return (decode_entry(data) for data in store.entries(log) if mark in data)
