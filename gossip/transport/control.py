"""The owner's door into a running node: a socket in its directory, one JSON line in, one JSON line out.

    {"command": "status"}   ->   {"ok": true, "status": {...}}
    {"command": "dance"}    ->   {"ok": false, "error": "..."}

Only this user can open it (mode 0600 in a 0700 directory). Lines are bounded, and one request that
makes no sense costs its own connection, never the node.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ledger.errors import GossipError

MAX_REQUEST_BYTES: Final = 16 * 1024
REQUEST_TIMEOUT_S: Final = 10.0

Answer = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]


async def serve(path: Path, answer: Answer) -> asyncio.Server:
    """Listen at `path` until the returned server is closed. The caller holds the directory's lock,
    so a socket that already lies there is a leftover of kill -9."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                writer.write(json.dumps(await _reply(reader, answer)).encode() + b"\n")
                await writer.drain()
        writer.close()

    with _fresh_private(path):
        return await asyncio.start_unix_server(connected, path, limit=MAX_REQUEST_BYTES)


@contextmanager
def _fresh_private(path: Path) -> Iterator[None]:
    """What is made at `path` meanwhile replaces what lay there and is its owner's alone."""
    path.unlink(missing_ok=True)
    old_mask = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(old_mask)


async def _reply(reader: asyncio.StreamReader, answer: Answer) -> dict[str, Any]:
    try:
        request = json.loads(await reader.readline())
        command = request["command"]
        return {"ok": True, **await answer(command, request)}
    except GossipError as error:
        return {"ok": False, "error": str(error)}
    except (ValueError, KeyError, TypeError) as error:
        return {"ok": False, "error": f"not a request: {error}"}
