"""Ledgers whose entries have the right shape and no meaning: chains, pasts, roots and signatures hold, weights do not.

For measuring what the structural pass takes, and for sweeps over many entries: a ledger with a meaning takes a
hundred times as long to write. Everybody publishes in turn and has seen all that was published before.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ledger.bundle import BundleContents, BundleLog
from ledger.canonical import encode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import AnyEntry, Data, Enrol, Scores, Snapshot, Source, Update
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.policy import DEFAULT_POLICY, Policy
from tests.fold.bundles import stream_of
from tests.fold.toy import NOW, genesis

SOURCES = [
    Source(name=f"list {n}", sha256=sha256(bytes([n])).hexdigest(), licence="CC-BY-SA-3.0", retrieved="2026-01-01",
           url=f"https://storage.example.org/lists/{n}.txt?version=202601010000&signature=" + "0123456789abcdef" * 18,
           version="202601010000")
    for n in range(3)
]  # fmt: skip


class Skeleton:
    """`logs` peers; `entries()` writes on for ever, one (peer number, bytes) after the other."""

    def __init__(self, logs: int) -> None:
        self.keys = [PrivateKey.from_seed(bytes([n % 256, n // 256]) * 16) for n in range(logs)]
        first = genesis()
        self.swarm = entry_hash(first)
        self.trees = [Tree() for _ in range(logs)]
        self._heads = [""] * logs
        self._first = first
        enrols = [self._enrol(n) for n in range(logs)]
        self.peers = [entry_hash(data) for data in enrols]
        self._enrols = enrols
        self._seen: list[dict[int, int]] = [{} for _ in range(logs)]  # other's number -> size, in roster order
        self._others = [sorted((n for n in range(logs) if n != me), key=lambda n: self.peers[n]) for me in range(logs)]

    def _enrol(self, number: int) -> bytes:
        link = self._link(number, seq=number == 0, prev=self.swarm if number == 0 else "")
        key = self.keys[number].public.hex()
        return encode_entry(Enrol(**link, key=key, next="ab" * 32, sponsor="", name=f"peer{number}"))

    def _link(self, number: int, *, seq: int, prev: str) -> dict[str, Any]:
        nothing: dict[str, Any] = {"meets": [], "seen": [], "heads": sha256(b"").hexdigest()}
        return {"v": 1, "swarm": self.swarm, "seq": int(seq), "prev": prev, "time": NOW, **nothing}

    def entries(self) -> Iterator[tuple[int, bytes]]:
        yield 0, self._append(0, self._first)
        for number, data in enumerate(self._enrols):
            yield number, self._append(number, data)
        turn = 0
        while True:
            for number in range(len(self.peers)):
                yield number, self._append(number, encode_entry(self._next(number, turn)))
            turn += 1

    def _append(self, number: int, data: bytes) -> bytes:
        self.trees[number].append(leaf_hash(data))
        self._heads[number] = entry_hash(data)
        return data

    def _next(self, number: int, turn: int) -> AnyEntry:
        seen, trees = self._seen[number], self.trees
        meets = [n for n in self._others[number] if n not in seen]
        seen.update(dict.fromkeys(meets, 0))
        grown = [(slot, other) for slot, other in enumerate(seen) if trees[other].size > seen[other]]
        view = [(slot, seen[other]) for slot, other in grown]
        seen.update({other: trees[other].size for _, other in grown})
        heads = [
            bytes.fromhex(self.peers[other]) + seen[other].to_bytes(8, "big") + trees[other].root(seen[other])
            for other in self._others[number]
        ]
        link: dict[str, Any] = {
            "v": 1, "swarm": self.swarm, "seq": trees[number].size, "prev": self._heads[number], "time": NOW + turn,
            "meets": [self.peers[n] for n in meets], "seen": [(slot, seen[other]) for slot, other in grown],
            "heads": sha256(b"".join(heads)).hexdigest(),
        }  # fmt: skip
        if turn % 6 == 0:
            return Data(
                **link, root=self.swarm, records=100_000, labels={"ad": 40_000, "benign": 60_000}, duplicates=0,
                features="toy-1", zone="private", sources=SOURCES,
            )  # fmt: skip
        if turn % 17 == 16:
            return Snapshot(**link, model=self.swarm, state=self.swarm, updates=turn)
        return Update(
            **link, delta=self._heads[number], bytes=1402, codec="gossip-delta/1", view=view, data=turn // 6 + 1,
            steps=32, examples=2048, scores=Scores(examples=412, tp=96, fp=11, fn=20), norm=1_822_222, weight=29_127,
        )  # fmt: skip

    def bundle(self, count: int) -> BundleContents:
        """The first `count` entries, in memory."""
        chains: list[list[bytes]] = [[] for _ in self.peers]
        for _, (number, data) in zip(range(count), self.entries(), strict=False):
            chains[number].append(data)
        logs = []
        for number, chain in enumerate(chains):
            peer = self.peers[number]
            note = sign(Checkpoint(origin(self.swarm, peer), len(chain), self.trees[number].root()), self.keys[number])
            logs.append(BundleLog(peer, len(chain), note, stream_of(chain)))
        logs.sort(key=lambda log: log.peer)
        return BundleContents(
            swarm=self.swarm, founder=self.peers[0], model_hash="0" * 64,
            policy=Policy.parse(DEFAULT_POLICY).text.encode(), logs=tuple(logs), blobs=lambda: (),
            blob=lambda name, limit=0: None,
        )  # fmt: skip
