"""libp2p is installed as far as that goes (.ci/wide): where it does not, a loud line says so and all else goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / ".ci" / "wide"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="a source distribution has no .ci")
BUILD = """Building wheel for fastecdsa did not run successfully.
error: subprocess-exited-with-error
src/curveMath.h:4:10: fatal error: gmp.h: No such file or directory
ERROR: Failed building wheel for fastecdsa"""


class Place:
    """An environment whose pip does as it is told, and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._count, self._said = folder, folder / "asked", folder / "says"
        (folder / "bin").mkdir()
        pip = folder / "bin" / "pip"
        pip.write_text(
            f'#!/bin/sh\necho "$@" >>{self._count}\n[ ! -e {self._said} ] || {{ cat {self._said}; exit 1; }}\n'
        )
        pip.chmod(0o755)

    def fails_with(self, text: str) -> None:
        self._said.write_text(text)

    def heals(self) -> None:
        self._said.unlink()

    @property
    def asked(self) -> list[str]:
        return self._count.read_text().splitlines() if self._count.exists() else []

    def run(self, *words: str, compiler: str = "cc") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, self.folder, *words], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "CC": compiler}
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_is_installed_once_from_its_lock_with_hashes(place: Place) -> None:
    for _ in range(2):
        done = place.run()
        assert (done.returncode, done.stderr) == (0, "")
    (asked,) = place.asked
    assert "--require-hashes -r .ci/wide.lock" in asked


def test_what_cannot_be_built_is_said_each_time_tried_once_and_stops_nothing(place: Place) -> None:
    place.fails_with(BUILD)
    for _ in range(3):
        done = place.run(compiler="/nowhere/cc")
        assert done.returncode == 0
        (loud,) = done.stderr.splitlines()
        assert "tests/wide will be SKIPPED" in loud
        assert "no C compiler" in loud
        assert "gmp.h: No such file" in loud
    assert len(place.asked) == 1


def test_whoever_asks_again_learns_whether_it_worked(place: Place) -> None:
    place.fails_with("ERROR: No matching distribution found for libp2p")
    assert place.run().returncode == 0
    again = place.run("again")
    assert again.returncode == 1
    assert "No matching distribution" in again.stderr
    place.heals()
    assert place.run().returncode == 0, "no new lock, and nobody asks again: as before"
    assert len(place.asked) == 2
    assert (place.run("again").returncode, place.run().stderr) == (0, "")
    assert len(place.asked) == 3


def test_what_is_locked_for_it_is_what_a_peer_has_already() -> None:
    """Installed one after the other into one environment, no lock may move what another pinned."""
    pinned: dict[str, set[str]] = {}
    for name in ("peer", "dev", "wide", "transport"):
        for row in (ROOT / ".ci" / f"{name}.lock").read_text("utf-8").splitlines():
            if "==" in row:
                package, _, rest = row.partition("==")
                version, _, marker = rest.removesuffix("\\").strip().partition(" ; ")
                pinned.setdefault(f"{package} {marker}", set()).add(version)
    assert {package: versions for package, versions in pinned.items() if len(versions) > 1} == {}
    assert any(package.startswith("libp2p ") for package in pinned)
