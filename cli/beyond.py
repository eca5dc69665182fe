"""What a peer has to do with other networks, for the live view and `gossip status`: a calm line, and what is wrong.

    other networks: through 1 of 2 relays, 1 of 1 bootstrap; 3 members there
    2 of 3 links over libp2p: no data channel could be made
    ! relay 203.0.113.7:4001: it is full; another try follows                  only while something is

Nothing at all of a peer that knows only its own network. It decides nothing, and what relays and bootstraps say of
themselves is cleaned here like any stranger's text.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from cli.plain import plain
from cli.render import many
from cli.wide import not_there

SHOWN: Final = 2  # relays that are wrong, and bootstraps
OVER: Final = "libp2p"  # the backend of a link that is a stream


def beyond(own: Mapping[str, Any], width: int) -> list[str]:
    """Lines of at most `width`; none where nothing goes beyond this network."""
    said = [_reach(own["wide"])] if own.get("wide") else []
    links = list(own.get("links") or ())
    streams = sum(link.get("backend") == OVER for link in links)
    if streams:
        near = str(own.get("address") or "").startswith("127.")
        why = " (on loopback: add --interface IF)" if near else ""
        said.append(f"{streams} of {many(len(links), 'link')} over libp2p: no data channel could be made{why}")
    return [line for text in said if text for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def _reach(wide: Mapping[str, Any]) -> str:
    """In a line; "" where a trouble says it."""
    match wide.get("state"):
        case "off":
            return ""
        case "starting":
            return "other networks: starting libp2p"
        case "alone":
            return "other networks: alone, for no relay or bootstrap answers; it goes on trying"
    relays, nodes = list(wide.get("relays") or ()), list(wide.get("bootstrap") or ())
    held, there = (sum(bool(one.get(is_well)) for one in rows) for rows, is_well in (
        (relays, "reserved"), (nodes, "connected")
    ))  # fmt: skip
    ways = [f"{held} of {many(len(relays), 'relay')}"] if relays else []
    ways += [f"{there} of {many(len(nodes), 'bootstrap')}"] if nodes else []
    return f"other networks: through {', '.join(ways)}; {many(int(wide.get('connected') or 0), 'member')} there"


def troubles(own: Mapping[str, Any]) -> list[str]:
    """What is wrong out there, each in a line that is not wrapped yet."""
    wide = own.get("wide") or {}
    if wide.get("state") == "off":
        return [f"other networks are out of reach: {plain(wide.get('text', ''), 200)}"]
    if wide.get("state") not in ("ready", "alone"):  # what has not been tried yet is no trouble
        return []
    wrong = not_there(wide)
    relays = [text for text in wrong if text.startswith("relay")]  # some of them bootstraps, too
    return relays[:SHOWN] + [text for text in wrong if text not in relays][:SHOWN]
