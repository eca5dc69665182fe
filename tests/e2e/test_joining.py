"""The four ways in, as people type them: real processes on loopback, each ending in a member entry."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from cli import exits
from gossip import directory as places
from ledger.canonical import decode_entry
from ledger.entry import Member
from ledger.store import Store
from tests.e2e.machines import Machine, Running, status

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

NAME = f"lists-{os.getpid()}"  # whoever runs these tests at the same time hears our multicast, too


class Founder:
    """Anna's machine, with the founder of a swarm running."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self.machine = machine
        assert machine.gossip("new", NAME, "--name", "anna", *words).code == exits.OK
        self.place = machine.swarms / NAME
        self.node = machine.start("run", "--json")
        self.address = self.node.event("ready")["address"]

    def says(self, *words: str) -> dict[str, Any]:
        return self.machine.gossip(*words, "--json").document

    def admitted(self, guest: Running, role: str, how: str) -> None:
        """The guest is in, both ends were told the same words before, and the founder's log says so."""
        own = guest.event("ready")["peer"]
        guest.event("admitted", peer=own)
        assert self.node.event("guest")["words"] == guest.event("knocked")["words"]
        told = self.node.event("guest")
        assert (told["role"], told["how"]) == (role, how)
        self.node.event("admitted", peer=own)
        kinds = [event["event"] for event in self.node.events]
        assert kinds.index("guest") < kinds.index("admitted")
        with Store.open_readonly(places.store_path(self.place)) as store:
            log = [decode_entry(data) for data in store.entries(status(self.place)["id"])]
        assert [(entry.peer, entry.role) for entry in log if isinstance(entry, Member)] == [(own, role)]
        assert guest.end(signal.SIGTERM) == self.node.end(signal.SIGTERM) == exits.OK


@pytest.fixture
def bert(machine: Callable[..., Machine]) -> Machine:
    return machine("bert")


@pytest.fixture
def anna(machine: Callable[..., Machine]) -> Callable[..., Founder]:
    return lambda *words: Founder(machine("anna"), *words)


def test_by_a_code(anna: Callable[..., Founder], bert: Machine) -> None:
    founder = anna()
    code = founder.says("invite", "--role", "observer")["code"]
    founder.admitted(bert.start("join", code, "--dir", bert.home / "peer", "--json"), "observer", "code")


def test_by_a_code_where_mdns_is_filtered(anna: Callable[..., Founder], bert: Machine) -> None:
    founder = anna()
    code = founder.says("invite")["code"]
    words = ("join", code, "--address", founder.address, "--dir", bert.home / "peer", "--json")
    founder.admitted(bert.start(*words), "trainer", "code")


def test_by_a_ticket(anna: Callable[..., Founder], bert: Machine) -> None:
    founder = anna()
    ticket = founder.says("invite", "--ticket", "--role", "relay")["ticket"]
    founder.admitted(bert.start("join", ticket, "--dir", bert.home / "peer", "--json"), "relay", "ticket")


def test_by_a_key_that_is_allowed(anna: Callable[..., Founder], bert: Machine) -> None:
    founder = anna()
    key = bert.home / "key"
    made = bert.gossip("key", "new", "--out", key, "--json").document
    card = founder.says("members", "allow", made["key"], "--role", "auditor")["card"]
    words = ("join", card, "--key", key, "--dir", bert.home / "peer", "--json")
    founder.admitted(bert.start(*words), "auditor", "allowed")


def test_by_the_name_of_an_open_swarm(anna: Callable[..., Founder], bert: Machine) -> None:
    founder = anna("--open")
    founder.admitted(bert.start("join", "--open", NAME, "--dir", bert.home / "peer", "--json"), "trainer", "open")
