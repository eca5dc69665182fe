"""The hashes beside the entries: a large log opens without being read, and whatever is wrong with them is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, origin, sign
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.schema import SCHEMA_VERSION
from ledger.store import PutCheckpoint, PutEntry, Store
from ledger.stored_logs import TILE_ENTRIES
from tests.ledger.test_store import ANN, BOB, SCHEMA_1, chained, strand_of

EDGES = (0, 1, 255, 256, 257, 511, 512, 513, 1100)


def tree_of(entries: Iterable[bytes]) -> Tree:
    return Tree(leaf_hash(data) for data in entries)


def filled(path: Path, size: int, log: str = ANN) -> list[bytes]:
    entries = [b"entry %d" % seq for seq in range(size)]
    with Store(path) as store:
        store.commit(PutEntry(log, seq, data) for seq, data in enumerate(entries))
    return entries


def note(tree: Tree, size: int) -> bytes:
    return sign(Checkpoint(origin("cc" * 32, ANN), size, tree.root(size)), PrivateKey.from_seed(b"a" * 32))


def change(path: Path, statement: str, *values: object) -> None:
    other = sqlite3.connect(path)
    assert other.execute(statement, values).rowcount > 0
    other.commit()
    other.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer.db"


def test_the_tree_is_that_of_the_entries_at_every_edge_of_a_tile(path: Path) -> None:
    entries = [b"entry %d" % seq for seq in range(EDGES[-1])]
    for before, size in pairwise((0, *EDGES)):
        with Store(path) as store:
            store.commit(PutEntry(ANN, seq, entries[seq]) for seq in range(before, size))
            store.commit([PutEntry(BOB, size, b"another log's")] if size < 2 else [])
            tree, whole = store.tree(ANN), tree_of(entries[:size])
            assert (tree.size, tree.root(), tree.nodes()) == (size, whole.root(), whole.nodes())
            assert store.size(ANN) == size
            assert store.head(ANN) == (sha256(entries[size - 1]).hexdigest() if size else "")
            if size > 1:
                assert tree.inclusion(size // 2) == whole.inclusion(size // 2)
                assert tree.consistency(size // 2 or 1) == whole.consistency(size // 2 or 1)


@given(height=st.integers(0, 6), before=st.integers(0, 5), after=st.integers(0, 70))
def test_a_tree_that_grows_by_whole_subtrees_is_the_same_tree(height: int, before: int, after: int) -> None:
    count = 1 << height
    leaves = [leaf_hash(b"%d" % index) for index in range(count * (before + 1) + after)]
    tree = Tree()
    for start in range(0, count * (before + 1), count):
        tree.extend(Tree(leaves[start : start + count]).nodes(), height)
    for leaf in leaves[count * (before + 1) :]:
        tree.append(leaf)
    assert tree.nodes() == Tree(leaves).nodes()


def test_a_subtree_fits_only_where_it_is_whole() -> None:
    nodes = tree_of([b"a", b"b"]).nodes()
    for tree, given_nodes in ((tree_of([b"a"]), nodes), (Tree(), nodes[:-32]), (Tree(), nodes + bytes(32))):
        with pytest.raises(LocalError, match="does not fit"):
            tree.extend(given_nodes, 1)


def test_a_log_is_opened_without_its_entries(path: Path) -> None:
    """A log of five tiles: but for the few entries after the last one, nothing is read that lies in a tile."""
    entries = filled(path, 5 * TILE_ENTRIES + 3)
    change(path, "UPDATE entry SET data = x'00' WHERE seq < ?", 5 * TILE_ENTRIES)
    with Store(path) as store:
        assert store.tree(ANN).root() == tree_of(entries).root()


@pytest.mark.parametrize("byte", [0, 31, 32 * 255, 32 * 256, 32 * 510, 32 * 511 - 1])
def test_a_byte_that_the_disk_changed_in_a_tile_changes_nothing(path: Path, byte: int) -> None:
    entries = filled(path, 3 * TILE_ENTRIES + 1)
    with Store(path) as store:
        nodes = bytearray(store._row("SELECT nodes FROM tile WHERE number = 1")[0])
    nodes[byte] ^= 1
    change(path, "UPDATE tile SET nodes = ? WHERE number = 1", bytes(nodes))
    with Store(path) as store:
        assert store.tree(ANN).nodes() == tree_of(entries).nodes()


def test_a_tile_that_is_missing_or_of_another_place_changes_nothing(path: Path) -> None:
    entries = filled(path, 3 * TILE_ENTRIES)
    change(path, "DELETE FROM tile WHERE number = 0")
    change(path, "UPDATE tile SET sum = (SELECT sum FROM tile WHERE number = 2) WHERE number = 1")
    with Store(path) as store:
        assert store.tree(ANN).nodes() == tree_of(entries).nodes()


def test_tiles_of_another_log_are_found_by_the_signed_checkpoint(path: Path) -> None:
    """Tile and sum agree with each other and not with what the author signed: the entries are what counts."""
    entries = filled(path, 2 * TILE_ENTRIES + 5)
    whole, wrong = tree_of(entries), tree_of(b"other %d" % seq for seq in range(TILE_ENTRIES)).nodes()
    with Store(path) as store:
        store.commit([PutCheckpoint(ANN, 2 * TILE_ENTRIES + 2, note(whole, 2 * TILE_ENTRIES + 2))])
    change(path, "UPDATE tile SET nodes = ?, sum = ? WHERE number = 0", wrong, sha256(wrong).digest())
    with Store(path) as store:
        assert store.tree(ANN).nodes() == whole.nodes()


@pytest.mark.parametrize("beyond", [0, 300])
def test_entries_that_are_not_those_that_were_signed_are_never_opened(path: Path, beyond: int) -> None:
    entries = filled(path, 2 * TILE_ENTRIES + 5)
    larger = tree_of([*entries, *(b"not here yet %d" % index for index in range(beyond))])
    held, proof = len(entries), tuple(larger.consistency(len(entries)))
    with Store(path) as store:
        store.commit([PutCheckpoint(ANN, larger.size, note(larger, larger.size), held, proof)])
        assert store.tree(ANN).root() == larger.root(held)
    change(path, "UPDATE entry SET data = x'00' WHERE seq = ?", 2 * TILE_ENTRIES + 1)
    with Store(path) as store, pytest.raises(LocalError, match="not those its author signed for"):
        store.tree(ANN)


@pytest.mark.parametrize("fork", [1, 255, 256, 300, 512, 700])
def test_a_strand_has_the_tree_of_the_whole_log_that_it_is(path: Path, fork: int) -> None:
    trunk = chained(700)
    strand = chained(600, "strand", trunk[fork - 1])
    second = chained(10, "second", strand[299])
    one, two = strand_of(ANN, fork, strand[0]), strand_of(ANN, fork + 300, second[0])
    logs: list[tuple[str, int, list[bytes]]] = [(ANN, 0, trunk), (one, fork, strand), (two, fork + 300, second)]
    with Store(path) as store:
        for log, first, entries in logs:
            store.commit(PutEntry(log, first + index, data) for index, data in enumerate(entries))
    with Store.open_readonly(path) as store:
        assert store.tree(ANN).nodes() == tree_of(trunk).nodes()
        assert store.tree(one).nodes() == tree_of(trunk[:fork] + strand).nodes()
        assert store.tree(two).nodes() == tree_of(trunk[:fork] + strand[:300] + second).nodes()
        assert store.size(two) == fork + 310


def test_a_store_of_before_gets_its_tiles_when_it_is_upgraded(path: Path) -> None:
    entries = [b"entry %d" % seq for seq in range(600)]
    made: Any = sqlite3.connect(path)
    made.executescript(SCHEMA_1)
    made.execute("INSERT INTO log VALUES (7, ?)", (ANN,))
    made.executemany("INSERT INTO entry (log, seq, data) VALUES (7, ?, ?)", enumerate(entries))
    made.commit()
    made.close()
    with Store.open_readonly(path) as store:
        assert store.tree(ANN).nodes() == tree_of(entries).nodes()
    with Store(path) as store:
        assert store._row("PRAGMA user_version") == (SCHEMA_VERSION,)
        assert store._rows("SELECT log, number FROM tile") == [(7, 0), (7, 1)]
        assert store.tree(ANN).nodes() == tree_of(entries).nodes()
