"""What one hostile member can cost a peer: every way to flood it, one after the other, and then all together.

    python -m tests.attack.cost [--quick]

A founder's machine (the real one, without a network around it) trains and publishes; a member that it has let in links
with it and sends, as fast as it can, until its link ends; then it dials again as soon as its key is not refused any
more, for ROUNDS times. Counted are the bytes that it got rid of before the cut, the memory of this process that stays
(tracemalloc: the machine, and what waits to be sent as gossip/transport/pool.py holds it), and whether the founder
published between. The clock is virtual; what it costs in processor time is real, and printed.

The positive control is the same kit with limits that bind nobody: it must show that the limits are what binds.
"""

from __future__ import annotations

import argparse
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from time import process_time
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.events import Append, Drop, Effect, LinkDown, Received, Send, Stored, Timer, Train
from gossip.limits import DEFAULT, GIB, MIB, Limits
from gossip.wire.codec import encode
from gossip.wire.frames import (
    MAX_HAVE,
    MAX_TALLY,
    PIECE_BYTES,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Piece,
    Rows,
    Tally,
    Trace,
    Vouch,
    Voucher,
    WantBlob,
)
from ledger.canonical import encode_entry
from ledger.entry import Scores, Update
from tests.peer.bench import Bench, only
from tests.peer.test_bad_member import Author, _Seen, data, guest

TITLE: Final = "one hostile member, every way to flood"
ROUNDS: Final = 3  # links, one after the other, of each way
SHUNNED_S: Final = 31.0
OVER: Final = MIB  # beyond the window, at most
COST: Final = 32 * MIB
LOOSE: Final = Limits(
    frames_burst=1_000_000, frames_per_s=1_000_000, unasked_bytes=GIB, unasked_bytes_per_s=GIB,
    signatures_burst=1_000_000, signatures_per_s=1_000_000, served_bytes=GIB, served_bytes_per_s=GIB,
    outbox_bytes=GIB, held_log_bytes=GIB, held_bytes=GIB, claims=1_000_000, blobs_waiting_peer_bytes=GIB,
)  # fmt: skip
ENOUGH: Final = 16 * MIB  # sent on one link, after which the kit itself stops: nothing binds


@dataclass(slots=True)
class Cost:
    """Of one way, or of all together."""

    sent: int = 0  # bytes on one link, at most, before it ended
    links: int = 0
    cut: int = 0  # of these, ended by the machine
    grown: int = 0  # bytes that stayed
    cpu_s: float = 0.0
    messages: int = 0
    published: int = 0  # by the machine meanwhile


class Victim:
    """The founder's machine, what waits to be sent to the hostile link, and a clock."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.bench = Bench(limits=limits)
        self.bench.feed_data()
        self.limits = limits
        self.hostile = guest(self.bench, 1, 1)
        self.bench.feed(LinkDown(1, "gone"))
        self.hostile.add(data(**self.hostile.chain([_Seen(self.bench, self.bench.book.replica.founder)])))
        self.link = 1
        self.waiting: list[bytes] = []  # what the far end does not take
        self.waiting_bytes = 0
        self.is_up = False
        self.published = 0
        self.forget()

    def dial(self) -> None:
        self.bench.now += SHUNNED_S
        self.link += 1
        self.is_up = True
        self.waiting, self.waiting_bytes = [], 0
        self.take(self.bench.link(self.link, self.hostile.key.public))

    def say(self, message: bytes) -> None:
        self.take(self.bench.feed(Received(self.link, message)))

    def take(self, effects: list[Effect]) -> None:
        """What a node does with effects, as far as it takes memory."""
        for effect in effects:
            match effect:
                case Send(link, message) if link == self.link and self.is_up:
                    if self.waiting_bytes + len(message) > self.limits.outbox_bytes:
                        self.hang_up()
                        self.bench.feed(LinkDown(self.link, "takes too little of what it asked for"))
                        return
                    self.waiting.append(message)
                    self.waiting_bytes += len(message)
                case Drop(link) if link == self.link:
                    self.hang_up()
                case Append(seq):
                    self.take(self.bench.feed(Stored(seq)))
                case _:
                    pass
        self.forget()

    def forget(self) -> None:
        """All that the bench remembers but the round that it was asked for."""
        self.bench.effects[:] = only(self.bench.effects, Train)[-1:]

    def hang_up(self) -> None:
        self.is_up = False
        self.waiting, self.waiting_bytes = [], 0

    def publish(self) -> None:
        """A round of the machine's own, in the middle of it all."""
        before = self.bench.machine.status().updates
        self.take(self.bench.train(1.0))
        self.bench.now += 1.0
        for name in ("round", "asks", "digest", "relay", "blobs"):
            self.take(self.bench.feed(Timer(name)))
        self.published += self.bench.machine.status().updates - before


Way = Callable[[Victim, Random], Iterator[Frame | bytes]]


def _name(luck: Random) -> str:
    return luck.randbytes(32).hex()


def digests(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    while True:
        yield Digest(_name(luck), ask=True)


def haves(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    while True:
        yield Have(tuple((log, 9, bytes(8)) for log in sorted(_name(luck) for _ in range(MAX_HAVE))))


def tallies(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    while True:
        yield Tally(tuple((name, 9, 3) for name in sorted(luck.randbytes(8).hex() for _ in range(MAX_TALLY))))


def wants(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    """The largest blob that there is, again and again, and nothing of it is taken."""
    blobs = [update.delta for update in _updates(victim)]
    digest = max(blobs, key=lambda one: len(victim.bench.book.find(one) or b""), default=None)
    while True:
        yield WantBlob(digest or victim.bench.book.replica.genesis.policy, 0, 256 * 1024)


def _updates(victim: Victim) -> list[Update]:
    replica = victim.bench.book.replica
    entries = (replica.entry(log, seq) for log, size in replica.heads().items() for seq in range(size))
    return [entry for entry in entries if isinstance(entry, Update)]


def pieces(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    part = luck.randbytes(PIECE_BYTES)
    while True:
        yield Piece(_name(luck), 1 << 20, 0, part)


def traces(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    replica = victim.bench.book.replica
    own = replica.founder
    seq = replica.size(own) - 1
    while True:
        yield Trace(own, seq, sha256(replica.data(own, seq)).hexdigest(), 0)


def rows(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    listed = tuple(sorted((_name(luck), 3, bytes(32)) for _ in range(900)))
    while True:
        yield Rows(_name(luck), 9, _name(luck), 0, 900, listed)


def vouches(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    """Proposals and cosignatures that are wrong, all 64 of them."""
    replica = victim.bench.book.replica
    own = replica.founder
    while True:
        names = sorted(_name(luck) for _ in range(64))
        vouchers = tuple(Voucher(name, 1, luck.randbytes(64)) for name in names)
        yield Vouch(own, replica.size(own), luck.randbytes(32), luck.randbytes(64), vouchers)


def unsigned(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    """Its own log, under a checkpoint that is not its own."""
    whole = victim.hostile.frame()
    batch = tuple(luck.randbytes(1000) for _ in range(60))
    while True:
        yield Entries(whole.log, len(whole.entries) + luck.randrange(9), whole.note, (), batch)
        yield Differs(victim.bench.book.replica.founder, 1, whole.note, (), batch[0])


def held_back(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    """Well-signed updates whose past never comes; each names a delta, whose beginning it sends, and no more."""
    author, absent = victim.hostile, Author(victim.hostile.swarm, luck.randrange(1 << 30))
    start, first = len(author.entries), True
    for _ in range(12):  # more than may wait of one log
        for _ in range(60):
            chain = author.chain([absent] if first else ())
            first = False
            entry = Update(
                **chain, delta=_name(luck), bytes=100, codec="gossip-delta/1", view=[], data=1, steps=1, examples=1,
                scores=Scores(examples=0, tp=0, fp=0, fn=0), norm=1, weight=0,
            )  # fmt: skip
            author.entries.append(encode_entry(entry))
        frame = author.frame(start)
        yield frame
        start = len(author.entries)
        for send in victim.waiting[-64:]:
            if send[:1] == b"\x05":  # it was asked for a delta
                yield Piece(send[1:33].hex(), 100, 0, b"half of it")
    while True:
        yield frame


def crowds(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    """Logs of its own invention, which nobody cites."""
    while True:
        yield Author(victim.hostile.swarm, luck.randrange(1 << 30)).frame()


def noise(victim: Victim, luck: Random) -> Iterator[Frame | bytes]:
    while True:
        yield luck.randbytes(60_000)


WAYS: Final[dict[str, Way]] = {
    "digests": digests, "lists of 1,489 logs": haves, "lists of 5,041 checkpoints": tallies,
    "blobs asked for, not taken": wants,
    "pieces that nobody asked for": pieces, "questions what an entry cites": traces, "answers to no question": rows,
    "false proposals, 64 false cosignatures each": vouches, "entries that are not signed": unsigned,
    "entries without their past, half blobs": held_back, "logs of its own invention": crowds, "noise": noise,
}  # fmt: skip


def flood(victim: Victim, way: Way, luck: Random, rounds: int) -> Cost:
    """One way, link after link. What stays is counted with the last link still up, where it is not cut."""
    cost = Cost()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(rounds):
        victim.publish()
        victim.dial()
        cost.links += 1
        sent = 0
        for said in way(victim, luck):
            message = said if isinstance(said, bytes) else encode(said)
            began = process_time()
            victim.say(message)
            cost.cpu_s += process_time() - began
            cost.messages += 1
            sent += len(message)
            cost.sent = max(cost.sent, sent)
            cost.grown = max(cost.grown, tracemalloc.get_traced_memory()[0] - before)
            if not victim.is_up:
                cost.cut += 1
                break
            if sent > ENOUGH or cost.grown > 2 * COST or cost.messages > 20_000:
                break
        before_next = victim.published
        victim.publish()
        cost.published += victim.published - before_next
        if victim.is_up:
            victim.hang_up()
            victim.bench.feed(LinkDown(victim.link, "enough"))
    return cost


def attack(
    limits: Limits = DEFAULT, *, rounds: int = ROUNDS, ways: tuple[str, ...] = ()
) -> tuple[dict[str, Cost], Cost]:
    """Every way by itself, on one machine that goes on; and what all of them together came to."""
    luck = Random(5)
    victim = Victim(limits)
    for _ in range(4):
        victim.publish()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        found = {name: flood(victim, way, luck, rounds) for name, way in WAYS.items() if not ways or name in ways}
        victim.hostile.entries.clear()  # what the attacker holds is not the machine's
        gc.collect()
        everything = Cost(grown=tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    for cost in found.values():
        everything.links += cost.links
        everything.cut += cost.cut
        everything.cpu_s += cost.cpu_s
        everything.messages += cost.messages
        everything.published += cost.published
    return found, everything


def measure(*, quick: bool = False) -> Section:
    rounds = 1 if quick else ROUNDS
    found, everything = attack(rounds=rounds)
    window = DEFAULT.unasked_bytes
    figures = []
    for name, cost in found.items():
        each_ms = 1000 * cost.cpu_s / cost.messages
        note = f"{cost.cut} of {cost.links} links cut, {cost.grown / MIB:.1f} MiB, {each_ms:.2f} ms a message"
        figures.append(Figure(name, cost.sent / MIB, "MiB", Goal((window + OVER) / MIB), note=note))
    most = max(cost.grown for cost in found.values())
    figures += [
        Figure("memory, at most", most / MIB, "MiB", Goal(COST / MIB), note="by any of these, while it goes on"),
        Figure("memory that stays", everything.grown / MIB, "MiB", Goal(COST / MIB), note="after all of them"),
        Figure("own updates between", float(everything.published), "", note=f"in {everything.links} floods"),
    ]
    return Section(TITLE, tuple(figures))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.attack.cost", description=TITLE)
    parser.add_argument("--quick", action="store_true", help="one link of each way")
    for line in measure(quick=parser.parse_args().quick).lines():
        print(line)


if __name__ == "__main__":
    main()
