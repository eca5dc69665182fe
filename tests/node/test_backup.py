"""What is said of a backup's file is said of a backup, and not of a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip import backup
from ledger.errors import LocalError
from ledger.private_files import Passphrase


def test_a_backup_that_cannot_be_written_is_called_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backup._COST, "n", 1024)
    there = tmp_path / "backup"
    there.write_bytes(b"of last year")
    for file, told in ((there, "there is a file"), (tmp_path / ("x" * 300), "cannot write the backup")):
        with pytest.raises(LocalError, match=told) as caught:
            backup.write(file, b"", Passphrase("correct horse battery"))
        assert "key" not in str(caught.value).replace(str(tmp_path), "")
    assert there.read_bytes() == b"of last year"
