"""Swarms of twenty, each with troubles drawn by its seed: `python -m tests.soak_seeds [--seeds N] [--seed SEED]`.

    seed --Random--> loss, copies, overtaking, wrong clocks, cuts, crashes, torn and full disks, liars, forkers
         --simulate--> every rule of gossip/sim/invariants.py after every event, equal heads at the end, no stall

Part of `make soak`. Prints the seeds that broke something, and what; `--seed` runs one of them alone and prints all
that is known of it. Ends with status 1 if any did, or if the control (two halves that never meet again) was not caught.
Stand-ins for signatures, so that there is time for more seeds.
"""

from __future__ import annotations

import argparse
import sys
from random import Random
from time import perf_counter
from typing import Final

from gossip.sim import BadDisk, Crash, Cut, Scenario, Twin, simulate
from gossip.sim.scenario import Fault

PEERS: Final = 20
SECONDS: Final = 16.0
SETTLE_S: Final = 90.0
FAULTS: Final[tuple[Fault, ...]] = ("copies", "harms", "mute", "lies", "hides")


def drawn(seed: int, peers: int = PEERS) -> Scenario:
    """The troubles of one seed. About half of the kinds at a time: many at once hide one another."""
    luck = Random(f"soak {seed}")

    def some(most: int) -> list[int]:
        return luck.sample(range(1, peers), luck.randint(1, most)) if luck.random() < 0.5 else []

    def moment() -> float:
        return luck.uniform(1.0, SECONDS - 3)

    cuts = []
    for _ in range(luck.choice([0, 0, 1, 1, 2])):
        at = moment()
        cuts.append(Cut(at, at + luck.uniform(1.0, 8.0), tuple(luck.sample(range(peers), luck.randint(1, peers // 2)))))
    full = [BadDisk(peer, at, at + luck.uniform(1.0, 5.0)) for peer in some(2) for at in (moment(),)]
    broken = [BadDisk(peer, at, at + luck.uniform(1.0, 5.0)) for peer in some(2) for at in (moment(),)]
    twins = [Twin(peer, at, at + luck.uniform(2.0, 6.0)) for peer in some(1) for at in (moment(),)]
    liars = {peer: luck.choice(FAULTS) for peer in some(3)}
    return Scenario(
        peers=peers, seconds=SECONDS, settle_s=SETTLE_S, seed=seed, round_s=luck.choice([1.0, 2.0, 4.0]),
        loss=luck.choice([0.0, 0.0, 0.05, 0.1, 0.2]), delay_s=luck.choice([0.005, 0.02, 0.1]),
        jitter_s=luck.choice([0.0, 0.01, 0.1]), duplicate=luck.choice([0.0, 0.0, 0.1, 0.3]),
        reorder=luck.choice([0.0, 0.0, 0.1, 0.3]), churn=luck.choice([0.0, 0.0, 0.25, 0.5]), torn=luck.random() < 0.5,
        crashes=tuple(Crash(peer, moment(), luck.uniform(0.1, 5.0)) for peer in some(4)), cuts=tuple(cuts),
        disk_full=tuple(full), disk_error=tuple(broken), twins=tuple(twins), faults=liars,
        public=tuple(sorted(liars)), late={peer: moment() for peer in some(4)},
        slow={peer: luck.choice([3.0, 5.0, 10.0]) for peer in some(2)},
        skew_s={peer: luck.uniform(-3600, 3600) for peer in some(6)},
        observers=tuple(some(2)), signatures="checked",
    )  # fmt: skip


def run(seeds: range, peers: int) -> list[int]:
    """The seeds that broke something, each told as it is found."""
    began, bad, virtual_s = perf_counter(), [], 0.0
    for number, seed in enumerate(seeds, 1):
        try:
            report = simulate(drawn(seed, peers))
            said, virtual_s = next(iter(report.wrong), ""), virtual_s + report.virtual_s
        except Exception as error:  # whatever it is: a finding, with its seed
            said = f"{type(error).__name__}: {error}"
        if said:
            bad.append(seed)
            print(f"seed {seed}: {said}", flush=True)
        if number % 20 == 0 or number == len(seeds):
            took = perf_counter() - began
            print(
                f"{number:,} seeds, {len(bad)} broken, {peers * virtual_s / 3600:,.1f} peer-hours, {took:,.0f} s",
                flush=True,
            )
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak_seeds", description="Random swarms, looked at after every event."
    )
    parser.add_argument(
        "--seeds", type=int, default=10_000, metavar="N", help="so many (10,000: about a day of one core)"
    )
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="beginning with this one")
    parser.add_argument("--seed", type=int, metavar="SEED", help="only this one, and all that is known of it")
    parser.add_argument("--peers", type=int, default=PEERS, metavar="N")
    given = parser.parse_args()
    if given.seed is not None:
        scenario = drawn(given.seed, given.peers)
        print(scenario)
        report = simulate(scenario)
        print(report, *report.refusals, sep="\n")
        print(*report.wrong, sep="\n")
        sys.exit(1 if report.wrong else 0)
    bad = run(range(given.first, given.first + given.seeds), given.peers)
    apart = Scenario(peers=4, seconds=4.0, settle_s=1.0, cuts=(Cut(2.0, 99.0, (0, 1)),), signatures="checked")
    caught = any(line.startswith("heads:") for line in simulate(apart).wrong)
    print(f"control: two halves that never meet again: {'caught' if caught else 'NOT CAUGHT'}")
    for seed in bad:
        print(f"again: python -m tests.soak_seeds --seed {seed} --peers {given.peers}")
    sys.exit(1 if bad or not caught else 0)


if __name__ == "__main__":
    main()
