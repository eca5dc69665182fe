"""Which blobs go with entries when they are passed on outside the swarm.

    delta, evidence, token, policy, sketch     always: without them what the entries say cannot be judged
    opening                                    of data that are open to every member, if it is held; others never

Why it exists: an auditor is no member. What a data entry opens to certain roles or peers alone does not leave with a
bundle, whoever holds it; and what nobody but the challenger need have is no gap where it is missing.

Rules kept here: each blob once; an opening goes only if no branch of any log says otherwise. It refuses to know files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ledger.canonical import decode_entry
from ledger.chain import LogId, peer_of
from ledger.entry import Accuse, Anchor, Challenge, Data, Hash, Opening, PeerId, PolicyChange, Update

Entries = Callable[[], Iterator[bytes]]


def blobs_of(logs: Iterable[tuple[LogId, Entries]], held: Callable[[Hash], bool]) -> Iterator[Hash]:
    """The blobs that these entries name, of which `held` says whether an opening's is here."""
    named: set[Hash] = set()
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
            if found and found not in named:
                named.add(found)
                yield found
    for author, opening in opened:
        of = {data for data in asked.get((opening.peer, opening.challenge), ()) if data[0] == author}
        if of and of.isdisjoint(restricted) and opening.opened not in named and held(opening.opened):
            named.add(opening.opened)
            yield opening.opened
