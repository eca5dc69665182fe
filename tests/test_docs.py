"""What the pages say exists: commands, files, status fields."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.app import app
from cli.later import whole
from gossip.node.report import report

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def commands() -> list[str]:
    names = []
    for name, command in whole(app).commands.items():
        below = getattr(command, "commands", {})
        names += [f"{name} {child}" for child in below] or [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    text = "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")
    assert f"gossip {command}" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_status_field_is_documented() -> None:
    fields = report(
        meta={},
        started_at=0.0,
        phase="",
        address="",
        transport="",
        duty_percent=100,
        peer=None,
        learning=None,
        pool=None,
    )
    listed = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "status.md").read_text()))
    assert set(fields) <= listed


def targets() -> list[str]:
    (named,) = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return sorted({*named.split()} - {"clean", "setup"})


@pytest.mark.parametrize("target", targets())
def test_every_make_target_is_made_of_something_listed_and_documented(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}: .*\n", makefile, re.MULTILINE)
    assert f'@echo "make {target} ' in makefile
    assert any(f"make {target}" in page.read_text() for page in PAGES if page.name != "CHANGELOG.md")


def test_the_soak_has_a_quick_form_that_its_program_knows() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (program,) = re.findall(r"^soak: .*\n\t@\$\(BIN\)/python -m (\S+) \$\(ARGS\)$", makefile, re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--quick" in shown.stdout
    for page in (ROOT / "README.md", ROOT / "docs" / "benchmarks.md"):
        assert re.search(r"make soak.*ARGS=--quick", page.read_text(), re.DOTALL)


def proofs() -> list[str]:
    """The files that SECURITY.md has one run, and the tests that it calls controls."""
    text = (ROOT / "SECURITY.md").read_text()
    return sorted({*re.findall(r"tests/[\w/]+(?:\.py)?", text), *re.findall(r"`(test_\w+)`", text)})


@pytest.mark.parametrize("proof", proofs())
def test_what_is_promised_is_proven_by_what_exists(proof: str) -> None:
    if proof.startswith("tests/"):
        assert (ROOT / proof).exists()
    else:
        named = [file for file in proven_in() if f"def {proof}(" in file.read_text()]
        assert len(named) == 1


def proven_in() -> list[Path]:
    found = [ROOT / path for path in re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / "SECURITY.md").read_text())]
    return [file for path in found for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
