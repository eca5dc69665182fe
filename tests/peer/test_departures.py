"""Who is out: what it hears last, and by which ways it does not come back."""

from __future__ import annotations

import pytest

from gossip.events import Append, Drop, LinkUp, Revoking
from gossip.limits import Limits
from gossip.peer.departures import REVOKED
from gossip.peer.rumour import MAX_PUSHED
from gossip.wire.frames import Entries, Have, Want
from ledger.canonical import decode_entry
from ledger.entry import Member, Revoke
from tests.peer.bench import Bench, frames_to, notes, only
from tests.peer.test_bad_member import Author, _Seen, data, guest


def revoke(bench: Bench, who: Author, since: int = 1) -> None:
    bench.feed(Revoking(who.log, since))
    bench.store()
    assert bench.book.replica.is_revoked(who.log)


def members(bench: Bench, count: int, below: str) -> None:
    """Let so many in whose logs sort before that one."""
    seeds = (seed for seed in range(1000, 9000) if Author(bench.book.replica.swarm, seed).log < below)
    for _, seed in zip(range(count), seeds, strict=False):
        guest(bench, seed, seed)
        bench.now += 10.0


def test_however_much_it_lacks_it_hears_first_what_the_admins_wrote() -> None:
    """Nobody else gives it anything any more: what it is not shown now, it never learns."""
    bench = Bench(limits=Limits(links=64))
    member, founder = guest(bench, 1, 1), bench.book.replica.founder
    members(bench, MAX_PUSHED + 1, below=founder)
    bench.link(2, member.key.public)
    before = len(bench.effects)
    revoke(bench, member)
    shown = [frame for frame in frames_to(bench.effects[before:], 2) if isinstance(frame, Entries)]
    assert len(shown) == MAX_PUSHED  # not all that there is
    said = [decode_entry(data) for frame in shown if frame.log == founder for data in frame.entries]
    assert [entry.peer for entry in said if isinstance(entry, Revoke)] == [member.log]


@pytest.mark.parametrize("way", ["", "ticket", "backup"])
def test_its_key_opens_no_link_by_whatever_way(way: str) -> None:
    """Neither with a ticket, nor where our user's backup knows that key, nor as the member that it was."""
    key = Author("00" * 32, 1).key.public
    bench = Bench(known=frozenset({key}) if way == "backup" else frozenset())
    member = guest(bench, 1, 1)
    assert member.key.public == key
    revoke(bench, member)
    bench.now += 60.0
    answer = bench.feed(LinkUp(5, key, dialled=False, role="trainer" if way == "ticket" else ""))
    ends = [drop for drop in only(answer, Drop) if drop.link == 5]
    assert ends == [Drop(5, REVOKED if way else "no member we know")]
    before = len(bench.effects)
    bench.say(5, member.frame())
    assert not [one for one in only(bench.effects[before:], Append) if isinstance(decode_entry(one.entry), Member)]


def test_of_its_log_nothing_more_is_wanted_but_what_others_cite() -> None:
    bench = Bench()
    member, other = guest(bench, 1, 1), guest(bench, 2, 2)
    bench.now += 60.0
    bench.link(3, other.key.public)
    founder = _Seen(bench, bench.book.replica.founder)
    member.add(data(**member.chain([founder])))
    member.add(data(**member.chain()))
    revoke(bench, member)
    answer = bench.say(3, Have(((member.log, 3, bytes(8)),)))
    assert not [frame for frame in frames_to(answer, 3) if isinstance(frame, Want)]
    assert bench.machine.status().missing == 0
    cited = _Seen(bench, member.log)
    cited.size, cited._root = 2, member.head(2)[-32:]
    other.add(data(**other.chain([founder, cited])))
    answer = bench.say(3, other.frame(1))
    (want,) = [frame for frame in frames_to(answer, 3) if isinstance(frame, Want)]
    assert (want.log, want.start, want.stop) == (member.log, 1, 2)
    assert len(notes(bench.effects, "revoked")) == 1
