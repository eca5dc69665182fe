"""Processes of the demo end with it, however it ends, and say what they died of."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cli.children import Children, last_line, own_environment
from ledger.errors import LinkError
from tests.e2e.machines import until

OBEDIENT = "import sys; print('up', flush=True); sys.stdin.read()"
DEAF = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def await_text(log: Path, text: str) -> None:
    """Processes tell when they are up; nothing here waits for a fixed time."""
    until(lambda: log.exists() and text in log.read_text(), f"{log} says {text!r}")


def gone(pid: int) -> bool:
    """Ended, whether or not somebody has collected it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_leaving_ends_every_child_even_a_deaf_one(tmp_path: Path) -> None:
    with Children() as children:
        kind = children.start("kind", python(OBEDIENT), tmp_path / "kind.log")
        deaf = children.start("deaf", python(DEAF), tmp_path / "deaf.log")
        await_text(tmp_path / "kind.log", "up")
        await_text(tmp_path / "deaf.log", "up")
        children.stop(patience_s=0.2)
    assert kind.process.returncode == -signal.SIGTERM
    assert deaf.process.returncode == -signal.SIGKILL


def test_a_child_that_dies_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Children() as children:
        words = "import sys; print('{\"event\":1}'); sys.exit('gossip: \\x1b[31mrow 3 has no label; add one')"
        child = children.start("birch", python(words), tmp_path / "birch.log")
        child.process.wait()
        with pytest.raises(
            LinkError, match=r"birch ended early \(exit 1\): row 3 has no label; add one; its whole log"
        ):
            children.check()


def test_a_child_that_is_meant_to_end_may_end(tmp_path: Path) -> None:
    with Children() as children:
        child = children.start("pooled", python("pass"), tmp_path / "pooled.log", ends=True)
        child.process.wait()
        children.check()


def test_a_log_without_words_still_makes_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    assert last_line(tmp_path / "empty.log") == "it said nothing"
    assert last_line(tmp_path / "none.log") == "it left no log"


def test_children_end_when_their_parent_is_killed_outright(tmp_path: Path) -> None:
    """kill -9 runs no handler of ours: the closing pipe must do it."""
    child_code = (
        "import threading; from cli.running import watch_stdin; watch_stdin();"
        "print('up', flush=True); threading.Event().wait()"
    )
    parent = f"""
        import sys
        from pathlib import Path
        from cli.children import Children
        with Children() as children:
            command = [sys.executable, "-c", {child_code!r}]
            child = children.start("child", command, Path({str(tmp_path)!r}) / "child.log")
            print(child.process.pid, flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        python(textwrap.dedent(parent)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own_environment()
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        await_text(tmp_path / "child.log", "up")
        assert not gone(child)
        process.kill()
    until(lambda: gone(child), "no orphan stays")
