"""Whether libp2p is here, and new enough: asked before it is imported, which costs a second and tens of megabytes.

The one place that knows the words for it: the command line, the node, the doctor and the relay all say these. A base
install imports this.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from gossip.wide.config import FLOOR, INSTALL
from ledger.errors import LocalError


def installed() -> str:
    """The version of libp2p that is there, "" without one. Loads nothing."""
    try:
        return version("libp2p")
    except PackageNotFoundError:
        return ""


def is_recent(number: str) -> bool:
    """Whether that version is one that was measured, or newer."""
    return tuple(int(each) for each in re.findall("[0-9]+", number)[:3]) >= FLOOR


def missing() -> str:
    """Why nobody of another network can be met from this machine; "" if somebody can."""
    number = installed()
    if not number or find_spec("libp2p") is None or find_spec("trio") is None:
        return "libp2p is not installed"
    if not is_recent(number):
        return f"libp2p {number[:20]} is too old, {'.'.join(map(str, FLOOR))} is needed"
    return ""


def require() -> None:
    """LocalError if libp2p cannot be used: before an invitation is spent on it, or anything made."""
    if why := missing():
        raise LocalError("this machine cannot meet peers of other networks yet", why=why, next_step=INSTALL)


def broken(error: BaseException) -> LocalError:
    """What it is that libp2p is installed and cannot be imported: no other try would do better."""
    why = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return LocalError("libp2p does not load", why=why, next_step=INSTALL)
