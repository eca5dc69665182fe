"""A peer that has been here before starts again: to whom it listens first, and who cannot keep it from writing."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from gossip.config import PeerConfig
from gossip.events import Append, DataReady, Drop, Effect, Event, Found, LinkUp, Received, Started, Stored, Timer, Train
from gossip.peer import Peer
from gossip.sim.clock import EPOCH
from gossip.sim.station import commitment
from gossip.wire.codec import encode
from gossip.wire.frames import Differs, Digest, Entries, Frame, Have, Want
from ledger.canonical import encode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Member
from ledger.merkle import Tree, leaf_hash
from tests.peer.bench import frames_to, notes, only, simulated

MEMBER = 1  # besides the founder


class Again:
    """The founder of a swarm, started again from its disk; its fellows' links are fed by hand."""

    def __init__(self, *, mark: tuple[int, str] | None = None, peers: int = 2, restored: bool = False) -> None:
        self.swarm = simulated(peers=peers, seconds=8, seed=7)
        self.shell = self.swarm.peers[0]
        self.now = EPOCH + 1000.0
        self.book = self.swarm.book_of(self.shell)
        self.own = self.shell.self_id
        self.size = self.book.replica.size(self.own)
        self.machine = Peer(
            PeerConfig(restored=restored), key=self.shell._key, self_id=self.own, book=self.book,
            shelf=self.shell.memory, luck=Random(1), mark=mark or self.shell.memory.mark,
        )  # fmt: skip
        self.effects = self.feed(Started())
        self.effects += self.feed(DataReady(commitment(9), 1.0))

    def feed(self, event: Event) -> list[Effect]:
        return list(self.machine.handle(event, self.now))

    def link(self, member: int = MEMBER) -> list[Effect]:
        return self.feed(LinkUp(member, self.swarm.peers[member].public, dialled=False))

    def say(self, frame: Frame, member: int = MEMBER) -> list[Effect]:
        return self.feed(Received(member, encode(frame)))

    def wait(self, seconds: float) -> list[Effect]:
        found: list[Effect] = []
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            for name in ("home", "asks", "digest"):
                found += self.feed(Timer(name))
        return found


def test_it_writes_two_seconds_after_everybody_it_is_linked_with_said_what_they_hold() -> None:
    again = Again()
    assert only(again.effects, Append) == []
    again.link()
    assert only(again.wait(3.0), Append) == []
    last = again.book.replica.data(again.own, again.size - 1)
    answer = again.say(Have(((again.own, again.size, sha256(last).digest()[:8]),)))
    assert only(answer, Append) == []
    assert only(again.wait(1.5), Append) == []
    (append, *_) = only(again.wait(1.0), Append)
    assert append.seq == again.size
    assert only(again.feed(Stored(append.seq)), Train)


def test_an_equal_digest_says_it_too() -> None:
    again = Again()
    again.link()
    again.say(Digest(again.machine._rumour.vector(), ask=False))
    assert only(again.wait(2.5), Append)


def test_who_claims_that_we_lost_entries_and_never_shows_them_delays_us_for_three_questions() -> None:
    again = Again()
    again.link()
    answer = again.say(Have(((again.own, again.size + 40, bytes(8)),)))
    assert [(want.log, want.start) for want in frames_to(answer, 1) if isinstance(want, Want)] == [
        (again.own, again.size)
    ]
    assert only(again.wait(2.5), Append) == []
    assert only(again.wait(10.0), Append)
    assert notes(again.effects, "trouble") == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["at the place asked for", "at another place"])
def test_who_answers_with_our_own_entry_delays_us_no_longer_than_who_is_silent(elsewhere: bool) -> None:
    """It claims more of our log, and shows an entry of ours, under our own signature, as one that differs."""
    again = Again()
    again.link()
    start = 1 if elsewhere else again.size
    tape = again.machine._tapes[again.own]
    proof = tuple(tape.cover.inclusion(tape.tree, start - 1))
    lie = Differs(again.own, start, tape.cover.note, proof, again.book.replica.data(again.own, start - 1))
    effects, until = again.say(Have(((again.own, again.size + 40, bytes(8)),))), again.now + 12.0
    seen: list[Effect] = []
    while again.now < until:
        seen += effects
        wants = [f for f in frames_to(effects, 1) if isinstance(f, Want) and f.log == again.own]
        effects = again.wait(0.25)
        if wants:
            effects += again.say(lie)
    assert only(seen, Append)
    assert len([f for f in frames_to(seen, 1) if isinstance(f, Want) and f.log == again.own]) <= 4
    assert bool(only(seen, Drop)) is not elsewhere


def test_a_store_made_from_a_backup_writes_nothing_alone_though_its_mark_agrees() -> None:
    """The mark was made from the backup, too: it agrees with the store whatever was signed since."""
    again, usual = Again(restored=True), Again()
    assert only(usual.wait(12.0), Append)
    alone = again.effects + again.wait(60.0)
    assert only(alone, Append) == []
    assert "a backup older than the last changes of keys is heard by nobody" in str(notes(alone, "trouble")[-1])
    again.link()
    again.say(Digest(again.machine._rumour.vector(), ask=False))
    assert only(again.wait(2.5), Append)


def test_one_of_two_links_that_says_nothing_is_waited_for_ten_seconds() -> None:
    again = Again(peers=3)
    for member in (MEMBER, MEMBER + 1):
        again.link(member)
    again.say(Digest(again.machine._rumour.vector(), ask=False))
    assert only(again.wait(9.5), Append) == []
    assert only(again.wait(1.0), Append)


def test_a_mark_of_another_history_than_the_store_has_ends_it() -> None:
    again = Again(mark=(3, "ab" * 32))
    (said,) = notes(again.effects, "trouble")
    assert "two histories" in str(said["text"])
    again.link()
    again.say(Digest(again.machine._rumour.vector(), ask=False))
    assert only(again.wait(30.0), Append) == []
    assert again.machine.status().state in ("observing", "resting")


def test_while_it_looks_for_its_own_entries_it_dials_whoever_says_to_be_of_its_swarm() -> None:
    again = Again()
    assert again.machine.is_seeking
    assert [e for e in again.feed(Found("h", 5, b"\xff" * 32)) if type(e).__name__ == "Dial"]
    again.wait(11.0)
    assert not again.machine.is_seeking


def test_an_own_next_entry_that_breaks_a_rule_silences_it_and_ends_nothing_else() -> None:
    """A thief of the key signed it while we were away: our log ends there for everybody, so nothing follows it."""
    again = Again()
    replica = again.book.replica
    entries = [replica.data(again.own, seq) for seq in range(again.size)]
    last = replica.entry(again.own, again.size - 1)
    nobody = Member(
        v=1, swarm=again.swarm.swarm_id, seq=again.size, prev=entry_hash(entries[-1]), time=last.time, meets=[],
        seen=[], heads=last.heads, peer="11" * 32, role="trainer", expires=0,
    )  # fmt: skip
    bad = encode_entry(nobody)
    tree = Tree(leaf_hash(data) for data in [*entries, bad])
    name = origin(again.swarm.swarm_id, again.own)
    note = sign(Checkpoint(name, tree.size, tree.root()), again.shell._key)
    again.link()
    again.say(Have(((again.own, again.size + 1, bytes.fromhex(entry_hash(bad))[:8]),)))
    effects = again.say(Entries(again.own, again.size, note, (), (bad,)))
    effects += again.wait(60.0)
    assert only(effects, Append) == []
    assert any("writes nothing" in note["text"] for note in notes(effects, "trouble"))
