"""What was compiled for one swarm is found by a peer of another with the same model, wherever it lies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.children import own_environment

MODEL = """{"model": 1, "features": {"kind": "numbers/1", "columns": 3}, "classes": ["a", "b"],
 "layers": [{"kind": "dense", "units": 2}], "loss": "softmax", "optimiser": {"kind": "sgd", "rate": 0.1},
 "batch": 2, "local_steps": 2, "density": 0.5, "eta": 1.0, "norm0": 1.0}"""
ROUND = """if True:
    import sys
    from pathlib import Path
    import numpy as np
    from gossip.training.learner import Learner
    from gossip.training.spec import ModelSpec
    spec = ModelSpec.parse(sys.argv[2])
    batches = np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.int32)
    Learner(spec, cache=Path(sys.argv[1])).round(np.zeros(spec.parameters, np.float32), batches)
"""


def compiled(place: Path) -> dict[str, int]:
    """Names in a cache, and when each was written."""
    subprocess.run([sys.executable, "-c", ROUND, str(place), MODEL], env=own_environment(), check=True)
    return {file.name: file.stat().st_mtime_ns for file in place.iterdir()}


@pytest.mark.e2e
def test_a_program_is_found_again_in_another_folder(tmp_path: Path) -> None:
    first = compiled(tmp_path / "first")
    assert len(first) == 1
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    assert compiled(tmp_path / "second") == first  # the same name, and nothing was written anew
