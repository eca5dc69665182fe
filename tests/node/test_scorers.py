"""A scorer is found where a model is: in a file of either format, or in what a peer holds, whether its node runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from gossip.directory import model_path
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import suffixes
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.scorers import NO_MODEL, NoModel, load_scorer
from gossip.training.calibration import UNCALIBRATED
from ledger.errors import GossipError, LocalError
from ledger.export import float32_bytes, make_header, write_model
from ledger.fold import model_header
from tests.advisor.models import DECLARED, MEASURED, TRAINED, model_file, spec, weights
from tests.cli.test_ledger import stored
from tests.fold import toy

AD = Sighting("https://ads.example/x.js", "https://news.example/", "script")
FINE = Sighting("https://news.example/own.js", "https://news.example/", "script")


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    """One that has learned what tests/advisor/models.py knows, in three updates."""
    swarm = toy.Swarm(["birch"], layout=spec().layout(), model=DECLARED)
    for _ in range(3):
        for name in ("founder", "birch"):
            swarm[name].publish(weights() / 6)
        swarm.exchange()
    return swarm


def p_block(place: Path | None, directory: Path | None = None) -> list[float]:
    scorer = load_scorer(place, directory)
    return [float(value) for value in scorer.score([AD, FINE])[:, 2]]


def test_with_nothing_one_line_says_what_to_do() -> None:
    with pytest.raises(NoModel) as caught:
        load_scorer(None, None)
    assert str(caught.value) == NO_MODEL
    assert NO_MODEL == ("No model yet. Start a swarm: gossip new NAME. Or alone: gossip train FILE --out m.gossip")


def test_a_file_that_was_trained_is_calibrated(tmp_path: Path) -> None:
    scorer = load_scorer(model_file(tmp_path / "m.gossip"), None)
    assert (scorer.calibration, scorer.name, scorer.notes) == (MEASURED, "m.gossip", ())
    assert p_block(tmp_path / "m.gossip")[0] > 0.9


def test_another_public_suffix_list_is_said(tmp_path: Path) -> None:
    same = model_file(tmp_path / "same.gossip", trained=replace(TRAINED, suffixes=suffixes()))
    assert load_scorer(same, None).notes == ()
    old = model_file(tmp_path / "old.gossip", trained=replace(TRAINED, suffixes="2019-01-01_00-00-00_UTC"))
    assert load_scorer(old, None).notes == (
        f"trained with the public-suffix list of 2019-01-01, this program has that of {suffixes()[:10]}",
    )


def test_a_model_that_left_a_swarm_scores_as_its_peers_do(tmp_path: Path, swarm: toy.Swarm) -> None:
    founder = swarm.founder
    checked = founder.snapshot()
    swarm.exchange()
    assert founder.fold is not None
    values = float32_bytes(NumpyArithmetic().model_bytes(founder.fold.theta))
    head = make_header(founder.replica, swarm.founder_id, checked.seq, founder.model_hash())
    write_model(tmp_path / "out.gossip-model", head, values)
    exported = load_scorer(tmp_path / "out.gossip-model", None)
    assert exported.calibration == UNCALIBRATED
    place = stored(tmp_path / "peer", swarm)
    held = load_scorer(None, place)
    np.testing.assert_array_equal(exported.theta, held.theta)
    ad, fine = p_block(None, place)
    assert ad > 0.6 > 0.4 > fine


def test_a_peer_without_an_update_has_no_model_until_it_is_given_a_final_one(tmp_path: Path) -> None:
    young = toy.Swarm([], layout=spec().layout(), model=DECLARED)
    place = stored(tmp_path / "peer", young)
    with pytest.raises(NoModel):
        load_scorer(None, place)
    model_path(place).write_bytes(b"damaged")
    with pytest.raises(NoModel):
        load_scorer(None, place)
    grown = np.round(weights().astype(np.float64) * 2.0**40).astype("<i8").tobytes()
    model_path(place).write_bytes(model_header(spec().layout()) + grown)
    np.testing.assert_array_equal(load_scorer(None, place).theta, weights())


def test_what_is_no_model_is_refused(tmp_path: Path, swarm: toy.Swarm) -> None:
    for name, data in (
        ("page.html", b"<html>"),
        ("list.txt", b"||ads.example^\n"),
        ("empty", b""),
        ("odd", b'{"model":"'),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(GossipError, match=r"no model to score with|no exported model"):
            load_scorer(tmp_path / name, None)
    with pytest.raises(LocalError, match="cannot read the model"):
        load_scorer(tmp_path / "nothing", None)


def test_scoring_loads_no_jax(tmp_path: Path) -> None:
    path = model_file(tmp_path / "m.gossip")
    program = (
        "import sys; from pathlib import Path; from gossip.scorers import load_scorer\n"
        "from gossip.filterlists.sighting import Sighting\n"
        f"load_scorer(Path({str(path)!r}), None).judge([Sighting('https://a.example/')])\n"
        "sys.exit('jax' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path)
