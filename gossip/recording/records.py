"""A recording: how a machine began and, event by event, what it was told, what it looked up and what it answered.

    gossip-recording/2 0.6.0\n                              format, and version of the program that wrote it
    size u32, little-endian | one record, MessagePack      as often as needed

    ["head", swarm, founder, own, key, luck, mark, config, entries, history, looked_up]      first, once
    ["step", now, kind, event, looked_up, effects, trace, raised]                             every event, in order
    ["end", reason]                                                                           last, once

A real step, with its size: a joiner was told to start, looked nothing up and asked for nothing yet.

    2d000000 98 a473746570 cb41da556e401898ac a753746172746564 80 90 90 c4102fda2a176763818d4bc212ae79ea8c17 a0

Why MessagePack: nearly all of it is messages, which are bytes. Rules kept here: one spelling (a record that would be
written otherwise is refused); every length is checked before anything is allocated; nothing is in it that is secret
but to the swarm: the key is the public one, and NewKey, the one event that carries another, has no spelling. A file
that breaks off in the middle of a record ends there: its node was killed. It refuses to know what events mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any, Final, get_args

import msgspec

from gossip.config import PeerConfig
from gossip.events import Event, NewKey
from ledger.entry import Hash, PeerId
from ledger.errors import GossipError, LocalError
from ledger.kept import StoredCheckpoint, StoredVote
from ledger.keys import KEY_BYTES

FORMAT: Final = 2


def _program() -> str:
    try:
        found = version("gossip-swarm")
    except PackageNotFoundError:
        found = ""
    return found if _VERSION.fullmatch(found) else "checkout"


_VERSION: Final = re.compile(r"[0-9A-Za-z.+_-]{1,40}")
PROGRAM: Final = _program()  # version of this one
MAGIC: Final = f"gossip-recording/{FORMAT} {PROGRAM}\n".encode()  # of what this program writes
_FIRST_LINE: Final = re.compile(rb"gossip-recording/([0-9]{1,4})(?: ([0-9A-Za-z.+_-]{1,40}))?\n")
_FIRST_LINE_BYTES: Final = 64
SIZE_BYTES: Final = 4
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024  # the largest event is a delta; one of 16 million elements is refused anyway
TRACE_BYTES: Final = 16
EVENTS: Final[dict[str, type[Any]]] = {one.__name__: one for one in get_args(Event) if one is not NewKey}


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class BlobSought(_Record, frozen=True, tag="blob"):
    """The bytes themselves are in the store, or came with an event."""

    hash: Hash
    found: bool


class CheckpointSought(_Record, frozen=True, tag="checkpoint"):
    log: PeerId
    found: StoredCheckpoint | None


class WitnessedSought(_Record, frozen=True, tag="witnessed"):
    log: PeerId
    found: tuple[int, bytes] | None


class VoteSought(_Record, frozen=True, tag="vote"):
    found: StoredVote | None


class CosignedSought(_Record, frozen=True, tag="cosigned"):
    log: PeerId
    found: tuple[int, bytes] | None


class ModelSought(_Record, frozen=True, tag="model"):
    found: Hash


class ModelPartSought(_Record, frozen=True, tag="model_part"):
    """With its bytes: the store keeps one model only, and that may be a later one by now."""

    begin: int
    end: int
    found: bytes


Sought = BlobSought | CheckpointSought | WitnessedSought | VoteSought | CosignedSought | ModelSought | ModelPartSought
"""What was looked up in the store, and what was there."""


class Head(_Record, frozen=True, tag="head"):
    """All that a machine begins with, but for the entries and blobs of its store and its private key."""

    swarm: Hash
    founder: PeerId
    own: PeerId
    key: bytes  # the public one
    luck: int  # seed of the machine's chance
    mark: tuple[int, Hash] | None
    config: PeerConfig
    entries: int  # the store held so many, the first of what it holds now
    history: Hash  # over them: history_hash
    looked_up: tuple[Sought, ...]  # while the machine was made


class Step(_Record, frozen=True, tag="step"):
    """One event and its answer."""

    now: float
    kind: str
    event: msgspec.Raw
    looked_up: tuple[Sought, ...]
    effects: tuple[str, ...]  # their kinds, in order
    trace: bytes  # over these and all effects before (answers.py)
    raised: str  # the kind of error that the machine ended with; "": none


class End(_Record, frozen=True, tag="end"):
    reason: str


Record = Head | Step | End


def encode_event(event: Event) -> tuple[str, msgspec.Raw]:
    """Its kind and its spelling. LocalError if it must not be written, or could not be read again."""
    kind = type(event).__name__
    if kind not in EVENTS:
        raise LocalError(f"{kind} is not recorded", why="it carries a private key")
    try:
        read = _EVENTS[kind].decode(_ENCODER.encode(event))  # a whole number where a fraction stands, say
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise LocalError(f"{kind} has no spelling", why=str(error)) from None
    return kind, msgspec.Raw(_ENCODER.encode(read))


def decode_event(step: Step) -> Event:
    """The event of a step. LocalError if there is none of its kind, or it is spelled another way."""
    wanted = _EVENTS.get(step.kind)
    if wanted is None:
        raise _damaged(f"there is no event {step.kind[:40]!r}")
    event: Event = _strictly(wanted, bytes(step.event))
    return event


def encode_record(record: Record) -> bytes:
    """As it stands in the file, with its size. LocalError if it is too large to be read again."""
    body = _ENCODER.encode(record)
    if len(body) > MAX_RECORD_BYTES:
        raise LocalError("a record is too large", why=f"{len(body)} bytes, and {MAX_RECORD_BYTES} are allowed")
    return len(body).to_bytes(SIZE_BYTES, "little") + body


def decode_record(body: bytes) -> Record:
    """One record, without its size. LocalError if it is none."""
    record: Record = _strictly(_RECORDS, body)
    match record:
        case Head(key=key) if len(key) != KEY_BYTES:
            raise _damaged(f"a public key has {len(key)} bytes")
        case Head(luck=luck, entries=entries) if not (0 <= luck < 1 << 64 and entries >= 0):
            raise _damaged("a seed or a count is out of bounds")
        case Step(trace=trace) if len(trace) != TRACE_BYTES:
            raise _damaged(f"a trace has {len(trace)} bytes")
        case Step(now=now) if not 0 <= now < 1 << 53:
            raise _damaged("an event has no time")
        case _:
            return record


def read_records(file: IO[bytes]) -> Iterator[Record]:
    """A head, then steps, then an end, one at a time. LocalError where the file is no such thing.

    The end is always there: of a file that lacks it (its node was killed, or still runs) it says so.
    """
    by = written_by(file)
    try:
        yield from _read_rest(file)
    except LocalError as error:
        why = f"{error.why} (it was written by gossip {by}; this is gossip {PROGRAM})"
        raise LocalError(error.what, why=why, next_step=error.next_step) from None


def written_by(file: IO[bytes]) -> str:
    """The version of the program that wrote it, as its first line says. LocalError if that is of another format."""
    found = _FIRST_LINE.fullmatch(file.readline(_FIRST_LINE_BYTES))
    if found is None:
        raise LocalError(
            "this is no recording", why="it begins otherwise", next_step="make one with: gossip run --record FILE"
        )
    by = found[2].decode() if found[2] else "of an unknown version"
    if int(found[1]) != FORMAT:
        raise LocalError(
            f"this recording has format {int(found[1])}",
            why=f"it was written by gossip {by}; this is gossip {PROGRAM}, which reads format {FORMAT}",
            next_step="use the version that wrote it",
        )
    return by


def _read_rest(file: IO[bytes]) -> Iterator[Record]:
    first = _read_one(file)
    if not isinstance(first, Head):
        raise _damaged("it does not say how the machine began")
    yield first
    at = 0.0
    while (record := _read_one(file)) is not None:
        match record:
            case Head():
                raise _damaged("it begins twice")
            case End():
                if file.read(1):
                    raise _damaged("it goes on after its end")
                yield record
                return
            case Step(now=now) if now < at:
                raise _damaged("time goes back in it")
            case Step(now=now):
                at = now
                yield record
    yield End("the file breaks off: its node was killed, or still runs")


def _read_one(file: IO[bytes]) -> Record | None:
    """None where the file ends, also if that is in the middle."""
    size = int.from_bytes(prefix := file.read(SIZE_BYTES), "little")
    if len(prefix) < SIZE_BYTES:
        return None
    if size > MAX_RECORD_BYTES:
        raise _damaged(f"a record of {size} bytes")
    body = file.read(size)
    return decode_record(body) if len(body) == size else None


_ENCODER: Final = msgspec.msgpack.Encoder(order="sorted")
_RECORDS: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(Record)
_EVENTS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    name: msgspec.msgpack.Decoder(kind) for name, kind in EVENTS.items()
}


def _strictly(decoder: msgspec.msgpack.Decoder[Any], body: bytes) -> Any:
    try:
        value = decoder.decode(body)
        again = _ENCODER.encode(value)
    except (msgspec.MsgspecError, GossipError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(str(error)[:200]) from None
    if again != body:
        raise _damaged("a record is spelled another way")
    return value


def _damaged(why: str) -> LocalError:
    return LocalError(
        "this recording cannot be read", why=why, next_step="use a whole file, and the version that wrote it"
    )
