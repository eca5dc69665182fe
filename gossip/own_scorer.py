"""A peer's own scorer, made on demand: no node need run, no jax, and nobody is asked.

    the swarm's scorer (gossip/scorers.py)  \\
    DIR/training.npz, the alone model        }--personal.py--> share, calibration, gains --> DIR/personal.json, Scorer
    own data files and judgements           /

DIR/personal.json keeps what was found, for its owner alone (mode 0600), and what it was found of:

    {"format":"gossip-personal/1","of":"5f1c..","found":{"share":0.2,"calibration":{..},"gains":{..}}}

`of` is a hash over both models, the bytes of the data files and what its owner has judged: once any of them differs it
is made again. A file that cannot be read is as good as none, for it can always be made again; one that cannot be
written only costs time. It refuses to know how a share is chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from gossip.advisor.scorer import CLASSES, Scorer
from gossip.filterlists.requests import file_digest
from gossip.filterlists.sighting import Sighting
from gossip.judgements import judgements_path, read_standing
from gossip.training.calibration import Against, Calibration
from gossip.training.own_rows import OwnRows, read_own_rows
from gossip.training.personal import Judges, Personal, blend, personal
from gossip.training.rows import bags_of
from gossip.training.scoring import Theta, logits_of
from gossip.training.spec import EmbeddingBag, ModelSpec
from ledger.errors import LocalError

FORMAT: Final = "gossip-personal/1"
MAX_FILE_BYTES: Final = 64 * 1024  # one has about 1 KB


@dataclass(frozen=True, slots=True)
class OwnData:
    """What a peer trains on and judges by, as its last run was told."""

    files: tuple[Path, ...]
    validation: Path | None = None
    against: Against = "labels"


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    of: str
    found: Personal


class Mixed(Scorer):
    """Two models of one declaration that is not linear: their logits are mixed."""

    def __init__(
        self, spec: ModelSpec, swarm: Theta, alone: Theta, share: float, calibration: Calibration, name: str,
        notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(spec, swarm, calibration, name, notes=notes)
        self._alone, self._share = alone, share

    def mapped(self, change: Callable[[Theta], Theta]) -> Self:
        other = super().mapped(change)
        other._alone = change(self._alone)
        return other

    def logits(self, rows: Sequence[Sighting]) -> NDArray[np.float32]:
        bags = bags_of(self.spec, rows)
        swarm, alone = (ordered(self.spec, logits_of(self.spec, theta, bags)) for theta in (self.theta, self._alone))
        return blend(swarm, alone, self._share).astype(np.float32)


def own_scorer(swarm: Scorer, directory: Path, data: OwnData) -> tuple[Scorer, Personal | None]:
    """The scorer of the peer whose swarm's is `swarm`, and how good which part of it is on its own held-out rows. The
    same scorer and None if it has no row to judge by. LocalError if its data or judgements cannot be read."""
    from gossip.training.session import kept_alone

    alone = kept_alone(directory / "training.npz", swarm.spec)
    found = _found(swarm, alone, directory, data)
    if found is None:
        return swarm, None
    return mixed(swarm, alone, found), found


def mixed(swarm: Scorer, alone: Theta | None, found: Personal) -> Scorer:
    """The swarm's scorer as `found` has it."""
    name, spec = f"{swarm.name}, with yours", swarm.spec
    if alone is None or found.share == 0:
        return Scorer(spec, swarm.theta, found.calibration, swarm.name, notes=swarm.notes)
    if is_linear(spec):
        theta = blend(swarm.theta, alone, found.share).astype(np.float32)
        return Scorer(spec, theta, found.calibration, name, notes=swarm.notes)
    return Mixed(spec, swarm.theta, alone, found.share, found.calibration, name, notes=swarm.notes)


def is_linear(spec: ModelSpec) -> bool:
    """Whether logits are a sum over features."""
    return len(spec.layers) == 1 and isinstance(spec.layers[0], EmbeddingBag)


def ordered(spec: ModelSpec, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits in the order of CLASSES."""
    return logits[:, [spec.classes.index(name) for name in CLASSES]]


def judge_own(spec: ModelSpec, swarm: Theta, alone: Theta | None, rows: OwnRows, against: Against) -> Personal:
    """What own rows say of both models."""
    order = [spec.classes.index(name) for name in CLASSES]
    judges = Judges(np.argsort(order)[rows.bags.labels], rows.sites, rows.new)
    of_swarm = ordered(spec, logits_of(spec, swarm, rows.bags))
    of_alone = None if alone is None else ordered(spec, logits_of(spec, alone, rows.bags))
    return personal(of_swarm, of_alone, judges, against)


def _found(swarm: Scorer, alone: Theta | None, directory: Path, data: OwnData) -> Personal | None:
    if not data.files and data.validation is None:
        return None
    said = judgements_path(directory)
    of = _hash(swarm, alone, said, data)
    path = directory / "personal.json"
    kept = _read(path)
    if kept is not None and kept.of == of:
        return kept.found
    rows = read_own_rows(swarm.spec, data.files, data.validation, read_standing(said))
    if rows is None:
        return None
    found = judge_own(swarm.spec, swarm.theta, alone, rows, data.against)
    with suppress(OSError):
        _write(path, msgspec.json.encode(_Kept(FORMAT, of, found)))
    return found


def _hash(swarm: Scorer, alone: Theta | None, said: Path, data: OwnData) -> str:
    digest = sha256(f"{FORMAT}\n{swarm.spec.text}\n{data.against}\n".encode())
    digest.update(sha256(swarm.theta.tobytes()).digest())
    digest.update(sha256(b"" if alone is None else alone.tobytes()).digest())
    try:
        for path in (*data.files, *([data.validation] if data.validation else ())):
            digest.update(bytes.fromhex(file_digest(path)))
        digest.update(bytes([len(data.files) % 256, data.validation is not None]))
        digest.update(said.read_bytes() if said.exists() else b"")
    except OSError as error:
        raise LocalError(
            "your own data cannot be read", why=str(error),
            next_step="put the files back, or name others: gossip run --data",
        ) from None  # fmt: skip
    return digest.hexdigest()


def _read(path: Path) -> _Kept | None:
    try:
        with path.open("rb") as file:
            kept = msgspec.json.decode(file.read(MAX_FILE_BYTES + 1), type=_Kept)
    except (OSError, ValueError, RecursionError):
        return None
    return kept if kept.format == FORMAT else None


def _write(path: Path, text: bytes) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
