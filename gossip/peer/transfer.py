"""One blob on its way: what is known of it, what has come, who is asked.

Rules kept here: what comes is kept in order and hashed as it comes, so that at the end of a long blob nothing stands
still; how long it is goes by those who agree. It refuses to know when to ask whom (blobs.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.events import LinkId
from gossip.wire.frames import PIECE_BYTES
from ledger.entry import Hash, PeerId

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

FIRST_WINDOW_BYTES: Final = 2 * PIECE_BYTES  # doubled with each that came whole: a slow line is not flooded


@dataclass(slots=True)
class Transfer:
    """One blob on its way."""

    hash: Hash
    limit: int  # bytes at most
    named: dict[tuple[PeerId, int], int]  # the entries (log, seq) that name it, and the bytes they say; 0: no word
    stated: int = 0  # bytes on which these entries, and who offers it, agree, else 0
    total: int = 0  # bytes, 0 while unknown
    alone: bool = False  # what several sent did not add up: from now on all of it from one
    parts: list[bytes] = field(default_factory=list)  # what has come, in order ...
    got: int = 0  # ... so many bytes ...
    digest: HASH = field(default_factory=sha256)  # ... and their hash
    whole: bytes = b""
    sources: list[LinkId] = field(default_factory=list)  # who sent what we have
    link: LinkId | None = None  # who is asked now
    asked_from: int = 0  # offset from which it is asked ...
    until: int = 0  # ... and up to which
    window: int = FIRST_WINDOW_BYTES
    heard_at: float = 0.0  # when it last came forward, or was asked for
    deadline: float = 0.0
    not_before: float = 0.0
    failed_on: list[LinkId] = field(default_factory=list)
    lacked_by: set[LinkId] = field(default_factory=set)  # who says not to have it; asked, never iterated
    offered: dict[LinkId, int] = field(default_factory=dict)  # links that offered it, and the bytes they say

    def agree(self) -> None:
        """How long it is, as far as all agree who have a word on it: entries that name it, and links that offer it. If
        they do not, whoever sends the blob says it, and its hash tells who was right."""
        said = {*self.named.values(), *self.offered.values()}
        self.stated = said.pop() if len(said) == 1 else 0
        if not self.got:
            self.total = self.stated

    def forget(self) -> None:
        """Begin again: what has come is not to be trusted."""
        self.total = self.stated
        self.parts.clear()
        self.got = 0
        self.digest = sha256()
        self.sources.clear()

    def add(self, data: bytes) -> None:
        self.parts.append(data)
        self.got += len(data)
        self.digest.update(data)
