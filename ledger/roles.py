"""Which kinds of entries somebody may write, by its standing in the entry's own past. What is not here is refused.

                                stranger  named  observer  relay  auditor  trainer  admin  out
    genesis, enrol                 x        x       x        x       x        x       x     x     (place: once, first)
    rotate, recover                x        x       x        x       x        x       x
    snapshot, accuse,
    final, anchor                                   x        x       x        x       x
    challenge                                       x        x       x        x       x     (if opened to it)
    verdict                                                          x        x       x
    data, update, opening                                                     x       x
    member                                  x                             guests      x
    policy, revoke                                                                    x

`named`: an admin of genesis whom nobody has let in yet. It may let in others, and itself: so a founder that is gone, or
unwilling, keeps no admin out. `out`: admins have revoked it in this past. `guests`: where genesis allows some; guests
themselves let nobody in (rules.py). A change of the own key is nobody's business but its owner's, and asks for no
member's rights: it may have to be written before its author has seen that it was let in.

Besides, whoever is not out may write data entries that say nothing, each introducing somebody (`is_silent`): one entry
introduces only so many peers, so who joins a large swarm has to write some before it has seen that it was let in. A
stranger's may stand at the first MAX_SILENT places of its log only.

Why it exists: one table that can be read, and that a test goes through cell by cell, instead of a look at roles in each
rule. Rules kept here: denied unless allowed; only the entry's own past counts, so everybody decides alike. The time is
what the author claims: the rule "expired" keeps the honest to what was agreed, and lets a liar be told by its claim
(docs/fold.md); whoever will not go when its time is over is for admins to revoke. It refuses to know what else the
entries of a kind must satisfy (rules.py).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from ledger.chain import InvalidEntry, Log, Tip
from ledger.charter import Charter
from ledger.entry import (
    FORMAT_VERSION,
    Accuse,
    Anchor,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Finality,
    Genesis,
    Member,
    Opening,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.wellformed import kind_of

STRANGER: Final = "stranger"
NAMED: Final = "named"
OUT: Final = "out"
MAX_SILENT: Final = 1024  # 262,144 peers, at 256 to an entry; or as many branches of logs that were signed twice

Kinds = frozenset[type]

ANYBODY: Final[Kinds] = frozenset({Genesis, Enrol})  # where they belong is for check_place
_STRANGER: Final[Kinds] = ANYBODY | {Rotate, Recover}
_MEMBER: Final[Kinds] = _STRANGER | {Snapshot, Accuse, Finality, Anchor, Challenge}
_AUDITOR: Final[Kinds] = _MEMBER | {Verdict}
_TRAINER: Final[Kinds] = _AUDITOR | {Data, Update, Opening}

MAY_WRITE: Final[dict[str, Kinds]] = {
    STRANGER: _STRANGER,
    NAMED: _STRANGER | {Member},
    "observer": _MEMBER,
    "relay": _MEMBER,
    "auditor": _AUDITOR,
    "trainer": _TRAINER,
    "admin": _TRAINER | {Member, PolicyChange, Revoke},
    OUT: ANYBODY,
}
WITH_GUESTS: Final[dict[str, Kinds]] = {"trainer": frozenset({Member})}  # besides, where genesis allows guests


def is_silent(entry: AnyEntry) -> bool:
    """Whether it is a data entry that says nothing but what its author has seen: no data, and nothing about them."""
    return isinstance(entry, Data) and replace(entry, **_CHAIN) == _NOTHING


def silent(**chain: Any) -> Data:
    """Such an entry."""
    return replace(_NOTHING, **chain)


def may_write(standing: str, kind: type, guests: int) -> bool:
    """Whether somebody of that standing may write entries of a kind, in a swarm with so many guests to a member."""
    return kind in MAY_WRITE[standing] or (guests > 0 and kind in WITH_GUESTS.get(standing, ()))


def standing_of(charter: Charter, tip: Tip, own: Log | None) -> str:
    """A role, or one of the words above: what the author of a log is in the past of its next entry."""
    seat = tip.admitted.get(tip.peer)
    if tip.revoked_from(tip.peer) is not None:
        return OUT
    if seat is not None:
        return seat.role
    return NAMED if own is not None and own.keys and own.enrol_key.hex() in charter.require().admins else STRANGER


def check_role(charter: Charter, tip: Tip, own: Log | None, entry: AnyEntry) -> None:
    """InvalidEntry if the author may not write this, or if its time was over."""
    kind = type(entry)
    if kind in ANYBODY:
        return
    seat = tip.admitted.get(tip.peer)
    if seat is None or tip.revoked or kind not in MAY_WRITE[seat.role]:  # nearly never
        standing = standing_of(charter, tip, own)
        if not may_write(standing, kind, charter.require().guests) and not _catches_up(tip, standing, entry):
            by = _BY.get(standing, f"by a peer that it has seen admitted as {standing}")
            raise InvalidEntry(tip.log, tip.size, "role", f"is of kind {kind_of(entry)}, {by}")
    if seat is not None and 0 < seat.expires <= entry.time:
        why = f"says that it was written at {entry.time}, and its author was a member until {seat.expires}"
        raise InvalidEntry(tip.log, tip.size, "expired", why)


def _catches_up(tip: Tip, standing: str, entry: AnyEntry) -> bool:
    """Whether an entry is there for what it introduces alone."""
    room = tip.size < MAX_SILENT or standing not in (STRANGER, NAMED)
    return standing != OUT and room and bool(entry.meets) and is_silent(entry)


_CHAIN: Final[dict[str, Any]] = {
    "v": FORMAT_VERSION, "swarm": "", "seq": 0, "prev": "", "time": 0, "meets": [], "seen": [], "heads": "",
}  # fmt: skip
_NOTHING: Final = Data(
    **_CHAIN, root=bytes(32).hex(), records=0, labels={}, duplicates=0, features="", zone="private", sources=[]
)
_BY: Final = {
    STRANGER: "by a peer that it has not seen admitted",
    NAMED: "by an admin that nobody has let in yet",
    OUT: "by a peer that it has seen admins revoke",
}
