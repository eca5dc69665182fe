"""What is written before any node runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gossip import directory as places
from gossip.setup import MAX_USES, create_swarm, enrol, make_ticket, staleness_table
from gossip.training.spec import FILTERLIST
from ledger.canonical import decode_entry
from ledger.entry import GRID_ONE, Enrol, Genesis
from ledger.errors import LocalError
from ledger.genesis import check_genesis
from ledger.keys import PrivateKey
from ledger.store import Store


def found(place: Path, name: str = "lists") -> None:
    create_swarm(place, name=name, task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1)


@pytest.mark.parametrize("uses", [0, MAX_USES + 1, "3", 1.5, None])
def test_an_invite_lets_in_a_sensible_number(tmp_path: Path, uses: object) -> None:
    found(tmp_path / "ann")
    with pytest.raises(LocalError, match="an invite for"):
        make_ticket(tmp_path / "ann", uses=uses)  # type: ignore[arg-type]
    assert make_ticket(tmp_path / "ann", uses=MAX_USES).role == "trainer"


def test_who_is_no_member_invites_nobody(tmp_path: Path) -> None:
    found(tmp_path / "ann")
    enrol(tmp_path / "bea", make_ticket(tmp_path / "ann"), "bea")
    with pytest.raises(LocalError, match="no member yet"):
        make_ticket(tmp_path / "bea")


@pytest.mark.parametrize(
    ("asked", "kappa"), [({}, 1.5), ({"guests": 3}, 1.0), ({"is_open": True}, 1.0)], ids=["admins", "guests", "open"]
)
def test_where_strangers_come_in_the_clip_is_shorter(tmp_path: Path, asked: dict[str, Any], kappa: float) -> None:
    created = create_swarm(
        tmp_path / "ann", name="lists", task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1, **asked
    )
    with Store.open_readonly(places.store_path(tmp_path / "ann")) as store:
        genesis = decode_entry(next(iter(store.entries(created.peer))))
    assert isinstance(genesis, Genesis)
    assert genesis.fold.kappa == kappa * GRID_ONE


def test_the_founder_is_a_witness_and_others_may_be_named(tmp_path: Path) -> None:
    def witnesses(place: Path, named: tuple[str, ...]) -> list[str]:
        created = create_swarm(
            place, name="lists", task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1, witnesses=named
        )
        with Store.open_readonly(places.store_path(place)) as store:
            genesis, enrolment = (decode_entry(data) for data in store.entries(created.peer))
        assert isinstance(genesis, Genesis)
        assert isinstance(enrolment, Enrol)
        check_genesis(genesis)
        assert genesis.witnesses[0] == enrolment.key
        return genesis.witnesses[1:]

    others = [PrivateKey.from_seed(bytes([n]) * 32).public.hex() for n in (1, 2)]
    assert witnesses(tmp_path / "a", ()) == []
    assert witnesses(tmp_path / "b", (others[0], others[1], others[0].upper())) == others
    for number, wrong in enumerate(("", "abc", "zz" * 32, "01" + "00" * 31)):
        with pytest.raises(LocalError, match="no public key"):
            witnesses(tmp_path / f"wrong-{number}", (wrong,))
        assert not (tmp_path / f"wrong-{number}").exists()


def test_a_name_that_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no usable name"):
        found(tmp_path / "ann", name="two\nlines")
    assert not (tmp_path / "ann").exists()


def test_a_directory_that_holds_a_peer_is_not_founded_over(tmp_path: Path) -> None:
    found(tmp_path / "ann")
    with Store.open_readonly(places.store_path(tmp_path / "ann")) as store:
        before = store.logs()
    with pytest.raises(LocalError, match="already holds a peer"):
        found(tmp_path / "ann")
    with Store.open_readonly(places.store_path(tmp_path / "ann")) as store:
        assert store.logs() == before


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    found(tmp_path / "ann")
    keys = places.keys_path(tmp_path / "ann")
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in keys.iterdir()} == {"current": 0o600, "next": 0o600}


def test_staleness_costs_nothing_up_to_two_rounds_and_then_falls_as_the_root() -> None:
    table = staleness_table()
    assert table[: 4 * 2 + 1] == [GRID_ONE] * 9
    assert table == sorted(table, reverse=True)
    assert table[4 * (2 + 3)] == GRID_ONE // 2  # tau - b = 3: 1 / sqrt(4)
