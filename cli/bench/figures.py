"""One figure, and the table of all of them.

A figure knows what it is called, what was reached and what is aimed at. Nothing here fails on a slow one: a shared
machine has bad days, and a build that breaks on them is soon ignored. It is printed, with the goal beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Final

WIDTH: Final = 46
MARKS: Final = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True, slots=True)
class Goal:
    limit: float
    at_most: bool = True  # False: at least
    note: str = ""  # in place of the number, where the number says little

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is None for what could not be measured; `note` then says why."""

    name: str
    value: float | None
    unit: str = ""
    goal: Goal | None = None
    digits: int = 1
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None or self.value is None else self.goal.met(self.value)

    @property
    def reached(self) -> str:
        return "-" if self.value is None else _number(self.value, self.unit, self.digits)

    @property
    def wanted(self) -> str:
        if self.goal is None:
            return ""
        sign = "<=" if self.goal.at_most else ">="
        return self.goal.note or f"{sign} {_number(self.goal.limit, self.unit, self.digits).removesuffix('.0')}"

    def as_json(self) -> dict[str, Any]:
        goal = None if self.goal is None else {"at_most" if self.goal.at_most else "at_least": self.goal.limit}
        row = {"name": self.name, "value": self.value, "unit": self.unit, "goal": goal, "met": self.met}
        return {**row, "note": self.note} if self.note else row


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    figures: tuple[Figure, ...]

    def lines(self) -> Iterator[str]:
        yield ""
        yield self.title
        for figure in self.figures:
            row = (
                f"  {figure.name:<{WIDTH}}{figure.reached:>14}  {figure.wanted:<16}{MARKS[figure.met]:<7}{figure.note}"
            )
            yield row.rstrip()


def rows_of(sections: Iterable[Section]) -> list[dict[str, Any]]:
    return [{"section": section.title, **figure.as_json()} for section in sections for figure in section.figures]


def median_s(run: Callable[[], object], times: int, *, warm_up: int = 1) -> float:
    """Median seconds of `times` calls, after some that do not count."""
    for _ in range(warm_up):
        run()
    taken = []
    for _ in range(times):
        begun = perf_counter()
        run()
        taken.append(perf_counter() - begun)
    return median(taken)


def _number(value: float, unit: str, digits: int) -> str:
    if unit == "%":
        return f"{100 * value:.{digits}f}%"
    if unit == "1/":
        return f"1/{1 / value:.{digits}f}" if value else "0"
    return f"{value:,.{digits}f}{' ' + unit if unit else ''}"
