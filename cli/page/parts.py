"""The small parts of the page: tables, bars, names. What a peer chose goes through `text`: nothing else prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from cli.page import drawing
from cli.page.facts import Facts
from cli.plain import visible
from ledger.chain import peer_of


def text(value: object, limit: int = 300) -> str:
    """What somebody else wrote, for the page: one line, no control or direction marks, escaped."""
    return escape(visible(value, limit), quote=True)


def section(title: str, note: str, body: str) -> str:
    told = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{told}{body}</section>"


def scroll(inner: str) -> str:
    return f'<div class="scroll">{inner}</div>'


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """`rows` are markup already."""

    def cell(tag: str, kind: str, inner: str) -> str:
        return f'<{tag} class="{kind}">{inner}</{tag}>' if kind else f"<{tag}>{inner}</{tag}>"

    top = "".join(cell("th", kind, title) for title, kind in head)
    body = "".join(
        "<tr>" + "".join(cell("td", kind, inner) for (_, kind), inner in zip(head, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def legend(facts: Facts) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="false" data-of="{colour}">{chip(colour)}{text(name, 40)}</button>'
        for colour, name in drawing.legend_peers(facts)
    )
    return f'<div class="legend">{buttons}</div>'


def chip(colour: int) -> str:
    return f'<span class="chip s{colour}"></span>'


def who(facts: Facts, log: str) -> str:
    name = facts.names.get(log) or facts.names.get(peer_of(log), "")
    branch = " (branch)" if "~" in log else ""
    return f'{text(name, 24)}{branch} <span class="mono">{text(log[:8])}</span>'


def bar(share: float, colour: int) -> str:
    width = 150 * min(1.0, max(0.0, share))
    return (
        '<svg class="bar-box" viewBox="0 0 150 10" aria-hidden="true">'
        '<rect class="rail" width="150" height="10" rx="3"/>'
        f'<rect class="b{colour}" width="{width:.1f}" height="10" rx="3"/></svg>'
    )


def level(kind: str, word: str) -> str:
    """A word that says how things stand. `kind`: good, note, warning or refused."""
    return f'<span class="level {kind}">{word}</span>'


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def sources(sources: Sequence[Any]) -> str:
    told = [
        ", ".join(filter(None, (text(source[part], 60) for part in ("name", "version", "licence", "url"))))
        for source in sources[:4]
    ]
    return (
        "<br>".join(told) + (f"<br>and {len(sources) - 4} more" if len(sources) > 4 else "") if told else "(none named)"
    )
