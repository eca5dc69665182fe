"""One account a peer: it survives the link, is charged before the work, and is smaller for guests."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gossip.events import Drop, Effect, LinkDown, Received, Send
from gossip.limits import DEFAULT, MIB, Limits
from gossip.peer.quota import MAX_ACCOUNTS, TRACE_FRAMES, WRONG_SIGNATURE, Quota, Quotas
from gossip.wire.codec import decode, encode
from gossip.wire.frames import (
    MAX_MESSAGE_BYTES,
    NO_HASH,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Piece,
    Tally,
    Trace,
    Want,
    WantBlob,
)
from ledger.errors import RemoteError
from tests.peer.bench import Bench, frames_to, only
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


LOGS = [sha256(b"%d" % number).hexdigest() for number in range(1000)]
A_KIB = Have(tuple((log, 1, bytes(8)) for log in sorted(LOGS)[:29]))
TWO_KIB = Tally(tuple((log, 1, 1) for log in sorted(log[:16] for log in LOGS)[:180]))


@pytest.mark.parametrize(
    ("frame", "price"),
    [
        pytest.param(FLOOD, 1, id="a Digest"),
        pytest.param(Have(A_KIB.rows[:1]), 1, id="a short Have"),
        pytest.param(A_KIB, 2, id="a Have of a KiB"),
        pytest.param(TWO_KIB, 3, id="a Tally of two KiB"),
        pytest.param(Trace(LOGS[0], 1, LOGS[1], 0), TRACE_FRAMES, id="a Trace"),
        pytest.param(Piece(LOGS[0], 1 << 20, 0, bytes(2000)), 1, id="a Piece, however long"),
    ],
)
def test_a_frame_costs_what_is_to_be_looked_at(frame: Frame, price: int) -> None:
    message = encode(frame)
    account = Quota(DEFAULT, 0.0)
    for _ in range(DEFAULT.frames_burst // price):
        account.arrived(message, 0.0)
    assert DEFAULT.frames_burst % price == next(iter(account)).left
    with pytest.raises(RemoteError, match="too many messages"):
        account.arrived(message, 0.0)


def test_what_we_asked_for_is_given_back_frames_bytes_and_signature_and_never_more_than_there_was() -> None:
    account = Quota(DEFAULT, 0.0)
    full = [bucket.left for bucket in account]
    message = encode(A_KIB)
    for _ in range(3):
        account.arrived(message, 0.0)
    account.signatures(5)
    used = [before - bucket.left for before, bucket in zip(full, account, strict=True)]
    assert used == [6, 3 * len(message), 5, 0]
    account.was_of_use(message, signatures=2)
    used = [before - bucket.left for before, bucket in zip(full, account, strict=True)]
    assert used == [4, 2 * len(message), 3, 0]
    for _ in range(9):
        account.was_of_use(message, signatures=9)
    assert [bucket.left for bucket in account] == full
    assert account.is_full(0.0)


def test_what_could_be_all_wrong_is_put_off_until_that_could_be_paid() -> None:
    account = Quota(DEFAULT, 0.0)
    most = DEFAULT.signatures_burst // (1 + WRONG_SIGNATURE)
    assert account.affords(most, 0.0)
    assert not account.affords(most + 1, 0.0)
    account.signatures(DEFAULT.signatures_burst)
    assert not account.affords(1, 0.0)
    wait = (1 + WRONG_SIGNATURE) / DEFAULT.signatures_per_s
    assert not account.affords(1, 0.99 * wait)
    assert account.affords(1, 1.01 * wait)
    assert account.affords(1, 0.0)  # a clock that goes back takes nothing


def test_more_than_there_ever_is_can_be_asked_for_when_nothing_was_used() -> None:
    """A low limit makes a peer slow to give; it does not keep the longest answer from everybody for ever."""
    account = Quota(Limits(served_bytes=MIB, served_bytes_per_s=MIB), 0.0)
    assert account.serve(5 * MIB)
    assert not account.serve(1)
    assert not account.serve(5 * MIB)
    account.arrived(b"x", 0.5)
    assert account.serve(MIB // 2)
    assert not account.serve(MIB // 2)


def test_who_was_known_as_a_member_keeps_that_account_when_it_comes_as_a_guest_once_more() -> None:
    quotas = Quotas(DEFAULT)
    member = quotas.of("peer", 0.0, is_guest=False)
    member.signatures(1500)
    quotas.of("key", 0.0, is_guest=True).signatures(100)
    assert quotas.admit("key", "peer", 0.0) is member
    assert len(quotas) == 1
    with pytest.raises(RemoteError):
        member.signatures(501)
    fresh = quotas.admit("unseen", "other", 0.0)  # a member that never was a guest here
    assert [bucket.left for bucket in fresh] == [bucket.left for bucket in Quota(DEFAULT, 0.0)]


def member_of(bench: Bench) -> Author:
    """A member with a link 2 and a full account."""
    member = guest(bench, 1, 1)
    bench.now += 100.0
    bench.link(2, member.key.public)
    return member


def left(bench: Bench, member: Author) -> list[float]:
    """Of frames, of bytes, of signatures, and of what it may be given."""
    return [bucket.at(bench.now) for bucket in bench.machine._quotas.of(member.log, bench.now, is_guest=False)]


def test_each_message_is_on_the_account_that_it_uses() -> None:
    """Signatures that are to be checked, and what is given: entries, the news of logs, blobs."""
    bench = Bench()
    member = member_of(bench)
    founder, policy = bench.book.replica.founder, bench.book.replica.genesis.policy
    rows = 36 + 8
    old = member.frame()  # known already: looked at, and of no use
    costs: list[tuple[Frame, int, int]] = [
        (old, 1, 0),
        (Entries(old.log, 0, old.note, (bytes(32),), old.entries), 1, 0),
        (Differs(founder, 1, old.note, (), old.entries[0]), 1, 0),
        (Want(founder, 0, 1, NO_HASH), 0, MAX_MESSAGE_BYTES),
        (Digest("00" * 32, ask=False), 0, 2 * rows),
        (WantBlob(policy, 0, 1024), 0, 1024),
    ]
    for number, (frame, signatures, served) in enumerate(costs, start=10):
        bench.now += 60.0
        bench.link(number, member.key.public)
        before = left(bench, member)
        bench.say(number, frame)
        after = left(bench, member)
        assert (before[2] - after[2], before[3] - after[3]) == (signatures, served), frame
        assert before[0] - after[0] == 1


def test_who_has_had_its_share_is_given_no_entries_and_no_news_until_later() -> None:
    bench = Bench(limits=Limits(served_bytes=MIB, served_bytes_per_s=64 * 1024))
    member_of(bench)
    founder = bench.book.replica.founder

    def answers(frame: Frame) -> list[Frame]:
        effects: list[Effect] = bench.say(2, frame)
        return [got for got in frames_to(effects, 2) if isinstance(got, Entries | Have)]

    want, digest = Want(founder, 0, 1, NO_HASH), Digest("00" * 32, ask=True)
    assert answers(want)
    while answers(want):
        pass
    for _ in range(512):  # what is left in small pieces
        bench.say(2, WantBlob(bench.book.replica.genesis.policy, 0, 128))
    assert answers(digest) == []
    bench.now += 10.0
    assert answers(want)
