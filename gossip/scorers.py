"""A scorer, found: in a model file, or in what a peer holds.

    m.gossip (gossip/model_file.py)         calibrated by who trained it
    model.gossip-model (ledger/export.py)   as it left the swarm: uncalibrated
    DIR (a peer's directory)                the release that is in use (gossip/releases.py); else the fold of all that
                                            the peer holds; before it holds any of that, the final model that it was
                                            given on arriving

Nothing is trained, nobody is asked and no node need run: a store is opened for reading, and may be in use. Its entries
were admitted when they came, and are folded again here as at the start of a node. jax is not loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gossip.advisor.scorer import Scorer
from gossip.directory import model_path, store_path
from gossip.filterlists.split import suffixes
from gossip.model_file import first_line, is_model_file, read_model_file
from gossip.releases import checked, in_use
from gossip.training.calibration import UNCALIBRATED
from gossip.training.scoring import Theta
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.peer.book import Book
from ledger.export import read_model

NO_MODEL: Final = "No model yet. Start a swarm: gossip new NAME. Or alone: gossip train FILE --out m.gossip"


class NoModel(LocalError):
    """There is none to score with: what to do stands in it, and whoever shows it adds nothing."""

    def __init__(self) -> None:
        super().__init__(NO_MODEL)


def load_scorer(model: Path | None, directory: Path | None) -> Scorer:
    """Of a model file, else of a peer. NoModel if neither is named or the peer has none yet; LocalError or RemoteError
    if what is named cannot be used."""
    if model is not None:
        return scorer_of_file(model)
    if directory is None:
        raise NoModel
    return scorer_of_peer(directory)


def scorer_of_file(path: Path) -> Scorer:
    """Of a file of either format."""
    if is_model_file(path):
        found = read_model_file(path)
        return Scorer(found.spec, found.theta, found.calibration, path.name, notes=_notes(found.trained.suffixes))
    if b'"model":"' not in first_line(path):
        raise LocalError(
            f"{path}: this is no model to score with", why="it does not begin as one",
            next_step="name one made by gossip train, or by gossip model export",
        )  # fmt: skip
    exported = read_model(path)
    spec = ModelSpec.parse(exported.header.model)
    if spec.layout() != exported.header.layout:
        raise LocalError(f"{path}: this model cannot be used", why="its layout is not that of its declaration")
    theta = np.frombuffer(exported.values, "<f4").astype(np.float32)
    return Scorer(spec, theta, UNCALIBRATED, path.name)


def scorer_of_peer(directory: Path) -> Scorer:
    """Of what a peer holds, whether its node runs or not: the release in use, else the newest model."""
    if (release := in_use(directory)) is not None:
        found = scorer_of_file(checked(directory, release))
        return Scorer(found.spec, found.theta, UNCALIBRATED, f"{directory.name}, release {release.name}")
    spec, theta = _held(directory)
    return Scorer(spec, theta, UNCALIBRATED, directory.name)


def held(directory: Path) -> Book:
    """All that a peer holds, its own newest entries included, which no checkpoint covers before they are on disk."""
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.peer.book import restore
    from ledger.store import Store

    with Store.open_readonly(store_path(directory)) as store:
        return restore(
            store.meta("swarm").decode(), store.meta("founder").decode(), store.history(), store.blob,
            NumpyArithmetic(), store.base(),
        )  # fmt: skip


def _held(directory: Path) -> tuple[ModelSpec, Theta]:
    """The declaration of the swarm, and the newest weights. NoModel before its genesis, or its first update."""
    from gossip.merging.arithmetic import NumpyArithmetic
    from ledger.fold import model_header

    arithmetic, book = NumpyArithmetic(), held(directory)
    if book.fold is None:
        raise NoModel
    spec = ModelSpec.parse(book.replica.genesis.model)
    if any(book.replica.terms(book.replica.heads())):
        return spec, book.theta()
    layout = book.replica.genesis.layout
    head = model_header(layout)
    try:
        with model_path(directory).open("rb") as file:
            data = file.read(len(head) + 8 * spec.parameters + 1)
    except OSError:
        raise NoModel from None
    body = data[len(head) :]
    if not data.startswith(head) or len(body) != 8 * spec.parameters:  # damaged: as good as none
        raise NoModel
    return spec, arithmetic.to_float32(arithmetic.read_model(body))


def _notes(version: str) -> tuple[str, ...]:
    """What is to be said of a model that was trained under another public-suffix list."""
    here = suffixes()
    if not version or version == here:
        return ()
    return (f"trained with the public-suffix list of {version[:10]}, this program has that of {here[:10]}",)
