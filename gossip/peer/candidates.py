"""Which of the addresses that a peer has heard of are worth keeping.

Hints cost their inventor nothing: a key that nobody knows, a known key at a false address, an invented key at a true
one. So what has answered stays, and what is said of members goes before what is said of strangers. Of the strangers a
random one makes room: whoever invents them must not be able to choose which, for among them may be a member
of whom we have not heard yet. Of one key HINTED_PLACES are kept.

Pure functions over the table that links.py owns. They refuse to know time and links.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from gossip.peer.luck import Luck

HINTED_PLACES: Final = 4  # of one key, by hints alone; more are inventions, or have moved

IsMembers = Callable[[bytes | None], bool]


@dataclass(slots=True)
class Candidate:
    """An address where a member may listen."""

    host: str
    port: int
    key: bytes | None  # as hinted; checked by the transport when we dial
    given: bool  # by the user or an invite: dialled even if we know no member with that key
    due: float
    failures: int = 0
    dialling_since: float | None = None
    led_to: bytes | None = None  # the key that answered there last
    moves: int = 0  # dials still allowed to see whether a peer that we have a link to now stands here


def is_worth_more(known: Candidate, key: bytes | None, is_members: IsMembers) -> bool:
    """Whether a hint of another `key` at a known place is not believed: that place has answered, or is a member's."""
    if known.led_to is not None and not known.failures:
        return True
    return is_members(known.key) and not (known.failures and is_members(key))


@dataclass(frozen=True, slots=True)
class Room:
    """Whether one more may be kept, and who has to go for it."""

    is_there: bool
    goes: Candidate | None = None


def room_of(candidates: Collection[Candidate], key: bytes | None) -> Room:
    """For one more hinted place of `key`: in place of the one that failed most, if it has enough."""
    hinted = [c for c in candidates if c.key == key and not c.given]
    if len(hinted) < HINTED_PLACES:
        return Room(True)
    return _of_most_failed([c for c in hinted if c.failures and _may_go(c)])


def room_among(
    candidates: Collection[Candidate], key: bytes | None, given: bool, is_members: IsMembers, luck: Luck
) -> Room:
    """When all places are taken: a stranger's; else, for what is given or a member's, that of a failure."""
    spare = [c for c in candidates if not c.given and _may_go(c)]
    strangers = [c for c in spare if not is_members(c.key)]
    if strangers:
        return Room(True, luck.choice(strangers))
    return _of_most_failed([c for c in spare if given or (c.failures and is_members(key))])


def _may_go(candidate: Candidate) -> bool:
    return candidate.led_to is None and candidate.dialling_since is None


def _of_most_failed(candidates: list[Candidate]) -> Room:
    if not candidates:
        return Room(False)
    return Room(True, max(candidates, key=lambda c: (c.failures, c.host, c.port)))
