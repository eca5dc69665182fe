"""The first thing that a training process does: keep to its cores, before anything is imported that starts threads.

numpy starts some as it is imported, as many as there are cores, and a thread keeps the cores that it began with. So
this file imports nothing but os, and the rest of the program afterwards.
"""

from __future__ import annotations

import os


def main(kind: str, cores: str) -> None:
    """Serve as gossip/training/worker.py does: "train" or "check". `cores` are numbers, as in "0,3"; "": any."""
    keep_to([int(core) for core in cores.split(",") if core])
    one_thread()
    from gossip.training import worker

    worker.main(kind == "train")


def one_thread() -> None:
    """Have numpy multiply in one thread, unless the user has said how many. With two, which wait for one another by
    spinning, four peers on two cores took a tenth more processor time until they had learned MNIST-5k."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def keep_to(cores: list[int]) -> None:
    """Leave all other cores alone, in every thread from now on. Systems that cannot be told so choose themselves."""
    if cores and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(0, cores)
        except OSError:  # they were taken away from us meanwhile
            return
