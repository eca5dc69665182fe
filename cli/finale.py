"""How a demo ends: a comparison, an audit, and what the stores really hold.

The audit runs what an auditor would type, each command in a process of its own. The comparison of peers reads
their stores, entry by entry, and takes nobody's word. Training on all the data happens in a process of its own
as well: it is what the swarm is measured against, and decides nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli import attendance, exits, outcome
from cli.agreement import Book, describe, first_difference, odd_ones
from cli.children import Child, Children, last_line, own_environment, own_program
from cli.plain import plain
from cli.render import complain
from ledger.errors import LinkError

POOLED_WITHIN_S: Final = 45.0
STEP_WITHIN_S: Final = 60.0  # verify, replay, bundle


@dataclass(slots=True)
class Peer:
    name: str
    directory: Path
    data: Path
    requests: int
    slow: bool
    status: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cast:
    place: Path
    swarm: str
    invitation: str
    validation: Path
    model: Path  # the declaration
    peers: tuple[Peer, ...]  # largest share first; the first is the founder


def start_pooled(cast: Cast, children: Children) -> Child:
    """Begin to train one model on everybody's data; it prints one JSON object and ends."""
    command = [sys.executable, "-P", "-m", "gossip.training.pooled", str(cast.model)]
    command += ["--data", *(str(peer.data) for peer in cast.peers), "--validation", str(cast.validation)]
    return children.start("the comparison", command, cast.place / "pooled.log", ends=True)


def pooled_scores(children: Children, pooled: Child) -> dict[str, Any]:
    """What the comparison printed; {} and a line on stderr if it failed: the agreement does not hang on it."""
    code = children.wait(pooled, POOLED_WITHIN_S)
    lines = pooled.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if code != 0 or not lines:
        complain(f"no comparison with all data in one place: {last_line(pooled.log) if code else 'it took too long'}")
        return {}
    value = json.loads(lines[-1])
    return value if isinstance(value, dict) else {}


def audit(cast: Cast) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """What an auditor would type, in processes of their own."""
    bundle = cast.place / "bundle"
    _step("ledger", "bundle", "--dir", str(cast.peers[0].directory), "--out", str(bundle), "--json")
    verified = _step("ledger", "verify", str(bundle), "--swarm", cast.swarm, "--json")
    replayed = _step("ledger", "replay", str(bundle), "--json")
    return bundle, verified, replayed


def _step(*words: str) -> dict[str, Any]:
    """One command of ours to its end. Findings are an answer; a failure is raised."""
    done = subprocess.run(
        own_program(*words),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=STEP_WITHIN_S,
        env=own_environment(),
        check=False,
    )
    if done.returncode not in (exits.OK, exits.FINDINGS, exits.INCONCLUSIVE):
        raise LinkError(
            f"gossip {words[0]} {words[1]} failed",
            why=plain(done.stderr.decode(errors="replace")).removeprefix("gossip: "),
        )
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def compare(
    cast: Cast,
    started: float,
    bundle: Path,
    verified: Mapping[str, Any],
    replayed: Mapping[str, Any],
    pooled: Mapping[str, Any],
) -> outcome.Outcome:
    statuses = [peer.status for peer in cast.peers]
    merges = [status["first_merge_at"] for status in statuses if status.get("first_merge_at")]
    return outcome.Outcome(
        swarm=cast.swarm,
        wall_s=time.time() - started,
        first_merge_s=min(merges) - started if merges else None,
        updates=sum(int(status.get("updates", 0)) for status in statuses),
        entries=int(verified["entries"]),
        replay_hash=str(replayed["model_hash"]),
        findings=len(verified["findings"]) + len(replayed["findings"]),
        peers=tuple(_peer_outcome(peer) for peer in cast.peers),
        pooled=pooled.get("sites"),
        pooled_domains=pooled.get("domains"),
        transport="+".join(sorted({str(status.get("transport", "")) for status in statuses})),
        bundle=bundle,
        directory=cast.place,
        replay_without_jax=replayed["jax"] is False,
        roll=attendance.of(str(bundle))[0],
        disagreement=disagreement(
            {peer.name: peer.directory for peer in cast.peers},
            {peer.name: str(peer.status.get("model_hash", "")) for peer in cast.peers},
            {str(peer.status.get("id", "")): peer.name for peer in cast.peers},
        ),
    )


def _peer_outcome(peer: Peer) -> outcome.PeerOutcome:
    status = peer.status
    return outcome.PeerOutcome(
        id=str(status.get("id", "")),
        name=peer.name,
        slow=peer.slow,
        requests=peer.requests,
        updates=int(status.get("updates", 0)),
        bytes_sent=int(status.get("bytes_sent", 0)),
        bytes_received=int(status.get("bytes_received", 0)),
        rss_mb=float(status.get("rss_mb", 0.0)),
        alone=status.get("alone"),
        swarm=status.get("swarm_scores"),
        model_hash=str(status.get("model_hash", "")),
        domains=(status.get("groups") or {}).get("domains") or {},
    )


def disagreement(directories: Mapping[str, Path], hashes: Mapping[str, str], names: Mapping[str, str]) -> str:
    """ "" if all stores hold the same entries and all hashes are equal; else who differs, and where first."""
    from gossip.directory import store_path
    from ledger.store import Store

    with ExitStack() as open_stores:
        books: dict[str, Book] = {
            name: open_stores.enter_context(Store.open_readonly(store_path(place)))
            for name, place in directories.items()
        }
        found = first_difference(books)
    odd = odd_ones(hashes)
    if found is None and not odd:
        return ""
    told = (
        f"{', '.join(odd)} hold{'' if len(odd) > 1 else 's'} another model than the rest"
        if odd
        else "the same model from other entries"
    )
    return f"{told}; {describe(found, names)}" if found else f"{told}, from the same entries"
