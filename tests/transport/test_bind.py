"""The bind: a channel belongs to two keys, or it is closed."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import random
from pathlib import Path

import pytest

from gossip.transport import words
from gossip.transport.bind import Meeting, Party, Side, bind
from gossip.transport.channels import UNBOUND_BYTES, ChannelLink
from gossip.transport.link import MAX_MESSAGE_BYTES
from gossip.transport.memory import memory_pair
from gossip.transport.webrtc import make_peer
from ledger.errors import RemoteError
from ledger.keys import PrivateKey, verify
from tests.transport.bind_attacks import (
    Attempt,
    Bind,
    NoFingerprints,
    NoNonces,
    NoSide,
    NoSwarm,
    accepted,
    attempts,
    believes,
    is_relay_believed,
    unbound,
)
from tests.transport.joining import ANNA, BERTA, KINDS, LOOPBACK, MALLORY, SWARM, opened, raw_join

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "bind.json"
HONEST = Meeting(
    SWARM,
    dialler=Party(ANNA.public, b"\x01" * 32, b"\x03" * 32),
    answerer=Party(BERTA.public, b"\x02" * 32, b"\x04" * 32),
)


async def meet(dialler: Meeting, answerer: Meeting, dialler_key: PrivateKey, answerer_key: PrivateKey) -> list[object]:
    """What each side's bind comes to: None, or the exception."""
    one, two = memory_pair(ANNA.public, BERTA.public)
    async with asyncio.timeout(10):
        outcome = await asyncio.gather(
            bind(one, dialler, "d", dialler_key), bind(two, answerer, "a", answerer_key), return_exceptions=True
        )
        await asyncio.gather(one.close(), two.close())
    return list(outcome)


async def test_two_honest_ends_are_bound() -> None:
    assert await meet(HONEST, HONEST, ANNA, BERTA) == [None, None]


async def test_both_ends_of_a_meeting_have_the_same_session_and_no_other_meeting_has() -> None:
    other = dataclasses.replace(HONEST, answerer=dataclasses.replace(HONEST.answerer, nonce=b"\x09" * 32))
    sessions = []
    for meeting in (HONEST, other):
        one, two = memory_pair(ANNA.public, BERTA.public)
        async with asyncio.timeout(10):
            await asyncio.gather(bind(one, meeting, "d", ANNA), bind(two, meeting, "a", BERTA))
            await asyncio.gather(one.close(), two.close())
        assert one.session == two.session == meeting.session()
        sessions.append(one.session)
    assert len(set(sessions)) == 2
    assert {len(session) for session in sessions} == {32}


async def test_a_failed_bind_leaves_no_session() -> None:
    one, two = memory_pair(ANNA.public, BERTA.public)
    one.session = b""
    await two.send(bytes(64))
    with pytest.raises(RemoteError):
        await bind(one, HONEST, "d", ANNA)
    assert one.session == b""
    await asyncio.gather(one.close(), two.close())


async def test_bulk_that_overtakes_the_bind_is_not_mistaken_for_it() -> None:
    one, two = memory_pair(ANNA.public, BERTA.public)
    async with asyncio.timeout(10):
        await two.send(b"early bulk", bulk=True)
        await asyncio.gather(bind(one, HONEST, "d", ANNA), bind(two, HONEST, "a", BERTA))
        assert await one.receive() == b"early bulk"
        await asyncio.gather(one.close(), two.close())


@pytest.mark.parametrize("kind", [KINDS[0], ("aiortc", "aiortc")])
@pytest.mark.parametrize("bulk", [True, False])
async def test_who_fills_the_channels_in_place_of_a_proof_is_cut_off_early(kind: tuple[str, str], bulk: bool) -> None:
    """On ctl it is one message without an end, since the first whole one is the proof, and a wrong one ends it, too."""
    far, near = await raw_join(kind)
    liar = ChannelLink(far, key=ANNA.public, dialled=True)
    victim = ChannelLink(near, key=BERTA.public, dialled=False)
    await opened(far, near)
    async with asyncio.timeout(20):
        binding = asyncio.create_task(bind(victim, HONEST, "a", BERTA))
        sending = [asyncio.create_task(liar.send(bytes(MAX_MESSAGE_BYTES), bulk=bulk)) for _ in range(9 if bulk else 1)]
        with pytest.raises(RemoteError, match="before a proof" if bulk else "prove"):
            await binding
        assert victim.bytes_received < (2 * UNBOUND_BYTES if bulk else 2 * MAX_MESSAGE_BYTES)
        await asyncio.gather(liar.close(), victim.close())
        await asyncio.gather(*sending, return_exceptions=True)


async def test_what_is_bound_may_have_much_more_waiting() -> None:
    one, two = memory_pair(ANNA.public, BERTA.public)
    async with asyncio.timeout(10):
        for _ in range(16):
            await one.send(bytes(UNBOUND_BYTES), bulk=True)
        assert len(await two.receive()) == UNBOUND_BYTES
        await asyncio.gather(one.close(), two.close())


async def test_whoever_lacks_the_key_is_refused() -> None:
    dialler, answerer = await meet(HONEST, HONEST, MALLORY, BERTA)
    assert dialler is None
    assert isinstance(answerer, RemoteError)


@pytest.mark.parametrize("side", ["dialler", "answerer"])
@pytest.mark.parametrize("field", ["key", "nonce", "fingerprint"])
async def test_ends_that_see_different_things_refuse_each_other(side: str, field: str) -> None:
    """A man in the middle has a certificate, so a fingerprint, of his own; a replay has an old nonce."""
    party = dataclasses.replace(getattr(HONEST, side), **{field: b"\x09" * 32})
    other = dataclasses.replace(HONEST, **{side: party})
    assert all(isinstance(outcome, RemoteError) for outcome in await meet(HONEST, other, ANNA, BERTA))


async def test_another_swarm_is_another_transcript() -> None:
    other = dataclasses.replace(HONEST, swarm="00" * 32)
    assert all(isinstance(outcome, RemoteError) for outcome in await meet(HONEST, other, ANNA, BERTA))


async def test_our_own_signature_sent_back_proves_nothing() -> None:
    one, two = memory_pair(ANNA.public, BERTA.public)

    async def mirror() -> None:
        await two.send(await two.receive())

    async with asyncio.timeout(10):
        outcome, _ = await asyncio.gather(bind(one, HONEST, "d", ANNA), mirror(), return_exceptions=True)
        await asyncio.gather(one.close(), two.close())
    assert isinstance(outcome, RemoteError)


@pytest.mark.parametrize("proof", [b"x", bytes(64), bytes(65)])
async def test_anything_but_a_signature_is_refused(proof: bytes) -> None:
    one, two = memory_pair(ANNA.public, BERTA.public)
    async with asyncio.timeout(10):
        await two.send(proof)
        with pytest.raises(RemoteError):
            await bind(one, HONEST, "d", ANNA)
        await asyncio.gather(one.close(), two.close())


@pytest.mark.parametrize("attempts_made", [1_000])
async def test_of_a_thousand_attempts_none_is_let_in(attempts_made: int) -> None:
    made, let_in = await accepted(attempts_made, seed=5)
    assert made >= attempts_made
    assert let_in == {}


@pytest.mark.parametrize(
    ("lacks", "through", "make", "caught"),
    [
        ("everything", unbound, Meeting, {"relay", "replay", "noise", "another key", "a key of small order"}),
        ("fingerprints", bind, NoFingerprints, {"relay", "a flipped fingerprint", "swapped fingerprints"}),
        ("nonces", bind, NoNonces, {"replay", "replay of one nonce", "a flipped nonce", "swapped nonces"}),
        ("sides", bind, NoSide, {"the other side's role"}),
        ("the swarm", bind, NoSwarm, {"another swarm"}),
    ],
)
async def test_the_same_kit_catches_a_bind_that_lacks(
    lacks: str, through: Bind, make: type[Meeting], caught: set[str]
) -> None:
    """The positive control: what is left out lets in the attempts that it was for, and only those."""
    _, let_in = await accepted(60, seed=6, through=through, make=make)
    assert set(let_in) >= caught, lacks
    if through is bind:
        assert set(let_in) == caught, lacks


@pytest.mark.e2e
@pytest.mark.parametrize("make", [Meeting, NoFingerprints])
async def test_a_relay_between_real_connections_has_certificates_of_its_own(make: type[Meeting]) -> None:
    """Mallory has two DTLS connections and passes on every frame; what the ends see on the wire differs."""
    luck = random.Random(7)
    for side in ("d", "a"):
        pairs = [[make_peer("aiortc", LOOPBACK) for _ in range(2)] for _ in range(2)]
        seen = []
        for near, middle in pairs:
            offer = await near.offer()
            answer = await middle.answer(offer)
            await near.accept(answer)
            seen.append((offer.fingerprint, answer.fingerprint))
        await opened(*pairs[0], *pairs[1])
        nonces = luck.randbytes(32), luck.randbytes(32)
        anna_sees = Party(ANNA.public, nonces[0], seen[0][0]), Party(BERTA.public, nonces[1], seen[0][1])
        berta_sees = Party(ANNA.public, nonces[0], seen[1][1]), Party(BERTA.public, nonces[1], seen[1][0])
        meetings = make(SWARM, *anna_sees), make(SWARM, *berta_sees)
        (anna, towards_anna), (berta, towards_berta) = pairs
        if side == "a":
            meetings = meetings[1], meetings[0]
            (anna, towards_anna), (berta, towards_berta) = (berta, towards_berta), (anna, towards_anna)
        believed = await is_relay_believed((anna, towards_anna), (berta, towards_berta), *meetings, side, bind)
        assert believed == (make is NoFingerprints)


def vectors() -> dict[str, object]:
    """The content of tests/vectors/bind.json, made from code."""
    sides: tuple[Side, Side] = ("d", "a")
    d, a = sides

    def party(of: Party) -> dict[str, str]:
        return {"key": of.key.hex(), "nonce": of.nonce.hex(), "fingerprint": of.fingerprint.hex()}

    return {
        "format": "gossip bind transcript, version 1",
        "swarm": SWARM,
        "dialler_seed": (b"a" * 32).hex(),
        "answerer_seed": (b"b" * 32).hex(),
        "dialler": party(HONEST.dialler),
        "answerer": party(HONEST.answerer),
        "dialler_transcript": HONEST.transcript(d).hex(),
        "dialler_signature": ANNA.sign(HONEST.transcript(d)).hex(),
        "answerer_transcript": HONEST.transcript(a).hex(),
        "answerer_signature": BERTA.sign(HONEST.transcript(a)).hex(),
        "session": HONEST.session().hex(),
        "words": words.of_meeting(HONEST.session()),
        "reject": [
            {"why": made.kind, "side": made.side, "key": party_opposite(made).key.hex(), "proof": made.proof.hex()}
            for made in rejected()
        ],
    }


def rejected() -> list[Attempt]:
    """Proofs that the side named must refuse in the meeting of the vectors (with the far end's key as given)."""
    luck = random.Random(9)
    kinds: dict[str, Attempt] = {}
    for made in attempts(luck, at=HONEST, side="d"):
        if made.other is None:
            kinds.setdefault(made.kind, made)
    return list(kinds.values())


def party_opposite(made: Attempt) -> Party:
    return made.meeting.answerer if made.side == "d" else made.meeting.dialler


async def test_every_proof_to_reject_is_rejected_and_the_right_one_is_not() -> None:
    vector = json.loads(VECTORS.read_text())
    cases = [(row["key"], row["proof"], False) for row in vector["reject"]]
    cases.append((vector["answerer"]["key"], vector["answerer_signature"], True))
    for key, proof, is_right in cases:
        meeting = dataclasses.replace(HONEST, answerer=dataclasses.replace(HONEST.answerer, key=bytes.fromhex(key)))
        one, two = memory_pair(ANNA.public, BERTA.public)
        await two.send(bytes.fromhex(proof))
        assert await believes(one, meeting, "d", bind) == is_right
        await asyncio.gather(one.close(), two.close())


def test_the_vector_file_is_what_the_code_makes() -> None:
    assert VECTORS.read_text() == json.dumps(vectors(), indent=2) + "\n"


def test_the_vector_by_hand() -> None:
    """The transcript put together from the text of docs/wire.md alone."""
    vector = json.loads(VECTORS.read_text())
    d, a = vector["dialler"], vector["answerer"]
    body = vector["swarm"] + "".join(d[field] + a[field] for field in ("key", "nonce", "fingerprint"))
    assert hashlib.sha256(b"gossip/session/1\n" + bytes.fromhex(body)).hexdigest() == vector["session"]
    for side, letter, party in (("dialler", "d", d), ("answerer", "a", a)):
        transcript = f"gossip/bind/1\n{letter}".encode() + bytes.fromhex(body)
        assert transcript.hex() == vector[f"{side}_transcript"]
        assert verify(bytes.fromhex(party["key"]), bytes.fromhex(vector[f"{side}_signature"]), transcript)


if __name__ == "__main__":  # python -m tests.transport.test_bind writes the vector file
    VECTORS.write_text(json.dumps(vectors(), indent=2) + "\n")
