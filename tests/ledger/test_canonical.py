"""One spelling: against an independent RFC 8785 encoder, and every way of spelling an entry otherwise."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.batch import LeanData, decode_batch
from ledger.canonical import decode, decode_entry, encode, encode_entry, entry_hash
from ledger.delta import MAX_PARAMETERS
from ledger.entry import (
    GRID_ONE,
    MAX_ENTRY_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_OPENING_BYTES,
    MAX_SKETCH_BYTES,
    Accuse,
    AnyEntry,
    Challenge,
    Claim,
    Data,
    Enrol,
    FoldConstants,
    Genesis,
    Judgement,
    Measured,
    Member,
    Opening,
    PolicyChange,
    Reading,
    Scores,
    Snapshot,
    Source,
    Tensor,
    Update,
    Verdict,
)
from ledger.errors import LocalError, RemoteError
from ledger.genesis import MAX_BOUND
from ledger.keys import PrivateKey
from ledger.wellformed import MAX_CHALLENGED, MAX_INTEGER, MAX_JUDGED, MAX_JUDGEMENTS, MAX_OPENS

H = "ab" * 32
KEY = PrivateKey.from_seed(bytes(32)).public.hex()
LINK: dict[str, Any] = {"v": 1, "swarm": H, "prev": H, "time": 1_767_225_600, "meets": [], "seen": [], "heads": H}
FOLD = FoldConstants(
    eta=65536,
    staleness=[65536, 30000],
    leak=81920,
    burst=2 * GRID_ONE,
    kappa=98304,
    norm0=1000,
    window=8,
    snapshot_every=16,
)
GENESIS = Genesis(
    **{**LINK, "swarm": "", "prev": ""}, seq=0, name="lists", task="filterlist", model="{}", seed=H, fold=FOLD,
    layout=[Tensor(name="w", shape=[4, 3], bound=100), Tensor(name="b", shape=[], bound=0)],
    policy=H, admins=[KEY], threshold=1, witnesses=[],
)  # fmt: skip
ENROL = Enrol(**LINK, seq=1, key=H, next=H, sponsor="", name='Zoë 😀 "quoted" \\ \x00\x7f\u2028')
MEMBER = Member(**{**LINK, "meets": [H, "cd" * 32], "seen": [(0, 1), (1, 7)]}, seq=2, peer=H, role="trainer", expires=0)
DATA = Data(
    **LINK, seq=3, root=H, records=10, labels={"ad": 4, "benign": 6}, duplicates=1, features="request/1", zone="public",
    opens=["admin"],
    sources=[Source(name="a.csv", sha256="", licence="MPL-2.0", url="", retrieved="", version="")],
)  # fmt: skip
UPDATE = Update(
    **{**LINK, "seen": [(0, 14), (2, 9)]}, seq=12, delta=H, bytes=1402, codec="gossip-delta/1", view=[(2, 8)], data=3,
    steps=32, examples=2048, scores=Scores(examples=412, tp=96, fp=11, fn=20), norm=18231, weight=29127,
)  # fmt: skip
SNAPSHOT = Snapshot(**LINK, seq=13, model=H, state=H, updates=5)
PRIVATE = msgspec.structs.replace(DATA, zone="private", opens=[])
SKETCHED = msgspec.structs.replace(
    DATA, opens=[], sketch=H, sketch_bytes=128, privacy=Claim(epsilon=3000, delta=100_000)
)
JUDGED = msgspec.structs.replace(DATA, judged={"ad": 2, "benign": 6})
ACCUSE = Accuse(**LINK, seq=14, peer=H, charge="opening", index=3, evidence=H, bytes=MAX_OPENING_BYTES)
POLICY = PolicyChange(**LINK, seq=15, number=1, policy=H, policy_bytes=400)
JUDGEMENT = Judgement(
    peer=H, seqs=[3, 7], hash=H, decision="refused", measured=[],
    readings=[Reading(rule="data.records.min", value=10, limit=500)],
)  # fmt: skip
HALF = Scores(examples=40, tp=9, fp=1, fn=2)
SCORED = Judgement(
    peer=H, seqs=[7], hash=H, decision="scored", readings=[],
    measured=[Measured(on="holdout", given=HALF, without=HALF)],
)  # fmt: skip
VERDICT = Verdict(**LINK, seq=16, basis=H, judgements=[JUDGEMENT, SCORED])
CHALLENGE = Challenge(**LINK, seq=17, peer=H, data=3, hash=H, count=59, signature=H + H)
OPENING = Opening(**LINK, seq=18, peer=H, challenge=17, opened=H, opened_bytes=60_000)
ENTRIES: list[AnyEntry] = [
    GENESIS, ENROL, MEMBER, DATA, UPDATE, SNAPSHOT, SKETCHED, JUDGED, ACCUSE, POLICY, VERDICT, CHALLENGE, OPENING,
]  # fmt: skip


def test_an_entry_without_judgements_is_spelt_as_before_there_were_any() -> None:
    """Logs that were written before the field existed keep their hashes."""
    data = encode_entry(DATA)
    assert b"judged" not in data
    assert decode_entry(data).judgements == {}  # type: ignore[union-attr]
    assert decode_entry(encode_entry(JUDGED)).judgements == {"ad": 2, "benign": 6}  # type: ignore[union-attr]
    assert isinstance(decode_batch([data, encode_entry(JUDGED)])[1], LeanData)
    unsorted = encode_entry(JUDGED).replace(b'{"ad":2,"benign":6}', b'{"benign":6,"ad":2}')
    assert all(isinstance(found, RemoteError) for found in decode_batch([unsorted]))


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


@settings(max_examples=200)
@given(values)
def test_any_value_is_spelt_as_rfc8785_spells_it(value: Any) -> None:
    data = encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data, object, limit=len(data), what="a value") == value


# ------------------------------------------------------------------ any value


@pytest.mark.parametrize(
    "value", [1.5, None, MAX_INTEGER + 1, -MAX_INTEGER - 1, {"é": 1}, {1: 1}, "\ud800", {"a": [None]}, b"x", {1, 2}]
)
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(LocalError):
        encode(value)
    with pytest.raises(LocalError):
        encode([{"deep": value}])


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: int
    b: str


def test_a_typed_value_reads_back_and_has_one_spelling() -> None:
    good = b'{"a":1,"b":"x"}'
    assert decode(good, Pair, limit=100, what="a pair") == Pair(1, "x")
    for bad in (
        b"",
        b"{}",
        b'{"a":1}',
        b'{"b":"x","a":1}',
        b'{"a": 1,"b":"x"}',
        b'{"a":1,"b":"x"}\n',
        b'{"a":1,"a":1,"b":"x"}',
        b'{"a":1,"b":"x","c":1}',
        b'{"a":1.0,"b":"x"}',
        b'{"a":01,"b":"x"}',
        b'{"a":-0,"b":"x"}',
        b'{"a":1e0,"b":"x"}',
        b'{"a":true,"b":"x"}',
        b'{"a":null,"b":"x"}',
        b'{"a":9007199254740992,"b":"x"}',
        b'{"a":1,"b":"\\u0078"}',
        b'{"a":1,"b":"\\/"}',
        b'{"a":1,"b":"\\ud800"}',
        b'{"a":1,"b":"\xff"}',
        b'{"a":1,"b":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1,"b":"x"}',
        b'{"a":' + b"9" * 5000 + b',"b":"x"}',
        b"[" * 100_000,
    ):
        with pytest.raises(RemoteError):
            decode(bad, Pair, limit=200_000, what="a pair")
    with pytest.raises(RemoteError, match="a pair is too long"):
        decode(good, Pair, limit=14, what="a pair")


def test_errors_never_carry_raw_bytes_of_others_to_a_terminal() -> None:
    with pytest.raises(RemoteError) as caught:
        decode(b'{"\x1b[31m":1}', Pair, limit=100, what="a pair")
    assert str(caught.value).isprintable()


# ------------------------------------------------------------------ one entry


def spelt(entry: AnyEntry, **fields: object) -> bytes:
    """The canonical bytes of an entry with some fields replaced by whatever JSON can hold."""
    return rfc8785.dumps(msgspec.to_builtins(entry) | fields)


def judged(judgement: Judgement = JUDGEMENT, **fields: object) -> list[Any]:
    return [msgspec.to_builtins(judgement) | fields]


def measured(**counts: int) -> dict[str, Any]:
    return dict(msgspec.to_builtins(SCORED.measured[0]), given=dict(msgspec.to_builtins(HALF), **counts))


OTHER = "cd" * 32
BAD_FIELDS: list[tuple[AnyEntry, dict[str, Any]]] = [
    (MEMBER, {"v": 2}),
    (MEMBER, {"v": 0}),
    (MEMBER, {"kind": "edict"}),
    (MEMBER, {"swarm": ""}),
    (MEMBER, {"swarm": H.upper()}),
    (MEMBER, {"swarm": H[:-1]}),
    (MEMBER, {"swarm": H + " " + H}),
    (MEMBER, {"prev": ""}),
    (MEMBER, {"prev": H[:-1] + "g"}),
    (MEMBER, {"heads": ""}),
    (MEMBER, {"seq": 0}),
    (MEMBER, {"seq": -1}),
    (MEMBER, {"time": -1}),
    (MEMBER, {"time": MAX_INTEGER + 1}),
    (MEMBER, {"time": 10**30}),
    (MEMBER, {"time": 1.5}),
    (MEMBER, {"time": None}),
    (MEMBER, {"time": True}),
    (MEMBER, {"time": "1"}),
    (MEMBER, {"extra": 1}),
    (MEMBER, {"meets": [H + OTHER]}),
    (MEMBER, {"meets": ["", H + OTHER[1:]]}),
    (MEMBER, {"seen": [[1, 7], [0, 1]]}),
    (MEMBER, {"seen": [[0, 1], [0, 2]]}),
    (MEMBER, {"seen": [[-1, 1]]}),
    (MEMBER, {"seen": [[0, 0]]}),
    (MEMBER, {"seen": [[0, MAX_INTEGER + 1]]}),
    (MEMBER, {"seen": [[0, 1, 2]]}),
    (MEMBER, {"role": "king"}),
    (MEMBER, {"peer": ""}),
    (MEMBER, {"expires": -1}),
    (ENROL, {"key": H[:-2]}),
    (ENROL, {"next": ""}),
    (ENROL, {"sponsor": "x"}),
    (ENROL, {"name": "x" * 65}),
    (DATA, {"records": -1}),
    (DATA, {"duplicates": 11}),
    (DATA, {"labels": {"ad": 11}}),
    (DATA, {"labels": {"ad": -1}}),
    (DATA, {"labels": {"é": 1}}),
    (DATA, {"zone": "secret"}),
    (DATA, {"root": ""}),
    (UPDATE, {"codec": "gossip-delta/2"}),
    (UPDATE, {"weight": 65537}),
    (UPDATE, {"weight": -1}),
    (UPDATE, {"norm": -1}),
    (UPDATE, {"bytes": -1}),
    (UPDATE, {"data": 13}),
    (UPDATE, {"scores": {"examples": 4, "tp": 5, "fp": 0, "fn": 0}}),
    (UPDATE, {"view": [[2, 9]]}),
    (UPDATE, {"view": [[2, -1]]}),
    (UPDATE, {"view": [[2, 8], [2, 7]]}),
    (DATA, {"conflicts": 11}),
    (DATA, {"conflicts": -1}),
    (DATA, {"generator": "x" * 65}),
    (DATA, {"suffixes": "x" * 65}),
    (DATA, {"opens": ["trainer", "admin"]}),
    (DATA, {"opens": ["admin", "admin"]}),
    (DATA, {"opens": ["king"]}),
    (DATA, {"opens": [H[:-1]]}),
    (DATA, {"opens": [f"{number:064x}" for number in range(MAX_OPENS + 1)]}),
    (DATA, {"sketch_bytes": 1}),
    (DATA, {"opens": []}),  # what everybody may see has a sketch
    (DATA, {"privacy": {"delta": 0, "epsilon": -1}}),
    (DATA, {"privacy": {"delta": -1, "epsilon": 0}}),
    (DATA, {"privacy": {"epsilon": 0}}),
    (DATA, {"privacy": {"delta": 0, "epsilon": 3000}}),
    (DATA, {"privacy": {"delta": 100_000, "epsilon": 0}}),
    (PRIVATE, {"opens": ["admin"]}),
    (PRIVATE, {"sketch": H, "sketch_bytes": 128}),
    (DATA, {"judged": {}}),  # one spelling for none: left out
    (DATA, {"judged": None}),
    (DATA, {"judged": {"ad": 0}}),
    (DATA, {"judged": {"ad": 5}}),  # more than are labelled so
    (DATA, {"judged": {"tracker": 1}}),
    (DATA, {"judged": {"ad": -1}}),
    (DATA, {"judged": {"äd": 1}}),
    (DATA, {"judged": 6}),
    (SKETCHED, {"opens": ["admin"]}),
    (SKETCHED, {"sketch": H[:-1]}),
    (SKETCHED, {"sketch_bytes": 0}),
    (SKETCHED, {"sketch_bytes": MAX_SKETCH_BYTES + 1}),
    (UPDATE, {"epsilon": -1}),
    (ACCUSE, {"charge": "sloth"}),
    (ACCUSE, {"bytes": MAX_OPENING_BYTES + 1}),
    (ACCUSE, {"charge": "fork", "bytes": MAX_EVIDENCE_BYTES + 1}),
    (ACCUSE, {"bytes": 0}),
    (ACCUSE, {"index": -1}),
    (ACCUSE, {"evidence": ""}),
    (POLICY, {"number": 0}),
    (POLICY, {"policy": ""}),
    (POLICY, {"policy_bytes": 0}),
    (POLICY, {"policy_bytes": MAX_INTEGER + 1}),
    (VERDICT, {"basis": ""}),
    (VERDICT, {"judgements": []}),
    (VERDICT, {"judgements": judged() * (MAX_JUDGEMENTS + 1)}),
    (VERDICT, {"judgements": judged(peer="")}),
    (VERDICT, {"judgements": judged(hash="")}),
    (VERDICT, {"judgements": judged(seqs=[])}),
    (VERDICT, {"judgements": judged(seqs=[7, 3])}),
    (VERDICT, {"judgements": judged(seqs=[7, 7])}),
    (VERDICT, {"judgements": judged(seqs=[-1])}),
    (VERDICT, {"judgements": judged(seqs=list(range(MAX_JUDGED + 1)))}),
    (VERDICT, {"judgements": judged(decision="hanged")}),
    (VERDICT, {"judgements": judged(decision="scored")}),
    (VERDICT, {"judgements": judged(readings=[])}),
    (VERDICT, {"judgements": judged(readings=[{"rule": "x" * 65, "value": 1, "limit": 1}])}),
    (VERDICT, {"judgements": judged(readings=[{"rule": "x", "value": -1, "limit": 1}])}),
    (VERDICT, {"judgements": judged(readings=[{"rule": "x", "value": 1, "limit": MAX_INTEGER + 1}])}),
    (VERDICT, {"judgements": judged(SCORED, measured=[])}),
    (VERDICT, {"judgements": judged(SCORED, readings=[{"rule": "x", "value": 1, "limit": 1}])}),
    (VERDICT, {"judgements": judged(SCORED, measured=[measured(tp=41)])}),
    (VERDICT, {"judgements": judged(SCORED, measured=[measured(examples=-1)])}),
    (CHALLENGE, {"peer": ""}),
    (CHALLENGE, {"hash": ""}),
    (CHALLENGE, {"data": -1}),
    (CHALLENGE, {"count": 0}),
    (CHALLENGE, {"count": MAX_CHALLENGED + 1}),
    (CHALLENGE, {"signature": H}),
    (CHALLENGE, {"signature": H + H.upper()}),
    (OPENING, {"peer": ""}),
    (OPENING, {"challenge": -1}),
    (OPENING, {"opened": ""}),
    (OPENING, {"opened_bytes": 0}),
    (OPENING, {"opened_bytes": MAX_OPENING_BYTES + 1}),
    (SNAPSHOT, {"model": ""}),
    (SNAPSHOT, {"updates": -1}),
    (GENESIS, {"seq": 1, "prev": H}),
    (GENESIS, {"swarm": H}),
    (GENESIS, {"prev": H}),
    (GENESIS, {"admins": []}),
    (GENESIS, {"admins": [KEY, KEY]}),
    (GENESIS, {"threshold": 0}),
    (GENESIS, {"threshold": 2}),
    (GENESIS, {"seed": ""}),
    (GENESIS, {"layout": []}),
    (GENESIS, {"layout": [{"name": "w", "shape": [1], "bound": 0}] * 2}),
    (GENESIS, {"layout": [{"name": "w", "shape": [0], "bound": 0}]}),
    (GENESIS, {"layout": [{"name": "w", "shape": [-4, -4], "bound": 0}]}),
    (GENESIS, {"layout": [{"name": "w", "shape": [MAX_PARAMETERS, 2], "bound": 0}]}),
    (GENESIS, {"layout": [{"name": name, "shape": [MAX_PARAMETERS], "bound": 0} for name in "ab"]}),
    (GENESIS, {"layout": [{"name": "w", "shape": [1], "bound": MAX_BOUND + 1}]}),
    *(
        (GENESIS, {"fold": msgspec.to_builtins(FOLD) | {name: value}})
        for name, value in (
            ("eta", 0),
            ("burst", 0),
            ("kappa", 0),
            ("norm0", 0),
            ("snapshot_every", 0),
            ("leak", -1),
            ("window", -1),
            ("staleness", []),
            ("staleness", [65537]),
            ("staleness", [-1]),
        )
    ),
]


@pytest.mark.parametrize(("entry", "fields"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_wrong_field_is_refused(entry: AnyEntry, fields: dict[str, Any]) -> None:
    try:
        data = spelt(entry, **fields)
    except rfc8785.IntegerDomainError:
        data = msgspec.json.encode(msgspec.to_builtins(entry) | fields, order="sorted")
    with pytest.raises(RemoteError):
        decode_entry(data)


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        (MEMBER, {"seq": 0, "prev": ""}),
        (ENROL, {"sponsor": H, "name": "x" * 64}),
        (UPDATE, {"view": [[1, 900], [2, 0]]}),
        (UPDATE, {"weight": 65536, "data": 12}),
        (DATA, {"records": 0, "duplicates": 0, "labels": {}, "sources": []}),
        (GENESIS, {"layout": [{"name": "w", "shape": [MAX_PARAMETERS // 2, 2], "bound": MAX_BOUND}]}),
        (MEMBER, {"time": MAX_INTEGER, "expires": MAX_INTEGER}),
        (DATA, {"opens": sorted(["trainer", *(f"{number:064x}" for number in range(MAX_OPENS - 1))])}),
        (SKETCHED, {"sketch_bytes": MAX_SKETCH_BYTES, "conflicts": 10}),
        (ACCUSE, {"charge": "fork", "bytes": MAX_EVIDENCE_BYTES}),
        (VERDICT, {"judgements": judged(seqs=list(range(MAX_JUDGED)))}),
        (VERDICT, {"judgements": judged() * MAX_JUDGEMENTS}),
        (CHALLENGE, {"count": MAX_CHALLENGED}),
        (OPENING, {"opened_bytes": MAX_OPENING_BYTES}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_limits_themselves_are_allowed(entry: AnyEntry, fields: dict[str, Any]) -> None:
    data = spelt(entry, **fields)
    assert encode_entry(decode_entry(data)) == data


def test_an_entry_of_ours_that_no_peer_would_accept_is_not_written() -> None:
    with pytest.raises(LocalError, match="cannot write this update entry"):
        encode_entry(msgspec.structs.replace(UPDATE, weight=65537))
    with pytest.raises(LocalError, match="too long"):
        encode_entry(msgspec.structs.replace(GENESIS, model="x" * MAX_ENTRY_BYTES))


def test_length_is_checked_before_anything_is_read() -> None:
    assert len(encode_entry(msgspec.structs.replace(GENESIS, model="x" * (MAX_ENTRY_BYTES - 1000)))) <= MAX_ENTRY_BYTES
    with pytest.raises(RemoteError, match="too long"):
        decode_entry(b"[" * (MAX_ENTRY_BYTES + 1))


@pytest.mark.parametrize("entry", ENTRIES, ids=kind)
def test_another_spelling_of_the_same_entry_is_refused(entry: AnyEntry) -> None:
    data = encode_entry(entry)
    fields = json.loads(data)
    for bad in (
        b" " + data,
        data + b"\n",
        data.replace(b'"kind"', b' "kind"'),
        data.replace(b'"v":1', b'"v":1.0'),
        data.replace(b'"v":1', b'"v":1e0'),
        data.replace(b'"v":1', b'"v":1,"v":1'),
        data.replace(b'"kind"', b'"\\u006bind"'),
        json.dumps(fields, ensure_ascii=False).encode(),
        msgspec.json.encode(dict(reversed(fields.items()))),
    ):
        with pytest.raises(RemoteError):
            decode_entry(bad)


INSERTIONS = [b"9" * 400, b"null", b'"', b"-", b"1.5", b"[", b"{}", b"\\u0000"]


@settings(max_examples=400)
@given(st.sampled_from(ENTRIES), st.data())
def test_whatever_the_bytes_it_is_an_entry_or_the_senders_fault(entry: AnyEntry, luck: st.DataObject) -> None:
    data = bytearray(encode_entry(entry))
    for _ in range(luck.draw(st.integers(1, 3))):
        at = luck.draw(st.integers(0, len(data) - 1))
        match luck.draw(st.integers(0, 2)):
            case 0:
                data[at] = luck.draw(st.integers(0, 255))
            case 1:
                del data[at : at + luck.draw(st.integers(1, 9))]
            case _:
                data[at:at] = luck.draw(
                    st.sampled_from([b"9" * 400, b"null", b'"', b"-", b"1.5", b"[", b"{}", b"\\u0000"])
                )
        if not data:
            break
    try:
        read = decode_entry(bytes(data))
    except RemoteError:
        return
    assert encode_entry(read) == bytes(data)
