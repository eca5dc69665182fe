"""Which dials failed lately, for whoever asks why two machines do not meet.

    failed(address) --> kept, the newest first, FAILED_KEPT at most     succeeded(address) --> forgotten

Nothing is decided by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, Final

FAILED_KEPT: Final = 8  # anybody may say by mDNS that a peer is somewhere; false places push out one another
MAX_CHARS: Final = 300


def shown(host: str, port: int) -> str:
    """A place as a person reads it: one by road has no port."""
    return f"{host}:{port}" if port else host


class Dials:
    """`clock` is Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._expected: dict[str, bytes | None] = {}

    def failed(self, host: str, port: int, text: str, key: bytes | None = None) -> None:
        """`key`: of the peer that was expected there, if one was."""
        address = shown(host, port)
        self._expected[address] = key
        tries = self._failed.pop(address, {}).get("tries", 0) + 1
        self._failed[address] = {
            "address": address, "text": text[:MAX_CHARS], "at": round(self._clock(), 1), "tries": tries
        }  # fmt: skip
        if len(self._failed) > FAILED_KEPT:
            gone, _ = self._failed.popitem(last=False)
            del self._expected[gone]

    def succeeded(self, host: str, port: int) -> None:
        self._failed.pop(shown(host, port), None)
        self._expected.pop(shown(host, port), None)

    def rows(self, linked: Collection[bytes] = ()) -> list[dict[str, Any]]:
        """Without those to a peer that is linked now, by another way: their keys."""
        return [row for address, row in reversed(self._failed.items()) if self._expected[address] not in linked]
