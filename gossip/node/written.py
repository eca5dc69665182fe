"""Entries that the owner of a running node waits for: with which index they were written, once they are signed for.

    event --post--> machine --Append(seq, blob)--> ... --KeepCheckpoint(size > seq)--> seq

An entry is known by the blob that it carries, which whoever waits has brought; one that says something of a member, by
its kind and that member. It refuses to know what else is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from gossip import events as ev
from ledger.canonical import decode_entry
from ledger.entry import Member, Revoke
from ledger.errors import LocalError

ANSWER_S: Final = 5.0  # an entry and its checkpoint on disk; whoever asked hears of more patience than that


class Written:
    """What somebody waits for, in one node."""

    def __init__(self, post: Callable[[ev.Event], Awaitable[None]]) -> None:
        self._post = post
        self._wanted: dict[str, asyncio.Future[int]] = {}
        self._unsigned: dict[int, str] = {}  # by seq

    async def wait(self, event: ev.Event, blob: bytes, *, what: str) -> int | None:
        """Have the machine write the entry that carries `blob`. None if it has not done so yet: it waits for others.

        LocalError if the same is under way already; `what` names it.
        """
        return await self.wait_for(event, sha256(blob).hexdigest(), what=what)

    async def wait_for(self, event: ev.Event, name: str, *, what: str) -> int | None:
        """Likewise, for the entry of that name: "revoke", or "member", and the peer's id."""
        if name in self._wanted:
            raise LocalError(f"{what} is being added already", next_step="see it with: gossip ledger log")
        self._wanted[name] = asyncio.get_running_loop().create_future()
        try:
            await self._post(event)
            async with asyncio.timeout(ANSWER_S):
                return await self._wanted[name]
        except TimeoutError:
            return None
        finally:
            del self._wanted[name]

    def saw(self, effect: ev.Append | ev.KeepCheckpoint) -> None:
        """The machine has written an own entry, or signed for own entries."""
        match effect:
            case ev.Append(seq, entry, blob):
                if self._wanted:
                    self._unsigned[seq] = _name(entry, blob)
            case ev.KeepCheckpoint(_, size):
                for seq in [seq for seq in self._unsigned if seq < size]:
                    found = self._wanted.get(self._unsigned.pop(seq))
                    if found is not None and not found.done():
                        found.set_result(seq)


def _name(data: bytes, blob: bytes | None) -> str:
    """What an own entry is waited for by."""
    if blob is not None:
        return sha256(blob).hexdigest()
    match decode_entry(data):
        case Member(peer=peer):
            return f"member {peer}"
        case Revoke(peer=peer):
            return f"revoke {peer}"
        case _:
            return ""
