"""Makes tests/vectors/policy.json, the golden verdict table: `python -m tests.ledger.policy_vectors` writes it anew.

rows       a policy, and two entries or a measurement  ->  every rule with value and limit, and what follows
refused    texts that no peer accepts, each wrong in one way
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.entry import Claim, Data, Scores, Source, Update
from ledger.policies import NAMES, shipped
from ledger.policy import Policy, Ruling
from ledger.policy_facts import FACTS, MAX_OPENED, OF_DATA, OF_UPDATE

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "policy.json"
H: Final = "ab" * 32
LINK: Final[dict[str, Any]] = {"v": 1, "swarm": H, "prev": H, "time": 0, "meets": [], "seen": [], "heads": H}
SOURCE: Final = Source(name="a.jsonl", sha256="11" * 32, licence="MPL-2.0", url="", retrieved="", version="7")
DATA: Final = Data(
    **LINK, seq=1, root=H, records=1000, labels={"ad": 700, "benign": 200, "tracker": 0}, duplicates=100,
    features="url-grams/1", zone="public", conflicts=30, suffixes="2026-08-14",
    sketch=H, sketch_bytes=16400,
    privacy=Claim(epsilon=8000, delta=10**6),
    sources=[SOURCE, msgspec.structs.replace(SOURCE, licence="", sha256=""),
             msgspec.structs.replace(SOURCE, licence="CC0-1.0", name="b.jsonl")],
)  # fmt: skip
UPDATE: Final = Update(
    **LINK, seq=2, delta=H, bytes=1402, codec="gossip-delta/1", view=[], data=1, steps=32, examples=2048,
    scores=Scores(examples=412, tp=96, fp=11, fn=20), norm=18231, weight=29127, epsilon=1500,
)  # fmt: skip

# What UPDATE and DATA say, counted by hand.
NUMBERS: Final = {
    "data.records": 1000,
    "data.duplicates_permille": 100,
    "data.conflicts_permille": 30,
    "data.labels": 2,
    "data.commonest_label_permille": 700,
    "data.labelled_permille": 900,
    "data.sources": 3,
    "data.unlicensed_sources": 1,
    "data.public": 1,
    "data.private": 0,
    "data.epsilon_milli": 8000,
    "update.bytes": 1402,
    "update.steps": 32,
    "update.examples": 2048,
    "update.examples_per_record": 2,
    "update.norm": 18231,
    "update.scored": 412,
    "update.epsilon_milli": 1500,
}
# A value that each measured fact may have.
MEASURED: Final = {
    "opened.malformed": 1,
    "opened.wrong_labels_permille": 118,
    "opened.duplicates_permille": 260,
    "opened.unanswered": 1,
    "crossed.copied": 1,
    "crossed.cosine_permille": 991,
    "crossed.overlap_permille": 940,
    "holdout.harm_permille": 31,
    "holdout.loss_milli": 170,
    "canary.harm_permille": 45,
}
PINS: Final = f"""
[canary]
sha256 = "{"c0" * 32}"
[labels.ad]
easylist = "{"e1" * 32}"
uassets = "{"e2" * 32}"
[labels.tracker]
easyprivacy = "{"e3" * 32}"
"""

# (fact, line that holds, line that does not, value, limit): what is no min or max. Counted by hand.
OTHERS: Final = (
    ("data.licences", 'all_in = ["MPL-2.0", "CC0-1.0", ""]', 'all_in = ["MPL-2.0"]', 2, 0),
    ("data.features", 'all_in = ["numbers/1", "url-grams/1"]', 'all_in = ["numbers/1"]', 1, 0),
    ("data.suffixes", 'all_in = ["2026-08-14"]', 'all_in = ["2025-05-30"]', 1, 0),
    ("data.source_versions", "present = 1", "present = 1", 0, 1),
    ("data.privacy", "present = 1", "present = 1", 0, 1),
    ("data.source_hashes", "unique = 1", "unique = 1", 1, 0),
)
# What to change in DATA so that the second line of the last three does not hold, and the first does.
LACKING: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "data.source_versions": ({}, {"sources": [SOURCE, msgspec.structs.replace(SOURCE, version="")]}),
    "data.privacy": ({}, {"privacy": Claim()}),
    "data.source_hashes": ({"sources": [SOURCE, msgspec.structs.replace(SOURCE, sha256="")]}, {}),
}

# What to change in DATA so that its zone is public, and it is not.
NOT_PUBLIC: Final[dict[str, dict[str, Any]]] = {
    "opened to auditors": {"opens": ["auditor"], "sketch": "", "sketch_bytes": 0},
    "opened to nobody that there is": {"opens": ["00" * 32], "sketch": "", "sketch_bytes": 0},
    "without a sketch": {"sketch": "", "sketch_bytes": 0},
}


FLAGS: Final = ("data.public", "data.private", "opened.unanswered", "crossed.copied")


def _largest(fact: str) -> int:
    """Above it a `min` can never hold."""
    return 1 if fact in FLAGS else 1000 if fact.endswith("_permille") else (1 << 53) - 1


def one(fact: str, *lines: str, pins: bool = True) -> str:
    """A policy of one section, and of the files that it needs."""
    needs = pins and fact in ("opened.wrong_labels_permille", "canary.harm_permille")
    return "\n".join(["policy = 1", f"[{fact}]", *lines, ""]) + (PINS if needs else "")


def spelled(document: Any) -> str:
    parts = []
    for name, value in sorted(document.items()):
        if isinstance(value, list):
            lines = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in value)
            parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value, sort_keys=True)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def document() -> dict[str, Any]:
    return {
        "shipped": {name: shipped(name) for name in NAMES},
        "data": msgspec.to_builtins(DATA),
        "update": msgspec.to_builtins(UPDATE),
        "rows": list(rows()),
        "refused": [{"why": why, "text": text} for why, text in refused()],
    }


def rows() -> Iterator[dict[str, Any]]:
    for fact, value in (NUMBERS | MEASURED).items():
        measured = {fact: value} if fact in MEASURED else None
        for on_fail in ("reject", "quarantine", *([] if fact in MEASURED else ["weight"])):
            outcome = [f'on_fail = "{on_fail}"', *(["permille = 250"] if on_fail == "weight" else [])]
            for word, limits in (("min", (value, value + 1)), ("max", (value, value - 1))):
                for limit in limits:
                    if 0 <= limit <= (_largest(fact) if word == "min" else limit):
                        yield _row(f"{fact}.{word} {on_fail}", one(fact, f"{word} = {limit}", *outcome), measured)
    for fact, holds, breaks, _, _ in OTHERS:
        good, bad = LACKING.get(fact, ({}, {}))
        for on_fail in ("reject", "quarantine", "weight"):
            outcome = [f'on_fail = "{on_fail}"', *(["permille = 1"] if on_fail == "weight" else [])]
            yield _row(f"{fact} holds, {on_fail}", one(fact, holds, *outcome), None, good)
            yield _row(f"{fact} broken, {on_fail}", one(fact, breaks, *outcome), None, bad)
    for fact in ("opened.unanswered", "crossed.copied"):
        yield _row(f"{fact} is 0 where 1 is asked for", one(fact, "min = 1"), {fact: 0})
    for fact in [*NUMBERS, *MEASURED]:
        if fact not in FLAGS:
            yield _row(
                f"{fact} may have any value", one(fact, f"max = {1 << 52}"), {fact: 1} if fact in MEASURED else None
            )
    yield _row("nothing is asked", "policy = 1", None)
    yield _row("nothing is known of an opening", one("opened.malformed", "max = 0"), {"crossed.copied": 1})
    yield _row("how many records are asked for is no bound", one("opened.records", "min = 9"), {"opened.records": 1})
    yield _row("a data set of nothing", "filterlist", None, {"records": 0, "labels": {}, "duplicates": 0})
    for name, changes in NOT_PUBLIC.items():
        yield _row(f"not public: {name}", one("data.public", "min = 1"), None, changes)
        yield _row(f"not public: {name}, nor private", one("data.private", "max = 0"), None, changes)
    worst = (
        'policy = 1\n[data.sources]\nmax = 1\non_fail = "weight"\npermille = 500\n'
        '[data.labels]\nmin = 3\non_fail = "weight"\npermille = 100\n[update.steps]\nmax = 8\non_fail = "quarantine"\n'
    )
    yield _row("the least weight of several", worst, None)
    yield _row("a refusal wins, and all is told", worst + "[update.examples]\nmin = 9000\nmax = 9001\n", None)
    for name in NAMES:
        yield _row(f"the policy {name}", name, None)
        yield _row(f"the policy {name}, measured", name, MEASURED)


def _row(
    name: str, text: str, measured: dict[str, int] | None, changes: dict[str, Any] | None = None
) -> dict[str, Any]:
    policy, data = (
        Policy.parse(shipped(text) if text in NAMES else text),
        msgspec.structs.replace(DATA, **(changes or {})),
    )
    ruling = policy.rule_on(UPDATE, data) if measured is None else policy.judge(measured)
    given = {"measured": measured} if measured is not None else {"data": msgspec.to_builtins(changes or {})}
    return {"name": name, "policy": text, **given, "says": says(ruling)}


def says(ruling: Ruling) -> dict[str, Any]:
    return {
        "readings": [[one.rule.name, one.value, one.rule.limit, one.broken] for one in ruling.readings],
        "refused": [breach.rule for breach in ruling.refused],
        "quarantined": [breach.rule for breach in ruling.quarantined],
        "permille": ruling.permille,
        "outcome": ruling.outcome,
    }


def refused() -> Iterator[tuple[str, str]]:
    big = (1 << 53) - 1
    yield "nothing", ""
    yield "no version", "[data.records]\nmin = 1\n"
    yield "only remarks", "# policy = 1\n"
    yield "another version", "policy = 2\n"
    yield "the version as text", 'policy = "1"\n'
    yield "the version twice", "policy = 1\npolicy = 1\n"
    yield "a rule outside of a section", "policy = 1\nmin = 1\n"
    yield "a version below a section", "[data.records]\npolicy = 1\nmin = 1\n"
    yield "a fact that does not exist", one("data.rows", "min = 1")
    yield "a group without a fact", one("data", "min = 1")
    yield "a section of nothing", one("", "min = 1")
    yield "a section twice", one("data.records", "min = 1", "[data.records]", "max = 9")
    yield "a section without a rule", one("data.records")
    yield "a section with nothing but what follows", one("data.records", 'on_fail = "quarantine"')
    yield "a word that does not exist", one("data.records", "most = 1")
    yield "a word twice", one("data.records", "min = 1", "min = 1")
    yield "more asked for than allowed", one("data.records", "min = 3", "max = 2")
    for fact in [*NUMBERS, *MEASURED]:
        if fact in FLAGS:
            yield f"{fact} above 1", one(fact, "min = 2")
        elif fact.endswith("_permille"):
            yield f"{fact} above 1000", one(fact, "min = 1001")
    yield (
        "more of a share than there is, in an order of its own",
        one("data.duplicates_permille", "max = 5000", "min = 1001"),
    )
    yield "public and private", one("data.public", "min = 1", "[data.private]", "min = 1")
    yield (
        "private and public",
        one("data.private", "max = 1", "min = 1", "[data.public]", "min = 1", 'on_fail = "quarantine"'),
    )
    yield "a number beyond 2^53 - 1", one("data.records", f"min = {big + 1}")
    yield "a number of twenty digits", one("data.records", "min = 99999999999999999999")
    for spelling in ("+1", "-1", "01", "1_0", "1.0", "1e3", "0x1", "true", '"1"', "'1'", "", "1 2", "[1]", "{}", "١"):
        yield f"a number spelled {spelling}", one("data.records", f"min = {spelling}")
    for fact, fitting in FACTS.items():
        for word, line in (
            ("min", "min = 1"), ("max", "max = 1"), ("present", "present = 1"), ("unique", "unique = 1"),
            ("all_in", 'all_in = ["a"]'),
        ):  # fmt: skip
            if word not in fitting.words:
                yield f"{word} of {fact}", one(fact, line)
    yield "an empty list", one("data.licences", "all_in = []")
    yield "a list of numbers", one("data.licences", "all_in = [1]")
    yield "a list with a comma at its end", one("data.licences", 'all_in = ["a",]')
    yield "a list that names a text twice", one("data.licences", 'all_in = ["a", "a"]')
    yield "a list over two lines", one("data.licences", 'all_in = ["a",\n"b"]')
    yield "a list of 65", one("data.licences", "all_in = [" + ", ".join(f'"{n}"' for n in range(65)) + "]")
    yield "a text where a list belongs", one("data.licences", 'all_in = "a"')
    yield "a text in single quotation marks", one("data.licences", "all_in = ['a']")
    yield "a text with an escape", one("data.licences", 'all_in = ["\\u0061"]')
    yield "a text beyond ASCII", one("data.licences", 'all_in = ["é"]')
    yield "present = 0", one("data.privacy", "present = 0")
    yield "unique = 2", one("data.source_hashes", "unique = 2")
    yield "another outcome", one("data.records", "min = 1", 'on_fail = "ban"')
    yield "an outcome as number", one("data.records", "min = 1", "on_fail = 1")
    yield "an outcome twice", one("data.records", "min = 1", 'on_fail = "reject"', 'on_fail = "reject"')
    yield "weight without permille", one("data.records", "min = 1", 'on_fail = "weight"')
    yield "permille without weight", one("data.records", "min = 1", "permille = 500")
    for permille in ("0", "1000", '"500"'):
        yield f"permille = {permille}", one("data.records", "min = 1", 'on_fail = "weight"', f"permille = {permille}")
    for fact in MEASURED:
        yield f"weight for {fact}", one(fact, "max = 1", 'on_fail = "weight"', "permille = 500")
    yield "no records asked for", one("opened.records", "min = 0")
    yield "too many records asked for", one("opened.records", f"min = {MAX_OPENED + 1}")
    yield "an outcome of what is only asked for", one("opened.records", "min = 59", 'on_fail = "quarantine"')
    yield "labels compared with no list", one("opened.wrong_labels_permille", "max = 50", pins=False)
    yield "a canary without its file", one("canary.harm_permille", "max = 50", pins=False)
    yield "a canary by another word", f'policy = 1\n[canary]\nmd5 = "{H}"\n'
    yield "a canary by a short hash", f'policy = 1\n[canary]\nsha256 = "{H[2:]}"\n'
    yield "a canary by a hash in capitals", f'policy = 1\n[canary]\nsha256 = "{H.upper()}"\n'
    yield "a canary without hash", "policy = 1\n[canary]\n"
    yield "a canary as number", "policy = 1\n[canary]\nsha256 = 1\n"
    yield "a list of benign", f'policy = 1\n[labels.benign]\na = "{H}"\n'
    yield "labels without a label", f'policy = 1\n[labels]\na = "{H}"\n'
    yield "a label without a list", "policy = 1\n[labels.ad]\n[data.records]\nmin = 1\n"
    yield "a list named twice", f'policy = 1\n[labels.ad]\na = "{H}"\na = "{"cd" * 32}"\n'
    yield "one file as two lists", f'policy = 1\n[labels.ad]\na = "{H}"\n[labels.tracker]\nb = "{H}"\n'
    yield "a name with a dot", f'policy = 1\n[labels.ad]\na.txt = "{H}"\n'
    yield "a name between quotation marks", f'policy = 1\n[labels.ad]\n"a" = "{H}"\n'
    yield "Windows line ends", "policy = 1\r\n"
    yield "a control character in a remark", "policy = 1 # \x07\n"
    yield "a byte order mark", "\ufeffpolicy = 1\n"
    yield "an array of sections", "policy = 1\n[[data.records]]\nmin = 1\n"
    yield "a section and a rule on one line", "policy = 1\n[data.records] min = 1\n"
    yield "a section with spaces", "policy = 1\n[ data.records ]\nmin = 1\n"
    yield "an inline table", "policy = 1\ndata.records = { min = 1 }\n"
    yield "a dotted word", "policy = 1\n[data.records]\nx.min = 1\n"


def every_fact() -> set[str]:
    """Facts that a row rules on, and the one that is a request."""
    return set(NUMBERS) | set(MEASURED) | {fact for fact, *_ in OTHERS} | {"opened.records"}


assert every_fact() == set(FACTS)
assert set(NUMBERS) | {fact for fact, *_ in OTHERS} == set(OF_DATA) | set(OF_UPDATE)


if __name__ == "__main__":
    FILE.write_text(spelled(document()), encoding="ascii")
