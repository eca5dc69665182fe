"""The shell around the peer machine: the one place where peer, links, trainer, store and clock meet.

    links ----Received--+                        +--Send, Drop, Dial--> links
    discovery --Found---+--> Peer.handle(e, now)-+--Train-------------> trainer
    trainer --Trained---+      (decides all)     +--Append, Keep------> store --Stored--> (back in)
    checker --Inspected-+                        +--Inspect, Judge ...> checker
    timers ---Timer-----+                        +--Note--------------> people

It decides nothing. One task owns the machine; every other task only feeds the bounded event queue or
carries out one effect. Whatever a peer sends ends at most that peer's link.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, assert_never

from gossip import backup
from gossip import directory as places
from gossip import events as ev
from gossip.config import PeerConfig
from gossip.invites import Beyond
from gossip.limits import DEFAULT, Limits
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node.ahead import Ahead
from gossip.node.anchoring import anchor
from gossip.node.attending import attended
from gossip.node.calls import Calls
from gossip.node.carrier import Wide, over_libp2p
from gossip.node.checking import Checking
from gossip.node.clock import Clock
from gossip.node.config import NodeConfig
from gossip.node.door import Door
from gossip.node.inviting import Inviting
from gossip.node.kept_model import KeptModel
from gossip.node.learning import Learning
from gossip.node.own_data import Own
from gossip.node.port import listen
from gossip.node.power import Power
from gossip.node.rekeying import Rekeying
from gossip.node.report import report
from gossip.node.ruling import ask_for
from gossip.node.seating import ask_for_seat
from gossip.node.shed import compact
from gossip.node.timers import Timers
from gossip.node.visitors import Visitors
from gossip.node.waking import Place, watch
from gossip.node.wide import Abroad
from gossip.node.writer import RENDEZVOUS, Writer
from gossip.node.written import Written
from gossip.peer.book import restore
from gossip.peer.peer import Peer
from gossip.recording.recorder import Recorder
from gossip.recording.start import Start
from gossip.transport import control
from gossip.transport.discovery import Candidate, Discovery, addresses_of
from gossip.transport.ice import ice_servers
from gossip.transport.pool import LinkPool
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import GossipError, LinkError, LocalError
from ledger.keys import PrivateKey
from ledger.mark import WitnessMark
from ledger.roll import Roll
from ledger.store import SignedMark, Store

if TYPE_CHECKING:
    from gossip.wide.config import WideConfig
    from gossip.wide.wide import Listener

EVENTS_BOUND: Final = 1024  # waiting events; whoever would add one more waits
ADMIN_PRUNES: Final = (
    "this peer is an admin and lets go of old deltas: see to it that another one keeps everything (gossip status says "
    "who is an archive), or nobody new can fold the past and no audit can replay it"
)
NOBODY_AFTER_S: Final = 15.0  # mDNS answers within two


class _Stopped(Exception):
    """Ends the task group when somebody asked the node to stop."""


class Node:
    """One peer, running. `on_note` is called on the event loop with everything a person may want to see."""

    def __init__(
        self, config: NodeConfig, on_note: Callable[[ev.Note], None] = lambda note: None, *,
        ahead: Ahead | None = None,
    ) -> None:  # fmt: skip
        """`ahead`: what began before (ahead.py)."""
        self._config = config
        self._on_note = on_note
        self._started_at = time.time()
        self._clock = Clock()
        self._stop = asyncio.Event()
        self._events: asyncio.Queue[ev.Event] = asyncio.Queue(EVENTS_BOUND)
        self._timers = Timers(self._now, self._post_soon)
        self._ending = False
        self._phase = "starting"
        self._address = self._backend = ""
        self._port = 0
        self._written = Written(self._post)
        self._visitors = Visitors()
        self._power = ahead.power if ahead else Power(config.cores, random.SystemRandom())
        self._begun = ahead.trainer if ahead else None
        # Set in run(), in this order; status() may be asked before.
        self._handle: Callable[[ev.Event, float], tuple[ev.Effect, ...]] = lambda event, now: ()
        self._meta: dict[str, str] = {}
        self._store: Store | None = None
        self._blobs_at_start = (0, 0)
        self._learning: Learning | None = None
        self._checking: Checking | None = None
        self._peer: Peer | None = None
        self._pool: LinkPool | None = None
        self._inviting: Inviting | None = None
        self._abroad: Abroad | None = None

    # -------------------------------------------------------------- for the caller

    async def run(self) -> None:
        """Run until request_stop() or cancellation. Raises LocalError if this machine makes it impossible."""
        with places.lock(self._config.directory):
            try:
                async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
                    try:
                        await self._start(stack, tasks)
                        await self._stop.wait()
                    finally:  # also when a task failed and ends them all
                        self._end_timers()
                    self._phase = "stopping"
                    self._on_note(ev.Note("stopped", {"text": "asked to stop"}))
                    raise _Stopped
            except BaseExceptionGroup as group:  # not except*: Python 3.11.2 wraps what is raised there once more
                _, rest = group.split(_Stopped)
                errors, others = rest.split(GossipError) if rest else (None, None)
                if others is not None:
                    raise others from None
                if errors is not None:
                    raise _first(errors) from None

    def request_stop(self) -> None:
        """Ask run() to end; it finishes what is being written first."""
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """What a person may want to know now; the control socket's "status" (docs/status.md)."""
        return report(
            meta=self._meta, started_at=self._started_at, phase=self._phase, address=self._address,
            transport=self._backend, duty_percent=self._config.duty_percent,
            peer=self._peer.status() if self._peer else None, learning=self._learning, pool=self._pool,
            checker=self._checking.pid if self._checking else None,
            pins_missing=self._checking.pins_missing() if self._checking else (),
            lacks_engine=self._checking.lacks_engine() if self._checking else False,
            seat=self._seat() if self._peer else None, machine=self._power.report(), blobs=self._blobs(),
            wide=self._abroad.report() if self._abroad else None,
        )  # fmt: skip

    def _blobs(self) -> tuple[int, int]:
        """How many blobs are on disk, and their bytes."""
        if self._store is None:
            return 0, 0
        (count, size), (more, longer) = self._blobs_at_start, self._store.grown_by
        return count + more, size + longer

    def attendance(self) -> Roll | None:
        """Who took part since this node started, for when run() has ended; None if it never knew its swarm."""
        if self._peer is None:
            return None
        return attended(self._config.directory, self._book.replica, since=self._started_at, now=time.time())

    def _seat(self) -> dict[str, Any]:
        """What this peer is in the swarm, who is at its door, and what they cost at most."""
        seat = self._visitors.seat(self._book.replica, self._meta["self"], self._now())
        doorway = self._inviting.doorway() if self._inviting is not None else {}
        return {**seat, **doorway, "limits": asdict(self._limits)}

    # -------------------------------------------------------------- start

    async def _start(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> None:
        config, directory = self._config, self._config.directory
        limits = self._limits = Limits.read(config.limits) if config.limits is not None else DEFAULT
        addresses = self._addresses = addresses_of(config.interface)
        store = stack.enter_context(Store(places.store_path(directory)))
        store.settle()
        if config.keep_updates is not None:
            compact(store)
        reader = stack.enter_context(Store.open_readonly(places.store_path(directory)))
        self._meta = {name: store.meta(name).decode() for name in ("swarm", "founder", "self", "swarm_name", "name")}
        swarm, founder, own = (self._meta[name] for name in ("swarm", "founder", "self"))

        self._mark = SignedMark(places.mark_path(directory))
        self._keys = Rekeying(directory, config.passphrase, store, self._mark)
        key = self._keys.key
        witnessed = WitnessMark(places.witness_path(directory))
        kept = KeptModel(places.model_path(directory))
        self._store, self._blobs_at_start = store, reader.blob_sizes()
        self._writer = Writer(store, reader, witnessed, own, self._stored, self._witnessed, kept)
        stack.push_async_callback(self._writer.close)

        own_data = Own(config, swarm, store.meta("salt"), lambda text: self._tell("trouble", text=text))
        own_data.borrowed.clear()  # of a run that was cut off
        stack.callback(own_data.close)
        self._learning = self._learner(own_data, tasks)
        stack.push_async_callback(self._learning.close)
        await self._learning.warm_up()  # first: jax loads beside all that follows

        self._book = book = restore(swarm, founder, store.history(), reader.blob, NumpyArithmetic(), store.base())
        self._checking = Checking(
            directory, own_data, self._learning, book.replica, tasks, self._post,
            lambda text: self._tell("trouble", text=text),
        )  # fmt: skip
        stack.push_async_callback(self._checking.close)
        known = backup.known_members(store)
        start = Start(
            PeerConfig(
                enrol=b"" if book.replica.enrolled(own) else (store.entry(own, 0) or b""),
                inviter=config.ticket.key if config.ticket else b"", restored=backup.is_restored(store),
                known=known, rendezvous=store.find_meta(RENDEZVOUS) or b"", limits=limits,
                duty_percent=config.duty_percent, min_round_s=config.min_round_s, lend_to=config.lend_to,
                borrow_from=config.borrow_from, keep_updates=config.keep_updates,
            ),
            luck=secrets.randbits(64),
            mark=(signed.size, signed.root) if (signed := self._mark.read()) is not None else None,
        )  # fmt: skip
        if config.record is None:
            self._peer = start.machine(key, own, book, self._writer)
            self._handle = self._peer.handle
        else:
            recorder = stack.enter_context(Recorder(config.record, lambda text: self._tell("trouble", text=text)))
            self._peer = start.machine(key, own, book, recorder.shelf(self._writer))
            recorder.begin(start, swarm, founder, own, key.public, store.history())
            self._handle = partial(recorder.handle, self._peer)

        self._tasks = tasks
        stack.push_async_callback(self._leave)  # after the links: some may go over libp2p
        self._pool = LinkPool(tasks, self._post, limits)
        stack.push_async_callback(self._pool.close)
        invited = stack.enter_context(Store(places.store_path(directory)))
        self._door = Door(book.replica, invited, known=known, own=own, today=self._clock.date)
        self._inviting = Inviting(
            invited, book.replica, own, self._door, allowlist=config.allowlist, key=lambda: self._keys.key,
            now=self._clock.date, tell=self._tell, online=self._online, beyond=lambda: self._beyond(),
        )  # fmt: skip
        self._transport = WebRTCTransport(
            key, swarm, self._door, addresses, config.backend, self._inviting.hatches, limits=limits,
            ice=ice_servers(config.ice),
        )  # fmt: skip
        stack.push_async_callback(self._transport.close)
        self._abroad = self._transport.road = Abroad(
            config, own, book.replica, self._door, invited, host=addresses[0], key=lambda: self._keys.key,
            linked=self._online, transport=self._transport, machine=self._peer, post=self._post,
            post_soon=self._post_soon, tell=self._tell, today=self._clock.date, open_=self._road,
        )  # fmt: skip
        self._calls = Calls(
            self._transport, self._pool, self._door, config.ticket, tasks=tasks, post=self._post, now=self._now,
            is_member=self._has_entered, tell=self._tell, far=self._abroad.is_used,
        )  # fmt: skip
        self._backend = self._transport.backend
        port = self._port = await listen(self._transport, addresses[0], config.port, invited)
        self._address = f"{addresses[0]}:{port}"

        tasks.create_task(self._writer.run(), name="store")
        tasks.create_task(self._decide(), name="peer")
        tasks.create_task(self._calls.welcome(), name="incoming links")
        tasks.create_task(self._calls.welcome_guests(), name="guests")
        server = await control.serve(places.control_path(directory), self._command)
        stack.callback(places.control_path(directory).unlink, missing_ok=True)
        stack.callback(server.close)
        await self._discover(stack, addresses, swarm, key.public, own, port)
        tasks.create_task(self._inviting.run(self._discovery, self._address), name="inviting")
        watching = watch(Place(config.interface, addresses), self._woke, lambda text: self._tell("trouble", text=text))
        tasks.create_task(watching, name="sleep and addresses")
        if config.pause_on_battery:
            tasks.create_task(self._power.watch(lambda why: self._post(ev.Pause(why))), name="battery")
        self._phase = ""
        if self._keys.trouble:
            self._tell("trouble", text=self._keys.trouble)
        if config.keep_updates is not None and book.replica.role_of(own) == "admin":
            self._tell("trouble", text=ADMIN_PRUNES)
        self._tell("ready", peer=own, address=self._address, transport=self._backend)
        await self._post(ev.Started())
        if self._keys.first is not None:
            await self._post(self._keys.first)
        if self._abroad.is_used:  # behind what the LAN needs: loading libp2p takes a second of a core
            tasks.create_task(self._abroad.run(), name="beyond this network")
        asyncio.get_running_loop().call_later(NOBODY_AFTER_S, self._nobody_yet)
        for host, at in (*config.dial, *(config.ticket.endpoints() if config.ticket else ())):
            await self._post(ev.Found(host, at, None))

    async def _discover(
        self, stack: AsyncExitStack, addresses: tuple[str, ...], swarm: str, key: bytes, own: str, port: int
    ) -> None:
        def found(candidate: Candidate) -> None:
            self._post_soon(ev.Found(candidate.host, candidate.port, candidate.key))

        def knows(key: bytes) -> bool:
            ticket = self._config.ticket
            return self._door.admits(key) or (ticket is not None and ticket.key == key)

        self._discovery = discovery = Discovery(addresses, swarm, found, knows)
        stack.push_async_callback(discovery.close)
        try:
            await discovery.start()
            await discovery.advertise(port, key=key, peer=own)
        except LinkError as error:  # the swarm works without: addresses, invites
            self._tell("trouble", text=str(error))

    async def _woke(self, slept_s: float, addresses: tuple[str, ...] | None) -> None:
        """The machine slept, or has other addresses: be there again, and have everybody dialled. LinkError: not yet."""
        if addresses is not None:
            self._port = await self._transport.move(addresses, self._port)
            self._address = f"{addresses[0]}:{self._port}"
            self._addresses = addresses
            assert self._inviting is not None
            self._inviting.moved(self._address)
        assert self._abroad is not None
        self._abroad.woke(slept_s, self._addresses[0], moved=addresses is not None)
        await self._calls.give_up("this machine slept" if addresses is None else "our address changed")
        await self._post(ev.Woke(slept_s, addresses is not None))
        self._tell("woke", slept_s=round(slept_s, 1), address=self._address, moved=addresses is not None)
        try:
            await self._discovery.move(
                self._addresses, self._port, key=self._keys.key.public, peer=self._meta["self"]
            )  # fmt: skip
        except (GossipError, OSError) as error:  # the swarm works without: addresses, invites
            self._tell("trouble", text=str(error))

    def _learner(self, own: Own, tasks: asyncio.TaskGroup) -> Learning:
        """What trains here. A hostile node has another (tests/attack/node.py)."""
        return Learning(self._config, own, tasks, self._post, self._tell, self._power.cores, self._begun)

    def _road(self, key: PrivateKey, config: WideConfig, listener: Listener) -> Wide:
        """What goes beyond the network. In tests a dictionary does (tests/wide/roads.py)."""
        return over_libp2p(key, config, listener)

    # -------------------------------------------------------------- the loop

    async def _decide(self) -> None:
        """The one task that owns the machine."""
        assert self._peer is not None
        while True:
            event = await self._events.get()
            for one in (*self._calls.turn_out(), event):
                for effect in self._handle(one, self._now()):
                    self._act(effect)
            self._door.settle()
            self._door.is_seeking = self._peer.is_seeking
            peer = self._peer
            if self._keys.follow(peer.promise(), is_home=peer.is_home, may_write=peer.may_write):
                self._transport.change_key(self._keys.key)
                if self._inviting is not None:
                    self._inviting.key_changed()
                if self._abroad is not None:
                    self._abroad.key_changed()
                self._tasks.create_task(self._advertise(), name="advertise the new key")
            if self._learning is not None and self._book.replica.has_genesis:
                self._learning.begin(self._book.replica.genesis)
            if self._abroad is not None:
                self._abroad.changed()
            await self._writer.room()

    def _act(self, effect: ev.Effect) -> None:
        assert self._pool is not None
        assert self._learning is not None
        assert self._checking is not None
        match effect:
            case ev.Send(link, message, bulk):
                self._pool.send(link, message, bulk=bulk)
            case ev.Drop(link, reason):
                self._pool.drop(link, reason)
            case ev.Dial():
                self._calls.dial(effect)
            case ev.SetTimer(name, at):
                self._timers.set(name, at)
            case ev.Append():
                self._written.saw(effect)
                self._writer.put(effect)
            case ev.Keep() | ev.KeepWitnessed() | ev.KeepVote() | ev.KeepCosigned() | ev.KeepModel():
                self._writer.put(effect)
            case ev.KeepBase() | ev.KeepRendezvous() | ev.DropBlobs():
                self._writer.put(effect)
            case ev.KeepCheckpoint(log, size):
                if log == self._meta["self"] and effect.held is None:  # signed just now, not brought back by others
                    # On disk before the signature leaves, which the Send effects behind this one do.
                    self._mark.write(size, self._book.replica.root(log, size).hex())
                    self._written.saw(effect)
                self._writer.put(effect)
            case ev.Train():
                self._learning.train(effect)
            case ev.KeepRows() | ev.DropRows() | ev.Borrow():
                self._learning.borrow(effect)
            case ev.OpenRecords() | ev.CutShards() | ev.Inspect() | ev.Judge():
                self._checking.start(effect)
            case ev.Note():
                self._note(effect)
            case _:
                assert_never(effect)

    async def _post(self, event: ev.Event) -> None:
        await self._events.put(event)

    def _post_soon(self, event: ev.Event) -> None:
        """From a callback that cannot wait: a full queue makes a task wait instead."""
        if not self._ending:
            self._tasks.create_task(self._post(event))

    def _end_timers(self) -> None:
        """From here on no callback may add a task: the group is ending."""
        self._ending = True
        self._timers.end()

    def _now(self) -> float:
        """Unix time as the machine is told it (clock.py)."""
        return self._clock.now()

    async def _stored(self, seq: int) -> None:
        if not self._ending:  # nobody takes events any more, and a full queue would hold the last write up for ever
            await self._post(ev.Stored(seq))

    async def _witnessed(self, log: str, size: int) -> None:
        if not self._ending:
            await self._post(ev.WitnessedStored(log, size))

    def _nobody_yet(self) -> None:
        if not self._ending:
            self._calls.nobody_yet(self._config.interface)

    def _online(self) -> set[str]:
        return {row["key"] for row in self._pool.rows()} if self._pool is not None else set()

    def _is_member(self) -> bool:
        return bool(self._book.replica.role_of(self._meta["self"]))

    def _has_entered(self) -> bool:
        """Whether an invite is of no more use: this peer is a member, or was put out."""
        return self._is_member() or self._book.replica.is_revoked(self._meta["self"])

    def _beyond(self) -> Beyond:
        return self._abroad.beyond if self._abroad is not None else Beyond()

    async def _leave(self) -> None:
        if self._abroad is not None:
            await self._abroad.close()

    async def _advertise(self) -> None:
        try:
            await self._discovery.advertise(self._port, key=self._keys.key.public, peer=self._meta["self"])
        except (GossipError, OSError) as error:  # the swarm works without: addresses, invites
            self._tell("trouble", text=str(error))

    # -------------------------------------------------------------- the owner

    async def _command(self, command: str, request: Mapping[str, Any]) -> dict[str, Any]:
        match command:
            case "status":
                return {"status": self.status()}
            case "drain":
                await self._post(ev.Drain())
                return {}
            case "evaluate":
                assert self._learning is not None
                return {
                    "swarm_scores": await self._learning.evaluate(
                        self._peer.theta() if self._peer else self._book.theta()
                    )
                }
            case "relabelled":
                assert self._learning is not None
                standing = await self._learning.relabelled()
                await self._post(ev.Relabelled())
                return {"judgements": standing}
            case "stop":
                self.request_stop()
                return {}
            case "rotate" | "recover":
                assert self._peer is not None
                promise = self._peer.promise() if self._is_member() else None
                return await self._keys.change(
                    promise, self._post, recover=command == "recover", since=request.get("since")
                )
            case "anchor":
                return await anchor(self._written, request)
            case "policy":
                return await ask_for(self._written, self._book.replica, self._meta["self"], request)
            case "revoke" | "renew":
                return await ask_for_seat(
                    self._written, self._book.replica, self._meta["self"], command, request
                )  # fmt: skip
            case "invite" | "allow" | "open" | "members":
                assert self._inviting is not None
                assert self._abroad is not None
                answer = await self._inviting.command(command, request)
                self._abroad.invited()
                return answer
            case _:
                raise LocalError(
                    f"no command {command[:40]!r}",
                    next_step="use status, invite, allow, open, members, revoke, renew, anchor, policy, rotate, "
                    "recover, drain, evaluate, relabelled or stop",
                )

    def _note(self, note: ev.Note) -> None:
        self._visitors.saw(note.kind, note.fields, self._now())
        self._on_note(note)

    def _tell(self, kind: str, **fields: Any) -> None:
        if kind == "starting" and self._phase:  # once ready, the peer and its training process speak for themselves
            self._phase = fields["text"]
        self._note(ev.Note(kind, fields))


def _first(group: BaseExceptionGroup[GossipError]) -> GossipError:
    """The error a person should see: the first of those that ended the node together."""
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
