"""A peer that has only its own list: what the list does not know is not called harmless."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from gossip.filterlists.judging import Standing, judgement_of
from gossip.filterlists.sighting import Sighting
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training.coverage import KNOWN, SILENT, coverage_of
from gossip.training.dataset import DataSet, read_data
from gossip.training.judged import Felt
from gossip.training.protocol import OwnData
from gossip.training.rows import bags_of
from gossip.training.scoring import probabilities
from gossip.training.session import Session
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.errors import LocalError
from tests.training.test_spec import OWN, changed

CALM = {"kind": "adam", "rate": 0.01, "epsilon": 0.001}  # the same few requests again and again: figures, not swings
TEXT = changed(FILTERLIST, batch=32, local_steps=16, validation_share=0.0, optimiser=CALM)
SPEC = ModelSpec.parse(TEXT)
SALT = bytes(32)
LISTED = 0.45  # of the ads, its list knows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kinds of requests; the list is about ads, and knows fewer than half of them."""
    luck = random.Random(7)
    lines = []
    for number in range(1_200):
        kind = ("banner", "collect", "story")[number % 3]
        label = "ad" if kind == "banner" and luck.random() < LISTED else "benign"
        url = f"https://h{number % 5}.test/{kind}/x.js"
        lines.append(
            json.dumps({"page": f"https://p{number % 31}.test/", "url": url, "type": "script", "label": label})
        )
    path = tmp_path_factory.mktemp("rows") / "own.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def trained(rows: Path, *, unlabelled: bool) -> np.ndarray:
    """What a model that saw them says of requests it did not see: P(benign) of ads, of trackers, of stories."""
    arithmetic = NumpyArithmetic()
    start = arithmetic.to_float32(arithmetic.start(SPEC.layout(), "11" * 32))
    own = OwnData.private(TEXT, [rows], None, SALT)
    own = OwnData(**{**{name: getattr(own, name) for name in own.__struct_fields__}, "unlabelled": unlabelled})
    session, _, _ = Session.load(own, start)
    theta = session.fitted(start, 8, lambda done: None)
    session.close()
    return np.array([
        probabilities(SPEC, theta, bags_of(SPEC, [
            Sighting(f"https://h{at % 5}.test/{kind}/x.js", "https://news.test/", "script") for at in range(5)
        ]))[:, 0].mean()
        for kind in ("banner", "collect", "story")
    ])  # fmt: skip


def test_a_list_with_holes_teaches_its_ads_and_nothing_against_the_lists_of_others(rows: Path) -> None:
    as_labelled, as_unlabelled = trained(rows, unlabelled=False), trained(rows, unlabelled=True)
    assert as_labelled[0] > 0.5  # most of its ads have no label, so it takes none for one
    assert as_unlabelled[0] < 0.5
    assert as_labelled[1:].min() > 0.9
    assert as_unlabelled[2] > 0.8  # it still finds what it has no reason to suspect harmless


def test_one_unlabelled_row_moves_a_model_that_is_sure_by_less(rows: Path) -> None:
    """A bounded loss: what the others of the swarm know is not unlearned from a list that never heard of it."""
    import jax
    import jax.numpy as jnp

    from gossip.training.learner import loss_of

    spec = ModelSpec.parse(changed(OWN, negative="0"))
    inputs = jnp.zeros((1, spec.features.columns))  # type: ignore[union-attr]
    arithmetic = NumpyArithmetic()
    theta = jnp.asarray(arithmetic.to_float32(arithmetic.start(spec.layout(), "11" * 32)))
    theta = theta.at[-9].set(9.0)  # the bias of class 1: sure of it
    steep = {
        name: float(jnp.abs(jax.grad(loss)(theta, (inputs, jnp.array([label])))).sum())
        for name, loss, label in (
            ("benign", loss_of(spec), 0),
            ("unlabelled", loss_of(spec, (0.0, *(KNOWN,) * 9)), 10),
            ("not about it", loss_of(spec, (0.0, *(SILENT,) * 9)), 10),
        )
    }
    assert steep["not about it"] < steep["unlabelled"] / 10 < steep["benign"] / 100


def read(rows: Path, *, only_listed: bool, said: Standing | None = None) -> DataSet:
    return read_data(SPEC, [rows], None, salt=SALT, only_listed=only_listed, felt=Felt(said or Standing(())))


def test_what_is_said_of_the_data_is_the_same_either_way(rows: Path) -> None:
    plain, silent = (read(rows, only_listed=flag) for flag in (False, True))
    assert plain.commitment.root == silent.commitment.root
    assert plain.labels == silent.labels
    assert set(plain.rows.read(0, len(plain.rows)).labels.tolist()) == {0, 1}
    assert set(silent.rows.read(0, len(silent.rows)).labels.tolist()) == {1, 3}
    for each in (plain, silent):
        each.rows.close()


def test_what_its_owner_judged_benign_is_benign(rows: Path) -> None:
    said = Standing([judgement_of("https://h1.test/story/x.js", "benign", time=1)])
    data = read(rows, only_listed=True, said=said)
    labels = data.rows.read(0, len(data.rows)).labels.tolist()
    data.rows.close()
    assert labels.count(0) >= data.judged["benign"] > 0
    assert 3 in labels


def test_held_out_rows_keep_their_labels(rows: Path) -> None:
    spec = ModelSpec.parse(changed(FILTERLIST, validation_share=0.5))
    data = read_data(spec, [rows], None, salt=SALT, only_listed=True)
    data.rows.close()
    assert data.held_out is not None
    assert set(data.held_out.labels.tolist()) == {0, 1}


def test_a_list_is_about_the_classes_that_it_names_often() -> None:
    assert coverage_of(SPEC, {"benign": 900, "ad": 90, "tracker": 10}) == (0.0, KNOWN, KNOWN)
    assert coverage_of(SPEC, {"benign": 900, "ad": 99, "tracker": 1}) == (0.0, KNOWN, SILENT)
    assert coverage_of(SPEC, {"benign": 900}) == (0.0, SILENT, SILENT)


def test_a_model_without_a_negative_class_has_no_rows_without_a_label() -> None:
    with pytest.raises(LocalError, match="declares no `negative` class"):
        coverage_of(ModelSpec.parse(OWN), {})
