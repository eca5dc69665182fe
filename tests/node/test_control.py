"""The owner's socket into a node."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gossip.transport import control
from ledger.errors import LocalError


async def answer(command: str, request: Mapping[str, Any]) -> dict[str, Any]:
    if command != "status":
        raise LocalError("no such command", next_step="ask for status")
    return {"status": {"asked": dict(request)}}


async def ask(path: Path, line: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    said = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return json.loads(said)


async def test_nodes_of_one_program_open_private_sockets_at_once_and_leave_the_mask_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        paths = [tmp_path / f"{number}.sock" for number in range(8)]
        servers = await asyncio.gather(*(control.serve(path, answer) for path in paths))
        mask = os.umask(0o022)
    finally:
        os.umask(before)
    assert mask == 0o022
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_request_that_makes_no_sense_costs_its_own_connection(tmp_path: Path) -> None:
    server = await control.serve(tmp_path / "c.sock", answer)
    for line in (b"\n", b"{}\n", b"[1]\n", b"\xff\n", b'{"command":"dance"}\n'):
        assert (await ask(tmp_path / "c.sock", line))["ok"] is False
    assert (await ask(tmp_path / "c.sock", b'{"command":"status"}\n'))["ok"] is True
    server.close()
    await server.wait_closed()
