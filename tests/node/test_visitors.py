"""What a status says of the door: words stay for people, and no longer; what was cut is counted."""

from __future__ import annotations

from gossip.node.visitors import MAX_GUESTS, SHOWN_S, Visitors
from gossip.peer.welcome import TURNED_AWAY
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
    bert, cleo = seat["guests"]
    assert (bert["peer"], bert["name"], bert["role"]) == (swarm["bert"].id, "bert", "trainer")
    assert (cleo["peer"], cleo["name"]) == ("", ""), "who has not come in yet is nobody we could name"
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
    assert seat["cut"] == {"links": 1, "last": "eve: too many messages"}


def test_who_is_put_out_at_once_is_no_guest_again() -> None:
    swarm, seen = Swarm(["bert"]), Visitors()
    seen.saw("guest", guest("bert"), 100.0)
    seen.saw("knocked", {"words": "mine", "key": "ab"}, 100.0)
    assert seen.seat(swarm.founder.replica, swarm["bert"].id, 101.0)["guests"][0]["member"]
    swarm.founder.revoke(swarm["bert"], 1)
    seat = seen.seat(swarm.founder.replica, swarm["bert"].id, 102.0)
    assert (seat["guests"], seat["words"], seat["revoked_from"], seat["role"]) == ([], "", 1, "")


def test_who_came_in_as_an_admin_of_genesis_is_told_as_one() -> None:
    """Whatever its invite says."""
    swarm, seen = Swarm([], admins=["dora"]), Visitors()
    seen.saw("guest", guest("dora"), 100.0)
    swarm.join("dora", role="admin")
    (one,) = seen.seat(swarm.founder.replica, swarm.founder_id, 101.0)["guests"]
    assert one["role"] == "admin"


def test_an_admin_hears_whose_revocation_waits_for_its_word_until_it_has_said_so() -> None:
    swarm, seen = Swarm(["ann", "bert"], admins=["ann"], threshold=2), Visitors()
    ann, bert = swarm["ann"], swarm["bert"]
    swarm.founder.revoke(bert, 7)
    swarm.exchange()
    (one,) = seen.seat(ann.replica, ann.id, 100.0)["wanted_out"]
    assert (one["peer"], one["name"], one["since"], one["by"]) == (bert.id, "bert", 7, ["founder"])
    assert seen.seat(swarm.founder.replica, swarm.founder_id, 100.0)["wanted_out"] == []
    assert seen.seat(bert.replica, bert.id, 100.0)["wanted_out"] == []  # who is no admin is asked nothing
    ann.revoke(bert, 9)
    assert seen.seat(ann.replica, ann.id, 100.0)["wanted_out"] == []


def test_why_a_guest_was_not_let_in_stays_to_be_read() -> None:
    swarm, seen = Swarm(["bert"]), Visitors()
    seen.saw("link_down", {"peer": "", "reason": "the network is gone"}, 1.0)
    outside = swarm.observer().replica
    assert seen.seat(outside, swarm["bert"].id, 2.0)["turned_away"] == ""
    seen.saw("link_down", {"peer": "", "reason": f"closed: {TURNED_AWAY} trainer: the house is full"}, 3.0)
    assert "the house is full" in seen.seat(outside, swarm["bert"].id, 4.0)["turned_away"]
    assert seen.seat(swarm.founder.replica, swarm["bert"].id, 5.0)["turned_away"] == ""  # others have let it in
