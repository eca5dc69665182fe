"""An asyncio loop and a trio thread, side by side.

    loop   --call(function, *args)-->  trio     the result comes back; cancelled here, it is cancelled there
    loop   <--post(function, *args)--  trio     at most POSTS under way, the rest is dropped; never after close()
    loop   <--ask(function, *args)---  trio     a coroutine of the loop, awaited from trio

One *life* after another runs in the thread: a coroutine function that ends only by trouble, or when the scope it is
given is cancelled (which leaves it CLOSE_S / 2 to close sockets). Trouble is told, and another life begins after 1 s,
doubling to 60 s; a life that lasted makes the next wait short again. One that ends with a LocalError was the last: what
is wrong with this machine is not mended by another try. Neither side ever waits for the other without a bound: close()
gives the thread CLOSE_S and then leaves it behind, which it can, being a daemon. It refuses to know libp2p; trio is
imported in the thread, as it costs a tenth of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from gossip.wide.config import RETRY_FIRST_S, RETRY_LAST_S
from ledger.errors import GossipError, LinkError, LocalError

POSTS: Final = 1_024  # callbacks that the loop has not run yet; what is posted are hints and lines, which may get lost
CALLS: Final = 256  # at once
CLOSE_S: Final = 5.0
LASTED_S: Final = 60.0  # a life of that length was no failure to begin with

_T = TypeVar("_T")
Function = Callable[..., Awaitable[Any]]


class Bridge:
    """Made on the loop that owns it. `life` runs in the thread, under trio; `failed` on the loop."""

    def __init__(self, life: Callable[[Any], Awaitable[None]], failed: Callable[[BaseException, float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._life, self._failed = life, failed
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()
        self._closing = threading.Event()
        self._posts = threading.BoundedSemaphore(POSTS)
        self._calls = 0
        self._trio: Any = None  # the module, once the thread has it
        self._token: Any = None  # of the life that runs
        self._nursery: Any = None
        self._ending: Any = None
        self._final: LocalError | None = None
        self._scopes: set[Any] = set()  # of calls
        self._asked: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin the thread."""
        self._thread = threading.Thread(target=self._run, name="gossip-wide", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the life that runs and the thread with it, or leave it behind after CLOSE_S. Safe twice."""
        self._closing.set()
        self._soon(self._end)
        for task in tuple(self._asked):
            task.cancel()
        if self._thread is None:
            return
        try:
            await asyncio.wait_for(self._ended.wait(), CLOSE_S)
        except TimeoutError:
            return
        self._thread.join(CLOSE_S)  # it has said that it is at its end
        self._thread = None

    async def call(self, function: Function, *args: Any) -> Any:
        """Await a coroutine function over there. LinkError: no life runs, too much is asked, or it ended meanwhile.

        GossipErrors come through as they are; whatever else is raised over there is a LinkError here.
        """
        if self._calls >= CALLS:
            raise LinkError("too much is under way over libp2p", why=f"{CALLS} calls", next_step="try again later")
        result: asyncio.Future[Any] = self._loop.create_future()
        scope: list[Any] = []

        def begin() -> None:
            if self._nursery is None or self._ending.cancel_called:
                settle(None, LinkError("libp2p is not running", why="it is starting, or was stopped"))
            elif not result.cancelled():
                scope.append(self._trio.CancelScope())
                self._nursery.start_soon(run)

        async def run() -> None:
            value: Any = None
            failure: Exception | None = LinkError("libp2p was stopped meanwhile")
            self._scopes.add(scope[0])
            try:
                with scope[0]:
                    value, failure = (await function(*args)), None
            except GossipError as error:
                failure = error
            except Exception as error:
                failure = LinkError("libp2p failed", why=_named(error))
            finally:
                self._scopes.discard(scope[0])
                settle(value, failure)

        def settle(value: Any, error: Exception | None) -> None:
            self._to_loop(done, value, error)

        def done(value: Any, error: Exception | None) -> None:
            if result.done():
                return
            if error is None:
                result.set_result(value)
            else:
                result.set_exception(error)

        self._calls += 1
        try:
            if not self._soon(begin):
                raise LinkError("libp2p is not running", why="it is starting, or was stopped")
            return await result
        except asyncio.CancelledError:
            self._soon(lambda: scope[0].cancel() if scope else None)
            raise
        finally:
            self._calls -= 1

    def wake(self, function: Callable[[], None]) -> bool:
        """Call a plain function over there, soon; the caller bounds how often. False: no life runs."""
        return self._soon(function)

    # From the thread.

    def post(self, function: Callable[..., None], *args: Any) -> None:
        """Call a plain function on the loop, soon. Dropped if POSTS are under way, or we are closing."""
        if self._closing.is_set() or not self._posts.acquire(blocking=False):
            return

        def run() -> None:
            self._posts.release()
            if not self._closing.is_set():
                function(*args)

        if not self._to_loop(run):
            self._posts.release()

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def deliver(self, function: Callable[..., None], *args: Any) -> None:
        """As post, for what must not get lost and is bounded by whoever delivers: the bytes of streams."""
        self._to_loop(function, *args)

    async def ask(self, function: Function, *args: Any) -> Any:
        """Await a coroutine function of the loop. An exception there is None here; the loop's handler hears of it."""
        answered, answer = self._trio.Event(), []
        token = self._token
        tasks: list[asyncio.Task[Any]] = []

        def begin() -> None:
            if self._closing.is_set():
                return
            task = asyncio.ensure_future(function(*args))
            tasks.append(task)
            self._asked.add(task)
            task.add_done_callback(done)

        def done(task: asyncio.Future[Any]) -> None:
            self._asked.discard(task)
            failure = None if task.cancelled() else task.exception()
            if failure is not None and not isinstance(failure, GossipError):
                self._loop.call_exception_handler({"message": "asked by libp2p", "exception": failure, "task": task})
            answer.append(None if task.cancelled() or failure is not None else task.result())
            with contextlib.suppress(self._trio.RunFinishedError):  # else that life is over, and nobody waits
                token.run_sync_soon(answered.set)

        if not self._to_loop(begin):
            return None
        try:
            await answered.wait()
        finally:
            if not answered.is_set():
                self._to_loop(lambda: [task.cancel() for task in tasks])
        return answer[0]

    def _run(self) -> None:
        try:
            import trio

            self._trio = trio
            wait_s = RETRY_FIRST_S
            while not self._closing.is_set():
                began = time.monotonic()
                try:
                    trio.run(self._live)
                except BaseException as error:
                    failure = error
                else:
                    failure = RuntimeError("it ended by itself")
                finally:
                    self._token = self._nursery = None
                if self._closing.is_set():
                    return
                if self._final is not None:
                    self.post(self._failed, self._final, float("inf"))
                    return
                wait_s = RETRY_FIRST_S if time.monotonic() - began > LASTED_S else wait_s
                self.post(self._failed, failure, wait_s)
                self._closing.wait(wait_s * random.uniform(0.75, 1.25))
                wait_s = min(wait_s * 2, RETRY_LAST_S)
        except BaseException as error:
            self.post(self._failed, error, float("inf"))
        finally:
            self._to_loop(self._ended.set)

    async def _live(self) -> None:
        async with self._trio.open_nursery() as nursery:
            self._nursery, self._ending = nursery, self._trio.CancelScope()
            self._token = self._trio.lowlevel.current_trio_token()
            try:
                if not self._closing.is_set():
                    await self._life(self._ending)
            except LocalError as error:
                self._final = error
            finally:  # what is asked from here on is refused: a nursery that is closing takes nothing any more
                self._nursery = None
            nursery.cancel_scope.cancel()

    def _end(self) -> None:
        if self._nursery is not None:
            for scope in (self._ending, *self._scopes):
                scope.cancel()
            self._nursery.cancel_scope.deadline = self._trio.current_time() + CLOSE_S / 2

    def _soon(self, function: Callable[[], Any]) -> bool:
        token = self._token
        if token is None:
            return False
        try:
            token.run_sync_soon(function)
        except self._trio.RunFinishedError:
            return False
        return True

    def _to_loop(self, function: Callable[..., Any], *args: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: nobody is left to hear of it
            return False
        return True


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
