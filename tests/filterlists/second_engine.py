"""A second filter engine, @ghostery/adblocker (MPL-2.0), through node: installed by `npm ci` from the lock file in
tests/node_engine, once for this machine, into the folder for temporary files. Never shipped, never imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

HERE: Final = Path(__file__).resolve().parents[1] / "node_engine"
MODULE: Final = "node_modules/@ghostery/adblocker/dist/esm/index.js"
INSTALL_S: Final = 300
ASK_S: Final = 600


def installed() -> Path:
    """The folder that it lies in. Skips the test, and says why, where there is no node or no registry."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("NOT RUN: no second engine (node and npm are not installed)")
    digest = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"gossip-second-engine-{os.getuid()}-{digest}"
    if (place / MODULE).is_file() and place.stat().st_uid == os.getuid():
        return place
    with tempfile.TemporaryDirectory(prefix="gossip-second-engine-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"NOT RUN: no second engine (npm ci took more than {INSTALL_S} s)")
        if done.returncode:
            pytest.skip(f"NOT RUN: no second engine (npm ci failed: {done.stderr.strip()[-300:]})")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place)
    return place


def ask(
    lists: Sequence[str], requests: Sequence[tuple[str, str, str]], rules: Sequence[str] = ()
) -> tuple[list[dict[int, tuple[bool, str]]], list[bool]]:
    """Of each list by request whether it blocks, and the rule; of each rule whether it is read at all."""
    asked = {
        "module": (installed() / MODULE).as_uri(), "lists": list(lists), "requests": list(requests),
        "rules": list(rules),
    }  # fmt: skip
    done = subprocess.run(
        ["node", str(HERE / "match.mjs")], input=json.dumps(asked), capture_output=True, text=True, timeout=ASK_S,
        check=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return [{index: (blocks, rule) for index, blocks, rule, _ in hits} for hits in answer["hits"]], answer["read"]
