"""A model as an ONNX graph: n-grams and marks in, calibrated probabilities out.

    grams (n,) int64, rows (n,) int64, marks (m, k) int64 --> logits (m, classes), and for requests p (m, 3)

`grams` are the buckets of all n-grams of all requests, `rows` says which request each belongs to, `marks` has a line
for each request. Hashing strings is no business of ONNX: gossip/filterlists/features.py gives those arrays, or `grams`
and `marks` of the JavaScript scorer. Other models take `inputs` (m, columns) as they are in the rows.

Made with the `onnx` package alone, not with jax2onnx: the forward pass is a dozen operators, what traces jax would
bring jax into a room that has none, and its graph would hold a batch of one size. Opset 18 (additions in ScatterND).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gossip.exports.outgoing import SCORED, Outgoing
from gossip.training.scoring import MARK_SCALE
from gossip.training.spec import Dense, EmbeddingBag, Numbers, Relu, Tanh
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.training.calibration import Line

OPSET: Final = 18
IR_VERSION: Final = 10  # which every onnxruntime from 1.18 on reads


class _Graph:
    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, kind: type = np.float32) -> str:
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def add(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        out = out or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, list(inputs), [out], **attributes))
        return out


def graph_file(model: Outgoing) -> bytes:
    """The whole file. LocalError if the library is not installed."""
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise LocalError(
            "onnx is not installed", next_step="install it with: pip install 'gossip-swarm[onnx]'"
        ) from None
    graph, make, kinds = _Graph(onnx), onnx.helper.make_tensor_value_info, onnx.TensorProto
    if isinstance(model.spec.features, Numbers):
        inputs = [make("inputs", kinds.FLOAT, ["requests", model.spec.features.columns])]
        graph.constant("shift", model.spec.features.shift)
        graph.constant("scale", model.spec.features.scale)
        first = graph.add("Mul", graph.add("Sub", "inputs", "shift"), "scale")
    else:
        inputs = [
            make("grams", kinds.INT64, ["grams"]), make("rows", kinds.INT64, ["grams"]),
            make("marks", kinds.INT64, ["requests", None]),
        ]  # fmt: skip
        first = ""
    outputs = [make("logits", kinds.FLOAT, ["requests", len(model.spec.classes)])]
    logits = graph.add("Identity", _layers(graph, model, first), out="logits")
    if model.scores_requests:
        _calibrated(graph, model, logits)
        outputs.append(make("p", kinds.FLOAT, ["requests", 3]))
    built = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "gossip", inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="gossip",
    )  # fmt: skip
    onnx.helper.set_model_props(built, {"gossip": json.dumps(model.about, sort_keys=True, separators=(",", ":"))})
    onnx.checker.check_model(built)
    return bytes(built.SerializeToString(deterministic=True))


def _layers(graph: _Graph, model: Outgoing, hidden: str) -> str:
    tensors = iter(model.tensors.items())
    for layer in model.spec.layers:
        match layer:
            case EmbeddingBag():
                hidden = _bags(graph, graph.constant(*next(tensors)), layer.units)
            case Dense():
                weight, bias = graph.constant(*next(tensors)), graph.constant(*next(tensors))
                hidden = graph.add("Gemm", hidden, weight, bias)
            case Relu():
                hidden = graph.add("Relu", hidden)
            case Tanh():
                hidden = graph.add("Tanh", hidden)
    return hidden


def _bags(graph: _Graph, table: str, units: int) -> str:
    """Of each request the sum of its n-grams' rows over the root of their number, and half of each mark's."""
    graph.constant("first", [0], np.int64)
    graph.constant("last", [1], np.int64)
    graph.constant("units", [units], np.int64)
    graph.constant("one", [1], np.int64)
    requests = graph.add("Slice", graph.add("Shape", "marks"), "first", "last")
    zero = graph.add("ConstantOfShape", graph.add("Concat", requests, "units", axis=0))
    none = graph.add("ConstantOfShape", graph.add("Concat", requests, "one", axis=0))
    places = graph.add("Unsqueeze", "rows", "one")
    sums = graph.add("ScatterND", zero, places, graph.add("Gather", table, "grams"), reduction="add")
    graph.constant("single", 1.0)
    ones = graph.add("Expand", "single", graph.add("Concat", graph.add("Shape", "grams"), "one", axis=0))
    counts = graph.add("ScatterND", none, places, ones, reduction="add")
    means = graph.add("Div", sums, graph.add("Sqrt", graph.add("Max", counts, "single")))
    graph.constant("half", MARK_SCALE)
    few = graph.add("ReduceSum", graph.add("Gather", table, "marks"), "one", keepdims=0)
    return graph.add("Add", means, graph.add("Mul", few, "half"))


def _calibrated(graph: _Graph, model: Outgoing, logits: str) -> None:
    """gossip/training/calibration.py: p is p_ad, p_tracker, p_block."""
    for name in SCORED:
        graph.constant(f"at_{name}", [model.spec.classes.index(name)], np.int64)
    benign, ad, tracker = (graph.add("Gather", logits, f"at_{name}", axis=1) for name in SCORED)
    either = graph.add("ReduceLogSumExp", graph.add("Concat", ad, tracker, axis=1), "one", keepdims=1)
    p_block = _line(graph, "block", model.calibration.block, graph.add("Sub", either, benign))
    kind = _line(graph, "kind", model.calibration.kind, graph.add("Sub", ad, tracker))
    p_ad = graph.add("Mul", p_block, kind)
    graph.add("Concat", p_ad, graph.add("Sub", p_block, p_ad), p_block, out="p", axis=1)


def _line(graph: _Graph, name: str, line: Line, log_odds: str) -> str:
    graph.constant(f"{name}_scale", line.scale)
    graph.constant(f"{name}_offset", line.offset)
    return graph.add("Sigmoid", graph.add("Add", graph.add("Mul", log_odds, f"{name}_scale"), f"{name}_offset"))
