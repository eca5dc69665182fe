"""Members whose time is over are not drawn to look at entries: of three receivers nobody might be left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gossip.peer.inspection.office import Office
from ledger.entry import PeerId
from tests.fold.toy import NOW, Swarm


def office_at(swarm: Swarm, now: int) -> Office:
    """The founder's, by its clock: of its parts only those that choosing asks."""
    parts: dict[str, Any] = dict.fromkeys(("config", "blobs", "out", "luck", "is_for_all"))
    members = {peer.id for peer in swarm.peers.values()}
    parts |= {
        "author": SimpleNamespace(own=swarm.founder_id, now=float(now)),
        "book": SimpleNamespace(replica=swarm.founder.replica), "members": lambda: members,
        "is_forked": lambda peer: False,
    }  # fmt: skip
    return Office(**cast(Any, parts))


def test_who_has_expired_looks_at_nothing_and_somebody_looks_at_everything() -> None:
    swarm = Swarm(["ann", "bob", "cyd"])
    temporary: list[PeerId] = [swarm.join(f"temp{number}", expires=NOW + 10).id for number in range(12)]
    swarm.exchange()
    ann, living = swarm["ann"].id, [swarm[name].id for name in ("founder", "bob", "cyd")]
    before, after = office_at(swarm, NOW), office_at(swarm, NOW + 1000)
    assert any(before.is_receiver(peer, ann, seq) for peer in temporary for seq in range(20))
    assert not any(after.is_receiver(peer, ann, seq) for peer in temporary for seq in range(20))
    assert all(after.is_receiver(peer, ann, seq) for peer in living for seq in range(20)), "three of the three left"
