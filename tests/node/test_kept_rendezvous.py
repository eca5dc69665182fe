"""Where members meet, on disk: behind the entries that it names, and there for the next start."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gossip.events import Append, KeepRendezvous
from gossip.node.kept_model import KeptModel
from gossip.node.writer import RENDEZVOUS, Writer
from ledger.mark import WitnessMark
from ledger.store import Store

OWN = "0f" * 32


async def test_the_newest_is_kept_with_the_entries_before_it(tmp_path: Path) -> None:
    stored: list[int] = []

    async def hear(seq: int) -> None:
        stored.append(seq)

    async def hear_witnessed(log: str, size: int) -> None:
        raise AssertionError

    with Store(tmp_path / "peer.db") as store, Store.open_readonly(tmp_path / "peer.db") as reader:
        writer = Writer(
            store, reader, WitnessMark(tmp_path / "witnessed"), OWN, hear, hear_witnessed,
            KeptModel(tmp_path / "final.model"),
        )  # fmt: skip
        running = asyncio.create_task(writer.run())
        writer.put(KeepRendezvous(b"the first"))
        writer.put(Append(0, b"entry 0", None))
        writer.put(KeepRendezvous(b"the second"))
        while not stored:
            await asyncio.sleep(0)
        assert reader.find_meta(RENDEZVOUS) == b"the second"
        writer.put(KeepRendezvous(b"the third"))
        await writer.close()
        running.cancel()
    with Store(tmp_path / "peer.db") as store:
        assert store.find_meta(RENDEZVOUS) == b"the third"
        assert store.logs() == {OWN: 1}
