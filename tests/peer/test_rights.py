"""Who may send what: every cell of the table, and that a link ends by its first byte."""

from __future__ import annotations

import pytest

from gossip.events import Drop, LinkUp, Received
from gossip.peer import rights
from gossip.peer.rights import RIGHTS, TAGS, Right, right
from gossip.wire.codec import encode
from gossip.wire.frames import (
    Bundled,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Latest,
    Lead,
    Lease,
    Parts,
    Piece,
    Rendezvous,
    Rows,
    Tally,
    Trace,
    Vouch,
    Want,
    WantBlob,
    WantParts,
)
from tests.peer.bench import Bench, frames_to, only
from tests.peer.test_bad_member import guest

MEMBERS = ("observer", "relay", "trainer", "auditor", "admin")
A, B = "aa" * 32, "bb" * 32
ROWS = ((A, 1, bytes(32)),)
FRAMES: dict[str, Frame] = {
    "Digest": Digest(A, ask=True), "Have": Have(((A, 1, bytes(8)),)), "Want": Want(A, 1, 2, B),
    "Entries": Entries(A, 0, b"note\n", (), (b"entry",)), "WantBlob": WantBlob(A, 0, 9),
    "Piece": Piece(A, 3, 0, b"abc"), "Lacks": Lacks(A), "Vouch": Vouch(A, 1, bytes(32), bytes(64), ()),
    "Differs": Differs(A, 3, b"note\n", (), b"entry"),
    "Trace": Trace(A, 5, B, 0), "Rows": Rows(A, 5, B, 0, 1, ROWS), "Tally": Tally((("ab" * 8, 1, 1),)),
    "Latest": Latest(A, b"note\n", (), b"entry"), "WantParts": WantParts(A, 0), "Parts": Parts(A, 0, (bytes(32),)),
    "Lead": Lead(20, bundles=True), "Bundled": Bundled(A, 99, 3, (("ab" * 8, 4, 9),)),
    "Lease": Lease(A, 7, (A, B), ((3, B, 99),)),
    "Rendezvous": Rendezvous(1, bytes(32), A, ((A, 3), (B, 1)), bytes(64)),
}  # fmt: skip


def cells() -> dict[tuple[str, str], str]:
    """The table as people read it, in the docstring."""
    lines = (rights.__doc__ or "").split("\n")
    (head,) = [number for number, line in enumerate(lines) if "Digest Have Want" in line]
    kinds, found = lines[head].split(), {}
    for line in lines[head + 1 : head + 6]:
        name, *marks = line.split()[: 1 + len(kinds)]
        assert len(marks) == len(kinds)
        for standing in MEMBERS if name == "members" else (name,):
            found.update({(standing, kind): mark for kind, mark in zip(kinds, marks, strict=True)})
    return found


def test_the_table_has_every_standing_and_every_frame_there_is() -> None:
    assert {standing for standing, _ in cells()} == set(RIGHTS) == set(rights.Standing.__args__)  # type: ignore[attr-defined]
    assert {kind for _, kind in cells()} == set(TAGS) == {kind.__name__ for kind in Frame.__args__}
    assert len(cells()) == 9 * 19
    for kind, frame in FRAMES.items():
        assert encode(frame)[:1] in TAGS[kind]


@pytest.mark.parametrize(("standing", "kind"), cells())
def test_every_cell(standing: str, kind: str) -> None:
    for tag in TAGS[kind]:
        assert right(standing, tag + b"rest").value == cells()[standing, kind]


def test_what_is_not_listed_is_denied() -> None:
    known = {tag for tags in TAGS.values() for tag in tags}
    for tag in range(256):
        if bytes([tag]) not in known:
            assert all(right(standing, bytes([tag])) is Right.DENIED for standing in RIGHTS)
    assert right("emperor", encode(FRAMES["Digest"])) is Right.DENIED
    assert right("admin", b"") is Right.DENIED


@pytest.mark.parametrize("kind", FRAMES)
def test_a_guest_is_heard_as_far_as_the_table_says(kind: str) -> None:
    """By its first byte alone: what follows it would be malformed, and is not looked at where it has no right."""
    bench = Bench()
    bench.link(1, b"\x55" * 32, "trainer")
    expected = right("guest", TAGS[kind][0])
    drops = only(bench.feed(Received(1, TAGS[kind][0] + b"\xff" * 9)), Drop)
    if expected is Right.PASSED_OVER:
        assert drops == []
    else:
        (drop,) = drops
        assert ("no right" in drop.reason) == (expected is Right.DENIED)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_member_loses_no_link_for_the_kind_of_what_it_sends(kind: str) -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    bench.now += 1.0
    bench.link(2, member.key.public)
    answer = only(bench.feed(Received(2, encode(FRAMES[kind]))), Drop)
    assert not [drop for drop in answer if "no right" in drop.reason]


def test_whom_we_dialled_and_do_not_know_is_heard_but_for_cosigning() -> None:
    bench = Bench(known=(b"\x66" * 32,))
    bench.feed(LinkUp(1, b"\x66" * 32, dialled=True))
    assert only(bench.feed(Received(1, encode(FRAMES["Tally"]))), Drop) == []
    assert only(bench.feed(Received(1, encode(FRAMES["Lacks"]))), Drop) == []
    assert [drop.link for drop in only(bench.feed(Received(1, b"\xee")), Drop)] == [1]


def test_a_guest_is_asked_for_nothing_of_others() -> None:
    """It may say that it holds logs of members, and blobs that they name: it is never the one to ask."""
    bench = Bench()
    member = guest(bench, 1, 1)
    bench.link(2, b"\x55" * 32, "trainer")
    sent = bench.say(2, Have(((member.log, 9, bytes(8)),)))
    assert not [frame for frame in frames_to(sent, 2) if isinstance(frame, Want | WantBlob)]
    bench.link(3, member.key.public)  # the positive control: of a member the same makes a question
    sent = bench.say(3, Have(((member.log, 9, bytes(8)),)))
    assert [frame for frame in frames_to(sent, 3) if isinstance(frame, Want)]
