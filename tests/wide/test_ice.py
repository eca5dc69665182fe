"""A data channel from one home to another, through two routers: with a STUN server that the user named, or not at all;
and where each router speaks to each from another port, only through a TURN server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.machines import ROOT, until
from tests.net.lan import require_taps
from tests.wide.nat import TwoNats, two_nats
from tests.wide.outsiders import outsider, stun_command

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("nat")]

LONG_S = 60.0  # for what comes about, and does in less than a second on a quiet machine
SHORT_S = 4.0  # for what does not
USER, PASSWORD = "gossip", "a pass:word"


def meeting(net: TwoNats, *servers: str, within_s: float = LONG_S) -> list[list[str]]:
    """anna dials and cleo answers; what each said after her description."""
    ends = []
    with ExitStack() as stack:
        for name, role in (("anna", "dial"), ("cleo", "answer")):
            words = [role, str(within_s), net.address(name), *servers]
            command = [*net[name].enter, sys.executable, "-m", "tests.wide.meet", *words]
            end = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            ends.append(stack.enter_context(end))
            stack.callback(end.kill)
        one, other = ends
        assert one.stdin
        assert one.stdout
        assert other.stdin
        assert other.stdout
        other.stdin.write(one.stdout.readline())
        other.stdin.flush()
        one.stdin.write(other.stdout.readline())
        one.stdin.flush()
        said: list[list[str]] = [[], []]
        for end, lines in zip(ends, said, strict=True):
            assert end.stdout
            for line in end.stdout:
                lines.append(line.strip())
                if line.startswith(("heard", "failed")):
                    break
        return said


def is_open(said: list[list[str]]) -> bool:
    return said == [["open", "heard from 10.77.2.2"], ["open", "heard from 10.77.1.2"]]


@contextmanager
def coturn(net: TwoNats, folder: Path) -> Iterator[str]:
    """Debian's coturn at the server's address: how to name it to us."""
    if shutil.which("turnserver") is None:
        pytest.skip("NOT RUN: no TURN server here: coturn is not installed")
    host = net.address("stun")
    words = f"-n -v --no-tls --no-dtls --no-cli --lt-cred-mech --realm test -L {host} -E {host} -p 3478"
    files = f"--db {folder / 'db'} --pidfile {folder / 'pid'} --log-file stdout"
    command = ["turnserver", *words.split(), *files.split(), "-u", f"{USER}:{PASSWORD}"]
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen([*net["stun"].enter, *command], stdout=out, stderr=out) as server:
        try:
            until(lambda: "listener opened on" in log.read_text() or server.poll() is not None, "it listens")
            assert server.poll() is None, log.read_text()
            yield f"turn:{USER}:{PASSWORD.replace(' ', '%20').replace(':', '%3A')}@{host}:3478"
        finally:
            server.kill()
            print(log.read_text()[-2000:])


def test_homes_meet_with_a_stun_server_and_not_without() -> None:
    with two_nats() as net, outsider(stun_command(net.address("stun")), net["stun"].enter) as server:
        assert is_open(meeting(net, server.address))
        assert not is_open(meeting(net, within_s=SHORT_S))


def test_where_every_router_has_another_port_for_each_a_turn_server_passes_it_on(tmp_path: Path) -> None:
    require_taps()
    with two_nats(symmetric=True) as net, coturn(net, tmp_path) as server:
        assert not is_open(meeting(net, f"stun:{net.address('stun')}:3478", within_s=SHORT_S))
        assert is_open(meeting(net, server))
