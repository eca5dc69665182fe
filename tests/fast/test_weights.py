"""The fast simulator's fold is the swarm's: the same weights, the same model, held against ledger/ itself."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.fast import Setting
from gossip.fast.folding import Folding
from gossip.fast.trained import Trained
from gossip.fast.weights import Weights
from gossip.setup import fold_constants
from gossip.sim.toy import ToyTrainer
from ledger.entry import VALUE_ONE
from ledger.errors import LocalError
from ledger.replica import Waiting
from ledger.weights import MAX_ACTIVE, START, Sight, weigh
from tests.fold.toy import Peer, Swarm

PEERS = 4
STEP = st.tuples(
    st.integers(0, PEERS - 1),  # who publishes
    st.integers(0, PEERS - 1), st.integers(0, 3),  # of whom somebody has heard more, and how much
    st.integers(0, 1 << 27), st.integers(0, 20 << 16),  # norm, unviewed
)  # fmt: skip


@settings(max_examples=80)
@given(story=st.lists(STEP, max_size=60), eta=st.sampled_from([0.5, 1.0, 3.0]), panel=st.sampled_from([2, 3, 100]))
def test_rows_as_arrays_give_the_weights_of_the_ledger_to_the_last_bit(
    story: list[tuple[int, int, int, int, int]], eta: float, panel: int
) -> None:
    constants = msgspec.structs.replace(fold_constants(eta=eta, norm0=VALUE_ONE), panel=panel)
    fast = Weights(constants, PEERS)
    rows = [START] * PEERS
    known = np.zeros((PEERS, PEERS), dtype=np.int64)
    norms = np.full((PEERS, PEERS), constants.norm0, dtype=np.int64)
    names = [f"{peer:064x}" for peer in range(PEERS)]
    for origin, other, more, norm, unviewed in story:
        known[origin, other] += more
        norms[origin, other] = norm if more else norms[origin, other]
        others = [peer for peer in range(PEERS) if peer != origin]
        sight = Sight(
            tuple(names[peer] for peer in others), tuple(1 + int(known[origin, peer]) for peer in others),
            tuple(int(norms[origin, peer]) for peer in others), unviewed,
        )  # fmt: skip
        weighed = weigh(constants, rows[origin], sight, norm)
        rows[origin] = weighed.row
        assert fast.weigh(origin, known[origin], norms[origin], unviewed, norm) == weighed.weight


def test_more_peers_than_weights_allow_are_refused() -> None:
    with pytest.raises(LocalError, match="publish"):
        Weights(fold_constants(eta=1.0, norm0=VALUE_ONE), MAX_ACTIVE + 1)


def world(**changes: object) -> Folding:
    setting = Setting(**{"peers": 3, "rounds": 14.0, "seed": 5, "session": 4.0, "eta": 2.0, "density": 0.3, **changes})
    folding = Folding("fold", setting, Trained(ToyTrainer(setting.peers, seed=2), setting.peers))
    folding.run()
    return folding


def test_real_entries_of_the_same_story_have_the_same_weights_and_the_same_sum() -> None:
    """Every update again as an entry of a real log, by a peer that has seen just what its author had."""
    fast = world(delay=1.2, slow={2: 4.0}, rounds=24.0)
    swarm = Swarm(["one", "two"], fold=fast.constants, layout=fast.work.layout)
    peers = [swarm.founder, swarm["one"], swarm["two"]]
    sizes = [[peer.replica.size(peer.id)] for peer in peers]  # of each log after so many updates
    blobs: dict[str, bytes] = {}
    for peer in peers:
        blobs.update(peer.blobs)
    for peer in peers:
        peer.blobs = blobs
    started = swarm.founder.fold.theta.copy()
    told = 0
    while any(len(sizes[number]) <= len(log) for number, log in enumerate(fast.logs)):
        for number, log in enumerate(fast.logs):
            done = len(sizes[number]) - 1
            if done == len(log) or any(len(sizes[o]) <= log[done].past[o] for o in range(3) if o != number):
                continue  # what it had seen is not written yet
            update, author = log[done], peers[number]
            others = [other for other in range(3) if other != number]
            bring(author, [(peers[other], sizes[other][update.past[other]]) for other in others])
            heads = {peers[other].id: sizes[other][update.view[other]] for other in others}
            view = {**author.replica.heads(), **heads}
            entry = author.publish_blob(update.blob, view=view).entry
            assert (entry.weight, entry.norm) == (update.weight, update.norm)
            sizes[number].append(author.replica.size(author.id))
            told += 1
    assert told == sum(fast.trained) > 20
    assert len({update.weight for log in fast.logs for update in log}) > 5  # quota, staleness and clip are in them
    assert any((update.past > update.view).any() for log in fast.logs for update in log)  # some were stale
    swarm.exchange()
    whole = fast.whole()
    assert (swarm.founder.fold.theta - started == whole - fast.theta0).all()


def bring(author: Peer, wanted: list[tuple[Peer, int]]) -> None:
    """The others' logs up to there and no further, whatever order their pasts ask for."""
    moved = True
    while moved:
        moved = False
        for other, upto in wanted:
            seq = author.replica.size(other.id)
            if seq < upto:
                moved |= not isinstance(author.deliver(other.id, other.replica.data(other.id, seq)), Waiting)
    assert [author.replica.size(other.id) for other, _ in wanted] == [upto for _, upto in wanted]


def test_peers_that_hold_the_same_updates_hold_the_same_bits_and_the_loss_of_messages_changes_none() -> None:
    fast = world(loss=0.3, rounds=10.0)
    everything = np.array([len(log) for log in fast.logs])
    for peer in range(3):
        fast._fetch(peer, everything)
        assert (fast._thetas[peer] == fast.whole()).all()
