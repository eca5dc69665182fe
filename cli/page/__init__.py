"""The audit as one page for people: one file, no request, nothing that a peer wrote acts in it.

    facts.py      what the page shows, as values: counted from what the audit admitted
    drawing.py    values -> SVG
    markup.py     values -> HTML, everything that peers chose escaped (parts.py)
    shell.py      what stands around them, on every page
    quality.py    another page: of a data set, for `gossip data check`
    style.css, script.js    how it looks, and the little that moves; the page is whole without the script

Rule kept here: a Content-Security-Policy in the page forbids everything but this very style and this very script, by
their hashes, so that even a mistake in escaping would run and load nothing.
"""

from __future__ import annotations

from pathlib import Path

from cli.opened import Opened
from ledger.audit import Anchors

__all__ = ["render_page", "write_page"]


def render_page(opened: Opened, anchors: Anchors) -> str:
    """The page of an audited bundle."""
    from cli.page.facts import gather
    from cli.page.markup import page

    return page(gather(opened, anchors))


def write_page(opened: Opened, anchors: Anchors, path: Path) -> None:
    """Write it. LocalError if that cannot be done."""
    from cli.page.shell import write

    write(render_page(opened, anchors), path)
