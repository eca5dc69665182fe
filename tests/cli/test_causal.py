"""One order for everybody: what is cited first, whatever clocks say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import islice

import pytest

from cli.causal import Line, in_causal_order
from ledger.canonical import decode_entry
from tests.fold import toy


@pytest.fixture(scope="module")
def logs() -> Mapping[str, list[bytes]]:
    swarm = toy.Swarm(["birch", "cedar", "elder"])
    rng = random.Random(3)
    for _ in range(12):
        names = list(swarm.peers)
        rng.shuffle(names)
        for name in names[:2]:
            swarm[name].snapshot()
        swarm.exchange(*names[:3])
    swarm.exchange()
    replica = swarm.founder.replica
    return {log: [replica.data(log, seq) for seq in range(size)] for log, size in replica.heads().items()}


def ordered(logs: Mapping[str, list[bytes]]) -> list[Line]:
    return list(in_causal_order({log: lambda entries=entries: iter(entries) for log, entries in logs.items()}))


def test_what_an_entry_cites_comes_before_it(logs: Mapping[str, list[bytes]]) -> None:
    given: dict[str, int] = dict.fromkeys(logs, 0)
    rosters: dict[str, list[str]] = {log: [] for log in logs}
    cited = 0
    for line in ordered(logs):
        assert given[line.log] == line.seq
        rosters[line.log] += line.entry.meets
        for slot, size in line.entry.seen:
            assert given[rosters[line.log][slot]] >= size
            cited += 1
        given[line.log] += 1
    assert given == {log: len(entries) for log, entries in logs.items()}
    assert cited > 20  # the check had something to see


def test_the_order_does_not_depend_on_how_logs_are_listed(logs: Mapping[str, list[bytes]]) -> None:
    shuffled = dict(reversed(logs.items()))
    assert [(line.log, line.seq) for line in ordered(shuffled)] == [(line.log, line.seq) for line in ordered(logs)]


def test_one_entry_of_each_log_is_in_memory(logs: Mapping[str, list[bytes]]) -> None:
    read = dict.fromkeys(logs, 0)

    def counted(log: str) -> Iterator[bytes]:
        for data in logs[log]:
            read[log] += 1
            yield data

    stream = in_causal_order({log: lambda log=log: counted(log) for log in logs})
    for number, line in enumerate(islice(stream, 40)):
        assert sum(read.values()) <= number + 1 + len(logs), line


def test_a_log_that_is_not_here_holds_nobody_up(logs: Mapping[str, list[bytes]]) -> None:
    without = dict(list(logs.items())[1:])
    assert len(ordered(without)) == sum(map(len, without.values()))


def test_entries_that_cite_one_another_in_a_circle_come_anyway(logs: Mapping[str, list[bytes]]) -> None:
    """Only a forged bundle has that; here one log is cut in front, so that its entries stand at the wrong places."""
    forged = {log: entries[3 * number :] for number, (log, entries) in enumerate(logs.items())}
    lines = ordered(forged)
    assert sorted(line.data for line in lines) == sorted(data for entries in forged.values() for data in entries)
    assert all(line.entry == decode_entry(line.data) for line in lines)
