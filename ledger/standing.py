"""What stands: which updates of a past are in the sum, once forks, accusations, recoveries,
condemnations and finals are counted.

    past  --ranges-->  log -> the indices whose updates count  --terms-->  (log, seq, delta, weight)

    trunk  0 1 2 3 4 5        3 and 3' are two entries that one key signed at one index: neither branch counts
              `- 3'4'         from there on, unless a `final` had its snapshot hold them

Why it exists: the model is a function of the entries, so what leaves the sum must be one, too.

Rules kept here:
- Somebody signed an entry h for index k with key K. A branch that has another entry there is *convicted* at k if K
  is its own key from there on (the author signed both) or the one that it had promised as the next (its owner went
  on elsewhere). A thief with an old key convicts nobody who has rotated: it is neither.
- A branch counts up to the lowest index at which it is convicted: by another branch in the past, or by an accusation.
- A branch counts up to a data entry of which an accusation shows that its author opened it wrongly.
- A branch counts up to the index from which enough admins want its author out (membership.revoked_from).
- A recovery takes out the author's updates from `since` on, back to itself.
- What a quorum condemns in the past leaves the sum (condemned.py).
- What was in the sum of the past of a snapshot that a `final` names stays in the sum, whatever comes later, unless the
  author of the final is out from it, or from an earlier entry, on: such a final holds nothing.
Weights (`settle`) obey the first four of these, in the past of the update, where who is out trains no more; recoveries
and condemnations move none.

It refuses to know whether accusations are true (fork.py) and where entries come from; `past` is a version vector by
log, strands included, with every strand's parents at least up to its fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from ledger.chain import MAX_LOG_SIZE, Charge, FinalPast, Log, LogId, Ranges, Tip, common, lineage
from ledger.condemned import is_judged, struck
from ledger.entry import Hash, PeerId
from ledger.membership import Membership, Word, revoked_from
from ledger.ranges import between, difference, union
from ledger.tail import NeedsHistory

Term = tuple[LogId, int, Hash, int]  # log, seq, delta, weight
Branch = tuple[Log, int]  # a log, and how much of it a past holds

NEVER: Final = MAX_LOG_SIZE


def convicts(log: Log, index: int, leaf: bytes, key: bytes) -> bool:
    """Whether an entry `leaf` at `index`, signed with `key`, shows that this branch is not its author's only one.

    Without a key it shows that this very entry says what is not so: whichever branch holds it is void from there.
    """
    if not key:
        return leaf == log.tree.leaf(index)
    if leaf == log.tree.leaf(index):
        return False
    return key == log.held_at(index + 1).key or sha256(key).hexdigest() == log.held_at(index).promise


def void_from(branch: Branch, branches: Iterable[Branch], charges: Iterable[Charge], revoked: int | None = None) -> int:
    """The lowest index at which a branch is convicted in a past that holds these branches and charges, or from which
    its author is out; or NEVER."""
    log, size = branch
    lowest = NEVER if revoked is None or revoked >= size else revoked
    for charge in charges:
        index = charge.index
        if index < min(size, lowest) and any(convicts(log, index, leaf, key) for leaf, key in charge.halves):
            lowest = index
    for other, held in branches:
        index = common(log, other)
        if index < min(size, held, lowest):
            leaf, key = other.tree.leaf(index), other.held_at(index + 1).key
            if convicts(log, index, leaf, key):
                lowest = index
    return lowest


# ------------------------------------------------------------------ in weights


def settle(tip: Tip) -> Tip:
    """The tip with its trainers and their houses, and with the limits of those slots of which weights do not count
    everything."""
    by_peer: dict[PeerId, list[int]] = {}
    for slot in tip.order:
        by_peer.setdefault(tip.roster[slot].peer, []).append(slot)
    limits: dict[int, int] = {}
    trainers: list[int] = []
    for peer, slots in by_peer.items():
        best = slots[0]
        out = tip.revoked_from(peer)
        if len(slots) > 1 or peer in tip.charges or out is not None:
            branches = [(tip.roster[slot], tip.sizes[slot]) for slot in slots]
            for slot, branch in zip(slots, branches, strict=True):
                void = void_from(branch, branches, tip.charges.get(peer, ()), out)
                if void < branch[1]:
                    limits[slot] = void
            best = max(slots, key=lambda slot: limits.get(slot, tip.sizes[slot]))
        if peer in tip.admitted and tip.admitted[peer].trains and out is None:
            trainers.append(best)
    houses = tuple([tip.admitted[tip.roster[slot].peer].house for slot in trainers])
    return replace(tip, trainers=tuple(trainers), houses=houses if any(houses) else (), limits=MappingProxyType(limits))


def unviewed(tip: Tip, view: Mapping[int, int]) -> int:
    """The weights, summed, of the updates that count in a past but are outside the view."""
    passed = 0
    entangled: dict[PeerId, list[int]] = {}
    for slot, size in view.items():
        log = tip.roster[slot]
        if not tip.limits:
            passed += log.weight[tip.sizes[slot]] - log.weight[size]
        elif log.peer not in entangled:
            entangled[log.peer] = [at for at in tip.order if tip.roster[at].peer == log.peer]
    for slots in entangled.values():  # what counts of a log is one chain; of that any of its branches may show a part
        best = max(slots, key=lambda slot: tip.limits.get(slot, tip.sizes[slot]))
        chain, counted = tip.roster[best], tip.limits.get(best, tip.sizes[best])
        known = max(min(common(chain, tip.roster[slot]), view.get(slot, tip.sizes[slot])) for slot in slots)
        passed += chain.weight[counted] - chain.weight[min(known, counted)]
    return passed


def sharers(logs: Iterable[Log], log: Log, seq: int) -> int:
    """Among how many of its author's house what update `seq` of a log weighs was divided, the author included."""
    seats: dict[PeerId, Membership] = {}
    words: dict[PeerId, list[Word]] = {}
    for other in logs:
        size = log.seen_at(seq, other)
        for said in other.admissions:
            if said.seq < size:
                seats[said.peer] = Membership.of(said).join(seats.get(said.peer))
        for at, peer, word in other.revokes:
            if at < size:
                words.setdefault(peer, []).append(word)
    own = seats.get(log.peer)
    if own is None or not own.house:
        return 1
    mates = [peer for peer, seat in seats.items() if seat.trains and seat.house == own.house]
    return sum(revoked_from(words.get(peer, ())) is None for peer in mates)


# ------------------------------------------------------------------ in the sum


def cuts(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> dict[LogId, Ranges]:
    """What counts of those logs of which not everything does."""
    counted = counts(logs, past)
    gone = condemned_in(logs, past, counted)
    for name, ranges in gone.items():
        counted[name] = difference(ranges_of(logs[name], past[name], counted), ranges)
    return counted


def condemned_in(
    logs: Mapping[LogId, Log], past: Mapping[LogId, int], counted: Mapping[LogId, Ranges]
) -> dict[LogId, Ranges]:
    """Of those logs of which something is: ranges in which all updates that would count are condemned in this past."""
    judged = [logs[name] for name in past if is_judged(logs[name])]
    finals = finals_in(logs, past) if judged else []
    gone: dict[LogId, Ranges] = {}
    for log in judged:
        size = past[log.id]
        found = struck(log, size, past, difference(ranges_of(log, size, counted), held_by(finals, log)))
        if found:
            gone[log.id] = found
    return gone


def counts(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> dict[LogId, Ranges]:
    """The same, were nothing condemned."""
    charges: dict[PeerId, set[Charge]] = {}
    branches: dict[PeerId, list[Branch]] = {}
    suspects: set[PeerId] = set()
    recoveries: list[tuple[Log, int, int]] = []
    for name, size in past.items():
        log = logs[name]
        branches.setdefault(log.peer, []).append((log, size))
        if len(branches[log.peer]) > 1:
            suspects.add(log.peer)
        for seq, charge in log.charges:
            if seq < size:
                charges.setdefault(charge.peer, set()).add(charge)
        recoveries += [(log, since, seq) for seq, since in log.recovers if since < seq < size]
    out = out_in(logs, past)
    suspects.update(peer for peer in out if peer in branches)
    suspects.update(peer for peer in charges if peer in branches)
    suspects.update(log.peer for log, _, _ in recoveries)

    found: dict[LogId, Ranges] = {}
    for peer in sorted(suspects):
        for log, size in branches[peer]:
            void = void_from((log, size), branches[peer], charges.get(peer, ()), out.get(peer))
            found[log.id] = between(log.fork, min(size, void))
    for log, since, end in recoveries:
        for name, shared in lineage(log).items():
            if name in found:
                found[name] = difference(found[name], between(since, min(end, shared)))
    found = {name: ranges for name, ranges in found.items() if ranges != between(logs[name].fork, past[name])}
    return _protected(logs, past, found) if found else found


def _protected(logs: Mapping[LogId, Log], past: Mapping[LogId, int], found: dict[LogId, Ranges]) -> dict[LogId, Ranges]:
    """Put back what the finals of this past hold, or would if nothing were condemned."""
    finals = finals_in(logs, past)
    kept: dict[LogId, Ranges] = {}
    for name, ranges in found.items():
        log = logs[name]
        for author, final in finals:
            ranges = union(ranges, _in_final(author, final, log))
        if ranges != between(log.fork, past[name]):
            kept[name] = ranges
    return kept


def finals_in(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> list[tuple[Log, FinalPast]]:
    """The finals of a past that hold anything, and whose they are: what somebody wrote who was out by then holds
    nothing, or whoever keeps a final back could undo its revocation."""
    finals = [(logs[name], final) for name, size in past.items() for final in finals_at(logs[name], size)]
    if not finals:
        return []
    inner = _inner(logs, past)
    out = out_in(logs, past)
    return [(log, final) for log, final in finals if log.id not in inner and final.seq < out.get(log.peer, NEVER)]


def finals_at(log: Log, size: int) -> list[FinalPast]:
    """Those finals of a branch's first `size` entries that matter: if a snapshot has seen another, only its own."""
    held = [final for final in log.finals if final.seq < size]
    newest = max((final.snapshot for final in held), default=0)
    return [final for final in held if final.seq >= newest]


def _inner(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> set[LogId]:
    """The logs of which a past holds nothing beyond where another branch of theirs left them."""
    return {
        name
        for strand, size in past.items()
        if size > logs[strand].fork > 0
        for name, shared in lineage(logs[strand]).items()
        if name != strand and past.get(name, 0) <= shared
    }


def out_in(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> dict[PeerId, int]:
    """Who is out in a past, and from which index of its log on."""
    words: dict[PeerId, set[Word]] = {}
    for name, size in past.items():
        for seq, peer, word in logs[name].revokes:
            if seq < size:
                words.setdefault(peer, set()).add(word)
    found = ((peer, revoked_from(said)) for peer, said in words.items())
    return {peer: since for peer, since in found if since is not None}


def held_by(finals: Iterable[tuple[Log, FinalPast]], log: Log) -> Ranges:
    """Those of a log's own entries that counted in the past of the snapshot of one of them."""
    held: Ranges = ()
    for author, final in finals:
        held = union(held, difference(_in_final(author, final, log), final.condemned.get(log.id, ())))
    return held


def _in_final(author: Log, final: FinalPast, log: Log) -> Ranges:
    return final.cuts.get(log.id, between(log.fork, author.seen_at(final.snapshot, log)))


def ranges_of(log: Log, size: int, cut: Mapping[LogId, Ranges]) -> Ranges:
    """What counts of the first `size` entries of a log (of a strand: of those after its fork)."""
    return cut[log.id] if log.id in cut else between(log.fork, size)


def terms(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> Iterator[Term]:
    """Every update in the sum of a past, by log."""
    cut = cuts(logs, past)
    for name, size in past.items():
        yield from _terms(logs[name], ranges_of(logs[name], size, cut))


def change(
    logs: Mapping[LogId, Log], before: Mapping[LogId, int], after: Mapping[LogId, int]
) -> tuple[list[Term], list[Term]]:
    """The terms to take out of the sum of one past, and to put in, for that of another."""
    cut = cuts(logs, before), cuts(logs, after)
    removed: list[Term] = []
    added: list[Term] = []
    for name in {**before, **after}:
        log = logs[name]
        old, new = ranges_of(log, before.get(name, 0), cut[0]), ranges_of(log, after.get(name, 0), cut[1])
        removed += _terms(log, difference(old, new))
        added += _terms(log, difference(new, old))
    return removed, added


def count(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> int:
    """How many terms the sum of a past has."""
    cut = cuts(logs, past)
    total = 0
    for name, size in past.items():
        log = logs[name]
        total += sum(log.folded[end] - log.folded[begin] for begin, end in ranges_of(log, size, cut))
    return total


def left_out(logs: Mapping[LogId, Log], past: Mapping[LogId, int]) -> list[tuple[LogId, int]]:
    """Every update of a past that would be in its sum if the policy had let it in: log and index.

    Of a log that is held from a snapshot on only those after it.
    """
    cut = cuts(logs, past)
    return [
        (name, seq)
        for name, size in past.items()
        for begin, end in ranges_of(logs[name], size, cut)
        for seq in logs[name].refused
        if begin <= seq < end
    ]


def terms_in(log: Log, ranges: Ranges) -> list[Term]:
    """The updates of one log at these indices."""
    return list(_terms(log, ranges))


def _terms(log: Log, ranges: Ranges) -> Iterator[Term]:
    for begin, end in ranges:
        for number in range(log.folded[begin], log.folded[end]):
            seq = log.folded_at[number]
            yield log.id, seq, log.delta(number), log.weight[seq + 1] - log.weight[seq]


# ------------------------------------------------------------------ of logs that are not held from their beginning


def require_since(log: Log, index: int, cut: Mapping[LogId, Ranges]) -> None:
    """NeedsHistory if taking what counts from `index` on out of the sum takes updates that are not held."""
    if log.base is not None and index < log.base.upto:
        gone = difference(ranges_of(log, log.base.upto, cut), between(log.fork, index))
        if any(log.folded[min(end, log.base.upto)] > log.folded[begin] for begin, end in gone if begin < log.base.upto):
            raise NeedsHistory(log.id, f"updates from {index} on")


def require_difference(log: Log, old: Mapping[LogId, Ranges], new: Mapping[LogId, Ranges]) -> None:
    """NeedsHistory if updates that are not held count by one of these and not by the other."""
    if log.base is not None:
        upto = log.base.upto
        gone = difference(ranges_of(log, upto, old), ranges_of(log, upto, new))
        if any(log.folded[min(end, upto)] > log.folded[begin] for begin, end in gone if begin < upto):
            raise NeedsHistory(log.id, "updates that are condemned now")


def require_ranges(log: Log, more: Ranges, cut: Mapping[LogId, Ranges]) -> None:
    """NeedsHistory if putting these into the sum puts in updates that are not held."""
    if log.base is not None:
        for begin, _ in difference(more, ranges_of(log, log.tip.size, cut)):
            if begin < log.base.upto:
                raise NeedsHistory(log.id, f"updates from {begin} on")
