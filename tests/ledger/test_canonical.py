"""One spelling: against an independent RFC 8785 encoder, and every way of spelling an entry otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import MAX_INTEGER, decode, decode_entry, encode, encode_entry, entry_hash
from ledger.entry import (
    AnyEntry,
    Data,
    Enrol,
    FoldConstants,
    Genesis,
    Member,
    Scores,
    Snapshot,
    Source,
    Tensor,
    Update,
)

H = "ab" * 32
LINK: dict[str, Any] = {"v": 1, "swarm": H, "prev": H, "time": 1_767_225_600, "meets": [], "seen": [], "heads": H}
FOLD = FoldConstants(
    eta=65536, staleness=[65536, 30000], leak=81920, burst=2, kappa=98304, norm0=1000, window=8, snapshot_every=16
)
GENESIS = Genesis(
    **{**LINK, "swarm": "", "prev": ""}, seq=0, name="lists", task="filterlist", model="{}", seed=H, fold=FOLD,
    layout=[Tensor(name="w", shape=[4, 3], bound=100), Tensor(name="b", shape=[], bound=0)],
    policy=H, admins=[H], threshold=1, witnesses=[],
)  # fmt: skip
ENROL = Enrol(**LINK, seq=1, key=H, next=H, sponsor="", name='Zoë 😀 "quoted" \\ \x00\x7f\u2028')
MEMBER = Member(**{**LINK, "meets": [H, "cd" * 32], "seen": [(0, 1), (1, 7)]}, seq=2, peer=H, role="trainer", expires=0)
DATA = Data(
    **LINK, seq=3, root=H, records=10, labels={"ad": 4, "benign": 6}, duplicates=1, features="request/1", zone="public",
    sources=[Source(name="a.csv", sha256="", licence="MPL-2.0", url="", retrieved="", version="")],
)  # fmt: skip
UPDATE = Update(
    **{**LINK, "seen": [(0, 14), (2, 9)]}, seq=12, delta=H, bytes=1402, codec="gossip-delta/1", view=[(2, 8)], data=3,
    steps=32, examples=2048, scores=Scores(examples=412, tp=96, fp=11, fn=20), norm=18231, weight=29127,
)  # fmt: skip
SNAPSHOT = Snapshot(**LINK, seq=13, model=H, state=H, updates=5)
ENTRIES: list[AnyEntry] = [GENESIS, ENROL, MEMBER, DATA, UPDATE, SNAPSHOT]


def kind(entry: AnyEntry) -> str:
    return type(entry).__name__


@pytest.mark.parametrize("entry", ENTRIES, ids=kind)
def test_an_entry_reads_back_and_another_encoder_agrees(entry: AnyEntry) -> None:
    data = encode_entry(entry)
    assert decode_entry(data) == entry
    assert rfc8785.dumps(msgspec.to_builtins(entry)) == data
    assert len(entry_hash(data)) == 64


values = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_any_value_is_spelt_as_rfc8785_spells_it(value: Any) -> None:
    data = encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data, object, limit=len(data), what="a value") == value
