"""A peer may call itself anything; what reaches the terminal is plain text."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.plain import MAX_CHARS, NO_NAME, name, plain


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1bPsixel\x1b\\x", "x"),
        ("[bold red]loud[/]", "loud"),
        ("[re[b]d]nested[/red]", "nested"),
        ("\\[bold]escaped", "escaped"),
        ("[link=file:///etc/passwd]here[/link]", "here"),
        ("two\nlines\tand tab", "two lines and tab"),
        ("over\rwritten", "over written"),
        ("\u202eabc\u2066", "abc"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("a[0] = 1", "a[0] = 1"),
        ("ünïcødé 名前", "ünïcødé 名前"),
    ],
)
def test_hostile_names_lose_what_acts_and_keep_what_reads(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_a_name_of_nothing_visible_is_said_to_be_none() -> None:
    assert name("\x1b[2J\u200b ") == NO_NAME


def test_a_long_name_is_cut_and_says_so() -> None:
    assert name("x" * 100, 8) == "xxxxxxx…"


@given(st.text(alphabet=st.sampled_from("\x1b\x9b\x07\x00[]/\\#@;0m2JbÄa \n\u202e\u200b]P"), max_size=40))
def test_no_text_gets_through_that_moves_the_cursor_or_styles_anything(text: str) -> None:
    shown = plain(text)
    assert not any(unicodedata.category(c).startswith("C") for c in shown)
    paper = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200, emoji=False)
    rendered = paper.render_str(shown, markup=True, highlight=False)
    assert rendered.plain == shown  # rich, asked to obey markup, finds none
    assert rendered.spans == []


@pytest.mark.parametrize("piece", ["[a", "\\", "]", "\x1b]", "\x1b[", "[/", "\\["])
def test_a_text_that_only_makes_work_is_cut(piece: str) -> None:
    shown = plain(piece * 500_000 + "]" * 500_000)  # the square of this would take hours
    assert len(shown) <= MAX_CHARS
    assert not shown or shown[-1] == "…" or len(shown) < MAX_CHARS
