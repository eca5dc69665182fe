"""Inviting and joining, as far as it needs no network: what is printed, what is refused, and what costs nothing."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import exits, qr, render, running
from cli.app import app
from gossip import ids
from gossip.directory import current_key_path, store_path
from gossip.invites import make_card, set_open
from gossip.node import NodeConfig
from gossip.transport.tickets import Ticket
from ledger.keys import PrivateKey
from ledger.store import Store
from tests.cli.test_control import node

CODE = "7-crossover-clockwork"
COLUMNS = 37  # of the QR code


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[NodeConfig]]:
    """What `join` would run."""
    seen: list[NodeConfig] = []
    monkeypatch.setattr(running, "run_node", lambda config, *_, **__: seen.append(config) or exits.OK)
    return seen  # type: ignore[return-value]


def gossip(*words: str, told: str | None = None, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(words), input=told)
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*words: str) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json"))
    assert isinstance(value, dict)
    return value


def answer(address: str = "192.0.2.7:4123", code: str | None = CODE, **more: object) -> bytes:
    """What a node says to `invite`."""
    said = {
        "ok": True, "ticket": "gossip2-x", "code": code, "address": address, "expires": 1_893_456_000, "number": 7,
        "role": "trainer", "uses": 1, **more,
    }  # fmt: skip
    return json.dumps(said).encode() + b"\n"


# ------------------------------------------------------------------ inviting


def test_a_code_is_asked_for_and_the_line_to_type_is_printed(home: Path) -> None:
    gossip("new", "lists")
    with node(home / "lists", answer(role="observer", uses=3)) as heard:
        told = gossip("invite", "--role", "observer", "--uses", "3", "--ttl", "2h")
    assert json.loads(heard[0]) == {
        "command": "invite", "role": "observer", "uses": 3, "ttl_s": 7_200, "code": True,
    }  # fmt: skip
    lines = told.splitlines()
    assert lines[0] == "On the other machine, within 2 hours, type:"
    assert f"    gossip join {CODE} --interface IF" in lines  # an observer has no data to name
    assert "add: --address 192.0.2.7:4123" in told
    assert "3 peers in as observer while the node here runs" in told
    assert "Only this machine" not in told
    assert "QR" not in told  # piped: nobody asked for a picture


def test_who_may_let_in_fewer_than_asked_for_reads_how_many(home: Path) -> None:
    gossip("new", "lists")
    with node(home / "lists", answer(uses=2)):
        told = gossip("invite", "--uses", "5")
    assert f"    gossip join {CODE} --data FILE --interface IF" in told.splitlines()
    assert "--name NAME" in told
    assert "It lets 2 peers in as trainer (not 5: this peer may let in no more)" in told


def test_a_code_and_a_ticket_last_as_long_as_each_is_for(home: Path) -> None:
    gossip("new", "lists")
    with node(home / "lists", answer()) as heard:
        assert facts("invite")["ttl_s"] == json.loads(heard[0])["ttl_s"] == 600
    (home / "lists" / "control.sock").unlink(missing_ok=True)
    found = facts("invite", "--ticket")
    assert found["ttl_s"] == 7 * 86_400
    assert abs(found["expires"] - time.time() - 7 * 86_400) < 60


def test_the_json_of_an_invite_has_what_the_lines_say(home: Path) -> None:
    gossip("new", "lists")
    with node(home / "lists", answer()):
        found = facts("invite")
    assert found == {
        "code": CODE, "ticket": "gossip2-x", "role": "trainer", "uses": 1, "ttl_s": 600, "expires": 1_893_456_000,
        "addresses": ["192.0.2.7:4123"], "running": True, "line": f"gossip join {CODE}",
        "bootstrap": [], "relays": [],
    }  # fmt: skip


def test_a_node_on_loopback_is_said_to_be_out_of_reach(home: Path) -> None:
    gossip("new", "lists")
    for words, code in ((("invite",), CODE), (("invite", "--ticket"), None)):
        with node(home / "lists", answer("127.0.0.1:4123", code)):
            told = gossip(*words)
        (home / "lists" / "control.sock").unlink(missing_ok=True)
        assert "127.0.0.1:4123" in told
        assert "nly this machine can reach" in told
        assert "start the node with --interface IF" in told


def test_without_a_node_it_is_a_ticket_and_says_why(home: Path) -> None:
    gossip("new", "lists")
    told = gossip("invite")
    assert told.startswith("No node runs here, so this is a ticket: a code of two words works only while one does.")
    assert "Start the node here before the other machine joins: gossip run lists" in told
    typed = next(line.split() for line in told.splitlines() if line.startswith("    gossip join"))
    ticket = Ticket.parse(typed[2], time.time())
    assert ticket.role == "trainer"
    assert "No node runs here, so" not in gossip("invite", "--ticket")  # that was asked for
    with Store.open_readonly(store_path(home / "lists")) as store:
        kept = store.ticket(ticket.ticket_id)
    assert kept is not None
    assert kept.expires == ticket.expires > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ttl", "soon"), "'soon' is no time for --ttl; write it as 10m, 2h or 30d"),
        (("--role", "boss"), "this peer lets nobody in as 'boss'; use one of trainer, observer, auditor, relay"),
        (("--role", "admin"), "who is an admin, the genesis says"),
        (("--uses", "0"), "Invalid value for '--uses': Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_an_invite_is_refused_in_one_line(home: Path, words: tuple[str, ...], told: str) -> None:
    gossip("new", "lists")
    said = gossip("invite", *words, code=exits.USAGE)
    assert told in said
    assert said.count("\n") == 1


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Print as on a terminal: what a person would see, with escape sequences."""

    def on(width: int = 80, *, colour: str | None = "standard", encoding: str = "utf-8") -> io.TextIOWrapper:
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
        monkeypatch.setattr(
            render, "console",
            lambda **_: Console(
                file=file, width=width, force_terminal=True, color_system=colour, no_color=colour is None, markup=False,
                highlight=False, emoji=False, legacy_windows=False,
            ),
        )  # fmt: skip
        monkeypatch.setattr(render, "say", lambda text="": file.write(text + "\n"))
        return file

    return on


def seen(file: io.TextIOWrapper) -> str:
    return file.buffer.getvalue().decode(file.encoding)  # type: ignore[attr-defined]


def test_on_a_terminal_the_qr_code_holds_the_whole_line(home: Path, terminal: Any) -> None:
    gossip("new", "lists")
    file = terminal()
    with node(home / "lists", answer()):
        gossip("invite", "lists")
    drawn = qr.lines(f"gossip join {CODE} --address 192.0.2.7:4123")
    lines = seen(file).splitlines()
    assert len(lines) <= 24
    found = [line for line in lines if "▀" in line or "▄" in line]
    assert all("30;107m" in line for line in found)  # black on white, whatever the theme
    assert [line.split("107m")[1].split("\x1b")[0] for line in found] == [row for row in drawn if row.strip()]
    assert "pass it on" in seen(file)


@pytest.mark.parametrize(
    ("width", "colour", "encoding", "words", "told"),
    [
        (80, None, "utf-8", (), "No QR code: without colours it could not be read."),  # NO_COLOR, TERM=dumb
        (30, "standard", "utf-8", (), f"No QR code: it needs {COLUMNS} columns, this terminal has 30."),
        (80, "standard", "ascii", (), "No QR code: this terminal has no half blocks."),
        (80, "standard", "utf-8", ("--no-qr",), ""),
    ],
)
def test_where_no_qr_code_can_be_drawn_it_is_left_out_and_said(
    home: Path, terminal: Any, width: int, colour: str | None, encoding: str, words: tuple[str, ...], told: str
) -> None:
    gossip("new", "lists")
    file = terminal(width, colour=colour, encoding=encoding)
    with node(home / "lists", answer()):
        gossip("invite", "lists", *words)
    text = seen(file)
    assert not set("▀▄█") & set(text)
    assert ("No QR code" in text) is bool(told)
    assert told in text
    assert CODE in text


# ------------------------------------------------------------------ joining


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "what shall be joined?; name one: gossip join INVITE, or gossip join --open NAME"),
        ((CODE, "--open", "lists"), "an invite and --open name two ways to enter"),
        (("7-crossover",), "'7-crossover' is no code: a code is a number and two words; type it like 7-crossover-"),
        (("7-crossover-clockwerk",), "'clockwerk' is no word of a code; ask for it once more, word by word"),
        (("7-clockwork-crossover",), "'clockwork' stands in the wrong place"),
        ((CODE, "--key", "/nowhere.pem"), "no file /nowhere.pem; make one with: gossip key new --out FILE"),
        ((CODE, "--address", "here"), "'here' is no address; write HOST:PORT"),
        (("clockwork",), "this is not an invite"),
    ],
)
def test_a_slip_is_told_in_one_line_before_anybody_is_asked(words: tuple[str, ...], told: str) -> None:
    said = gossip("join", *words, code=exits.USAGE)
    assert said.startswith(f"gossip: {told}")
    assert said.count("\n") == 1


def test_a_code_that_nobody_has_open_says_where_it_looked(home: Path) -> None:
    said = gossip("join", CODE, "--address", "127.0.0.1:9", "--json", code=exits.USAGE)
    assert said.startswith("gossip: nobody could be asked: cannot reach 127.0.0.1:9: ")
    assert "the code is as good as before" in said
    assert said.count("\n") == 1
    assert not home.exists()


def test_a_bad_file_costs_no_code(home: Path, tmp_path: Path) -> None:
    """The port is one where nobody answers: had anybody been asked, this would say so."""
    said = gossip("join", CODE, "--address", "127.0.0.1:9", "--data", "/nowhere.jsonl", code=exits.USAGE)
    assert "no file /nowhere.jsonl" in said


def test_a_ticket_that_has_ended_says_so_before_anything_is_made(home: Path) -> None:
    gossip("new", "lists")
    key = PrivateKey.load(current_key_path(home / "lists"))
    ticket = replace(Ticket.parse(facts("invite")["ticket"]), expires=int(time.time()) - 7_300).signed(key)
    said = gossip("join", ticket.text, "--dir", str(home / "other"), code=exits.USAGE)
    assert said == "gossip: this invite has ended: 2 hours ago; ask for a new one\n"
    assert not (home / "other").exists()


def test_a_card_needs_the_key_that_was_named(home: Path, tmp_path: Path, started: list[NodeConfig]) -> None:
    gossip("new", "lists")
    card = make_card(home / "lists").text
    said = gossip("join", card, "--dir", str(home / "other"), code=exits.USAGE)
    assert "this card opens the door only to a key that was named beforehand; add --key FILE" in said
    assert not (home / "other").exists()
    gossip("key", "new", "--out", str(tmp_path / "peer.key"))
    gossip("join", card, "--key", str(tmp_path / "peer.key"), "--dir", str(home / "other"))
    (config,) = started
    assert config.ticket is not None
    assert config.ticket.is_card


def test_an_open_swarm_is_founded_so_and_says_how_to_enter(home: Path) -> None:
    told = gossip("new", "lists", "--open", "--guests", "5")
    assert "open    to anybody near who types: gossip join --open lists" in told
    assert "and so may every trainer, 5 peers each" in told
    with Store.open_readonly(store_path(home / "lists")) as store:
        assert store.find_meta("open") == b"1"
    set_open(home / "lists", False)
    made = facts("new", "quiet")
    assert (made["open"], made["guests"]) == (False, 0)


def test_admins_are_named_by_checked_keys_and_a_slip_founds_nothing(home: Path, tmp_path: Path) -> None:
    key = facts("key", "new", "--out", str(tmp_path / "a.key"))
    assert key["checked"] == ids.checked(key["key"], "key")
    slip = key["checked"][:-1] + ("0" if key["checked"][-1] != "0" else "1")
    assert "has a slip in it" in gossip("new", "lists", "--admin", slip, code=exits.USAGE)
    assert not (home / "lists").exists()
    gossip("new", "lists", "--admin", key["checked"], "--witness", key["key"])
    assert key["key"] in facts("ledger", "log", "lists")["entries"][0]["entry"]["admins"]


# ------------------------------------------------------------------ what a run is told of others


def test_files_of_keys_and_limits_are_remembered_and_taken_back(
    home: Path, tmp_path: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    keys, limits = tmp_path / "keys.txt", tmp_path / "limits.toml"
    key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
    keys.write_text(f"{ids.checked(key, 'key')} auditor until 2999-01-31\n")  # as key show prints it
    limits.write_text("frames_per_s = 400\n")
    for words in ((), ("--allowlist", str(keys)), ("--limits", str(limits)), (), ("--allowlist", "")):
        gossip("run", "lists", *words)
    assert [config.allowlist for config in started] == [None, keys, keys, keys, None]
    assert [config.limits for config in started] == [None, None, limits, limits, limits]


@pytest.mark.parametrize(
    ("option", "text", "told"),
    [
        ("--allowlist", "nonsense\n", "line 1 of the list of keys is none"),
        ("--limits", "frames_per_second = 400\n", "frames_per_second"),
        ("--limits", None, "limits"),
    ],
)
def test_a_file_that_is_none_is_told_before_anything_starts_and_not_remembered(
    home: Path, tmp_path: Path, started: list[NodeConfig], option: str, text: str | None, told: str
) -> None:
    gossip("new", "lists")
    if text is not None:
        (tmp_path / "limits").write_text(text)
    said = gossip("run", "lists", option, str(tmp_path / "limits"), code=exits.USAGE)
    assert told in said
    assert said.count("\n") == 1
    gossip("run", "lists")
    assert [(config.allowlist, config.limits) for config in started] == [(None, None)]


def test_a_join_that_is_refused_here_spends_no_code(home: Path) -> None:
    """It is refused before anybody is asked for what the code stands for."""
    gossip("new", "lists")
    told = gossip("join", CODE, "--dir", str(home / "lists"), "--address", "127.0.0.1:9", code=exits.USAGE)
    assert "this peer is a member already" in told


def test_who_does_not_train_is_told_that_data_are_of_no_use(home: Path, tmp_path: Path, started: list[Any]) -> None:
    gossip("new", "lists")
    data = tmp_path / "rows.jsonl"
    data.write_text("")
    for number, role, said in ((1, "observer", "As an observer this peer does not train"), (2, "trainer", "")):
        ticket = facts("invite", "--ticket", "--role", role)["ticket"]
        told = gossip("join", ticket, "--data", str(data), "--dir", str(tmp_path / str(number)))
        assert said in told
        assert ("does not train" in told) is bool(said)
    assert len(started) == 2
