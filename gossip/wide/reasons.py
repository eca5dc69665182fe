"""Why a dial failed, in words: libp2p's exceptions are chains of six, and the last of them says it.

Known by the names of their types, so that this needs no libp2p.
"""

from __future__ import annotations

import os
import re

_OTHER = re.compile(r"remote_peer_id_from_pubkey=([1-9A-HJ-NP-Za-km-z]{40,64})\b")

_NO_LIBP2P = ("MultiselectError", "MultiselectClientError", "HandshakeFailure", "NoiseFailure")


def causes(error: BaseException) -> list[BaseException]:
    """It, and what it came of, at most 16; the last is where it began."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found and len(found) < 16:
        found.append(at)
        if isinstance(at, BaseExceptionGroup) and at.exceptions:
            at = at.exceptions[0]
        else:
            at = at.__cause__ or at.__context__
    return found


def other_peer(error: BaseException) -> str | None:
    """The PeerId that answered in place of the one that was dialled."""
    for each in causes(error):
        if type(each).__name__ == "PeerIDMismatchesPubkey" and (match := _OTHER.search(str(each))):
            return match[1]
    return None


def short(peer: str) -> str:
    """A PeerId that people only compare with another: 12D3KooWFy8B...unp5."""
    return f"{peer[:12]}...{peer[-4:]}" if len(peer) > 20 else peer


def reason(error: BaseException) -> str:
    """A clause for people."""
    chain = causes(error)
    if any(type(each).__name__ in _NO_LIBP2P for each in chain):
        return "what answers there does not speak libp2p with Noise and Yamux"
    for each in reversed(chain):
        if isinstance(each, OSError) and each.errno:
            return os.strerror(each.errno).lower()
        if type(each).__name__ in ("TooSlowError", "Cancelled"):
            return "no answer"
        if "resolve" in str(each).lower() or "IP address not found" in str(each):
            return "its name is not known to the DNS"
        if str(each) == "not admitted":
            return "it is none of our members"
    return f"libp2p failed ({type(error).__name__})"
