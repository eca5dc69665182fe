"""`gossip data privacy`: what a model gives away is measured and put in words, a claim held against an audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from cli import exits, remembered
from cli.app import app
from cli.privacy import verdict_of
from gossip.training.budget import FORMAT
from gossip.training.spec import ModelSpec
from ledger.canonical import encode_entry
from ledger.entry import FORMAT_VERSION, Scores, Update
from ledger.errors import LocalError
from ledger.export import Header, write_model
from ledger.store import PutEntry, Store
from tests.training.small import MODEL, table

SPEC = ModelSpec.parse(MODEL)
ROWS = 1_300


def gossip(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout if code in (exits.OK, exits.FINDINGS) else done.stderr


def facts(*words: object, code: int = exits.OK) -> Any:
    return json.loads(gossip("data", "privacy", *words, "--json", code=code))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return table(tmp_path / "rows.csv", ROWS)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Exported, of a swarm that taught it the first column."""
    weights = np.zeros((4, 2), np.float32)
    weights[0] = [2, -2]
    header = Header(
        format="gossip-model/1", swarm="11" * 32, snapshot=("ab" * 32, 7, "22" * 32), heads=[], model_hash="33" * 32,
        layout=SPEC.layout(), model=MODEL, updates=3,
    )  # fmt: skip
    write_model(tmp_path / "model", header, np.concatenate([weights.ravel(), np.zeros(2, np.float32)]).tobytes())
    return tmp_path / "model"


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Path:
    """A peer that has heard of nobody yet."""
    (tmp_path / "model.json").write_text(MODEL)
    gossip("new", "swarm", "--task", "table", "--model", tmp_path / "model.json")
    return home / "swarm"


def promise(place: Path, epsilon: int) -> None:
    """The account that a run with --epsilon begins."""
    kept = {"format": FORMAT, "epsilon": epsilon, "delta": 13_000, "spent": [[24_600, 900_000, 40]]}
    (place / "privacy.json").write_bytes(msgspec.json.encode(kept))


def test_it_measures_an_exported_model_without_any_swarm_and_says_what_it_means(rows: Path, model: Path) -> None:
    said = facts(rows, "--model", model)
    assert said["members"] + said["held_out"] == ROWS
    (found,) = said["models"]
    assert found["what"] == "model, snapshot abababab/7"
    assert 0.4 < found["auc"] < 0.6, "the rows held out are of the same kind, and the model has seen neither"
    assert found["verdict"] == verdict_of(found["auc"])
    assert (said["promised"], said["audit"], said["honest_epsilon_exists"]) == (None, None, True)
    told = gossip("data", "privacy", rows, "--model", model)
    for words in ("AUC", "a coin", "a better one may tell more", "Nothing is promised: gossip run --epsilon E"):
        assert words in told


def test_for_few_records_it_says_that_no_honest_epsilon_exists(tmp_path: Path, model: Path) -> None:
    few = table(tmp_path / "few.csv", 400)
    assert facts(few, "--model", model)["honest_epsilon_exists"] is False
    assert "no honest epsilon exists" in gossip("data", "privacy", few, "--model", model)


def test_the_model_of_these_data_alone_is_measured_too_and_what_is_spent_is_said(
    rows: Path, model: Path, place: Path
) -> None:
    pytest.importorskip("dp_accounting")
    alone = np.zeros(SPEC.parameters, np.float32)
    np.savez(place / "training.npz", alone=alone, residual=alone, rounds=np.int64(16))
    promise(place, 8_000)
    said = facts(rows, "--model", model, "swarm")
    assert [(found["model"], found["verdict"]) for found in said["models"]][1] == ("alone", "no better than a coin")
    assert said["models"][1]["auc"] == 0.5
    assert said["promised"]["epsilon"] == 8.0
    assert 0 < said["promised"]["spent"] < 8
    told = gossip("data", "privacy", rows, "--model", model, "--dir", place)
    assert "promised: epsilon 8 with delta 1 in 13,000" in told
    assert "Not covered: the counts in the data entry" in told
    (place / "training.npz").write_bytes(b"torn")
    assert len(facts(rows, "--model", model, "swarm")["models"]) == 1


def test_before_a_peer_has_run_there_is_nothing_to_measure(rows: Path, place: Path) -> None:
    assert "start it with: gossip run" in gossip("data", "privacy", rows, code=exits.USAGE)


@pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # jax_privacy's own
def test_an_audit_of_an_honest_plan_passes_and_of_a_false_one_is_a_finding(
    rows: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax_privacy")
    monkeypatch.setattr("gossip.training.privacy.SIGNIFICANCE", 1e-9)  # of honest plans, one audit in 20 fails else
    held = facts(rows, "--model", model, "--audit", "--epsilon", 2, "--rounds", 1)["audit"]
    assert held["holds"]
    assert 0 <= held["bound"] <= held["claimed"] < 2
    assert held["rounds"] == 1
    monkeypatch.setattr("gossip.training.privacy.Audit.holds", False)
    assert "THE CLAIM IS FALSE" in gossip(
        "data", "privacy", rows, "--model", model, "--audit", "--epsilon", 2, "--rounds", 1, code=exits.FINDINGS
    )


def test_an_audit_of_nothing_is_one_line(rows: Path, model: Path) -> None:
    pytest.importorskip("jax_privacy")
    said = gossip("data", "privacy", rows, "--model", model, "--audit", code=exits.USAGE)
    assert "nothing is promised that could be audited" in said


# ------------------------------------------------------------------ gossip run --epsilon


def wishes(place: Path, rows: Path, epsilon: float | None) -> float:
    """What a run would be told, and the next is told again."""
    wanted = remembered.Wishes(data=[rows], epsilon=epsilon)
    remembered.check(wanted)
    return remembered.config(place, wanted, None).epsilon


def test_an_epsilon_is_remembered_and_a_promise_once_begun_is_not_another(place: Path, rows: Path) -> None:
    pytest.importorskip("jax_privacy")
    assert wishes(place, rows, None) == 0
    assert wishes(place, rows, 8.0) == 8.0
    assert wishes(place, rows, None) == 8.0
    promise(place, 8_000)
    assert wishes(place, rows, None) == 8.0
    for other in (0, 4, 9):
        said = gossip("run", "swarm", "--data", rows, "--epsilon", other, code=exits.USAGE)
        assert said.count("\n") == 1
        assert "has promised an epsilon of 8" in said
        assert "go on with --epsilon 8, or join as a new peer" in said
    assert remembered.last_run(place).epsilon == 8.0, "a slip is not remembered"


@pytest.mark.parametrize(("spent", "epsilon", "why"), [(0, 8.0, "without an epsilon"), (500, 0.0, "break that now")])
def test_a_promise_is_for_all_updates_of_a_peer_or_for_none(
    place: Path, rows: Path, spent: int, epsilon: float, why: str
) -> None:
    """Also where the account is gone: the log says it."""
    pytest.importorskip("jax_privacy")
    with Store(place / "peer.db") as store:
        own, swarm = store.meta("self").decode(), store.meta("swarm").decode()
        update = Update(
            v=FORMAT_VERSION, swarm=swarm, seq=2, prev="11" * 32, time=0, meets=[], seen=[], heads="22" * 32,
            delta="33" * 32, bytes=100, codec="gossip-delta/1", view=[], data=1, steps=4, examples=128,
            scores=Scores(examples=0, tp=0, fp=0, fn=0), norm=1, weight=1, epsilon=spent,
        )  # fmt: skip
        store.commit([PutEntry(own, 2, encode_entry(update))])
    with pytest.raises(LocalError, match=why):
        wishes(place, rows, epsilon)
    assert wishes(place, rows, 8.0 if spent else 0.0) == (8.0 if spent else 0.0)


def test_the_extra_is_missed_before_anything_starts(
    place: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = gossip("invite", "swarm", "--json")
    monkeypatch.setattr("gossip.training.budget.find_spec", lambda name: None)
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "elsewhere"))
    for words in (["run", "--dir", place], ["join", json.loads(ticket)["ticket"]]):
        said = gossip(*words, "--data", rows, "--epsilon", 8, code=exits.USAGE)
        assert said.count("\n") == 1
        assert "private training needs jax-privacy" in said
        assert said.endswith("pip install jax-privacy\n")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("epsilon", ["21", "0.0001"])
def test_an_epsilon_that_promises_nothing_is_refused(place: Path, rows: Path, epsilon: str) -> None:
    assert "promises nothing" in gossip("run", "swarm", "--data", rows, "--epsilon", epsilon, code=exits.USAGE)


def test_few_requests_cost_no_invitation(tmp_path: Path, place: Path) -> None:
    pytest.importorskip("jax_privacy")
    few = tmp_path / "few.jsonl"
    few.write_text('{"page":"https://a.example/","url":"https://b.example/x.js","type":"script","label":"ad"}\n' * 900)
    ticket = json.loads(gossip("invite", "swarm", "--json"))["ticket"]
    said = gossip("join", ticket, "--data", few, "--epsilon", 8, "--dir", tmp_path / "new", code=exits.USAGE)
    assert "no honest epsilon exists for 900 records" in said
    assert not (tmp_path / "new").exists()
