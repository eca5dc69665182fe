"""Founding, inviting, looking, leaving: the commands that need no network."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import exits, running
from cli import swarm as swarm_commands
from cli.app import app
from cli.children import own_environment
from gossip import ids
from gossip.directory import lock, store_path
from gossip.node import NodeConfig
from gossip.transport.tickets import Ticket
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import FORMAT_VERSION, Enrol, Member
from ledger.keys import PrivateKey
from ledger.store import PutEntry, PutMeta, Store
from tests.cli.test_ledger import stored
from tests.fold.toy import Swarm


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def gossip(*words: str, told: str | None = None, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(words), input=told)
    assert done.exit_code == code, done.output
    return done.stdout if code == exits.OK else done.stderr


def facts(*words: str) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json"))
    assert isinstance(value, dict)
    return value


def test_a_swarm_from_founding_to_leaving(home: Path) -> None:
    made = facts("new", "lists", "--seed", "7")
    assert (home / "lists" / "peer.db").is_file()
    assert "no node runs; start it with: gossip run lists\n" in gossip("status")
    gossip("new", "else", "--dir", str(home.parent / "else"))
    assert f"start it with: gossip run --dir {home.parent / 'else'}\n" in gossip(
        "status", "--dir", str(home.parent / "else")
    )
    assert facts("status")["swarm"] == made["swarm"]
    assert facts("key", "show")["peer"] == made["peer"]
    assert len(facts("key", "show")["words"].split("-")) == 4
    assert gossip("stop") == f"no node runs on {home / 'lists'}; start it with: gossip run lists\n"
    assert facts("stop") == {"stopped": False, "dir": str(home / "lists")}

    (home / "lists" / "own-notes.txt").write_text("mine")
    left = facts("leave", "--yes")
    assert left["kept"] == ["own-notes.txt"]  # what is not ours stays
    assert [path.name for path in (home / "lists").iterdir()] == ["own-notes.txt"]


def test_the_same_seed_founds_the_same_starting_weights() -> None:
    for name in ("one", "two"):
        gossip("new", name, "--seed", "7")
    gossip("new", "three")
    first, second, third = (
        facts("ledger", "log", name)["entries"][0]["entry"]["seed"] for name in ("one", "two", "three")
    )
    assert first == second != third


def test_a_name_is_used_once() -> None:
    gossip("new", "lists")
    assert "already holds a peer" in gossip("new", "lists", code=exits.USAGE)


def test_leaving_asks_first(home: Path) -> None:
    gossip("new", "lists")
    assert "nothing was changed" in gossip("leave", told="n\n", code=exits.INTERRUPTED)
    assert (home / "lists" / "peer.db").is_file()
    asked = CliRunner().invoke(app, ["leave"], input="n\n").stderr
    assert f"Leave lists? This stops the peer and deletes its keys and its copy of the ledger in {home}" in asked
    assert "your data files stay" in asked
    assert "It is the founder: only other admins, if the swarm has any, can let others in then." in asked
    assert "remain in the others' ledgers" in gossip("leave", told="y\n")
    assert not (home / "lists").exists()


def test_an_invitation_names_the_swarm_and_is_open_in_the_store(home: Path) -> None:
    made = facts("new", "lists")
    answer = facts("invite", "--uses", "3")
    ticket = Ticket.parse(answer["ticket"])
    assert (ticket.swarm, ticket.founder) == (made["swarm"], made["peer"])
    assert answer["running"] is False
    with Store.open_readonly(store_path(home / "lists")) as store:
        kept = store.ticket(ticket.ticket_id)
    assert kept is not None
    assert kept.uses == 3


def test_joining_with_a_missing_data_file_makes_nothing(home: Path) -> None:
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    told = gossip("join", ticket, "--data", "/nowhere.jsonl", "--dir", str(home / "other"), code=exits.USAGE)
    assert "no file /nowhere.jsonl" in told
    assert not (home / "other").exists()


def test_an_invite_need_not_stand_among_the_arguments(home: Path) -> None:
    """Other users of a machine can read every command's arguments; so it may come by standard input."""
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    words = ("join", "-", "--data", "/nowhere.jsonl", "--dir", str(home / "other"))
    assert "no file /nowhere.jsonl" in gossip(*words, told=f"{ticket}\n", code=exits.USAGE)  # the invite was read
    assert "this invite is damaged" in gossip(*words, told=f"{ticket[:-3]}\n", code=exits.USAGE)


def test_a_bad_row_costs_no_invitation(home: Path, tmp_path: Path) -> None:
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    file = tmp_path / "mine.jsonl"
    file.write_text(
        '{"page":"https://a.example/","url":"https://b.example/","type":"image","label":"ad"}\n'
        '{"page":"https://a.example/","url":"https://b.example/","type":"image","label":"spam"}\n'
    )
    told = gossip("join", ticket, "--data", str(file), "--dir", str(home / "other"), code=exits.USAGE)
    assert f"{file}: row 2 cannot be used: its label is none of" in told
    assert not (home / "other").exists()
    assert "row 2 cannot be used" in gossip("run", "lists", "--data", str(file), code=exits.USAGE)
    with Store.open_readonly(store_path(home / "lists")) as store:
        assert store.find_meta("run") is None  # and is not remembered for the next run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[NodeConfig]:
    """The nodes that would have run."""
    configs: list[NodeConfig] = []

    def run_node(config: NodeConfig, mode: str, **options: Any) -> int:
        configs.append(config)
        return exits.OK

    monkeypatch.setattr(running, "run_node", run_node)
    return configs


def test_who_was_never_let_in_tries_again_with_a_new_invite(home: Path, started: list[NodeConfig]) -> None:
    made = facts("new", "lists")
    first, second = (facts("invite")["ticket"] for _ in range(2))
    other = home / f"swarm-{made['swarm'][:8]}"
    gossip("join", first, "--name", "birch")
    key = (other / "keys" / "current").read_bytes()
    assert "this peer is called 'birch'" in gossip("join", second, "--name", "cedar", code=exits.USAGE)
    gossip("join", second)
    gossip("run", other.name)
    assert [config.ticket.text for config in started if config.ticket] == [first, second, second]
    assert (other / "keys" / "current").read_bytes() == key

    facts("new", "others")
    stranger = facts("invite", "others")["ticket"]
    assert "of another swarm; name another folder" in gossip("join", stranger, "--dir", str(other), code=exits.USAGE)
    assert len(started) == 3
    assert "To return it needs a new invite." in CliRunner().invoke(app, ["leave", other.name], input="n\n").stderr


def test_a_member_is_told_to_run(home: Path, started: list[NodeConfig]) -> None:
    made = facts("new", "lists")
    ticket = facts("invite")["ticket"]
    gossip("join", ticket)
    place = home / f"swarm-{made['swarm'][:8]}"
    with Store(store_path(place)) as store:
        member = encode_entry(
            Member(
                v=FORMAT_VERSION, swarm=made["swarm"], seq=0, prev="", time=0, meets=[], seen=[], heads="0" * 64,
                peer=store.meta("self").decode(), role="trainer", expires=0,
            )
        )  # fmt: skip
        store.commit([PutEntry(made["peer"], 0, member)])
    told = gossip("join", ticket, code=exits.USAGE)
    assert told == f"gossip: this peer is a member already: it lies in {place}; go on with: gossip run {place.name}\n"
    assert len(started) == 1
    assert "a member already" in gossip("join", ticket, "--dir", str(home / "lists"), code=exits.USAGE)  # the founder


def test_a_wrong_interface_makes_nothing_and_is_not_remembered(home: Path, started: list[NodeConfig]) -> None:
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    told = gossip("join", ticket, "--interface", "wlan77", "--dir", str(home / "other"), code=exits.USAGE)
    assert "there is no interface 'wlan77'" in told
    assert not (home / "other").exists()
    gossip("run", "lists", "--interface", "127.0.0.1")
    gossip("run", "lists", "--interface", "wlan77", code=exits.USAGE)
    gossip("run", "lists")
    assert [config.interface for config in started] == ["127.0.0.1", "127.0.0.1"]


def test_loopback_is_said_until_an_interface_was_named(started: list[NodeConfig]) -> None:
    assert "gossip run lists --data FILE --interface IF" in gossip("new", "lists")
    assert "Other machines cannot reach this peer" in gossip("run", "lists")
    assert gossip("run", "lists", "--json") == ""
    assert started[-1].interface == "lo"
    assert gossip("run", "lists", "--interface", "lo") == ""  # so it is wanted
    assert gossip("run", "lists") == ""


def test_a_second_node_is_refused_with_the_first_ones_pid(home: Path) -> None:
    gossip("new", "lists")
    code = """
        import sys
        from pathlib import Path
        from gossip.directory import lock
        with lock(Path(sys.argv[1])):
            print("held", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(home / "lists")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own_environment()) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        told = gossip("run", code=exits.USAGE)
        holder.kill()
    assert f"a node already runs on {home / 'lists'}: pid {holder.pid}; see it with: gossip status" in told
    with lock(home / "lists"):
        pass  # and after it has gone the directory is free


def test_the_ledger_is_listed_and_shown() -> None:
    made = facts("new", "lists", "--name", "alder")
    told = gossip("ledger", "log")
    assert "swarm lists, task filterlist, 196,608 parameters" in told
    assert f"{made['peer'][:8]}/1" in told
    one = facts("ledger", "show", "alder/1")
    assert one["entry"]["name"] == "alder"
    assert one["hash"] == made["peer"]  # the hash of the enrol entry is the peer's id
    assert facts("ledger", "show", one["hash"][:12]) == one
    assert len(facts("ledger", "log", "-n", "1")["entries"]) == 1
    assert facts("ledger", "log", "--peer", "alder")["total"] == 2
    assert "no peer 'birch' here: there are alder" in gossip("ledger", "log", "--peer", "birch", code=exits.USAGE)
    assert "no entry 'alder/9' here" in gossip("ledger", "show", "alder/9", code=exits.USAGE)


def test_a_hostile_name_in_the_ledger_cannot_touch_the_terminal(home: Path) -> None:
    made = facts("new", "lists")
    mean = "\x1b[2J\x1b]0;owned\x07[bold red]evil[/]\n\u202eliar"
    enrol = encode_entry(
        Enrol(
            v=FORMAT_VERSION, swarm=made["swarm"], seq=0, prev="", time=2**52, meets=[], seen=[], heads="0" * 64,
            key="11" * 32, next="0" * 64, sponsor=made["peer"], name=mean,
        )
    )  # fmt: skip
    with Store(store_path(home / "lists")) as store:
        store.commit([PutEntry(entry_hash(enrol), 0, enrol)])
    for text in (
        gossip("ledger", "log"),
        gossip("ledger", "log", "--json"),
        gossip("ledger", "show", entry_hash(enrol)),
    ):
        assert not any(bad in text for bad in ("\x1b", "\x07", "\u202e"))
    assert "evil liar enters" in gossip("ledger", "log")


def test_a_table_needs_a_declared_model(tmp_path: Path) -> None:
    assert "name it with --model" in gossip("new", "digits", "--task", "table", code=exits.USAGE)
    file = tmp_path / "model.json"
    file.write_text(
        '{"model":1,"features":{"kind":"numbers/1","columns":4},"classes":["a","b"],'
        '"layers":[{"kind":"dense","units":2}],"optimiser":{"kind":"sgd","rate":0.1},"batch":8,"local_steps":4}'
    )
    assert facts("new", "digits", "--model", str(file))["task"] == "table"
    assert "does not fit the task 'filterlist'" in gossip(
        "new", "other", "--task", "filterlist", "--model", str(file), code=exits.USAGE
    )


def test_a_licence_is_said_of_the_files_it_was_named_with_and_stays_theirs(
    home: Path, tmp_path: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    row = '{"page":"https://a.example/","url":"https://b.example/","type":"image","label":"ad"}\n'
    for name in ("mine.jsonl", "theirs.jsonl"):
        (tmp_path / name).write_text(row)
    mine, theirs = ("--data", str(tmp_path / "mine.jsonl")), ("--data", str(tmp_path / "theirs.jsonl"))
    for words in (
        mine, ("--licence", "CC-BY-4.0"), (), mine, theirs, (), (*mine, "--licence", "MIT OR (MPL-2.0 AND X11)"),
        ("--licence", ""), (),
    ):  # fmt: skip
        gossip("run", "lists", *words)
    both = "MIT OR (MPL-2.0 AND X11)"
    assert [config.licence for config in started] == ["", *["CC-BY-4.0"] * 3, "", "", both, "", ""]
    ticket = facts("invite")["ticket"]
    gossip("join", ticket, *theirs, "--licence", "CC0-1.0", "--dir", str(home / "other"))
    assert started[-1].licence == "CC0-1.0"


@pytest.mark.parametrize(
    "licence", ["free for all!", "MIT\n", "MIT  OR X11", " MIT", "(MIT", "<b>", "--data", "M" * 121, "\u202eTIM"]
)
def test_what_cannot_be_a_licence_makes_nothing_and_is_not_remembered(home: Path, licence: str) -> None:
    gossip("new", "lists")
    ticket = facts("invite")["ticket"]
    for words in (("join", ticket, "--dir", str(home / "other")), ("run", "lists")):
        told = gossip(*words, f"--licence={licence}", code=exits.USAGE)
        assert "this cannot be a licence's name: an SPDX expression of at most 120 characters" in told
        assert told.count("\n") == 1
    assert not (home / "other").exists()
    with Store.open_readonly(store_path(home / "lists")) as store:
        assert store.find_meta("run") is None


def test_the_pace_is_ten_seconds_until_another_is_named_and_then_stays(home: Path, started: list[NodeConfig]) -> None:
    gossip("new", "lists")
    for words in (
        ["run", "lists"],
        ["run", "lists", "--every", "2.5"],
        ["run", "lists"],
        ["run", "lists", "--every", "0"],
    ):
        gossip(*words)
    assert [config.min_round_s for config in started] == [10.0, 2.5, 2.5, 0.0]


def test_lists_are_named_with_the_files_they_labelled_and_stay_theirs(
    home: Path, tmp_path: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    row = '{"page":"https://a.example/","url":"https://b.example/","type":"image","label":"ad"}\n'
    for name in ("mine.jsonl", "theirs.jsonl"):
        (tmp_path / name).write_text(row)
    for name in ("easylist.txt", "easyprivacy.txt"):
        (tmp_path / name).write_text(f"! Title: {name}\n||ads.example^\n")
    lists = tmp_path / "easylist.txt", tmp_path / "easyprivacy.txt"
    mine, theirs = ("--data", str(tmp_path / "mine.jsonl")), ("--data", str(tmp_path / "theirs.jsonl"))
    for words in ((*mine, "--list", *map(str, lists)), (), mine, theirs):  # one word --list for both files
        gossip("run", "lists", *words)
    assert [config.lists for config in started] == [lists, lists, lists, ()]
    said = gossip("run", "lists", *mine, "--list", str(tmp_path / "none.txt"), code=exits.USAGE)
    assert "no file" in said
    assert "none.txt" in said
    (tmp_path / "none.txt").write_text("\n")
    said = gossip("run", "lists", *mine, "--list", str(tmp_path / "none.txt"), code=exits.USAGE)
    assert "none.txt: this is no filter list: it is empty; name a list after --list" in said
    assert said.count("\n") == 1
    assert len(started) == 4


def test_a_swarm_of_several_admins_says_who_they_are_and_how_many_it_takes() -> None:
    key = PrivateKey.generate().public.hex()
    told = gossip("new", "lists", "--admin", key, "--threshold", "2")
    assert ids.checked(key, "key") in told
    assert "policy and who is put out: 2 of them together" in told
    assert facts("new", "other", "--admin", key)["threshold"] == 1
    assert "put out" not in gossip("new", "third")


def test_ids_have_check_digits_where_people_copy_them(home: Path) -> None:
    told = gossip("new", "lists", "--open")
    peer = facts("status", "--dir", str(home / "lists"))["id"]
    assert ids.checked(peer, "peer") in told
    assert "each counts in full" in told
    said = gossip("status")
    assert ids.checked(peer, "peer") in said
    assert "anybody near may enter by the swarm's name" in said


def test_a_peer_that_was_put_out_says_so_also_while_no_node_runs(tmp_path: Path) -> None:
    swarm = Swarm(["ann", "bert"], admins=["ann"], threshold=2)
    swarm.founder.revoke(swarm["bert"], 1)
    swarm.exchange()
    place = stored(tmp_path / "one", swarm)
    with Store(store_path(place)) as store:
        store.commit([PutMeta("self", swarm["bert"].id.encode())])
    assert "put this peer out" not in gossip("status", "--dir", str(place))
    swarm["ann"].revoke(swarm["bert"], 1)
    swarm.exchange()
    place = stored(tmp_path / "two", swarm)
    with Store(store_path(place)) as store:
        store.commit([PutMeta("self", swarm["bert"].id.encode())])
    assert "the swarm's admins have put this peer out" in gossip("status", "--dir", str(place))


def test_limits_that_a_file_changes_are_named_when_the_node_starts(tmp_path: Path) -> None:
    file = tmp_path / "tight.toml"
    file.write_text("links = 8\n")
    assert swarm_commands._limited(file) == "Limits of tight.toml: links = 8"
    file.write_text("")
    assert "none differs" in swarm_commands._limited(file)
