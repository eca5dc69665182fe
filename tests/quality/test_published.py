"""Whose public data one's own are compared with: the newest of everybody else, as far as their sketches are here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from gossip.published import published
from gossip.setup import EMPTY_HEADS
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import FORMAT_VERSION, Data, Enrol
from ledger.keys import PrivateKey
from ledger.opening import public_salt
from ledger.provenance import commit_records
from ledger.sketch import make_sketch
from ledger.store import PutBlob, PutEntry, Store

SWARM = "2a" * 32
SIZES: Mapping[str, tuple[int, ...]] = {
    "anna": (30,),
    "bert": (20, 40),
    "cleo": (0,),
    "dora": (25, 0),
}  # 0: private data


def enrol(name: str) -> bytes:
    key = PrivateKey.from_seed(sha256(name.encode()).digest()).public.hex()
    return encode_entry(
        Enrol(
            v=FORMAT_VERSION, swarm=SWARM, seq=0, prev="", time=0, meets=[], seen=[], heads=EMPTY_HEADS, key=key,
            next="0" * 64, sponsor="", name=name,
        )
    )  # fmt: skip


def announced(name: str, number: int, records: int) -> tuple[bytes, bytes]:
    """A data entry and its sketch."""
    leaves = bytearray()
    made = commit_records(
        [(b"%s %d" % (name.encode(), row), b"") for row in range(records)], public_salt(SWARM), keep=leaves.extend
    )
    sketch = make_sketch(leaves) if records else b""
    entry = Data(
        v=FORMAT_VERSION, swarm=SWARM, seq=number, prev="11" * 32, time=0, meets=[], seen=[], heads=EMPTY_HEADS,
        root=made.root, records=records, labels={}, duplicates=0, features="url-grams/1",
        zone="public" if records else "private", sources=[], sketch=sha256(sketch).hexdigest() if sketch else "",
        sketch_bytes=len(sketch),
    )  # fmt: skip
    return encode_entry(entry), sketch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        for name, sizes in SIZES.items():
            first = enrol(name)
            opened.commit([PutEntry(entry_hash(first), 0, first)])
            for number, records in enumerate(sizes, start=1):
                entry, sketch = announced(name, number, records)
                blobs = [PutBlob(sha256(sketch).hexdigest(), sketch)] if sketch else []
                opened.commit([PutEntry(entry_hash(first), number, entry), *blobs])
        yield opened


def found(store: Store, but: str = "") -> dict[str, int]:
    return {one.name: one.records for one in published(store, but=entry_hash(enrol(but)) if but else "")}


def test_the_newest_public_data_of_everybody_else_are_compared_with(store: Store) -> None:
    assert found(store) == {"anna": 30, "bert": 40, "dora": 25}
    assert found(store, but="anna") == {"bert": 40, "dora": 25}  # nobody overlaps with itself
    assert found(store, but="bert") == {"anna": 30, "dora": 25}


def test_whose_newest_sketch_is_not_here_is_left_out(store: Store) -> None:
    """Not compared with what it published before: it learns from something else now."""
    entry, _ = announced("bert", 3, 50)
    store.commit([PutEntry(entry_hash(enrol("bert")), 3, entry)])
    assert found(store) == {"anna": 30, "dora": 25}


def test_a_sketch_that_does_not_hold_any_more_is_left_out_and_the_others_are_compared(store: Store) -> None:
    """As a disk may make of it: of other data than its entry commits to."""
    log = entry_hash(enrol("anna"))
    _, other = announced("somebody", 2, 35)
    entry, _ = announced("anna", 2, 35)
    name = sha256(other).hexdigest().encode()
    true = sha256(announced("anna", 2, 35)[1]).hexdigest().encode()
    store.commit([PutEntry(log, 2, entry.replace(true, name)), PutBlob(name.decode(), other)])
    assert found(store) == {"bert": 40, "dora": 25}
