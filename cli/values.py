"""What stands for itself on a command line is taken as it is: a text, a path, an option that was left out.

typer hands every value to pydantic, an absent one too, and importing that takes 0.08 s of a core: a fifth of a
`gossip ledger verify`. Here texts, paths, lists of either, and what nobody typed do without; anything else (a number
that was typed, a file that may not be read, an option that is missing) goes on to typer, whose errors stay its own.
No value is read differently here than there: tests/cli/test_values.py asks both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from typer.core import TyperArgument, TyperOption

_ODD: Final = object()  # not for us


class _Option(TyperOption):
    def process_value(self, ctx: Any, value: Any) -> Any:
        taken = taken_as_it_is(self, value)
        return super().process_value(ctx, value) if taken is _ODD else taken


class _Argument(TyperArgument):
    def process_value(self, ctx: Any, value: Any) -> Any:
        taken = taken_as_it_is(self, value)
        return super().process_value(ctx, value) if taken is _ODD else taken


def lightened(command: Any, ctx: Any) -> Any:
    """The same command, whose parameters ask typer only about values that are not plain. `ctx`: of its group."""
    absent_is_false(command.get_help_option(ctx))
    for param in command.params:  # (typer makes them itself, and takes no class to make them of)
        if type(param) is TyperOption:
            param.__class__ = _Option
        elif type(param) is TyperArgument:
            param.__class__ = _Argument
    return command


def absent_is_false(option: Any) -> Any:
    """A flag for which typer asks pydantic what None is, if nobody says that it is not there."""
    if option is not None and option.default is None:
        option.default = False
    return option


def taken_as_it_is(param: Any, value: Any) -> Any:
    """The value that the command gets, or a mark that typer is to say so."""
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)  # typer before 0.27 has none
    if kind is None or param.callback is not None or (param.required and param.value_is_missing(value)):
        return _ODD
    many = param.multiple or param.nargs == -1
    if value is None:
        return () if many else None
    if not many:
        return _one(kind, value)
    of = {list[str]: str, list[Path]: Path}.get(kind)
    if of is None or not isinstance(value, list | tuple):
        return _ODD
    found = [_one(of, item) for item in value]
    return _ODD if any(item is _ODD for item in found) else found


def _one(kind: Any, value: Any) -> Any:
    if kind in (int, float) and type(value) is kind:  # its default; what was typed is a text
        return value
    if type(value) is not str:
        return _ODD
    if kind is str:
        return value
    if kind is Path and (os.access(value, os.R_OK) or not os.path.lexists(value)):
        return Path(value)
    return _ODD
