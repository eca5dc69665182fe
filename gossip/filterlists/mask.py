"""What of a URL may be printed: enough to see which request it is, and nothing that lets anybody in.

    https://anna:geheim@shop.example/u/anna%40mail.example/7f3c9a0b5d2e4f61/buy.js?sid=8a7b&lang=de#top
    https://…@shop.example/u/…/…/buy.js?sid=…&lang=…#…

Masked are: user name and password before the host; all values of the query, whose names stay; in the path, in names and
in the host below its registrable domain each word that looks like a token (long hexadecimal, digits, base64, UUID), and
each part of the path with an e-mail address or a value ("name=value"); the fragment; and all of what is no address of
the web ("data:…"). What is masked already stays as it is.

It is a rule of thumb about tokens: a password that is a short plain word in a path looks like any other word. It masks
too much rather than too little; `--raw` is there for who needs all of it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from gossip.filterlists.split import registrable

GONE: Final = "…"
MIN_DIGITS: Final = 7  # numbers as long name somebody or something; 300x250 and 2026 do not
MIN_HEX: Final = 8
MIN_MIXED: Final = 10  # letters among at least MIN_MIXED_DIGITS digits
MIN_MIXED_DIGITS: Final = 3
MIN_CASED: Final = 20  # of both cases, or with a digit
MIN_WORD: Final = 32  # no word of a language
MIN_BASE64: Final = 24  # with "-" and "_", which else end a word

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)//([^/?#\\]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_OPAQUE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+-]*:)(?![0-9]+(/|$))(.*)", re.DOTALL)
_UUID: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+")
_MAIL: Final = re.compile(r"(?<=[^/@\s])@[^/@\s]+\.[^/@\s]")  # tried at each "@" alone: linear, as all of these are
_BASE64: Final = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])[\w+=~-]+")


def masked(url: str) -> str:
    """A URL that may be shown. What has no scheme is taken for a path."""
    if address := _ADDRESS.fullmatch(url):
        scheme, authority, path, query, fragment = address.groups(default="")
        return (
            scheme + "//" + _authority(authority) + _path(path) + _query(query) + ("#" + GONE if fragment[1:] else "")
        )
    if opaque := _OPAQUE.fullmatch(url):
        return opaque[1] + (GONE if opaque[3] else "")
    path, mark, rest = url.partition("?")
    return _path(path.partition("#")[0]) + _query(mark + rest.partition("#")[0])


def _authority(text: str) -> str:
    user, at, host = text.rpartition("@")
    name, port, number = host.partition(":")
    below = max(len(name) - len(_registered(name.lower())), 0)
    return (GONE if user else "") + at + _words(name[:below]) + name[below:] + port + _words(number)


def _registered(name: str) -> str:
    """What somebody registered; under a suffix that no list knows (an intranet's) the last two words."""
    base = registrable(name)
    if base == name and registrable(f"any.{name}") != name and not name.replace(".", "").isdigit():
        return ".".join(name.split(".")[-2:])
    return base


def _path(text: str) -> str:
    return "/".join(map(_part, text.split("/")))


def _part(text: str) -> str:
    plain = unquote(text, errors="replace")
    if _MAIL.search(plain) or (len(plain) >= MIN_BASE64 and _BASE64.fullmatch(plain)):
        return GONE
    name, is_value, value = text.partition("=")
    if plain != text and _words(plain) != plain:
        return GONE  # a token in disguise
    return _words(name) + is_value + (GONE if value else "")


def _query(text: str) -> str:
    return "&".join(_pair(pair) for pair in text[1:].split("&")).join(("?", "")) if text else ""


def _pair(text: str) -> str:
    name, is_value, value = text.partition("=")
    return _part(name) + is_value + (GONE if value else "")


def _words(text: str) -> str:
    return _WORD.sub(lambda word: GONE if _is_token(word[0]) else word[0], _UUID.sub(GONE, text))


def _is_token(word: str) -> bool:
    digits = sum(map(str.isdigit, word))
    size, letters = len(word), len(word) - digits
    if not letters:
        return size >= MIN_DIGITS
    if digits and size >= MIN_HEX and not word.lower().strip("0123456789abcdef"):
        return True
    if digits >= MIN_MIXED_DIGITS and size >= MIN_MIXED:
        return True
    return size >= MIN_WORD or (size >= MIN_CASED and bool(digits or (word.lower() != word and word.upper() != word)))
