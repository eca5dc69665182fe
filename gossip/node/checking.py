"""What a node is asked to look at: own records for a challenge, others' records, models with updates and without.

    OpenRecords --own files, the gate--> checker --opening--> RecordsOpened
    CutShards ----own files, the gate--> checker --shards---> ShardsCut; as soon as the files, or what their owner says
                  of them, are not those of then --no shards--> ShardsCut
    Inspect --pinned lists-------------> checker --facts----> Inspected
    Judge --own rows, canary set-------> trainer, between two rounds, or checker --counts--> Judged

Why a process of its own (the checker, without jax): training goes on meanwhile, peers without data can look, too, and
others' bytes meet no code that runs where one's own data are held. It is started when there is something to look at and
ends when there was nothing for IDLE_S.

Rules kept here: every question is answered; what cannot be done (b"", None, ()) is said to a person once for each
reason, and costs nobody else anything. A process that dies, or takes longer than PATIENCE_S, is replaced for the next
question. This file refuses to know why something is looked at and what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from gossip.events import CutShards, Inspect, Inspected, Judge, Judged, OpenRecords, RecordsOpened, ShardsCut
from gossip.filterlists.engine import is_installed
from gossip.node.learning import Learning, Replaced
from gossip.node.own_data import Own, Stamp
from gossip.pinned import pinned_path, pins_of
from gossip.training import protocol
from gossip.training.worker_client import TrainerProcess
from ledger.entry import Hash
from ledger.errors import GossipError, LinkError
from ledger.policy import Policy
from ledger.replica import Replica

IDLE_S: Final = 60.0  # an engine of large lists takes seconds to build, and 60 MB while it waits
PATIENCE_S: Final = 300.0  # to read a million records again
WATCH_S: Final = 2.0  # between two looks at files that are lent: their times and lengths, and the rest if these changed
MAX_TOLD: Final = 64  # reasons remembered; what others send may make a process die with ever new words

Post = Callable[[RecordsOpened | ShardsCut | Inspected | Judged], Coroutine[Any, Any, None]]
T = TypeVar("T")


class Checking:
    """The looking of one node. `trouble` is for people."""

    def __init__(
        self, directory: Path, own: Own, learning: Learning, replica: Replica, tasks: asyncio.TaskGroup, post: Post,
        trouble: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._folder = pinned_path(directory)
        self._own, self._learning, self._replica = own, learning, replica
        self._tasks, self._post, self._trouble = tasks, post, trouble
        self._checker: TrainerProcess | None = None
        self._turn = asyncio.Lock()  # the process answers one question at a time
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None
        self._told: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._checker.pid if self._checker else None

    def start(self, effect: OpenRecords | CutShards | Inspect | Judge) -> None:
        """Have it done."""
        match effect:
            case OpenRecords():
                self._tasks.create_task(self._open(effect), name="open records")
            case CutShards():
                self._tasks.create_task(self._cut(effect), name="cut shards")
            case Inspect():
                self._tasks.create_task(self._inspect(effect), name="inspect records")
            case Judge():
                self._tasks.create_task(self._judge(effect), name="judge updates")

    def pins_missing(self) -> list[str]:
        """Names of the files that the policy in force names and that are not in their place here; they are hashed when
        they are used."""
        if not self._replica.has_genesis:
            return []
        return [pin.name for pin in pins_of(self._policy()) if not (self._folder / pin.sha256).is_file()]

    def lacks_engine(self) -> bool:
        """Whether the policy in force names lists, and no engine to label with is installed here."""
        return self._replica.has_genesis and bool(self._policy().lists) and not is_installed()

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._idle is not None:
            self._idle.cancel()
        if self._resting is not None:
            await self._resting
        await self._end()

    async def _open(self, effect: OpenRecords) -> None:
        blob = b""
        try:
            if self._learning.wanted:
                own = await self._own.data(self._replica.genesis.model)
                asked = protocol.Open(
                    own=own, root=effect.root, peer=effect.challenger, role=self._replica.role_of(effect.challenger),
                    signature=effect.signature.hex(), count=effect.count,
                )  # fmt: skip
                blob = await self._ask(lambda checker: checker.open(asked))
        except GossipError as error:
            self._tell(f"a challenge to open records could not be answered: {error}")
        await self._post(RecordsOpened(effect.challenger, effect.seq, blob))

    async def _cut(self, effect: CutShards) -> None:
        shards: tuple[bytes, ...] = ()
        try:
            before = self._own.stamp()
            own = await self._own.data(self._replica.genesis.model)
            to = [(peer, self._replica.role_of(peer)) for peer in own.lends]
            asked = protocol.Cut(own=own, root=effect.root, to=to)
            shards = await self._ask(lambda checker: checker.cut(asked))
            if self._watching is not None:
                self._watching.cancel()
            self._watching = self._tasks.create_task(self._watch(effect.root, own, before), name="watch what is lent")
        except GossipError as error:
            self._tell(f"this peer's data cannot be lent: {error}")
        await self._post(ShardsCut(effect.root, shards))

    async def _watch(self, root: Hash, lent: protocol.OwnData, stamp: Stamp) -> None:
        """Until what was cut is not to be lent any more: its owner made it private, or a file has changed."""
        now = lent
        while (now.zone, now.opens, now.lends) == (lent.zone, lent.opens, lent.lends):
            await asyncio.sleep(WATCH_S)
            if (seen := self._own.stamp()) != stamp:
                now, stamp = await self._own.data(lent.model), seen
        self._tell("this peer's data are lent no more: what their owner says of them, or a file, has changed")
        await self._post(ShardsCut(root, ()))

    async def _inspect(self, effect: Inspect) -> None:
        pins = [protocol.Pin(name=name, label=label, sha256=digest) for name, label, digest in self._policy().lists]
        asked = protocol.Inspect(model=self._replica.genesis.model, folder=str(self._folder), pins=pins)
        measured: dict[str, int] | None = None
        try:
            found = await self._ask(lambda checker: checker.inspect(asked, effect.records))
            self._tell(found.trouble)
            measured = found.measured
        except GossipError as error:
            self._tell(f"opened records could not be looked at: {error}")
        await self._post(Inspected(effect.number, measured))

    async def _judge(self, effect: Judge) -> None:
        asked = protocol.Judge(
            model=self._replica.genesis.model, folder=str(self._folder), canary=self._policy().canary,
            labels=dict(effect.labels),
        )  # fmt: skip
        models = (effect.given, effect.without, effect.back)
        judged: protocol.Judged | None = None
        try:
            if self._learning.wanted:
                judged = await self._learning.judge(asked, models)
            else:
                judged = await self._ask(lambda checker: checker.judge(asked, models))
        except Replaced:
            pass  # has been told, and ends the node if it keeps happening
        except GossipError as error:
            if self._learning.wanted:
                raise  # own data cannot be read again, or training dies over and over: for the person to mend
            self._tell(f"models could not be compared: {error}")
        if judged is not None:
            self._tell(judged.trouble)
        found = (tuple(judged.measured), judged.loss_milli) if judged else ((), None)
        await self._post(Judged(effect.number, *found))

    def _policy(self) -> Policy:
        return self._replica.policy_now()

    async def _ask(self, question: Callable[[TrainerProcess], Awaitable[T]]) -> T:
        """One question to the checker, when it is its turn. LinkError if it died over it, or took too long."""
        self._waiting += 1
        try:
            async with self._turn:
                if self._idle is not None:
                    self._idle.cancel()
                if self._checker is None:
                    self._checker = await self._spawned()
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        return await question(self._checker)
                except (LinkError, TimeoutError) as error:
                    await self._end()
                    if isinstance(error, LinkError):
                        raise
                    raise LinkError(
                        f"looking took longer than {PATIENCE_S:.0f} s",
                        next_step="if it happens again, see what else keeps this machine busy",
                    ) from error
        finally:
            self._waiting -= 1
            if not self._waiting and self._checker is not None:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    async def _spawned(self) -> TrainerProcess:
        checker = TrainerProcess(trains=False, cores=self._learning.cores)
        try:
            await checker.spawn()
        except OSError as error:
            raise LinkError(
                "no process to look with could be started", why=error.strerror or str(error),
                next_step="check free memory",
            ) from error  # fmt: skip
        return checker

    def _rest(self) -> None:
        if not self._waiting:
            self._resting = asyncio.create_task(self._end(), name="nothing to look at")  # not in a group that may end

    async def _end(self) -> None:
        checker, self._checker = self._checker, None
        if checker is not None:
            await checker.close()

    def _tell(self, text: str) -> None:
        if text and text not in self._told:
            if len(self._told) == MAX_TOLD:
                self._told.clear()
            self._told.add(text)
            self._trouble(text)
