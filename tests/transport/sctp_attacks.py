"""A hostile SCTP end: aiortc driven by hand below its own rules, and what each attack comes to.

`ATTACKS` is the kit. Each is a function that sends what no honest end sends, over a connection that is open. `attack`
runs one of them against a victim and tells how it went: whether the link ended as the far end's fault, and the
most that the victim held meanwhile. The same kit is run against an adapter without its police (`unpoliced`), where
every attack must succeed: else the kit shows nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import pack
from typing import Any
from unittest.mock import patch

from aiortc import rtcsctptransport as aiosctp
from google_crc32c import value as crc32c

from gossip.transport import aiortc_backend
from gossip.transport.channels import ChannelLink
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.webrtc import make_peer
from ledger.errors import RemoteError
from tests.transport.joining import ANNA, LOOPBACK, opened

FIRST, MIDDLE, LAST, WHOLE, UNORDERED = 2, 0, 1, 3, 4
BINARY, TEXT, DCEP = 53, 51, 50
KIB = bytes(1024)
FORBIDDEN_KIND = 64  # I-DATA, which neither end offered
MAX_HELD_BYTES = 1_400 * 1024  # the window and 384 KiB; up to 1 MiB more was allowed
MAX_HELD_CHUNKS = 4_500


@contextmanager
def unpoliced() -> Iterator[None]:
    """Adapters made meanwhile believe their far end, as aiortc does. They only keep silent after the end."""

    def leave_out(sctp: Any, broke: object) -> None:
        dtls = sctp.transport
        send = dtls._send_data

        async def send_quietly(data: bytes) -> None:
            if dtls.state == "connected":
                await send(data)

        dtls._send_data = send_quietly

    with patch.object(aiortc_backend, "_guard", leave_out):
        yield


class Liar:
    """The hostile end of one open connection."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.sctp = peer._pc.sctp
        self.tsn = self.sctp._local_tsn
        self.over = asyncio.Event()
        self.is_over = self.over.is_set
        self.sent_bytes = 0
        self.stubbornness = 1  # how much longer a flood goes on that the victim's clock may forgive
        self._answered: dict[bytes, asyncio.Event] = {}

        async def listen(chunk: Any) -> None:  # and nothing else: its own books are of no use any more
            if isinstance(chunk, aiosctp.HeartbeatAckChunk):
                for _, value in chunk.params:
                    if value in self._answered:
                        self._answered[value].set()

        handle = self.sctp._handle_data

        async def handle_all(data: bytes) -> None:  # answers longer than aiortc reads at once
            while data:
                await handle(data)
                data = aiortc_backend._more(self.sctp.transport)

        self.sctp._receive_chunk = listen
        self.sctp._handle_data = handle_all

    async def packet(self, *chunks: bytes, tag: int | None = None) -> None:
        tag = self.sctp._remote_verification_tag if tag is None else tag
        head = pack("!HHL", 5000, 5000, tag)
        body = b"".join(chunks)
        sealed = head + pack("<L", crc32c(head + bytes(4) + body)) + body
        self.sent_bytes += len(sealed)
        await self.sctp.transport._send_data(sealed)
        await asyncio.sleep(0)  # the victim lives on this loop: let it read

    def data(
        self, flags: int, body: bytes, *, skip: int = 0, stream: int = 0, seq: int = 0, protocol: int = BINARY
    ) -> bytes:
        """One DATA chunk with the next TSN, or one beyond a gap of `skip`."""
        self.tsn += skip
        made = chunk(0, flags, pack("!LHHL", self.tsn % 2**32, stream, seq, protocol) + body)
        self.tsn += 1
        return made

    async def wait(self, tries: int) -> None:
        """Until the victim has ended the link, or read all that was sent: it answers a heartbeat that came after."""
        token = os.urandom(8)
        answered = self._answered[token] = asyncio.Event()
        for _ in range(tries):  # a datagram may be lost, and who believes all it reads may have nothing to say any more
            await self.packet(chunk(4, 0, pack("!HH", 1, 12) + token))
            waits = {asyncio.ensure_future(event.wait()) for event in (answered, self.over)}
            done, _ = await asyncio.wait(waits, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if done:
                return


def chunk(kind: int, flags: int, body: bytes) -> bytes:
    return pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


# ---------------------------------------------------------------- the kit

Attack = Callable[[Liar], Awaitable[None]]


async def _many(liar: Liar, packets: int, make: Callable[[int], tuple[bytes, ...]]) -> None:
    for number in range(packets):
        if liar.is_over():
            return
        await liar.packet(*make(number))


async def a_message_without_end(liar: Liar) -> None:
    await _many(liar, 1_450, lambda n: (liar.data(MIDDLE if n else FIRST, KIB),))


async def a_frame_of_a_mebibyte_and_a_half(liar: Liar) -> None:
    await _many(liar, 1_536, lambda n: (liar.data(LAST if n == 1_535 else MIDDLE if n else FIRST, KIB),))


async def a_frame_in_crumbs(liar: Liar) -> None:
    await _many(liar, 40, lambda n: tuple(liar.data(MIDDLE if n or i else FIRST, b"x") for i in range(50)))


async def messages_beyond_the_window(liar: Liar) -> None:
    liar.tsn += 1  # never sent: nothing after it can be delivered
    await _many(liar, 1_450, lambda n: (liar.data(WHOLE, KIB, seq=n + 1),))


async def crumbs_with_gaps(liar: Liar) -> None:
    await _many(liar, 43, lambda _: tuple(liar.data(WHOLE, b"x", skip=1, seq=9) for _ in range(50)))


async def a_tsn_far_ahead(liar: Liar) -> None:
    await liar.packet(liar.data(WHOLE, b"x", skip=2**30, seq=9))


async def data_without_bytes(liar: Liar) -> None:
    await liar.packet(*(liar.data(WHOLE, b"", skip=1, seq=9) for _ in range(50)))


async def fragments_of_nothing(liar: Liar) -> None:
    await liar.packet(liar.data(MIDDLE, KIB))


async def messages_out_of_turn(liar: Liar) -> None:
    await liar.packet(liar.data(WHOLE, KIB, seq=100))


async def interleaved_messages(liar: Liar) -> None:
    await liar.packet(liar.data(FIRST, b"x"), liar.data(FIRST, b"x", stream=1))


async def a_stream_not_agreed(liar: Liar) -> None:
    await liar.packet(*(liar.data(FIRST, b"x", stream=100 + n) for n in range(50)))


async def unordered_data(liar: Liar) -> None:
    await liar.packet(liar.data(WHOLE | UNORDERED, b"\x03"))


async def a_further_channel(liar: Liar) -> None:
    label = b"more"
    opening = pack("!BBHLHH", 3, 0, 0, 0, len(label), 0) + label
    await liar.packet(liar.data(WHOLE, opening, stream=7, protocol=DCEP))


async def an_acknowledged_channel(liar: Liar) -> None:
    await liar.packet(liar.data(WHOLE, b"\x02", protocol=DCEP))


async def bytes_of_an_unknown_protocol(liar: Liar) -> None:
    await liar.packet(liar.data(WHOLE, b"\x03", protocol=4711))


async def more_streams(liar: Liar) -> None:
    await liar.packet(chunk(130, 0, pack("!HHLHH", 17, 12, 1, 60_000, 0)))


async def a_reset_of_foreign_streams(liar: Liar) -> None:
    await liar.packet(chunk(130, 0, pack("!HHLLLHH", 13, 20, 1, 1, liar.tsn - 1, 7, 8)))


async def forward_tsn(liar: Liar) -> None:
    streams = b"".join(pack("!HH", n, 9) for n in range(100, 300))
    await liar.packet(chunk(192, 0, pack("!L", (liar.tsn + 2**20) % 2**32) + streams))


async def sack_of_what_was_not_sent(liar: Liar) -> None:
    await liar.packet(chunk(3, 0, pack("!LLHH", (liar.sctp._last_received_tsn + 5_000) % 2**32, 2**20, 0, 0)))


async def sack_of_wide_gaps(liar: Liar) -> None:
    gaps = pack("!HH", 0, 65_535) * 5
    await liar.packet(chunk(3, 0, pack("!LLHH", liar.sctp._last_received_tsn, 2**20, 5, 0) + gaps))


async def an_association_anew(liar: Liar) -> None:
    liar.sctp._local_verification_tag = 4711
    await liar.packet(chunk(1, 0, pack("!LLHHL", 4711, 2**20, 65_535, 65_535, 1)), tag=0)


async def a_kind_never_agreed(liar: Liar) -> None:
    await liar.packet(chunk(FORBIDDEN_KIND, 3, bytes(16) + KIB))


async def a_giant_heartbeat(liar: Liar) -> None:
    await liar.packet(chunk(4, 0, pack("!HH", 1, 1100) + bytes(1096)))


async def heartbeats_without_end(liar: Liar) -> None:
    await _many(liar, 4_300 * liar.stubbornness, lambda _: (chunk(4, 0, pack("!HH", 1, 8) + bytes(4)),))


async def heartbeats_by_the_hundred(liar: Liar) -> None:
    """Few packets, and an answer to each chunk: 20 of them cost 6,000."""
    await _many(liar, 20 * liar.stubbornness, lambda _: (chunk(4, 0, b""),) * 300)


async def resets_by_the_dozen(liar: Liar) -> None:
    """Chunks with many resets each, of no stream: every one is answered."""
    reset = pack("!HHLLL", 13, 16, 1, 1, 1)
    await _many(liar, 60 * liar.stubbornness, lambda _: (chunk(130, 0, reset * 40),) * 2)


ATTACKS: dict[str, Attack] = {
    made.__name__: made
    for made in (
        a_message_without_end,
        a_frame_of_a_mebibyte_and_a_half,
        a_frame_in_crumbs,
        messages_beyond_the_window,
        crumbs_with_gaps,
        a_tsn_far_ahead,
        data_without_bytes,
        fragments_of_nothing,
        messages_out_of_turn,
        interleaved_messages,
        a_stream_not_agreed,
        unordered_data,
        a_further_channel,
        an_acknowledged_channel,
        bytes_of_an_unknown_protocol,
        more_streams,
        a_reset_of_foreign_streams,
        forward_tsn,
        sack_of_what_was_not_sent,
        sack_of_wide_gaps,
        an_association_anew,
        a_kind_never_agreed,
        a_giant_heartbeat,
        heartbeats_without_end,
        heartbeats_by_the_hundred,
        resets_by_the_dozen,
    )
}


# ------------------------------------------------------------- what came of it


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attack went."""

    ended: bool  # the link, as the far end's fault
    sent_bytes: int  # by the attacker, until then
    held_bytes: int  # by the victim's SCTP, at the most
    held_chunks: int

    @property
    def withstood(self) -> bool:
        return self.ended and self.held_bytes <= MAX_HELD_BYTES and self.held_chunks <= MAX_HELD_CHUNKS


async def attack(name: str, backend: str, *, policed: bool = True) -> Outcome:
    """One attack on a fresh connection. The liar is always aiortc."""
    with unpoliced():
        liar_peer = make_peer("aiortc", LOOPBACK)
        if not policed:
            victim_peer = make_peer(backend, LOOPBACK)
    if policed:
        victim_peer = make_peer(backend, LOOPBACK)
    await liar_peer.accept(await victim_peer.answer(await liar_peer.offer()))
    victim = ChannelLink(victim_peer, key=ANNA.public, dialled=False)
    await opened(liar_peer, victim_peer)
    liar = Liar(liar_peer)
    liar.over = victim._left
    liar.stubbornness = 20 if policed else 1
    held = [(0, 0)]

    def is_over() -> bool:
        held.append(_held(victim_peer))
        return victim._over is not None

    liar.is_over = is_over
    try:
        await ATTACKS[name](liar)
        await liar.wait(60 if policed else 2)
        return Outcome(
            isinstance(victim._over, RemoteError),
            liar.sent_bytes,
            max(size for size, _ in held),
            max(chunks for _, chunks in held),
        )
    finally:
        await liar_peer.close()
        await victim.close()


def _held(peer: WebRTCPeer) -> tuple[int, int]:
    """Bytes and chunks that aiortc keeps of messages that are not whole. Of a C++ library nothing can be seen."""
    if not isinstance(peer, aiortc_backend.AiortcPeer):
        return 0, 0
    sctp: Any = peer._pc.sctp
    chunks = [c for stream in sctp._inbound_streams.values() for c in stream.reassembly]
    return sum(len(c.user_data) for c in chunks), len(chunks)
