"""Lines of a hosts file, as rules.

    0.0.0.0 ads.example      # seen in March   ->   ||ads.example^
    127.0.0.1 localhost                        ->   (none: it names this machine)

Some lists are kept so; the engines' own syntax knows no addresses. A line with several names is left as it is: lists
have one. This file refuses to know all else.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)[ \t]+(\S+)[ \t]*(?:#.*)?")
OWN: Final = frozenset(
    {"localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "0.0.0.0"}  # noqa: S104
)


def as_host(line: str) -> str | None:
    """The name that a line of a hosts file blocks; "" if it is one of such a file that blocks none; None if it is
    something else."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return "" if found[1] in OWN else found[1]


def as_rule(line: str) -> str:
    """The rule that a line of a hosts file stands for; "" if it is none."""
    host = as_host(line) if line[:1] in "01:" else None
    return f"||{host}^" if host else ""
