"""A million wrong frames: what comes of them, how long the worst one takes, and whether memory grows.

    real traffic of a small swarm --tests/fuzz/mutator.py--> codec.decode          all of them
                                                         --> a peer's machine      a tenth as many

Time is processor time of one frame, without the making of it. Python's collector of garbage runs now and then and goes
through the whole heap, most of which is this program's own: that part is kept out of single times (gc.freeze).
Memory is what the process holds after, beyond what it held when the first thousand frames had passed.
"""

from __future__ import annotations

import gc
from pathlib import Path
from time import process_time
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.wire.codec import decode
from ledger.errors import RemoteError
from tests.fuzz.machine import Victim, run
from tests.fuzz.mutator import Mutator
from tests.fuzz.of_network import frames

FRAMES: Final = 1_000_000
QUICK: Final = 50_000
SHARE: Final = 10  # of so many frames one goes through a whole machine
WARM: Final = 1_000
WORST_MS: Final = 50
GROWTH_MB: Final = 64


def measure(*, quick: bool = False) -> Section:
    count = QUICK if quick else FRAMES
    mutator = Mutator("bench", frames())
    foreign: dict[str, int] = {}
    read = refused = 0
    worst = before = 0.0
    gc.collect()
    gc.freeze()
    for number in range(count):
        if number == WARM:
            before = resident_mb()
        data = mutator.next()
        begun = process_time()
        try:
            decode(data)
            read += 1
        except RemoteError:
            refused += 1
        except Exception as error:
            foreign[type(error).__name__] = foreign.get(type(error).__name__, 0) + 1
        worst = max(worst, process_time() - begun)
    grown = resident_mb() - before
    victim = Victim()
    run(victim, WARM, "warm")
    gc.collect()
    gc.freeze()
    held = resident_mb()
    outcome = run(victim, count // SHARE, "bench")
    swollen = resident_mb() - held
    gc.unfreeze()
    named = ", ".join(f"{many} {name}" for name, many in sorted(foreign.items()))
    return Section(
        f"fuzz: {count:,} mutated frames through the codec, {outcome.frames:,} through a machine, seed bench",
        (
            Figure("exceptions but RemoteError, codec", sum(foreign.values()), "", Goal(0), digits=0, note=named),
            Figure("  refused", refused / count, "%", digits=0, note=f"{read:,} still mean something"),
            Figure("  worst for one", 1e3 * worst, "ms", Goal(WORST_MS), digits=2),
            Figure("  growth of resident memory", grown, "MB", Goal(GROWTH_MB)),
            Figure("exceptions, or other links ended, machine", len(outcome.wrong), "", Goal(0), digits=0),
            Figure("  links that ended", outcome.refused, "", digits=0, note="one for each frame that was refused"),
            Figure("  worst for one", 1e3 * outcome.worst_s, "ms", Goal(WORST_MS), digits=2),
            Figure("  growth of resident memory", swollen, "MB", Goal(GROWTH_MB)),
            Figure(
                "  the model is as it was", float(victim.machine.status().model_hash == victim.model), "",
                Goal(1, at_most=False), digits=0,
            ),
        ),
    )  # fmt: skip


def resident_mb() -> float:
    """What this process holds in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
