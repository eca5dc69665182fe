"""Every target there is."""

from __future__ import annotations

from typing import Final

from tests.fuzz import of_files, of_joining, of_ledger, of_network
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for target in (*of_network.TARGETS, *of_joining.TARGETS, *of_ledger.TARGETS, *of_files.TARGETS)
}
