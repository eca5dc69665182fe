"""Each limit, as low as it may be, is felt where it belongs; and a node hands those of its file to every part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from gossip import NodeConfig
from gossip.config import PeerConfig
from gossip.events import Found, LinkDown, LinkUp
from gossip.limits import DEFAULT, MIB, Limits, bounds
from gossip.peer.blobs import Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.quota import Quota
from gossip.peer.tape import Held, Tape
from gossip.transport.admission import Admitted
from gossip.transport.link import MAX_MESSAGE_BYTES
from gossip.transport.memory import memory_pair
from gossip.transport.pool import LinkPool
from gossip.transport.signalling import SignallingServer
from gossip.transport.webrtc import WebRTCTransport
from ledger.keys import PrivateKey
from tests.node.test_inviting import Running, found, running
from tests.peer.bench import Bench
from tests.peer.test_bad_member import guest
from tests.peer.test_links import Desk
from tests.transport.joining import Members

KEY = PrivateKey.from_seed(b"k" * 32)
Measure = Callable[[Limits], float]


def account(at: int, rate: bool = False, *, is_guest: bool = False) -> Measure:
    """Of a Quota: frames, bytes not asked for, signatures, and what is served."""

    def measure(limits: Limits) -> float:
        bucket = list(Quota(limits, 0.0, is_guest=is_guest))[at]
        assert bucket.take(bucket.size, 0.0)
        return bucket.at(0.001) * 1000 if rate else bucket.size

    return measure


def outbox(limits: Limits) -> float:
    """Bytes that wait for a link that takes nothing."""

    async def fill() -> int:
        near, _far = memory_pair(b"n" * 32, b"f" * 32)
        events: asyncio.Queue[object] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            pool = LinkPool(tasks, events.put, limits)
            pool.add(near, "")
            assert isinstance(await events.get(), LinkUp)
            held = pool._open[1]
            for _ in range(200):  # 12 MiB; whatever comes after the end of the link goes nowhere
                pool.send(1, bytes(MAX_MESSAGE_BYTES), bulk=True)
            waiting = sum(one.size_bytes for one in held.outboxes)
            assert isinstance(await events.get(), LinkDown)
        return waiting

    return asyncio.run(fill())


def held(member: bool, logs: int) -> Measure:
    """Bytes of entries that wait, in so many logs, that one link has brought."""

    def measure(limits: Limits) -> float:
        bench = Bench(limits=limits)
        log = guest(bench, 1, 1).log
        admission, tapes = bench.machine._admission, bench.machine._tapes
        names = (
            [log, *(f"{log}~{number}" for number in range(1, logs))] if member else [f"{n:064x}" for n in range(logs)]
        )
        waiting, at = 0, 0
        while True:
            tape = tapes.setdefault(names[at % logs], Tape(names[at % logs]))
            if not admission._has_room(tape, 1 if member else at):
                return waiting
            tape.held.append(Held(bytes(60_000), 1 if member else at))
            tape.held_bytes += 60_000
            waiting, at = waiting + 60_000, at + 1

    return measure


def fetcher(limits: Limits, holders: Sequence[int] = ()) -> Blobs:
    return Blobs(Pace(1.0), Outbox(), Bench().shell.memory, lambda log, seq: list(holders), limits)


def blobs(size_bytes: int, *, of_one: bool) -> Measure:
    """How many blobs of that size are fetched before their entries' turn."""

    def measure(limits: Limits) -> float:
        fetching = fetcher(limits)
        for number in range(200):
            log = "aa" * 32 if of_one else f"{number:064x}"
            digest = sha256(b"%d" % number).hexdigest()
            fetching.want(digest, limit=MIB, total=size_bytes, log=log, seq=number, urgent=False)
        return len(fetching)

    return measure


def asked_of_a_link(limits: Limits) -> float:
    fetching = fetcher(limits, [1])
    for number in range(40):
        digest = sha256(b"%d" % number).hexdigest()
        fetching.want(digest, limit=MIB, total=1000, log=f"{number:064x}", seq=0, urgent=True)
    fetching.pump(0.0)
    return sum(transfer.link is not None for transfer in fetching._open.values())


def ready(limits: Limits) -> float:
    """Bytes of blobs that are here before their entry's turn."""
    fetching = fetcher(limits)
    fetching._ready_bytes = 2 * MIB
    fetching.want("ab" * 32, limit=MIB, total=1000, log="aa" * 32, seq=0, urgent=False)
    return len(fetching)


def links(limits: Limits) -> float:
    desk = Desk(b"\x10" * 32, [bytes([n]) * 32 for n in range(100)], PeerConfig(limits=limits))
    for number in range(40, 80):
        desk.links.up(LinkUp(number, bytes([number]) * 32, dialled=False, role=""), 0.0)
    return len(desk.links)


def candidates(limits: Limits) -> float:
    desk = Desk(b"\x10" * 32, (), PeerConfig(limits=limits))
    for number in range(300):
        desk.links.found(Found("10.0.0.1", number, sha256(b"%d" % number).digest()), 0.0)
    return len(desk.links._candidates)


def connections(limits: Limits) -> float:
    """Of 20 from one address, how many stay."""

    async def come() -> int:
        server = SignallingServer(lambda data: asyncio.sleep(0, None), limits=limits)
        port = await server.start("127.0.0.1", 0)
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        await asyncio.wait([asyncio.create_task(one.read(1)) for one, _ in pairs], timeout=0.3)
        stay = sum(not one.at_eof() for one, _ in pairs)
        for _, writer in pairs:
            writer.close()
        await server.close()
        return stay

    return asyncio.run(come())


def transport(limits: Limits) -> WebRTCTransport:
    return WebRTCTransport(KEY, "5a" * 32, Members(), ("127.0.0.1",), limits=limits)


def tickets(what: str, rate: bool = False) -> Measure:
    """How many handshakes of a key, or offers of an address, are answered at once, or in a minute after that."""

    def measure(limits: Limits) -> float:
        async def count() -> int:
            made = transport(limits)
            budget = made._admission.budget if what == "handshakes" else made._server._offers
            at_once = sum(budget.take("one", 0.0) for _ in range(3000))
            return sum(budget.take("one", 60.0) for _ in range(3000)) if rate else at_once

        return asyncio.run(count())

    return measure


def handshakes_open(limits: Limits) -> float:
    async def begin() -> int:
        places = transport(limits)._admission
        task, taken = asyncio.create_task(asyncio.Event().wait()), 0
        while places.has_room(bytes([taken, 0]), Admitted()):
            places.begin(bytes([taken, 0]), "channel", Admitted(), task)  # type: ignore[arg-type]
            taken += 1
        task.cancel()
        return taken

    return asyncio.run(begin())


def disk(limits: Limits) -> float:
    return Bench(limits=limits).machine._disk.limit_bytes


FELT: dict[str, Measure] = {
    "frames_burst": account(0), "frames_per_s": account(0, rate=True),
    "unasked_bytes": account(1), "unasked_bytes_per_s": account(1, rate=True),
    "signatures_burst": account(2), "signatures_per_s": account(2, rate=True),
    "served_bytes": account(3), "served_bytes_per_s": account(3, rate=True),
    "guest_percent": account(0, is_guest=True),
    "outbox_bytes": outbox,
    "held_log_bytes": held(True, 1), "held_bytes": held(True, 40), "held_others_bytes": held(False, 40),
    "transfers": blobs(10, of_one=False), "transfers_link": asked_of_a_link,
    "blobs_waiting_bytes": ready, "blobs_waiting_peer_bytes": blobs(MIB // 8, of_one=True),
    "disk_bytes": disk, "links": links, "candidates": candidates,
    "connections": connections, "connections_host": connections, "handshakes_open": handshakes_open,
    "handshakes_burst": tickets("handshakes"), "handshakes_per_min": tickets("handshakes", rate=True),
    "offers_burst": tickets("offers"), "offers_per_min": tickets("offers", rate=True),
}  # fmt: skip
ELSEWHERE = {"claims": "tests/peer/test_quota.py", "branch_bytes": "tests/peer/test_fork_bounds.py"}


def test_every_limit_is_felt_somewhere() -> None:
    assert FELT.keys() | ELSEWHERE.keys() == bounds().keys()
    for name, place in ELSEWHERE.items():
        assert f"Limits({name}=" in (Path(__file__).resolve().parents[2] / place).read_text()


@pytest.mark.parametrize("name", FELT)
def test_the_least_that_it_may_be_is_less_than_the_default(name: str) -> None:
    measure, least = FELT[name], bounds()[name].least
    low, usual = measure(Limits(**{name: least})), measure(DEFAULT)
    assert low < usual, f"{name} changes nothing"


@pytest.mark.e2e
@pytest.mark.xdist_group("e2e-two")
async def test_a_node_hands_those_of_its_file_to_every_part(tmp_path: Path) -> None:
    found(tmp_path / "anna")
    file = tmp_path / "limits.toml"
    file.write_text("frames_burst = 100\nlinks = 2\nconnections = 4\n")
    anna = Running(NodeConfig(directory=tmp_path / "anna", limits=file))
    expected = Limits(frames_burst=100, links=2, connections=4)
    async with running(anna):
        node = anna.node
        peer = node._peer
        assert peer is not None
        assert node._transport is not None
        assert node._pool is not None
        assert [part._limits for part in (node._transport, node._transport._server, node._pool, peer._blobs)] == [
            expected
        ] * 4
        assert peer._quotas.limits == peer._links._config.limits == expected
