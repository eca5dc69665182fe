"""Witness policies: the grammar of the specification, and the majority that makes a snapshot final."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.note import COSIGNATURE, VerifierKey, sign_text
from ledger.tlog_policy import (
    MAX_LINES,
    MAX_POLICY_BYTES,
    Group,
    TlogPolicy,
    final_policy,
    parse_policy,
    print_policy,
    satisfied,
)
from tests.ledger.c2sp_vectors import POLICY, rows

SWARM = "ab" * 32
KEYS = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(1, 80)]
PEERS = [f"{number:02x}" * 32 for number in range(1, 80)]
NAMES = [origin(SWARM, peer) for peer in PEERS]
CHECKPOINT = Checkpoint(NAMES[0], 14, bytes(32))
NOTE = sign(CHECKPOINT, KEYS[0])


def cosigned(*by: int, keys: list[PrivateKey] = KEYS, checkpoint: Checkpoint = CHECKPOINT) -> bytes:
    return add_cosignatures(NOTE, (cosign(checkpoint, NAMES[n], keys[n], 1000 + n) for n in by))


def majority(seats: range) -> TlogPolicy:
    policy = final_policy(SWARM, [(PEERS[n], [KEYS[n].public]) for n in seats])
    assert policy is not None
    return policy


@pytest.mark.parametrize("row", rows("policy"))
def test_a_policy_decides_as_the_specification_says(row: Any) -> None:
    policy = parse_policy(row["text"].encode())
    assert satisfied(policy, row["note"].encode()).satisfied == row["satisfied"]
    assert parse_policy(print_policy(policy)) == policy


@pytest.mark.parametrize("row", rows("refuse", "policy"))
def test_a_line_that_makes_no_sense_is_refused(row: Any) -> None:
    with pytest.raises(RemoteError):
        parse_policy(row["text"].encode())


def test_a_refusal_names_its_line() -> None:
    with pytest.raises(RemoteError, match="line 5 of a witness policy is malformed: a member is not defined"):
        parse_policy(POLICY.replace("w4\nquorum", "w5\nquorum").encode())


def test_limits_hold() -> None:
    lines = [f"group g{number} any {f'g{number - 1}' if number else 'w2'}\n" for number in range(MAX_LINES)]
    head = POLICY.split("group")[0]
    deep = (head + "".join(lines[: MAX_LINES - 5]) + f"quorum g{MAX_LINES - 6}\n").encode()
    assert not satisfied(parse_policy(deep), NOTE).satisfied  # no recursion, however deep
    with pytest.raises(RemoteError, match="too many lines"):
        parse_policy((head + "".join(lines) + "quorum g0\n").encode())
    with pytest.raises(RemoteError, match="too long"):
        parse_policy(POLICY.encode() + b"#" * MAX_POLICY_BYTES + b"\n")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 64])
def test_more_than_half_of_the_witnesses_make_a_snapshot_final(count: int) -> None:
    policy = majority(range(1, count + 1))
    enough = count // 2 + 1
    assert satisfied(policy, cosigned(*range(1, enough + 1))).satisfied
    assert not satisfied(policy, cosigned(*range(1, enough))).satisfied
    assert parse_policy(print_policy(policy)) == policy


def test_it_says_who_signed_and_when() -> None:
    outcome = satisfied(majority(range(1, 6)), cosigned(2, 4, 7))
    assert outcome.witnesses == (PEERS[2], PEERS[4])
    assert outcome.times == (1002, 1004)
    assert (outcome.log, outcome.broken, outcome.satisfied) == ("", (), False)


def test_a_cosignature_of_another_checkpoint_does_not_count_and_is_named() -> None:
    other = Checkpoint(NAMES[0], 15, bytes(32))
    note = add_cosignatures(cosigned(2), [cosign(other, NAMES[3], KEYS[3], 5)])
    outcome = satisfied(majority(range(2, 5)), note)
    assert (outcome.satisfied, outcome.witnesses, outcome.broken) == (False, (PEERS[2],), (PEERS[3],))


def test_a_witness_whose_key_changed_counts_once_by_either_key() -> None:
    seats = [(PEERS[1], [KEYS[1].public, KEYS[50].public]), (PEERS[2], [KEYS[2].public]), (PEERS[3], [KEYS[3].public])]
    policy = final_policy(SWARM, seats)
    assert policy is not None
    assert parse_policy(print_policy(policy)) == policy
    new = cosign(CHECKPOINT, NAMES[1], KEYS[50], 9)
    assert not satisfied(policy, add_cosignatures(cosigned(1), [new])).satisfied  # both its keys: one seat
    assert satisfied(policy, add_cosignatures(cosigned(2), [new])).satisfied
    assert satisfied(policy, cosigned(1, 2)).satisfied


def test_a_witness_that_never_enrolled_counts_in_what_half_means() -> None:
    absent = KEYS[60].public
    policy = final_policy(SWARM, [(absent.hex(), [absent]), (PEERS[1], [KEYS[1].public])])
    assert policy is not None
    assert not satisfied(policy, cosigned(1)).satisfied


def test_a_swarm_without_witnesses_has_no_policy() -> None:
    """A quorum of none would make everything final."""
    assert final_policy(SWARM, []) is None


def test_the_log_must_be_one_of_those_listed() -> None:
    for peer, good in ((0, True), (5, False)):
        policy = final_policy(SWARM, [(PEERS[1], [KEYS[1].public])], [(PEERS[peer], KEYS[peer].public)])
        assert policy is not None
        assert satisfied(policy, cosigned(1)).satisfied == good
    forged = sign(CHECKPOINT, KEYS[9])  # the right name over another key
    policy = final_policy(SWARM, [(PEERS[1], [KEYS[1].public])], [(PEERS[0], KEYS[0].public)])
    assert policy is not None
    note = add_cosignatures(forged, [cosign(CHECKPOINT, NAMES[1], KEYS[1], 5)])
    assert not satisfied(policy, note).satisfied


def test_a_listed_log_that_signs_for_another_does_not_count() -> None:
    """Its signature under this note is good, and says nothing of a log that is not its own."""
    policy = TlogPolicy(((VerifierKey(NAMES[5], KEYS[5].public), ""),), (), (), "none")
    note = add_cosignatures(NOTE, [sign_text(CHECKPOINT.body(), NAMES[5], KEYS[5])])
    assert not satisfied(policy, note).satisfied


def test_what_cannot_be_read_back_is_not_written() -> None:
    key = VerifierKey(NAMES[1], KEYS[1].public, COSIGNATURE)
    for bad in (
        TlogPolicy((), (("two words", key, ""),), (), "none"),
        TlogPolicy((), (("a", key, ""), ("b", key, "")), (), "none"),
        TlogPolicy((), (("a", key, ""),), (Group("g", 2, ("a",)),), "g"),
        TlogPolicy((), (), (), "nobody"),
    ):
        with pytest.raises(LocalError):
            print_policy(bad)


@settings(max_examples=60)
@given(st.sets(st.integers(1, 9), min_size=1), st.sets(st.integers(1, 9)))
def test_a_majority_is_a_majority(seats: set[int], signers: set[int]) -> None:
    policy = final_policy(SWARM, [(PEERS[n], [KEYS[n].public]) for n in seats])
    assert policy is not None
    outcome = satisfied(policy, cosigned(*signers))
    assert outcome.satisfied == (2 * len(seats & signers) > len(seats))
    assert set(outcome.witnesses) == {PEERS[n] for n in seats & signers}


@given(st.binary(max_size=120), st.integers(0, len(POLICY)))
def test_noise_is_refused_or_read_and_written_the_same(data: bytes, at: int) -> None:
    text = POLICY.encode()
    for candidate in (data, text[:at] + data + text[at:]):
        try:
            policy = parse_policy(candidate)
        except RemoteError:
            continue
        assert parse_policy(print_policy(policy)) == policy
