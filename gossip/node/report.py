"""What a node says of itself: one JSON object, the same for the control socket, the live view and `gossip status`.

docs/status.md lists the fields. Nothing here decides anything.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gossip.node.learning import Learning
from gossip.peer.status import Looked, PaceStatus, PanelStatus, PeerStatus, Pruned, Sums
from gossip.transport.pool import LinkPool


def report(
    *, meta: dict[str, str], started_at: float, phase: str, address: str, transport: str, duty_percent: int,
    peer: PeerStatus | None, learning: Learning | None, pool: LinkPool | None, checker: int | None = None,
    pins_missing: Sequence[str] = (), lacks_engine: bool = False, seat: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None, blobs: tuple[int, int] = (0, 0), wide: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The status of a node, whatever part of it exists already."""
    names = {link.key.hex(): (link.peer, link.name) for link in peer.links} if peer else {}
    looked = peer.looked if peer else Looked()
    sums = peer.sums if peer else Sums()
    loading = learning.state if learning else ""
    place = {"role": "", "expires": 0, "revoked_from": None, "guests": [], "words": "", "cut": {"links": 0, "last": ""}}
    place |= {"turned_away": "", "wanted_out": [], "open": False, "codes": [], "spoiled": None, "limits": {}}
    place |= seat or {}
    state = phase or ("training" if peer and peer.state == "resting" else peer.state if peer else "starting")
    if loading and state == "observing":
        state = loading
    return {
        "id": meta.get("self", ""),
        "name": _own_name(peer, meta),
        "swarm": meta.get("swarm", ""),
        "swarm_name": (peer.swarm_name if peer else "") or meta.get("swarm_name", ""),
        "pid": os.getpid(),
        "state": state,
        **place,
        "detail": learning.detail if learning else "",
        "reading": _reading(learning),
        "address": address,
        "transport": transport,
        "duty_percent": duty_percent,
        "machine": dict(machine or {}),
        "paused": peer.paused if peer else "",
        "absent": [{"peer": one.peer, "name": one.name, "since": one.since} for one in (peer.absent if peer else ())],
        "panel": _panel(peer.panel if peer else None),
        "pace": _pace(peer.pace if peer else None),
        "profile": _profile(peer.pace if peer else None),
        "links": [
            {"peer": names.get(row["key"], ("", ""))[0], "name": names.get(row["key"], ("", ""))[1], **row}
            for row in (pool.rows() if pool else ())
        ],
        "dials": pool.failed_dials() if pool else [],
        "wide": dict(wide) if wide is not None else None,
        "rounds": peer.rounds if peer else 0,
        "epochs": round(learning.epochs, 2) if learning else 0.0,
        "updates": peer.updates if peer else 0,
        "merged": peer.merged if peer else 0,
        "entries": peer.entries if peer else 0,
        "members": peer.members if peer else 0,
        "missing": peer.missing if peer else 0,
        "staleness": round(peer.staleness, 3) if peer else 0.0,
        "weight": peer.weight if peer else 0,
        "bytes_sent": pool.bytes_sent if pool else 0,
        "bytes_received": pool.bytes_received if pool else 0,
        "rss_mb": round(sum(resident_mb(pid) for pid in (os.getpid(), learning.pid if learning else None, checker)), 1),
        "alone": learning.shown(learning.alone) if learning else None,
        "swarm_scores": learning.shown(learning.swarm) if learning else None,
        "groups": {
            group: {"alone": learning.shown(alone), "swarm": learning.shown(swarm)}
            for group, (alone, swarm) in learning.groups.items()
        }
        if learning
        else {},
        "model_hash": peer.model_hash if peer else "",
        "model": peer.model if peer else "",
        "heads": peer.heads if peer else {},
        "drained": bool(peer and peer.drained),
        "witnessed": peer.witnessed if peer else 0,
        "witnesses": list(peer.witnesses) if peer else [],
        "policy": {
            "number": peer.policy_number if peer else 0,
            "hash": peer.policy if peer else "",
            "pins_missing": list(pins_missing),
            "lacks_engine": lacks_engine,
        },
        "challenges": {
            "made": looked.asked,
            "answered": looked.shown,
            "received": looked.asked_of_us,
            "open": looked.asked_of_us - looked.shown_by_us,
        },
        "verdicts": {"given": looked.given, "received": looked.received},
        "refusals": list(peer.refusals) if peer else [],
        "bundles": {
            "leads": sums.leads,
            "leaders": list(sums.leaders),
            "made": sums.made,
            "used": sums.used,
            "false": sums.false,
            "lent": sums.lent,
        },
        "lent": [{"peer": one.peer, "name": one.name, "shards": one.shards} for one in (peer.lent if peer else ())],
        "borrowed": [
            {"peer": one.peer, "name": one.name, "shards": one.shards, "records": one.records}
            for one in (peer.borrowed if peer else ())
        ],
        "blobs": blobs_of(blobs, peer.pruned if peer else None, peer.lacking if peer else 0),
        "final_at": peer.final_at if peer else None,
        "first_merge_at": peer.first_merge_at if peer else None,
        "started_at": started_at,
        "privacy": {
            "epsilon": learning.claim.epsilon / 1000,
            "delta": 1 / learning.claim.delta,
            "spent": learning.spent / 1000,
        }
        if learning and learning.claim.epsilon
        else None,
        "up_s": round(time.time() - started_at, 1),
        "tail": [
            {"peer": line.peer, "name": line.name, "seq": line.seq, "kind": line.kind, "text": line.text}
            for line in (peer.tail if peer else ())
        ],
    }


def _panel(panel: PanelStatus | None) -> dict[str, Any] | None:
    return asdict(panel) if panel is not None else None


def blobs_of(kept: tuple[int, int], pruned: Pruned | None, lacking: int = 0) -> dict[str, Any]:
    """What is kept of deltas and other blobs, and whether that is all there ever was."""
    base = {"peer": pruned.peer, "seq": pruned.seq, "updates": pruned.updates} if pruned is not None else None
    return {
        "archive": pruned is None,
        "count": kept[0],
        "bytes": kept[1],
        "base": base,
        "owed": pruned.owed if pruned is not None else 0,
        "lacking": lacking,
    }


def _pace(pace: PaceStatus | None) -> dict[str, Any] | None:
    if pace is None:
        return None
    return {
        "steps": pace.steps,
        "declared": pace.declared,
        "density_permille": pace.density_permille,
        "links": pace.links,
        "tempo": pace.tempo,
        "reason": pace.reason,
        "behind": round(pace.behind, 2),
        "steps_s": _rate(pace.step_s),
        "aim_s": round(pace.aim_s, 2),
        "lag_s": round(pace.lag_s, 3),
        "round_trip_s": round(pace.line.round_trip_s, 4),
        "bytes_s": round(pace.line.bytes_s),
        "is_full": pace.line.is_full,
    }


def _profile(pace: PaceStatus | None) -> list[dict[str, Any]]:
    return [
        {
            "peer": trainer.peer,
            "name": trainer.name,
            "steps_s": _rate(trainer.step_s),
            "interval_s": round(trainer.interval_s, 2),
            "lag_s": round(trainer.lag_s, 3),
            "present": trainer.is_present,
        }
        for trainer in (pace.trainers if pace else ())
    ]


def _rate(step_s: float) -> float:
    """Steps a second; 0: not known."""
    return round(1 / step_s, 2) if step_s > 0 else 0.0


def _reading(learning: Learning | None) -> dict[str, int] | None:
    reading = learning.reading if learning else None
    return {"rows": reading.rows, "bytes": reading.bytes, "of": reading.of} if reading else None


def resident_mb(pid: int | None) -> float:
    """Resident memory of a process in MB; 0.0 if there is none. Elsewhere than on Linux: our own peak."""
    if pid is None:
        return 0.0
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return _peak_mb() if pid == os.getpid() else 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak_mb() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _own_name(peer: PeerStatus | None, meta: dict[str, str]) -> str:
    return meta.get("name", "") or (peer.peer[:8] if peer else "")
