"""Who is a member: one row for each peer that ever asked to be, as everything admitted now says it.

    ann     admin     founder                          member
    bert    trainer   let in by ann                    revoked from entry 40 on, by ann and dora
    cleo    observer  let in by bert, of bert's house  expired
    dirk                                               waiting: has enrolled, and nobody has let it in

Why it exists: what is said of a peer lies scattered over the logs of those who said it; people want one list.

Rules kept here: rows follow from the entries admitted and from `now`, which is compared with ends of memberships and
with nothing else; names are as peers wrote them, to be cleaned by who shows them. It refuses to know links and screens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ledger.chain import Log
from ledger.entry import Enrol, PeerId
from ledger.known import Known
from ledger.membership import RANK, Membership, Word

State = Literal["member", "waiting", "expired", "revoked"]

ORDER: Final[tuple[State, ...]] = ("member", "waiting", "expired", "revoked")


@dataclass(frozen=True, slots=True)
class LetIn:
    """One entry that says so."""

    by: PeerId
    seq: int  # in the log of who said it
    time: int  # claimed, Unix seconds
    role: str
    expires: int


@dataclass(frozen=True, slots=True)
class WantsOut:
    """What one admin says."""

    by: PeerId  # "" if its log is not held
    key: str  # of its enrolment
    since: int  # index in the row's log


@dataclass(frozen=True, slots=True)
class Row:
    """One peer."""

    peer: PeerId
    name: str  # its own choice
    key: str  # in force, hex
    enrol_key: str  # by which genesis names admins and witnesses
    role: str  # "" of who waits
    expires: int  # Unix seconds; 0: never
    house: PeerId  # who answers for it; "": it stands alone
    state: State
    let_in: tuple[LetIn, ...]  # the earliest first; none of who waits
    since: int | None  # the claimed time of the first of them
    size: int  # entries held of its log
    revoked_from: int | None  # nothing from that index on counts
    wants_out: tuple[WantsOut, ...]  # admins, also where too few of them do
    missing: int  # more admins that have to say so before it is out; 0 where nobody does, or enough do


def roster(known: Known, now: int) -> list[Row]:
    """Everybody: members by rank and name, then who waits, those whose time is over, and those who are out."""
    logs = known.branches.logs
    trunks = [log for log in logs.values() if log.keys and log.id == log.peer]
    by_key = {log.enrol_key.hex(): log.peer for log in trunks}
    seats: dict[PeerId, Membership] = {}
    said: dict[PeerId, set[LetIn]] = {}
    words: dict[PeerId, set[Word]] = {}
    for log in logs.values():
        for admission in log.admissions:
            seats[admission.peer] = Membership.of(admission).join(seats.get(admission.peer))
            entry = LetIn(log.peer, admission.seq, _time(known, log, admission.seq), admission.role, admission.expires)
            said.setdefault(admission.peer, set()).add(entry)
        for _, peer, word in log.revokes:
            words.setdefault(peer, set()).add(word)
    rows = [_row(known, log, seats.get(log.peer), said, words, by_key, now) for log in trunks]
    return sorted(rows, key=lambda row: (ORDER.index(row.state), *_rank(row), row.name, row.peer))


def _rank(row: Row) -> tuple[int]:
    return (RANK.index(row.role) if row.role else len(RANK),)


def _row(
    known: Known, log: Log, seat: Membership | None, said: dict[PeerId, set[LetIn]], words: dict[PeerId, set[Word]],
    by_key: dict[str, PeerId], now: int,
) -> Row:  # fmt: skip
    peer = log.peer
    let_in = tuple(sorted(said.get(peer, ()), key=lambda one: (one.time, one.by, one.seq)))
    lowest: dict[str, int] = {}
    for word in words.get(peer, ()):
        lowest[word.admin] = min(word.since, lowest.get(word.admin, word.since))
    out = known.revoked_from(peer)
    return Row(
        peer=peer, name=_name(known, log), key=known.key_of(peer).hex(), enrol_key=log.enrol_key.hex(),
        role=seat.role if seat else "", expires=seat.expires if seat else 0, house=seat.house if seat else "",
        state=_state(seat, out, now), let_in=let_in, since=let_in[0].time if let_in else None, size=log.tip.size,
        revoked_from=out,
        wants_out=tuple(WantsOut(by_key.get(key, ""), key, since) for key, since in sorted(lowest.items())),
        missing=max(0, known.genesis.threshold - len(lowest)) if lowest and out is None else 0,
    )  # fmt: skip


def _state(seat: Membership | None, out: int | None, now: int) -> State:
    if seat is None:
        return "waiting"
    if out is not None:
        return "revoked"
    return "expired" if seat.has_expired(now) else "member"


def _name(known: Known, log: Log) -> str:
    first = (known.entry(log.id, seq) for seq in range(min(2, log.tip.size)))  # (the founder's enrolment is entry 1)
    return next((entry.name for entry in first if isinstance(entry, Enrol)), "")


def _time(known: Known, log: Log, seq: int) -> int:
    return known.entry(log.id, seq).time
