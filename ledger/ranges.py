"""Sets of indices as rising ranges, begin <= index < end, that do not touch: what counts of a log, and what does not.

    union      ((0, 3), (5, 9)) | ((2, 5),)   ->  ((0, 9),)
    difference ((0, 9),) - ((2, 3), (5, 9))   ->  ((0, 2), (3, 5))

Each is one walk along both, however many parts they have. It refuses to know of what.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def between(begin: int, end: int) -> Ranges:
    return ((begin, end),) if begin < end else ()


def merged(parts: Iterable[tuple[int, int]]) -> Ranges:
    """The indices in any of them, in whatever order they come."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif begin < end:
            found.append((begin, end))
    return tuple(found)


def union(ranges: Ranges, more: Ranges) -> Ranges:
    """The indices in either."""
    return merged((*ranges, *more))


def difference(ranges: Ranges, less: Ranges) -> Ranges:
    """The indices of `ranges` that are not in `less`. Both rise."""
    found: list[tuple[int, int]] = []
    at = 0
    for begin, end in ranges:
        while at < len(less) and less[at][1] <= begin:
            at += 1
        low, cut = begin, at
        while cut < len(less) and less[cut][0] < end:
            if low < less[cut][0]:
                found.append((low, less[cut][0]))
            low = max(low, less[cut][1])
            cut += 1
        if low < end:
            found.append((low, end))
    return tuple(found)


def within(index: int, ranges: Ranges) -> bool:
    at = bisect_right(ranges, index, key=lambda part: part[0])
    return at > 0 and index < ranges[at - 1][1]
