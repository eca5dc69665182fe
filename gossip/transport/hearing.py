"""What is heard on mDNS: the records of our service, out of everything that anybody sends.

    socket --> Ear --> questions about our service --> zeroconf, which answers for us
                |----> answers that mention the service --> whole records --> `hears`
                `----> everything else is dropped, unread

zeroconf keeps what it hears: records of all kinds, for an hour and longer, up to 10,000, each as large as its sender
likes, and questions that come in parts. So it sees questions only, QUESTIONS at once and QUESTIONS_PER_S. Answers
are read here and forgotten: a peer says all about itself in one datagram (PTR, SRV, TXT and A). What costs time is what
must be parsed; so a caller names a `mark`, bytes without which a datagram cannot be of interest.

It refuses to know swarms and keys, and decides nothing about what it heard (hints.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from zeroconf import (  # type: ignore[attr-defined]  # documented, and not in its __all__
    DNSAddress,
    DNSIncoming,
    DNSOutgoing,
    DNSQuestion,
    DNSService,
    DNSText,
    Error,
    IPVersion,
    ServiceInfo,
)
from zeroconf.asyncio import AsyncZeroconf

from ledger.errors import LinkError, LocalError

SERVICE: Final = "_gossip._tcp.local."
MAX_DATAGRAM_BYTES: Final = 1_500  # what our own records fill a quarter of
MAX_RECORDS: Final = 64  # in one datagram; a peer that shouts six things has 28
QUESTIONS, QUESTIONS_PER_S = 64, 20.0  # answered; a peer asks five times as it starts, then once a minute
FIRST_QUESTION_S: Final = (0.02, 0.12)
NEXT_QUESTIONS_S: Final = (1.0, 2.0, 4.0)
LATER_QUESTIONS_S: Final = 60.0
_LABEL: Final = b"\x07_gossip\x04_tcp\x05local"
_PTR, _IN, _ANSWER, _IN_PARTS = 12, 1, 0x80, 0x02

Hears = Callable[[ServiceInfo], None]


class Ear(asyncio.DatagramProtocol):
    """Stands before zeroconf's own protocol on one socket."""

    def __init__(self, behind: Any, mark: bytes, hears: Hears, pace: Pace) -> None:
        self._behind = behind
        self._mark = mark
        self._hears = hears
        self._pace = pace

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not 12 < len(data) <= MAX_DATAGRAM_BYTES:
            return
        if data[2] & _ANSWER:
            if self._mark in data:
                for info in read_datagram(data):
                    self._hears(info)
        elif not data[2] & _IN_PARTS and _LABEL in data.lower() and self._pace.take():
            self._behind.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._behind.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._behind.connection_lost(exc)


class Pace:
    """So many at once, and so many a second ever after."""

    def __init__(self, at_once: int, per_s: float, clock: Callable[[], float]) -> None:
        self._most, self._per_s, self._clock = float(at_once), per_s, clock
        self._left, self._then = float(at_once), clock()

    def take(self) -> bool:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._then) * self._per_s)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def read_datagram(data: bytes) -> list[ServiceInfo]:
    """The whole records of our service in an answer; nothing for what is malformed, too much, or says goodbye."""
    message = DNSIncoming(data)
    answers = message.answers() if message.valid else []
    if len(answers) > MAX_RECORDS:
        return []
    texts = {record.key: record.text for record in answers if isinstance(record, DNSText)}
    places: dict[str, list[bytes]] = {}
    for record in answers:
        if isinstance(record, DNSAddress) and len(record.address) == 4:
            places.setdefault(record.key, []).append(record.address)
    infos = []
    for record in answers:
        if not isinstance(record, DNSService) or not record.ttl or not record.key.endswith("." + SERVICE):
            continue
        if record.key in texts and record.server_key in places:
            with suppress(Error):  # a name that is none
                infos.append(
                    ServiceInfo(
                        SERVICE, record.name, port=record.port, server=record.server,
                        properties=texts[record.key], addresses=places[record.server_key],
                    )
                )  # fmt: skip
    return infos


async def listen(addresses: Sequence[str], mark: bytes, hears: Hears) -> AsyncZeroconf:
    """zeroconf on these addresses, answering questions, with our ears on. LinkError: there is no mDNS here."""
    zeroconf = None
    try:
        zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=IPVersion.V4Only)
        await zeroconf.zeroconf.async_wait_for_start()
    except OSError as error:
        if zeroconf is not None:
            await zeroconf.async_close()
        raise LinkError(
            f"mDNS does not work on {', '.join(addresses)}",
            why=error.strerror or str(error),
            next_step="name the other peer with --address HOST:PORT",
        ) from error
    pace = Pace(QUESTIONS, QUESTIONS_PER_S, asyncio.get_running_loop().time)
    try:
        for reader in zeroconf.zeroconf.engine.readers:
            reader.transport.set_protocol(Ear(reader.transport.get_protocol(), mark, hears, pace))
    except AttributeError as error:
        await zeroconf.async_close()
        raise LocalError(
            "this release of zeroconf is not known to us", why=str(error), next_step="install zeroconf 0.154"
        ) from error
    return zeroconf


async def keep_asking(zeroconf: AsyncZeroconf) -> None:
    """Ask who is here: soon, a few times more, and then once a minute, until cancelled."""
    for pause in (random.uniform(*FIRST_QUESTION_S), *NEXT_QUESTIONS_S):
        await asyncio.sleep(pause)
        _ask(zeroconf)
    while True:
        await asyncio.sleep(LATER_QUESTIONS_S)
        _ask(zeroconf)


def _ask(zeroconf: AsyncZeroconf) -> None:
    question = DNSOutgoing(0)
    question.add_question(DNSQuestion(SERVICE, _PTR, _IN))  # answered by multicast: several processes share the port
    zeroconf.zeroconf.async_send(question)


__all__ = ["SERVICE", "Ear", "Pace", "keep_asking", "listen", "read_datagram"]
