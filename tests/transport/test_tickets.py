"""Invites: what a person pastes is read exactly, or refused with advice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport.tickets import Ticket, is_proof, kept, prove, split_address
from ledger.errors import LocalError
from ledger.keys import PrivateKey

ANNA = PrivateKey.from_seed(b"k" * 32)
TICKET = Ticket(
    swarm="5a" * 32,
    founder="f0" * 32,
    key=ANNA.public,
    addresses=("192.168.1.7:4100", "laptop.local:4100"),
    secret=b"s" * 16,
    role="trainer",
    uses=3,
    expires=1_800_000_000,
).signed(ANNA)


def test_an_invite_survives_being_pasted() -> None:
    assert Ticket.parse(f"  {TICKET.text}\n") == TICKET
    assert TICKET.text.startswith("gossip2-")
    assert TICKET.endpoints() == (("192.168.1.7", 4100), ("laptop.local", 4100))


@settings(max_examples=50)
@given(
    st.binary(min_size=32, max_size=32).map(PrivateKey.from_seed),
    st.one_of(st.binary(min_size=16, max_size=16), st.just(b"")),
    st.lists(st.integers(1, 65_535).map(lambda port: f"10.0.0.1:{port}"), max_size=8),
    st.sampled_from(["trainer", "observer", "auditor", "relay", "admin"]),
    st.integers(1, 1000),
    st.one_of(st.just(0), st.integers(1, 2**53 - 1)),
)
def test_every_ticket_has_one_text(
    key: PrivateKey, secret: bytes, addresses: list[str], role: str, uses: int, expires: int
) -> None:
    ticket = Ticket("00" * 32, "ff" * 32, key.public, tuple(addresses), secret, role, uses, expires).signed(key)
    assert ticket.is_card == (not secret)
    assert Ticket.parse(ticket.text) == ticket


def test_every_lost_or_changed_character_is_noticed() -> None:
    text = TICKET.text
    for at in range(len(text)):
        changed = "A" if text[at] != "A" else "B"
        for broken in (text[:at], text[:at] + text[at + 1 :], text[:at] + changed + text[at + 1 :]):
            with pytest.raises(LocalError) as caught:
                Ticket.parse(broken)
            assert caught.value.next_step


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map(lambda tail: "gossip2-" + tail)))
def test_any_text_is_a_local_error(text: str) -> None:
    with pytest.raises(LocalError):
        Ticket.parse(text)


def test_a_ticket_that_somebody_made_up_in_anothers_name_is_none() -> None:
    """Who changes a role, an address or an end would have to sign it; and to sign with another key is to name it."""
    mallory = PrivateKey.from_seed(b"m" * 32)
    with pytest.raises(LocalError, match="signed by the key that it names"):
        TICKET.signed(mallory)
    for change in ({"role": "auditor"}, {"uses": 4}, {"expires": 0}, {"addresses": ()}, {"secret": b"t" * 16}):
        with pytest.raises(LocalError, match="signature"):
            Ticket.parse(replace(TICKET, **change).text)  # type: ignore[arg-type]
    forged = replace(TICKET, key=mallory.public).signed(mallory)
    assert Ticket.parse(forged.text).key == mallory.public != ANNA.public
    with pytest.raises(LocalError, match="nobody has signed"):
        _ = replace(TICKET, signature=b"").text


def test_a_ticket_that_has_ended_is_refused_and_says_since_when() -> None:
    assert Ticket.parse(TICKET.text, now=1_799_999_999.9) == TICKET
    with pytest.raises(LocalError, match="less than a minute ago"):
        Ticket.parse(TICKET.text, now=1_800_000_000)
    with pytest.raises(LocalError, match="2 days ago"):
        Ticket.parse(TICKET.text, now=1_800_000_000 + 2 * 86_400)
    assert Ticket.parse(TICKET.text) == TICKET  # one that was used in time stays readable


def test_what_a_peer_keeps_of_an_older_version_is_no_ticket_any_more() -> None:
    assert kept(TICKET.text.encode()) == TICKET
    assert kept(None) is kept(b"") is kept(b"gossip1-AVpa") is None
    with pytest.raises(LocalError, match="older version"):
        Ticket.parse("gossip1-AVpa")


def test_a_ticket_never_shows_its_secret() -> None:
    assert b"s" * 16 not in repr(TICKET).encode()
    assert (b"s" * 16).hex() not in repr(TICKET)


def test_the_proof_needs_the_secret_and_is_of_one_offer() -> None:
    proof = prove(TICKET.secret, b"an offer")
    assert is_proof(TICKET.secret, b"an offer", proof)
    assert not is_proof(TICKET.secret, b"another offer", proof)
    assert not is_proof(b"t" * 16, b"an offer", proof)
    assert TICKET.ticket_id not in proof


@pytest.mark.parametrize("role", ["", "boss", "Trainer"])
def test_roles_are_a_closed_set(role: str) -> None:
    with pytest.raises(LocalError):
        Ticket("00" * 32, "00" * 32, b"k" * 32, (), b"s" * 16, role)


@pytest.mark.parametrize("address", ["", "host", "host:", "host:0", "host:65536", "ho st:1", ":1", "[::1]:4100"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(LocalError):
        split_address(address)
