"""mDNS on loopback: processes of one machine find one another, and only their own swarm."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time

import pytest
from zeroconf.asyncio import AsyncServiceInfo

from gossip.transport.discovery import Candidate, Discovery, addresses_of, read_record, swarm_tag
from gossip.transport.hearing import SERVICE
from ledger.errors import LinkError, LocalError

pytestmark = pytest.mark.e2e
LIMIT_S = 20
# A swarm of this run alone: other tests may be on the same loopback.
SWARM = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()


async def run_peer(number: int, wanted: int, swarm: str) -> dict[str, float]:
    """One peer: the keys it found and after how many seconds."""
    found: dict[str, float] = {}
    enough = asyncio.Event()
    begun = time.monotonic()

    def on_found(candidate: Candidate) -> None:
        found.setdefault(f"{candidate.key[0]} {candidate.host}:{candidate.port}", time.monotonic() - begun)
        if len(found) >= wanted:
            enough.set()

    discovery = Discovery(("127.0.0.1",), swarm, on_found)
    await discovery.start()
    await discovery.advertise(4000 + number, key=bytes([number]) * 32, peer=f"{number:02x}" * 32)
    try:
        await asyncio.wait_for(enough.wait(), LIMIT_S)
    finally:
        print(found, flush=True)  # the process that started us has waited for this; it ends us by closing stdin
        await asyncio.to_thread(sys.stdin.read)
        await discovery.close()
    return found


async def test_four_processes_find_one_another_quickly() -> None:
    program = (
        f"import asyncio, sys; from {__name__} import run_peer; asyncio.run(run_peer(int(sys.argv[1]), 3, sys.argv[2]))"
    )
    peers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(number), SWARM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(4)
    ]
    reports = []
    async with asyncio.timeout(2 * LIMIT_S):
        for peer in peers:
            assert peer.stdout is not None
            reports.append((await peer.stdout.readline()).decode())
        for peer in peers:
            await peer.communicate(b"")  # closes its stdin
    for number, report in enumerate(reports):
        for other in set(range(4)) - {number}:
            assert f"'{other} 127.0.0.1:{4000 + other}'" in report
    print("found after (s):", *reports)


async def test_another_swarm_is_not_heard_and_its_name_not_told() -> None:
    heard: list[Candidate] = []
    ours, theirs = "11" * 32, "22" * 32
    mine = Discovery(("127.0.0.1",), ours, heard.append)
    found = asyncio.Event()
    other = Discovery(("127.0.0.1",), theirs, heard.append)
    third = Discovery(("127.0.0.1",), theirs, lambda _: found.set())
    for discovery in (mine, other, third):
        await discovery.start()
    await mine.advertise(4001, key=b"\x31" * 32, peer="31" * 32)
    await other.advertise(4002, key=b"\x32" * 32, peer="32" * 32)
    async with asyncio.timeout(LIMIT_S):
        await found.wait()  # the third, of the same swarm, hears it: the record is out
    assert heard == []
    assert swarm_tag(ours) not in (swarm_tag(theirs), ours)
    for discovery in (mine, other, third):
        await discovery.close()


GOOD = {"tag": swarm_tag(SWARM), "id": "f0" * 32, "key": "0c" * 32}


def record(port: int = 4000, address: bytes = b"\x7f\0\0\x01", **changes: str) -> AsyncServiceInfo:
    return AsyncServiceInfo(SERVICE, f"x.{SERVICE}", port=port, addresses=[address], properties=GOOD | changes)


async def test_who_moves_is_heard_at_the_new_address_and_hears_there() -> None:
    swarm = hashlib.sha256(SWARM.encode()).hexdigest()
    heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    news: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def until(queue: asyncio.Queue[tuple[str, int]], place: tuple[str, int]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await queue.get() != place:
                pass

    stays = Discovery(("127.0.0.1",), swarm, lambda one: heard.put_nowait((one.host, one.port)), lambda key: True)
    moves = Discovery(("127.0.0.1",), swarm, lambda one: news.put_nowait((one.host, one.port)), lambda key: True)
    try:
        for number, one in enumerate((stays, moves)):
            await one.start()
            await one.advertise(4000 + number, key=bytes([number]) * 32, peer=f"{number:02x}" * 32)
        await until(heard, ("127.0.0.1", 4001))
        await until(news, ("127.0.0.1", 4000))
        await moves.move(("127.0.0.2",), 4009, key=bytes([1]) * 32, peer="01" * 32)
        await until(heard, ("127.0.0.2", 4009))
        await until(news, ("127.0.0.1", 4000))  # asked for again: what was told before the move may be over
    finally:
        await stays.close()
        await moves.close()


async def test_a_move_in_the_midst_of_a_shout_costs_no_more_than_a_line_and_shouts_all_of_it() -> None:
    wanted = [("code", "1"), ("code", "2")]
    discovery = Discovery(("127.0.0.1",), SWARM, lambda _: None)
    await discovery.start()
    try:
        await discovery.shout(4000, wanted[:1])
        running = discovery._zeroconf
        assert running is not None
        await running.async_close()  # what a move does first
        with pytest.raises(LinkError, match="mDNS does not work for now"):
            await discovery.shout(4000, wanted)
        with pytest.raises(LinkError, match="mDNS does not work for now"):
            await discovery.advertise(4000, key=bytes(32), peer="00" * 32)
        await discovery.move(("127.0.0.1",), 4001, key=bytes(32), peer="00" * 32)
        assert set(discovery._shouts) == set(wanted)
        assert discovery._zeroconf is not running
    finally:
        await discovery.close()


def test_a_record_is_a_hint_of_where_and_who() -> None:
    found = read_record(record(), swarm_tag(SWARM), ("127.0.0.1",))
    assert found == Candidate("127.0.0.1", 4000, b"\x0c" * 32, "f0" * 32)


@pytest.mark.parametrize(
    "bad",
    [
        record(tag="0" * 16),
        record(key="0c"),
        record(key="zz" * 32),
        record(id="\xff"),
        record(id="f0" * 33),
        record(port=0),
        record(address=b"\x0a\0\0\x01"),  # not on loopback, where we are
        AsyncServiceInfo(SERVICE, f"x.{SERVICE}", port=1, addresses=[b"\x7f\0\0\x01"]),
    ],
)
def test_a_malformed_record_is_ignored(bad: AsyncServiceInfo) -> None:
    assert read_record(bad, swarm_tag(SWARM), ("127.0.0.1",)) is None


def test_interfaces_by_name_and_by_address() -> None:
    assert addresses_of("lo") == addresses_of("127.0.0.1") == ("127.0.0.1",)
    with pytest.raises(LocalError, match="use one of"):
        addresses_of("no-such-interface")
