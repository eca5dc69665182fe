"""Many entries decoded at once: what the structural pass and a million entries need.

    entry bytes --by kind--> lines --one decode, one encode, one comparison--> entries in which all but `kind` is typed

Why it exists: decode_entry looks at one entry, all of it, in about 10 us. Of a whole log an auditor first wants to
know whether its bytes are canonical and what they cite, at 60,000 a second. Three kinds make up nearly all of a
ledger; they are decoded here side by side, each into a struct whose fields stand in canonical order, so that writing
it again needs no sorting. A batch that does not come out the same is left to decode_entry, entry by entry, which
names what is wrong.

Rules kept here: decode, re-encode, compare; no raw newline inside an entry, so that lines are entries; integers in
range. It refuses to know relations between fields of one entry (a view that is larger than `seen`): that is
canonical.py's, and an audit's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from ledger.canonical import decode_entry
from ledger.entry import FORMAT_VERSION, GRID_ONE, MAX_ENTRY_BYTES, AnyEntry
from ledger.errors import RemoteError
from ledger.wellformed import MAX_INTEGER

Natural = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Version = Annotated[int, msgspec.Meta(ge=FORMAT_VERSION, le=FORMAT_VERSION)]
Pairs = list[tuple[Natural, Natural]]

_HINT_BYTES: Final = 8  # what entries of these kinds begin with; few others do, and the type is checked
_HASHES = re.compile(r"[0-9a-f]{64}(?: [0-9a-f]{64})*").fullmatch


class _Lean(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Fields in canonical order, so no tag (msgspec writes it first): `kind` is a field like any other."""


class _Scores(_Lean, gc=False):
    examples: Natural
    fn: Natural
    fp: Natural
    tp: Natural


class _Source(_Lean, gc=False):
    licence: str
    name: str
    retrieved: str
    sha256: str
    url: str
    version: str


class LeanUpdate(_Lean, gc=False):
    bytes: Natural
    codec: Literal["gossip-delta/1"]
    data: Natural
    delta: str
    epsilon: Natural
    examples: Natural
    heads: str
    kind: Literal["update"]
    meets: list[str]
    norm: Natural
    prev: str
    scores: _Scores
    seen: Pairs
    seq: Natural
    steps: Natural
    swarm: str
    time: Natural
    v: Version
    view: Pairs
    weight: Annotated[int, msgspec.Meta(ge=0, le=GRID_ONE)]


class LeanSnapshot(_Lean, gc=False):
    heads: str
    kind: Literal["snapshot"]
    meets: list[str]
    model: str
    prev: str
    seen: Pairs
    seq: Natural
    state: str
    swarm: str
    time: Natural
    updates: Natural
    v: Version


class _Claim(_Lean, gc=False):
    delta: Natural
    epsilon: Natural


class LeanData(_Lean, gc=False, kw_only=True):
    conflicts: Natural
    duplicates: Natural
    features: str
    generator: str
    heads: str
    judged: dict[str, Natural] | msgspec.UnsetType = msgspec.UNSET  # in its place, for which all are by keyword
    kind: Literal["data"]
    labels: dict[str, Natural]
    meets: list[str]
    opens: list[str]
    prev: str
    privacy: _Claim
    records: Natural
    root: str
    seen: Pairs
    seq: Natural
    sketch: str
    sketch_bytes: Natural
    sources: list[_Source]
    suffixes: str
    swarm: str
    time: Natural
    v: Version
    zone: Literal["public", "private"]


LeanEntry = LeanUpdate | LeanSnapshot | LeanData | AnyEntry


def _update_hashes(entries: Sequence[Any]) -> list[str]:
    return [entry.delta for entry in entries]


def _snapshot_hashes(entries: Sequence[Any]) -> list[str]:
    return [value for entry in entries for value in (entry.model, entry.state)]


def _data_hashes(entries: Sequence[Any]) -> list[str]:
    for entry in entries:
        for counts in (entry.labels, {} if entry.judged is msgspec.UNSET else entry.judged):
            labels = list(counts)
            if labels != sorted(labels) or not "".join(labels).isascii():
                return [""]  # not canonical, though it was written back in the order in which it came
    sources = [source.sha256 for entry in entries for source in entry.sources if source.sha256]
    sketches = [entry.sketch for entry in entries if entry.sketch]
    return [*(entry.root for entry in entries), *sources, *sketches]


_DECODERS: Final[dict[bytes, tuple[Any, Callable[[Sequence[Any]], list[str]]]]] = {
    b'{"bytes"': (msgspec.json.Decoder(LeanUpdate), _update_hashes),
    b'{"heads"': (msgspec.json.Decoder(LeanSnapshot), _snapshot_hashes),
    b'{"confli': (msgspec.json.Decoder(LeanData), _data_hashes),
}
_ENCODE_LINES: Final = msgspec.json.Encoder().encode_lines


def decode_batch(batch: Sequence[bytes]) -> list[LeanEntry | RemoteError]:
    """Every entry of a batch, or what is wrong with it. Canonical, and each field of its type and range."""
    found: list[LeanEntry | RemoteError | None] = [None] * len(batch)
    hints: dict[bytes, list[int]] = {}
    for number, data in enumerate(batch):
        hints.setdefault(data[:_HINT_BYTES], []).append(number)
    for hint, numbers in hints.items():
        lean = _decode_kind(hint, [batch[number] for number in numbers])
        if lean is not None:
            for number, entry in zip(numbers, lean, strict=True):
                found[number] = entry
    return [_decode_one(data) if entry is None else entry for data, entry in zip(batch, found, strict=True)]


def _decode_kind(hint: bytes, batch: list[bytes]) -> list[LeanEntry] | None:
    """The entries of one kind; None if they must be looked at one by one."""
    if hint not in _DECODERS or max(map(len, batch)) > MAX_ENTRY_BYTES:
        return None
    decoder, hashes = _DECODERS[hint]
    lines = b"\n".join((*batch, b""))
    try:
        entries: list[LeanEntry] = decoder.decode_lines(lines)
        same = _ENCODE_LINES(entries) == lines
    except (ValueError, RecursionError):
        return None
    if not same or len(entries) != len(batch):  # (so many lines, no more: none of the entries has a newline in it)
        return None
    named = hashes(entries)
    joined = " ".join(named)
    return entries if len(joined) == 65 * len(named) - 1 and _HASHES(joined) else None


def _decode_one(data: bytes) -> AnyEntry | RemoteError:
    try:
        return decode_entry(data)
    except RemoteError as error:
        return error
