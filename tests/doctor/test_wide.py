"""The way to other networks: nodes that are there, broken, deceitful or full, and what the doctor says of each."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from gossip.doctor import extra, servers, wide
from gossip.doctor.finding import Finding
from gossip.doctor.wide import SMALL_BYTES, Installed, Served
from gossip.peer_ids import peer_id_of
from gossip.transport.ice import IceServer
from gossip.wide.config import INSTALL
from gossip.wide.probe import Held, Seen
from ledger.keys import PrivateKey
from tests.doctor.turn_server import turn_server
from tests.transport.stun_server import stun_server
from tests.wide.forgotten import forget

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY = peer_id_of(PrivateKey.from_seed(b"s" * 32).public)
AT = f"/ip4/203.0.113.7/tcp/4001/p2p/{SOMEBODY}"
HOME = {"10.0.0.5", "127.0.0.1"}
PLENTY = 1 << 30


# ------------------------------------------------------------------ verdicts


def reserved(**fields: Any) -> list[Finding]:
    held = Held(AT, **{"status": 100, "lasts_s": 3600, "circuit": "", **fields})
    return list(wide.judge_relay(Seen(AT, agent="kubo/0.30", hop=True), held))


def test_what_the_extra_lacks_is_told_with_what_to_install() -> None:
    assert wide.judge_installed(Installed("0.8.1", is_recent=True), wanted=True).state == "ok"
    assert wide.judge_installed(Installed(), wanted=False).state == "skipped"
    bare = wide.judge_installed(Installed(compiler=False, gmp=False), wanted=True)
    assert (bare.state, bare.facts) == ("fails", {"compiler": False, "gmp": False})
    assert "apt install gcc" in bare.next_step
    assert "libgmp-dev" in bare.next_step
    assert bare.next_step.endswith(f", then {INSTALL}")
    ready = wide.judge_installed(Installed(), wanted=True)
    assert ready.next_step == INSTALL
    broken = wide.judge_installed(Installed("0.8.1", is_recent=True, why_not="libgmp.so.10: cannot open"), wanted=False)
    assert (broken.state, "libgmp.so.10" in broken.text) == ("fails", True)


def test_a_libp2p_that_is_too_old_is_seen_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "libp2p-0.2.9.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: libp2p\nVersion: 0.2.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = wide.judge_installed(extra.look(builds=True), wanted=True)
    assert (found.state, found.facts["version"]) == ("fails", "0.2.9")
    assert "0.8.1" in found.text
    assert found.next_step == INSTALL


def test_a_compiler_without_gmp_is_told_from_one_that_has_it(tmp_path: Path) -> None:
    for code in (0, 1):
        compiler = tmp_path / f"cc{code}"
        compiler.write_text(f"#!/bin/sh\nread line\ntest \"$line\" = '#include <gmp.h>' || exit 2\nexit {code}\n")
        compiler.chmod(0o755)
        assert extra.has_gmp(str(compiler)) is (code == 0)
    assert extra.has_gmp(""), "without a compiler that is what is missing"


def test_limits_too_small_for_deltas_are_a_warning_and_none_are_well() -> None:
    for fields, is_small in (
        ({"limit_bytes": SMALL_BYTES - 1}, True), ({"limit_bytes": SMALL_BYTES}, False),
        ({"limit_s": 599}, True), ({"limit_s": 600}, False), ({}, False),
    ):  # fmt: skip
        one, _ = reserved(**fields)
        assert ("not for deltas" in one.text) == is_small, fields
    small, circuit = reserved(limit_s=120, limit_bytes=128 << 10)
    assert (small.state, circuit.state) == ("warns", "ok")
    assert "120 s and 128 KiB" in small.text
    assert "gossip relay" in small.next_step
    free, _ = reserved()
    assert (free.state, "names no limit" in free.text) == ("ok", True)


def test_a_relay_that_refuses_says_why_and_no_circuit_is_tried() -> None:
    (full,) = reserved(status=201)
    assert (full.state, "over its limits" in full.text) == ("fails", True)
    (silent,) = reserved(status=0, why="no answer within 8 s")
    assert "no answer within 8 s" in silent.text
    lent, broken = reserved(circuit="status code 203")
    assert (lent.state, broken.hop, broken.state) == ("ok", "circuit", "fails")
    (none,) = wide.judge_relay(Seen(AT, agent="kubo/0.30"), None)
    assert (none.state, "no relay" in none.text) == ("fails", True)


STUN_1, STUN_2 = (Served(f"stun:192.0.2.{n}:3478", "stun", ("203.0.113.9", 4000)) for n in (1, 2))
ELSEWHERE = Served("stun:192.0.2.2:3478", "stun", ("203.0.113.9", 4001))


@pytest.mark.parametrize(
    ("observed", "served", "has_relay", "state", "mapping", "words"),
    [
        ("", [], True, "skipped", None, "nobody outside"),
        ("10.0.0.5", [], False, "ok", "none", "no address translation"),
        ("203.0.113.9", [], True, "ok", "unknown", "without two STUN servers"),
        ("203.0.113.9", [STUN_1], True, "ok", "unknown", "with one STUN server"),
        ("203.0.113.9", [STUN_1, STUN_2], True, "ok", "alike", "at the same port"),
        ("203.0.113.9", [STUN_1, ELSEWHERE], True, "warns", "by destination", "another port"),
        ("203.0.113.9", [], False, "warns", "unknown", "behind address translation"),
        ("", [STUN_1, Served("turn:x", "turn", ("198.51.100.1", 5))], True, "ok", "unknown", "203.0.113.9"),
    ],
)
def test_what_can_be_told_of_a_translation_is_told_and_no_more(
    observed: str, served: list[Served], has_relay: bool, state: str, mapping: str | None, words: str
) -> None:
    found = wide.judge_nat(HOME, [Seen(AT, observed=observed)], served, has_relay=has_relay)
    assert (found.state, found.facts.get("mapping")) == (state, mapping)
    assert words in found.text
    assert "name a bootstrap" not in found.next_step, "one is named"
    assert "198.51.100.1" not in found.text, "what a TURN server lends is not where we come from"


# ------------------------------------------------------------------ STUN and TURN


def named(kind: str, port: int, password: str = "right") -> IceServer:
    return IceServer.parse(f"stun:127.0.0.1:{port}" if kind == "stun" else f"turn:ann:{password}@127.0.0.1:{port}")


async def test_all_stun_servers_are_asked_from_one_socket() -> None:
    async with stun_server(lambda place: place) as one, stun_server(lambda place: place) as two:
        found = await servers.ask([named("stun", one.port), named("stun", two.port)], "127.0.0.1", 60.0)
    places = {each.place for each in found}
    assert places == set(one.asked) == set(two.asked)
    assert len(places) == 1


async def test_a_silent_stun_server_costs_itself_alone() -> None:
    async with stun_server(lambda place: None) as mute, stun_server(lambda place: place) as well:
        silent, answered = await servers.ask([named("stun", mute.port), named("stun", well.port)], "127.0.0.1", 3.0)
    assert (silent.place, "no answer" in silent.why) == (None, True)
    assert answered.place is not None
    assert wide.judge_served(silent).state == "fails"
    assert len(mute.asked) > 1, "a datagram may be lost"


async def test_nonsense_is_no_answer() -> None:
    class Fool(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            for answer in (b"", b"\xff" * 20, data[:8] + data[8:20], data, data[:20] + b"\0\x20\xff\xff" + b"x" * 9):
                self.transport.sendto(answer, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Fool, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    (found,) = await servers.ask([named("stun", port)], "127.0.0.1", 0.7)
    transport.close()
    assert (found.place, found.refused) == (None, False)


async def test_a_turn_server_lends_an_address_or_says_that_the_password_is_wrong() -> None:
    async with turn_server("ann", "right") as port:
        lent, refused = await servers.ask([named("turn", port), named("turn", port, "wrong")], "127.0.0.1", 60.0)
    assert (lent.place, lent.refused) == (("198.51.100.7", 40_000), False)
    assert (refused.place, refused.refused) == (None, True)
    verdict = wide.judge_served(refused)
    assert "user and password" in verdict.next_step
    assert "wrong" not in json.dumps(verdict.as_json()).replace("wrong password", "")


# ------------------------------------------------------------------ libp2p nodes


@contextmanager
def node(words: str, reservations: int = 8, size: int = PLENTY) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.doctor.libp2p_node", str(reservations), str(size), words]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(60)


class Nodes:
    def __init__(self, stack: ExitStack) -> None:
        self.good, self.full, self.plain = (
            stack.enter_context(node(*words))
            for words in (("relay,dht",), ("relay,dht", 0), ("none",))  # type: ignore[arg-type]
        )
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.mute = f"/ip4/127.0.0.1/tcp/{mute.getsockname()[1]}/p2p/{SOMEBODY}"
        closed = socket.create_server(("127.0.0.1", 0))
        self.nobody = f"/ip4/127.0.0.1/tcp/{closed.getsockname()[1]}/p2p/{SOMEBODY}"
        closed.close()
        self.imposter = f"{self.good.rpartition('/')[0]}/{SOMEBODY}"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("libp2p", reason="NOT RUN: libp2p is not installed (make wide), so no node of it was asked")
    with ExitStack() as stack:
        yield Nodes(stack)


def doctor(*words: str, patience: str = "60") -> tuple[int, dict[str, list[dict[str, Any]]], str]:
    done = CliRunner().invoke(app, ["doctor", "--listen", "0", "--patience", patience, "--json", *words])
    forget()
    by: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        by.setdefault(finding["hop"], []).append(finding)
    return done.exit_code, by, done.stderr


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))


@pytest.mark.e2e
@pytest.mark.xdist_group("doctor-wide")
def test_a_way_that_is_well_is_well_to_the_circuit(nodes: Nodes) -> None:
    code, by, said = doctor("--bootstrap", nodes.good, "--relay", nodes.good + "/p2p-circuit")
    assert (code, said) == (0, "")
    assert [by[hop][0]["state"] for hop in ("libp2p", "bootstrap", "nat", "relay", "circuit", "ice")] == ["ok"] * 6
    assert by["nat"][0]["facts"]["outside"] == ["127.0.0.1"]
    assert by["relay"][0]["facts"]["lasts_s"] > 0
    assert by["relay"][0]["facts"]["limit_bytes"] == PLENTY


@pytest.mark.e2e
@pytest.mark.xdist_group("doctor-wide")
def test_each_that_is_broken_is_named_for_what_it_is_and_costs_no_other(nodes: Nodes) -> None:
    named = [nodes.nobody, nodes.imposter, nodes.plain, nodes.good]
    words = [word for each in named for word in ("--bootstrap", each)]
    words += [word for each in (nodes.full, nodes.plain) for word in ("--relay", each)]
    code, by, said = doctor(*words)
    assert (code, said) == (1, "")
    nobody, imposter, plain, good = by["bootstrap"]
    assert "no TCP connection: Connection refused" in nobody["text"]
    assert (imposter["facts"]["failed"], nodes.good.rpartition("/")[2] in imposter["text"]) == ("key", True)
    assert "serves no DHT" in plain["text"]
    assert good["state"] == "ok"
    full, no_relay = by["relay"]
    assert "over its limits" in full["text"]
    assert "no relay" in no_relay["text"]
    assert "circuit" not in by


@pytest.mark.e2e
@pytest.mark.xdist_group("doctor-wide")
def test_a_node_that_takes_connections_and_says_nothing_is_given_up(nodes: Nodes) -> None:
    code, by, said = doctor("--bootstrap", nodes.mute, patience="1")
    assert (code, said) == (1, "")
    (mute,) = by["bootstrap"]
    assert (mute["facts"]["failed"], "within 1 s" in mute["text"]) == ("speech", True)


def test_where_nothing_is_named_nothing_is_asked() -> None:
    code, by, _ = doctor("--wide")
    assert by["bootstrap"][0]["state"] == "skipped"
    assert "nat" not in by
    assert code in (0, 1)  # 1: libp2p is not installed, and was asked for


@pytest.mark.parametrize(
    "words", [("--bootstrap", "nonsense"), ("--relay", "/ip4/1.2.3.4/udp/1/quic-v1"), ("--ice", "turn:a@b")]
)
def test_what_cannot_be_an_address_is_said_before_anything_is_looked_at(words: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["doctor", *words])
    assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (2, 1, "")
