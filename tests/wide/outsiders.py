"""Who is outside: a relay of ours, a js-libp2p node, a STUN server. Processes, killed and started at will.

    with outsider(js_command(host), net["js"].enter) as js:
        js.address          "/ip4/198.18.0.3/tcp/4001/p2p/12D3KooW...", its first line
        js.kill(); js.again()

What npm installs for the js node is kept outside the tree, in a folder named after the hash of the lock file:

    python -m tests.wide.outsiders      installs it and prints where, or why not (exit code 1); twice is once
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.machines import PATIENCE_S, ROOT

HERE: Final = Path(__file__).parent / "js"
PORT: Final = 4001
_INSTALL_S: Final = 240.0
_OLDEST_NODE: Final = 20


class NoJs(Exception):
    """Why there is no js node here."""


def installed() -> Path:
    """The folder with the js node and all it needs, installed now if it is not there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoJs("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout
    if not version.startswith("v") or int(version[1:].split(".")[0]) < _OLDEST_NODE:
        raise NoJs(f"node is {version.strip()}, and js-libp2p needs {_OLDEST_NODE}")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gossip-tests"
    place = cache / f"js-{hashlib.sha256(lock).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # one of the test processes installs, the others wait
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, place)
            _install(npm, place)
            (place / "ready").touch()
        for name in ("node.mjs", "polyfill.mjs"):  # these may change while the lock does not
            if not (place / name).exists() or (place / name).read_bytes() != (HERE / name).read_bytes():
                shutil.copy(HERE / name, place)
    return place


def _install(npm: str, place: Path) -> None:
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1"]
    try:
        done = subprocess.run([npm, "ci", *quiet], cwd=place, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        raise NoJs(f"npm ci did not end within {_INSTALL_S:.0f} s") from None
    if done.returncode:
        raise NoJs(f"npm ci failed: {done.stderr.strip()[-300:]}")


def js_command(host: str, *words: object, port: int = PORT) -> list[str]:
    """A js node's command line; words: as in js/node.mjs. Skips, loudly, where it cannot be had."""
    try:
        place = installed()
    except NoJs as why:
        pytest.skip(f"NOT RUN: no js-libp2p node here: {why}")
    script = ["node", "--import", str(place / "polyfill.mjs"), str(place / "node.mjs")]
    return [*script, "--host", host, "--port", str(port), *map(str, words)]


def relay_command(host: str, home: Path, *words: object, port: int = PORT) -> list[str]:
    """`gossip relay`; `home` is where its key is."""
    relay = [sys.executable, "-P", "-m", "cli", "relay", "--listen", f"{host}:{port}", "--key", str(home / "key")]
    return ["env", f"HOME={home}", *relay, "--json", *map(str, words)]


def stun_command(host: str, port: int = 3478) -> list[str]:
    return [sys.executable, "-m", "tests.wide.stun", host, str(port)]


class Outsider:
    """A process whose first line is its address, or an event with a list of them."""

    def __init__(self, command: Sequence[str], inside: Sequence[str] = ()) -> None:
        self.command = [*inside, *command]
        self.again()

    def again(self) -> None:
        self.said: list[str] = []
        first = threading.Event()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )  # fmt: skip
        threading.Thread(target=_read, args=(self.process, self.said, first), daemon=True).start()
        if not first.wait(PATIENCE_S) or not self.said:
            self.kill()
            pytest.fail(f"no first line of {' '.join(self.command[-6:])}")
        first_line = self.said[0].strip()
        self.address = str(json.loads(first_line)["addresses"][0] if first_line.startswith("{") else first_line)

    def kill(self) -> None:
        """At once, without a goodbye to anybody."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


def _read(process: subprocess.Popen[str], into: list[str], first: threading.Event) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            into.append(line)
            first.set()
    first.set()


@contextmanager
def outsider(command: Sequence[str], inside: Sequence[str] = ()) -> Iterator[Outsider]:
    made = Outsider(command, inside)
    try:
        yield made
    finally:
        made.kill()
        print(f"--- {' '.join(made.command[-6:])}\n{''.join(made.said[-30:])}")  # pytest shows it if the story failed


if __name__ == "__main__":
    try:
        print(installed())
    except NoJs as why:
        sys.exit(f"no js-libp2p node: {why}")
