"""`gossip ledger lineage` and `without`: what a model is made of, and what leaves with a peer, in lines and JSON.

What counts is `ledger.lineage`'s and `ledger.without`'s business; scores on data that the auditor names are those of
`gossip.training`, the same that a peer shows of itself, where it is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any, Final

import msgspec

from cli import damaged, render
from cli.opened import Opened, require
from cli.plain import plain
from ledger.chain import peer_of
from ledger.entry import GRID_ONE, MODEL_ONE, Data
from ledger.errors import LocalError
from ledger.lineage import CondemnedPart, DataPart, Lineage, Part, condemned_parts, lineage
from ledger.without import Model, Without, model_file, without

BAR: Final = 24  # characters of a whole
COUNTS: Final = ("tp", "fp", "fn")
NOT_NAMED: Final = "(none named)"
OUT: Final = "what a quorum condemns is out of the sum, unless a final snapshot holds it; why is the judges' opinion"
ADDS_UP: Final = "an update counts for every licence that its data name: these may add up to more than 100%"


# ------------------------------------------------------------------ lineage


def of(opened: Opened, snapshot: str | None) -> tuple[Lineage, dict[str, Any]]:
    """The lineage of everything admitted, or of a snapshot; and as JSON facts."""
    require(opened)
    past = opened.past(snapshot)
    terms = opened.terms(past)
    found = replace(lineage(terms, opened.replica.entry), condemned=condemned_in(opened, past, terms))
    names = opened.names()

    def part(item: Part, **more: Any) -> dict[str, Any]:
        return {**more, "updates": item.updates, "weight": item.weight, "share": round(found.share(item), 6)}

    facts = {
        "swarm": opened.replica.swarm,
        "snapshot": "/".join(map(str, opened.find(snapshot))) if snapshot is not None else "",
        "model_hash": opened.report.model_hash if snapshot is None else _claimed(opened, snapshot),
        "updates": found.updates,
        "weight": found.weight,
        "peers": [part(item, peer=item.peer, name=names.get(item.peer, "")) for item in found.peers],
        "data": [part(item, **_data_facts(item, names)) for item in found.data],
        "licences": [part(item, licence=item.licence, data_sets=item.data_sets) for item in found.licences],
        "condemned": [condemned_facts(item, names) for item in found.condemned],
        "findings": damaged.listed(opened.report.findings),
    }
    return found, facts


def show(found: Lineage, facts: Mapping[str, Any]) -> None:
    render.say(f"model   {facts['model_hash'] or '(not replayable)'}")
    render.say(f"sum of  {render.many(found.updates, 'update')}, weight {_weight(found.weight)} in all")
    render.say()
    render.table(
        ("peer", "", "updates", "weight", "share", ""),
        [
            (row["name"] or NOT_NAMED, row["peer"][:8], f"{row['updates']:,}", _weight(row["weight"]),
             _percent(row["share"]), bar(row["share"]))
            for row in facts["peers"]
        ],
        right=(2, 3, 4),
    )  # fmt: skip
    render.say()
    render.table(
        ("data set, as its author says", "updates", "share", "", "records", "judged", "zone", "sources"),
        [
            (f"{row['name'] or NOT_NAMED} {row['log'][:8]}/{row['seq']}", f"{row['updates']:,}", _percent(row["share"]),
             bar(row["share"]), f"{row['records']:,}", f"{sum(row['judged'].values()):,}",
             row["zone"] + (" to few" if row["opens"] else ""), _sources(row["sources"]))
            for row in facts["data"]
        ],
        right=(1, 2, 4, 5),
    )  # fmt: skip
    render.say()
    render.table(
        ("licence, as claimed", "data sets", "updates", "share", ""),
        [
            (plain(row["licence"], 40) or NOT_NAMED, f"{row['data_sets']:,}", f"{row['updates']:,}",
             _percent(row["share"]), bar(row["share"]))
            for row in facts["licences"]
        ],
        right=(1, 2, 3),
    )  # fmt: skip
    render.say(f"({ADDS_UP})")
    if facts["condemned"]:
        render.say()
        render.table(
            ("condemned", "updates", "weight", "still in it", "by", "because of"),
            [
                (f"{row['name'] or NOT_NAMED} {row['log'][:8]}/{row['first']}-{row['last']}", f"{row['updates']:,}",
                 _weight(row["weight"]), f"{row['held']:,}", ", ".join(row["judges"]), ", ".join(row["reasons"]))
                for row in facts["condemned"]
            ],
            right=(1, 2, 3),
        )  # fmt: skip
        render.say(f"({OUT})")


def bar(share: float) -> str:
    """A share as a length: never nothing for something, never the whole for less."""
    eighths = round(share * BAR * 8)
    eighths = max(1, min(eighths, BAR * 8 - 1)) if 0 < share < 1 else eighths
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


# ------------------------------------------------------------------ without


def less(opened: Opened, wanted: str, data: Sequence[Path]) -> tuple[Without, dict[str, Any]]:
    """Fold everything admitted with and without a peer; and as JSON facts. LocalError if a delta is missing."""
    require(opened)
    peer = opened.peer(wanted)
    found = without(opened.fold, opened.terms(opened.past(None)), peer, opened.delta)
    facts: dict[str, Any] = {
        "swarm": opened.replica.swarm,
        "peer": peer,
        "name": opened.names().get(peer, ""),
        "model_hash": found.model.hash,
        "without_hash": found.less.hash,
        "updates": found.whole.updates,
        "updates_leaving": found.leaves.updates,
        "weight": found.whole.weight,
        "weight_leaving": found.leaves.weight,
        "parameters": found.parameters,
        "parameters_changed": found.changed,
        "distance_squared": str(found.distance),  # grid 2^-80; beyond what JSON readers take for an integer
        "travelled_squared": str(found.travelled),
        "change_ppm": found.change_ppm,
        "scores": scores(opened, found, data) if data else {},
        "findings": damaged.listed(opened.report.findings),
    }
    return found, facts


def write_less(opened: Opened, found: Without, out: Path) -> None:
    """The model without the peer, as a file. LocalError if something is there."""
    data = model_file(found, opened.replica.genesis, opened.replica.swarm, opened.past(None))
    try:
        with out.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise LocalError(
            f"cannot write {out}", why=error.strerror or "", next_step="name a file that does not exist yet with --out"
        ) from None


def show_less(facts: Mapping[str, Any]) -> None:
    whole, leaving = facts["weight"], facts["weight_leaving"]
    render.say(f"model    {facts['model_hash']}")
    render.say(f"without  {facts['without_hash']}")
    render.say(f"peer     {facts['name'] or NOT_NAMED} {facts['peer'][:12]}")
    render.say(
        f"leaves   {facts['updates_leaving']:,} of {render.many(facts['updates'], 'update')}, "
        f"weight {_weight(leaving)} of {_weight(whole)} ({_percent(leaving / whole if whole else 0)})"
    )
    moved = sqrt(int(facts["distance_squared"])) / MODEL_ONE
    render.say(
        f"changes  {facts['parameters_changed']:,} of {render.many(facts['parameters'], 'parameter')}; "
        f"the model moves by {moved:.4g}, {_percent(facts['change_ppm'] / 1e6)} of its way from the start"
    )
    if facts["scores"]:
        kinds = [kind for kind in facts["scores"]["with"] if isinstance(facts["scores"]["with"][kind], float)]
        render.say()
        render.table(
            ("", *kinds, "true positives", "false positives", "false negatives"),
            [
                (
                    word,
                    *(render.score(row[kind]) for kind in kinds),
                    f"{row['tp']:,}",
                    f"{row['fp']:,}",
                    f"{row['fn']:,}",
                )
                for word, row in facts["scores"].items()
            ],
            right=range(1, 9),
        )
        render.say(f"({facts['scores']['with']['examples']:,} rows)")
    render.say("The other updates were trained with this peer's work in view and stay as published.")


def scores(opened: Opened, found: Without, files: Sequence[Path]) -> dict[str, Any]:
    """Both models on the rows of these files: what peers call pr_auc and f1, counts, in the declaration's order."""
    try:
        from gossip.merging.arithmetic import NumpyArithmetic
        from gossip.training.dataset import read_judged
        from gossip.training.protocol import Result
        from gossip.training.scoring import score
        from gossip.training.spec import ModelSpec
    except ModuleNotFoundError as error:
        raise LocalError(
            "scores need what a peer trains with", why=f"{error.name} is not installed",
            next_step="install the extra named peer (README.md), or leave --data out",
        ) from None  # fmt: skip
    import numpy as np

    spec = ModelSpec.parse(opened.replica.genesis.model)
    rows = read_judged(spec, files)
    if rows is None or not len(rows):
        raise LocalError("there is no row to score on", why=", ".join(map(str, files)), next_step="name other files")

    def judged(model: Model) -> dict[str, Any]:
        theta = NumpyArithmetic().to_float32(np.frombuffer(model.values, "<i8").astype(np.int64))
        result = Result.of(score(spec, theta, rows))
        counts = {count: getattr(result, count) for count in ("examples", *COUNTS)}
        return {**result.shown(spec.metrics), **counts}

    return {"with": judged(found.model), "without": judged(found.less)}


# ------------------------------------------------------------------ words


def _data_facts(part: DataPart, names: Mapping[str, str]) -> dict[str, Any]:
    data: Data = part.data
    return {
        "log": part.log, "seq": part.seq, "peer": peer_of(part.log), "name": names.get(peer_of(part.log), ""),
        "records": data.records, "labels": data.labels, "judged": data.judgements,
        "duplicates": data.duplicates, "zone": data.zone, "opens": list(data.opens), "features": data.features,
        "sources": [msgspec.to_builtins(source) for source in data.sources],
    }  # fmt: skip


def condemned(opened: Opened) -> list[dict[str, Any]]:
    """What a quorum condemns by everything admitted, as facts."""
    if not opened.replica.has_genesis:
        return []
    past, names = opened.past(None), opened.names()
    if next(opened.replica.condemnations(past), None) is None:
        return []  # (the terms of a long ledger are not listed for nothing)
    return [condemned_facts(item, names) for item in condemned_in(opened, past, opened.terms(past))]


def condemned_in(
    opened: Opened, past: Mapping[str, int], terms: Sequence[tuple[str, int, str, int]]
) -> tuple[CondemnedPart, ...]:
    """What a quorum condemns in a past, why, and by whom."""
    replica = opened.replica
    rules: dict[tuple[str, int], set[str]] = {}  # by peer and seq: on whichever branch
    found = list(replica.condemnations(past))
    for peer in {peer_of(log) for log, *_ in found}:
        for judge, at, judgement in replica.judgements(peer):
            if judgement.decision == "condemned" and at < past.get(judge, 0):
                for seq in judgement.seqs:
                    rules.setdefault((peer, seq), set()).update(reading.rule for reading in judgement.readings)

    def reasons(log: str, seq: int, data: int) -> set[str]:
        return rules.get((peer_of(log), seq), set()) | rules.get((peer_of(log), data), set())

    return condemned_parts(found, terms, replica.entry, reasons)


def condemned_facts(part: CondemnedPart, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "log": part.log, "peer": peer_of(part.log), "name": names.get(peer_of(part.log), ""), "data": part.data,
        "first": part.first, "last": part.last, "updates": part.updates, "weight": part.weight, "held": part.held,
        "judges": [names.get(judge) or judge[:8] for judge in part.judges], "judge_ids": list(part.judges),
        "reasons": [plain(rule, 64) for rule in part.reasons],
    }  # fmt: skip


def _sources(sources: Sequence[Mapping[str, str]]) -> str:
    told = [
        " ".join(filter(None, (plain(source["name"], 30), plain(source["version"], 12), plain(source["licence"], 24))))
        for source in sources[:3]
    ]
    return ", ".join(told) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "") or NOT_NAMED


def _claimed(opened: Opened, snapshot: str) -> str:
    entry = opened.replica.entry(*opened.find(snapshot))
    return str(getattr(entry, "model", ""))


def _weight(weight: int) -> str:
    return f"{weight / GRID_ONE:,.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
