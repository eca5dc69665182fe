"""What a demo came to: one value, printed for people or as JSON from the same facts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import attendance, exits, render
from ledger.entry import Hash, PeerId
from ledger.roll import Roll

Scores = Mapping[str, float]  # pr_auc, f1


@dataclass(frozen=True, slots=True)
class PeerOutcome:
    id: PeerId
    name: str
    slow: bool
    requests: int  # of its own, to train on
    updates: int
    bytes_sent: int
    bytes_received: int
    rss_mb: float
    alone: Scores | None
    swarm: Scores | None
    model_hash: Hash
    domains: Mapping[str, Scores | None]  # the same models on unseen domains: alone, swarm; printed, never gated


@dataclass(frozen=True, slots=True)
class Outcome:
    swarm: Hash
    wall_s: float
    first_merge_s: float | None
    updates: int
    entries: int
    replay_hash: Hash
    findings: int
    peers: tuple[PeerOutcome, ...]  # largest share of the data first
    pooled: Scores | None
    pooled_domains: Scores | None
    transport: str
    bundle: Path
    directory: Path
    replay_without_jax: bool
    roll: Roll  # who took part, by the ledger that was audited
    disagreement: str  # "" if all agree; else who differs, and the first entry in which they do

    @property
    def strangers(self) -> tuple[str, ...]:
        """Names of peers that were started, and that the ledger does not know as members."""
        known = {row.peer for row in self.roll.rows if row.role}
        return tuple(peer.name for peer in self.peers if peer.id not in known)

    @property
    def agreed(self) -> bool:
        """All peers and the auditor, by their own hashes; nothing is taken on trust."""
        hashes = {peer.model_hash for peer in self.peers} | {self.replay_hash}
        return len(hashes) == 1 and "" not in hashes and not self.disagreement

    @property
    def exit_code(self) -> int:
        return exits.OK if self.agreed and self.findings == 0 and self.replay_without_jax else exits.FINDINGS


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "swarm": outcome.swarm,
        "wall_s": round(outcome.wall_s, 2),
        "first_merge_s": None if outcome.first_merge_s is None else round(outcome.first_merge_s, 2),
        "updates": outcome.updates,
        "model_hash": outcome.peers[0].model_hash,
        "model_hashes": {peer.id: peer.model_hash for peer in outcome.peers},
        "replay_hash": outcome.replay_hash,
        "findings": outcome.findings,
        "peers": [
            {
                "id": peer.id,
                "name": peer.name,
                "slow": peer.slow,
                "updates": peer.updates,
                "bytes_sent": peer.bytes_sent,
                "bytes_received": peer.bytes_received,
                "rss_mb": round(peer.rss_mb, 1),
                "alone": _scores(peer.alone),
                "swarm": _scores(peer.swarm),
            }
            for peer in outcome.peers
        ],
        "pooled": _scores(outcome.pooled),
        "transport": outcome.transport,
        "bundle": str(outcome.bundle),
        "attendance": {**outcome.roll.as_json(), "summary": who(outcome)},
        **({"disagreement": outcome.disagreement} if outcome.disagreement else {}),
    }


def _scores(scores: Scores | None) -> dict[str, float] | None:
    return None if scores is None else {"pr_auc": round(scores["pr_auc"], 4), "f1": round(scores["f1"], 4)}


def table(outcome: Outcome) -> None:
    """Every peer's model alone, the swarm's and one trained on all the data, on the same held-out sites."""
    domains = outcome.pooled_domains is not None
    rows = []
    for peer in outcome.peers:
        row = [peer.name + (" slow" if peer.slow else ""), f"{peer.requests:,}", str(peer.updates)]
        row += [_cell(peer.alone), _cell(peer.swarm), _cell(outcome.pooled)]
        if domains:
            row += [_cell(peer.domains.get("alone")), _cell(peer.domains.get("swarm")), _cell(outcome.pooled_domains)]
        rows.append(row)
    head = ["peer", "requests", "updates", "alone", "swarm", "pooled"]
    if domains:
        head += ["alone*", "swarm*", "pooled*"]
    render.table(head, rows, right=range(1, len(head)))
    if domains:
        render.say("* on domains that nobody trained on: few requests, so noisy; shown, never judged")


def who(outcome: Outcome) -> list[str]:
    """Of whom these figures are, in sentences; nobody who was started is passed over."""
    said = [*attendance.summary(outcome.roll)]
    if outcome.strangers:
        said = [f"Started, and never a member: {', '.join(outcome.strangers)}.", *said]
    return said


def how_to_check(outcome: Outcome) -> str:
    """What anybody may type who takes nobody's word; ids are never cut here."""
    return f"check   gossip ledger verify {shlex.quote(str(outcome.bundle))} --swarm {outcome.swarm}"


def last_lines(outcome: Outcome) -> tuple[str, ...]:
    smallest = outcome.peers[-1]
    without = "replayed without jax" if outcome.replay_without_jax else "replayed, but jax was loaded"
    if outcome.agreed:
        model = render.short(outcome.replay_hash)
        verdict = f"AGREED  {len(outcome.peers)} peers and the auditor hold the same model: {model}"
    else:
        verdict = f"DISAGREED  {outcome.disagreement or 'the replayed model is another than the peers hold'}"
    return (
        f"smallest peer   alone {_cell(smallest.alone, 2)}   swarm {_cell(smallest.swarm, 2)}   "
        f"pooled {_cell(outcome.pooled, 2)}   (PR-AUC, unseen sites)",
        f"audit   {render.many(outcome.entries, 'entry')}, {render.many(outcome.findings, 'finding')}, {without}",
        verdict,
        f"Next    gossip new NAME      (this run: {outcome.directory})",
    )


def _cell(scores: Scores | None, digits: int = 3) -> str:
    return render.score(None if scores is None else scores["pr_auc"], digits)
