"""Each door with real messages, with what is kept of earlier runs, and with some hundred wrong ones."""

from __future__ import annotations

import json
import os
import zlib

import pytest

from ledger.errors import LocalError, RemoteError
from tests.fuzz.mutator import LIMIT, Mutator
from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets import TARGETS

MANY, SOME, FEW = 500, 150, 10
WHOLE_BUNDLES = ("audit", "followed")  # tens of milliseconds for each: bundles are read from end to end
MAX_KEPT_BYTES = 64 * 1024  # of one input in the tree, if it was not the length that was wrong
SEED = os.environ.get("GOSSIP_FUZZ_SEED", "1")


def many(target: Target) -> int:
    return FEW if target.name in WHOLE_BUNDLES else SOME if target.slow else MANY


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused(name: str) -> None:
    target = TARGETS[name]
    assert all(target.takes(data) for data in target.make()), "what is real is not taken: wrong bytes would go nowhere"
    mutator = Mutator(f"{SEED}/{name}", target.seeds, target.words, target.limit)
    taken = 0
    for number in range(many(target)):
        data = mutator.next()
        try:
            taken += target.takes(data)
        except Exception as error:
            pytest.fail(f"{name}, seed {SEED}, number {number}: {error!r} of {data[:200]!r}")
    assert taken < many(target) or target.name in NEVER_REFUSE


# Readers for which no bytes are wrong: they make of them what they can, or say that there is nothing.
NEVER_REFUSE = ("audit", "followed", "kept", "lock", "rules", "rules-lines")


@pytest.mark.parametrize(
    ("name", "kept", "data"),
    [(target.name, kept, data) for target in TARGETS.values() for kept, data in target.kept()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_once_went_wrong_does_not_again(name: str, kept: str, data: bytes) -> None:
    TARGETS[name].takes(data)
    assert len(data) <= MAX_KEPT_BYTES or kept == "regression-brackets-in-brackets"


def test_what_is_kept_has_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)


def test_a_reader_that_lets_foreign_exceptions_through_is_noticed() -> None:
    """The positive control: JSON as it comes, with the length of a list believed."""

    def careless(data: bytes) -> None:
        try:
            found = json.loads(data)
        except ValueError as error:
            raise RemoteError("no JSON", why=str(error)) from None
        for at in range(found["count"]):
            found["rows"][at]

    target = Target("careless", careless, lambda: [b'{"count":2,"rows":[1,2]}'], ())
    mutator = Mutator(1, target.seeds)
    failures = set()
    for _ in range(MANY):
        try:
            target.takes(mutator.next())
        except Exception as error:
            failures.add(type(error))
    assert {IndexError, KeyError, TypeError} <= failures


def test_of_network_input_not_even_a_local_error_may_come() -> None:
    def blames_us(data: bytes) -> None:
        raise LocalError("the user must change something", next_step="at what a stranger sent?")

    network = Target("network", blames_us, lambda: [b"x"], ())
    with pytest.raises(LocalError):
        network.takes(b"x")
    assert not Target("own", blames_us, lambda: [b"x"], (), own=True).takes(b"x")


# ------------------------------------------------------------------ the mutator itself


def test_the_same_seed_gives_the_same_bytes() -> None:
    seeds = [b'{"a":[1,2],"b":"text"}', bytes(range(200))]
    one, other, third = (Mutator(seed, seeds) for seed in (5, 5, 6))
    first = [one.next() for _ in range(300)]
    assert first == [other.next() for _ in range(300)]
    assert first != [third.next() for _ in range(300)]
    assert max(map(len, first)) <= LIMIT


def test_it_gets_behind_spellings_sizes_and_packing() -> None:
    """Of JSON much stays canonical and says something else; numbers reach the bounds; bombs and deep nests come."""
    plain = b'{"count":3,"name":"anna","rows":[[1,2],[3,4]]}'
    mutator = Mutator(1, [plain])
    made = [mutator.next() for _ in range(5_000)]
    canonical = 0
    for data in made:
        try:
            tree = json.loads(data)
            again = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            continue
        canonical += again == data != plain
    assert canonical > 1_000
    assert any(b"9007199254740992" in data for data in made)
    assert any(b"[" * 30_000 in data for data in made)
    assert any(_inflates(data) > 1 << 20 for data in made)


def _inflates(data: bytes) -> int:
    try:
        return len(zlib.decompressobj().decompress(data, 1 << 24))
    except zlib.error:
        return 0
