"""A member that signs two histories, and messengers that lie about it: one machine, fed by hand."""

from __future__ import annotations

from copy import copy
from hashlib import sha256
from typing import Any

import pytest
from msgspec import structs

from gossip.events import Append, Effect, LinkDown, NewKey, Timer
from gossip.limits import DEFAULT, Limits
from gossip.peer.strands import MAX_TRIES
from gossip.sim.station import next_key
from gossip.wire.frames import MAX_ROWS, NO_HASH, Differs, Entries, Have, Piece, Rows, Trace, Want, WantBlob
from ledger import checkpoint
from ledger.canonical import decode_entry, encode_entry, entry_hash
from ledger.entry import Accuse, Rotate
from ledger.fork import check_evidence, make_evidence
from ledger.keys import PrivateKey, key_digest
from ledger.merkle import Tree, leaf_hash
from ledger.proof import TlogProof
from tests.peer.bench import Bench, frames_to, notes, only
from tests.peer.test_bad_member import Author, _Seen, data, dropped, guest


def other_branch(author: Author, at: int, *, longer: int = 0) -> Author:
    """The same author, who signed another entry at that index, and what followed it."""
    twin = copy(author)
    twin.entries = author.entries[:at]
    twin.entries.append(author.entries[at].replace(b'"records":100', b'"records":101'))
    assert twin.entries[at] != author.entries[at]
    twin.met = list(author.met)
    for _ in range(longer):
        twin.add(data(**twin.chain()))
    return twin


def show(author: Author, start: int) -> Differs:
    """Entry start - 1 of a branch, with its author's signature."""
    tree = Tree(leaf_hash(entry) for entry in author.entries)
    name = checkpoint.origin(author.swarm, author.log)
    note = checkpoint.sign(checkpoint.Checkpoint(name, tree.size, tree.root()), author.key)
    return Differs(author.log, start, note, tuple(tree.inclusion(start - 1)), author.entries[start - 1])


def proven(author: Author, index: int) -> tuple[bytes, TlogProof]:
    """An entry with its author's signature, as evidence has it."""
    frame = show(author, index + 1)
    return frame.entry, TlogProof(index, frame.proof, frame.note)


def have(author: Author) -> Have:
    return Have(((author.log, len(author.entries), sha256(author.entries[-1]).digest()[:8]),))


def rows_of(author: Author, seq: int, *others: Author | _Seen) -> Rows:
    """What an entry of an author cites."""
    heads = sorted(other.head(other.size if isinstance(other, _Seen) else len(other.entries)) for other in others)
    rows = tuple((head[:32].hex(), int.from_bytes(head[32:40], "big"), head[40:]) for head in heads)
    return Rows(author.log, seq, entry_hash(author.entries[seq]), 0, len(rows), rows)


def seen(author: Author) -> _Seen:
    """All of a branch, as another author cites it."""
    row = _Seen.__new__(_Seen)
    row.log, row.size, row._root = author.log, len(author.entries), author.head(len(author.entries))[40:]
    return row


class Story:
    """A founder who holds one branch of a member's log, and two links: the member's own (1) and an honest one's (2)."""

    def __init__(self, *, entries: int = 2, limits: Limits = DEFAULT) -> None:
        self.bench = Bench(limits=limits)
        self.forker, self.honest = guest(self.bench, 1, 1), guest(self.bench, 2, 2)
        self.founder = _Seen(self.bench, self.bench.book.replica.founder)
        self.forker.add(data(**self.forker.chain([self.founder, self.honest])))
        for _ in range(entries - 1):
            self.forker.add(data(**self.forker.chain()))
        self.bench.say(1, self.forker.frame(1))
        assert self.bench.book.replica.size(self.forker.log) == 1 + entries

    def wait(self, seconds: float) -> list[Effect]:
        """Time passes, and every timer rings."""
        self.bench.now += seconds
        return [effect for name in ("forks", "asks", "relay", "digest") for effect in self.bench.feed(Timer(name))]

    def accusations(self, effects: list[Effect]) -> list[tuple[Accuse, bytes]]:
        found = [(decode_entry(append.entry), append.blob) for append in only(effects, Append)]
        return [(entry, blob) for entry, blob in found if isinstance(entry, Accuse) and blob is not None]

    def prove(self, twin: Author, start: int) -> list[Effect]:
        """Two exchanges on link 2: I hold this - show me; this is it. Then the accusation, a moment later."""
        bench = self.bench
        (want,) = [f for f in frames_to(bench.say(2, have(twin)), 2) if isinstance(f, Want) and f.log == twin.log]
        assert (want.start, want.prev) == (start, entry_hash(self.forker.entries[start - 1]))
        answer = bench.say(2, show(twin, start))
        assert [note["peer"] for note in notes(answer, "forked")] == [twin.log]
        return answer + self.wait(0.4)


@pytest.mark.parametrize(
    ("ours", "theirs", "start"),
    [(1, 0, 2), (2, 1, 3), (3, 0, 2), (2, 4, 3)],
    ids=["right after enrolment", "equal sizes", "theirs is shorter", "theirs is longer"],
)
def test_a_fork_is_proven_in_two_exchanges_and_put_on_record(ours: int, theirs: int, start: int) -> None:
    story = Story(entries=ours)
    twin = other_branch(story.forker, 1, longer=theirs)
    effects = story.prove(twin, start)
    ((entry, blob),) = story.accusations(effects)
    assert (entry.peer, entry.index, entry.bytes) == (twin.log, start - 1, len(blob))
    assert sha256(blob).hexdigest() == entry.evidence
    name = checkpoint.origin(twin.swarm, twin.log)
    check_evidence(blob, name, start - 1, lambda size: {twin.key.public})  # anybody can, with nothing else
    assert story.bench.book.replica.accused_at(twin.log) == start - 1
    assert dropped(effects) == []


def test_nobody_is_accused_on_a_messengers_word() -> None:
    story = Story()
    twin = other_branch(story.forker, 1, longer=1)
    real = show(twin, 3)
    stranger = copy(twin)
    stranger.key = story.honest.key
    for forged in (
        show(stranger, 3),  # signed by another
        Differs(real.log, 3, real.note, real.proof, real.entry + b" "),  # not what was signed
        Differs(real.log, 2, real.note, real.proof, real.entry),  # not at that place
    ):
        answer = story.bench.say(2, forged)
        assert dropped(answer) == [2]
        assert notes(answer, "forked") == []
        story.bench.now += 40.0
        story.bench.link(2, story.honest.key.public)
    assert story.accusations(story.wait(5.0)) == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["at the place asked for", "at another place"])
def test_no_log_is_starved_by_who_shows_what_we_hold_as_another_entry(elsewhere: bool) -> None:
    """Link 1 claims more of an honest log than anybody, and answers with a true entry of it: link 2 has the entries."""
    bench = Bench()
    liar = guest(bench, 1, 1)
    honest = guest(bench, 2, 2)
    founder = _Seen(bench, bench.book.replica.founder)
    honest.add(data(**honest.chain([founder, liar])))
    bench.say(2, honest.frame(1))
    old = copy(honest)
    old.entries = list(honest.entries)
    for _ in range(5):
        honest.add(data(**honest.chain()))
    effects = bench.say(1, Have(((honest.log, 5000, bytes(8)),))) + bench.say(2, have(honest))
    until, asked = bench.now + 10.0, 0
    while bench.now < until:
        lied = [f for f in frames_to(effects, 1) if isinstance(f, Want)]
        true = [f for f in frames_to(effects, 2) if isinstance(f, Want)]
        asked += len(lied)
        bench.now += 0.2
        effects = bench.say(1, show(old, 1 if elsewhere else 2)) if lied else []
        for want in true:
            effects += bench.say(2, honest.frame(want.start))
        for name in ("forks", "asks", "relay", "digest"):
            effects += bench.feed(Timer(name))
    assert bench.book.replica.size(honest.log) == 7
    assert asked <= 5
    assert dropped(bench.effects) == ([] if elsewhere else [1])


def accuse(bench: Bench, by: Author, chain: dict[str, Any], author: Author, index: int, blob: bytes) -> None:
    """An accusation comes on link 1, and its evidence after it."""
    digest = sha256(blob).hexdigest()
    entry = Accuse(**chain, peer=author.log, charge="fork", index=index, evidence=digest, bytes=len(blob))
    by.entries.append(encode_entry(entry))
    effects = bench.say(1, by.frame(1))
    assert [f.hash for f in frames_to(effects, 1) if isinstance(f, WantBlob)] == [digest]
    bench.say(1, Piece(digest, len(blob), 0, blob))
    assert bench.book.replica.accused_at(author.log) == index


def test_an_accusation_of_an_entry_that_is_not_here_yet_counts_once_it_is() -> None:
    story = Story(entries=1)
    bench, forker, accuser = story.bench, story.forker, guest(story.bench, 3, 7)
    bench.feed(LinkDown(1, "gone"))
    bench.link(1, accuser.key.public)
    forker.add(data(**forker.chain()))
    evidence = make_evidence(*(proven(branch, 2) for branch in (forker, other_branch(forker, 2))))
    start = copy(forker)
    start.entries = forker.entries[:2]
    founder = _Seen(bench, bench.book.replica.founder)
    accuse(bench, accuser, accuser.chain([founder, story.honest, seen(start)]), forker, 2, evidence)
    (want,) = [f for f in frames_to(bench.say(2, have(forker)), 2) if isinstance(f, Want)]
    assert (want.log, want.start) == (forker.log, 2)
    bench.say(2, forker.frame(2))
    assert bench.book.replica.void_from(forker.log) == 2
    story.wait(1.5)
    forker.add(data(**forker.chain()))
    assert [f for f in frames_to(bench.say(2, have(forker)), 2) if isinstance(f, Want)] == []


def test_an_accusation_with_a_key_that_a_log_left_behind_neither_stops_that_log_nor_hides_a_fork() -> None:
    """Its thief signed two third entries; a member who knows of no change of keys accuses. The log has two entries."""
    bench = Bench()
    swarm = bench.book.replica.swarm
    accuser, owner, heir = guest(bench, 1, 1), Author(swarm, 2), PrivateKey.from_seed(b"\x09" * 32)
    enrol = structs.replace(decode_entry(owner.entries[0]), next=key_digest(heir.public))
    owner.entries = [encode_entry(enrol)]
    owner.log = entry_hash(owner.entries[0])
    bench.link(2, owner.key.public, "trainer")
    bench.say(2, owner.frame())
    bench.store()
    thief = copy(owner)
    thief.entries = list(owner.entries)
    owner.entries.append(encode_entry(Rotate(**owner.chain(), key=heir.public.hex(), next="22" * 32)))
    owner.key = heir
    bench.say(2, owner.frame(1))
    assert bench.book.replica.size(owner.log) == 2

    for _ in range(2):
        thief.add(data(**thief.chain()))
    blob = make_evidence(*(proven(branch, 2) for branch in (thief, other_branch(thief, 2))))
    founder = _Seen(bench, bench.book.replica.founder)
    first = copy(accuser)  # its enrolment
    accuse(bench, accuser, accuser.chain([founder, thief]), owner, 2, blob)

    owner.add(data(**owner.chain([founder, first])))
    for _ in range(2):
        owner.add(data(**owner.chain()))
    (want,) = [f for f in frames_to(bench.say(2, have(owner)), 2) if isinstance(f, Want)]
    bench.say(2, owner.frame(want.start))
    assert bench.book.replica.size(owner.log) == 5

    twin = other_branch(owner, 3)  # and then it does fork, with the key that it has
    bench.say(2, show(twin, 4))
    bench.now += 1.0
    written = [decode_entry(append.entry) for append in only(bench.feed(Timer("forks")), Append)]
    assert [entry.index for entry in written if isinstance(entry, Accuse)] == [3]


def test_who_is_shown_a_branch_of_its_own_log_by_an_old_key_says_so_once_and_goes_on_without_writing() -> None:
    """A thief had the founder's key, and signed another entry where the founder changed it; a member believes that."""
    bench, thief = Bench(), Bench()  # the same founder, key and log
    own = bench.shell.self_id
    honest, _ = guest(bench, 1, 1), guest(thief, 1, 1)
    size = bench.book.replica.size(own)
    bench.feed(NewKey(next_key(11, 0, 1), key_digest(next_key(11, 0, 2).public), recover=False, since=None))
    bench.store()
    thief.feed_data()
    theirs = thief.book.replica.data(own, size)
    assert decode_entry(bench.book.replica.data(own, size - 1)) == decode_entry(thief.book.replica.data(own, size - 1))
    assert isinstance(decode_entry(bench.book.replica.data(own, size)), Rotate)

    cited = _Seen(thief, own)
    honest.add(data(**honest.chain([cited])))
    bench.say(1, honest.frame(1))
    (want,) = [f for f in frames_to(bench.say(1, rows_of(honest, 1, cited)), 1) if isinstance(f, Want)]
    assert (want.log, want.start) == (own, size)
    effects = bench.say(1, Entries(own, size, thief.machine._tapes[own].cover.note, (), (theirs,)))
    assert len(bench.book.replica.strands(own)) == 2
    (said,) = notes(effects, "trouble")
    assert "two histories" in str(said["text"])
    before = bench.book.replica.size(own)
    bench.feed_data_again()
    for _ in range(20):
        bench.now += 5.0
        for name in ("home", "forks", "asks", "relay", "digest", "rounds"):
            bench.feed(Timer(name))
    assert bench.book.replica.size(own) == before
    assert len(notes(bench.effects, "trouble")) == 1
    assert dropped(bench.effects) == []


def test_an_honest_prefix_is_not_a_fork() -> None:
    story = Story(entries=3)
    shorter = copy(story.forker)
    shorter.entries = story.forker.entries[:3]
    assert [f for f in frames_to(story.bench.say(2, have(shorter)), 2) if isinstance(f, Want)] == []
    assert story.bench.machine.status().missing == 0


def test_after_an_accusation_nothing_more_of_that_log_is_wanted_unless_it_is_cited() -> None:
    story = Story()
    bench, forker = story.bench, story.forker
    twin = other_branch(forker, 1, longer=1)
    story.prove(twin, 3)
    forker.add(data(**forker.chain()))
    assert [f for f in frames_to(bench.say(1, have(forker)), 1) if isinstance(f, Want)] == []
    bench.say(1, forker.frame(3))  # pushed
    bench.say(2, twin.frame(1))
    assert bench.book.replica.strands(forker.log) == (forker.log,)
    assert bench.book.replica.size(forker.log) == 3
    assert bench.machine.status().missing == 0

    story.honest.add(data(**story.honest.chain([story.founder, seen(forker)])))
    asked = frames_to(bench.say(2, story.honest.frame(1)), 2)
    assert [type(frame) for frame in asked if isinstance(frame, Trace)] == [Trace]
    answer = bench.say(2, rows_of(story.honest, 1, story.founder, forker))
    (want,) = [frame for frame in frames_to(answer, 2) if isinstance(frame, Want)]
    root = Tree(leaf_hash(entry) for entry in forker.entries).root()
    assert (want.log, want.start, want.stop, want.root) == (forker.log, 3, 4, root.hex())
    bench.say(2, forker.frame(3))
    assert bench.book.replica.size(forker.log) == 4
    assert bench.book.replica.size(story.honest.log) == 2


def fetch(story: Story, twin: Author, start: int) -> list[Effect]:
    """The honest member cites the twin: its branch is asked for, back to where it parts, and served."""
    bench = story.bench
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    bench.say(2, story.honest.frame(1))
    answer = bench.say(2, rows_of(story.honest, 1, story.founder, twin))
    for _ in range(8):
        wants = [frame for frame in frames_to(answer, 2) if isinstance(frame, Want) and frame.log == twin.log]
        if not wants or wants[-1].start <= start:
            break
        answer = bench.say(2, show(twin, wants[-1].start))
    return bench.say(2, twin.frame(wants[-1].start))


def test_a_cited_branch_is_fetched_back_to_where_it_parts_and_its_citer_is_followed() -> None:
    story = Story(entries=6)
    twin = other_branch(story.forker, 1, longer=4)
    effects = fetch(story, twin, 1)
    replica = story.bench.book.replica
    assert len(replica.strands(twin.log)) == 2
    assert {replica.size(log) for log in replica.strands(twin.log)} == {7, 6}
    assert replica.size(story.honest.log) == 2
    assert dropped(story.bench.effects) == []
    ((entry, _),) = story.accusations(effects + story.wait(0.4))
    assert entry.index == 1  # where they part
    assert story.bench.machine.status().missing == 0


def test_entries_of_the_other_branch_are_admitted_only_when_they_lead_to_what_was_cited() -> None:
    """Asked for one branch, an accomplice serves a third that nobody cites: it is signed, and it is not kept."""
    story = Story()
    twin, third = other_branch(story.forker, 1, longer=1), other_branch(story.forker, 1, longer=1)
    third.entries[1] = third.entries[1].replace(b'"records":101', b'"records":102')
    before = [entry_hash(author.entries[1]).encode() for author in (twin, third)]
    third.entries[2] = third.entries[2].replace(*before)
    bench = story.bench
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    bench.say(2, story.honest.frame(1))
    bench.say(2, rows_of(story.honest, 1, story.founder, twin))
    answer = bench.say(2, third.frame(1))
    assert dropped(answer) == [2]
    assert len(bench.book.replica.strands(twin.log)) == 1
    assert bench.machine.status().missing == 0  # nobody is left who could show what the entry cites


def test_who_shows_one_held_branch_and_then_the_other_at_one_place_loses_its_link_after_its_tries() -> None:
    """An entry cites a third branch; asked for it, the forker shows the two that are here, each time the other one."""
    story = Story(entries=4)
    bench = story.bench
    twin = other_branch(story.forker, 1, longer=3)
    fetch(story, twin, 1)
    story.wait(0.4)
    bench.store()
    third = other_branch(story.forker, 1)
    third.entries[1] = story.forker.entries[1].replace(b'"records":100', b'"records":103')
    for _ in range(6):
        third.add(data(**third.chain()))
    other = guest(bench, 3, 7)
    other.add(data(**other.chain([_Seen(bench, bench.book.replica.founder), seen(third)])))
    bench.say(1, other.frame(1))
    effects, shown = bench.say(1, rows_of(other, 1, _Seen(bench, bench.book.replica.founder), third)), 0
    until = bench.now + 600.0
    while bench.now < until and not dropped(effects):
        wants = [f for f in frames_to(effects, 1) if isinstance(f, Want) and f.log == twin.log]
        effects = story.wait(0.5)
        for want in wants[-1:]:
            shown += 1
            held = (story.forker, twin)
            (branch,) = [a for a in held if entry_hash(a.entries[want.start - 1]) != want.prev]
            effects += bench.say(1, show(branch, want.start))
    assert dropped(effects) == [1]
    assert 2 <= shown <= 2 + MAX_TRIES


def test_rows_that_do_not_hash_to_what_the_author_signed_cost_the_link() -> None:
    story = Story()
    twin = other_branch(story.forker, 1, longer=1)
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    story.bench.say(2, story.honest.frame(1))
    answer = story.bench.say(2, rows_of(story.honest, 1, story.founder, story.forker))
    assert dropped(answer) == [2]
    assert story.bench.machine.status().missing == 0
    assert story.bench.book.replica.ended_at(story.honest.log) is None


def cited_by_two(story: Story) -> Author:
    """The honest member cites another branch; link 1 passed that entry on first, and its author holds it, too."""
    twin = other_branch(story.forker, 1, longer=1)
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    effects = story.bench.say(1, story.honest.frame(1))
    assert [frame.log for frame in frames_to(effects, 1) if isinstance(frame, Trace)] == [story.honest.log]
    story.bench.say(2, have(story.honest))
    return twin


@pytest.mark.parametrize("change", ["crumbs", "more and more"])
def test_rows_come_as_many_as_fit_and_all_of_one_list(change: str) -> None:
    story = Story()
    cited_by_two(story)
    log, entry = story.honest.log, entry_hash(story.honest.entries[1])
    rows = tuple((f"{number:064x}", 5, b"x" * 32) for number in range(2 * MAX_ROWS))
    count = 1 if change == "crumbs" else MAX_ROWS
    answer = story.bench.say(1, Rows(log, 1, entry, 0, 5000, rows[:count]))
    if change == "more and more":
        assert dropped(answer) == []
        answer = story.bench.say(1, Rows(log, 1, entry, count, 6000, rows[count:]))
    assert dropped(answer) == [1]
    assert [frame.first for frame in frames_to(answer, 2) if isinstance(frame, Trace)] == [0]


def test_who_is_late_to_say_what_an_entry_cites_is_not_waited_for_while_others_may_know() -> None:
    story = Story()
    twin = cited_by_two(story)
    asked = [frame for frame in frames_to(story.wait(30.0), 2) if isinstance(frame, Trace)]
    assert [(frame.log, frame.first) for frame in asked] == [(story.honest.log, 0)]
    answer = story.bench.say(1, rows_of(story.honest, 1, story.founder, twin))  # it was only slow
    assert [frame.start for frame in frames_to(answer, 1) if isinstance(frame, Want) and frame.log == twin.log]
    assert dropped(story.bench.effects) == []


@pytest.mark.parametrize("silent_about", ["rows", "branch"])
def test_who_cannot_say_or_show_what_an_entry_cites_loses_its_link_after_its_tries(silent_about: str) -> None:
    story = Story()
    bench = story.bench
    twin = other_branch(story.forker, 1, longer=1)
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    bench.say(2, story.honest.frame(1))
    if silent_about == "branch":
        bench.say(2, rows_of(story.honest, 1, story.founder, twin))
    tries = 0
    while not dropped(story.wait(0.0)):
        tries += 1
        assert tries < 400
        bench.now += 1.0
    asked = [f for f in frames_to(bench.effects, 2) if isinstance(f, Trace if silent_about == "rows" else Want)]
    assert len([f for f in asked if f.log in (story.honest.log, twin.log)]) >= MAX_TRIES
    assert bench.machine.status().missing == 0
    bench.now += 40.0
    bench.link(3, story.honest.key.public)
    bench.say(3, story.honest.frame(1))  # from somebody who can, it is taken in again
    answer = bench.say(3, rows_of(story.honest, 1, story.founder, twin))
    assert [f for f in frames_to(answer, 3) if isinstance(f, Want) and f.log == twin.log]


def test_what_a_link_that_ended_was_asked_is_asked_of_another() -> None:
    story = Story()
    bench = story.bench
    twin = other_branch(story.forker, 1, longer=1)
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    bench.say(2, story.honest.frame(1))
    bench.say(1, have(story.honest))
    answer = bench.feed(LinkDown(2, "gone"))
    assert [frame.log for frame in frames_to(answer, 1) if isinstance(frame, Trace)] == [story.honest.log]


def test_a_broken_entry_on_one_branch_does_not_keep_us_from_the_other() -> None:
    """To us the forker showed an entry that breaks a rule: its log ended. To others, at the same place, a good one."""
    bench = Bench()
    forker, honest = guest(bench, 1, 1), guest(bench, 2, 2)
    founder = _Seen(bench, bench.book.replica.founder)
    good = data(**forker.chain([founder, honest]))
    forker.entries.append(encode_entry(good).replace(b'"seq":1', b'"seq":7'))
    assert dropped(bench.say(1, forker.frame(1))) == [1]
    assert bench.book.replica.ended_at(forker.log) == 1
    twin = copy(forker)
    twin.entries = [forker.entries[0], encode_entry(good)]
    honest.add(data(**honest.chain([founder, seen(twin)])))
    bench.say(2, honest.frame(1))
    answer = bench.say(2, rows_of(honest, 1, founder, twin))
    (want,) = [frame for frame in frames_to(answer, 2) if isinstance(frame, Want) and frame.log == twin.log]
    assert want.start == 1
    bench.say(2, twin.frame(1))
    assert bench.book.replica.size(forker.log) == 2
    assert bench.book.replica.size(honest.log) == 2
    assert bench.book.replica.ended_at(forker.log) is None
    assert bench.machine.status().missing == 0


def test_branches_that_nobody_cites_are_not_held_however_many_are_shown() -> None:
    story = Story()
    bench = story.bench
    for number in range(50):
        twin = other_branch(story.forker, 1)
        twin.entries[1] = story.forker.entries[1].replace(b'"records":100', b'"records":%d' % (200 + number))
        bench.say(1, twin.frame(1))
        bench.say(1, Entries(twin.log, 0, twin.frame().note, (), tuple(twin.entries)))
        bench.say(1, show(twin, 2))
    assert bench.book.replica.strands(story.forker.log) == (story.forker.log,)
    assert len(bench.machine._tapes) == len(bench.book.replica.heads())
    assert bench.machine.status().missing == 0
    story.wait(1.0)
    assert len(story.accusations(bench.effects)) == 1


def test_what_an_entry_cites_is_told_to_whoever_asks() -> None:
    story = Story()
    bench = story.bench
    bench.feed_data()
    own = bench.shell.self_id
    size = bench.book.replica.size(own)
    asked = Trace(own, size - 1, entry_hash(bench.book.replica.data(own, size - 1)), 0)
    (rows,) = frames_to(bench.say(2, asked), 2)
    assert isinstance(rows, Rows)
    past = bench.book.replica.past(own, size)
    assert rows.total == len(rows.rows) == len(past) - 1
    assert {peer: count for peer, count, _ in rows.rows} == {log: n for log, n in past.items() if log != own}
    entry = decode_entry(bench.book.replica.data(own, size - 1))
    heads = b"".join(bytes.fromhex(p) + n.to_bytes(8, "big") + r for p, n, r in rows.rows)
    assert sha256(heads).hexdigest() == entry.heads
    assert frames_to(bench.say(2, Trace(own, size - 1, "77" * 32, 0)), 2) == []
    assert frames_to(bench.say(2, Trace(own, size + 9, asked.entry, 0)), 2) == []


def test_a_branch_is_served_by_its_root_and_the_wrong_one_never() -> None:
    story = Story(entries=3)
    twin = other_branch(story.forker, 1, longer=2)
    fetch(story, twin, 1)
    bench = story.bench
    for author in (story.forker, twin):
        root = Tree(leaf_hash(entry) for entry in author.entries).root().hex()
        (frame,) = frames_to(bench.say(2, Want(author.log, 1, 4, entry_hash(author.entries[0]), root)), 2)
        assert isinstance(frame, Entries)
        assert frame.entries == tuple(author.entries[1:4])
    assert frames_to(bench.say(2, Want(twin.log, 0, 4, NO_HASH, "99" * 32)), 2) == []
    last = entry_hash(story.forker.entries[2])
    root = Tree(leaf_hash(entry) for entry in twin.entries).root().hex()
    (frame,) = frames_to(bench.say(2, Want(twin.log, 3, 4, last, root)), 2)
    assert isinstance(frame, Differs)
    assert frame.entry == twin.entries[2]
