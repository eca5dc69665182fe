"""Where the members of a swarm meet beyond one network: namespaces, each out of a secret that members alone know.

    secret 32 --SHA-256("gossip/namespace/1\\n" || secret)--> namespace 32      DHT key and topic, gossip/wide
    kept in the store, the newest first:  secret 32 | since u64 LE | until u64 LE (0: the newest)

Who publishes does so in the newest alone. Whoever was away when admins made others still stands under the one that it
knows, so those before are looked up, too, for KEPT_S.
At most MOST are kept: the newest, the one before, and of the others those that were in force longest, for under these
most have gone away. So an admin that makes one each second pushes out its own.

A joiner looks up what its invite names, and publishes nowhere; a member looks there, too, if it knows nothing of it.
Values only: it refuses to know clocks, stores and libp2p.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

SECRET_BYTES: Final = 32
KEPT_S: Final = 90 * 86_400  # how long a member may be away and still be found by those who were there
MOST: Final = 8
_ROW: Final = SECRET_BYTES + 16
_DOMAIN: Final = b"gossip/namespace/1\n"


def namespace_of(secret: bytes) -> bytes:
    """What can be shown to a DHT: it says nothing of the secret, and nothing of the swarm's name."""
    return hashlib.sha256(_DOMAIN + secret).digest()


@dataclass(frozen=True, slots=True)
class Older:
    """One that was in force; times in Unix seconds."""

    secret: bytes
    since: int  # when it came into force, as far as this peer heard
    until: int  # when it is looked up no more

    @property
    def stood(self) -> int:
        """For how long it was in force."""
        return self.until - KEPT_S - self.since


@dataclass(frozen=True, slots=True)
class Secrets:
    """The newest secret that this peer knows, b"" for none, and those before that are still looked up."""

    newest: bytes = b""
    since: int = 0
    older: tuple[Older, ...] = ()  # the latest first

    @classmethod
    def kept(cls, data: bytes | None) -> Secrets:
        """As the store has it; nothing, if what is there is none."""
        if not data or len(data) % _ROW or len(data) > MOST * _ROW:
            return cls()
        first, *older = (_read(data[at : at + _ROW]) for at in range(0, len(data), _ROW))
        return cls(first.secret, first.since, tuple(older))

    @property
    def data(self) -> bytes:
        """For the store."""
        return b"".join(map(_write, (Older(self.newest, self.since, 0), *self.older)))

    def follow(self, newest: bytes, now: float) -> Secrets:
        """The same once `newest` is in force, and once the time of those before is over."""
        older = tuple(one for one in self.older if now < one.until)
        if not newest or newest == self.newest:
            return self if older == self.older else Secrets(self.newest, self.since, older)
        if self.newest:
            before = Older(self.newest, self.since, int(now) + KEPT_S)
            older = (before, *(one for one in older if one.secret not in (self.newest, newest)))
        if len(older) >= MOST:
            older = tuple(one for one in older if one is not min(older[1:], key=lambda one: (one.stood, one.until)))
        return Secrets(newest, int(now), older)

    def meeting(self, invited: bytes, *, is_member: bool) -> tuple[tuple[bytes, ...], int]:
        """The namespaces to look up, the most likely first, and in how many of them, from the first on, to publish.

        `invited`: the secret of the invite that this peer comes with.
        """
        older = [one.secret for one in self.older]
        known = [self.newest, *older] if not invited or invited in older else [self.newest, invited, *older]
        if not is_member:
            known = [invited, self.newest, *older]
        found = tuple(dict.fromkeys(namespace_of(secret) for secret in known if secret))
        return found, int(is_member and bool(self.newest))


def _read(row: bytes) -> Older:
    times = row[SECRET_BYTES:]
    return Older(row[:SECRET_BYTES], int.from_bytes(times[:8], "little"), int.from_bytes(times[8:], "little"))


def _write(one: Older) -> bytes:
    return one.secret + one.since.to_bytes(8, "little") + one.until.to_bytes(8, "little")
