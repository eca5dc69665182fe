"""What one peer may cost this one: plain values, each with its unit, its bounds and the reason for its default.

    # limits.toml, for `gossip run --limits limits.toml`
    frames_per_s = 400
    disk_bytes = 8_589_934_592

Why it exists: whoever runs a peer must be able to see, and to change, how much others can take of its machine. What is
not named in a file stays as it is here; docs/limits.md lists all of them, and a test holds that page to this one.

Rules kept here: a limit binds this peer alone and changes nothing that is true in the swarm; a name that is not here, a
value that is no whole number or out of its bounds is refused. It refuses to know who is charged for what
(gossip/peer/quota.py, gossip/peer/disk.py, gossip/transport/webrtc.py).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from ledger.errors import LocalError

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
MAX_FILE_BYTES: Final = 64 * KIB


@dataclass(frozen=True, slots=True)
class Bound:
    """What is said of one limit."""

    unit: str
    least: int
    most: int
    why: str


def _limit(default: int, unit: str, least: int, most: int, why: str) -> Any:
    return field(default=default, metadata={"bound": Bound(unit, least, most, why)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What others may cost. A guest (no member yet) gets `guest_percent` of what is marked "member" in its unit."""

    frames_burst: int = _limit(
        2000, "frames, member", 100, 1_000_000,
        "at once; a peer of a large swarm that catches up asks for some hundred logs",
    )  # fmt: skip
    frames_per_s: int = _limit(
        200, "frames a second, member", 10, 1_000_000,
        "beyond that; what brings something that we asked for is not counted, so an honest sender uses a few",
    )  # fmt: skip
    unasked_bytes: int = _limit(
        8 * MIB, "bytes, member", 256 * KIB, GIB,
        "at once, of what we did not ask for or have already; news of 4,096 logs are 180 KB, late answers some MB",
    )  # fmt: skip
    unasked_bytes_per_s: int = _limit(
        MIB, "bytes a second, member", 16 * KIB, GIB, "beyond that",
    )  # fmt: skip
    served_bytes: int = _limit(
        64 * MIB, "bytes, member", MIB, 64 * GIB,
        "given to it at once; then it hears that we do not hold what it asks for, and asks others, or again",
    )  # fmt: skip
    served_bytes_per_s: int = _limit(
        32 * MIB, "bytes a second, member", 64 * KIB, 64 * GIB,
        "beyond that; a third of what the faster transport can send, so that one peer never takes all of it",
    )  # fmt: skip
    signatures_burst: int = _limit(
        2000, "signatures, member", 100, 1_000_000,
        "that we check for it at once, each 0.1 ms; a wrong one counts as 20",
    )  # fmt: skip
    signatures_per_s: int = _limit(
        200, "signatures a second, member", 10, 1_000_000, "beyond that: 2% of one core",
    )  # fmt: skip
    guest_percent: int = _limit(
        25, "percent", 5, 100,
        "of a member's share, for who is let in but no member yet: enough to catch up in a minute",
    )  # fmt: skip
    outbox_bytes: int = _limit(
        8 * MIB, "bytes a link", MIB, GIB,
        "that wait for a peer to take them, before its link ends; an honest one has asked for 4 MiB at most",
    )  # fmt: skip
    held_log_bytes: int = _limit(
        256 * KIB, "bytes a log", 128 * KIB, GIB,
        "of entries that wait for their past, before more of that log is taken",
    )  # fmt: skip
    held_bytes: int = _limit(
        8 * MIB, "bytes a link", MIB, GIB, "of entries that wait, brought by it",
    )  # fmt: skip
    held_others_bytes: int = _limit(
        8 * MIB, "bytes in all", MIB, GIB,
        "of entries that wait, of logs of peers that are no members: anybody can begin one",
    )  # fmt: skip
    branch_bytes: int = _limit(
        8 * MIB, "bytes a link", 4 * KIB, GIB,
        "of branches of logs that were signed twice, asked of it, that are not yet seen to lead to what was cited",
    )  # fmt: skip
    transfers: int = _limit(
        64, "blobs in all", 8, 4096, "fetched side by side; each holds what has come of it",
    )  # fmt: skip
    transfers_link: int = _limit(
        8, "blobs a link", 1, 1024, "fetched from one link side by side: 2 to 3 MiB in flight fill a fast one",
    )  # fmt: skip
    blobs_waiting_bytes: int = _limit(
        64 * MIB, "bytes in all", MIB, 64 * GIB,
        "of blobs fetched before their entry's turn; beyond, only what is next",
    )  # fmt: skip
    blobs_waiting_peer_bytes: int = _limit(
        4 * MIB, "bytes", 64 * KIB, 64 * GIB, "of these, named by entries of one peer: some 800 usual updates",
    )  # fmt: skip
    claims: int = _limit(
        8192, "logs a link", 64, 1_000_000, "that it may speak of: twice the largest swarm",
    )  # fmt: skip
    disk_bytes: int = _limit(
        4 * GIB, "bytes a peer", 64 * KIB, 1 << 50,
        "of its entries and their blobs that are kept, and of what it alone cites; 5 KB an update: 800,000 of them, "
        "a year and a half at one a minute",
    )  # fmt: skip
    links: int = _limit(
        32, "links in all", 2, 4096, "beyond, a newcomer is turned away and finds somebody else",
    )  # fmt: skip
    candidates: int = _limit(
        256, "addresses in all", 8, 1_000_000, "that were heard of and may be dialled; what works is never pushed out",
    )  # fmt: skip
    connections: int = _limit(
        64, "connections in all", 4, 65_536, "to the signalling port, strangers' included",
    )  # fmt: skip
    connections_host: int = _limit(
        16, "connections an address", 1, 65_536, "so that it takes several addresses to keep everybody out",
    )  # fmt: skip
    handshakes_open: int = _limit(
        32, "handshakes in all", 2, 4096,
        "under way, each for 10 s at most; guests together hold `guest_percent` of them",
    )  # fmt: skip
    handshakes_burst: int = _limit(
        32, "handshakes a key", 2, 100_000,
        "answered at once; a peer that loses its links dials again every other second",
    )  # fmt: skip
    handshakes_per_min: int = _limit(
        30, "handshakes a minute and key", 1, 100_000,
        "beyond that; each costs some 10 ms of CPU and 1 MB for a moment",
    )  # fmt: skip
    offers_burst: int = _limit(
        400, "offers an address", 16, 1_000_000, "read at once from one address; 64 peers may share one",
    )  # fmt: skip
    offers_per_min: int = _limit(
        1200, "offers a minute and address", 1, 10_000_000,
        "beyond that; each costs a signature to check, 0.3 ms in all",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, bound in bounds().items():
            value = getattr(self, name)
            if type(value) is not int or not bound.least <= value <= bound.most:
                raise LocalError(
                    f"{name} = {_shown(value)} is no limit",
                    why=f"it counts {bound.unit}, from {bound.least} to {bound.most}",
                    next_step="write the number without quotes" if isinstance(value, str) else "see docs/limits.md",
                )  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> Limits:
        """Limits as a TOML file names them; the others keep their defaults. LocalError says what is wrong."""
        try:
            said = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # TOMLDecodeError is one; a number of 5,000 digits is another
            raise LocalError("these limits are no TOML", why=str(error), next_step="see docs/limits.md") from None
        known = bounds()
        for name, value in said.items():
            if isinstance(value, dict) and name not in known:
                raise LocalError(
                    f"limits stand in no section, and [{name[:40]}] is one", why="the file is all about limits",
                    next_step="leave that line out, and write: NAME = NUMBER",
                )  # fmt: skip
            if name not in known:
                close = get_close_matches(name, known, 1)
                raise LocalError(
                    f"there is no limit called {name[:40]!r}", why="what is misspelt would bind nobody",
                    next_step=f"did you mean {close[0]}?" if close else "docs/limits.md has all of them",
                )  # fmt: skip
        return cls(**said)

    @classmethod
    def read(cls, path: Path) -> Limits:
        """Those of a file."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise LocalError(f"{path} is too long to be a file of limits", why=f"at most {MAX_FILE_BYTES} bytes")
            return cls.parse(data.decode())
        except OSError as error:
            raise LocalError(f"cannot read {path}", why=error.strerror or str(error)) from None
        except UnicodeDecodeError:
            raise LocalError(f"{path} is not UTF-8") from None


def _shown(value: object) -> str:
    """A value in an error. (Python prints no integer of more than 4,300 digits, and 0xfff... may have more.)"""
    return f"a number of {value.bit_length()} bits" if isinstance(value, int) and value >> 64 else repr(value)[:80]


def bounds() -> dict[str, Bound]:
    """What is said of each limit, by name."""
    return {one.name: one.metadata["bound"] for one in fields(Limits)}


DEFAULT: Final = Limits()
