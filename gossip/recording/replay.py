"""A recording, told again to a machine made as the recorded one was: does it answer the same?

    head + entries, blobs and key of the peer --> a fresh machine
    step by step:  event --> machine --> effects --> trace == the trace recorded ?      the first that differs is named

Rules kept here: nothing is carried out, and nothing of the peer's directory is changed. An event that was altered shows
where the machine first answers otherwise. It refuses to know how events came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

from gossip import directory as places
from gossip.events import Append, Event, Keep, Received
from gossip.identity import KeyFiles
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import restore
from gossip.recording.answers import START, kinds, next_trace
from gossip.recording.recorder import Machine, Row, add_row
from gossip.recording.records import End, Head, Record, Step, decode_event, read_records, written_by
from gossip.recording.shelf import Astray, Lacking, Noted
from gossip.recording.start import Start
from gossip.wire.codec import decode
from ledger.entry import Hash, PeerId
from ledger.errors import GossipError, LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replayed machine first went another way."""

    number: int  # of the event, from 0; -1: while the machine was made
    at_s: float  # since the first event
    event: str  # in words
    text: str  # what was otherwise


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it."""

    swarm: Hash
    own: PeerId
    began: float  # Unix seconds, of the first event
    seconds: float  # from the first event to the last
    events: int
    effects: int
    trace: str  # over all effects of the replay
    ended: str  # why the recording ends
    raised: str  # the kind of error that the machine ended with, then as now; "": none
    differs: Difference | None
    written_by: str = ""  # the version of the program that recorded it; "": nobody has looked


def replay(
    records: Iterable[Record], history: Iterable[Row], blob: Callable[[Hash], bytes | None],
    find_key: Callable[[bytes], PrivateKey],
) -> Replayed:  # fmt: skip
    """Tell a recording to a fresh machine. `history` is what the store holds now, in order; `find_key` has the private
    key of a public one. LocalError if the recording cannot be read, or was made with another store or key."""
    rest = iter(records)
    head = next(rest)
    assert isinstance(head, Head)  # read_records
    rows, digest = list(islice(history, head.entries)), sha256()
    for row in rows:
        add_row(digest, row)
    if len(rows) < head.entries or digest.hexdigest() != head.history:
        raise LocalError(
            "this recording was made with another store", why="the peer's ledger does not begin as it did then",
            next_step="name the directory of the peer that was recorded with --dir",
        )  # fmt: skip
    shelf = Noted(blob)
    shelf.give(head.looked_up)
    book = restore(head.swarm, head.founder, rows, blob, NumpyArithmetic())
    try:
        machine = Start(head.config, head.luck, head.mark).machine(find_key(head.key), head.own, book, shelf)
        shelf.end()
    except Astray as astray:
        return _Run(head).done(End(""), Difference(-1, 0.0, "the start", str(astray)))
    return _Run(head).follow(machine, shelf, rest)


def replay_in(directory: Path, path: Path, passphrase: Passphrase | None = None) -> Replayed:
    """Replay a file with what is in the directory of the peer that was recorded. LocalError as above."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise LocalError(f"cannot read {path}", why=error.strerror or "", next_step="check the path") from None
    with file, Store.open_readonly(places.store_path(directory)) as store:
        by = written_by(file)
        file.seek(0)
        records = read_records(file)
        head = next(records)
        assert isinstance(head, Head)
        if (own := store.meta("self").decode()) != head.own:
            raise LocalError(
                "this recording is another peer's", why=f"of {head.own[:16]}..., and {directory} holds {own[:16]}...",
                next_step="name the directory of the peer that was recorded with --dir",
            )  # fmt: skip
        found = replay(_again(head, records), store.history(), store.blob, KeyFiles(directory, passphrase).find)
        return replace(found, written_by=by)


def _again(head: Head, rest: Iterator[Record]) -> Iterator[Record]:
    yield head
    yield from rest


class _Run:
    """A replay under way."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._events = self._effects = 0
        self._began = self._last = 0.0
        self._trace = START
        self._raised = ""

    def follow(self, machine: Machine, shelf: Noted, steps: Iterable[Record]) -> Replayed:
        for record in steps:
            match record:
                case Step():
                    differs = self._step(machine, shelf, record)
                    if differs is not None:
                        return self.done(End(""), differs)
                case End():
                    return self.done(record)
                case Head():
                    raise AssertionError("read_records allows one")
        raise AssertionError("read_records ends with an end")

    def _step(self, machine: Machine, shelf: Noted, step: Step) -> Difference | None:
        event = decode_event(step)
        if self._events == 0:
            self._began = step.now
        self._last = step.now
        number, self._events = self._events, self._events + 1
        text = self._answer(machine, shelf, step, event)
        if text is None:
            return None
        return Difference(number, step.now - self._began, told(event), text)

    def _answer(self, machine: Machine, shelf: Noted, step: Step, event: Event) -> str | None:
        """What was otherwise; None if nothing was."""
        shelf.give(step.looked_up)
        try:
            effects = machine.handle(event, step.now)
            shelf.end()
        except Astray as astray:
            return str(astray)
        except Lacking as lacking:
            raise LocalError(
                "this peer's store lacks a blob", why=f"{str(lacking)[:16]}..., which the recorded node looked up",
                next_step="replay with the directory that was recorded, or a copy of it",
            ) from None  # fmt: skip
        except Exception as error:  # the machine's own, as when it was recorded, or a defect that is to be seen here
            self._raised = type(error).__name__
            if self._raised == step.raised:
                return None
            return f"it raised {self._raised} ({_first_line(error)}), and {_outcome(step)} when it was recorded"
        if step.raised:
            return f"it answered {_list(kinds(effects))}, and {_outcome(step)} when it was recorded"
        for effect in effects:
            if isinstance(effect, Append | Keep):
                shelf.keep(effect.blob)
        self._effects += len(effects)
        self._trace = next_trace(self._trace, effects)
        if kinds(effects) != step.effects:
            return f"it answered {_list(kinds(effects))}, and {_list(step.effects)} when it was recorded"
        if self._trace != step.trace:
            return f"it answered {_list(step.effects)}, as when it was recorded, but their contents differ"
        return None

    def done(self, end: End, differs: Difference | None = None) -> Replayed:
        return Replayed(
            self._head.swarm, self._head.own, self._began, self._last - self._began, self._events, self._effects,
            self._trace.hex(), end.reason, self._raised, differs,
        )  # fmt: skip


def told(event: Event) -> str:
    """An event in a few words."""
    name = type(event).__name__
    if not isinstance(event, Received):
        return name
    try:
        what = type(decode(event.message)).__name__
    except RemoteError:
        what = "no message of ours"
    return f"{name} on link {event.link}: {what}, {len(event.message)} bytes"


def _outcome(step: Step) -> str:
    return f"raised {step.raised}" if step.raised else f"answered {_list(step.effects)}"


def _list(effects: tuple[str, ...]) -> str:
    """Runs of one kind as one word: "3 Send, SetTimer"."""
    runs: list[tuple[str, int]] = []
    for kind in effects:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in runs) or "nothing"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if not isinstance(error, GossipError) and str(error) else str(error)[:200]
