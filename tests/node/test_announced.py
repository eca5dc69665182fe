"""An announcement says that somebody holds something else, in one spelling and few bytes."""

from __future__ import annotations

import pytest

from gossip.node.announced import MAX_BYTES, announcement, digest_of, read
from ledger.errors import RemoteError

HEADS = {"aa" * 32: 31, "bb" * 32: 4680}


def test_what_is_said_is_read_and_short() -> None:
    data = announcement(31, HEADS)
    assert data == b'{"digest":"%s","entries":4711,"size":31}' % digest_of(HEADS).encode()
    said = read(data)
    assert (said.size, said.entries, said.digest) == (31, 4711, digest_of(HEADS))
    assert len(announcement((1 << 31) - 1, {f"{n:064x}~{n}": (1 << 31) - 1 for n in range(1000)})) < MAX_BYTES


def test_who_holds_the_same_says_the_same_whatever_order_it_came_in() -> None:
    assert digest_of(dict(reversed(HEADS.items()))) == digest_of(HEADS)
    assert digest_of({**HEADS, "aa" * 32: 32}) != digest_of(HEADS)
    assert digest_of({"aa" * 32: 4680, "bb" * 32: 31}) != digest_of(HEADS)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"null", b"[]", b"\xff", b"x" * 100_000,
        b'{"digest":"00","entries":1,"size":1}',
        b'{"digest":"0123456789abcdeF","entries":1,"size":1}',
        b'{"digest":"0123456789abcdef","entries":-1,"size":1}',
        b'{"digest":"0123456789abcdef","entries":1,"size":2147483648}',
        b'{"digest":"0123456789abcdef","entries":9007199254740992,"size":1}',
        b'{"digest":"0123456789abcdef","entries":1.0,"size":1}',
        b'{"entries":1,"digest":"0123456789abcdef","size":1}',
        b'{"digest":"0123456789abcdef","entries":1,"more":1,"size":1}',
    ],
)  # fmt: skip
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        read(data)
