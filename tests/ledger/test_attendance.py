"""Who was there and when, from logs whose clocks lie: stories told with hand-made entries."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ledger.attendance import LEAST_S, MAX_GAPS, Absence, Attendance, Attended, longest_silence_s
from ledger.chain import strand_id
from ledger.entry import AnyEntry, Data, Enrol, Scores, Update
from ledger.timeline import Timeline

A, B, C, D, E = (letter * 64 for letter in "abcde")
TRAINERS = dict.fromkeys((A, B, C, D), "trainer")
NONE = Scores(examples=0, tp=0, fp=0, fn=0)
START = 1_800_000_000


class Swarm:
    """Peers that write by their own clocks, and cite all that they hold."""

    def __init__(self, **skew: int) -> None:
        self.skew = skew
        self.logs: dict[str, list[AnyEntry]] = {}
        self.held: dict[str, dict[str, int]] = {}
        self.roster: dict[str, list[str]] = {}

    def write(self, peer: str, at: int, *, hears: bool = True, kind: str = "update", claim: int | None = None) -> None:
        log = self.logs.setdefault(peer, [])
        held, roster = self.held.setdefault(peer, {}), self.roster.setdefault(peer, [])
        seen, meets = [], []
        for other in sorted(self.logs) if hears else ():
            size = len(self.logs[other])
            if other != peer and size > held.get(other, 0):
                if other not in roster:
                    roster.append(other)
                    meets.append(other)
                held[other] = size
                seen.append((roster.index(other), size))
        time = claim if claim is not None else START + at + self.skew.get(peer[0], 0)
        chain: dict[str, Any] = {
            "v": 1,
            "swarm": "",
            "seq": len(log),
            "prev": "",
            "time": time,
            "heads": "",
            "meets": meets,
        }
        chain |= {"seen": seen}
        entry: AnyEntry
        if kind == "enrol":
            entry = Enrol(**chain, key="", next="", sponsor="", name=peer[0])
        elif kind == "data":
            entry = Data(
                **chain, root="", records=1, labels={}, duplicates=0, features="", zone="private", sources=[]
            )  # fmt: skip
        else:
            entry = Update(
                **chain, delta="", bytes=1, codec="gossip-delta/1", view=[], data=1, steps=1, examples=1,
                scores=NONE, norm=1, weight=100,
            )  # fmt: skip
        log.append(entry)

    def enter(self, *peers: str) -> None:
        for peer in peers:
            self.write(peer, 0, kind="enrol")
            self.write(peer, 0, kind="data")

    def table(self, roles: dict[str, str] = TRAINERS, **window: Any) -> dict[str, Attended]:
        attendance = Attendance()
        for log, entries in self.logs.items():
            for seq, entry in enumerate(entries):
                attendance.saw(log, seq, entry, 100 if isinstance(entry, Update) else None)
        return {row.peer: row for row in attendance.table(roles, **window)}


def a_run(absent: dict[str, tuple[int, int]], seconds: int = 1200, every: int = 4, **skew: int) -> Swarm:
    """A, B, C and D publish every few seconds, but for somebody in some seconds."""
    swarm = Swarm(**skew)
    swarm.enter(A, B, C, D)
    for at in range(every, seconds + 1, every):
        for peer in (A, B, C, D):
            low, high = absent.get(peer, (seconds + 1, 0))
            if not low <= at < high:
                swarm.write(peer, at)
    return swarm


def test_who_published_all_along_was_there_all_along() -> None:
    table = a_run({}).table()
    assert [(row.word, row.updates, row.absences) for row in table.values()] == [("here", 300, ())] * 4
    assert {row.weight for row in table.values()} == {30_000}


def test_who_was_away_is_named_with_when_and_others_clocks_bear_it_out() -> None:
    table = a_run({B: (400, 700)}).table()
    (away,) = table[B].absences
    assert (away.since, away.until) == (START + 396, START + 700)
    assert away.at_least_s >= 290
    assert table[B].word == "here"  # it came back
    assert [table[peer].absences for peer in (A, C, D)] == [()] * 3


def test_who_left_and_never_came_back_is_absent_at_the_end() -> None:
    row = a_run({C: (404, 5000)}).table()[C]
    assert row.word == "absent"
    (away,) = row.absences
    assert (away.since, away.until) == (START + 400, None)
    assert away.at_least_s >= 780


def test_who_was_let_in_and_published_nothing_is_not_passed_over() -> None:
    swarm = a_run({})
    swarm.write(E, 100, kind="enrol")
    table = swarm.table({**TRAINERS, E: "trainer", "f" * 64: "trainer"})
    assert table[E].word == table["f" * 64].word == "never"
    assert table["f" * 64].first is None


def test_an_observer_need_not_write_and_is_never_absent() -> None:
    swarm = a_run({})
    swarm.write(E, 100, kind="enrol")
    row = swarm.table({**TRAINERS, E: "observer"})[E]
    assert (row.word, row.absences) == ("quiet", ())


def test_a_slow_peer_is_not_absent_for_being_slow() -> None:
    swarm = Swarm()
    swarm.enter(A, B, C, D)
    for at in range(4, 1204, 4):
        for peer in (A, B, C):
            swarm.write(peer, at)
        if at % 100 == 0:
            swarm.write(D, at)
    row = swarm.table(until=START + 1500)[D]
    assert (row.word, row.updates, row.absences) == ("here", 12, ())
    assert swarm.table(until=START + 1500)[A].word == "absent"  # who is quick is missed sooner


def test_a_peer_that_is_out_is_waited_for_by_nobody() -> None:
    row = a_run({C: (404, 5000)}).table({**TRAINERS, C: "revoked"})[C]
    assert (row.word, row.absences) == ("out", ())


@pytest.mark.parametrize("off", [3600, -3600])
def test_a_clock_that_is_an_hour_off_makes_nobody_absent_and_hides_nothing(off: int) -> None:
    table = a_run({B: (400, 700)}, a=off).table()
    assert [table[peer].absences for peer in (A, C, D)] == [()] * 3
    (away,) = table[B].absences
    assert abs(away.since - (START + 396)) <= 8
    assert away.until is not None
    assert abs(away.until - (START + 700)) <= 8
    first, last = table[A].first, table[A].last  # moved to where others' clocks have them
    assert first is not None
    assert last is not None
    assert abs(first - START) <= 8
    assert abs(last - (START + 1200)) <= 8


def test_the_absent_peers_own_wrong_clock_does_not_matter() -> None:
    (away,) = a_run({B: (400, 700)}, b=3600).table()[B].absences
    assert away.until is not None
    assert abs(away.since - (START + 396)) <= 8
    assert abs(away.until - (START + 700)) <= 8


def test_smooth_claims_hide_no_gap_that_others_show() -> None:
    swarm = Swarm()
    swarm.enter(A, B, C, D)
    liar = 0
    for at in range(4, 1204, 4):
        for peer in (A, C, D):
            swarm.write(peer, at)
        if not 400 <= at < 700:
            liar += 4
            swarm.write(B, at, claim=START + liar)  # never a gap, by its own words
    (away,) = swarm.table()[B].absences[:1]
    assert away.at_least_s >= 290


def test_a_clock_that_is_set_right_is_no_absence() -> None:
    swarm = Swarm(b=-3600)
    swarm.enter(A, B, C, D)
    for at in range(4, 1204, 4):
        if at == 600:
            swarm.skew["b"] = 0
        for peer in (A, B, C, D):
            swarm.write(peer, at)
    assert swarm.table()[B].absences == ()


def test_who_goes_on_alone_was_not_absent_the_others_were() -> None:
    swarm = a_run({})
    for at in range(1204, 3000, 4):
        swarm.write(A, at)
    for at in range(3000, 3400, 4):
        for peer in (A, B, C, D):
            swarm.write(peer, at)
    table = swarm.table()
    assert table[A].absences == ()
    assert [(one.since, one.until) for peer in (B, C, D) for one in table[peer].absences] == [
        (START + 1200, START + 3000)
    ] * 3


def test_a_window_counts_what_is_in_it_and_names_who_was_away_throughout() -> None:
    swarm = a_run({B: (400, 700), C: (404, 5000)})
    table = swarm.table(since=START + 800, until=START + 1200)
    assert (table[A].updates, table[B].updates, table[C].updates) == (101, 101, 0)
    assert table[B].absences == ()
    assert [(one.since, one.until) for one in table[C].absences] == [(START + 400, None)]  # its last word
    assert (table[C].word, table[C].last) == ("absent", START + 400)


def test_what_is_left_of_an_absence_in_a_window_counts_from_a_minute_on() -> None:
    swarm = a_run({B: (400, 860), C: (400, 861), D: (400, 864)})  # back at 860, 864, 864
    table = swarm.table(since=START + 800, until=START + 1200)
    assert [len(table[peer].absences) for peer in (B, C, D)] == [0, 1, 1]
    assert table[C].absences[0].since == START + 396


def test_whose_run_it_was_is_not_absent_before_it_has_begun() -> None:
    swarm = a_run({B: (400, 900), C: (1000, 9000)})
    window = {"since": START + 700, "until": START + 1200}
    assert [len(swarm.table(**window)[peer].absences) for peer in (B, C)] == [1, 1]
    assert swarm.table(reader=B, **window)[B].absences == ()  # it was starting
    assert swarm.table(reader=C, **window)[C].is_absent  # it had begun, and fell silent
    assert swarm.table(reader=C, since=START + 1100, until=START + 1200)[C].absences == ()  # it never came so far


def test_a_reader_long_afterwards_sees_that_everybody_has_stopped() -> None:
    table = a_run({}).table(until=START + 99_999)
    assert [row.word for row in table.values()] == ["absent"] * 4
    assert all(row.absences[0] == Absence(START + 1200, None, 0) for row in table.values())  # nobody bears it out


def test_a_second_history_is_counted_and_not_timed() -> None:
    swarm = a_run({})
    attendance = Attendance()
    for log, entries in swarm.logs.items():
        for seq, entry in enumerate(entries):
            attendance.saw(log, seq, entry, 100)
    beside = strand_id(B, 5, "d" * 64)
    for seq, entry in enumerate(swarm.logs[B][:8]):
        attendance.saw(beside, seq, entry, 100)
    row = {one.peer: one for one in attendance.table(TRAINERS)}[B]
    assert (row.entries, row.updates, row.absences) == (302 + 3, 300 + 3, ())


@pytest.mark.parametrize("seed", range(20))
def test_whatever_one_liar_claims_it_makes_nobody_else_absent(seed: int) -> None:
    luck = random.Random(seed)
    swarm = Swarm()
    swarm.enter(A, B, C, D)
    for at in range(4, 804, 4):
        for peer in (A, C, D):
            swarm.write(peer, at)
        if luck.random() < 0.3:
            swarm.write(B, at, claim=luck.choice([0, START, START + 10**6, 2**53 - 1, START + luck.randrange(10**4)]))
    table = swarm.table(until=START + 804)
    assert [table[peer].word for peer in (A, C, D)] == ["here"] * 3
    assert [table[peer].absences for peer in (A, C, D)] == [()] * 3
    assert len(table[B].absences) <= 64


@pytest.mark.parametrize("paced", [False, True], ids=["gaps", "no gaps at its pace"])
def test_however_many_gaps_a_log_has_others_clocks_are_asked_about_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch, paced: bool
) -> None:
    """A log whose entries are a second more than a minute apart; or one that was fast, and then that slow."""
    asked: list[int] = []
    interval = Timeline.interval
    monkeypatch.setattr(Timeline, "interval", lambda self, log, seq: asked.append(seq) or interval(self, log, seq))
    swarm = Swarm()
    swarm.enter(A, B)
    for at in range(1, 70):
        swarm.write(B, at, hears=at == 1)
    for at in range(2 * MAX_GAPS):
        swarm.write(B, 100 + at * 61, hears=False, kind="update" if paced else "data")
    swarm.write(A, 100 + 3 * MAX_GAPS * 61)
    swarm.write(B, 100 + 3 * MAX_GAPS * 61)
    row = swarm.table()[B]
    assert (row.absences[-1].since, row.absences[-1].until) == (
        START + 100 + (2 * MAX_GAPS - 1) * 61,
        START + 100 + 3 * MAX_GAPS * 61,
    )  # the longest is not missed
    if paced:
        assert row.absences_in_all < 64
        assert len(asked) < 256
    else:
        assert row.absences_in_all == MAX_GAPS
        assert len(asked) < 2 * MAX_GAPS + 256


def test_who_cites_one_liar_is_not_suspected_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    interval = Timeline.interval
    monkeypatch.setattr(Timeline, "interval", lambda self, log, seq: asked.append(seq) or interval(self, log, seq))
    swarm = Swarm()
    swarm.enter(A, B, C, D)
    for at in range(4, 804, 4):
        for peer in (A, B, C, D):
            swarm.write(peer, at, claim=START + 1000 * at if peer == B else None)
    table = swarm.table()
    assert [table[peer].absences_in_all for peer in (A, C, D)] == [0] * 3
    assert len(asked) < 50  # of 600 entries of theirs that cite it


def test_a_minute_is_never_too_long() -> None:
    assert longest_silence_s([]) == longest_silence_s([1, 2, 3]) == LEAST_S
    assert longest_silence_s([0, 100, 200, 9000]) == 1000


def test_a_log_that_is_cited_up_to_where_it_begins_to_cite() -> None:
    """Who came in, was heard of, and whose first word about others nobody has heard yet."""
    swarm = Swarm()
    swarm.enter(A)
    swarm.write(E, 1, hears=False, kind="enrol")
    swarm.write(A, 2)
    swarm.write(E, 3, kind="data")
    assert swarm.table()[E].entries == 2


@pytest.mark.parametrize("seed", range(200))
def test_whoever_cites_whom_there_is_a_table(seed: int) -> None:
    luck = random.Random(seed)
    swarm = Swarm()
    peers = (A, B, C, D)[: luck.randint(2, 4)]
    for at in range(luck.randint(2, 14)):
        peer = luck.choice(peers)
        kind = luck.choice(("data", "update")) if swarm.logs.get(peer) else "enrol"
        swarm.write(peer, at * luck.choice((1, 100)), hears=luck.random() < 0.5, kind=kind)
    assert sum(row.entries for row in swarm.table().values()) == sum(map(len, swarm.logs.values()))
