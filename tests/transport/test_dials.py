"""Which dials failed: bounded, newest first, and forgotten once one succeeds."""

from __future__ import annotations

from gossip.transport.dials import FAILED_KEPT, MAX_CHARS, Dials


def test_the_newest_failure_stands_first_and_a_success_ends_it() -> None:
    now = 100.0
    dials = Dials(lambda: now)
    dials.failed("10.0.0.1", 4000, "refused")
    now = 101.0
    dials.failed("10.0.0.2", 4000, "no answer")
    dials.failed("10.0.0.1", 4000, "refused again")
    assert [(row["address"], row["text"], row["at"], row["tries"]) for row in dials.rows()] == [
        ("10.0.0.1:4000", "refused again", 101.0, 2),
        ("10.0.0.2:4000", "no answer", 101.0, 1),
    ]
    dials.succeeded("10.0.0.1", 4000)
    dials.succeeded("10.0.0.9", 4000)
    assert [row["address"] for row in dials.rows()] == ["10.0.0.2:4000"]


def test_who_invents_places_fills_nothing() -> None:
    dials = Dials(lambda: 0.0)
    for port in range(1, 1000):
        dials.failed("10.0.0.1", port, "x" * 10_000)
    rows = dials.rows()
    assert [row["address"] for row in rows] == [f"10.0.0.1:{port}" for port in range(999, 999 - FAILED_KEPT, -1)]
    assert {len(row["text"]) for row in rows} == {MAX_CHARS}


def test_a_place_by_road_has_no_port_to_be_shown() -> None:
    dials = Dials(lambda: 0.0)
    dials.failed("/p2p/12D3KooWanna", 0, "nobody is there")
    assert [row["address"] for row in dials.rows()] == ["/p2p/12D3KooWanna"]
    dials.succeeded("/p2p/12D3KooWanna", 0)
    assert dials.rows() == []
