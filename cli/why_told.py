"""What `gossip why` found, in lines and as JSON: the same facts in both, and nothing of a URL that is masked elsewhere.

What stands in it is cli/why.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cli import render
from cli.plain import plain, visible

if TYPE_CHECKING:
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.engine import Hit
    from gossip.filterlists.sighting import Sighting
    from gossip.training.attribution import Run

TOP: Final = 12  # runs that are told one by one
HIDDEN: Final = "…"
FENCES: Final = "/.?&=:_-"  # between words; other signs may be part of a secret
WORD: Final = re.compile(r"[a-z0-9\x80-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Author:
    """What a peer's updates add to the push, and what the score would be without them."""

    peer: str  # "" for the start, "alone" for own data alone
    name: str
    updates: int
    push: float
    p_block: float | None


@dataclass(frozen=True, slots=True)
class Why:
    """What the command found. Pushes are of logit(`toward`) - logit(benign)."""

    row: Sighting
    scorer: Scorer
    p: tuple[float, float, float]
    toward: str
    push: float
    runs: Sequence[Run]
    of: Sequence[float]  # the push of each run
    hits: Sequence[Hit]
    lists: str  # why none was asked; "" if some were
    authors: Sequence[Author] = ()
    licences: Sequence[tuple[str, float]] = ()
    words: frozenset[str] | None = None  # that may be shown; None: all


def shown(found: Why, run: Run) -> str:
    """A run as it may be printed: words that the masked URL does not show are hidden."""
    if not run.text:
        kinds = {"type and party": _kind(found.row), "type": found.row.type}
        return kinds.get(run.where, run.where)
    words = WORD.findall(run.text)
    if found.words is None or all(word in found.words for word in words):
        return visible(run.text, 80)
    return run.text[: len(run.text) - len(run.text.lstrip(FENCES))] + HIDDEN


def _kind(row: Sighting) -> str:
    if not row.page:
        return f"{row.type}, party not known"
    return f"{row.type}, {'third' if row.party else 'first'} party"


def url_of(found: Why) -> str:
    from gossip.filterlists.mask import masked

    return found.row.url if found.words is None else masked(found.row.url)


def facts(found: Why) -> dict[str, Any]:
    p_ad, p_tracker, p_block = found.p
    runs = zip(found.runs, found.of, strict=True)
    return {
        "url": url_of(found), "type": found.row.type, "third_party": found.row.party, "model": found.scorer.name,
        "p_ad": p_ad, "p_tracker": p_tracker, "p_block": p_block, "threshold": found.scorer.threshold,
        "measured": found.scorer.calibration.measured, "block": p_block >= found.scorer.threshold,
        "toward": found.toward, "push": found.push,
        "runs": [{"where": run.where, "text": shown(found, run), "push": push} for run, push in runs],
        "peers": [
            {"peer": one.peer, "name": one.name, "updates": one.updates, "push": one.push,
             "p_block_without": one.p_block}
            for one in found.authors
        ],
        "licences": [{"licence": licence, "push": push} for licence, push in found.licences],
        "lists": [
            {"list": hit.list, "rule": hit.rule, "exception": hit.exception, "blocks": hit.blocks} for hit in found.hits
        ],
        "lists_not_asked": found.lists,
    }  # fmt: skip


def show(found: Why) -> None:
    p_ad, p_tracker, p_block = found.p
    scorer = found.scorer
    render.say(f"{visible(url_of(found), 200)}   {_kind(found.row)}")
    if not found.row.page:
        render.say("(--page is missing: whether it leaves its site is not known, and is part of the score)")
    measured = "" if scorer.calibration.measured else ", which is not measured"
    verdict = "to be blocked" if p_block >= scorer.threshold else "not to be blocked"
    shares = (("ad", p_ad), ("tracker", p_tracker), ("block", p_block))
    render.say("   ".join(f"P({name}) {render.score(share)}" for name, share in shares))
    render.say(f"{verdict}: the threshold is {render.score(scorer.threshold)}{measured} ({visible(scorer.name, 60)})")
    for line in _said_by_lists(found):
        render.say(line)
    render.say()
    _show_runs(found)
    if found.authors:
        render.say()
        _show_authors(found)


def _said_by_lists(found: Why) -> Iterable[str]:
    if found.lists:
        yield f"lists: {found.lists}"
        return
    if not found.hits:
        yield "lists: none of yours has a rule for it"
    for hit in found.hits:
        how = f"blocked by {plain(hit.rule, 100)}" if hit.blocks else f"excepted by {plain(hit.exception, 100)}"
        yield f"{plain(hit.list, 40)}: {how}"


def _show_runs(found: Why) -> None:
    from cli.lineage import bar

    told = sorted(zip(found.runs, found.of, strict=True), key=lambda pair: -abs(pair[1]))
    first, rest = told[:TOP], told[TOP:]
    high = max([abs(push) for _, push in told], default=1.0) or 1.0
    rows = [(shown(found, run), run.where, _signed(push), bar(abs(push) / high)) for run, push in first]
    if rest:
        left = sum(push for _, push in rest)
        rows.append((f"{render.many(len(rest), 'other')}", "", _signed(left), bar(min(1.0, abs(left) / high))))
    rows.append(("together", "", _signed(found.push), ""))
    render.table((f"towards {found.toward}, against benign", "", "log-odds", ""), rows, right=(2,))


def _show_authors(found: Why) -> None:
    from cli.lineage import ADDS_UP, NOT_NAMED

    rows = [
        (one.name or NOT_NAMED, one.peer[:8] if one.peer != "alone" else "", f"{one.updates:,}" if one.updates else "",
         _signed(one.push), render.score(one.p_block))
        for one in found.authors
    ]  # fmt: skip
    rows.append(("together", "", "", _signed(found.push), render.score(found.p[2])))
    render.table(("whose work", "", "updates", "log-odds", "P(block) without it"), rows, right=(2, 3, 4))
    render.say("Without it: less what was published, not what the others would have learned alone.")
    if found.licences:
        render.say()
        render.table(
            ("licence, as claimed", "log-odds"),
            [(plain(licence, 40) or NOT_NAMED, _signed(push)) for licence, push in found.licences], right=(1,),
        )  # fmt: skip
        render.say(f"({ADDS_UP.replace('100%', 'the whole')})")


def _signed(push: float) -> str:
    return f"{push:+.2f}"
