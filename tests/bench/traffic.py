"""What a ledger costs on the wire: simulated swarms in which every peer publishes one update per ten seconds.

Counted is what each peer receives once everybody has joined, in a stretch of virtual time, and scaled to an hour.
Frames of blobs (the deltas themselves) are not the ledger's and are left out; no transport's own bytes are in it.
A message of entries counts as it travels, deflated where that is shorter; notes say what it was before.
Two things grow as logs do: proofs, by 32 bytes each time a log doubles, and the sizes that an entry cites, by one
digit each time a log is ten times as long. Simulated logs are short, so a row of its own says what an update takes
once the cited logs have some thousand entries: the same messages, with such sizes in them, encoded again.

A swarm of 100 is simulated for less than a minute, too short for cosignatures, which go round once a minute. They
cost the same for each log whatever the size of the swarm (three witnesses), so its rows have those of 20 peers added.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import msgspec

from cli.bench.figures import Figure, Goal, Section
from gossip.config import PeerConfig
from gossip.events import Event, Received
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.wire.codec import decode, encode
from gossip.wire.frames import PACKED_TAG, Entries, Lacks, Piece, WantBlob
from ledger.canonical import decode_entry, encode_entry
from ledger.entry import Update

EVERY_S: Final = 10.0  # from update to update, of each peer
COSIGNING: Final = ("Vouch", "Tally")


@dataclass(frozen=True, slots=True)
class Measured:
    peers: int
    seconds: float
    updates: int  # by all peers
    received: Counter[str]  # bytes by kind of frame, all peers
    plain: int  # bytes of the messages of entries among them, had none been deflated
    entries: int  # bytes of the entries in these
    longer: int  # bytes that would come with longer logs

    def each(self, total: int) -> float:
        """Of a total over all peers, what falls on one peer for one update by anybody."""
        return total / self.peers / max(1, self.updates)

    def cosigning(self) -> float:
        return self.each(sum(self.received[kind] for kind in COSIGNING))

    def shares(self) -> str:
        rows = ", ".join(f"{name} {self.each(count):.0f}" for name, count in self.received.most_common(4))
        whole, alone = self.each(self.plain), self.each(self.entries)
        return f"{rows} (Entries before they were deflated: {whole:.0f}, {alone:.0f} of it the entries themselves)"


def swarm(peers: int, *, warm_s: float, seconds: float) -> Measured:
    """Let a swarm run for `warm_s`, then count for `seconds`."""
    received: Counter[str] = Counter()
    plain = entries = longer = 0

    def on_event(at: float, peer: int, event: Event) -> None:
        nonlocal plain, entries, longer
        if at < warm_s or not isinstance(event, Received):
            return
        frame = decode(event.message)
        if not isinstance(frame, WantBlob | Piece | Lacks):
            received[type(frame).__name__] += len(event.message)
        if not isinstance(frame, Entries):
            return
        plain += plain_length(event.message)
        entries += sum(map(len, frame.entries))
        grown = replace(frame, entries=tuple(_with_longer_logs(data) for data in frame.entries))
        longer += len(encode(grown)) - len(event.message)

    config = PeerConfig(min_round_s=EVERY_S)
    scenario = Scenario(peers=peers, seconds=2 * (warm_s + seconds), round_s=EVERY_S, config=config, seed=1)
    simulated = SimSwarm(scenario, on_event=on_event)
    simulated._plan()
    counts = []
    for end in (warm_s, warm_s + seconds):
        while simulated.clock.step(EPOCH + end):
            pass
        counts.append(sum(peer.machine.status().updates for peer in simulated.peers if peer.machine is not None))
    return Measured(peers, seconds, counts[1] - counts[0], received, plain, entries, longer)


@lru_cache(maxsize=1 << 14)  # everybody receives it
def _with_longer_logs(data: bytes) -> bytes:
    """An update as it would be if every log that it cites had 1,000 to 9,000 entries more."""
    entry = decode_entry(data)
    if not isinstance(entry, Update):
        return data
    seen, view = (
        [(slot, size + 1000 + slot * 7919 % 8000) for slot, size in rows] for rows in (entry.seen, entry.view)
    )
    return encode_entry(msgspec.structs.replace(entry, seen=seen, view=view))


def plain_length(message: bytes) -> int:
    """Of a good message of entries, before it was deflated: one that was says so behind its tag."""
    return int.from_bytes(message[1:3], "little") if message[:1] == PACKED_TAG else len(message)


def measure(*, quick: bool) -> Section:
    few, twenty = swarm(4, warm_s=60, seconds=300), swarm(20, warm_s=60, seconds=120)
    per_update = twenty.each(twenty.received.total())
    figures = [
        Figure("per hour at 4 peers", _hourly(4, few.each(few.received.total())), "MB"),
        Figure("per update at 20 peers", per_update, "bytes", Goal(1500, note="about 1,500"), digits=0,
               note=twenty.shares()),
        Figure("  with logs of some thousand entries", per_update + twenty.each(twenty.longer), "bytes", digits=0),
        Figure("per hour at 20 peers", _hourly(20, per_update), "MB"),
    ]  # fmt: skip
    if not quick:
        hundred = swarm(100, warm_s=30, seconds=20)
        without = hundred.each(hundred.received.total()) - hundred.cosigning()
        per_update, longer = without + twenty.cosigning(), hundred.each(hundred.longer)
        figures += [
            Figure("per update at 100 peers", per_update, "bytes", digits=0, note=hundred.shares()),
            Figure("  with logs of some thousand entries", per_update + longer, "bytes", digits=0),
            Figure("per hour at 100 peers", _hourly(100, per_update), "MB", Goal(74),
                   note=f"{hundred.seconds:.0f} s of virtual time, scaled"),
        ]  # fmt: skip
    return Section("ledger traffic received by one peer, an update per 10 s by each (simulated)", tuple(figures))


def _hourly(peers: int, per_update: float) -> float:
    return peers * 3600 / EVERY_S * per_update / 1e6
