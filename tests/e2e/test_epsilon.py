"""A peer that promises an epsilon, in real processes: from the command line to the ledger, and over a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax_privacy")

from cli import exits
from ledger.canonical import decode_entry
from ledger.entry import Data, Update
from ledger.store import Store
from tests.e2e.machines import Machine, status
from tests.training.small import MODEL, table

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]


def entries(place: Path, kind: type[Any]) -> list[Any]:
    with Store.open_readonly(place / "peer.db") as store:
        own = [decode_entry(data) for data in store.entries(store.meta("self").decode())]
    return [entry for entry in own if isinstance(entry, kind)]


def test_what_is_promised_and_spent_stands_in_the_ledger_and_outlives_the_process(
    machine: Callable[..., Machine],
) -> None:
    anna = machine("anna")
    (anna.home / "model.json").write_text(MODEL)
    rows = table(anna.home / "rows.csv", 1_500)
    assert anna.gossip("new", "mine", "--task", "table", "--model", anna.home / "model.json").code == exits.OK
    place = anna.swarms / "mine"

    node = anna.start("run", "--json", "--data", rows, "--epsilon", "8", "--every", "0")
    node.event("snapshot")
    now = status(place)["privacy"]
    assert (now["epsilon"], now["delta"]) == (8.0, 1 / entries(place, Data)[0].privacy.delta)
    assert anna.gossip("stop").code == exits.OK
    assert node.end() == exits.OK
    (data,), spent = entries(place, Data), [update.epsilon for update in entries(place, Update)]
    assert (data.privacy.epsilon, data.privacy.delta) == (8_000, 10 * data.records)
    assert spent == sorted(set(spent))
    assert 0 < spent[0] < spent[-1] < 8_000

    refused = anna.gossip("run", "--json", "--epsilon", "4")
    assert refused.code == exits.USAGE
    assert len(refused.err.splitlines()) == 1
    assert "has promised an epsilon of 8" in refused.err

    measured = anna.gossip("data", "privacy", rows, "--json").document
    assert [found["model"] for found in measured["models"]] == ["swarm", "alone"]
    assert all(0.4 < found["auc"] < 0.7 for found in measured["models"])
    assert measured["promised"]["spent"] * 1000 >= spent[-1]

    (place / "privacy.json").unlink()  # as a folder restored from elsewhere lacks it
    node = anna.start("run", "--json", "--every", "0")
    assert "privacy account is an old copy" in node.event("trouble")["text"]
    now = status(place)
    assert (now["state"], now["updates"]) == ("observing", len(spent)), "it goes on, and publishes nothing"
    assert anna.gossip("stop").code == exits.OK
    assert node.end() == exits.OK
    assert len(entries(place, Update)) == len(spent)
