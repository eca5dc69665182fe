"""What the owner of a peer should look at, of all that its status says: what others have against its contributions, and
what this machine lacks to look at others: files that the swarm's policy names, an engine to label with; who was cut
off; whose revocation waits for its word; which relays and bootstraps are not there; who is absent; that it was not let
in, or put out itself.

It decides nothing: refusals come in words from the node (gossip/peer/status.py).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from cli.beyond import troubles
from cli.plain import name as plain_name
from cli.plain import plain
from cli.render import many, span

SHOWN: Final = 2  # refusals, the newest
LINES: Final = 3  # of each
ABSENT: Final = 6  # named


def _absent(status: Mapping[str, Any]) -> list[str]:
    """Who is to publish and does not, and for how long: `absent: birch for 12:05, elder has published nothing yet`"""
    rows = list(status.get("absent") or ())
    now = float(status.get("started_at", 0)) + float(status.get("up_s", 0))
    told = [
        f"{plain_name(row.get('name') or str(row.get('peer', ''))[:8], 16)} "
        + ("has published nothing yet" if row.get("since") is None else f"for {span(now - float(row['since']))}")
        for row in rows[:ABSENT]
    ]
    more = f" and {len(rows) - ABSENT} more" if len(rows) > ABSENT else ""
    return [f"absent: {', '.join(told)}{more}"] if told else []


def concerns(status: Mapping[str, Any], width: int) -> list[str]:
    """Lines of at most `width`; none if all is well."""
    said = [plain(text) for text in list(status.get("refusals") or ())[-SHOWN:]]
    policy = status.get("policy") or {}
    missing = [plain(name, 24) for name in policy.get("pins_missing", ())]
    if missing:
        said.append(
            f"the policy names {many(len(missing), 'file')} that this peer lacks to check others: "
            f"{', '.join(missing)}; bring what you have with: gossip policy pin FILE"
        )
    if policy.get("lacks_engine"):
        said.append(
            "adblock is not installed: this peer cannot check others' labels with the policy's lists; install it with: "
            "pip install 'gossip-swarm[lists]'"
        )
    cut = status.get("cut") or {}
    if cut.get("links"):
        ended = f"{many(int(cut['links']), 'link')} ended by what the far end sent"
        said.append(f"{ended}; the last: {plain(cut.get('last', ''), 120)}")
    for one in list(status.get("wanted_out") or ())[:SHOWN]:
        by = ", ".join(plain_name(name, 16) for name in list(one.get("by") or ())[:3])
        since, peer = int(one.get("since", 0)), plain(one.get("peer", ""))[:12]
        said.append(
            f"{by} wants {plain_name(one.get('name', ''), 16)} out from entry {since} on, and your word is missing; "
            f"to agree: gossip members revoke {peer} --since {since}"
        )
    said += troubles(status)
    said += _absent(status)
    if status.get("turned_away"):
        said.append(plain(status["turned_away"], 200))
    if status.get("revoked_from") is not None:
        said.append(
            f"the swarm's admins have revoked this peer: nothing of its log counts from entry "
            f"{int(status['revoked_from'])} on"
        )
    return [line for text in said for line in textwrap.wrap(f"! {text}", width, subsequent_indent="  ")[:LINES]]
