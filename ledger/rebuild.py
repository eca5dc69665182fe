"""What a log's tip and row were at a past size: a second branch begins from there.

Why it exists: tips are large and change with every entry, so only the last is kept; the columns of the logs (chain.py)
hold what it takes to make any other again. A row is made from one that was kept, by the growth that each update saw.
It refuses to know bytes.
"""

from __future__ import annotations

from types import MappingProxyType

from ledger import in_force, rules, standing, weights
from ledger.chain import Charge, Held, Log, Tip, accuse, admit_members, expel, hear
from ledger.entry import FoldConstants, Hash, PeerId
from ledger.membership import Membership, Word
from ledger.weights import Row


def tip_at(held: Log, size: int, head: Hash) -> Tip:
    """The tip of a log's first `size` entries (at least 1); `head` is the hash of the last of them."""
    if size == held.tip.size:
        return held.tip
    roster = held.roster_at(size)
    sizes = tuple([held.seen_at(size - 1, seen) for seen in roster])
    known = held.held_at(size) if held.keys and held.keys[0].size <= size else Held(0, b"", "")
    tip = Tip(
        held.id, size, head, known.key, known.promise, roster, sizes,
        tuple([seen.head_at(upto) for seen, upto in zip(roster, sizes, strict=True)]),
        tuple(sorted(range(len(roster)), key=lambda slot: roster[slot].peer)),
        data=MappingProxyType({seq: data for seq, data in held.tip.data.items() if seq < size}),
        unsnapped=held.snapped_at(size)[1],
    )  # fmt: skip
    admitted: dict[PeerId, Membership] = {}
    revoked: dict[PeerId, set[Word]] = {}
    charges: dict[PeerId, set[Charge]] = {}
    for seen, upto in [*zip(roster, sizes, strict=True), (held, size)]:
        for said in seen.admissions:
            if said.seq < upto:
                admitted[said.peer] = Membership.of(said).join(admitted.get(said.peer))
        for seq, peer, word in seen.revokes:
            if seq < upto:
                revoked.setdefault(peer, set()).add(word)
        for seq, charge in seen.charges:
            if seq < upto:
                charges.setdefault(charge.peer, set()).add(charge)
    wishes = in_force.said_in([*zip(roster, sizes, strict=True), (held, size)])
    return standing.settle(admit_members(expel(hear(accuse(tip, charges), wishes), revoked), admitted))


def row_at(constants: FoldConstants, log: Log, number: int) -> Row:
    """The row after a log's first `number` folded updates: from one kept before, by the growth since."""
    if number == log.folded[-1]:
        return log.row
    kept, row = log.row_before(number)
    for at in range(kept, number):
        tip = tip_at(log, log.folded_at[at] + 1, "")
        sight = rules.sight(constants, tip, {})
        row = weights.weigh(constants, row, sight, 1).row
    return row
