"""Every log held, strands included; and which of them an entry means.

    entry: meets, seen (slot, size), heads  --resolve-->  Tip that has followed them | Waiting(needs) | Disputed

An entry names logs by peer and size, and branches only by `heads`, the hash over all of them. So the branches held are
tried against it: nearly always there is one, and the try is the check.

Rules kept here: at most MAX_TRIES are tried, of whatever logs an author names; what fits none of them is Disputed, for
a branch that we do not hold may fit; two slots of one peer are two branches of which none contains the other; slots
that could be exchanged are told apart by their roots, so that everybody reads the same. It refuses to know kinds.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Final

from ledger import standing
from ledger.chain import Disputed, InvalidEntry, Log, LogId, Tip, Waiting, common, follow, guards, heads_hash
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError

MAX_TRIES: Final = 1024  # combinations of branches held against one `heads`: ten logs signed twice


class Branches:
    """`logs` are in order of lanes, `strands` of a peer the trunk first; `ended` is where an entry broke a rule."""

    def __init__(self) -> None:
        self.logs: dict[LogId, Log] = {}
        self.strands: dict[PeerId, tuple[Log, ...]] = {}
        self.ended: dict[LogId, int] = {}
        self.guard = 0

    def add(self, log: Log) -> None:
        self.logs[log.id] = log
        self.strands[log.peer] = (*self.strands.get(log.peer, ()), log)
        self.guard = guards(len(self.logs))

    def get(self, log: LogId) -> Log:
        held = self.logs.get(log)
        if held is None:
            raise LocalError(f"nothing of log {log[:12]} is held")
        return held

    def resolve(
        self, tip: Tip, own: Log | None, meets: list[PeerId], seen: list[tuple[int, int]], heads: Hash
    ) -> Tip | Waiting:
        """Follow what an entry has seen, along those branches that its `heads` is the hash of."""
        if tip.peer in meets:
            raise InvalidEntry(tip.log, tip.size, "meets", "introduces itself")
        count = len(tip.roster) + len(meets)
        if not {slot for slot, _ in seen}.issuperset(range(len(tip.roster), count)):
            raise InvalidEntry(tip.log, tip.size, "meets", "introduces a peer without seeing its log")
        if not seen:
            if heads_hash(tip.heads) != heads:
                raise InvalidEntry(tip.log, tip.size, "heads", "is not the hash of the logs it has seen")
            return tip
        choices: list[list[Log]] = []
        needs: list[tuple[LogId, int]] = []
        for slot, size in seen:
            if slot >= count:
                raise InvalidEntry(tip.log, tip.size, "seen", f"names peer {slot} of a roster of {count}")
            if (
                slot < len(tip.roster)
                and tip.sizes[slot] < size <= (log := tip.roster[slot]).tip.size
                and len(self.strands[log.peer]) == 1
            ):
                choices.append([log])  # nearly always
                continue
            found = self._branches_meant(tip, slot, size, meets)
            if isinstance(found, list):
                choices.append(found)
            else:
                needs.append(found)
        if needs:
            return Waiting(tuple(needs))
        match = self._try_branches(tip, len(meets), seen, choices, heads)
        if match is None:
            roster = self._spelled(tip, seen, [found[0] for found in choices], count)[0]
            if len({log.id for log in roster}) < count:
                raise Disputed(tip.log, tip.size, "meets", "names a peer twice, of whose log one branch is held")
            follow(tip, own, roster, seen, self.guard, sure=False)  # says it if a past is left out
            raise Disputed(tip.log, tip.size, "heads", "is not the hash of the logs it has seen")
        followed = follow(tip, own, match, seen, self.guard)
        moved = followed.admitted is not tip.admitted or followed.charges or followed.limits or followed.revoked
        return standing.settle(followed) if moved or followed.roster != tip.roster else followed

    def _branches_meant(self, tip: Tip, slot: int, size: int, meets: list[PeerId]) -> list[Log] | tuple[LogId, int]:
        """The branches held that a slot may mean at that size, or what to wait for."""
        if slot < len(tip.roster):
            log, before = tip.roster[slot], tip.sizes[slot]
            if size <= before:
                raise InvalidEntry(tip.log, tip.size, "seen", f"sees {size} entries of a log after {before}")
            strands = self.strands[log.peer]
            fit = [strand for strand in strands if common(strand, log) >= before] if len(strands) > 1 else [log]
            peer = log.peer
        else:
            peer = meets[slot - len(tip.roster)]
            fit = list(self.strands.get(peer, ()))
        found = [strand for strand in fit if strand.fork < size <= strand.tip.size]
        if found:
            return found
        alive = [strand for strand in fit if size <= self.ended.get(strand.id, size)]
        if not alive and (fit or size > self.ended.get(peer, size)):
            raise Disputed(tip.log, tip.size, "seen", "cites an entry that breaks a rule")
        return max(alive, key=lambda strand: strand.tip.size).id if alive else peer, size

    def _try_branches(
        self, tip: Tip, met: int, seen: list[tuple[int, int]], choices: list[list[Log]], heads: Hash
    ) -> tuple[Log, ...] | None:
        """The roster that `heads` is the hash of; of those that differ in the order of their slots alone, one."""
        fits: list[tuple[list[bytes], tuple[Log, ...]]] = []
        for chosen in islice(product(*choices), MAX_TRIES):
            roster, rows = self._spelled(tip, seen, list(chosen), len(tip.roster) + met)
            if heads_hash(rows) == heads and _all_differ(roster, rows):
                if all(len(found) == 1 for found in choices):
                    return roster
                fits.append((rows, roster))
        return min(fits, key=lambda fit: fit[0])[1] if fits else None

    def _spelled(
        self, tip: Tip, seen: list[tuple[int, int]], chosen: list[Log], count: int
    ) -> tuple[tuple[Log, ...], list[bytes]]:
        roster: list[Log] = [*tip.roster, *chosen[len(chosen) - count + len(tip.roster) :]]
        rows = [*tip.heads, *(b"" for _ in range(count - len(tip.roster)))]
        for (slot, size), log in zip(seen, chosen, strict=True):
            roster[slot] = log
            rows[slot] = log.head_at(size)
        return tuple(roster), rows


def _all_differ(roster: tuple[Log, ...], rows: list[bytes]) -> bool:
    """Whether slots of one peer are different branches, none of which contains another."""
    if len({log.peer for log in roster}) == len(roster):
        return True
    by_peer: dict[PeerId, list[tuple[Log, int]]] = {}
    for log, row in zip(roster, rows, strict=True):
        by_peer.setdefault(log.peer, []).append((log, int.from_bytes(row[32:40], "big")))
    return all(
        common(log, other) < min(size, upto)
        for branches in by_peer.values()
        for at, (log, size) in enumerate(branches)
        for other, upto in branches[:at]
    )
