"""Two loops side by side: results, cancellation and trouble cross, and the end has a bound."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("trio", reason=NO_LIBP2P)

import trio

import gossip.wide.bridge as module
from gossip.wide.bridge import CALLS, POSTS, Bridge
from ledger.errors import LinkError, LocalError

DEADLINE_S = 60.0


class Lives:
    """Lives that idle, fail as often as asked, and say when one runs."""

    def __init__(self, failures: int = 0) -> None:
        self.begun = 0
        self.failures = failures
        self.failed: list[BaseException] = []
        self.runs = threading.Event()

    async def live(self, ending: Any) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise ValueError("a bug of libp2p")
        with ending:
            self.runs.set()
            await trio.sleep_forever()

    def note(self, error: BaseException, again_s: float) -> None:
        self.failed.append(error)


async def started(lives: Lives) -> Bridge:
    bridge = Bridge(lives.live, lives.note)
    bridge.start()
    assert await asyncio.to_thread(lives.runs.wait, DEADLINE_S)
    return bridge


async def test_a_call_brings_back_what_the_other_side_returns_and_raises() -> None:
    bridge = await started(Lives())

    async def double(number: int) -> int:
        await trio.sleep(0)
        return number * 2

    async def ours() -> None:
        raise LocalError("no such thing")

    async def theirs() -> None:
        raise KeyError("inside of libp2p")

    assert await bridge.call(double, 21) == 42
    with pytest.raises(LocalError, match="no such thing"):
        await bridge.call(ours)
    with pytest.raises(LinkError, match="KeyError"):
        await bridge.call(theirs)
    await bridge.close()


async def test_who_stops_waiting_here_stops_the_work_there() -> None:
    bridge = await started(Lives())
    begun, stopped = threading.Event(), threading.Event()

    async def forever() -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    task = asyncio.create_task(bridge.call(forever))
    assert await asyncio.to_thread(begun.wait, DEADLINE_S)
    task.cancel()
    assert await asyncio.to_thread(stopped.wait, DEADLINE_S)
    await bridge.close()


async def test_trouble_over_there_is_told_and_another_life_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.01)
    lives = Lives(failures=2)
    bridge = await started(lives)
    async with asyncio.timeout(DEADLINE_S):
        while len(lives.failed) < 2:
            await asyncio.sleep(0.01)
    assert lives.begun == 3
    assert "a bug of libp2p" in repr(lives.failed[0].exceptions[0])  # type: ignore[attr-defined]
    await bridge.close()


async def test_before_a_life_runs_calls_fail_at_once() -> None:
    bridge = Bridge(Lives().live, lambda *_: None)
    with pytest.raises(LinkError, match="not running"):
        await bridge.call(trio.sleep, 0)
    await bridge.close()


async def test_calls_that_are_under_way_end_with_the_bridge_and_leave_no_thread() -> None:
    bridge = await started(Lives())
    tasks = [asyncio.create_task(bridge.call(trio.sleep_forever)) for _ in range(20)]
    await bridge.call(trio.sleep, 0)
    await bridge.close()
    for task in tasks:
        with pytest.raises(LinkError, match="stopped"):
            await task
    assert "gossip-wide" not in {each.name for each in threading.enumerate()}
    with pytest.raises(LinkError, match="not running"):
        await bridge.call(trio.sleep, 0)


async def test_what_is_posted_is_bounded_and_nothing_comes_after_the_end() -> None:
    bridge = await started(Lives())
    heard: list[int] = []

    async def flood() -> None:
        for number in range(3 * POSTS):
            bridge.post(heard.append, number)

    async def late() -> None:
        bridge.post(heard.append, -1)

    done = asyncio.ensure_future(bridge.call(flood))
    while not done.done():  # the loop is busy with something else meanwhile
        time.sleep(0.05)
        await asyncio.sleep(0)
    await done
    await asyncio.sleep(0)
    assert POSTS <= len(heard) <= 3 * POSTS
    assert heard == sorted(heard)
    before = len(heard)
    closing = asyncio.ensure_future(bridge.close())
    bridge.post(heard.append, -2)
    await closing
    bridge.post(heard.append, -3)
    await asyncio.sleep(0)
    assert heard[before:] in ([], [-2])
    assert -3 not in heard


async def test_a_question_to_the_loop_is_answered_over_there_and_trouble_is_none() -> None:
    bridge = await started(Lives())

    async def answer(number: int) -> int:
        await asyncio.sleep(0)
        if number < 0:
            raise ValueError("a bug of the node's")
        return number + 1

    async def ask(number: int) -> int | None:
        answered: int | None = await bridge.ask(answer, number)
        return answered

    bugs: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context["exception"]))
    assert await bridge.call(ask, 1) == 2
    assert await bridge.call(ask, -1) is None
    assert [type(each) for each in bugs] == [ValueError]
    await bridge.close()


async def test_a_library_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.2)
    free, hangs = threading.Event(), threading.Event()

    async def hang(ending: Any) -> None:
        hangs.set()
        free.wait(DEADLINE_S)  # not even trio gets a turn

    bridge = Bridge(hang, lambda *_: None)
    bridge.start()
    assert await asyncio.to_thread(hangs.wait, DEADLINE_S)
    async with asyncio.timeout(DEADLINE_S / 2):
        await bridge.close()
    free.set()


async def test_what_was_asked_as_a_life_broke_ends_and_does_not_hang() -> None:
    """A call waits in line while the thread is busy, and then the life raises: nobody is left to begin it."""
    loop, failed = asyncio.get_running_loop(), asyncio.Event()
    busy, asked, begun = asyncio.Event(), threading.Event(), threading.Event()

    async def live(ending: Any) -> None:
        if begun.is_set():
            await trio.sleep_forever()
        begun.set()
        loop.call_soon_threadsafe(busy.set)
        asked.wait(DEADLINE_S)  # as in a handshake: trio gets no turn meanwhile
        raise ValueError("a bug of libp2p")

    bridge = Bridge(live, lambda *_: failed.set())
    bridge.start()
    async with asyncio.timeout(DEADLINE_S):
        await busy.wait()
        while bridge._token is None:
            await asyncio.sleep(0)
        task = asyncio.create_task(bridge.call(trio.sleep, 0))
        await asyncio.sleep(0)  # it is in line
        asked.set()
        with pytest.raises(LinkError, match="not running"):
            await task
        await failed.wait()
    await bridge.close()


async def test_a_life_that_this_machine_cannot_have_is_the_last() -> None:
    told: list[tuple[BaseException, float]] = []
    lives = 0

    async def live(ending: Any) -> None:
        nonlocal lives
        lives += 1
        raise LocalError("libp2p does not load")

    bridge = Bridge(live, lambda *said: told.append(said))
    bridge.start()
    async with asyncio.timeout(DEADLINE_S):
        await bridge._ended.wait()
        while not told:
            await asyncio.sleep(0.01)
    assert lives == 1
    assert [(str(error), again_s) for error, again_s in told] == [("libp2p does not load", float("inf"))]
    with pytest.raises(LinkError, match="not running"):
        await bridge.call(trio.sleep, 0)
    await bridge.close()


async def test_of_what_the_loop_has_no_time_for_so_much_is_kept_and_the_rest_is_dropped() -> None:
    bridge = await started(Lives())
    heard: list[int] = []
    bugs: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
    for number in range(POSTS + 1):  # the loop runs none of it before this test awaits
        bridge.post(heard.append, number)
    await asyncio.sleep(0)
    assert heard == list(range(POSTS))
    bridge.post(heard.append, -1)
    await asyncio.sleep(0)
    assert heard[-1] == -1  # there is room again
    assert bugs == []
    await bridge.close()


async def test_one_call_too_many_is_refused_and_a_place_becomes_free() -> None:
    bridge = await started(Lives())
    tasks = [asyncio.create_task(bridge.call(trio.sleep_forever)) for _ in range(CALLS)]
    await asyncio.sleep(0)
    with pytest.raises(LinkError, match="too much is under way"):
        await bridge.call(trio.sleep, 0)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    await bridge.call(trio.sleep, 0)
    await bridge.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_waits_between_lives_that_fail_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(module, "RETRY_LAST_S", 0.006)
    waits: list[float] = []
    lives = Lives(failures=5)
    bridge = Bridge(lives.live, lambda _, again_s: waits.append(again_s))
    bridge.start()
    async with asyncio.timeout(DEADLINE_S):
        while len(waits) < 5:
            await asyncio.sleep(0.01)
    assert waits == pytest.approx([0.001, 0.002, 0.004, 0.006, 0.006])
    await bridge.close()


async def test_what_the_node_is_asked_over_there_ends_with_the_bridge() -> None:
    bridge = await started(Lives())
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        asked.set()
        try:
            await asyncio.sleep(DEADLINE_S * 10)
        finally:
            stopped.set()

    async def ask() -> None:
        with trio.CancelScope(shield=True):  # so that nothing over there lets go of it
            await bridge.ask(answer)

    task = asyncio.create_task(bridge.call(ask))
    async with asyncio.timeout(DEADLINE_S):
        await asked.wait()
        await bridge.close()
        await stopped.wait()
    await asyncio.wait([task])
    assert task.exception() is None or isinstance(task.exception(), LinkError)
