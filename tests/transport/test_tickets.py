"""Invites: what a person pastes is read exactly, or refused with advice."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport.tickets import MAX_TEXT_CHARS, Ticket, is_proof, kept, prove, split_address
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
    inviter="a1" * 32,
).signed(ANNA)


NODE = "/dns4/boot.example.org/tcp/4001/p2p/QmachM8DDVoj4HfSH9irLcyypBog7nP7MPwcJ6X43y88hL"
RELAY = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWFy8BjPcNCDW5uEPyzrqWqjycHgv1FWC7Kx8jQ1Jbunp5"
WIDE = replace(
    TICKET, addresses=("192.168.1.7:4100", NODE, f"{RELAY}/p2p-circuit"), rendezvous=b"r" * 32, signature=b""
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


def test_an_invite_for_elsewhere_says_through_whom() -> None:
    assert WIDE.text.startswith("gossip3-")
    assert Ticket.parse(WIDE.text) == WIDE
    assert WIDE.endpoints() == (("192.168.1.7", 4100),)
    assert WIDE.bootstraps() == (NODE,)
    assert WIDE.relays() == (RELAY,)
    assert (TICKET.bootstraps(), TICKET.relays(), TICKET.rendezvous) == ((), (), b"")


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["10.0.0.1:4100", NODE, RELAY, f"{RELAY}/p2p-circuit"]), max_size=8),
    st.sampled_from([b"", b"r" * 32]),
    st.sampled_from([b"", b"s" * 16]),
)
def test_only_what_needs_the_newer_version_is_spelled_in_it(
    addresses: list[str], rendezvous: bytes, secret: bytes
) -> None:
    bare = replace(TICKET, addresses=tuple(addresses), secret=secret, signature=b"")
    if rendezvous and not secret:
        with pytest.raises(LocalError, match="a card tells no"):
            replace(bare, rendezvous=rendezvous)
        return
    ticket = replace(bare, rendezvous=rendezvous).signed(ANNA)
    is_wide = bool(rendezvous) or any(address.startswith("/") for address in addresses)
    assert ticket.text.startswith("gossip3-" if is_wide else "gossip2-")
    assert Ticket.parse(ticket.text) == ticket


def test_a_ticket_has_bounds_for_both_kinds_of_address() -> None:
    near, far = ("10.0.0.1:4100",) * 8, (f"{RELAY}/p2p-circuit",) * 8
    full = replace(WIDE, addresses=(*near, *far)).signed(ANNA)
    assert Ticket.parse(full.text) == full
    assert full.is_within(MAX_TEXT_CHARS)
    for more in (near[0], far[0]):
        with pytest.raises(LocalError, match="8 fit"):
            replace(full, addresses=(*full.addresses, more))
    longest = f"/dns4/{'a' * 114}/tcp/65535/p2p/16Uiu2HAm1fhUHVvN1bgmoMk8tKcwvvookmM6CB5syhMWWJZAb7dV/p2p-circuit"
    assert len(longest) == 200
    node = replace(WIDE, role="observer", addresses=("255.255.255.255:65535", *[longest] * 8)).signed(ANNA)
    assert len(Ticket.parse(node.text).text) <= MAX_TEXT_CHARS  # a node names one address of its own
    giant = replace(WIDE, addresses=(*[f"{'a' * 200}:65535"] * 8, *[longest] * 8)).signed(ANNA)
    assert not giant.is_within(MAX_TEXT_CHARS)
    with pytest.raises(LocalError, match="name fewer addresses"):
        _ = giant.text


def test_what_a_ticket_says_of_other_networks_is_checked_like_what_is_typed() -> None:
    for address in (RELAY[:-1], "/ip4/203.0.113.7/udp/4001/quic-v1" + RELAY[26:], "/", f"{RELAY}/"):
        with pytest.raises(LocalError):
            replace(WIDE, addresses=(address,))


def test_a_ticket_that_somebody_made_up_in_anothers_name_is_none() -> None:
    """Who changes a role, an address or an end would have to sign it; and to sign with another key is to name it."""
    mallory = PrivateKey.from_seed(b"m" * 32)
    with pytest.raises(LocalError, match="signed by the key that it names"):
        TICKET.signed(mallory)
    for changed in (
        replace(WIDE, addresses=WIDE.addresses[:2]), replace(WIDE, rendezvous=b"q" * 32), replace(WIDE, rendezvous=b"")
    ):  # fmt: skip
        with pytest.raises(LocalError, match="signature"):
            Ticket.parse(changed.text)
    for change in ({"role": "auditor"}, {"uses": 4}, {"expires": 0}, {"addresses": ()}, {"secret": b"t" * 16}):
        with pytest.raises(LocalError, match="signature"):
            Ticket.parse(replace(TICKET, **change).text)
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
    assert kept(WIDE.text.encode()) == WIDE
    assert kept(None) is kept(b"") is kept(b"gossip1-AVpa") is None
    with pytest.raises(LocalError, match="older version"):
        Ticket.parse("gossip1-AVpa")


def test_a_ticket_never_shows_its_secret() -> None:
    assert b"s" * 16 not in repr(TICKET).encode()
    assert (b"s" * 16).hex() not in repr(TICKET)
    assert "r" * 32 not in repr(WIDE)
    assert (b"r" * 32).hex() not in repr(WIDE)
    assert b"r" * 32 not in WIDE._transcript()  # what is shown to prove that a ticket is genuine


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


# ------------------------------------------------------------------ vectors

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "tickets.json"


def described(ticket: Ticket) -> dict[str, Any]:
    return {
        "swarm": ticket.swarm, "founder": ticket.founder, "key": ticket.key.hex(), "inviter": ticket.inviter,
        "secret": ticket.secret.hex(),
        "role": ticket.role, "uses": ticket.uses, "expires": ticket.expires, "addresses": list(ticket.addresses),
        "id": ticket.ticket_id.hex(), "signed": ticket._transcript().hex(), "signature": ticket.signature.hex(),
        "text": ticket.text,
    }  # fmt: skip


def described_wide(ticket: Ticket) -> dict[str, Any]:
    return {
        **described(ticket), "rendezvous": ticket.rendezvous.hex(), "bootstraps": list(ticket.bootstraps()),
        "relays": list(ticket.relays()),
    }  # fmt: skip


def spelled(whole: bytes) -> str:
    return f"gossip{whole[0]}-" + base64.urlsafe_b64encode(whole).decode().rstrip("=")


def whole_of(ticket: Ticket) -> bytes:
    text = ticket.text[len("gossip2-") :]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_again(change: bytes, at: int) -> str:
    """The ticket with other bytes from `at` on, under a signature that fits them: only their meaning is wrong."""
    body = whole_of(TICKET)[:-64]
    body = body[:at] + change + body[at + len(change) :]
    secret = body[130 : 130 + body[129]]
    transcript = b"gossip/ticket/2\n" + body[:129] + hashlib.sha256(secret).digest() + body[130 + body[129] :]
    return spelled(body + ANNA.sign(transcript))


def wide_again(change: bytes, at: int, domain: bytes = b"gossip/ticket/3\n") -> str:
    """The same of the newer version."""
    body = whole_of(WIDE)[:-64]
    body = body[:at] + change + body[at + len(change) :]
    ids = hashlib.sha256(body[130:146]).digest() + hashlib.sha256(body[147:179]).digest()
    return spelled(body + ANNA.sign(domain + body[:129] + ids + body[179:]))


def wide_rejected() -> dict[str, str]:
    whole = whole_of(WIDE)
    bare = whole_of(TICKET)[:-64]
    ids = hashlib.sha256(TICKET.secret).digest() + hashlib.sha256(b"").digest()
    needless = b"\x03" + bare[1:146] + b"\0" + bare[146:]
    return {
        "version 3 without need": spelled(
            needless + ANNA.sign(b"gossip/ticket/3\n" + needless[:129] + ids + bare[146:])
        ),
        "a multiaddress in version 2": spelled(b"\x02" + whole[1:]),
        "version 3, signed as version 2": wide_again(b"", 0, b"gossip/ticket/2\n"),
        "version 3, its prefix that of version 2": "gossip2-" + WIDE.text.removeprefix("gossip3-"),
        "another rendezvous": replace(WIDE, rendezvous=b"q" * 32).text,
        "a rendezvous of 31 bytes": wide_again(b"\x1f", 146),
        "a card with a rendezvous": replace_card(),
        "a multiaddress of another letter": wide_again(b"O", whole.index(b"QmachM") + 5),
        "a multiaddress over udp": wide_again(b"udp", whole.index(b"tcp")),
        "a rendezvous cut off": spelled(whole[:170]),
    }


def replace_card() -> str:
    """What cannot be made by hand: no Ticket is a card with a rendezvous."""
    body = whole_of(WIDE)[:-64]
    body = body[:129] + b"\0" + body[146:]
    ids = hashlib.sha256(b"").digest() + hashlib.sha256(WIDE.rendezvous).digest()
    return spelled(body + ANNA.sign(b"gossip/ticket/3\n" + body[:129] + ids + body[163:]))


def rejected() -> dict[str, str]:
    """One for each way to be wrong."""
    whole = whole_of(TICKET)
    return {
        "an older version": "gossip1-" + TICKET.text.removeprefix("gossip2-"),
        "another version inside": signed_again(b"\x03", 0).replace("gossip3-", "gossip2-"),
        "a changed role": replace(TICKET, role="auditor").text,
        "a changed end": replace(TICKET, expires=0).text,
        "a changed address": replace(TICKET, addresses=("10.6.6.6:4100",)).text,
        "a changed secret": replace(TICKET, secret=b"t" * 16).text,
        "another inviter": replace(TICKET, inviter="b2" * 32).text,
        "another key": replace(TICKET, key=PrivateKey.from_seed(b"m" * 32).public).text,
        "a key of small order": signed_again(bytes(32), 65),
        "a secret of 15 bytes": signed_again(b"\x0f", 129),
        "a role that is none": signed_again(b"\x07TRAINER", 146),
        "no uses": signed_again(bytes(2), 154),
        "1001 uses": signed_again((1001).to_bytes(2, "little"), 154),
        "an end beyond what a double holds": signed_again((1 << 53).to_bytes(8, "little"), 156),
        "more addresses than there are": signed_again(b"\x03", 164),
        "an address that is none": signed_again(b"192.168.1.7:41O0", 166),
        "a byte more": spelled(whole + b"\0"),
        "a byte less": spelled(whole[:-1]),
        "nothing": "gossip2-",
        "padding": TICKET.text + "=",
        "bits that say nothing": TICKET.text[:-1]
        + chr(ord(TICKET.text[-1]) + 1),  # Q becomes R: the last four bits are over
    } | wide_rejected()


def vectors() -> dict[str, Any]:
    card = replace(TICKET, secret=b"", expires=0, uses=1).signed(ANNA)
    return {
        "format": "gossip ticket, versions 2 and 3",
        "private key": (b"k" * 32).hex(),
        "ticket": described(TICKET),
        "card": described(card),
        "wide": described_wide(WIDE),
        "wide card": described_wide(replace(WIDE, secret=b"", rendezvous=b"", expires=0, uses=1).signed(ANNA)),
        "reject": [{"why": why, "text": text} for why, text in rejected().items()],
    }


def test_the_vector_file_is_what_the_code_makes() -> None:
    assert VECTORS.read_text() == json.dumps(vectors(), indent=2) + "\n"


@pytest.mark.parametrize("why", sorted(rejected()))
def test_each_way_to_be_wrong_is_refused(why: str) -> None:
    with pytest.raises(LocalError) as caught:
        Ticket.parse(rejected()[why])
    assert caught.value.next_step


def test_the_vector_by_hand() -> None:
    """The bytes put together from the text of docs/wire.md alone."""
    row = json.loads(VECTORS.read_text())["ticket"]

    def short(text: str) -> bytes:
        return bytes([len(text)]) + text.encode()

    start = b"\x02" + bytes.fromhex(row["swarm"] + row["founder"] + row["key"] + row["inviter"])
    end = short(row["role"]) + row["uses"].to_bytes(2, "little") + row["expires"].to_bytes(8, "little")
    end += bytes([len(row["addresses"])]) + b"".join(short(address) for address in row["addresses"])
    secret = bytes.fromhex(row["secret"])
    assert hashlib.sha256(secret).hexdigest() == row["id"]
    assert (b"gossip/ticket/2\n" + start + hashlib.sha256(secret).digest() + end).hex() == row["signed"]
    assert spelled(start + bytes([len(secret)]) + secret + end + bytes.fromhex(row["signature"])) == row["text"]


def test_the_wide_vector_by_hand() -> None:
    row = json.loads(VECTORS.read_text())["wide"]

    def short(text: str) -> bytes:
        return bytes([len(text)]) + text.encode()

    start = b"\x03" + bytes.fromhex(row["swarm"] + row["founder"] + row["key"] + row["inviter"])
    secret, rendezvous = bytes.fromhex(row["secret"]), bytes.fromhex(row["rendezvous"])
    end = short(row["role"]) + row["uses"].to_bytes(2, "little") + row["expires"].to_bytes(8, "little")
    end += bytes([len(row["addresses"])]) + b"".join(short(address) for address in row["addresses"])
    ids = hashlib.sha256(secret).digest() + hashlib.sha256(rendezvous).digest()
    assert (b"gossip/ticket/3\n" + start + ids + end).hex() == row["signed"]
    sized = bytes([len(secret)]) + secret + bytes([len(rendezvous)]) + rendezvous
    assert spelled(start + sized + end + bytes.fromhex(row["signature"])) == row["text"]
    assert row["bootstraps"] == [a for a in row["addresses"] if a.startswith("/") and not a.endswith("/p2p-circuit")]
    assert row["relays"] == [a.removesuffix("/p2p-circuit") for a in row["addresses"] if a.endswith("/p2p-circuit")]


def test_a_ticket_that_was_cut_off_is_told_so() -> None:
    for missing in (1, 3, 40):
        with pytest.raises(LocalError, match="cut off"):
            Ticket.parse(TICKET.text[:-missing])
