"""What is heard on mDNS: the records of our service, out of everything that anybody sends.

    socket --> Ear --> the question that we ask --> Turns --> zeroconf, which answers for us, to all
                |----> answers that mention the service --> whole records --> `hears`
                `----> everything else is dropped, unread

zeroconf keeps what it hears: records of all kinds, for an hour and longer, up to 10,000, each as large as its sender
likes, and questions that come in parts. So it sees one question only, byte for byte the one in QUESTION, which has no
name to make up, no answer that is known already and no wish to be answered alone. It is answered by multicast, once
in ANSWER_S however many ask it: one answer serves all of them, and junk has no share in it. Answers
are read here and forgotten: a peer says all about itself in one datagram (PTR, SRV, TXT and A). What costs time is what
must be parsed; so a caller names a `mark`, bytes without which a datagram cannot be of interest, and of one datagram
so many records are made.

It refuses to know swarms and keys, and decides nothing about what it heard (hints.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
    NotRunningException,
    ServiceInfo,
)
from zeroconf.asyncio import AsyncZeroconf

from ledger.errors import LinkError, LocalError

SERVICE: Final = "_gossip._tcp.local."
MAX_DATAGRAM_BYTES: Final = 1_500  # what our own records fill a quarter of
MAX_RECORDS: Final = 64  # in one datagram; a peer that shouts six things has 28
MAX_PLACES: Final = 8  # made of one datagram: each of one name, with as many addresses at most; 1.5 kB hold ten of ours
ANSWER_S: Final = 1.05  # between two answers; zeroconf takes an equal datagram within a second for an echo
FIRST_QUESTION_S: Final = (0.02, 0.12)
NEXT_QUESTIONS_S: Final = (1.0, 2.0, 4.0)
LATER_QUESTIONS_S: Final = 60.0
_PTR, _IN, _ANSWER, _PORT = 12, 1, 0x80, 5353
QUESTION: Final = b"\0\0\0\0\0\1\0\0\0\0\0\0" + b"\x07_gossip\x04_tcp\x05local\0" + bytes((0, _PTR, 0, _IN))

Hears = Callable[[ServiceInfo], None]


class Ear(asyncio.DatagramProtocol):
    """Stands before zeroconf's own protocol on one socket."""

    def __init__(self, behind: Any, mark: bytes, hears: Hears, turns: Turns) -> None:
        self._behind = behind
        self._mark = mark
        self._hears = hears
        self._turns = turns
        self._is_over = False

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data == QUESTION:
            self._turns.ask(lambda: self._asked(addr))
        elif 12 < len(data) <= MAX_DATAGRAM_BYTES and data[2] & _ANSWER and self._mark in data:
            for info in read_datagram(data, self._mark):
                self._hears(info)

    def error_received(self, exc: Exception) -> None:
        self._behind.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._behind.connection_lost(exc)

    def _asked(self, addr: tuple[Any, ...]) -> None:
        if not self._is_over:  # from the port of mDNS, whatever it came from: else zeroconf would answer that one alone
            self._behind.datagram_received(QUESTION, (addr[0], _PORT, *addr[2:]))


class Turns:
    """One question passes every ANSWER_S; those that come meanwhile pass together, as one, when the time is over."""

    def __init__(self, clock: Callable[[], float], later: Callable[[float, Callable[[], None]], object]) -> None:
        self._clock, self._later = clock, later
        self._next = 0.0
        self._is_asked = False

    def ask(self, answer: Callable[[], None]) -> None:
        if self._is_asked:
            return
        wait = self._next - self._clock()
        if wait > 0:
            self._is_asked = True
            self._later(wait, lambda: self._pass(answer))
        else:
            self._pass(answer)

    def _pass(self, answer: Callable[[], None]) -> None:
        self._is_asked = False
        self._next = self._clock() + ANSWER_S
        answer()


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


def read_datagram(data: bytes, mark: bytes = b"") -> list[ServiceInfo]:
    """The whole records of our service in an answer, those whose text has the mark, MAX_PLACES at most.

    Nothing for what is malformed, too much, or says goodbye.
    """
    message = DNSIncoming(data)
    answers = message.answers() if message.valid else []
    if len(answers) > MAX_RECORDS:
        return []
    texts = {record.key: record.text for record in answers if isinstance(record, DNSText) and mark in record.text}
    hosts: dict[str, list[bytes]] = {}
    for record in answers:
        if isinstance(record, DNSAddress) and len(record.address) == 4:
            known = hosts.setdefault(record.key, [])
            if len(known) < MAX_PLACES and record.address not in known:
                known.append(record.address)
    places: dict[str, DNSService] = {}
    for record in answers:
        if (
            isinstance(record, DNSService) and record.ttl and record.key.endswith("." + SERVICE)
            and record.key in texts and record.server_key in hosts
        ):  # fmt: skip
            places.setdefault(record.key, record)
    infos = []
    for record in list(places.values())[:MAX_PLACES]:
        with suppress(Error):  # a name that is none
            infos.append(
                ServiceInfo(
                    SERVICE, record.name, port=record.port, server=record.server,
                    properties=texts[record.key], addresses=hosts[record.server_key],
                )
            )  # fmt: skip
    return infos


async def listen(addresses: Sequence[str], mark: bytes, hears: Hears) -> AsyncZeroconf:
    """zeroconf on these addresses, answering questions, with our ears on. LinkError: there is no mDNS here."""
    zeroconf = None
    try:
        zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=IPVersion.V4Only)
        await zeroconf.zeroconf.async_wait_for_start()
    except NotRunningException as error:  # not within its nine seconds: the machine had no time for it
        assert zeroconf is not None
        await zeroconf.async_close()
        raise _not_running() from error
    except OSError as error:
        if zeroconf is not None:
            await zeroconf.async_close()
        raise LinkError(
            f"mDNS does not work on {', '.join(addresses)}",
            why=error.strerror or str(error),
            next_step="name the other peer with --address HOST:PORT",
        ) from error
    loop = asyncio.get_running_loop()
    turns = Turns(loop.time, loop.call_later)
    try:
        for reader in zeroconf.zeroconf.engine.readers:
            reader.transport.set_protocol(Ear(reader.transport.get_protocol(), mark, hears, turns))
    except AttributeError as error:
        await zeroconf.async_close()
        raise LocalError(
            "this release of zeroconf is not known to us", why=str(error), next_step="install zeroconf 0.154"
        ) from error
    return zeroconf


@contextmanager
def while_it_runs() -> Iterator[None]:
    """LinkError for what is asked of a zeroconf that was closed meanwhile: the machine slept, or moved."""
    try:
        yield
    except NotRunningException as error:
        raise _not_running() from error


def _not_running() -> LinkError:
    return LinkError("mDNS does not work for now", why="it was closed, or this machine had no time for it")


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


__all__ = ["QUESTION", "SERVICE", "Ear", "Pace", "Turns", "keep_asking", "listen", "read_datagram"]
