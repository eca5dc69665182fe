"""Where things are kept: the only file that reads the environment.

    GOSSIP_HOME    folder of all swarms of this user   (default: the platform's data folder)
    GOSSIP_DEBUG   1: show where an unexpected error came from

NO_COLOR, COLUMNS and TERM are read by rich itself.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import LocalError

DEMO_RUNS: Final = "demo-runs"  # the demo keeps its runs here, out of the list of swarms
SHELF: Final = "lists.json"  # the user's own copies of filter lists, for all swarms
STORE: Final = "peer.db"  # a folder with this file is a peer's directory
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")  # one folder name on every platform


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path  # one folder per swarm inside
    debug: bool


def settings() -> Settings:
    named = os.environ.get("GOSSIP_HOME", "")
    if named:
        home = Path(named).expanduser()
    else:
        import platformdirs  # 15 ms, and `--help` needs no folder

        home = platformdirs.user_data_path("gossip", appauthor=False)
    return Settings(home=home, debug=os.environ.get("GOSSIP_DEBUG", "") not in ("", "0"))


def shelf_path() -> Path:
    """Where the user's lists are remembered: beside the swarms."""
    return settings().home / SHELF


def check_name(name: str) -> str:
    """A swarm's name is also a folder's name: letters, digits, dot, dash, underscore."""
    if not _NAME.fullmatch(name) or name in (DEMO_RUNS, SHELF):
        raise LocalError(
            f"cannot use {name!r} as a swarm's name",
            why="it also names a folder",
            next_step="use at most 40 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    return name


def swarms(home: Path) -> tuple[str, ...]:
    """Names of the swarms this user takes part in, sorted."""
    if not home.is_dir():
        return ()
    return tuple(sorted(path.name for path in home.iterdir() if (path / STORE).is_file()))


def new_directory(name: str, directory: Path | None) -> Path:
    """Where a swarm that is made or joined now will live; refuses a folder that already holds a peer."""
    place = wanted_directory(name, directory)
    if holds_peer(place):
        raise LocalError(
            f"{place} already holds a peer",
            next_step=f"start it with: gossip run {how(place)}, or choose another folder with --dir",
        )
    return place


def wanted_directory(name: str, directory: Path | None) -> Path:
    """Where --dir, else NAME, points; whatever is there."""
    return directory if directory is not None else settings().home / check_name(name)


def holds_peer(place: Path) -> bool:
    return (place / STORE).exists()


def existing_directory(name: str | None, directory: Path | None) -> Path:
    """The peer's directory that a command means: --dir, else NAME, else the only one there is."""
    if directory is not None and name is not None:
        raise LocalError(f"{name!r} and --dir name two peers", next_step="keep one of them")
    if directory is not None:
        if not (directory / STORE).is_file():
            raise LocalError(
                f"{directory} holds no peer",
                next_step="make one with: gossip new NAME, or enter one with: gossip join INVITE",
            )
        return directory
    home = settings().home
    known = swarms(home)
    if name is not None:
        if check_name(name) in known:
            return home / name
        called = [folder for folder in known if name_of(home / folder) == name]
        if len(called) == 1:
            return home / called[0]
        raise LocalError(f"no swarm called {name!r} here", why=_list(known), next_step=_advice(known))
    if len(known) == 1:
        return home / known[0]
    if not known:
        raise LocalError(
            "no swarm on this machine",
            next_step="make one with: gossip new NAME, or enter one with: gossip join INVITE",
        )
    raise LocalError("which swarm?", why=_list(known), next_step="add its name to the command")


def new_demo_directory() -> Path:
    """A fresh folder for one run of the demo: run-1, run-2, ..."""
    runs = settings().home / DEMO_RUNS
    runs.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name[4:]) for p in runs.glob("run-*") if p.name[4:].isdecimal()), default=0)
    while True:
        place = runs / f"run-{number}"
        try:
            place.mkdir()  # two demos started at once do not share a folder
        except FileExistsError:
            number += 1
            continue
        return place


def check_output(option: str, out: Path | None, read: Iterable[Path | None]) -> None:
    """LocalError if what a command is about to write is a file that it reads, or one in a folder that it reads; or a
    filter list that is remembered, whether it is read or not: nothing is ever written into a list."""
    if out is None or not out.exists():
        return
    for kept in _remembered():
        if kept.exists() and out.samefile(kept):
            raise LocalError(
                f"{option} {out} would overwrite a filter list", why="gossip lists remembers it",
                next_step=f"name another file with {option}",
            )  # fmt: skip
    for path in read:
        if path is None or not path.exists():
            continue
        if out.samefile(path) or (path.is_dir() and out.resolve().is_relative_to(path.resolve())):
            raise LocalError(
                f"{option} {out} would overwrite what is read",
                why="it is one of the files given" if path.is_file() else f"it lies in {path}",
                next_step=f"name another file with {option}",
            )


def _remembered() -> list[Path]:
    """The files of the lists on the shelf. A shelf that cannot be read is the business of who asks lists."""
    if not shelf_path().exists():
        return []
    from gossip.filterlists.shelf import Shelf

    try:
        return [kept.path for kept in Shelf(shelf_path()).entries()]
    except LocalError:
        return []


def check_page(html: Path | None, read: Iterable[Path | None]) -> None:
    """The same for --html; and LocalError if it cannot be written, before anything is computed for it."""
    if html is None:
        return
    check_output("--html", html, read)
    if html.is_dir():
        why = "it is a folder"
    elif not html.parent.is_dir():
        why = f"there is no folder {html.parent}"
    elif not os.access(html if html.exists() else html.parent, os.W_OK):
        why = "you may not write there"
    else:
        return
    raise LocalError(f"cannot write {html}", why=why, next_step="name another file with --html")


def name_of(place: Path) -> str:
    """A swarm that was joined lies in a folder named by its id; its founder's name for it arrives later."""
    from cli.remembered import swarm_name
    from ledger.store import Store

    with Store.open_readonly(place / STORE) as store:
        return swarm_name(store)


def _list(known: tuple[str, ...]) -> str:
    return "there are " + ", ".join(known) if known else "there are none"


def _advice(known: tuple[str, ...]) -> str:
    return (
        "use one of these names" if known else "make one with: gossip new NAME, or enter one with: gossip join INVITE"
    )


def how(place: Path) -> str:
    """The words by which a command means this directory."""
    return shlex.quote(place.name) if place.parent == settings().home else f"--dir {shlex.quote(str(place))}"
