"""What filter lists say of a request: which of them block it, by which rule; ad, tracker or benign.

An `Engine` is anything that labels one request, a `RuleEngine` one that also names lists and rules. The ones here are
Brave's, in Rust (PyPI `adblock`, extra `lists`).

    label   ad        a list for ads blocks it on this page
            tracker   else, if a list for trackers blocks it
            benign    else: no list given blocks it, which says nothing more
    hits    Hit("EasyList", "||ads.example^", "")                         blocked
            Hit("EasyList", "||ads.example^", "@@||ads.example/free.js")  would be, but for an exception of its own
            Hit("Unbreak", "", "@@||ads.example/x.js$script")             excepts it from the rules of other lists

For a label, the rules of all lists for ads are one set, those of the lists for trackers another, as a browser puts the
lists of its user together, so that an exception in one list holds against a rule in the other. For hits, every list
stands alone. One rule is named for each, though several may match.

Rules kept here: a request without a page is judged as one from a site that no list knows: `$third-party` holds,
`domain=` does not. A request that the engine cannot read is blocked by nobody. Rules that the engine cannot read are
left out by it (trial.py says which). Measured on 49,099 requests, one core: six lists of 150,000 lines, merged, 85,000
requests a second; each alone, with the names of rules, 28,000; compiled in a second. This file refuses to know where
lists come from and who chose them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from gossip.filterlists.hosts import as_rule
from ledger.errors import LocalError

if TYPE_CHECKING:
    import adblock

Label = Literal["benign", "ad", "tracker"]

MAX_LIST_BYTES: Final = 64 << 20  # the largest known have 10 MB; they are held in memory to be compiled
TRUE_HERE: Final = frozenset({"ext_ublock", "env_firefox", "cap_html_filtering", "cap_ipaddress"})  # "!#if" in lists
NO_PAGE: Final = "https://no-page.invalid/"  # stands for the page of a request that has none
ANYTHING: Final = ("|http", "|ws")  # rules that match every request: the engine asks exceptions only where one does


@dataclass(frozen=True, slots=True)
class Hit:
    """What one list says of a request that it has a rule for. Texts as they stand in the list."""

    list: str
    rule: str  # that matches; "" if this list has none, and only excepts the request from others' rules
    exception: str  # of the same list, that matches as well; "" if none does

    @property
    def blocks(self) -> bool:
        return bool(self.rule) and not self.exception


@dataclass(frozen=True, slots=True)
class ListText:
    """One list, as given to an engine."""

    name: str
    text: str
    kind: Literal["ad", "tracker"] = "ad"


class Engine(Protocol):
    """Labels requests. `kind` is one of features.TYPES."""

    def label(self, page: str, url: str, kind: str) -> Label: ...


class RuleEngine(Engine, Protocol):
    """And says which list has which rule for it; at most one hit of each list, in the order of `names`."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def hits(self, page: str, url: str, kind: str) -> tuple[Hit, ...]: ...


class Lists:
    """A `RuleEngine` on adblock. What a question needs is compiled when it is first asked."""

    def __init__(self, lists: Iterable[ListText]) -> None:
        self._lists = tuple(lists)
        _adblock()  # says now what to install

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._lists)

    def label(self, page: str, url: str, kind: str) -> Label:
        for name, engine in self._merged:
            if engine.check_network_urls(url, page or NO_PAGE, kind).matched:
                return name
        return "benign"

    def hits(self, page: str, url: str, kind: str) -> tuple[Hit, ...]:
        page = page or NO_PAGE
        try:
            found = [engine.check_network_urls(url, page, kind) for engine, _ in self._single]
        except UnicodeEncodeError:  # half a surrogate pair: no browser sends that
            return ()
        if all(result.filter is None for result in found):
            return ()
        hits: list[Hit] = []
        for each, (_, exceptions), result in zip(self._lists, self._single, found, strict=True):
            rule, exception = result.filter or "", result.exception or ""
            if not rule and exceptions is not None:
                exception = exceptions.check_network_urls(url, page, kind).exception or ""
            if rule or exception:
                hits.append(Hit(each.name, rule, exception))
        return tuple(hits)

    @cached_property
    def _merged(self) -> tuple[tuple[Literal["ad", "tracker"], adblock.Engine], ...]:
        wanted: tuple[Literal["ad", "tracker"], ...] = ("ad", "tracker")
        return tuple(
            (kind, _compiled([standard(each.text) for each in self._lists if each.kind == kind])) for kind in wanted
        )

    @cached_property
    def _single(self) -> tuple[tuple[adblock.Engine, adblock.Engine | None], ...]:
        """Of each list an engine that names rules, and one that tries its exceptions whether it blocks or not."""
        made: list[tuple[adblock.Engine, adblock.Engine | None]] = []
        for each in self._lists:
            text = standard(each.text)
            excepting = [line for line in text.splitlines() if line.startswith("@@")]
            tried = named_engine((*ANYTHING, *excepting)) if excepting else None
            made.append((_compiled([text], named=True), tried))
        return tuple(made)


def engine_of(lists: Iterable[tuple[str, Path]]) -> Lists:
    """Read lists, given as (label, file), to label requests; compiled at the first one. LocalError if a file cannot be
    read, or if the extra is not installed."""
    given = list(lists)
    _adblock()
    known: tuple[Literal["ad", "tracker"], ...] = ("ad", "tracker")
    return Lists(ListText(path.name, text_of(path), kind) for label, path in given for kind in known if kind == label)


def is_installed() -> bool:
    """Whether requests can be labelled here."""
    from importlib.util import find_spec

    return find_spec("adblock") is not None


def named_engine(rules: Sequence[str]) -> adblock.Engine:
    """An engine on a few rules that names the one that matches."""
    return _compiled(["\n".join(rules)], named=True)


def _compiled(texts: Iterable[str], *, named: bool = False) -> adblock.Engine:
    """Not optimised where rules are to be named: that joins several into one."""
    engines = _adblock()
    rules = engines.FilterSet(debug=named)
    for text in texts:
        rules.add_filter_list(text, format="standard")
    return cast("adblock.Engine", engines.Engine(rules, optimize=not named))


def _adblock() -> Any:  # a module without types
    try:
        import adblock
    except ModuleNotFoundError:
        raise LocalError(
            "requests cannot be labelled here", why="the package adblock is not installed",
            next_step="install the extra named lists: pip install adblock",
        ) from None  # fmt: skip
    return adblock


def text_of(path: Path) -> str:
    """A list's text. LocalError if it cannot be read, or is longer than MAX_LIST_BYTES."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise LocalError(
            f"{path}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from error
    if len(data) > MAX_LIST_BYTES:
        raise LocalError(f"{path}: this is no filter list", why=f"it is longer than {MAX_LIST_BYTES >> 20} MiB")
    return data.decode("utf-8-sig", "replace")


def standard(text: str) -> str:
    """A list as the engine reads it: conditions resolved, lines of a hosts file as rules."""
    return "\n".join(as_rule(line) or line for _, line in in_force(text))


def preprocessed(text: str) -> str:
    """A uBlock list with its `!#if NAME` blocks resolved as in a Firefox extension; everybody resolves them alike."""
    return "\n".join(line for _, line in in_force(text))


def in_force(text: str) -> Iterator[tuple[int, str]]:
    """The lines that `!#if` leaves, each with its number, from 1."""
    conditions = [True]
    false = 0  # of them: all() at each line would take the square of a list that nests them
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("!#if "):
            name = line[5:].strip()
            conditions.append((name.removeprefix("!") in TRUE_HERE) is not name.startswith("!"))
            false += not conditions[-1]
        elif line.startswith("!#else"):
            conditions[-1] = not conditions[-1]
            false += -1 if conditions[-1] else 1
        elif line.startswith("!#endif"):
            if len(conditions) > 1:
                false -= not conditions.pop()
        elif not false:
            yield number, line
