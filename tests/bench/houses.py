"""Fifty guests of one member against one member: how much of the model each writes, by weights alone."""

from __future__ import annotations

from cli.bench.figures import Figure, Goal, Section
from tests.fold.houses import GUESTS, HONEST, Shows, share

RATES = (0.1, 1, 5)


def measure(*, quick: bool) -> Section:
    """Goal: no more than one member at the same rate, in the same run."""
    rounds = 40 if quick else 100
    figures = []
    for rate in RATES:
        one = share(0, rate, rounds=rounds)
        figures.append(Figure(f"one member, {rate:g} updates a round", one, "members", digits=2))
        named: dict[str, Shows] = {"": "open", ", cut off": "frozen", ", in secret to the end": "withholds"}
        for how, shows in named.items():
            found = share(GUESTS, rate, shows, rounds)
            goal = Goal(max(one, 1.0) + 0.01) if shows == "open" else None
            note = "1 + 1/2 + ... + 1/50 = 4.5 at rate 1" if shows == "withholds" and rate == 1 else ""
            figures.append(Figure(f"{GUESTS} guests, {rate:g} each{how}", found, "members", goal, digits=2, note=note))
    title = f"Guests of one member ({HONEST} others, one update a round each; in members: what one of them weighs)"
    return Section(title, tuple(figures))
