"""Who else of our swarm is out there: provider records under the namespace, kept by DHT servers (trio side).

    publish  -- ADD_PROVIDER namespace, own PeerId and addresses --> each server, and the closest others
    look up  -- GET_PROVIDERS namespace --> each server, then those that they say are closer --> hints.py --> found

Who knows the namespace knows the swarm's rendezvous secret or was told by somebody who does; who is in it has only
written there. A record is published again when our addresses change, and every PUBLISH_S: far below any server's
time to live. Asked are the servers we are connected to and at most MORE that they name (closer to the key), each for
ASK_S at most. Nothing of an answer is kept here, so who is gone from the servers is gone. Why not KadDHT: kad.py.

Trouble with one server costs its answer, and a rest for it. It refuses to know who is a member: `knows` is asked.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

import trio
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from gossip.transport.hints import Hints
from gossip.transport.road import place_by_road
from gossip.wide.addresses import MAX_ADDRESSES, base58, worth_dialling, write_address
from gossip.wide.hints import FIRST_S, mixed, pause, read_hint
from gossip.wide.kad import (
    ADD_PROVIDER,
    GET_PROVIDERS,
    MAX_ANSWER,
    PROTOCOL,
    Message,
    Said,
    closest,
    key_of,
    read_providers,
    write_message,
)

_log = logging.getLogger("gossip.wide")

PUBLISH_S: Final = 600.0
LOOK_S: Final = 2.0  # between two looks at our own addresses, when nobody says that they changed
ASK_S: Final = 8.0  # one question to one server, its stream included
SLOW_S: Final = 1.0  # after which what others answered is passed on, while one still thinks
VISIT_S: Final = 5.0  # a connection to a server that another named
MORE: Final = 8  # servers a lookup or a publication asks besides those that are configured
AT_ONCE: Final = 4
REST_S: Final = (30.0, 600.0)  # of a server that did not answer, doubling
MAX_SERVERS: Final = 16
STREAM_BYTES: Final = 740  # measured, both ways: what a stream costs besides the question and the answer


class Finding:
    """Publishes where we are, and looks up who else is there, until it is cancelled."""

    def __init__(
        self,
        host: Any,
        learn: Callable[[bytes, list[str]], None],
        found: Callable[[bytes], None],
        *,
        own: Callable[[], list[str]] | None = None,
        knows: Callable[[bytes], bool] = lambda key: False,
        loopback: bool = False,
        luck: random.Random | None = None,
    ) -> None:
        """`own`: the addresses we are reached at, circuits included; if left out, what the host says. (BasicHost takes
        the relay's PeerId out of a circuit's address and puts ours there, which names a place where nobody is.)
        """
        self._host = host
        self._learn, self._found = learn, found
        self._own = own if own is not None else lambda: [str(each) for each in host.get_addrs()]
        self._knows, self._loopback = knows, loopback
        self._luck = luck if luck is not None else random.Random()
        self._hints = Hints(knows, self._luck, trio.current_time)
        self._me: bytes = host.get_id().to_bytes()
        self._namespaces: tuple[bytes, ...] = ()
        self._publish = 0
        self._servers: tuple[Any, ...] = ()
        self._resting: dict[Any, tuple[float, float]] = {}  # until when, and for how long
        self._published: tuple[object, float] | None = None
        self._wake = trio.Event()
        self._soon = True
        self.found_now = 0  # members in the last lookup: strangers may all be lies, and do not make us look less
        self.cost_bytes = 0  # of all questions and answers
        self.lookups = 0

    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None:
        """Look up these namespaces from now on; publish in the first if `publish`."""
        if (namespaces, publish) != (self._namespaces, self._publish):
            self._namespaces, self._publish = namespaces, publish
            self._hurry()

    def servers(self, peer_ids: Iterable[Any]) -> None:
        """The bootstraps and relays that we are connected to now; some may be DHT servers."""
        servers = tuple(list(peer_ids)[:MAX_SERVERS])
        if set(servers) - set(self._servers):
            self._resting = {each: rest for each, rest in self._resting.items() if each in self._servers}
            self._published = None  # one that was away may have forgotten us
            self._hurry()
        self._servers = servers

    def moved(self) -> None:
        """Our addresses have changed."""
        self._wake.set()

    def _hurry(self) -> None:
        self._soon = True
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Errors of servers stay here."""
        tries, next_at = 0, 0.0
        while True:
            self._wake = trio.Event()
            if self._soon:
                self._soon, tries = False, 0
                next_at = trio.current_time() + self._luck.uniform(0.5, 1.0) * FIRST_S
            now = trio.current_time()
            if self._servers and self._namespaces:
                await self._publish_if_due()
                if now >= next_at:
                    before = self.cost_bytes
                    self.found_now = await self._look_up()
                    tries = 0 if self.found_now else tries + 1
                    wait = pause(tries - 1, self.found_now > 0, self.cost_bytes - before, self._luck)
                    next_at = trio.current_time() + wait
            with trio.move_on_after(max(0.05, min(LOOK_S, next_at - trio.current_time()))):
                await self._wake.wait()

    # ------------------------------------------------------------------ publishing

    def _addresses(self) -> list[bytes]:
        raw = []
        for text in self._own():
            try:
                raw.append(write_address(text))
            except ValueError:
                continue  # a transport that we do not dial
        me = base58(self._me)
        return [write_address(text) for text in worth_dialling(raw, me, self._loopback)][:MAX_ADDRESSES]

    async def _publish_if_due(self) -> None:
        addresses = self._addresses() if self._publish else []
        if not addresses:  # servers refuse records without; they come with a reservation
            return
        what = (self._namespaces[0], tuple(sorted(addresses)), frozenset(self._servers))
        now = trio.current_time()
        if self._published is not None and self._published[0] == what and now - self._published[1] < PUBLISH_S:
            return
        self._published = (what, now)
        key = key_of(self._namespaces[0])
        record = Message(ADD_PROVIDER, key, providers=(Said(self._me, tuple(addresses)),))
        asked: list[bytes] = []

        async def give(server: Any) -> list[Said]:
            await self._ask(server, record, answered=False)
            return []

        closer = await self._of_all(self._servers, lambda server: self._closer(server, key), asked)
        await self._of_all(self._servers, give, [])
        await self._visit(closest(key, closer, asked), give, [])

    async def _closer(self, server: Any, key: bytes) -> list[Said]:
        answer = await self._ask(server, Message(GET_PROVIDERS, key))
        return list(answer.closer) if answer is not None else []

    # ------------------------------------------------------------------ looking up

    async def _look_up(self) -> int:
        self.lookups += 1
        told: set[bytes] = set()
        for namespace in self._namespaces[:2]:
            key = key_of(namespace)
            answers: list[list[Said]] = []

            async def ask(server: Any, key: bytes = key, answers: list[list[Said]] = answers) -> list[Said]:
                answer = await self._ask(server, Message(GET_PROVIDERS, key))
                if answer is None:
                    return []
                answers.append(list(answer.providers))
                return list(answer.closer)

            async def meanwhile(answers: list[list[Said]] = answers) -> None:
                await trio.sleep(SLOW_S)
                self._pass_on(answers, told)

            asked: list[bytes] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(meanwhile)
                closer = await self._of_all(self._servers, ask, asked)
                await self._visit(closest(key, closer, asked), ask, asked)
                nursery.cancel_scope.cancel()
            self._pass_on(answers, told)
        return sum(map(self._knows, told))

    def _pass_on(self, answers: list[list[Said]], told: set[bytes]) -> None:
        for said in mixed(answers, self._luck):
            hint = read_hint(said, self._loopback)
            if said.id == self._me or hint is None or hint[0] in told:
                continue
            if self._hints.is_news(hint[0], place_by_road(hint[0])):
                told.add(hint[0])
                self._learn(*hint)
                self._found(hint[0])

    # ------------------------------------------------------------------ servers

    async def _of_all(self, servers: Iterable[Any], do: Callable[[Any], Any], asked: list[bytes]) -> list[Said]:
        """What each of the servers is asked; those that rest are left alone."""
        results: list[Said] = []
        limit = trio.CapacityLimiter(AT_ONCE)

        async def one(server: Any) -> None:
            async with limit:
                results.extend(await do(server))

        async with trio.open_nursery() as nursery:
            for server in servers:
                if self._resting.get(server, (0.0, 0.0))[0] <= trio.current_time():
                    asked.append(server.to_bytes())
                    nursery.start_soon(one, server)
        return results

    async def _visit(self, named: list[Said], do: Callable[[Any], Any], asked: list[bytes]) -> None:
        """Servers that another named: connected to for the question, in one round."""
        targets = []
        for said in named:
            places = worth_dialling(said.addresses, base58(said.id), self._loopback)
            direct = [each for each in places if "/p2p-circuit" not in each]
            if direct and said.id != self._me:
                targets.append((ID(said.id), direct))
            if len(targets) == MORE:
                break
        visits = dict(targets)

        async def visit(server: Any) -> list[Said]:
            known = bool(self._host.get_network().get_connections(server))
            try:
                with trio.fail_after(VISIT_S):
                    await self._host.connect(PeerInfo(server, [Multiaddr(each) for each in visits[server]]))
                await do(server)
            except Exception as error:  # of a server that a stranger named: whatever it is, it is theirs
                _log.debug("a DHT server that another named: %s", error)
                self._rest(server)
            finally:
                if not known:
                    with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                        await self._host.disconnect(server)
            return []

        await self._of_all(visits, visit, asked)

    def _rest(self, server: Any) -> None:
        seconds = min(self._resting.get(server, (0.0, REST_S[0] / 2))[1] * 2, REST_S[1])
        if server not in self._servers and len(self._resting) >= 4 * MAX_SERVERS:
            self._resting.pop(next(iter(self._resting)))
        self._resting[server] = (trio.current_time() + seconds, seconds)

    async def _ask(self, server: Any, question: Message, answered: bool = True) -> Message | None:
        """One question on one stream. None: no answer, or none that is one; then the server rests."""
        body = encode_varint_prefixed(write_message(question))
        self.cost_bytes += len(body) + STREAM_BYTES
        stream = None
        try:
            with trio.fail_after(ASK_S):
                stream = await self._host.new_stream(server, [PROTOCOL])
                await stream.write(body)
                if not answered:  # go-libp2p says nothing to a record
                    return None
                data = await read_varint_prefixed_bytes_limited(stream, MAX_ANSWER)
            self.cost_bytes += len(data)
            answer = read_providers(data, question.key)
        except Exception as error:  # of a stranger: whatever it is, it is theirs
            _log.debug("a DHT server did not answer: %s", error)
            self._rest(server)
            return None
        finally:
            if stream is not None:
                with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                    await stream.close()
        self._resting.pop(server, None)
        return answer
