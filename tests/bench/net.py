"""Three real nodes over a network with weather: `gossip run` in namespaces, joined by a switch in user space (tests).

    clean, rough       from the moment all three run until each has folded so many updates of others: joining, links,
                       and rounds of a second each
    late               one more comes into a swarm of two that has learned for a while: until it has folded all of it
    slow               the same race where one of the three is stopped four fifths of the time: what the other two take
    cut                one is parted from two, all go on; from healing until all three hold what was written meanwhile
    moved              one's address becomes another: from then until its first link

Linux, root, /dev/net/tun. Training takes a moment (a table of 400 rows): what is measured is everything else.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from time import sleep, time
from typing import Final

import pytest

from cli.bench.figures import Figure, Goal, Section
from tests.e2e.machines import machine_park
from tests.net.lan import Lan, lan
from tests.net.nodes import Maker, Node, data, folded, found, join, machines, runs, stop, until
from tests.net.weather import CLEAN, Weather

MERGED: Final = 20
ROUGH: Final = Weather(loss=0.1, delay_s=0.05)
CUTS_S: Final = (10.0, 45.0)  # links outlive the first, and not the second
SLOW: Final = 5
LONG_S: Final = 120.0
TITLE: Final = "three real nodes over networks in user space, a round a second"


@dataclass
class Swarm:
    """Nodes as they come, on one network."""

    net: Lan
    make: Maker
    nodes: list[Node] = field(default_factory=list)

    def enter(self, name: str) -> Node:
        machine = machines(self.make, self.net, name)[name]
        words = [*data(machine), "--every", "1"]
        node = join(machine, self.nodes[0], *words) if self.nodes else found(machine, *words)
        self.nodes.append(node)
        return node

    def wait(self, condition: Callable[[], object], what: str) -> float:
        """Seconds until it is so."""
        begun = time()
        until(condition, what, within_s=LONG_S, running=runs(self.nodes))
        return time() - begun

    def sizes(self) -> dict[str, int]:
        """How long each log is, where it is longest."""
        longest: dict[str, int] = {}
        for node in self.nodes:
            for log, size in node.status().get("heads", {}).items():
                longest[log] = max(size, longest.get(log, 0))
        return longest

    def all_hold(self, sizes: dict[str, int]) -> bool:
        heads = [node.status().get("heads", {}) for node in self.nodes]
        return all(held.get(log, 0) >= size for held in heads for log, size in sizes.items())


@contextmanager
def swarm(*names: str, weather: Weather = CLEAN) -> Iterator[Swarm]:
    """All of them running; not yet linked."""
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(StringIO()))  # what every node said, printed when it ends: for tests
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        net = stack.enter_context(lan("anna", "berta", "cleo"))
        net.switch.weather = weather
        made = Swarm(net, stack.enter_context(machine_park(Path(folder))))
        for name in names:
            made.enter(name)
        for node in made.nodes:
            node.running.event("ready")
        yield made
        stop(made.nodes)


@contextmanager
def stopped_mostly(node: Node) -> Iterator[None]:
    """Let a node, its training included, run a fifth of the time."""
    over = threading.Event()

    def signal_all(number: signal.Signals) -> None:
        for pid in node.machine.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def halt() -> None:
        while not over.is_set():
            signal_all(signal.SIGSTOP)
            over.wait(0.1 * (SLOW - 1))
            signal_all(signal.SIGCONT)
            over.wait(0.1)

    thread = threading.Thread(target=halt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal_all(signal.SIGCONT)


def to_merged(weather: Weather, *, slow: bool = False) -> float:
    with swarm("anna", "berta", "cleo", weather=weather) as made, ExitStack() as stack:
        racing = made.nodes
        if slow:
            stack.enter_context(stopped_mostly(made.nodes[2]))
            racing = made.nodes[:2]
        return made.wait(lambda: min(map(folded, racing)) >= MERGED, f"{MERGED} updates are folded by each")


def late(weather: Weather) -> float:
    with swarm("anna", "berta", weather=weather) as made:
        made.wait(lambda: min(map(folded, made.nodes)) >= MERGED, "two have learned a while")
        cleo = made.enter("cleo")
        cleo.running.event("ready")
        goal = made.sizes()
        return made.wait(lambda: made.all_hold(goal), "the late one holds what was there before")


def cut_and_moved(weather: Weather, cuts_s: tuple[float, ...]) -> tuple[list[float], float]:
    with swarm("anna", "berta", "cleo") as made:
        made.wait(lambda: min(map(folded, made.nodes)) >= 3, "all learn")
        made.net.switch.weather = weather
        heals = []
        for length_s in cuts_s:
            made.net.switch.part(["anna", "berta"], ["cleo"])
            sleep(length_s)
            goal = made.sizes()
            made.net.switch.heal()
            heals.append(made.wait(partial(made.all_hold, goal), "all hold what was written in the cut"))
        cleo, then = made.nodes[2].running, time()
        made.net.readdress("cleo", "10.80.0.77")

        def links() -> list[float]:
            return [event["time"] for event in cleo.events if event["event"] == "link_up" and event["time"] > then]

        made.wait(links, "a link from the new address")
        return heals, links()[0] - then


def measure(*, quick: bool = False) -> Section:
    """Goals: at most 3 times the clean time; 30 s after a cut; 10 s after a move."""
    figures: list[Figure] = []
    try:
        figures.extend(_figures(quick))  # one by one: those before a failure stay
    except (pytest.skip.Exception, pytest.fail.Exception) as why:
        figures.append(Figure("the rest", None, note=str(why).splitlines()[0]))
    return Section(TITLE, tuple(figures))


def _figures(quick: bool) -> Iterator[Figure]:
    clean = to_merged(CLEAN)
    rough = to_merged(ROUGH)
    yield Figure(f"{MERGED} updates folded by each, clean", clean, "s")
    yield Figure(f"  {ROUGH} each way", rough, "s")
    yield Figure("  as many times the clean time", rough / clean, "", Goal(3), 2)
    if not quick:
        slow = to_merged(CLEAN, slow=True)
        yield Figure(f"  one {SLOW}x slower: the others / clean", slow / clean, "", digits=2)
    yield Figure("late: all of before is there, clean", late(CLEAN), "s")
    if not quick:
        yield Figure(f"  {ROUGH}", late(ROUGH), "s")
    for weather in (CLEAN, ROUGH)[: 1 if quick else 2]:
        cuts_s = CUTS_S[: 1 if quick else 2]
        heals, moved = cut_and_moved(weather, cuts_s)
        for length_s, heal_s in zip(cuts_s, heals, strict=True):
            yield Figure(f"healed after {length_s:.0f} s apart, {weather}", heal_s, "s", Goal(30))
        yield Figure(f"linked again at a new address, {weather}", moved, "s", Goal(10))
