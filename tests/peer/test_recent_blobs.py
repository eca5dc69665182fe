"""Blobs kept at hand for others are bounded by what they take in memory, however small each of them is."""

from __future__ import annotations

import sys
from hashlib import sha256

import pytest

from gossip.peer.blobs import MAX_RECENT_BYTES, Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from tests.peer.test_blobs import Empty


@pytest.mark.parametrize(("size", "count"), [(8, 20_000), (3_000, 3_000)])
def test_what_is_kept_at_hand_takes_what_it_may_and_no_more(size: int, count: int) -> None:
    blobs = Blobs(Pace(1.0), Outbox(), Empty(), lambda log, seq: [])  # type: ignore[arg-type]
    for number in range(count):
        data = number.to_bytes(size, "little")
        blobs.used(sha256(data).hexdigest(), data)
    kept = blobs._recent
    taken = sys.getsizeof(kept) + sum(sys.getsizeof(key) + sys.getsizeof(data) for key, data in kept.items())
    assert 0.6 * MAX_RECENT_BYTES < taken < 1.1 * MAX_RECENT_BYTES
    newest = (count - 1).to_bytes(size, "little")
    assert blobs.find(sha256(newest).hexdigest()) == newest
