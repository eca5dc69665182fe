"""The codes that a running node has open: who may ask, how often, and what burns one.

    open --> waiting --proof--> (a use less) --0 uses--> used
                |  --wrong proof--> (a try less) --0 tries--> burnt
                |  --time--> expired

A code lives in this memory and nowhere else: a restart closes it. Whoever asks costs 8 ms of a free core (measured), so
exchanges are rationed, in all and by address, and nothing is computed for a number that is not open. Each exchange is
good for one proof, right or wrong. A third wrong one burns the code, with all exchanges under way: whoever tries many
at once has three tries like anybody.

Pure: `now` in seconds and luck come as arguments; what people should hear waits in `news`. All that is wrong is None,
which the caller answers with silence. It refuses to know networks and what a ticket is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from gossip.bucket import Bucket, Buckets
from gossip.transport.code import (
    MAX_NUMBER,
    SECRET_BYTES,
    Answering,
    Ask,
    Code,
    Confirm,
    Luck,
    read,
)
from ledger.errors import LocalError, RemoteError

TRIES: Final = 3  # wrong proofs until a code burns: 3 guesses of 65,536
MAX_OPEN: Final = 8
MAX_SESSIONS: Final = 8  # of one code: exchanges between answer and proof
SESSION_S: Final = 20.0  # for the proof to come
BURST, PER_S = 16, 2.0  # exchanges that may begin: at once, and in the long run (2% of one core)
HOST_BURST, HOST_PER_S = 6, 0.2  # and from one address: a joiner needs one
MAX_HOSTS: Final = 256  # addresses remembered

Ending = Literal["used", "burnt", "expired"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A code that is open no more; `given`: how many got the ticket."""

    code: Code
    why: Ending
    given: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """Somebody proved other words."""

    number: int
    host: str
    left: int  # tries


News = Ended | Wrong


@dataclass(slots=True)
class _Session:
    answering: Answering
    host: str
    until: float


@dataclass(slots=True)
class Waiting:
    """One open code."""

    code: Code
    text: str  # of the ticket
    uses: int
    until: float
    tries: int = TRIES
    given: int = 0
    sessions: dict[bytes, _Session] = field(default_factory=dict)  # oldest first


class OpenCodes:
    """All of one node."""

    def __init__(self, luck: Luck = os.urandom) -> None:
        self._luck = luck
        self._open: dict[int, Waiting] = {}
        self._all = Bucket.full(BURST, PER_S, 0.0)
        self._hosts = Buckets(HOST_BURST, HOST_PER_S, MAX_HOSTS)
        self.news: list[News] = []

    def __iter__(self) -> Iterator[Waiting]:
        return iter(tuple(self._open.values()))

    def open(self, text: str, *, uses: int, until: float, now: float) -> Code:
        """A code that hands out the ticket `text` so often, until then. LocalError if too many are open."""
        self.expire(now)
        if len(self._open) >= MAX_OPEN:
            raise LocalError(
                f"{MAX_OPEN} codes are open", why="whoever guesses may try each",
                next_step="wait until one is used or expires",
            )  # fmt: skip
        number = 0
        while not number or number in self._open:  # any of 999: two inviters on one network rarely have the same
            number = int.from_bytes(self._luck(8), "little") % MAX_NUMBER + 1
        code = Code(number, self._luck(SECRET_BYTES))
        self._open[number] = Waiting(code, text, uses, until)
        return code

    def ask(self, data: bytes, host: str, now: float) -> bytes | None:
        """Begin an exchange. None: silence."""
        self.expire(now)
        try:
            asked = read(data, Ask)
        except RemoteError:
            return None
        waiting = self._open.get(asked.number)
        if waiting is None or not self._may_begin(host, now):
            return None
        try:
            answering = Answering(waiting.code, asked, self._luck)
        except RemoteError:
            return None
        if len(waiting.sessions) >= MAX_SESSIONS:
            del waiting.sessions[_spare(waiting.sessions)]
        waiting.sessions[answering.session] = _Session(answering, host, now + SESSION_S)
        return answering.answer

    def confirm(self, data: bytes, host: str, now: float) -> bytes | None:
        """End one: the sealed ticket for the right proof. None: silence."""
        self.expire(now)
        try:
            said = read(data, Confirm)
        except RemoteError:
            return None
        name = bytes.fromhex(said.session)
        for waiting in self._open.values():
            session = waiting.sessions.pop(name, None)
            if session is not None:
                return self._judge(waiting, session, bytes.fromhex(said.proof), host)
        return None

    def _judge(self, waiting: Waiting, session: _Session, proof: bytes, host: str) -> bytes | None:
        if not session.answering.is_proof(proof):
            waiting.tries -= 1
            self.news.append(Wrong(waiting.code.number, host, waiting.tries))
            if not waiting.tries:
                self._end(waiting, "burnt")
            return None
        box = session.answering.box(waiting.text)
        waiting.given += 1
        if waiting.given >= waiting.uses:
            self._end(waiting, "used")
        return box

    def expire(self, now: float) -> None:
        """Close what has had its time."""
        for waiting in list(self._open.values()):
            if now >= waiting.until:
                self._end(waiting, "expired")
            else:
                waiting.sessions = {name: one for name, one in waiting.sessions.items() if now < one.until}

    def close(self) -> None:
        """Close all of them before their time."""
        for waiting in list(self._open.values()):
            self._end(waiting, "expired")

    @property
    def next_end(self) -> float | None:
        """When the next one has had its time."""
        return min((waiting.until for waiting in self._open.values()), default=None)

    def _end(self, waiting: Waiting, why: Ending) -> None:
        del self._open[waiting.code.number]
        self.news.append(Ended(waiting.code, why, waiting.given))

    def _may_begin(self, host: str, now: float) -> bool:
        return self._hosts.take(host, now) and self._all.take(1, now)


def _spare(sessions: dict[bytes, _Session]) -> bytes:
    """Which exchange has to go: the oldest of the address that has the most. So one address cannot push others out."""
    hosts = [session.host for session in sessions.values()]
    most = max(hosts, key=hosts.count)
    return next(name for name, session in sessions.items() if session.host == most)
