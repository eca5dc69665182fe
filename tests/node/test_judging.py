"""A node whose owner judges: it reads its data again, and what it goes on with is on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip.events import Borrow
from gossip.filterlists.judging import judgement_of
from gossip.judgements import append, judgements_path, undo
from ledger.errors import LocalError
from tests.node.test_lending import node
from tests.training.test_checks import row, write


async def test_judgements_are_in_the_data_that_the_running_node_reads_next(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(90)])
    async with node(tmp_path, file, lends=False) as peer:
        await peer.learning.warm_up()
        peer.learning.begin(peer.genesis)
        before = await peer.read()
        assert before.judgements == {}
        place = tmp_path / "peer"
        append(place, judgement_of("metrics.example", "tracker", time=1))
        assert await peer.learning.relabelled() == 1
        assert (await peer.own.data(peer.genesis.model)).judged_bytes == 0  # what is on record is what is opened
        peer.learning.borrow(Borrow(()))
        after = await peer.read()
        assert after.judgements == {"tracker": 6}
        assert after.records == before.records + 6
        assert (await peer.own.data(peer.genesis.model)).judged_bytes == judgements_path(place).stat().st_size
        undo(place, 2)
        peer.learning.borrow(Borrow(()))
        assert (await peer.read()).root == before.root

        append(place, judgement_of("ads.example", "ad", time=3))
        with judgements_path(place).open("ab") as lines:
            lines.write(b"{}\n")
        with pytest.raises(LocalError, match="line 4 is no judgement"):
            await peer.learning.relabelled()
        peer.learning.borrow(Borrow(()))
        assert (await peer.read()).root == before.root  # as it was: a slip ends no node that trains
