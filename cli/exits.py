"""Exit codes, the same for every command, so that a script can tell what happened without reading text.

    0    ok; for audits: clean; for the demo: all hashes agree
    1    findings (a damaged bundle is one, whatever reads it), or peers that disagree
    2    usage: a wrong flag, file or directory (typer's own errors and every LocalError)
    3    inconclusive: nothing was named to hold the bundle against, blobs are missing, what decides the model cannot be
         checked, or no snapshot is final yet
    4    the network or another peer failed (LinkError, RemoteError)
    70   a bug of ours (EX_SOFTWARE): one line says what, GOSSIP_DEBUG=1 shows where
    130  interrupted (Ctrl-C)

The numbers are a promise to scripts; this file is the only place that spells them.
"""

from __future__ import annotations

from typing import Final

from ledger.errors import GossipError, LocalError

OK: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
INCONCLUSIVE: Final = 3
FAILED: Final = 4
BUG: Final = 70
INTERRUPTED: Final = 130


def code_of(error: GossipError) -> int:
    """Whose fault an error is decides the code."""
    return USAGE if isinstance(error, LocalError) else FAILED
