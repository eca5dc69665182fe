"""What every page has: its head, its style, a box that says what it comes to, a row of figures.

Rules kept here: style and script stand in the page and their hashes in its policy, which forbids everything else; the
page names no address outside itself. It refuses to know what a page is about: what it is given is markup already.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from ledger.errors import LocalError

_ICONS: Final = {
    "clean": '<path d="M12 21l7 7 13-15" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round"/>',
    "findings": '<path d="M13 13l14 14m0-14L13 27" fill="none" stroke="currentColor" stroke-width="4" '
    'stroke-linecap="round"/>',
    "inconclusive": '<path d="M14 15a6 6 0 1 1 8 6c-2 1-2 2-2 4" fill="none" stroke="currentColor" stroke-width="3.5" '
    'stroke-linecap="round"/><circle cx="20" cy="30" r="2.4" fill="currentColor"/>',
    "warnings": '<path d="M20 11v12" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round"/>'
    '<circle cx="20" cy="29.5" r="2.4" fill="currentColor"/>',
}
_KINDS: Final = {"warnings": "inconclusive"}  # the same colours


def document(title: str, body: str, footer: str, script: str = "") -> str:
    """The page, whole."""
    style = files("cli.page").joinpath("style.css").read_text(encoding="utf-8")
    scripts = _hash(script) if script else "none"
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{scripts}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    ending = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main><h1>{title}</h1>{body}"
        f"<footer>{footer}</footer></main>\n{ending}</body>\n</html>\n"
    )


def write(page: str, path: Path) -> None:
    """LocalError if that cannot be done."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise LocalError(
            f"cannot write {path}", why=error.strerror or "", next_step="name another file with --html"
        ) from None


def verdict_box(kind: str, says: str, why: str) -> str:
    """`kind`: clean, findings, inconclusive or warnings."""
    ring = '<circle cx="20" cy="20" r="18" fill="none" stroke="currentColor" stroke-width="3"/>'
    icon = f'<svg viewBox="0 0 40 40" aria-hidden="true">{ring}{_ICONS[kind]}</svg>'
    colours = _KINDS.get(kind, kind)
    return f'<section class="verdict {colours}">{icon}<div><strong>{says}</strong><p>{why}</p></div></section>'


def figures(counts: Iterable[tuple[str, str]]) -> str:
    """(name, value) each."""
    boxes = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in counts)
    return f'<div class="figures">{boxes}</div>'


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(sha256(content.encode()).digest()).decode()
