"""A time stamp that the owner brings to a running node, on its way into the own log.

    {"command": "anchor", "size": 14, "token": BASE64}  --Anchored--> machine --Append, KeepCheckpoint--> {"seq": 17}

Whoever brings it has checked it (cli/anchoring.py): the node only holds it against its limits. It answers when the
entry is on disk and signed for, or says that the machine waits for other peers first. It decides nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from gossip import events as ev
from gossip.node.written import Written
from ledger.entry import MAX_TOKEN_BYTES
from ledger.errors import LocalError


async def anchor(written: Written, request: Mapping[str, Any]) -> dict[str, Any]:
    """Have it written. `seq` is None if the machine has not done so yet."""
    size, token = request.get("size"), _decoded(request.get("token"))
    if not isinstance(size, int) or not 0 < len(token) <= MAX_TOKEN_BYTES:
        raise LocalError("this is no time stamp", next_step="use: gossip ledger anchor add")
    return {"seq": await written.wait(ev.Anchored(size, token), token, what="this time stamp")}


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""
