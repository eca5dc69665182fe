"""Who gets which shard: all are somebody's, and only those of who leaves or comes move."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.peer.lease import holder, shards_of
from ledger.opening import SHARDS

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
sharers = st.sets(hashes, min_size=2, max_size=9).map(sorted)


@given(hashes, sharers)
@settings(max_examples=50)
def test_every_shard_is_one_peers_whoever_computes_it(root: str, among: list[str]) -> None:
    shares = [shards_of(root, peer, among) for peer in among]
    assert sorted(number for share in shares for number in share) == list(range(SHARDS))
    assert shares == [shards_of(root, peer, among[::-1]) for peer in among]


@given(hashes, sharers, st.data())
@settings(max_examples=50)
def test_when_one_leaves_its_shards_move_and_no_other_does(root: str, among: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(among))
    left = [peer for peer in among if peer != gone]
    for number in range(SHARDS):
        before = holder(root, number, among)
        assert before == gone or holder(root, number, left) == before


def test_the_shares_of_one_data_set_as_they_are_for_ever() -> None:
    """Two versions of the program must agree about them."""
    among = ["aa" * 32, "bb" * 32, "cc" * 32]
    assert [holder("5d" * 32, number, among)[:2] for number in range(SHARDS)] == SHARES
    assert holder("5d" * 32, 0, []) == ""
    assert shards_of("5d" * 32, "dd" * 32, among) == ()


SHARES = ["cc", "aa", "aa", "cc", "aa", "cc", "bb", "cc", "aa", "bb", "cc", "aa", "cc", "aa", "bb", "cc"]
