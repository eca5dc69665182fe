"""A capture scored and held as a whole, for commands that look at all of it at once: suggest, flag, triage.

Requests that are the same (page, URL and type) are held once, and at most MAX_ROWS of them, with MAX_CHARS of URLs,
about 300 MB: what comes after that is counted, said, and not looked at. `gossip score` has no such bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import render
from cli.plain import visible
from cli.progress import Progress
from cli.scoring import Captures, Known, known_lists, recalibrated, scored, scorer_of
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.scored import Scored
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.engine import Hit
    from gossip.filterlists.sighting import Sighting

MAX_ROWS: Final = 400_000
MAX_CHARS: Final = 120_000_000  # of URLs and pages: 300 in each row
MAX_NAMES: Final = 3  # of parameters, in text
NO_LISTS: Final = "no lists were asked, so what they block already is proposed again"

Shown = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of all captures together."""

    rows: Sequence[Scored]
    repeats: int  # requests like one that is held
    dropped: int  # beyond MAX_ROWS
    captures: Captures
    scorer: Scorer
    known: Known
    shown: Shown  # what of a URL may be seen

    @property
    def lists(self) -> tuple[str, ...]:
        return tuple(visible(kept.name) for kept in self.known.kept)

    def hits(self, seen: Sighting) -> tuple[Hit, ...]:
        """What the lists say of a request."""
        engine = self.known.engine
        return () if engine is None else engine.hits(seen.page, seen.url, seen.type)

    def facts(self) -> dict[str, Any]:
        """What the answer rests on, for programs."""
        return {
            "model": visible(self.scorer.name),
            "calibrated": self.scorer.calibration.measured,
            "threshold": self.scorer.calibration.threshold,
            "lists": None if self.known.engine is None else list(self.lists),
            "lists_unknown": self.known.why_not,
            "requests": len(self.rows) + self.repeats,
            "distinct": len(self.rows),
            "dropped": self.dropped,
            "bad": self.captures.bad,
        }

    def head(self) -> list[str]:
        """The same for people."""
        calibration = self.scorer.calibration
        sure = "" if calibration.measured else ", uncalibrated: what its scores are worth is not known"
        lists = ", ".join(self.lists) or f"not asked: {self.known.why_not}"
        lines = [
            f"capture    {render.many(len(self.rows) + self.repeats, 'request')}, {len(self.rows):,} different ones",
            f"model      {visible(self.scorer.name, 60)}; to block from {render.score(calibration.threshold)} on{sure}",
            *(f"           {visible(note)}" for note in self.scorer.notes),
            f"lists      {lists}",
        ]
        if self.dropped:
            lines.append(
                f"left out   {render.many(self.dropped, 'request')}: more than are held at once "
                f"({MAX_ROWS:,}, or {MAX_CHARS // 10**6} MB of URLs)"
            )
        if self.captures.bad:
            lines.append(f"bad rows   {self.captures.bad:,}")
        return lines

    def sample(self, row: Scored) -> dict[str, Any]:
        """A request as JSON."""
        seen = row.seen
        return {
            "url": self.url(seen.url), "page": self.url(seen.page), "type": seen.type, "p_block": round(row.p_block, 6),
            "p_ad": round(row.p_ad, 6), "p_tracker": round(row.p_tracker, 6),
        }  # fmt: skip

    def url(self, url: str) -> str:
        return visible(self.shown(url)) if url else ""

    def brief(self, url: str) -> str:
        """The same for people: of many parameters the first names. With --raw all of it."""
        return self.url(url) if self.shown is str else shortened(self.url(url))


def whole(
    paths: Sequence[Path], name: str | None, model: Path | None, directory: Path | None, lists: Sequence[Path],
    calibrate: Path | None, *, raw: bool,
) -> Whole:  # fmt: skip
    """Read, score and ask the lists. LocalError as those do."""
    from gossip.filterlists.mask import masked

    scorer = scorer_of(model, directory, name)
    if calibrate is not None:
        scorer = recalibrated(scorer, calibrate)
    known = known_lists(lists)
    held: dict[tuple[str, str, str], Scored] = {}
    repeats = dropped = chars = 0
    with Progress() as progress:
        captures = Captures(paths, progress)
        for chunk in scored(scorer, captures, known.engine):
            for row in chunk:
                key = (row.seen.page, row.seen.url, row.seen.type)
                if key in held:
                    repeats += 1
                elif len(held) < MAX_ROWS and chars < MAX_CHARS:
                    chars += len(row.seen.page) + len(row.seen.url)
                    held[key] = row
                else:
                    dropped += 1
    return Whole(list(held.values()), repeats, dropped, captures, scorer, known, str if raw else masked)


def shortened(url: str) -> str:
    """A masked URL without most of its parameters, whose values say nothing any more."""
    address, mark, query = url.partition("?")
    pairs = query.split("&")
    if len(pairs) <= MAX_NAMES:
        return url
    return f"{address}{mark}{'&'.join(pairs[:MAX_NAMES])} and {len(pairs) - MAX_NAMES:,} more"


def require_engine() -> None:
    """LocalError if rules cannot be tried here: nothing is proposed that was not."""
    from gossip.filterlists.engine import is_installed

    if not is_installed():
        raise LocalError(
            "rules cannot be tried here", why="the package adblock is not installed",
            next_step="install the extra named lists: pip install adblock",
        )  # fmt: skip


def require_lists(known: Known) -> None:
    """LocalError where there is no list whose rules could be looked at."""
    if known.engine is None:
        raise LocalError(
            "there are no rules to look at", why=known.why_not, next_step="name a list with --list FILE",
        )  # fmt: skip
