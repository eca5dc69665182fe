"""The state document: what a snapshot's `state` is the hash of, spelled out.

    {"branches":[{"accused":[],"admitted":[[1,"5d1c...","admin"]],"before":"91e0...","challenges":[],"condemned":[],
      "data":[[3,"{...}"]],"final":[],"frontier":["b2f9..."],"keys":[[2,"77ab...","0c41..."]],"last":"{...}","openings":[],"peer":"5d1c...",
      "policies":[],"recovered":[],"roots":[],"roster":[1,2],"row":[[1,2],[14,9],[14,9],[0,65536],131072,65536],"size":40,"sponsor":"",
      "steps":[["e3b0...",17,1114112,18231,"88d2...",27,4,[13,9]],["a51f...",18,1179648,18004,"6c0e...",27,5,[1,0]]]},
      ...],"format":"gossip-state/1","knots":[],"policies":[],"policy":"9f86...","swarm":"b2f9..."}

Why it exists: whoever holds a snapshot that it trusts (one that is final, say) and this document can weigh and admit
what comes after it, without the logs' beginnings (state_opening.py).

Others, who have not seen all of the snapshot's past, look up what was true somewhat earlier: so the last STEPS steps
of a branch are given, or as many more as the document is asked for, and back to its last snapshot, which may be about
to become final, if that is at most FINAL_STEPS away. `before` and `frontier` stand for what lies before. A step is
[leaf, updates let in, sum of weights, latest norm, row hash (empty: as before), size at the last snapshot, updates
since, growth of what is seen by place in the roster]; the first of them has the whole sizes. `roster` and `row` name
peers by a branch's number. `roots` has those of places in the roster of which the steps do not reach back far enough.
Data entries, challenges and openings that are looked up again are given whole, as are the texts of `policies` that
admins asked for. Everything else is of state.py: the facts, and knots without what follows from the rest.

Rules kept here: canonical JSON, one spelling, bounded. Whether a document is true it refuses to know: that is opening.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ledger.canonical import encode
from ledger.chain import Log
from ledger.entry import Hash, PeerId, Snapshot
from ledger.errors import LocalError
from ledger.rebuild import row_at
from ledger.replica import LogId, Replica
from ledger.standing import Branch, finals_at
from ledger.state import (
    branch_of,
    imprint,
    lists,
    newest_at,
    sizes_along,
    sorted_branches,
    spelled_final,
    tangles,
)

FORMAT: Final = "gossip-state/1"
MAX_STATE_BYTES: Final = 64 << 20  # of 1,000 peers that all see one another about 20 MB
STEPS: Final = 8  # about 150 bytes each, and 2 for each peer
FINAL_STEPS: Final = 32


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What holds after one more entry of a branch."""

    leaf: Hash
    folded: int
    weight: int
    norm: int
    row: Hash
    snapped: int
    unsnapped: int
    sizes: list[int]


class StateRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A row of weights.py; peers by the number of a branch."""

    peers: list[int]
    seen: list[int]
    credited: list[int]
    grown_at: list[int]
    progress: int
    spent: int


Half = tuple[Hash, str]  # leaf, key; of an accusation of the entry itself, no key
Parts = list[tuple[int, list[tuple[int, int]]]]


class StateBranch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One branch of a past."""

    accused: list[tuple[int, PeerId, int, list[Half]]]
    admitted: list[tuple[int, PeerId, str, int, PeerId]]
    before: Hash
    challenges: list[tuple[int, str]]
    condemned: list[tuple[int, PeerId, list[int], Hash, PeerId]]
    data: list[tuple[int, str]]
    final: list[tuple[int, int, list[int], Parts, Parts]]
    frontier: list[Hash]
    keys: list[tuple[int, Hash, Hash]]
    last: str
    openings: list[tuple[int, str]]
    peer: PeerId
    policies: list[tuple[int, int, Hash]]
    recovered: list[tuple[int, int]]
    revoked: list[tuple[int, PeerId, int]]
    roots: list[tuple[int, Hash]]
    roster: list[int]
    row: StateRow
    size: int
    sponsor: str
    steps: list[Step]


class Knot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is tangled in the branches of one peer's log."""

    forks: list[tuple[int, int, int]]
    heard: list[list[tuple[int, Hash]]]
    judged: list[list[tuple[int, int, int, int]]]
    marks: list[list[tuple[int, Hash, int, int, int]]]
    peer: PeerId


class StateDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    branches: list[StateBranch]
    format: str
    knots: list[Knot]
    policies: list[str]  # texts, by their hashes
    policy: Hash
    swarm: Hash


def state_document(replica: Replica, log: LogId, seq: int, steps: int = STEPS) -> bytes:
    """The document of an admitted snapshot, entry `seq` of `log`, with at least so many steps of each branch.

    LocalError if that is no snapshot, or if the document would be longer than MAX_STATE_BYTES; NeedsHistory if this
    replica was opened from a later one.
    """
    if not isinstance(replica.entry(log, seq), Snapshot):
        raise LocalError("only snapshots have a state document", why=f"entry {seq} of log {log[:12]} is none")
    held = replica.branches.get(log)
    roster = held.roster_at(seq + 1)
    sizes = sizes_along(held.pasts[seq], tuple([slot.lane for slot in roster]))
    branches = sorted_branches([*zip(roster, sizes, strict=True), (held, seq)])
    return spell(replica, branches, [first_step(branch, steps) for branch in branches])


def spell(replica: Replica, everybody: list[Branch], begins: list[int]) -> bytes:
    """The document of a past of these branches, sorted. `begins`: the size that the first step of each leads to."""
    numbers: dict[PeerId, list[int]] = {}
    for number, (log, _) in enumerate(everybody):
        numbers.setdefault(log.peer, []).append(number)
    knots = [
        Knot(**{word: knot[word] for word in Knot.__struct_fields__})
        for knot in tangles(replica.branches.logs, everybody)
    ]
    told = [_branch(replica, number, everybody, numbers, begins) for number in range(len(everybody))]
    asked = sorted({policy for log, size in everybody for seq, _, policy in log.policies if seq < size})
    document = StateDocument(
        branches=told, format=FORMAT, knots=knots, policies=[replica.policy_of(digest).text for digest in asked],
        policy=replica.genesis.policy, swarm=replica.swarm,
    )  # fmt: skip
    data = encode(document)
    if len(data) > MAX_STATE_BYTES:
        raise LocalError("this snapshot's state is too large for a document", why=f"{len(data)} bytes")
    return data


def first_step(branch: Branch, steps: int) -> int:
    log, size = branch
    snapped, _ = log.snapped_at(size)
    return max(0, min(size - steps, snapped - 1 if snapped > max(0, size - FINAL_STEPS) else size)) + 1


def _branch(
    replica: Replica, number: int, everybody: list[Branch], numbers: dict[PeerId, list[int]], begins: list[int]
) -> StateBranch:
    (log, size), begin = everybody[number], begins[number]
    told = lists(log, size)
    roster = log.roster_at(size)
    sizes = sizes_along(log.pasts[size - 1], tuple([slot.lane for slot in roster]))
    meant = [
        numbers[slot.peer][branch_of((slot, seen), [everybody[number] for number in numbers[slot.peer]])]
        for slot, seen in zip(roster, sizes, strict=True)
    ]
    newest = [newest_at(log, at) for at in range(begin, size + 1)]

    def spelled(seqs: Iterable[Iterable[int]]) -> list[tuple[int, str]]:
        return [(seq, replica.data(log.id, seq).decode()) for seq in sorted({seq for found in seqs for seq in found})]

    finals = {final.seq: final for at in range(begin, size + 1) for final in finals_at(log, at)}
    row = row_at(replica.constants, log, log.folded[size])
    return StateBranch(
        accused=told["accused"], admitted=told["admitted"], before=imprint(log, begin - 1).hex(),
        challenges=spelled(found.challenges for found in newest),
        condemned=[
            (said.seq, said.peer, list(said.seqs), said.leaf.hex(), said.house)
            for said in log.condemns
            if said.seq < size
        ],
        data=spelled(found.data for found in newest),
        final=[tuple(spelled_final(log, finals[seq])) for seq in sorted(finals)],
        frontier=[node.hex() for node in log.tree.frontier(begin - 1)], keys=told["keys"],
        last=replica.data(log.id, size - 1).decode(), openings=spelled(found.openings for found in newest),
        peer=log.peer, policies=told["policies"], recovered=told["recovered"], revoked=told["revoked"],
        roots=[
            (slot, other.head_at(seen)[40:].hex())
            for slot, (other, seen) in enumerate(zip(roster, sizes, strict=True))
            if seen < begins[meant[slot]]
        ],
        roster=meant,
        row=StateRow(
            [numbers[peer][0] for peer in row.peers], list(row.seen), list(row.credited), list(row.grown_at),
            row.progress, row.spent,
        ),
        size=size, sponsor=log.sponsor, steps=_steps(log, begin, size),
    )  # fmt: skip


def _steps(log: Log, begin: int, size: int) -> list[Step]:
    steps: list[Step] = []
    before: tuple[int, ...] = ()
    updates = 0
    for at in range(begin, size + 1):
        lanes = tuple([slot.lane for slot in log.roster_at(at)])
        sizes = sizes_along(log.pasts[at - 1], lanes)
        folded = log.folded[at]
        found = log.row_hash(folded - 1).hex() if folded else ""
        grown = [now - was for now, was in zip(sizes, before, strict=False)] + list(sizes[len(before) :])
        steps.append(
            Step(
                log.tree.leaf(at - 1).hex(), folded, log.weight[at], log.norm[at], found if folded > updates else "",
                *log.snapped_at(at), grown,
            )
        )  # fmt: skip
        before, updates = sizes, folded
    return steps
