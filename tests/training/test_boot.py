"""What a training process does before anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import os
from gossip.training import boot
{first}
import numpy
print(len(os.listdir("/proc/self/task")))
"""


def threads(first: str, **environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(first=first)], capture_output=True, text=True, check=True, env=environment,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="NOT RUN: threads are counted on Linux alone")
def test_numpy_starts_no_thread_of_its_own_unless_its_user_wants_some() -> None:
    assert threads("boot.one_thread()") == 1
    assert threads("boot.one_thread()", OPENBLAS_NUM_THREADS="2") == threads("pass", OPENBLAS_NUM_THREADS="2")


def test_a_training_process_begins_so() -> None:
    source = (Path(__file__).resolve().parents[2] / "gossip" / "training" / "boot.py").read_text()
    body = source[source.index("def main(") : source.index("def one_thread(")]
    assert 0 < body.index("one_thread()") < body.index("import worker")
