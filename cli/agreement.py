"""Do all peers hold the same? And if not: who differs, and in which entry first.

Two peers that hold the same entries hold the same model, so a difference is looked for in the entries:
the lowest (log, index) at which not all hold the same bytes. Pure functions over what stores hold; no
opinion on why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ledger.entry import Hash, PeerId


class Book(Protocol):
    """Anything that holds logs: a store or a bundle."""

    def logs(self) -> dict[PeerId, int]: ...

    def entries(self, log: PeerId) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where books differ. `holders` groups the names of those that hold the same there."""

    log: PeerId
    seq: int
    holders: tuple[tuple[str, ...], ...]  # largest group first; the last may be those that hold nothing there
    missing: tuple[str, ...]  # who holds no entry at this index


def first_difference(books: Mapping[str, Book]) -> Difference | None:
    """The lowest log (by id) and index at which `books` differ, or None if they hold the same entries."""
    names = sorted(books)
    sizes = {name: books[name].logs() for name in names}
    for log in sorted({log for held in sizes.values() for log in held}):
        rows = {name: books[name].entries(log) if sizes[name].get(log) else iter(()) for name in names}
        for seq in range(max(held.get(log, 0) for held in sizes.values())):
            here = {name: next(row, None) for name, row in rows.items()}
            if len(set(here.values())) > 1:
                return _difference(log, seq, here)
    return None


def _difference(log: PeerId, seq: int, here: Mapping[str, bytes | None]) -> Difference:
    groups: dict[bytes | None, list[str]] = {}
    for name, data in here.items():
        groups.setdefault(data, []).append(name)
    ordered = sorted((tuple(group) for group in groups.values()), key=lambda group: (-len(group), group))
    return Difference(log, seq, tuple(ordered), tuple(groups.get(None, ())))


def odd_ones(hashes: Mapping[str, Hash]) -> tuple[str, ...]:
    """Who holds another model than most; on a tie, than the one whose hash sorts first."""
    if len(set(hashes.values())) <= 1:
        return ()
    counts: dict[Hash, int] = {}
    for value in hashes.values():
        counts[value] = counts.get(value, 0) + 1
    common = min(counts, key=lambda value: (-counts[value], value))
    return tuple(name for name, value in hashes.items() if value != common)


def describe(difference: Difference, names: Mapping[PeerId, str]) -> str:
    """For people: `first difference: entry 12 of cedar, which birch does not hold`."""
    where = f"first difference: entry {difference.seq} of {names.get(difference.log, difference.log[:8])}"
    if difference.missing:
        return f"{where}, which {_and(difference.missing)} {'do' if len(difference.missing) > 1 else 'does'} not hold"
    return f"{where}, where {' against '.join(_and(group) for group in difference.holders)} hold other bytes"


def _and(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
