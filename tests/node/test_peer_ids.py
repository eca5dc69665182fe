"""A PeerId is the key, spelled as libp2p spells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.peer_ids import key_of, peer_id_of
from gossip.transport.road import key_by_road, place_by_road
from ledger.errors import LocalError
from ledger.keys import PrivateKey

# The Ed25519 example of libp2p's peer-ids.md ("Test vectors"): its private key's seed, and what others make of its key.
SEED = bytes.fromhex("7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d")
PUBLIC = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"


def test_the_public_key_of_libp2ps_example() -> None:
    key = PrivateKey.from_seed(SEED).public
    assert key.hex() == PUBLIC
    assert peer_id_of(key).startswith("12D3KooW")
    assert key_of(peer_id_of(key)) == key


def test_what_py_libp2p_makes_of_a_key() -> None:
    key = bytes.fromhex("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c")  # of the seed 07 07 07 ...
    assert peer_id_of(key) == "12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7"


@given(st.binary(min_size=32, max_size=32))
def test_each_is_read_out_of_the_other(seed: bytes) -> None:
    key = PrivateKey.from_seed(seed).public
    assert key_of(peer_id_of(key)) == key
    assert key_by_road(place_by_road(key)) == key


@pytest.mark.parametrize(
    "text", ["", "12D3KooW", "Qm" + "a" * 44, "12D3KooW" + "0" * 44, "12D3KooW" + "z" * 44, "1" * 52, "l" * 52]
)
def test_what_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(LocalError, match="is no PeerId"):
        key_of(text)
    assert key_by_road(("/p2p/" + text, 0)) is None


def test_an_address_is_no_place_by_road() -> None:
    place, _ = place_by_road(PrivateKey.generate().public)
    assert key_by_road((place, 4100)) is None
    assert key_by_road(("192.168.1.7", 4100)) is None
