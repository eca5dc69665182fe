"""What would leave this machine if files were trained on in a zone: said beforehand, by the gate itself.

    audience(setting, Records) -> ("role auditor", "peer 77ab...")      ("everybody",)   ("members",)   ()

Rules kept here: who gets what is asked of the gate (egress.py), one receiver of each sort at a time, never told from
memory, and the data entry is made as a run makes it; so what is shown and what happens cannot differ. It refuses to
know how it is printed, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from gossip.egress import (
    ANYBODY,
    KINDS,
    ROLES,
    Kind,
    Receiver,
    Released,
    Withheld,
    ZoneSetting,
    release,
)
from ledger.canonical import decode_entry
from ledger.entry import Claim, Data, Genesis, PeerId
from ledger.errors import LocalError

if TYPE_CHECKING:
    from ledger.store import Store

_NOBODY = "0" * 64  # a hash that nobody has: for a member that is nobody in particular
EVERYBODY, MEMBERS = "everybody", "members"


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of thing, and who would get it; if nobody, why."""

    kind: type[Kind]
    to: tuple[str, ...]
    why: str


def lines(setting: ZoneSetting) -> tuple[Line, ...]:
    """All that there is, what leaves first."""
    said = [Line(kind, to := audience(setting, kind), "" if to else _why(setting, kind)) for kind in KINDS]
    return tuple(sorted(said, key=lambda line: not line.to))


def audience(setting: ZoneSetting, kind: type[Kind]) -> tuple[str, ...]:
    """Whom the gate would let have it."""
    if _passes(setting, kind, ANYBODY):
        return (EVERYBODY,)
    roles = [role for role in ROLES if _passes(setting, kind, Receiver(_NOBODY, role))]
    if len(roles) == len(ROLES):
        return (MEMBERS,)
    return (*(f"role {role}" for role in roles), *(f"peer {peer}" for peer in _peers(setting, kind)))


def _peers(setting: ZoneSetting, kind: type[Kind]) -> Iterator[PeerId]:
    for word in dict.fromkeys((*setting.opens, *setting.lends)):
        if word not in ROLES and any(_passes(setting, kind, Receiver(word, role)) for role in ROLES):
            yield word


def _passes(setting: ZoneSetting, kind: type[Kind], to: Receiver) -> bool:
    return isinstance(release(setting, kind, of=_NOBODY, to=to), Released)


def _why(setting: ZoneSetting, kind: type[Kind]) -> str:
    given = release(setting, kind, of=_NOBODY, to=Receiver(_NOBODY, ROLES[0]))
    return given.why if isinstance(given, Withheld) else ""


def data_entry(
    store: Store, files: Sequence[Path], validation: Path | None, setting: ZoneSetting, *, licence: str,
    epsilon: float = 0.0,
) -> Data:  # fmt: skip
    """The data entry that training on `files` alone would publish, without its place in the chain. Reads every row.

    `store` is the peer's. LocalError at the first row that cannot be used, if no model is known yet, or if `epsilon`
    (0: none) cannot be promised for so few records.
    """
    from gossip.training.budget import make_claim
    from gossip.training.dataset import read_data
    from gossip.training.spec import ModelSpec

    data = store.entry(store.meta("founder").decode(), 0)
    genesis = decode_entry(data) if data is not None else None
    if not isinstance(genesis, Genesis):
        raise LocalError("this peer does not know its swarm's model yet", next_step="start it once with: gossip run")
    spec = ModelSpec.parse(genesis.model)
    found = read_data(
        spec, files, validation, salt=store.meta("salt"), setting=setting, swarm=store.meta("swarm").decode(),
        licence=licence,
    )  # fmt: skip
    found.rows.close()
    made = found.commitment
    return Data(
        v=0, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=made.root, records=made.records,
        labels=found.labels, duplicates=made.duplicates, features=spec.feature_spec, zone=setting.zone,
        sources=list(found.sources), conflicts=made.conflicts,
        generator=found.generator, suffixes=found.suffixes, opens=list(setting.opens),
        sketch=sha256(found.sketch).hexdigest() if found.sketch else "", sketch_bytes=len(found.sketch),
        privacy=make_claim(epsilon, made.records) if epsilon else Claim(),
    )  # fmt: skip
