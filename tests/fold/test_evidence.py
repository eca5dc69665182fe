"""The evidence of a fork convicts forkers, offline and for ever, and nobody else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import origin
from ledger.entry import MAX_EVIDENCE_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.fork import check_evidence, make_evidence
from ledger.merkle import leaf_hash
from tests.fold.toy import Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


def forked() -> tuple[Peer, Peer, int]:
    ann = Swarm(["ann"])["ann"]
    double = ann.twin()
    index = ann.replica.size(ann.id)
    for number in range(1, 6):
        ann.publish(CHANGE * number)
        double.publish(CHANGE * -number)
    return ann, double, index


ANN, DOUBLE, FORK = forked()
NAME = origin(ANN.replica.swarm, ANN.id)


def keys(size: int) -> set[bytes]:
    return {key_of("ann").public}


@given(index=st.integers(FORK, FORK + 4), sizes=st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_it_holds_across_sizes_and_says_what_was_signed(index: int, sizes: tuple[int, int]):
    halves = [
        twin.proven(twin.id, index, "ann", min(index + 1 + extra, FORK + 5))
        for twin, extra in zip((ANN, DOUBLE), sizes, strict=True)
    ]
    blob = make_evidence(*halves)
    assert blob == make_evidence(*reversed(halves))  # one spelling, whoever found which branch first
    assert len(blob) < MAX_EVIDENCE_BYTES
    found = check_evidence(blob, NAME, index, keys)
    assert {leaf for leaf, _ in found} == {leaf_hash(data) for data, _ in halves}
    assert {key for _, key in found} == keys(0)


@given(index=st.integers(0, FORK + 4), second=st.integers(0, FORK + 4), more=st.integers(0, FORK), other=st.booleans())
@settings(max_examples=60)
def test_an_honest_log_yields_none(index: int, second: int, more: int, other: bool):
    """Whatever is put together from the entries, proofs and checkpoints of one branch."""
    entry, proof = ANN.proven(ANN.id, index, "ann", min(FORK + 5, index + 1 + more))
    elsewhere = ANN.proven(ANN.id, second, "ann")
    false = elsewhere if other else (elsewhere[0], ANN.proven(ANN.id, index, "ann")[1])
    try:
        blob = make_evidence((entry, proof), false)
    except LocalError:
        assert index == second
        return
    for claimed in {index, second}:
        with pytest.raises(RemoteError):
            check_evidence(blob, NAME, claimed, keys)


def test_every_flipped_byte_is_refused():
    blob = make_evidence(ANN.proven(ANN.id, FORK, "ann"), DOUBLE.proven(ANN.id, FORK, "ann"))
    check_evidence(blob, NAME, FORK, keys)
    for at in range(0, len(blob), 3):
        bent = blob[:at] + bytes([blob[at] ^ 1 << at % 8]) + blob[at + 1 :]
        with pytest.raises(RemoteError):
            check_evidence(bent, NAME, FORK, keys)


def test_it_is_of_this_log_index_and_key_and_within_bounds():
    blob = make_evidence(ANN.proven(ANN.id, FORK, "ann"), DOUBLE.proven(ANN.id, FORK, "ann"))
    other = origin("00" * 32, ANN.id)
    for name, index, known in ((other, FORK, keys), (NAME, FORK + 1, keys), (NAME, FORK, lambda size: set())):
        with pytest.raises(RemoteError):
            check_evidence(blob, name, index, known)
    with pytest.raises(RemoteError, match="too long"):
        check_evidence(blob + b" " * MAX_EVIDENCE_BYTES, NAME, FORK, keys)
    with pytest.raises(RemoteError):
        check_evidence(b"", NAME, FORK, keys)
