"""Tiles: the paths of the specification, and logs that come back whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import MAX_ENTRY_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.merkle import HASH_BYTES, Tree, leaf_hash, node_hash
from ledger.tiles import Tile, decode_entries, encode_entries, entry_tiles, hash_tile_bytes, hash_tiles


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(1, 999, 256), "tile/1/999"),
        (Tile(1, 1000, 256), "tile/1/x001/000"),
        (Tile(2, 273, 16), "tile/2/273.p/16"),
        (Tile(-1, 1234067, 256), "tile/entries/x001/x234/067"),
        (Tile(-1, 0, 1), "tile/entries/000.p/1"),
        (Tile(-1, 1_000_000, 3), "tile/entries/x001/x000/000.p/3"),
    ],
)
def test_paths_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_a_log_of_70000_has_the_files_that_the_specification_counts() -> None:
    """Its own example: 273 full tiles and one of 112 at level 0, one and one of 17 at level 1, one of 1 at level 2."""
    hashes = [tile.path for tile in hash_tiles(70_000)]
    assert hashes[:2] == ["tile/0/000", "tile/0/001"]
    assert hashes[272:] == ["tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert sum(1 for _ in entry_tiles(70_000)) == 274
    assert list(hash_tiles(0)) == list(entry_tiles(0)) == []


def test_hash_tiles_hold_the_trees_own_nodes() -> None:
    tree = Tree(leaf_hash(b"%d" % index) for index in range(600))
    for tile in hash_tiles(600):
        data = hash_tile_bytes(tile, tree)
        assert len(data) == HASH_BYTES * tile.width
    level1 = hash_tile_bytes(Tile(1, 0, 2), tree)
    assert node_hash(level1[:32], level1[32:]) == tree.root(512)
    assert hash_tile_bytes(Tile(0, 2, 88), tree)[-32:] == tree.leaf(599)
    with pytest.raises(LocalError):
        hash_tile_bytes(Tile(0, 2, 89), tree)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=40))
def test_entries_come_back_and_no_other_bytes_are_a_tile(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert decode_entries(data, len(entries)) == entries
    for bad, width in ((data[:-1], len(entries)), (data + b"\x00", len(entries)), (data, len(entries) + 1)):
        with pytest.raises(RemoteError):
            decode_entries(bad, width)


def test_entries_beyond_the_limits_make_no_tile() -> None:
    for bad in ([], [b""] * 257, [bytes(MAX_ENTRY_BYTES + 1)]):
        with pytest.raises(LocalError):
            encode_entries(bad)
    with pytest.raises(RemoteError):
        decode_entries((MAX_ENTRY_BYTES + 1).to_bytes(2, "big") + bytes(MAX_ENTRY_BYTES + 1), 1)
