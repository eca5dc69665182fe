"""`gossip bench --only wide`: what counts as converged, peers kept apart, and one small run of the real thing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from cli.bench import wide
from cli.bench.abroad import Swarm, converged, hears, relay
from cli.bench.race import Runner
from cli.bench.sections import SECTIONS, measured
from cli.children import Children

ROOT = Path(__file__).resolve().parents[2]


class Said:
    """A peer of which only its words matter."""

    def __init__(self, peer: str, *told: tuple[float, str, str]) -> None:
        ready = {"event": "ready", "time": 0.0, "peer": peer}
        self.told: list[dict[str, Any]] = [ready, *({"time": at, "event": kind, "peer": of} for at, kind, of in told)]


def when(*peers: Said, updates: int = 2) -> float | None:
    return converged(cast("list[Runner]", list(peers)), updates)


def test_a_swarm_has_converged_when_the_last_holds_all_and_has_folded_enough() -> None:
    ann = Said("ann", (3.0, "entry", "bea"), (4.0, "entry", "cid"))
    bea = Said("bea", (1.0, "entry", "ann"), (9.0, "entry", "cid"), (5.0, "merged", "ann"), (6.0, "merged", "ann"))
    cid = Said("cid", (2.0, "entry", "ann"), (2.0, "entry", "bea"), (7.0, "merged", "ann"))
    assert when(ann, bea, cid) is None, "the last has folded one of two"
    cid.told.append({"time": 8.0, "event": "merged", "peer": "ann"})
    cid.told.append({"time": 99.0, "event": "merged", "peer": "ann"})
    assert when(ann, bea, cid) == 9.0
    assert when(ann, bea, cid, Said("dan")) is None, "nobody has heard of the fourth"
    assert hears(cast("Runner", bea), "cid") == 9.0


def test_peers_that_are_kept_apart_neither_hear_nor_reach_their_neighbours() -> None:
    code = (
        "import asyncio, sys; from cli.bench.elsewhere import keep_apart; keep_apart()\n"
        "from gossip.transport import discovery, webrtc\n"
        "from ledger.errors import LinkError\n"
        "ear = discovery.Discovery(['127.0.0.1'], 'ab' * 32, print)\n"
        "for call in (ear.start(), webrtc.exchange('127.0.0.1', 1, b'')):\n"
        "    try: asyncio.run(call); sys.exit('there is a way')\n"
        "    except LinkError as error: assert error.why == 'kept apart, for the bench', error\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_without_libp2p_one_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "libp2p-0.2.9.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: libp2p\nVersion: 0.2.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    document = measured(SECTIONS, ["wide"], quick=True, command="gossip bench --only wide", tell=lambda text: None)
    (row,) = document["figures"]
    assert row["value"] is None
    assert "libp2p" in row["note"]


@pytest.mark.e2e
def test_two_who_are_apart_join_through_a_relay_and_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libp2p", reason="NOT RUN: libp2p is not installed (make wide), so nobody met over it")
    monkeypatch.setattr(wide, "AFTER_S", 0.0)
    with Children() as children, relay(tmp_path / "relay", children) as address:
        joined, idle = wide._joining(tmp_path, address, children, joiners=1, idle_s=0.5)
    assert joined.value is not None
    assert joined.value > 0
    assert joined.goal is not None
    assert idle.unit == "kB/s"
    assert "kept apart" in (tmp_path / "joining" / "peer2.log").read_text()
    swarm = Swarm(tmp_path / "none", Children())
    assert swarm.wait(lambda: False, 0.0) is False
