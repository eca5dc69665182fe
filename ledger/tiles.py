"""A log cut into tiles, C2SP tlog-tiles byte for byte, so that auditors can use tools that we did not write.

    checkpoint                        the signed note
    tile/entries/000                  entries 0..255, each as u16be length and bytes
    tile/entries/x001/234.p/7         entries 315,904..315,910: a partial tile of 7
    tile/0/000                        256 leaf hashes, 32 bytes each
    tile/1/000.p/3                    the roots of the first 3 full tiles of level 0

Rules kept here: the size of a log fixes its files, their names and their lengths; every full tile has 256 items
and only the last of a level may be partial. Pure bytes; it refuses to know where files lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.entry import MAX_ENTRY_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.merkle import Tree

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_ENTRY_TILE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)  # 16.5 MB: a reader's buffer


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: `width` items from item `index` * 256 on, of the entries (level -1) or of a level of hashes."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies, from the log's root: tile/entries/x001/234.p/7."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level < 0 else self.level}/{name}{partial}"


def entry_tiles(size: int) -> Iterator[Tile]:
    """The tiles of entries of a log of `size`, in order."""
    return _level(-1, size)


def hash_tiles(size: int) -> Iterator[Tile]:
    """The tiles of hashes of a log of `size`, level by level."""
    level = 0
    while size:
        yield from _level(level, size)
        size >>= TILE_HEIGHT
        level += 1


def _level(level: int, items: int) -> Iterator[Tile]:
    full, rest = divmod(items, TILE_WIDTH)
    for index in range(full):
        yield Tile(level, index, TILE_WIDTH)
    if rest:
        yield Tile(level, full, rest)


def hash_tile_bytes(tile: Tile, tree: Tree) -> bytes:
    """What a tile of hashes holds, for a tree at least as large as the tile reaches."""
    height, first = tile.level * TILE_HEIGHT, tile.index * TILE_WIDTH
    if (first + tile.width) << height > tree.size:
        raise LocalError("the tree is too small for this tile", why=f"size {tree.size}, tile {tile.path}")
    return b"".join(tree.subtree(height, first + item) for item in range(tile.width))


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """A tile of entries."""
    if not 0 < len(entries) <= TILE_WIDTH or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise LocalError("these entries make no tile", why=f"{len(entries)} entries")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a tile; RemoteError unless they fill it exactly."""
    entries, at = [], 0
    for _ in range(width):
        length = int.from_bytes(data[at : at + 2], "big")
        at += 2 + length
        if length > MAX_ENTRY_BYTES or at > len(data):
            raise RemoteError("a tile of entries is cut short", why=f"{len(data)} bytes do not hold {width} entries")
        entries.append(data[at - length : at])
    if at != len(data):
        raise RemoteError("a tile of entries is too long", why=f"{len(data) - at} bytes follow its {width} entries")
    return entries
