"""Where the demo's view goes: a terminal, lines in a pipe, or nowhere (`--json`)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from cli import live, render

if TYPE_CHECKING:
    from rich.live import Live

LINE_EVERY_S: Final = 3.0


class Screen:
    """Use as a context manager while the view is up; `say` works before and after."""

    def __init__(self, *, quiet: bool, plain: bool, started: float, picture: Path | None) -> None:
        self.started = started  # Unix time
        self._quiet = quiet
        self._console = render.console()
        self._drawn = not quiet and not plain and self._console.is_terminal
        self._live: Live | None = None
        self._history = live.History()
        self._board: live.Board | None = None
        self._picture = picture
        self._last_words, self._last_at = "", 0.0

    def __enter__(self) -> Self:
        if self._drawn:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def say(self, text: str) -> None:
        if not self._quiet:
            render.say(text)

    def show(self, peers: Sequence[Mapping[str, Any]], words: str = "") -> None:
        self._history.add(peers)
        title = f"gossip demo: {len(peers)} peers, separate processes on this machine"
        board = live.Board(
            title, time.time() - self.started, tuple(peers), self._history.points, words, "Ctrl-C ends all of it"
        )
        self._board = board
        if self._live is not None:
            width, height = min(self._console.width, 100), min(self._console.height, 40)
            self._live.update(live.view(board, width, height, live.speaks_unicode(self._console)), refresh=True)
        elif not self._quiet:
            now, headline = time.monotonic(), live.headline(peers, words)
            if headline != self._last_words or now - self._last_at >= LINE_EVERY_S:
                self._last_words, self._last_at = headline, now
                render.say(live.line(board))

    def keep_picture(self) -> None:
        """The view as it is now, as SVG, if one was asked for."""
        if self._picture is not None and self._board is not None:
            self._picture.write_text(live.picture(self._board), encoding="utf-8")
