"""What one peer may cost us, in one account, and it is charged before the work.

    frames, bytes that we did not ask for, signatures to check ---> empty: RemoteError, its link ends
    bytes that it asks for ---------------------------------------> empty: it is not given any, for now
           ^-- each fills again with time (gossip/limits.py says how fast)

One account a peer, by its id, or by its key as long as it is no member: it survives the link, so whoever dials again
finds it as empty as it was left. A guest's is smaller. What brings something that we asked for is given back, so a fast
honest sender never runs dry; what is left are questions, announcements and answers that nobody asked for.

Rules kept here: a list of logs costs one frame more for each COUNTED_BYTES of it (looking at 1,489 logs is work), a
question about what an entry cites TRACE_FRAMES, a wrong signature WRONG_SIGNATURE. What waits in memory has bounds of
its own beside the code that holds it, all of them in the same Limits; what is kept is disk.py's. It refuses to know
what frames mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gossip.bucket import Bucket
from gossip.limits import Limits
from gossip.wire.frames import BUNDLED_TAG, HAVE_TAG, TALLY_TAG, TRACE_TAG
from ledger.errors import RemoteError

COUNTED_BYTES: Final = 1024  # of a Have, a Tally or a Bundled: 28 logs
TRACE_FRAMES: Final = 4  # an entry can cite 65,536 logs, whose roots are looked up
WRONG_SIGNATURE: Final = 20  # an honest peer may pass on a few, while the news of a changed key still travels
MAX_ACCOUNTS: Final = 4096  # kept after the link; one that is full again is as good as a new one, and goes first


class Quota:
    """The account of one peer."""

    __slots__ = ("_frames", "_limits", "_now", "_served", "_signatures", "_unasked")

    def __init__(self, limits: Limits, now: float, *, is_guest: bool = False) -> None:
        part = limits.guest_percent / 100 if is_guest else 1.0
        self._limits = limits
        self._now = now
        self._frames = Bucket.full(part * limits.frames_burst, part * limits.frames_per_s, now)
        self._unasked = Bucket.full(part * limits.unasked_bytes, part * limits.unasked_bytes_per_s, now)
        self._signatures = Bucket.full(part * limits.signatures_burst, part * limits.signatures_per_s, now)
        self._served = Bucket.full(part * limits.served_bytes, part * limits.served_bytes_per_s, now)

    def __iter__(self) -> Iterator[Bucket]:
        return iter((self._frames, self._unasked, self._signatures, self._served))

    def admitted(self) -> Quota:
        """The same account, as a member has it: what was used stays used."""
        member = Quota(self._limits, self._now)
        for bucket, old in zip(member, self, strict=True):
            bucket.left -= old.size - old.at(self._now)
        return member

    def is_full(self, now: float) -> bool:
        """Whether nothing that was used is still missing."""
        return all(bucket.at(now) >= bucket.size for bucket in self)

    # -------------------------------------------------------------- what it sends

    def arrived(self, message: bytes, now: float) -> None:
        """A message came, of which only the length and the first byte are looked at. RemoteError if it is too much."""
        self._now = max(now, self._now)
        if not self._frames.take(_price(message), self._now):
            raise RemoteError(
                "a peer sends too many messages", why=f"more than {self._frames.per_s:.0f} in a second, for long"
            )
        if not self._unasked.take(len(message), self._now):
            raise RemoteError(
                "a peer sends too much that nobody asked for",
                why=f"more than {self._unasked.per_s:.0f} bytes in a second, for long",
            )

    def was_of_use(self, message: bytes, signatures: int = 0) -> None:
        """It brought something that we asked for, under so many signatures."""
        self._signatures.give(signatures)
        self._frames.give(_price(message))
        self._unasked.give(len(message))

    def signatures(self, count: int) -> None:
        """So many signatures are to be checked for it now. RemoteError if that is too much."""
        if not self._signatures.take(count, self._now):
            raise RemoteError(
                "a peer sends too many signatures", why=f"more than {self._signatures.per_s:.0f} in a second, for long"
            )

    def affords(self, count: int, now: float) -> bool:
        """Whether so many could be checked, all of them wrong."""
        self._now = max(now, self._now)
        return self._signatures.at(self._now) >= count * (1 + WRONG_SIGNATURE)

    # -------------------------------------------------------------- what it takes

    def serve(self, size_bytes: int) -> bool:
        """Whether it may be given so much now; then it is counted."""
        return self._served.take(min(size_bytes, self._served.size), self._now)


class Quotas:
    """The accounts of all peers, by id or key."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._accounts: dict[str, Quota] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, name: str, now: float, *, is_guest: bool) -> Quota:
        """The account of a peer, `name` being its id or, of a guest, its key in hex."""
        found = self._accounts.get(name)
        if found is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._make_room(now)
            found = self._accounts[name] = Quota(self.limits, now, is_guest=is_guest)
        return found

    def admit(self, key: str, peer: str, now: float) -> Quota:
        """A guest has become a member: its account goes with it."""
        guest = self._accounts.pop(key, None)
        if guest is not None and peer not in self._accounts:
            self._accounts[peer] = guest.admitted()
        return self.of(peer, now, is_guest=False)

    def _make_room(self, now: float) -> None:
        for name in [name for name, account in self._accounts.items() if account.is_full(now)]:
            del self._accounts[name]
        if len(self._accounts) >= MAX_ACCOUNTS:  # all in use: the fullest is missed least
            fullest = max(self._accounts, key=lambda name: min(b.left / b.size for b in self._accounts[name]))
            del self._accounts[fullest]


def _price(message: bytes) -> int:
    """In frames."""
    tag = message[:1]
    if tag == TRACE_TAG:
        return TRACE_FRAMES
    return 1 + (len(message) // COUNTED_BYTES if tag in (HAVE_TAG, TALLY_TAG, BUNDLED_TAG) else 0)
