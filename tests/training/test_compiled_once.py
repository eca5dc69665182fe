"""A start compiles nothing that an earlier one has compiled: not the round, nor what rounds of other lengths need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.training.small import MODEL

# What a training process does from its start to rounds of several lengths, and what jax counts meanwhile.
STARTS = """
import json, sys
from collections import Counter
from pathlib import Path
import numpy as np
from jax import monitoring
from gossip.training.blocks import Numbers, NumberSpool, Sampler
from gossip.training.learner import Learner
from gossip.training.spec import ModelSpec

counted = Counter()
monitoring.register_event_listener(lambda event, **_: counted.update([event]))
spec = ModelSpec.parse(sys.argv[1])
learner = Learner(spec, cache=Path(sys.argv[2]))
spool = NumberSpool(None, 4)
spool.append(Numbers(np.ones((64, 4), np.float32), np.zeros(64, np.uint8)))
sampler = Sampler(spool, width=0, padding=0, seed=1)
learner.compile(sampler)
theta = np.zeros(spec.parameters, np.float32)
for steps in (4, 7, 3, 4, 19, 1):
    if not learner.is_ready(steps):
        learner.prepare(theta, learner.sample(sampler, steps))
    before = counted["/jax/compilation_cache/compile_requests_use_cache"]
    learner.round(theta, learner.sample(sampler, steps))
    assert counted["/jax/compilation_cache/compile_requests_use_cache"] == before, "a round compiled something"
spool.close()
print(json.dumps(counted))
"""


def started(cache: Path) -> Counter[str]:
    done = subprocess.run(
        [sys.executable, "-c", STARTS, MODEL, str(cache)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    return Counter({name.rpartition("/")[2]: count for name, count in json.loads(done.stdout).items()})


def test_the_second_start_finds_all_on_disk(tmp_path: Path) -> None:
    first, second = started(tmp_path), started(tmp_path)
    asked = first["compile_requests_use_cache"]
    assert first["cache_hits"] == 0
    assert 3 <= asked <= 4  # the round; its beginning and a stretch, whatever the lengths are; maybe a copy
    assert (second["compile_requests_use_cache"], second["cache_hits"]) == (asked, asked)
    assert second["cache_misses"] == 0
