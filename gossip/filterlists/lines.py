"""The lines of a text file that somebody pasted: numbered, bounded, without a BOM or a carriage return at the end.

A line that is too long comes as its number alone, and what follows of it is skipped; where a file cannot be read any
further, the last thing that comes is the error. `rows_of` makes requests of them, for formats with one a line. It
refuses to know what lines mean.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gossip.filterlists.requests import BOM
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally
from ledger.errors import LocalError

MAX_LINE_BYTES: Final = 128 * 1024  # two URLs of the longest kind, and some words beside them
TOO_LONG: Final = f"it is longer than {MAX_LINE_BYTES // 1024} KiB"


def lines_of(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes | None] | LocalError]:
    """(number from 1, the line without its end), or None for one that is too long."""
    number = 0
    try:
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(BOM)
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                yield number, None
            else:
                yield number, line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error) as error:
        yield LocalError(
            f"{path}: cannot be read after row {number}", why=str(error), next_step="fetch or unpack the file again"
        )


def rows_of(
    path: Path, file: BinaryIO, tally: Tally, read: Callable[[bytes], Sighting | str | None], *, comment: bytes = b""
) -> Iterator[Sighting | LocalError]:
    """What `read` makes of each line: a request, what is wrong with it, or None for none. Passed over are empty lines
    and, if there are such, those that begin with `comment`."""
    for line in lines_of(path, file):
        if isinstance(line, LocalError):
            yield line
            return
        number, text = line
        if text is not None and (not text.strip() or (comment and text.lstrip().startswith(comment))):
            continue
        found = TOO_LONG if text is None else read(text)
        if isinstance(found, str):
            yield tally.fault(path, f"row {number}", found)
        elif found is not None:
            yield found
