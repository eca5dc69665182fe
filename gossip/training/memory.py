"""Memory that is free, given back to the system: what a person sees of a peer is what it holds.

glibc keeps freed memory for later by default; reading data and compiling leave tens of megabytes that training
never needs again. Elsewhere than on glibc these do nothing.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # glibc's malloc.h


def return_large_blocks() -> None:
    """From now on give every freed megabyte back at once; by default glibc learns to keep up to 32 MB pieces."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def return_freed() -> None:
    """Give back what is free now: 40 MB of 270 after compiling."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
