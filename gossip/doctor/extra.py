"""Whether the extra `wide` is there and loads; and where it is not, whether what has no wheel could be built."""

from __future__ import annotations

import os
import shutil
import subprocess

from gossip.doctor.wide import Installed
from gossip.wide import present, probe
from ledger.errors import LocalError

BUILD_S = 10.0


def look(*, builds: bool) -> Installed:
    """Loads libp2p, where it is installed: a second of a core. `builds`: where it is not, look for what builds it."""
    number = present.installed()
    if not number:
        compiler = shutil.which(os.environ.get("CC", "cc")) or ""
        return Installed(compiler=bool(compiler), gmp=has_gmp(compiler)) if builds else Installed()
    if not present.is_recent(number):
        return Installed(number)
    try:
        probe.load()
    except LocalError as error:
        return Installed(number, is_recent=True, why_not=error.why)
    return Installed(number, is_recent=True)


def has_gmp(compiler: str) -> bool:
    """Whether that compiler finds the headers of GMP. Without one nobody knows, and they are not what is missing."""
    if not compiler:
        return True
    try:
        done = subprocess.run(
            [compiler, "-E", "-"], input=b"#include <gmp.h>\n", capture_output=True, timeout=BUILD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
