"""Opened records looked at: how many cannot be what they claim to be, repeat each other, or carry a wrong label.

    key       page NUL url NUL type             {"opened.records": 59, "opened.malformed": 0,
    value     ["ad",true]                        "opened.duplicates_permille": 0, "opened.wrong_labels_permille": 17}

The facts are those that a policy's `[opened.*]` rules bound. Labels are judged only where there is an engine with the
policy's own lists, and only of records that are requests at all: a malformed one is counted once, as that. Repeats are
those within this sample; what adjacent leaves show of the rest, the proof says (ledger/opening.py).

Pure, given the engine, and it never raises: the records are somebody else's bytes. It refuses to know who opened them
and what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import iter_unpack

from gossip.filterlists.engine import Engine
from gossip.filterlists.requests import Request, parse_record

Record = tuple[bytes, bytes]  # key, value


def inspect(records: Iterable[Record], engine: Engine | None) -> dict[str, int]:
    """Facts about opened requests. No record, no facts."""
    read = [(pair, parse_record(*pair)) for pair in records]
    facts = _counted([pair for pair, _ in read], sum(request is None for _, request in read))
    sound = [request for _, request in read if request is not None]
    if engine is not None and sound:
        facts["opened.wrong_labels_permille"] = 1000 * sum(_is_wrong(each, engine) for each in sound) // len(sound)
    return facts


def inspect_numbers(records: Iterable[Record], columns: int, classes: Sequence[str]) -> dict[str, int]:
    """The same of rows of a table: `columns` finite float32 and the name of a class. Labels are not judged."""
    pairs = list(records)
    return _counted(pairs, sum(not _is_row(key, value, columns, classes) for key, value in pairs))


def _counted(records: Sequence[Record], malformed: int) -> dict[str, int]:
    if not records:
        return {}
    repeated = len(records) - len(set(records))
    return {
        "opened.records": len(records),
        "opened.malformed": malformed,
        "opened.duplicates_permille": 1000 * repeated // len(records),
    }


def _is_wrong(request: Request, engine: Engine) -> bool:
    return engine.label(request.page, request.url, request.type) != request.label


def _is_row(key: bytes, value: bytes, columns: int, classes: Sequence[str]) -> bool:
    try:
        name = value.decode()
    except UnicodeDecodeError:
        return False
    return (
        len(key) == 4 * columns and name in classes and all(abs(number) < 1e30 for (number,) in iter_unpack("<f", key))
    )
