"""The policy: each rule alone, the default in its comments' words, and every way to write it wrongly."""

from __future__ import annotations

import time
import tomllib
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import Data, Scores, Source, Update
from ledger.errors import LocalError, RemoteError
from ledger.policy import DEFAULT_POLICY, MAX_POLICY_BYTES, Breach, Policy
from ledger.policy_facts import OF_DATA, OF_UPDATE

H = "ab" * 32
LINK: dict[str, Any] = {"v": 1, "swarm": H, "prev": H, "time": 0, "meets": [], "seen": [], "heads": H}
SOURCE = Source(name="a.jsonl", sha256="", licence="MPL-2.0", url="", retrieved="", version="")
DATA = Data(
    **LINK, seq=1, root=H, records=1000, labels={"ad": 700, "benign": 200, "tracker": 0}, duplicates=100,
    features="request/1", zone="public", sources=[SOURCE, msgspec.structs.replace(SOURCE, licence="")],
)  # fmt: skip
UPDATE = Update(
    **LINK, seq=2, delta=H, bytes=1402, codec="gossip-delta/1", view=[], data=1, steps=32, examples=2048,
    scores=Scores(examples=412, tp=96, fp=11, fn=20), norm=18231, weight=29127,
)  # fmt: skip

# What UPDATE and DATA say, counted by hand.
FACTS = {
    "data.records": 1000,
    "data.duplicates_permille": 100,
    "data.labels": 2,
    "data.commonest_label_permille": 700,
    "data.labelled_permille": 900,
    "data.sources": 2,
    "data.unlicensed_sources": 1,
    "data.public": 1,
    "update.bytes": 1402,
    "update.steps": 32,
    "update.examples": 2048,
    "update.examples_per_record": 2,
    "update.norm": 18231,
    "update.scored": 412,
}


def test_the_table_of_facts_here_is_whole() -> None:
    assert set(FACTS) <= set(OF_DATA) | set(OF_UPDATE)


@pytest.mark.parametrize("fact", FACTS)
def test_each_rule_alone_holds_at_its_limit_and_breaks_one_beyond(fact: str) -> None:
    value = FACTS[fact]
    assert policy(fact, f"min = {value}").evaluate(UPDATE, DATA) == ()
    assert policy(fact, f"max = {value}").evaluate(UPDATE, DATA) == ()
    assert policy(fact, f"min = {value + 1}").evaluate(UPDATE, DATA) == (Breach(f"{fact}.min", value, value + 1),)
    assert policy(fact, f"max = {value - 1}").evaluate(UPDATE, DATA) == (Breach(f"{fact}.max", value, value - 1),)


def test_every_breach_is_reported_not_only_the_first() -> None:
    text = "policy = 1\n[update.steps]\nmin = 100\n[data.records]\nmin = 5000\nmax = 9000\n"
    breaches = Policy.parse(text).evaluate(UPDATE, DATA)
    assert breaches == (Breach("update.steps.min", 32, 100), Breach("data.records.min", 1000, 5000))
    assert str(breaches[1]) == "data.records.min is 5000, this update has 1000"


def test_a_data_set_of_nothing_has_no_duplicates() -> None:
    empty = msgspec.structs.replace(DATA, records=0, duplicates=0, labels={})
    assert policy("data.duplicates_permille", "max = 0").evaluate(UPDATE, empty) == ()
    assert policy("data.records", "min = 1").evaluate(UPDATE, empty) == (Breach("data.records.min", 0, 1),)


# ------------------------------------------------------------------ the default


def test_the_default_welcomes_ordinary_peers_and_tiny_tests() -> None:
    default = Policy.parse(DEFAULT_POLICY)
    for records in (1, 10, 1000, 10_000):
        data = msgspec.structs.replace(DATA, records=records, duplicates=records // 2, labels={"ad": records})
        assert default.evaluate(UPDATE, data) == ()


@pytest.mark.parametrize(
    ("update", "data", "rule"),
    [
        ({}, {"records": 0, "duplicates": 0}, "data.records.min"),
        ({}, {"duplicates": 901}, "data.duplicates_permille.max"),
        ({"steps": 0}, {}, "update.steps.min"),
        ({"steps": 1_000_001}, {}, "update.steps.max"),
        ({"examples": 0}, {}, "update.examples.min"),
        ({"examples": 1_000_000_001}, {}, "update.examples.max"),
        ({"bytes": (16 << 20) + 1}, {}, "update.bytes.max"),
    ],
)
def test_the_default_leaves_out(update: dict[str, int], data: dict[str, int], rule: str) -> None:
    breaches = Policy.parse(DEFAULT_POLICY).evaluate(
        msgspec.structs.replace(UPDATE, **update), msgspec.structs.replace(DATA, **data)
    )
    assert [breach.rule for breach in breaches] == [rule]


def test_every_suggested_rule_of_the_default_can_be_switched_on() -> None:
    lines = [line[2:] if line.startswith(("# [", "# min", "# max")) else line for line in DEFAULT_POLICY.split("\n")]
    switched = Policy.parse("\n".join(lines))
    assert {rule.fact for rule in switched.rules} > {rule.fact for rule in Policy.parse(DEFAULT_POLICY).rules}


def test_the_hash_is_that_of_the_text() -> None:
    assert Policy.parse(DEFAULT_POLICY).hash == sha256(DEFAULT_POLICY.encode()).hexdigest()


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("text", "line", "advice"),
    [
        ("", 1, "begin with: policy = 1"),
        ("# only remarks\n", 1, "begin with: policy = 1"),
        ("policy = 2\n", 1, "write: policy = 1"),
        ("policy = 1\npolicy = 1\n", 2, "write: policy = 1"),
        ("[data.records]\nmin = 1\n", 1, "begin with: policy = 1"),
        ("policy = 1\nmin = 1\n", 2, "write: policy = 1"),
        ("policy = 1\n[data.rows]\nmin = 1\n", 2, "data.records"),
        ("policy = 1\n[data.records]\nmost = 1\n", 3, "use min or max or on_fail"),
        ("policy = 1\n[data.records]\nmin = 1\nmin = 2\n", 4, "keep one"),
        ("policy = 1\n[data.records]\nmin = 1\n[data.records]\nmax = 2\n", 4, "merge"),
        ("policy = 1\n[data.records]\nmin = 3\nmax = 2\n", 4, "min must not be above max"),
        ("policy = 1\n[data.records]\nmax = 2\nmin = 3\n", 4, "min must not be above max"),
        ("policy = 1\n[data.records]\n[data.labels]\nmin = 1\n", 3, "add min or max"),
        ("policy = 1\n[data.records]\n", 3, "add min or max"),
        ("policy = 1\n[data.records]\nmin = 9007199254740992\n", 3, "limit"),
        *(
            (f"policy = 1\n[data.records]\nmin = {number}\n", 3, "whole")
            for number in ("+1", "-1", "01", "1_0", "1.0", "0x1", "true", '"1"', "", "1 2", "[1]", "١")
        ),
        ("policy = 1\r\n", 1, "whole"),
        ("policy = 1 # \x07\n", 1, "whole"),
        ("policy = 1\n[[data.records]]\nmin = 1\n", 2, "whole"),
        ("policy = 1\n[data.records] min = 1\n", 2, "whole"),
        ("policy = 1\ndata.records = { min = 1 }\n", 2, "whole"),
    ],
)
def test_a_wrong_line_is_named_with_advice(text: str, line: int, advice: str) -> None:
    with pytest.raises(LocalError) as caught:
        Policy.parse(text)
    assert caught.value.what == f"line {line} of the policy"
    assert advice in caught.value.next_step
    with pytest.raises(RemoteError):
        Policy.from_blob(text.encode())


def test_a_policy_of_another_is_refused_as_theirs() -> None:
    assert Policy.from_blob(DEFAULT_POLICY.encode()) == Policy.parse(DEFAULT_POLICY)
    for bad in (b"\xff", b"#" * (MAX_POLICY_BYTES + 1), b"policy = 1\x00", b"\xef\xbb\xbfpolicy = 1"):
        with pytest.raises(RemoteError):
            Policy.from_blob(bad)
    with pytest.raises(LocalError, match="not UTF-8"):
        Policy.parse("# \ud800\npolicy = 1")
    with pytest.raises(LocalError, match="too long"):
        Policy.parse("#" * (MAX_POLICY_BYTES + 1))


PIECES = [
    "policy = 1",
    "\n",
    "\n",
    "\n",
    "[data.records]",
    "[update.steps]",
    "[",
    "]",
    "min = 1",
    "max=7",
    " ",
    "\t",
    "# é",
    "=",
    "0",
    "9",
    ".",
    '"',
]
pieces = st.sampled_from(PIECES)


@settings(max_examples=300)
@given(st.lists(pieces, max_size=14).map("".join))
def test_whatever_is_read_here_is_toml_with_the_same_meaning(tail: str) -> None:
    text = "policy = 1\n" + tail
    try:
        rules = Policy.parse(text).rules
    except LocalError:
        return
    meaning = tomllib.loads(text)
    assert meaning.pop("policy") == 1
    assert {
        f"{section}.{fact}.{bound}": limit
        for section, facts in meaning.items()
        for fact, bounds in facts.items()
        for bound, limit in bounds.items()
    } == {f"{rule.fact}.{rule.bound}": rule.limit for rule in rules}


def policy(fact: str, rule: str) -> Policy:
    return Policy.parse(f"policy = 1\n[{fact}]\n{rule}\n")


@pytest.mark.parametrize("line", [" ", "\t ", "# "])
def test_a_policy_of_nothing_but_spaces_is_read_in_no_time(line: str) -> None:
    """A hostile founder writes it, every joiner and auditor reads it: for half a minute, once."""
    text = "policy = 1\n" + line * ((MAX_POLICY_BYTES - 20) // len(line)) + "\x01"
    began = time.process_time()
    with pytest.raises(RemoteError):
        Policy.from_blob(text.replace("\x01", "!" if line[0] != "#" else "\x01").encode())
    assert time.process_time() - began < 1
