"""`gossip label CAPTURE --review`: one question after the other on a terminal, one key each.

    3 of 41  metrics.example and all below it
      for instance  https://metrics.example/collect?v=…
      on            https://news.example/, https://shop.example/   (2 sites)
      lists say     nothing: no list blocks it
      model says    tracker .48, ad .03; to block .51, the threshold is .55
      settles       14 requests
    tracker  ad  benign  skip  undo  quit

Answers are kept as they are given, so a review that is left goes on where it stopped: what is judged or skipped is not
asked again. Which question comes first is gossip/advisor/review.py's business. It needs a terminal at both ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from cli import label, render, settings
from cli.keys import keys
from cli.own import own_data
from cli.plain import visible
from cli.quality import files_and_name
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.review import Question
    from gossip.filterlists.judging import Standing

KEYS: Final = {"t": "tracker", "a": "ad", "b": "benign", "s": "skip", "u": "undo", "q": "quit"}
ENDS: Final = ("\x03", "\x04", "")  # Ctrl-C, Ctrl-D, and a terminal that has gone
MAX_SCORED: Final = 200_000  # requests held to be ranked; of a longer capture the first


class Terminal(Protocol):
    """What a review is answered on (cli/keys.py)."""

    def forget(self) -> None: ...

    def read(self) -> str: ...


def start(given: Sequence[str], model: Path | None, directory: Path | None, *, raw: bool, json: bool) -> None:
    """Ask until all is answered, or the person has enough."""
    if not given:
        raise LocalError("which capture?", next_step="say gossip label CAPTURE --review")
    if json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise LocalError(
            "a review needs a terminal", why="it asks, and waits for a key",
            next_step="judge without one: gossip label URL|DOMAIN ad|tracker|benign",
        )  # fmt: skip
    paths, name = files_and_name(list(given))
    place = settings.existing_directory(name, directory)
    asked = ranked(paths, model, place)
    with keys() as terminal:
        Review(place, asked, raw=raw, terminal=terminal).run()


@dataclass(frozen=True, slots=True)
class Asked:
    """What there is to ask, and how it was found."""

    questions: tuple[Question, ...]
    threshold: float
    has_lists: bool


def ranked(paths: Sequence[Path], model: Path | None, place: Path) -> Asked:
    """What is worth asking about captures, but for what is judged or was skipped."""
    from itertools import chain, islice

    from cli.progress import Progress
    from cli.scoring import Captures, known_lists, scored, scorer_of
    from gossip.advisor.review import questions
    from gossip.judgements import judgements_path, read_standing

    standing = read_standing(judgements_path(place))
    scorer = scorer_of(model, None if model is not None else place, None)
    known = known_lists([])
    with Progress() as progress:
        captures = Captures(paths, progress)
        rows = list(islice(chain.from_iterable(scored(scorer, captures, known.engine)), MAX_SCORED))
    found = questions(
        rows, scorer.threshold, decided=lambda url: standing.find(url) is not None, known=_own_domains(place),
        has_lists=known.engine is not None,
    )  # fmt: skip
    left = tuple(one for one in found if not standing.is_skipped(one.target))
    return Asked(left, scorer.threshold, known.engine is not None)


def _own_domains(place: Path) -> frozenset[str]:
    """Domains that own data hold; none if they cannot be read."""
    from gossip.filterlists.requests import scan_requests
    from gossip.filterlists.split import host_of, registrable

    try:
        rows = (row for file in own_data(place).files for row in scan_requests(file))
        return frozenset(registrable(host_of(row.url)) for row in rows if not isinstance(row, LocalError))
    except LocalError:
        return frozenset()


class Review:
    """One sitting."""

    def __init__(self, place: Path, asked: Asked, *, raw: bool, terminal: Terminal) -> None:
        self._place, self._asked, self._raw, self._terminal = place, asked, raw, terminal
        self._answered: list[int] = []  # of this sitting, to go back to

    def run(self) -> None:
        from gossip.judgements import judgements_path, read_standing

        path = judgements_path(self._place)
        before, at, count = read_standing(path), 0, len(self._asked.questions)
        if not count:
            render.say("There is nothing to ask: everything here is judged, or was skipped.")
            return
        while at < count:
            self._terminal.forget()  # what was typed before a question is no answer to it
            self._show(self._asked.questions[at], at)
            word = self._key()
            if word == "quit":
                break
            at = self._undone(at) if word == "undo" else self._answer(at, word)
        after = read_standing(path)
        self._leave(before, after, count - at)

    def _key(self) -> str:
        render.say(f"  {'  '.join(f'[{key}]{word[1:]}' for key, word in KEYS.items())}")
        while True:
            try:
                key = self._terminal.read()
            except (KeyboardInterrupt, EOFError):
                return "quit"
            if key in ENDS:
                return "quit"
            if word := KEYS.get(key.lower()):
                return word

    def _answer(self, at: int, word: str) -> int:
        from gossip.filterlists.judging import Skip, judgement_of
        from gossip.judgements import append

        one, now = self._asked.questions[at], int(time.time())
        seen = one.sample.seen
        if word == "skip":
            append(self._place, Skip(covers=one.target.covers, target=one.target.text, time=now))
        else:
            named = one.target.url if one.target.covers == "url" else one.target.text
            append(self._place, judgement_of(named, word, page=seen.page, kind=seen.type, time=now))
        render.say(f"  {word}")
        self._answered.append(at)
        return at + 1

    def _undone(self, at: int) -> int:
        """Back to the question answered before, if one was in this sitting."""
        from gossip.judgements import undo

        if not self._answered:
            render.say("  nothing was answered in this sitting; gossip label --undo goes further back")
            return at
        undo(self._place, int(time.time()))
        render.say("  undone")
        return self._answered.pop()

    def _leave(self, before: Standing, after: Standing, left: int) -> None:
        render.say()
        render.say(f"stands    {render.many(len(after), 'judgement')}; {render.many(left, 'question')} left")
        if before.judgements != after.judgements:
            told = label.measured(label.effect_of(self._place), before, after) | {"node": label.notify(self._place)}
            label.say_effect(told)

    def _show(self, one: Question, at: int) -> None:
        shown = self._shown
        below = " and all below it" if one.target.covers == "domain" else ""
        render.say()
        render.say(f"{at + 1} of {len(self._asked.questions)}  {shown(one.target.text)}{below}")
        for title, text in (
            ("for instance", f"{shown(one.sample.seen.url)} ({one.sample.seen.type})"),
            ("on", self._pages(one)),
            ("lists say", self._lists(one)),
            ("model says", self._model(one)),
            ("settles", render.many(one.requests, "request") + (", of a domain new here" if one.is_unseen else "")),
        ):
            render.say(f"  {title:13} {text}")

    def _pages(self, one: Question) -> str:
        pages = ", ".join(self._shown(page) for page in one.pages) or "no page that is known"
        return f"{pages} ({render.many(one.sites, 'site')})"

    def _lists(self, one: Question) -> str:
        if not self._asked.has_lists:
            return "not known: no list is remembered (gossip lists add FILE...)"
        listed = f"blocked by {', '.join(visible(name, 40) for name in one.listed_by)}" if one.listed_by else ""
        excepted = f"excepted by {', '.join(visible(name, 40) for name in one.excepted_by)}" if one.excepted_by else ""
        return "; ".join(filter(None, (listed, excepted))) or "nothing: no list blocks it"

    def _model(self, one: Question) -> str:
        figures = ", ".join(
            f"{name} {render.score(p, 2)}" for name, p in (("tracker", one.p_tracker), ("ad", one.p_ad))
        )
        return f"{figures}; to block {render.score(one.p_block, 2)}, from {render.score(self._asked.threshold, 2)} on"

    def _shown(self, url: str) -> str:
        from gossip.filterlists.mask import masked

        return visible(url if self._raw else masked(url))
