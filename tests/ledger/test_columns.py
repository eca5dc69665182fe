"""What keeps an audit small: columns that lie in a file, and sets of hashes that keep little of each."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.errors import LocalError
from ledger.merkle import Tree, leaf_hash
from ledger.names import HashSet
from ledger.spill import BLOCK_BYTES, SpillFile


def test_a_column_in_a_file_is_the_bytearray_that_it_stands_for() -> None:
    luck, file = random.Random(4), SpillFile()
    pairs = [(file.column(), bytearray()) for _ in range(3)]
    for _ in range(400):
        column, plain = luck.choice(pairs)
        more = luck.randbytes(luck.choice([1, 32, 700, 3 * BLOCK_BYTES]))
        column += more
        plain += more
        for one, other in pairs:
            begin, end = luck.randint(-40, len(other) + 40), luck.randint(-40, len(other) + 40)
            assert len(one) == len(other)
            assert bytes(one[begin:end]) == bytes(other[begin:end])
            assert bytes(one[:]) == bytes(other)


def test_a_tree_in_a_file_is_the_same_tree() -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(900)]
    plain, spilled = Tree(leaves), Tree(column=SpillFile().column)
    spilled.append_all(leaves[:300])
    for leaf in leaves[300:]:
        spilled.append(leaf)
    assert spilled.nodes() == plain.nodes()
    for size in range(1, 901, 7):
        assert spilled.root(size) == plain.root(size)
        assert spilled.consistency(size) == plain.consistency(size)
        assert spilled.prefix(size).root() == plain.root(size)
    assert spilled.inclusion(3) == plain.inclusion(3)


def test_leaves_by_the_batch_make_the_tree_that_they_make_one_by_one() -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(300)]
    for batch in (1, 2, 3, 64, 255, 300):
        tree = Tree()
        for at in range(0, 300, batch):
            tree.append_all(leaves[at : at + batch])
            done = min(at + batch, 300)
            assert tree.nodes() == Tree(leaves[:done]).nodes()
            assert tree.root() == Tree(leaves[:done]).span_root(0, done)
    with pytest.raises(LocalError):
        tree.append_all([b"\0" * 31])


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    file = SpillFile()
    with pytest.raises(LocalError, match="no room"):
        file.put(bytes(BLOCK_BYTES))


def test_a_set_of_hashes_is_a_set() -> None:
    luck = random.Random(6)
    names = [luck.randbytes(32).hex() for _ in range(3000)]
    # Names that begin alike, and one that shows up across two others.
    names += ["ab" * 2 + luck.randbytes(30).hex() for _ in range(500)]
    first, second = "00" * 2 + "11" * 4 + "22" * 4, "00" * 2 + "33" * 4 + "44" * 4
    across = "00" * 2 + "22" * 4 + "33" * 4
    found = HashSet()
    assert [found.add(name) for name in names] == [True] * len(names)
    assert [found.add(name) for name in names] == [False] * len(names)
    assert len(found) == len(names)
    assert [found.add(name.ljust(64, "0")) for name in (first, second)] == [True, True]
    assert across.ljust(64, "0") not in found
    assert all(name in found for name in names)
    assert not any(luck.randbytes(32).hex() in found for _ in range(2000))
