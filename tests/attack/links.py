"""Hostile ends of a link: the two kits of tests/transport, counted, with and without what is to withstand them.

    python -m tests.attack.links

`sctp` is each attack below the frames against the aiortc adapter, and against the same without its police. `bind` is
a thousand attempts to be taken for somebody else, and the same against a bind that does not look. A kit that the
second column withstands shows nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.transport.bind import bind
from tests.transport.bind_attacks import accepted, unbound
from tests.transport.sctp_attacks import ATTACKS, Outcome, attack

ATTEMPTS: Final = 1_000


def measure() -> Section:
    policed, unpoliced = asyncio.run(_attacks(policed=True)), asyncio.run(_attacks(policed=False))
    window = 1024 * 1024
    furthest = max(outcome.sent_bytes - window for outcome in policed)
    (made, let_in), (_, believed) = asyncio.run(_attempts())
    few = ", ".join(sorted(believed)[:4])
    return Section(
        f"links: {len(ATTACKS)} attacks below the frames, {made} attempts to be somebody else",
        (
            Figure("attacks that got past the police", _not_withstood(policed), "", Goal(0), digits=0),
            Figure("the same without it", _not_withstood(unpoliced), "", Goal(len(ATTACKS), at_most=False), digits=0),
            Figure("sent beyond the window until cut, at most", furthest / 1e6, "MB", Goal(1.048576), digits=2),
            Figure("held meanwhile, at most", max(outcome.held_bytes for outcome in policed) / 1e6, "MB", digits=2),
            Figure("attempts that were believed", float(sum(let_in.values())), "", Goal(0), digits=0),
            Figure(
                "the same with a bind that does not look", float(sum(believed.values())), "",
                Goal(made, at_most=False), digits=0, note=f"{len(believed)} kinds: {few}, ...",
            ),
        ),
    )  # fmt: skip


def _not_withstood(outcomes: list[Outcome]) -> float:
    return float(sum(not outcome.withstood for outcome in outcomes))


async def _attacks(*, policed: bool) -> list[Outcome]:
    return [await attack(name, "aiortc", policed=policed) for name in ATTACKS]


async def _attempts() -> tuple[tuple[int, dict[str, int]], tuple[int, dict[str, int]]]:
    return await accepted(ATTEMPTS, seed=5, through=bind), await accepted(ATTEMPTS, seed=5, through=unbound)


if __name__ == "__main__":
    print("\n".join(measure().lines()))
