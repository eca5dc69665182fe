"""An audit's report as lines and as JSON: the same facts in both. What they mean: docs/audit.md.

Rules kept here: the verdict is the report's, and the last line says it; every finding is one line that names log,
entry, rule and file; what peers wrote is cleaned. It refuses to know how anything was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from cli import exits, render
from cli.plain import name as plain_name
from cli.plain import visible
from ledger.chain import fork_of, peer_of
from ledger.report import Anchors, Finding, LogReport, Report

MAX_SHOWN: Final = 100  # findings in lines; --json and the page have all

NEXT: Final = "Next    name what you know from elsewhere: --swarm ID, --witness KEY, --checkpoint FILE or --model FILE"


def exit_code(report: Report) -> int:
    return {"clean": exits.OK, "findings": exits.FINDINGS}.get(report.verdict, exits.INCONCLUSIVE)


def as_json(report: Report, arithmetic: str) -> dict[str, Any]:
    return {
        "verdict": report.verdict,
        "swarm": report.swarm,
        "entries": report.entries,
        "updates": report.updates,
        "snapshots": report.snapshots,
        "model_hash": report.model_hash,
        "logs": [
            {**asdict(log), "elsewhere": log.elsewhere, "judged": judged(report, log), "state": state(report, log)}
            for log in report.logs
        ],
        "missing": list(report.missing),
        "findings": [asdict(finding) for finding in report.findings],
        "anchored": report.anchored,
        "finals": [asdict(final) for final in report.finals],
        "shown_out": [asdict(out) for out in report.shown_out],
        "cosignatures": [asdict(word) for word in report.words if word.by],
        "stamps": [{"log": word.log, "size": word.size, "before": word.time} for word in report.words if not word.by],
        "witnesses": [asdict(coverage) for coverage in report.coverage],
        "too_large": report.too_large,
        "structure_only": report.structure_only,
        "arithmetic": arithmetic,
    }


def show(report: Report, anchors: Anchors, *, stamps: bool = False) -> None:
    """Everything, for people; the verdict last. `stamps`: whether time stamps were looked at."""
    names = {peer_of(log.peer): log.name for log in report.logs if log.name}
    rows = [
        (_short(log.peer), plain_name(names[peer_of(log.peer)]) if peer_of(log.peer) in names else "",
         f"{log.admitted:,} of {log.size:,}", f"{log.signed:,}",
         f"{log.witnessed:,}" if log.witnessed else render.NONE, f"{log.updates:,}", state(report, log))
        for log in report.logs
    ]  # fmt: skip
    render.table(("log", "peer", "entries", "signed", "witnessed", "updates", ""), rows, right=(2, 3, 4, 5))
    show_findings(report)
    _show_elsewhere(report)
    for out in report.shown_out:
        who, *by = [plain_name(names[one]) if one in names else one[:12] for one in (out.peer, *out.admins)]
        render.say(
            f"out     {who} ({out.peer[:12]}): nothing of its log from entry {out.since:,} on counts, say {listed(by)}"
        )
    for coverage in report.coverage:
        who = f"witness {coverage.key[:12]}"
        render.say(
            f"{who} vouches for {coverage.entries:,} of {render.many(report.entries, 'entry')}, "
            f"the newest at {render.moment(coverage.newest)} by its own clock"
        )
    if stamps:
        _show_stamps(report)
    if report.missing:
        render.say(f"{render.many(len(report.missing), 'blob')} missing: not replayable, so neither right nor wrong")
    if report.finals:
        newest = report.finals[-1]
        render.say(f"final   {render.many(len(report.finals), 'snapshot')}, the last {newest.log[:8]}/{newest.seq}")
    if not report.structure_only:
        render.say(f"model   {report.model_hash or '(not replayable)'}")
    if report.logs:
        render.say(f"swarm   {report.swarm or '(no genesis)'}")
    if report.anchored:
        render.say(f"held against {listed(anchors_named(anchors))}")
    render.say(_verdict(report))
    if report.verdict == "inconclusive" and not report.anchored:
        render.say(NEXT)


def _show_elsewhere(report: Report) -> None:
    """Logs of which more is signed than is here: whoever made the bundle may not have had it, or may hide it."""
    logs = [log for log in report.logs if log.elsewhere]
    for log in logs[:MAX_SHOWN]:
        render.say(f"log {_short(log.peer)}: its author signed {log.signed:,}, {log.size:,} are here")
    if len(logs) > MAX_SHOWN:
        render.say(f"and {len(logs) - MAX_SHOWN:,} more such logs: --json lists them")


def _show_stamps(report: Report) -> None:
    """How much of each log is stamped, and when its newest stamp was made."""
    newest = {word.log: word for word in sorted(report.words, key=lambda word: (word.size, -word.time)) if not word.by}
    for word in newest.values():
        render.say(
            f"stamped log {_short(word.log)}: its first {render.many(word.size, 'entry')} existed before "
            f"{render.moment(word.time)}, by an authority under your root"
        )
    if not newest:
        render.say("stamped nothing: there is no time stamp here that holds")


def show_findings(report: Report) -> None:
    for finding in report.findings[:MAX_SHOWN]:
        render.say(f"FINDING {place(finding)}: {finding.rule}: {visible(finding.detail, 300)}{_in(finding.file)}")
    if len(report.findings) > MAX_SHOWN:
        render.say(f"FINDING and {len(report.findings) - MAX_SHOWN:,} more: --json lists them")


def _in(file: str) -> str:
    return f"  [{visible(file)}]" if file else ""


def place(finding: Finding) -> str:
    """Where something is wrong."""
    if not finding.log:
        return "bundle"
    branch = f" branch at {fork_of(finding.log)}" if fork_of(finding.log) else ""
    return f"log {finding.log[:12]}{branch}" + (f" entry {finding.index}" if finding.index >= 0 else "")


def _short(log: str) -> str:
    return f"{peer_of(log)[:12]}~{fork_of(log)}" if fork_of(log) else log[:12]


def judged(report: Report, log: LogReport) -> int:
    """Entries that were held against every rule."""
    return 0 if report.structure_only else log.admitted


def state(report: Report, log: LogReport) -> str:
    """A log in a word or two. "clean" is said only of what was judged whole, the model included."""
    if log.findings:
        return render.many(log.findings, "finding")
    known = judged(report, log)
    if known < log.size:
        return f"{known:,} of {log.size:,} judged" if known else "not judged"
    ends = [end for end in (log.void_from, log.revoked_from) if end is not None and end < log.size]
    if ends:
        return f"counts up to entry {min(ends):,}"
    return "clean" if report.model_hash else "not replayed"


def what_does_not_hold(report: Report) -> str:
    """The ledger itself, or only its agreement with what the auditor brought."""
    named = all(found.against_anchor for found in report.findings)
    return "this bundle does not match what you named" if named else "this ledger does not hold"


def anchors_named(anchors: Anchors) -> list[str]:
    """What the auditor held the bundle against, in words."""
    told = {
        "swarm": "the swarm's id", "model": "the model's hash", "witnesses": "witnesses",
        "checkpoints": "checkpoints saved earlier", "model_file": "an exported model",
    }  # fmt: skip
    return [words for name, words in told.items() if getattr(anchors, name)]


def listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing of yours"


def _verdict(report: Report) -> str:
    counts = f"{render.many(report.entries, 'entry')}, {render.many(report.snapshots, 'snapshot')} recomputed"
    match report.verdict:
        case "clean":
            longer, unchecked = sum(log.elsewhere > 0 for log in report.logs), report.checks.unchecked
            more = f"; of {render.many(longer, 'log')} more is signed than is here" if longer else ""
            told = f"; {render.many(unchecked, 'judgement')} not checkable here" if unchecked else ""
            opinions = report.checks.struck_by_opinion
            out = f"; {render.many(opinions, 'update')} out of the model on opinions alone" if opinions else ""
            return f"CLEAN  {counts}{more}{told}{out}"
        case "findings":
            return f"FINDINGS  {len(report.findings):,}: {what_does_not_hold(report)}"
        case _ if report.structure_only:
            looked = render.many(report.entries, "entry")
            return f"INCONCLUSIVE: {looked} hang together; what they say was not looked at"
        case _ if not report.anchored:
            return "INCONCLUSIVE: consistent with itself, but you named nothing to hold it against"
        case _ if report.too_large:
            return f"INCONCLUSIVE: the model was not replayed: {visible(report.too_large, 200)}"
        case _ if report.missing or not report.model_hash:
            return "INCONCLUSIVE: what is here holds, but not all is here"
        case _:
            return f"INCONCLUSIVE: {out_unchecked(report)}"


def out_unchecked(report: Report) -> str:
    """What decides the model and could not be looked at."""
    updates = report.checks.struck_unchecked
    return f"{render.many(updates, 'update')} out of the model for reasons that cannot be checked here"
