"""A node in the foreground: its view, its event stream, its signals.

    terminal      the live view, redrawn four times a second
    pipe, plain   a line when something changes
    json          every note of the node as one JSON object per line

When it has ended, whatever way, it says who took part and who was absent (cli/attendance.py; json: the last event).
SIGINT and SIGTERM ask the node to stop; a second one stops waiting for it. The node decides everything
else; this file only shows.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from cli import exits, live, render
from cli.attendance import show, summary
from cli.plain import MAX_CHARS, name, visible
from ledger.errors import GossipError

if TYPE_CHECKING:
    from gossip.events import Note
    from gossip.node import Node, NodeConfig

Mode = Literal["live", "plain", "json"]
REDRAW_S: Final = 0.25
LINE_EVERY_S: Final = 5.0
TOLD: Final = (
    "link_up",
    "link_down",
    "refused",
    "admitted",
    "snapshot",
    "trouble",
    "verdict",
    "condemned",
    "guest",
    "knocked",
    "code",
    "revoked",
)  # worth a line of their own
WORDS_STAY_S: Final = 8.0
WEIGHTY: Final = ("refused", "trouble", "verdict", "condemned", "revoked")  # the next link or snapshot hides none


def mode_of(*, plain_wanted: bool, json_wanted: bool) -> Mode:
    if json_wanted:
        return "json"
    return "plain" if plain_wanted or not render.console().is_terminal else "live"


def run_node(config: NodeConfig, mode: Mode, *, until_stdin_closes: bool) -> int:
    """Run until asked to stop; the exit code. Errors of the node pass through."""
    import asyncio

    if mode != "json":
        render.say(f"peer in {config.directory}: starting (importing takes a moment)")
    shown = _Shown(mode)
    if until_stdin_closes:
        watch_stdin()
    try:
        return asyncio.run(_begun(config, shown))
    finally:  # also when it failed: what had been reached, and with whom
        with suppress(GossipError, OSError):  # (a store that cannot be read is the other error's business)
            shown.attended()


def watch_stdin() -> None:
    """End as by SIGTERM when whoever started us is gone: the pipe closes even on kill -9."""

    def watch() -> None:
        with suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        import signal

        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="stdin", daemon=True).start()


async def _begun(config: NodeConfig, shown: _Shown) -> int:
    """The training process first: it imports jax while the node is imported here."""
    from gossip.node.ahead import Ahead

    ahead = await Ahead.begin(config)
    try:
        from gossip.node import Node

        shown.node = Node(config, shown.note, ahead=ahead)
        return await _run(shown.node, shown)
    finally:
        await ahead.end()


async def _run(node: Node, shown: _Shown) -> int:
    import asyncio
    import signal

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    code = exits.OK
    asked = 0

    def stop(number: int) -> None:
        nonlocal code, asked
        asked += 1
        if number == signal.SIGINT:
            code = exits.INTERRUPTED
        if asked == 1:
            shown.words = "Stopping: finishing what is in flight."
            node.request_stop()
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows loops have no signal handlers; Ctrl-C still interrupts there
            loop.add_signal_handler(number, stop, number)
    viewer = asyncio.create_task(shown.follow(node))
    try:
        await node.run()
        shown.status = node.status()
    except asyncio.CancelledError:
        if asked < 2:
            raise
    finally:
        viewer.cancel()
        with suppress(asyncio.CancelledError):
            await viewer
    return code


class _Shown:
    """What the person (or program) in front of this process has been told."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.words = ""
        self._words_until = 0.0
        self._is_weighty = False
        self._started = time.monotonic()
        self._history = live.History()
        self._last_line: tuple[str, str] = ("", "")
        self.node: Node | None = None  # once it is imported
        self.status: dict[str, Any] = {}  # the newest: a node whose loop has ended has no clock to ask

    def note(self, note: Note) -> None:
        if self.mode == "json":
            render.event({"event": note.kind, "time": round(time.time(), 3), **note.fields})
            return
        if note.kind not in TOLD or (note.kind == "verdict" and not note.fields.get("own")) or note.fields.get("again"):
            return
        text = told(note.kind, note.fields)
        if self.mode == "plain":
            render.say(f"{render.span(time.monotonic() - self._started):>5}  {text}")
        elif note.kind in WEIGHTY or not self._is_weighty or time.monotonic() > self._words_until:
            self.words, self._words_until = text, time.monotonic() + WORDS_STAY_S
            self._is_weighty = note.kind in WEIGHTY

    def attended(self) -> None:
        """The last words: of whom all the figures were."""
        roll = self.node.attendance() if self.node is not None else None
        if roll is None:
            return
        if self.mode == "json":
            told = roll.as_json()
            render.event({"event": "attendance", "time": round(time.time(), 3), **told, "summary": [*summary(roll)]})
            return
        render.say()
        render.say(f"While this peer ran, from {render.moment(roll.since or 0)} on:")
        show(roll)
        if line := gave(self.status):
            render.say(line)

    def board(self, status: dict[str, Any]) -> live.Board:
        now = time.monotonic()
        if self._words_until and now > self._words_until:
            self.words, self._words_until = "", 0.0
        self._history.add([status])
        self.status = status
        title = f"gossip: {visible(status.get('swarm_name') or 'joining a swarm', 40)}"
        return live.Board(
            title,
            now - self._started,
            (status,),
            self._history.points,
            self.words,
            "Ctrl-C stops it; gossip run starts it again",
            self._history.parted(status, now),
        )

    async def follow(self, node: Node) -> None:
        import asyncio

        if self.mode == "json":
            return
        if self.mode == "plain":
            shown_at = -LINE_EVERY_S
            while True:
                board = self.board(node.status())
                state = str(board.peers[0].get("state"))
                text = live.line(board)[7:]
                due = time.monotonic() - shown_at >= LINE_EVERY_S and text != self._last_line[1]
                if state != self._last_line[0] or due:
                    render.say(live.line(board))
                    self._last_line, shown_at = (state, text), time.monotonic()
                await asyncio.sleep(REDRAW_S)
        from rich.live import Live

        out = render.console()
        unicode = live.speaks_unicode(out)
        with Live(console=out, auto_refresh=False, transient=False) as screen:
            while True:
                board = self.board(node.status())
                screen.update(live.view(board, min(out.width, 100), min(out.height, 40), unicode), refresh=True)
                await asyncio.sleep(REDRAW_S)


def gave(status: Mapping[str, Any]) -> str:
    """What the swarm gave this peer, as far as it is known without computing anything; "" where it is not."""
    alone, swarm = render.leading(status.get("alone")), render.leading(status.get("swarm_scores"))
    if alone is None or swarm is None:
        return ""
    figures = f"alone {render.score(alone, 2)}, swarm {render.score(swarm, 2)}"
    return f"what the swarm gave you, on your held-out rows: {figures}; with yours: gossip gains"


SAME: Final = "(the other machine shows the same words)"
_HOW: Final = {"code": "a code", "ticket": "a ticket", "allowed": "its key", "open": "the open door"}
_ENDED: Final = {
    "used": "was used up", "expired": "has had its time",
    "burnt": "is burnt after three wrong tries; gossip invite makes a new one",
}  # fmt: skip


def told(kind: str, fields: dict[str, Any]) -> str:
    """A note as a line for people."""
    who = name(fields.get("name") or str(fields.get("peer", ""))[:8]) if fields.get("peer") else "a peer not yet known"
    match kind:
        case "link_up":
            return f"link to {who}" if fields.get("dialled") else f"link from {who}"
        case "link_down":
            return f"link to {who} ended: {visible(fields.get('reason', ''), 80)}"
        case "guest":
            words, role = visible(fields.get("words", ""), 80), visible(fields.get("role", ""), 20)
            return f"at the door, to be {role} by {_HOW.get(str(fields.get('how')), 'an invite')}: {words} {SAME}"
        case "knocked":
            return f"at their door: {visible(fields.get('words', ''), 80)} {SAME}"
        case "code":
            ended = _ENDED.get(str(fields.get("why")), visible(fields.get("why", ""), 40))
            return f"code number {visible(fields.get('number', ''), 4)} {ended}"
        case "revoked" if fields.get("own"):
            return "this peer was put out by the swarm's admins: nobody takes anything from it any more"
        case "revoked":
            return f"{who} was put out by the swarm's admins"
        case "admitted":
            return f"{who} was let in as {visible(fields.get('role', 'member'), 20)}"
        case "snapshot":
            model = render.short(visible(fields.get("model", "")))
            return f"snapshot: {render.many(int(fields.get('updates', 0)), 'update')} folded, model {model}"
        case "verdict" | "condemned":
            return visible(fields.get("text", ""), MAX_CHARS)
        case "refused" if "readings" in fields:  # by the policy: says whose itself
            return visible(fields.get("text", ""), MAX_CHARS)
        case "refused":
            return f"refused what {who} sent: {visible(fields.get('text', ''), 200)}"
        case "trouble":  # whole: what to do stands at its end
            return f"trouble: {visible(fields.get('text', ''))}"
    facts = ", ".join(visible(value, 100) for value in fields.values())
    return f"{kind.replace('_', ' ')}: {facts}"
