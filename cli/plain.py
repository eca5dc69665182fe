"""Text from other peers, made harmless before it reaches a terminal.

A peer chooses its own name, and a name may carry anything: escape sequences that repaint the screen
or set the clipboard, markup that rich would obey, marks that reverse the reading direction, hide
characters or pile up on one. Here all of that is taken out. What is left is for reading only; decisions use ids.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_CHARS: Final = 2_000  # of a text with markup to take out, which takes the square of its length; no line is so long
MAX_MARKS: Final = 4  # on one letter, as Vietnamese, Hebrew and Thai need; sixty would cover the lines above
MAX_NAME: Final = 24  # characters shown of a name: a column of the live view
NO_NAME: Final = "(no name)"

# ESC [ ... final, ESC ] ... BEL or ESC \, the other two-byte forms, and the same with the one-byte C1 introducers.
_ESCAPES: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_MARKUP: Final = re.compile(r"\\*\[[a-zA-Z#/@][^\[\]]*\]|\\+(?=\[)")  # what rich takes for a tag, or for an escaped one
_MARKS: Final = frozenset({"Mn", "Me"})  # drawn over or around the letter before them
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # control, format (bidi, zero width), private


def visible(text: object, limit: int | None = None) -> str:
    """One line of visible characters: no control characters, no escape sequences. Square brackets stay: for what is
    never read as markup, `render.say`, tables and pages."""
    kept = _ESCAPES.sub("", str(text))
    kept = "".join(" " if c in "\t\r\n" else c for c in kept if c in "\t\r\n" or unicodedata.category(c) not in _UNSEEN)
    return _cut(" ".join(_unpiled(kept).split()), limit)


def cell(text: str) -> str:
    """Text that a spreadsheet takes for text: one that begins like a formula is quoted."""
    text = visible(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _unpiled(text: str) -> str:
    """At most MAX_MARKS on one letter."""
    if text.isascii():
        return text
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def plain(text: object, limit: int | None = None) -> str:
    """One line of visible characters, without rich markup."""
    kept, before = visible(text)[: MAX_CHARS + 1], ""
    while before != kept:  # taking one tag out may close up another: [re[b]d]
        before, kept = kept, _MARKUP.sub("", kept)
    kept = " ".join(kept.split())
    return _cut(kept, MAX_CHARS if limit is None else limit)


def name(text: object, limit: int = MAX_NAME) -> str:
    """A peer's name for one column."""
    return plain(text, limit) or NO_NAME
