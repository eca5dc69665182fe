"""`gossip why`: parts that add up to the score, whose they are, and nothing of a URL that is masked elsewhere."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from cli import exits, render
from cli.app import app
from cli.exporting import export
from cli.opened import opened
from cli.own import own_data
from cli.remembered import REMEMBERED, Remembered
from cli.settings import STORE
from gossip.advisor.scorer import Scorer
from gossip.filterlists.mask import masked
from gossip.filterlists.sighting import Sighting
from gossip.own_scorer import own_scorer
from gossip.scorers import load_scorer
from gossip.training.calibration import UNCALIBRATED
from ledger.store import PutMeta, Store
from ledger.without import without
from tests.cli.own_peer import SPEC, OwnPeer, learn, own_peer
from tests.cli.test_ledger import stored
from tests.fold import toy

pytestmark = pytest.mark.usefixtures("offline")

URL = "https://ads3.example/banner/9.js?slot=77&uid=8f3c1a90b7d2"
TYPED = ("--page", "https://unseen.example/", "--type", "script")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> OwnPeer:
    with pytest.MonkeyPatch.context() as patch:
        return own_peer(tmp_path_factory.mktemp("own"), patch)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))


def gossip(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def why(*words: object) -> Any:
    return json.loads(gossip("why", URL, *TYPED, *words, "--json"))


def test_characters_and_peers_both_add_up_to_the_score(peer: OwnPeer) -> None:
    said = why("--dir", peer.place)
    swarm = load_scorer(None, peer.place)
    mine, _ = own_scorer(swarm, peer.place, own_data(peer.place))
    logits = mine.logits([Sighting(url=URL, page="https://unseen.example/", type="script")])[0]
    assert said["toward"] == "ad"
    assert said["push"] == pytest.approx(logits[1] - logits[0], abs=1e-4)
    for parts in ("runs", "peers"):
        assert sum(one["push"] for one in said[parts]) == pytest.approx(said["push"], abs=1e-3)
    spelt = [run for run in said["runs"] if run["text"] in URL]  # others are of its type, party and page
    assert max(spelt, key=lambda run: run["push"])["text"] in ("ads3", "/banner")
    by_name = {one["name"]: one for one in said["peers"]}
    assert {"founder", "birch", "cedar", "the start", "your data alone"} == set(by_name)
    assert [by_name[name]["updates"] for name in ("founder", "birch", "cedar")] == [3, 3, 3]
    told = gossip("why", URL, *TYPED, "--dir", peer.place)
    for words in (f"P(block) {render.score(said['p_block'])}", f"threshold is {render.score(said['threshold'])}"):
        assert words in told
    for words in ("towards ad, against benign", "/banner", "whose work", "P(block) without it", "birch"):
        assert words in told


def test_what_a_peer_wrote_last_and_no_checkpoint_covers_yet_counts_as_in_its_score(
    peer: OwnPeer, tmp_path: Path
) -> None:
    """A node that is stopped leaves such entries: in its scorer's model they are."""
    usual = why("--dir", peer.place)
    place = shutil.copytree(peer.place, tmp_path / "stopped", ignore=shutil.ignore_patterns("*.sock"))
    with closing(sqlite3.connect(place / "peer.db")) as store, store:
        own = "SELECT CAST(value AS TEXT) FROM meta WHERE key = 'self'"
        other = f"SELECT max(peer) FROM checkpoint WHERE peer NOT IN ({own})"  # ours is the founder's
        assert store.execute(f"DELETE FROM checkpoint WHERE peer = ({other})").rowcount == 1
    said = why("--dir", place)
    assert said["push"] == usual["push"]
    assert said["peers"] == usual["peers"]


def test_what_is_masked_stays_masked_and_adds_up_all_the_same(peer: OwnPeer) -> None:
    told = gossip("why", URL, *TYPED, "--dir", peer.place)
    assert "8f3c1a90b7d2" not in told
    assert "77" not in told.replace("+", " ").split()
    assert "8f3c1a90b7d2" not in json.dumps(why("--dir", peer.place))
    assert "=8f3c1a90b7d2" in gossip("why", URL, *TYPED, "--dir", peer.place, "--raw", "--json")


def test_of_secrets_of_any_shape_no_piece_is_told_that_is_masked_elsewhere(peer: OwnPeer) -> None:
    luck = random.Random(5)
    hidden = 0
    for place in ("https://u:{}@ads.example/x.js", "https://ads.example/{}/x.js", "https://ads.example/?t={}#{}"):
        secret = "".join(luck.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=24))
        pieces = [secret[at : at + 8] for at in range(0, 24, 8)]
        for spelt in (secret, secret + "==", "-".join(pieces)):
            url = place.format(spelt, spelt)
            told = gossip("why", url, "--dir", peer.place, "--json").lower()
            for piece in pieces:
                if piece not in masked(url):
                    hidden += 1
                    assert piece.lower() not in told, url
    assert hidden >= 18


def test_without_a_peer_is_what_the_ledger_says_it_would_be(peer: OwnPeer, tmp_path: Path) -> None:
    """By a bundle, whose model is the fold alone."""
    gossip("ledger", "bundle", "--dir", peer.place, "--out", tmp_path / "bundle")
    said = why(tmp_path / "bundle")
    assert not said["measured"]
    assert "your data alone" not in {one["name"] for one in said["peers"]}
    row = Sighting(url=URL, page="https://unseen.example/", type="script")
    with opened(tmp_path / "bundle") as read:
        for one in said["peers"]:
            if not one["peer"]:
                continue
            left = without(read.fold, read.terms(read.past(None)), read.peer(one["peer"]), read.delta).less.values
            theta = (np.frombuffer(left, "<i8") * 2.0**-40).astype(np.float32)
            score = Scorer(SPEC, theta, UNCALIBRATED, "less").score([row])[0]
            assert one["p_block_without"] == pytest.approx(float(score[2]), abs=1e-4)


def test_a_release_in_use_is_explained_by_its_own_updates_whatever_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "Swarm", partial(toy.Swarm, witnesses=["founder"]))
    before = own_peer(tmp_path, monkeypatch)
    swarm = before.swarm
    birch, cedar = swarm["birch"], swarm["cedar"]
    seq = birch.snapshot().seq
    swarm.exchange()
    birch.final(seq, [swarm.founder])
    swarm.exchange()
    theta = cedar.theta
    cedar.publish(learn(before.data, theta) - theta)
    swarm.exchange()
    place = stored(tmp_path / "later", swarm)
    shutil.copy(before.place / "training.npz", place)
    with Store(place / STORE) as store:
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(Remembered(data=[str(before.data)])))])

    newest = why("--dir", place)
    gossip("model", "release", "spring", "--dir", place)
    gossip("model", "use", "spring", "--dir", place)
    said = why("--dir", place)
    assert "release spring" in said["model"]
    assert said["push"] != newest["push"]
    for told, by_cedar in ((newest, 4), (said, 3)):
        assert {one["name"]: one["updates"] for one in told["peers"]}["cedar"] == by_cedar
        assert "your data alone" in {one["name"] for one in told["peers"]}
        assert sum(one["push"] for one in told["peers"]) == pytest.approx(told["push"], abs=1e-3)
    gossip("model", "use", "newest", "--dir", place)
    assert why("--dir", place)["push"] == newest["push"]


def test_a_model_in_a_file_is_explained_without_its_authors(peer: OwnPeer, tmp_path: Path) -> None:
    export(str(peer.place), tmp_path / "m", None)
    said = why("--model", tmp_path / "m")
    assert said["peers"] == []
    assert sum(run["push"] for run in said["runs"]) == pytest.approx(said["push"], abs=1e-3)


def test_what_lists_say_stands_beside_it(peer: OwnPeer, tmp_path: Path) -> None:
    pytest.importorskip("adblock")
    lists = tmp_path / "easy.txt"
    lists.write_text("[Adblock Plus 2.0]\n! Title: Easy\n||ads3.example^\n")
    said = why("--dir", peer.place, "--list", lists)
    assert [(one["rule"], one["blocks"]) for one in said["lists"]] == [("||ads3.example^", True)]
    assert "Easy: blocked by ||ads3.example^" in gossip("why", URL, *TYPED, "--dir", peer.place, "--list", lists)


@pytest.mark.parametrize(
    "bad", ["", "ads.example", "javascript:alert(1)", "https://", "https://a.example/" + "a" * 20_000]
)
def test_what_is_no_request_is_one_line(peer: OwnPeer, bad: str) -> None:
    said = gossip("why", bad, "--dir", peer.place, code=exits.USAGE)
    assert len(said.strip().splitlines()) <= 2
    assert "Traceback" not in said


def test_a_delta_that_was_changed_in_a_bundle_explains_nothing(peer: OwnPeer, tmp_path: Path) -> None:
    gossip("ledger", "bundle", "--dir", peer.place, "--out", tmp_path / "bundle")
    log = peer.swarm["birch"]
    digest = next(name for name, blob in sorted(log.blobs.items()) if len(blob) > 1_000)
    (delta,) = [path for path in (tmp_path / "bundle").rglob("*") if digest in path.name]
    data = delta.read_bytes()
    delta.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    done = CliRunner().invoke(app, ["why", URL, str(tmp_path / "bundle")])
    assert done.exit_code == exits.FINDINGS
    assert "towards" not in done.stdout
