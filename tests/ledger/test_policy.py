"""The policy: each rule alone, the shipped ones in their comments' words, and every way to write one wrongly."""

from __future__ import annotations

import json
import re
import time
import tomllib
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LocalError, RemoteError
from ledger.policies import NAMES, shipped
from ledger.policy import DEFAULT_POLICY, MAX_POLICY_BYTES, Breach, Policy, Ruling
from ledger.policy_facts import FACTS, OF_DATA, OF_UPDATE
from ledger.policy_words import say_breach, say_outcome, say_rule
from tests import plain_policy
from tests.ledger import policy_vectors as vectors
from tests.ledger.policy_vectors import DATA, FILE, LACKING, MEASURED, NUMBERS, OTHERS, UPDATE, one

GOLDEN: dict[str, Any] = json.loads(FILE.read_text(encoding="ascii"))


def ruling(text: str, fact: str, changes: dict[str, Any] | None = None) -> Ruling:
    """What a policy says of UPDATE on DATA, or of the measurement in MEASURED."""
    policy = Policy.parse(text)
    if fact in MEASURED:
        return policy.judge(MEASURED)
    return policy.rule_on(UPDATE, msgspec.structs.replace(DATA, **(changes or {})))


# ------------------------------------------------------------------ each rule alone


@pytest.mark.parametrize("fact", [*NUMBERS, *MEASURED])
def test_each_rule_alone_holds_at_its_limit_and_breaks_one_beyond(fact: str) -> None:
    value = (NUMBERS | MEASURED)[fact]
    assert ruling(one(fact, f"min = {value}"), fact).refused == ()
    assert ruling(one(fact, f"max = {value}"), fact).refused == ()
    if FACTS[fact].largest is None or value < FACTS[fact].largest:
        assert ruling(one(fact, f"min = {value + 1}"), fact).refused == (Breach(f"{fact}.min", value, value + 1),)
    if value:
        assert ruling(one(fact, f"max = {value - 1}"), fact).refused == (Breach(f"{fact}.max", value, value - 1),)


@pytest.mark.parametrize(("fact", "holds", "breaks", "value", "limit"), OTHERS)
def test_lists_presence_and_repeats_hold_and_break(fact: str, holds: str, breaks: str, value: int, limit: int) -> None:
    good, bad = LACKING.get(fact, ({}, {}))
    word = holds.split()[0]
    assert ruling(one(fact, holds), fact, good).refused == ()
    assert ruling(one(fact, breaks), fact, bad).refused == (Breach(f"{fact}.{word}", value, limit),)


@pytest.mark.parametrize("fact", [*NUMBERS, *(fact for fact, *_ in OTHERS)])
def test_a_rule_on_entries_may_refuse_show_or_weigh(fact: str) -> None:
    line, bad = next(((row[2], LACKING.get(fact, ({}, {}))[1]) for row in OTHERS if row[0] == fact), ("", {}))
    line = line or (f"max = {NUMBERS[fact] - 1}" if NUMBERS[fact] else "min = 1")
    said = {
        how: ruling(one(fact, line, *more), fact, bad)
        for how, more in {
            "": [],
            "reject": ['on_fail = "reject"'],
            "quarantine": ['on_fail = "quarantine"'],
            "weight": ['on_fail = "weight"', "permille = 250"],
        }.items()
    }
    assert said[""] == said["reject"]
    told = [(how, bool(one.refused), bool(one.quarantined), one.permille, one.outcome) for how, one in said.items()]
    assert told[1:] == [
        ("reject", True, False, 1000, "reject"),
        ("quarantine", False, True, 1000, "quarantine"),
        ("weight", False, False, 250, "weight"),
    ]


@pytest.mark.parametrize("fact", MEASURED)
def test_a_rule_on_what_was_measured_may_refuse_or_show_and_never_weighs(fact: str) -> None:
    line = f"max = {MEASURED[fact] - 1}"
    assert ruling(one(fact, line), fact).outcome == "reject"
    assert ruling(one(fact, line, 'on_fail = "quarantine"'), fact).outcome == "quarantine"
    with pytest.raises(LocalError, match="a published weight never changes"):
        Policy.parse(one(fact, line, 'on_fail = "weight"', "permille = 500"))


def test_entries_answer_no_measured_rule_and_measurements_no_other() -> None:
    text = "".join(one(fact, "min = 1").removeprefix("policy = 1\n") for fact in ("data.records", "crossed.copied"))
    policy = Policy.parse("policy = 1\n" + text)
    assert [one.rule.name for one in policy.rule_on(UPDATE, DATA).readings] == ["data.records.min"]
    measured = {"crossed.copied": 0, "data.records": 0, "holdout.harm_permille": 9}
    assert policy.judge(measured).refused == (Breach("crossed.copied.min", 0, 1),)
    assert policy.judge({}).readings == ()


def test_a_data_set_alone_is_ruled_on_by_what_it_says() -> None:
    policy = Policy.parse("policy = 1\n[update.steps]\nmin = 99\n[data.records]\nmin = 5000\n[data.labels]\nmin = 1\n")
    assert [(one.rule.name, one.broken) for one in policy.rule_on_data(DATA).readings] == [
        ("data.records.min", True),
        ("data.labels.min", False),
    ]


def test_a_data_set_of_nothing_has_no_duplicates() -> None:
    empty = msgspec.structs.replace(DATA, records=0, duplicates=0, labels={}, sources=[])
    for fact in ("data.duplicates_permille", "data.conflicts_permille", "data.commonest_label_permille"):
        assert Policy.parse(one(fact, "max = 0")).evaluate(UPDATE, msgspec.structs.replace(empty, conflicts=0)) == ()
    assert Policy.parse(one("data.records", "min = 1")).evaluate(UPDATE, empty) == (Breach("data.records.min", 0, 1),)
    assert Policy.parse(one("data.licences", 'all_in = ["x"]')).evaluate(UPDATE, empty) == ()


# ------------------------------------------------------------------ all of them together


def test_every_breach_is_reported_not_only_the_first() -> None:
    text = "policy = 1\n[update.steps]\nmin = 100\n[data.records]\nmin = 5000\nmax = 9000\n"
    breaches = Policy.parse(text).evaluate(UPDATE, DATA)
    assert breaches == (Breach("update.steps.min", 32, 100), Breach("data.records.min", 1000, 5000))


@st.composite
def section(draw: st.DrawFn, fact: str) -> str:
    lines = []
    largest = 0 if fact == "data.private" else FACTS[fact].largest  # (beside data.public, which may be asked for)
    least = draw(st.none() | st.integers(0, 3000 if largest is None else largest))
    most = draw(st.integers(least or 0, 3000) if least is None else st.none() | st.integers(least, 3000))
    lines += [f"{word} = {bound}" for word, bound in (("min", least), ("max", most)) if bound is not None]
    match draw(st.sampled_from(["", "reject", "quarantine", "weight"] if fact in NUMBERS else ["", "quarantine"])):
        case "":
            pass
        case "weight":
            lines += [f"permille = {draw(st.integers(1, 999))}", 'on_fail = "weight"']
        case how:
            lines.append(f'on_fail = "{how}"')
    return "\n".join([f"[{fact}]", *draw(st.permutations(lines)), ""])


@st.composite
def policies(draw: st.DrawFn) -> str:
    facts = draw(st.lists(st.sampled_from([*NUMBERS, *MEASURED]), unique=True, max_size=8))
    return "policy = 1\n" + vectors.PINS + "".join(draw(section(fact)) for fact in facts)


@settings(max_examples=150, deadline=None)
@given(policies())
def test_all_rules_are_evaluated_the_worst_outcome_wins_and_a_second_reader_says_the_same(text: str) -> None:
    policy = Policy.parse(text)
    rules, _ = plain_policy.read(text)
    for said, known in (
        (policy.rule_on(UPDATE, DATA), plain_policy.facts(GOLDEN["update"], GOLDEN["data"])),
        (policy.judge(MEASURED), MEASURED),
    ):
        asked = [rule for rule in policy.rules if rule.fact in known]
        assert [one.rule for one in said.readings] == asked
        broken = {one.rule.on_fail for one in said.readings if one.broken}
        assert said.outcome == next((how for how in ("reject", "weight", "quarantine") if how in broken), "pass")
        kept = [one.rule.permille for one in said.readings if one.broken and one.rule.on_fail == "weight"]
        assert said.permille == min(kept, default=1000)
        assert bool(said.refused) is ("reject" in broken)
        assert vectors.says(said) == plain_policy.rule(rules, known)


@settings(max_examples=100, deadline=None)
@given(policies(), st.sampled_from([*NUMBERS]), st.integers(0, 3000))
def test_one_more_rule_never_makes_an_outcome_better(text: str, fact: str, limit: int) -> None:
    worse = ("pass", "quarantine", "weight", "reject")
    before = Policy.parse(text).rule_on(UPDATE, DATA)
    if f"[{fact}]" in text:
        return
    after = Policy.parse(text + f"[{fact}]\nmax = {limit}\n").rule_on(UPDATE, DATA)
    assert worse.index(after.outcome) >= worse.index(before.outcome)
    assert set(before.refused) <= set(after.refused)


# ------------------------------------------------------------------ the golden table


def test_the_golden_table_is_what_this_program_writes() -> None:
    advice = "run `python -m tests.ledger.policy_vectors` and look at the change"
    assert FILE.read_text(encoding="ascii") == vectors.spelled(vectors.document()), advice


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["name"])
def test_both_evaluators_say_what_the_golden_table_says(row: dict[str, Any]) -> None:
    text = GOLDEN["shipped"].get(row["policy"], row["policy"])
    rules, _ = plain_policy.read(text)
    data = GOLDEN["data"] | row.get("data", {})
    known = row["measured"] if "measured" in row else plain_policy.facts(GOLDEN["update"], data)
    assert plain_policy.rule(rules, known) == row["says"]
    policy = Policy.parse(text)
    if "measured" in row:
        assert vectors.says(policy.judge(row["measured"])) == row["says"]
    else:
        card = msgspec.convert(data, type(DATA))
        assert vectors.says(policy.rule_on(UPDATE, card)) == row["says"]


def test_the_golden_table_breaks_every_rule_that_can_be_broken() -> None:
    broken = {name for row in GOLDEN["rows"] for name, _, _, breaks in row["says"]["readings"] if breaks}
    assert broken >= {f"{fact}.{word}" for fact in FACTS for word in FACTS[fact].words} - {
        "opened.records.min",  # a request
        "data.private.max",  # the data set of the table is public
    }


@pytest.mark.parametrize("case", GOLDEN["refused"], ids=lambda case: case["why"])
def test_a_wrong_text_is_refused_by_both_and_told_in_one_line(case: dict[str, Any]) -> None:
    with pytest.raises(LocalError) as caught:
        Policy.parse(case["text"])
    assert re.fullmatch(r"line [1-9][0-9]* of the policy", caught.value.what)
    assert caught.value.why
    assert caught.value.next_step
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError):
        plain_policy.read(case["text"])


# ------------------------------------------------------------------ what it names


def test_what_is_asked_for_and_pinned() -> None:
    plain = Policy.parse("policy = 1\n")
    assert (plain.opened_records, plain.canary, plain.lists) == (59, "", ())
    assert not any(plain.asks(group) for group in ("opened", "crossed", "holdout", "canary"))
    asking = Policy.parse(one("opened.records", "min = 200") + vectors.PINS + "[crossed.copied]\nmax = 0\n")
    assert asking.opened_records == 200
    assert [asking.asks(group) for group in ("opened", "crossed", "holdout", "canary")] == [True, True, False, False]
    assert asking.canary == "c0" * 32
    assert asking.lists == (
        ("easylist", "ad", "e1" * 32),
        ("uassets", "ad", "e2" * 32),
        ("easyprivacy", "tracker", "e3" * 32),
    )


def test_the_hash_is_that_of_the_text() -> None:
    assert Policy.parse(DEFAULT_POLICY).hash == sha256(DEFAULT_POLICY.encode()).hexdigest()


# ------------------------------------------------------------------ the shipped ones


def test_the_default_welcomes_ordinary_peers_and_tiny_tests() -> None:
    default = Policy.parse(DEFAULT_POLICY)
    for records in (1, 10, 1000, 10_000):
        data = msgspec.structs.replace(
            DATA, records=records, duplicates=records // 2, conflicts=records // 50, labels={"ad": records}
        )
        assert default.rule_on(UPDATE, data).outcome == "pass"


@pytest.mark.parametrize(
    ("update", "data", "rule"),
    [
        ({}, {"records": 0, "duplicates": 0, "conflicts": 0}, "data.records.min"),
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


@pytest.mark.parametrize(
    ("fact", "value", "outcome"),
    [
        ("opened.malformed", 0, "pass"), ("opened.malformed", 1, "reject"),
        ("opened.duplicates_permille", 250, "pass"), ("opened.duplicates_permille", 251, "reject"),
        ("opened.unanswered", 1, "quarantine"),
        ("crossed.copied", 1, "reject"),
        ("crossed.cosine_permille", 900, "pass"), ("crossed.cosine_permille", 901, "quarantine"),
        ("crossed.overlap_permille", 900, "pass"), ("crossed.overlap_permille", 901, "quarantine"),
        ("holdout.harm_permille", 50, "pass"), ("holdout.harm_permille", 51, "quarantine"),
    ],
)  # fmt: skip
def test_the_default_judges_what_was_measured(fact: str, value: int, outcome: str) -> None:
    assert Policy.parse(DEFAULT_POLICY).judge({fact: value}).outcome == outcome


def test_the_default_asks_for_as_many_records_as_show_one_bad_in_twenty_with_95_percent() -> None:
    count = Policy.parse(DEFAULT_POLICY).opened_records
    assert 0.95**count <= 0.05 < 0.95 ** (count - 1)


def test_the_strict_one_wants_public_data_with_sources() -> None:
    strict = Policy.parse(shipped("public-lists"))
    fair = msgspec.structs.replace(DATA, sources=DATA.sources[:1], conflicts=20)
    assert strict.rule_on(UPDATE, fair).outcome == "pass"
    for changes, rule in (
        ({"zone": "private"}, "data.public.min"),
        ({"records": 499, "labels": {"ad": 400, "benign": 99}, "conflicts": 0}, "data.records.min"),
        ({"sources": []}, "data.sources.min"),
        ({"sources": [msgspec.structs.replace(fair.sources[0], licence="")]}, "data.licences.all_in"),
        ({"sources": [msgspec.structs.replace(fair.sources[0], version="")]}, "data.source_versions.present"),
        ({"sources": fair.sources * 2}, "data.source_hashes.unique"),
        ({"labels": {"ad": 1000}}, "data.labels.min"),
    ):
        breaches = strict.evaluate(UPDATE, msgspec.structs.replace(fair, **changes))
        assert rule in [breach.rule for breach in breaches]
    assert strict.judge({"opened.unanswered": 1}).outcome == "reject"


def test_the_open_one_has_no_rule() -> None:
    assert Policy.parse(shipped("open")).rules == ()
    with pytest.raises(LocalError, match="no policy is called 'closed'"):
        shipped("closed")


@pytest.mark.parametrize("name", NAMES)
def test_every_suggested_rule_of_a_shipped_policy_can_be_switched_on(name: str) -> None:
    text = shipped(name)
    lines = [re.sub(r"^# (?=\[[a-z_.]+\]$|[a-z0-9_]+ = \S+)", "", line) for line in text.split("\n")]
    switched = Policy.parse("\n".join(lines))
    assert len(switched.rules) >= len(Policy.parse(text).rules)
    if name == "filterlist":
        assert {"data.labels", "data.licences", "update.scored", "opened.wrong_labels_permille"} < {
            rule.fact for rule in switched.rules
        }
        assert switched.canary
        assert len(switched.lists) == 2


@pytest.mark.parametrize("name", NAMES)
def test_what_a_shipped_policy_explains_fits_a_page_of_plain_text(name: str) -> None:
    text = shipped(name)
    assert max(map(len, text.split("\n"))) <= 120 + 10
    assert text.isascii()
    assert text.endswith("\n")


# ------------------------------------------------------------------ in words


@pytest.mark.parametrize("fact", FACTS)
def test_every_rule_can_be_said_in_words(fact: str) -> None:
    for word in FACTS[fact].words:
        line = 'all_in = ["MPL-2.0", ""]' if word == "all_in" else f"{word} = 1"
        (rule,) = Policy.parse(one(fact, line)).rules
        said = [say_rule(rule), *say_outcome(rule), say_breach(Breach(rule.name, 2, rule.limit))]
        assert all(said)
        assert not any(part in "".join(said) for part in (fact, "permille", "\n"))


def test_words_for_people() -> None:
    (rule,) = Policy.parse(one("data.duplicates_permille", "max = 900", 'on_fail = "weight"', "permille = 505")).rules
    assert say_rule(rule) == "at most 90% of its rows are exact copies of another"
    assert say_outcome(rule) == ("counts 50.5%", "the update counts 50.5% of its weight")
    assert say_breach(Breach(rule.name, 912, 900)) == (
        "91.2% of its rows are exact copies of another (allowed: at most 90%)"
    )
    assert say_breach(Breach("data.records.min", 1, 200)) == "1 row in the data set (allowed: at least 200)"
    assert say_breach(Breach("opened.unanswered.max", 1, 0)).startswith("1 unanswered request to show records ")
    (rule,) = Policy.parse(one("update.steps", "max = 1")).rules
    assert say_rule(rule) == "at most 1 optimiser step"
    assert say_breach(Breach("opened.invalid", 1, 0)) == "opened.invalid is 1, the limit 0"


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("text", "line", "advice"),
    [
        ("", 1, "begin with: policy = 1"),
        ("policy = 2\n", 1, "write: policy = 1"),
        ("policy = 1\npolicy = 1\n", 2, "write: policy = 1"),
        ("[data.records]\nmin = 1\n", 1, "begin with: policy = 1"),
        ("policy = 1\n[data.rows]\nmin = 1\n", 2, "data.records"),
        ("policy = 1\n[data.records]\nmost = 1\n", 3, "use min or max or on_fail"),
        ("policy = 1\n[data.records]\nmin = 1\nmin = 2\n", 4, "keep one"),
        ("policy = 1\n[data.records]\nmin = 1\n[data.records]\nmax = 2\n", 4, "merge"),
        ("policy = 1\n[data.records]\nmin = 3\nmax = 2\n", 4, "min must not be above max"),
        ("policy = 1\n[data.records]\nmax = 2\nmin = 3\n", 4, "min must not be above max"),
        ("policy = 1\n[data.duplicates_permille]\nmin = 5000\n", 3, "it is at most 1,000: ask for no more"),
        ("policy = 1\n[data.public]\nmax = 9\nmin = 2\n", 4, "it is at most 1: ask for no more"),
        ("policy = 1\n[data.public]\nmin = 1\n[data.private]\nmin = 1\n", 4, "keep one of data.public and data.priv"),
        ("policy = 1\n[data.records]\n[data.labels]\nmin = 1\n", 3, "add min or max"),
        ("policy = 1\n[data.records]\nmin = 9007199254740992\n", 3, "the limit is 9007199254740991"),
        ("policy = 1\n[data.records]\nmin = " + "9" * 5000 + "\n", 3, "the limit is 9007199254740991"),
        ("policy = 1\n[data.licences]\nmin = 1\n", 3, "use all_in"),
        ("policy = 1\n[data.records]\nmin = 1.0\n", 3, "whole"),
        ("policy = 1\r\n", 1, "tr -d '\\r'"),
        ("\ufeffpolicy = 1\n", 1, "without a byte order mark"),
        ('policy = 1\n[crossed.copied]\non_fail = "weight"\nmax = 1\n', 3, '"quarantine" or "reject"'),
        ('policy = 1\n[data.records]\nmax = 1\non_fail = "weight"\n', 4, "permille = 500"),
        ("policy = 1\n[opened.records]\nmin = 257\n", 3, "1 to 256"),
        ("policy = 1\n[canary.harm_permille]\nmax = 1\n", 2, "sha256"),
        ("policy = 1\n[opened.wrong_labels_permille]\nmax = 1\n", 2, "labels.ad"),
    ],
)
def test_a_wrong_line_is_named_with_advice(text: str, line: int, advice: str) -> None:
    with pytest.raises(LocalError) as caught:
        Policy.parse(text)
    assert caught.value.what == f"line {line} of the policy"
    assert advice in caught.value.next_step
    with pytest.raises(RemoteError):
        Policy.from_blob(text.encode())


def test_the_largest_limit_is_held_exactly() -> None:
    (rule,) = Policy.parse(one("update.norm", "max = 9007199254740991")).rules
    assert rule.limit == (1 << 53) - 1
    assert not rule.broken_by(rule.limit)
    assert rule.broken_by(rule.limit + 1)


def test_a_policy_of_another_is_refused_as_theirs() -> None:
    assert Policy.from_blob(DEFAULT_POLICY.encode()) == Policy.parse(DEFAULT_POLICY)
    for bad in (b"\xff", b"#" * (MAX_POLICY_BYTES + 1), b"policy = 1\x00", b"\xef\xbb\xbfpolicy = 1"):
        with pytest.raises(RemoteError):
            Policy.from_blob(bad)
    with pytest.raises(LocalError, match="not UTF-8"):
        Policy.parse("# \ud800\npolicy = 1")
    full = "policy = 1\n" + "#" * (MAX_POLICY_BYTES - 11)
    assert Policy.parse(full).rules == ()
    with pytest.raises(LocalError, match="too long"):
        Policy.parse(full + "#")
    with pytest.raises(ValueError):
        plain_policy.read(full + "#")


PIECES = [
    "policy = 1",
    "\n",
    "\n",
    "\n",
    "[data.records]",
    "[update.steps]",
    "[data.licences]",
    "[canary]",
    "[labels.ad]",
    "[canary.harm_permille]",
    f'sha256 = "{"ab" * 32}"',
    'all_in = ["a", "b#"]',
    'on_fail = "weight"',
    "permille = 500",
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
    ",",
    "\\",
]
pieces = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=400, deadline=None)
@given(pieces)
def test_whatever_is_read_here_is_toml_with_the_same_meaning(tail: str) -> None:
    text = "policy = 1\n" + tail
    try:
        policy = Policy.parse(text)
    except LocalError:
        with pytest.raises(ValueError):
            plain_policy.read(text)
        return
    assert tomllib.loads(text)["policy"] == 1
    rules, pins = plain_policy.read(text)
    assert [
        (rule.fact, rule.word, rule.limit, list(rule.words), rule.on_fail, rule.permille) for rule in policy.rules
    ] == [
        (rule["fact"], rule["word"], rule["limit"], rule["words"], rule["on_fail"], rule["permille"]) for rule in rules
    ]
    found = {f"{label}.{name}": pinned for name, label, pinned in policy.lists}
    assert pins == found | ({"canary.sha256": policy.canary} if policy.canary else {})


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), pieces, st.tuples(pieces, st.text(max_size=5)).map("policy = 1\n".join)))
def test_any_text_is_a_policy_or_one_line_of_what_why_and_next(text: str) -> None:
    try:
        policy = Policy.parse(text)
    except LocalError as error:
        wrong = error
    else:
        assert policy.rule_on(UPDATE, DATA).outcome in ("pass", "quarantine", "weight", "reject")
        return
    assert wrong.what
    assert wrong.why
    assert wrong.next_step
    assert "\n" not in str(wrong)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_the_fault_of_who_sent_them(data: bytes) -> None:
    for blob in (data, b"policy = 1\n" + data):
        try:
            assert Policy.from_blob(blob).text.encode() == blob
        except RemoteError as error:
            told = str(error)
        else:
            continue
        assert told
        assert "\n" not in told


@pytest.mark.parametrize("line", [" ", "\t ", "# ", '"', 'a = [""', "[", "a = " + "1" * 99, '"a", '])
def test_a_hostile_policy_is_read_in_no_time(line: str) -> None:
    """A hostile founder writes it, every joiner and auditor reads it: for half a minute, once."""
    for text in ("policy = 1\n" + line * ((MAX_POLICY_BYTES - 40) // len(line)) + "\x01",
                 "policy = 1\na = [" + line * ((MAX_POLICY_BYTES - 40) // len(line)) + "!"):  # fmt: skip
        began = time.process_time()
        with pytest.raises(RemoteError):
            Policy.from_blob(text.replace("\x01", "!" if line[0] != "#" else "\x01").encode())
        assert time.process_time() - began < 1


def test_the_vocabulary_is_covered_by_functions_and_by_the_table() -> None:
    """Every fact is either read from entries or measured, and the golden table knows all of them."""
    assert set(OF_DATA) | set(OF_UPDATE) == {fact for fact, about in FACTS.items() if about.strength in ("S", "R")}
    assert vectors.every_fact() == set(FACTS)
