"""Tiles: the paths of the specification, and logs that come back whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import MAX_ENTRY_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, Tree, join_right, leaf_hash, node_hash
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


EDGES = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537)


@pytest.fixture(scope="module")
def large() -> Tree:
    return Tree(leaf_hash(b"%d" % index) for index in range(EDGES[-1]))


@pytest.mark.parametrize("size", EDGES)
def test_at_every_edge_the_files_are_those_of_the_definition(size: int, large: Tree) -> None:
    """The partial tile of level l has floor(size / 256^l) mod 256 items; full ones come before it; none is empty."""
    tiles = list(hash_tiles(size))
    for level in range(4):
        full, rest = divmod(size // 256**level, 256)
        names = [f"tile/{level}/{index:03d}" for index in range(full)]
        names += [f"tile/{level}/{full:03d}.p/{rest}"] if rest else []
        assert [tile.path for tile in tiles if tile.level == level] == names
    assert [tile.width for tile in entry_tiles(size)] == [tile.width for tile in tiles if tile.level == 0]
    assert {tile.path.replace("tile/entries/", "tile/0/") for tile in entry_tiles(size)} == {
        tile.path for tile in tiles if tile.level == 0
    }


@pytest.mark.parametrize("size", EDGES)
def test_at_every_edge_the_tiles_alone_give_the_root(size: int, large: Tree) -> None:
    """As an auditor who has only the files: a full tile hashes into its place above, the rest to the root."""
    files = {tile.path: hash_tile_bytes(tile, large) for tile in hash_tiles(size)}
    last = {tile.level: tile for tile in hash_tiles(size)}
    for level in range(1, 4):
        above = b"".join(files[tile.path] for tile in hash_tiles(size) if tile.level == level)
        below = [tile for tile in hash_tiles(size) if tile.level == level - 1 and tile.width == 256]
        assert above == b"".join(whole(files[tile.path]) for tile in below)
    tops: list[bytes] = []  # complete subtrees from the left, largest first: of each level, what no tile above holds
    for level in range(3, -1, -1):
        if level in last:
            tile = last[level]
            rest = files[tile.path] if tile.width < 256 else b""
            items = [rest[at : at + 32] for at in range(0, len(rest), 32)]
            while items:
                count = 1 << (len(items).bit_length() - 1)
                tops.append(whole(b"".join(items[:count])))
                items = items[count:]
    assert (join_right(tops) if tops else EMPTY_ROOT) == large.root(size)


def whole(data: bytes) -> bytes:
    """The root over a power of two of hashes."""
    while len(data) > 32:
        data = b"".join(node_hash(data[at : at + 32], data[at + 32 : at + 64]) for at in range(0, len(data), 64))
    return data


def test_a_tile_reaches_no_further_than_its_tree(large: Tree) -> None:
    for tile in (Tile(0, 256, 2), Tile(1, 1, 1), Tile(2, 0, 2), Tile(3, 0, 1)):
        with pytest.raises(LocalError, match="too small"):
            hash_tile_bytes(tile, large)
    assert hash_tile_bytes(Tile(2, 0, 1), large) == large.root(65_536)


@pytest.mark.parametrize("count", [1, 2, 255, 256])
def test_a_tile_of_entries_holds_up_to_256(count: int) -> None:
    entries = [b"%d" % index for index in range(count)]
    assert decode_entries(encode_entries(entries), count) == entries
    for other in {count - 1, count + 1}:
        with pytest.raises(RemoteError):
            decode_entries(encode_entries(entries), other)


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
