"""Wrong bytes made from right ones: seeded, and knowing enough of formats to get behind the first check.

    Mutator(seed, [a real message, another]).next() -> bytes

Bits and lengths are changed blindly, which finds what a reader does with half a field. What is JSON is also changed as
JSON and spelled canonically again, what is a number becomes one at the bounds, what is packed becomes a bomb: a reader
that compares spellings or inflates would else refuse nearly all at once, and what lies behind would never be tried.

Rules kept here: the same seed gives the same bytes, on every machine; nothing longer than `limit` (a message's, unless
said otherwise), so that time is lost in the reader under test and not in the making.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, Final

LIMIT: Final = 65_536  # bytes: the longest message between peers

# Where readers go wrong: signs, widths of integers, what a double holds exactly, and what no machine word does.
NUMBERS: Final = (
    0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, 1 << 53,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 10**20, 10**400, -1, -(1 << 31), -(1 << 53), -(1 << 63),
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\0", "\n", "a" * 64, "0" * 64, "f" * 64, "g" * 64, "A" * 64, "é" * 64, "\x1b[31m", "\u202eabc", "\ufeff",
    "../../etc/passwd", "[link=http://x]", "<script>", "%s%n", "1e999", "NaN", "-0", "0x10", "1_0", "\u0661", "\u2028",
    "x" * 5_000, "a\u0301" * 100, "\U0001f600", "\x7f", "\x85", "\u200b",
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (*NUMBERS, *TEXTS, None, True, False, 1.5, -0.0, [], {}, [[]], {"": ""}, [0] * 300)
_DIGITS: Final = re.compile(rb"-?\d+")
_ESCAPES: Final = (b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\\u202e", b"\\x", b"\\")
_SMALL: Final = 1 << 15  # JSON longer than this is taken apart only now and then


class Mutator:
    """Endlessly many wrong messages. `words` are pieces of the format, put in now and then."""

    def __init__(self, seed: object, seeds: Sequence[bytes], words: Sequence[bytes] = (), limit: int = LIMIT) -> None:
        if not seeds:
            raise ValueError("a mutator begins with something real")
        self._luck = Random(f"fuzz/{seed}")
        self._seeds = tuple(seeds)
        self._words = (*words, *_ESCAPES, b"\0" * 8, b"\xff" * 8)
        self._limit = limit
        self._trees = {data: tree for data in self._seeds if (tree := _tree(data)) is not None}

    def next(self) -> bytes:
        """One more."""
        luck = self._luck
        data = luck.choice(self._seeds)
        if data in self._trees and luck.random() < (0.5 if len(data) < _SMALL else 0.05):
            data = self._as_json(data)
            if luck.random() < 0.8:
                return data[: self._limit]
        for _ in range(luck.choice((1, 1, 1, 2, 2, 3, 6))):
            data = luck.choice(_CHANGES)(self, data)
        return data[: self._limit]

    # -------------------------------------------------------------- blind changes

    def _at(self, data: bytes) -> int:
        """A place in `data`: in a long one as often near its ends, where the lengths stand."""
        luck, size = self._luck, len(data)
        match luck.randrange(4):
            case 0:
                return luck.randint(0, min(size, 48))
            case 1:
                return max(0, size - luck.randint(0, 48))
            case _:
                return luck.randint(0, size)

    def _span(self, data: bytes) -> tuple[int, int]:
        begin = self._at(data)
        return begin, min(len(data), begin + int(2 ** self._luck.uniform(0, 9)))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"\0"
        at = min(self._at(data), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << self._luck.randrange(8)]) + data[at + 1 :]

    def _byte(self, data: bytes) -> bytes:
        at, byte = self._at(data), self._luck.choice((0, 1, 0x7F, 0x80, 0xFF, self._luck.randrange(256)))
        return data[:at] + bytes([byte]) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _drop(self, data: bytes) -> bytes:
        begin, end = self._span(data)
        return data[:begin] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        begin, end = self._span(data)
        times = self._luck.choice((1, 1, 2, 10, 300))
        return data[:end] + data[begin:end] * min(times, 1 + self._limit // max(1, end - begin)) + data[end:]

    def _swap(self, data: bytes) -> bytes:
        begin, end = self._span(data)
        other = self._at(data)
        return data[:other] + data[begin:end] + data[other + end - begin :]

    def _noise(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._luck.randbytes(self._luck.randint(1, 12)) + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self._luck.choice(self._seeds)
        return data[: self._at(data)] + other[self._at(other) :]

    def _word(self, data: bytes) -> bytes:
        at, word = self._at(data), self._luck.choice(self._words)
        return data[:at] + word + data[at + self._luck.choice((0, len(word))) :]

    # -------------------------------------------------------------- changes of numbers, nesting and packing

    def _field(self, data: bytes) -> bytes:
        """An integer of one to eight bytes at a bound, or one off what it was."""
        luck, at = self._luck, self._at(data)
        form = luck.choice(("<B", "<H", "<I", "<Q", ">H", ">I", ">Q"))
        size = struct.calcsize(form)
        if len(data) < at + size:
            return self._byte(data)
        if luck.random() < 0.5:
            number = struct.unpack_from(form, data, at)[0] + luck.choice((-1, 1, 2, -2, 256))
        else:
            number = luck.choice(NUMBERS)
        return data[:at] + struct.pack(form, number % (1 << 8 * size)) + data[at + size :]

    def _number(self, data: bytes) -> bytes:
        """A number in digits becomes another one."""
        found = list(_DIGITS.finditer(data[:_SMALL]))
        if not found:
            return self._field(data)
        match = self._luck.choice(found)
        return data[: match.start()] + str(self._luck.choice(NUMBERS)).encode() + data[match.end() :]

    def _nest(self, data: bytes) -> bytes:
        at, deep = self._at(data), self._luck.choice((10, 1_000, 30_000))
        return data[:at] + self._luck.choice((b"[", b'{"a":', b"(", b'[{"":')) * deep + data[at:]

    def _bomb(self, data: bytes) -> bytes:
        """Little that inflates to much, as a stream of its own or behind the first bytes."""
        return data[: self._luck.choice((0, 1, 3, self._at(data)))] + self._luck.choice(_bombs())

    # -------------------------------------------------------------- changes of JSON

    def _as_json(self, data: bytes) -> bytes:
        tree = json.loads(self._trees[data])
        for _ in range(self._luck.choice((1, 1, 2, 3))):
            tree = self._changed(tree)
        try:
            text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            return text.encode("utf-8", "replace")
        except (TypeError, ValueError):  # keys that cannot be sorted
            return data

    def _changed(self, tree: Any) -> Any:
        """The tree with one of its nodes changed: sought from the root, a step down at a time."""
        luck = self._luck
        if not isinstance(tree, dict | list) or not tree or luck.random() < 0.08:
            return self._value(tree)
        if isinstance(tree, dict):
            key = luck.choice(list(tree))
            match luck.randrange(12):
                case 0:
                    return {name: value for name, value in tree.items() if name != key}
                case 1:
                    return {**tree, luck.choice(("", "a", "kind", key + "x", "\u00e9")): luck.choice(VALUES)}
                case 2:
                    return {**tree, key: tree[luck.choice(list(tree))]}
                case _:
                    return {**tree, key: self._changed(tree[key])}
        at = luck.randrange(len(tree))
        match luck.randrange(10):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[: at + 1] * luck.choice((2, 2, 70, 300))
            case 2:
                return tree[::-1]
            case _:
                return [*tree[:at], self._changed(tree[at]), *tree[at + 1 :]]

    def _value(self, old: Any) -> Any:
        """Another value: often of the kind that was there, so that it is read on."""
        luck = self._luck
        if luck.random() < 0.6:
            if isinstance(old, bool):
                return not old
            if isinstance(old, int):
                return luck.choice((old + 1, old - 1, old * 2, luck.choice(NUMBERS)))
            if isinstance(old, str):
                new = luck.choice((old[:-1], old + old[:1], old.upper(), old[::-1], luck.choice(TEXTS)))
                return new[:5_000]
        return luck.choice(VALUES)


_CHANGES: Final[tuple[Callable[[Mutator, bytes], bytes], ...]] = (
    Mutator._flip, Mutator._flip, Mutator._flip, Mutator._byte, Mutator._byte, Mutator._cut, Mutator._drop,
    Mutator._repeat, Mutator._swap, Mutator._noise, Mutator._splice, Mutator._splice, Mutator._word, Mutator._field,
    Mutator._field, Mutator._field, Mutator._number, Mutator._number, Mutator._nest, Mutator._bomb,
)  # fmt: skip


def _tree(data: bytes) -> bytes | None:
    """The bytes, if they are JSON with something in it."""
    try:
        return data if isinstance(json.loads(data), dict | list) else None
    except (ValueError, RecursionError):
        return None


@cache
def _bombs() -> tuple[bytes, ...]:
    """Sixteen megabytes of nothing in 16 KB: raw, as a packed frame of any length, zlib and gzip."""
    zeros = bytes(1 << 24)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    raw = packer.compress(zeros) + packer.flush()
    frames = tuple(b"\x0d" + struct.pack("<H", length) + raw for length in (256, 65_535))
    return (raw, *frames, zlib.compress(zeros, 9), gzip.compress(zeros, 9, mtime=0))
