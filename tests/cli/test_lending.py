"""Who trains on whose rows, as an owner says it and sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.lending import lending, peers
from cli.remembered import Remembered, Wishes, _merged
from gossip.directory import store_path
from ledger.errors import LocalError
from ledger.store import Store
from tests.cli.test_zones import gossip


def test_nothing_is_said_where_nothing_is_lent() -> None:
    assert lending({}) == []
    assert lending({"lent": [], "borrowed": []}) == []


def test_the_live_view_says_who_has_how_much_and_who_is_away() -> None:
    rows = [{"peer": "77aa" * 16, "name": "ben", "shards": 9}, {"peer": "5d1c" * 16, "name": "", "shards": 7}]
    away = {"peer": "cc" * 32, "name": "c\x1b[31mat", "shards": 0}
    assert lending({"lent": [*rows, away]}) == ["lends to ben 9, 5d1c5d1c 7 of 16 shards; cat away"]
    assert lending({"lent": [away]}) == ["lends to nobody"]
    held = {"peer": "aa" * 32, "name": "ada", "shards": 7, "records": 2430}
    assert lending({"borrowed": [held]}) == ["borrows from ada 7 shards, 2,430 rows"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    gossip("new", "lists", "--name", "ada", "--seed", "7")
    return tmp_path / "home" / "lists"


def test_a_borrower_is_named_by_a_name_an_id_or_the_first_digits_of_one(place: Path) -> None:
    with Store.open_readonly(store_path(place)) as store:
        ada = store.meta("self").decode()
    assert peers(place, "--lend-to", None) is None
    assert peers(place, "--lend-to", [""]) == []
    for words in (["ada"], [ada], [ada[:8]], [f"ada,{ada}"], ["ada", ada[:12]]):
        assert peers(place, "--lend-to", words) == [ada]
    with pytest.raises(LocalError, match="no peer here is called so"):
        peers(place, "--lend-to", ["bob"])


def test_leases_are_remembered_until_they_are_taken_back() -> None:
    before = _merged(Wishes(lend_to=["aa" * 32], borrow_from=["bb" * 32]), Remembered())
    assert _merged(Wishes(), before) == before
    assert _merged(Wishes(lend_to=[]), before) == Remembered(borrow_from=["bb" * 32])
