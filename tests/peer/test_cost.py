"""A hostile member is cut soon, costs little memory, and keeps nobody from publishing. `make attack` has every way."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

from gossip.limits import DEFAULT, MIB, Limits
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.wire.codec import encode
from gossip.wire.frames import PIECE_BYTES, Digest, Piece
from tests.attack.cost import COST, LOOSE, OVER, attack

SOME = ("lists of 1,489 logs", "pieces that nobody asked for", "entries without their past, half blobs")


def test_who_floods_is_cut_within_a_mebibyte_of_its_window_and_costs_little() -> None:
    limits = Limits(unasked_bytes=2 * MIB)
    found, everything = attack(limits, rounds=1, ways=SOME)
    assert set(found) == set(SOME)
    for cost in found.values():
        assert cost.cut == cost.links == 1
        assert cost.sent <= limits.unasked_bytes + OVER
        assert cost.grown <= COST / 4  # what a node adds around the machine has room
        assert cost.published >= 1
    assert everything.grown <= COST / 8


def test_the_same_flood_is_not_cut_where_limits_bind_nobody() -> None:
    """The positive control: it is the limits that cut it."""
    found, _ = attack(LOOSE, rounds=1, ways=("pieces that nobody asked for",))
    (cost,) = found.values()
    assert cost.cut == 0
    assert cost.sent > DEFAULT.unasked_bytes + OVER


def test_honest_peers_publish_while_a_member_floods_all_of_them() -> None:
    """In a swarm: it sends on every link that it has, ten times a second, and comes back whenever it may."""
    swarm = SimSwarm(Scenario(peers=4, seconds=16.0, round_s=1.0, seed=8))
    bad = swarm.peers[3]
    piece = encode(Piece("ab" * 32, 1 << 20, 0, bytes(PIECE_BYTES)))
    sent = [0]

    def flood(tick: int) -> None:
        ends = [link for link, end in swarm.network._ends.items() if end.owner == bad.index]
        for link in ends:
            for number in range(40):
                name = sha256(b"%d/%d" % (tick, number)).hexdigest()
                swarm.network.send(link, piece if number % 2 else encode(Digest(name, ask=True)))
            sent[0] += 20 * len(piece)

    for tick in range(60, 160):
        swarm.clock.at(EPOCH + tick / 10, partial(flood, tick))
    swarm.honest.remove(bad)
    report = swarm.run()
    assert sent[0] > 3 * DEFAULT.unasked_bytes
    told = [fields["text"] for _, who, kind, fields in swarm.notes if kind == "refused" and who != 3]
    assert len([text for text in told if "too much" in text or "too many" in text]) >= 3  # each of them cut it
    for peer in (0, 1, 2):
        times = [at for at, who, kind, _ in swarm.notes if (who, kind) == (peer, "published") and 7.0 < at < 16.0]
        assert len(times) >= 5
    assert report.heads_equal
    assert report.models_equal
    assert max(swarm.network.bytes_received[peer] for peer in (0, 1, 2)) < 2 * DEFAULT.unasked_bytes + 4 * MIB
