"""What filter lists say of a request: ad, tracker or benign.

An `Engine` is anything that labels one request. The one here is Brave's, in Rust (PyPI `adblock`, extra `lists`): the
rules of all lists for ads are one set, those of the lists for trackers another, as a browser puts the lists of its
user together, so that an exception in one list holds against a rule in the other.

    ad        a list for ads blocks it on this page
    tracker   else, if a list for trackers blocks it
    benign    else: no list given blocks it, which says nothing more

About 35,000 requests a second; rules that the engine cannot read are left out by it. This file refuses to know where
lists come from and who chose them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from ledger.errors import LocalError

if TYPE_CHECKING:
    import adblock

Label = Literal["benign", "ad", "tracker"]

MAX_LIST_BYTES: Final = 64 << 20  # the largest known have 10 MB; they are held in memory to be compiled
TRUE_HERE: Final = frozenset({"ext_ublock", "env_firefox", "cap_html_filtering", "cap_ipaddress"})  # "!#if" in lists


class Engine(Protocol):
    """Labels requests. `kind` is one of features.TYPES."""

    def label(self, page: str, url: str, kind: str) -> Label: ...


class ListEngine:
    """Made by `engine_of`."""

    def __init__(self, ad: adblock.Engine, tracker: adblock.Engine) -> None:
        self._ad, self._tracker = ad, tracker

    def label(self, page: str, url: str, kind: str) -> Label:
        if self._ad.check_network_urls(url, page, kind).matched:
            return "ad"
        return "tracker" if self._tracker.check_network_urls(url, page, kind).matched else "benign"


def engine_of(lists: Iterable[tuple[str, Path]]) -> ListEngine:
    """Read and compile lists, given as (label, file); a few seconds for the large ones. LocalError if a file cannot be
    read, or if the extra is not installed."""
    given = list(lists)
    ad, tracker = ([path for label, path in given if label == wanted] for wanted in ("ad", "tracker"))
    return ListEngine(_compiled(ad), _compiled(tracker))


def is_installed() -> bool:
    """Whether requests can be labelled here."""
    from importlib.util import find_spec

    return find_spec("adblock") is not None


def _compiled(paths: Iterable[Path]) -> adblock.Engine:
    try:
        import adblock
    except ModuleNotFoundError:
        raise LocalError(
            "requests cannot be labelled here", why="the package adblock is not installed",
            next_step="install the extra named lists: pip install adblock",
        ) from None  # fmt: skip
    rules = adblock.FilterSet()
    for path in paths:
        rules.add_filter_list(preprocessed(_text(path)), format="standard")
    return adblock.Engine(rules, optimize=True)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from error
    if len(data) > MAX_LIST_BYTES:
        raise LocalError(f"{path}: this is no filter list", why=f"it is longer than {MAX_LIST_BYTES >> 20} MiB")
    return data.decode("utf-8", "replace")


def preprocessed(text: str) -> str:
    """A uBlock list with its `!#if NAME` blocks resolved as in a Firefox extension; everybody resolves them alike."""
    kept: list[str] = []
    conditions = [True]
    for line in text.splitlines():
        if line.startswith("!#if "):
            name = line[5:].strip()
            conditions.append((name.removeprefix("!") in TRUE_HERE) is not name.startswith("!"))
        elif line.startswith("!#else"):
            conditions[-1] = not conditions[-1]
        elif line.startswith("!#endif"):
            if len(conditions) > 1:
                conditions.pop()
        elif all(conditions):
            kept.append(line)
    return "\n".join(kept)
