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
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ledger.errors import GossipError

MAX_REQUEST_BYTES: Final = 128 * 1024  # a time stamp of 64 KiB in base64 and some words
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

    return await asyncio.start_unix_server(connected, sock=_private_socket(path), limit=MAX_REQUEST_BYTES)


def _private_socket(path: Path) -> socket.socket:
    """A socket bound at `path`, its owner's alone, in place of what lay there.

    Without an await in between: the mask is the whole process's, and several nodes may start in one.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(old_mask)
    return bound


async def _reply(reader: asyncio.StreamReader, answer: Answer) -> dict[str, Any]:
    try:
        request = json.loads(await reader.readline())
        command = request["command"]
        return {"ok": True, **await answer(command, request)}
    except GossipError as error:
        return {"ok": False, "error": str(error)}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return {"ok": False, "error": f"not a request: {error}"}
