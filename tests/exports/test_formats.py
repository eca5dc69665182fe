"""Models for other programs, read by those programs' own libraries."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from gossip.advisor.scorer import Scorer
from gossip.exports.graph import graph_file
from gossip.exports.outgoing import Outgoing
from gossip.exports.tensors import tensors_file
from gossip.training.blocks import Numbers
from gossip.training.rows import bags_of
from gossip.training.scoring import logits_of, probabilities
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError
from tests.exports import js_vectors
from tests.training.test_spec import OWN

SWARM = {"swarm": "ab" * 32, "snapshot": "cd" * 32 + "/87", "model_hash": "ef" * 32, "final": True, "updates": 212}


def of(package: str) -> Any:
    return pytest.importorskip(package, reason=f"NOT RUN: {package} is not installed (an extra)")


@pytest.mark.parametrize("name", js_vectors.MODELS)
def test_safetensors_has_every_tensor_and_says_where_it_is_from(name: str) -> None:
    load = of("safetensors.numpy").load
    model = replace(js_vectors.MODELS[name], origin=SWARM)
    data = tensors_file(model)
    tensors = load(data)
    assert {key: value.shape for key, value in tensors.items()} == {
        tensor.name: tuple(tensor.shape) for tensor in model.spec.layout()
    }
    flat = np.concatenate([tensors[tensor.name].ravel() for tensor in model.spec.layout()])
    assert flat.tobytes() == model.theta.tobytes()
    about = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["gossip"])
    assert about == model.about
    assert {key: about[key] for key in SWARM} == SWARM
    assert about["calibration"]["threshold"] == 0.5
    assert ModelSpec.parse(json.dumps(about["declaration"])) == model.spec
    assert about["weights_sha256"] == sha256(flat.astype("<f4").tobytes()).hexdigest()
    assert tensors_file(model) == data


@pytest.mark.parametrize("name", js_vectors.MODELS)
def test_onnxruntime_scores_as_the_scorer_does(name: str) -> None:
    of("onnx")
    model = js_vectors.MODELS[name]
    rows = [row for _, row in js_vectors.sightings()]
    bags = bags_of(model.spec, rows)
    logits, p, about = answers(
        graph_file(model),
        grams=bags.tokens.astype(np.int64), marks=bags.marks.astype(np.int64),
        rows=np.repeat(np.arange(len(rows)), np.diff(bags.offsets)),
    )  # fmt: skip
    np.testing.assert_allclose(logits, logits_of(model.spec, model.theta, bags), atol=1e-5)
    wanted = Scorer(model.spec, model.theta, model.calibration, "").score(rows)
    np.testing.assert_allclose(p, wanted, atol=2e-6)
    assert wanted[:, 2].max() - wanted[:, 2].min() > 0.1
    assert about == model.about
    assert graph_file(model) == graph_file(model)


def test_a_model_of_tables_goes_out_as_well_without_what_only_requests_have() -> None:
    of("onnx")
    spec = ModelSpec.parse(OWN)
    luck = np.random.default_rng(1)
    model = Outgoing(spec, luck.normal(size=spec.parameters).astype(np.float32), "digits")
    inputs = luck.normal(size=(9, 64)).astype(np.float32)
    assert "calibration" not in model.about
    logits, about = answers(graph_file(model), inputs=inputs)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    features = spec.features
    seen = Numbers(((inputs - features.shift) * features.scale).astype(np.float32), np.zeros(9, np.uint8))  # type: ignore[union-attr]
    wanted = probabilities(spec, model.theta, seen)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), wanted, atol=1e-5)
    assert about == model.about


def answers(graph: bytes, **inputs: np.ndarray) -> list[Any]:
    """Every output, and what the file says of itself."""
    session = of("onnxruntime").InferenceSession(graph, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["gossip"])
    return [*session.run(None, inputs), about]


@pytest.mark.parametrize("kind", [tensors_file, graph_file])
def test_who_lacks_the_library_is_told_which(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("safetensors.numpy", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LocalError, match="is not installed") as told:
        kind(js_vectors.MODELS["deep"])
    assert "gossip-swarm[" in str(told.value.next_step)
