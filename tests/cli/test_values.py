"""Plain values need no pydantic, and are what typer would have made of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from cli import exits
from cli.children import own_environment
from cli.group import Gossip


def told(cls: type[TyperGroup], words: list[str]) -> tuple[int, list[Any]]:
    """What a command with every kind of parameter is given."""
    app, given = typer.Typer(cls=cls), list[Any]()

    @app.callback()
    def root() -> None:
        pass

    @app.command()
    def take(
        first: Annotated[str, typer.Argument()],
        rest: Annotated[list[Path] | None, typer.Argument()] = None,
        text: Annotated[str | None, typer.Option()] = None,
        file: Annotated[Path | None, typer.Option()] = None,
        files: Annotated[list[Path] | None, typer.Option()] = None,
        keys: Annotated[list[str] | None, typer.Option()] = None,
        last: Annotated[int, typer.Option(min=0)] = 20,
        share: Annotated[float | None, typer.Option(min=0)] = None,
        yes: Annotated[bool, typer.Option("--yes")] = False,
    ) -> None:
        given.extend([first, rest, text, file, files, keys, last, share, yes])

    code = CliRunner().invoke(app, ["take", *words]).exit_code
    return code, given


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["", "--text", "", "--file", ""],
        ["a", "b", "c/d", "../e", "--yes"],
        ["a", "--file", "/", "--files", "x", "--files", "/etc/passwd", "--keys", " k ", "--keys", "--x"],
        ["a", "--last", "7", "--share", "0.5"],
        ["ä\udcff", "--text", "1e3", "--file", "~/x//y/."],
    ],
)
def test_a_command_gets_what_typer_would_have_given_it(words: list[str]) -> None:
    code, given = told(Gossip, words)
    assert (code, given) == told(TyperGroup, words)
    assert (code, len(given)) == (exits.OK, 9)


@pytest.mark.parametrize(
    "words", [[], ["a", "--last", "-1"], ["a", "--last", "x"], ["a", "--share", "-1"], ["a", "--no"]]
)
def test_what_typer_refuses_stays_refused(words: list[str]) -> None:
    assert told(Gossip, words) == told(TyperGroup, words) == (exits.USAGE, [])


def test_texts_and_paths_load_no_pydantic(tmp_path: Path) -> None:
    code = (
        "import sys; from cli.app import app\ntry: app(sys.argv[1:])\nfinally: sys.stderr.write(' '.join(sys.modules))"
    )
    for words in (["status", "--dir", str(tmp_path)], ["ledger", "verify", str(tmp_path), "--swarm", "0" * 64]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env=own_environment(), check=False
        )
        loaded = set(done.stderr.split())
        assert "cli.values" in loaded
        assert "pydantic" not in loaded
