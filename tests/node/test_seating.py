"""The commands that renew a membership and take one away, with and without a running node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gossip import events as ev
from gossip.node import alone
from gossip.node.seating import ask_for_seat, find_peer, wanted_renewal, wanted_revocation
from gossip.node.written import Written
from gossip.peer import Book
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from ledger.entry import Member, Revoke
from ledger.errors import LocalError
from tests.peer.bench import Bench, only
from tests.peer.test_bad_member import Author, guest


class Desk:
    """A founder's machine behind the command, as in a node, and a member."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.bench.feed_data()
        self.member: Author = guest(self.bench, 1, 1)
        self.own = self.bench.shell.self_id
        self.written = Written(self.post)

    @property
    def book(self) -> Book:
        return self.bench.book

    async def post(self, event: ev.Event) -> None:
        for effect in self.bench.feed(event):
            if isinstance(effect, ev.Append):
                self.written.saw(effect)
                for after in self.bench.feed(ev.Stored(effect.seq)):
                    if isinstance(after, ev.KeepCheckpoint) and after.log == self.own:
                        self.written.saw(after)

    async def ask(self, command: str, **request: Any) -> dict[str, Any]:
        return await asyncio.wait_for(
            ask_for_seat(self.written, self.book.replica, self.own, command, request), 5
        )  # fmt: skip


async def test_a_revocation_is_written_and_says_how_many_admins_are_missing() -> None:
    desk = Desk()
    answer = await desk.ask("revoke", peer=desk.member.key.public.hex())
    entry = desk.book.replica.entry(desk.own, answer["seq"])
    assert isinstance(entry, Revoke)
    assert answer == {"seq": entry.seq, "peer": desk.member.log, "since": 1, "missing": 0}
    assert desk.book.replica.is_revoked(desk.member.log)
    with pytest.raises(LocalError) as caught:
        await desk.ask("revoke", peer=desk.member.log, since=1)
    assert "said so already" in str(caught.value.why)
    with pytest.raises(LocalError) as caught:
        await desk.ask("renew", peer=desk.member.log, expires=0)
    assert "stays out" in str(caught.value.why)


async def test_a_better_role_is_written_and_a_worse_one_is_not() -> None:
    desk = Desk()
    observer = Author(desk.member.swarm, 2)
    desk.bench.link(9, observer.key.public, "observer")
    desk.bench.say(9, observer.frame())
    desk.bench.store()
    answer = await desk.ask("renew", peer=observer.log, role="trainer")
    assert isinstance(desk.book.replica.entry(desk.own, answer["seq"]), Member)
    assert (answer["role"], answer["expires"]) == ("trainer", 0)
    assert desk.book.replica.role_of(observer.log) == "trainer"
    with pytest.raises(LocalError) as caught:
        await desk.ask("renew", peer=observer.log, role="observer")
    assert "as good" in str(caught.value.why)
    assert desk.book.replica.role_of(observer.log) == "trainer"


async def test_nonsense_is_told_and_nothing_is_written() -> None:
    desk = Desk()
    replica, size = desk.book.replica, desk.book.replica.size(desk.own)
    for request in (
        {}, {"peer": 3}, {"peer": "ab" * 32}, {"peer": desk.own}, {"peer": desk.member.log, "since": -1},
        {"peer": desk.member.log, "since": "1"}, {"peer": desk.member.log, "since": True},
    ):  # fmt: skip
        with pytest.raises(LocalError):
            wanted_revocation(replica, desk.own, request)
    for request in ({"peer": desk.member.log, "role": "king"}, {"peer": desk.member.log, "expires": -5}):
        with pytest.raises(LocalError):
            wanted_renewal(replica, desk.own, request)
    for command in (wanted_revocation, wanted_renewal):  # not by who is no admin
        with pytest.raises(LocalError, match="nothing was written"):
            command(replica, desk.member.log, {"peer": desk.own, "since": 0})
    assert replica.size(desk.own) == size
    assert find_peer(replica, desk.member.log) == desk.member.log
    assert only(desk.bench.effects, ev.Append)


def test_without_a_node_nobody_is_put_out_whom_nobody_knows(tmp_path: Path) -> None:
    """(That somebody is put out so, tests/e2e/test_members.py shows.)"""
    place = tmp_path / "anna"
    create_swarm(place, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
    for write in (alone.revoke, alone.renew):
        with pytest.raises(LocalError, match="nobody here goes by"):
            write(place, None, {"peer": "ab" * 32})
