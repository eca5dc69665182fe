"""A promise is a hash of a key: whoever has seen a key, or a promise, can write it down as its own."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.canonical import entry_hash
from ledger.entry import Rotate
from ledger.replica import InvalidEntry
from tests.fold.toy import CHAIN, Peer, Swarm, enrol, key_of, promise_of


def squat(thief: Peer, digest: str) -> None:
    thief.write(Rotate(**CHAIN, key=key_of(thief.name, 1).public.hex(), next=digest))


def test_a_key_that_enrols_is_never_taken_for_the_one_that_promised_it() -> None:
    swarm = Swarm(["ann", "mal"])
    joiner = key_of("joiner").public
    squat(swarm["mal"], sha256(joiner).hexdigest())
    swarm.exchange()
    replica = swarm.founder.replica
    assert replica.member_by_key(joiner) == swarm["mal"].id, "as long as nobody else says that it is theirs"
    first = enrol(swarm.swarm, "joiner")
    swarm.founder.take(entry_hash(first), first)
    assert replica.member_by_key(joiner) is None
    guest = Peer("joiner", entry_hash(first), replica)
    swarm.founder.let_in(guest)
    assert replica.member_by_key(joiner) == guest.id


def test_of_two_promises_the_first_counts_and_of_who_is_out_none() -> None:
    swarm = Swarm(["mal"])
    thief = swarm["mal"]
    name = next(name for name in ("ann", "bob", "cyd", "dan", "eve") if entry_hash(enrol(swarm.swarm, name)) > thief.id)
    ann = swarm.join(name)
    squat(thief, promise_of(ann.name, 1))  # it has not seen ann, or says so
    swarm.exchange()
    for peer in swarm.peers.values():
        if peer is not thief and peer is not ann:
            assert peer.replica.member_by_key(key_of(ann.name, 1).public) == ann.id
    swarm.founder.revoke(ann)
    swarm.exchange()
    assert swarm.founder.replica.member_by_key(key_of(ann.name, 1).public) == thief.id


def test_nobody_promises_what_it_has_seen_somebody_have_or_promise() -> None:
    swarm = Swarm(["ann", "mal"])
    swarm.exchange()
    for digest in (promise_of("ann", 1), sha256(key_of("ann").public).hexdigest()):
        with pytest.raises(InvalidEntry) as caught:
            squat(swarm["mal"], digest)
        assert caught.value.rule == "key"
    swarm["mal"].rotate()
