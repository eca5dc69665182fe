"""Which links a peer wants, keeps and refuses: told with two keys, one lower than the other."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

from gossip.config import PeerConfig
from gossip.events import Dial, DialFailed, Drop, Found, LinkUp
from gossip.limits import DEFAULT
from gossip.peer import links as rules
from gossip.peer.candidates import HINTED_PLACES
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox

LOW, HIGH, OTHER = b"\x01" * 32, b"\xf0" * 32, b"\x77" * 32


class Desk:
    """A Links with everything around it."""

    def __init__(
        self, own: bytes, members: Iterable[bytes] = (LOW, HIGH, OTHER), config: PeerConfig | None = None
    ) -> None:
        self.members = {key: key.hex() for key in members}
        self.out = Outbox()
        self.dropped: list[Live] = []
        self.links = Links(
            config or PeerConfig(), own, random.Random(1), self.out, self.members.get, lambda: len(self.members),
            lambda live, reason: self.dropped.append(live),
        )  # fmt: skip

    def dials(self, now: float) -> list[int]:
        """Plan, and the ports dialled."""
        self.links.plan(now)
        return [effect.port for effect in self.out.take() if isinstance(effect, Dial)]

    def drops(self) -> list[int]:
        return [effect.link for effect in self.out.take() if isinstance(effect, Drop)]


def key(number: int) -> bytes:
    return bytes([0x20 + number % 200, number // 200]) + bytes(30)


def test_the_lower_key_dials_first_the_higher_only_when_nothing_came() -> None:
    low, high = Desk(LOW), Desk(HIGH)
    low.links.found(Found("h", 1, HIGH), 0.0)
    high.links.found(Found("h", 2, LOW), 0.0)
    assert low.dials(0.0) == [1]
    assert high.dials(0.0) == []
    assert high.dials(1.4) == []
    assert high.dials(1.6) == [2]


def test_the_higher_key_does_not_dial_once_the_link_is_there() -> None:
    high = Desk(HIGH)
    high.links.found(Found("h", 2, LOW), 0.0)
    high.links.up(LinkUp(5, LOW, dialled=False), 0.3)
    assert high.dials(2.0) == []


def test_both_ends_keep_the_same_one_of_two_links() -> None:
    """Each end may see the two links open in either order."""
    for order in ((True, False), (False, True)):
        kept = []
        for own, far in ((LOW, HIGH), (HIGH, LOW)):
            desk = Desk(own)
            for by_low in order:
                desk.links.up(LinkUp(1 if by_low else 2, far, dialled=(own == LOW) == by_low), 1.0)
            kept.append([live.link for live in desk.links])
        assert kept == [[1], [1]]


def test_a_peer_that_was_killed_and_came_back_is_not_kept_out_by_its_dead_link() -> None:
    desk = Desk(LOW)
    desk.links.up(LinkUp(1, HIGH, dialled=True), 0.0)  # the one to keep, had the dials crossed
    assert desk.links.up(LinkUp(2, HIGH, dialled=False), 60.0) is not None
    assert [live.link for live in desk.links] == [2]


def test_the_newer_of_two_links_in_one_direction_stays() -> None:
    desk = Desk(HIGH)
    desk.links.up(LinkUp(1, LOW, dialled=False), 0.0)
    desk.links.up(LinkUp(2, LOW, dialled=False), 9.0)
    assert [live.link for live in desk.links] == [2]
    assert [live.link for live in desk.dropped] == [1]


def test_a_stranger_is_dropped_a_guest_with_a_ticket_waits_but_not_for_ever() -> None:
    desk = Desk(LOW, members=(LOW,))
    assert desk.links.up(LinkUp(1, OTHER, dialled=False), 0.0) is None
    assert desk.drops() == [1]
    assert desk.links.up(LinkUp(2, OTHER, dialled=False, role="trainer"), 0.0) is not None
    desk.links.plan(rules.WAITING_S - 1)
    assert desk.drops() == []
    desk.links.plan(rules.WAITING_S + 1)
    assert desk.drops() == [2]


def test_a_guest_that_became_a_member_is_recognised() -> None:
    desk = Desk(LOW, members=(LOW,))
    desk.links.up(LinkUp(2, OTHER, dialled=False, role="trainer"), 0.0)
    assert desk.links.recognise() == ()
    desk.members[OTHER] = "peer"
    assert [live.peer for live in desk.links.recognise()] == ["peer"]


def test_hints_are_bounded_and_strangers_behind_them_are_not_dialled() -> None:
    desk = Desk(LOW, members=(LOW,))
    for number in range(1000):
        desk.links.found(Found("h", number, key(number)), 0.0)
    assert len(desk.links._candidates) == DEFAULT.candidates
    assert desk.dials(5.0) == []
    desk.links.found(Found("user", 9, None), 6.0)  # the user's word is dialled, and makes room for itself
    assert desk.dials(6.0) == [9]
    assert len(desk.links._candidates) == DEFAULT.candidates


def test_backoff_doubles_to_half_a_minute() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("h", 1, HIGH), 0.0)
    now, pauses = 0.0, []
    assert desk.dials(now) == [1]
    for _ in range(12):
        desk.links.failed(DialFailed("h", 1, HIGH, "no answer"), now)
        failed_at = now
        while not desk.dials(now):
            now += 0.05
        pauses.append(now - failed_at)
    assert pauses[0] <= 0.3
    assert 10 <= pauses[-1] <= 30.1
    assert pauses[5] > pauses[2] > pauses[0]


def failing(desk: Desk, port: int, who: bytes | None, times: int) -> float:
    """Dial an address in vain so often; when that was over."""
    now = 0.0
    for _ in range(times):
        while not desk.dials(now):
            now += 0.05
        desk.links.failed(DialFailed("h", port, who, "no answer"), now)
    return now


def test_an_address_of_the_users_is_tried_often_enough_that_who_wakes_there_is_met_within_ten_seconds() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("h", 1, None), 0.0)
    gave_up = failing(desk, 1, None, 12)
    assert desk.dials(gave_up + 8.1) == [1]


def test_who_wakes_dials_everybody_at_once_whatever_failed_before() -> None:
    desk = Desk(HIGH)
    desk.links.found(Found("h", 1, LOW), 0.0)
    asleep_at = failing(desk, 1, LOW, 12)
    assert desk.dials(asleep_at + 0.1) == []
    desk.links.woke(3600.0, False, asleep_at + 0.1)
    assert desk.dials(asleep_at + 0.1) == [1]


def test_a_long_sleep_or_another_address_ends_all_links_and_a_nap_none() -> None:
    for slept_s, moved, ended in ((6.0, False, []), (rules.OUTLIVED_S, False, [1, 2]), (0.0, True, [1, 2])):
        desk = Desk(LOW)
        desk.links.up(LinkUp(1, HIGH, dialled=True), 0.0)
        desk.links.up(LinkUp(2, OTHER, dialled=False), 0.0)
        desk.links.woke(slept_s, moved, 60.0)
        assert desk.drops() == ended
        assert [live.link for live in desk.dropped] == ended


def test_who_is_heard_of_again_is_dialled_again() -> None:
    """A peer that wakes says on mDNS that it is there; its place is the old one."""
    for own, who, waits in ((LOW, HIGH, 0.0), (HIGH, LOW, rules.PATIENCE_S)):
        desk = Desk(own)
        desk.links.found(Found("h", 1, who), 0.0)
        now = failing(desk, 1, who, 12) + 0.1
        assert desk.dials(now) == []
        desk.links.found(Found("h", 1, who), now)
        assert desk.dials(now + waits) == [1]


def test_a_linked_peer_that_is_said_to_be_at_a_new_place_is_looked_for_there_a_few_times() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("old", 1, HIGH), 0.0)
    assert desk.dials(0.0) == [1]
    desk.links.up(LinkUp(1, HIGH, dialled=True, address=("old", 1)), 0.1)
    desk.links.found(Found("new", 2, HIGH), 60.0)
    tried, now = 0, 60.0
    while now < 300.0:
        for port in desk.dials(now):
            assert port == 2
            tried += 1
            desk.links.failed(DialFailed("new", 2, HIGH, "nobody"), now)
        now += 0.5
    assert tried == rules.MOVES  # somebody made that up: the link stays, and nobody is called for ever
    assert [live.link for live in desk.links] == [1]


def test_a_linked_peer_that_speaks_is_looked_for_nowhere_else_until_it_falls_silent() -> None:
    desk = Desk(LOW)
    live = desk.links.up(LinkUp(1, HIGH, dialled=True), 0.0)
    assert live is not None
    live.heard_at = 59.0
    desk.links.found(Found("new", 2, HIGH), 60.0)
    assert desk.dials(60.0) == []
    live.heard_at = 62.0
    assert desk.dials(63.5) == []
    assert desk.dials(62.0 + rules.SILENT_S) == [2]


def test_whoever_invents_places_of_linked_peers_makes_nobody_call_them_all() -> None:
    """A hundred members, each said to be somewhere else every two seconds: a stranger's hints, for the price of a word.
    Without a bound each was called at each place three times."""
    members = [key(number) for number in range(100)]
    desk = Desk(LOW, [LOW, *members])
    for number, member in enumerate(members[:30]):
        desk.links.up(LinkUp(number, member, dialled=number < 6), 0.0)
    called: list[tuple[float, bytes]] = []
    for tick in range(1200):
        now = 60.0 + tick / 10
        for number, member in enumerate(members[:30] if tick % 20 == 0 else ()):
            desk.links.found(Found("192.0.2.7", 1000 + (37 * tick + number) % 60_000, member), now)
        desk.links.plan(now)
        for effect in desk.out.take():
            if isinstance(effect, Dial):
                assert effect.key is not None
                called.append((now, effect.key))
                desk.links.failed(DialFailed(effect.host, effect.port, effect.key, "refused"), now)
    assert len(called) > 60  # it does look for them
    assert len({int(at) for at, _ in called}) >= len(called) - 1  # one a second
    for member in members[:30]:
        times = [at for at, one in called if one == member]
        assert all(b - a >= rules.MOVE_KEY_S - 0.01 for a, b in pairwise(times))


def test_a_link_to_the_new_place_of_a_peer_replaces_the_one_to_its_old_place() -> None:
    desk = Desk(LOW)
    desk.links.up(LinkUp(1, HIGH, dialled=False), 0.0)
    desk.links.found(Found("new", 2, HIGH), 60.0)
    assert desk.dials(60.0) == [2]
    desk.links.up(LinkUp(2, HIGH, dialled=True, address=("new", 2)), 60.5)
    assert [live.link for live in desk.links] == [2]
    assert desk.dials(61.0) == []  # found, and that is that


def test_a_peer_that_is_heard_of_where_its_link_leads_is_left_alone() -> None:
    """The inviter: first the ticket names its address, then mDNS, and mDNS does so again and again."""
    desk = Desk(LOW, config=PeerConfig(inviter=HIGH))
    desk.links.found(Found("h", 1, None), 0.0)
    assert desk.dials(0.0) == [1]
    desk.links.up(LinkUp(1, HIGH, dialled=True, address=("h", 1)), 0.5)
    for now in (1.0, 21.0, 41.0):
        desk.links.found(Found("h", 1, HIGH), now)
        assert desk.dials(now) == []
    assert [live.link for live in desk.links] == [1]


def test_a_large_swarm_looks_for_a_peer_that_moved_even_if_it_has_links_enough() -> None:
    members = [LOW, *(key(number) for number in range(30))]
    desk = Desk(LOW, members)
    for number in range(10):
        desk.links.up(LinkUp(1 + number, members[1 + number], dialled=number < 6), 0.0)
    desk.links.found(Found("new", 99, members[3]), 60.0)
    assert 99 in desk.dials(60.0)


def test_a_small_swarm_links_all_a_large_one_six() -> None:
    for size, expected in ((8, 7), (60, 6)):
        members = [LOW, *(key(number) for number in range(size - 1))]
        desk = Desk(LOW, members)
        for number, member in enumerate(members[1:]):
            desk.links.found(Found("h", number, member), 0.0)
        assert len(desk.dials(1.0)) == expected


def test_two_own_links_are_wanted_even_if_others_dialled_enough() -> None:
    members = [LOW, *(key(number) for number in range(30))]
    desk = Desk(LOW, members)
    for number in range(10):
        desk.links.up(LinkUp(100 + number, members[1 + number], dialled=False), 0.0)
    for number in range(10, 30):
        desk.links.found(Found("h", number, members[1 + number]), 0.0)
    assert len(desk.dials(1.0)) == 2


def test_a_large_swarm_tries_somebody_new_now_and_then() -> None:
    members = [LOW, *(key(number) for number in range(30))]
    desk = Desk(LOW, members)
    for number in range(30):
        desk.links.found(Found("h", number, members[1 + number]), 0.0)
    for port in desk.dials(0.0):
        desk.links.up(LinkUp(port, members[1 + port], dialled=True, address=("h", port)), 0.5)
    assert len(desk.links) == 6
    (port,) = desk.dials(60.0)
    desk.links.up(LinkUp(99, members[1 + port], dialled=True, address=("h", port)), 60.5)
    assert len(desk.links) == 6
    assert 99 in [live.link for live in desk.links]


def test_who_misbehaved_is_refused_for_a_while() -> None:
    desk = Desk(LOW)
    desk.links.up(LinkUp(1, HIGH, dialled=False), 0.0)
    desk.links.drop(1, "it lied", 1.0, shun=True)
    assert desk.links.up(LinkUp(2, HIGH, dialled=False), 2.0) is None
    assert desk.links.up(LinkUp(3, HIGH, dialled=False), 2.0 + rules.SHUN_S) is not None


def test_dialling_oneself_happens_once() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("h", 1, None), 0.0)
    assert desk.dials(0.0) == [1]
    desk.links.up(LinkUp(1, LOW, dialled=True, address=("h", 1)), 0.1)
    assert desk.drops() == [1]
    assert desk.dials(99.0) == []


def test_two_addresses_of_one_peer_are_dialled_one_at_a_time() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("a", 1, HIGH), 0.0)
    desk.links.found(Found("b", 2, HIGH), 0.0)
    assert len(desk.dials(0.0)) == 1


def test_a_full_house_makes_way_for_a_guest_but_not_for_a_member() -> None:
    members = [LOW, *(key(number) for number in range(60))]
    desk = Desk(LOW, members)
    for number in range(DEFAULT.links):
        assert desk.links.up(LinkUp(number + 1, members[1 + number], dialled=False), float(number)) is not None
    assert desk.links.up(LinkUp(100, members[50], dialled=False), 99.0) is None
    assert desk.links.up(LinkUp(101, OTHER, dialled=False, role="trainer"), 99.0) is not None
    assert len(desk.links) == DEFAULT.links
    assert [live.link for live in desk.dropped] == [1]


def test_a_joiner_dials_its_inviter_whatever_links_it_has_a_member_of_a_large_swarm_does_not() -> None:
    members = [key(number) for number in range(30)]
    for enlisted in (False, True):
        desk = Desk(LOW, [*members, LOW] if enlisted else members, PeerConfig(inviter=HIGH))
        for number in range(6):
            desk.links.up(LinkUp(number + 1, members[number], dialled=True), 0.0)
        desk.links.found(Found("inviter", 9, HIGH), 0.0)
        assert desk.dials(0.0) == ([] if enlisted else [9])


def test_who_may_have_forgotten_members_dials_whoever_says_to_be_of_its_swarm() -> None:
    """A restored backup may know nobody; those who know it answer, and what they say is checked as ever."""
    desk = Desk(LOW, members=(LOW,))
    desk.links.found(Found("h", 1, HIGH), 0.0)
    assert desk.dials(2.0) == []
    desk.links.seeks = True
    assert desk.dials(2.0) == [1]
    assert desk.links.up(LinkUp(1, HIGH, dialled=True, address=("h", 1)), 2.5) is not None
    assert desk.links.up(LinkUp(2, OTHER, dialled=False), 2.5) is None  # strangers who come to us stay outside


def test_a_crowd_of_strangers_does_not_hide_a_member_nor_is_it_hidden_by_one() -> None:
    """Hints with keys that nobody knows, as many as anybody likes."""
    desk = Desk(LOW, members=(LOW, HIGH))
    for number in range(5_000):
        desk.links.found(Found("h", 1_000 + number, number.to_bytes(32, "big")), 0.0)
    desk.links.found(Found("h", 1, HIGH), 0.0)
    assert desk.dials(0.0) == [1]
    for number in range(5_000, 10_000):
        desk.links.found(Found("h", 1_000 + number, number.to_bytes(32, "big")), 0.0)
    desk.links.failed(DialFailed("h", 1, HIGH, "away"), 0.1)
    for number in range(10_000, 11_000):
        desk.links.found(Found("h", 1_000 + number, number.to_bytes(32, "big")), 0.2)
    assert desk.dials(1.0) == [1]
    assert len(desk.links._candidates) <= DEFAULT.candidates


def test_false_places_of_a_member_wait_their_turn() -> None:
    desk = Desk(LOW)
    for port in range(1, 2_000):
        desk.links.found(Found("h", port, HIGH), 0.0)
    assert len(desk.links._candidates) == HINTED_PLACES
    (first,) = desk.dials(0.0)
    desk.links.failed(DialFailed("h", first, HIGH, "nobody there"), 0.1)
    desk.links.found(Found("h", 4_000, HIGH), 0.2)  # in place of the one that failed
    assert {port for _, port in desk.links._candidates} == {1, 2, 3, 4, 4_000} - {first}


def test_a_stranger_s_key_at_a_member_s_place_is_not_believed() -> None:
    desk = Desk(LOW)
    desk.links.found(Found("h", 1, HIGH), 0.0)
    desk.links.found(Found("h", 1, b"\x99" * 32), 0.0)
    assert desk.dials(0.0) == [1]
    desk.links.failed(DialFailed("h", 1, HIGH, "away"), 0.1)
    desk.links.found(Found("h", 1, b"\x99" * 32), 0.2)
    assert desk.links._candidates["h", 1].key == HIGH
    desk.links.found(Found("h", 1, OTHER), 0.3)  # a member's: who answers there must prove its key
    assert desk.links._candidates["h", 1].key == OTHER


def test_the_bearer_of_an_invite_for_many_does_not_part_us_from_all_members() -> None:
    """It stands at the door under many keys and never enrols; whoever comes next finds a place all the same."""
    members = [LOW, *(key(number) for number in range(60))]
    desk = Desk(LOW, members)
    for number in range(DEFAULT.links):
        desk.links.up(LinkUp(number + 1, members[1 + number], dialled=False), 0.0)
    share = DEFAULT.links // rules.GUESTS_SHARE
    for number in range(2 * DEFAULT.links):
        guest = LinkUp(1000 + number, b"\x05" + bytes([number]) + bytes(30), dialled=False, role="trainer")
        assert desk.links.up(guest, 30.0 + number / 10) is not None
    assert sum(live.is_guest for live in desk.links) == share
    assert len(desk.links) == DEFAULT.links
    assert desk.links.up(LinkUp(9000, OTHER, dialled=False, role="trainer"), 50.0) is not None
    assert desk.links.get(9000) is not None
    newest = [live.link for live in desk.links if live.is_guest]
    assert newest == [*range(1000 + 2 * DEFAULT.links - share + 1, 1000 + 2 * DEFAULT.links), 9000]


def test_a_member_takes_the_place_of_a_guest_that_is_one_too_many() -> None:
    members = [LOW, *(key(number) for number in range(60))]
    desk = Desk(LOW, members)
    for number in range(DEFAULT.links):  # a house that was empty
        desk.links.up(LinkUp(1000 + number, b"\x05" + bytes([number]) + bytes(30), dialled=False, role="trainer"), 0.0)
    kept = [desk.links.up(LinkUp(number, members[1 + number], dialled=False), 1.0) for number in range(60)]
    share = DEFAULT.links // rules.GUESTS_SHARE
    assert sum(live is not None for live in kept) == DEFAULT.links - share
    assert sum(live.is_guest for live in desk.links) == share
