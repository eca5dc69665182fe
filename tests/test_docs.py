"""What the pages say exists: commands, files, status fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from cli.app import app
from gossip.node.report import report

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def commands() -> list[str]:
    group = typer.main.get_command(app)
    names = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
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
