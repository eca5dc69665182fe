"""A second evaluator of policies, written from docs/policy.md alone: plain Python, tomllib, entries as JSON.

    rules, pins = read(text)                       ValueError if no peer would accept it
    rule(rules, facts(update, data))               -> readings, refused, quarantined, permille, outcome
    rule(rules, {"crossed.copied": 1})             the same, of what a receiver measured

It shares nothing with ledger/policy*.py; tests/vectors/policy.json holds what both must say.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

NUMBER, TEXT = "(0|[1-9][0-9]*)", r'"[ !#-\[\]-~]*"'
LINE = re.compile(
    rf"[ \t]*+(\[[a-z0-9_.]{{1,64}}\]|[A-Za-z0-9_-]{{1,64}}[ \t]*=[ \t]*"
    rf"({NUMBER}|{TEXT}|\[[ \t]*({TEXT}[ \t]*(,[ \t]*{TEXT}[ \t]*)*)?\]))?[ \t]*(#.*)?"
)
BOUNDS = {"min", "max"}
COUNTED = """
    data.records data.duplicates_permille data.conflicts_permille data.labels data.commonest_label_permille
    data.labelled_permille data.sources data.unlicensed_sources data.public data.private data.epsilon_milli
    update.bytes update.norm update.steps update.examples update.examples_per_record update.scored update.epsilon_milli
"""
MEASURED = """
    opened.malformed opened.wrong_labels_permille opened.duplicates_permille opened.unanswered crossed.copied
    crossed.cosine_permille crossed.overlap_permille holdout.harm_permille holdout.loss_milli
    canary.harm_permille
"""
ZONES = {"data.public", "data.private"}
FLAGS = ZONES | {"opened.unanswered", "crossed.copied"}
WORDS = {
    **dict.fromkeys((COUNTED + MEASURED).split(), BOUNDS),
    **{name: {"all_in"} for name in ("data.licences", "data.features", "data.suffixes")},
    **{name: {"present"} for name in ("data.privacy", "data.source_versions")},
    "data.source_hashes": {"unique"},
    "opened.records": {"min"},
}


def need(holds: bool) -> None:
    if not holds:
        raise ValueError


def read(text: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    need(len(text.encode()) <= 32768 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text))
    lines = text.split("\n")
    need(all(LINE.fullmatch(line) for line in lines))
    first = next((line for line in lines if line.split("#")[0].strip()), "")
    need(re.fullmatch(r"[ \t]*policy[ \t]*=[ \t]*1[ \t]*(#.*)?", first) is not None)
    document = tomllib.loads(text)  # refuses what stands twice
    sections = re.findall(r"^[ \t]*\[([a-z0-9_.]+)\]", text, re.MULTILINE)  # in the order of the text
    need(
        set(sections) <= {*WORDS, "canary", "labels.ad", "labels.tracker"}
        and len(document) == 1 + len(groups(sections))
    )
    canary = {word: value for word, value in document.get("canary", {}).items() if not isinstance(value, dict)}
    need(set(canary) == ({"sha256"} if "canary" in sections else set()))
    labels = document.get("labels", {})
    need(all(labels.values()))
    pins = {f"{label}.{name}": value for label, names in labels.items() for name, value in names.items()}
    need(len(pins) == len(set(pins.values())))
    pins |= {f"canary.{word}": value for word, value in canary.items()}
    need(all(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in pins.values()))
    need("canary.harm_permille" not in sections or "canary" in sections)
    need("opened.wrong_labels_permille" not in sections or "labels" in document)
    rules = []
    for section in sections:
        if section in WORDS:
            group, name = section.split(".")
            rules += section_rules(section, dict(document[group][name]))
    need(len([one for one in rules if one["fact"] in ZONES and one["word"] == "min" and one["limit"] == 1]) < 2)
    return rules, pins


def groups(sections: list[str]) -> set[str]:
    return {section.split(".")[0] for section in sections}


def section_rules(section: str, lines: dict[str, Any]) -> list[dict[str, Any]]:
    on_fail, permille = lines.pop("on_fail", None), lines.pop("permille", None)
    need(on_fail in (None, "reject", "quarantine", "weight") and (on_fail == "weight") is (permille is not None))
    need(permille is None or (type(permille) is int and 1 <= permille <= 999 and section[:4] in ("data", "upda")))
    need(section != "opened.records" or on_fail is None)
    need(bool(lines) and set(lines) <= WORDS[section])
    rules = []
    for word, value in lines.items():
        if word == "all_in":
            need(isinstance(value, list) and 1 <= len(value) == len(set(value)) <= 64)
        else:
            need(type(value) is int and 0 <= value < 2**53 and (word in BOUNDS or value == 1))
            need(section != "opened.records" or 1 <= value <= 256)
        limit = {"all_in": 0, "unique": 0, "present": 1}.get(word, value)
        rules.append({"fact": section, "word": word, "limit": limit, "words": value if word == "all_in" else []})
        rules[-1] |= {"on_fail": on_fail or "reject", "permille": permille or 1000}
    need(lines.get("min", 0) <= lines.get("max", 2**53))
    need(lines.get("min", 0) <= (1 if section in FLAGS else 1000 if section.endswith("_permille") else 2**53))
    return rules


def facts(update: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Everything that the two entries say, by the name of the fact."""
    rows, counts, sources = data["records"], data["labels"].values(), data["sources"]
    hashes = [source["sha256"] for source in sources if source["sha256"]]
    return {
        "data.records": rows, "data.sources": len(sources), "data.labels": len([n for n in counts if n > 0]),
        "data.duplicates_permille": data["duplicates"] * 1000 // rows if rows else 0,
        "data.conflicts_permille": data["conflicts"] * 1000 // rows if rows else 0,
        "data.commonest_label_permille": max(counts, default=0) * 1000 // rows if rows else 0,
        "data.labelled_permille": sum(counts) * 1000 // rows if rows else 0,
        "data.unlicensed_sources": [source["licence"] for source in sources].count(""),
        "data.licences": [source["licence"] for source in sources],
        "data.features": [data["features"]], "data.suffixes": [data["suffixes"]],
        "data.source_versions": 0 if "" in [source["version"] for source in sources] else 1,
        "data.source_hashes": len(hashes) - len(set(hashes)),
        "data.public": 0 if data["zone"] != "public" or data["opens"] or not data["sketch"] else 1,
        "data.private": ["public", "private"].index(data["zone"]),
        "data.privacy": min(1, data["privacy"]["epsilon"]), "data.epsilon_milli": data["privacy"]["epsilon"],
        "update.bytes": update["bytes"], "update.norm": update["norm"], "update.steps": update["steps"],
        "update.examples": update["examples"], "update.examples_per_record": update["examples"] // (rows or 1),
        "update.scored": update["scores"]["examples"], "update.epsilon_milli": update["epsilon"],
    }  # fmt: skip


def rule(rules: list[dict[str, Any]], known: dict[str, Any]) -> dict[str, Any]:
    """Every rule on a known fact; what is not known is not ruled on."""
    readings, broken = [], []
    for one in rules:
        value = known.get(one["fact"])
        if value is None or one["fact"] == "opened.records":
            continue
        value = len([word for word in value if word not in one["words"]]) if one["word"] == "all_in" else value
        breaks = value < one["limit"] if one["word"] in ("min", "present") else value > one["limit"]
        readings.append([f"{one['fact']}.{one['word']}", value, one["limit"], breaks])
        broken += [one] if breaks else []
    by = {how: [f"{one['fact']}.{one['word']}" for one in broken if one["on_fail"] == how] for how in
          ("reject", "weight", "quarantine")}  # fmt: skip
    return {
        "readings": readings, "refused": by["reject"], "quarantined": by["quarantine"],
        "permille": min([1000, *(one["permille"] for one in broken)]),
        "outcome": next((how for how in ("reject", "weight", "quarantine") if by[how]), "pass"),
    }  # fmt: skip
