"""The published vectors: made anew byte for byte, and passed by both implementations."""

from __future__ import annotations

import json

import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.canonical import entry_hash
from ledger.delta import decode, norm
from ledger.errors import RemoteError
from ledger.fold import Fold, PlainArithmetic
from ledger.replica import Checked, Replica
from tests import plain_fold
from tests.fold.stories import named_terms, named_weights
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


SWARMS = ["fold-swarm.json", "fold-forks.json", "fold-verdicts.json", "fold-members.json", "fold-houses.json"]


@pytest.mark.parametrize("name", SWARMS)
def test_a_swarm_as_the_second_implementation_reads_it(name: str):
    case = read(name)
    blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    entries = [entry.encode() for entry in case["entries"]]
    history = plain_fold.History(entries, case["founder"], set(case["left_out"]), blobs)
    everything = set(history.entry)
    assert history.weight == case["weights"]
    assert sorted(history.summed(everything)) == case["terms"]
    assert history.model(everything) == case["model_hash"]
    told = 0
    for name, entry in history.entry.items():
        if entry["kind"] == "snapshot":
            assert history.state(name) == (entry["state"], entry["updates"])
            assert history.model(history.past[name]) == entry["model"]
            told += 1
    assert told >= 1


@pytest.mark.parametrize("name", SWARMS)
def test_a_swarm_as_this_program_reads_it(name: str):
    case = read(name)
    reader = Peer("reader", "", Replica(case["swarm"], case["founder"]))
    reader.blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    authors: dict[str, str] = {}
    for entry in case["entries"]:  # in an order in which each comes after its past
        data = entry.encode()
        spelled_out = json.loads(data)
        digest = entry_hash(data)
        author = case["founder"] if spelled_out["kind"] == "genesis" else authors.get(spelled_out["prev"], digest)
        authors[digest] = author
        assert isinstance(reader.deliver(author, data), Checked)
    assert named_weights(reader.replica) == case["weights"]
    assert sorted(named_terms(reader.replica)) == case["terms"]
    assert reader.model_hash() == case["model_hash"]
    assert POLICY.startswith("policy = 1")


def test_the_vectors_reach_the_corners():
    case, forks = read("fold-swarm.json"), read("fold-forks.json")
    entries = [json.loads(entry) for entry in case["entries"]]
    updates = [entry for entry in entries if entry["kind"] == "update"]
    assert case["left_out"]
    assert any(update["view"] for update in updates)
    assert len(set(case["weights"].values())) > 8
    assert {entry["kind"] for entry in entries} == {"genesis", "enrol", "member", "data", "update", "snapshot"}
    assert set(case["terms"]) == set(case["weights"])
    assert {"accuse", "rotate", "recover", "final"} < {json.loads(entry)["kind"] for entry in forks["entries"]}
    assert set(forks["terms"]) < set(forks["weights"])


def test_the_vectors_of_verdicts_condemn_and_spare():
    """Somebody condemns, a quorum does, a final holds some of it, and a log that was signed twice judges too."""
    case = read("fold-verdicts.json")
    blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    entries = [entry.encode() for entry in case["entries"]]
    history = plain_fold.History(entries, case["founder"], set(case["left_out"]), blobs)
    everything = set(history.entry)
    condemned = history.condemned(everything)
    assert condemned - set(case["terms"])
    assert condemned & set(case["terms"])
    spoken = {name for name in everything if history.entry[name]["kind"] == "verdict"}
    assert {said["decision"] for name in spoken for said in history.entry[name]["judgements"]} > {"condemned"}
    assert any(len(history.ends(everything, history.author[name])) > 1 for name in spoken)


def test_the_vectors_of_members_let_in_and_show_out():
    """Somebody answers for a trainer, somebody's time will be over, and two of three admins want somebody out, of whose
    updates a final holds some."""
    case = read("fold-members.json")
    blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    history = plain_fold.History([e.encode() for e in case["entries"]], case["founder"], set(case["left_out"]), blobs)
    everything = set(history.entry)
    seats = history.seats(everything)
    sponsored = {peer for peer, (role, _, house) in seats.items() if house and role == "trainer"}
    assert {history.author[name] for name in history.weight} & sponsored
    assert any(expires for _, expires, _ in seats.values())
    out = {peer: index[0] for peer in seats if (index := history.wanted_out(everything, peer)[1])}
    gone = set(case["weights"]) - set(case["terms"])
    assert any(history.author[name] in out and history.seq(name) >= out[history.author[name]] for name in gone)
    assert any(history.author[name] in out and history.seq(name) >= out[history.author[name]] for name in case["terms"])
    assert history.genesis["threshold"] == 2


def test_the_vectors_of_houses_divide_condemn_and_let_a_guest_stand_alone():
    """Guests weigh parts of what a member does, some of one house condemn with one voice, and an admin lets one in."""
    case = read("fold-houses.json")
    blobs = {name: bytes.fromhex(blob) for name, blob in case["blobs"].items()}
    history = plain_fold.History(
        [entry.encode() for entry in case["entries"]], case["founder"], set(case["left_out"]), blobs
    )
    everything = set(history.entry)
    now = history.seats(everything)
    guests = {name for name in history.weight if history.house_then(name)}
    assert len({history.house_then(name) for name in guests}) == 2
    assert any(not now[history.author[name]][2] for name in guests)
    sizes = [
        [house for _, _, house in history.seats(history.past[name]).values()].count(history.house_then(name))
        for name in guests
    ]
    assert max(sizes) > 2
    votes = history.votes(everything)
    judged = [history.judges(name, votes) for name in history.weight]
    assert any(1 <= history.voices(judges) < len({peer for peer, _ in judges}) for judges in judged)
    assert history.condemned(everything)
