"""One peer's training, from reading its data to one delta a round; the same in a process of its own or in a test.

    Session.load(...)    data, compiled program, starting weights
    .train(theta)        local steps from theta -> delta blob and scores
    .go_on()             what can wait until that answer is out: the lone model's steps, the next round's batches
    .evaluate(theta)     scores only
    .judged_by           held-out rows to judge others' updates by

    open_own(...)        the answer to a challenge: no session is needed

It keeps what must live from round to round: the part of earlier changes that was not sent yet (error feedback; of a
round that was never published, as the next question shows, nothing is kept)
and the `alone` model, which takes the same batches and the same number of steps from the same start, and never
sees anybody else's work: the honest answer to "what did the swarm give me?". Both can be kept in a file, so
that a restart does not begin the comparison anew. A round is scored as it began, with the work of all rounds before
it, the swarm's model and the lone one alike; so the lone one's steps need not be waited for.

Where an epsilon is promised (differential privacy), what is published is made by PrivateLearner (private.py), and each
round is charged to the peer's account (budget.py), on disk, before it is trained: a process that is killed in between
has spent it. The `alone` model is trained without noise then, on batches of its own, as its owner would do who needs
nobody: it costs no epsilon, for nothing that is made of it is ever published.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gossip.egress import Receiver, ZoneSetting
from gossip.filterlists.headers import source_of
from gossip.filterlists.judging import Standing
from gossip.judgements import read_standing
from gossip.merging.codec import ErrorFeedback
from gossip.training import dataset, memory
from gossip.training.blocks import Block, Inputs, Sampler
from gossip.training.budget import Budget, NothingLeft, Plan, check_installed, make_plan
from gossip.training.checks import few
from gossip.training.coverage import coverage_of
from gossip.training.dataset import DataSet, read_data
from gossip.training.divergence import check_change
from gossip.training.judged import Felt
from gossip.training.metrics import judge
from gossip.training.protocol import Cut, Evaluated, Loaded, Open, OwnData, Progress, Result, Trained
from gossip.training.scoring import probabilities
from gossip.training.spec import ModelSpec
from ledger.entry import Claim
from ledger.errors import LocalError

if TYPE_CHECKING:  # importing it imports jax, which a process may want to begin elsewhere
    from gossip.training.learner import Learner
    from gossip.training.scoring import Theta

KEEP_EVERY: Final = 16  # rounds
MAX_STEPS: Final = 40_000  # of one round: four times what a model may declare
TELL_EVERY_S: Final = 0.2  # of reading
# What NumPy and zipfile raise on a file of another version, or a damaged one.
_ODD_FILE: Final = (
    OSError, ValueError, LookupError, EOFError, TypeError, OverflowError, RuntimeError, SyntaxError, MemoryError,
    TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Promise:
    """What this peer publishes is made under `plan`, and `budget` counts it."""

    plan: Plan
    budget: Budget


class Session:
    """Made by `load`. Not safe for several threads. `learner` makes what is published; `free` what is not."""

    def __init__(
        self, spec: ModelSpec, data: DataSet, learner: Learner, start: Theta, *, seed: int, keep: Path | None,
        promise: Promise | None = None, free: Learner | None = None,
    ) -> None:  # fmt: skip
        from gossip.training.learner import padding_of, width_of

        self.spec, self.data, self._learner, self._keep = spec, data, learner, keep
        self._promise, self._free = promise, free or learner
        self._sampler = Sampler(data.rows, width=width_of(spec), padding=padding_of(spec), seed=seed)
        self._feedback = ErrorFeedback(spec.parameters, spec.density)
        self._before: tuple[str, NDArray[np.float32]] | None = None  # the newest delta, and what waited before it
        self._alone: Theta = start
        self._alone_rounds = 0
        self._alone_scored: Evaluated | None = None  # how it does, once that was looked at
        self._owed: Inputs | None = None  # batches of the newest round, that the lone model has still to take
        self._next: Inputs | None = None  # batches laid out for the next one
        self._worked_s = 0.0  # since the newest answer
        self.judged_by: Block | None = None if data.held_out is None else few(data.held_out)

    @classmethod
    def load(
        cls,
        own: OwnData,
        start: Theta,
        *,
        cache: Path | None = None,
        keep: Path | None = None,
        licence: str = "",
        lists: Sequence[Path] = (),
        epsilon: float = 0.0,
        account: Path | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> tuple[Session, Loaded, bytes]:
        """The session, what was loaded, and the sketch of a public data set, b"" if it has none.

        Raises LocalError about the declaration, the data, the lists, the starting weights, or a promise that cannot be
        made or kept: of `epsilon`, with what is spent of it in the file `account`.
        """
        begun = time.monotonic()
        if epsilon:
            check_installed()
        spec = ModelSpec.parse(own.model)
        _check_length(spec, start)
        salt = bytes.fromhex(own.salt)
        sources = [source_of(path) for path in lists]
        progress(Progress(state="reading data"))
        data = read_data(
            spec, _paths(own.files), Path(own.validation) if own.validation else None, salt=salt,
            setting=_setting(own), swarm=own.swarm, leaves=Path(own.leaves) if own.leaves else None, licence=licence,
            borrowed=own.borrowed, felt=Felt(_judged(own), epsilon), only_listed=own.unlabelled,
            progress=_Paced(progress),
        )  # fmt: skip
        try:
            promise = _promise(spec, data, epsilon, account)
            coverage = coverage_of(spec, data.labels) if own.unlabelled else None
        except LocalError:
            data.rows.close()
            raise
        progress(Progress(state="importing jax"))
        from gossip.training.learner import Learner

        learner = free = Learner(spec, cache=cache, coverage=coverage)
        if promise is not None:
            from gossip.training.private import PrivateLearner

            rows = data.rows.read(0, len(data.rows))
            learner = PrivateLearner(spec, rows, promise.plan, cache=cache, coverage=coverage)
        progress(Progress(state="compiling"))
        seed = int.from_bytes(hashlib.sha256(b"gossip/order/1\n" + salt).digest()[:8], "little")
        session = cls(spec, data, learner, start, seed=seed, keep=keep, promise=promise, free=free)
        epoch_s = session._warm_up(start)
        session._recall()
        return (
            session,
            Loaded(
                root=data.commitment.root,
                records=data.commitment.records,
                labels=data.labels,
                judged=data.judged,
                duplicates=data.commitment.duplicates,
                conflicts=data.commitment.conflicts,
                features=spec.feature_spec,
                suffixes=data.suffixes,
                sources=[*data.sources, *sources],
                generator=data.generator,
                held_out=0 if data.held_out is None else len(data.held_out),
                parameters=spec.parameters,
                epoch_s=epoch_s,
                seconds=time.monotonic() - begun,
                privacy=promise.budget.claim if promise else Claim(),
                spent=promise.budget.spent if promise else 0,
            ),
            data.sketch,
        )

    def train(
        self, number: int, theta: Theta, *, spent: int = 0, steps: int = 0, density: int = 0, published: str = ""
    ) -> tuple[Trained, bytes]:
        """One round from `theta`, of as many steps as asked (0: as declared). `spent`: what this peer's newest update
        says, thousandths of epsilon. `density`: thousandths of the declared share of elements to publish (0: all).
        `published`: the delta of the newest update; of a round with another one nothing that waits is ever sent.

        Raises Diverged if the round leads nowhere: nothing of it is kept, and what it was charged stays charged.
        NothingLeft, and nothing is trained, if a promise would be broken.
        """
        _check_length(self.spec, theta)
        self.go_on()
        steps = min(steps or self.spec.local_steps, MAX_STEPS)
        self._prepare(theta, steps)
        begun = time.monotonic()
        steps, epsilon = self._charge(spent, steps)
        self._settle(published)
        batches = self._batches(steps)
        change = self._learner.round(theta, batches) - theta
        check_change(change)
        waited = self._feedback.residual
        blob = self._feedback.compress(change, density)
        self._before = (hashlib.sha256(blob).hexdigest(), waited)
        alone, swarm = self._score_alone(), self.evaluate(theta)
        self._owed = batches
        seconds, self._worked_s = self._worked_s + time.monotonic() - begun, 0.0
        return Trained(
            round=number,
            steps=steps,
            examples=steps * self.spec.batch,
            alone=alone.swarm,
            swarm=swarm.swarm,
            groups={name: (alone.groups[name], result) for name, result in swarm.groups.items()},
            seconds=seconds,
            epsilon=epsilon,
        ), blob

    def go_on(self) -> None:
        """What a round leaves to do when its answer is out, while others wait for nothing of it; `train` does it first
        if nobody has. The next answer's seconds count it."""
        batches, self._owed = self._owed, None
        if batches is None:
            return
        begun = time.monotonic()
        steps = len(batches[0])
        if self._promise is not None:
            batches = self._free.sample(self._sampler, steps)
        self._alone = self._free.round(self._alone, batches)
        self._alone_rounds += 1
        self._alone_scored = None
        del batches  # before others take their room
        if self._promise is None:
            self._next = self._batches(steps)
        self._score_alone()
        if self._alone_rounds % KEEP_EVERY == 0:
            self.remember()
        self._worked_s = time.monotonic() - begun

    def _batches(self, steps: int) -> Inputs:
        """The next so many, those first that are laid out already."""
        ready, self._next = self._next, None
        if ready is None:
            return self._learner.sample(self._sampler, steps)
        if len(ready[0]) > steps:
            self._next = tuple(array[steps:] for array in ready)
            return tuple(array[:steps] for array in ready)
        if len(ready[0]) < steps:
            more = self._learner.sample(self._sampler, steps - len(ready[0]))
            return tuple(map(np.concatenate, zip(ready, more, strict=True)))
        return ready

    def _score_alone(self) -> Evaluated:
        if self._alone_scored is None:
            self._alone_scored = self.evaluate(self._alone)
        return self._alone_scored

    def _settle(self, published: str) -> None:
        """What became of the round before is known now."""
        if self._before is not None and self._before[0] != published:
            self._feedback.residual = self._before[1]
        self._before = None

    def _prepare(self, theta: Theta, steps: int) -> None:
        """Have a round of another length than declared compiled, before its time is taken: once for each length, on
        batches that nobody learns from."""
        for learner in dict.fromkeys((self._learner, self._free)):
            if not learner.is_ready(steps):
                learner.prepare(theta, learner.sample(self._sampler, steps))

    def _charge(self, spent: int, steps: int) -> tuple[int, int]:
        """Count the round that follows, on disk: its steps, and what is spent with it, 0 if nothing was promised. A
        round longer than declared that there is no budget for becomes one as declared."""
        if self._promise is None:
            return steps, 0
        budget = self._promise.budget
        if budget.spent < spent:
            raise NothingLeft(
                "this peer's privacy account is an old copy",
                why=f"it knows of an epsilon of {budget.spent / 1000:g}, the newest update has spent {spent / 1000:g}",
                next_step="put the newest privacy.json back into the peer's folder; until then it only observes",
            )
        try:
            return steps, budget.charge(self._promise.plan, steps)
        except NothingLeft:
            declared = self.spec.local_steps
            if steps <= declared:
                raise
            return declared, budget.charge(self._promise.plan, declared)

    def evaluate(self, theta: Theta) -> Evaluated:
        """How `theta` does on what is held out, and on the marked rows among it: looked at once."""
        _check_length(self.spec, theta)
        rows = self.data.held_out
        if rows is None:
            return Evaluated(swarm=None, groups={})
        found, negative = probabilities(self.spec, theta, rows), self.spec.negative_class
        return Evaluated(
            swarm=Result.of(judge(found, rows.labels, negative)),
            groups={
                name: Result.of(judge(found[marked], rows.labels[marked], negative))
                for name, marked in self.data.groups.items()
            },
        )

    def fit(self, theta: Theta, rounds: int) -> Evaluated:
        """Train from `theta` for some rounds with nobody else, and score where that ends; for its owner alone."""
        return self.evaluate(self.fitted(theta, rounds))

    def fitted(self, theta: Theta, rounds: int, told: Callable[[int], None] = lambda done: None) -> Theta:
        """The weights after some rounds with nobody else. `told` hears how many are done."""
        for done in range(1, rounds + 1):
            theta = self._free.round(theta, self._free.sample(self._sampler))
            told(done)
        return theta

    def close(self) -> None:
        """Keep what should survive, let go of the rows."""
        self.remember()
        self.data.rows.close()

    def remember(self) -> None:
        """Put what the next process should go on with into the `keep` file, whole or not at all, for its owner alone:
        the model of one's own data only and what was not sent yet say more about these data than any update."""
        if self._keep is None or not (self._alone_rounds or self._before):  # nothing was trained
            return
        new = self._keep.with_suffix(".new")
        new.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                delta, before = self._before or ("", self._feedback.residual)
                np.savez(
                    file, alone=self._alone, residual=self._feedback.residual, before=before, delta=np.str_(delta),
                    rounds=np.int64(self._alone_rounds), noisy=np.bool_(self._promise is not None),
                )  # fmt: skip
            os.replace(new, self._keep)  # noqa: PTH105 - one word for one system call
        except OSError:  # a full disk: what was begun takes room that the store may need
            new.unlink(missing_ok=True)
            raise

    def _recall(self) -> None:
        """Go on with what `remember` left. A file that does not fit is ignored: nothing true depends on it."""
        kept = None if self._keep is None else _kept(self._keep, self.spec)
        if kept is not None:
            self._alone, self._alone_rounds, self._alone_scored = kept.alone, kept.rounds, None
            if kept.noisy or self._promise is None:  # what was trained without noise must not be sent under a promise
                self._feedback.residual, self._before = kept.residual, (kept.delta, kept.before)

    def _warm_up(self, start: Theta) -> float:
        """Compile, and measure one round, which is thrown away."""
        self._learner.compile(self._sampler)
        if self._free is not self._learner:
            self._free.compile(self._sampler)
        memory.return_freed()
        begun = time.monotonic()
        self._learner.round(start, self._learner.sample(self._sampler))
        return time.monotonic() - begun


def kept_alone(file: Path, spec: ModelSpec) -> Theta | None:
    """The `alone` model of the last process; None if it left none that fits."""
    kept = _kept(file, spec)
    return None if kept is None else kept.alone


@dataclass(frozen=True, slots=True)
class _Kept:
    """What `remember` leaves. `before` is what waited before the delta of that hash was made."""

    alone: Theta
    residual: NDArray[np.float32]
    before: NDArray[np.float32]
    delta: str
    rounds: int
    noisy: bool


def _kept(file: Path, spec: ModelSpec) -> _Kept | None:
    if not file.exists():
        return None
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            found = _Kept(
                kept["alone"], kept["residual"], kept["before" if "before" in kept else "residual"],
                str(kept["delta"]) if "delta" in kept else "", int(kept["rounds"]),
                "noisy" in kept and bool(kept["noisy"]),
            )  # fmt: skip
    except _ODD_FILE:  # of another version, or damaged: what it kept is trained again
        return None
    arrays = (found.alone, found.residual, found.before)
    fits = all(array.shape == (spec.parameters,) and array.dtype == np.float32 for array in arrays)
    return found if fits else None


def open_own(asked: Open) -> bytes:
    """The opening that a challenge asks for: reads the files again. LocalError if they are not those that were
    committed to, or if the gate withholds them."""
    own = asked.own
    return dataset.open_own(
        ModelSpec.parse(own.model), _paths(own.files), Path(own.validation) if own.validation else None,
        setting=_setting(own), swarm=own.swarm, leaves=Path(own.leaves), root=asked.root, judged=_judged(own),
        to=Receiver(asked.peer, asked.role), signature=asked.signature, count=asked.count,
    )  # fmt: skip


def cut_own(asked: Cut) -> tuple[bytes, ...]:
    """Own records in shards, to be lent. LocalError if they are not those that were committed to, or if the gate
    withholds them."""
    own = asked.own
    return dataset.cut_own(
        ModelSpec.parse(own.model), _paths(own.files), Path(own.validation) if own.validation else None,
        setting=_setting(own), swarm=own.swarm, leaves=Path(own.leaves), root=asked.root, judged=_judged(own),
        to=[Receiver(peer, role) for peer, role in asked.to],
    )  # fmt: skip


def _promise(spec: ModelSpec, data: DataSet, epsilon: float, account: Path | None) -> Promise | None:
    if not epsilon:
        return None
    if account is None:
        raise LocalError("an epsilon needs a file that counts what is spent of it")
    plan = make_plan(epsilon, records=len(data.rows), batch=spec.batch, steps=spec.local_steps)
    return Promise(plan, Budget(account, plan.claim))


def _judged(own: OwnData) -> Standing:
    return read_standing(Path(own.judgements), own.judged_bytes) if own.judgements else Standing(())


def _setting(own: OwnData) -> ZoneSetting:
    return ZoneSetting(own.zone, tuple(own.opens), tuple(own.lends), pins=tuple(own.pins))


def _paths(files: Sequence[str]) -> list[Path]:
    return [Path(file) for file in files]


class _Paced:
    """Reading as it goes on, told a few times a second."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._next = 0.0

    def __call__(self, rows: int, done: int, of: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + TELL_EVERY_S
            self._tell(Progress(state="reading data", rows=rows, bytes=done, of=of))


def _check_length(spec: ModelSpec, theta: Theta) -> None:
    if theta.shape != (spec.parameters,) or theta.dtype != np.float32:
        raise LocalError(
            f"weights of shape {theta.shape} do not fit the model", why=f"it has {spec.parameters} float32 parameters"
        )
