"""Two machines on one network, as the README tells it: two network namespaces and a cable between them.

The commands are those of the README, word for word, except for the names of the swarm's files.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import exits
from gossip.transport.tickets import Ticket
from tests.e2e.machines import Machine, Running, cable, networks, own_size, requests, settle, status, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]


def started(machine: Machine, *words: object) -> tuple[Running, Path]:
    """Type a command that runs a node, and wait until it answers its owner: the command, the node's directory."""
    running = machine.start(*words)

    def found() -> Path | None:
        places = [place.parent for place in machine.swarms.glob("*/peer.db")]
        return places[0] if places and status(places[0]).get("address") else None

    place = until(found, "the node answers", running=[running])
    assert place is not None
    return running, place


def typed(invitation: str) -> list[str]:
    """What `gossip invite` says to type on the other machine."""
    line = next(line for line in invitation.splitlines() if "gossip join " in line)
    return line.split()[1:3]


def test_new_run_invite_join_interrupt_and_run_again(machine: Callable[..., Machine]) -> None:
    with networks(2) as (one, two):
        cable(one, two, names=("veth0", "veth1"), addresses=("10.77.1.1/24", "10.77.1.2/24"))
        ann, bob = machine("ann", one.enter), machine("bob", two.enter)
        requests(ann.home / "mine.jsonl", 0, 600)
        requests(bob.home / "theirs.jsonl", 8000, 400)

        assert ann.gossip("new", "my-swarm", "--name", "ann").code == exits.OK
        first, here = started(ann, "run", "--data", "mine.jsonl", "--interface", "veth0")
        invitation = ann.gossip("invite")
        assert "10.77.1.1" in invitation.out
        words = typed(invitation.out)
        second, there = started(bob, *words, "--data", "theirs.jsonl", "--interface", "veth1")

        until(lambda: status(here).get("merged"), "ann folds what bob made", running=[first, second])
        until(lambda: status(there).get("merged"), "bob folds what ann made", running=[second, first])
        until(lambda: status(there)["alone"] and status(there)["swarm_scores"], "scores", running=[second, first])
        before = status(there)
        assert before["state"] == "training"
        assert before["address"].startswith("10.77.1.2:")
        assert [link["name"] for link in before["links"]] == ["ann"]
        size = own_size(there)

        assert second.end(signal.SIGINT) == exits.INTERRUPTED
        assert second.out[-1].startswith("what the swarm gave you, on your held-out rows: alone ")
        until(lambda: not status(here)["links"], "ann notices", running=[first])
        third, again = started(bob, "run")  # and nothing more: data and interface are as before
        assert again == there
        until(lambda: own_size(there) > size and status(there)["merged"], "bob goes on", running=[third, first])
        now = status(there)
        assert now["id"] == before["id"]
        assert now["updates"] >= before["updates"]
        assert now["address"].startswith("10.77.1.2:")

        last = settle((here, first), (there, third))
        assert last[0]["model_hash"] == last[1]["model_hash"] != ""
        seen = bob.gossip("status", "--json").document
        assert (seen["running"], seen["model_hash"]) == (True, last[0]["model_hash"])
        for person, running in ((ann, first), (bob, third)):
            assert person.gossip("stop").code == exits.OK
            assert running.end() == exits.OK
        made = [person.gossip("ledger", "bundle", "--json").document for person in (ann, bob)]
        assert [bundle["model_hash"] for bundle in made] == [last[0]["model_hash"]] * 2


def test_on_one_network_mdns_is_enough(machine: Callable[..., Machine]) -> None:
    """An invite of a node that does not run carries no address, and none is typed."""
    with networks(2) as (one, two):
        cable(one, two, names=("veth0", "veth1"), addresses=("10.79.1.1/24", "10.79.1.2/24"))
        ann, bob = machine("ann", one.enter), machine("bob", two.enter)
        assert ann.gossip("new", "my-swarm", "--name", "ann").code == exits.OK
        words = typed(ann.gossip("invite").out)
        assert Ticket.parse(words[1]).addresses == ()
        second, there = started(bob, *words, "--interface", "veth1")  # waits for ann, who is not there yet
        first, here = started(ann, "run", "--interface", "veth0")
        agree((here, first), (there, second))


@pytest.mark.parametrize("how", ["code", "ticket", "address"])
def test_where_mdns_does_not_reach_an_address_does(machine: Callable[..., Machine], how: str) -> None:
    """A router between the two: multicast ends there. The ticket of a running node carries its address; what to add to
    a code is printed beside it."""
    with networks(3) as (one, router, two):
        cable(one, router, names=("veth0", "left"), addresses=("10.78.1.1/24", "10.78.1.254/24"))
        cable(two, router, names=("veth1", "right"), addresses=("10.78.2.1/24", "10.78.2.254/24"))
        router.write("/proc/sys/net/ipv4/ip_forward", "1")
        one.ip("route", "add", "default", "via", "10.78.1.254")
        two.ip("route", "add", "default", "via", "10.78.2.254")
        ann, bob = machine("ann", one.enter), machine("bob", two.enter)
        assert ann.gossip("new", "my-swarm", "--name", "ann").code == exits.OK
        if how == "address":  # an invite of a node that does not run carries none
            words = typed(ann.gossip("invite").out)
        first, here = started(ann, "run", "--interface", "veth0")
        if how == "ticket":
            words = typed(ann.gossip("invite", "--ticket").out)
        elif how == "code":
            told = ann.gossip("invite").out
            (where,) = re.findall("add: (--address [0-9.:]+)", told)
            words = [*typed(told), *where.split()]
        else:
            words += ["--address", status(here)["address"]]
        second, there = started(bob, *words, "--interface", "10.78.2.1")
        agree((here, first), (there, second))


def agree(one: tuple[Path, Running], two: tuple[Path, Running]) -> None:
    """Two nodes that do not train: the joiner becomes a member, both hold the same, and stop."""
    until(lambda: status(one[0])["members"] == 2, "both are members", running=[one[1], two[1]])
    last = settle(one, two)
    assert last[0]["heads"] == last[1]["heads"]
    assert last[0]["model_hash"] == last[1]["model_hash"] != ""
    assert one[1].end(signal.SIGTERM) == two[1].end(signal.SIGTERM) == exits.OK
