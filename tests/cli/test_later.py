"""The overview knows each command's line without importing it; chosen, a command is what it always was."""

from __future__ import annotations

import subprocess
import sys
from inspect import cleandoc

import pytest
import typer
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.children import own_environment
from cli.later import Later, whole

REAL = whole(app).commands


def ahead() -> dict[str, Later]:
    group = typer.main.get_command(app)
    return group.commands  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("name", list(REAL))
def test_the_overview_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    first, real = ahead()[name], REAL[name]
    assert isinstance(first, Later)
    assert not isinstance(real, Later)
    assert first.help == cleandoc(real.short_help or real.help).partition("\n\n")[0].replace("\n", " ")
    assert first.name == real.name == name
    assert first.rich_help_panel == real.rich_help_panel
    assert (first.hidden, first.deprecated) == (real.hidden, real.deprecated)


def test_a_chosen_command_answers_with_its_own_options() -> None:
    shown = CliRunner().invoke(app, ["key", "new", "--help"])
    assert shown.exit_code == exits.OK
    assert "Usage: gossip key new [OPTIONS]" in shown.stdout
    assert "--peers" in CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "100"}).stdout


@pytest.mark.parametrize(
    ("words", "imported"), [(["--help"], set()), (["stop", "--help"], {"cli.swarm"}), (["dmeo"], set())]
)
def test_nobody_imports_a_command_that_was_not_chosen(words: list[str], imported: set[str]) -> None:
    code = (
        "import sys; from cli.app import app\ntry: app(sys.argv[1:])\nfinally: sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=own_environment(), check=False
    )
    places = {command.place.partition(":")[0] for command in ahead().values()}
    assert set(done.stderr.split()) & places == imported
