"""Files -> what is in them, in one pass: requests, tables of numbers, and filter lists, told apart by how they begin.

Rules kept here: memory does not grow with the files: rows are hashed to disk (repeats.py), domains and sites are
counted in tables of at most MAX_COUNTED names, the rarest of which are dropped when one is full
(`Quality.domains_exact` says whether that happened). A row that cannot be used is counted, the first MAX_FAULTS are
named, and the reading goes on; what cannot be read any further is named, too. Which rows would be held out is worked
out as training does it, so that counts are those of the data entry to come.

It refuses to know policies, swarms and what is good (findings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from heapq import heappush, heappushpop
from hmac import digest
from pathlib import Path
from typing import Final, Literal

from gossip.filterlists.headers import ListHeader, is_list, read_header, source_of
from gossip.filterlists.requests import CLASSES, Request, opened, scan_requests
from gossip.filterlists.split import is_held_out, registrable, site_of
from gossip.labelling import source_of_table
from gossip.quality.near import near_key
from gossip.quality.repeats import HELD_OUT, Repeats, Rows
from gossip.training.spec import ModelSpec, UrlGrams
from ledger.entry import Source
from ledger.errors import LocalError
from ledger.sketch import SKETCH_LEAVES, Sketch

MAX_FAULTS: Final = 10
MAX_COUNTED: Final = 1 << 16  # names; the rarest half goes when there are more
MAX_SAMPLE: Final = 2_048  # requests whose labels are held against pinned lists: 0.1 s, and some 0.5 MB
TOP: Final = 15
TABLES: Final = (".csv", ".npz")

Progress = Callable[[int, int, str], None]  # bytes behind, bytes of all files, the file's name


@dataclass(frozen=True, slots=True)
class FileFacts:
    name: str
    kind: Literal["requests", "table", "list"]
    rows: int  # usable ones; of a list: its rules
    malformed: int
    source: Source
    header: ListHeader | None  # of a list


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found. Rows are those that can be used."""

    files: tuple[FileFacts, ...]
    rows: int
    labels: dict[str, int]
    trained_labels: dict[str, int]  # of the rows that are not held out
    repeats: Repeats
    malformed: int
    faults: tuple[str, ...]  # the first ones, in plain words
    domains: tuple[tuple[str, dict[str, int]], ...]  # whom requests go to: most first, by label
    sites: int  # of the pages that made them
    domains_exact: bool
    keys: Sketch | None  # of the rows trained on, under the salt that was given
    sample: tuple[Request, ...]  # of the rows trained on, evenly over the files: up to MAX_SAMPLE

    @property
    def held_out(self) -> int:
        return self.rows - self.repeats.trained.rows


def measure(
    spec: ModelSpec, paths: Sequence[Path], *, licence: str = "", salt: bytes = b"", progress: Progress | None = None
) -> Quality:
    """Read all files. `licence` is what the owner says of those that are no lists; with a `salt`, keys are sketched.

    LocalError if a file cannot be opened, or if there is none.
    """
    if not paths:
        raise LocalError("there is nothing to check", next_step="name one or more files")
    total = sum(_size(path) for path in paths)
    with Rows() as rows:
        seen = _Seen(spec, rows, _Smallest(salt) if salt else None)
        files, behind = [], 0
        for path in paths:
            files.append(_read(spec, path, seen, licence, _progress_of(progress, behind, total, path)))
            behind += _size(path)
        repeats = rows.count(lambda codes: codes >> 1 if seen.requests else codes)
    names = CLASSES if seen.requests else spec.classes
    return Quality(
        files=tuple(files),
        rows=repeats.all.rows,
        labels={name: count for name, count in zip(names, seen.labels, strict=True) if count},
        trained_labels={name: count for name, count in zip(names, seen.trained, strict=True) if count},
        repeats=repeats,
        malformed=sum(file.malformed for file in files),
        faults=tuple(seen.faults),
        domains=tuple((name, dict(zip(CLASSES, counts, strict=True))) for name, counts in seen.domains.top(TOP)),
        sites=len(seen.sites),
        domains_exact=not (seen.domains.dropped or seen.sites.dropped),
        keys=seen.smallest.sketch() if seen.smallest else None,
        sample=tuple(seen.sample),
    )


def _read(spec: ModelSpec, path: Path, seen: _Seen, licence: str, at: Callable[[int], None] | None) -> FileFacts:
    kind = kind_of(path)
    if kind == "list":
        return FileFacts(path.name, kind, _rules(path), 0, source_of(path), read_header(path))
    before, bad = seen.rows, seen.malformed
    if kind == "table":
        seen.table(path, at)
    else:
        for row in scan_requests(path, at):
            if isinstance(row, LocalError):
                seen.fault(row)
            else:
                seen.request(row)
    source = source_of_table(path, licence)
    return FileFacts(source.name, kind, seen.rows - before, seen.malformed - bad, source, None)


@dataclass(slots=True)
class _Seen:
    """What has been read so far."""

    spec: ModelSpec
    hashes: Rows
    smallest: _Smallest | None
    rows: int = 0
    malformed: int = 0
    faults: list[str] = field(default_factory=list)
    sample: list[Request] = field(default_factory=list)
    every: int = 1
    labels: list[int] = field(init=False)
    trained: list[int] = field(init=False)
    domains: _Counted = field(init=False)
    sites: _Counted = field(init=False)

    def __post_init__(self) -> None:
        classes = len(CLASSES if self.requests else self.spec.classes)
        self.labels, self.trained = [0] * classes, [0] * classes
        self.domains, self.sites = _Counted(len(CLASSES)), _Counted(1)

    @property
    def requests(self) -> bool:
        return isinstance(self.spec.features, UrlGrams)

    def fault(self, error: LocalError) -> None:
        self.malformed += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(f"{error.what}: {error.why}" if error.why else error.what)

    def request(self, row: Request) -> None:
        if not self.requests:
            self.fault(LocalError(f"row {self.rows + 1} is a request", why="the model takes tables of numbers"))
            return
        site = _site(row.page)
        label = _NUMBERS[row.label]
        self.domains.add(_domain(row.url), label)
        self.sites.add(site, 0)
        out = _held(site, self.spec.validation_share)
        if not out and self.rows % self.every == 0:
            self._keep(row)
        self._add(row.key, near_key(site, row.url).encode("utf-8", "surrogatepass"), label, 2 * label + row.party, out)

    def _keep(self, row: Request) -> None:
        """Thinned by half whenever there are too many, so that all of a long file is represented."""
        self.sample.append(row)
        if len(self.sample) > MAX_SAMPLE:
            self.sample = self.sample[::2]
            self.every *= 2

    def table(self, path: Path, at: Callable[[int], None] | None) -> None:
        import numpy as np

        from gossip.training.tables import read_table

        if self.requests:
            self.fault(LocalError(f"{path} is a table of numbers", why="the model takes labelled requests"))
            return
        number = 0
        try:
            for part in read_table(path, self.spec, at or (lambda _: None), fault=self.fault):
                keys = np.ascontiguousarray(part.inputs, "<f4")
                for key, label in zip(keys, part.labels.tolist(), strict=True):
                    out = _held(str(number), self.spec.validation_share)
                    number += 1
                    data = key.tobytes()
                    self._add(data, data, label, label, out)
        except LocalError as error:
            self.fault(error)

    def _add(self, key: bytes, near: bytes, label: int, code: int, out: bool) -> None:
        self.rows += 1
        self.labels[label] += 1
        self.trained[label] += not out
        self.hashes.add(_hash(key), _hash(near), code | HELD_OUT if out else code)
        if self.smallest is not None and not out:
            self.smallest.add(key)


class _Counted:
    """How often each name came, by kind; the rarest are forgotten when there are too many."""

    def __init__(self, kinds: int) -> None:
        self.dropped = False
        self._kinds = kinds
        self._counts: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, name: str, kind: int) -> None:
        counts = self._counts.get(name)
        if counts is None:
            if len(self._counts) >= MAX_COUNTED:
                self.dropped = True
                self._counts = dict(self.top(MAX_COUNTED // 2))
            counts = self._counts[name] = [0] * self._kinds
        counts[kind] += 1

    def top(self, count: int) -> list[tuple[str, list[int]]]:
        return sorted(self._counts.items(), key=lambda item: (-sum(item[1]), item[0]))[:count]


class _Smallest:
    """The smallest keyed hashes of different keys: what a sketch of these rows would show (ledger/sketch.py)."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._heap: list[int] = []  # negated: the largest on top
        self._kept: set[int] = set()
        self._more = False

    def add(self, key: bytes) -> None:
        k = int.from_bytes(digest(self._salt, key, "sha256"), "big")
        if k in self._kept:
            return
        if len(self._heap) < SKETCH_LEAVES:
            heappush(self._heap, -k)
            self._kept.add(k)
        else:
            self._more = True
            if k < -self._heap[0]:
                self._kept.remove(-heappushpop(self._heap, -k))
                self._kept.add(k)

    def sketch(self) -> Sketch:
        largest = (-self._heap[0]).to_bytes(32, "big") if self._more else None
        return Sketch(frozenset(k.to_bytes(32, "big") for k in self._kept), largest)


_NUMBERS: Final = {name: number for number, name in enumerate(CLASSES)}
_site = lru_cache(maxsize=1 << 12)(site_of)
_held = lru_cache(maxsize=1 << 12)(lambda site, share: share > 0 and is_held_out(site, share))


def _domain(url: str) -> str:
    host = url[url.find("://") + 3 :].partition("/")[0].partition("?")[0].partition("#")[0]
    return registrable(host.rpartition("@")[2].partition(":")[0].lower())


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def kind_of(path: Path) -> Literal["requests", "table", "list"]:
    if path.suffix.lower() in TABLES:
        return "table"
    return "list" if is_list(path) else "requests"


def _rules(path: Path) -> int:
    """Lines of a list that are neither empty nor comments."""
    with opened(path) as file:
        lines = iter(lambda: file.readline(1 << 16), b"")
        return sum(bool(line.strip()) and not line.startswith((b"!", b"[", b"# ")) for line in lines)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from None


def _progress_of(progress: Progress | None, behind: int, total: int, path: Path) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress(behind + done, total, path.name)
