"""One key of a terminal at a time, without the return key.

What was typed before a question was shown is no answer to it, and is thrown away (`forget`). A key that sends several
characters (an arrow sends "ESC [ A") is one key, whose name is all of them: its last character means nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

KEY_BYTES = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """An open terminal. Made by `keys`."""

    descriptor: int

    def forget(self) -> None:
        """Whatever was typed up to now."""
        if os.name == "posix":
            import termios

            termios.tcflush(self.descriptor, termios.TCIFLUSH)

    def read(self) -> str:
        """The next key; "" once the terminal has gone. KeyboardInterrupt as ever."""
        if os.name != "posix":
            import click

            return click.getchar()
        try:
            return os.read(self.descriptor, KEY_BYTES).decode(errors="replace")
        except OSError:
            return ""


@contextmanager
def keys() -> Iterator[Keys]:
    """The terminal at stdin, which gives each key at once and echoes none, until this ends."""
    descriptor = sys.stdin.fileno()
    if os.name != "posix":
        yield Keys(descriptor)
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
