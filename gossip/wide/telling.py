"""Announcements among members: py-libp2p's GossipSub, kept away from everybody else (trio side).

    announce -> announcing.Outbox -> publish -> members that are connected -> ... -> announcing.Inbox -> heard

The topic is told in a hello to everybody that GossipSub has a stream with; so it gets streams with members only, both
ways, and loses them when one is put out. Its scoring is on: of nobody but a member the application's score is OUT,
which is below every threshold, and whoever sends what Inbox refuses comes there, too, for a while; what Inbox passes
over costs nobody, but its author who sends it too fast. (PeerScorer asks only the topic's score before it takes or
passes on a message, where the application's never counts: _Scorer asks all.)

With at most MESH members we keep a connection of our own choice; who connects to us is their choice. A bug of the
library's, or a message that brings one out, ends the service and nothing else: it begins again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.score import PeerScorer, ScoreParams, TopicScoreParams
from libp2p.tools.anyio_service import background_trio_service

from gossip.peer_ids import MAX_ID_BYTES, base58, key_of, peer_id_of
from gossip.wide.announcing import Inbox, Outbox, topic_of
from ledger.errors import LocalError

_log = logging.getLogger("gossip.wide")

MESH: Final = 4  # members we connect to for announcements; more connect to us
DEGREE_LOW: Final = 3
DEGREE_HIGH: Final = 8
HEARTBEAT_S: Final = 15  # the mesh is mended so often; messages do not wait for it
TEND_S: Final = 2.0  # between two looks at who is connected, and who is a member
AGAIN_S: Final = (30.0, 600.0)  # after a member could not be reached, doubling
MEND_S: Final = (4.0, 60.0)  # from one try to open a stream that was reset to the next, doubling
RPC_BYTES: Final = 32 * 1024  # one packet of control and messages
TOPICS: Final = 2  # of one member, while it changes from one to the next; no others are refused, for we may follow
OUT: Final = -1_000.0
GOSSIP, PUBLISH, GRAYLIST = -10.0, -20.0, -40.0
RETRY_S: Final = (1.0, 60.0)


class _Scorer(PeerScorer):  # type: ignore[misc]  # libp2p has no types
    def allow_publish(self, peer: Any, topics: list[str]) -> bool:
        return bool(topics) and self.score(peer, topics) >= self.params.publish_threshold

    def allow_gossip(self, peer: Any, topics: list[str]) -> bool:
        return bool(topics) and self.score(peer, topics) >= self.params.gossip_threshold


class _Pubsub(Pubsub):  # type: ignore[misc]
    """Among members only; and no message ends it."""

    members: Callable[[Any], bool]
    passes: Callable[[Any, Any], bool]
    inbound: set[Any]

    async def _handle_new_peer_with_retry(self, peer_id: Any, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self.members(peer_id):
            await super()._handle_new_peer_with_retry(peer_id, timeout)

    async def stream_handler(self, stream: Any) -> None:
        if not self.members(stream.muxed_conn.peer_id):
            await stream.reset()
            return
        self.inbound.add(stream)
        try:
            await super().stream_handler(stream)
        except Exception as error:  # of what a member sent: its stream ends
            _log.debug("a member's announcements: %s", error)
            await stream.reset()
        finally:
            self.inbound.discard(stream)

    async def push_msg(self, msg_forwarder: Any, msg: Any) -> None:
        if not self.members(msg_forwarder) or self._is_msg_seen(msg) or not self.passes(msg_forwarder, msg):
            return
        try:
            await super().push_msg(msg_forwarder, msg)
        except Exception as error:  # (a key that is none raises in there)
            _log.debug("an announcement: %s", error)


class Telling:
    """Announces and hears, until it is cancelled."""

    def __init__(
        self,
        host: Any,
        heard: Callable[[bytes, bytes], None],
        is_member: Callable[[bytes], bool],
        *,
        candidates: Callable[[], list[bytes]] = list,
        reach: Callable[[bytes], Awaitable[Any]] | None = None,
        luck: random.Random | None = None,
    ) -> None:
        """`candidates`: members that may be connected to by `reach`, which raises if one cannot be."""
        self._host, self._heard = host, heard
        self._me: bytes = key_of(str(host.get_id()))
        self._is_member: Callable[[bytes], bool] = lambda key: key == self._me or is_member(key)
        self._candidates, self._reach = candidates, reach
        self._luck = luck if luck is not None else random.Random()
        self._inbox, self._outbox = Inbox(self._is_member), Outbox()
        self._namespace: bytes | None = None
        self._wake = trio.Event()
        self._resting: dict[bytes, tuple[float, float]] = {}
        self._trying: set[bytes] = set()  # by choice, on the way: a dial may take far longer than one look
        self._refused: dict[Any, tuple[float, float]] = {}  # until when, and for how long
        self._pubsub: Any = None
        self.announced = self.taken = 0

    def join(self, namespace: bytes | None) -> None:
        """Announce and listen under the topic of this namespace from now on; None: under none."""
        if namespace != self._namespace:
            self._namespace = namespace
            self._outbox.again()
            self._wake.set()

    def announce(self, data: bytes) -> None:
        """Say this to all members that are connected, as soon as the pace allows; what was to be said before is not."""
        self._outbox.put(data)
        self._wake.set()

    def connected(self) -> int:
        """With how many members there is a stream for announcements."""
        return len(self._pubsub.peers) if self._pubsub is not None else 0

    async def run(self) -> None:
        """Until cancelled."""
        wait = RETRY_S[0]
        while True:
            began = trio.current_time()
            try:
                await self._serve()
            except* Exception as group:  # of the library, or of what a member sent
                _log.debug("announcements begin again: %s", group)
            finally:
                self._pubsub = None
            wait = RETRY_S[0] if trio.current_time() - began > RETRY_S[1] else min(2 * wait, RETRY_S[1])
            await trio.sleep(wait * self._luck.uniform(0.5, 1.0))

    # ------------------------------------------------------------------ while it runs

    async def _serve(self) -> None:
        router = GossipSub(
            protocols=[PROTOCOL_ID_V11], degree=MESH, degree_low=DEGREE_LOW, degree_high=DEGREE_HIGH,
            heartbeat_initial_delay=1.0, heartbeat_interval=HEARTBEAT_S, do_px=False,
            adaptive_gossip_enabled=False, eclipse_protection_enabled=False, spam_protection_enabled=False,
        )  # fmt: skip
        router.scorer = _Scorer(self._scores())
        pubsub = _Pubsub(
            self._host, router, strict_signing=True, max_inbound_rpc_size=RPC_BYTES,
            max_subscriptions_per_rpc=TOPICS, max_subscriptions_per_peer=TOPICS,
        )  # fmt: skip
        pubsub.members, pubsub.inbound = self._is_peer_member, set()
        pubsub.passes = lambda forwarder, message: self._passes(router.scorer, forwarder, message)
        try:
            await self._run(router, pubsub)
        finally:
            pubsub.seen_messages.stop()  # it has a thread of its own, which else would be there for ever

    async def _run(self, router: Any, pubsub: Any) -> None:
        try:
            async with background_trio_service(router), background_trio_service(pubsub):
                await pubsub.wait_until_ready()
                self._pubsub = pubsub
                self._outbox.again()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tend, pubsub, router)
                    await self._talk(pubsub, nursery)
        finally:  # the library leaves them to a reader that is gone
            with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                for stream in list(pubsub.inbound):
                    await stream.reset()

    def _scores(self) -> ScoreParams:
        return ScoreParams(
            p1_time_in_mesh=TopicScoreParams(weight=0.1, cap=10.0, decay=0.9),
            p2_first_message_deliveries=TopicScoreParams(weight=0.5, cap=20.0, decay=0.9),
            p4_invalid_messages=TopicScoreParams(weight=4.0, cap=100.0, decay=0.8),
            p5_behavior_penalty_weight=1.0,
            p5_behavior_penalty_decay=0.9,
            p6_appl_slack_weight=1.0,
            gossip_threshold=GOSSIP,
            publish_threshold=PUBLISH,
            graylist_threshold=GRAYLIST,
            accept_px_threshold=float("inf"),
            app_specific_score_fn=lambda peer: 0.0 if self._is_peer_member(peer) else OUT,
        )

    def _is_peer_member(self, peer: Any) -> bool:
        key = _key(str(peer))
        return key is not None and self._is_member(key)

    def _passes(self, scorer: Any, forwarder: Any, message: Any) -> bool:
        """Whether a message that we have not seen is worth looking at its signature."""
        author, now = _key(_peer_id(message.from_id)), trio.current_time()
        if author is None or author == self._me:
            return True
        if not self._inbox.is_news(author, _number(message), now):
            return False
        if self._inbox.is_paced(author, now):
            return True
        if author == _key(str(forwarder)):
            for topic in message.topicIDs[:TOPICS]:
                scorer.on_invalid_message(forwarder, topic)
        return False

    def _takes(self, forwarder: Any, message: Any) -> bool:
        """The topic's validator."""
        if len(message.topicIDs) != 1:
            return False
        author = _key(_peer_id(message.from_id))
        if author == self._me:
            return bool(forwarder == self._host.get_id())
        return self._inbox.takes(author, len(message.data), _number(message), trio.current_time())

    async def _talk(self, pubsub: Any, nursery: trio.Nursery) -> None:
        """Change topics as told, and say what is due."""
        namespace: bytes | None = None
        topic = ""
        while True:
            self._wake = trio.Event()
            if self._namespace != namespace:
                if topic:
                    await pubsub.unsubscribe(topic)
                    pubsub.remove_topic_validator(topic)
                namespace, topic = self._namespace, ""
                if namespace is not None:
                    topic = topic_of(namespace)
                    pubsub.set_topic_validator(topic, self._takes, False)
                    nursery.start_soon(self._listen, await pubsub.subscribe(topic))
            due = self._outbox.due() if topic and pubsub.peers else None
            if due is not None and (data := self._outbox.take(trio.current_time())) is not None:
                await pubsub.publish(topic, data)
                self.announced += 1
                continue
            with trio.move_on_after(TEND_S if due is None else max(0.0, due - trio.current_time())):
                await self._wake.wait()

    async def _listen(self, subscription: Any) -> None:
        async for message in subscription:
            author = _key(_peer_id(message.from_id))
            if author is not None and author != self._me:
                self.taken += 1
                self._heard(author, bytes(message.data))

    # ------------------------------------------------------------------ who is connected

    async def _tend(self, pubsub: Any, router: Any) -> None:
        """Streams with members that are connected, none with others, and MESH connections of our own choice."""
        async with trio.open_nursery() as nursery:
            while True:
                for peer in [peer for peer in pubsub.peers if not self._is_peer_member(peer)]:
                    stream = pubsub.peers[peer]
                    pubsub._handle_dead_peer(peer)
                    await stream.reset()
                self._mend(pubsub)
                for peer in self._host.get_connected_peers():
                    if peer not in pubsub.peers and self._is_peer_member(peer):
                        pubsub._schedule_peer_stream_retry(peer)
                self._choose(pubsub, nursery)
                await trio.sleep(TEND_S)

    def _mend(self, pubsub: Any) -> None:
        """Open anew what the far end has reset: it may have known us for a member later than we knew it."""
        now = trio.current_time()
        for peer, stream in list(pubsub.peers.items()):
            if getattr(stream.muxed_stream, "reset_received", False):
                until, wait = self._refused.get(peer, (0.0, MEND_S[0] / 2))
                if now >= until:
                    wait = min(2 * wait, MEND_S[1])
                    self._refused[peer] = (now + wait, wait)
                    pubsub._handle_dead_peer(peer)
        here = set(self._host.get_connected_peers())
        self._refused = {peer: rest for peer, rest in self._refused.items() if peer in here}

    def _choose(self, pubsub: Any, nursery: trio.Nursery) -> None:
        if self._reach is None or self._namespace is None:
            return
        now = trio.current_time()
        there = {str(peer) for peer in self._host.get_connected_peers()}
        free = [
            key
            for key in dict.fromkeys(self._candidates())
            if key != self._me and self._is_member(key) and peer_id_of(key) not in there
        ]
        self._resting = {key: rest for key, rest in self._resting.items() if key in free}
        missing = MESH - sum(self._is_peer_member(peer) for peer in there)
        missing -= sum(peer_id_of(key) not in there for key in self._trying)
        free = [key for key in free if key not in self._trying and self._resting.get(key, (0.0, 0.0))[0] <= now]
        for key in self._luck.sample(free, max(0, min(missing, len(free)))):
            rest = min(self._resting.get(key, (0.0, AGAIN_S[0] / 2))[1] * 2, AGAIN_S[1])
            self._resting[key] = (now + rest * self._luck.uniform(0.75, 1.25), rest)
            nursery.start_soon(self._connect, key)

    async def _connect(self, key: bytes) -> None:
        assert self._reach is not None
        self._trying.add(key)
        try:
            await self._reach(key)
        except Exception as error:  # it is not there, or not to be reached
            _log.debug("a member for announcements: %s", error)
        finally:
            self._trying.discard(key)


def _number(message: Any) -> int:
    return int.from_bytes(message.seqno[:8], "big")


def _peer_id(raw: bytes) -> str:
    return base58(raw) if len(raw) <= MAX_ID_BYTES else ""


def _key(peer_id: str) -> bytes | None:
    try:
        return key_of(peer_id)
    except LocalError:
        return None
