"""What members tell one another beyond their network: that there is something new here, in a line of JSON.

    {"digest":"8f1c0b63d2a94e57","entries":4711,"size":31}

`size` is the length of the author's own log, `entries` that of all logs it holds, `digest` stands for which these are:
whoever holds the same has the same digest. It proves nothing and moves nothing: a member with another digest, and no
link to the author, may want one. The carrier has proven who says it (gossip/wide).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from gossip.transport.road import MAX_ANNOUNCEMENT_BYTES
from ledger import canonical
from ledger.chain import MAX_LOG_SIZE, LogId
from ledger.errors import RemoteError

MAX_BYTES: Final = MAX_ANNOUNCEMENT_BYTES
DIGEST_BYTES: Final = 8  # two who hold different entries are taken for equal once in 2^64, until the next entry
_DOMAIN: Final = b"gossip/heads/1\n"


class Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One, as it is spelled."""

    size: int
    entries: int
    digest: str


def announcement(own: int, heads: Mapping[LogId, int]) -> bytes:
    """Of a peer whose own log is so long, and which holds these."""
    return canonical.encode(Announcement(own, sum(heads.values()), digest_of(heads)))


def digest_of(heads: Mapping[LogId, int]) -> str:
    """What stands for holding just that much of each log."""
    lines = "".join(f"{log} {size}\n" for log, size in sorted(heads.items()))
    return hashlib.sha256(_DOMAIN + lines.encode("ascii")).hexdigest()[: 2 * DIGEST_BYTES]


def read(data: bytes) -> Announcement:
    """RemoteError: no announcement."""
    said = canonical.decode(data, Announcement, limit=MAX_BYTES, what="the announcement")
    if not (0 <= said.size <= MAX_LOG_SIZE and 0 <= said.entries < 1 << 53):
        raise RemoteError("an announcement of no possible size")
    if len(said.digest) != 2 * DIGEST_BYTES or set(said.digest) - set("0123456789abcdef"):
        raise RemoteError("an announcement without a digest")
    return said
