"""What a peer may still publish under the privacy that it claims: (epsilon, delta), counted and never exceeded.

    {"delta":50000,"epsilon":8000,"format":"gossip-privacy/1","spent":[[25600,1102539,6400]]}

`spent` has [sampling rate, noise, steps] of everything trained so far, rate and noise in millionths. Each step is the
Gaussian mechanism on a Poisson sample of the rows; all of them together are composed as Renyi differential privacy
(Mironov 2017; Abadi et al. 2016) by dp_accounting. Adjacent data sets differ in one record, added or removed.

Why it exists: an epsilon is a promise over everything that ever leaves, so what is spent outlives the process and is
on disk, synced, before the delta that spends it exists, and two that spend of one account take turns; a budget once
begun is not made larger or forgotten by naming another. For few records no honest epsilon exists, and it says so. It
refuses to know models and how noise is drawn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ledger.entry import Claim
from ledger.errors import LocalError

if TYPE_CHECKING:
    from dp_accounting.rdp import RdpAccountant

FORMAT: Final = "gossip-privacy/1"
MIN_RECORDS: Final = 1_000  # with delta well below 1/records, what noise leaves of fewer is no model
PLANNED_ROUNDS: Final = 100  # that a budget is made to last for
MAX_EPSILON: Final = 20.0  # e^20: beyond it the promise is empty
MILLION: Final = 1_000_000
MAX_FILE_BYTES: Final = 1 << 20
_MAX_NOISE: Final = 64.0


class NothingLeft(LocalError):
    """Training on would break the promise: the peer stops training, and what it has published stays good."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train so that the budget lasts. `claim` is what the data entry says of it."""

    claim: Claim
    rate: float  # each record is in each batch with this probability
    noise: float  # standard deviation, in clip norms
    batch: int  # rows expected in a batch: what sums are divided by


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    epsilon: int
    delta: int
    spent: list[tuple[int, int, int]]


def make_plan(epsilon: float, *, records: int, batch: int, steps: int) -> Plan:
    """The least noise with which PLANNED_ROUNDS rounds of `steps` steps spend at most `epsilon`.

    LocalError if that cannot be promised: too few records, or an epsilon that is none.
    """
    claim = make_claim(epsilon, records)
    rate = min(1.0, batch / records)
    low, high = 0.3, _MAX_NOISE
    count = PLANNED_ROUNDS * steps
    if epsilon_of([(rate, high, count)], claim.delta) * 1000 > claim.epsilon:
        raise LocalError(
            f"an epsilon of {epsilon:g} cannot be kept for {PLANNED_ROUNDS} rounds", next_step="choose a larger one"
        )
    while high - low > 0.01:
        middle = (low + high) / 2
        fits = epsilon_of([(rate, middle, count)], claim.delta) * 1000 <= claim.epsilon
        low, high = (low, middle) if fits else (middle, high)
    return Plan(claim, math.ceil(rate * MILLION) / MILLION, math.ceil(high * MILLION) / MILLION, batch)


def make_claim(epsilon: float, records: int) -> Claim:
    """What a data entry of so many records may claim. LocalError as above."""
    check_epsilon(epsilon)
    if records < MIN_RECORDS:
        raise LocalError(
            f"no honest epsilon exists for {records:,} records",
            why=f"below about {MIN_RECORDS:,} the noise that hides one record hides what the others teach",
            next_step="add data, or run with --epsilon 0: then nothing is claimed",
        )
    return Claim(epsilon=round(epsilon * 1000), delta=10 * records)


def check_epsilon(epsilon: float) -> None:
    if not 0.001 <= epsilon <= MAX_EPSILON:
        raise LocalError(
            f"an epsilon of {epsilon:g} promises nothing",
            next_step=f"choose one from 0.001 to {MAX_EPSILON:g}; 8 is loose, 2 is strict",
        )


def check_installed() -> None:
    """LocalError if this machine cannot train so. Imports nothing."""
    missing = [name for name in ("jax_privacy", "dp_accounting") if find_spec(name) is None]
    if missing:
        raise LocalError(
            "private training needs jax-privacy", why=f"there is no {' and no '.join(missing)}",
            next_step="install the extra named private, or: pip install jax-privacy",
        )  # fmt: skip


class Budget:
    """The account of one peer, in a file of its directory."""

    def __init__(self, path: Path, claim: Claim) -> None:
        """Open it, or begin it with `claim`. LocalError if another claim was begun there, or if the file is damaged."""
        self._path = path
        self.claim = claim
        self._spent: list[tuple[int, int, int]] = []
        self._cost_now: int | None = None  # of these, once it was asked for
        self._refresh()

    def _refresh(self) -> None:
        """Take over what the file says by now: another process may have spent of it."""
        if not self._path.exists():
            return
        kept = _read(self._path)
        if kept.epsilon != self.claim.epsilon:
            raise LocalError(
                f"this peer has promised an epsilon of {kept.epsilon / 1000:g}",
                why="what was published counts against that promise for ever",
                next_step=f"go on with --epsilon {kept.epsilon / 1000:g}, or join as a new peer",
            )
        claim = Claim(epsilon=kept.epsilon, delta=max(kept.delta, self.claim.delta))  # the stronger promise
        if claim != self.claim:
            self.claim, self._cost_now = claim, None
        if _steps(kept.spent) > _steps(self._spent):  # (less: somebody put an old copy there, and what is known stays)
            self._spent, self._cost_now = list(kept.spent), None

    @property
    def spent(self) -> int:
        """Epsilon so far, in thousandths, rounded up."""
        if self._cost_now is None:
            self._cost_now = self._cost(self._spent)
        return self._cost_now

    def charge(self, plan: Plan, steps: int) -> int:
        """Count these steps, durably, before they are taken. Returns what is spent then, in thousandths.

        NothingLeft if that is more than was promised: then nothing is counted, and nothing may be trained.
        """
        with _locked(self._path):
            self._refresh()
            return self._charge(plan, steps)

    def _charge(self, plan: Plan, steps: int) -> int:
        rate, noise = round(plan.rate * MILLION), round(plan.noise * MILLION)
        after = [*self._spent, (rate, noise, steps)]
        if len(after) > 1 and after[-2][:2] == (rate, noise):
            after[-2:] = [(rate, noise, after[-2][2] + steps)]
        cost = self._cost(after)
        if cost > self.claim.epsilon:
            raise NothingLeft(
                f"the privacy budget is spent: epsilon {self.spent / 1000:g} of {self.claim.epsilon / 1000:g}",
                why="another update would break the promise in this peer's data entry",
                next_step="the peer goes on without training; its earlier updates stay in the model",
            )
        self._write(after)
        self._spent, self._cost_now = after, cost
        return cost

    def _cost(self, spent: list[tuple[int, int, int]]) -> int:
        if not spent:
            return 0
        parts = [(rate / MILLION, noise / MILLION, steps) for rate, noise, steps in spent]
        return math.ceil(epsilon_of(parts, self.claim.delta) * 1000)

    def _write(self, spent: list[tuple[int, int, int]]) -> None:
        kept = _Kept(FORMAT, self.claim.epsilon, self.claim.delta, spent)
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(kept, order="sorted"))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _steps(spent: list[tuple[int, int, int]]) -> int:
    return sum(steps for _, _, steps in spent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with an account, among all that open it: what one spends, the next one has read."""
    try:
        import fcntl
    except ImportError:  # Windows: no fcntl, and the node is untested there
        yield
        return
    file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def spent_in(path: Path) -> tuple[Claim, int] | None:
    """What was promised and spent by the peer whose account this is; None if it has none."""
    claim = promised_in(path)
    return None if claim is None else (claim, Budget(path, claim).spent)


def promised_in(path: Path) -> Claim | None:
    """What was promised by the peer whose account this is; None if it has none. Imports nothing."""
    if not path.exists():
        return None
    kept = _read(path)
    return Claim(epsilon=kept.epsilon, delta=kept.delta)


def _read(path: Path) -> _Kept:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("too long")
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        sound = kept.format == FORMAT and kept.epsilon > 0 and kept.delta >= MIN_RECORDS
        if not sound or any(min(part) <= 0 or part[0] > MILLION for part in kept.spent):
            raise ValueError("numbers that no account has")
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{path}: this peer's privacy account cannot be read", why=str(error),
            next_step="restore it from a backup, or join as a new peer: without it nothing more can be promised",
        ) from None  # fmt: skip
    return kept


def epsilon_of(parts: list[tuple[float, float, int]], delta: int) -> float:
    """Of steps composed: (rate, noise, how many)."""
    check_installed()
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant: RdpAccountant = RdpAccountant()
    for rate, noise, steps in parts:
        accountant.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(noise)), steps)
    return float(accountant.get_epsilon(1 / delta))
