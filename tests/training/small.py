"""A table that one of four columns separates, of any length, and a model that learns it in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

MODEL = """{"model":1,"features":{"kind":"numbers/1","columns":4},"classes":["a","b"],"validation_share":0.1,
"layers":[{"kind":"dense","units":2}],"optimiser":{"kind":"sgd","rate":1.0},"batch":32,"local_steps":4}"""


def table(path: Path, rows: int, seed: int = 7) -> Path:
    luck = np.random.default_rng(seed)
    inputs = luck.normal(size=(rows, 4))
    lines = [",".join([*(f"{x:.4f}" for x in row), "a" if row[0] > 0 else "b"]) for row in inputs]
    path.write_text("\n".join(["w,x,y,z,label", *lines]) + "\n")
    return path
