"""A model as one ES module: the scorer of scorer.mjs, and behind it the model in three constants.

    export const about = {..};              what Outgoing says, for people and programs
    const MODEL = {"buckets": 16384, "reserved": 512, "context": true, "layers": [..], "shapes": [[16384, 3]],
                   "order": [0, 1, 2], "weights": "base64"};
    const SUFFIXES = "..";                  the public suffixes, so that a domain is here what it was in training

One file, because an extension and a worker can import one without fetching anything, and no path can be wrong; base64
costs a third of the weights. The suffixes are embedded (60 KB) and not asked for: a model was trained on domains by
this list, and a site that is "third-party" there and not here would be another request. JSON is escaped so that the
file may stand in a page. The same model gives the same bytes.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from importlib.resources import files
from typing import Any

from gossip.exports.outgoing import SCORED, Outgoing
from gossip.filterlists import features, marks
from gossip.filterlists.split import suffix_rules
from gossip.training.spec import Dense, EmbeddingBag, UrlGrams


def module(model: Outgoing) -> bytes:
    """The whole file. LocalError if the model does not score requests."""
    model.require_requests("JavaScript")
    assert isinstance(model.spec.features, UrlGrams)
    in_context = model.spec.feature_spec == "url-grams/2"
    constants = {
        "buckets": model.spec.features.buckets,
        "reserved": marks.RESERVED if in_context else features.MARK_BUCKETS,
        "context": in_context,
        "layers": [_layer(layer) for layer in model.spec.layers],
        "shapes": [tensor.shape for tensor in model.spec.layout()],
        "order": [model.spec.classes.index(name) for name in SCORED],
        "weights": base64.b64encode(model.values).decode(),
    }
    code = files("gossip.exports").joinpath("scorer.mjs").read_text("utf-8")
    return (
        f"{code}export const about = {_literal(model.about)};\n"
        f"const MODEL = {_literal(constants)};\n"
        f"const SUFFIXES = {_literal(suffix_table())};\n"
    ).encode()


def suffix_table() -> str:
    """A line for each top label, what stands before it in its rules behind "=": "uk=,co,gov,*.sch". The empty one is
    the label itself. Rules with other letters than ASCII's stand in it twice, as people and as browsers write them."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule in suffix_rules():
        for spelled in {rule, _ascii(rule)}:
            before, _, top = spelled.rpartition(".")
            found[top].add(before)
    return "\n".join(f"{top}={','.join(sorted(rules))}" for top, rules in sorted(found.items()))


def _ascii(rule: str) -> str:
    labels = rule.split(".")
    return ".".join(label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in labels)


def _layer(layer: object) -> dict[str, Any]:
    kind = str(type(layer).__struct_config__.tag)  # type: ignore[attr-defined]
    return {"kind": kind, "units": layer.units} if isinstance(layer, EmbeddingBag | Dense) else {"kind": kind}


def _literal(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return text.replace("</", "<\\/").replace("<!--", "<\\u0021--")
