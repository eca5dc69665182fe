"""`gossip label`: what is said at once, what is printed of it, and that taking it back leaves no trace."""

from __future__ import annotations

import json
import random
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.group import Gossip
from cli.label import label, moved_from
from cli.remembered import REMEMBERED, Remembered
from cli.score import score
from gossip import releases
from gossip.directory import store_path
from gossip.filterlists.requests import Request, read_requests
from gossip.filterlists.split import DEMO_TABLE
from gossip.judgements import judgements_path
from gossip.setup import create_swarm
from gossip.training.rows import bags_of
from gossip.training.scoring import Theta, probabilities
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.export import FORMAT, Header, write_model
from ledger.store import PutMeta, Store

SPEC = ModelSpec.parse(FILTERLIST)
ROWS = 300


FEW: typer.Typer = typer.Typer(cls=Gossip)  # typer builds every command anew for each call: these alone are quick
FEW.command()(label)
FEW.command()(score)


def gossip(*words: str, code: int = exits.OK) -> str:
    done = CliRunner().invoke(FEW if words[0] in ("label", "score") else app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*words: str) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json"))
    assert isinstance(value, dict)
    return value


def some(begin: int, count: int = ROWS) -> list[Request]:
    """Requests of the demo's table."""
    return list(islice(read_requests(DEMO_TABLE), begin, begin + count))


def test_a_file_is_not_judged_as_if_it_were_a_domain(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mon.har` reads like a name with a dot: who forgot --review would have judged all below it."""
    (tmp_path / "mon.har").write_text("{}")
    monkeypatch.chdir(tmp_path)
    told = gossip("label", "mon.har", "ad", code=exits.USAGE)
    assert told.count("\n") == 1
    assert "gossip label FILE --review" in told
    assert not judgements_path(place).exists()


def table(path: Path, rows: list[Request]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def counted(rows: list[Request]) -> Theta:
    """A model in a moment: the log odds of each bucket, smoothed."""
    bags = bags_of(SPEC, rows)
    of = np.repeat(bags.labels, np.diff(bags.offsets)).astype(np.int64)
    buckets = SPEC.parameters // 3
    seen = np.stack([np.bincount(bags.tokens[of == label], minlength=buckets) for label in range(3)], axis=1) + 0.5
    shares = np.log(seen / seen.sum(0))
    return np.asarray((shares - shares.mean(1, keepdims=True)).ravel(), np.float32)


def in_use(place: Path, theta: Theta) -> None:
    header = Header(
        format=FORMAT, swarm="aa" * 32, snapshot=("bb" * 32, 3, "cc" * 32), heads=[], model_hash="dd" * 32,
        layout=SPEC.layout(), model=SPEC.text, updates=7,
    )  # fmt: skip
    releases.add(
        place,
        lambda digest: releases.Release(
            name="r", log="bb" * 32, seq=3, model_hash="dd" * 32, sha256=digest, updates=7, time=1_767_225_600
        ),
        "r",
        lambda path: write_model(path, header, theta.tobytes()),
    )
    releases.use(place, "r")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A peer with no data and no model."""
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "lists"
    create_swarm(place, name="lists", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=7)
    return place


@pytest.fixture
def scored(place: Path, tmp_path: Path) -> list[Request]:
    """A peer with both: what it holds out."""
    held = some(2_000)
    in_use(place, counted(some(0)))
    wishes = Remembered(
        data=[str(table(tmp_path / "own.jsonl", some(0)))], validation=str(table(tmp_path / "held.jsonl", held))
    )
    with Store(store_path(place)) as store:
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(wishes))])
    return held


def wrong(held: list[Request], count: int) -> list[Request]:
    """Requests that the model has wrong, each of another URL."""
    bags = bags_of(SPEC, held)
    guessed = probabilities(SPEC, counted(some(0)), bags).argmax(1)
    rows = {row.url: row for row, guess, label in zip(held, guessed, bags.labels, strict=True) if guess != label}
    return random.Random(3).sample(list(rows.values()), count)


def test_twenty_corrections_change_held_out_scores_as_printed_and_undo_restores_each(
    place: Path, scored: list[Request], tmp_path: Path
) -> None:
    capture = table(tmp_path / "capture.jsonl", scored[:40])
    before = gossip("score", str(capture), "--json")
    told = [facts("label", row.url, row.label, "--page", row.page, "--type", row.type) for row in wrong(scored, 20)]
    chain = [told[0]["scores"]["before"], *(one["scores"]["after"] for one in told)]
    for one, here in zip(told, chain, strict=False):
        assert one["scores"]["before"] == here  # what was printed last is where the next one begins
    assert chain[-1]["pr_auc"] > chain[0]["pr_auc"] + 0.02
    assert len({one["pr_auc"] for one in chain}) > 15
    assert told[-1]["standing"] == 20
    assert told[-1]["scores"]["judged"] >= 20
    assert gossip("score", str(capture), "--json") != before  # before any round was trained

    line = next(line for line in gossip("label", "--undo").splitlines() if line.startswith("scores"))
    assert f"PR-AUC {moved_from(chain[20]['pr_auc'], chain[19]['pr_auc'])}, F1 " in line
    for here in reversed(chain[:19]):
        assert facts("label", "--undo")["scores"]["after"] == here
    assert facts("label", "--list")["judgements"] == []
    assert gossip("score", str(capture), "--json") == before
    assert "nothing to take back" in gossip("label", "--undo", code=exits.USAGE)
    assert len(judgements_path(place).read_bytes().splitlines()) == 40  # an undo is a line, too


@given(st.lists(st.floats(0, 1) | st.floats(0.9515, 0.9525), min_size=2, max_size=20))
def test_printed_scores_begin_where_the_last_ones_ended(scores: list[float]) -> None:
    told = [moved_from(before, after) for before, after in pairwise(scores)]
    ends = [line.removesuffix(", no change").split(" -> ") for line in told]
    assert all(one[-1] == other[0] for one, other in pairwise(ends))
    for line, (before, after) in zip(told, pairwise(scores), strict=True):
        assert line.endswith("no change") <= (abs(after - before) < 0.0005)
    assert moved_from(0.952348, 0.952276) == ".952, no change"
    assert moved_from(0.9524, 0.9526) == ".952 -> .953"  # below half a digit, and the next one begins there
    assert moved_from(0.9531, 0.9674) == ".953 -> .967"


def test_the_newest_wins_and_a_url_beats_a_domain(place: Path, scored: list[Request]) -> None:
    gossip("label", "metrics.example", "tracker", "--no-scores")
    gossip("label", "eu.metrics.example", "benign", "--no-scores", "--note", "theirs")
    assert "judged" in gossip("label", "https://metrics.example/ok.js?v=123#x", "benign", "lists", "--no-scores")
    shown = gossip("label", "--list")
    assert "metrics.example/ok.js?v=…" in shown
    assert "theirs" in shown
    assert "v=123" not in shown
    assert "v=123" in gossip("label", "--list", "--raw")
    assert "not asked for" in gossip("label", "metrics.example", "ad", "--no-scores")


def test_who_has_no_model_or_no_data_is_told_and_the_judgement_is_kept(place: Path, tmp_path: Path) -> None:
    told = gossip("label", "metrics.example", "tracker")
    assert "scores    none: no model yet" in told
    assert "once it runs again" in told
    in_use(place, counted(some(0)))
    assert "no own rows are held out" in gossip("label", "ads.example", "ad")
    assert facts("label", "--list")["judgements"][0]["label"] == "ad"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["co.uk", "ad"], "public suffix"),
        (["com", "ad"], "public suffix"),
        (["*.ads.example", "ad"], "leave the \\* out".replace("\\", "")),
        (["192.0.2.7", "ad"], "an address is no domain"),
        (["ads.example:8080", "ad"], "a domain has no port"),
        (["||ads.example^", "ad"], "it is a rule"),
        (["ads.example/x", "ad"], "say https://ads.example/x"),
        (["https://anna:geheim@ads.example/", "ad"], "it carries a user name"),
        (["ads.example", "evil"], "say ad, tracker or benign"),
        (["ads.example", "ad", "--page", "nowhere"], "is no page"),
        (["ads.example", "ad", "--type", "car"], "is no type of a request"),
        (["ads.example"], "as what is it judged"),
        (["ads.example", "ad", "lists", "more"], "one word too many"),
        (["ads.example", "ad", "--model", "m.gossip"], "--model is for --review"),
        (["--undo", "--list"], "three commands"),
        (["x.har", "--review"], "a review needs a terminal"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line_and_nothing_is_kept(
    place: Path, words: list[str], said: str
) -> None:
    told = gossip("label", *words, code=exits.USAGE)
    assert said in told
    assert told.count("\n") == 1
    assert not judgements_path(place).exists()
