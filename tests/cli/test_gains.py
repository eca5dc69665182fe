"""`gossip gains` and a peer's own scorer: made from what lies in its directory, and again when that changes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.gains import Told
from cli.own import own_data, personalised
from cli.page.gains import render_page
from cli.running import gave
from cli.scoring import scorer_of
from gossip.filterlists.judging import judgement_of
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import is_held_out
from gossip.judgements import append
from gossip.own_scorer import Mixed, own_scorer
from gossip.scorers import load_scorer
from gossip.training.calibration import UNCALIBRATED
from gossip.training.spec import Dense, EmbeddingBag, Tanh
from tests.cli.own_peer import SPEC, OwnPeer, own_peer

pytestmark = pytest.mark.usefixtures("offline")

AD = Sighting(url="https://ads3.example/banner/9.js", page="https://unseen.example/", type="script")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> OwnPeer:
    with pytest.MonkeyPatch.context() as patch:
        return own_peer(tmp_path_factory.mktemp("own"), patch)


@pytest.fixture
def peer(made: OwnPeer) -> OwnPeer:
    (made.place / "personal.json").unlink(missing_ok=True)
    (made.place / "judgements.jsonl").unlink(missing_ok=True)
    return made


def gossip(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(peer: OwnPeer, *more: object) -> Any:
    return json.loads(gossip("gains", "--dir", peer.place, "--json", *more))


def test_it_says_what_alone_swarm_and_both_together_come_to(peer: OwnPeer) -> None:
    said = facts(peer)
    held = sum(is_held_out(f"shop{site}.example", SPEC.validation_share) for site in range(24))
    assert (said["rows"], said["sites"], said["positives"]) == (24 * held, held, 12 * held)
    for model in ("alone", "swarm", "mine"):
        assert 0.5 < said[model]["pr_auc"] <= 1
    assert said["mine"]["pr_auc"] >= said["alone"]["pr_auc"] - 0.01
    assert 0 <= said["share"] <= 1
    told = gossip("gains", "--dir", peer.place)
    for words in ("alone", "swarm and yours", "95%", "Your scorer is", "Threshold"):
        assert words in told
    assert f"{said['rows']} , {said['positives']}".replace(" ,", ",") in told


def test_what_scores_is_the_mix_with_its_calibration(peer: OwnPeer) -> None:
    swarm = load_scorer(None, peer.place)
    mine, found = own_scorer(swarm, peer.place, own_data(peer.place))
    assert found is not None
    assert mine.calibration == found.calibration
    np.testing.assert_allclose(mine.theta, (1 - found.share) * swarm.theta + found.share * peer.alone, atol=1e-6)
    assert mine.score([AD])[0, 2] == personalised(swarm, peer.place).score([AD])[0, 2]
    assert scorer_of(None, peer.place, None).calibration == found.calibration  # what every command of the bench takes


def test_what_was_found_is_kept_for_its_owner_and_found_anew_once_something_changed(peer: OwnPeer) -> None:
    facts(peer)
    kept = peer.place / "personal.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    before, text = kept.stat().st_mtime_ns, kept.read_bytes()
    facts(peer)
    assert kept.stat().st_mtime_ns == before
    append(peer.place, judgement_of("cdn1.example", "ad", time=0))
    facts(peer)
    judged = kept.read_bytes()
    assert judged != text
    assert json.loads(judged)["found"]["gains"]["positives"] >= json.loads(text)["found"]["gains"]["positives"]
    kept.write_bytes(b"{")
    facts(peer)
    assert kept.read_bytes() == judged


def test_data_that_are_gone_leave_the_swarms_model_and_say_so(
    peer: OwnPeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = peer.data.rename(peer.data.with_suffix(".away"))
    try:
        swarm = load_scorer(None, peer.place)
        assert personalised(swarm, peer.place) is swarm
        assert "uncalibrated" in capsys.readouterr().err
        assert "cannot be read" in gossip("gains", "--dir", peer.place, code=exits.USAGE)
    finally:
        moved.rename(peer.data)


def test_the_page_has_the_plot_and_the_swarms_way_there(peer: OwnPeer, tmp_path: Path) -> None:
    page = tmp_path / "gains.html"
    history = facts(peer, "--html", page)["history"]
    assert history[-1]["updates"] == 9
    text = page.read_text()
    for words in ("<svg", "swarm and yours", "On your own held-out sites"):
        assert words in text
    assert "http" not in text.replace("http-equiv", "")


def test_over_snapshots_the_swarms_way_is_drawn(peer: OwnPeer) -> None:
    _, found = own_scorer(load_scorer(None, peer.place), peer.place, own_data(peer.place))
    assert found is not None
    page = render_page(Told("me<b>", found, [(3, 0.7), (9, 0.9)]))
    assert "The swarm's way there" in page
    assert "me&lt;b&gt;" in page


def test_a_run_ends_with_what_the_swarm_gave() -> None:
    scores = {"alone": {"pr_auc": 0.861, "f1": 0.5}, "swarm_scores": {"pr_auc": 0.948, "f1": 0.5}}
    assert gave(scores) == (
        "what the swarm gave you, on your held-out rows: alone .86, swarm .95; with yours: gossip gains"
    )
    assert gave({"alone": None, "swarm_scores": {"pr_auc": 0.9}}) == gave({}) == ""


def test_a_model_that_is_not_linear_is_mixed_by_its_logits(peer: OwnPeer) -> None:
    deep = msgspec.structs.replace(SPEC, layers=[EmbeddingBag(units=4, buckets=1024), Tanh(), Dense(units=3)])
    luck = np.random.default_rng(0)
    one, other = (luck.normal(0, 0.3, deep.parameters).astype(np.float32) for _ in range(2))
    logits = [Mixed(deep, one, other, share, UNCALIBRATED, "m").logits([AD]) for share in (0.0, 0.25, 1.0)]
    np.testing.assert_allclose(logits[1], 0.75 * logits[0] + 0.25 * logits[2], atol=1e-6)
