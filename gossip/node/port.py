"""Which port a node answers at: the one that was asked for, else that of its last run, else any free one.

Others were told the address of the last run (by --address, in tickets, on paper), so it is worth keeping; and it is no
reason to stay down if another program has that port by now.
"""

from __future__ import annotations

from typing import Final, Protocol

from ledger.errors import LinkError
from ledger.store import PutMeta, Store

LAST: Final = "port"  # meta: decimal


class Listener(Protocol):
    async def start(self, host: str, port: int) -> int:
        """The port taken. LinkError if it cannot be had."""
        ...


async def listen(listener: Listener, host: str, asked: int, store: Store) -> int:
    """The port, remembered for the next run. LinkError if one was asked for and cannot be had."""
    port = await _start(listener, host, asked, _last(store))
    if port != _last(store):
        store.commit([PutMeta(LAST, str(port).encode())])
    return port


async def _start(listener: Listener, host: str, asked: int, last: int) -> int:
    if not asked and last:
        try:
            return await listener.start(host, last)
        except LinkError:
            pass
    return await listener.start(host, asked)


def _last(store: Store) -> int:
    text = store.find_meta(LAST) or b""
    return int(text) if text.isdigit() and 0 < int(text) < 1 << 16 else 0
