"""Who may write what: every cell of the table, once with an entry that is right in everything else.

The table here is written out a second time, from docs/ledger.md. Everybody tried here has a log with all that such an
entry builds on (it could be written because nobody asked for roles then); so where the table refuses, the very same
entry is admitted when nobody asks: nothing but the table stands between it and the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import numpy as np
import pytest

from ledger import rules
from ledger.canonical import encode_entry, entry_hash
from ledger.charter import Outcome
from ledger.entry import Anchor, AnyEntry, Member
from ledger.replica import Checked, InvalidEntry
from ledger.roles import ANYBODY, MAY_WRITE, may_write
from tests.fold.judging import judgement, verdict
from tests.fold.public import announce, answer, challenge, records
from tests.fold.stories import LONG
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, enrol

CHANGE: Final = np.linspace(-0.1, 0.1, 16)
GUESTS: Final = 3
STANDINGS: Final = ("stranger", "named", "observer", "relay", "auditor", "trainer", "admin", "out")
TABLE: Final = """
    snapshot     .        .      x        x      x       x       x      .
    accuse       .        .      x        x      x       x       x      .
    rotate       x        x      x        x      x       x       x      .
    recover      x        x      x        x      x       x       x      .
    final        .        .      x        x      x       x       x      .
    anchor       .        .      x        x      x       x       x      .
    verdict      .        .      .        .      x       x       x      .
    challenge    .        .      x        x      x       x       x      .
    data         .        .      .        .      .       x       x      .
    update       .        .      .        .      .       x       x      .
    opening      .        .      .        .      .       x       x      .
    member       .        x      .        .      .       guests  x      .
    policy       .        .      .        .      .       .       x      .
    revoke       .        .      .        .      .       .       x      .
"""
CELLS: Final = {
    (standing, row.split()[0]): cell
    for row in TABLE.split("\n")
    if row.strip()
    for standing, cell in zip(STANDINGS, row.split()[1:], strict=True)
}
KINDS: Final = sorted({kind for _, kind in CELLS})


@contextmanager
def nobody_asks() -> Iterator[None]:
    """Rules without roles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "check_role", lambda *_: None)
        yield


@dataclass(eq=False)
class Probe(Peer):
    """A peer that makes entries as always, and keeps them instead of writing them."""

    made: list[AnyEntry] = field(default_factory=list)

    def write(self, entry: AnyEntry) -> Any:
        self.made.append(entry)


@dataclass
class Stage:
    """Somebody of some standing, somebody who reads what it writes, and one entry of each kind that it could write."""

    reader: Peer
    subject: Peer
    entries: dict[str, AnyEntry]

    def check(self, kind: str, at: int = NOW) -> str:
        """The rule that its next entry breaks; "" if it is let in."""
        data = encode_entry(self.subject.replica.draft(self.subject.id).stamp(self.entries[kind], at))
        try:
            assert isinstance(self.reader.replica.check(self.subject.id, data), Checked)
        except InvalidEntry as error:
            return error.rule
        return ""


def stage(standing: str, *, guests: int = GUESTS, expires: int = 0) -> Stage:
    named = standing in ("named", "admin")
    swarm = Swarm(
        ["ann", "bob", "eve"], admins=["eve", *(["sub"] if named else [])], witnesses=["founder", "ann", "bob"],
        guests=guests,
    )  # fmt: skip
    founder, ann, bob = swarm.founder, swarm["ann"], swarm["bob"]
    first = enrol(swarm.swarm, "sub")
    subject = swarm.newcomer("sub", entry_hash(first))
    subject.take(subject.id, first)
    with nobody_asks():
        subject.fetch(founder)
        shown = announce(subject, records(20, "sub"))
        asked_about = announce(ann, records(20))
        swarm.exchange()
        subject.publish(CHANGE)
        ann.publish(CHANGE)
        snapshot = subject.snapshot().seq
        swarm.exchange()
        asked = challenge(founder, subject, shown.seq)
        twin = bob.twin()
        for half in (bob, twin):
            half.publish(CHANGE if half is bob else -CHANGE)
        late = enrol(swarm.swarm, "late", sponsor=subject.id)
        late_id = entry_hash(late)
        founder.take(late_id, late)
        if standing not in ("stranger", "named"):
            founder.let_in(subject, "trainer" if standing == "out" else standing, expires)
        if standing == "out":
            founder.revoke(subject)
        for name in ("ann", "sub"):
            swarm[name].fetch(founder)
        founder.fetch(subject)

        probe = Probe("sub", subject.id, subject.replica, dict(subject.blobs), subject.fold)
        for make in makers(probe, ann, [founder, ann], snapshot, asked_about.seq):
            make()
        answer(probe, shown, asked)
        index = bob.replica.size(bob.id) - 1
        probe.accuse_twins(bob, twin, index)
        probe.write(Member(**CHAIN, peer=late_id, role="trainer", expires=expires))
    made = {str(entry.__struct_config__.tag): entry for entry in probe.made}
    assert sorted(made) == KINDS
    return Stage(founder, subject, made)


def makers(probe: Probe, ann: Peer, witnesses: list[Peer], snapshot: int, asked_about: int) -> list[Callable[[], Any]]:
    update = next(seq for _, seq, _, _ in probe.replica.updates if probe.replica.weight_of(ann.id, seq) is not None)
    return [
        probe.announce_data,
        lambda: probe.publish(CHANGE),
        probe.snapshot,
        probe.rotate,
        lambda: probe.recover(probe.replica.size(probe.id)),
        lambda: probe.final(snapshot, witnesses),
        lambda: probe.ask_for(LONG),
        lambda: verdict(probe, judgement(probe, ann.id, [update])),
        lambda: challenge(probe, ann, asked_about),
        lambda: probe.revoke(ann),
        lambda: probe.write(Anchor(**CHAIN, size=1, token="ab" * 32, bytes=1000)),
    ]


@pytest.mark.parametrize("standing", STANDINGS)
def test_every_cell_of_the_table(standing: str) -> None:
    tried = stage(standing)
    for kind in KINDS:
        allowed = CELLS[standing, kind] != "."
        assert tried.check(kind) == ("" if allowed else "role"), kind
        if (standing, kind) != ("stranger", "member"):  # (whose guests nobody could be told)
            with nobody_asks():
                assert tried.check(kind) == "", kind


@pytest.mark.parametrize("standing", STANDINGS)
def test_where_genesis_allows_no_guests_only_admins_let_others_in(standing: str) -> None:
    allowed = standing in ("named", "admin")
    assert stage(standing, guests=0).check("member") == ("" if allowed else "role")


@pytest.mark.parametrize("role", ["observer", "relay", "auditor", "trainer"])
def test_whose_time_is_over_by_its_own_word_writes_nothing(role: str) -> None:
    tried = stage(role, expires=NOW + 10)
    for kind in KINDS:
        allowed = CELLS[role, kind] != "."
        assert tried.check(kind, at=NOW + 9) == ("" if allowed else "role"), kind
        assert tried.check(kind, at=NOW + 10) == ("expired" if allowed else "role"), kind


def test_anybody_enrols_once_and_nobody_begins_the_swarm_again() -> None:
    swarm = Swarm(["ann"])
    first = enrol(swarm.swarm, "new")
    assert isinstance(swarm.founder.replica.check(entry_hash(first), first), Checked)
    ann = swarm["ann"]
    for entry in (swarm.founder.replica.entry(swarm.founder_id, seq) for seq in (0, 1)):
        if entry.seq == 1:
            data = encode_entry(ann.replica.draft(ann.id).stamp(entry, NOW))
            with pytest.raises(InvalidEntry) as caught:
                swarm.founder.replica.check(ann.id, data)
            assert caught.value.rule == "place"
    assert isinstance(
        swarm.observer().replica.check(swarm.founder_id, swarm.founder.replica.data(swarm.founder_id, 0)), Checked
    )


def test_the_table_names_every_kind_and_every_role() -> None:
    """A kind that is added is denied to all until somebody says who may write it."""
    assert {kind.__struct_config__.tag for kind in get_args(AnyEntry)} == {*KINDS, "genesis", "enrol"}
    assert set(MAY_WRITE) == set(STANDINGS)
    assert not any(may_write(standing, Outcome, GUESTS) for standing in STANDINGS)
    assert all(kinds >= ANYBODY for kinds in MAY_WRITE.values())
