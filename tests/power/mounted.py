"""A real file system that is cut off: ext4 in an image file, mounted over a loop device.

The cut is EXT4_IOC_SHUTDOWN without a flush of the journal, made for exactly this (xfstests use it): from that moment
nothing more reaches the image, and what was only in memory is gone when it is unmounted. Mounting it again replays
the journal, as after a power failure. It needs root and Linux; `why_not()` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

IMAGE_BYTES: Final = 24 << 20
_SHUTDOWN: Final = 0x8004587D  # _IOR('X', 125, __u32)
_NO_FLUSH: Final = (2).to_bytes(4, sys.byteorder)


class Mounted:
    """A file system of its own below `place`."""

    def __init__(self, place: Path) -> None:
        self._image, self.path = place / "image", place / "mounted"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _run("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop", self._image, self.path)

    def unmount(self) -> None:
        _run("umount", self.path)

    def cut(self) -> None:
        """From now on, nothing reaches the disk. The file system stays mounted, and every use of it fails."""
        import fcntl  # Unix only, as all of this

        opened = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(opened, _SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(opened)

    def power_on(self) -> None:
        self.unmount()
        self.mount()


@contextmanager
def mounted(place: Path) -> Iterator[Mounted]:
    made = Mounted(place)
    try:
        yield made
    finally:
        made.unmount()


def why_not(place: Path) -> str:
    """What keeps this machine from it; "" if it works."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root on Linux may mount a file system"
    if lacking := [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]:
        return f"{lacking[0]} is not installed"
    try:
        with mounted(place) as made:
            made.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        told = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        return f"no file system can be mounted and cut off here: {told or error}"
    return ""


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
