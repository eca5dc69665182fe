"""The table: what a quarter of hostile peers costs, attack by attack, with verdicts on own rows and without.

    lost = accuracy of the same swarm with nobody hostile (and no verdicts) - accuracy under attack, in points

Goals: at most 2 points at IID and Dirichlet 1.0, 6 at 0.3, half a point when nobody attacks; never chance.

`fold` rows are of the fold alone, in rounds (rounds.py): two seconds each. `machines` rows are of sixteen real peer
machines (machine.py): a minute each, in as many processes as there are cores.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import mean
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from ledger.entry import GRID_ONE
from tests.attack import machine, setting
from tests.attack.hostile import PROGRAMS
from tests.attack.rounds import Rounds
from tests.attack.setting import CHANCE, CONTROL_GAP, PEERS, SEEDS, SPLITS, Outcome

ALLOWED: Final = {"IID": 2.0, "Dirichlet 1.0": 2.0, "Dirichlet 0.3": 6.0}  # points
UNHARMED: Final = 0.5  # points, when nobody attacks
NOBODY: Final = ""

Cell = tuple[str, str, bool]  # attack, split, judged


def fold(*, quick: bool) -> Section:
    """The whole table of the fold alone."""
    seeds = SEEDS[:1] if quick else SEEDS
    title = f"fold alone: {_about()}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return Section(title, (*_figures(_all(_in_rounds, seeds), seeds), *_silenced(seeds)))


def _silenced(seeds: Sequence[int]) -> Iterator[Figure]:
    """What it costs to do without four peers from the first round on: no verdict can do better against those who teach
    nothing."""
    for split in SPLITS:
        found = []
        for seed in seeds:
            world = Rounds(NOBODY, split, seed, judged=False)
            world.out.update(setting.HOSTILE)
            found.append(100 * world.run().accuracy)
        note = "accuracy " + " ".join(f"{one:.1f}" for one in found)
        yield Figure(f"{split}, nothing of four counts: accuracy", mean(found), "points", note=note)


def machines(*, quick: bool) -> Section:
    """The table of real machines; with `quick` only its worst rows."""
    cells = [(attack, split, judged) for split in SPLITS for attack in (NOBODY, *PROGRAMS) for judged in (False, True)]
    if quick:
        cells = [(NOBODY, "IID", False), ("IPM", "IID", True)]
    seeds = SEEDS[:1]
    return Section(f"machines: {_about()}, seed {seeds[0]}", tuple(_figures(_all(_in_machines, seeds, cells), seeds)))


def judges(*, quick: bool) -> Section:
    """Nobody attacks the model, and four judges condemn whatever honest peers do: real machines."""
    figures = []
    for split in tuple(SPLITS)[:1] if quick else SPLITS:
        found = machine.run(NOBODY, split, SEEDS[0], judged=True, are_false_judges=True)
        name = f"{split}: honest updates that do not count"
        figures.append(Figure(name, found.innocent, "", digits=0, note=f"accuracy {100 * found.accuracy:.1f}"))
    return Section(f"false judges: {len(setting.HOSTILE)} of {PEERS}, seed {SEEDS[0]}", tuple(figures))


def control(*, quick: bool) -> Section:
    """A plain mean under attack: the kit must show it in ruins, or it shows nothing."""
    figures = []
    for attack in ("IPM", "Gaussian", "replacement"):
        plain, clipped = (
            Rounds(attack, "IID", SEEDS[0], judged=False, constants=constants).run().accuracy
            for constants in (dict(setting.PLAIN_MEAN), None)
        )
        goal = None if attack == "Gaussian" else Goal(100 * CONTROL_GAP, at_most=False)  # noise averages out in part
        note = f"accuracy {100 * plain:.1f}, with clip and quota {100 * clipped:.1f}"
        name = f"plain mean, {attack}: lost beyond the clip's"
        figures.append(Figure(name, 100 * (clipped - plain), "points", goal, note=note))
    return Section("control: no clip, no quota, no verdicts; a quarter hostile, IID", tuple(figures))


def unsolved(*, quick: bool) -> Section:
    """Three of sixteen that collude and publish twenty times as often as the others."""
    seeds = SEEDS[: 1 if quick else 2]
    figures = []
    for split in ("IID", "Dirichlet 0.3"):
        for clip, judged in ((1.5, False), (1.0, False), (1.0, True)):
            found = [_often(split, seed, clip, judged=judged) for seed in seeds]
            note = " ".join(f"{100 * one.accuracy:.1f}" for one in found) + f"; out {found[0].hostile_out} of 3"
            name = f"{split}, clip {clip}{', verdicts' if judged else ''}: accuracy"
            figures.append(Figure(name, 100 * mean(one.accuracy for one in found), "points", note=note))
    return Section("three of sixteen, IPM, each publishing 20 times as often; fold alone", tuple(figures))


def clip(*, quick: bool) -> Section:
    """What a shorter clip alone would do, and what it costs those who are honest."""
    figures = []
    for split in SPLITS:
        for attack in (NOBODY, "IPM", "replacement", "label flip"):
            found = [_clipped(attack, split, kappa) for kappa in (1.5, 1.0)]
            note = f"clip 1.5: {100 * found[0]:.1f}"
            figures.append(Figure(f"{split}, {attack or 'nobody'}, clip 1", 100 * found[1], "points", note=note))
    return Section(f"accuracy without verdicts, by the clip; fold alone, seed {SEEDS[0]}", tuple(figures))


def _clipped(attack: str, split: str, kappa: float) -> float:
    return Rounds(attack, split, SEEDS[0], judged=False, constants={"kappa": round(kappa * GRID_ONE)}).run().accuracy


def _often(split: str, seed: int, clip: float, *, judged: bool) -> Outcome:
    kappa = {"kappa": round(clip * GRID_ONE)}
    return Rounds("IPM", split, seed, judged=judged, hostile=setting.HOSTILE[:3], burst=20, constants=kappa).run()


# ------------------------------------------------------------------ cells


def _in_rounds(cell: Cell, seed: int) -> Outcome:
    attack, split, judged = cell
    return Rounds(attack, split, seed, judged=judged).run()


def _in_machines(cell: Cell, seed: int) -> Outcome:
    attack, split, judged = cell
    return machine.run(attack, split, seed, judged=judged)


def _all(
    run: Callable[[Cell, int], Outcome], seeds: Sequence[int], cells: list[Cell] | None = None
) -> dict[Cell, list[Outcome]]:
    """Every cell with every seed, as many at once as there are cores."""
    if cells is None:
        cells = [
            (attack, split, judged) for split in SPLITS for attack in (NOBODY, *PROGRAMS) for judged in (False, True)
        ]
    jobs = [(cell, seed) for cell in cells for seed in seeds]
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        try:
            found = list(pool.map(partial(_one, run), jobs))
        except BaseException:  # Ctrl-C: what has not begun never does, and the pool is put away, semaphores and all
            pool.shutdown(cancel_futures=True)
            raise
    return {cell: [one for (at, _), one in zip(jobs, found, strict=True) if at == cell] for cell in cells}


def _quiet() -> None:
    """Of a worker: Ctrl-C ends it without a traceback; the process that began it says what is to be said."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _one(run: Callable[[Cell, int], Outcome], job: tuple[Cell, int]) -> Outcome:
    return run(*job)


def _figures(table: dict[Cell, list[Outcome]], seeds: Sequence[int]) -> Iterator[Figure]:
    for (attack, split, judged), found in table.items():
        clean = table.get((NOBODY, split, False), [])
        accuracy = mean(one.accuracy for one in found)
        each = " ".join(f"{100 * one.accuracy:.1f}" for one in found)
        note = f"accuracy {each}"
        if judged:
            out, lost = sum(one.hostile_out for one in found), sum(one.innocent for one in found)
            note += f"; out {out} of {len(setting.hostile_of(attack)) * len(seeds)}, honest updates lost {lost}"
        if gone := sorted(round_ for one in found for round_ in one.out_from):
            note += f"; first out in rounds {', '.join(map(str, gone))}"
        if accuracy <= CHANCE:
            note += "; CHANCE"
        if (attack, judged) == (NOBODY, False):
            yield Figure(f"{split}, nobody: accuracy", 100 * accuracy, "points", note=note)
            continue
        goal = (Goal(ALLOWED[split]) if attack else Goal(UNHARMED)) if judged else None
        name = f"{split}, {attack or 'nobody'}{', verdicts' if judged else ''}: lost"
        yield Figure(name, 100 * (mean(one.accuracy for one in clean) - accuracy), "points", goal, note=note)


def _about() -> str:
    return f"{len(setting.HOSTILE)} of {PEERS} hostile, {setting.ROUNDS} rounds"
