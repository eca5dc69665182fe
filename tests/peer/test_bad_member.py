"""What a guest or a member can sign and send that is well-formed, and bad: nobody but itself may pay for it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from gossip.events import Drop, Effect, Keep, KeepCheckpoint
from gossip.peer.tape import Tape
from gossip.wire.frames import Entries, Trace
from ledger import checkpoint
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import heads_hash
from ledger.entry import Data, Enrol, PeerId
from ledger.kept import StoredCheckpoint
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash, node_hash
from tests.peer.bench import Bench, frames_to, notes, only

NOBODY = sha256(b"").hexdigest()


class Author:
    """Somebody with a key and a log, who signs whatever it likes."""

    def __init__(self, swarm: str, seed: int, *, of_swarm: str = "") -> None:
        self.swarm = swarm
        self.key = PrivateKey.from_seed(seed.to_bytes(32, "big"))
        enrol = Enrol(
            v=1, swarm=of_swarm or swarm, seq=0, prev="", time=0, meets=[], seen=[], heads=NOBODY,
            key=self.key.public.hex(), next="11" * 32, sponsor="", name=f"author {seed}",
        )  # fmt: skip
        self.entries = [encode_entry(enrol)]
        self.log: PeerId = entry_hash(self.entries[0])
        self.met: list[Author | _Seen] = []

    def head(self, size: int) -> bytes:
        """This log as `heads` names it."""
        tree = Tree(leaf_hash(data) for data in self.entries[:size])
        return bytes.fromhex(self.log) + size.to_bytes(8, "big") + tree.root()

    def chain(self, meets: Sequence[Author | _Seen] = (), heads: str = "") -> dict[str, Any]:
        """The chain half of the next entry, which sees one entry of each peer it meets (of a _Seen: all it has)."""
        first = len(self.met)
        self.met += meets
        rows = sorted(peer.head(peer.size if isinstance(peer, _Seen) else 1) for peer in self.met)
        sizes = [(first + at, p.size if isinstance(p, _Seen) else 1) for at, p in enumerate(meets)]
        return {
            "v": 1, "swarm": self.swarm, "seq": len(self.entries), "prev": entry_hash(self.entries[-1]), "time": 0,
            "meets": [peer.log for peer in meets], "seen": sizes, "heads": heads or heads_hash(rows),
        }  # fmt: skip

    def add(self, entry: Data) -> None:
        self.entries.append(encode_entry(entry))

    def frame(self, start: int = 0) -> Entries:
        tree = Tree(leaf_hash(data) for data in self.entries)
        name = checkpoint.origin(self.swarm, self.log)
        note = checkpoint.sign(checkpoint.Checkpoint(name, tree.size, tree.root()), self.key)
        return Entries(self.log, start, note, (), tuple(self.entries[start:]))


class _Seen:
    """A log of the bench's replica, as an Author cites it."""

    def __init__(self, bench: Bench, log: PeerId) -> None:
        self.log, self.size = log, bench.book.replica.size(log)
        self._root = bench.book.replica.root(log, self.size)

    def head(self, size: int) -> bytes:
        return bytes.fromhex(self.log) + size.to_bytes(8, "big") + self._root


def data(**chain: Any) -> Data:
    return Data(
        **chain, root="22" * 32, records=100, labels={"a": 50, "b": 50}, duplicates=0, features="numbers/1",
        zone="private", sources=[],
    )  # fmt: skip


def guest(bench: Bench, link: int, seed: int) -> Author:
    """Somebody with a ticket whom the founder has let in by now."""
    author = Author(bench.book.replica.swarm, seed)
    bench.link(link, author.key.public, "trainer")
    bench.say(link, author.frame())
    bench.store()
    assert bench.book.replica.role_of(author.log) == "trainer"
    return author


def dropped(effects: list[Effect]) -> list[int]:
    return [drop.link for drop in only(effects, Drop)]


def test_a_log_that_never_began_can_be_sent_again_without_harm() -> None:
    """An enrol entry of another swarm ends its log; what comes after the end is not read any more."""
    bench = Bench()
    author = Author(bench.book.replica.swarm, 1, of_swarm="33" * 32)
    bench.link(1, author.key.public, "trainer")
    assert dropped(bench.say(1, author.frame())) == [1]
    bench.now += 40.0
    bench.link(2, author.key.public, "trainer")
    assert dropped(bench.say(2, author.frame())) == []
    assert author.log not in bench.book.replica.heads()


def test_a_guest_speaks_for_itself_before_it_speaks_of_others() -> None:
    bench = Bench()
    swarm = bench.book.replica.swarm
    own, other = Author(swarm, 1), Author(swarm, 2)
    bench.link(1, own.key.public, "trainer")
    bench.say(1, other.frame())
    assert other.log not in bench.book.replica.heads()
    bench.say(1, own.frame())
    bench.store()
    assert bench.book.replica.role_of(own.log) == "trainer"


def test_logs_of_nobody_are_not_taken_in_and_keep_no_guest_out() -> None:
    bench = Bench()
    swarm = bench.book.replica.swarm
    guest(bench, 1, 1)
    before = bench.book.replica.heads()
    assert not [keep for n in range(300) for keep in only(bench.say(1, Author(swarm, 1000 + n).frame()), Keep)]
    assert bench.book.replica.heads() == before
    guest(bench, 2, 2)


def test_an_entry_that_cites_hundreds_of_nobodies_keeps_no_guest_out() -> None:
    """What a member cites must be taken in; more than one entry of the founder's can introduce is no reason to die."""
    bench = Bench()
    swarm = bench.book.replica.swarm
    bench.feed_data()
    member = guest(bench, 1, 1)
    crowd = [Author(swarm, 1000 + n) for n in range(300)]
    member.add(data(**member.chain([_Seen(bench, bench.book.replica.founder), *crowd])))
    bench.say(1, member.frame(1))
    for nobody in crowd:
        bench.say(1, nobody.frame())
    assert bench.book.replica.size(member.log) == 2
    assert len(bench.book.replica.heads()) == 302
    bench.store()
    guest(bench, 2, 2)


def test_what_waits_for_a_past_that_never_comes_is_bounded_however_often_the_link_is_new() -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    absent = Author(member.swarm, 99)
    for link in range(2, 40):
        for number in range(100):
            member.add(data(**member.chain([absent] if link == 2 and number == 0 else ())))
        bench.now += 1.0
        bench.link(link, member.key.public)
        bench.say(link, member.frame(1 + 100 * (link - 2)))
    held = len(bench.machine._tapes[member.log].held)
    assert 100 <= held <= 1000


def test_who_believed_another_branch_of_a_forked_log_is_not_to_blame() -> None:
    """A member signs two histories. We hold one, an honest member cites the other: we cannot follow it yet, and must
    neither cut its link nor call its log broken, but ask who passed it on what it cites."""
    bench = Bench()
    forker, honest = guest(bench, 1, 1), guest(bench, 2, 2)
    founder = _Seen(bench, bench.book.replica.founder)
    forker.add(data(**forker.chain([founder, honest])))
    bench.say(1, forker.frame(1))
    forker.entries[1] = forker.entries[1].replace(b'"records":100', b'"records":101')  # the same place, told to others
    other = _Seen(bench, forker.log)
    other._root = forker.head(2)[-32:]

    assert bench.book.replica.size(forker.log) == 2
    honest.add(data(**honest.chain([founder, other])))
    answer = bench.say(2, honest.frame(1))
    assert dropped(answer) == []
    (asked,) = [frame for frame in frames_to(answer, 2) if isinstance(frame, Trace)]
    assert (asked.log, asked.seq, asked.entry) == (honest.log, 1, entry_hash(honest.entries[1]))
    assert notes(answer, "refused") == []
    assert bench.book.replica.ended_at(honest.log) is None
    assert bench.book.replica.size(honest.log) == 1
    bench.feed_data()
    assert bench.machine.status().state == "training"


def test_who_cites_what_we_saw_broken_is_not_to_blame_either() -> None:
    """As above, but the history that we were shown breaks a rule: its log ends here, and nowhere else."""
    bench = Bench()
    forker, honest = guest(bench, 1, 1), guest(bench, 2, 2)
    founder = _Seen(bench, bench.book.replica.founder)
    good = data(**forker.chain([founder, honest]))
    forker.entries.append(encode_entry(good).replace(b'"seq":1', b'"seq":7'))
    assert dropped(bench.say(1, forker.frame(1))) == [1]
    forker.entries[1] = encode_entry(good)
    other = _Seen(bench, forker.log)
    other.size, other._root = 2, forker.head(2)[-32:]
    honest.add(data(**honest.chain([founder, other])))
    assert dropped(bench.say(2, honest.frame(1))) == []
    assert bench.book.replica.ended_at(honest.log) is None


def test_who_signs_more_than_it_publishes_cannot_keep_its_entries_from_others() -> None:
    """Its checkpoints cover four entries, two of which nobody ever sees. Before and after a restart its log is served,
    and a third peer accepts it."""
    bench = Bench()
    member = guest(bench, 1, 1)
    member.add(data(**member.chain([_Seen(bench, bench.book.replica.founder)])))
    leaves = [leaf_hash(entry) for entry in member.entries]
    secret = b"\x77" * 32  # the root over entries that only its author knows
    root = node_hash(node_hash(leaves[0], leaves[1]), secret)
    name = checkpoint.origin(member.swarm, member.log)
    note = checkpoint.sign(checkpoint.Checkpoint(name, 4, root), member.key)
    answer = bench.say(1, Entries(member.log, 1, note, (secret,), (member.entries[1],)))
    (kept,) = only(answer, KeepCheckpoint)
    assert (kept.log, kept.size, kept.held) == (member.log, 4, 2)

    stored = StoredCheckpoint(kept.size, kept.note, kept.held or 0, kept.proof)
    tape = Tape.restored(member.log, bench.book.replica.tree(member.log), member.entries, lambda name: stored)
    for start in (0, 1):
        frame = tape.serve(start, 9, lambda seq: bench.book.replica.data(member.log, seq))
        assert frame is not None
        assert frame.start + len(frame.entries) == 2
        third = Tape(member.log, leaves[:start])
        assert third.take(frame, name, member.key.public, 1) == 2 - start
