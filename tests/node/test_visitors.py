"""What a status says of the door: words stay for people, and no longer; what was cut is counted."""

from __future__ import annotations

from gossip.node.visitors import MAX_GUESTS, SHOWN_S, Visitors
from tests.fold.toy import Swarm, key_of


def guest(name: str) -> dict[str, str]:
    return {"words": f"words of {name}", "role": "trainer", "how": "code", "key": key_of(name).public.hex()}


def test_words_stay_while_people_compare_them_also_of_who_is_in_already() -> None:
    swarm = Swarm(["bert"])
    replica, own = swarm.founder.replica, swarm.founder_id
    seen = Visitors()
    for name in ("bert", "cleo"):
        seen.saw("guest", guest(name), 100.0)
    seat = seen.seat(replica, own, 100.0 + SHOWN_S - 1)
    assert [(one["words"], one["member"]) for one in seat["guests"]] == [
        ("words of bert", True), ("words of cleo", False),
    ]  # fmt: skip
    assert (seat["role"], seat["expires"], seat["revoked_from"], seat["words"]) == ("admin", 0, None, "")
    assert seen.seat(replica, own, 100.0 + SHOWN_S)["guests"] == []


def test_own_words_are_shown_on_both_sides_of_the_door_and_then_go() -> None:
    swarm, seen = Swarm(["bert"]), Visitors()
    seen.saw("knocked", {"words": "mine", "key": "ab"}, 100.0)
    outside = seen.seat(swarm.observer().replica, swarm["bert"].id, 101.0)
    inside = seen.seat(swarm.founder.replica, swarm["bert"].id, 102.0)
    assert (outside["role"], outside["words"]) == ("", "mine")
    assert (inside["role"], inside["words"]) == ("trainer", "mine")
    assert seen.seat(swarm.founder.replica, swarm["bert"].id, 100.0 + SHOWN_S)["words"] == ""


def test_a_crowd_takes_no_more_room_than_it_may_and_the_newest_are_kept() -> None:
    swarm, seen = Swarm([]), Visitors()
    for number in range(3 * MAX_GUESTS):
        seen.saw("guest", guest(f"peer{number}"), 100.0)
        seen.saw("guest", guest("again"), 100.0)  # one who comes again is one guest
    words = [one["words"] for one in seen.seat(swarm.founder.replica, swarm.founder_id, 100.0)["guests"]]
    assert len(words) == MAX_GUESTS
    assert words[-1] == "words of again"
    assert words[-2] == f"words of peer{3 * MAX_GUESTS - 1}"


def test_links_that_were_cut_are_counted_and_what_the_policy_leaves_out_is_not() -> None:
    swarm, seen = Swarm([]), Visitors()
    seen.saw("refused", {"peer": "ab", "name": "eve", "text": "too many messages"}, 1.0)
    seen.saw("refused", {"peer": "ab", "name": "eve", "log": "ab", "seq": 3, "text": "breaks a rule"}, 1.0)
    seen.saw("merged", {"peer": "ab"}, 1.0)
    seat = seen.seat(swarm.founder.replica, swarm.founder_id, 2.0)
    assert seat["cut"] == {"links": 1, "last": "too many messages"}


def test_who_is_put_out_at_once_is_no_guest_again() -> None:
    swarm, seen = Swarm(["bert"]), Visitors()
    seen.saw("guest", guest("bert"), 100.0)
    seen.saw("knocked", {"words": "mine", "key": "ab"}, 100.0)
    assert seen.seat(swarm.founder.replica, swarm["bert"].id, 101.0)["guests"][0]["member"]
    swarm.founder.revoke(swarm["bert"], 1)
    seat = seen.seat(swarm.founder.replica, swarm["bert"].id, 102.0)
    assert (seat["guests"], seat["words"], seat["revoked_from"], seat["role"]) == ([], "", 1, "")
