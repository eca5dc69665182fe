"""`gossip model export --format safetensors|js|onnx`: a model for other programs (docs/export.md).

    gossip model export my-swarm --format js --calibrate labelled.jsonl --out model.mjs
    gossip model export --model m.gossip --format safetensors

A snapshot of a swarm is folded again, as for the format of this project (cli/exporting.py), and is uncalibrated until
somebody names labelled rows; an m.gossip brings its calibration. What is in a file is `gossip.exports`' business.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import render
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.exports.outgoing import Outgoing


class Format(StrEnum):
    """Of an exported model."""

    GOSSIP = "gossip"  # can be held against its ledger
    SAFETENSORS = "safetensors"
    JS = "js"
    ONNX = "onnx"


SUFFIXES: Final = {
    Format.GOSSIP: ".gossip-model",
    Format.SAFETENSORS: ".safetensors",
    Format.JS: ".mjs",
    Format.ONNX: ".onnx",
}


def of_file(path: Path) -> Outgoing:
    """The model of a file of either kind. LocalError or RemoteError if it is none."""
    from gossip.exports.outgoing import Outgoing
    from gossip.model_file import is_model_file, read_model_file
    from gossip.scorers import scorer_of_file
    from ledger.export import read_model

    if is_model_file(path):
        found = read_model_file(path)
        return Outgoing(found.spec, found.theta, path.name, found.calibration)
    scorer, header = scorer_of_file(path), read_model(path).header
    peer, seq, _ = header.snapshot
    origin = {
        "swarm": header.swarm, "snapshot": f"{peer}/{seq}", "model_hash": header.model_hash, "updates": header.updates,
    }  # fmt: skip
    return Outgoing(scorer.spec, scorer.theta, path.name, origin=origin)


def calibrated(model: Outgoing, data: Path) -> Outgoing:
    """The same, calibrated by the labelled rows of a file. LocalError if it has none, or the model takes none."""
    from dataclasses import replace

    from cli.scoring import recalibrated
    from gossip.advisor.scorer import Scorer

    scorer = Scorer(model.spec, model.theta, model.calibration, model.name)
    return replace(model, calibration=recalibrated(scorer, data).calibration)


def write(model: Outgoing, kind: Format, out: Path) -> dict[str, Any]:
    """Write the file, and say what it is. LocalError if there is something already, or it cannot be written."""
    data = _bytes(model, kind)
    try:
        with out.open("xb") as file:
            try:
                file.write(data)
            except OSError:
                with suppress(OSError):
                    out.unlink()
                raise
    except OSError as error:
        raise LocalError(
            f"cannot write {out}", why=error.strerror or "", next_step="name a file that does not exist yet with --out"
        ) from None
    facts = {key: value for key, value in model.about.items() if key not in ("declaration", "format")}
    return {
        "file": str(out.resolve()),
        "bytes": len(data),
        "format": kind.value,
        "parameters": model.spec.parameters,
        **facts,
    }


def _bytes(model: Outgoing, kind: Format) -> bytes:
    match kind:
        case Format.SAFETENSORS:
            from gossip.exports.tensors import tensors_file

            return tensors_file(model)
        case Format.ONNX:
            from gossip.exports.graph import graph_file

            return graph_file(model)
        case _:
            from gossip.exports.javascript import module

            return module(model)


def show(facts: dict[str, Any]) -> None:
    """The same for people."""
    count = render.many(facts["parameters"], "parameter")
    render.say(f"wrote    {facts['file']}: {render.size(facts['bytes'])}, {facts['format']}, {count} as float32")
    if "model_hash" in facts:
        render.say(f"model    {facts['model_hash']}")
    render.say(f"weights  {facts['weights_sha256']}")
    if "calibration" in facts:
        fitted = facts["calibration"]
        if fitted["measured"]:
            how = f"precision {fitted['precision']:.1%}, recall {fitted['recall']:.1%}"
            how += f", on {render.many(fitted['rows'], 'held-out row')}"
        else:
            how = "uncalibrated: what that is worth is not known (--calibrate DATA measures it)"
        render.say(f"block    from p_block {render.score(fitted['threshold'])} on: {how}")
