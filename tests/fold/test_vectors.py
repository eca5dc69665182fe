"""The published vectors: made anew byte for byte, and passed by both implementations."""

from __future__ import annotations

import json

import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.delta import decode, norm
from ledger.errors import RemoteError
from ledger.fold import Fold, PlainArithmetic
from ledger.replica import Checked, Replica
from tests import plain_fold
from tests.fold.toy import POLICY, Peer
from tests.fold.vectors import VECTORS, all_vectors, spelled


def read(name: str):
    return json.loads((VECTORS / name).read_text(encoding="ascii"))


def test_the_vectors_are_what_this_program_writes():
    for name, vectors in all_vectors().items():
        on_disk = (VECTORS / name).read_text(encoding="ascii")
        assert on_disk == spelled(vectors), f"{name} differs: run `python -m tests.fold.vectors` and look at the change"


@pytest.mark.parametrize("case", read("fold-delta.json")["accept"], ids=lambda case: case["name"])
def test_accepted_deltas(case: dict):
    blob, worths = bytes.fromhex(case["blob"]), dict(case["worths"])
    assert dict(decode(blob, case["parameters"]).terms()) == plain_fold.worths(blob) == worths
    fast = NumpyArithmetic().decode(blob, case["parameters"])
    assert case["norm"] == norm(decode(blob, case["parameters"])) == NumpyArithmetic().norm(fast)
    assert case["norm"] == plain_fold.norm(blob)


@pytest.mark.parametrize("case", read("fold-delta.json")["reject"], ids=lambda case: case["name"])
def test_rejected_deltas(case: dict):
    blob = bytes.fromhex(case["blob"])
    for reader in (decode, NumpyArithmetic().decode):
        with pytest.raises(RemoteError):
            reader(blob, case["parameters"])


@pytest.mark.parametrize("arithmetic", [PlainArithmetic(), NumpyArithmetic()], ids=["plain", "numpy"])
def test_starting_weights(arithmetic):
    from ledger.entry import Tensor

    for case in read("fold-start.json"):
        fold = Fold([Tensor(**tensor) for tensor in case["layout"]], case["seed"], arithmetic)
        assert fold.theta.tolist() == case["theta40"] == plain_fold.start(case["layout"], case["seed"])
        assert fold.model_hash() == case["model_hash"] == plain_fold.model_hash(case["layout"], case["theta40"])


def test_the_swarm_as_the_second_implementation_reads_it():
    case = read("fold-swarm.json")
    logs = {log: [json.loads(entry) for entry in entries] for log, entries in case["logs"].items()}
    history = plain_fold.History(logs, case["founder"], {(log, seq) for log, seq in case["left_out"]})
    assert sorted([log, seq, weight] for (log, seq), weight in history.weight.items()) == case["weights"]
    blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    assert history.model({log: len(entries) for log, entries in logs.items()}, blobs) == case["model_hash"]
    told = 0
    for log, entries in logs.items():
        for seq, entry in enumerate(entries):
            if entry["kind"] == "snapshot":
                assert history.state(log, seq) == (entry["state"], entry["updates"])
                assert history.model(history.past[log, seq], blobs) == entry["model"]
                told += 1
    assert told >= 1


def test_the_swarm_as_this_program_reads_it():
    case = read("fold-swarm.json")
    reader = Peer("reader", "", Replica(case["swarm"], case["founder"]))
    reader.blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    waiting, rounds = True, 0
    while waiting:
        waiting, rounds = False, rounds + 1
        for log, entries in case["logs"].items():
            while (seq := reader.replica.size(log)) < len(entries):
                if not isinstance(reader.take(log, entries[seq].encode()), Checked):
                    waiting = True
                    break
        assert rounds < 200
    assert sorted([log, seq, weight] for log, seq, _, weight in reader.replica.updates) == case["weights"]
    assert reader.model_hash() == case["model_hash"]
    assert POLICY.startswith("policy = 1")


def test_the_vectors_reach_the_corners():
    case = read("fold-swarm.json")
    entries = [json.loads(entry) for log in case["logs"].values() for entry in log]
    updates = [entry for entry in entries if entry["kind"] == "update"]
    assert case["left_out"]
    assert any(update["view"] for update in updates)
    assert len({weight for _, _, weight in case["weights"]}) > 8
    assert {entry["kind"] for entry in entries} == {"genesis", "enrol", "member", "data", "update", "snapshot"}
