"""A bundle as one file, .zip or .tar.gz: packed the same way every time, unpacked where it can do no harm.

    bundle/bundle.json, bundle/README.txt, bundle/logs/<peer>/tile/entries/000, ...

Why unpacking needs rules: an archive from a stranger may name files outside its folder, hold links and devices, name
one file twice in two spellings, or grow from kilobytes to all of the disk.

Rules kept here: only plain files and folders; names of a few lower-case letters, digits, dots and dashes, as a bundle
has them, below at most one folder of any plain name, so that no two are alike on any disk; a file is made, never
opened; counts, sizes and the ratio to what came in are limited, by what is written and not by what headers say; no
header is read that is larger than any honest one. Ours are plain USTAR; of tar's extensions only those are read that
common tools need for our longest names (a long name, a pax header of one file): short, and one to a file. What is
unpacked lies in a folder of its own, for this user's eyes, and is removed whatever happens (unless the process is
killed). It refuses to know what a bundle is.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol, cast

from ledger.errors import LocalError, RemoteError

ARCHIVES: Final = (".zip", ".tar.gz")
MAX_TOTAL_BYTES: Final = 64 << 30  # of all files, unpacked
MAX_TAR_FILES: Final = 4_000_000
MAX_TAR_FOLDERS: Final = 131_072  # a log has about ten; ours name none, and empty ones cost a stranger nothing
MAX_ZIP_FILES: Final = 131_072  # folders included; zipfile keeps 0.5 KB for each
MAX_HEADER_BYTES: Final = 16 << 20  # a zip's table of contents at once; no other header of either format is as large
MAX_LONG_BYTES: Final = 4096  # a long name or a pax header in a tar; names have at most 200 characters
MAX_DEPTH: Final = 10  # folders; a bundle has 8 at most
MAX_RATIO: Final = 200  # entries shrink to a fifth, hashes and deltas hardly
FREE_OF_RATIO_BYTES: Final = 16 << 20  # so small that it may shrink as it likes
PIECE_BYTES: Final = 64 * 1024
TOP: Final = "bundle"

_is_top = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,126}[A-Za-z0-9_-]|[A-Za-z0-9_]").fullmatch
_is_part = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,126})?[a-z0-9-]|README\.txt").fullmatch


# ------------------------------------------------------------------ packing


def pack_archive(folder: Path, target: Path, name: str) -> None:
    """Pack a folder's files into `target`, in the format that `name` ends in. The same files give the same bytes."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [f"{TOP}/{file.relative_to(folder).as_posix()}" for file in files]
    if name.endswith(".zip"):
        with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as packed:
            for file, inside in zip(files, names, strict=True):
                info = zipfile.ZipInfo(inside)  # 1980, the earliest that the format can say
                info.external_attr, info.compress_type = (stat.S_IFREG | 0o644) << 16, zipfile.ZIP_DEFLATED
                with file.open("rb") as source, packed.open(info, "w") as sink:
                    shutil.copyfileobj(source, sink, PIECE_BYTES)
        return
    with (
        target.open("xb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as zipped,
        tarfile.TarFile(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for file, inside in zip(files, names, strict=True):
            member = tarfile.TarInfo(inside)
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as source:
                tar.addfile(member, source)


# ------------------------------------------------------------------ unpacking


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A folder with an archive's files, for as long as the context lasts. RemoteError if it breaks a rule."""
    try:
        room = tempfile.TemporaryDirectory(prefix="gossip-bundle-")
    except OSError as error:
        raise LocalError("cannot unpack here", why=error.strerror or "", next_step="set TMPDIR to a disk") from None
    with room as name:
        folder = Path(name)
        try:
            sink = _Sink(folder, archive.stat().st_size)
            with archive.open("rb") as source:
                (_unzip if archive.name.endswith(".zip") else _untar)(source, sink)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise RemoteError(
                "cannot be read as an archive", why="it is cut short or no archive; get it again"
            ) from error
        except (
            ValueError,
            OverflowError,
            NotImplementedError,
            RuntimeError,
        ) as error:  # the libraries', on odd headers
            raise _wrong("it is malformed", ascii(str(error))[1:-1][:120]) from None
        except OSError as error:
            raise LocalError(
                f"cannot unpack {archive}",
                why=error.strerror or "",
                next_step="see that it can be read, and free space",
            ) from None
        yield folder


class _Sink:
    """The folder that files are made in, and what may still come."""

    def __init__(self, folder: Path, packed_bytes: int) -> None:
        self._folder = folder
        self._packed = packed_bytes
        self._left = min(MAX_TOTAL_BYTES, shutil.disk_usage(folder).free * 9 // 10)
        self._written = 0
        self._top: str | None = None

    def expect(self, total: int) -> None:
        """Refuse a total before any of it is written."""
        if total > self._left:
            raise _wrong("it is too large", f"{total} bytes, there is room for {self._left}")
        if total > FREE_OF_RATIO_BYTES and total > MAX_RATIO * self._packed:
            raise _wrong("it grows too much", f"{self._packed} bytes hold {total}")

    def make(self, name: str, source: IO[bytes], size: int) -> None:
        """Make one file of that size."""
        path = self._path(name)
        self.expect(self._written + size)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise _wrong("it names a file twice", _shown(name)) from None
        with os.fdopen(descriptor, "wb") as made:
            left = size
            while piece := source.read(min(PIECE_BYTES, left)):
                made.write(piece)
                left -= len(piece)
                if not left:
                    break
            if left or source.read(1):
                raise _wrong("a file in it is not as long as it says", _shown(name))
        self._written += size

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if len(parts) > MAX_DEPTH:
            raise _wrong("a name in it is no bundle's", _shown(name))
        if self._top is None:
            self._top = "" if _is_part(parts[0]) and (len(parts) == 1 or parts[0] in ("logs", "blobs")) else parts[0]
        if self._top:
            if parts[0] != self._top or len(parts) == 1 or not _is_top(self._top):
                raise _wrong("its files are not in one folder", _shown(name))
            parts = parts[1:]
        if not all(map(_is_part, parts)):
            raise _wrong("a name in it is no bundle's", _shown(name))
        return self._folder.joinpath(*parts)


def _unzip(source: IO[bytes], sink: _Sink) -> None:
    with zipfile.ZipFile(cast(IO[bytes], _Careful(source))) as packed:
        files = []
        if len(packed.infolist()) > MAX_ZIP_FILES:
            raise _wrong("it has too many files", f"more than {MAX_ZIP_FILES}")
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.orig_filename != info.filename or info.flag_bits & 1 or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _wrong("something in it is no plain file", _shown(info.filename))
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _wrong("a file in it is packed in an unusual way", _shown(info.filename))
            if not info.is_dir():
                files.append(info)
        sink.expect(sum(info.file_size for info in files))
        for info in files:
            with packed.open(info) as member:
                sink.make(info.filename, member, info.file_size)


def _untar(source: IO[bytes], sink: _Sink) -> None:
    with gzip.GzipFile(fileobj=source) as stream:
        forward = _TarStream(stream)

        class Header(tarfile.TarInfo):
            """Looked at before tarfile reads on: it keeps all that nested and global headers hold."""

            @classmethod
            def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
                header = super().frombuf(buf, encoding, errors)
                forward.announce(header)
                return header

        with tarfile.TarFile(fileobj=cast(IO[bytes], forward), tarinfo=Header) as tar:
            _untar_each(tar, sink)


def _untar_each(tar: tarfile.TarFile, sink: _Sink) -> None:
    count = {True: 0, False: 0}
    for member in tar:
        folder = member.isdir()
        count[folder] += 1
        if count[folder] > (MAX_TAR_FOLDERS if folder else MAX_TAR_FILES):
            raise _wrong("it has too many files", f"more than {count[folder] - 1}")
        vars(tar)["members"] = []  # it would remember them all
        if member.size < 0 or member.issparse():  # as a pax header may say
            raise _wrong("something in it is no plain file", _shown(member.name))
        if folder:
            continue
        data = tar.extractfile(member)
        if data is not None:
            sink.make(member.name.removeprefix("./"), data, member.size)


_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
_LONG: Final = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)  # each says something of the file that comes next


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...
    def seek(self, at: int, whence: int, /) -> int: ...
    def tell(self) -> int: ...


class _Careful:
    """A file of which no one asks for more at once than an honest header has."""

    def __init__(self, source: _Readable) -> None:
        self._source = source

    def read(self, count: int = -1) -> bytes:
        if count > MAX_HEADER_BYTES:
            raise _wrong("a header of it is too large", f"{count} bytes")
        if count < 0:  # the rest: how zipfile of Python 3.11 reads the end of the directory
            rest = self._source.read(MAX_HEADER_BYTES + 1)
            if len(rest) > MAX_HEADER_BYTES:
                raise _wrong("a header of it is too large", f"more than {MAX_HEADER_BYTES} bytes")
            return rest
        return self._source.read(count)

    def seek(self, at: int, whence: int = 0) -> int:
        return self._source.seek(at, whence)

    def tell(self) -> int:
        return self._source.tell()

    def seekable(self) -> bool:
        return True


class _Forward(_Careful):
    """A stream that is unpacked as it is read: going back would unpack it again."""

    def __init__(self, source: _Readable) -> None:
        super().__init__(source)
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        data = super().read(count)
        self._at += len(data)
        return data

    def seek(self, at: int, whence: int = 0) -> int:
        if whence or at < self._at:
            raise _wrong("its headers overlap", f"at byte {at}")
        while self._at < at and self.read(min(PIECE_BYTES, at - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        return self._at


class _TarStream(_Forward):
    """What a tar's headers may announce."""

    def __init__(self, source: _Readable) -> None:
        super().__init__(source)
        self._long = False
        self._pax = False

    def announce(self, header: tarfile.TarInfo) -> None:
        """A header was read; what it announces was not."""
        long = header.type in _LONG
        if header.size < 0 or not (long or header.type in _PLAIN):
            raise _wrong("something in it is no plain file", _shown(header.name))
        if long and header.size > MAX_LONG_BYTES:
            raise _wrong("a header of it is too large", f"{header.size} bytes")
        if long and self._long:
            raise _wrong("its headers overlap", f"at byte {self.tell()}")
        self._long, self._pax = long, header.type == tarfile.XHDTYPE

    def read(self, count: int = -1) -> bytes:
        data = super().read(count)
        if self._pax and b"GNU.sparse" in data:  # tarfile would read a list of holes without end
            raise _wrong("something in it is no plain file", "it has holes")
        self._pax = False
        return data


def _shown(name: str) -> str:
    return ascii(name)[1:-1][:80]


def _wrong(what: str, why: str) -> RemoteError:
    return RemoteError(f"this archive is refused, for {what}", why=why)
