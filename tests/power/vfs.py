"""Watch what SQLite does to its files: a thin layer between the library that Python uses and its own unix layer.

    with watching(seen.append):
        with Store(path) as store: ...        seen = [Write("peer.db-wal", 0, ...), ..., Sync("peer.db-wal"), ...]

The operations go through as they are; `tell` hears of each before it happens. With `refuses` the disk is a broken one:
of what that says yes to nothing happens, and SQLite is told so (EIO). The layer is C structures, filled
by hand (sqlite.org/c3ref/vfs.html), for there is no way in from Python's sqlite3. It needs that module to be linked
to a library whose functions can be found, as on most Linux systems: `is_possible()` says.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int64, c_void_p, cast
from pathlib import PurePath
from typing import Any, Final

from tests.power.disk import Delete, Sync, Truncate, Write

_OPEN: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE: Final = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WRITE: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE: Final = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC: Final = CFUNCTYPE(c_int, c_void_p, c_int)
_IOERR: Final = 10  # and in the second byte what it was, as sqlite3.h counts them
_FAILED: Final = {Write: _IOERR | 3 << 8, Sync: _IOERR | 4 << 8, Truncate: _IOERR | 6 << 8}


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", c_int), ("file_bytes", c_int), ("max_path", c_int), ("next", c_void_p), ("name", c_char_p),
        ("data", c_void_p), ("open", _OPEN), ("delete", _DELETE), ("others", c_void_p * 13),
    ]  # fmt: skip


class _Methods(ctypes.Structure):
    _fields_ = [
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", _WRITE), ("truncate", _TRUNCATE),
        ("sync", _SYNC), ("others", c_void_p * 13),
    ]  # fmt: skip


class _File(ctypes.Structure):
    _fields_ = [("methods", POINTER(_Methods))]


def _library() -> Any:
    """The very library that the module sqlite3 calls."""
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.argtypes, library.sqlite3_vfs_find.restype = [c_char_p], POINTER(_Vfs)
    library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
    library.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
    return library


def is_possible() -> bool:
    try:
        return bool(_library().sqlite3_vfs_find(b"unix"))
    except (AttributeError, OSError):
        return False


@contextmanager
def watching(
    tell: Callable[[Write | Truncate | Sync | Delete], object],
    refuses: Callable[[Write | Truncate | Sync], bool] = lambda step: False,
) -> Iterator[None]:
    """Every SQLite file that this process opens within is watched. Close what was opened before it ends."""
    library = _library()
    below = library.sqlite3_vfs_find(b"unix").contents
    names: dict[int, str] = {}  # by the address of the open file
    real: dict[int, _Methods] = {}
    ours: dict[int, _Methods] = {}  # one for each kind of file that the layer below has

    def name_of(file: int) -> str:
        return names[file]

    def write(file: int, data: int, size: int, offset: int) -> int:
        if refuses(step := Write(name_of(file), offset, ctypes.string_at(data, size))):
            return _FAILED[Write]
        tell(step)
        return int(real[file].write(file, data, size, offset))

    def truncate(file: int, size: int) -> int:
        if refuses(step := Truncate(name_of(file), size)):
            return _FAILED[Truncate]
        tell(step)
        return int(real[file].truncate(file, size))

    def sync(file: int, flags: int) -> int:
        if refuses(Sync(name_of(file))):
            return _FAILED[Sync]
        status = int(real[file].sync(file, flags))
        tell(Sync(name_of(file)))  # what is synced is safe when this has returned, not before
        return status

    calls = (_WRITE(write), _TRUNCATE(truncate), _SYNC(sync))

    def open_file(vfs: int, path: int | None, file: int, flags: int, out: int | None) -> int:
        status = int(below.open(vfs, path, file, flags, out))
        opened = cast(file, POINTER(_File)).contents
        if status == 0 and opened.methods:
            names[file] = PurePath(ctypes.string_at(path).decode()).name if path else "(temporary)"
            kind = ctypes.addressof(opened.methods.contents)
            real[file] = opened.methods.contents
            if kind not in ours:
                ours[kind] = _Methods.from_buffer_copy(opened.methods.contents)
                ours[kind].write, ours[kind].truncate, ours[kind].sync = calls
            opened.methods = ctypes.pointer(ours[kind])
        return status

    def delete(vfs: int, path: bytes, sync_directory: int) -> int:
        tell(Delete(PurePath(path.decode()).name))
        return int(below.delete(vfs, path, sync_directory))

    layer = _Vfs.from_buffer_copy(below)
    layer.name, layer.open, layer.delete = b"watching", _OPEN(open_file), _DELETE(delete)
    library.sqlite3_vfs_register(byref(layer), 1)
    try:
        yield
    finally:
        library.sqlite3_vfs_unregister(byref(layer))
        library.sqlite3_vfs_register(byref(below), 1)
