"""What an install weighs, of packages that are made up: each is needed once, whatever else lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bench import size
from cli.bench.figures import Section
from cli.bench.sections import SECTIONS, measured

NEEDS = {
    "gossip-swarm": ["alpha>=1", 'Delta ; extra == "peer"', 'absent ; sys_platform == "no" and extra == "peer"'],
    "alpha": ["beta_b[more]"],
    "beta-b": ["alpha", 'gamma ; extra == "more"', 'unasked ; extra == "else"'],
    "gamma": [],
    "delta": ['gamma ; python_version >= "3"'],
    "unasked": [],
}
BYTES = {"gossip-swarm": 1_000, "alpha": 200_000, "beta-b": 30_000, "gamma": 4_000, "delta": 500_000, "unasked": 7}
OURS_BYTES = 60_000


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that these packages are installed in, and an editable checkout of ours."""
    site, checkout = tmp_path / "site", tmp_path / "checkout"
    for name, needs in NEEDS.items():
        module, told = name.replace("-", "_"), site / f"{name.replace('-', '_')}-1.0.dist-info"
        told.mkdir(parents=True)
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            "Version: 1.0",
            *(f"Requires-Dist: {need}" for need in needs),
        ]
        (told / "METADATA").write_text("\n".join(lines) + "\n")
        (told / "RECORD").write_text(f"{module}.py,,\n{module}.py,,\ngone.py,,\n")
        (site / f"{module}.py").write_bytes(bytes(BYTES[name]))
    for room in size.ROOMS:
        (checkout / room / "inner").mkdir(parents=True)
        (checkout / room / "inner" / "code.py").write_bytes(bytes(OURS_BYTES // len(size.ROOMS)))
    monkeypatch.setattr(size, "ROOT", checkout)
    monkeypatch.syspath_prepend(str(site))
    return site


def weighed(section: Section) -> dict[str, float | None]:
    return {figure.name.split()[0]: figure.value for figure in section.figures}


def test_each_package_that_is_needed_counts_once_and_no_other(installed: Path) -> None:
    base = BYTES["gossip-swarm"] + OURS_BYTES + BYTES["alpha"] + BYTES["beta-b"] + BYTES["gamma"]
    section = size.measure()
    assert weighed(section) == {"auditor": base / 1e6, "peer": (base + BYTES["delta"]) / 1e6}
    auditor, peer = section.figures
    assert auditor.note.startswith("4 distributions: alpha 0.2")
    assert peer.note.startswith("5 distributions: delta 0.5")
    assert auditor.met is peer.met is True


def test_what_is_not_installed_is_named_and_nothing_is_claimed(installed: Path) -> None:
    (installed / "delta-1.0.dist-info").rename(installed / "elsewhere")
    auditor, peer = size.measure().figures
    assert auditor.value is not None
    assert (peer.value, peer.note) == (None, "not installed here: delta")


def test_the_section_is_one_of_those_of_the_command(installed: Path) -> None:
    lines: list[str] = []
    document = measured(SECTIONS, ["size"], quick=True, command="gossip bench --only size", tell=lines.append)
    assert [row["goal"] for row in document["figures"]] == [{"at_most": 60}, {"at_most": 860}]
    assert any("auditor (gossip-swarm)" in line for line in lines)
