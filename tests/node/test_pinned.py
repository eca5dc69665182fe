"""Files that a policy names by hash: kept whole, known by their bytes, and nothing else is kept."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from gossip.pinned import MAX_PINNED_BYTES, Pin, _copy, held, keep, pinned_path, pins_of
from ledger.errors import LocalError
from ledger.policy import Policy

EASY, ROWS = b"||ads.example^\n", b'{"page":"https://a.test/"}\n'


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


POLICY = Policy.parse(
    f'policy = 1\n[labels.ad]\neasylist = "{digest(EASY)}"\n[canary]\nsha256 = "{digest(ROWS)}"\n'
    "[opened.wrong_labels_permille]\nmax = 50\n[canary.harm_permille]\nmax = 20\n"
)


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_file_that_the_policy_names_is_kept_under_its_hash(tmp_path: Path) -> None:
    folder = pinned_path(tmp_path)
    assert pins_of(POLICY) == (Pin("canary", "canary", digest(ROWS)), Pin("easylist", "ad", digest(EASY)))
    assert keep(folder, put(tmp_path / "whatever.txt", EASY), POLICY) == (Pin("easylist", "ad", digest(EASY)),)
    path = held(folder, digest(EASY))
    assert path == folder / digest(EASY)
    assert path.read_bytes() == EASY
    assert held(folder, digest(ROWS)) is None
    assert keep(folder, tmp_path / "whatever.txt", POLICY)  # again: nothing changes
    assert [entry.name for entry in folder.iterdir()] == [digest(EASY)]


def test_a_file_that_it_does_not_name_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = pinned_path(tmp_path)
    with pytest.raises(LocalError) as caught:
        keep(folder, put(tmp_path / "Easy List-2.txt", EASY + b"x"), POLICY)
    assert f'easy_list_2 = "{digest(EASY + b"x")}"' in caught.value.next_step
    assert digest(EASY)[:16] in caught.value.why
    assert not folder.exists()
    Policy.parse(
        f"policy = 1\n[labels.ad]\n{caught.value.next_step.rpartition(': ')[2]}\n"
    )  # the line is good to paste


def test_a_file_that_changed_on_disk_is_not_held_and_can_be_kept_again(tmp_path: Path) -> None:
    folder, file = pinned_path(tmp_path), put(tmp_path / "easy.txt", EASY)
    keep(folder, file, POLICY)
    (folder / digest(EASY)).write_bytes(EASY[:-1])
    assert held(folder, digest(EASY)) is None
    keep(folder, file, POLICY)
    assert held(folder, digest(EASY)) is not None


def test_files_that_cannot_be_pinned_are_named(tmp_path: Path) -> None:
    folder = pinned_path(tmp_path)
    with pytest.raises(LocalError, match=r"none\.txt: cannot be read"):
        keep(folder, tmp_path / "none.txt", POLICY)
    long = tmp_path / "long.txt"
    with long.open("wb") as file:
        file.truncate(MAX_PINNED_BYTES + 1)
    with pytest.raises(LocalError, match="too long to be pinned"):
        keep(folder, long, POLICY)


def test_a_file_that_changes_between_two_looks_is_not_kept_under_the_first_ones_hash(tmp_path: Path) -> None:
    folder, file = tmp_path / "pinned", put(tmp_path / "easy.txt", EASY)
    folder.mkdir()
    file.write_bytes(EASY + b"! more\n")  # after it was hashed
    with pytest.raises(LocalError, match="it changed while it was read"):
        _copy(file, folder / digest(EASY), digest(EASY))
    assert list(folder.iterdir()) == []
