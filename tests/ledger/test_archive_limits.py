"""Archives by the byte: how much of a header is read, where a stream goes, what is remembered of its files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ledger import archive
from ledger.archive import unpacked
from ledger.errors import RemoteError


def test_a_zips_table_of_contents_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """zipfile reads it at once, and the comment at its end as it comes."""
    for name, count, comment in (("files.zip", 60, b""), ("comment.zip", 1, b"c" * 4000)):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.comment = comment
            for number in range(count):
                packed.writestr(f"logs/{number:03}", b"x")
        with unpacked(tmp_path / name) as folder:
            assert len(list((folder / "logs").iterdir())) == count
        with monkeypatch.context() as patch:
            patch.setattr(archive, "MAX_HEADER_BYTES", 2000)
            with pytest.raises(RemoteError, match="a header of it is too large"), unpacked(tmp_path / name):
                pass


def test_a_stream_is_read_forward_only() -> None:
    """Going back would mean to unpack all of it once more, as often as a stranger likes."""
    stream = archive._Forward(io.BytesIO(bytes(range(100))))
    assert stream.seek(10) == stream.tell() == 10
    assert stream.read(2) == b"\x0a\x0b"
    assert stream.seek(12) == 12
    for at, whence in ((11, 0), (0, 0), (20, 1), (90, 2), (-1, 2)):
        with pytest.raises(RemoteError, match="its headers overlap"):
            stream.seek(at, whence)
    assert stream.read(1) == b"\x0c"


def test_what_was_unpacked_of_a_tar_is_not_remembered(tmp_path: Path) -> None:
    """tarfile keeps half a kilobyte for each file: of millions, gigabytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number in range(50):
            tar.addfile(tarfile.TarInfo(f"logs/{number}"), io.BytesIO())
    packed.seek(0)
    (tmp_path / "out").mkdir()
    with tarfile.TarFile(fileobj=packed) as tar:
        archive._untar_each(tar, archive._Sink(tmp_path / "out", 10_000))
        assert len(list((tmp_path / "out" / "logs").iterdir())) == 50
        assert len(vars(tar)["members"]) <= 1
