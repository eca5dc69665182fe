"""A member from its code to its end, typed as the README prints it; on loopback, without training."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest

from cli import exits
from cli.render import moment
from tests.e2e.machines import Machine, Running, status, until
from tests.e2e.test_two_machines import started, typed

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]


def said(running: Running, words: str) -> str:
    """Wait for a line with these words."""
    return until(lambda: next((line for line in list(running.out) if words in line), ""), words, running=[running])


def test_new_run_invite_join_list_revoke(machine: Callable[..., Machine]) -> None:
    ann, bob = machine("ann"), machine("bob")
    assert ann.gossip("new", "my-swarm", "--name", "ann").code == exits.OK
    first, here = started(ann, "run", "my-swarm")
    words = typed(ann.gossip("invite", "my-swarm").out)
    assert re.fullmatch("[0-9]+-[a-z]+-[a-z]+", words[1])
    second, there = started(bob, *words, "--name", "bob")

    said(first, "bob was let in as trainer")  # and both showed the same words before:
    (shown,) = {words_at_the_door(node) for node in (first, second)}
    assert shown in ann.gossip("status").out
    assert shown in bob.gossip("status").out

    seen = ann.gossip("members", "list", "--json").document["members"]
    assert [(one["name"], one["role"], one["state"], one["link"]) for one in seen] == [
        ("ann", "admin", "member", False), ("bob", "trainer", "member", True),
    ]  # fmt: skip
    done = ann.gossip("members", "revoke", seen[1]["checked"], "--yes")
    assert done.code == exits.OK, done.err
    assert "revoked  bob" in done.out
    said(second, "this peer was put out by the swarm's admins")
    until(lambda: not status(here)["links"], "ann's link with bob ends", running=[first])
    assert "Put out: the swarm's admins have revoked this peer" in bob.gossip("status").out
    assert status(there)["state"] == "revoked"
    for node in (first, second):
        assert node.end(signal.SIGTERM) == exits.OK
    assert "revoked from entry 1 on, by ann" in bob.gossip("members", "list").out  # without a node, from the store


def words_at_the_door(running: Running) -> str:
    (found,) = re.findall("[a-z]+(?:-[a-z]+){3}", said(running, " door"))
    return str(found)


def test_an_admin_without_a_node_gives_time_and_takes_away(machine: Callable[..., Machine]) -> None:
    ann, bob = machine("ann"), machine("bob")
    assert ann.gossip("new", "my-swarm", "--name", "ann").code == exits.OK
    key = bob.gossip("key", "new", "--out", "bob.key", "--json").document
    allowed = ann.gossip("members", "allow", key["checked"], "--role", "observer", "--ttl", "2h")
    assert allowed.code == exits.OK, allowed.err
    first, _ = started(ann, "run", "my-swarm")
    words = typed(allowed.out)
    second = bob.start(*words, "--key", "bob.key", "--name", "bob", "--json")
    own = second.event("ready")["peer"]
    second.event("admitted", peer=own)
    assert second.end(signal.SIGTERM) == first.end(signal.SIGTERM) == exits.OK
    refused = ann.gossip("members", "renew", "bob", "--until", "2999-01-31")
    assert (refused.code, "or --offline if nobody else is up" in refused.err) == (exits.USAGE, True)
    renewed = ann.gossip("members", "renew", "bob", "--until", "2999-01-31", "--offline")
    assert renewed.code == exits.OK, renewed.err
    assert "observer until 2999-01-31" in renewed.out
    gone = ann.gossip("members", "revoke", own, "--since", "0", "--yes", "--offline")
    assert gone.code == exits.OK, gone.err
    members = ann.gossip("members", "list", "--json").document["members"]
    (row,) = (one for one in members if one["peer"] == own)
    assert (row["state"], row["revoked_from"], row["role"]) == ("revoked", 0, "observer")
    first_end, then = (one["expires"] for one in row["let_in"])
    assert 0 < first_end < then
    assert moment(then) == "2999-01-31 00:00:00Z"
