"""Who is a member, as a list: everybody once, with what has become of them."""

from __future__ import annotations

from ledger.canonical import entry_hash
from ledger.roster import Row, roster
from tests.fold.toy import NOW, Swarm, enrol, key_of


def rows_of(swarm: Swarm, now: int = NOW, name: str = "founder") -> dict[str, Row]:
    found = roster(swarm[name].replica, now)
    assert len({row.peer for row in found}) == len(found)
    return {row.name: row for row in found}


def test_everybody_is_there_once_with_what_was_said_of_them() -> None:
    swarm = Swarm(["bert"], guests=2)
    swarm.join("cleo", role="observer", by="bert", expires=NOW + 60)
    swarm.founder.fetch(swarm["cleo"])
    dirk = enrol(swarm.swarm, "dirk")
    swarm.founder.deliver(entry_hash(dirk), dirk)
    found = rows_of(swarm)
    assert [*found] == ["founder", "bert", "cleo", "dirk"]
    assert [row.state for row in found.values()] == ["member", "member", "member", "waiting"]
    assert [row.role for row in found.values()] == ["admin", "trainer", "observer", ""]
    assert found["founder"].let_in[0].by == swarm.founder_id  # by its own enrolment
    assert [one.by for one in found["bert"].let_in] == [swarm.founder_id]
    assert (found["cleo"].house, found["cleo"].expires) == (swarm["bert"].id, NOW + 60)
    assert found["dirk"].peer == entry_hash(dirk)
    assert found["dirk"].let_in == ()
    assert found["bert"].key == found["bert"].enrol_key == key_of("bert").public.hex()
    assert found["bert"].size == swarm.founder.replica.size(swarm["bert"].id)


def test_a_membership_is_over_at_its_second_and_not_before() -> None:
    swarm = Swarm([])
    swarm.join("cleo", role="observer", expires=NOW + 60)
    assert rows_of(swarm, NOW + 59)["cleo"].state == "member"
    assert rows_of(swarm, NOW + 60)["cleo"].state == "expired"
    swarm.founder.let_in(swarm["cleo"], "observer", NOW + 120)
    row = rows_of(swarm, NOW + 60)["cleo"]
    assert (row.state, row.expires, len(row.let_in)) == ("member", NOW + 120, 2)


def test_one_word_of_two_puts_nobody_out_and_the_second_does() -> None:
    swarm = Swarm(["ann", "eve"], admins=["ann"], threshold=2)
    swarm.exchange()
    swarm.founder.revoke(swarm["eve"], 1)
    row = rows_of(swarm)["eve"]
    assert (row.state, row.revoked_from, row.missing) == ("member", None, 1)
    assert [(one.by, one.since) for one in row.wants_out] == [(swarm.founder_id, 1)]
    swarm.exchange()
    swarm["ann"].revoke(swarm["eve"], 2)
    swarm.exchange()
    for name in ("founder", "ann"):
        row = rows_of(swarm, name=name)["eve"]
        assert (row.state, row.revoked_from, row.missing, row.role) == ("revoked", 2, 0, "trainer")
        assert {one.by for one in row.wants_out} == {swarm.founder_id, swarm["ann"].id}


def test_a_log_of_two_branches_is_one_row_and_a_changed_key_is_shown() -> None:
    swarm = Swarm(["bert"])
    twin = swarm["bert"].twin()
    for copy in (swarm["bert"], twin):
        copy.announce_data()
    swarm["bert"].rotate()
    swarm.founder.fetch(swarm["bert"])
    swarm.founder.fetch(twin)
    row = rows_of(swarm)["bert"]
    assert row.key == key_of("bert", 1).public.hex()
    assert row.enrol_key == key_of("bert").public.hex()
