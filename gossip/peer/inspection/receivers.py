"""Who looks at an entry: three members, the same three for all who know the same members and houses.

    receivers(author, seq, members)     the 3 with the smallest SHA-256(label || author || u64 seq || member)

Why three: if every member that receives an update said what it thinks of it, the ledger would grow with the square of
the swarm. The others look when one of the three has found something (concurring.py).

Why at most one of a house and the member whose house it is, and of the author's own nobody: they have one voice when
it is counted (ledger/condemned.py). Fifty guests among sixteen others would else be all three, nearly always, and say
nothing.

Why not the hash of the entry: its author chooses the bytes, and would try times and file names until three friends of
its own came out. Here it can only choose the place in its log, and each try is an entry that all can see.

It refuses to know what is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from ledger.entry import PeerId

RECEIVERS: Final = 3
RECEIVING: Final = ("trainer", "admin", "auditor")  # roles; relays and observers carry, and say nothing
NO_HOUSES: Final[Mapping[PeerId, PeerId]] = MappingProxyType({})
_LABEL: Final = b"gossip-receiver/1\n"


def receivers(
    author: PeerId, seq: int, members: Iterable[PeerId], houses: Mapping[PeerId, PeerId] = NO_HOUSES
) -> tuple[PeerId, ...]:
    """The members that look at entry `seq` of `author`, first choice first; never the author. `members` may receive;
    `houses` are those of the ones who do not stand alone."""
    prefix = _LABEL + bytes.fromhex(author) + seq.to_bytes(8, "big")

    def rank(member: PeerId) -> bytes:
        return sha256(prefix + bytes.fromhex(member)).digest()

    found: list[PeerId] = []
    taken = {houses.get(author, author)}
    for member in sorted((member for member in members if member != author), key=rank):
        house = houses.get(member, member)
        if house not in taken:
            found.append(member)
            taken.add(house)
        if len(found) == RECEIVERS:
            break
    return tuple(found)


def is_receiver(
    peer: PeerId, author: PeerId, seq: int, members: Iterable[PeerId],
    is_able: Callable[[PeerId], bool] = lambda member: True,
    house_of: Callable[[PeerId], PeerId] = lambda member: member,
) -> bool:  # fmt: skip
    """Whether a member, who is able, is one of the `receivers` among those `members` who are. It looks only until three
    come before it: of a thousand members at twenty or so, where all three take a thousand."""
    prefix = _LABEL + bytes.fromhex(author) + seq.to_bytes(8, "big")
    authors, own = house_of(author), house_of(peer)
    if peer == author or own == authors:
        return False
    place = sha256(prefix + bytes.fromhex(peer)).digest()
    before: set[PeerId] = set()  # houses; counted, never iterated
    for member in members:
        if member in (peer, author) or sha256(prefix + bytes.fromhex(member)).digest() > place:
            continue
        house = house_of(member)
        if house == authors or not is_able(member):
            continue
        before.add(house)
        if house == own or len(before) == RECEIVERS:
            return False
    return True
