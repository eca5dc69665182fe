"""`simulate`: the door to whole machines in virtual time, and with `rule` to the algorithm alone.

Everything heavy is imported when it is asked for: simulations of the protocol need no jax, and no fast/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, overload

from gossip.sim.report import SimReport
from gossip.sim.scenario import Scenario
from gossip.sim.swarm import OnEvent, SimSwarm
from gossip.sim.toy import ToyTrainer, Trainer
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.fast import Outcome
    from gossip.merging.pairwise import Rule
    from gossip.training.task import FileTask, Task

ROUND_MARGIN: Final = 1.1  # a round and the pause after it, in rounds


@overload
def simulate(
    scenario: Scenario | None = None,
    *,
    trainer: Trainer | None = None,
    on_event: OnEvent | None = None,
    tasks: Sequence[Task | FileTask] = (),
    model: str = "",
    rounds: int = 20,
    seed: int = 0,
) -> SimReport: ...


@overload
def simulate(
    scenario: Scenario | None = None,
    *,
    rule: str | Rule,
    trainer: Trainer | None = None,
    on_event: None = None,
    tasks: Sequence[Task | FileTask] = (),
    model: str = "",
    rounds: int = 20,
    seed: int = 0,
) -> Outcome: ...


def simulate(
    scenario: Scenario | None = None,
    *,
    rule: str | Rule | None = None,
    trainer: Trainer | None = None,
    on_event: OnEvent | None = None,
    tasks: Sequence[Task | FileTask] = (),
    model: str = "",
    rounds: int = 20,
    seed: int = 0,
) -> SimReport | Outcome:
    """Run a swarm of real peer machines in virtual time. The same scenario and trainer give the same trace.

    With nothing given, peers learn a toy problem; `trainer` is a problem of your own. With `tasks` (one for each
    peer, as for a real node) and `model` (a declaration, as JSON) they learn that for about `rounds` rounds; then
    `scenario` may be left out, or says what else happens: eta, density and norm0 come from the model.

    With `rule` the algorithm alone runs, without protocol and ledger, and an Outcome comes back: a name of
    `gossip simulate --fast --rule`, or a function of your own that merges two models (gossip/merging/pairwise.py).
    """
    if not tasks:
        return _run(scenario or Scenario(seed=seed), trainer, rule, on_event)
    if trainer is not None or not model:
        raise LocalError("tasks need a model", next_step="give simulate() tasks and model, or a trainer alone")
    from gossip.sim.tasks import TaskTrainer
    from gossip.training.spec import ModelSpec

    spec = ModelSpec.parse(model)
    world = scenario or Scenario(peers=len(tasks), seconds=ROUND_MARGIN * rounds * Scenario.round_s, seed=seed)
    if world.peers != len(tasks):
        raise LocalError(f"{len(tasks)} tasks for {world.peers} peers", next_step="give each peer a task")
    world = replace(world, eta=spec.eta, density=spec.density, norm0=spec.norm0)
    own = TaskTrainer(spec, tasks, world.seed)
    try:
        return _run(world, own, rule, on_event)
    finally:
        own.close()


def _run(
    scenario: Scenario, trainer: Trainer | None, rule: str | Rule | None, on_event: OnEvent | None
) -> SimReport | Outcome:
    if rule is None:
        return SimSwarm(scenario, trainer, on_event).run()
    if on_event is not None:
        raise LocalError("a rule alone has no events to tell of", next_step="leave out rule, or on_event")
    from gossip.fast.trained import simulate_rule

    return simulate_rule(scenario, trainer or ToyTrainer(scenario.peers, scenario.seed), rule)
