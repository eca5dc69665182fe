"""`gossip gains`: what the swarm gave me. Alone, swarm, and the swarm's with mine, on my own held-out sites.

    gossip gains                     a table; --json the same facts
    gossip gains --html gains.html   and a page with a plot, and the swarm's way there, snapshot by snapshot

Everything is computed here, from what the peer holds; nothing is sent, and no node need run. What the figures mean, and
how the mix is chosen, stands in gossip/training/personal.py and docs/personal.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import options, render, settings
from cli.plain import visible
from cli.scoring import scorer_of

if TYPE_CHECKING:
    from gossip.training.personal import Figures, Personal

SNAPSHOTS: Final = 12  # folded again for the plot; each costs as long as scoring once
MEANING: Final = (
    "PR-AUC: 1 at best, with 95% of what other sites like these would give; F1 at a threshold chosen on other sites;",
    "found: the most that can be blocked with 99 in 100 right; new: requests to third parties that your own training",
    "rows never saw. The mix was chosen on one half of these sites and judged on the other, both ways.",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the command found."""

    name: str
    found: Personal
    history: Sequence[tuple[int, float]] = ()  # updates folded, PR-AUC of the swarm's model then


def gains(
    name: options.Name = None,
    directory: options.Dir = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with a plot, too.")] = None,
    json: options.Json = False,
) -> None:
    """What the swarm gave you: alone, swarm, and both together, on your own held-out sites."""
    from cli.own import judged, own_data

    settings.check_page(html, [directory])
    place = settings.existing_directory(name, directory)
    swarm = scorer_of(None, place, None, personal=False, files=False)
    _, found = judged(swarm, place)
    history = swarm_history(place, own_data(place)) if html is not None else ()
    told = Told(visible(place.name, 40), found, history)
    if html is not None:
        from cli.page.gains import write_page

        write_page(told, html)
    if json:
        render.document(facts(told))
        return
    show(told)
    if html is not None:
        render.say(f"wrote {html}")


def rows_of(found: Personal) -> list[tuple[str, Figures]]:
    """The models that are compared, in words."""
    gains = found.gains
    alone = [] if gains.alone is None else [("alone", gains.alone)]
    return [*alone, ("swarm", gains.swarm), ("swarm and yours", gains.mine)]


def facts(told: Told) -> dict[str, Any]:
    import msgspec

    return {
        "peer": told.name, "share": told.found.share, **msgspec.to_builtins(told.found.gains),
        "calibration": msgspec.to_builtins(told.found.calibration),
        "history": [{"updates": updates, "pr_auc": area} for updates, area in told.history],
    }  # fmt: skip


def show(told: Told) -> None:
    found, gains = told.found, told.found.gains
    render.say(
        f"your own held-out rows: {gains.rows:,}, {gains.positives:,} of them to be blocked, of "
        f"{render.many(gains.sites, 'site')}; {gains.new_rows:,} ({gains.new_positives:,}) go to new third parties"
    )
    if gains.against == "own list":
        render.say("What your list does not block counts as benign here: all figures are lower than they should be.")
    render.say()
    render.table(
        ("", "PR-AUC", "95%", "F1", "found", "PR-AUC, new"),
        [
            (called, render.score(one.pr_auc), interval(one), render.score(one.f1), f"{one.recall:.0%}",
             render.score(one.new_pr_auc))
            for called, one in rows_of(found)
        ],
        right=range(1, 6),
    )  # fmt: skip
    render.say()
    for line in MEANING:
        render.say(line)
    render.say()
    render.say(mix(found))
    render.say(threshold(found))


def mix(found: Personal) -> str:
    if found.gains.alone is None:
        return "There is no model of your data alone yet: the swarm's is yours."
    if found.share == 1:
        return "The mix would be worse than yours alone: your scorer is your own model."
    return f"Your scorer is {1 - found.share:.0%} the swarm's model and {found.share:.0%} your own."


def threshold(found: Personal) -> str:
    """What is claimed of the threshold, and no more."""
    one = found.calibration
    if not one.measured:
        counted = f"{one.positives:,} rows to be blocked among {one.rows:,}"
        return f"Threshold {render.score(one.threshold)}, not measured: {counted} are too few."
    at = render.score(one.threshold)
    return (
        f"Threshold {at}: {one.precision:.1%} of what reaches it on these rows is to be blocked "
        f"(on such sites at least {one.precision_at_least:.0%}), {one.recall:.0%} of what is to be blocked reaches it."
    )


def interval(one: Figures) -> str:
    if one.low is None or one.high is None:
        return "too few sites"
    return f"{render.score(one.low, 2)} to {render.score(one.high, 2)}"


def swarm_history(place: Path, data: Any) -> list[tuple[int, float]]:
    """PR-AUC of the swarm's model on own held-out rows, at the snapshots that this peer's log holds, evenly picked."""
    import numpy as np

    from cli.opened import ruled
    from gossip.judgements import judgements_path, read_standing
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.own_scorer import ordered
    from gossip.training.calibration import log_odds
    from gossip.training.metrics import average_precision
    from gossip.training.own_rows import read_own_rows
    from gossip.training.scoring import logits_of
    from gossip.training.spec import ModelSpec
    from ledger.bundle import MAX_BLOB_BYTES

    with ruled(str(place)) as read:
        spec, arithmetic = ModelSpec.parse(read.replica.genesis.model), NumpyArithmetic()
        rows = read_own_rows(spec, data.files, data.validation, read_standing(judgements_path(place)))
        if rows is None:
            return []
        theta = arithmetic.start(read.replica.genesis.layout, read.replica.genesis.seed)
        folded: set[tuple[str, int, str, int]] = set()
        found = list[tuple[int, float]]()
        for log, seq in _picked(read):
            terms = set(read.terms(read.replica.past(log, seq + 1)))
            for sign, changed in ((1, terms - folded), (-1, folded - terms)):
                for _, _, digest, weight in changed:
                    blob = read.contents.blob(digest, MAX_BLOB_BYTES)
                    if blob is None:  # nobody keeps it any more
                        return found
                    arithmetic.add(theta, arithmetic.decode(blob, spec.parameters), sign * weight)
            folded = terms
            score = log_odds(ordered(spec, logits_of(spec, arithmetic.to_float32(theta), rows.bags)))[0]
            negative = np.uint8(spec.classes.index("benign"))
            found.append((len(terms), average_precision(score, rows.bags.labels != negative)))
    return found


def _picked(read: Any) -> list[tuple[str, int]]:
    """At most SNAPSHOTS of the log that has most of them: each holds all that the one before held."""
    by_log: dict[str, list[int]] = {}
    for log, size in read.replica.heads().items():
        for seq in range(size):
            if b'"kind":"snapshot"' in read.replica.data(log, seq):
                by_log.setdefault(log, []).append(seq)
    if not by_log:
        return []
    log, seqs = max(by_log.items(), key=lambda item: (len(item[1]), item[0]))
    last = len(seqs) - 1
    return [(log, seqs[at]) for at in sorted({round(i * last / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)})]
