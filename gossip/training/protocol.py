"""What a node and its training process say to each other over a pipe.

    u32le length of the header | header: one JSON object | payload: as many bytes as the header says

    node   ->  {"kind":"load","payload":196608,"own":{"files":["a.jsonl"],...},...}       the starting weights
    worker ->  {"kind":"progress","payload":0,"state":"reading data"}
    worker ->  {"kind":"loaded","payload":0,"records":5721,...}
    node   ->  {"kind":"train","payload":196608,"round":7}                                 the fold, float32
    worker ->  {"kind":"trained","payload":2991,"round":7,"steps":64,...}                  a delta blob
    node   ->  {"kind":"open","payload":0,"root":"5d1c...","signature":"9f03...","count":59,...}
    worker ->  {"kind":"opened","payload":61022}                                           an opening of own records

One question at a time; progress may come before any answer; a closed pipe ends the worker. No pickle: weights
are raw little-endian float32, records are lengths and bytes, everything else JSON with known fields. Lengths are
checked before reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from gossip.training.budget import NothingLeft
from gossip.training.divergence import Diverged
from gossip.training.metrics import Scored
from gossip.training.spec import Metric
from ledger.entry import Claim, Hash, Measured, PeerId, Scores, Source
from ledger.errors import GossipError, LinkError, LocalError

LENGTH_BYTES: Final = 4
MAX_HEADER_BYTES: Final = 1 << 20  # a model declaration and some thousands of file names
MAX_PAYLOAD_BYTES: Final = 3 << 28  # three models of MAX_PARAMETERS as float32

State = Literal["reading data", "importing jax", "compiling"]
Zone = Literal["public", "private"]
Fault = Literal["local", "world", "spent", "diverged"]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    payload: int = 0  # bytes that follow


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter list that the policy names."""

    name: str
    label: str  # of a request that it blocks
    sha256: Hash


class BorrowedRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that another peer lends, as files of ours (gossip/node/borrowed.py): all of one data set of it."""

    lender: PeerId
    root: Hash  # of that data set
    licence: str
    files: list[str]


class OwnData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer's own data: where they lie, and how they are committed to. The same words give the same commitment."""

    model: str  # how rows become examples, and what share of them is held out
    files: list[str]
    validation: str  # "" if a share of the files is held out
    salt: str  # hex, this peer's own: of the commitment of a private zone; also seeds the order of rows
    swarm: Hash  # the salt of a public zone is made of it
    zone: Zone
    opens: list[str]  # who may have records of a public zone: roles and peer ids; []: every member
    pins: list[Hash]  # of the files as they were when their owner made them public; [] in a private zone
    leaves: str  # file for the leaves of a public zone, so that an opening is one pass over the files; "" for none
    unlabelled: bool = False  # what no label of them says is to be blocked may be a hole in a list
    lends: list[PeerId] = []  # who may train on shards of them
    borrowed: list[BorrowedRows] = []  # trained on beside them; the zone is private then
    judgements: str = ""  # file of its owner's own; "" for none
    judged_bytes: int = (
        0  # of that file, which only grows: so what was said later changes no data that are known by now
    )

    @classmethod
    def private(cls, model: str, files: Sequence[Path], validation: Path | None, salt: bytes) -> OwnData:
        """Data of which nothing is ever shown."""
        return cls(
            model=model, files=[str(file) for file in files], validation=str(validation) if validation else "",
            salt=salt.hex(), swarm="", zone="private", opens=[], pins=[], leaves="",
        )  # fmt: skip


class Load(_Message, frozen=True, tag="load"):
    """Read data, compile. Payload: the starting weights of the swarm."""

    own: OwnData
    cache: str  # folder for compiled programs, "" for none
    keep: str  # file for what should survive a restart, "" for none
    licence: str  # of all the files, "" if their owner names none
    lists: list[str]  # filter lists that labelled the files; their headers become sources
    epsilon: float  # to be promised for all that is ever published; 0: nothing is
    account: str  # file that counts what is spent of it; "" if nothing is promised


class Train(_Message, frozen=True, tag="train"):
    """One round. Payload: the weights to start from."""

    round: int
    spent: int = 0  # thousandths of epsilon, as this peer's newest update says
    steps: int = 0  # local steps; 0: as many as the model declares
    density: int = 0  # thousandths of the declared share of elements; 0: all of that share
    published: str = ""  # the delta of this peer's newest update


class Evaluate(_Message, frozen=True, tag="evaluate"):
    """Score the weights in the payload without training."""


class Open(_Message, frozen=True, tag="open"):
    """Open own records, as a challenge asks for: the files are read again."""

    own: OwnData
    root: Hash  # of the data entry that was challenged
    peer: PeerId  # whose challenge
    role: str  # of that peer
    signature: str  # hex, 64 bytes
    count: int


class Cut(_Message, frozen=True, tag="cut"):
    """Cut own records into shards to be lent: the files are read again."""

    own: OwnData
    root: Hash  # of the data entry
    to: list[tuple[PeerId, str]]  # who is named to have some, each with its role


class Inspect(_Message, frozen=True, tag="inspect"):
    """Look at records that another peer opened. Payload: `packed` records."""

    model: str  # what a record should look like
    folder: str  # of pinned files
    pins: list[Pin]  # the lists by which labels are checked


class Judge(_Message, frozen=True, tag="judge"):
    """Compare models. Payload: with more of the updates judged, as it is, and with less, one after the other."""

    model: str
    folder: str  # of pinned files
    canary: Hash  # of the rows that the policy names, "" for none
    labels: dict[str, int]  # of the data that the updates learned from, as their author says


Request = Load | Train | Evaluate | Open | Cut | Inspect | Judge


class Progress(_Message, frozen=True, tag="progress"):
    """What the process does before it can train. Of reading: how far it is."""

    state: State
    rows: int = 0
    bytes: int = 0  # of the files as they lie on disk
    of: int = 0  # bytes of all files; 0: not known


class Loaded(_Message, frozen=True, tag="loaded"):
    """The data are read and the program is compiled. Payload: the sketch of a public data set, if it has one.
    Down to `generator` it is what a data entry says."""

    root: Hash
    records: int
    labels: dict[str, int]
    judged: dict[str, int]
    duplicates: int
    conflicts: int
    features: str
    suffixes: str
    sources: list[Source]
    generator: str
    held_out: int  # rows to be judged by
    parameters: int
    epoch_s: float  # one measured round
    seconds: float  # since loading began
    privacy: Claim  # all 0: nothing is promised
    spent: int  # thousandths of epsilon, before the first round


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one model does on held-out rows."""

    examples: int
    tp: int
    fp: int
    fn: int
    pr_auc: float
    f1: float
    accuracy: float

    @classmethod
    def of(cls, scored: Scored) -> Result:
        return cls(scored.examples, scored.tp, scored.fp, scored.fn, scored.pr_auc, scored.f1, scored.accuracy)

    def shown(self, metrics: Sequence[Metric]) -> dict[str, float]:
        """The figures that the model's declaration asks for, in its order."""
        figures: dict[Metric, float] = {"pr_auc": self.pr_auc, "f1": self.f1, "accuracy": self.accuracy}
        return {metric: round(figures[metric], 6) for metric in metrics}


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
    epsilon: int  # thousandths: spent with this delta and all before it; 0 if nothing is promised


class Evaluated(_Message, frozen=True, tag="evaluated"):
    swarm: Result | None
    groups: dict[str, Result]


class Opened(_Message, frozen=True, tag="opened"):
    """Payload: the opening (ledger/opening.py)."""


class Shards(_Message, frozen=True, tag="shards"):
    """Payload: all shards, one behind the other."""

    sizes: list[int]


class Inspected(_Message, frozen=True, tag="inspected"):
    measured: dict[str, int]  # facts of the policy by name; one that could not be measured is not here
    trouble: str  # why some could not, for a person; "" if all could


class Judged(_Message, frozen=True, tag="judged"):
    measured: list[Measured]
    trouble: str
    loss_milli: int | None  # on own rows with these labels (gossip/quality/leaning.py); None: there are too few


class Failed(_Message, frozen=True, tag="failed"):
    """The last question has no answer. `fault` is "local" if the user must change something, "spent" if one more round
    would break a promise of privacy, "diverged" if this one gave nothing."""

    fault: Fault
    what: str
    why: str
    next_step: str

    def error(self) -> GossipError:
        kinds: dict[Fault, type[GossipError]] = {
            "local": LocalError, "world": LinkError, "spent": NothingLeft, "diverged": Diverged,
        }  # fmt: skip
        return kinds[self.fault](self.what, why=self.why, next_step=self.next_step)


Answer = Progress | Loaded | Trained | Evaluated | Opened | Shards | Inspected | Judged | Failed

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
    except (ValueError, RecursionError) as error:  # DecodeError is one; half a character and deep brackets are not
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


Records = Sequence[tuple[bytes, bytes]]  # (key, value)


def packed(records: Records) -> bytes:
    """u32le length of key | key | u32le length of value | value, for each record."""
    return b"".join(len(part).to_bytes(LENGTH_BYTES, "little") + part for record in records for part in record)


def unpacked(payload: bytes) -> list[tuple[bytes, bytes]]:
    """What was `packed`. Raises LinkError if it was not."""
    parts, at = [], 0
    while at < len(payload):
        end = at + LENGTH_BYTES + int.from_bytes(payload[at : at + LENGTH_BYTES], "little")
        if at + LENGTH_BYTES > len(payload) or end > len(payload):
            break
        parts.append(payload[at + LENGTH_BYTES : end])
        at = end
    if at != len(payload) or len(parts) % 2:
        raise LinkError("the pipe to the training process carries something else", why="records that do not add up")
    return list(zip(parts[::2], parts[1::2], strict=True))
