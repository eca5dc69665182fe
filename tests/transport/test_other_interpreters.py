"""The transport tests again, under newer interpreters: aiolibdatachannel installs on CPython 3.12 and later only; and
what stands on libp2p most, where it is installed there.

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
WIDE = (
    "two_neighbours or through_a_relay"  # of tests/wide/test_streams.py: seconds, and nearly all of libp2p that we use
)
TESTS = ["test_links.py", "test_hostile.py", "test_webrtc.py", "test_by_road.py", "test_ice.py"]


def interpreter(version: str) -> str:
    """The one of that version, or skip."""
    variable = f"GOSSIP_PYTHON{version.replace('.', '')}"
    python = os.environ.get(variable)
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        pytest.skip(f"this is Python {version} already")
    if not python:
        pytest.skip(f"NOT RUN: {variable} names no Python {version}, so aiolibdatachannel was not tried on it")
    return python


def has(python: str, module: str) -> tuple[str, bool]:
    """Its version, and whether it has that."""
    code = f"import sys, importlib.util as u; print('%d.%d' % sys.version_info[:2], bool(u.find_spec({module!r})))"
    found, there = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return found, there == "True"


def run(python: str, *words: str) -> str:
    """The last line of pytest's, under that interpreter."""
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("GOSSIP_PYTHON", "PYTEST_"))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_transport_under_a_newer_interpreter(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    python = interpreter(version)
    found, fast = has(python, "aiolibdatachannel")
    assert found == version
    said = run(python, *(str(ROOT / "tests" / "transport" / test) for test in TESTS))
    libraries = "aiortc and aiolibdatachannel" if fast else "aiortc only"
    with capsys.disabled():
        print(f"\ntransport under Python {version} ({libraries}): {said}")


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_libp2p_under_a_newer_interpreter(version: str) -> None:
    python = interpreter(version)
    if not has(python, "libp2p")[1]:
        pytest.skip(f"NOT RUN: Python {version} has no libp2p (make test installs it there, if it can be built)")
    assert "2 passed" in run(python, str(ROOT / "tests" / "wide" / "test_streams.py"), "-k", WIDE)
