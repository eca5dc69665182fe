"""Attempts on the bind: what somebody can send who has everything but the key, a thousand times over.

Each attempt is a victim with its view of a meeting, and a far end that sends a proof of something else, or passes on
what another honest end says. `accepted` runs them against a bind and says which were let in. It is run against ours
(none may be) and against binds that lack one thing (`unbound`, transcripts without fingerprints, sides, nonces, swarm):
there the kinds that it was for must be let in, else the kit shows nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gossip.transport.bind import Meeting, Party, Side, bind
from gossip.transport.channels import ChannelLink
from gossip.transport.memory import raw_pair
from gossip.transport.rawpeer import RawPeer
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BERTA, MALLORY

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point
SMALL_ORDER = [  # encodings of the eight points of small order, two of them
    bytes([1]) + bytes(31),
    bytes(32),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]
LIMIT_S = 10
_SIDES: tuple[Side, Side] = ("d", "a")

Bind = Callable[[ChannelLink, Meeting, Side, PrivateKey], Awaitable[None]]


async def unbound(link: ChannelLink, meeting: Meeting, side: Side, key: PrivateKey) -> None:
    """A bind that does not look: both ends send, and read, and believe."""
    await link.send(key.sign(meeting.transcript(side)))
    await link.receive(ctl_only=True)


class NoFingerprints(Meeting):
    def transcript(self, side: Side) -> bytes:
        return super().transcript(side)[:-64]


class NoNonces(Meeting):
    def transcript(self, side: Side) -> bytes:
        whole = super().transcript(side)
        return whole[:-128] + whole[-64:]


class NoSide(Meeting):
    def transcript(self, side: Side) -> bytes:
        return super().transcript("d")


class NoSwarm(Meeting):
    def transcript(self, side: Side) -> bytes:
        return super().transcript(side).replace(bytes.fromhex(self.swarm), b"")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A proof for `victim`, who sees `meeting` from `side`; the far end sends `proof`, or relays to `other`."""

    kind: str
    meeting: Meeting
    side: Side
    proof: bytes = b""
    other: Meeting | None = None  # what the real far end sees, with somebody in the middle who passes everything on


def other_side(side: Side) -> Side:
    return "a" if side == "d" else "d"


def key_of(side: Side) -> PrivateKey:
    return ANNA if side == "d" else BERTA


def attempts(
    luck: random.Random, make: type[Meeting] = Meeting, *, at: Meeting | None = None, side: Side | None = None
) -> Iterator[Attempt]:
    """One of every kind, in a meeting with fresh nonces and certificates (or `at` one), against either side."""

    def fresh() -> bytes:
        return luck.randbytes(32)

    side = side or luck.choice(_SIDES)
    far = other_side(side)
    far_key, own_key = key_of(far), key_of(side)
    seen = at or make(fresh().hex(), Party(ANNA.public, fresh(), fresh()), Party(BERTA.public, fresh(), fresh()))
    ours, theirs = ("dialler", "answerer") if side == "d" else ("answerer", "dialler")
    right = far_key.sign(seen.transcript(far))

    def changed(which: str, **fields: bytes) -> Meeting:
        return replace(seen, **{which: replace(getattr(seen, which), **fields)})

    def flipped(data: bytes) -> bytes:
        at = luck.randrange(len(data) * 8)
        return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]

    def signed(kind: str, meeting: Meeting, by: PrivateKey = far_key, as_side: Side = far) -> Attempt:
        return Attempt(kind, seen, side, by.sign(meeting.transcript(as_side)))

    # Somebody in the middle with a certificate of her own towards each, who passes everything on.
    middle = changed(theirs, fingerprint=fresh())
    yield Attempt(
        "relay", middle, side, other=replace(seen, **{ours: replace(getattr(seen, ours), fingerprint=fresh())})
    )
    nonces = {"dialler": fresh(), "answerer": fresh()}
    before = replace(seen, **{who: replace(getattr(seen, who), nonce=nonce) for who, nonce in nonces.items()})
    yield signed("replay", before)
    yield signed("replay of one nonce", changed(ours, nonce=fresh()))
    yield Attempt("reflection", seen, side, own_key.sign(seen.transcript(side)))
    yield signed("the other side's role", seen, as_side=side)
    yield signed("another swarm", replace(seen, swarm=fresh().hex()))
    for which in (ours, theirs):
        party = getattr(seen, which)
        yield signed("a flipped fingerprint", changed(which, fingerprint=flipped(party.fingerprint)))
        yield signed("a flipped nonce", changed(which, nonce=flipped(party.nonce)))
        yield signed("a flipped key", changed(which, key=flipped(party.key)))
    d, a = seen.dialler, seen.answerer
    yield signed("swapped parties", replace(seen, dialler=a, answerer=d))
    yield signed("swapped keys", replace(seen, dialler=replace(d, key=a.key), answerer=replace(a, key=d.key)))
    yield signed("swapped nonces", replace(seen, dialler=replace(d, nonce=a.nonce), answerer=replace(a, nonce=d.nonce)))
    yield signed(
        "swapped fingerprints",
        replace(seen, dialler=replace(d, fingerprint=a.fingerprint), answerer=replace(a, fingerprint=d.fingerprint)),
    )
    yield signed("another key", seen, by=MALLORY)
    yield signed("another key", seen, by=own_key)
    transcript = seen.transcript(far)
    for kind, text in {
        "another label": b"gossip/offer/1\n" + transcript[14:],
        "no label": transcript[14:],
        "the digest": seen.session(),
        "a longer transcript": transcript + b"\0",
    }.items():
        yield Attempt(kind, seen, side, far_key.sign(text))
    yield Attempt("a shorter proof", seen, side, right[: luck.randint(1, 63)])
    yield Attempt("a longer proof", seen, side, right + luck.randbytes(luck.randint(1, 100)))
    yield Attempt("a flipped proof", seen, side, flipped(right))
    scalar = int.from_bytes(right[32:], "little") + ORDER
    yield Attempt("a second spelling", seen, side, right[:32] + scalar.to_bytes(32, "little"))
    yield Attempt("noise", seen, side, luck.randbytes(64))
    small, point = luck.choice(SMALL_ORDER), luck.choice(SMALL_ORDER)
    yield Attempt("a key of small order", changed(theirs, key=small), side, point + bytes(32))


class Relay:
    """Somebody in the middle: what comes out of one carrier goes into the other."""

    def __init__(self, into: Any) -> None:
        self.into = into

    def arrived(self, channel: int, frame: bytes) -> None:
        try:
            self.into.send(channel, frame)
        except LinkError:
            return

    def broke(self, error: RemoteError) -> None: ...

    def gone(self, reason: str) -> None: ...


async def is_let_in(attempt: Attempt, through: Bind) -> bool:
    """Whether anybody honest ends up with a link."""
    if attempt.other is not None:
        return await is_relay_believed(raw_pair(), raw_pair(), attempt.meeting, attempt.other, attempt.side, through)
    near, far = raw_pair()
    victim = ChannelLink(near, key=MALLORY.public, dialled=attempt.side == "d")
    liar = ChannelLink(far, key=MALLORY.public, dialled=attempt.side != "d")
    async with asyncio.timeout(LIMIT_S):
        await liar.send(attempt.proof)
        believed = await believes(victim, attempt.meeting, attempt.side, through)
        await asyncio.gather(victim.close(), liar.close())
    return believed


async def is_relay_believed(
    one: tuple[RawPeer, RawPeer],
    two: tuple[RawPeer, RawPeer],
    seen: Meeting,
    others: Meeting,
    side: Side,
    through: Bind,
) -> bool:
    """Two honest ends bind, each to the middle, which joins its ends (the second of each pair)."""
    one[1].attach(Relay(two[1]))
    two[1].attach(Relay(one[1]))
    links = [ChannelLink(pair[0], key=MALLORY.public, dialled=False) for pair in (one, two)]
    async with asyncio.timeout(LIMIT_S):
        believed = await asyncio.gather(
            believes(links[0], seen, side, through), believes(links[1], others, other_side(side), through)
        )
        await asyncio.gather(*(link.close() for link in links), one[1].close(), two[1].close())
    return any(believed)


async def believes(link: ChannelLink, meeting: Meeting, side: Side, through: Bind) -> bool:
    try:
        await through(link, meeting, side, key_of(side))
    except (RemoteError, LinkError):
        await link.close()
        return False
    return True


async def accepted(
    times: int, *, seed: int, through: Bind = bind, make: type[Meeting] = Meeting
) -> tuple[int, Counter[str]]:
    """How many attempts were made, and which kinds were let in."""
    luck = random.Random(seed)
    made, let_in = 0, Counter[str]()
    while made < times:
        for attempt in attempts(luck, make):
            made += 1
            if await is_let_in(attempt, through):
                let_in[attempt.kind] += 1
    return made, let_in
