"""A node's side of lending: shards of its own files, cut by a process; others' rows, read by the one that trains."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gossip import directory as places
from gossip import zones
from gossip.events import Borrow, Borrowed, CutShards, DataReady, DropRows, KeepRows, ShardsCut
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node import checking
from gossip.node.checking import Checking
from gossip.node.config import NodeConfig
from gossip.node.learning import Learning
from gossip.node.own_data import Own
from gossip.peer.book import restore
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST
from ledger.entry import Data
from ledger.opening import SHARDS, verify_shard
from ledger.store import Store
from tests.training.test_checks import row, write

WITHIN_S = 120.0
SALT = b"\x07" * 32


class Node:
    """One peer's files and processes, without the network and the machine."""

    def __init__(
        self, place: Path, data: tuple[Path, ...], held_out: Path, tasks: asyncio.TaskGroup, lends: bool
    ) -> None:
        created = create_swarm(place, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
        self.swarm, self.peer, self.told = created.swarm, created.peer, list[str]()
        with Store.open_readonly(places.store_path(place)) as store:
            book = restore(created.swarm, created.peer, store.history(), store.blob, NumpyArithmetic())
        self.genesis = book.replica.genesis
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        config = NodeConfig(
            directory=place, data=data, validation=held_out, lend_to=(created.peer,) if lends else ()
        )  # fmt: skip
        self.own = Own(config, created.swarm, SALT, self.told.append)
        self.learning = Learning(config, self.own, tasks, self.answers.put, lambda kind, **fields: None)
        self.checking = Checking(
            place, self.own, self.learning, book.replica, tasks, self.answers.put, self.told.append
        )  # fmt: skip

    async def answer(self) -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await self.answers.get()

    async def read(self) -> Data:
        """What the next DataReady commits to."""
        answer = await self.answer()
        assert isinstance(answer, DataReady)
        return answer.commitment


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def node(folder: Path, *files: Path, public: bool = False, lends: bool = True) -> AsyncIterator[Node]:
    held_out = write(folder / "held-out.jsonl", [row(number, site="other") for number in range(60)])
    async with asyncio.TaskGroup() as tasks:
        made = Node(folder / "peer", files, held_out, tasks, lends)
        if public:
            zones.make_public(folder / "peer", files[0])
        yield made
        await made.checking.close()
        await made.learning.close()
        made.own.close()


async def test_shards_of_public_files_are_cut_and_others_rows_are_trained_on_until_their_lease_ends(
    tmp_path: Path,
) -> None:
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(300)])
    async with node(tmp_path, file, public=True) as lender:
        await lender.learning.warm_up()
        lender.learning.begin(lender.genesis)
        data = await lender.read()
        lender.checking.start(CutShards(data.root))
        cut = await lender.answer()
        assert isinstance(cut, ShardsCut)
        assert (cut.root, len(cut.shards), lender.told) == (data.root, SHARDS, [])
        shown = verify_shard(cut.shards[5], data, lender.swarm, 5).records

    other = tmp_path / "other"
    other.mkdir()
    own = write(other / "own.jsonl", [row(number, site="mine") for number in range(90)])
    async with node(other, own, lends=False) as borrower:
        await borrower.learning.warm_up()
        borrower.learning.begin(borrower.genesis)
        before = await borrower.read()
        digest = sha256(cut.shards[5]).hexdigest()
        borrower.learning.borrow(KeepRows(digest, tuple((each.key, each.value) for each in shown)))
        borrower.learning.borrow(Borrow((Borrowed("aa" * 32, data.root, digest, "MIT"),)))
        after = await borrower.read()
        assert (before.records, after.records, after.zone) == (90, 90 + len(shown), "private")
        assert [(one.name, one.sha256, one.licence) for one in after.sources[1:]] == [
            (f"lent by {'aa' * 32}", data.root, "MIT")
        ]
        assert [file.stem for file in (other / "peer" / "borrowed").iterdir()] == [digest]
        borrower.learning.borrow(Borrow(()))
        borrower.learning.borrow(DropRows((digest,)))
        assert (await borrower.read()).root == before.root
        await until(lambda: not list((other / "peer" / "borrowed").iterdir()))
        assert list((other / "peer" / "borrowed").iterdir()) == []
    assert not (other / "peer" / "borrowed").exists()


@pytest.mark.parametrize("change", ["private", "another row"])
async def test_what_its_owner_makes_private_or_changes_is_lent_no_more(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "WATCH_S", 0.01)
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(90)])
    async with node(tmp_path, file, public=True) as lender:
        await lender.learning.warm_up()
        lender.learning.begin(lender.genesis)
        data = await lender.read()
        lender.checking.start(CutShards(data.root))
        cut = await lender.answer()
        assert isinstance(cut, ShardsCut)
        assert len(cut.shards) == SHARDS
        os.utime(file)  # touched, and the same: it stays lent
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert lender.answers.empty()
        if change == "private":
            zones.make_private(tmp_path / "peer", file)
        else:
            write(file, [row(number) for number in range(91)])
        assert await lender.answer() == ShardsCut(data.root, ())
        assert any("lent no more" in text for text in lender.told)


async def test_a_node_without_data_keeps_no_rows_of_others(tmp_path: Path) -> None:
    """Its machine asks for none; a node that is told of some all the same must not end by that."""
    async with node(tmp_path, lends=False) as observer:
        observer.learning.begin(observer.genesis)
        observer.learning.borrow(KeepRows("cc" * 32, ((b"k", b"v"),)))
        observer.learning.borrow(DropRows(("cc" * 32,)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert not (tmp_path / "peer" / "borrowed").exists()


@pytest.mark.parametrize("why", ["private", "one of two files private", "nobody named"])
async def test_of_what_may_not_be_lent_nothing_is_cut(tmp_path: Path, why: str) -> None:
    """One private file among public ones makes all of them private: what is trained on together has one zone."""
    files = [write(tmp_path / name, [row(number) for number in range(90)]) for name in ("a.jsonl", "b.jsonl")]
    public = why != "private"
    few = files if why == "one of two files private" else files[:1]
    async with node(tmp_path, *few, public=public, lends=why != "nobody named") as lender:
        own = await lender.own.data(lender.genesis.model)
        assert (own.zone, own.lends) == ("public" if why == "nobody named" else "private", [])
        lender.checking.start(CutShards("ab" * 32))
        assert await lender.answer() == ShardsCut("ab" * 32, ())
        assert any("nobody is named" in text for text in lender.told)
