"""A declaration is data: read strictly, complained about precisely, spelt one way."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossip.merging.codec import encode_update
from gossip.training.spec import BUILTIN, FILTERLIST, MAX_TEXT_BYTES, ModelSpec
from ledger.errors import LocalError

OWN = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text("utf-8")


def changed(text: str, **fields: Any) -> str:
    return json.dumps({**json.loads(text), **fields})


@pytest.mark.parametrize("text", [*BUILTIN.values(), OWN])
def test_every_shipped_declaration_has_one_spelling(text: str) -> None:
    spec = ModelSpec.parse(text)
    assert ModelSpec.parse(spec.text) == spec
    assert ModelSpec.parse(spec.text).text == spec.text
    assert "\n" not in spec.text


def test_who_declares_no_eta_gets_the_measured_one_and_genesis_says_so() -> None:
    """Measured in docs/adr/0006-defaults-of-the-fold.md; of what is already in a genesis nothing changes."""
    silent = json.dumps({name: value for name, value in json.loads(OWN).items() if name != "eta"})
    spec = ModelSpec.parse(silent)
    assert spec.eta == 1.5
    assert json.loads(spec.text)["eta"] == 1.5
    assert ModelSpec.parse(changed(OWN, eta=1.0)).eta == 1.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "truncated"),
        ("[]", "expected `object`"),
        (changed(FILTERLIST, model=2), "`model`"),
        (changed(FILTERLIST, lerning_rate=1), "unknown field `lerning_rate`"),
        (changed(FILTERLIST, optimiser={"kind": "adam", "rate": 0}), "`optimiser.rate`"),
        (changed(FILTERLIST, optimiser={"kind": "lion", "rate": 1}), "`optimiser.kind`"),
        (changed(FILTERLIST, batch="many"), "`batch`: expected `int`"),
        (changed(FILTERLIST, batch=0), "`batch`"),
        (changed(FILTERLIST, local_steps=10**9), "`local_steps`"),
        (changed(FILTERLIST, validation_share=1.0), "`validation_share`"),
        (changed(FILTERLIST, classes=["benign", "ad", "ad"]), "listed twice"),
        (changed(FILTERLIST, negative="good"), "not one of the classes"),
        (changed(FILTERLIST, classes=["benign", "ad"]), "one unit for each of the 2 classes"),
        (changed(FILTERLIST, layers=[{"kind": "dense", "units": 3}]), "first layer"),
        (changed(FILTERLIST, layers=[{"kind": "embedding_bag", "units": 3, "buckets": 4096}]), "65536 buckets"),
        (changed(OWN, layers=[{"kind": "embedding_bag", "units": 10}]), "needs url-grams"),
        (changed(OWN, layers=[{"kind": "dense", "units": 10}, {"kind": "relu"}]), "last layer"),
        (changed(OWN, density=0), "`density`"),
        (changed(OWN, eta=0.01), "`eta`"),
        (changed(OWN, norm0=1e-9), "`norm0`"),
        (
            changed(OWN, layers=[{"kind": "dense", "units": 1 << 16}] * 2 + [{"kind": "dense", "units": 10}]),
            "parameters",
        ),
        (" " * (MAX_TEXT_BYTES + 1), "longer than"),
        ('{"model":1,"layers":[{"kind":' + "[" * 14_000, "recursion"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(LocalError) as caught:
        ModelSpec.parse(text)
    assert complaint in str(caught.value)
    assert "gossip model check" in caught.value.next_step


def test_the_layout_holds_every_parameter_and_only_deep_models_start_at_random() -> None:
    flat, deep = ModelSpec.parse(FILTERLIST), ModelSpec.parse(OWN)
    assert [(t.name, t.shape, t.bound) for t in flat.layout()] == [("0.table", [65536, 3], 0)]
    assert [t.name for t in deep.layout()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [t.bound > 0 for t in deep.layout()] == [True, False, True, False]
    assert deep.layout()[0].bound == math.floor(math.sqrt(6 / 96) * 2**24)
    assert deep.parameters == 64 * 32 + 32 + 32 * 10 + 10


def test_the_size_of_an_update_is_foretold() -> None:
    spec = ModelSpec.parse(FILTERLIST)
    report = spec.check()
    luck = np.random.default_rng(0)
    blob, _ = encode_update(luck.standard_normal(spec.parameters, np.float32), spec.density)
    assert abs(report.update_bytes - len(blob)) < 0.02 * len(blob)
    assert report.float32_bytes >= 50 * len(blob)
    assert sum(row.parameters for row in report.rows) == report.parameters == 196_608


def test_reading_a_declaration_loads_neither_numpy_nor_jax() -> None:
    code = "import sys; from gossip.training.spec import *; ModelSpec.parse(FILTERLIST).layout(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "jax", "optax", "asyncio"} & set(loaded)
