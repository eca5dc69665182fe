"""When peers disagree, the demo names them and the first entry in which they differ."""

from __future__ import annotations

from collections.abc import Iterator

from cli.agreement import describe, first_difference, odd_ones

A, B = "a" * 64, "b" * 64


class Held:
    """What one peer holds, in memory."""

    def __init__(self, **logs: list[bytes]) -> None:
        self._logs = {log * 64: rows for log, rows in logs.items()}

    def logs(self) -> dict[str, int]:
        return {log: len(rows) for log, rows in self._logs.items()}

    def entries(self, log: str) -> Iterator[bytes]:
        return iter(self._logs[log])


def test_equal_books_have_no_difference() -> None:
    assert first_difference({"x": Held(a=[b"0", b"1"]), "y": Held(a=[b"0", b"1"])}) is None


def test_an_altered_entry_is_named_and_who_holds_which() -> None:
    books = {
        "alder": Held(a=[b"0", b"1", b"2"]),
        "birch": Held(a=[b"0", b"9", b"2"]),
        "cedar": Held(a=[b"0", b"1", b"2"]),
    }
    found = first_difference(books)
    assert found is not None
    assert (found.log, found.seq, found.missing) == (A, 1, ())
    assert found.holders == (("alder", "cedar"), ("birch",))
    assert describe(found, {A: "oak"}) == (
        "first difference: entry 1 of oak, where alder and cedar against birch hold other bytes"
    )


def test_an_entry_that_never_arrived_is_named_with_who_lacks_it() -> None:
    books = {"alder": Held(a=[b"0"], b=[b"0", b"1"]), "birch": Held(a=[b"0"], b=[b"0"]), "cedar": Held(a=[b"0"])}
    found = first_difference(books)
    assert found is not None
    assert (found.log, found.seq) == (B, 0)
    assert describe(found, {}) == f"first difference: entry 0 of {'b' * 8}, which cedar does not hold"


def test_the_lowest_log_and_index_come_first() -> None:
    books = {"x": Held(a=[b"0", b"1"], b=[b"0"]), "y": Held(a=[b"0", b"2"], b=[b"9"])}
    found = first_difference(books)
    assert found is not None
    assert (found.log, found.seq) == (A, 1)


def test_the_odd_one_out_is_who_holds_another_model_than_most() -> None:
    assert odd_ones({"x": "1", "y": "1", "z": "1"}) == ()
    assert odd_ones({"x": "1", "y": "2", "z": "1"}) == ("y",)
    assert odd_ones({"x": "2", "y": "1"}) == ("x",)  # a tie: the lower hash stands, always the same way
