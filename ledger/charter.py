"""What an entry is decided by, and what deciding comes to.

    Charter    the swarm, its genesis and every policy that was ever named: the same for all
    Past       the logs, of which the entry's tip says how much it has seen
    Outcome    what admitting it will do

Why it exists: the rules are in several files (rules.py, in_force.py, inspection_rules.py), and all of them take and
give these. It refuses to know any rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ledger.chain import Log, LogId, Tip
from ledger.entry import Data, FoldConstants, Genesis, Hash, PeerId
from ledger.errors import LocalError
from ledger.fold import parameters
from ledger.policy import Breach, Policy, Ruling
from ledger.tail import NeedsHistory
from ledger.weights import Row


@dataclass(frozen=True, slots=True)
class Charter:
    """What every rule goes back to. `genesis` and `policy` are None until the founder's first entry is admitted."""

    swarm: Hash
    founder: PeerId
    genesis: Genesis | None = None
    policy: Policy | None = None  # of genesis
    parameters: int = 0
    policies: Mapping[Hash, Policy] = field(default_factory=dict)  # that of genesis, and those that admins asked for

    @property
    def constants(self) -> FoldConstants:
        return self.require().fold

    def require(self) -> Genesis:
        if self.genesis is None:
            raise LocalError("the swarm's genesis is not held yet", next_step="wait for the founder's log")
        return self.genesis

    def adopt(self, genesis: Genesis, policy: Policy) -> Charter:
        adopted = replace(self, genesis=genesis, policy=policy, parameters=parameters(genesis.layout))
        return adopted.know(policy)

    def know(self, policy: Policy) -> Charter:
        """With one more policy to look up."""
        return replace(self, policies=MappingProxyType({**self.policies, policy.hash: policy}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What admitting an entry will do. `norm`, `weight` and `row` belong to updates in the fold."""

    tip: Tip
    blob: Hash | None = None
    norm: int | None = None
    weight: int | None = None
    row: Row | None = None
    basis: Hash = ""  # of an update: the policy that it was ruled on by
    ruling: Ruling | None = None  # and what that says of it
    active: int = 0  # of an update: among how many it was weighed
    house: PeerId = ""  # of a member entry: who answers for the one it admits; "" if that stands alone

    @property
    def refused(self) -> tuple[Breach, ...]:
        return self.ruling.refused if self.ruling is not None else ()


@dataclass(frozen=True, slots=True)
class Past:
    """What an entry is checked in: its log before it (None at its first entry), and every log, strands included."""

    own: Log | None
    logs: Mapping[LogId, Log]

    def require(self) -> Log:
        if self.own is None:
            raise LocalError("a log begins with its enrol entry")
        return self.own


def branches_of(tip: Tip, own: Log) -> list[tuple[Log, int]]:
    """All that a past holds: each branch that it has seen, and the own log."""
    return [*zip(tip.roster, tip.sizes, strict=True), (own, tip.size)]


def data_at(log: Log, size: int, seq: int) -> Data | None:
    """The data entry at an index of a log's first `size` entries, if there is one."""
    if seq >= size:
        return None
    data = log.tip.data.get(seq)
    if data is None and log.base is not None and seq < log.base.data:
        raise NeedsHistory(log.id, f"entry {seq}, if that is a data entry")
    return data
