"""Every target there is."""

from __future__ import annotations

from typing import Final

from tests.fuzz import of_captures, of_files, of_joining, of_ledger, of_lists, of_network, of_own
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (of_network, of_joining, of_ledger, of_files, of_captures, of_lists, of_own)
    for target in module.TARGETS
}
