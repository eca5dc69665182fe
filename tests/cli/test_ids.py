"""Ids, keys and times as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import moments
from cli.render import moment
from gossip import ids
from ledger.errors import LocalError

values = st.binary(min_size=32, max_size=32).map(bytes.hex)
kinds = st.sampled_from(["peer", "key"])


@given(value=values, kind=kinds)
def test_what_is_shown_is_read_back(value: str, kind: ids.Kind) -> None:
    shown = ids.checked(value, kind)
    assert ids.read(shown, kind) == ids.read(f" {shown.upper()}\n", kind) == ids.read(value, kind) == value
    assert ids.read_either(shown) == (value, kind)
    assert ids.read_either(value) == (value, None)
    assert ids.is_one(shown)


@given(value=values, kind=kinds, at=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
def test_a_slip_is_noticed(value: str, kind: ids.Kind, at: int, digit: str) -> None:
    """One chance in 65,536 is left; not of one wrong digit in these."""
    shown = ids.checked(value, kind)
    slip = shown[:at] + digit + shown[at + 1 :]
    if slip != shown and ids.checked(slip[:64], kind) != slip:
        with pytest.raises(LocalError, match=r"slip in it|is wanted"):
            ids.read(slip, kind)


def test_a_key_is_not_taken_for_an_id_and_half_of_one_for_neither() -> None:
    value = "5d" * 32
    with pytest.raises(LocalError, match="this is a public key, and a peer id is wanted"):
        ids.read(ids.checked(value, "key"), "peer")
    with pytest.raises(LocalError, match="this is a peer id, and a public key is wanted"):
        ids.read(ids.checked(value, "peer"), "key")
    for text in (value[:-1], ids.checked(value, "key")[:-1], value + "-", f"0x{value}", "ann", ""):
        with pytest.raises(LocalError, match="is no public key"):
            ids.read(text, "key")
    assert not ids.is_one("ann")
    assert not ids.is_one("crossover-clockwork-acorn-zulu")


@pytest.mark.parametrize(("text", "found"), [("45s", 45), ("10m", 600), ("2h", 7_200), ("30d", 2_592_000)])
def test_how_long_is_typed_with_its_unit(text: str, found: int) -> None:
    assert moments.seconds(text) == found
    assert moments.lasting(found)[0].isdigit()
    assert moments.lasting(found).split()[0] + moments.lasting(found).split()[1][0] == text


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "0m", "1.5h", "10 m", "1w", "999999999d", "367d", "١m"])
def test_what_is_no_time_is_refused_with_advice(text: str) -> None:
    with pytest.raises(LocalError, match=r"write it as 10m, 2h or 30d|choose at most 366d"):
        moments.seconds(text)


def test_until_a_day_is_until_it_begins() -> None:
    found = moments.start_of("2027-01-31", now=0.0)
    assert moment(found) == "2027-01-31 00:00:00Z"
    assert moments.end(found) == "2027-01-31"
    assert moments.end(found + 61) == "2027-01-31 00:01:01Z"
    assert moments.start_of("2027-01-31", now=found - 1.0) == found
    with pytest.raises(LocalError, match="is past"):
        moments.start_of("2027-01-31", now=float(found))
    for text in ("31.1.2027", "2027-02-30", "", "12027-01-01"):
        with pytest.raises(LocalError, match="write it as YYYY-MM-DD"):
            moments.start_of(text, now=0.0)
