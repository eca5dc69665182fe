"""When something was made, by the clocks of everybody but its author."""

from __future__ import annotations

import random

from ledger.timeline import Interval, Timeline, Witnessed

A, B, C, D = (letter * 64 for letter in "abcd")


class Logs:
    """Logs of peers that write at given times and have seen what they are said to have seen."""

    def __init__(self) -> None:
        self.times: dict[str, list[int]] = {}
        self.pasts: dict[str, list[dict[str, int]]] = {}

    def write(self, peer: str, time: int, *seen: str) -> None:
        past = dict(self.pasts[peer][-1]) if self.pasts.get(peer) else {}
        for other in seen:
            for log, size in {**self.pasts[other][-1], other: len(self.times[other])}.items():
                past[log] = max(size, past.get(log, 0))
        self.times.setdefault(peer, []).append(time)
        past[peer] = len(self.times[peer])
        self.pasts.setdefault(peer, []).append(past)

    def timeline(self, *witnessed: Witnessed) -> Timeline:
        heads = {peer: len(times) for peer, times in self.times.items()}
        return Timeline(
            heads, lambda log, size: self.pasts[log][size - 1], lambda log, seq: self.times[log][seq], witnessed
        )


def a_story(claim: int) -> Logs:
    """B, C and D write at 100; A, having seen that, says it writes at `claim`; B, C and D see it at 200."""
    logs = Logs()
    for peer in (B, C, D):
        logs.write(peer, 100)
    logs.write(A, claim, B, C, D)
    for peer in (B, C, D):
        logs.write(peer, 200, A)
    return logs


def test_an_entry_lies_between_what_it_cites_and_what_cites_it() -> None:
    found = a_story(150).timeline().interval(A, 0)
    assert found == Interval((100, 2), (200, 2))
    assert found.holds(150)


def test_the_authors_own_clock_counts_for_nothing() -> None:
    for claim in (0, 99, 201, 1 << 50):
        found = a_story(claim).timeline().interval(A, 0)
        assert found == Interval((100, 2), (200, 2))
        assert not found.holds(claim)


def test_fewer_than_half_of_the_clocks_cannot_make_a_true_time_look_false() -> None:
    rng = random.Random(5)
    for _ in range(200):
        logs = a_story(150)
        liar = rng.choice((B, C, D))
        logs.times[liar] = [rng.randrange(1 << 40) for _ in logs.times[liar]]
        assert logs.timeline().interval(A, 0).holds(150)


def test_what_nobody_has_seen_has_no_end_and_what_has_seen_nobody_no_beginning() -> None:
    logs = Logs()
    logs.write(A, 150)
    assert logs.timeline().interval(A, 0) == Interval(None, None)
    assert Interval(None, None).holds(-5)
    logs.write(B, 200, A)
    assert logs.timeline().interval(A, 0) == Interval(None, (200, 1))


def test_the_first_to_cite_it_counts_not_the_last() -> None:
    logs = Logs()
    for time in (10, 20, 30):
        logs.write(A, time)
    for time in range(40, 60):
        logs.write(B, time, A) if time != 45 else logs.write(A, 45)
    assert logs.timeline().interval(A, 2).before == (40, 1)
    assert logs.timeline().interval(A, 3).before == (46, 1)


def test_a_cosignature_is_a_word_like_a_citation() -> None:
    logs = a_story(150)
    words = [Witnessed(A, 1, 160, peer) for peer in (B, C)]
    assert logs.timeline(*words).interval(A, 0).before == (160, 2)
    assert logs.timeline(words[0]).interval(A, 0).before == (200, 2)  # one of three is no majority
    assert logs.timeline(Witnessed(A, 1, 90, A)).interval(A, 0).before == (200, 2)  # its own is none


def test_a_stamp_from_outside_needs_no_majority() -> None:
    found = a_story(150).timeline(Witnessed(A, 1, 155, "")).interval(A, 0)
    assert found == Interval((100, 2), (155, 0))
    assert a_story(150).timeline(Witnessed(A, 0, 155, "")).interval(A, 0).before == (200, 2)  # of what came before


def test_both_branches_of_a_log_have_one_author() -> None:
    logs = a_story(150)
    logs.times[f"{A}~1~{D}"], logs.pasts[f"{A}~1~{D}"] = [150, 1], [logs.pasts[A][0], {**logs.pasts[A][0]}]
    assert logs.timeline().interval(A, 0) == Interval((100, 2), (200, 2))
