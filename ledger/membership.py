"""What a past says of a member: in which role, until when, and who answers for it.

    anna, admin  --member--> bert, trainer       stands alone
    bert         --member--> cleo, observer      of bert's house; and so is whoever cleo lets in

Why it exists: several entries may admit one peer (two admins at once, a renewal, an admin's word in place of a
sponsor's), and everybody who holds them must read the same out of them, in whatever order they came.

Rules kept here: of what was said the best role counts, the latest expiry (never is later than any), and no house before
any other. So joining is commutative, associative and idempotent, and what a member has it does not lose by another's
word: taking away is what `revoke` entries are for. It refuses to know who may say so (rules.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.entry import PeerId

RANK: Final = ("admin", "trainer", "relay", "auditor", "observer")  # the first of what was said counts
TRAINING_ROLES: Final = ("trainer", "admin")


class Admission(NamedTuple):
    """One `member` entry of a log."""

    seq: int
    peer: PeerId
    role: str
    expires: int  # Unix time; 0: never
    house: PeerId  # the member who answers for the peer; "": an admin let it in, so it stands alone


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
        return Membership(
            min(self.role, other.role, key=RANK.index),
            max(self.expires, other.expires) if self.expires and other.expires else 0,
            min(self.house, other.house),
        )
