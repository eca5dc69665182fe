"""Whether libp2p is here, and new enough: asked before it is imported, which costs a second and tens of megabytes."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from gossip.wide.config import FLOOR, INSTALL
from ledger.errors import LocalError


def broken(error: BaseException) -> LocalError:
    """What it is that libp2p is installed and cannot be imported: no other try would do better."""
    why = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return LocalError("libp2p does not load", why=why, next_step=INSTALL)


def require(installed: str | None = None) -> None:
    """LocalError: py-libp2p is missing, or older than what was measured. `installed`: its version, if it is known."""
    try:
        found = version("libp2p") if installed is None else installed
    except PackageNotFoundError:
        raise LocalError("libp2p is not installed here", next_step=INSTALL) from None
    numbers = tuple(int(each) for each in re.findall(r"\d+", found)[:3])
    if numbers < FLOOR:
        raise LocalError(
            f"libp2p {found} is too old",
            why=f"{'.'.join(map(str, FLOOR))} is the least",
            next_step=INSTALL,
        )
