"""Openings and sketches of own data, made under the gate's leave and not without.

    release(...) -> Released[Records] --open_records--> the blob that answers one challenge by that receiver
    release(...) -> Released[Sketch]  --sketch_of-----> the blob that a data entry names
    release(...) -> Released[Shard]   --cut_shards----> all records in sixteen parts, each with its proof

Why it exists: the ledger's own makers (ledger/opening.py) take whatever leaves they are given. Here they take the leave
along, which nobody but gossip/egress.py can make, and hold it against the very tree that the leaves are of: leave for
one data set is none for another. No other module of a peer calls those makers; a test reads the imports.
"""

from __future__ import annotations

from collections.abc import Iterable

from gossip.egress import Receiver, Records, Released, Shard, Sketch, require
from ledger.entry import Hash
from ledger.opening import Leaves, make_opening, make_shards, make_sketch
from ledger.sketch import count_of, span_root


def open_records(
    leave: Released[Records], to: Receiver, leaves: Leaves, records: Iterable[tuple[bytes, bytes]], *, swarm: Hash,
    signature: str, count: int,
) -> bytes:  # fmt: skip
    """The answer to a challenge by `to`, whose signature picks `count` records. LocalError as make_opening, or if the
    gate gave other leave than for these data and this receiver."""
    require(leave, Records, of=_root(leaves), to=to)
    return make_opening(leaves, records, swarm, signature, count)


def sketch_of(leave: Released[Sketch], leaves: Leaves) -> bytes:
    """The first leaves of a tree, with their proof, for everybody. LocalError if the gate gave other leave."""
    require(leave, Sketch, of=_root(leaves), to=leave.to)
    return make_sketch(leaves)


def cut_shards(
    leave: Released[Shard], leaves: Leaves, records: Iterable[tuple[bytes, bytes]], *, swarm: Hash
) -> tuple[bytes, ...]:
    """The shards that a lease may be of; the gate is asked again for each that goes to somebody. LocalError as
    make_shards, or if the gate gave other leave."""
    require(leave, Shard, of=_root(leaves), to=leave.to)
    return make_shards(leaves, records, swarm)


def _root(leaves: Leaves) -> Hash:
    return span_root(leaves, 0, count_of(leaves)).hex()
