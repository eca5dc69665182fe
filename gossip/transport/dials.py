"""Which dials failed lately, for whoever asks why two machines do not meet.

    failed(address) --> kept, the newest first, FAILED_KEPT at most     succeeded(address) --> forgotten

Nothing is decided by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

FAILED_KEPT: Final = 8  # anybody may say by mDNS that a peer is somewhere; false places push out one another
MAX_CHARS: Final = 300


class Dials:
    """`clock` is Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def failed(self, host: str, port: int, text: str) -> None:
        address = f"{host}:{port}"
        tries = self._failed.pop(address, {}).get("tries", 0) + 1
        self._failed[address] = {
            "address": address, "text": text[:MAX_CHARS], "at": round(self._clock(), 1), "tries": tries
        }  # fmt: skip
        if len(self._failed) > FAILED_KEPT:
            self._failed.popitem(last=False)

    def succeeded(self, host: str, port: int) -> None:
        self._failed.pop(f"{host}:{port}", None)

    def rows(self) -> list[dict[str, Any]]:
        return list(reversed(self._failed.values()))
