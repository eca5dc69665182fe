"""Every hop is broken in a namespace, and named (inside.py). Needs Linux, root, /dev/net/tun and mounts of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gossip.doctor.finding import HOPS

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
INSIDE = 31  # tests in inside.py


def namespace() -> list[str]:
    """The command that runs another in namespaces of its own, or skip."""
    program, options = shutil.which("unshare"), ["-n", "-m"]
    if not program or subprocess.run([program, *options, "true"], capture_output=True).returncode:
        pytest.skip("NOT RUN: no network and mount namespaces can be made here, so no hop was broken")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("NOT RUN: no /dev/net/tun here, so no hop was broken")
    return [program, *options]


def test_each_hop_that_is_broken_is_named() -> None:
    pytest_alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    run = subprocess.run(
        [*namespace(), *pytest_alone, str(ROOT / "tests" / "doctor" / "inside.py")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    counted = dict(re.findall(r"(\d+) (passed|skipped|failed)", run.stdout.splitlines()[-1]))
    assert {word: int(number) for number, word in counted.items()} == {"passed": INSIDE}, run.stdout  # and none skipped


def test_the_documents_table_names_every_hop_and_no_other() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    named = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in text.splitlines() if row.startswith("| `")]
    assert sorted(hop for names in named for hop in names) == sorted(HOPS)
