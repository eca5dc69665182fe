"""The demo, as a newcomer and as a script meet it; and an auditor who trusts neither."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import exits
from tests.e2e.machines import Done, Machine, machine_park, networks, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]

DEMO_WITHIN_S = 480.0  # 35 s on two quiet cores
KEYS = {
    "swarm", "wall_s", "first_merge_s", "updates", "model_hash", "model_hashes", "replay_hash", "findings", "peers",
    "pooled", "transport", "bundle", "attendance",
}  # fmt: skip
PEER_KEYS = {"id", "name", "slow", "updates", "bytes_sent", "bytes_received", "rss_mb", "alone", "swarm"}


@dataclass
class Finished:
    """A demo that has ended, and where."""

    machine: Machine
    done: Done

    @property
    def result(self) -> dict[str, Any]:
        return self.done.document

    @property
    def bundle(self) -> Path:
        return Path(self.result["bundle"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """One run of four peers, looked at by several tests."""
    with machine_park(tmp_path_factory.mktemp("demo")) as make:
        machine = make("newcomer")
        words = ("demo", "--json", "--seconds", 8, "--peers", 4, "--seed", 3)
        yield Finished(machine, machine.gossip(*words, within_s=DEMO_WITHIN_S))


def hash_like(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def test_four_peers_and_the_auditor_hold_the_same_model(finished: Finished) -> None:
    assert finished.done.code == exits.OK, finished.done.err
    result = finished.result  # all of stdout is this one document
    assert result.keys() == KEYS
    assert len(result["peers"]) == 4
    assert all(peer.keys() == PEER_KEYS for peer in result["peers"])
    assert result["model_hashes"].keys() == {peer["id"] for peer in result["peers"]}
    assert {*result["model_hashes"].values(), result["replay_hash"]} == {result["model_hash"]}
    assert hash_like(result["model_hash"])
    assert hash_like(result["swarm"])
    assert result["findings"] == 0
    assert finished.machine.processes() == {}


def test_every_peer_trained_and_took_from_the_others(finished: Finished) -> None:
    result = finished.result
    assert result["updates"] == sum(peer["updates"] for peer in result["peers"])
    assert 0 < result["first_merge_s"] < result["wall_s"]
    for peer in result["peers"]:
        assert peer["updates"] > 0
        assert peer["bytes_sent"] > 10_000
        assert peer["bytes_received"] > 10_000
        assert 50 < peer["rss_mb"] < 1000  # in megabytes; how many is for the bench to say
        for scores in (peer["alone"], peer["swarm"], result["pooled"]):
            assert scores.keys() == {"pr_auc", "f1"}
            assert all(0 < score <= 1 for score in scores.values())
    assert len({peer["swarm"]["pr_auc"] for peer in result["peers"]}) == 1  # one model, one set of held-out sites
    smallest = result["peers"][-1]
    assert smallest["swarm"]["pr_auc"] > smallest["alone"]["pr_auc"]


def test_exactly_one_peer_is_slow_and_it_delays_nobody(finished: Finished) -> None:
    slow = [peer for peer in finished.result["peers"] if peer["slow"]]
    assert len(slow) == 1
    assert slow[0]["updates"] < max(peer["updates"] for peer in finished.result["peers"])


# ------------------------------------------------------------------ the auditor


def test_replaying_the_bundle_gives_the_same_model_and_loads_no_jax(finished: Finished) -> None:
    machine = finished.machine
    words = machine.command("ledger", "replay", finished.bundle, "--json")
    at = words.index("-P")
    replayed = machine.typed([*words[:at], "-X", "importtime", *words[at:]])
    assert replayed.code == exits.OK
    assert replayed.document["model_hash"] == finished.result["model_hash"]
    loaded = {line.rpartition("|")[2].strip() for line in replayed.err.splitlines()}
    assert "ledger.audit" in loaded  # the list is one of modules
    assert not [name for name in loaded if name.partition(".")[0] in ("jax", "jaxlib", "aiortc", "aiohttp", "asyncio")]


def test_without_a_peer_scores_are_those_that_peers_show_of_themselves(finished: Finished) -> None:
    rows = finished.bundle.parent / "data" / "held-out.jsonl"
    peer = finished.result["peers"][1]
    machine = finished.machine
    words = machine.command("ledger", "without", finished.bundle, peer["name"], "--data", rows, "--json")
    at = words.index("-P")
    done = machine.typed([*words[:at], "-X", "importtime", *words[at:]])
    assert done.code == exits.OK, done.err
    told = done.document
    assert told["model_hash"] == finished.result["model_hash"] != told["without_hash"]
    scored = told["scores"]
    assert {name: round(scored["with"][name], 4) for name in peer["swarm"]} == peer["swarm"]  # which has four digits
    assert scored["without"] != scored["with"]
    assert told["updates_leaving"] == peer["updates"]
    loaded = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "gossip.training.scoring" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in ("jax", "jaxlib")]


def test_its_lineage_names_the_licence_of_the_table(finished: Finished) -> None:
    told = finished.machine.gossip("ledger", "lineage", finished.bundle)
    (line,) = [line for line in told.out.splitlines() if "MPL-2.0" in line and "100.0%" in line]
    assert line.split()[:2] == ["MPL-2.0", str(len(finished.result["peers"]))]


def test_a_bundle_is_clean_only_against_something_from_elsewhere(finished: Finished) -> None:
    gossip, bundle, result = finished.machine.gossip, finished.bundle, finished.result
    assert gossip("ledger", "verify", bundle, "--json").code == exits.INCONCLUSIVE
    clean = gossip(
        "ledger", "verify", bundle, "--swarm", result["swarm"], "--model-hash", result["model_hash"], "--json"
    )
    assert (clean.code, clean.document["verdict"]) == (exits.OK, "clean")
    other = gossip("ledger", "verify", bundle, "--swarm", "0" * 64, "--json")
    assert (other.code, other.document["verdict"]) == (exits.FINDINGS, "findings")


def test_one_flipped_byte_in_a_tile_is_found_and_its_file_named(finished: Finished, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(finished.bundle, bundle)
    tile = max(bundle.glob("logs/*/tile/entries/**/*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(tile.read_bytes())
    data[len(data) // 2] ^= 1
    tile.write_bytes(data)
    gossip, name = finished.machine.gossip, str(tile.relative_to(bundle))
    verified = gossip("ledger", "verify", bundle, "--swarm", finished.result["swarm"], "--json")
    assert verified.code == exits.FINDINGS
    assert name in [finding["file"] for finding in verified.document["findings"]]
    spoken = gossip("ledger", "verify", bundle, "--swarm", finished.result["swarm"])
    assert spoken.code == exits.FINDINGS
    assert name in spoken.out


# ------------------------------------------------------------------ elsewhere, and cut short


def test_on_a_machine_with_nothing_but_loopback(machine: Callable[..., Machine]) -> None:
    with networks(1) as (offline,):
        traveller = machine("traveller", offline.enter)
        words = ("demo", "--json", "--seconds", 2, "--peers", 2, "--seed", 1)
        done = traveller.gossip(*words, within_s=DEMO_WITHIN_S)
    assert done.code == exits.OK, done.err
    assert {*done.document["model_hashes"].values(), done.document["replay_hash"]} == {done.document["model_hash"]}
    assert all(peer["bytes_received"] > 10_000 for peer in done.document["peers"])


def nodes(machine: Machine) -> list[Path]:
    """Directories of the demo's peers whose nodes answer by now."""
    return [path.parent for path in machine.home.glob("**/peer*/peer.db") if status(path.parent)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_cut_short_it_leaves_no_process_behind(machine: Callable[..., Machine], number: signal.Signals) -> None:
    newcomer = machine("newcomer")
    demo = newcomer.start("demo", "--peers", 2, "--seconds", 600, "--json")
    until(lambda: len(nodes(newcomer)) == 2, "both peers run", running=[demo])

    def trainers() -> list[str]:
        return [command for command in newcomer.processes().values() if "gossip.training" in command]

    until(lambda: len(trainers()) == 2, "both peers have started a training process", running=[demo])  # or later
    assert len(newcomer.processes()) == 5  # the demo, two peers, a training process each
    code = demo.end(number)
    assert code == (exits.INTERRUPTED if number is signal.SIGINT else -number)
    assert demo.out == []  # no half document
    until(lambda: not newcomer.processes(), "every process has ended")
    if number is signal.SIGINT:
        assert "Traceback" not in "".join(demo.err)
        assert len(demo.err) <= 1
