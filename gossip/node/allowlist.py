"""A file of keys that may enter, for those who keep such lists under version control.

    # maintainers' build machines
    3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 trainer
    d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737 auditor until 2027-01-31

One key and role a line; with `until` the membership ends when that day begins (UTC), and nobody enters with it from
then on. `#` begins a comment; LF ends a line, and nothing else that some program may show as an end does. A line that
is none is LocalError and names its number, at the start or when the file changes; then what was read last stays in
force. Who is a member already is moved by no list: revoking is an entry.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gossip.invites import ADMIN_GIVES, checked_key
from ledger.errors import LocalError
from ledger.store import StoredAllowed

MAX_BYTES: Final = 1 << 20  # ten thousand keys
MAX_KEYS: Final = 10_000


def parse(text: str) -> tuple[StoredAllowed, ...]:
    """The keys in a text; LocalError names the line."""
    found: dict[bytes, StoredAllowed] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            one = _read(words)
        except LocalError as error:
            raise LocalError(
                f"line {number} of the list of keys is none", why=str(error),
                next_step="write: KEY ROLE, or KEY ROLE until YYYY-MM-DD",
            ) from error  # fmt: skip
        if one.key in found:
            raise LocalError(f"line {number} of the list of keys names a key again", next_step="leave one of them out")
        found[one.key] = one
    if len(found) > MAX_KEYS:
        raise LocalError(f"a list of {len(found):,} keys", next_step=f"name at most {MAX_KEYS:,}")
    return tuple(found.values())


def _read(words: list[str]) -> StoredAllowed:
    match words:
        case [key, role]:
            expires = 0
        case [key, role, "until", day]:
            try:
                expires = int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
            except ValueError:
                raise LocalError(f"{day[:20]!r} is no day") from None
            if expires <= 0:
                raise LocalError(f"{day[:20]!r} is long ago")
        case _:
            raise LocalError(f"{' '.join(words)[:80]!r} has {len(words)} words")
    if role not in ADMIN_GIVES:
        raise LocalError(f"there is no role {role[:20]!r} to give", next_step=f"use one of {', '.join(ADMIN_GIVES)}")
    return StoredAllowed(checked_key(key), role, expires)


class AllowFile:
    """The file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self.keys: tuple[StoredAllowed, ...] = ()

    def refresh(self) -> bool:
        """Whether the keys are others than before. LocalError once for each state of the file that cannot be read."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return False
            self._seen = seen
            if stat.st_size > MAX_BYTES:
                raise LocalError(f"{self._path} has {stat.st_size:,} bytes", next_step=f"keep it below {MAX_BYTES:,}")
            keys = parse(self._path.read_bytes().decode())
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and self._seen == (0, 0, 0):
                return False  # still not there, and said so
            self._seen = (0, 0, 0) if isinstance(error, OSError) else self._seen
            raise LocalError(
                f"cannot read {self._path}", why=getattr(error, "strerror", None) or "it is no text",
                next_step="check the file named with --allowlist",
            ) from None  # fmt: skip
        changed, self.keys = keys != self.keys, keys
        return changed
