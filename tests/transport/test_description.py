"""What peers tell each other about a connection: five fields, one spelling, nothing that reaches elsewhere."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport.description import Description, checked, reachable, read_sdp, write_sdp
from ledger.errors import LinkError, RemoteError

GOOD = Description("abcd", "p" * 22, b"\x07" * 32, (("127.0.0.1", 4000), ("192.168.1.7", 4001)))


def test_what_is_written_is_read_again() -> None:
    for kind in ("offer", "answer"):
        assert read_sdp(write_sdp(GOOD, kind=kind), GOOD.candidates) == GOOD


BAD: dict[str, tuple[object, ...]] = {
    "line break in the user": ("ab\r\na=x", "p" * 22, b"\x07" * 32, [("127.0.0.1", 1)]),
    "line break at the end of the password": ("abcd", "p" * 22 + "\n", b"\x07" * 32, [("127.0.0.1", 1)]),
    "short password": ("abcd", "p" * 21, b"\x07" * 32, [("127.0.0.1", 1)]),
    "short fingerprint": ("abcd", "p" * 22, b"\x07" * 31, [("127.0.0.1", 1)]),
    "no candidate": ("abcd", "p" * 22, b"\x07" * 32, []),
    "nine candidates": ("abcd", "p" * 22, b"\x07" * 32, [("127.0.0.1", n) for n in range(1, 10)]),
    "the same twice": ("abcd", "p" * 22, b"\x07" * 32, [("127.0.0.1", 1)] * 2),
    "a .local name": ("abcd", "p" * 22, b"\x07" * 32, [("2f6c1a.local", 1)]),
    "another spelling": ("abcd", "p" * 22, b"\x07" * 32, [("127.0.0.01", 1)]),
    "broadcast": ("abcd", "p" * 22, b"\x07" * 32, [("255.255.255.255", 1)]),
    "multicast": ("abcd", "p" * 22, b"\x07" * 32, [("224.0.0.251", 5353)]),
    "anywhere": ("abcd", "p" * 22, b"\x07" * 32, [("0.0.0.0", 1)]),
    "port zero": ("abcd", "p" * 22, b"\x07" * 32, [("127.0.0.1", 0)]),
    "port too high": ("abcd", "p" * 22, b"\x07" * 32, [("127.0.0.1", 65_536)]),
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
def test_anything_else_is_a_remote_error(fields: tuple[object, ...]) -> None:
    with pytest.raises(RemoteError):
        checked(*fields)  # type: ignore[arg-type]


@settings(max_examples=100)
@given(st.text(max_size=40), st.text(max_size=70), st.text(max_size=20), st.integers())
def test_no_text_of_a_peer_adds_a_line_to_an_sdp(ufrag: str, password: str, host: str, port: int) -> None:
    try:
        description = checked(ufrag, password, b"\x07" * 32, [(host, port)])
    except RemoteError:
        return
    assert len(write_sdp(description, kind="offer").splitlines()) == 18


def test_a_peer_on_loopback_sends_nothing_elsewhere_whatever_an_offer_names() -> None:
    assert reachable(GOOD, ("127.0.0.1",)).candidates == (("127.0.0.1", 4000),)


def test_another_machines_loopback_is_not_ours() -> None:
    assert reachable(GOOD, ("192.168.1.9",)).candidates == (("192.168.1.7", 4001),)


def test_nothing_in_common_is_said_so() -> None:
    only_lan = Description(*astuple(GOOD)[:3], (("192.168.1.7", 4001),))
    with pytest.raises(LinkError, match="loopback"):
        reachable(only_lan, ("127.0.0.1",))
