"""JSON of any length in memory of a fixed size: only the texts that are asked for are ever made.

    skim = Skimmer(file)
    for key in skim.members():          {"log": {"entries": [ ... ]}}
        if key == "log": ...            each value is taken by exactly one call of members, items, text or skip
        else: skim.skip()

Own code, because the library for this (ijson, with yajl) hands over every text whole: a body of 100 MB becomes a text
of 100 MB before anybody can say that it is not wanted. Here a value that nobody asks for is passed over where it
lies, a piece of PIECE_BYTES at a time; it is looked at for quotes and brackets only, and not checked otherwise. Data
cannot make it recurse: how deep a value is nested costs a byte a level, up to MAX_DEPTH.

`Broken` where the text cannot be JSON, or ends too early. What the file itself raises passes through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final

import msgspec

from gossip.filterlists.requests import BOM

PIECE_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 10_000  # a browser's nested call stacks have some hundreds
MAX_KEY_BYTES: Final = 256  # a longer one is none of those that anybody asks for

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_INSIDE: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)  # of a text, to its end or that of the piece
_TEXTS: Final = rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+'  # and what stands between them
_FLAT: Final = re.compile(  # to the next bracket, past texts and innermost objects (headers) that end within the piece
    rb"%b(?:\{%b\}%b)*+" % (_TEXTS, _TEXTS, _TEXTS), re.DOTALL
)
_KEY: Final = re.compile(rb'[ \t\r\n]*+(,?)[ \t\r\n]*+"([^"\\]{0,64})"[ \t\r\n]*+:')  # nearly all of them, at once
_SHORT: Final = re.compile(rb'[ \t\r\n]*+(?:"[^"\\]{0,256}"|[-+.0-9A-Za-z]{1,64})(?=[ \t\r\n,\]}])')  # and values
_BARE: Final = re.compile(rb"[-+.0-9A-Za-z]*+")
_OPEN: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_QUOTE, _COMMA, _COLON, _NOTHING = ord('"'), ord(","), ord(":"), -1
_TEXT: Final = msgspec.json.Decoder(str)


class Broken(ValueError):
    """This is no JSON, or not all of it."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """In place of a text: what is wrong with it, to be read after "it"."""

    why: str


class Skimmer:
    """A file, read once from its start to its end."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._piece, self._at, self._before = b"", 0, 0
        self._more()
        if self._piece.startswith(BOM):
            self._at = len(BOM)

    @property
    def position(self) -> int:
        """Bytes behind."""
        return self._before + self._at

    def members(self) -> Iterator[str]:
        """The keys of an object; the caller takes each value before it asks for the next. None of what is no object."""
        if self._peek() != ord("{"):
            self.skip()
            return
        begun = self.position
        while (key := self._next_key(begun)) is not None:
            yield key

    def items(self) -> Iterator[None]:
        """Once for each value of an array, which the caller takes. Never for what is no array."""
        if self._peek() != ord("["):
            self.skip()
            return
        yield from self._parts(ord("]"))

    def text(self, limit: int) -> str | Unusable:
        """A text of at most `limit` bytes as it stands in the file."""
        if self._peek() != _QUOTE:
            self.skip()
            return Unusable("is no text")
        kept: bytearray | None = bytearray()
        self._at += 1
        while True:
            end = self._end_of_text()
            if kept is not None:
                kept += self._piece[self._at : end]
                if len(kept) > limit:
                    kept = None
            self._at = end
            if end < len(self._piece) and self._piece[end] == _QUOTE:
                break
            self._need_more()
        self._at += 1
        if kept is None:
            return Unusable(f"is longer than {limit // 1024} KiB" if limit >= 1024 else f"is longer than {limit} bytes")
        try:
            return _TEXT.decode(b'"%b"' % bytes(kept))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Unusable("is no text in UTF-8")

    def skip(self) -> None:
        """Pass over a value, whatever it is."""
        if short := _SHORT.match(self._piece, self._at):
            self._at = short.end()
            return
        first = self._peek()
        if first in _OPEN:
            self._skip_nested()
        elif first == _QUOTE:
            self._at += 1
            self._skip_text()
        else:
            begin = self.position
            while (end := _end(_BARE, self._piece, self._at)) == len(self._piece):
                self._at = end
                if not self._more():
                    break
            self._at = max(end, self._at)
            if self.position == begin:
                raise Broken("a value is missing")

    def finish(self) -> None:
        """Nothing but space may follow."""
        if self._look() != _NOTHING:
            raise Broken("something follows after its end")

    # ------------------------------------------------------------------ below values

    def _next_key(self, begun: int) -> str | None:
        """The next name in the object whose bracket stands at `begun`; None behind the last."""
        is_first = self.position == begun
        self._at += is_first
        found = _KEY.match(self._piece, self._at)
        if found and bool(found[1]) is not is_first:
            self._at = found.end()
            return found[2].decode("utf-8", "replace")
        following = self._peek()
        if following == ord("}"):
            self._at += 1
            return None
        if not is_first:
            self._take(_COMMA, "a comma or a bracket is missing")
        if self._peek() != _QUOTE:
            raise Broken("a name is missing")
        key = self.text(MAX_KEY_BYTES)
        self._take(_COLON, "a colon is missing")
        return key if isinstance(key, str) else ""

    def _parts(self, closing: int) -> Iterator[None]:
        """Once for each part between commas, up to and with the closing bracket."""
        self._at += 1
        if self._peek() == closing:
            self._at += 1
            return
        while True:
            yield
            following = self._peek()
            self._at += 1
            if following == closing:
                return
            if following != _COMMA:
                raise Broken("a comma or a bracket is missing")

    def _skip_nested(self) -> None:
        closings = bytearray((_OPEN[self._piece[self._at]],))
        self._at += 1
        while True:
            self._at = _end(_FLAT, self._piece, self._at)
            if self._at == len(self._piece):
                self._need_more()
                continue
            byte = self._piece[self._at]
            self._at += 1
            if byte == _QUOTE:  # of a text that goes on in the next piece
                self._skip_text()
            elif closing := _OPEN.get(byte):
                closings.append(closing)
                if len(closings) > MAX_DEPTH:
                    raise Broken(f"brackets are nested more than {MAX_DEPTH:,} deep")
            elif closings.pop() != byte:
                raise Broken("a bracket closes another one than was opened")
            elif not closings:
                return

    def _skip_text(self) -> None:
        """To behind the closing quote of a text, from within it."""
        while (end := self._end_of_text()) >= len(self._piece) or self._piece[end] != _QUOTE:
            self._at = end
            self._need_more()
        self._at = end + 1

    def _end_of_text(self) -> int:
        """Where the text ends that we are in, or the piece does, or a "\\" that nothing of the piece follows."""
        return _end(_INSIDE, self._piece, self._at)

    def _take(self, byte: int, missing: str) -> None:
        if self._peek() != byte:
            raise Broken(missing)
        self._at += 1

    def _peek(self) -> int:
        """The next byte that is no space."""
        found = self._look()
        if found == _NOTHING:
            raise Broken("it ends in the middle")
        return found

    def _look(self) -> int:
        while True:
            self._at = _end(_SPACE, self._piece, self._at)
            if self._at < len(self._piece):
                return self._piece[self._at]
            if not self._more():
                return _NOTHING

    def _need_more(self) -> None:
        if not self._more():
            raise Broken("it ends in the middle")

    def _more(self) -> bool:
        """Drop what lies behind and read on."""
        fresh = self._file.read1(PIECE_BYTES)  # not read: of a gzip that was cut it would lose what came before
        self._before += self._at
        self._piece, self._at = self._piece[self._at :] + fresh, 0
        return bool(fresh)


def _end(pattern: re.Pattern[bytes], piece: bytes, at: int) -> int:
    found = pattern.match(piece, at)
    assert found is not None  # all of them match nothing at all, too
    return found.end()
