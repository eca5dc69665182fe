"""A simulated swarm in words: what it went through, what came of it, and how to see it again.

The same facts go into the table, the JSON document and the page (cli/page/simulated.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cli import render
from cli.plain import visible

if TYPE_CHECKING:
    from gossip.sim import Scenario, SimReport
    from gossip.sim.report import Broken

SHOWN: Final = 8  # broken invariants on a terminal; JSON and the page have all that were kept


@dataclass(frozen=True, slots=True)
class Simulated:
    """A scenario that was simulated."""

    name: str  # as it was typed
    about: str
    scenario: Scenario
    report: SimReport
    again: str  # the command

    @property
    def headline(self) -> str:
        """What it comes to, in a clause."""
        broken = self.report.invariants_broken
        if broken:
            return f"seed {self.report.seed} broke what must hold: {told(broken[0])}"
        if not self.report.heads_equal:
            return f"seed {self.report.seed}: the peers do not hold the same in the end"
        if self.report.wrong:
            return f"seed {self.report.seed}: {self.report.wrong[0]}"
        return "all held, and all peers hold the same in the end"


def facts(outcome: Simulated) -> dict[str, Any]:
    """For programs: the report under its own names, and what was asked."""
    return {"scenario": outcome.name, "about": outcome.about, "again": outcome.again, **outcome.report.as_json()}


def show(outcome: Simulated) -> None:
    report = outcome.report
    about = f": {visible(outcome.about, 300)}" if outcome.about else ""
    render.wrapped(f"scenario  {visible(outcome.name, 80)}{about}")
    for line in troubles(outcome.scenario):
        render.say(f"          {line}")
    render.say(f"seed      {report.seed}")
    render.say(
        f"peers     {len(report.peers)}, {render.many(sum(report.updates.values()), 'update')}, "
        f"{render.size(report.bytes_per_peer)} received by each"
    )
    if report.accuracy_mean is not None:
        spread = f", variance {report.accuracy_spread:.2g}" if report.accuracy_spread is not None else ""
        render.say(
            f"accuracy  {render.score(report.accuracy_mean)} in the mean, {render.score(report.accuracy_worst)} "
            f"at worst{spread}"
        )
    elif report.accuracy is not None:
        render.say(f"accuracy  {render.score(report.accuracy)} on held-out rows")
    speed = f", {report.virtual_s / report.wall_s:,.0f} times as fast" if report.wall_s > 0 else ""
    render.say(f"time      {render.span(report.virtual_s)} of virtual time in {report.wall_s:.1f} s{speed}")
    render.say(f"trace     {report.trace}")
    if report.refusals:
        render.say(f"refused   {render.many(len(report.refusals), 'thing')}, first: {visible(report.refusals[0], 160)}")
    for line in became(report):
        render.wrapped(f"cheats    {line}")
    if not report.invariants_broken:
        render.say(f"rules     all held, {render.many(report.events, 'event')}")
    for one in report.invariants_broken[:SHOWN]:
        render.say(f"BROKEN    {told(one)}")
    if (more := len(report.invariants_broken) - SHOWN) > 0:
        render.say(f"          and {more} more")
    if report.heads_equal and not report.invariants_broken:
        render.say(f"model     {next(iter(report.model_hashes.values()), '')}, the same at all")
    render.say(f"again     {outcome.again}")


def told(one: Broken) -> str:
    who = f"peer {one.peer}" if one.peer >= 0 else "the swarm"
    return f"{one.at_s:.3f} s, {who}, {visible(one.rule, 40)}: {visible(one.text, 200)}"


def became(report: SimReport) -> Iterator[str]:
    """What became of each that cheats."""
    for one in report.cheats:
        found = [
            "fork proven" if one.forked else "",
            f"{one.condemned} of {render.many(one.updates, 'update')} condemned" if one.condemned else "",
            "revoked" if one.revoked else "",
        ]
        said = ", ".join(filter(None, found)) or "nothing found against it"
        count = f"{one.counting} of its {render.many(one.updates, 'update')} count"
        yield f"peer {one.peer} ({one.cheat}): {said}; {count}, {one.weight_share:.1%} of all weight"


def troubles(scenario: Scenario) -> list[str]:
    """What the peers go through, one line each."""
    said = []
    link = [f"{scenario.delay_s * 1000:.0f} ms, give or take {scenario.jitter_s * 1000:.0f}"]
    for share, what in (
        (scenario.loss, "lost"), (scenario.duplicate, "twice"), (scenario.reorder, f"up to {scenario.held_s:g} s late"),
    ):  # fmt: skip
        if share:
            link.append(f"{share:.0%} {what}")
    said.append(f"messages: {', '.join(link)}")
    if scenario.churn:
        said.append(f"churn: {scenario.churn:.0%} of the peers die once and come back")
    said += [span.line for span in spans_of(scenario)]
    for numbers, what in (
        (scenario.slow, "slow"), (scenario.skew_s, "with a wrong clock"), (scenario.faults, "cheating"),
        (scenario.flipped, "with wrong labels"), (scenario.observers, "observing"),
    ):  # fmt: skip
        if numbers:
            said.append(f"{what}: {_peers(tuple(numbers))}")
    return said


@dataclass(frozen=True, slots=True)
class Span:
    """A trouble that has a time."""

    begin: float
    end: float
    name: str  # for a chart
    line: str  # for a list


def spans_of(scenario: Scenario) -> list[Span]:
    """In order of time; those that begin and end together as one."""
    rows: dict[tuple[str, float, float], list[int]] = {}

    def add(what: str, begin: float, end: float, *peers: int) -> None:
        rows.setdefault((what, begin, min(end, scenario.seconds + scenario.settle_s)), []).extend(peers)

    for peer, at in scenario.late.items():
        add("not there yet", 0.0, at, peer)
    for crash in scenario.crashes:
        add("crashed", crash.at, crash.at + crash.down_s, crash.peer)
    for cut in scenario.cuts:
        add("cut off", cut.at, cut.until, *cut.side)
    for disk in scenario.disk_full:
        add("disk full", disk.at, disk.until, disk.peer)
    for disk in scenario.disk_error:
        add("disk broken", disk.at, disk.until, disk.peer)
    for twin in scenario.twins:
        add("two machines with one key", twin.at, twin.until if twin.until is not None else scenario.seconds, twin.peer)
    return [
        Span(
            begin, end, f"{what}: {_peers(tuple(peers))}",
            f"{what} from {begin:g} to {end:g} s: {_peers(tuple(peers))}",
        )
        for (what, begin, end), peers in sorted(rows.items(), key=lambda row: (row[0][1], row[0][2], row[0][0]))
    ]  # fmt: skip


def _peers(numbers: tuple[int, ...]) -> str:
    """ "peer 3", "peers 3, 4, 9", "12 peers"."""
    if len(numbers) > 4:
        return f"{len(numbers)} peers"
    return ("peer " if len(numbers) == 1 else "peers ") + ", ".join(map(str, sorted(numbers)))
