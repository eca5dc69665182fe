"""The command: what is typed and remembered becomes what is looked at; the same facts come out as lines and as JSON.

Loopback only, and where there is a directory, without its node.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.doctor import known_of, lines
from cli.remembered import REMEMBERED
from gossip.directory import current_key_path, store_path
from gossip.doctor.finding import HOPS, fails
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from gossip.transport.webrtc import WebRTCTransport
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from ledger.store import PutMeta, Store
from tests.cli.test_hostile_names import TEXTS, assert_harmless
from tests.transport.joining import LOOPBACK, Members

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *words, "--patience", "100", "--listen", "0"], env={"COLUMNS": "200"})
    return done.exit_code, str(done.output)


def found(*words: str) -> dict[str, list[dict[str, Any]]]:
    """By hop."""
    _, said = run(*words, "--json")
    by: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(said)["findings"]:
        by.setdefault(finding["hop"], []).append(finding)
    return by


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    place = tmp_path / "peer"
    create_swarm(place, name="lists", task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1)
    return place


def test_a_well_machine_ends_with_0_and_says_the_same_in_lines_and_in_json() -> None:
    code, said = run("--json")
    report = json.loads(said)
    assert (code, report["well"], report["fails"]) == (0, True, [])
    assert {each["hop"] for each in report["findings"]} == {
        "backends", "machine", "disk", "space", "interface", "multicast", "others", "port", "channel", "clock",
        "libp2p",
    }  # fmt: skip
    code, said = run()
    assert code == 0
    assert [line.split()[1] for line in said.splitlines() if line.startswith(("ok", "warns"))] == [
        each["hop"] for each in report["findings"]
    ]


def test_what_fails_ends_with_1_and_is_named_last() -> None:
    code, said = run("--interface", "no-such-if")
    assert (code, said.splitlines()[-1]) == (1, "Begin with: interface (no-such-if)")


@pytest.mark.parametrize(
    "words",
    [("--peer", "nonsense"), ("--peer", "10.0.0.1:0"), ("--answer", "--peer", "10.0.0.1:4000"), ("--dir", "/nowhere")],
)
def test_what_makes_no_sense_is_said_before_anything_is_looked_at(words: tuple[str, ...]) -> None:
    code, said = run(*words)
    assert (code, said.count("\n")) == (2, 1)


def test_a_directory_tells_the_interface_and_the_port_that_its_peer_uses(peer: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Store(store_path(peer)) as store:
        port = taken.getsockname()[1]
        store.commit([PutMeta(REMEMBERED, json.dumps({"interface": "127.0.0.1", "port": port}).encode())])
        by = found("--dir", str(peer))
    assert by["interface"][0]["where"] == "127.0.0.1"
    assert (by["port"][0]["state"], by["port"][0]["where"]) == ("fails", f"127.0.0.1:{port}")
    assert by["node"][0]["state"] == "skipped"
    assert by["disk"][0]["where"] == str(peer)


@contextmanager
def elsewhere(place: Path, *, knows: bool) -> Iterator[int]:
    """A node of the same swarm, as far as links go, in a thread with a loop of its own: its port."""
    known = known_of(place, None, dials=False)
    own = PrivateKey.load(current_key_path(place)).public
    port, stop, ready = 0, asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        nonlocal port
        gate = Members(*([own] if knows else []))
        node = WebRTCTransport(PrivateKey.generate(), known.swarm, gate, LOOPBACK, "aiortc")
        port = await node.start("127.0.0.1")
        ready.set()
        taking = asyncio.create_task(_take(node))
        await stop.wait()
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await node.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _take(node: WebRTCTransport) -> None:
    while True:
        await (await node.incoming.get()).close()


def test_a_member_tries_a_whole_link_to_a_node_and_a_stranger_is_told_how_to(peer: Path) -> None:
    with elsewhere(peer, knows=True) as port:
        (udp,) = found("--dir", str(peer), "--peer", f"127.0.0.1:{port}")["udp"]
        assert (udp["state"], "node of this swarm" in udp["text"]) == ("ok", True)
        (udp,) = found("--peer", f"127.0.0.1:{port}")["udp"]
        assert (udp["state"], "--answer" in udp["next_step"]) == ("skipped", True)
    with elsewhere(peer, knows=False) as port:
        (udp,) = found("--dir", str(peer), "--peer", f"127.0.0.1:{port}")["udp"]
        assert (udp["state"], "does not know this peer" in udp["text"]) == ("warns", True)


def test_locked_keys_are_asked_for_nobody(tmp_path: Path) -> None:
    place = tmp_path / "locked"
    create_swarm(
        place, name="lists", task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1,
        passphrase=Passphrase("correct horse battery"),
    )  # fmt: skip
    known = known_of(place, None, dials=True)
    assert known.member is None
    assert "--passphrase-file" in known.locked


def test_no_library_at_all() -> None:
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in ('aiortc', 'aiolibdatachannel'): raise ImportError(name + ' is gone')\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from cli.app import main\n"
        "sys.argv = ['gossip', 'doctor', '--json', '--listen', '0']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["fails"] == ["backends"]


def test_one_answers_and_the_other_asks() -> None:
    words = [sys.executable, "-m", "cli", "doctor", "--answer", "--json"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            waiting = json.loads(other.stdout.readline())
            assert waiting["event"] == "waiting"
            by = found("--peer", waiting["address"])
            assert {by[hop][0]["state"] for hop in ("route", "reach", "answer", "udp", "size", "their clock")} == {"ok"}
            assert json.loads(other.stdout.readline())["event"] == "visited"
            other.send_signal(signal.SIGINT)
            assert other.wait(100) in (0, 130)
        finally:
            other.kill()


@pytest.mark.parametrize("which", TEXTS)
def test_what_a_peer_calls_itself_does_not_act(which: str) -> None:
    text = TEXTS[which]
    said = "\n".join(lines(fails("dials", f"could not: {text}", f"try {text}", text, what=text)))
    assert_harmless(said, "a finding")
    assert set(HOPS) >= {said.split()[1]}


def test_the_longest_hop_stands_apart_from_what_is_said_of_it() -> None:
    from cli.doctor import lines
    from gossip.doctor.finding import HOPS, ok

    for hop in HOPS:
        (line,) = lines(ok(hop, "well"))
        assert line == f"ok      {hop:<12}well"
        assert f"{hop} " in line
