"""Every hop is broken in a namespace, and named (inside.py). Needs Linux, root, /dev/net/tun and mounts of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]


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
    print(run.stdout.splitlines()[-1])
