"""The one gate between a peer's data and everybody else: what may leave, by zone, kind and receiver.

    (zone, kind, receiver) --release--> Released[kind], or Withheld and why

    kind      private zone   public, to all members   public, to whom the owner names
    ledger    everybody      everybody                everybody          policies, proofs: nothing of the data
    facts     everybody      everybody                everybody          the data entry
    delta     everybody      everybody                everybody          with its counts of held-out results
    sketch    nobody         everybody                nobody             the first 256 leaves of the tree
    records   nobody         members                  members so named   by role or peer id
    shard     nobody         who trains, and is named with --lend-to; of restricted data also by `opens`
    the rest  nobody         nobody                   nobody             rows, salt, leaves, what a trainer keeps

"Everybody" is said plainly: what stands in the ledger goes to all members, to guests with an invite, and with a bundle
to whomever its owner gives it.

Rules kept here: what no line of the table allows is withheld, and so is everything of a zone that is not spelled
"public". A receiver without a role is no member, whatever its id. Only `release` makes a Released: it can be neither
built, copied, pickled nor subclassed elsewhere, it names the data set and the receiver that it was made for, and what
makes openings or sketches, and what serves them, demands one (`require`). It refuses to know what the data are and how
they travel. One way through, of the zone of a filter list that its owner made public for auditors:

    release(ZoneSetting("public", ("auditor",)), Records, of=root, to=Receiver("77ab...", "auditor")) -> Released
    release(ZoneSetting("public", ("auditor",)), Records, of=root, to=Receiver("5d1c...", "trainer")) -> Withheld
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Generic, Literal, NoReturn, TypeVar, final

from ledger.entry import Data, Hash, PeerId
from ledger.errors import LocalError

Zone = Literal["public", "private"]
ROLES: Final = ("admin", "trainer", "auditor", "observer", "relay")  # as members have them, the most trusted first
TRAINING: Final = ("admin", "trainer")  # of these, who learns from data


@dataclass(frozen=True, slots=True)
class ZoneSetting:
    """What the owner of a data set, or its data entry, says of it. `opens` empty: every member."""

    zone: Zone = "private"
    opens: tuple[str, ...] = ()  # roles and peer ids
    lends: tuple[PeerId, ...] = ()  # who may train on shards of it; no data entry says so, only the owner's own words
    notes: tuple[str, ...] = field(default=(), compare=False)  # for the owner: why it is not what was set
    pins: tuple[Hash, ...] = field(default=(), compare=False)  # of the files as they were when this was said of them

    @classmethod
    def of_entry(cls, data: Data) -> ZoneSetting:
        return cls(data.zone, tuple(data.opens))


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who would get something; role "" if it is no member."""

    peer: PeerId
    role: str


ANYBODY: Final = Receiver("", "")  # whoever reads the ledger


# ------------------------------------------------------------------ what there is


class Kind:
    """Something that is made of a peer's data. Never instantiated: the classes are the words."""

    text: ClassVar[str]  # for people


class Ledger(Kind):
    text = "what the ledger keeps that is made of no data: policies, proofs, time stamps"


class Facts(Kind):
    text = "the data entry: counts, sources, the root of the commitment"


class Delta(Kind):
    text = "deltas of the weights, with counts of held-out results"


class Sketch(Kind):
    text = "a sketch: the first 256 keyed hashes of records, to find overlap with others"


class Records(Kind):
    text = "records, as many as a challenge asks for"


class Shard(Kind):
    text = "a sixteenth of the records, to be trained on while a lease lasts"


class Rows(Kind):
    text = "the files, and any row that neither a challenge nor a lease asked for"


class Leaves(Kind):
    text = "the commitments to all records"


class Salt(Kind):
    text = "the salt that hides the commitments"


class Remainder(Kind):
    text = "what training keeps: the model of these data alone, and what was not sent yet"


KINDS: Final = (Ledger, Facts, Delta, Sketch, Records, Shard, Rows, Leaves, Salt, Remainder)
NEVER: Final = (Rows, Leaves, Salt, Remainder)  # of no zone, to nobody

K = TypeVar("K", bound=Kind)
K_co = TypeVar("K_co", bound=Kind, covariant=True)


# ------------------------------------------------------------------ the gate

_SEAL: Final = object()


@final
class Released(Generic[K_co]):
    """Leave for one kind of thing, of one data set, to go to one receiver. Only `release` makes one."""

    __slots__ = ("_seal", "kind", "of", "to")
    kind: type[K_co]
    of: Hash
    to: Receiver

    def __init__(self, kind: type[K_co], of: Hash, to: Receiver, *, seal: object) -> None:
        if seal is not _SEAL:
            raise LocalError("only the gate releases", next_step="ask egress.release()")
        for name, value in (("kind", kind), ("of", of), ("to", to), ("_seal", seal)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise LocalError("what the gate said is not changed afterwards")

    def __reduce__(self) -> NoReturn:
        raise LocalError("leave to send is given where it is used, and travels nowhere")

    def __init_subclass__(cls) -> NoReturn:
        raise LocalError("there is one kind of leave")


@dataclass(frozen=True, slots=True)
class Withheld:
    """It stays here, and why, as a clause for the owner."""

    kind: type[Kind]
    to: Receiver
    why: str


def release(setting: ZoneSetting, kind: type[K], *, of: Hash, to: Receiver) -> Released[K] | Withheld:
    """Whether `kind` of the data set whose commitment has the root `of` may go to `to`."""
    why = _objection(setting, kind, to)
    return Withheld(kind, to, why) if why else Released(kind, of, to, seal=_SEAL)


def require(leave: object, kind: type[Kind], *, of: Hash, to: Receiver) -> None:
    """LocalError unless `leave` is the gate's own word for just this: what the types say, said again at run time."""
    if type(leave) is not Released or getattr(leave, "_seal", None) is not _SEAL:
        raise LocalError("something would leave this machine without the gate's leave", why=kind.text)
    if leave.kind is not kind or leave.of != of or leave.to != to:
        raise LocalError(
            "something else would leave this machine than the gate released",
            why=f"{kind.__name__.lower()} in place of {leave.kind.__name__.lower()}, or for somebody else",
        )


def names(opens: tuple[str, ...], to: Receiver) -> bool:
    """Whether a member is among those whom `opens` names."""
    return to.role in opens or to.peer in opens


def _objection(setting: ZoneSetting, kind: type[Kind], to: Receiver) -> str:
    """Why not; "" if it may leave. Everything that is not named here falls through to the last line."""
    if kind is Ledger or kind is Facts or kind is Delta:
        return ""
    if kind is Sketch or kind is Records:
        if setting.zone != "public":
            return "its zone is private"
        if kind is Sketch:
            return "a sketch goes to everybody, and these data do not" if setting.opens else ""
        if to.role not in ROLES or not to.peer:
            return "records are for members"
        if setting.opens and not names(setting.opens, to):
            return "its owner named others"
        return ""
    if kind is Shard:
        if setting.zone != "public":
            return "its zone is private"
        if to.role not in TRAINING or not to.peer:
            return "shards are for members who train"
        if to.peer not in setting.lends:
            return "its owner lends nothing to that peer"
        if setting.opens and not names(setting.opens, to):
            return "its owner named others"
        return ""
    return "this never leaves"
