"""`gossip model export --format ...`: a swarm's model, or a file's, for other programs, and what is said of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cli import exits
from gossip.advisor.scorer import Scorer
from gossip.filterlists.sighting import Sighting
from gossip.model_file import ModelFile, Trained, write_model_file
from gossip.training.calibration import Calibration, Line
from ledger.export import read_model
from tests.cli.own_peer import SPEC, OwnPeer, own_peer
from tests.cli.test_ledger import facts, gossip

NODE = shutil.which("node")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPeer]:
    with pytest.MonkeyPatch.context() as patch:
        yield own_peer(tmp_path_factory.mktemp("own"), patch)


def about(path: Path) -> dict[str, Any]:
    """What a file says of itself, read without this project."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return dict(json.loads(header["__metadata__"]["gossip"]))
    line = data.split(b"export const about = ")[1].split(b";\n")[0]
    return dict(json.loads(line))


def test_a_snapshot_leaves_as_safetensors_with_the_weights_that_the_ledger_gives(peer: OwnPeer, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="NOT RUN: safetensors is not installed (an extra)")
    own, out = tmp_path / "model.gossip-model", tmp_path / "model.safetensors"
    kept = facts("model", "export", str(peer.place), "--out", str(own))
    told = facts("model", "export", str(peer.place), "--format", "safetensors", "--out", str(out))
    said = about(out)
    assert told["weights_sha256"] == said["weights_sha256"] == sha256(read_model(own).values).hexdigest()
    assert {key: said[key] for key in ("swarm", "model_hash", "updates", "final")} == {
        key: kept[key] for key in ("swarm", "model_hash", "updates", "final")
    }
    assert said["snapshot"] == f"{kept['log']}/{kept['seq']}"
    assert said["declaration"] == json.loads(SPEC.text)
    assert told["calibration"]["measured"] is False
    again = facts(
        "model", "export", "--model", str(own), "--format", "safetensors", "--out", str(tmp_path / "b.safetensors")
    )
    assert {**again, "final": False, "name": told["name"], "file": told["file"], "bytes": told["bytes"]} == told


def test_labelled_rows_calibrate_what_leaves_and_javascript_scores_by_that(peer: OwnPeer, tmp_path: Path) -> None:
    plain = gossip("model", "export", str(peer.place), "--format", "js", "--out", str(tmp_path / "plain.mjs"))
    assert "uncalibrated: what that is worth is not known (--calibrate DATA measures it)" in plain
    out = tmp_path / "model.mjs"
    told = gossip(
        "model", "export", str(peer.place), "--format", "js", "--calibrate", str(peer.data), "--out", str(out)
    )
    fitted = about(out)["calibration"]
    assert fitted["measured"]
    assert f"precision {fitted['precision']:.1%}" in told
    gossip("model", "export", str(peer.place), "--out", str(tmp_path / "m"))
    theta = np.frombuffer(read_model(tmp_path / "m").values, "<f4")
    scorer = Scorer(SPEC, theta, Calibration.parse(msgspec.json.encode(fitted)), "")
    lines = map(json.loads, peer.data.read_text().splitlines())
    rows = [Sighting(url=row["url"], page=row["page"], type=row["type"]) for row in lines]
    wanted = scorer.judge(rows)
    assert {row.block for row in wanted} == {True, False}
    if NODE is None:
        pytest.skip("NOT RUN to its end: no node is installed, so no JavaScript was run")
    (tmp_path / "score.mjs").write_text(
        'import { score } from "./model.mjs"; import { readFileSync } from "node:fs";\n'
        'const rows = readFileSync(process.argv[2], "utf-8").trim().split("\\n").map((line) => JSON.parse(line));\n'
        "console.log(JSON.stringify(rows.map(({ url, page, type }) => score({ url, page, type }))));\n"
    )
    done = subprocess.run([NODE, tmp_path / "score.mjs", peer.data], capture_output=True, text=True, check=True)
    for said, row in zip(json.loads(done.stdout), wanted, strict=True):
        assert said["block"] == row.block
        assert [said["p_ad"], said["p_tracker"], said["p_block"]] == pytest.approx(
            [row.p_ad, row.p_tracker, row.p_block], abs=1e-6
        )


def test_a_model_trained_alone_brings_its_calibration(peer: OwnPeer, tmp_path: Path) -> None:
    fitted = Calibration(block=Line(scale=1.25, offset=-0.5), threshold=0.75, precision=0.99, recall=0.5, measured=True)
    trained = Trained(
        sources=[], lists=[], labels={"ad": 1}, held_out=0, rounds=1, seed=0, generator="gossip/0", suffixes=""
    )
    alone = peer.alone.astype(np.float32)
    write_model_file(tmp_path / "m.gossip", ModelFile(SPEC, alone, fitted, trained))
    told = facts(
        "model", "export", "--model", str(tmp_path / "m.gossip"), "--format", "js", "--out", str(tmp_path / "x.mjs")
    )
    assert told["calibration"] == msgspec.to_builtins(fitted)
    assert told["weights_sha256"] == sha256(alone.tobytes()).hexdigest()
    assert not {"swarm", "model_hash", "snapshot"} & set(told)
    assert about(tmp_path / "x.mjs")["name"] == "m.gossip"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "FILE"), "--model goes with another format"),
        (("--calibrate", "DATA"), "--calibrate goes with another format"),
        (("PEER", "--model", "FILE", "--format", "js"), "name two models"),
        (("--model", "FILE", "--format", "js", "--final"), "name two models"),
        (("PEER", "--format", "js", "--out", "FILE"), "name a file that does not exist yet"),
        (("PEER", "--format", "js", "--calibrate", "FILE"), "nothing to"),
        (("PEER", "--format", "js", "--snapshot", "birch/0"), "is no snapshot"),
        (("--model", "DATA", "--format", "js"), "this is no model to score with"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line_and_nothing_is_written(
    peer: OwnPeer, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_bytes(b"something else\n")
    known = {"FILE": str(tmp_path / "file"), "DATA": str(peer.data), "PEER": str(peer.place)}
    out = () if "--out" in words else ("--out", str(tmp_path / "new"))
    told = gossip("model", "export", *(known.get(word, word) for word in words), *out, code=exits.USAGE)
    assert said in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
