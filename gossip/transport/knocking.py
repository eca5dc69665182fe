"""How a joiner finds the door: by the number of a code, or by the name of an open swarm; and what it then asks.

    mDNS, or --address --> candidates --> exchange (code.py, card.py) --> a ticket, verified

What is found is a hint: several may shout one number. Each candidate is asked once, MAX_KNOCKS at most, since each
that is evil has one guess at the words. It looks on the interface that the user named, and nowhere else. LocalError
tells the person what was tried. It refuses to know swarms, keys and stores.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from zeroconf import DNSQuestionType, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from gossip.transport import card as cards
from gossip.transport.code import ASK_PATH, CONFIRM_PATH, Asking, Code, Luck
from gossip.transport.discovery import LOOKUP_MS, MAX_CANDIDATES, MAX_LOOKUPS, SERVICE, read_shout
from gossip.transport.signalling import Unheard, exchange
from gossip.transport.tickets import Ticket
from ledger.errors import LinkError, LocalError, RemoteError

MAX_KNOCKS: Final = 4  # with one code: evil answers have 4 guesses of 65,536 together
MAX_NAMES: Final = 4_096  # records looked at in one search
SEARCH_S: Final = 8.0  # mDNS answers within two seconds

Place = tuple[str, int]


async def by_code(
    code: Code, addresses: Sequence[str], places: Sequence[Place] = (), *,
    search_s: float = SEARCH_S, luck: Luck = os.urandom,
) -> Ticket:  # fmt: skip
    """The ticket that a code stands for. `addresses` are this machine's, to look from; with `places` nobody looks."""
    failed: list[str] = []
    async with aclosing(_places(places, ("code", str(code.number)), addresses, search_s)) as found:
        async for host, port in found:
            try:
                return await _knock(code, host, port, luck)
            except Unheard:
                failed.append(f"{host}:{port} does not take this code")
            except (LinkError, RemoteError) as error:
                failed.append(f"{host}:{port}: {error}")
            if len(failed) >= MAX_KNOCKS:
                break
    if failed:
        raise LocalError(
            "nobody took this code", why="; ".join(failed),
            next_step="check each word: three wrong tries burn a code, and it is good for minutes only",
        )  # fmt: skip
    raise LocalError(
        f"nobody here has code number {code.number} open", why=f"looked from {', '.join(addresses)}",
        next_step="check the number and --interface, or name the inviting peer with --address HOST:PORT",
    )  # fmt: skip


async def by_name(
    name: str, addresses: Sequence[str], places: Sequence[Place] = (), *, search_s: float = SEARCH_S
) -> Ticket:
    """The card of an open swarm that somebody near calls so."""
    failed: list[str] = []
    async with aclosing(_places(places, ("open", name), addresses, search_s)) as found:
        async for host, port in found:
            try:
                text = cards.read(await exchange(host, port, cards.ask(name), cards.PATH))
                return _verified(text)
            except (LinkError, RemoteError) as error:
                failed.append(f"{host}:{port}: {error}")
            if len(failed) >= MAX_KNOCKS:
                break
    raise LocalError(
        f"no open swarm called {name!r} was found", why="; ".join(failed) or f"looked from {', '.join(addresses)}",
        next_step="check the name and --interface, or name a peer of it with --address HOST:PORT",
    )  # fmt: skip


async def _knock(code: Code, host: str, port: int, luck: Luck) -> Ticket:
    asking = Asking(code, luck)
    answer = await exchange(host, port, asking.ask(), ASK_PATH)
    return _verified(asking.open(await exchange(host, port, asking.confirm(answer), CONFIRM_PATH)))


def _verified(text: str) -> Ticket:
    """A ticket from the network: what is wrong with it is the sender's fault."""
    try:
        return Ticket.parse(text, time.time())
    except LocalError as error:
        raise RemoteError("an invite that is none", why=str(error)) from error


async def _places(
    places: Sequence[Place], said: tuple[str, str], addresses: Sequence[str], search_s: float
) -> AsyncGenerator[Place]:
    """The places named, or else whoever shouts that, each once, until `search_s` is over."""
    if places:
        for place in places:
            yield place
        return
    async with aclosing(find_shouts(said, addresses, search_s)) as found:
        async for place in found:
            yield place


async def find_shouts(said: tuple[str, str], addresses: Sequence[str], search_s: float) -> AsyncGenerator[Place]:
    """Whoever says ("code", number) or ("open", name) by mDNS, as they are found. LinkError: there is no mDNS here."""
    try:
        zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=IPVersion.V4Only)
        await zeroconf.zeroconf.async_wait_for_start()
    except OSError as error:
        raise LinkError(
            f"mDNS does not work on {', '.join(addresses)}", why=error.strerror or str(error),
            next_step="name the other peer with --address HOST:PORT",
        ) from error  # fmt: skip
    ear, end, told = _Ear(said, addresses), asyncio.get_running_loop().time() + search_s, set[Place]()
    try:
        AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[ear.changed], question_type=DNSQuestionType.QM)
        while len(told) < MAX_KNOCKS:
            try:
                async with asyncio.timeout_at(end):  # of this wait only: what is done with a place takes its own time
                    place = await ear.heard.get()
            except TimeoutError:
                return
            if place not in told:
                told.add(place)
                yield place
    finally:
        await ear.close()
        await zeroconf.async_close()


class _Ear:
    """Picks the records that say one thing out of all that is said. The others are many, and may be nobody's: those
    that came whole are read at once, MAX_LOOKUPS of the rest are asked about at a time."""

    def __init__(self, said: tuple[str, str], addresses: Sequence[str]) -> None:
        self.heard: asyncio.Queue[Place] = asyncio.Queue(MAX_CANDIDATES)
        self._said, self._addresses = said, addresses
        self._names = 0
        self._lookups: set[asyncio.Task[None]] = set()

    def changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Added or self._names >= MAX_NAMES:
            return
        self._names += 1
        info = AsyncServiceInfo(SERVICE, name)
        if info.load_from_cache(zeroconf):
            self._read(info)
        elif len(self._lookups) < MAX_LOOKUPS:
            task = asyncio.create_task(self._ask(zeroconf, info))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def _ask(self, zeroconf: Zeroconf, info: AsyncServiceInfo) -> None:
        if await info.async_request(zeroconf, LOOKUP_MS, question_type=DNSQuestionType.QM):
            self._read(info)

    def _read(self, info: AsyncServiceInfo) -> None:
        place = read_shout(info, self._said, self._addresses)
        if place is not None and not self.heard.full():
            self.heard.put_nowait(place)

    async def close(self) -> None:
        lookups = list(self._lookups)
        for task in lookups:
            task.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
