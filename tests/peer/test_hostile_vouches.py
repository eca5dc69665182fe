"""Proposals and cosignatures from a hostile member: they cost it its link, or nothing happens."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest

from gossip.events import (
    Drop,
    KeepWitnessed,
    LinkUp,
    Send,
)
from gossip.limits import DEFAULT
from gossip.peer.quota import WRONG_SIGNATURE
from gossip.wire.frames import MAX_SIZE, Tally, Vouch, Voucher
from ledger.keys import PrivateKey
from tests.peer.bench import only
from tests.peer.stand import Stand, vouches


@pytest.fixture(scope="module")
def stand() -> Stand:
    return Stand()


def test_wrong_signatures_end_the_link_before_they_cost_much(stand: Stand) -> None:
    link = stand.connect(stand.author)
    frames = [stand.propose(stand.sizes[-1], key=PrivateKey.from_seed(b"y" * 32)) for _ in range(1)]
    sent, began = 0, time.perf_counter()
    while not only(stand.say(frames[0], link), Drop):
        sent += 1
        assert sent <= DEFAULT.signatures_burst // WRONG_SIGNATURE
    assert sent > 50  # a few are no crime
    assert time.perf_counter() - began < 5


def test_wrong_cosignatures_count_too_and_are_never_kept(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    other = stand.witnesses[1]
    sent, answer = 0, stand.say(proposal, link)
    while not only(answer, Drop):
        bad = Voucher(other, sent, sha256(b"%d" % sent).digest() * 2)
        answer = stand.say(Vouch(proposal.log, proposal.size, proposal.root, proposal.signature, (bad,)), link)
        assert all(v.witness != other for frame in vouches(answer) for v in frame.vouchers)
        sent += 1
        assert sent <= DEFAULT.signatures_burst // WRONG_SIGNATURE + 1


def test_cosignatures_by_others_than_the_witnesses_are_left_out(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    outsider = next(p for p in stand.swarm.peers if p.self_id not in (*stand.witnesses, stand.author.self_id))
    vouched = Vouch(
        proposal.log, proposal.size, proposal.root, proposal.signature, (stand.voucher(proposal, outsider),)
    )
    answer = stand.say(vouched, link)
    assert only(answer, Drop) == []
    held = stand.machine._witnessing._desk.find(proposal.log, proposal.size)
    assert held is not None
    assert outsider.self_id not in held.vouchers


def test_absurd_sizes_and_unknown_logs_are_ignored(stand: Stand) -> None:
    link = stand.connect(stand.author)
    unknown = sha256(b"nobody").hexdigest()
    before = stand.machine.status()
    for number in range(200):
        far = stand.propose(MAX_SIZE - number, b"r" * 32)
        for frame in (far, Vouch(unknown, 1 + number, b"r" * 32, b"s" * 64, ())):
            answer = stand.say(frame, link)
            assert only(answer, Drop) == []
            assert only(answer, KeepWitnessed) == []
    assert len(stand.machine._witnessing._ahead) <= 1  # one place per log, whatever it is sent
    assert stand.machine.status().heads == before.heads


def test_thousands_of_vouches_cost_the_sender_its_link(stand: Stand) -> None:
    link = stand.connect(stand.author)
    proposal = stand.propose(stand.sizes[-1])
    sent = 0
    while not only(stand.say(proposal, link), Drop):
        sent += 1
        assert sent <= DEFAULT.frames_burst
    assert sent >= DEFAULT.frames_burst - 100  # nothing but the frames counted: what is known is not checked again


def test_long_tallies_of_nothing_cost_the_sender_its_link(stand: Stand) -> None:
    link = stand.connect(stand.author)
    rows = tuple(sorted((sha256(b"%d" % n).hexdigest()[:16], 5, 3) for n in range(3000)))
    sent = 0
    while not only(answer := stand.say(Tally(rows), link), Drop):
        assert not only(answer, Send)
        sent += 1
        assert sent < DEFAULT.frames_burst // 30


def test_a_guest_is_not_listened_to() -> None:
    stand = Stand()
    stand.feed(LinkUp(7, b"\x55" * 32, dialled=False, role="trainer"))
    assert stand.say(stand.propose(stand.sizes[-1]), 7) == ()
