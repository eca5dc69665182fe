"""Who took part while a node ran: its store read once more when it has ended, with the weights that its replica holds.

Not while it runs: a long ledger takes seconds to read. Who is absent *now* is gossip/peer/presence.py's to say.
"""

from __future__ import annotations

from pathlib import Path

from gossip.directory import store_path
from ledger.known import Known
from ledger.roll import Roll, call
from ledger.store import Store


def attended(directory: Path, known: Known, *, since: float, now: float) -> Roll | None:
    """From a moment on, until now; None without a genesis. LocalError if the store cannot be read."""
    if not known.has_genesis:
        return None
    with Store.open_readonly(store_path(directory)) as store:
        own = store.meta("self").decode()
        return call(known, store.entries, now=int(now), since=int(since), until=int(now), reader=own)
