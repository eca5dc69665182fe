"""What is made of the answers of DHT servers: who is passed on, and when to ask again.

    answers of all servers --mixed--> (PeerId, addresses), one of each server in turn --Hints--> `found`

Anybody may run a server, and whoever knows the namespace may be in its records; so all of it is hints. A server's share
is what it says in its turn: SHARE peers a lookup, drawn at random from its answer, so one that names thousands hides
nobody whom another names; and of one peer whom several name, an address of each in turn, so one that names it at false
places hides none of the true ones. Known keys always pass and strangers at a pace (gossip/transport/hints.py, which
mDNS uses alike); a key that nobody can be (not Ed25519) never does.

Asking costs bytes, and each lookup pays for the pause behind it. Pure: luck and times come as arguments.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final, TypeVar

from gossip.peer_ids import base58, key_of
from gossip.wide.addresses import Near, worth_dialling
from gossip.wide.kad import Said
from ledger.errors import LocalError

T = TypeVar("T", bound=Hashable)
SHARE: Final = 64  # of one server's answer: three times what servers keep of a key
FIRST_S: Final = 0.3  # so that what is known at the start is known to all
SOON_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # while nobody was found
LATER_S: Final = 60.0
LATEST_S: Final = 600.0
BYTES_PER_S: Final = 100.0  # what lookups may cost in the long run; the whole of libp2p has 1,000
JITTER: Final = 0.25


def mixed(answers: Sequence[Sequence[Said]], luck: random.Random) -> Iterator[Said]:
    """At most SHARE peers of each answer, one of each in turn, and none twice: with what all answers say of it."""
    once = [{said.id: said for said in reversed(answer)} for answer in answers]
    shares = [luck.sample(list(answer), min(SHARE, len(answer))) for answer in once]
    seen: set[bytes] = set()
    for turn in zip_longest(*shares):
        for who in turn:
            if who is not None and who not in seen:
                seen.add(who)
                yield Said(who, tuple(in_turns([answer[who].addresses for answer in once if who in answer])))


def in_turns(lists: Iterable[Sequence[T]]) -> Iterator[T]:
    """The first of each, the second of each, and so on; none twice."""
    left = [list(reversed(each)) for each in lists]
    seen: set[T] = set()
    while left := [each for each in left if each]:
        for each in left:
            if (one := each.pop()) not in seen:
                seen.add(one)
                yield one


def read_hint(said: Said, near: Near) -> tuple[bytes, list[str]] | None:
    """The key of a peer, and where it may be dialled; None: it cannot be one of ours."""
    peer_id = base58(said.id)
    try:
        key = key_of(peer_id)
    except LocalError:
        return None
    return key, worth_dialling(said.addresses, peer_id, near)


def pause(tries: int, found: bool, cost_bytes: int, luck: random.Random) -> float:
    """Seconds until the next lookup, after so many that found nobody, or one that found somebody."""
    if found:
        seconds = min(max(LATER_S, cost_bytes / BYTES_PER_S), LATEST_S)
    else:
        seconds = SOON_S[min(tries, len(SOON_S) - 1)]
        if tries >= len(SOON_S):
            seconds = min(max(seconds, cost_bytes / BYTES_PER_S), LATEST_S)
    return seconds * (1 + luck.uniform(-JITTER, JITTER))
