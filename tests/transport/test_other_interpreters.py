"""The transport tests again, under newer interpreters: aiolibdatachannel installs on CPython 3.12 and later only.

GOSSIP_PYTHON312 and GOSSIP_PYTHON313 name interpreters that have the transport's packages (`make test` makes and
names them where it finds such a Python).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
# These touch the WebRTC libraries; the others pass or fail alike on every interpreter.
TESTS = ["test_links.py", "test_hostile.py", "test_webrtc.py"]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_transport_under_a_newer_interpreter(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    variable = f"GOSSIP_PYTHON{version.replace('.', '')}"
    python = os.environ.get(variable)
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        pytest.skip(f"this is Python {version} already")
    if not python:
        pytest.skip(f"NOT RUN: {variable} names no Python {version}, so aiolibdatachannel was not tried on it")
    code = (
        "import sys, importlib.util as u; print('%d.%d' % sys.version_info[:2], bool(u.find_spec('aiolibdatachannel')))"
    )
    found, fast = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == version
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        + [str(ROOT / "tests" / "transport" / test) for test in TESTS],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("GOSSIP_PYTHON", "PYTEST_"))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    libraries = "aiortc and aiolibdatachannel" if fast == "True" else "aiortc only"
    with capsys.disabled():
        print(f"\ntransport under Python {version} ({libraries}): {run.stdout.splitlines()[-1]}")
