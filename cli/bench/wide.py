"""Beyond one network: what libp2p adds to a node, and what a swarm takes that meets through a relay alone.

    a node      alone, with a relay and without one, in turn: memory, start-up, processor time, modules
    join        from the command until both sides have admitted an entry of the other's; kept apart (elsewhere.py)
    idle        TCP bytes of libp2p while nobody does anything, both ways, of the busiest peer
    swarm       from the first `gossip join` until all hold entries of all and updates of the founder: beside the same
                swarm on its LAN path, one after the other in the same run
    stream      a link over libp2p, through no relay, beside a link over a data channel: both ends in one process each

All on loopback, with a relay of ours. Without libp2p there is a row that says so, and nothing else.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from typing import Final

from cli.bench.abroad import BOUND_S, Swarm, converged, first, hears, relay, resident_mb
from cli.bench.carriers import LIBRARIES, Carrier, link, stream
from cli.bench.figures import Figure, Goal, Section
from cli.bench.machine import ROOT
from cli.children import Children
from gossip.wide.present import require
from ledger.errors import GossipError

WARM: Final = "import cli.app, cli.running, gossip.node.shell, gossip.wide.engine"
FOREIGN: Final = ("libp2p", "trio", "multiaddr")
AFTER_S: Final = 6.0  # from its host's readiness, or its own, to the look at a node
UPDATES: Final = 3
MB: Final = 16_000_000
QUICK_MB: Final = 2_000_000
MEMORY: Final = Goal(60)
STARTS: Final = Goal(0.3)
NONE: Final = Goal(0)
JOINS: Final = Goal(5)
IDLE: Final = Goal(1.0)
CONVERGES: Final = Goal(1.5)

Alone = tuple[float, float | None, float | None, float]  # until ready, MB, s of a core, until its relay kept a place


def measure(*, quick: bool = False) -> Section:
    rows: list[Figure] = []
    try:
        require()
        rows.extend(_measured(quick))  # one by one: those before a failure stay
    except GossipError as error:
        rows.append(Figure("the rest" if rows else "beyond one network", None, note=str(error)))
    return Section("beyond one network: libp2p, on loopback", tuple(rows))


def _measured(quick: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder, Children() as children:
        place = Path(folder)
        with relay(place / "relay", children) as address:
            yield from _node(place, address, 1 if quick else 3)
            yield from _joining(place, address, children, joiners=1 if quick else 3, idle_s=10.0 if quick else 30.0)
            yield from _swarm(place, address, peers=4 if quick else 20)
    yield from _stream(QUICK_MB if quick else MB)


# ------------------------------------------------------------------ one node


def _node(place: Path, address: str, times: int) -> Iterator[Figure]:
    subprocess.run([sys.executable, "-c", WARM], cwd=ROOT, check=True)  # the first to read files is not the slower one
    taken: dict[str, list[Alone]] = {"": [], address: []}
    for number in range(times):
        for told, rows in taken.items():
            rows.append(_alone(place / f"alone{number}{'w' if told else ''}", told))
    plain, beyond = taken[""], taken[address]
    memory = _added([one[1] for one in plain], [one[1] for one in beyond])
    cpu = _added([one[2] for one in plain], [one[2] for one in beyond])
    started = median(one[0] for one in beyond) - median(one[0] for one in plain)
    note = f"{median(one[1] or 0.0 for one in plain):.0f} without, {median(one[1] or 0.0 for one in beyond):.0f} with"
    yield Figure("memory that it adds to a node", memory, "MB", MEMORY, note=note)
    note = f"{median(one[0] for one in plain):.2f} s without; its relay keeps it a place "
    note += f"{median(one[3] for one in beyond):.1f} s later"
    yield Figure("start-up that it adds, until ready", started, "s", STARTS, 2, note)
    yield Figure("processor time that it adds until then", cpu, "s", digits=2, note="its import, beside the node")
    loaded = _loaded(place / "modules")
    yield Figure("modules of it in a node that does not use it", loaded, "", NONE, 0, ", ".join(FOREIGN))


def _alone(place: Path, address: str) -> Alone:
    """A node that nobody joins, for some seconds."""
    with Children() as children:
        swarm = Swarm(place, children, address, is_apart=False)
        own = swarm.found()
        ready = first(own, "ready")
        assert ready is not None
        swarm.wait(lambda: False, AFTER_S)
        own.watched.look()
        late = swarm.kept_at - ready["time"] if address else 0.0
        return ready["time"] - own.begun, resident_mb(own.watched.pid), own.watched.cpu_s, late


def _loaded(place: Path) -> int:
    """How many modules of libp2p and what it stands on a node imports that was told of no relay."""
    with Children() as children:
        swarm = Swarm(place, children)
        own = swarm.found(flags=("-X", "importtime"))
        swarm.wait(lambda: False, 1.0)
        lines = own.child.log.read_text("utf-8", errors="replace").splitlines()
    names = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    if "gossip.node.shell" not in names:
        raise RuntimeError("Python does not say what it imports")
    return sum(name.split(".")[0] in FOREIGN for name in names)


def _added(plain: list[float | None], beyond: list[float | None]) -> float | None:
    one, two = ([value for value in values if value is not None] for values in (plain, beyond))
    return median(two) - median(one) if one and two else None


# ------------------------------------------------------------------ joining, and doing nothing


def _joining(place: Path, address: str, children: Children, *, joiners: int, idle_s: float) -> Iterator[Figure]:
    with Children() as own:
        swarm = Swarm(place / "joining", own, address)
        founder = swarm.found()
        ready = first(founder, "ready")
        assert ready is not None
        ticket = swarm.invite(joiners)
        taken = [_joined(swarm, ticket, ready["peer"]) for _ in range(joiners)]
        known = [one for one in taken if one is not None]
        note = "" if len(known) == joiners else f"{joiners - len(known)} of {joiners} not within {BOUND_S:g} s"
        each = " ".join(f"{one:.1f}" for one in sorted(known))
        yield Figure(
            "join through a relay: verified heads on both sides", median(known) if known else None, "s", JOINS,
            note=note or f"from the command, each: {each} s",
        )  # fmt: skip
        swarm.wait(lambda: False, AFTER_S)
        before, begun = [_bytes(swarm, number) for number in range(joiners + 1)], time.monotonic()
        swarm.wait(lambda: False, idle_s)
        rates = [
            (_bytes(swarm, number) - was) / 1e3 / (time.monotonic() - begun) for number, was in enumerate(before)
        ]  # fmt: skip
        yield Figure(
            f"idle, libp2p's bytes of the busiest of {joiners + 1}", max(rates), "kB/s", IDLE, 2,
            f"each: {' '.join(f'{rate:.2f}' for rate in rates)}; over {idle_s:g} s",
        )  # fmt: skip


def _joined(swarm: Swarm, ticket: str, founder: str) -> float | None:
    """From the command until each of the two has admitted an entry of the other's."""
    own = swarm.join(ticket)

    def both() -> tuple[float, float] | None:
        ready = first(own, "ready")
        if ready is None:
            return None
        there, here = hears(swarm.peers[0], ready["peer"]), hears(own, founder)
        return None if there is None or here is None else (there, here)

    if not swarm.wait(lambda: both() is not None):
        return None
    found = both()
    assert found is not None
    return max(found) - own.begun


def _bytes(swarm: Swarm, number: int) -> int:
    told = swarm.status(swarm.peers[number])["wide"]
    return int(told["bytes_sent"]) + int(told["bytes_received"])


# ------------------------------------------------------------------ a swarm


def _swarm(place: Path, address: str, *, peers: int) -> Iterator[Figure]:
    near = _converging(place / "near", "", peers)
    far = _converging(place / "far", address, peers)
    late = f"not within {BOUND_S:g} s"
    what = f"{peers} peers, the founder trains: all hold entries of all"
    yield Figure(f"{what}, LAN path", near, "s", note="" if near else late)
    ratio = far / near if near and far else None
    note = f"{far:.1f} s; finding and signalling through the relay" if far else late
    yield Figure("the same over libp2p / LAN path", ratio, "", CONVERGES, 2, note)


def _converging(place: Path, address: str, peers: int) -> float | None:
    """Seconds from the first join command."""
    with Children() as children:
        swarm = Swarm(place, children, address)
        swarm.found(trains=True)
        ticket = swarm.invite(peers - 1)
        begun = time.time()
        for _ in range(peers - 1):
            swarm.join(ticket)
        if not swarm.wait(lambda: converged(swarm.peers, UPDATES) is not None):
            return None
        at = converged(swarm.peers, UPDATES)
        return None if at is None else at - begun


# ------------------------------------------------------------------ a link


def _stream(size: int) -> Iterator[Figure]:
    over = asyncio.run(_rate(stream(), size))
    channel = asyncio.run(_rate(link(LIBRARIES[-1], LIBRARIES[-1]), size))
    yield Figure(
        "a link over a libp2p stream", over, "MB/s",
        note=f"{over / channel:.2f} x a data channel of {LIBRARIES[-1]}, {channel:.1f} MB/s; {size / 1e6:g} MB",
    )  # fmt: skip


async def _rate(carrier: AbstractAsyncContextManager[Carrier], size: int) -> float:
    """MB/s, there and back."""
    async with carrier as both, asyncio.timeout(BOUND_S):
        begun = time.perf_counter()
        for back in (False, True):
            both.ready(size, back=back)
            await both.carry(size, back=back)
        return 2 * size / 1e6 / (time.perf_counter() - begun)
