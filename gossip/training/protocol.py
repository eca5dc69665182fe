"""What a node and its training process say to each other over a pipe.

    u32le length of the header | header: one JSON object | payload: as many bytes as the header says

    node   ->  {"kind":"load","payload":196608,"model":"...","files":["a.jsonl"],...}      the starting weights
    worker ->  {"kind":"progress","payload":0,"state":"reading data"}
    worker ->  {"kind":"loaded","payload":0,"records":5721,...}
    node   ->  {"kind":"train","payload":196608,"round":7}                                 the fold, float32
    worker ->  {"kind":"trained","payload":2991,"round":7,"steps":64,...}                  a delta blob

One question at a time; progress may come before any answer; a closed pipe ends the worker. No pickle: weights
are raw little-endian float32, everything else JSON with known fields. Lengths are checked before reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec

from gossip.training.metrics import Scored
from gossip.training.spec import Metric
from ledger.entry import Hash, Scores, Source
from ledger.errors import GossipError, LinkError, LocalError

LENGTH_BYTES: Final = 4
MAX_HEADER_BYTES: Final = 1 << 20  # a model declaration and some thousands of file names
MAX_PAYLOAD_BYTES: Final = 1 << 28  # MAX_PARAMETERS as float32

State = Literal["reading data", "importing jax", "compiling"]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    payload: int = 0  # bytes that follow


class Load(_Message, frozen=True, tag="load"):
    """Read data, compile. Payload: the starting weights of the swarm."""

    model: str
    files: list[str]
    validation: str  # "" if a share of the files is held out
    salt: str  # hex, of the data commitment; also seeds the order of rows
    cache: str  # folder for compiled programs, "" for none
    keep: str  # file for what should survive a restart, "" for none
    licence: str  # of all the files, "" if their owner names none


class Train(_Message, frozen=True, tag="train"):
    """One round. Payload: the weights to start from."""

    round: int


class Evaluate(_Message, frozen=True, tag="evaluate"):
    """Score the weights in the payload without training."""


Request = Load | Train | Evaluate


class Progress(_Message, frozen=True, tag="progress"):
    state: State


class Loaded(_Message, frozen=True, tag="loaded"):
    """The data are read and the program is compiled. The first seven are what a data entry says."""

    root: Hash
    records: int
    labels: dict[str, int]
    duplicates: int
    features: str
    sources: list[Source]
    held_out: int  # rows to be judged by
    parameters: int
    epoch_s: float  # one measured round
    seconds: float  # since loading began


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one model does on held-out rows."""

    examples: int
    tp: int
    fp: int
    fn: int
    pr_auc: float
    f1: float

    @classmethod
    def of(cls, scored: Scored) -> Result:
        return cls(scored.examples, scored.tp, scored.fp, scored.fn, scored.pr_auc, scored.f1)

    def shown(self, metrics: Sequence[Metric]) -> dict[str, float]:
        """The figures that the model's declaration asks for, in its order."""
        return {metric: round(self.pr_auc if metric == "pr_auc" else self.f1, 6) for metric in metrics}


class Trained(_Message, frozen=True, tag="trained"):
    """A round is done. Payload: the delta blob. `swarm` scores the weights that came, `alone` the same number of
    steps on own data only; None if this peer holds nothing out. `groups` has (alone, swarm) for marked rows."""

    round: int
    steps: int
    examples: int
    alone: Result | None
    swarm: Result | None
    groups: dict[str, tuple[Result, Result]]
    seconds: float


class Evaluated(_Message, frozen=True, tag="evaluated"):
    swarm: Result | None
    groups: dict[str, Result]


class Failed(_Message, frozen=True, tag="failed"):
    """The last question has no answer. `fault` is "local" if the user must change something."""

    fault: Literal["local", "world"]
    what: str
    why: str
    next_step: str

    def error(self) -> GossipError:
        kind = LocalError if self.fault == "local" else LinkError
        return kind(self.what, why=self.why, next_step=self.next_step)


Answer = Progress | Loaded | Trained | Evaluated | Failed

T = TypeVar("T")
Message = TypeVar("Message", bound=_Message)

_requests: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_answers: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def frame(message: Request | Answer, payload: bytes | memoryview = b"") -> bytes:
    """Length and header; the payload follows it on the pipe."""
    size = payload.nbytes if isinstance(payload, memoryview) else len(payload)
    header = msgspec.json.encode(msgspec.structs.replace(message, payload=size))
    return len(header).to_bytes(LENGTH_BYTES, "little") + header


def header_length(prefix: bytes) -> int:
    """The length of the header that follows. Raises LinkError if no honest other side would send it."""
    length = int.from_bytes(prefix, "little")
    if len(prefix) != LENGTH_BYTES or not 0 < length <= MAX_HEADER_BYTES:
        raise LinkError("the pipe to the training process carries something else", why=f"a header of {length} bytes")
    return length


def read_request(header: bytes) -> Request:
    return _checked(_decoded(_requests, header))


def read_answer(header: bytes) -> Answer:
    return _checked(_decoded(_answers, header))


def _decoded(decoder: msgspec.json.Decoder[T], header: bytes) -> T:
    try:
        return decoder.decode(header)
    except msgspec.DecodeError as error:
        raise LinkError("the pipe to the training process carries something else", why=str(error)) from error


def _checked(message: Message) -> Message:
    if not 0 <= message.payload <= MAX_PAYLOAD_BYTES:
        raise LinkError(
            "the pipe to the training process carries something else", why=f"a payload of {message.payload} bytes"
        )
    return message


def counts(result: Result | None) -> Scores:
    """A result as an update entry states it."""
    if result is None:
        return Scores(examples=0, tp=0, fp=0, fn=0)
    return Scores(examples=result.examples, tp=result.tp, fp=result.fp, fn=result.fn)
