"""`gossip relay` as a user meets it: what to paste, one key of its own, a line for each mistake, an orderly end."""

from __future__ import annotations

import configparser
import inspect
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.children import own_environment
from cli.later import whole
from cli.relay import KEY_FILE, is_public
from cli.relay import relay as command
from gossip.peer_ids import peer_id_of
from gossip.transport.multiaddresses import bootstrap, relay
from ledger.keys import PrivateKey
from tests.wide.conftest import NO_LIBP2P


def refused(*words: str, home: Path) -> str:
    result = CliRunner().invoke(app, ["relay", *words], env={"GOSSIP_HOME": str(home)})
    assert result.exit_code == exits.USAGE
    assert result.output.count("\n") <= 3
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "somewhere"], "cannot listen on somewhere"),
        (["--listen", "127.0.0.1:70000"], "cannot listen on 127.0.0.1:70000"),
        (["--listen", "relay.example.org:4001"], "takes an IP address"),
        (["--public", "/ip4/300.0.0.1/tcp/4001"], "300.0.0.1"),
        (["--public", "/ip4/203.0.113.7/udp/4001/quic-v1"], "QUIC"),
        (["--public", "203.0.113.7"], "add the port: 203.0.113.7:4001"),
        (["--public", "relay.example.org"], "add the port: relay.example.org:4001"),
        (["--public", "a.example.org:1", "b.example.org"], "add the port: b.example.org:4001"),
        (["--reservations", "0"], "reservations"),
        (["--mb", "many"], "mb"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    assert said in refused(*words, home=tmp_path)
    assert not (tmp_path / KEY_FILE).exists()


def test_addresses_of_this_network_alone_are_no_public_ones() -> None:
    assert not is_public(["/ip4/192.168.1.9/tcp/4001/p2p/12D3", "/ip4/127.0.0.1/tcp/4001/p2p/12D3"])
    assert is_public(["/ip4/10.0.0.1/tcp/4001", "/ip4/8.8.8.8/tcp/4001"])
    assert is_public(["/dns/relay.example.org/tcp/4001"])


def test_a_relay_that_only_its_own_network_reaches_says_so_to_people(tmp_path: Path) -> None:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    command = [sys.executable, "-m", "cli", "relay", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**own_environment(), "GOSSIP_HOME": str(tmp_path)}
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert "from this network alone: for others name the address outside, with --public HOST:PORT" in said[1]
    assert said[2].startswith("  --bootstrap /ip4/127.0.0.1/tcp/")


def started(home: Path, *words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    command = [sys.executable, "-m", "cli", "relay", "--listen", "127.0.0.1:0", "--json", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**own_environment(), "GOSSIP_HOME": str(home)},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("{"), line + process.stdout.read()
    return process, json.loads(line)


def test_it_says_what_to_paste_keeps_its_key_and_ends_in_order(tmp_path: Path) -> None:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    process, first = started(tmp_path, "--reservations", "7", "--minutes", "3", "--mb", "5")
    try:
        (address,) = first["addresses"]
        key = PrivateKey.load(tmp_path / KEY_FILE)
        assert bootstrap(address).peer_id == peer_id_of(key.public)
        assert relay(address + "/p2p-circuit").is_circuit
        assert first["limits"]["reservations"] == 7
        assert first["limits"]["seconds"] == 180
        assert first["limits"]["each_way"] == 5_000_000
        assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
        with socket.create_connection(("127.0.0.1", bootstrap(address).port)) as other:
            assert other.recv(20), "it speaks first, as libp2p does"
        taken = refused("--listen", f"127.0.0.1:{bootstrap(address).port}", home=tmp_path)
        assert "address already in use" in taken
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == exits.OK
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["ended"], "nothing of the library's"
    process, again = started(tmp_path, "--public", "relay.example.org:4001")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == exits.INTERRUPTED
    assert again["addresses"] == [f"/dns/relay.example.org/tcp/4001/p2p/{peer_id_of(key.public)}"]
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]


def test_the_unit_in_the_manual_is_one_and_starts_what_there_is(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "relay.md").read_text()
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # case counts here
    unit.read_string(text.split("```ini\n")[1].split("```")[0])
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    service = unit["Service"]
    program, command, *words = service["ExecStart"].split()
    assert (Path(program).is_absolute(), Path(program).name, command) == (True, "gossip", "relay")
    known = {name for each in whole(app).commands["relay"].params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert service["Restart"] == "on-failure", "SIGTERM ends it with code 0: systemctl stop starts nothing"
    assert service["KillSignal"] == "SIGTERM"
    assert "/var/lib/" + service["StateDirectory"] + "/" in service["ExecStart"]
    assert service["Environment"] == "GOSSIP_HOME=/var/lib/" + service["StateDirectory"]


def test_the_manual_names_every_option_and_every_default() -> None:
    text = (Path(__file__).parents[2] / "docs" / "relay.md").read_text()
    for each in whole(app).commands["relay"].params:
        assert all(f"`{name}" in text for name in each.opts if name.startswith("--") and name != "--help"), each.opts
        if isinstance(each.default, int) and not isinstance(each.default, bool):
            assert f"`{each.opts[0]}`, {each.default:,}" in text


def test_a_swarm_of_twenty_from_one_home_comes_in_at_one_member_through_a_relay_as_it_is() -> None:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    from gossip.wide.hop import Limits

    limits = Limits()
    assert min(limits.circuits, limits.of_network) >= 19
    assert inspect.signature(command).parameters["circuits"].default == limits.circuits
    assert inspect.signature(command).parameters["mb"].default * 1_000_000 == limits.each_way
