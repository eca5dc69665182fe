"""What a relay answers over /ipfs/kad/1.0.0: who provides a key, and nothing about anybody else (trio side).

A server of one community knows no other servers, and names nobody as closer; values are refused, for nobody here needs
them. A record is taken of its sender only. Why not KadDHT in its server mode: twelve streams that say nothing block it
for everybody, its records are bounded per key and never in all, the first 20 providers of a key keep their places for
48 hours, and it puts all addresses that it is told into the peerstore.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Final

import trio
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

from gossip.wide.crowds import network_of
from gossip.wide.kad import (
    ADD_PROVIDER,
    FIND_NODE,
    GET_PROVIDERS,
    MAX_ASKED,
    MAX_KEY_BYTES,
    PING,
    PROTOCOL,
    Message,
    read_message,
    write_message,
)
from gossip.wide.records import Records
from ledger.errors import RemoteError

_log = logging.getLogger("gossip.wide")

STREAMS: Final = 128
STREAMS_OF_PEER: Final = 4
SILENT_S: Final = 20.0  # a stream on which nothing comes
QUESTIONS: Final = 32  # on one stream


def address_of(stream: Any) -> str:
    """The network address at the other end, of IPv6 its /64; "" if nobody knows."""
    remote = stream.get_remote_address()
    return network_of(str(remote[0])) if remote else ""


class DhtServer:
    """Answers on a host, as long as it stays."""

    def __init__(self, host: Any, records: Records) -> None:
        self._host, self._records = host, records
        self._open: Counter[bytes] = Counter()
        self.asked = 0
        host.set_stream_handler(PROTOCOL, self._came)

    async def _came(self, stream: Any) -> None:
        peer: bytes = stream.muxed_conn.peer_id.to_bytes()
        if self._open.total() >= STREAMS or self._open[peer] >= STREAMS_OF_PEER:
            await stream.reset()
            return
        self._open[peer] += 1
        try:
            for _ in range(QUESTIONS):
                with trio.fail_after(SILENT_S):
                    asked = read_message(await read_varint_prefixed_bytes_limited(stream, MAX_ASKED))
                    answer = self._answer(peer, address_of(stream), asked)
                    await stream.write(encode_varint_prefixed(write_message(answer)))
            await stream.close()
        except Exception as error:  # of a stranger: whatever it is, it is theirs
            _log.debug("a question to the DHT: %s", error)
            with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                await stream.reset()
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]

    def _answer(self, peer: bytes, address: str, asked: Message) -> Message:
        self.asked += 1
        if asked.kind in (ADD_PROVIDER, GET_PROVIDERS, FIND_NODE) and not 0 < len(asked.key) <= MAX_KEY_BYTES:
            raise RemoteError("a question without a key, or with a long one")
        now = trio.current_time()
        if asked.kind == ADD_PROVIDER:
            for said in asked.providers[:1]:
                if said.id == peer:
                    self._records.add(asked.key, said, address, now)
            return Message(ADD_PROVIDER, asked.key)
        if asked.kind == GET_PROVIDERS:
            return Message(GET_PROVIDERS, asked.key, providers=tuple(self._records.get(asked.key, now)))
        if asked.kind in (FIND_NODE, PING):
            return Message(asked.kind)
        raise RemoteError("a question that is not answered here")
