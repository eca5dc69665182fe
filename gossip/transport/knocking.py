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

from zeroconf import ServiceInfo

from gossip.transport import card as cards
from gossip.transport.code import ASK_PATH, CONFIRM_PATH, Asking, Code, Luck
from gossip.transport.discovery import read_shout
from gossip.transport.hearing import keep_asking, listen
from gossip.transport.signalling import Unheard, exchange
from gossip.transport.tickets import Ticket
from ledger.errors import LinkError, LocalError, RemoteError

MAX_KNOCKS: Final = 4  # with one code: evil answers have 4 guesses of 65,536 together
MAX_HEARD: Final = 256  # places that wait to be asked
_OVER: Final = "it may be used, burnt or over: ask for a new one"
SEARCH_S: Final = 8.0  # mDNS answers within two seconds

Place = tuple[str, int]


async def by_code(
    code: Code, addresses: Sequence[str], places: Sequence[Place] = (), *,
    search_s: float = SEARCH_S, luck: Luck = os.urandom,
) -> Ticket:  # fmt: skip
    """The ticket that a code stands for. `addresses` are this machine's, to look from; with `places` nobody looks."""
    failed: list[str] = []
    answered = False
    async with aclosing(_places(places, ("code", str(code.number)), addresses, search_s)) as found:
        async for host, port in found:
            try:
                return await _knock(code, host, port, luck)
            except Unheard:
                answered = True
                failed.append(f"{host}:{port} does not take this code")
            except (LinkError, RemoteError) as error:
                answered |= isinstance(error, RemoteError)
                failed.append(_said(error, host, port))
            if len(failed) >= MAX_KNOCKS:
                break
    if failed and not answered:
        raise LocalError(
            "nobody could be asked", why="; ".join(failed),
            next_step="check that the inviting peer runs, and its address; the code is as good as before",
        )  # fmt: skip
    if failed:
        raise LocalError(
            "nobody took this code", why="; ".join(failed),
            next_step=f"check each word (three wrong tries burn a code); {_OVER}",
        )  # fmt: skip
    raise LocalError(
        f"nobody here has code number {code.number} open", why=f"looked from {', '.join(addresses)}",
        next_step=f"check the number and --interface, or name the inviting peer with --address HOST:PORT; {_OVER}; on "
        "another network ask for a ticket: gossip invite --ticket",
    )  # fmt: skip


async def by_name(
    name: str, addresses: Sequence[str], places: Sequence[Place] = (), *, search_s: float = SEARCH_S
) -> Ticket:
    """The card of an open swarm that somebody near calls so."""
    failed: list[str] = []
    async with aclosing(_places(places, ("open", cards.called(name)), addresses, search_s)) as found:
        async for host, port in found:
            try:
                text = cards.read(await exchange(host, port, cards.ask(name), cards.PATH))
                return _verified(text)
            except (LinkError, RemoteError) as error:
                failed.append(_said(error, host, port))
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


def _said(error: LinkError | RemoteError, host: str, port: int) -> str:
    """What happened and why, with the place once. What to do next is said once for all."""
    text = f"{error.what}: {error.why}" if error.why else error.what
    return text if f"{host}:{port}" in text else f"{host}:{port}: {text}"


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
    heard: asyncio.Queue[Place] = asyncio.Queue(MAX_HEARD)

    def hear(info: ServiceInfo) -> None:
        place = read_shout(info, said, addresses)
        if place is not None and not heard.full():
            heard.put_nowait(place)

    zeroconf = await listen(addresses, "=".join(said).encode(), hear)
    asking = asyncio.create_task(keep_asking(zeroconf))
    end, told = asyncio.get_running_loop().time() + search_s, set[Place]()
    try:
        while len(told) < MAX_KNOCKS:
            try:
                async with asyncio.timeout_at(end):  # of this wait only: what is done with a place takes its own time
                    place = await heard.get()
            except TimeoutError:
                return
            if place not in told:
                told.add(place)
                yield place
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await zeroconf.async_close()
