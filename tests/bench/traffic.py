"""What a ledger costs on the wire: simulated swarms in which every peer publishes one update per ten seconds.

Counted is what each peer receives once everybody has joined, in a stretch of virtual time, and scaled to an hour:
the rate is steady, for nothing on the wire grows with the length of the logs but the proofs, by 32 bytes each time
they double. Frames of blobs (the deltas themselves) are not the ledger's and are left out; no transport's own bytes
are in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from gossip.config import PeerConfig
from gossip.events import Event, Received
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.wire.frames import Entries, Lacks, Piece, WantBlob, decode
from tests.bench.figures import Figure, Goal, Section

EVERY_S: Final = 10.0  # from update to update, of each peer


@dataclass(frozen=True, slots=True)
class Measured:
    peers: int
    seconds: float
    updates: int  # by all peers
    received: Counter[str]  # bytes by kind of frame, all peers
    entries: int  # bytes of entries in them

    @property
    def per_update(self) -> float:
        """Bytes that one peer receives for one update by anybody."""
        return self.received.total() / self.peers / max(1, self.updates)

    @property
    def mb_per_hour(self) -> float:
        return self.received.total() / self.peers / self.seconds * 3600 / 1e6

    def shares(self) -> str:
        rows = [(name, count / self.peers / max(1, self.updates)) for name, count in self.received.most_common(4)]
        of_entries = self.entries / self.peers / max(1, self.updates)
        return ", ".join(f"{name} {count:.0f}" for name, count in rows) + f" ({of_entries:.0f} of it the entries)"


def swarm(peers: int, *, warm_s: float, seconds: float) -> Measured:
    """Let a swarm run for `warm_s`, then count for `seconds`."""
    received: Counter[str] = Counter()
    entries = 0

    def on_event(at: float, peer: int, event: Event) -> None:
        nonlocal entries
        if at < warm_s or not isinstance(event, Received):
            return
        frame = decode(event.message)
        if not isinstance(frame, WantBlob | Piece | Lacks):
            received[type(frame).__name__] += len(event.message)
        if isinstance(frame, Entries):
            entries += sum(map(len, frame.entries))

    config = PeerConfig(min_round_s=EVERY_S)
    scenario = Scenario(peers=peers, seconds=2 * (warm_s + seconds), round_s=EVERY_S, config=config, seed=1)
    simulated = SimSwarm(scenario, on_event=on_event)
    simulated._plan()
    counts = []
    for end in (warm_s, warm_s + seconds):
        while simulated.clock.step(EPOCH + end):
            pass
        counts.append(sum(peer.machine.status().updates for peer in simulated.peers if peer.machine is not None))
    return Measured(peers, seconds, counts[1] - counts[0], received, entries)


def measure(*, quick: bool) -> Section:
    few, twenty = swarm(4, warm_s=60, seconds=300), swarm(20, warm_s=40, seconds=120)
    figures = [
        Figure("received per hour at 4 peers", few.mb_per_hour, "MB"),
        Figure("received per update at 20 peers", twenty.per_update, "bytes", Goal(1500, note="about 1,500"), digits=0,
               note=twenty.shares()),
        Figure("received per hour at 20 peers", twenty.mb_per_hour, "MB"),
    ]  # fmt: skip
    if not quick:
        hundred = swarm(100, warm_s=40, seconds=40)
        figures += [
            Figure("received per hour at 100 peers", hundred.mb_per_hour, "MB", Goal(74),
                   note=f"{hundred.seconds:.0f} s of virtual time, scaled"),
            Figure("received per update at 100 peers", hundred.per_update, "bytes", digits=0, note=hundred.shares()),
        ]  # fmt: skip
    return Section("ledger traffic of one peer, an update per 10 s by each (simulated, without deltas)", tuple(figures))
