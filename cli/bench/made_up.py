"""Rows and models for figures that depend on their sizes alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

COLUMNS: Final = 784  # of handwritten digits
CLASSES: Final = tuple("0123456789")


def mlp(*hidden: int, batch: int = 32, steps: int = 31) -> str:
    """The declaration of a perceptron as wide as these."""
    layers: list[dict[str, Any]] = []
    for units in hidden:
        layers += [{"kind": "dense", "units": units}, {"kind": "relu"}]
    declared = {
        "model": 1, "features": {"kind": "numbers/1", "columns": COLUMNS, "scale": 1 / 255}, "classes": CLASSES,
        "layers": [*layers, {"kind": "dense", "units": len(CLASSES)}], "optimiser": {"kind": "adam", "rate": 0.001},
        "batch": batch, "local_steps": steps,
    }  # fmt: skip
    return json.dumps(declared)


def numbers(folder: Path, rows: int) -> Path:
    """A file of rows that can be told apart: one of ten patterns each, under noise."""
    luck, path = np.random.default_rng(0), folder / "rows.npz"
    labels = luck.integers(0, len(CLASSES), rows)
    patterns = luck.random((len(CLASSES), COLUMNS), np.float32)
    inputs = 128 * patterns[labels] + 127 * luck.random((rows, COLUMNS), np.float32)
    np.savez(path, x=inputs.astype(np.float32), y=labels.astype(str))
    return path


def requests(folder: Path, rows: int) -> Path:
    """A file of labelled requests, as long as real ones are."""
    luck, path = np.random.default_rng(0), folder / "requests.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            label = ("benign", "ad", "tracker")[number % 3]
            word = luck.bytes(40).hex()
            row = {
                "page": f"https://site{number % 97}.example/", "type": "script", "label": label,
                "url": f"https://{label}{number % 53}.example/{word}/{label}.js?id={word[:16]}",
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path
