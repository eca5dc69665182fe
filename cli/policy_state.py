"""What the entries of a swarm say about its policy: which one is in force, who asked for another, who still has to.

    every log of a source --genesis, enrolments, policy entries--> InForce(number, hash, text, proposals)

For reading: entries were admitted before, or `ledger.first_look` vouches for them. It refuses to know what a policy
means.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from cli.sources import Source
from ledger.canonical import decode_entry
from ledger.chain import Wish
from ledger.entry import Genesis, Hash, PeerId, PolicyChange
from ledger.errors import LocalError
from ledger.in_force import in_force
from ledger.policy import MAX_POLICY_BYTES, Policy

_MARK = b'"kind":"policy"'  # canonical JSON: an entry without these bytes is of another kind


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that admins asked for and that is not in force."""

    number: int
    policy: Hash
    by: tuple[str, ...]  # names
    keys: tuple[str, ...]  # public keys, by which genesis knows admins
    missing: int  # more admins that have to say the same


@dataclass(frozen=True, slots=True)
class InForce:
    """All that a source holds about policies."""

    swarm: Hash
    name: str
    number: int  # 0 is that of genesis
    policy: Policy
    threshold: int
    admins: tuple[tuple[str, PeerId, str], ...]  # (key, peer and name if it has enrolled)
    proposals: tuple[Proposal, ...]

    def facts(self) -> dict[str, Any]:
        return {
            "swarm": self.swarm,
            "name": self.name,
            "number": self.number,
            "policy": self.policy.hash,
            "threshold": self.threshold,
            "admins": [{"key": key, "peer": peer, "name": name} for key, peer, name in self.admins],
            "proposals": [
                {"number": one.number, "policy": one.policy, "by": list(one.by), "missing": one.missing}
                for one in self.proposals
            ],
        }


def in_force_of(source: Source) -> InForce:
    """LocalError if the source does not hold the founder's first entry, or not the text of the policy in force."""
    genesis = _genesis(source)
    enrolled = source.enrolments()
    names = source.names()
    admins = dict.fromkeys(genesis.admins, ("", ""))
    said: dict[Wish, set[str]] = {}
    for log, enrol in enrolled.items():
        if enrol.key not in admins:
            continue
        admins[enrol.key] = (log.partition("~")[0], names.get(log, ""))
        for data in source.logs[log]():
            entry = decode_entry(data) if _MARK in data else None
            if isinstance(entry, PolicyChange):
                said.setdefault((entry.number, entry.policy), set()).add(enrol.key)
    number, digest = in_force(genesis, {wish: tuple(sorted(keys)) for wish, keys in said.items()})
    text = source.blob(digest)
    if text is None:
        raise LocalError(
            f"the text of policy {digest[:12]} is not here",
            why="its hash is known from the ledger, the text itself has not come yet",
            next_step="let the peer run until nothing is missing (gossip status)",
        )
    proposals = [
        Proposal(
            wish[0], wish[1], tuple(sorted(admins[key][1] or key[:8] for key in keys)), tuple(sorted(keys)),
            genesis.threshold - len(keys),
        )
        for wish, keys in sorted(said.items())
        if wish[0] > number
    ]  # fmt: skip
    return InForce(
        source.swarm, genesis.name, number, Policy.from_blob(text), genesis.threshold,
        tuple((key, *who) for key, who in admins.items()), tuple(proposals),
    )  # fmt: skip


def policy_text(source: Source, digest: Hash) -> Policy | None:
    """Another policy that some entry names, if its text is here."""
    text = source.blob(digest)
    return Policy.from_blob(text) if text is not None and len(text) <= MAX_POLICY_BYTES else None


def _genesis(source: Source) -> Genesis:
    entries = source.logs.get(source.founder)
    first = next(iter(islice(entries(), 1)), None) if entries is not None else None
    genesis = decode_entry(first) if first is not None else None
    if not isinstance(genesis, Genesis):
        raise LocalError(
            "the swarm's first entry is not here yet", next_step="start the peer and let it connect: gossip run"
        )
    return genesis
