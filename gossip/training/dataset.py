"""A peer's data set, read once: rows to train on, rows to be judged by, and the facts a data entry states.

    files --rows--> spool, counts, commitment                        one pass, one chunk in memory
                    leaves of the commitment --> a file              public zone: 64 bytes of each record
    files, leaves, a challenge --> an opening                        public zone: one pass more, without features

Each row is hashed into features, spooled to disk, counted and committed to on the way. The commitment covers the rows
trained on, for those are what updates cite. In a public zone it is made under the swarm's salt, so that it can be
opened and compared; in a private one under the peer's own.

Rules kept here: what may leave is the gate's to say (gossip/egress.py). Files that are not byte for byte those that
were made public are neither committed to as public nor opened. It refuses to know what travels how.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from gossip.egress import ANYBODY, Receiver, Records, Released, Shard, Sketch, ZoneSetting, release
from gossip.filterlists.judging import Standing
from gossip.filterlists.requests import file_digest
from gossip.filterlists.split import suffixes
from gossip.labelling import name_of, source_of_table
from gossip.openings import cut_shards, open_records, sketch_of
from gossip.training.blocks import BagSpool, Block, NumberSpool, Spool, join, thinned
from gossip.training.coverage import unlabelled
from gossip.training.judged import Felt
from gossip.training.licence import check_licence
from gossip.training.protocol import BorrowedRows
from gossip.training.spec import ModelSpec, UrlGrams
from gossip.training.task import Chunk, chunk_of, chunks_of, records_of
from ledger.entry import Hash, Source
from ledger.errors import LocalError
from ledger.opening import Leaves, public_salt
from ledger.provenance import Commitment, commit_records

MAX_JUDGED_ROWS: Final = 1 << 14  # kept in memory and scored every round; more says nothing new
MAX_GROUPS: Final = 16
PRIVATE: Final = ZoneSetting()

Progress = Callable[[int, int, int], None]  # rows read, bytes read, bytes of all files


@dataclass(frozen=True, slots=True)
class DataSet:
    rows: Spool
    held_out: Block | None  # at most MAX_JUDGED_ROWS; None if there is nothing to judge by
    groups: dict[str, NDArray[np.int64]]  # rows of `held_out` that are also scored on their own
    labels: dict[str, int]  # of the rows trained on
    commitment: Commitment
    sources: tuple[Source, ...]
    generator: str  # the program that read them
    suffixes: str  # version of the public-suffix list; "" where rows have no hosts
    sketch: bytes  # for everybody; b"" if none may leave
    judged: dict[str, int] = field(default_factory=dict)  # of `labels`, those that are the owner's own word


def read_data(
    spec: ModelSpec,
    files: Sequence[Path],
    validation: Path | None,
    *,
    salt: bytes,
    setting: ZoneSetting = PRIVATE,
    swarm: Hash = "",
    leaves: Path | None = None,
    licence: str = "",
    borrowed: Sequence[BorrowedRows] = (),
    felt: Felt | None = None,
    only_listed: bool = False,
    folder: Path | None = None,
    progress: Progress = lambda rows, done, of: None,
) -> DataSet:
    """Read everything; `licence` is what the owner says of all `files`.

    `felt` has what the owner has judged: that is the label of a request, to train on and to be judged by. What no row
    shows is a row of its own, unless the zone is public: only files were made public.
    `borrowed` rows of others are trained on as the own ones are; the zone is private then. `only_listed`: labels are of
    lists that know part of it, so what has none of them is trained on as unlabelled; counts and commitment stay.
    `salt` is the peer's own, of a private zone. A public one of `swarm` is committed to under the swarm's, and `leaves`
    is the file that keeps what openings need. LocalError at the first row that cannot be used, if nothing is left to
    train on, if that is no licence's name, or if a file is not what it was when it was made public.
    """
    check_licence(licence)
    if borrowed and setting.zone == "public":
        raise LocalError("others' rows are never made public", why="own data to which they are added are private")
    share = _held_out_share(spec, validation)
    spool: Spool = (
        BagSpool(folder) if isinstance(spec.features, UrlGrams) else NumberSpool(folder, spec.features.columns)
    )
    judged = _Judged()
    felt = Felt(Standing(())) if felt is None else felt
    counts: Counter[int] = Counter()

    def taken(chunk: Chunk) -> tuple[tuple[bytes, bytes], ...]:
        spool.append(unlabelled(spec, chunk.block, chunk.judged) if only_listed else chunk.block)
        counts.update(chunk.block.labels.tolist())
        felt.saw(chunk.block, chunk.judged)
        return chunk.records

    def records() -> Iterator[tuple[bytes, bytes]]:
        for chunk in _told(spec, files, share, felt.standing, progress):
            if chunk.held_out:
                judged.add(chunk)
            else:
                yield from taken(chunk)
        for chunk in _lent_rows(spec, borrowed, share, felt.standing):
            yield from taken(chunk)
        if setting.zone != "public" and isinstance(spec.features, UrlGrams) and (own := felt.own_rows()):
            yield from taken(chunk_of(spec, [row for _, row in own], [at for at, _ in own]))

    try:
        if setting.zone == "public":
            commitment, sketch = _public(records(), setting, swarm, leaves)
        else:
            commitment, sketch = commit_records(records(), salt), b""
        if validation:
            for chunk in chunks_of(spec, [validation], held_out_share=0.0, judged=felt.standing):
                judged.add(chunk)
        for block in felt.again():
            spool.append(block)
        if not len(spool):
            raise LocalError(
                "there is no row to train on", why=f"in {', '.join(map(name_of, files)) or 'no files'}",
                next_step="give more data, or lower validation_share in the model",
            )  # fmt: skip
        digests = _digests(files, setting)
    except BaseException:
        spool.close()
        raise
    return DataSet(
        rows=spool,
        held_out=judged.block,
        groups=judged.groups(),
        labels={spec.classes[number]: count for number, count in sorted(counts.items())},
        commitment=commitment,
        sources=(
            *(source_of_table(path, licence, digest) for path, digest in zip(files, digests, strict=True)),
            *map(_lent, borrowed),
        ),
        generator=generator(),
        suffixes=suffixes() if isinstance(spec.features, UrlGrams) else "",
        sketch=sketch,
        judged={spec.classes[number]: count for number, count in sorted(felt.counts.items())},
    )


def open_own(
    spec: ModelSpec,
    files: Sequence[Path],
    validation: Path | None,
    *,
    setting: ZoneSetting,
    swarm: Hash,
    leaves: Path,
    root: Hash,
    to: Receiver,
    signature: str,
    count: int,
    judged: Standing | None = None,
) -> bytes:
    """The answer to a challenge by `to` on the data entry with this `root`: the files are read once again.

    LocalError if the gate says no, or if files or leaves are not those of that entry.
    """
    leave = release(setting, Records, of=root, to=to)
    if not isinstance(leave, Released):
        raise LocalError("no records are opened", why=leave.why)
    _digests(files, setting)
    records = records_of(spec, files, held_out_share=_held_out_share(spec, validation), judged=judged)
    with _leaves_in(leaves) as kept:
        return open_records(leave, to, kept, records, swarm=swarm, signature=signature, count=count)


def cut_own(
    spec: ModelSpec,
    files: Sequence[Path],
    validation: Path | None,
    *,
    setting: ZoneSetting,
    swarm: Hash,
    leaves: Path,
    root: Hash,
    to: Sequence[Receiver],
    judged: Standing | None = None,
) -> tuple[bytes, ...]:
    """All own records in shards, if any of `to` may have one: the files are read once again.

    LocalError if the gate says no, or if files or leaves are not those of that entry.
    """
    why = "nobody is named"
    for one in to:
        leave = release(setting, Shard, of=root, to=one)
        if isinstance(leave, Released):
            _digests(files, setting)
            records = records_of(spec, files, held_out_share=_held_out_share(spec, validation), judged=judged)
            with _leaves_in(leaves) as kept:
                return cut_shards(leave, kept, records, swarm=swarm)
        why = leave.why
    raise LocalError("nothing is lent", why=why)


def _lent_rows(spec: ModelSpec, borrowed: Sequence[BorrowedRows], share: float, judged: Standing) -> Iterator[Chunk]:
    """Rows of others, all to be trained on: what this peer judges by is its own. Requests of sites that it holds out
    are left out, for who has seen a site in training is no judge of it."""
    paths = [Path(file) for each in borrowed for file in each.files]
    share = share if isinstance(spec.features, UrlGrams) else 0.0
    return (chunk for chunk in chunks_of(spec, paths, held_out_share=share, judged=judged) if not chunk.held_out)


def _lent(rows: BorrowedRows) -> Source:
    """What a data entry says of rows that are another peer's: whose, and of which of its data sets."""
    return Source(
        name=f"lent by {rows.lender}", sha256=rows.root, licence=rows.licence, url="", retrieved="", version=""
    )


def generator() -> str:
    """What a data entry names as the program that made it: "gossip/0.1.0"."""
    try:
        return f"gossip/{version('gossip-swarm')}"
    except PackageNotFoundError:  # run from a checkout
        return "gossip"


def _held_out_share(spec: ModelSpec, validation: Path | None) -> float:
    return 0.0 if validation else spec.validation_share


def _told(
    spec: ModelSpec, files: Sequence[Path], share: float, judged: Standing, progress: Progress
) -> Iterator[Chunk]:
    """Each chunk, and how far that is."""
    sizes = [path.stat().st_size if path.is_file() else 0 for path in files]  # what cannot be read, reading tells
    rows, within = 0, 0

    def at(done: int) -> None:
        nonlocal within
        within = done

    for number, path in enumerate(files):
        for chunk in chunks_of(spec, [path], held_out_share=share, at=at, judged=judged):
            rows += len(chunk.block)
            progress(rows, sum(sizes[:number]) + min(within, sizes[number]), sum(sizes))
            yield chunk


def _digests(files: Sequence[Path], setting: ZoneSetting) -> list[Hash]:
    """Of the files as they are now. LocalError if they were made public, and not like this."""
    digests = [file_digest(path) for path in files]
    if setting.zone == "public" and digests != list(setting.pins):
        changed = [path.name for path, digest in zip(files, digests, strict=True) if digest not in setting.pins]
        raise LocalError(
            "the files are not those that were made public", why=f"changed: {', '.join(changed) or 'their order'}",
            next_step="look at them, then say again: gossip data zone FILE public",
        )  # fmt: skip
    return digests


# ------------------------------------------------------------------ leaves on disk


def _public(
    records: Iterator[tuple[bytes, bytes]], setting: ZoneSetting, swarm: Hash, leaves: Path | None
) -> tuple[Commitment, bytes]:
    """Commitment and sketch. The leaves are in their file when it is whole, and not before."""
    if not swarm:
        raise LocalError("public data need a swarm", why="its peers key their records alike")
    with _new(leaves) as file:
        commitment = commit_records(records, public_salt(swarm), keep=file.write)
        file.flush()
        leave = release(setting, Sketch, of=commitment.root, to=ANYBODY)
        sketch = b""
        if isinstance(leave, Released) and commitment.records:
            with _mapped(file) as kept:
                sketch = sketch_of(leave, kept)
    return commitment, sketch


@contextmanager
def _new(path: Path | None) -> Iterator[IO[bytes]]:
    """A file that is at `path` once all of it is written; one without a name if that is None."""
    if path is None:
        with tempfile.TemporaryFile(prefix="gossip-") as file:
            yield file
        return
    new = path.with_name(path.name + ".new")
    try:
        new.touch(mode=0o600)
        with new.open("w+b") as file:
            yield file
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _leaves_in(path: Path) -> Iterator[Leaves]:
    with ExitStack() as opened:
        try:
            kept = opened.enter_context(_mapped(opened.enter_context(path.open("rb"))))
        except (OSError, ValueError) as error:  # ValueError: an empty file has nothing to map
            raise LocalError(
                "the leaves of the commitment cannot be read", why=f"{path}: {error}",
                next_step="start the peer again: it commits to the files anew",
            ) from None  # fmt: skip
        yield kept


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[Leaves]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as kept:
        yield kept


def read_judged(spec: ModelSpec, files: Sequence[Path]) -> Block | None:
    """Rows to judge a model by, thinned as a peer's held-out rows are; None if there are none. LocalError as above."""
    judged = _Judged()
    for chunk in chunks_of(spec, files, held_out_share=0.0):
        judged.add(chunk)
    return judged.block


@dataclass(slots=True)
class _Judged:
    """Held-out rows, thinned by half whenever they become too many, so that all of a long file is represented."""

    block: Block | None = None
    names: list[str] = field(default_factory=list)
    every: int = 1

    def add(self, chunk: Chunk) -> None:
        block, names = chunk.block, list(chunk.groups)
        thin = self.every
        while thin > 1:
            block, names, thin = thinned(block), names[::2], thin // 2
        self.block = block if self.block is None else join([self.block, block])
        self.names += names
        if len(self.block) > MAX_JUDGED_ROWS:
            self.block, self.names, self.every = thinned(self.block), self.names[::2], self.every * 2

    def groups(self) -> dict[str, NDArray[np.int64]]:
        found = sorted(set(self.names) - {""})[:MAX_GROUPS]
        return {name: np.array([i for i, each in enumerate(self.names) if each == name], np.int64) for name in found}
