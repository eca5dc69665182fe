"""Values into lines and tables for people, or into JSON for programs: the same facts in both.

Rules kept here: one JSON document on stdout and nothing else there; nothing is printed as markup, so
that no text from a peer can act as it; errors are one line on stderr. What the values mean is none
of this file's business.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.plain import visible

if TYPE_CHECKING:
    from rich.console import Console

NONE: Final = "–"  # shown where there is no figure yet; never a zero that was not measured


def console(**options: Any) -> Console:
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, **options)


def say(text: str = "") -> None:
    """One line for people on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()  # piped readers see progress as it happens


def wrapped(text: str) -> None:
    """The same, broken between words where a terminal would break in one; a pipe gets the line whole."""
    for line in _lines(text) if sys.stdout.isatty() else [text]:
        say(line)


def _lines(text: str) -> list[str]:
    import shutil
    import textwrap

    width = min(100, shutil.get_terminal_size().columns)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def complain(text: object) -> None:
    """One line for people on stderr."""
    said = f"gossip: {visible(text)}"  # not by rich: "[data.rows]" is no tag here
    sys.stderr.write("\n".join(_lines(said) if sys.stderr.isatty() else [said]) + "\n")
    sys.stderr.flush()


def document(value: Mapping[str, Any]) -> None:
    """The one JSON document of a command. ASCII only: control characters of peers stay escaped."""
    say(json.dumps(value, indent=2, ensure_ascii=True))


def event(value: Mapping[str, Any]) -> None:
    """One JSON object on one line: the stream of `run --json`."""
    say(json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Container[int] = ()) -> None:
    """Columns without boxes; column numbers in `right` hold figures. In a narrow terminal only the last column is cut,
    and only if it holds words; piped, nothing is."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    grid = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    cells = [[Text(cell) for cell in row] for row in rows]
    room = out.width  # for the last column; rich itself would take from all of them, down to nothing
    for number, title in enumerate(head):
        justify: Any = "right" if number in right else "left"
        if number in right or number < len(head) - 1:
            widest = max([len(title), *(row[number].cell_len for row in cells)])
            room -= widest + 2
            grid.add_column(title, justify=justify, no_wrap=True, min_width=widest)
        else:
            grid.add_column(title, justify=justify, no_wrap=True, max_width=max(8, room) if out.is_terminal else None)
    for row in cells:
        grid.add_row(*row)
    if not out.is_terminal:
        out.width = max(out.width, out.measure(grid, options=out.options.update(width=10_000)).maximum)
    with out.capture() as capture:
        out.print(grid)
    for line in capture.get().splitlines():
        say(line.rstrip())


def score(value: float | None, digits: int = 3) -> str:
    """.958: a share of one, as papers print it."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def leading(scores: Mapping[str, float] | None) -> float | None:
    """The metric that the model's declaration names first; None while there is none."""
    return next(iter((scores or {}).values()), None)


def size(count: float) -> str:
    """At most six characters: 812 B, 1.4 KB, 27 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("KB", "MB", "GB"):
        count /= 1000
        if count < 9.95:
            return f"{count:.1f} {unit}"
        if count < 999.5:
            return f"{count:.0f} {unit}"
    return f"{count / 1000:.0f} TB"


def span(seconds: float) -> str:
    """0:42, 12:05, 3:00:09: time that has passed, never time left."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def moment(unix: int) -> str:
    """A claimed time, in UTC: 2026-01-01 12:00:00Z."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, OSError, ValueError):  # a peer may claim any integer
        return str(unix)


def short(digest: str) -> str:
    """9f3c...e1: enough of a hash to tell four apart at a glance, never enough to compare."""
    return f"{digest[:4]}...{digest[-2:]}" if len(digest) > 6 else digest


def many(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{count:,} {noun}s"
