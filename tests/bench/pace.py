"""How soon a swarm has learned its task, by virtual time: adaptive against each fixed tempo, and with a slow machine.

Eight peers with handwritten digits (Dirichlet 0.3), one second a round, real machines, ledgers and folds; what travels
takes the time that the scenario says. The clock is the simulation's, so a busy machine changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Final, Literal

from cli.bench.figures import Figure, Goal, Section
from gossip.config import PeerConfig
from gossip.sim import Scenario, SimSwarm
from tests.attack.digits import Digits

TARGET: Final = 0.85  # of test rows, on average over the peers' models
LOOK_S: Final = 0.25
LIMIT_S: Final = 100.0
PLAIN: Final = "policy = 1\n"

Tempo = Literal["adaptive", "eager", "paced"]

BASE: Final = Scenario(peers=8, round_s=1.0, eta=2.0, policy=PLAIN, signatures="checked", seconds=LIMIT_S)
SCENARIOS: Final = {
    "alike": BASE,
    "one peer 10x slower": replace(BASE, slow={7: 10.0}),
    "far away (0.7 to 0.9 s a message)": replace(BASE, delay_s=0.7, jitter_s=0.2),
}
TEMPOS: Final[tuple[Tempo, ...]] = ("eager", "paced", "adaptive")


class _Reached(Exception):
    """The models are good enough: nothing more is to be simulated."""


def time_to_target(scenario: Scenario, target: float = TARGET) -> float:
    """Seconds of virtual time until the peers' models, on average, are right so often; LIMIT_S if they never are."""
    trainer = Digits(scenario.peers, 0.3, scenario.seed)
    swarm = SimSwarm(scenario, trainer)

    def look() -> None:
        books = [peer.book for peer in swarm.peers if peer.book is not None and peer.book.fold is not None]
        right = sum(trainer.accuracy(book.theta()) for book in books) / len(swarm.peers)
        if right >= target:
            raise _Reached
        swarm.clock.after(LOOK_S, look)

    swarm.clock.after(LOOK_S, look)
    try:
        swarm.run()
    except _Reached:
        return swarm.clock.elapsed_s
    return LIMIT_S


def measure(*, quick: bool) -> Section:
    """Goals: adaptive within 5% of the better fixed tempo; one peer 10x slower costs at most a fifth."""
    seeds = range(1, 2 if quick else 6)
    figures, adaptive = list[Figure](), dict[str, float]()
    for name, scenario in SCENARIOS.items():
        taken: dict[Tempo, float] = {}
        for tempo in TEMPOS:
            config = PeerConfig(tempo=tempo)
            times = [time_to_target(replace(scenario, seed=seed, config=config)) for seed in seeds]
            taken[tempo] = mean(times)
            never = sum(time >= LIMIT_S for time in times)
            note = f"never in {LIMIT_S:.0f} s with {never} of {len(times)} seeds" if never else ""
            figures.append(Figure(f"{name}, {tempo}", taken[tempo], "s", note=note))
        best = min(taken["eager"], taken["paced"])
        figures.append(Figure("  adaptive / the better of the others", taken["adaptive"] / best, "", Goal(1.05), 2))
        adaptive[name] = taken["adaptive"]
    alike, slow = adaptive["alike"], adaptive["one peer 10x slower"]
    figures.append(Figure("one peer 10x slower / alike", slow / alike, "", Goal(1.2), 2))
    fixed = PeerConfig(tempo="eager", adapts=False)
    times = [time_to_target(replace(SCENARIOS["one peer 10x slower"], seed=seed, config=fixed)) for seed in seeds]
    figures.append(Figure("  the same with the declared steps", mean(times) / alike, "", digits=2))
    return Section(f"Pace ({TARGET:.0%} of digits right, virtual time, mean of {len(seeds)} seeds)", tuple(figures))
