"""When what was reached, from what peers say of themselves: lists of events in, seconds out.

    {"event": "scores", "time": 1763791202.911, "swarm": {"accuracy": 0.871}, ...}    of the model a round began from
    {"event": "merged", "time": 1763791202.402, ...}                                  another's update is in the model
    {"event": "published", ...}

Pure: no clock, no files. A runner of another system may print the same lines and be measured by the same rules. The
time of an event is that of its own peer's clock; all run on one machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

Event = Mapping[str, Any]
Told = Sequence[Event]  # of one peer, in order
METRIC: Final = "accuracy"
MOVES: Final = ("merged", "published")  # signs of a peer that gets on


def read_events(text: str) -> list[Event]:
    """The events among the lines of a log; what else was printed there is left out."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"event":')]


def accuracy(event: Event) -> float | None:
    """Of the swarm's model, if this event says it."""
    if event["event"] != "scores" or event["swarm"] is None:
        return None
    return float(event["swarm"][METRIC])


def last_accuracy(told: Told) -> float | None:
    return next((value for event in reversed(told) if (value := accuracy(event)) is not None), None)


def first(told: Told, kind: str) -> float | None:
    """When an event of this kind came first."""
    return next((event["time"] for event in told if event["event"] == kind), None)


def reached(peers: Sequence[Told], target: float, gone: Mapping[int, float] | None = None) -> float | None:
    """The first moment at which the newest score of every peer is at least `target`; peers in `gone` (number -> when)
    are asked no more from then on. None: there was none."""
    moments = sorted(
        (event["time"], number, value)
        for number, told in enumerate(peers)
        for event in told
        if (value := accuracy(event)) is not None
    )
    newest: dict[int, float] = {}
    for at, number, value in moments:
        newest[number] = value
        asked = [one for one in range(len(peers)) if one not in (gone or {}) or at < (gone or {})[one]]
        if asked and all(newest.get(one, 0.0) >= target for one in asked):
            return float(at)
    return None


def longest_gap(told: Told, begin: float, end: float) -> float:
    """The longest time in which a peer neither published nor merged anything, between two moments. 0 if the second is
    not after the first."""
    moves = [event["time"] for event in told if event["event"] in MOVES and begin < event["time"] < end]
    times = [begin, *moves, end]
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
