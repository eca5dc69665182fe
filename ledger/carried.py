"""Which blobs go with entries when they are passed on outside the swarm.

    delta, evidence, token, policy, sketch     always: without them what the entries say cannot be judged
    opening                                    of data that are open to every member, if it is held; others never

Why it exists: an auditor is no member. What a data entry opens to certain roles or peers alone does not leave with a
bundle, whoever holds it; and what nobody but the challenger need have is no gap where it is missing.

Rules kept here: each blob once; an opening goes only if no branch of any log says otherwise, whatever else names it: an
entry that calls it a time stamp, or the delta of an update that the policy leaves out. Nor can anybody keep a delta
back by calling that an opening: what is no opening goes along. It refuses to know files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ledger.canonical import decode_entry
from ledger.chain import LogId, peer_of
from ledger.entry import Accuse, Anchor, Challenge, Data, Hash, Opening, PeerId, PolicyChange, Update
from ledger.opening import is_opening

Entries = Callable[[], Iterator[bytes]]


def blobs_of(logs: Iterable[tuple[LogId, Entries]], blob: Callable[[Hash], bytes | None]) -> Iterator[Hash]:
    """The blobs that these entries name. `blob` looks one up, if it is here: done for openings alone."""
    named: dict[Hash, None] = {}
    restricted: set[tuple[PeerId, int]] = set()
    asked: dict[tuple[PeerId, int], set[tuple[PeerId, int]]] = {}  # challenge -> the data entries that it may name
    opened: list[tuple[PeerId, Opening]] = []
    for log, entries in logs:
        author = peer_of(log)
        for data in entries():
            found = ""
            match decode_entry(data):
                case Update(delta=name) | Accuse(evidence=name) | Anchor(token=name) | PolicyChange(policy=name):
                    found = name
                case Data() as entry:
                    found = entry.sketch
                    if entry.opens or entry.zone != "public":
                        restricted.add((author, entry.seq))
                case Challenge() as challenge:
                    asked.setdefault((author, challenge.seq), set()).add((challenge.peer, challenge.data))
                case Opening() as opening:
                    opened.append((author, opening))
                case _:
                    pass
            if found:
                named[found] = None
    withheld: set[Hash] = set()
    for author, opening in opened:
        of = {data for data in asked.get((opening.peer, opening.challenge), ()) if data[0] == author}
        if not of or not of.isdisjoint(restricted):
            withheld.add(opening.opened)
        elif opening.opened not in named and blob(opening.opened) is not None:
            named[opening.opened] = None
    yield from (name for name in named if name not in withheld or not is_opening(blob(name) or b""))
