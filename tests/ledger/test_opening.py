"""Openings and sketches: what is true is taken, whatever is not is refused, and how often a fault is found."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from math import comb
from random import Random
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import MAX_OPENING_BYTES, MAX_SKETCH_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.opening import (
    VerifiedOpening,
    challenge_text,
    chosen,
    make_opening,
    make_sketch,
    overlap_permille,
    public_salt,
    verify_opening,
    verify_sketch,
)
from ledger.provenance import Commitment, commit_records
from tests.ledger import opening_vectors as vectors
from tests.ledger import plain_openings as plain
from tests.ledger.opening_vectors import CHALLENGER, DATA, SWARM
from tests.ledger.plain_openings import Claims, FalseProof, Row

Records = list[tuple[bytes, bytes]]

SAYS: Final = {
    "root": "does not lead to the root",
    "other": "of other records than were asked for",
    "short": "cut short",
    "long": "too long",
    "form": "of another format|of nothing|malformed",
    "order": "has a leaf twice|out of order",
    "copies": "more copies than its data entry claims",
}


def committed(records: Records) -> tuple[Commitment, bytes]:
    kept = bytearray()
    return commit_records(records, public_salt(SWARM), keep=kept.extend), bytes(kept)


def signed(seed: int, count: int, data: str = DATA) -> str:
    """A challenge by somebody with a key of their own."""
    key = Ed25519PrivateKey.from_private_bytes(sha256(b"%d" % seed).digest())
    return key.sign(challenge_text(SWARM, CHALLENGER, data, count)).hex()


def claims_of(row: Any) -> Claims:
    return Claims(row["root"], row["records"], row["duplicates"], row["conflicts"])


# ------------------------------------------------------------------ vectors


def test_the_vectors_are_made_anew_byte_for_byte() -> None:
    assert vectors.spelled() == vectors.VECTORS.read_text("utf-8")


@pytest.mark.parametrize("row", vectors.published("opening"))
def test_an_opening_is_taken_or_refused_by_both_implementations(row: Any) -> None:
    claims, blob = claims_of(row), bytes.fromhex(row["blob"])
    asked = (SWARM, row["signature"], row["count"])
    if row["wrong"]:
        with pytest.raises(RemoteError, match=SAYS[row["wrong"]]):
            verify_opening(blob, claims, *asked)
        with pytest.raises(FalseProof, match=row["wrong"]):
            plain.read_opening(blob, claims, *asked)
        return
    opened = [[each.index, each.key.hex(), each.value.hex(), each.repeats] for each in verified(blob, claims, *asked)]
    assert opened == row["opens"]
    assert plain.read_opening(blob, claims, *asked) == [
        (index, bytes.fromhex(key), bytes.fromhex(value), repeats) for index, key, value, repeats in row["opens"]
    ]
    assert len(opened) == min(row["records"], row["count"])


def verified(blob: bytes, claims: Claims, swarm: str, signature: str, count: int) -> Any:
    return verify_opening(blob, claims, swarm, signature, count).records


@pytest.mark.parametrize("row", vectors.published("sketch"))
def test_a_sketch_is_taken_or_refused_by_both_implementations(row: Any) -> None:
    claims, blob = claims_of(row), bytes.fromhex(row["blob"])
    if row["wrong"]:
        with pytest.raises(RemoteError, match=SAYS[row["wrong"]]):
            verify_sketch(blob, claims)
        with pytest.raises(FalseProof, match=row["wrong"]):
            plain.read_sketch(blob, claims)
        return
    keys = plain.read_sketch(blob, claims)
    sketch = verify_sketch(blob, claims)
    assert sketch.keys == set(keys)
    assert sketch.bound == (keys[-1] if claims.records > 256 else None)


def test_every_word_for_what_is_wrong_has_a_vector() -> None:
    assert {row.values[0]["wrong"] for row in vectors.published("opening")} == {"", *SAYS}


# ------------------------------------------------------------------ any data set

words = st.binary(max_size=6)
some_records = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b""]) | words, words), min_size=1, max_size=40)


@settings(max_examples=150)
@given(some_records, st.integers(1, 12), st.integers(0, 1 << 32))
def test_what_is_made_is_true_and_the_same_by_both(records: Records, count: int, seed: int) -> None:
    commitment, leaves = committed(records)
    rows = plain.ordered(plain.salt_of(SWARM), records)
    assert leaves == b"".join(vectors.leaves_of(rows))
    signature = signed(seed, count)
    blob = make_opening(leaves, records, SWARM, signature, count)
    indices = chosen(signature, len(records), count)
    assert list(indices) == plain.picks(signature, len(records), count)
    assert blob == plain.opening(vectors.leaves_of(rows), dict(enumerate(rows)), indices)
    opened = verify_opening(blob, commitment, SWARM, signature, count)
    assert [(each.key, each.value) for each in opened.records] == [rows[index][:2] for index in indices]
    for each in opened.records:
        assert each.repeats == (each.index + 1 < len(rows) and rows[each.index + 1].key == each.key)
    sketch = make_sketch(leaves)
    assert sketch == plain.sketch(vectors.leaves_of(rows))
    assert len(verify_sketch(sketch, commitment).keys) == len({key for key, _ in records})


@settings(max_examples=200)
@given(some_records, st.integers(1, 12), st.data())
def test_no_byte_of_an_opening_can_be_another(records: Records, count: int, data: st.DataObject) -> None:
    commitment, leaves = committed(records)
    signature = signed(1, count)
    blob = make_opening(leaves, records, SWARM, signature, count)
    at, by = data.draw(st.integers(0, len(blob) - 1)), data.draw(st.integers(1, 255))
    with pytest.raises(RemoteError):
        verify_opening(blob[:at] + bytes([blob[at] ^ by]) + blob[at + 1 :], commitment, SWARM, signature, count)
    with pytest.raises(RemoteError):
        verify_opening(blob[:at], commitment, SWARM, signature, count)
    with pytest.raises(RemoteError):
        verify_opening(blob[:at] + blob[at + 1 :], commitment, SWARM, signature, count)


def test_no_bit_of_these_can_be_another() -> None:
    """Each one, of an opening with copies, neighbours and hashes, and of a sketch with a proof."""
    records = [(b"%d" % (index % 250), b"ad") for index in range(300)]
    commitment, leaves = committed(records)
    signature = signed(1, 3)
    blob = make_opening(leaves, records, SWARM, signature, 3)
    for bit in range(8 * len(blob)):
        with pytest.raises(RemoteError):
            verify_opening(flipped(blob, bit), commitment, SWARM, signature, 3)
    sketch = make_sketch(leaves)
    verify_sketch(sketch, commitment)
    for bit in [*range(16 * 8), *range(16 * 8, 8 * len(sketch), 257), *range(8 * (len(sketch) - 32), 8 * len(sketch))]:
        with pytest.raises(RemoteError):
            verify_sketch(flipped(sketch, bit), commitment)


def flipped(blob: bytes, bit: int) -> bytes:
    changed = bytearray(blob)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=200)
@given(st.binary(max_size=400), st.booleans(), st.integers(0, (1 << 53) - 1), st.integers(1, 256))
def test_strange_bytes_are_somebody_elses_fault(blob: bytes, begins: bool, records: int, count: int) -> None:
    claims = Claims("ab" * 32, records, records)
    with pytest.raises(RemoteError):
        verify_opening(b"gossip-opening/1\n" * begins + blob, claims, SWARM, signed(1, 3), count)
    with pytest.raises(RemoteError):
        verify_sketch(b"gossip-sketch/1\n" * begins + blob, claims)


def test_an_opening_is_of_one_challenge_and_one_data_set() -> None:
    records = vectors.records(500)
    commitment, leaves = committed(records)
    signature = signed(1, 9)
    blob = make_opening(leaves, records, SWARM, signature, 9)
    assert len(verify_opening(blob, commitment, SWARM, signature, 9).records) == 9
    other = committed(records[:-1])[0]
    for false in (
        (commitment, SWARM, signed(2, 9), 9),
        (commitment, SWARM, signature, 8),
        (commitment, "2b" * 32, signature, 9),
        (other, SWARM, signature, 9),
        (replace(commitment, records=501), SWARM, signature, 9),
        (replace(commitment, records=1000), SWARM, signature, 9),
    ):
        with pytest.raises(RemoteError):
            verify_opening(blob, *false)


def test_what_is_signed_names_swarm_challenger_data_and_count() -> None:
    texts = {
        challenge_text(*asked)
        for asked in ((SWARM, CHALLENGER, DATA, 9), (DATA, CHALLENGER, SWARM, 9), (SWARM, DATA, CHALLENGER, 9),
                      (SWARM, CHALLENGER, DATA, 90), (SWARM, CHALLENGER, SWARM, 9))
    }  # fmt: skip
    assert len(texts) == 5


@settings(max_examples=100)
@given(st.binary(min_size=64, max_size=64), st.integers(1, 1 << 53), st.integers(1, 256))
def test_as_many_different_records_are_chosen_as_there_are(signature: bytes, records: int, count: int) -> None:
    picked = chosen(signature.hex(), records, count)
    assert len(picked) == min(records, count)
    assert list(picked) == sorted(set(picked))
    assert 0 <= picked[0] <= picked[-1] < records


def test_every_record_is_chosen_as_often() -> None:
    seen = [0] * 30
    for seed in range(3_000):
        for index in chosen(sha256(b"%d" % seed).hexdigest() * 2, 30, 3):
            seen[index] += 1
    chi_square = sum((count - 300) ** 2 / 300 for count in seen)
    assert chi_square < 70  # 29 degrees of freedom: above it once in 30,000


# ------------------------------------------------------------------ the author's own mistakes


def test_records_that_are_no_longer_those_are_not_opened() -> None:
    records = vectors.records(30)
    _, leaves = committed(records)
    signature, count = signed(1, 30), 30
    for changed in (
        records[1:],
        [*records, records[0]],
        [(key, b'["benign",true]') for key, _ in records],
        [*records[1:], (b"another", b"")],
    ):
        with pytest.raises(LocalError, match="no longer those that were committed to"):
            make_opening(leaves, changed, SWARM, signature, count)
    assert make_opening(leaves, reversed(records), SWARM, signature, count)


def test_leaves_that_are_none_and_records_that_are_too_long() -> None:
    for leaves in (b"", bytes(63)):
        with pytest.raises(LocalError, match="not the leaves"):
            make_opening(leaves, [], SWARM, signed(1, 1), 1)
        with pytest.raises(LocalError, match="not the leaves"):
            make_sketch(leaves)
    long = [(b"%d" % number + bytes(300_000), b"") for number in range(4)]
    _, kept = committed(long)
    with pytest.raises(LocalError, match="too long to be opened"):
        make_opening(kept, long, SWARM, signed(1, 4), 4)
    assert len(make_opening(kept, long, SWARM, signed(1, 3), 3)) < MAX_OPENING_BYTES
    salt = plain.salt_of(SWARM)
    rows = plain.ordered(salt, long)
    blob = plain.opening([plain.leaf(salt, row) for row in rows], dict(enumerate(rows)), range(4))
    with pytest.raises(RemoteError, match="too long"):  # true as it is
        verify_opening(blob, plain.claims_of(salt, rows), SWARM, signed(1, 4), 4)


def test_a_sketch_is_never_longer_than_an_entry_may_say() -> None:
    most = (1 << 53) - 1
    with pytest.raises(RemoteError, match=r"it has (\d+), ") as caught:
        verify_sketch(b"", Claims("ab" * 32, most))
    assert 16 + 256 * 64 < int(str(caught.value).split("it has ")[1].split(",")[0]) < MAX_SKETCH_BYTES


# ------------------------------------------------------------------ overlap


def sketch_of(keys: range) -> Any:
    commitment, leaves = committed([(b"%d" % key, b"ad") for key in keys])
    return verify_sketch(make_sketch(leaves), commitment)


def test_overlap_is_exact_where_sketches_are_whole() -> None:
    a, b = sketch_of(range(100)), sketch_of(range(60, 260))
    assert overlap_permille(a, b) == 400
    assert overlap_permille(b, a) == 200
    assert overlap_permille(a, sketch_of(range(100, 110))) == 0


def test_what_was_shown_before_is_nobody_elses() -> None:
    """The same set once more, larger: what somebody made of the first is no reproach, what is theirs alone is."""
    grown, first = sketch_of(range(100)), sketch_of(range(60))
    assert overlap_permille(grown, first, [first]) == 0
    assert overlap_permille(grown, sketch_of(range(80)), [first]) == 200
    assert overlap_permille(grown, sketch_of(range(80)), [sketch_of(range(30)), sketch_of(range(20, 60))]) == 200
    assert overlap_permille(grown, sketch_of(range(80)), []) == 800


@pytest.mark.parametrize(
    ("of_b", "share"), [(range(4_000), 1.0), (range(2_000, 6_000), 0.5), (range(3_600, 9_000), 0.1)]
)
def test_overlap_is_near_what_it_is_of_large_data(of_b: range, share: float) -> None:
    a, b = sketch_of(range(4_000)), sketch_of(of_b)
    assert abs(overlap_permille(a, b) - 1000 * share) < 3 * 1000 * (0.25 / 150) ** 0.5  # 150 or more are compared
    assert overlap_permille(a, a) == 1000


def test_overlap_that_nothing_is_known_of_is_none() -> None:
    """Of 300 records about 7 keys are below the bound of 9,000: too few to say that all of them are there."""
    assert overlap_permille(sketch_of(range(300)), sketch_of(range(9_000))) == 0


# ------------------------------------------------------------------ how often a fault is found

SEEDS: Final = 200
COUNT: Final = 59


def truth(key: bytes) -> bytes:
    return b"ad" if sha256(key).digest()[0] < 60 else b"benign"


def planted(seed: int, bad: int, count: int = 1_000) -> Records:
    """An honest author's rows, but for the labels of some."""
    luck = Random(seed)
    keys = [b"https://%d.example/%d" % (number, seed) for number in range(count)]
    wrong = set(luck.sample(keys, bad))
    return [(key, truth(key) if key not in wrong else truth(key) + b"?") for key in keys]


def odds(bad: int, records: int = 1_000) -> float:
    """That one at least is among those opened (hypergeometric)."""
    return 1 - comb(records - bad, COUNT) / comb(records, COUNT)


def likely(odds: float) -> tuple[int, int]:
    """Between which counts 200 tries end, but for once in 2,000 on either side."""
    chance = [comb(SEEDS, hits) * odds**hits * (1 - odds) ** (SEEDS - hits) for hits in range(SEEDS + 1)]
    below = next(hits for hits in range(SEEDS + 1) if sum(chance[: hits + 1]) > 0.0005)
    above = next(hits for hits in range(SEEDS, -1, -1) if sum(chance[hits:]) > 0.0005)
    return below, above


@pytest.mark.parametrize(("bad", "expected"), [(10, 0.45), (50, 0.95), (100, 0.998)])
def test_bad_records_are_found_as_often_as_the_odds_say(bad: int, expected: float) -> None:
    """59 of a thousand. Commitment, signature, choice, opening and verification are the real ones."""
    assert abs(odds(bad) - expected) < 0.015
    found = 0
    for author in range(4):
        records = planted(author, bad)
        commitment, leaves = committed(records)
        for challenger in range(SEEDS // 4):
            signature = signed(SEEDS * author + challenger, COUNT, data=commitment.root)
            blob = make_opening(leaves, records, SWARM, signature, COUNT)
            opened = verify_opening(blob, commitment, SWARM, signature, COUNT).records
            found += any(each.value != truth(each.key) for each in opened)
    least, most = likely(odds(bad))
    assert least <= found <= most


def test_the_odds_in_the_docs_are_those() -> None:
    text = (vectors.VECTORS.parents[2] / "docs" / "data.md").read_text()
    rows = re.findall(r"^\| (\d+)((?: \| \d+\.\d%){6}) \|$", text, re.MULTILINE)
    assert [int(opened) for opened, _ in rows] == [20, COUNT, 128, 256]
    for opened, said in rows:
        for share, percent in zip((0.005, 0.01, 0.02, 0.05, 0.1, 0.2), re.findall(r"[\d.]+", said), strict=True):
            assert f"{100 * (1 - (1 - share) ** int(opened)):.1f}" == percent


def test_honest_data_are_never_found_at_fault() -> None:
    records = planted(1, bad=0)
    commitment, leaves = committed(records)
    for seed in range(SEEDS // 4):
        signature = signed(seed, COUNT)
        opened = verify_opening(
            make_opening(leaves, records, SWARM, signature, COUNT), commitment, SWARM, signature, COUNT
        )
        assert all(each.value == truth(each.key) and not each.repeats for each in opened.records)
        assert opened.duplicates_permille == 0


def no_lie(rows: list[Row]) -> tuple[list[Row], int]:
    return rows, len(rows)


def unsorted_tree(rows: list[Row]) -> tuple[list[Row], int]:
    return sorted(rows, key=lambda row: row.value + row.key), len(rows)


def said_to_be_twice_as_long(rows: list[Row]) -> tuple[list[Row], int]:
    return rows, 2 * len(rows)


def filled_up_with_what_no_record_has(rows: list[Row]) -> tuple[list[Row], int]:
    """The keys of the second half are not those of the records that are opened for them."""
    return rows[: len(rows) // 2], len(rows)


def hidden_copies(rows: list[Row]) -> tuple[list[Row], int]:
    """Every record three times, in leaves that are the same."""
    return [row for row in rows[: len(rows) // 3] for _ in range(3)], 3 * (len(rows) // 3)


def numbered_copies(rows: list[Row]) -> tuple[list[Row], int]:
    """Every record three times, as an honest author would, and claimed to be there once."""
    third = [(row.key, row.value) for row in rows[: len(rows) // 3]]
    return plain.ordered(plain.salt_of(SWARM), third * 3), 3 * len(third)


@pytest.mark.parametrize(
    "lie",
    [
        no_lie,
        unsorted_tree,
        said_to_be_twice_as_long,
        filled_up_with_what_no_record_has,
        hidden_copies,
        numbered_copies,
    ],
)
def test_false_structure_is_found_always(lie: Any) -> None:
    """By 200 challengers of an author that answers as well as it can."""
    salt = plain.salt_of(SWARM)
    honest = plain.ordered(salt, [(b"%d" % number, b"ad") for number in range(300)])
    rows, records = lie(honest)
    leaves = [plain.leaf(salt, row) for row in rows]
    if lie is filled_up_with_what_no_record_has:
        leaves += [sha256(b"%d" % number).digest() * 2 for number in range(len(rows), records)]
    claims = Claims(plain.root(leaves).hex(), records)
    for seed in range(SEEDS):
        signature = signed(seed, COUNT)
        indices = chosen(signature, records, COUNT)
        shown = {index: rows[index % len(rows)] for index in indices}
        tree = [leaves[index % len(leaves)] for index in range(records)]
        blob = plain.opening(tree, shown, indices)
        if lie is no_lie:  # the same author, honest
            verify_opening(blob, claims, SWARM, signature, COUNT)
            continue
        with pytest.raises(RemoteError):
            verify_opening(blob, claims, SWARM, signature, COUNT)


def test_copies_that_were_announced_are_no_fault() -> None:
    """A hundred rows, each ten times over, and said so: of 59 many are equal, and none is held against it."""
    records = [(b"%d" % (number % 100), b"ad") for number in range(1_000)]
    commitment, leaves = committed(records)
    assert commitment.duplicates == 900
    equal = []
    for seed in range(SEEDS):
        signature = signed(seed, COUNT)
        blob = make_opening(leaves, records, SWARM, signature, COUNT)
        opened = verify_opening(blob, commitment, SWARM, signature, COUNT)
        assert opened.duplicates_permille <= 100
        equal.append(COUNT - len({record.key for record in opened.records}))
    assert sum(equal) > 10 * SEEDS


def test_records_that_repeat_beyond_the_claim_show_in_their_neighbours() -> None:
    """300 keys of 1,000 records have a second one with another label; the entry says 100."""
    records = [(b"%d" % number, b"ad") for number in range(700)] + [
        (b"%d" % number, b"benign") for number in range(300)
    ]
    commitment, leaves = committed(records)
    assert (commitment.duplicates, commitment.conflicts) == (0, 300)
    beyond = []
    for seed in range(20):
        signature = signed(seed, 256)
        blob = make_opening(leaves, records, SWARM, signature, 256)
        assert verify_opening(blob, commitment, SWARM, signature, 256).duplicates_permille < 100
        opened = verify_opening(blob, replace(commitment, conflicts=100), SWARM, signature, 256)
        beyond.append(opened.duplicates_permille)
    assert 170 < sum(beyond) / len(beyond) < 230
    assert isinstance(opened, VerifiedOpening)
