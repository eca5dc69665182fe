"""The live view: what the peers on this machine do now, on one calm screen of 80 by 24.

    gossip demo                                                                 0:23
    Training: every peer learns from its own sites; only weight changes travel.

    peer         state        links alone swarm        stale     in    out updates
    alder        training         3  .913  .958 ▁▂▄▆▇█    .2 1.2 MB 0.9 MB      31
    ...

    ledger as alder holds it, newest last ─────────────────────────────────────────
    birch          #31 update    2991 bytes from 8192 examples, weight 0.44

It draws values (`Board`) and reads no clock, socket or terminal; the same board gives the same text.
It counts epochs, updates and entries, and never guesses the time left.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import TYPE_CHECKING, Any, Final

from cli.beyond import beyond
from cli.concerns import concerns
from cli.doorway import door, seat
from cli.lending import lending
from cli.machine import machine
from cli.pacing import pacing
from cli.plain import name as plain_name
from cli.plain import plain
from cli.render import NONE, leading, many, score, size, span
from cli.sums import sums

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

Status = Mapping[str, Any]

WIDTH: Final = 80
SPARK_POINTS: Final = 6
SPARKS: Final = "▁▂▃▄▅▆▇"  # no full block: rows would run into one another
SPARKS_ASCII: Final = "_.-=+*#"
TAIL_LINES: Final = 8
WORDS_LINES: Final = 4
PARTED: Final = 3  # names of those whose links were the last
READING_CELLS: Final = 24
STEPS: Final = (
    "waiting", "starting", "importing", "joining", "reading data", "compiling", "training", "draining", "drained",
)  # fmt: skip

WORDS: Final = {
    "starting": "Starting: a peer is a process of its own.",
    "waiting": "Starting: a peer is a process of its own.",
    "importing": "Importing JAX and WebRTC: the slow first moment.",
    "reading data": "Reading data: each peer its own, which stay where they are.",
    "compiling": "Compiling the training step.",
    "joining": "Joining: peers find one another by mDNS and open WebRTC links.",
    "training": "Training: each peer learns from its own data; only weight changes travel.",
    "undrawn": "Resting: more would train than publish at a time, and this peer is not drawn now.",
    "observing": "Observing: without data this peer keeps and checks the ledger.",
    "draining": "Finishing: no new rounds; the last updates travel to everybody.",
    "drained": "Finished: every update made has arrived.",
    "revoked": "Put out: the swarm's admins have revoked this peer, and nobody takes anything from it.",
    "expired": "Expired: this peer's membership is over; an admin can renew it: gossip members renew.",
    "stopping": "Stopping.",
}
SHOWN_AS: Final = {"resting": "training", "importing jax": "importing"}  # a word that changes often is only flicker
STYLES: Final = {
    "training": "green", "drained": "green", "observing": "cyan", "revoked": "red", "expired": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the view shows. `history` holds each peer's swarm scores so far, by id."""

    title: str
    elapsed_s: float
    peers: tuple[Status, ...]
    history: Mapping[str, Sequence[float]]
    words: str = ""  # what happens now, if the states alone do not tell
    footer: str = "Ctrl-C ends it"
    parted: str = ""  # from whom the last link of the one peer shown was, and how long ago


class History:
    """Swarm scores as they came, thinned so that a long run still fits one row."""

    def __init__(self) -> None:
        self.points: dict[str, list[float]] = {}
        self._last: dict[str, object] = {}
        self._linked: dict[str, tuple[tuple[str, ...], float]] = {}  # by peer: to whom it was linked last, and when

    def add(self, statuses: Sequence[Status]) -> None:
        for status in statuses:
            value = leading(status.get("swarm_scores"))
            peer, made = str(status.get("id") or status.get("name")), (status.get("rounds"), value)
            if value is None or self._last.get(peer) == made:
                continue
            self._last[peer] = made
            row = self.points.setdefault(peer, [])
            row.append(float(value))
            if len(row) >= 4 * SPARK_POINTS:
                del row[1:-1:2]

    def parted(self, own: Status, now: float) -> str:
        """`cat 0:35 ago`: from whom the last link was, once there is none; "" while there is one, or never was."""
        peer = str(own.get("id") or own.get("name"))
        if links := own.get("links"):
            names = tuple(plain_name(link.get("name") or str(link.get("peer", ""))[:8]) for link in links)
            self._linked[peer] = names, now
            return ""
        names, at = self._linked.get(peer, ((), now))
        more = f" and {len(names) - PARTED} more" if len(names) > PARTED else ""
        return f"{', '.join(names[:PARTED])}{more} {span(now - at)} ago" if names else ""


def headline(peers: Sequence[Status], words: str = "") -> str:
    """What happens now in plain words: the slowest peer's step, for that is what everybody waits for."""
    if words:
        return words
    states = [_state(peer) for peer in peers]
    if not states:
        return WORDS["starting"]
    begun = states.count("training")
    early = next((step for step in STEPS[: STEPS.index("training")] if step in states), "")
    if begun and early:
        others = "wait for a processor" if early == "waiting" else f"are still {early}"
        return f"Training has begun in {begun} of {len(states)} peers; the others {others}."
    for step in STEPS:
        if step in states:
            how_far = {"joining": _fetching, "reading data": _reading}.get(step)
            return (how_far(peers) if how_far else "") or WORDS[step]
    return WORDS.get(states[0], states[0])


def _fetching(peers: Sequence[Status]) -> str:
    """How far a joiner is that has found somebody and is given the ledger; "" before."""
    for peer in peers:
        held, missing = int(peer.get("entries", 0)), int(peer.get("missing", 0))
        if _state(peer) == "joining" and peer.get("links") and (held > 1 or missing):  # the first is its own
            return f"Joining: fetches and checks the ledger; {many(held, 'entry')} held, {missing:,} missing."
    return ""


def _reading(peers: Sequence[Status]) -> str:
    """How far the one peer shown has read its files; "" where there are several, or before it has begun."""
    reading = peers[0].get("reading") if len(peers) == 1 else None
    if not reading or not reading.get("of"):
        return ""
    share = min(1.0, int(reading["bytes"]) / int(reading["of"]))
    done = round(share * READING_CELLS)
    bar = "=" * done + "." * (READING_CELLS - done)
    return f"Reading data: [{bar}] {share:.0%}, {many(int(reading['rows']), 'row')} so far."


def totals(peers: Sequence[Status]) -> str:
    """Counts, never a made-up time left."""
    epochs = sum(int(p.get("epochs", 0)) for p in peers)
    updates = sum(int(p.get("updates", 0)) for p in peers)
    entries = max((int(p.get("entries", 0)) for p in peers), default=0)
    return f"{many(epochs, 'epoch')}, {many(updates, 'update')} made, {many(entries, 'entry')} in the ledger"


def spark(values: Sequence[float], low: float, high: float, unicode: bool = True) -> str:
    """The course of one peer's swarm score, all peers on one scale."""
    marks = SPARKS if unicode else SPARKS_ASCII
    if not values:
        return ""
    if len(values) > SPARK_POINTS:
        step = (len(values) - 1) / (SPARK_POINTS - 1)
        values = [values[round(i * step)] for i in range(SPARK_POINTS)]
    reach = max(high - low, 0.05)  # noise in the third digit is not a mountain
    return "".join(marks[min(len(marks) - 1, int((v - low) / reach * len(marks)))] for v in values)


def view(board: Board, width: int = WIDTH, height: int = 24, unicode: bool = True) -> RenderableType:
    """The board as something rich can draw, at most `height` lines high."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(expand=True)
    head.add_column(ratio=1, no_wrap=True)
    head.add_column(justify="right")
    head.add_row(Text(plain(board.title), style="bold"), Text(span(board.elapsed_s), style="dim"))
    told = textwrap.wrap(headline(board.peers, board.words), width)  # what a node tells may be longer than a line
    words = Text("\n".join(told[:WORDS_LINES]), no_wrap=True, overflow="ellipsis")
    parts: list[RenderableType] = [head, words, Text(totals(board.peers), style="dim"), Text()]
    used = 3 + min(len(told), WORDS_LINES)
    if len(board.peers) == 1:
        own = board.peers[0]
        seal = [
            Text(line[:width], style="dim")
            for line in (
                *_witnessed(own, width),
                *pacing(own),
                *machine(own),
                *sums(own),
                *lending(own),
                *beyond(own, width),
            )
        ]
        doorway = [Text(line, style="bold") for line in door(own, width)]
        worries = [Text(line, style="yellow") for line in concerns(own, width)]
        parts += [
            _peers(board, width, unicode),
            Text(),
            *_links(own, unicode, width, board.parted),
            *doorway,
            *seal,
            *worries,
            Text(),
        ]
        used += 3 + 2 + max(1, len(own.get("links", ()))) + len(doorway) + len(seal) + len(worries)
    else:
        parts += [_peers(board, width, unicode), Text()]
        used += 2 + len(board.peers)
    tail = _tail(board, width, height - used - 2, unicode)
    parts += tail
    used += len(tail)
    if board.footer and used + 2 <= height:
        parts += [*([Text()] if tail else ()), Text(board.footer, style="dim")]
    return Group(*parts)


def _peers(board: Board, width: int, unicode: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDTH - 4
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    grid.add_column("peer", width=12, no_wrap=True)
    grid.add_column("state", width=12, no_wrap=True)
    for title, columns in (("links", 5), ("alone", 5), ("swarm", 5)):
        grid.add_column(title, width=columns, justify="right", no_wrap=True)
    if wide:
        grid.add_column("", width=SPARK_POINTS, no_wrap=True)
    grid.add_column("stale", width=5, justify="right", no_wrap=True)
    if wide:
        grid.add_column("in", width=6, justify="right", no_wrap=True)
        grid.add_column("out", width=6, justify="right", no_wrap=True)
    grid.add_column("updates", width=7, justify="right", no_wrap=True)
    seen = [v for row in board.history.values() for v in row]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    for peer in board.peers:
        course = spark(board.history.get(str(peer.get("id") or peer.get("name")), ()), low, high, unicode)
        state = _state(peer)
        cells = [
            _who(peer),
            Text(state, style=STYLES.get(state, "yellow")),
            Text(str(len(peer.get("links") or ()))),
            Text(score(leading(peer.get("alone"))), style="dim"),
            Text(score(leading(peer.get("swarm_scores"))), style="bold"),
            *([Text(course, style="cyan")] if wide else []),
            Text(_staleness(peer)),
            *([Text(size(peer.get("bytes_received", 0))), Text(size(peer.get("bytes_sent", 0)))] if wide else []),
            Text(str(peer.get("updates", 0))),
        ]
        grid.add_row(*cells)
    return grid


def _state(peer: Status) -> str:
    state = plain(peer.get("state", "starting"))
    return plain(SHOWN_AS.get(state, state), 12)


def _who(peer: Status) -> Text:
    from rich.text import Text

    if int(peer.get("duty_percent", 100)) >= 100:
        return Text(plain_name(peer.get("name", ""), 12))
    return Text(plain_name(peer.get("name", ""), 7)).append(" slow", style="dim")


def _staleness(peer: Status) -> str:
    return score(float(peer.get("staleness", 0.0)), 1) if peer.get("updates") else NONE


def _links(own: Status, unicode: bool, width: int, parted: str = "") -> list[RenderableType]:
    """Only where one peer is shown: who it is connected to."""
    from rich.table import Table
    from rich.text import Text

    title = _rule(f"links, this peer answers at {plain(own.get('address') or 'no address yet', 40)}", width, unicode)
    links = own.get("links") or ()
    if not links:
        said = f"none now; last: {parted}" if parted else "none yet: looking for other peers"
        return [title, Text(said, style="dim", no_wrap=True, overflow="ellipsis")]
    grid = Table.grid(padding=(0, 2, 0, 0))
    names = [str(link.get("name") or "") for link in links]
    for link in links:
        traffic = f"in {size(link.get('bytes_received', 0))}  out {size(link.get('bytes_sent', 0))}"
        up = f"up {span(float(link.get('up_s', 0)))}"
        short, called = str(link.get("peer", ""))[:8], str(link.get("name") or "")
        who = plain_name(called or short)
        if called and (names.count(called) > 1 or called == own.get("name")):
            who = f"{who} {plain(short)}"  # a name proves nothing
        grid.add_row(*(Text(cell) for cell in (who, plain(link.get("backend", ""), 20), up, traffic)))
    return [title, grid]


def _witnessed(own: Status, width: int) -> list[str]:
    """One line about its role, what others have put their names to, and what of a promise of privacy is spent:
    `role trainer; witnessed 48 of 52 by ada, ben, eve; final snapshot 12:00 ago; privacy 0.89 of 8 spent`"""
    said = [f"role {seat(own)}"] if seat(own) else []
    if own.get("model") not in (None, "", "folded"):  # (whoever comes late: not yet of all that it holds)
        said.append(f"model {plain(own['model'], 60)}")
    if own.get("witnessed"):
        names = ", ".join(plain_name(name, 12) for name in own.get("witnesses", ()))
        size = own.get("heads", {}).get(own.get("id"), own["witnessed"])
        said.append(f"witnessed {own['witnessed']:,} of {size:,} by {names}")
    if own.get("final_at"):
        ago = float(own.get("started_at", 0)) + float(own.get("up_s", 0)) - float(own["final_at"])
        said.append(f"final snapshot {span(max(0.0, ago))} ago")
    privacy = own.get("privacy")
    if privacy:
        said.append(f"privacy {float(privacy['spent']):.2f} of {float(privacy['epsilon']):g} spent")
    return textwrap.wrap("; ".join(said), width)


def _tail(board: Board, width: int, room: int, unicode: bool) -> list[RenderableType]:
    """The newest entries as the first peer holds them, newest last."""
    from rich.text import Text

    keeper = next((peer for peer in board.peers if peer.get("tail")), None)
    if keeper is None or room < 2:
        return []
    lines: list[RenderableType] = [
        _rule(f"ledger as {plain_name(keeper.get('name', ''))} holds it, newest last", width, unicode)
    ]
    for entry in list(keeper["tail"])[-min(TAIL_LINES, room - 1) :]:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{plain_name(entry.get('name', ''), 12):12} ")
        line.append(f"{'#' + str(entry.get('seq', '')):>5} ", style="dim")
        line.append(f"{plain(entry.get('kind', ''), 9):9} ", style="cyan" if entry.get("kind") == "update" else "")
        line.append(plain(entry.get("text", "")), style="dim")
        line.truncate(width, overflow="ellipsis" if unicode else "crop")
        lines.append(line)
    return lines


def _rule(title: str, width: int, unicode: bool) -> Text:
    from rich.text import Text

    return Text(f"{title} " + ("─" if unicode else "-") * max(0, width - len(title) - 1), style="dim", no_wrap=True)


def line(board: Board) -> str:
    """The same facts as one line, for pipes and --plain."""
    scores = [found for p in board.peers if (found := leading(p.get("swarm_scores"))) is not None]
    reach = f"{score(min(scores))} to {score(max(scores))}" if len(scores) > 1 else "".join(map(score, scores))
    swarm = f"; swarm {reach}" if scores else ""
    ends = sum(len(p.get("links") or ()) for p in board.peers)
    links = ends // 2 if len(board.peers) > 1 else ends  # a board of several shows both ends of each link
    counts = f"{totals(board.peers)}; {many(links, 'link')}{swarm}"
    return f"{span(board.elapsed_s):>5}  {headline(board.peers, board.words)}  {counts}"


def picture(board: Board, width: int = WIDTH, height: int = 24) -> str:
    """The view as SVG for a page: no script, no font from anywhere else."""
    import io

    from rich.console import Console

    paper = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="truecolor"
    )
    paper.print(view(board, width, height))
    svg = re.sub(r"@font-face\s*\{[^}]*\}\s*", "", paper.export_svg(title=board.title, unique_id="gossip"))
    return _SVG_CELL.sub(_without_padding, svg)


_SVG_CELL: Final = re.compile(r'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]+)</text>')


def _without_padding(cell: re.Match[str]) -> str:
    """Some viewers drop blanks at the start of a text; then columns of figures lose their edge."""
    x, y, length, rest, escaped = cell.groups()
    text = unescape(escaped)
    one = float(length) / len(text)
    shown, before = text.strip("\xa0"), len(text) - len(text.lstrip("\xa0"))
    at, long = f"{float(x) + before * one:g}", f"{len(shown) * one:g}"
    return f'x="{at}" y="{y}" textLength="{long}"{rest}>{escape(shown).replace(chr(0xA0), "&#160;")}</text>'


def speaks_unicode(out: Console) -> bool:
    return (out.encoding or "").lower().startswith("utf")
