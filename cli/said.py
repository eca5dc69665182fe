"""What a judgement says, in words: one line that names what it is about, the values found and what is allowed.

    condemns ann's data set (entry 4): 40% of the shown records are labelled unlike the pinned lists (allowed: ...)

For lists of entries, for audits and for the page alike. A judge may call a rule whatever it likes: cleaned here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli import render
from cli.plain import visible
from ledger.entry import Judgement, PeerId, Verdict
from ledger.policy_words import say_judged

MAX_SAID: Final = 400  # characters of one judgement
_VERBS: Final = {"refused": "refuses", "quarantined": "has doubts about", "condemned": "condemns"}
_ROWS: Final = {"holdout": "own rows", "canary": "canary rows"}

Names = Mapping[PeerId, str]


def says(verdict: Verdict, names: Names) -> list[str]:
    """All of a verdict: what it refuses first."""
    ordered = sorted(verdict.judgements, key=lambda judgement: judgement.decision == "scored")
    return [spoken(judgement, names) for judgement in ordered]


def spoken(judgement: Judgement, names: Names) -> str:
    """A judgement in words."""
    name = names.get(judgement.peer) or judgement.peer[:8]
    if judgement.decision == "scored":
        return f"measured {render.many(len(judgement.seqs), 'update')} of {name}: {counted(judgement)}"
    what, reasons = say_judged(judgement)
    return visible(f"{_VERBS[judgement.decision]} {name}'s {what}: {reasons}", MAX_SAID)


def counted(judgement: Judgement) -> str:
    """What its judge measured: wrong rows with more of the updates, and without more."""
    told = [
        f"{one.given.fp + one.given.fn:,} of {one.given.examples:,} {_ROWS[one.on]} wrong with more of them, "
        f"{one.without.fp + one.without.fn:,} without"
        for one in judgement.measured
    ]
    return "; ".join(told)
