"""Bundles as archives: packed the same way every time; whatever strangers pack, nothing leaves its folder or stays."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from ledger import archive
from ledger.archive import unpacked
from ledger.bundle import write_bundle
from ledger.bundle_files import open_bundle
from ledger.errors import LocalError, RemoteError
from tests.ledger.test_bundle import CONTENTS, audit


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything is unpacked under here, and must be gone in the end."""
    room = tmp_path / "unpacked-here"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    yield room
    assert list(room.iterdir()) == []


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_packed_bundle_is_the_folder_again(tmp_path: Path, suffix: str) -> None:
    write_bundle(tmp_path / "folder", CONTENTS)
    for name in ("one", "two"):
        write_bundle(tmp_path / f"{name}{suffix}", CONTENTS)
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir() if not file.is_dir()) == [f"one{suffix}", f"two{suffix}"]
    with unpacked(tmp_path / f"one{suffix}") as folder:
        assert files_of(folder) == files_of(tmp_path / "folder")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(audit(folder)) == []
    with open_bundle(tmp_path / f"one{suffix}") as contents:
        assert contents.swarm == CONTENTS.swarm


def test_archives_of_common_tools_are_read(tmp_path: Path) -> None:
    """A folder packed by tar or zip: with entries for folders, "./", modes, owners and times."""
    write_bundle(tmp_path / "my bundle", CONTENTS)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "my bundle", "my bundle")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "my bundle", ".")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as packed:
        for path in sorted((tmp_path / "my bundle").rglob("*")):
            packed.write(path, path.relative_to(tmp_path))
    for name in ("a.tar.gz", "b.tar.gz", "c.zip"):
        with unpacked(tmp_path / name) as folder:
            assert list(audit(folder)) == [], name


# ------------------------------------------------------------------ what strangers pack

Entry = tuple[str, bytes]
GOOD: Entry = ("bundle.json", b"{}")


def zipped(path: Path, entries: list[Entry], change: Callable[[zipfile.ZipInfo], object] = lambda info: None) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            change(info)
            packed.writestr(info, data)
    return path


def tarred(path: Path, entries: list[Entry], change: Callable[[tarfile.TarInfo], object] = lambda info: None) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            change(info)
            tar.addfile(info, io.BytesIO(data))
    return path


def refused(path: Path, said: str | None = None) -> None:
    with pytest.raises(RemoteError, match=said), unpacked(path):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "logs/../../evil", "/etc/evil", "//evil", "C:/evil", "C:evil", "logs\\evil", "logs//evil",
        "./../evil", "logs/.evil", "logs/evil.", "logs/Evil", "logs/e\nvil", "logs/\u202eevil",
        "logs/ evil", "logs/evil ", "logs/" + "a" * 129, "logs/" + "/".join("abcdefghijkl"), "logs/aux:stream",
        "blobs/~x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_no_bundle_has_are_refused(tmp_path: Path, pack: Callable[..., Path], name: str) -> None:
    suffix = ".zip" if pack is zipped else ".tar.gz"
    refused(pack(tmp_path / f"a{suffix}", [GOOD, (name, b"x")]))
    refused(pack(tmp_path / f"b{suffix}", [("top/bundle.json", b"{}"), (f"top/{name}", b"x")]))
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_one_file_twice_in_any_spelling_is_refused(tmp_path: Path, pack: Callable[..., Path]) -> None:
    suffix = ".zip" if pack is zipped else ".tar.gz"
    with pytest.warns(UserWarning, match="Duplicate") if pack is zipped else nullcontext():
        refused(pack(tmp_path / f"a{suffix}", [GOOD, GOOD]), "twice")
    refused(pack(tmp_path / f"b{suffix}", [("readme.txt", b""), ("README.txt", b""), ("Readme.txt", b"")]))
    refused(pack(tmp_path / f"c{suffix}", [("logs/a", b"x"), ("logs/a/b", b"x")]), "twice")
    refused(pack(tmp_path / f"d{suffix}", [("one/bundle.json", b"{}"), ("One/policy.toml", b"")]), "one folder")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"?"],
)
def test_links_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    refused(tarred(tmp_path / "a.tar.gz", [("logs/x", b"")], change), "no plain file")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    refused(zipped(tmp_path / "a.zip", [("logs/x", b"/etc/passwd")], change), "no plain file")


def test_a_sparse_file_in_a_tar_is_refused(tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 50)}

    refused(tarred(tmp_path / "a.tar.gz", [("logs/x", b"0\n" + b"\0" * 600)], change))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_grows_beyond_all_measure_is_refused_before_it_is_written(
    tmp_path: Path, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = ".zip" if pack is zipped else ".tar.gz"
    monkeypatch.setattr(archive, "FREE_OF_RATIO_BYTES", 1 << 16)

    def deflated(info: object) -> None:
        if isinstance(info, zipfile.ZipInfo):
            info.compress_type = zipfile.ZIP_DEFLATED

    refused(pack(tmp_path / f"a{suffix}", [("logs/x", bytes(1 << 20))], deflated), "grows too much")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    refused(pack(tmp_path / f"b{suffix}", [("logs/x", random.Random(1).randbytes(1001))]), "too large")
    monkeypatch.setattr(archive, "MAX_TAR_FILES", 5)
    monkeypatch.setattr(archive, "MAX_ZIP_FILES", 5)
    refused(pack(tmp_path / f"c{suffix}", [(f"logs/{n}", b"") for n in range(6)]), "too many")


def test_folders_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an empty folder a stranger packs hundreds into a kilobyte. A zip's are counted before anything is made."""
    made: list[str] = []
    monkeypatch.setattr(archive._Sink, "make", lambda sink, name, *rest: made.append(name))
    monkeypatch.setattr(archive, "MAX_TAR_FOLDERS", 5)
    monkeypatch.setattr(archive, "MAX_ZIP_FILES", 5)
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        for number in range(6):
            header = tarfile.TarInfo(f"logs/{number}/")
            header.type = tarfile.DIRTYPE
            stream.write(header.tobuf())
    refused(tmp_path / "a.tar.gz", "too many")
    refused(zipped(tmp_path / "b.zip", [GOOD, *((f"logs/{number}/", b"") for number in range(5))]), "too many")
    assert made == []


def test_a_header_of_a_tar_that_says_it_is_huge_is_not_read(tmp_path: Path) -> None:
    """tarfile reads a header for long names whole, however long it says that it is."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    refused(tmp_path / "a.tar.gz", "header")


def chained(path: Path, headers: list[tuple[bytes, bytes]]) -> Path:
    """A tar of headers that announce something of the next one, each with its payload, and an empty file in the end."""
    with gzip.open(path, "wb", 1) as stream:
        for kind, payload in headers:
            header = tarfile.TarInfo("././@LongLink")
            header.type, header.size = kind, len(payload)
            stream.write(header.tobuf(tarfile.GNU_FORMAT) + payload + bytes(-len(payload) % 512))
        stream.write(tarfile.TarInfo("bundle.json").tobuf() + bytes(1024))
    return path


def pax(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    size = next(size for size in range(len(rest), len(rest) + 9) if len(str(size)) + len(rest) == size)
    return str(size).encode() + rest


def test_headers_that_announce_the_next_one_are_short_single_and_few_in_kind(tmp_path: Path) -> None:
    """tarfile keeps every one of a chain of them, and global ones for good: megabytes became gigabytes."""
    longest, name = b"bundle.json\0".ljust(archive.MAX_LONG_BYTES, b"\0"), pax("path", "bundle.json")
    for good in (longest, name):
        with unpacked(chained(tmp_path / "a.tar.gz", [(b"x" if good is name else b"L", good)])) as folder:
            assert list(files_of(folder)) == ["bundle.json"]
    refused(chained(tmp_path / "a.tar.gz", [(b"L", longest + b"\0")]), "too large")
    refused(chained(tmp_path / "a.tar.gz", [(b"x", pax("comment", "v" * archive.MAX_LONG_BYTES))]), "too large")
    for first in (b"L", b"x"):
        for second in (b"L", b"x"):
            chain = [(kind, name if kind == b"x" else b"bundle.json\0") for kind in (first, second)]
            refused(chained(tmp_path / "a.tar.gz", chain), "overlap")
    for kind in (b"K", b"g", b"X", b"S"):
        refused(chained(tmp_path / "a.tar.gz", [(kind, name)]), "no plain file")
    refused(chained(tmp_path / "a.tar.gz", [(b"x", pax("GNU.sparse.major", "1"))]), "no plain file")


TAR = shutil.which("tar")


@pytest.mark.skipif(TAR is None, reason="there is no tar program here")
@pytest.mark.parametrize("options", [[], ["--format=gnu"], ["--format=posix"], ["--format=ustar"]])
def test_a_long_name_as_a_tar_program_writes_it_is_read(tmp_path: Path, options: list[str]) -> None:
    """A branch's files have names of more than 100 characters, with which the formats go different ways."""
    assert TAR is not None
    folder = tmp_path / "my bundle" / "logs" / ("0" * 64) / f"fork-123-{'f' * 16}" / "tile" / "entries" / "000.p"
    folder.mkdir(parents=True)
    (tmp_path / "my bundle" / "bundle.json").write_bytes(b"{}")
    (folder / "28").write_bytes(b"28 entries")
    done = subprocess.run(
        [TAR, "czf", "a.tar.gz", *options, "my bundle"], cwd=tmp_path, capture_output=True, check=False
    )
    if done.returncode and options:
        pytest.skip("this tar writes no such format")
    with unpacked(tmp_path / "a.tar.gz") as inside:
        assert files_of(inside) == files_of(tmp_path / "my bundle")


def test_a_size_that_goes_backwards_is_refused(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("logs/x").tobuf())
    header[124:136] = b"\xff" * 12  # -1 in the format's own base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(bytes(header) + bytes(1024))
    refused(tmp_path / "a.tar.gz")


def test_a_zip_whose_headers_disagree_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", [("logs/x", b"0123456789")]).read_bytes())
    at = data.index(b"PK\x01\x02")
    for size in (5, 20, 1 << 31):
        bent = bytearray(data)
        bent[at + 24 : at + 28] = struct.pack("<I", size)
        (tmp_path / "b.zip").write_bytes(bent)
        refused(tmp_path / "b.zip")


def test_an_encrypted_or_oddly_packed_zip_is_refused(tmp_path: Path) -> None:
    def bzip(info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_BZIP2

    refused(zipped(tmp_path / "a.zip", [("logs/x", b"x")], bzip), "unusual")
    data = bytearray(zipped(tmp_path / "b.zip", [("logs/x", b"x")]).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    refused(tmp_path / "b.zip", "no plain file")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_damaged_archive_is_refused_wherever_it_is_damaged(tmp_path: Path, suffix: str) -> None:
    """Or it gives the same files: some bytes of both formats say nothing that matters."""
    write_bundle(tmp_path / f"a{suffix}", CONTENTS)
    honest = (tmp_path / f"a{suffix}").read_bytes()
    with unpacked(tmp_path / f"a{suffix}") as folder:
        files = files_of(folder)
    luck = random.Random(3)
    changed = [honest[:at] for at in (0, 1, 10, len(honest) // 2, len(honest) - 1)]
    for _ in range(60):
        at = luck.randrange(len(honest))
        changed.append(honest[:at] + bytes([honest[at] ^ 1 << luck.randrange(8)]) + honest[at + 1 :])
    for data in changed:
        (tmp_path / f"b{suffix}").write_bytes(data)
        try:
            with unpacked(tmp_path / f"b{suffix}") as folder:
                assert files_of(folder) == files or list(audit(folder)) != []
        except (RemoteError, LocalError):  # (or its one folder has another name now)
            pass


def test_a_bundle_that_stumbles_leaves_nothing_behind(tmp_path: Path, own_tmp: Path) -> None:
    write_bundle(tmp_path / "a.zip", CONTENTS)
    try:
        with open_bundle(tmp_path / "a.zip"):
            assert len(list(own_tmp.iterdir())) == 1
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert list(own_tmp.iterdir()) == []


def test_an_archive_that_cannot_be_read_is_our_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(LocalError), open_bundle(tmp_path / "nowhere.zip"):
        pass
    (tmp_path / "empty.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    other = tarred(tmp_path / "other.tar.gz", [("my holiday/photo", b"x")])
    for path in (tmp_path / "empty.zip", other):  # the error names what was typed, not where it was unpacked
        with pytest.raises(LocalError, match=f"^{path} is not a bundle"), open_bundle(path):
            pass
    if os.name == "posix" and os.geteuid():
        (tmp_path / "secret.zip").touch(mode=0o000)
        with pytest.raises(LocalError), unpacked(tmp_path / "secret.zip"):
            pass
