"""One account a peer: it survives the link, is charged before the work, and is smaller for guests."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gossip.events import Drop, LinkDown, Received, Send
from gossip.limits import DEFAULT, MIB, Limits
from gossip.peer.quota import MAX_ACCOUNTS, WRONG_SIGNATURE, Quota, Quotas
from gossip.wire.codec import decode, encode
from gossip.wire.frames import Digest, Have, Lacks, Piece, WantBlob
from ledger.errors import RemoteError
from tests.peer.bench import Bench, only
from tests.peer.test_bad_member import Author, guest

FLOOD = Digest("00" * 32, ask=False)


def until_cut(bench: Bench, link: int, message: bytes) -> int:
    """How many such messages it takes until the link ends."""
    for sent in range(DEFAULT.frames_burst + 2):
        if only(bench.feed(Received(link, message)), Drop):
            return sent
    raise AssertionError("never")


def test_who_breaks_its_account_and_dials_again_finds_it_as_empty_as_it_was_left() -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    bench.now += 100.0
    bench.link(2, member.key.public)
    half = DEFAULT.frames_burst // 2
    for _ in range(half):
        assert only(bench.say(2, FLOOD), Drop) == []
    for number in range(3, 20):  # the link ends by itself, and comes back at once, under another number
        bench.feed(LinkDown(number - 1, "gone"))
        bench.link(number, member.key.public)
    assert until_cut(bench, 19, encode(FLOOD)) == pytest.approx(DEFAULT.frames_burst - half, abs=5)
    other = guest(bench, 50, 2)  # nobody else pays for it
    bench.link(51, other.key.public)
    assert only(bench.say(51, FLOOD), Drop) == []


def test_bytes_that_nobody_asked_for_end_the_link_within_a_message_of_the_window() -> None:
    bench = Bench(limits=Limits(unasked_bytes=MIB, unasked_bytes_per_s=MIB))
    member = guest(bench, 1, 1)
    bench.now += 100.0
    bench.link(2, member.key.public)
    message = encode(Piece("ab" * 32, 1 << 20, 0, bytes(32 * 1024)))
    sent = until_cut(bench, 2, message) * len(message)
    assert MIB - 64 * 1024 < sent <= MIB


def test_a_guest_has_a_part_of_what_a_member_has() -> None:
    bench = Bench()
    bench.link(1, b"\x55" * 32, "trainer")
    expected = DEFAULT.frames_burst * DEFAULT.guest_percent // 100
    assert until_cut(bench, 1, encode(FLOOD)) == pytest.approx(expected, abs=5)


def test_what_a_guest_has_used_a_member_has_used() -> None:
    quotas = Quotas(DEFAULT)
    account = quotas.of("key", 0.0, is_guest=True)
    for _ in range(400):
        account.arrived(encode(FLOOD), 0.0)
    member = quotas.admit("key", "peer", 0.0)
    for _ in range(DEFAULT.frames_burst - 400):
        member.arrived(encode(FLOOD), 0.0)
    with pytest.raises(RemoteError, match="too many messages"):
        member.arrived(encode(FLOOD), 0.0)
    assert quotas.of("peer", 0.0, is_guest=False) is member
    assert len(quotas) == 1


def test_signatures_are_counted_before_they_are_checked_and_wrong_ones_dearly() -> None:
    account = Quota(DEFAULT, 0.0)
    for _ in range(DEFAULT.signatures_burst // (1 + WRONG_SIGNATURE)):
        account.signatures(1)  # here it would be checked
        account.signatures(WRONG_SIGNATURE)
    with pytest.raises(RemoteError, match="too many signatures"):
        account.signatures(WRONG_SIGNATURE)


def test_who_asks_for_more_than_its_share_is_told_that_it_is_not_here_and_may_ask_again() -> None:
    """No link ends for it: an honest peer that catches up on a fast line asks as fast as it is answered."""
    bench = Bench(limits=Limits(served_bytes=MIB, served_bytes_per_s=MIB))
    member = guest(bench, 1, 1)
    bench.now += 100.0
    bench.link(2, member.key.public)
    policy = bench.book.replica.genesis.policy

    def given(count: int) -> int:
        answers = [bench.say(2, WantBlob(policy, 0, 128 * 1024)) for _ in range(count)]
        sent = [decode(send.message) for answer in answers for send in only(answer, Send)]
        assert not [drop for answer in answers for drop in only(answer, Drop)]
        assert len([frame for frame in sent if isinstance(frame, Lacks)]) + len(
            [frame for frame in sent if isinstance(frame, Piece)]
        ) == count  # fmt: skip
        return len([frame for frame in sent if isinstance(frame, Piece)])

    assert given(20) == 8
    bench.now += 1.0
    assert given(20) == 8


def test_accounts_are_bounded_and_those_in_debt_stay() -> None:
    quotas = Quotas(DEFAULT)
    debtor = quotas.of("debtor", 0.0, is_guest=False)
    for _ in range(DEFAULT.frames_burst):
        debtor.arrived(encode(FLOOD), 0.0)
    for number in range(3 * MAX_ACCOUNTS):
        quotas.of(str(number), 0.0, is_guest=True)
    assert len(quotas) <= MAX_ACCOUNTS
    assert quotas.of("debtor", 0.0, is_guest=False) is debtor


def test_blobs_that_one_peers_entries_name_ahead_of_their_turn_take_only_so_much() -> None:
    """A member whose next entries wait for a past that never comes names as many deltas as it likes."""
    bench = Bench()
    blobs = bench.machine._blobs
    limit = DEFAULT.blobs_waiting_peer_bytes
    for number in range(64):
        blobs.want(sha256(b"%d" % number).hexdigest(), limit=MIB, total=MIB, log="aa" * 32, seq=number, urgent=False)
    assert len(blobs) == limit // MIB
    blobs.want("bb" * 32, limit=MIB, total=MIB, log="cc" * 32, seq=0, urgent=False)
    assert len(blobs) == limit // MIB + 1  # of others as before
    blobs.want("dd" * 32, limit=MIB, total=MIB, log="aa" * 32, seq=99, urgent=True)
    assert len(blobs) == limit // MIB + 2  # and the very next entry always


def test_no_more_logs_are_spoken_of_than_a_swarm_has() -> None:
    bench = Bench(limits=Limits(claims=64))
    member = guest(bench, 1, 1)
    bench.link(2, member.key.public)
    logs = sorted(Author(member.swarm, 100 + n).log for n in range(70))
    assert only(bench.say(2, Have(tuple((log, 1, bytes(8)) for log in logs[:60]))), Drop) == []
    assert only(bench.say(2, Have(tuple((log, 1, bytes(8)) for log in logs[:60]))), Drop) == []
    assert only(bench.say(2, Have(tuple((log, 1, bytes(8)) for log in logs[10:]))), Drop)
