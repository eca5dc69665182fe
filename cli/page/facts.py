"""What the page shows, as values: one pass over what was admitted, in causal order, counted into columns.

A ledger has any number of entries and a page a fixed width, so entries fall into at most COLUMNS columns: of a small
ledger each entry has its own, of a large one many share one. What is listed in words is bounded, too, and the page
says what it left out.

Rules kept here: nothing the bundle claims of itself; names are cleaned here, once; times are claims unless they say
otherwise. It refuses to know HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from cli.causal import Line, in_causal_order
from cli.entries import kind, summary
from cli.lineage import of as lineage_of
from cli.opened import Opened
from cli.plain import plain
from ledger.audit import Anchors, Report
from ledger.bundle import BundleLog
from ledger.chain import fork_of, peer_of
from ledger.entry import (
    Accuse,
    Anchor,
    AnyEntry,
    Enrol,
    Finality,
    Genesis,
    Hash,
    Member,
    PeerId,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.lineage import Lineage
from ledger.policy import Policy
from ledger.timeline import Interval, Timeline

COLUMNS: Final = 200  # places along the ledger; more are not told apart on a page
MAX_LANES: Final = 24  # logs drawn; a swarm may have thousands
MAX_LINKS: Final = 1500  # citations drawn
MAX_ROWS: Final = 200  # findings and moments in words
COLOURS: Final = 8  # peers with a colour of their own, by weight; the rest share grey
_TOLD: Final = (
    Genesis, Enrol, Member, Revoke, Snapshot, Accuse, Rotate, Recover, Finality, Anchor, PolicyChange
)  # as moments # fmt: skip


@dataclass(slots=True)
class Cell:
    """What one log wrote in one column."""

    updates: int = 0
    weight: int = 0  # of those in the sum
    marks: set[str] = field(default_factory=set)  # kinds other than updates that are drawn
    first: int = -1  # sequence numbers of the first and last entry
    last: int = -1


@dataclass(frozen=True, slots=True)
class Lane:
    """One log, drawn as a line. `colour` is 0..COLOURS - 1 by weight, or COLOURS for all others."""

    log: str
    name: str
    colour: int
    cells: Mapping[int, Cell]
    left: tuple[int, int] | None  # of a branch: (lane, column) of the last entry that it shares with its log


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry worth telling, with what is known of when it was made."""

    log: str
    seq: int
    name: str
    kind: str
    says: str
    claim: int
    proven: Interval


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything on the page."""

    title: str  # of the swarm, as its founder named it
    task: str
    report: Report
    anchors: Anchors
    arithmetic: str
    names: Mapping[str, str]  # by peer and by log
    colours: Mapping[PeerId, int]
    lineage: Lineage | None
    lineage_facts: Mapping[str, object]
    policies: Mapping[Hash, Policy]  # that entries name
    total: int  # entries
    columns: int
    per_column: int
    lanes: tuple[Lane, ...]
    lanes_left_out: int
    links: tuple[tuple[int, int, int, int], ...]  # from (lane, column) to (lane, column): the second cites the first
    links_left_out: int
    weight_over_time: tuple[tuple[int, ...], ...]  # per column: weight so far, by colour
    scores: Mapping[PeerId, tuple[tuple[int, float], ...]]  # (column, F1 on the author's own held-out rows)
    moments: tuple[Moment, ...]
    moments_left_out: int


def gather(opened: Opened, anchors: Anchors) -> Facts:
    """Read what was admitted, once. Never raises about the bundle: an audit has reported what is wrong with it."""
    replica, report = opened.replica, opened.report
    names = opened.names()
    founded = replica.has_genesis
    lineage, told = lineage_of(opened, None) if founded else (None, {})
    ranked = [part.peer for part in lineage.peers] if lineage else []
    colours = {peer: min(rank, COLOURS) for rank, peer in enumerate(ranked)}
    heads = replica.heads()
    total = sum(size - fork_of(log) for log, size in heads.items())
    drawing = _Drawing(opened, heads, colours, max(1, -(-total // COLUMNS)))
    streams = {log.peer: _reader(log, heads[log.peer]) for log in opened.contents.logs if log.peer in heads}
    for line in in_causal_order(streams):
        drawing.take(line)
    rows, left = drawing.moments(names)
    return Facts(
        title=plain(replica.genesis.name, 60) if founded else "",
        task=plain(replica.genesis.task, 30) if founded else "",
        report=report,
        anchors=anchors,
        arithmetic=opened.arithmetic_name,
        names=names,
        colours=colours,
        lineage=lineage,
        lineage_facts=told,
        policies=replica.policies,
        total=total,
        columns=max(1, -(-total // drawing.per_column)),
        per_column=drawing.per_column,
        lanes=drawing.lanes(names),
        lanes_left_out=max(0, len(heads) - MAX_LANES),
        links=tuple(drawing.links),
        links_left_out=drawing.links_left_out,
        weight_over_time=tuple(map(tuple, drawing.weights)),
        scores={peer: tuple(points) for peer, points in drawing.scores.items()},
        moments=rows,
        moments_left_out=left,
    )


def _reader(log: BundleLog, size: int) -> Callable[[], Iterator[bytes]]:
    """The admitted entries of a log, as a stream of their own: looked up one by one, logs would be read many times."""
    return lambda: islice(log.entries(), size)


def _mark(entry: AnyEntry) -> str:
    """Its kind; of a verdict that refuses something, that."""
    refuses = isinstance(entry, Verdict) and any(one.decision != "scored" for one in entry.judgements)
    return "refusal" if refuses else kind(entry)


class _Drawing:
    """Entries, counted into columns as they come."""

    def __init__(
        self, opened: Opened, heads: Mapping[str, int], colours: Mapping[PeerId, int], per_column: int
    ) -> None:
        self.per_column = per_column
        self.links: dict[tuple[int, int, int, int], None] = {}
        self.links_left_out = 0
        self.weights: list[list[int]] = []
        self.scores: dict[PeerId, list[tuple[int, float]]] = {}
        self._opened, self._heads, self._colours = opened, heads, colours
        by_weight = sorted(heads, key=lambda log: (colours.get(peer_of(log), COLOURS), log))
        self._lanes = {log: number for number, log in enumerate(by_weight[:MAX_LANES])}
        self._cells: dict[str, dict[int, Cell]] = {log: {} for log in self._lanes}
        self._counted = {(log, seq): weight for log, seq, _, weight in self._terms()}
        self._columns: dict[str, list[int]] = {log: [] for log in self._lanes}  # of each entry of a log
        self._rosters: dict[str, list[str]] = {}
        self._told: list[tuple[str, int]] = []
        self._taken = 0

    def _terms(self) -> list[tuple[str, int, Hash, int]]:
        opened = self._opened
        return opened.terms(opened.past(None)) if opened.replica.has_genesis else []

    def take(self, line: Line) -> None:
        column = self._taken // self.per_column
        if line.seq < fork_of(line.log):  # of another branch: drawn where it was written, in the log it branches off
            self._follow(line, column)
            return
        self._taken += 1
        if column == len(self.weights):
            self.weights.append(list(self.weights[-1]) if self.weights else [0] * (COLOURS + 1))
        entry, peer = line.entry, peer_of(line.log)
        weight = self._counted.get((line.log, line.seq), 0)
        if isinstance(entry, Update):
            self.weights[column][self._colours.get(peer, COLOURS)] += weight
            if entry.scores.examples:
                counts = entry.scores
                f1 = 2 * counts.tp / max(1, 2 * counts.tp + counts.fp + counts.fn)
                self.scores.setdefault(peer, []).append((column, min(1.0, f1)))
        elif isinstance(entry, _TOLD):
            self._told.append((line.log, line.seq))
        if line.log in self._lanes:
            self._draw(line, column, weight)

    def _draw(self, line: Line, column: int, weight: int) -> None:
        cell = self._cells[line.log].setdefault(column, Cell(first=line.seq))
        cell.last = line.seq
        if isinstance(line.entry, Update):
            cell.updates += 1
            cell.weight += weight
        else:
            cell.marks.add(_mark(line.entry))
        roster = self._follow(line, column)
        for slot, size in line.entry.seen:
            cited = roster[slot] if slot < len(roster) else ""
            if cited in self._lanes and size <= len(self._columns[cited]):
                link = (self._lanes[cited], self._columns[cited][size - 1], self._lanes[line.log], column)
                if link in self.links:
                    continue
                if len(self.links) < MAX_LINKS:
                    self.links[link] = None
                else:
                    self.links_left_out += 1

    def _follow(self, line: Line, column: int) -> list[str]:
        """Where each entry of a drawn log stands, and which logs its `seen` counts."""
        self._columns.setdefault(line.log, []).append(column)
        roster = self._rosters.setdefault(line.log, [])
        roster += [peer if peer not in roster else "" for peer in line.entry.meets]
        return roster

    def lanes(self, names: Mapping[str, str]) -> tuple[Lane, ...]:
        return tuple(
            Lane(
                log, names.get(log) or names.get(peer_of(log), ""), self._colours.get(peer_of(log), COLOURS),
                self._cells[log], self._left(log),
            )
            for log in self._lanes
        )  # fmt: skip

    def _left(self, log: str) -> tuple[int, int] | None:
        shared, trunk = fork_of(log), peer_of(log)
        columns = self._columns.get(trunk, [])
        return (
            (self._lanes[trunk], columns[shared - 1]) if trunk in self._lanes and 0 < shared <= len(columns) else None
        )

    def moments(self, names: Mapping[str, str]) -> tuple[tuple[Moment, ...], int]:
        """The newest of what is told, in order: as many as can be looked up without long waiting."""
        replica = self._opened.replica
        keep = max(20, min(MAX_ROWS, 8000 // (1 + len(self._heads))))
        words = self._opened.report.words
        timeline = Timeline(self._heads, replica.past, lambda log, seq: replica.entry(log, seq).time, words)
        rows = []
        for log, seq in self._told[-keep:]:
            entry, name = replica.entry(log, seq), names.get(log) or names.get(peer_of(log), "")
            says, proven = summary(entry, names), timeline.interval(log, seq)
            rows.append(Moment(log, seq, name, kind(entry), says, entry.time, proven))
        return tuple(rows), len(self._told) - len(rows)
