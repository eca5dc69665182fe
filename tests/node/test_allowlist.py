"""A file of keys that may enter: one spelling a line, and a slip names its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.node.allowlist import MAX_BYTES, AllowFile, parse
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.store import StoredAllowed

ANNA, BERTA = (PrivateKey.from_seed(bytes([seed]) * 32).public for seed in (1, 2))


def test_keys_roles_days_and_comments() -> None:
    text = f"# machines\n\n{ANNA.hex()} trainer  # anna's\n  {BERTA.hex().upper()}\tauditor until 2027-01-31\n"
    assert parse(text) == (StoredAllowed(ANNA, "trainer", 0), StoredAllowed(BERTA, "auditor", 1_801_353_600))


@pytest.mark.parametrize(
    "line",
    [
        "nonsense", ANNA.hex(), f"{ANNA.hex()[:-2]} trainer", f"{'00' * 32} trainer", f"{ANNA.hex()} boss",
        f"{ANNA.hex()} admin", f"{ANNA.hex()} trainer until", f"{ANNA.hex()} trainer until tomorrow",
        f"{ANNA.hex()} trainer until 2027-02-30", f"{ANNA.hex()} trainer until 1970-01-01",
        f"{ANNA.hex()} trainer from 2027-01-31", f"{ANNA.hex()} trainer until 2027-01-31 or so",
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(LocalError, match="line 3"):
        parse(f"# one\n{BERTA.hex()} relay\n{line}\n")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_no_mark_within_a_comment_begins_a_line_that_no_reviewer_sees(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(f"# nobody but anna{mark}{BERTA.hex()} auditor\r\n{ANNA.hex()} trainer\r\n".encode())
    file = AllowFile(path)
    file.refresh()
    assert file.keys == (StoredAllowed(ANNA, "trainer", 0),)
    with pytest.raises(LocalError, match="line 1"):
        parse(f"{ANNA.hex()} trainer{mark}{BERTA.hex()} auditor")


def test_a_key_named_twice_is_a_slip() -> None:
    with pytest.raises(LocalError, match=r"line 2 .* again"):
        parse(f"{ANNA.hex()} trainer\n{ANNA.hex()} observer\n")


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text_is_keys_or_a_local_error_with_advice(text: str) -> None:
    told = None
    try:
        parse(text)
    except LocalError as error:
        told = error
    assert told is None or told.next_step


def test_the_file_is_read_again_when_it_changes_and_a_slip_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(f"{ANNA.hex()} trainer\n")
    file = AllowFile(path)
    assert file.refresh()
    assert not file.refresh()
    path.write_text(f"{ANNA.hex()} trainer\n{BERTA.hex()} bos\n")
    with pytest.raises(LocalError, match="bos"):
        file.refresh()
    assert not file.refresh(), "told once, not each second"
    assert [one.key for one in file.keys] == [ANNA], "what was read last stays in force"
    path.write_text(f"{BERTA.hex()} observer\n")
    assert file.refresh()
    assert [one.key for one in file.keys] == [BERTA]
    path.unlink()
    with pytest.raises(LocalError, match="cannot read"):
        file.refresh()
    assert not file.refresh()
    assert [one.key for one in file.keys] == [BERTA]
    path.write_text("\n")
    assert file.refresh()
    assert file.keys == ()


def test_a_file_too_large_or_of_no_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LocalError, match="no text"):
        AllowFile(path).refresh()
    os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(LocalError, match="bytes"):
        AllowFile(path).refresh()
