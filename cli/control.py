"""Asking the node that runs on a directory, over its owner-only socket.

One JSON line goes in, one JSON line comes back:

    {"command":"status"}  ->  {"ok":true,"status":{...}}  or  {"ok":false,"error":"..."}

No node is an answer too (None), because most commands then act on the store instead. This file
starts nothing and knows nothing of what the answers mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import LinkError, LocalError

if TYPE_CHECKING:
    import socket

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024  # everybody of a swarm of 4,096 is 4 MB; a status stays far below
DEFAULT_TIMEOUT_S: Final = 10.0  # a node that compiles on a busy machine answers late


def ask(directory: Path, command: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, **fields: Any) -> dict[str, Any] | None:
    """The node's answer, or None if no node runs there.

    Raises LocalError if the node refuses the command, LinkError if it does not answer in time or in JSON.
    """
    import socket

    from gossip.directory import control_path

    if not hasattr(socket, "AF_UNIX"):
        return None
    line = json.dumps({"command": command, **fields}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(str(control_path(directory)))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise LinkError(f"cannot reach the node on {directory}", why=str(error)) from error
        try:
            link.sendall(line)
            answer = _read_line(link)
        except OSError as error:
            raise LinkError(
                f"the node on {directory} does not answer",
                why=str(error) or type(error).__name__,
                next_step="try again, or end it with: gossip stop",
            ) from error
    try:
        value = json.loads(answer)
    except ValueError as error:
        raise LinkError(f"the node on {directory} ended while answering", next_step="ask again") from error
    if not isinstance(value, dict):
        raise LinkError(f"the node on {directory} answered nonsense", next_step="restart it with: gossip run")
    if not value.get("ok", False):
        raise LocalError(f"the node refuses {command!r}", why=str(value.get("error", "no reason given")))
    return value


def _read_line(link: socket.socket) -> bytes:
    got = bytearray()
    while not got.endswith(b"\n"):
        piece = link.recv(65536)
        if not piece:
            break
        got += piece
        if len(got) > MAX_ANSWER_BYTES:
            raise OSError("answer too long")
    return bytes(got)
