"""What a model is made of, and what leaves with a peer: counted, not estimated."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from cli import exits
from gossip.merging.arithmetic import NumpyArithmetic
from ledger.entry import Data, Source, Update
from ledger.errors import LocalError
from ledger.fold import Fold, PlainArithmetic
from ledger.lineage import lineage
from ledger.replica import Checked
from ledger.without import without
from tests.cli.test_ledger import facts, gossip, stored
from tests.fold import toy
from tests.fold.bundles import written
from tests.fold.judging import condemn

LICENCES = {"birch": ("CC0-1.0",), "cedar": ("GPL-3.0-only", "CC0-1.0"), "founder": ()}


def announce(peer: toy.Peer) -> Checked:
    sources = [
        Source(name=f"list {licence}", sha256="", licence=licence, url="", retrieved="", version="7")
        for licence in LICENCES[peer.name]
    ]
    return peer.write(
        Data(
            **toy.CHAIN, root=sha256(peer.name.encode()).hexdigest(), records=100, labels={"ad": 40, "benign": 60},
            duplicates=0, features="toy-1", zone="private", sources=sources,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    """Three peers of unequal diligence, whose data name no licence, one, and two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.Peer, "announce_data", announce)
        swarm = toy.Swarm(["birch", "cedar"])
    for number in range(8):
        for name in ("founder", "birch", "cedar")[: 1 + number % 3]:
            swarm[name].publish(np.linspace(-1, 1, 16) * (number + len(name)) / 100)
        swarm.exchange()
    swarm.founder.snapshot()
    swarm.exchange()
    return swarm


@pytest.fixture
def bundle(tmp_path: Path, swarm: toy.Swarm) -> Path:
    place = stored(tmp_path / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    return tmp_path / "bundle"


def weights(swarm: toy.Swarm) -> dict[str, int]:
    """By peer, from the entries themselves."""
    total = dict.fromkeys(swarm.peers, 0)
    for log, seq, data in swarm.everything():
        entry = swarm.founder.replica.entry(log, seq)
        if isinstance(entry, Update):
            total[next(name for name, peer in swarm.peers.items() if peer.id == log)] += entry.weight
        assert data
    return total


def test_shares_are_those_of_the_weights_published(bundle: Path, swarm: toy.Swarm) -> None:
    told = facts("ledger", "lineage", str(bundle))
    of = weights(swarm)
    assert {row["name"]: row["weight"] for row in told["peers"]} == of
    assert told["weight"] == sum(of.values())
    assert sum(row["share"] for row in told["peers"]) == pytest.approx(1, abs=1e-5)
    assert told["model_hash"] == swarm.founder.model_hash()
    assert [row["weight"] for row in told["peers"]] == sorted(of.values(), reverse=True)


def test_an_update_counts_for_every_licence_of_the_data_it_cites(bundle: Path, swarm: toy.Swarm) -> None:
    told = facts("ledger", "lineage", str(bundle))
    of = weights(swarm)
    cited = {
        name: {entry.data for seq in range(peer.replica.size(peer.id))
               if isinstance(entry := peer.replica.entry(peer.id, seq), Update)}
        for name, peer in swarm.peers.items()
    }  # fmt: skip
    by_set = {(row["name"], row["seq"]): row for row in told["data"]}
    assert {name for name, _ in by_set} == set(of)
    assert all((name, seq) in by_set for name, seqs in cited.items() for seq in seqs)
    for licence in ("CC0-1.0", "GPL-3.0-only"):
        expected = sum(
            row["weight"] for row in told["data"] if licence in [source["licence"] for source in row["sources"]]
        )
        row = next((row for row in told["licences"] if row["licence"] == licence), None)
        assert row is not None
        assert row["weight"] == expected > 0
    assert sum(row["share"] for row in told["licences"]) > 1
    assert "may add up to more than 100%" in gossip("ledger", "lineage", str(bundle))


def test_a_snapshot_has_a_lineage_of_its_own(bundle: Path, swarm: toy.Swarm) -> None:
    founder = swarm.founder
    seq = founder.replica.size(founder.id) - 1
    told = facts("ledger", "lineage", str(bundle), "--snapshot", f"founder/{seq}")
    assert told["model_hash"] == founder.model_hash()
    assert "is no snapshot" in gossip("ledger", "lineage", str(bundle), "--snapshot", "birch/0", code=exits.USAGE)
    assert "no one entry" in gossip("ledger", "lineage", str(bundle), "--snapshot", "x/1", code=exits.USAGE)


def test_a_bundle_with_findings_still_shows_what_holds_and_says_so(bundle: Path) -> None:
    (bundle / "README.txt").write_text("something else")
    told = facts("ledger", "lineage", str(bundle), code=exits.FINDINGS)
    assert [finding["file"] for finding in told["findings"]] == ["README.txt"]
    assert told["updates"] > 0


# ------------------------------------------------------------------ without


def test_without_a_peer_is_the_fold_that_never_had_its_updates(bundle: Path, swarm: toy.Swarm) -> None:
    """Folded here from nothing, in the plain arithmetic, from the entries of the others alone."""
    told = facts("ledger", "without", str(bundle), "cedar")
    genesis, cedar = swarm.founder.replica.genesis, swarm["cedar"].id
    fold = Fold(genesis.layout, genesis.seed, PlainArithmetic())
    whole = Fold(genesis.layout, genesis.seed, PlainArithmetic())
    for log, _, delta, weight in swarm.founder.replica.updates:
        decoded = PlainArithmetic().decode(swarm.founder.blobs[delta], fold.parameters)
        whole.add(decoded, weight)
        if log != cedar:
            fold.add(decoded, weight)
    assert told["without_hash"] == fold.model_hash() != told["model_hash"] == swarm.founder.model_hash()
    difference = [a - b for a, b in zip(whole.theta, fold.theta, strict=True)]
    assert int(told["distance_squared"]) == sum(value * value for value in difference) > 0
    assert told["parameters_changed"] == sum(value != 0 for value in difference)
    assert told["weight_leaving"] == weights(swarm)["cedar"]


def test_the_model_without_a_peer_is_written_under_a_name_of_its_own(
    bundle: Path, tmp_path: Path, swarm: toy.Swarm
) -> None:
    out = tmp_path / "less"
    words = ("ledger", "without", str(bundle), "cedar", "--out", str(out))
    told = facts(*words)
    line, _, values = out.read_bytes().partition(b"\n")
    header = json.loads(line)
    assert header["format"] == "gossip-model-without/1"
    assert (header["without"], header["model_hash"]) == (swarm["cedar"].id, told["without_hash"])
    assert dict(header["heads"]) == dict(swarm.founder.replica.heads())
    assert header["updates"] == told["updates"] - told["updates_leaving"]

    genesis, numpy = swarm.founder.replica.genesis, NumpyArithmetic()
    fold = Fold(genesis.layout, genesis.seed, numpy)
    for log, _, delta, weight in swarm.founder.replica.updates:
        if log != swarm["cedar"].id:
            fold.add(numpy.decode(swarm.founder.blobs[delta], fold.parameters), weight)
    assert values == numpy.to_float32(fold.theta).astype("<f4").tobytes()
    assert "a file that does not exist yet" in gossip(*words, code=exits.USAGE)


def test_both_arithmetics_take_out_the_same_bits(swarm: toy.Swarm) -> None:
    genesis, terms = swarm.founder.replica.genesis, list(swarm.founder.replica.updates)

    def less(arithmetic: PlainArithmetic | NumpyArithmetic) -> object:
        return without(
            lambda: Fold(genesis.layout, genesis.seed, arithmetic), terms, swarm["birch"].id,
            lambda digest: arithmetic.decode(swarm.founder.blobs[digest], 16),
        )  # fmt: skip

    assert less(PlainArithmetic()) == less(NumpyArithmetic())


def test_without_somebody_who_published_nothing_nothing_changes(swarm: toy.Swarm) -> None:
    genesis, numpy = swarm.founder.replica.genesis, NumpyArithmetic()
    found = without(
        lambda: Fold(genesis.layout, genesis.seed, numpy), swarm.founder.replica.updates, "0" * 64,
        lambda digest: numpy.decode(swarm.founder.blobs[digest], 16),
    )  # fmt: skip
    assert found.model == found.less
    assert (found.changed, found.distance, found.change_ppm, found.leaves.updates) == (0, 0, 0, 0)


def test_a_missing_delta_leaves_nothing_to_take_from(bundle: Path) -> None:
    next(iter(sorted((bundle / "blobs").iterdir()))).unlink()
    told = gossip("ledger", "without", str(bundle), "cedar", code=exits.INCONCLUSIVE)
    assert "1 blob missing: not replayable" in told


def test_an_unknown_peer_is_named_with_those_there_are(bundle: Path) -> None:
    told = gossip("ledger", "without", str(bundle), "nobody", code=exits.USAGE)
    assert "no peer 'nobody' here: there are birch, cedar, founder" in told


def test_scores_without_what_a_peer_trains_with_are_refused_in_one_line(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("training", "merging"):  # what the package calls so are the old ones again afterwards
        monkeypatch.setattr(import_module("gossip"), package, import_module(f"gossip.{package}"))
    for name in [name for name in sys.modules if name.startswith(("gossip.training", "gossip.merging"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    told = gossip("ledger", "without", str(bundle), "cedar", "--data", str(tmp_path), code=exits.USAGE)
    assert told.count("\n") == 1
    assert "scores need what a peer trains with: numpy is not installed" in told


def test_only_updates_are_terms(swarm: toy.Swarm) -> None:
    with pytest.raises(LocalError, match="only updates are terms"):
        lineage([(swarm.founder_id, 0, "", 1)], swarm.founder.replica.entry)


def test_a_lineage_says_what_was_condemned_by_whom_and_why(tmp_path: Path):
    swarm = toy.Swarm(["birch", "cedar"])
    cedar = swarm["cedar"]
    bad, good = [cedar.publish(np.linspace(-1, 1, 16) * size).seq for size in (0.9, 0.01)]
    swarm.exchange()
    for judge in ("birch", "founder"):
        condemn(swarm[judge], cedar, bad)
    swarm.exchange()
    stored(tmp_path / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(tmp_path / "peer"), "--out", str(tmp_path / "bundle"))
    told = facts("ledger", "lineage", str(tmp_path / "bundle"))
    assert {found["rule"] for found in told["findings"]} == {"verdict"}  # the toys' reasons are made up: told, no more
    (row,) = told["condemned"]
    assert (row["name"], row["first"], row["last"], row["updates"], row["held"]) == ("cedar", bad, bad, 1, 0)
    assert sorted(row["judges"]) == ["birch", "founder"]
    assert row["reasons"] == ["holdout.harm_permille.max"]
    assert [peer["updates"] for peer in told["peers"] if peer["name"] == "cedar"] == [1]
    page = gossip("ledger", "lineage", str(tmp_path / "bundle"))
    assert f"{bad}-{bad}" in page
    assert "birch, founder" in page or "founder, birch" in page
    assert good > bad


def test_what_its_author_judged_itself_is_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An auditor sees that labels of a data set are no list's, and how many."""
    entry = Data(
        **toy.CHAIN, root="5d" * 32, records=100, labels={"ad": 40, "benign": 60}, duplicates=0, features="toy-1",
        zone="private", sources=[], judged={"ad": 12, "benign": 8},
    )  # fmt: skip
    monkeypatch.setattr(toy.Peer, "announce_data", lambda peer: peer.write(entry))
    swarm = toy.Swarm(["birch"])
    swarm["birch"].publish(np.linspace(-1, 1, 16) / 50)
    swarm.exchange()
    place = str(written(swarm, tmp_path / "bundle"))
    (data,) = facts("ledger", "lineage", place)["data"]
    assert data["judged"] == {"ad": 12, "benign": 8}
    assert any(" 100 " in line and " 20 " in line for line in gossip("ledger", "lineage", place).splitlines())
    assert "20 labelled by its author's own judgement" in gossip("ledger", "log", place)
