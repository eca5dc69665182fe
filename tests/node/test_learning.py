"""The node's side of a round: what the training process answers ends no node."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gossip.events import Train, Trained, TrainingFailed
from gossip.merging.arithmetic import NumpyArithmetic
from tests.node.test_lending import node
from tests.training.test_checks import row, write


async def test_a_round_that_diverges_ends_neither_the_node_nor_its_process(tmp_path: Path) -> None:
    """A task that fails would end the group that it is in, as it ends a node."""
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(90)])
    async with node(tmp_path, file, lends=False) as peer:
        await peer.learning.warm_up()
        peer.learning.begin(peer.genesis)
        await peer.read()
        arithmetic = NumpyArithmetic()
        start = arithmetic.to_float32(arithmetic.start(peer.genesis.layout, peer.genesis.seed))
        pid = peer.learning.pid
        peer.learning.train(Train(1, start * np.float32(np.nan)))
        failed = await peer.answer()
        assert isinstance(failed, TrainingFailed)
        assert (failed.round, failed.is_over) == (1, False)
        assert "lower the learning rate" in failed.reason
        peer.learning.train(Train(1, start))
        trained = await peer.answer()
        assert isinstance(trained, Trained)
        assert trained.round == 1
        assert peer.learning.pid == pid
