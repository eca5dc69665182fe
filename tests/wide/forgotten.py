"""Sockets that py-libp2p leaves to the collector: those of dials that were given up, and of a host that ends.

    forget()        at the end of whatever ran it, or an innocent test that comes later is blamed for them

Several times over: what waits for a finalizer of its own (trio's generators) is let go of one turn later.
"""

from __future__ import annotations

import gc
import warnings
from typing import Final

TURNS: Final = 5


def forget() -> None:
    """Collect all of it, without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(TURNS):
            if not gc.collect():
                return
