"""What the ledger takes of an update: made, signed, stored and audited; and of a swarm, what is signing and hashing.

Storing is a store of a peer with its fsync, one update in each transaction, as where nobody else publishes; beside it a
bare file with as many bytes and an fsync each. Auditing is what anybody does with a log that holds these entries: their
bytes read strictly, their hashes chained, the tree's root under one signed checkpoint. What is of signatures and
hashes among all that peers compute is counted by a profiler over a simulated swarm with real signatures, whose toy
trainer takes nothing: a share of the machines alone. Beside it stands the time for each own update, to hold against a
round.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

from cli.bench.entries import BEFORE, PEER, Author
from cli.bench.figures import Figure, Section
from gossip.sim import Scenario, simulate
from ledger.canonical import decode_entry
from ledger.checkpoint import open_note
from ledger.merkle import leaf_hash, root_of
from ledger.store import PutBlob, PutCheckpoint, PutEntry, Store

ENTRIES: Final = 2_000
STORED: Final = 200
DELTA_BYTES: Final = 4_500  # of the model of filter lists
PEERS: Final = 8
CRYPTO: Final = ("sign", "verify", "openssl_sha256", "_hashlib.HASH")


def measure(*, quick: bool = False, entries: int = 0) -> Section:
    """The section, over so many entries (0: as usual)."""
    number = entries or (ENTRIES // 4 if quick else ENTRIES)
    blob, author = os.urandom(DELTA_BYTES), Author()
    made, notes, taken = [], [], []
    for _ in range(number):
        begun = perf_counter()
        made.append(author.entry(blob))
        notes.append(author.sign(made[-1]))
        taken.append(perf_counter() - begun)
    stored, bare = _stored(made[:STORED], notes, blob)
    begun = process_time()
    _audit(made, notes[-1], author.public)
    audited = (process_time() - begun) / number
    peers = 4 if quick or entries else PEERS
    signed, whole, updates = _swarm(peers, 20.0)
    return Section(
        f"entries: updates of {sum(map(len, made)) // number} bytes that cite 19 other logs",
        (
            Figure("made, hashed, in the tree, signed", 1e6 * median(taken), "us", digits=0),
            Figure("stored, with an fsync", 1e3 * stored, "ms", digits=2, note=f"{stored / bare:.1f} x a bare file"),
            Figure("audited: bytes, chain, tree, signature", 1e6 * audited, "us", digits=0),
            Figure("signatures and hashes, of all computed", signed / whole, "%",
                   note=f"{peers} simulated peers, without training"),
            Figure("  for each own update of a peer", 1e3 * signed / updates, "ms", digits=2,
                   note=f"of {1e3 * whole / updates:.1f} ms"),
        ),
    )  # fmt: skip


def _audit(made: list[bytes], note: bytes, public: bytes) -> None:
    prev = sha256(BEFORE[-1]).hexdigest()
    for seq, data in enumerate(made, start=len(BEFORE)):
        entry = decode_entry(data)
        if (entry.seq, entry.prev) != (seq, prev):
            raise RuntimeError("the chain is broken")
        prev = sha256(data).hexdigest()
    if open_note(note, public).root != root_of(map(leaf_hash, (*BEFORE, *made))):
        raise RuntimeError("the checkpoint is of another log")


def _stored(made: list[bytes], notes: list[bytes], blob: bytes) -> tuple[float, float]:
    """Seconds for an update in a store of its own, and for as many bytes in a bare file."""
    ours, theirs = [], []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gossip-bench-")))
        store = stack.enter_context(Store(folder / "store.db"))
        file = stack.enter_context((folder / "bare").open("wb", buffering=0))
        for seq, (data, note) in enumerate(zip(made, notes, strict=False)):
            delta = blob[:-8] + seq.to_bytes(8, "little")
            at = perf_counter()
            store.commit([
                PutEntry(PEER, seq, data), PutBlob(sha256(delta).hexdigest(), delta),
                PutCheckpoint(PEER, seq + 1, note),
            ])  # fmt: skip
            then = perf_counter()
            file.write(data + delta + note)
            os.fsync(file.fileno())
            ours.append(then - at)
            theirs.append(perf_counter() - then)
    return median(ours), median(theirs)


def _swarm(peers: int, seconds: float) -> tuple[float, float, int]:
    """Seconds of processor of a simulated swarm: for signatures and hashes, and for everything; and its updates. The
    profiler makes all else slower, so the whole is measured without it."""
    scenario = Scenario(peers=peers, seconds=seconds, round_s=5.0, seed=1, signatures="real")
    begun = process_time()
    report = simulate(scenario)
    whole = process_time() - begun
    profile = cProfile.Profile(process_time)
    profile.enable()
    simulate(scenario)
    profile.disable()
    found: Any = pstats.Stats(profile)  # its rows carry no types
    calls = (row[2] for (file, _, name), row in found.stats.items() if file == "~" and any(w in name for w in CRYPTO))
    return sum(calls), whole, sum(report.updates.values())
