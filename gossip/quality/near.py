"""When two requests are nearly the same: one page site, and one URL but for what changes from visit to visit.

    https://px.ads.example/v3/9f8a7c6b5d4e3f2a1b/hit.gif?cb=17&zone=top#x     of a page of news.example
    ->  news.example px.ads.example/v0/*/hit.gif?cb=&zone=

Masked are: runs of digits (0), words of LONG_CHARS letters and digits or more that hold a digit (*), and every value in
the query; scheme and fragment are dropped, and letters lowered. The resource type is not looked at. Such requests teach
a model the same thing again; some are normal, for pages are visited twice. This file refuses to know labels.
"""

from __future__ import annotations

import re
from typing import Final

LONG_CHARS: Final = 16  # session ids and hashes; words that people write are shorter, or hold no digit

_LONG: Final = re.compile(rf"[a-z0-9_]{{{LONG_CHARS},}}")
_DIGITS: Final = re.compile(r"[0-9]+")
_VALUE: Final = re.compile(r"=[^&;]*")


def near_key(site: str, url: str) -> str:
    """What nearly equal requests of pages of one site have in common."""
    rest = url.partition("#")[0].lower()
    rest, mark, query = rest[rest.find("://") + 3 :].partition("?")
    if mark:
        rest += mark + _VALUE.sub("=", query)
    return f"{site} {_DIGITS.sub('0', _LONG.sub(_token, rest))}"


def _token(match: re.Match[str]) -> str:
    return "*" if _DIGITS.search(match[0]) else match[0]
