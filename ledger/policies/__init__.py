"""The policies that come with the program, as files beside this one: a founder takes one and makes it its own.

    filterlist      the default: a swarm of filter-list maintainers, private or public data
    public-lists    stricter: public data only, sources named with licence and version
    open            no rule at all, for tests and for a swarm of one's own machines

They are plain text for people. What a swarm uses is the blob that its genesis names: a new release of the program
with another default changes no swarm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.errors import LocalError

NAMES: Final = ("filterlist", "public-lists", "open")


def shipped(name: str) -> str:
    """The text of one. LocalError if there is none of that name."""
    if name not in NAMES:
        raise LocalError(f"no policy is called {name!r}", next_step="use one of: " + ", ".join(NAMES))
    return (Path(__file__).parent / f"{name}.toml").read_bytes().decode("utf-8")


DEFAULT_POLICY: Final = shipped("filterlist")
