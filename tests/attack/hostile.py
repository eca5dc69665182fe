"""Hostile members of a swarm: the real machine, real keys, frames and ledger, and a shell that means harm.

    others' newest deltas, out of its own replica --Program--> a dense delta in place of what was learned
    Judge(models) --> harm in what honest peers do, none in what friends do

A hostile peer is admitted as anybody is, keeps the protocol to the letter (or its log would be void, and all would be
over), publishes at the rate of the others and answers what it is asked. What it says is its own: deltas have no truth
that a ledger could check, and neither have opinions. It knows its friends, and all that honest peers publish.

    Program      what a hostile peer publishes: one class for each attack
    HostilePeer  a simulated peer that runs one
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gossip.config import PeerConfig
from gossip.events import Judge
from gossip.merging.arithmetic import ArrayDelta, NumpyArithmetic
from gossip.merging.codec import ErrorFeedback, encode_update
from gossip.peer import Book
from gossip.quality.leaning import MAX_MILLI
from gossip.sim import Scenario, SimSwarm
from gossip.sim.station import SimPeer
from ledger.chain import peer_of
from ledger.entry import Measured, PeerId, Scores
from ledger.keys import PrivateKey
from tests.attack import vectors
from tests.attack.vectors import Vector, Vectors

if TYPE_CHECKING:
    from tests.attack.digits import Digits

GRID: Final = 2.0**-24
REACH: Final = 7.9  # the codec's


@dataclass(frozen=True, slots=True)
class Sight:
    """What a hostile peer can see when it is its turn."""

    theta: Vector  # the model that it was to train from
    own: Vector  # what an honest round would have changed
    honest: Vectors  # the newest delta of each honest peer that has published, one a row; own if there is none
    wanted: Vector  # a model that it would like to see in the place of the swarm's
    friends: int  # hostile peers, itself included
    peers: int
    eta: float
    luck: np.random.Generator


Program = Callable[[Sight], Vector]


def honest(sight: Sight) -> Vector:
    return sight.own


PROGRAMS: Final[Mapping[str, Program]] = {
    "sign flip": lambda sight: vectors.sign_flip(sight.honest),
    "IPM": lambda sight: vectors.inner_product(sight.honest),
    "ALIE": lambda sight: vectors.little_is_enough(sight.honest),
    "mimic": lambda sight: vectors.mimic(sight.honest),
    "label flip": honest,  # its labels are turned: the round was honest
    "Gaussian": lambda sight: vectors.gaussian(sight.honest, sight.luck),
    "scaling": lambda sight: vectors.scaling(sight.own),
    "replacement": lambda sight: vectors.replacement(
        sight.theta, sight.wanted, sight.friends, sight.peers, sight.eta
    ),
}  # fmt: skip


def newest_deltas(book: Book, besides: frozenset[PeerId]) -> Vectors:
    """The newest delta that each other peer has published, those of `besides` left out."""
    fold = book.require_fold()
    found: list[Vector] = []
    for log in sorted(book.replica.heads()):
        held = book.replica.branches.get(log)
        if peer_of(log) in besides or not held.folded[-1]:
            continue
        blob = book.find(held.delta(held.folded[-1] - 1))
        if blob is not None:
            found.append(dense(NumpyArithmetic().decode(blob, fold.parameters)))
    return np.array(found, dtype=np.float32)


def dense(delta: ArrayDelta) -> Vector:
    values = np.zeros(delta.parameters, dtype=np.float32)
    values[slice(None) if delta.indices is None else delta.indices] = delta.fixed() * GRID
    return values


def spoken(program: Program, sight: Sight) -> bytes:
    """What a program publishes, dense, as far as the codec can say it."""
    return encode_update(np.clip(program(sight), -REACH, REACH), 1.0)[0]


class HostilePeer(SimPeer):
    """A peer whose machine is honest and whose shell is not."""

    program: Program
    friends: frozenset[PeerId]
    wanted: Vector
    is_false_judge: bool

    def _publishes(self, feedback: ErrorFeedback, theta: np.ndarray[Any, Any], step: np.ndarray[Any, Any]) -> bytes:
        assert self.book is not None
        honest = newest_deltas(self.book, self.friends)
        scenario = self._swarm.scenario
        sight = Sight(
            theta=theta, own=step, honest=honest if len(honest) else step[np.newaxis], wanted=self.wanted,
            friends=len(self.friends), peers=scenario.peers, eta=scenario.eta, luck=self._luck,
        )  # fmt: skip
        return spoken(self.program, sight)

    @property
    def _luck(self) -> np.random.Generator:
        self._turn = getattr(self, "_turn", 0) + 1
        return np.random.default_rng([self._swarm.scenario.seed, self.index, self._turn])

    def _leaning(self, asked: Judge) -> int | None:
        if not self.is_false_judge:
            return super()._leaning(asked)
        return MAX_MILLI if self._judge(asked) else None

    def _judge(self, asked: Judge) -> tuple[Measured, ...]:
        """Honest work is harmful, friends' is not."""
        if not self.is_false_judge:
            return super()._judge(asked)
        assert self.machine is not None
        about = self.machine._inspection._holdout._open
        if about is None or peer_of(about[1][0]) in self.friends:
            return ()
        good, bad = Scores(examples=60, tp=60, fp=0, fn=0), Scores(examples=60, tp=0, fp=60, fn=0)
        return (Measured(on="holdout", given=bad, without=good),)


class HostileSwarm(SimSwarm):
    """A scenario in which some peers run an attack."""

    def __init__(
        self, scenario: Scenario, trainer: Digits, hostile: Mapping[int, Program], wanted: Vector | None = None,
        *, are_false_judges: bool = False,
    ) -> None:  # fmt: skip
        self.hostile = tuple(hostile)
        self._programs = hostile
        self._are_false_judges = are_false_judges
        super().__init__(scenario, trainer)
        friends = frozenset(self.peers[index].self_id for index in hostile)
        for index in hostile:
            peer = self.peers[index]
            assert isinstance(peer, HostilePeer)
            peer.friends = friends
            peer.wanted = np.zeros(self.parameters, dtype=np.float32) if wanted is None else wanted

    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: PeerId) -> SimPeer:
        if index not in self._programs:
            return super().make_peer(index, key, config, self_id)
        peer = HostilePeer(self, index, key, config, self_id)
        peer.program, peer.is_false_judge = self._programs[index], self._are_false_judges
        return peer
