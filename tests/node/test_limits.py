"""Limits: a file names some, the page names all, and what is wrong is refused before it binds nobody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gossip.bucket import Buckets
from gossip.limits import DEFAULT, GIB, KIB, MIB, Limits, bounds
from ledger.errors import LocalError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "limits.md").read_text()


def number(text: str) -> int:
    value, _, unit = text.replace(",", "").partition(" ")
    return int(value) * {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}[unit]


def test_the_page_names_every_limit_with_its_default_and_bounds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) to ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == list(bounds())
    for (name, default, unit, least, most, why), bound in zip(rows, bounds().values(), strict=True):
        assert number(default) == getattr(DEFAULT, name)
        assert (number(least), number(most)) == (bound.least, bound.most)
        assert (unit, why) == (bound.unit, bound.why)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "limits.toml"
    place.write_text("# mine\nframes_per_s = 400\ndisk_bytes = 8_589_934_592\n")
    limits = Limits.read(place)
    assert (limits.frames_per_s, limits.disk_bytes) == (400, 8 * GIB)
    assert {name for name in bounds() if getattr(limits, name) != getattr(DEFAULT, name)} == {
        "frames_per_s",
        "disk_bytes",
    }
    assert Limits.parse("") == DEFAULT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frame_per_s = 4", "did you mean frames_per_s"),
        ("zebra = 4", "no limit called"),
        ("frames_per_s = 0", "from 10 to"),
        ("frames_per_s = 1e3", "from 10 to"),
        ("guest_percent = 101", "from 5 to 100"),
        ("links = true", "from 2 to"),
        ('links = "12"', "from 2 to"),
        ("[links]\nmost = 3", "from 2 to"),
        ("links = ", "no TOML"),
        ("links = 3\nlinks = 4", "no TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_a_word_on_what_was_meant(text: str, words: str) -> None:
    with pytest.raises(LocalError) as caught:
        Limits.parse(text)
    assert words in f"{caught.value} {caught.value.why} {caught.value.next_step}"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for data, words in ((b"\xff\xfe", "UTF-8"), (b"#" * 70_000, "too long")):
        (tmp_path / "limits.toml").write_bytes(data)
        with pytest.raises(LocalError, match=words):
            Limits.read(tmp_path / "limits.toml")
    with pytest.raises(LocalError, match="cannot read"):
        Limits.read(tmp_path / "nowhere.toml")


def test_every_limit_says_what_it_counts_and_why() -> None:
    for name, bound in bounds().items():
        assert bound.least <= getattr(DEFAULT, name) <= bound.most
        assert len(bound.why) > 10
        assert bound.unit


def test_a_name_has_so_many_and_they_come_back_with_time() -> None:
    budget = Buckets(3, 1.0, most=2)
    assert [budget.take("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert budget.take("b", 0.0)
    assert [budget.take("a", 2.0) for _ in range(3)] == [True, True, False]
    for other in range(100):
        budget.take(other, 2.0)
    assert len(budget) == 2


@pytest.mark.parametrize(
    ("text", "advice"),
    [("[limits]\nlinks = 8\n", "leave that line out, and write: NAME = NUMBER"),
     ('links = "8"', "write the number without quotes")],
)  # fmt: skip
def test_a_section_and_quotes_are_told_how_to_write_it(text: str, advice: str) -> None:
    with pytest.raises(LocalError, match=advice):
        Limits.parse(text)
