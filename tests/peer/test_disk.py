"""Who pays for what is kept: its author; and what nobody but a citer makes us keep, the citer."""

from __future__ import annotations

import pytest

from gossip.events import Effect, Keep
from gossip.limits import KIB, Limits
from gossip.peer.disk import Disk
from gossip.wire.frames import Have, Want
from ledger.canonical import decode_entry
from tests.peer.bench import Bench, frames_to, notes, only
from tests.peer.test_bad_member import Author, _Seen, data, dropped, guest

SMALL = Limits(disk_bytes=64 * KIB)


def write(author: Author, count: int) -> None:
    for _ in range(count):
        author.add(data(**author.chain()))


def tell(bench: Bench, link: int, author: Author, start: int, step: int = 40) -> list[Effect]:
    """Send what it has written, in messages."""
    effects: list[Effect] = []
    whole = author.entries
    for end in range(start + step, len(whole) + step, step):
        author.entries = whole[:end]
        effects += bench.say(link, author.frame(start))
        start = min(end, len(whole))
    author.entries = whole
    return effects


def filled(bench: Bench) -> Author:
    """A member that publishes until nothing more of it is taken."""
    member = guest(bench, 1, 1)
    member.add(data(**member.chain([_Seen(bench, bench.book.replica.founder)])))
    write(member, 400)
    bench.now += 60.0
    bench.link(2, member.key.public)
    effects = tell(bench, 2, member, 1)
    (note,) = [fields for fields in notes(effects, "trouble") if "author 1" in str(fields["text"])]
    assert "only what others cite" in str(note["text"])
    return member


def test_of_a_log_that_has_had_its_share_nothing_more_is_wanted() -> None:
    bench = Bench(limits=SMALL)
    member = filled(bench)
    size = bench.book.replica.size(member.log)
    kept = sum(len(entry) + 64 for entry in member.entries[:size])
    assert 64 * KIB < kept < 64 * KIB + 40 * 600  # what was on its way when it was full
    answer = bench.say(2, Have(((member.log, 400, bytes(8)),)))
    assert not [frame for frame in frames_to(answer, 2) if isinstance(frame, Want)]
    assert bench.machine.status().missing == 0  # nobody waits for it
    assert dropped(answer) == []
    honest = guest(bench, 3, 3)
    assert bench.book.replica.role_of(honest.log) == "trainer"


def test_what_an_honest_member_cites_of_it_is_fetched_all_the_same_and_the_citer_pays() -> None:
    bench = Bench(limits=SMALL)
    member = filled(bench)
    honest = guest(bench, 3, 3)
    size = bench.book.replica.size(member.log) + 5
    cited = _Seen(bench, member.log)
    cited.size, cited._root = size, member.head(size)[-32:]
    honest.add(data(**honest.chain([_Seen(bench, bench.book.replica.founder), cited])))
    before = dict(bench.machine._disk.used)
    answer = bench.say(3, honest.frame(1))
    (want,) = [frame for frame in frames_to(answer, 3) if isinstance(frame, Want) and frame.log == member.log]
    assert want.stop == size  # so far, and no further
    whole = member.entries
    for end in (size + 100, size):  # more than was asked for is not taken: nobody would pay for it
        member.entries = whole[:end]
        bench.say(3, member.frame(want.start))
        assert (bench.book.replica.size(member.log) == size) is (end == size)
    assert bench.book.replica.size(honest.log) == 2
    used = bench.machine._disk.used
    assert used[member.log] == before[member.log]
    assert used[honest.log] > before[honest.log] + 5 * 64


def test_logs_of_its_own_invention_are_on_the_account_of_who_cites_them() -> None:
    bench = Bench(limits=SMALL)
    member = guest(bench, 1, 1)
    crowd = [Author(member.swarm, 1000 + n) for n in range(120)]
    member.add(data(**member.chain([_Seen(bench, bench.book.replica.founder), *crowd])))
    bench.say(1, member.frame(1))
    for nobody in crowd:
        bench.say(1, nobody.frame())
    assert bench.book.replica.size(member.log) == 2
    weight = sum(len(nobody.entries[0]) + 64 for nobody in crowd)
    assert bench.machine._disk.used[member.log] > weight
    again = Disk(bench.shell.self_id, SMALL.disk_bytes, bench.book.replica.role_of)
    for log, size in bench.book.replica.heads().items():  # after a restart, in whatever order
        for seq in range(size):
            raw = bench.book.replica.data(log, seq)
            again.learn(log, bench.book.replica.entry(log, seq), len(raw), seq=seq)
    assert again.used[member.log] > weight


def test_a_colluder_who_cites_a_full_log_pays_until_it_is_full_itself() -> None:
    """Then neither is wanted, unless somebody cites them who can pay."""
    disk = Disk("own", 1000, {"bad": "trainer", "friend": "trainer", "honest": "trainer"}.get)  # type: ignore[arg-type]
    disk.used = {"bad": 1001}
    assert disk.is_over("bad")
    disk.cite("bad", 50, by="friend")
    assert disk.cited("bad") == 50
    disk.used["friend"] = 1001
    assert disk.cited("bad") == 0
    disk.cite("friend", 7, by="honest")  # whoever holds and cites the friend's entry needs what that cites
    assert disk.cited("bad") == 50
    disk.used["honest"] = 1001
    assert disk.cited("bad") == 0
    disk.cite("honest", 3, by="bad")  # in a ring
    assert disk.cited("bad") == 0


def test_admins_are_counted_and_never_cut_off() -> None:
    disk = Disk("own", 10, lambda peer: "admin" if peer == "boss" else "trainer")
    disk.used = {"boss": 100, "other": 100, "own": 100}
    assert [peer for peer in disk.used if disk.is_over(peer)] == ["other"]


def test_nothing_is_kept_for_it_after_all() -> None:
    """The note is told once, and what waited of the log when it was full does not stay in memory."""
    bench = Bench(limits=SMALL)
    member = filled(bench)
    assert not bench.machine._tapes[member.log].held
    assert only(bench.say(2, member.frame(390)), Keep) == []
    assert not [f for f in notes(bench.effects, "trouble") if "author 1" in str(f["text"])][1:]


@pytest.mark.parametrize("swap", [False, True])
def test_who_cites_a_full_log_only_because_a_colluder_did_does_not_pay_for_it(swap: bool) -> None:
    """The colluder's word is shown to the honest member first, so that the honest one's arrives before it; and ids can
    be chosen until they sort as one likes."""
    bench = Bench(limits=SMALL)
    full = filled(bench)
    honest, colluder = sorted((guest(bench, 3, 3), guest(bench, 4, 4)), key=lambda one: one.log, reverse=swap)
    links = {author.log: link for link, author in ((3, Author(full.swarm, 3)), (4, Author(full.swarm, 4)))}
    start = bench.book.replica.size(full.log)
    far, founder = _Seen(bench, full.log), _Seen(bench, bench.book.replica.founder)
    far.size, far._root = start + 40, full.head(start + 40)[-32:]
    colluder.add(data(**colluder.chain([founder, far, honest])))
    word = _Seen(bench, colluder.log)
    word.size, word._root = 2, colluder.head(2)[-32:]
    honest.add(data(**honest.chain([founder, far, word])))
    before = dict(bench.machine._disk.used)
    bench.say(links[honest.log], honest.frame(1))
    bench.say(links[colluder.log], colluder.frame(1))
    full.entries = full.entries[: far.size]
    bench.say(links[honest.log], full.frame(start))
    assert [bench.book.replica.size(one.log) for one in (full, honest, colluder)] == [far.size, 2, 2]
    used = bench.machine._disk.used
    assert used[colluder.log] - before[colluder.log] > 40 * 64
    assert used[honest.log] - before[honest.log] < 2 * len(honest.entries[1])
    assert used[full.log] == before[full.log]


def test_of_several_who_were_first_each_pays_as_long_as_it_has_more_left_than_the_others() -> None:
    """Nobody can tell which of them is the cause; nobody can choose by its id who it is."""
    disk = Disk("own", 1000, {"bad": "trainer", "fresh": "trainer", "old": "trainer"}.get)  # type: ignore[arg-type]
    disk.used = {"bad": 1001, "old": 300}
    disk.cite("bad", 9, by="old")
    disk.cite("bad", 9, by="fresh")
    payers = [disk.learn("bad", decode_entry(Author("5a" * 32, 1).entries[0]), 36, seq=seq) for seq in range(9)]
    assert payers[:3] == ["fresh"] * 3
    assert abs(disk.used["old"] - disk.used["fresh"]) <= 100
    assert disk.cited("bad") == 0


SHARES = {"bad": 1001, "full": 1001, "fuller": 2000, "spare": 999, "boss": 5000}
ENTRY = decode_entry(Author("5a" * 32, 1).entries[0])


@pytest.mark.parametrize(
    ("citations", "wanted", "payer"),
    [
        pytest.param([], 0, "bad", id="nobody cites it: nothing more is wanted, and what comes is its own"),
        pytest.param([("bad", 5, "spare")], 5, "spare", id="somebody with something left"),
        pytest.param([("bad", 5, "boss")], 5, "boss", id="an admin is never cut off"),
        pytest.param([("bad", 5, "full")], 0, "bad", id="who has had its share itself"),
        pytest.param([("bad", 9, "full"), ("bad", 5, "spare")], 5, "spare", id="only as far as it is paid for"),
        pytest.param([("bad", 9, "full"), ("full", 3, "spare")], 9, "spare", id="who cites the citer"),
        pytest.param(
            [("bad", 9, "full"), ("full", 3, "fuller"), ("fuller", 2, "spare")], 9, "spare", id="however far away",
        ),
        pytest.param(
            [("bad", 9, "full"), ("full", 3, "boss"), ("full", 3, "fuller"), ("fuller", 2, "spare")], 9, "boss",
            id="the nearest of them",
        ),
        pytest.param([("bad", 9, "full"), ("full", 3, "fuller"), ("fuller", 2, "full")], 0, "bad", id="a ring"),
        pytest.param([("bad", 0, "spare")], 0, "bad", id="what is here already costs nobody else"),
    ],
)  # fmt: skip
def test_what_is_wanted_of_a_full_log_is_paid_for_by_who_wants_it(
    citations: list[tuple[str, int, str]], wanted: int, payer: str
) -> None:
    """`cited` wants nothing that `learn` then finds nobody for."""
    disk = Disk("own", 1000, lambda peer: "admin" if peer == "boss" else "trainer")
    disk.used = dict(SHARES)
    for log, size, by in citations:
        disk.cite(log, size, by)
    assert disk.cited("bad") == wanted
    assert disk.learn("bad", ENTRY, 36, seq=0) == payer
    assert disk.used == {**SHARES, payer: SHARES[payer] + 100}


def test_a_crowd_that_cites_each_other_is_looked_through_once() -> None:
    """By every way through a clique of forty it would take longer than there is time."""
    disk = Disk("own", 1000, lambda _: "trainer")
    crowd = [f"{number:02}" for number in range(40)]
    disk.used = {"bad": 1001, **dict.fromkeys(crowd, 1001)}
    for one in crowd:
        disk.cite("bad", 7, by=one)
        for other in crowd:
            disk.cite(one, 7, by=other)
    assert disk.cited("bad") == 0
    disk.cite(crowd[-1], 3, by="spare")
    assert disk.cited("bad") == 7


@pytest.mark.parametrize(
    ("used", "nearly", "over"), [(900, False, False), (901, True, False), (1000, True, False), (1001, True, True)]
)
def test_an_owner_is_warned_before_its_share_is_gone(used: int, nearly: bool, over: bool) -> None:
    disk = Disk("own", 1000, lambda _: "trainer")
    disk.used = {"one": used, "own": used}
    assert (disk.is_nearly_over("one"), disk.is_over("one")) == (nearly, over)
    assert not disk.is_over("own")  # others say what is too much of it


def test_what_was_introduced_waits_for_who_did_it() -> None:
    """Read back from the store, a log that is no member's may come before the entry that cites it."""
    disk = Disk("own", 1000, {"sponsor": "trainer"}.get)  # type: ignore[arg-type]
    assert disk.learn("nobody", ENTRY, 36, seq=0) == "nobody"
    assert disk.used == {}
    word = data(v=1, swarm="5a" * 32, seq=1, prev="11" * 32, time=0, meets=["nobody"], seen=[], heads="22" * 32)
    assert disk.learn("sponsor", word, 36, seq=1) == "sponsor"
    assert disk.used == {"sponsor": 200}
    assert disk.learn("nobody", ENTRY, 36, seq=1) == "sponsor"
    assert disk.used == {"sponsor": 300}
