"""Comparisons with a name: which peers, data and rules; and scenarios of gossip.sim as the algorithm meets them.

    thirty-two   32 peers that come and go, each with few of the classes: what a swarm is made for
    webnn-four   four clients that hand whole models round: what WebNN's authors compared
    crowd        100,000 peers with a linear model each

The recipes (model, local steps, eta, density) are the ones that docs/comparison.md reports, one for each kind of data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.fast.compare import ALL_RULES, run_rule
from gossip.fast.data import Rows, dirichlet, load
from gossip.fast.setting import Outcome, Setting
from gossip.merging.pairwise import Rule
from gossip.sim.scenario import Scenario
from ledger.errors import LocalError

CROWD: Final = "crowd"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of data is learned. Tuned for `fold` on seeds 0 to 2; every rule trains by the same."""

    hidden: tuple[int, ...]
    steps: int
    batch: int
    rate: float
    rounds: float
    eta: float
    density: float | None


RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "digits": Recipe((32,), steps=16, batch=16, rate=0.1, rounds=300, eta=2.0, density=0.01),
        "mnist": Recipe((64,), steps=16, batch=32, rate=0.2, rounds=300, eta=2.0, density=0.005),
    }
)
REQUESTS: Final = Recipe((), steps=16, batch=32, rate=0.2, rounds=60, eta=1.0, density=None)
"""Of a file of requests: linear."""


@dataclass(frozen=True, slots=True)
class Study:
    """A comparison to run."""

    name: str
    about: str
    setting: Setting
    data: str = "digits"
    alpha: float = 0.1
    rules: tuple[str, ...] = ALL_RULES
    recipe: Recipe | None = None
    """None: that of the data, and its rounds, eta and density unless the study says that its setting's are meant."""
    keeps_rounds: bool = False
    keeps_fold: bool = False
    """Eta and density are those of the setting: of a scenario, which has both."""


STUDIES: Final[Mapping[str, Study]] = MappingProxyType(
    {
        study.name: study
        for study in (
            Study("thirty-two", "32 peers that come and go, each with few of the classes: every rule", Setting()),
            Study(
                "webnn-four",
                "four clients that hand models round after every batch, as WebNN's authors compared them",
                Setting(peers=4, rounds=400, away=0.0, pause=0.0, eta=1.0),
                data="mnist", alpha=0.0, rules=("average", "weighted", "mimic", "mimic-as-printed", "fold"),
                recipe=Recipe((64,), steps=1, batch=64, rate=0.1, rounds=400, eta=1.0, density=0.05),
            ),
        )
    }
)  # fmt: skip
ABOUT_CROWD: Final = "100,000 peers with a linear model of 57 features each, in windows of time"


def study_of(scenario: Scenario, name: str) -> Study:
    """A scenario of whole machines as the algorithm alone meets it. LocalError if it asks for what only machines have.

    What arrives twice, late or under a wrong clock changes nothing here. Who crashes is away meanwhile.
    """
    asked = {
        "twins": scenario.twins, "changed keys": scenario.new_keys, "changed policies": scenario.new_policies,
        "observers": scenario.observers, "guests": scenario.guests, "flipped labels": scenario.flipped,
        "privacy": scenario.epsilon, "cheats": scenario.faults, "slow lines": scenario.lines,
        "leaders": scenario.leaders, "public data": scenario.public, "lent data": scenario.lends,
    }  # fmt: skip
    found = [word for word, value in asked.items() if value]
    if found:
        raise LocalError(
            f"{name} has {found[0]}, and --fast is the algorithm alone", next_step="leave --fast out, or take another"
        )
    unit = scenario.round_s
    luck = Random(f"{scenario.seed}/absences")
    dying = luck.sample(range(1, scenario.peers), round(scenario.churn * (scenario.peers - 1)))
    absences = [(peer, 0.0, at) for peer, at in scenario.late.items()]
    absences += [(crash.peer, crash.at, crash.at + crash.down_s) for crash in scenario.crashes]
    absences += [(bad.peer, bad.at, bad.until) for bad in (*scenario.disk_full, *scenario.disk_error)]
    for peer in dying:
        at = luck.uniform(0.2, 0.7) * scenario.seconds
        absences.append((peer, at, at + luck.uniform(1.0, 6.0)))
    setting = Setting(
        peers=scenario.peers, rounds=scenario.seconds / unit, seed=scenario.seed, away=0.0, spread=0.0,
        slow=dict(scenario.slow), absences=tuple((peer, at / unit, until / unit) for peer, at, until in absences),
        cuts=tuple((cut.side, cut.at / unit, cut.until / unit) for cut in scenario.cuts),
        delay=(scenario.delay_s + scenario.jitter_s / 2) / unit, loss=scenario.loss, eta=scenario.eta,
        density=scenario.density,
    )  # fmt: skip
    return Study(name, "", setting, alpha=0.3, keeps_rounds=True, keeps_fold=True)


def run_study(
    study: Study,
    *,
    rules: Sequence[str | Rule] = (),
    rows: Rows | None = None,
    done: Callable[[int, int], None] = lambda number, of: None,
) -> tuple[Study, Mapping[str, Outcome]]:
    """The study as it was run, and what came of each rule. `done` hears how many rules lie behind."""
    from gossip.fast.learner import Networks

    rows = load(study.data) if rows is None else rows
    recipe = study.recipe or RECIPES.get(study.data, REQUESTS)
    setting = study.setting if study.keeps_rounds else replace(study.setting, rounds=recipe.rounds)
    if not study.keeps_fold:
        setting = replace(setting, eta=recipe.eta, density=recipe.density)
    shares = dirichlet(rows.labels, setting.peers, study.alpha, setting.seed)

    def networks(shares: Sequence[NDArray[np.int64]]) -> Networks:
        return Networks(
            rows, shares, hidden=recipe.hidden, steps=recipe.steps, batch=recipe.batch, rate=recipe.rate,
            seed=setting.seed,
        )  # fmt: skip

    work, everything = networks(shares), networks([np.arange(len(rows.labels))])
    wanted = tuple(rules) or study.rules
    found = {}
    for number, rule in enumerate(wanted):
        done(number, len(wanted))
        outcome = run_rule(rule, setting, work, everything=everything)
        found[outcome.rule] = outcome
    return replace(study, setting=setting, recipe=recipe), found
