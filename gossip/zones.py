"""What the owner says of each data file: public or private, and who may have records of it. Kept in DIR/zones.

    {"files":[{"opens":["auditor"],"path":"/home/anna/easylist-requests.jsonl","sha256":"5d1c..."}],
     "format":"gossip-zones/1"}

One line of canonical JSON, 0600, replaced whole. Only public files stand in it: what does not is private.

Rules kept here: a file is public under its path and with the very bytes that were made public; a changed one is
private again, and a note says so. Files that are trained on together have one zone, or all of them are private, and a
note says so. A damaged list makes everything private, never public. It refuses to know what leaves (egress.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from gossip.egress import ROLES, ZoneSetting
from gossip.filterlists.requests import file_digest
from ledger.canonical import decode, encode
from ledger.entry import Hash
from ledger.errors import LocalError, RemoteError
from ledger.private_files import move, read_private, write_private

FORMAT: Final = "gossip-zones/1"
MAX_FILES: Final = 1024
MAX_BYTES: Final = 1 << 20
MAX_OPENS: Final = 16  # as a data entry may name (ledger/canonical.py)
PEER_CHARS: Final = 64

State = Literal["public", "changed", "missing"]


class Public(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One public file."""

    path: str  # absolute, links followed
    sha256: Hash
    opens: list[str]  # roles and peer ids, sorted; []: every member

    @property
    def state(self) -> State:
        """What has become of it since it was made public. Reads the whole file."""
        try:
            return "public" if file_digest(Path(self.path)) == self.sha256 else "changed"
        except OSError:
            return "missing"


class _Zones(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str
    files: list[Public]


def zones_path(directory: Path) -> Path:
    return directory / "zones"


def public_files(directory: Path) -> tuple[Public, ...]:
    """What was made public, sorted by path. LocalError if the list is damaged."""
    path = zones_path(directory)
    if not path.exists():
        return ()
    data = read_private(path, MAX_BYTES, what="list of zones")
    try:
        zones = decode(data, _Zones, limit=MAX_BYTES, what="the list of zones")
        _check(zones)
    except RemoteError as error:
        raise LocalError(
            f"{path} is damaged: all data are private", why=error.why or error.what,
            next_step="remove it, and set the zones of your public files again",
        ) from None  # fmt: skip
    return tuple(zones.files)


def make_public(directory: Path, file: Path, opens: Sequence[str] = ()) -> Public:
    """Put a file as it is now on the list. LocalError if it cannot be read, or `opens` names what is no role or id."""
    chosen = tuple(sorted(set(opens)))
    if len(chosen) > MAX_OPENS or not all(_is_receiver(word) for word in chosen):
        raise LocalError(
            "records can be opened to roles and peers only", why=f"{len(chosen)} named, at most {MAX_OPENS}",
            next_step=f"name roles ({', '.join(ROLES)}) or peer ids, as gossip status shows them",
        )  # fmt: skip
    path = _absolute(file)
    entry = Public(path=path, sha256=pin(file), opens=list(chosen))
    others = [other for other in public_files(directory) if other.path != path]
    if len(others) >= MAX_FILES:
        raise LocalError(f"{MAX_FILES} files are public already", next_step="make some private, or join some files")
    _write(directory, [*others, entry])
    return entry


def make_private(directory: Path, file: Path) -> bool:
    """Take a file off the list. Whether it was on it."""
    path = _absolute(file)
    listed = public_files(directory)
    kept = [other for other in listed if other.path != path]
    if len(kept) < len(listed):
        _write(directory, kept)
    return len(kept) < len(listed)


def setting(directory: Path, files: Sequence[Path]) -> ZoneSetting:
    """The one zone of files that are trained on together, as they are now. Reads those that were made public."""
    try:
        listed = {entry.path: entry for entry in public_files(directory)}
    except LocalError as error:
        return ZoneSetting(notes=(str(error),))
    notes: list[str] = []
    found: list[Public | None] = []
    for file in files:
        entry = listed.get(_absolute(file))
        if entry is not None and (state := entry.state) != "public":
            if state == "changed":
                notes.append(f"{file} was changed since it was made public: it is private again")
            entry = None
        found.append(entry)
    public = [entry for entry in found if entry is not None]
    opens = {tuple(entry.opens) for entry in public}
    if len(public) == len(found) and len(opens) == 1:
        return ZoneSetting("public", opens.pop(), pins=tuple(entry.sha256 for entry in public))
    if public:
        why = "they are public to different members" if len(public) == len(found) else "some of them are"
        notes.append(f"of files that are trained on together all are private if their zones differ: {why}")
    return ZoneSetting(notes=tuple(notes))


def pin(file: Path) -> Hash:
    """What a file is known by. LocalError if it cannot be read."""
    try:
        return file_digest(file)
    except OSError as error:
        raise LocalError(f"cannot read {file}", why=error.strerror or "", next_step="check the path") from None


def _is_receiver(word: str) -> bool:
    return word in ROLES or (len(word) == PEER_CHARS and not word.strip("0123456789abcdef"))


def _absolute(file: Path) -> str:
    text = str(file.resolve())
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LocalError(f"{file!r} has a name that is no text", next_step="rename it") from None
    return text


def _check(zones: _Zones) -> None:
    paths = [entry.path for entry in zones.files]
    if zones.format != FORMAT or paths != sorted(set(paths)) or len(paths) > MAX_FILES:
        raise RemoteError("its format is not ours")
    for entry in zones.files:
        opens, sound = entry.opens, "\0" not in entry.path and len(entry.sha256) == PEER_CHARS
        if not sound or opens != sorted(set(opens)) or not all(map(_is_receiver, opens)):
            raise RemoteError("a line of it is not ours", why=entry.path)


def _write(directory: Path, files: Sequence[Public]) -> None:
    path = zones_path(directory)
    new = path.with_name("zones.new")
    new.unlink(missing_ok=True)  # of a change that was cut off
    data = encode(_Zones(format=FORMAT, files=sorted(files, key=lambda entry: entry.path)))
    if len(data) > MAX_BYTES:
        raise LocalError("too many public files with long names", next_step="make some private")
    write_private(new, data, what="list of zones")
    move(new, path)
