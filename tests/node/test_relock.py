"""Locking keys anew on a disk that gives back something else than was written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gossip import directory as places
from gossip.identity import KeyFiles
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from tests.node.test_identity import founder


def test_a_key_that_does_not_read_back_takes_no_other_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is a key, but another: nobody would notice before the next start, when the first one is gone."""
    place = founder(tmp_path / "peer")
    kept = {path: path.read_bytes() for path in places.keys_path(place).iterdir()}
    PrivateKey.generate().save(tmp_path / "another")
    another, fsync, written = (tmp_path / "another").read_bytes(), os.fsync, []

    def bad_disk(descriptor: int) -> None:
        fsync(descriptor)
        if os.fstat(descriptor).st_size == len(another) and not written:
            written.append(os.pwrite(descriptor, another, 0))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", bad_disk)
        with pytest.raises(LocalError, match="does not read back"):
            KeyFiles(place).relock(None)
    assert written
    assert {path: path.read_bytes() for path in kept} == kept
    KeyFiles(place).relock(None)  # on a good disk
    assert {path.name for path in places.keys_path(place).iterdir()} == {"current", "next"}
