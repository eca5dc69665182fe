"""What a node that runs says of its own links, and what is to be done about it.

    no node -> skipped      links -> ok      members and no link -> why, by its last dials that failed

Pure: its status is a value. Texts in it may be other peers' own; whoever shows them makes them harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gossip.doctor.finding import Finding, fails, ok, skipped, warns

SHOWN: Final = 4  # of the dials that failed
WIDE: Final = "gossip doctor --wide"
START: Final = "start it with: gossip run, and ask again"


def judge(status: Mapping[str, Any] | None, now: float) -> list[Finding]:
    """Both findings, "node" and "dials"; `status` as docs/status.md has it."""
    if status is None:
        return [skipped("node", "no node runs on this directory", START)]
    links, members = list(status.get("links", ())), int(status.get("members", 0))
    address = str(status.get("address", ""))
    names = ", ".join(str(link.get("name") or link.get("key", ""))[:24] for link in links)
    facts: dict[str, Any] = {
        "address": address,
        "links": len(links),
        "members": members,
        "state": str(status.get("state", "")),
    }
    found = []
    if links:
        found.append(ok("node", f"runs at {address} with {_many(len(links), 'link')}: {names}", **facts))
    elif members > 1:
        text = f"runs at {address}, and has a link to none of the {members - 1} others"
        beyond = status.get("wide") or {}
        how = WIDE if beyond.get("relays") or beyond.get("bootstrap") else "gossip doctor --peer HOST:PORT"
        found.append(fails("node", text, f"see what else fails here; then {how}", **facts))
    elif status.get("turned_away"):
        found.append(fails("node", f"was turned away: {status['turned_away']}", "ask for a new invite", **facts))
    else:
        found.append(warns("node", f"runs at {address}, alone", "let others in with: gossip invite", **facts))
    dials = list(status.get("dials", ()))
    if dials:
        told = "; ".join(
            f"{dial['address']} {max(0, int(now - dial['at']))} s ago: {dial['text']}" for dial in dials[:SHOWN]
        )
        first = str(dials[0]["address"])
        how = "look at the way there: " + (WIDE if first.startswith("/p2p/") else f"gossip doctor --peer {first}")
        text = f"{_many(len(dials), 'address')} could not be dialled: {told}"
        found.append((warns if links else fails)("dials", text, how, dials=dials))
    return found


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"
