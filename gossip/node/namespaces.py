"""Where the members of a swarm meet beyond one network: namespaces, each out of a secret that members alone know.

    secret 32 --SHA-256("gossip/namespace/1\\n" || secret)--> namespace 32      DHT key and topic, gossip/wide
    kept in the store:  newest 32 | before 32 (or zeros) | until u64 LE         "before" is looked up until then

Who publishes does so in the newest alone; both are looked up, since a member who was away when an admin made another
secret is still published in the one before. A joiner looks up what its invite names, and publishes nowhere.

Values only: it refuses to know clocks, stores and libp2p.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

SECRET_BYTES: Final = 32
BEFORE_S: Final = 7 * 86_400  # how long a member may be away and still be found by those who were there
_DOMAIN: Final = b"gossip/namespace/1\n"
_NONE: Final = bytes(SECRET_BYTES)


def namespace_of(secret: bytes) -> bytes:
    """What can be shown to a DHT: it says nothing of the secret, and nothing of the swarm's name."""
    return hashlib.sha256(_DOMAIN + secret).digest()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The newest secret that this peer knows, and the one before while it is still looked up; b"": none."""

    newest: bytes = b""
    before: bytes = b""
    until: int = 0  # Unix seconds, of `before`

    @classmethod
    def kept(cls, data: bytes | None) -> Secrets:
        """As the store has it; nothing, if what is there is none."""
        if data is None or len(data) != 2 * SECRET_BYTES + 8:
            return cls()
        newest, before = data[:SECRET_BYTES], data[SECRET_BYTES : 2 * SECRET_BYTES]
        until = int.from_bytes(data[2 * SECRET_BYTES :], "little")
        return cls(newest, b"" if before == _NONE else before, until)

    @property
    def data(self) -> bytes:
        """For the store."""
        return self.newest + (self.before or _NONE) + self.until.to_bytes(8, "little")

    def follow(self, newest: bytes, now: float) -> Secrets:
        """The same once `newest` is in force, and once the time of the one before is over."""
        if newest and newest != self.newest:
            return Secrets(newest, self.newest, int(now) + BEFORE_S if self.newest else 0)
        if self.before and now >= self.until:
            return Secrets(self.newest)
        return self

    def meeting(self, invited: bytes, *, is_member: bool) -> tuple[tuple[bytes, ...], int]:
        """The namespaces to look up, the newest first, and in how many of them, from the first on, to publish.

        `invited`: the secret of the invite that this peer comes with, if it is no member yet.
        """
        known = [self.newest, self.before] if is_member else [invited, self.newest, self.before]
        found = tuple(dict.fromkeys(namespace_of(secret) for secret in known if secret))
        return found, int(is_member and bool(self.newest))
