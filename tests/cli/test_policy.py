"""`gossip policy`: rules in words, what became of an update and why, and how admins change the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from ledger.entry import Judgement, Reading, Update, Verdict
from ledger.policies import DEFAULT_POLICY, NAMES, shipped
from ledger.policy import Policy
from ledger.policy_facts import FACTS
from tests.cli.test_ledger import stored
from tests.fold import toy

CHANGE = np.linspace(-1, 1, 16) / 100
STRICT = """policy = 1
[update.steps]
max = 20
[data.records]
min = 1000
on_fail = "weight"
permille = 500
[crossed.copied]
max = 0
[opened.malformed]
max = 0
"""


def gossip(*words: str, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout or done.stderr


def facts(*words: str, code: int = exits.OK) -> dict[str, Any]:
    return dict(json.loads(gossip(*words, "--json", code=code)))


def condemn(judge: toy.Peer, author: toy.Peer, seq: int, rule: str = "crossed.copied.max") -> None:
    judge.fetch(author)
    judge.write(
        Verdict(
            **toy.CHAIN,
            basis=judge.replica.policy_now().hash,
            judgements=[
                Judgement(
                    peer=author.id, seqs=[seq], hash=judge.replica.leaf(author.id, seq), decision="condemned",
                    readings=[Reading(rule=rule, value=1, limit=0)], measured=[],
                )
            ],
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    """birch publishes one update under the founder's policy and three under STRICT; two condemn the last one."""
    swarm = toy.Swarm(["birch", "cedar"])
    birch, cedar, founder = swarm["birch"], swarm["cedar"], swarm.founder
    birch.publish(CHANGE)
    swarm.exchange()
    founder.ask_for(STRICT)
    birch.fetch(founder)
    for steps in (21, 10, 11):
        birch.publish(CHANGE * steps, steps=steps)
    swarm.exchange()
    updates = own_updates(birch)
    condemn(cedar, birch, updates[3])
    condemn(founder, birch, updates[3])
    condemn(cedar, birch, updates[2])
    swarm.exchange()
    return swarm


def own_updates(peer: toy.Peer) -> list[int]:
    sizes = range(peer.replica.size(peer.id))
    return [seq for seq in sizes if isinstance(peer.replica.entry(peer.id, seq), Update)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, swarm: toy.Swarm) -> tuple[str, str]:
    """The same ledger as a peer's directory and as a bundle."""
    root = tmp_path_factory.mktemp("policy")
    place = stored(root / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(root / "bundle"))
    return str(place), str(root / "bundle")


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize("name", NAMES)
def test_default_prints_a_policy_to_start_from(name: str, tmp_path: Path) -> None:
    text = gossip("policy", "default", name)
    assert text == shipped(name)
    file = tmp_path / "policy.toml"
    file.write_text(text)
    assert facts("policy", "check", str(file))["policy"] == Policy.parse(text).hash
    assert facts("policy", "default", name) == {"name": name, "policy": Policy.parse(text).hash, "text": text}


def test_check_says_every_rule_in_words_and_json_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(DEFAULT_POLICY)
    told, listed = gossip("policy", "check", str(file)), facts("policy", "check", str(file))
    assert "at most 90% of its rows are exact copies of another" in told
    assert [row["rule"] for row in listed["rules"]] == [rule.name for rule in Policy.parse(DEFAULT_POLICY).rules]
    for row in listed["rules"]:
        assert row["rule"] in told
        assert row["asks"] in told
        assert row["follows"] in told


def test_check_names_pinned_files(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'policy = 1\n[canary]\nsha256 = "{"c0" * 32}"\n[labels.ad]\neasylist = "{"e1" * 32}"\n')
    told = gossip("policy", "check", str(file))
    assert "c0" * 32 in told
    assert f"easylist  {'e1' * 32}  labels requests as ad" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "policy = 1\n[data.rows]\nmin = 1\n",
            "line 2 of the policy: data.rows is no known fact; use one of: data.rec",
        ),
        ("policy = 1\n[data.records]\nmin = 9007199254740992\n", "line 3 of the policy: the number is too large"),
        ("", "line 1 of the policy: the policy names no version; begin with: policy = 1"),
        ("policy = 1 \x07\n", "line 1 of the policy: cannot be read"),
    ],
)
def test_check_says_what_is_wrong_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    told = gossip("policy", "check", str(file), code=exits.USAGE)
    assert told.startswith(f"gossip: {file}: {said}")
    assert told.count("\n") == 1


def test_check_names_every_wrong_line(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("policy = 1\n[data.rows]\nmin = 1\n[data.records]\nmost = 1\nmin = 2\n[data.labels]\nmin = 2.5\n")
    told = gossip("policy", "check", str(file), code=exits.USAGE).splitlines()
    assert [line.split(" of the policy")[0].rpartition(" ")[2] for line in told] == ["2", "5", "8"]


def test_words_in_square_brackets_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('policy = 1\n[data.licences]\nall_in = ["MPL-2.0", "[a]b"]\n')
    assert "is one of: MPL-2.0, [a]b" in gossip("policy", "check", str(file))


def test_check_of_no_text_at_all(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert "cannot be read" in gossip("policy", "check", str(file), code=exits.USAGE)
    file.write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in gossip("policy", "check", str(file), code=exits.USAGE)
    file.write_bytes(b"#" * 40_000)
    assert "the policy is too long" in gossip("policy", "check", str(file), code=exits.USAGE)


# ------------------------------------------------------------------ what is in force, and what it does


def test_show_is_the_same_of_a_directory_and_of_a_bundle(sources: tuple[str, str]) -> None:
    told = [facts("policy", "show", source) for source in sources]
    assert told[0] == told[1]
    assert (told[0]["number"], told[0]["policy"], told[0]["text"]) == (1, Policy.parse(STRICT).hash, STRICT)
    assert [row["rule"] for row in told[0]["rules"]] == [rule.name for rule in Policy.parse(STRICT).rules]
    assert gossip("policy", "show", sources[1], "--text") == STRICT
    said = gossip("policy", "show", sources[0])
    assert "number  1, changed 1 time; 1 of 1 admins can change it" in said


def explained(sources: tuple[str, str], entry: str) -> tuple[dict[str, Any], str]:
    listed = [facts("policy", "explain", entry, source) for source in sources]
    assert listed[0] == listed[1]
    return listed[0], gossip("policy", "explain", entry, sources[1])


def test_explain_an_update_that_was_left_out(swarm: toy.Swarm, sources: tuple[str, str]) -> None:
    listed, told = explained(sources, f"birch/{own_updates(swarm['birch'])[1]}")
    rows = {row["rule"]: row for row in listed["rules"]}
    assert (rows["update.steps.max"]["value"], rows["update.steps.max"]["limit"]) == (21, 20)
    assert rows["update.steps.max"]["broken"] is rows["data.records.min"]["broken"] is True  # all are evaluated
    assert rows["crossed.copied.max"]["broken"] is None
    assert (listed["outcome"], listed["counts"], listed["weight"]) == ("reject", False, None)
    assert "it is left out of the model: 21 optimiser steps (allowed: at most 20)" in told


def test_explain_an_update_by_the_policy_in_its_own_past(swarm: toy.Swarm, sources: tuple[str, str]) -> None:
    listed, told = explained(sources, f"birch/{own_updates(swarm['birch'])[0]}")
    assert (listed["number"], listed["policy"]) == (0, Policy.parse(toy.POLICY).hash)
    assert listed["in_force_now"] == Policy.parse(STRICT).hash
    assert (listed["outcome"], listed["counts"]) == ("pass", True)
    assert "The policy in force now is another" in told


def test_explain_who_condemned_an_update(swarm: toy.Swarm, sources: tuple[str, str]) -> None:
    listed, told = explained(sources, f"birch/{own_updates(swarm['birch'])[3]}")
    (row,) = [row for row in listed["rules"] if row["rule"] == "crossed.copied.max"]
    assert (row["value"], row["broken"], [by["name"] for by in row["by"]]) == (1, True, ["cedar", "founder"])
    assert (listed["condemned"], listed["condemned_by"], listed["quorum"]) == (True, ["cedar", "founder"], 2)
    assert not listed["counts"]
    assert "taken out of the model again: condemned by cedar, founder (2 of the 2 that it takes)" in told


def test_explain_an_update_that_one_peer_condemned(swarm: toy.Swarm, sources: tuple[str, str]) -> None:
    listed, told = explained(sources, f"birch/{own_updates(swarm['birch'])[2]}")
    assert (listed["condemned"], listed["counts"], listed["outcome"], listed["permille"]) == (
        False,
        True,
        "weight",
        500,
    )
    assert "which is 50% of what it would have: 100 rows in the data set (allowed: at least 1,000)" in told
    assert "condemned by cedar (1 of the 2 that it takes)" in told


def test_explain_a_data_set(sources: tuple[str, str]) -> None:
    listed, told = explained(sources, "birch/1")
    assert [row["rule"] for row in listed["rules"] if row["broken"]] == []
    assert "a data set" in told


def test_explain_a_data_set_that_a_quorum_condemned(tmp_path: Path) -> None:
    swarm = toy.Swarm(["birch", "cedar"])
    birch = swarm["birch"]
    for _ in range(3):
        birch.publish(CHANGE)
    swarm.exchange()
    place = stored(tmp_path / "one", swarm)
    told = gossip("policy", "explain", "birch/1", str(place))
    assert "So      nothing here keeps updates that are trained on it out of the model" in told
    condemn(swarm["cedar"], birch, 1, "opened.malformed.max")
    swarm.exchange()
    told = gossip("policy", "explain", "birch/1", str(stored(tmp_path / "two", swarm)))
    assert "updates trained on it count: condemned by cedar (1 of the 2 that it takes)" in told
    condemn(swarm.founder, birch, 1, "opened.malformed.max")
    swarm.exchange()
    place = stored(tmp_path / "three", swarm)
    told = gossip("policy", "explain", "birch/1", str(place))
    assert "condemned by cedar, founder: of the 3 updates trained on it so far, 3 are out of the model" in told
    assert "nothing here keeps" not in told
    listed = facts("policy", "explain", "birch/1", str(place))
    assert (listed["condemned"], listed["quorum"], listed["trained"], listed["out"]) == (True, 2, 3, 3)


def test_a_list_of_entries_marks_updates_that_do_not_count(swarm: toy.Swarm, sources: tuple[str, str]) -> None:
    updates = own_updates(swarm["birch"])
    for source in sources:
        listed = facts("ledger", "log", source, "-n", "0")["entries"]
        became = {one["entry"]["seq"]: one["mark"] for one in listed if one["entry"]["kind"] == "update"}
        assert [became[seq] for seq in updates] == ["", "left out by the policy", "", "condemned"]
        told = gossip("ledger", "log", source, "-n", "0")
        assert told.count("LEFT OUT BY THE POLICY: ") == told.count("CONDEMNED: ") == 1


def test_where_nobody_changed_the_policy_that_of_genesis_marks_them(tmp_path: Path) -> None:
    swarm = toy.Swarm(["birch"])  # its policy allows 1,000 steps
    for steps in (10, 1001):
        swarm["birch"].publish(CHANGE * steps, steps=steps)
    swarm.exchange()
    listed = facts("ledger", "log", str(stored(tmp_path / "peer", swarm)), "--peer", "birch")["entries"]
    assert [one["mark"] for one in listed if one["entry"]["kind"] == "update"] == ["", "left out by the policy"]


def test_explain_nothing_but_updates_and_data(sources: tuple[str, str]) -> None:
    told = gossip("policy", "explain", "birch/0", sources[0], code=exits.USAGE)
    assert "is no update and no data set" in told
    assert "oak/3" in gossip("policy", "explain", "oak/3", sources[1], code=exits.USAGE)


def test_a_damaged_bundle_is_a_finding(sources: tuple[str, str], tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(sources[1], broken)
    (broken / "policy.toml").write_bytes(b"policy = 1\n# changed\n")
    assert "FINDING" in gossip("policy", "explain", "birch/3", str(broken), code=exits.FINDINGS)


# ------------------------------------------------------------------ changing it


def founded(home: Path, *words: str) -> None:
    gossip("new", "lists", "--seed", "1", "--name", "ann", *words)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_founder_alone_changes_the_policy_at_once(home: Path) -> None:
    founded(home)
    assert facts("policy", "show")["text"] == DEFAULT_POLICY
    (home / "mine.toml").write_text(STRICT)
    told = facts("policy", "set", str(home / "mine.toml"))
    assert (told["in_force"], told["missing"], told["number"]) == (True, 0, 1)
    assert facts("policy", "show", "lists")["text"] == STRICT
    again = gossip("policy", "set", str(home / "mine.toml"), code=exits.USAGE)
    assert "this very policy is in force already" in again


def test_a_swarm_is_founded_with_a_policy_and_other_admins(home: Path) -> None:
    (home / "mine.toml").write_text(STRICT)
    key = facts("key", "new", "--out", str(home / "key"))["key"]
    founded(home, "--policy", str(home / "mine.toml"), "--admin", key, "--threshold", "2")
    told = facts("policy", "show")
    assert (told["number"], told["text"], told["threshold"]) == (0, STRICT, 2)
    assert [(row["key"] == key, row["name"]) for row in told["admins"]] == [(False, "ann"), (True, "")]


def test_one_of_two_admins_is_told_that_another_has_to_say_the_same(home: Path) -> None:
    key = facts("key", "new", "--out", str(home / "key"))["key"]
    founded(home, "--admin", key, "--threshold", "2")
    (home / "mine.toml").write_text(STRICT)
    told = gossip("policy", "set", str(home / "mine.toml"))
    assert "Asked for as number 1 by ann; 1 more admin must type the same" in told
    shown = facts("policy", "show")
    assert (shown["number"], shown["text"]) == (0, DEFAULT_POLICY)
    assert shown["proposals"] == [{"number": 1, "policy": Policy.parse(STRICT).hash, "by": ["ann"], "missing": 1}]
    assert "Asked for by ann: policy" in gossip("policy", "show")
    again = gossip("policy", "set", str(home / "mine.toml"), code=exits.USAGE)
    assert "asked for this very policy already" in again


def test_a_policy_that_cannot_be_read_founds_and_changes_nothing(home: Path) -> None:
    (home / "bad.toml").write_text("policy = 1\n[data.rows]\n")
    told = gossip("new", "lists", "--policy", str(home / "bad.toml"), code=exits.USAGE)
    assert "data.rows is no known fact" in told
    assert not (home / "home" / "lists").exists()
    founded(home)
    gossip("policy", "set", str(home / "bad.toml"), code=exits.USAGE)
    assert facts("policy", "show")["number"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--threshold", "2"), "2 admins are to change the policy: there is 1"),
        (("--admin", "xyz"), "'xyz' is no public key"),
        (("--admin", "00" * 32), "is no public key"),
    ],
)
def test_admins_that_cannot_be(home: Path, words: tuple[str, ...], said: str) -> None:
    assert said in gossip("new", "lists", *words, code=exits.USAGE)
    assert not (home / "home" / "lists").exists()


def test_pin_keeps_what_the_policy_names_and_nothing_else(home: Path) -> None:
    from hashlib import sha256

    lists, other = home / "easylist.txt", home / "other.txt"
    lists.write_text("||ads.example^\n")
    other.write_text("||other.example^\n")
    digest = sha256(lists.read_bytes()).hexdigest()
    (home / "mine.toml").write_text(f'policy = 1\n[labels.ad]\neasylist = "{digest}"\nmore = "{"11" * 32}"\n')
    founded(home, "--policy", str(home / "mine.toml"))
    told = facts("policy", "pin", str(lists))
    assert told["kept"] == [{"file": str(lists), "name": "easylist", "use": "ad", "sha256": digest}]
    assert told["missing"] == ["more"]
    assert (home / "home" / "lists" / "pinned" / digest).read_bytes() == lists.read_bytes()
    assert "the policy does not name this file" in gossip("policy", "pin", str(other), code=exits.USAGE)
    told = gossip("policy", "show")
    assert f"needs   easylist  {digest}  labels requests as ad; kept here\n" in told
    assert f"needs   more  {'11' * 32}  labels requests as ad; keep it with: gossip policy pin FILE\n" in told
    gossip("new", "another", "--policy", str(home / "mine.toml"))
    assert facts("policy", "pin", str(lists), "another")["dir"] == str(home / "home" / "another")
    assert (home / "home" / "another" / "pinned" / digest).is_file()
    wrong = gossip("policy", "pin", str(lists), "another", "--dir", str(home / "home" / "lists"), code=exits.USAGE)
    assert "'another' and --dir name two peers" in wrong


def test_every_fact_is_explained_on_the_page_about_policies() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text()
    for fact, about in FACTS.items():
        assert f"| `{fact}` | {about.strength} |" in page, fact
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{fact}` |")]
        assert all(f"`{word}`" in row for word in about.words), fact
