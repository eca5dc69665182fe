"""What a bundle takes along: nothing that only some members may see, whatever its entries call it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from gossip.egress import ZoneSetting
from gossip.peer.author import chain
from ledger.canonical import encode_entry
from ledger.carried import blobs_of
from ledger.entry import Anchor, AnyEntry, Opening, Update
from tests.egress.stage import AUDITOR, TRAINER, Stage, opened_stage

AUDITORS = ZoneSetting("public", ("auditor",))
EVERYBODY = ZoneSetting("public")


def carried(stage: Stage, *more: AnyEntry) -> set[str]:
    """The blobs of a bundle of all that the auditor holds, with more entries at the end of the trainer's log."""
    auditor, thief = stage.swarm.peers[AUDITOR], stage.swarm.peers[TRAINER]
    assert auditor.book is not None
    replica = auditor.book.replica

    def entries(log: str) -> Iterator[bytes]:
        yield from (replica.data(log, seq) for seq in range(replica.size(log)))
        if log == thief.self_id:
            yield from (encode_entry(entry) for entry in more)

    def blob(name: str) -> bytes:
        return stage.opening if name == sha256(stage.opening).hexdigest() else b"a delta, say"

    return set(blobs_of([(log, lambda log=log: entries(log)) for log in replica.heads()], blob))


def test_records_that_every_member_may_have_go_along_and_those_for_some_do_not() -> None:
    for setting, goes in ((EVERYBODY, True), (AUDITORS, False)):
        stage = opened_stage(setting)
        assert (sha256(stage.opening).hexdigest() in carried(stage)) is goes
        assert len(carried(stage)) > 5  # deltas


@pytest.mark.parametrize("called", ["a time stamp", "a delta", "an opening of nothing"])
def test_calling_them_something_else_takes_nothing_along(called: str) -> None:
    stage = opened_stage(AUDITORS)
    thief = stage.swarm.peers[TRAINER]
    assert thief.machine is not None
    digest, size = sha256(stage.opening).hexdigest(), len(stage.opening)
    fields = chain(thief.machine._author.draft())
    replica, log = stage.replica, thief.self_id
    last = next(e for seq in range(replica.size(log)) if isinstance(e := replica.entry(log, seq), Update))
    entry: AnyEntry = {
        "a time stamp": Anchor(**fields, size=1, token=digest, bytes=size),
        "a delta": Update(
            **fields, delta=digest, bytes=size, codec="gossip-delta/1", view=[], data=last.data, steps=1, examples=1,
            scores=last.scores, norm=1 << 50, weight=0,
        ),
        "an opening of nothing": Opening(**fields, peer=thief.self_id, challenge=0, opened=digest, opened_bytes=size),
    }[called]  # fmt: skip
    assert digest not in carried(stage, entry)


def test_nobody_keeps_a_delta_out_of_bundles_by_calling_it_records_for_some() -> None:
    stage = opened_stage(AUDITORS)
    thief, replica = stage.swarm.peers[TRAINER], stage.replica
    assert thief.machine is not None
    log = thief.self_id
    delta = next(e.delta for seq in range(replica.size(log)) if isinstance(e := replica.entry(log, seq), Update))
    fields = chain(thief.machine._author.draft())
    assert delta in carried(stage)
    assert delta in carried(stage, Opening(**fields, peer=log, challenge=0, opened=delta, opened_bytes=9))
