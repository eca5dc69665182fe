"""`gossip simulate SCENARIO --fast`: rules side by side, as a table, JSON, and a page with their curves.

SCENARIO is a study (gossip/fast/study.py), `crowd`, or a scenario of whole machines, of which the algorithm's part is
run. Numbers are of one seed; docs/comparison.md has those of several.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import exits, render, settings

if TYPE_CHECKING:
    from gossip.fast import Outcome
    from gossip.fast.crowd import Pace
    from gossip.fast.study import Study

_HEAD: Final = ("rule", "accuracy", "worst peer", "variance", "received per peer")


def names() -> Mapping[str, str]:
    """The scenarios that are there for --fast alone, and what each shows."""
    from gossip.fast.study import ABOUT_CROWD, CROWD, STUDIES

    return {**{name: study.about for name, study in STUDIES.items()}, CROWD: ABOUT_CROWD}


def run(
    scenario: str,
    *,
    peers: int | None = None,
    seed: int | None = None,
    rules: Sequence[str] = (),
    data: str | None = None,
    rounds: float | None = None,
    json: bool = False,
    html: Path | None = None,
) -> int:
    """Run it and tell; the exit code. LocalError if there is no such scenario, rule, or data."""
    from gossip.fast.study import CROWD

    settings.check_page(html, [Path(scenario), *([Path(data)] if data else [])])
    again = ["gossip", "simulate", scenario, "--fast"]
    again += [word for rule in rules for word in ("--rule", rule)] + (["--data", data] if data else [])
    again += ["--rounds", f"{rounds:g}"] if rounds is not None else []
    if scenario == CROWD:
        study, found, paces = _crowd(peers, seed, rules, data, rounds)
    else:
        study, found = _study(scenario, peers, seed, rules, data, rounds)
        paces = {}
    again += ["--peers", str(study.setting.peers), "--seed", str(study.setting.seed)]
    facts = _facts(study, found, paces, shlex.join(again))
    if html is not None:
        from cli.page.rules import write_page

        write_page(facts, html)
    if json:
        render.document(facts)
    else:
        _show(facts)
        if html is not None:
            render.say(f"wrote     {html}")
    return exits.OK


def _study(
    name: str, peers: int | None, seed: int | None, rules: Sequence[str], data: str | None, rounds: float | None
) -> tuple[Study, Mapping[str, Outcome]]:
    from cli.progress import Progress
    from gossip.fast.compare import ALL_RULES, check_rules
    from gossip.fast.study import STUDIES, run_study, study_of

    if name in STUDIES:
        study = STUDIES[name]
        asked = study.setting
        setting = replace(
            asked, peers=asked.peers if peers is None else peers, seed=asked.seed if seed is None else seed
        )
        study = replace(study, setting=setting)
    else:
        from gossip.sim.scenario_file import about_scenario, load_scenario, no_such_scenario, scenario_names

        if Path(name).suffix != ".toml" and Path(name).name == name and name not in scenario_names():
            raise no_such_scenario(name, (*names(), *scenario_names()))
        study = study_of(load_scenario(name, peers=peers, seed=seed), name)
        study = replace(study, about=about_scenario(name))
    if data is not None:
        study = replace(study, data=data)
    if rounds is not None:
        study = replace(study, setting=replace(study.setting, rounds=rounds), keeps_rounds=True)
    check_rules(rules, ALL_RULES)
    with Progress() as progress:
        return run_study(study, rules=rules, done=lambda number, of: progress(number, of, "rules"))


def _crowd(
    peers: int | None, seed: int | None, rules: Sequence[str], data: str | None, rounds: float | None
) -> tuple[Study, Mapping[str, Outcome], Mapping[str, Pace]]:
    from cli.progress import Progress
    from gossip.fast import Setting
    from gossip.fast.compare import check_rules
    from gossip.fast.crowd import CROWD_RULES, Crowd, run_crowd
    from gossip.fast.data import load
    from gossip.fast.study import ABOUT_CROWD, CROWD, Study

    check_rules(rules, CROWD_RULES)
    rows = load(data) if data else None
    crowd = Crowd(seed=seed or 0) if peers is None else Crowd(peers=peers, seed=seed or 0)
    crowd = crowd if rounds is None else replace(crowd, windows=round(rounds))
    wanted = tuple(rules) or CROWD_RULES
    with Progress() as progress:
        told = {}
        for number, rule in enumerate(wanted):
            progress(number, len(wanted), "rules")
            told[rule] = run_crowd(rule, crowd, rows)
    setting = Setting(
        peers=crowd.peers, rounds=crowd.windows, seed=crowd.seed, away=crowd.away, session=crowd.session, eta=crowd.eta
    )
    study = Study(CROWD, ABOUT_CROWD, setting, data=data or "clouds", alpha=crowd.alpha)
    return study, {rule: one for rule, (one, _) in told.items()}, {rule: pace for rule, (_, pace) in told.items()}


def _facts(study: Study, found: Mapping[str, Outcome], paces: Mapping[str, Pace], again: str) -> dict[str, Any]:
    setting, recipe = study.setting, study.recipe
    rows: list[dict[str, Any]] = []
    for rule, outcome in found.items():
        row = dict(outcome.as_json())
        if rule in paces:
            row["node_rounds_per_s"] = round(paces[rule].per_second)
            row["node_rounds_per_core_s"] = round(paces[rule].per_core_second)
        rows.append(row)
    return {
        "scenario": study.name, "about": study.about, "data": study.data, "alpha": study.alpha,
        "peers": setting.peers, "rounds": setting.rounds, "seed": setting.seed, "away": setting.away,
        "eta": setting.eta, "density": setting.density, "hidden": list(recipe.hidden) if recipe else [],
        "local_steps": recipe.steps if recipe else 1, "rules": rows, "again": again,
    }  # fmt: skip


def _show(facts: Mapping[str, Any]) -> None:
    split = f"Dirichlet {facts['alpha']:g}" if facts["alpha"] else "dealt evenly"
    render.say(
        f"peers     {facts['peers']:,}, {facts['data']} ({split}), {facts['rounds']:g} rounds, seed {facts['seed']}"
    )
    render.say()
    paced = any("node_rounds_per_s" in row for row in facts["rules"])
    head = (*_HEAD, "rounds/s", "per core") if paced else _HEAD
    render.table(head, [_row(row) for row in facts["rules"]], right=range(1, len(head)))
    render.say()
    render.say("Received are deltas, or whole models: no ledger, no framing (docs/comparison.md).")
    render.say(f"Again   {facts['again']}")


def _row(row: Mapping[str, Any]) -> list[str]:
    cells = [
        row["rule"], render.score(row["accuracy_mean"]), render.score(row["accuracy_worst"]),
        f"{row['accuracy_spread']:.5f}", received(row["bytes_per_peer"]),
    ]  # fmt: skip
    if "node_rounds_per_s" in row:
        cells += [f"{row['node_rounds_per_s']:,}", f"{row['node_rounds_per_core_s']:,}"]
    return cells


def received(count: float) -> str:
    return render.size(count) if count else render.NONE
