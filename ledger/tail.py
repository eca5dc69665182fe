"""Columns of a log of which only the end is held, and the error that says so.

    index        0 ... first-1      first ... end
    held         (some known ones)  all of them        any other look-up raises NeedsHistory

Why it exists: a replica opened from a snapshot's state (state_document.py) knows everything from there on and next to
nothing before. It must decide like everybody else or say that it cannot: a column that guessed would admit, or refuse,
what others do not. Indices stay those of the whole log. It refuses to know what the items mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from ledger.errors import LocalError

if TYPE_CHECKING:
    from ledger.weights import Row

T = TypeVar("T")


class NeedsHistory(LocalError):
    """What is asked depends on entries of `log` that came before the snapshot that this replica was opened from."""

    def __init__(self, log: str, what: str) -> None:
        super().__init__(
            f"not to be decided from a snapshot's state: {what} of log {log[:12]} lies before it",
            next_step="hold the logs whole",
        )
        self.log = log


class Items(Protocol[T]):
    """A column: a list, an array, or the end of one."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T: ...
    def append(self, item: T, /) -> None: ...


class Tail(Generic[T]):
    """The items from `first` on, and those before that are `known`. `otherwise` stands for all others, if given."""

    __slots__ = ("_items", "_known", "_log", "_otherwise", "_what", "first")

    def __init__(
        self, log: str, what: str, first: int, known: Mapping[int, T] | None = None, *, otherwise: T | None = None
    ) -> None:
        self.first = first
        self._log = log
        self._what = what  # of a number, for the error
        self._known = dict(known or {})
        self._items: list[T] = []
        self._otherwise = otherwise

    def __len__(self) -> int:
        return self.first + len(self._items)

    def __getitem__(self, index: int) -> T:
        if index < 0:
            index += len(self)
        if index >= self.first:
            return self._items[index - self.first]
        found = self._known.get(index, self._otherwise)
        if found is None:
            raise NeedsHistory(self._log, f"{self._what} {index}")
        return found

    def append(self, item: T) -> None:
        self._items.append(item)

    def prefix(self, count: int) -> Tail[T]:
        """A column of its own with the first `count`."""
        if count < self.first:
            raise NeedsHistory(self._log, f"a branch at {count}")
        column = Tail(self._log, self._what, self.first, self._known, otherwise=self._otherwise)
        column._items = self._items[: count - self.first]
        return column


class TailBytes:
    """A bytearray from byte `first` on. `known`: slices before that, by where they begin."""

    __slots__ = ("_held", "_known", "_log", "first")

    def __init__(self, log: str, first: int, known: Mapping[int, bytes] | None = None) -> None:
        self.first = first
        self._log = log
        self._known = dict(known or {})
        self._held = bytearray()

    def __len__(self) -> int:
        return self.first + len(self._held)

    def __getitem__(self, part: slice) -> bytes | bytearray:
        begin, end, _ = part.indices(len(self))
        if begin >= self.first:
            return self._held[begin - self.first : max(0, end - self.first)]
        found = self._known.get(begin)
        if found is None or len(found) != end - begin:
            raise NeedsHistory(self._log, f"a hash (number {begin // 32})")
        return found

    def __iadd__(self, more: bytes) -> Self:
        self._held += more
        return self

    def prefix(self, count: int) -> TailBytes:
        """A column of its own with the first `count` bytes."""
        if count < self.first:
            raise NeedsHistory(self._log, f"a branch at {count}")
        column = TailBytes(self._log, self.first, self._known)
        column._held = self._held[: count - self.first]
        return column


@dataclass(frozen=True, slots=True)
class Named:
    """Updates let in that two voices condemn: those at `begin` <= index < `end`, all of them alike in the rest."""

    begin: int  # the first of them
    end: int  # the next update let in after them, or the size of the branch
    data: int  # what they cite
    active: int  # among how many they were weighed


@dataclass(frozen=True, slots=True)
class Base:
    """What a log is known by that is not held from its beginning."""

    size: int  # columns by size hold their values from here on
    upto: int  # entries before this one are not held, but for a few
    folded: int  # updates let in among those
    row: Row  # after them
    snapped: tuple[tuple[int, int], ...]  # after `size`, ... `upto` entries: size at the last snapshot, updates since
    data: int  # entries before this one may be data entries that are not known
    challenges: int = 0  # likewise
    openings: int = 0  # likewise
    named: tuple[
        Named, ...
    ] = ()  # updates before `upto` that two voices or more had condemned when this was written ...
    spared: list[tuple[int, int]] = field(
        default_factory=list
    )  # ... and those among which none is named: finals hold them
    judged: dict[int, set[tuple[str, str]]] = field(default_factory=dict)  # entry -> who had condemned it then (peer
    #   and house), if two voices had any
    heads: dict[int, bytes] = field(default_factory=dict)  # peer || size || root of a few sizes before `size`
