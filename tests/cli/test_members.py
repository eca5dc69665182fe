"""`gossip members`: the list, whom a word means, and what is refused before anybody is asked."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import exits, settings
from cli.app import app
from gossip import ids
from gossip.directory import store_path
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from gossip.transport.tickets import Ticket
from ledger.errors import LocalError
from ledger.keys import words
from ledger.roster import roster
from ledger.store import PutMeta, Store
from tests.cli.test_control import node
from tests.cli.test_ledger import stored
from tests.fold import toy
from tests.fold.bundles import written

MEAN = "\x1b[2Jeve\x1b]0;owned\x07[bold red]\u202e"


def a_swarm(threshold: int = 1) -> toy.Swarm:
    """The founder and ann are admins; cleo is of bert's house, and her time is over."""
    swarm = toy.Swarm(["ann", "bert", MEAN], admins=["ann"], guests=2, threshold=threshold)
    swarm.join("cleo", role="observer", by="bert", expires=toy.NOW + 60)
    for number in range(3):
        swarm[MEAN].publish(np.linspace(-1, 1, 16) * (number + 1) / 100)
    swarm.exchange()
    return swarm


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return stored(tmp_path / "peer", a_swarm())


def gossip(*args: str, told: str | None = None, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(args), input=told)
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*args: str, code: int = exits.OK) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*args, "--json"])
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in document["members"]}


def test_the_list_has_two_lines_a_peer_and_the_same_facts_as_its_json(place: Path) -> None:
    told, said = gossip("members", "list", str(place)), by_name(facts("members", "list", str(place)))
    assert [*said] == ["ann", "founder", "eve", "bert", "cleo"]
    lines = told.splitlines()
    assert len(lines) == 2 * len(said)
    assert all(len(line) <= 80 for line in lines)
    for first, second, one in zip(lines[::2], lines[1::2], said.values(), strict=True):
        assert first.split()[:2] == [one["name"], one["role"]]
        assert second.split()[0] == one["peer"][:8]
        assert one["words"] == words(one["peer"])
        assert one["words"] in second
        assert ids.read(one["checked"], "peer") == one["peer"]
    assert "founded the swarm 2026-01-01" in lines[2]
    assert ", this peer" in lines[3]
    assert said["cleo"]["state"] == "expired"
    assert "guest of bert since 2026-01-01, expired 2026-01-01 00:01:00Z" in told
    assert said["cleo"]["house_name"] == "bert"
    assert {one["link"] for one in said.values()} == {None}  # no node runs


def test_a_bundle_has_members_too_and_nobody_in_it_is_this_peer(tmp_path: Path) -> None:
    bundle = written(a_swarm(), tmp_path / "bundle")
    said = by_name(facts("members", "list", str(bundle)))
    assert [*said] == ["ann", "founder", "eve", "bert", "cleo"]
    assert not any(one["own"] for one in said.values())
    assert "link now" not in gossip("members", "list", str(bundle))


def test_names_of_peers_do_nothing_to_a_terminal(place: Path) -> None:
    for told in (
        gossip("members", "list", str(place)),
        gossip("members", "list", str(place), "--json"),
        gossip("members", "revoke", "eve", "--dir", str(place), code=exits.USAGE),
        gossip("members", "revoke", MEAN, "--dir", str(place), code=exits.USAGE),
    ):
        assert not any(bad in told for bad in ("\x1b", "\x07", "\u202e", "[bold"))
        assert "eve" in told


def test_what_the_node_adds_is_links_keys_and_codes(place: Path) -> None:
    swarm, key = a_swarm(), toy.key_of("dora").public.hex()
    bert = by_name(facts("members", "list", str(place)))["bert"]
    answer = {
        "ok": True, "threshold": 1, "roster": [asdict(row) for row in roster(swarm.founder.replica, toy.NOW)],
        "members": [{"peer": bert["peer"], "online": True, "own": False}], "open": True,
        "allowed": [{"key": key, "role": "auditor", "expires": 1_800_000_000, "source": "file"}],
        "codes": [{"number": 7, "uses": 3, "given": 1, "tries": 1, "expires": 1_800_000_000}],
    }  # fmt: skip
    with node(place, json.dumps(answer).encode() + b"\n"):
        told = gossip("members", "list", str(place))
    (place / "control.sock").unlink(missing_ok=True)
    assert f"{bert['words']}, link now" in told
    assert told.count("link now") == 1
    assert f"May enter: {ids.checked(key, 'key')}" in told
    assert "as auditor until 2027-01-15 08:00:00Z, by the allowlist file" in told
    assert "Code 7: open for 2 peers until 2027-01-15 08:00:00Z, 1 wrong try left" in told
    assert "Open: anybody near" in told


# ------------------------------------------------------------------ whom a word means


@pytest.mark.parametrize("form", ["peer", "checked", "words", "name", "prefix", "key", "checked key"])
def test_a_peer_is_named_in_many_ways_and_all_mean_the_same(place: Path, form: str) -> None:
    bert = by_name(facts("members", "list", str(place)))["bert"]
    said = {
        **bert, "prefix": bert["peer"][:8], "checked key": ids.checked(bert["key"], "key")
    }[form]  # fmt: skip
    told = gossip("members", "revoke", str(said), "--dir", str(place), code=exits.USAGE)
    assert f"puts bert ({bert['words']}) out for ever" in told


def test_who_calls_itself_by_anothers_words_makes_them_mean_nobody(tmp_path: Path) -> None:
    swarm = toy.Swarm(["bert"])
    taken = words(swarm["bert"].id)[:16]
    swarm.join("bert ")
    swarm.join(taken)
    swarm.exchange()
    place = stored(tmp_path / "peer", swarm)
    told = gossip("members", "revoke", "bert", "--dir", str(place), code=exits.USAGE)
    assert "'bert' may mean 2 peers: bert " in told
    assert "name one by its whole id" in told
    told = gossip("members", "revoke", swarm["bert"].id, "--dir", str(place), code=exits.USAGE)
    assert f"puts bert ({words(swarm['bert'].id)}) out" in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("dora", "no peer 'dora' here; see who there is: gossip members list"),
        ("5d1c", "no peer '5d1c' here"),
        ("ab" * 32, "no peer here has the id or key abababababab..."),
        ("ab" * 31 + "-0000", "is no peer id"),
        ("ab" * 32 + "-0000", "this peer id has a slip in it"),
    ],
)
def test_nobody_is_meant_by_a_slip(place: Path, said: str, told: str) -> None:
    found = gossip("members", "revoke", said, "--dir", str(place), code=exits.USAGE)
    assert told in found
    assert found.count("\n") == 1


# ------------------------------------------------------------------ revoking


def test_what_revoking_does_is_said_before_and_nobody_is_put_out_unasked(place: Path) -> None:
    told = gossip("members", "revoke", "eve", "--dir", str(place), code=exits.USAGE)
    assert "nothing of its log counts from entry 5 on, what it did so far stays: nothing was changed, and" in told
    told = gossip("members", "revoke", "eve", "--since", "3", "--dir", str(place), code=exits.USAGE)
    assert "from entry 3 on, takes 2 updates of it out of the model: nothing was changed" in told
    assert "add --yes" in told


def test_how_many_admins_are_still_missing_is_said_before(tmp_path: Path) -> None:
    swarm = a_swarm(threshold=2)
    place = stored(tmp_path / "peer", swarm)
    told = gossip("members", "revoke", "eve", "--dir", str(place), code=exits.USAGE)
    assert "; 1 admin more must say so before it happens; of the numbers that admins name, the 2nd lowest" in told
    swarm["ann"].revoke(swarm[MEAN], 4)
    swarm.exchange()
    other = stored(tmp_path / "other", swarm)
    assert "ann wants it out, 1 admin more must say so" in gossip("members", "list", str(other))
    assert by_name(facts("members", "list", str(other)))["eve"]["missing"] == 1
    told = gossip("members", "revoke", "eve", "--since", "3", "--dir", str(other), code=exits.USAGE)
    assert "more must say so" not in told  # this word is the last that is needed
    swarm.founder.revoke(swarm[MEAN], 3)
    done = stored(tmp_path / "done", swarm)
    assert "revoked from entry 4 on, by ann, founder; let in by founder" in gossip("members", "list", str(done))
    told = gossip("members", "revoke", "eve", "--dir", str(done), code=exits.USAGE)
    assert "this peer has said that already, from entry 3 on: and it is out" in told


@pytest.mark.parametrize(
    ("own", "who", "told"),
    [
        ("bert", "eve", "this peer is no admin of the swarm: members are put out by ann, founder; ask one of them"),
        ("founder", "founder", "that is this very peer; to go, type: gossip leave"),
    ],
)
def test_who_may_not_is_told_before_anything_is_asked(tmp_path: Path, own: str, who: str, told: str) -> None:
    swarm = a_swarm()
    place = stored(tmp_path / "peer", swarm)
    with Store(store_path(place)) as store:
        store.commit([PutMeta("self", swarm[own].id.encode())])
    assert told in gossip("members", "revoke", who, "--yes", "--dir", str(place), code=exits.USAGE)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("cleo",), "until when?; add --until DATE, --ttl T or --forever; or --role R for another role"),
        (("cleo", "--forever", "--ttl", "2h"), "--forever and another end"),
        (("cleo", "--until", "2020-01-01"), "--until 2020-01-01 is past"),
        (("dora", "--forever"), "no peer 'dora' here"),
        (("eve", "--forever"), "'eve' is no member any more: its admins have put it out for ever"),
    ],
)
def test_a_renewal_that_says_nothing_is_refused(tmp_path: Path, args: tuple[str, ...], told: str) -> None:
    swarm = a_swarm()
    swarm.founder.revoke(swarm[MEAN])
    place = stored(tmp_path / "peer", swarm)
    found = gossip("members", "renew", *args, "--dir", str(place), code=exits.USAGE)
    assert told in found
    assert found.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "cleo",
            "this peer's membership is over: since 2026-01-01 00:01:00Z; an admin can renew it: gossip members renew",
        ),
        (
            MEAN,
            "this peer was put out: the swarm's admins have revoked it, for ever; to enter as a new peer, name another",
        ),
        ("bert", "this peer is a member already"),
    ],
)
def test_who_was_in_and_comes_with_an_invite_is_told_what_it_is(tmp_path: Path, name: str, told: str) -> None:
    swarm = a_swarm()
    swarm.founder.revoke(swarm[MEAN])
    swarm.exchange()
    place = stored(tmp_path / "peer", swarm)
    key = toy.key_of("founder")
    ticket = Ticket(
        swarm=swarm.swarm, founder=swarm.founder_id, key=key.public, addresses=(), secret=bytes(16), role="trainer"
    ).signed(key)  # fmt: skip
    with Store(store_path(place)) as store:
        store.commit([PutMeta("self", swarm[name].id.encode()), PutMeta("name", b"x")])
    said = gossip("join", ticket.text, "--dir", str(place), code=exits.USAGE)
    assert said.startswith(f"gossip: {told}")
    assert said.count("\n") == 1


# ------------------------------------------------------------------ letting a key in


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    gossip("new", "lists")
    return tmp_path / "home"


def test_a_key_is_let_in_and_taken_back(home: Path, tmp_path: Path) -> None:
    key = facts("key", "new", "--out", str(tmp_path / "dora.key"))
    told = gossip("members", "allow", key["checked"], "--role", "observer", "--until", "2999-01-31")
    assert f"may enter  {key['checked']}\n           as observer, a member until 2999-01-31\n" in told
    typed = next(line.split() for line in told.splitlines() if line.startswith("    gossip join"))
    assert Ticket.parse(typed[2]).is_card
    assert typed[3:5] == ["--key", "FILE"]
    assert "Start the node here before it comes: gossip run lists" in told
    (allowed,) = facts("members", "list")["allowed"]
    assert (allowed["key"], allowed["role"]) == (key["key"], "observer")
    assert "as observer until 2999-01-31\n" in gossip("members", "list")
    assert facts("members", "allow", key["key"], "--remove") == {"key": key["key"], "removed": True}
    assert facts("members", "list")["allowed"] == []
    assert "was not named here" in gossip("members", "allow", key["key"], "--remove")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("abc",), "'abc' is no public key: one has 64 hex digits"),
        (("00" * 32,), "is no public key"),
        ((ids.checked("5d" * 32, "peer"),), "this is a peer id, and a public key is wanted"),
        ((toy.key_of("x").public.hex(), "--until", "2027-01-01", "--ttl", "2h"), "--until and --ttl name two ends"),
        ((toy.key_of("x").public.hex(), "--until", "2020-01-01"), "--until 2020-01-01 is past"),
        ((toy.key_of("x").public.hex(), "--role", "boss"), "this peer lets nobody in as 'boss'"),
    ],
)
def test_what_lets_nobody_in_is_one_line(home: Path, args: tuple[str, ...], told: str) -> None:
    found = gossip("members", "allow", *args, code=exits.USAGE)
    assert told in found
    assert found.count("\n") == 1
    assert facts("members", "list")["allowed"] == []


def test_the_door_is_opened_and_closed_by_who_may_let_others_in(home: Path, tmp_path: Path) -> None:
    assert facts("members", "list")["open"] is False
    assert "Open to anybody near who types: gossip join --open lists\n" in gossip("members", "open")
    assert facts("members", "list")["open"] is True
    assert "Open: anybody near who asks for the swarm by its name may enter" in gossip("members", "list")
    assert facts("members", "open", "--close")["open"] is False
    assert facts("members", "list")["open"] is False
    swarm = toy.Swarm(["bert"])
    place = stored(tmp_path / "peer", swarm)
    with Store(store_path(place)) as store:
        store.commit([PutMeta("self", swarm["bert"].id.encode())])
    assert "this peer can let nobody in" in gossip("members", "open", "--dir", str(place), code=exits.USAGE)


def test_a_peer_s_id_is_no_key_to_let_in_and_a_key_is(place: Path) -> None:
    """Without check digits they look alike, and a key that nobody has would open the door to nobody."""
    said = by_name(facts("members", "list", str(place)))
    told = gossip("members", "allow", said["bert"]["peer"], "--dir", str(place), code=exits.USAGE)
    assert "is the id of a peer, and a public key is wanted" in told


def test_who_came_in_by_its_key_is_named_and_an_end_that_has_passed_is_dropped(place: Path) -> None:
    said = by_name(facts("members", "list", str(place)))
    with Store(store_path(place)) as store:
        store.allow(bytes.fromhex(said["bert"]["key"]), "trainer", 0)
        store.allow(bytes.fromhex("ab" * 32), "relay", 1_000)
        store.allow(bytes.fromhex("cd" * 32), "relay", 0)
    told = gossip("members", "list", str(place))
    assert f"Came in:   bert {said['bert']['peer'][:8]}, by its key {said['bert']['key'][:8]}..." in told
    assert told.count("May enter") == 1
    assert "cdcdcd" in told


def test_the_list_says_how_many_admins_it_takes_where_one_is_not_enough(tmp_path: Path, place: Path) -> None:
    assert "It takes" not in gossip("members", "list", str(place))
    other = stored(tmp_path / "two", a_swarm(threshold=2))
    assert "It takes 2 admins to put somebody out" in gossip("members", "list", str(other))


def test_a_worse_role_is_no_renewal_and_says_what_would_be_one(place: Path) -> None:
    told = gossip("members", "renew", "eve", "--role", "relay", "--offline", "--dir", str(place), code=exits.USAGE)
    assert "it is trainer already, which is more than relay" in told
    assert "gossip members revoke" in told
    told = gossip("members", "renew", "eve", "--forever", "--offline", "--dir", str(place), code=exits.USAGE)
    assert "it is trainer for ever already" in told


@pytest.mark.parametrize("name", ["a; touch pwned", "$(touch pwned)", "`id`", "two  words", "it's", "x" * 60])
def test_a_swarms_name_in_a_line_to_type_is_one_word_whatever_its_founder_called_it(tmp_path: Path, name: str) -> None:
    place = tmp_path / "a peer; here"
    create_swarm(place, name=name, task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
    said = gossip("members", "open", "--dir", str(place)).splitlines()
    (line,) = [one.partition("types: ")[2] for one in said if "gossip join" in one]
    assert shlex.split(line) == ["gossip", "join", "--open", " ".join(name.split())]
    with pytest.raises(LocalError) as told:
        settings.new_directory("lists", place)
    assert shlex.split(str(told.value.next_step).partition("gossip run ")[2].partition(", or")[0]) == [
        "--dir",
        str(place),
    ]
