"""The demo's last words: in the issue's form, and true."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import exits, outcome, play
from cli.app import app
from cli.finale import disagreement
from cli.play import settled
from gossip.directory import store_path
from ledger.attendance import Attended
from ledger.roll import Roll
from ledger.store import PutEntry, Store

MODEL = "9f3c" + "0" * 58 + "e1"


def peer(number: int, name: str, alone: float, swarm: float) -> outcome.PeerOutcome:
    return outcome.PeerOutcome(
        id=f"{number:064x}", name=name, slow=number == 3, requests=1000 // number, updates=10, bytes_sent=1000,
        bytes_received=2000, rss_mb=301.25, alone={"pr_auc": alone, "f1": alone - 0.1},
        swarm={"pr_auc": swarm, "f1": swarm - 0.1}, model_hash=MODEL, domains={},
    )  # fmt: skip


def attended(number: int, updates: int = 10) -> Attended:
    return Attended(f"{number:064x}", "trainer", 1_767_225_600, 1_767_225_630, updates + 2, updates, updates, (), 0)


NAMES = {f"{number:064x}": name for number, name in enumerate(("alder", "birch", "cedar", "elder"), 1)}
ROLL = Roll(tuple(attended(number) for number in (1, 2, 3, 4)), NAMES, None, None)
AGREED = outcome.Outcome(
    swarm="5" * 64, wall_s=61.234, first_merge_s=4.321, updates=40, entries=212, replay_hash=MODEL, findings=0,
    peers=(peer(1, "alder", 0.95, 0.96), peer(2, "birch", 0.94, 0.961), peer(3, "cedar", 0.92, 0.96),
           peer(4, "elder", 0.88, 0.96)),
    pooled={"pr_auc": 0.97, "f1": 0.9}, pooled_domains=None, transport="aiortc", bundle=Path("/run/bundle"),
    directory=Path("/run"), replay_without_jax=True, roll=ROLL, disagreement="",
)  # fmt: skip


def test_the_last_lines_have_the_promised_form() -> None:
    assert outcome.last_lines(AGREED) == (
        "smallest peer   alone .88   swarm .96   pooled .97   (PR-AUC, unseen sites)",
        "audit   212 entries, 0 findings, replayed without jax",
        "AGREED  4 peers and the auditor hold the same model: 9f3c...e1",
        "Next    gossip new NAME      (this run: /run)",
    )
    assert AGREED.exit_code == exits.OK


def test_nobody_who_was_started_is_passed_over() -> None:
    assert outcome.who(AGREED) == ["4 of 4 trainers took part.", "Nobody was absent."]
    idle = replace(ROLL, rows=(*ROLL.rows[:3], attended(4, 0)))
    assert outcome.who(replace(AGREED, roll=idle)) == [
        "3 of 4 trainers took part.", "Let in to train, and published nothing: elder.",
    ]  # fmt: skip
    lost = replace(AGREED, roll=replace(ROLL, rows=ROLL.rows[:3]))
    assert outcome.who(lost)[0] == "Started, and never a member: elder."
    assert outcome.as_json(lost)["attendance"]["summary"] == outcome.who(lost)


def test_it_says_how_to_check_it() -> None:
    assert outcome.how_to_check(AGREED) == f"check   gossip ledger verify /run/bundle --swarm {'5' * 64}"
    spaced = outcome.how_to_check(replace(AGREED, bundle=Path("/my run/bundle")))
    assert shlex.split(spaced)[4] == "/my run/bundle"


def test_the_demo_prints_it_before_its_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "_prepare", lambda *_: None)
    monkeypatch.setattr(play, "_play", lambda *_: AGREED)
    done = CliRunner().invoke(app, ["demo", "--plain", "--dir", str(tmp_path / "run")])
    assert done.exit_code == exits.OK
    assert "4 of 4 trainers took part." in done.stdout.splitlines()
    assert done.stdout.splitlines()[-5:] == [outcome.how_to_check(AGREED), *outcome.last_lines(AGREED)]


def test_json_has_the_promised_keys_and_the_same_facts() -> None:
    facts = outcome.as_json(AGREED)
    assert list(facts) == [
        "swarm", "wall_s", "first_merge_s", "updates", "model_hash", "model_hashes", "replay_hash", "findings", "peers",
        "pooled", "transport", "bundle", "attendance",
    ]  # fmt: skip
    assert list(facts["peers"][0]) == [
        "id", "name", "slow", "updates", "bytes_sent", "bytes_received", "rss_mb", "alone", "swarm",
    ]  # fmt: skip
    assert facts["model_hashes"] == {f"{n:064x}": MODEL for n in (1, 2, 3, 4)}
    assert [p["slow"] for p in facts["peers"]] == [False, False, True, False]


@pytest.mark.parametrize(
    "changed",
    [
        replace(AGREED, replay_hash="1" * 64),
        replace(AGREED, disagreement="birch holds another model than the rest"),
        replace(AGREED, peers=(replace(AGREED.peers[0], model_hash="2" * 64), *AGREED.peers[1:])),
        replace(AGREED, replay_hash="", peers=tuple(replace(p, model_hash="") for p in AGREED.peers)),
    ],
)
def test_one_other_hash_is_a_disagreement(changed: outcome.Outcome) -> None:
    assert any(line.startswith("DISAGREED  ") for line in outcome.last_lines(changed))
    assert changed.exit_code == exits.FINDINGS


def test_findings_or_jax_in_the_replay_spoil_the_exit_code() -> None:
    assert replace(AGREED, findings=1).exit_code == exits.FINDINGS
    assert replace(AGREED, replay_without_jax=False).exit_code == exits.FINDINGS
    assert "but jax was loaded" in outcome.last_lines(replace(AGREED, replay_without_jax=False))[1]


def test_the_table_shows_every_peer_and_unseen_domains_beside(capsys: pytest.CaptureFixture[str]) -> None:
    beside = tuple(replace(p, domains={"alone": {"pr_auc": 0.5, "f1": 0.4}}) for p in AGREED.peers)
    outcome.table(replace(AGREED, peers=beside, pooled_domains={"pr_auc": 0.7, "f1": 0.6}))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(len(line) <= 80 for line in lines), "fits a small terminal"
    assert "never judged" in lines[-1]
    assert lines[3].split() == ["cedar", "slow", "333", "10", ".920", ".960", ".970", ".500", "–", ".700"]


# ------------------------------------------------------------------ doctored stores


def stores(tmp_path: Path, **rows: list[bytes]) -> dict[str, Path]:
    places = {}
    for name, entries in rows.items():
        place = tmp_path / name
        place.mkdir()
        with Store(store_path(place)) as store:
            store.commit([PutEntry("c" * 64, seq, data) for seq, data in enumerate(entries)])
        places[name] = place
    return places


def test_equal_stores_with_equal_hashes_agree(tmp_path: Path) -> None:
    held = stores(tmp_path, alder=[b"0", b"1"], birch=[b"0", b"1"])
    assert disagreement(held, {"alder": "1", "birch": "1"}, {}) == ""


def test_a_doctored_store_is_found_though_all_claim_one_hash(tmp_path: Path) -> None:
    held = stores(tmp_path, alder=[b"0", b"1"], birch=[b"0", b"1"], cedar=[b"0", b"X"])
    told = disagreement(held, {"alder": "1", "birch": "1", "cedar": "1"}, {"c" * 64: "cedar"})
    assert told == (
        "the same model from other entries; first difference: entry 1 of cedar, "
        "where alder and birch against cedar hold other bytes"
    )


def test_a_missing_entry_names_who_lacks_it_and_who_is_off(tmp_path: Path) -> None:
    held = stores(tmp_path, alder=[b"0", b"1"], birch=[b"0"], cedar=[b"0", b"1"])
    told = disagreement(held, {"alder": "1", "birch": "2", "cedar": "1"}, {"c" * 64: "cedar"})
    assert told == (
        "birch holds another model than the rest; first difference: entry 1 of cedar, which birch does not hold"
    )


def test_the_same_entries_folded_otherwise_is_said_so(tmp_path: Path) -> None:
    held = stores(tmp_path, alder=[b"0"], birch=[b"0"], cedar=[b"0"])
    told = disagreement(held, {"alder": "1", "birch": "1", "cedar": "3"}, {})
    assert told == "cedar holds another model than the rest, from the same entries"


# ------------------------------------------------------------------ when it is over


def test_it_is_over_when_all_are_done_and_hold_equally_much() -> None:
    done = {"drained": True, "missing": 0, "heads": {"a": 3, "b": 2}}
    assert settled([done, dict(done)])
    assert not settled([done, {**done, "drained": False}])
    assert not settled([done, {**done, "missing": 1}])
    assert not settled([done, {**done, "heads": {"a": 3, "b": 3}}])
    assert not settled([{}, {}])
