"""Every rule on entries, enforced where it matters: in what a replica folds. One that is cut makes a test here fail."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import pytest

from ledger.canonical import encode_entry
from ledger.entry import Claim, Data, Scores, Source, Update
from ledger.opening import make_sketch
from ledger.policy_facts import FACTS, OF_DATA, OF_UPDATE
from ledger.provenance import commit_records
from ledger.replica import Checked, InvalidEntry
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, encode_update

BLOB = encode_update(np.linspace(-0.1, 0.1, 16), 1.0)[0]
OPEN = "policy = 1\n"
SOURCE = Source(name="a.jsonl", sha256="11" * 32, licence="MPL-2.0", url="", retrieved="", version="")
FACTS_OF_DATA: dict[str, Any] = {
    "root": sha256(b"rows").hexdigest(),
    "records": 1000, "labels": {"ad": 700, "benign": 200}, "duplicates": 100, "conflicts": 30, "features": "toy-1",
    "suffixes": "2026-08-14", "zone": "private", "privacy": Claim(epsilon=8000, delta=1_000_000),
    "sources": [SOURCE, msgspec.structs.replace(SOURCE, licence="", name="b.jsonl")],
}  # fmt: skip
LEAVES = bytearray()
MADE = commit_records([(b"key %d" % number, b"ad") for number in range(1000)], bytes(32), keep=LEAVES.extend)
SKETCH = make_sketch(LEAVES)
PUBLIC: dict[str, Any] = {
    "zone": "public", "root": MADE.root, "duplicates": 0, "conflicts": 0,
    "sketch": sha256(SKETCH).hexdigest(), "sketch_bytes": len(SKETCH),
}  # fmt: skip
ON_ENTRIES = [(fact, word) for fact in (*OF_DATA, *OF_UPDATE) for word in FACTS[fact].words]


def published(text: str, changes: dict[str, Any]) -> tuple[Peer, Checked, str, str]:
    """A founder sets a policy and publishes under it: the update, and its model's hash before and after."""
    peer = Swarm([]).founder
    peer.ask_for(text)
    peer.blobs[PUBLIC["sketch"]] = SKETCH
    data = peer.write(Data(**CHAIN, **{**FACTS_OF_DATA, **changes}))
    before = peer.model_hash()
    return peer, peer.write(drafted(peer, data.seq)), before, peer.model_hash()


def drafted(peer: Peer, data: int, weight: int | None = None) -> Update:
    assert peer.fold is not None
    cited = peer.replica.entry(peer.id, data)
    assert isinstance(cited, Data)
    arithmetic, digest = peer.fold.arithmetic, sha256(BLOB).hexdigest()
    peer.blobs[digest] = BLOB
    fields, known = peer.replica.draft(peer.id), peer.replica.heads()
    body = Update(
        **CHAIN, delta=digest, bytes=len(BLOB), codec="gossip-delta/1", view=peer.replica.view(peer.id, fields, known),
        data=data, steps=32, examples=2048, scores=Scores(examples=412, tp=96, fp=11, fn=20), weight=0,
        epsilon=1500 if cited.privacy.epsilon else 0,
        norm=arithmetic.norm(arithmetic.decode(BLOB, peer.fold.parameters)),
    )  # fmt: skip
    weight = peer.replica.weigh(peer.id, fields, known, body) if weight is None else weight
    return msgspec.structs.replace(body, weight=weight)


def rule(fact: str, word: str) -> tuple[str, dict[str, Any]]:
    """A line that an update here breaks, and what its data must be for that."""
    # Of a yes or no one side breaks `min`, the other `max`: a policy that asks for more than 1 of it is none.
    changes = PUBLIC if (fact, word) in (("data.public", "max"), ("data.private", "min")) else {}
    match word:
        case "present":
            return "present = 1", {"privacy": Claim()} if fact == "data.privacy" else {}
        case "unique":
            return "unique = 1", {}
        case "all_in":
            return 'all_in = ["another"]', {}
    _, checked, *_ = published(OPEN, changes)
    update = checked.entry
    assert isinstance(update, Update)
    data = Data(**CHAIN, **{**FACTS_OF_DATA, **changes})
    value = OF_DATA[fact](data) if fact in OF_DATA else OF_UPDATE[fact](update, data)
    assert isinstance(value, int)
    assert word == "min" or value > 0  # or no max would be broken
    return (f"min = {value + 1}" if word == "min" else f"max = {value - 1}"), changes


@pytest.mark.parametrize(("fact", "word"), ON_ENTRIES)
def test_an_update_that_breaks_a_rule_is_left_out_weighed_down_or_marked(fact: str, word: str) -> None:
    line, changes = rule(fact, word)
    section = f"policy = 1\n[{fact}]\n{line}\n"
    peer, checked, before, after = published(section, changes)
    assert [breach.rule for breach in checked.refused] == [f"{fact}.{word}"]
    assert peer.replica.weight_of(peer.id, checked.seq) is None
    assert before == after

    _, free, *_ = published(OPEN, changes)
    assert free.weight
    peer, checked, before, after = published(section + 'on_fail = "weight"\npermille = 250\n', changes)
    assert checked.refused == ()
    assert checked.weight == peer.replica.weight_of(peer.id, checked.seq) == free.weight * 250 // 1000
    assert before != after

    peer, checked, before, after = published(section + 'on_fail = "quarantine"\n', changes)
    assert checked.refused == ()
    assert checked.ruling is not None
    assert [breach.rule for breach in checked.ruling.quarantined] == [f"{fact}.{word}"]
    assert checked.weight == free.weight
    assert before != after


def test_who_claims_the_weight_that_a_rule_took_away_is_refused_by_everybody() -> None:
    peer = Swarm([]).founder
    peer.ask_for('policy = 1\n[update.steps]\nmax = 1\non_fail = "weight"\npermille = 250\n')
    data = peer.write(Data(**CHAIN, **FACTS_OF_DATA))
    greedy = drafted(peer, data.seq)
    greedy = msgspec.structs.replace(greedy, weight=greedy.weight * 4)
    with pytest.raises(InvalidEntry) as caught:
        peer.take(peer.id, encode_entry(peer.replica.draft(peer.id).stamp(greedy, NOW)))
    assert caught.value.rule == "weight"


@pytest.mark.parametrize(("claimed", "spent"), [(8000, 8001), (8000, 0), (0, 1)])
def test_an_update_that_spends_other_privacy_than_its_data_claim_ends_its_log(claimed: int, spent: int) -> None:
    """More than was promised, nothing of a promise, something of none: each is its author's word against its own."""
    peer = Swarm([]).founder
    claim = Claim(epsilon=claimed, delta=10_000) if claimed else Claim()
    data = peer.write(Data(**CHAIN, **{**FACTS_OF_DATA, "privacy": claim}))
    update = msgspec.structs.replace(drafted(peer, data.seq), epsilon=spent)
    with pytest.raises(InvalidEntry) as caught:
        peer.take(peer.id, encode_entry(peer.replica.draft(peer.id).stamp(update, NOW)))
    assert caught.value.rule == "privacy"


@pytest.mark.parametrize("spent", [1, 8000])
def test_an_update_within_its_claim_is_taken(spent: int) -> None:
    peer = Swarm([]).founder
    data = peer.write(Data(**CHAIN, **FACTS_OF_DATA))
    update = msgspec.structs.replace(drafted(peer, data.seq), epsilon=spent)
    assert peer.take(peer.id, encode_entry(peer.replica.draft(peer.id).stamp(update, NOW))).weight
