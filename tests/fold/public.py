"""Public data in a toy swarm: announced with a sketch, challenged, opened, and accused where that is false."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import numpy as np

from ledger.canonical import entry_hash
from ledger.entry import Accuse, Challenge, Data, Opening
from ledger.opening import challenge_text, make_opening, make_sketch, public_salt
from ledger.provenance import commit_records
from ledger.replica import Checked, InvalidEntry
from tests.fold.toy import CHAIN, Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)

Records = Sequence[tuple[bytes, bytes]]


def records(count: int, name: str = "ann") -> list[tuple[bytes, bytes]]:
    return [
        (f"https://{name}.example/{number}".encode(), b"ad" if number % 3 else b"benign") for number in range(count)
    ]


@dataclass(frozen=True)
class Shown:
    """A public data set, and what its author keeps of it."""

    seq: int
    leaves: bytes
    records: Records


def announce(author: Peer, rows: Records, *, opens: Sequence[str] = (), **lies: object) -> Shown:
    """Write a public data entry; `lies` are fields that say other than the truth."""
    leaves = bytearray()
    made = commit_records(rows, public_salt(author.replica.swarm), keep=leaves.extend)
    sketch = b"" if opens else make_sketch(leaves)
    fields = {
        "root": made.root, "records": made.records, "labels": {}, "duplicates": made.duplicates, "features": "toy-1",
        "zone": "public", "sources": [], "conflicts": made.conflicts, "opens": sorted(opens),
        "sketch": sha256(sketch).hexdigest() if sketch else "", "sketch_bytes": len(sketch),
    }  # fmt: skip
    if sketch:
        author.blobs[str(fields["sketch"])] = sketch
    checked = author.write(Data(**{**CHAIN, **fields, **lies}))
    return Shown(checked.seq, bytes(leaves), rows)


def challenge(by: Peer, author: Peer, seq: int, number: int = 5, **lies: object) -> Checked:
    """Ask for records of the data entry `seq` in an author's log."""
    data = entry_hash(author.replica.data(author.id, seq))
    text = challenge_text(by.replica.swarm, by.id, data, number)
    fields = {
        "peer": author.id, "data": seq, "hash": data, "count": number,
        "signature": key_of(by.name, by.keys).sign(text).hex(),
    }  # fmt: skip
    return by.write(Challenge(**{**CHAIN, **fields, **lies}))


def answer(author: Peer, shown: Shown, asked: Checked, *, rows: Records | None = None, blob: bytes = b"") -> Checked:
    """Open what was asked for: the records, or others (`rows`), or whatever (`blob`)."""
    entry = asked.entry
    assert isinstance(entry, Challenge)
    if not blob:
        blob = opened(author, shown.records if rows is None else rows, entry)
    digest = sha256(blob).hexdigest()
    author.blobs[digest] = blob
    return author.write(Opening(**CHAIN, peer=asked.log, challenge=asked.seq, opened=digest, opened_bytes=len(blob)))


def opened(author: Peer, rows: Records, entry: Challenge) -> bytes:
    leaves, swarm = bytearray(), author.replica.swarm
    commit_records(rows, public_salt(swarm), keep=leaves.extend)
    return make_opening(leaves, rows, swarm, entry.signature, entry.count)


def accuse(by: Peer, author: Peer, opening: Checked, **lies: object) -> Checked:
    """Accuse an author of having opened wrongly."""
    entry = opening.entry
    assert isinstance(entry, Opening)
    by.blobs.update({entry.opened: author.blobs[entry.opened]})
    fields = {
        "peer": author.id, "charge": "opening", "index": opening.seq, "evidence": entry.opened,
        "bytes": len(author.blobs[entry.opened]),
    }  # fmt: skip
    return by.write(Accuse(**{**CHAIN, **fields, **lies}))


def inspected_swarm(seed: int, *, events: int = 80) -> Swarm:
    """Everybody publishes; ann and bob have public data, cyd and the founder ask, one of the answers is a lie."""
    luck = Random(seed)
    swarm = Swarm(["ann", "bob", "cyd"])
    shown = {name: announce(swarm[name], records(30, name)) for name in ("ann", "bob")}
    swarm.exchange()
    asked: list[tuple[str, Checked]] = []
    given: list[tuple[str, Checked]] = []
    for _ in range(events):
        name = luck.choice(sorted(swarm.peers))
        peer = swarm[name]
        match luck.randrange(12):
            case 0 | 1 | 2 | 3:
                peer.fetch(swarm[luck.choice(sorted(swarm.peers))])
            case 4 | 5 if name in ("cyd", "founder"):
                author = luck.choice(["ann", "bob"])
                asked.append((author, challenge(peer, swarm[author], shown[author].seq, number=luck.randint(1, 9))))
            case 6 | 7 | 8 if open_ := [(author, one) for author, one in asked if author == name]:
                one = luck.choice(open_)
                asked.remove(one)
                peer.fetch(swarm["cyd"])
                peer.fetch(swarm.founder)
                lie = records(30, "eve") if name == "bob" and luck.random() < 0.5 else None
                given.append((name, answer(peer, shown[name], one[1], rows=lie)))
            case 9 if given:
                author, opening = luck.choice(given)
                if peer.replica.size(swarm[author].id) > opening.seq and author != name:
                    with suppress(InvalidEntry):  # of an opening that is true
                        accuse(peer, swarm[author], opening)
            case 10 if luck.random() < 0.5:
                peer.snapshot()
            case _:
                peer.publish(luck.choice([CHANGE, -CHANGE, 2 * CHANGE]))
    swarm.exchange()
    return swarm
