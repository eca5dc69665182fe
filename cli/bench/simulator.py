"""How fast a swarm is simulated, and what its troubles cost it: accuracy lost to churn, and time until all agree again.

Setting of the speed: 20 peers on the toy problem (33 parameters), one update a minute each, six links each, every rule
of gossip/sim/invariants.py looked at; hours of the whole swarm for each minute of processor time, of one core. Real
Ed25519 signatures, and the stand-ins that are as long and are checked wherever signatures are.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from time import process_time
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.sim import Cut, Scenario, SimReport, simulate
from gossip.sim.scenario import Signatures

PEERS: Final = 20
MINUTES: Final = 10
SEEDS: Final = 3
HEALED_AT_S: Final = 30.0


def measure(*, quick: bool = False) -> Section:
    real, per_event = _speed("real", 2 if quick else MINUTES)
    checked, _ = _speed("checked", 2 if quick else MINUTES)
    seeds = range(1, 2 if quick else 1 + SEEDS)
    lost = [_lost(seed) for seed in seeds]
    healed = [_healed(seed) for seed in seeds]
    setting = f"{PEERS} peers, one update a minute each"
    return Section(
        "simulator",
        (
            Figure("swarm-hours a minute of a core, real signatures", real, "", Goal(4, at_most=False), 2, setting),
            Figure("... with checked stand-ins", checked, "", Goal(100, at_most=False), 2, "the same"),
            Figure("an event, all that follows from it and the rules", per_event, "us"),
            Figure("accuracy lost to 50% churn and 10% loss", 100 * median(lost), "points", Goal(1), 2, _of(len(lost))),
            Figure("heal: a cut in halves until equal heads", max(healed), "s", Goal(30), 1, f"worst of {len(healed)}"),
        ),
    )


def _of(seeds: int) -> str:
    return f"median of {seeds}, mean over {PEERS} peers"


def _speed(signatures: Signatures, minutes: int) -> tuple[float, float]:
    """Swarm-hours for each minute of processor time; microseconds an event."""
    scenario = Scenario(peers=PEERS, seconds=60.0 * minutes, round_s=60.0, seed=1, signatures=signatures)
    began = process_time()
    report = _checked(simulate(scenario))
    took_s = process_time() - began
    return report.virtual_s / 3600 / (took_s / 60), took_s / report.events * 1e6


def _lost(seed: int) -> float:
    clean = Scenario(peers=PEERS, seconds=40, seed=seed, signatures="checked")
    rough = replace(clean, churn=0.5, loss=0.1)
    means = [_checked(simulate(scenario)).accuracy_mean or 0.0 for scenario in (clean, rough)]
    return means[0] - means[1]


def _healed(seed: int) -> float:
    """Seconds from the end of a cut, at which training ends, too, until everybody holds the same and has drained."""
    cut = Cut(8.0, HEALED_AT_S, tuple(range(PEERS // 2)))
    scenario = Scenario(peers=PEERS, seconds=HEALED_AT_S, seed=seed, signatures="checked", cuts=(cut,))
    return _checked(simulate(scenario)).virtual_s - HEALED_AT_S


def _checked(report: SimReport) -> SimReport:
    if not report.ok:
        raise RuntimeError(f"no figure of a swarm that broke a rule: {report}")
    return report
