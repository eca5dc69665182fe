"""A time stamp that the owner brings to a running node, on its way into the own log.

    {"command": "anchor", "size": 14, "token": BASE64}  --Anchored--> machine --Append, KeepCheckpoint--> {"seq": 17}

Whoever brings it has checked it (cli/anchoring.py): the node only holds it against its limits. It answers when the
entry is on disk and signed for, or says that the machine waits for other peers first. It decides nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from gossip import events as ev
from ledger.entry import MAX_TOKEN_BYTES, Hash
from ledger.errors import LocalError

ANSWER_S: Final = 5.0  # an entry and its checkpoint on disk; whoever asked hears of more patience than that


class Anchoring:
    """The time stamps that somebody waits for."""

    def __init__(self, post: Callable[[ev.Event], Awaitable[None]]) -> None:
        self._post = post
        self._wanted: dict[Hash, asyncio.Future[int]] = {}
        self._written: dict[int, Hash] = {}  # by seq: not signed for yet

    async def add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have it written. `seq` is None if the machine has not done so yet."""
        size, token = request.get("size"), _decoded(request.get("token"))
        if not isinstance(size, int) or not 0 < len(token) <= MAX_TOKEN_BYTES:
            raise LocalError("this is no time stamp", next_step="use: gossip ledger anchor add")
        digest = sha256(token).hexdigest()
        if digest in self._wanted:
            raise LocalError("this time stamp is being added already", next_step="see it with: gossip ledger log")
        self._wanted[digest] = asyncio.get_running_loop().create_future()
        try:
            await self._post(ev.Anchored(size, token))
            async with asyncio.timeout(ANSWER_S):
                return {"seq": await self._wanted[digest]}
        except TimeoutError:
            return {"seq": None}
        finally:
            del self._wanted[digest]

    def saw(self, effect: ev.Append | ev.KeepCheckpoint) -> None:
        """The machine has written an own entry, or signed for own entries."""
        match effect:
            case ev.Append(seq, _, blob):
                if self._wanted and blob is not None:
                    self._written[seq] = sha256(blob).hexdigest()
            case ev.KeepCheckpoint(_, size):
                for seq in [seq for seq in self._written if seq < size]:
                    found = self._wanted.get(self._written.pop(seq))
                    if found is not None and not found.done():
                        found.set_result(seq)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""
