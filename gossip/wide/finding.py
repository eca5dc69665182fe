"""Who else of our swarm is out there: provider records under the namespace, kept by DHT servers (trio side).

    publish  -- ADD_PROVIDER namespace, own PeerId and addresses --> each server, and the closest others
    look up  -- GET_PROVIDERS namespace --> each server, then those that they say are closer --> hints.py --> found

Who knows the namespace knows the swarm's rendezvous secret or was told by somebody who does; who is in it has only
written there. A record is published again when our addresses change, and every PUBLISH_S: far below any server's
time to live. The first OFTEN namespaces are looked up each time, of the older ones one in turn. Asked are the servers
that we are connected to and at most MORE that they name (closer to the key), each for ASK_S at most. Nothing of an
answer is kept here, so who is gone from the servers is gone. Why not KadDHT: kad.py.

Trouble with one server costs its answer, and a rest for it; and a member that is said to be there is no reason to look
less often before it is reached. It refuses to know who is a member: `knows` is asked.
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

from gossip.bucket import Bucket
from gossip.peer_ids import base58, peer_id_of
from gossip.peer_ids import key_of as key_of_peer
from gossip.transport.hints import Hints
from gossip.transport.road import place_by_road
from gossip.wide.addresses import MAX_ADDRESSES, NOWHERE, Near, read_address, worth_dialling, write_address
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
from ledger.errors import LocalError

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
OFTEN: Final = 2  # namespaces that each lookup asks for: where members are, and where those of yesterday are
CHANGES, CHANGE_S = 3, 30.0  # of the namespaces: at once, and one more each so long (an admin may make many)
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
        near: Near = NOWHERE,
        luck: random.Random | None = None,
    ) -> None:
        """`own`: the addresses we are reached at, circuits included; if left out, what the host says. (BasicHost takes
        the relay's PeerId out of a circuit's address and puts ours there, which names a place where nobody is.)
        """
        self._host = host
        self._learn, self._found = learn, found
        self._own = own if own is not None else lambda: [str(each) for each in host.get_addrs()]
        self._knows, self._near = knows, near
        self._luck = luck if luck is not None else random.Random()
        self._hints = Hints(knows, self._luck, trio.current_time)
        self._me: bytes = host.get_id().to_bytes()
        self._namespaces: tuple[bytes, ...] = ()
        self._publish = 0
        self._wanted: tuple[tuple[bytes, ...], int] = ((), 0)
        self._changes: Bucket | None = None
        self._servers: tuple[Any, ...] = ()
        self._resting: dict[Any, tuple[float, float]] = {}  # until when, and for how long
        self._published: tuple[object, float] | None = None
        self._wake = trio.Event()
        self._soon = True
        self.found_now = 0  # members of the last lookup to whom there is a connection: all else may be lies
        self.cost_bytes = 0  # of all questions and answers
        self.lookups = 0

    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None:
        """Look up these namespaces from now on; publish in the first if `publish`."""
        self._wanted = (namespaces, publish)
        self._wake.set()

    def _follow(self) -> None:
        """What is wanted, as soon as the pace allows."""
        now = trio.current_time()
        if self._wanted == (self._namespaces, self._publish):
            return
        if self._changes is None:
            self._changes = Bucket.full(CHANGES, 1 / CHANGE_S, now)
        if self._changes.take(1, now):
            self._namespaces, self._publish = self._wanted
            self._soon = True

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
            self._follow()
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
        shaped = [each for each in raw if read_address(each) is not None]
        return list(dict.fromkeys(shaped))[:MAX_ADDRESSES]

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
        older = self._namespaces[OFTEN:]
        in_turn = [older[self.lookups % len(older)]] if older else []
        for namespace in (*self._namespaces[:OFTEN], *in_turn):
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
        return sum(self._knows(key) and self._is_connected(ID.from_string(peer_id_of(key))) for key in told)

    def _pass_on(self, answers: list[list[Said]], told: set[bytes]) -> None:
        """`told`: whom this lookup has named. Where a member is said to be is learned again with each answer."""
        for said in mixed(answers, self._luck):
            hint = read_hint(said, self._near)
            if said.id == self._me or hint is None:
                continue
            key, addresses = hint
            is_news = key not in told and self._hints.is_news(key, place_by_road(key))
            if is_news or self._knows(key):
                told.add(key)
                self._learn(key, addresses)
            if is_news:
                self._found(key)

    def _is_connected(self, peer: Any) -> bool:
        return bool(self._host.get_network().get_connections(peer))

    def _is_member(self, peer: Any) -> bool:
        try:
            return self._knows(key_of_peer(str(peer)))
        except LocalError:
            return False

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
        """Servers that another named: connected to for the question, in one round. Members are none, and a connection
        to one that somebody calls a server is not ours to end."""
        targets = []
        for said in named:
            places = worth_dialling(said.addresses, base58(said.id), self._near)
            direct = [each for each in places if "/p2p-circuit" not in each]
            if direct and said.id != self._me and not self._is_member(base58(said.id)):
                targets.append((ID(said.id), direct))
            if len(targets) == MORE:
                break
        visits = dict(targets)

        async def visit(server: Any) -> list[Said]:
            known = self._is_connected(server)
            try:
                with trio.fail_after(VISIT_S):
                    await self._host.connect(PeerInfo(server, [Multiaddr(each) for each in visits[server]]))
                await do(server)
            except Exception as error:  # of a server that a stranger named: whatever it is, it is theirs
                _log.debug("a DHT server that another named: %s", error)
                self._rest(server)
            finally:
                if not known and not self._is_member(server) and not self._is_used(server):
                    with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                        await self._host.disconnect(server)
            return []

        await self._of_all(visits, visit, asked)

    def _is_used(self, server: Any) -> bool:
        """Whether something else goes over a connection to it by now: a circuit, say, if it is a relay, too."""
        return any(conn.get_streams() for conn in self._host.get_network().get_connections(server))

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
