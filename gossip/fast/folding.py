"""A crowd that folds: every update reaches everybody, weighed by its author's past, summed in exact integers.

    change --top-k, int8, error feedback--> blob --> weight W from what its author had seen --> W * delta at everybody

The codec, the arithmetic and the constants are those of a real swarm (gossip/merging, gossip/setup.py), the weights
equal its own (weights.py); so two peers that hold the same updates hold the same bits here too. An update is folded
after everything that its author had seen: who misses some of that fetches it, as a real peer does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip.fast.setting import Setting, Theta, Work
from gossip.fast.weights import Weights
from gossip.fast.world import World
from gossip.merging.codec import ErrorFeedback
from gossip.setup import fold_constants
from ledger.entry import VALUE_ONE


@dataclass(frozen=True, slots=True)
class Published:
    """One update."""

    past: NDArray[np.int64]  # of each peer so many updates, its author's own before it included
    view: NDArray[np.int64]  # the part of it that it was trained from
    weight: int
    norm: int
    blob: bytes
    places: NDArray[np.int64] | slice
    terms: NDArray[np.int64]  # what it adds there, grid 2^-40


class Folding(World):
    """`fold`: what a swarm does."""

    def __init__(self, rule: str, setting: Setting, work: Work) -> None:
        super().__init__(rule, setting, work)
        peers = setting.peers
        self.constants = fold_constants(eta=setting.eta, norm0=round(setting.norm0 * VALUE_ONE))
        self.weights = Weights(self.constants, peers)
        self.logs: list[list[Published]] = [[] for _ in range(peers)]
        self.held = np.zeros((peers, peers), dtype=np.int64)  # of whom each holds how many
        self._views = np.zeros((peers, peers), dtype=np.int64)  # the same when the round under way began
        self._thetas = np.tile(self.theta0, (peers, 1))
        self._norms = np.full((peers, peers), self.constants.norm0, dtype=np.int64)  # latest that each knows
        self._weighed = np.zeros((peers, peers), dtype=np.int64)  # W of all that each holds, by origin
        self._weighed_then = np.zeros((peers, peers), dtype=np.int64)
        self._waiting = [ErrorFeedback(len(self.theta0), setting.density) for _ in range(peers)]

    def view(self, peer: int) -> Theta:
        self._views[peer] = self.held[peer]
        self._weighed_then[peer] = self._weighed[peer]
        return self.arithmetic.to_float32(self._thetas[peer])

    def learned(self, peer: int, began: Theta, theta: Theta) -> None:
        blob = self._waiting[peer].compress(theta - began)
        delta = self.arithmetic.decode(blob, len(self.theta0))
        norm = self.arithmetic.norm(delta)
        unviewed = int((self._weighed[peer] - self._weighed_then[peer]).sum())  # its own are all of before
        past, view = self.held[peer].copy(), self._views[peer].copy()
        weight = self.weights.weigh(peer, past, self._norms[peer], unviewed, norm)
        places = slice(None) if delta.indices is None else delta.indices
        update = Published(past, view, weight, norm, blob, places, delta.fixed() * weight)
        self.logs[peer].append(update)
        self._fold(peer, peer)
        for other in self.others_there(peer):
            self.tell(other, (peer, len(self.logs[peer])))

    def arrived(self, peer: int, message: tuple[int, int]) -> None:
        origin, count = message
        wanted = self.logs[origin][count - 1].past.copy()
        wanted[origin] = count
        self._fetch(peer, wanted)

    def catch_up(self, peer: int, partner: int) -> None:
        ours = self.held[peer].copy()
        self._fetch(peer, self.held[partner])
        self._fetch(partner, ours)

    def _fetch(self, peer: int, wanted: NDArray[np.int64]) -> None:
        """Take in what is held elsewhere and not here; each update is received once."""
        for origin in np.flatnonzero(wanted > self.held[peer]).tolist():
            while self.held[peer, origin] < wanted[origin]:
                self.received[peer] += len(self.logs[origin][self.held[peer, origin]].blob)
                self._fold(peer, origin)

    def _fold(self, peer: int, origin: int) -> None:
        update = self.logs[origin][self.held[peer, origin]]
        self._thetas[peer, update.places] += update.terms
        self.held[peer, origin] += 1
        self._norms[peer, origin] = update.norm
        self._weighed[peer, origin] += update.weight

    def models(self) -> NDArray[np.float32]:
        return np.stack([self.arithmetic.to_float32(theta) for theta in self._thetas])

    def whole(self) -> NDArray[np.int64]:
        total = self.theta0.copy()
        for log in self.logs:
            for update in log:
                total[update.places] += update.terms
        return total
