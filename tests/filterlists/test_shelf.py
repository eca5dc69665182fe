"""The lists that are remembered: whole or not at all, read strictly, renewed from what is there now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gossip.filterlists.shelf import (
    MAX_LISTS,
    MAX_SHELF_BYTES,
    Kept,
    Shelf,
    kind_of,
    look_at,
    read_shelf,
    renewed,
    texts,
)
from ledger.errors import LocalError

LIST = "! Title: Mine\n! Version: 7\n! License: CC0\n||ads.example^\n"


def put(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_what_was_added_is_there_for_the_next_process(tmp_path: Path) -> None:
    shelf = tmp_path / "deep" / "home" / "lists.json"
    assert Shelf(shelf).entries() == ()
    one, two = put(tmp_path / "one.txt", LIST), put(tmp_path / "two.txt", "! Title: Two\n! Version: 1\n||b.example^\n")
    kept = Shelf(shelf).add(one)
    assert kept == look_at(one)
    assert (kept.name, kept.version, kept.licence, kept.kind, kept.path) == ("Mine", "7", "CC0-1.0", "ad", one)
    Shelf(shelf).add(two, "tracker")
    assert [(each.name, each.kind) for each in Shelf(shelf).entries()] == [("Mine", "ad"), ("Two", "tracker")]
    assert read_shelf(shelf.read_bytes()) == Shelf(shelf).entries()
    assert [file.name for file in shelf.parent.iterdir()] == ["lists.json"]  # nothing half-written stays


def test_a_newer_copy_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "lists.json")
    shelf.add(put(tmp_path / "old.txt", LIST))
    shelf.add(put(tmp_path / "new.txt", LIST.replace("7", "8")))
    assert [(each.path.name, each.version) for each in shelf.entries()] == [("new.txt", "8")]
    shelf.add(tmp_path / "new.txt", "tracker", "Renamed")
    assert [(each.name, each.kind) for each in shelf.entries()] == [("Renamed", "tracker")]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path / "home" / "lists.json")
    shelf.add(put(tmp_path / "one.txt", LIST))
    before = (tmp_path / "home" / "lists.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalError, match="cannot be written: No space left on device"):
        shelf.add(put(tmp_path / "two.txt", LIST.replace("Mine", "Two")))
    assert (tmp_path / "home" / "lists.json").read_bytes() == before
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["lists.json"]


def test_lists_are_used_as_they_are_now(tmp_path: Path) -> None:
    path = put(tmp_path / "one.txt", LIST)
    kept = look_at(path, "tracker", "My own name")
    put(path, LIST.replace("7", "8") + "||more.example^\n")
    fresh = renewed(kept)
    assert isinstance(fresh, Kept)
    assert (fresh.name, fresh.kind, fresh.version) == ("My own name", "tracker", "8")
    read, missing = texts([kept])
    assert (read[0].name, read[0].kind, missing) == ("My own name", "tracker", ())
    assert "||more.example^" in read[0].text
    path.unlink()
    assert isinstance(renewed(kept), LocalError)
    read, missing = texts([kept])
    assert (read, len(missing)) == ((), 1)


def test_what_a_list_is_for_follows_from_its_title() -> None:
    for title in ("EasyPrivacy", "uBlock filters – Privacy", "Fanboy's Enhanced Tracking List", "AdGuard Spyware"):
        assert kind_of(title) == "tracker"
    for title in ("EasyList", "uBlock filters – Unbreak", "Peter Lowe's list"):
        assert kind_of(title) == "ad"


def test_a_shelf_has_bounds(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="too long"):
        read_shelf(b" " * (MAX_SHELF_BYTES + 1))
    shelf = Shelf(tmp_path / "lists.json")
    many = tuple(Kept(str(number), tmp_path / str(number), "ad", "", "", "", "") for number in range(MAX_LISTS))
    shelf._write(many)
    with pytest.raises(LocalError, match="200 lists are remembered already"):
        shelf.add(put(tmp_path / "one.txt", LIST))
    with pytest.raises(LocalError, match="no list called 'x'"):
        shelf.remove("x")
