"""The command as a whole: light to start, one line per mistake, no traceback, one JSON document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from cli.children import own_environment, own_program
from cli.group import PANELS, Gossip, spread
from ledger.errors import LinkError, LocalError, RemoteError

HEAVY = {
    "numpy", "jax", "jaxlib", "optax", "asyncio", "aiohttp", "aiortc", "aiolibdatachannel", "zeroconf", "tldextract",
    "sqlite3", "cryptography",
}  # fmt: skip
ONE_LINE = re.compile(r"gossip: [^\n]+\n")


def gossip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(own_program(*words), capture_output=True, text=True, env=own_environment(), check=False)


@pytest.mark.parametrize("words", [["--help"], ["ledger", "--help"], ["demo", "--help"], ["run", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = """
        import sys
        from cli.app import app
        try:
            app(sys.argv[1:])
        finally:
            sys.stderr.write(" ".join(sys.modules))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *words],
        capture_output=True,
        text=True,
        env=own_environment(),
        check=False,
    )
    assert done.returncode == exits.OK
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded  # the check sees what was loaded
    assert not loaded & HEAVY


def test_ctrl_c_while_it_is_being_loaded_ends_it_without_a_traceback() -> None:
    code = """
        import sys
        class Impatient:
            def find_spec(self, name, *_):
                if name == "cli.later":
                    raise KeyboardInterrupt
        sys.meta_path.insert(0, Impatient())
        from cli.__main__ import main
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=own_environment(),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (exits.INTERRUPTED, "", "")


def test_help_shows_the_commands_in_their_panels_and_in_order() -> None:
    text = gossip("--help").stdout
    places = [text.find(f"─ {panel} ") for panel in PANELS]
    shown = [place for place in places if place >= 0]
    assert shown == sorted(shown)
    assert [panel for panel, place in zip(PANELS, places, strict=True) if place >= 0] == [
        "Start", "Members", "Bench", "Model", "Data", "Audit", "Machine", "Research",
    ]  # fmt: skip
    words = "demo new run join invite leave score train model data policy ledger status stop doctor key simulate"
    for command in words.split():
        assert re.search(rf"│ {command} ", text), command


def test_without_a_command_the_help_is_shown() -> None:
    bare = CliRunner().invoke(app, [])
    assert (bare.exit_code, bare.stdout) == (exits.OK, CliRunner().invoke(app, ["--help"]).stdout)
    assert "verify" in CliRunner().invoke(app, ["ledger"]).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dmeo"], "No such command 'dmeo'. Did you mean 'demo'?; see: gossip --help"),
        (["demo", "--peers", "1"], "see: gossip demo --help"),
        (["join"], "what shall be joined?; name one: gossip join INVITE, or gossip join --open NAME"),
        (["join", "gossip2-nonsense"], "this invite is damaged"),
        (["ledger", "verify"], "Missing argument 'BUNDLE'; see: gossip ledger verify --help"),
        (["model", "check", "/nowhere.json"], "cannot read /nowhere.json: No such file or directory"),
        (["run", "--dir", "/nowhere"], "/nowhere holds no peer; make one with: gossip new NAME"),
        (["new", "a/b"], "cannot use 'a/b' as a swarm's name"),
    ],
)
def test_a_mistake_is_one_line_with_what_to_do(words: list[str], told: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == exits.USAGE
    assert done.stdout == ""
    assert ONE_LINE.fullmatch(done.stderr)
    assert told in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LocalError("a", why="b", next_step="c"), exits.USAGE),
        (RemoteError("a", why="b", next_step="c"), exits.FAILED),
        (LinkError("a", why="b", next_step="c"), exits.FAILED),
        (RuntimeError("a\x1b[31m\nb"), exits.BUG),
        (PermissionError(13, "Permission denied", "/srv/x"), exits.USAGE),
        (KeyboardInterrupt(), exits.INTERRUPTED),
    ],
)
def test_whose_fault_it_is_decides_the_exit_code(error: BaseException, code: int) -> None:
    failing = typer.Typer(cls=Gossip)

    @failing.callback()
    def root() -> None:
        pass

    @failing.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(failing, ["fail"])
    assert done.exit_code == code
    assert "Traceback" not in done.output
    assert "\x1b" not in done.stderr
    assert code == exits.INTERRUPTED or ONE_LINE.fullmatch(done.stderr)
    if isinstance(error, LocalError | RemoteError | LinkError):
        assert done.stderr == "gossip: a: b; c\n"


def test_a_bug_shows_its_place_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_DEBUG", "1")
    failing = typer.Typer(cls=Gossip)

    @failing.callback()
    def root() -> None:
        pass

    @failing.command()
    def fail() -> None:
        raise RuntimeError("deep")

    done = CliRunner().invoke(failing, ["fail"])
    assert done.exit_code == exits.BUG
    assert "in fail" in done.stderr  # the traceback, only because it was asked for


def test_a_reader_that_stops_reading_is_no_error_of_ours() -> None:
    """`gossip ledger log | head` must not end in a complaint."""
    code = """
        import typer
        from cli.group import Gossip
        from cli.render import say
        app = typer.Typer(cls=Gossip)
        @app.callback()
        def root(): pass
        @app.command()
        def talk():
            for _ in range(100_000): say("x" * 80)
        app(["talk"])
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own_environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == exits.OK


def test_every_word_after_data_is_a_file() -> None:
    assert spread(["run", "x", "--data", "a", "b", "--plain"]) == ["run", "x", "--data", "a", "--data", "b", "--plain"]
    assert spread(["join", "T", "--address", "h:1", "i:2"]) == ["join", "T", "--address", "h:1", "--address", "i:2"]
    assert spread(["run", "--data", "a", "--", "--data", "b"]) == ["run", "--data", "a", "--", "--data", "b"]
    assert spread(["run", "--data=a", "x"]) == ["run", "--data=a", "x"]


def test_model_check_says_what_a_declaration_costs(tmp_path: Path) -> None:
    from gossip.training.spec import BUILTIN

    file = tmp_path / "model.json"
    file.write_text(BUILTIN["filterlist"])
    told = CliRunner().invoke(app, ["model", "check", str(file)])
    facts = json.loads(CliRunner().invoke(app, ["model", "check", str(file), "--json"]).stdout)
    assert told.exit_code == exits.OK
    assert f"{facts['parameters']:,} parameters" in told.stdout
    assert sum(layer["parameters"] for layer in facts["layers"]) == facts["parameters"]
    assert facts["update_bytes"] * 50 <= facts["float32_bytes"]

    file.write_text('{"model": 1, "lerning_rate": 1}')
    wrong = CliRunner().invoke(app, ["model", "check", str(file)])
    assert wrong.exit_code == exits.USAGE
    assert ONE_LINE.fullmatch(wrong.stderr)


@pytest.mark.parametrize("words", [["demo"], ["run", "--dir", "nowhere"]])
def test_the_auditors_install_says_what_a_peer_needs(words: list[str], tmp_path: Path) -> None:
    code = """
        import sys
        from cli.group import PEER_MODULES
        sys.modules.update(dict.fromkeys(PEER_MODULES))  # as if none of them were installed
        from cli.app import main
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *words],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**own_environment(), "GOSSIP_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == exits.USAGE
    assert len(done.stderr.strip().splitlines()) == 1
    if words == ["demo"]:
        assert "the extra named peer" in done.stderr


def test_the_help_names_every_exit_code() -> None:
    from cli import exits
    from cli.app import app

    told = str(app.info.epilog)
    for code in (exits.OK, exits.FINDINGS, exits.USAGE, exits.INCONCLUSIVE, exits.FAILED, exits.BUG, exits.INTERRUPTED):
        assert f" {code} " in told
