"""What a node is asked to look at: every question is answered, whatever happens to files, lists and processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from gossip import directory as places
from gossip import zones
from gossip.events import DataReady, Inspect, Inspected, Judge, Judged, OpenRecords, RecordsOpened
from gossip.filterlists.requests import file_digest, read_requests
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node import checking
from gossip.node.checking import Checking
from gossip.node.config import NodeConfig
from gossip.node.learning import Learning
from gossip.node.own_data import Own
from gossip.peer.book import restore
from gossip.pinned import keep, pinned_path
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.entry import PeerId
from ledger.opening import public_salt, verify_opening
from ledger.policy import Policy
from ledger.provenance import Commitment, commit_records
from ledger.store import Store
from tests.training.test_checks import LIST, SIGNATURE, records, row, write

CANARY = [row(number) for number in range(50)]
WITHIN_S = 120.0
SALT = b"\x07" * 32


@dataclass
class Bench:
    """One peer's checking, without the rest of its node; the peer itself asks, for it is a member: an admin."""

    place: Path
    config: NodeConfig
    own: PeerId
    checking: Checking
    learning: Learning
    swarm: str
    told: list[str]
    answers: asyncio.Queue[RecordsOpened | Inspected | Judged | DataReady]
    file: Path

    async def ask(self, effect: OpenRecords | Inspect | Judge) -> RecordsOpened | Inspected | Judged:
        self.checking.start(effect)
        async with asyncio.timeout(WITHIN_S):
            answer = await self.answers.get()
        assert not isinstance(answer, DataReady)
        return answer

    def challenge(self, root: str) -> OpenRecords:
        return OpenRecords(self.own, 5, root, bytes.fromhex(SIGNATURE), 20)

    def committed(self) -> Commitment:
        """As a run before this one has left it: the files are public, the leaves on disk."""
        zones.make_public(self.place, self.file)
        rows = [(each.key, each.value) for each in read_requests(self.file)]
        with places.leaves_path(self.place).open("wb") as leaves:
            return commit_records(rows, public_salt(self.swarm), keep=leaves.write)


@pytest.fixture
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A peer with a file of 300 requests, judged by one of its own; `indirect` False: without data."""
    canary = write(tmp_path / "canary.jsonl", CANARY)
    policy = f"""policy = 1
[canary]
sha256 = "{file_digest(canary)}"
[labels.ad]
easylist = "{sha256(LIST.encode()).hexdigest()}"
"""
    place = tmp_path / "peer"
    created = create_swarm(
        place, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1, policy_text=policy
    )
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(300)])
    held_out = write(tmp_path / "held-out.jsonl", [row(number, site="other") for number in range(60)])
    has_data = getattr(request, "param", True)
    config = NodeConfig(directory=place, data=(file,) if has_data else (), validation=held_out)
    told: list[str] = []
    answers: asyncio.Queue[RecordsOpened | Inspected | Judged | DataReady] = asyncio.Queue()
    with Store.open_readonly(places.store_path(place)) as store:
        book = restore(created.swarm, created.peer, store.history(), store.blob, NumpyArithmetic())
    async with asyncio.TaskGroup() as tasks:
        own = Own(config, created.swarm, SALT, told.append)
        learning = Learning(config, own, tasks, answers.put, lambda kind, **fields: None)
        made = Checking(place, own, learning, book.replica, tasks, answers.put, told.append)
        yield Bench(place, config, created.peer, made, learning, created.swarm, told, answers, file)
        await made.close()
        await learning.close()
        own.close()


# ------------------------------------------------------------------ own records


async def test_what_an_earlier_run_published_is_opened_by_the_next(bench: Bench) -> None:
    data = bench.committed()
    answer = await bench.ask(bench.challenge(data.root))
    assert isinstance(answer, RecordsOpened)
    assert (answer.challenger, answer.seq) == (bench.own, 5)
    assert len(verify_opening(answer.blob, data, bench.swarm, SIGNATURE, 20).records) == 20
    assert bench.told == []


async def test_a_file_that_was_changed_is_not_opened_and_its_owner_is_told_why(bench: Bench) -> None:
    data = bench.committed()
    before = bench.file.read_bytes()
    bench.file.write_bytes(before + before[:100])
    for _ in range(2):
        assert await bench.ask(bench.challenge(data.root)) == RecordsOpened(bench.own, 5, b"")
    changed, withheld = bench.told  # once, not with every question
    assert f"{bench.file} was changed since it was made public: it is private again" in changed
    assert "could not be answered" in withheld
    assert "its zone is private" in withheld
    bench.file.write_bytes(before)
    assert (await bench.ask(bench.challenge(data.root))).blob  # type: ignore[union-attr]


async def test_what_its_owner_made_private_meanwhile_is_not_opened(bench: Bench) -> None:
    data = bench.committed()
    zones.make_private(bench.place, bench.file)
    assert await bench.ask(bench.challenge(data.root)) == RecordsOpened(bench.own, 5, b"")
    assert "its zone is private" in bench.told[0]


async def test_a_stranger_has_nothing_opened(bench: Bench) -> None:
    data = bench.committed()
    stranger = OpenRecords("ee" * 32, 5, data.root, bytes.fromhex(SIGNATURE), 20)
    assert await bench.ask(stranger) == RecordsOpened("ee" * 32, 5, b"")
    assert "records are for members" in bench.told[0]


@pytest.mark.parametrize("bench", [False], indirect=True)
async def test_who_has_no_data_opens_none(bench: Bench) -> None:
    assert await bench.ask(bench.challenge("11" * 32)) == RecordsOpened(bench.own, 5, b"")


# ------------------------------------------------------------------ others' records


@pytest.mark.parametrize("bench", [True, False], indirect=True)
async def test_with_the_list_labels_are_judged_without_it_all_else_and_that_is_said_once(
    bench: Bench, tmp_path: Path
) -> None:
    theirs = tuple(records(tmp_path, 10))
    for number in (1, 2):
        answer = await bench.ask(Inspect(number, theirs))
        assert isinstance(answer, Inspected)
        assert answer.number == number
        assert answer.measured is not None
        assert answer.measured["opened.records"] == 40
        assert "opened.wrong_labels_permille" not in answer.measured
    (told,) = bench.told
    assert "easylist of the policy is not on this machine" in told

    pytest.importorskip("adblock")
    pin(bench, tmp_path / "list.txt", LIST)
    answer = await bench.ask(Inspect(3, theirs))
    assert isinstance(answer, Inspected)
    assert answer.measured is not None
    assert answer.measured["opened.wrong_labels_permille"] == 250


async def test_a_process_that_dies_has_not_looked_and_the_next_one_looks(bench: Bench, tmp_path: Path) -> None:
    theirs = tuple(records(tmp_path, 0))
    await bench.ask(Inspect(1, theirs))
    assert bench.checking.pid is not None
    os.kill(bench.checking.pid, signal.SIGKILL)
    assert await bench.ask(Inspect(2, theirs)) == Inspected(2, None)
    assert "opened records could not be looked at: the checking process ended: signal 9" in bench.told[-1]
    again = await bench.ask(Inspect(3, theirs))
    assert isinstance(again, Inspected)
    assert again.measured is not None


async def test_when_there_is_nothing_to_look_at_the_process_ends(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "IDLE_S", 0.0)
    theirs = tuple(records(tmp_path, 0))
    await asyncio.gather(bench.ask(Inspect(1, theirs)), bench.ask(Inspect(2, theirs)))  # but not between two questions
    async with asyncio.timeout(WITHIN_S):
        while bench.checking.pid is not None:
            await asyncio.sleep(0)
    assert (await bench.ask(Inspect(3, theirs))).measured  # type: ignore[union-attr]


async def test_a_question_that_takes_too_long_is_given_up(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PATIENCE_S", 0.0)
    assert await bench.ask(Inspect(1, tuple(records(tmp_path, 0)))) == Inspected(1, None)
    assert "took longer than" in bench.told[0]


# ------------------------------------------------------------------ models


def models() -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    start = NumpyArithmetic().to_float32(NumpyArithmetic().start(ModelSpec.parse(FILTERLIST).layout(), "22" * 32))
    return start, start * np.float32(1.5), start * np.float32(2), {"ad": 3, "benign": 5}


@pytest.mark.parametrize("bench", [False], indirect=True)
async def test_who_has_no_data_judges_on_the_canary_set(bench: Bench, tmp_path: Path) -> None:
    assert await bench.ask(Judge(1, *models())) == Judged(1, ())
    assert "the canary set of the policy is not on this machine" in bench.told[0]
    keep(pinned_path(bench.place), tmp_path / "canary.jsonl", policy_of(bench))
    answer = await bench.ask(Judge(2, *models()))
    assert isinstance(answer, Judged)
    (measured,) = answer.measured
    assert (measured.on, measured.given.examples, measured.without.examples) == ("canary", 50, 50)


async def test_who_trains_judges_on_own_rows_too_and_when_its_process_died_over_it_goes_on(
    bench: Bench, tmp_path: Path
) -> None:
    keep(pinned_path(bench.place), tmp_path / "canary.jsonl", policy_of(bench))
    assert await bench.ask(Judge(1, *models())) == Judged(1, ())  # nothing is loaded yet
    await bench.learning.warm_up()
    bench.learning.begin(bench.checking._replica.genesis)
    assert isinstance(await bench.answers.get(), DataReady)

    def on(answer: object) -> list[str]:
        assert isinstance(answer, Judged)
        return [measured.on for measured in answer.measured]

    assert on(await bench.ask(Judge(2, *models()))) == ["holdout", "canary"]
    assert bench.learning.pid is not None
    os.kill(bench.learning.pid, signal.SIGKILL)
    bench.checking.start(Judge(3, *models()))
    assert isinstance(await bench.answers.get(), DataReady)  # another has read the data again
    assert await bench.answers.get() == Judged(3, ())
    assert on(await bench.ask(Judge(4, *models()))) == ["holdout", "canary"]


@pytest.mark.parametrize("bench", [False], indirect=True)
async def test_without_data_a_comparison_that_takes_too_long_or_has_no_process_ends_no_node(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(checking, "PATIENCE_S", 0.0)
        for number in (1, 2):
            assert await bench.ask(Judge(number, *models())) == Judged(number, ())
    (told,) = bench.told  # once
    assert "models could not be compared: looking took longer than" in told
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        assert await bench.ask(Judge(3, *models())) == Judged(3, ())
    assert "no process to look with could be started" in bench.told[-1]
    assert await bench.ask(Judge(4, *models())) == Judged(4, ())
    assert "canary set of the policy is not on this machine" in bench.told[-1]  # the next one looks


@pytest.mark.parametrize("bench", [False], indirect=True)
async def test_without_data_a_process_that_dies_over_two_models_ends_no_node(bench: Bench, tmp_path: Path) -> None:
    keep(pinned_path(bench.place), tmp_path / "canary.jsonl", policy_of(bench))
    await bench.ask(Judge(1, *models()))
    assert bench.checking.pid is not None
    os.kill(bench.checking.pid, signal.SIGKILL)
    assert await bench.ask(Judge(2, *models())) == Judged(2, ())
    assert "models could not be compared: the checking process ended: signal 9" in bench.told[-1]
    assert (await bench.ask(Judge(3, *models()))).measured  # type: ignore[union-attr]


def policy_of(bench: Bench) -> Policy:
    return bench.checking._replica.policy_now()


def pin(bench: Bench, file: Path, text: str) -> None:
    file.write_text(text)
    keep(pinned_path(bench.place), file, policy_of(bench))
