"""`gossip bench`: the sections that are asked for, as lines and as a document; the page knows all there are."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.bench import sections
from cli.bench.figures import Figure, Goal, Section

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Sections in place of the real ones, which take minutes: what was asked of them."""
    found: list[tuple[str, bool]] = []

    def section(name: str) -> sections.Measure:
        def measure(quick: bool) -> Section:
            found.append((name, quick))
            return Section(f"section {name}", (Figure(f"row of {name}", 5.0, "ms", Goal(3)),))

        return measure

    monkeypatch.setattr(sections, "SECTIONS", {name: section(name) for name in ("one", "two", "three")})
    return found


def test_all_sections_run_in_their_order_and_what_is_too_slow_fails_nothing(asked: list[tuple[str, bool]]) -> None:
    done = CliRunner().invoke(app, ["bench"])
    assert done.exit_code == exits.OK
    assert asked == [("one", False), ("two", False), ("three", False)]
    assert done.stdout.index("section one") < done.stdout.index("section three")


def test_some_sections_quickly_as_a_document_that_is_written_too(asked: list[tuple[str, bool]], tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = CliRunner().invoke(
        app, ["bench", "--only", "three", "--only", "one", "--quick", "--json", "--out", str(out)]
    )
    assert done.exit_code == exits.OK
    assert asked == [("one", True), ("three", True)]
    told = json.loads(done.stdout)
    assert told == json.loads(out.read_text("utf-8"))
    assert [(row["section"], row["value"], row["goal"]) for row in told["figures"]] == [
        ("section one", 5.0, {"at_most": 3}), ("section three", 5.0, {"at_most": 3}),
    ]  # fmt: skip
    assert {"command", "date", "machine"} <= set(told)


def test_a_section_that_there_is_not_is_refused_before_anything_is_measured(asked: list[tuple[str, bool]]) -> None:
    done = CliRunner().invoke(app, ["bench", "--only", "one", "--only", "four"])
    assert done.exit_code != exits.OK
    assert "four" in done.stderr
    assert "one, two, three" in done.stderr
    assert asked == []


def test_the_page_names_every_section_and_no_other() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    (listed,) = re.findall(r"some sections: (.*)\n", page)
    own = ast.parse((ROOT / "tests" / "bench" / "__main__.py").read_text("utf-8"))
    (ours,) = [
        ast.literal_eval(key)
        for node in own.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "OURS" and isinstance(node.value, ast.Dict)
        for key in [ast.List([one for one in node.value.keys if one is not None], ast.Load())]
    ]
    assert sorted(listed.split(", ")) == sorted([*sections.SECTIONS, *ours, "demo"])
