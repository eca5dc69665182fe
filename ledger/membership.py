"""What a past says of a member: in which role, until when, who answers for it, and whether it is out.

    anna, admin  --member--> bert, trainer       stands alone
    bert         --member--> cleo, observer      bert's guest: of bert's house. Guests let nobody in
    anna, dora   --revoke--> bert, from 40, 52   threshold 2: from 52 on, what bert wrote does not count

Why it exists: several entries may admit one peer (two admins at once, a renewal, an admin's word in place of a
sponsor's), and everybody who holds them must read the same out of them, in whatever order they came.

Rules kept here:
- An admin's word stands in place of what sponsors say. Otherwise a sponsor could make trainers, who stand alone, out
  of the observers that an admin let in, or let somebody stay for ever whom an admin let in for a month.
- Of what was said by admins (or by sponsors, if no admin said anything) the best role counts, the latest expiry (never
  is later than any), and the lowest house. So joining is commutative, associative and idempotent.
- Of each admin who wants a member out, the lowest index counts; and of these, sorted, the one at which as many have
  spoken as the threshold asks for. So more words only lower it, and nothing raises it again.
- All guests of a house are let in by entries of one log. So nobody of them can hide how many they are, and the limit
  is exact: were guests to let in others, each could do so in a past that lacks what the others did.
It refuses to know who may say so (rules.py), and what follows for what a member wrote (standing.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.entry import PeerId

RANK: Final = ("admin", "trainer", "relay", "auditor", "observer")  # the first of what was said counts
TRAINING_ROLES: Final = ("trainer", "admin")
GUEST_ROLES: Final = ("trainer", "observer", "relay")  # what somebody may be whom a trainer lets in


class Admission(NamedTuple):
    """One `member` entry of a log."""

    seq: int
    peer: PeerId
    role: str
    expires: int  # Unix time; 0: never
    house: PeerId  # the member who answers for the peer; "": an admin let it in, so it stands alone


class Word(NamedTuple):
    """That one admin wants a member out."""

    admin: str  # the key of its enrolment, hex
    since: int  # index in the member's log
    needed: int  # of how many admins, by genesis


@dataclass(frozen=True, slots=True)
class Membership:
    """What a past says of a member."""

    role: str
    expires: int = 0
    house: PeerId = ""

    @property
    def trains(self) -> bool:
        return self.role in TRAINING_ROLES

    @classmethod
    def of(cls, admission: Admission) -> Membership:
        return cls(admission.role, admission.expires, admission.house)

    def join(self, other: Membership | None) -> Membership:
        """What both together say."""
        if other is None or other == self:
            return self
        if bool(self.house) is not bool(other.house):
            return other if self.house else self
        return Membership(
            min(self.role, other.role, key=RANK.index),
            max(self.expires, other.expires) if self.expires and other.expires else 0,
            min(self.house, other.house),
        )

    def has_expired(self, now: int) -> bool:
        """Whether it was over at that Unix time."""
        return 0 < self.expires <= now


def revoked_from(words: Iterable[Word]) -> int | None:
    """The index in a member's log from which nothing counts, by what admins say of it; None if too few of them do."""
    lowest: dict[str, int] = {}
    needed = 0
    for word in words:
        lowest[word.admin] = min(word.since, lowest.get(word.admin, word.since))
        needed = word.needed
    return sorted(lowest.values())[needed - 1] if len(lowest) >= needed > 0 else None


def guest_until(sponsor: Membership, wanted: int) -> int:
    """Until when somebody may stay whom a sponsor lets in: no longer than the sponsor itself."""
    return min(wanted, sponsor.expires) if wanted and sponsor.expires else wanted or sponsor.expires
