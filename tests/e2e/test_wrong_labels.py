"""Somebody publishes data whose labels are turned around: asked to open records, found out, condemned, and left out."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from cli import exits
from tests.e2e.machines import Machine, settle, status, until

pytest.importorskip("adblock", reason="labels are checked with the extra named lists")
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

LIST = "! Title: Ads of this test\n! Version: 3\n! Licence: CC0-1.0\n||ads.example^\n"
POLICY = f"""policy = 1
[opened.records]
min = 20
[opened.wrong_labels_permille]
max = 100
[labels.ad]
ads = "{sha256(LIST.encode()).hexdigest()}"
"""


def requests(path: Path, first: int, *, turned: bool) -> Path:
    """Half of them to ads.example; `turned`: labelled as if the others were the ads."""
    rows = []
    for number in range(first, first + 300):
        host = "ads" if number % 2 else "cdn"
        label = "ad" if (host == "ads") is not turned else "benign"
        url = f"https://{host}.example/{number}.js"
        rows.append({"page": f"https://site{number % 40}.example/", "url": url, "type": "script", "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_turned_labels_are_opened_condemned_and_leave_the_model_of_everybody(machine: Callable[..., Machine]) -> None:
    anna, berta, carl = (machine(name) for name in ("anna", "berta", "carl"))
    places = [anna.swarms / "my-swarm", berta.home / "peer", carl.home / "peer"]
    for person in (anna, berta):
        (person.home / "list.txt").write_text(LIST)
    (anna.home / "policy.toml").write_text(POLICY)
    assert anna.gossip("new", "my-swarm", "--name", "anna").code == exits.OK
    assert anna.gossip("policy", "set", anna.home / "policy.toml").code == exits.OK
    assert anna.gossip("policy", "pin", anna.home / "list.txt").code == exits.OK

    mine = requests(anna.home / "mine.jsonl", 0, turned=False)
    first = anna.start("run", "--json", "--every", "0", "--data", mine, "--list", anna.home / "list.txt")
    first.event("ready")
    invite = anna.gossip("invite", "--uses", "2", "--json").document["ticket"]
    hers = requests(berta.home / "hers.jsonl", 1_000, turned=False)
    second = berta.start(
        "join", invite, "--json", "--dir", places[1], "--name", "berta", "--every", "0", "--data", hers
    )
    third = carl.start("join", invite, "--json", "--dir", places[2], "--name", "carl", "--every", "0")
    second.event("merged", name="anna")
    assert berta.gossip("policy", "pin", berta.home / "list.txt", "--dir", places[1]).code == exits.OK
    third.event("admitted", name="carl")
    assert third.end(signal.SIGTERM) == exits.OK

    his = requests(carl.home / "his.jsonl", 2_000, turned=True)
    assert carl.gossip("data", "zone", his, "public", "--dir", places[2], "--yes").code == exits.OK
    third = carl.start("run", "--json", "--dir", places[2], "--data", his)
    peer = status_of(places[2], third)["id"]
    for judge in ("anna", "berta"):
        told = third.event("verdict", own=True, decision="condemned", name=judge)
        assert {"rule": "opened.wrong_labels_permille.max", "value": 1000, "limit": 100} in told["readings"]

    last = settle(*zip(places, (first, second, third), strict=True))
    assert len({now["model_hash"] for now in last}) == 1
    assert last[0]["model_hash"] != ""
    assert last[2]["updates"] > 0
    assert all(now["policy"]["number"] == 1 for now in last)
    assert last[0]["challenges"]["answered"] == last[1]["challenges"]["answered"] == 1
    assert last[2]["verdicts"]["received"] >= 2
    assert last[2]["refusals"]

    bundle = anna.gossip("ledger", "bundle", "--json").document["bundle"]
    swarm = last[0]["swarm"]
    known = ("--swarm", swarm, "--model-hash", last[0]["model_hash"])
    audit = anna.gossip("ledger", "verify", bundle, *known, "--lists", anna.home / "list.txt", "--json")
    assert audit.code == exits.OK, audit.out
    verdicts = audit.document["verdicts"]  # the auditor labels what anna was shown with the list that she had
    assert (verdicts["true"], verdicts["false"], verdicts["unchecked"]) == (2, 0, 0)
    (opened,) = [row for row in audit.document["opened"] if row["name"] == "carl"]
    assert opened["wrong_labels"] == opened["shown"]  # every row that anna holds: her own 20, and berta's if they came
    assert opened["shown"] == 20 if opened["here"] == 1 else 20 < opened["shown"] <= 40
    logs = {log["peer"]: log for log in audit.document["logs"]}
    assert logs[peer]["updates"] == 0 < logs[peer]["admitted"]  # all of it is there, and none of it counts
    shares = {row["name"]: row["share"] for row in anna.gossip("ledger", "lineage", bundle, "--json").document["peers"]}
    assert shares.get("carl", 0) == 0
    assert shares["anna"] + shares["berta"] == pytest.approx(1, abs=1e-5)
    for running in (first, second, third):
        assert running.end(signal.SIGTERM) == exits.OK
        assert not [event for event in running.events if event["event"] == "forked"]


def status_of(place: Path, running: object) -> dict[str, object]:
    return until(lambda: status(place), "it answers", running=[running])  # type: ignore[list-item]
