"""Who looks at an entry: asked for one member, the answer is that of the list, whoever has guests and is able."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossip.peer.inspection.receivers import RECEIVERS, is_receiver, receivers


def name(number: int) -> str:
    return f"{number:064x}"


@given(
    members=st.lists(st.integers(0, 30), unique=True, max_size=30), author=st.integers(0, 30), seq=st.integers(0, 9),
    guests=st.dictionaries(st.integers(0, 30), st.integers(0, 5)), lame=st.sets(st.integers(0, 30)),
)  # fmt: skip
def test_one_member_is_asked_for_what_the_list_of_all_says(
    members: list[int], author: int, seq: int, guests: dict[int, int], lame: set[int]
) -> None:
    houses = {name(guest): name(host) for guest, host in guests.items() if guest > 5}
    able = [name(member) for member in members if member not in lame]
    chosen = receivers(name(author), seq, able, houses)
    assert len(chosen) <= RECEIVERS
    for member in able:
        found = is_receiver(
            member, name(author), seq, map(name, members), lambda one: one in able, lambda one: houses.get(one, one)
        )
        assert found == (member in chosen)


def test_of_a_house_one_is_asked_however_many_it_is() -> None:
    alone, author = name(1), name(99)
    members = list(map(name, range(12)))

    def house_of(peer: str) -> str:
        return peer if peer in (alone, author) else name(0)

    for seq in range(20):
        asked = [one for one in members if is_receiver(one, author, seq, members, house_of=house_of)]
        assert len(asked) == 2
        assert alone in asked, "eleven are one house"


def test_of_a_thousand_members_few_are_looked_at() -> None:
    looked: list[str] = []

    def is_able(member: str) -> bool:
        looked.append(member)
        return True

    members = [name(number) for number in range(1000)]
    for number in range(100):
        is_receiver(name(number), name(999), 7, members, is_able)
    assert len(looked) < 100 * 10
