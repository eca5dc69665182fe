"""Passphrases: typed at a prompt that shows nothing, or read from a file or from standard input, and from nowhere else.

Arguments, environment and configuration can be read by others, or end up in logs and histories, so there is no option
that takes the words themselves. Rules kept here: a new one is typed twice; a file of passphrases is its owner's alone;
where nobody can type, that is said in one line. What is opened with them is none of this file's business.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import render
from ledger.errors import LocalError

if TYPE_CHECKING:
    from ledger.private_files import Passphrase

STDIN: Final = "-"
KEYS: Final = "--passphrase-file"
NEW: Final = "--new-passphrase-file"
BACKUP: Final = "--backup-passphrase-file"
TRIES: Final = 3  # at a terminal, to think of a new one that is long enough
MAX_LINE: Final = 1026  # longer than any passphrase and its end of line

File = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Read the keys' passphrase from a file; - for stdin."),
]
Ask = Annotated[bool, typer.Option("--passphrase", help="Lock the keys with a passphrase, asked for now.")]


def existing(locked: bool, file: Path | None, what: str = "this peer's keys") -> Passphrase | None:
    """What opens keys that are there already; None if they are not locked."""
    if not locked:
        if file is not None:
            raise LocalError(
                f"{what} are not locked", why="so a passphrase opens nothing",
                next_step="lock them with: gossip key passphrase, or leave --passphrase-file out",
            )  # fmt: skip
        return None
    return required(file, what)


def required(file: Path | None, what: str, option: str = KEYS) -> Passphrase:
    """What opens `what`; `option` is the one that names a file to read it from."""
    return _from_file(file) if file is not None else _typed(f"Passphrase of {what}: ", option)


def fresh(wanted: bool, file: Path | None, what: str = "this peer's keys") -> Passphrase | None:
    """What new keys are to be locked with; None if nobody wants that."""
    if file is None and not wanted:
        return None
    return chosen(file, what)


def chosen(file: Path | None, what: str, option: str = KEYS) -> Passphrase:
    """A new passphrase. One that is too short, or typed in two ways, is asked for again, a few times."""
    if file is not None:
        found = _from_file(file)
        found.require_strength()
        return found
    for left in reversed(range(TRIES)):
        try:
            found = _typed(f"New passphrase of {what}: ", option)
            found.require_strength()
            if _typed("The same again: ", option) == found:
                return found
            raise LocalError("these were two different passphrases", next_step="try again")
        except LocalError as error:
            if not left or not sys.stdin.isatty():
                raise
            render.complain(error)
    raise AssertionError("the last try returns or raises")


def _typed(prompt: str, option: str) -> Passphrase:
    if not sys.stdin.isatty():
        raise LocalError(
            "a passphrase is needed, and there is no terminal to type it at", next_step=f"use {option} FILE"
        )
    import getpass

    return _passphrase(getpass.getpass(prompt, stream=sys.stderr))


def _from_file(file: Path) -> Passphrase:
    if str(file) == STDIN:
        return _passphrase(sys.stdin.readline(MAX_LINE))
    from ledger.private_files import read_private

    data = read_private(file, MAX_LINE, what="passphrase file")
    try:
        return _passphrase(data.decode())
    except UnicodeDecodeError:
        raise LocalError(f"{file} holds no passphrase", why="it is not UTF-8 text") from None


def _passphrase(text: str) -> Passphrase:
    """One line; the same on every keyboard, however it composes its letters."""
    from ledger.private_files import Passphrase

    return Passphrase(unicodedata.normalize("NFC", text.removesuffix("\n").removesuffix("\r")))
