"""The audit as one page for people: one file, no request, nothing that a peer wrote acts in it.

    facts.py      what the page shows, as values: counted from what the audit admitted
    drawing.py    values -> SVG
    markup.py     values -> HTML, everything that peers chose escaped (parts.py)
    style.css, script.js    how it looks, and the little that moves; the page is whole without the script

Rule kept here: a Content-Security-Policy in the page forbids everything but this very style and this very script, by
their hashes, so that even a mistake in escaping would run and load nothing.
"""

from __future__ import annotations

from pathlib import Path

from cli.opened import Opened
from ledger.audit import Anchors
from ledger.errors import LocalError

__all__ = ["render_page", "write_page"]


def render_page(opened: Opened, anchors: Anchors) -> str:
    """The page of an audited bundle."""
    from cli.page.facts import gather
    from cli.page.markup import page

    return page(gather(opened, anchors))


def write_page(opened: Opened, anchors: Anchors, path: Path) -> None:
    """Write it. LocalError if that cannot be done."""
    text = render_page(opened, anchors)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalError(
            f"cannot write {path}", why=error.strerror or "", next_step="name another file with --html"
        ) from None
