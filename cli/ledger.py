"""`gossip ledger`: read, export, verify and replay what the peers published.

For an auditor: it loads neither jax nor any network code, and numpy only where it is installed and only to
replay faster. Where a command reads "SOURCE" it takes a bundle, a peer's directory or a swarm's name. What
verifying means is `ledger.audit`'s business; here the report becomes lines, JSON and an exit code.
"""

from __future__ import annotations

import shlex
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import anchoring, exits, pruning, render, settings
from cli.group import Gossip
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.causal import Line

app = typer.Typer(cls=Gossip, help="Read, export, verify and replay the ledger.")
app.add_typer(anchoring.app, name="anchor")
app.command()(pruning.prune)

Source = Annotated[str | None, typer.Argument(metavar="SOURCE", help="A bundle, a peer's directory or a swarm's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="What gossip ledger bundle made: a folder, .zip or .tar.gz.")
]
SwarmAnchor = Annotated[
    str | None, typer.Option("--swarm", metavar="ID", help="The swarm's id, as you know it from elsewhere.")
]
ModelAnchor = Annotated[
    str | None, typer.Option("--model-hash", metavar="HASH", help="The model's hash, as you know it from elsewhere.")
]

Parameters = Annotated[
    int | None, typer.Option("--parameters", metavar="N", help="Most that a model may have here. 64 million.")
]


@app.command()
def log(
    source: Source = None,
    peer: Annotated[
        str | None, typer.Option("--peer", metavar="PEER", help="Only this peer: its name or first digits of its id.")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", metavar="N", min=0, help="Only so many, the newest. 0 for all.")
    ] = 20,
    json: Json = False,
) -> None:
    """List entries, newest last: what an entry cites comes before it, ties by claimed time."""
    from cli import damaged, entries, marks, sources
    from cli.causal import in_causal_order
    from ledger.chain import fork_of

    with damaged.reading(source, json=json), sources.opened(source) as found:
        names = found.names()
        wanted = set(entries.logs_of(found, peer)) if peer is not None else set(found.logs)
        total, moved = 0, False
        shown: deque[Line] = deque(maxlen=last or None)
        for line in in_causal_order(found.logs):
            moved = moved or marks.moves(line)
            if line.log in wanted and line.seq >= fork_of(line.log):  # what comes before is of the log it left
                total += 1
                shown.append(line)
        became = marks.marks(found, source, shown, moved)
    if json:
        told = [{**entries.told(line, names), "mark": became.get((line.log, line.seq), "")} for line in shown]
        render.document({"entries": told, "total": total, "findings": damaged.listed(found.findings)})
        raise typer.Exit(damaged.code(found.findings))
    damaged.warn(found.findings)
    rows = [
        (entries.label(line.log, line.seq), names.get(line.log, "?"), entries.kind(line.entry),
         render.moment(line.entry.time), entries.marked(line, names, became))
        for line in shown
    ]  # fmt: skip
    render.table(("entry", "peer", "kind", "claimed time", "says"), rows)
    if len(shown) < total:
        render.say(f"({len(shown)} of {render.many(total, 'entry')}; -n 0 lists all)")
    raise typer.Exit(damaged.code(found.findings))


@app.command()
def show(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="PEER/SEQ, or the first digits of an entry's hash.")],
    source: Source = None,
    json: Json = False,
) -> None:
    """Show one entry, whole."""
    from cli import damaged, entries, sources

    with damaged.reading(source, json=json), sources.opened(source) as opened:
        found, names = entries.pick(opened, entry), opened.names()  # all that is read of a source, while it is open
    facts = entries.facts(found)
    if json:
        render.document({**facts, "findings": damaged.listed(opened.findings)})
        raise typer.Exit(damaged.code(opened.findings))
    damaged.warn(opened.findings)
    import json as jsonlib

    render.say(f"log   {found.log}")
    render.say(f"index {found.seq}")
    for number, words in enumerate(entries.told(found, names)["says"].split(" | ")):
        render.say(f"{'' if number else 'says':5} {words}")
    render.say(f"hash  {found.hash}  (SHA-256 of the {render.many(len(found.data), 'byte')} of the entry)")
    render.say(jsonlib.dumps(facts["entry"], indent=2, ensure_ascii=True))
    raise typer.Exit(damaged.code(opened.findings))


@app.command()
def verify(
    bundle: Bundle,
    swarm: SwarmAnchor = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="KEY", help="A witness's public key (hex, or name+id+key). Repeatable."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", metavar="FILE", help="A note that you kept. Repeatable.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="The exported model in use: rebuilt and compared.")
    ] = None,
    model_hash: ModelAnchor = None,
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="CERT.pem", help="Roots of time-stamp authorities that you trust. Repeatable."),
    ] = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Only whether it hangs together: fast, and never clean.")
    ] = False,
    lists: Annotated[
        list[Path] | None,
        typer.Option("--lists", metavar="FILE...", help="Filter lists that the policy pins: to label opened records."),
    ] = None,
    parameters: Parameters = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the audit as one page, too.")
    ] = None,
    json: Json = False,
) -> None:
    """Check all of it against what you know from elsewhere."""
    from cli import auditing, judged, known, verdict
    from cli.inspecting import Lists
    from cli.opened import opened
    from cli.progress import Progress
    from ledger.audit import structure_path

    anchors = known.anchors(
        swarm=swarm, model_hash=model_hash, witnesses=witness or (), checkpoints=checkpoint or (), model=model
    )
    roots = known.roots(root or ())
    whole = {
        "--html": html,
        "--lists": lists,
        "--root": roots,
        "--witness": witness,
        "--model": model,
        "--model-hash": model_hash,
    }
    for option, given in whole.items():
        if structure and given:
            raise LocalError(f"{option} needs a whole audit", next_step="leave --structure out")
    settings.check_page(html, [bundle, *(checkpoint or ()), model, *(root or ()), *(lists or ())])
    used = ""
    told, named = judged.Told(), Lists(lists or ())
    with Progress() as progress:
        if structure:
            report = structure_path(bundle, anchors, auditing.options_of(parameters=parameters, on_progress=progress))
        else:
            with opened(
                bundle, anchors, parameters=parameters, on_progress=progress, roots=roots, inspectors=named.inspectors
            ) as read:
                if read.replica.has_genesis:
                    named.require_pinned(tuple(read.replica.policies.values()))
                report, used, told = read.report, read.arithmetic_name, judged.Told.of(read, named)
                if html is not None:
                    from cli.page import write_page

                    write_page(read, anchors, html)
    if json:
        render.document({**verdict.as_json(report, used), **told.as_json()})
    else:
        told.show()
        verdict.show(report, anchors, stamps=roots is not None)
        if html is not None:
            render.say(f"wrote   {html}")
    raise typer.Exit(verdict.exit_code(report))


@app.command()
def replay(
    bundle: Bundle,
    plain: Annotated[
        bool, typer.Option("--plain", help="In plain Python integers, without numpy: a second opinion, slow.")
    ] = False,
    parameters: Parameters = None,
    json: Json = False,
) -> None:
    """Recompute the model, and every snapshot, from the deltas."""
    from cli import damaged, verdict
    from cli.opened import opened
    from cli.progress import Progress

    with (
        Progress() as progress,
        opened(bundle, plain_integers=plain, parameters=parameters, on_progress=progress) as read,
    ):
        report, used = read.report, read.arithmetic_name
    loaded = [name for name in ("jax", "numpy") if name in sys.modules]  # looked up, not promised
    replayed = bool(report.model_hash) and not damaged.damaging(report.findings)
    if json:
        told = verdict.as_json(report, used)
        del told["verdict"], told["anchored"]  # it is held against nothing here: `verify` does that
        render.document({**told, "replayed": replayed, "jax": "jax" in loaded, "numpy": "numpy" in loaded})
    else:
        verdict.show_findings(report)
        render.say(f"model   {report.model_hash or '(not replayable)'}")
        counts = f"{render.many(report.updates, 'update')} and {render.many(report.snapshots, 'snapshot')}"
        word = "replayed" if replayed else "not all replayed:"
        render.say(f"{word} {counts} with {used}, {'after jax was loaded' if 'jax' in loaded else 'without jax'}")
    raise typer.Exit(
        exits.OK if replayed else exits.FINDINGS if damaged.damaging(report.findings) else exits.INCONCLUSIVE
    )


@app.command()
def lineage(
    bundle: Bundle,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="PEER/SEQ", help="Of this snapshot's model, not of the newest.")
    ] = None,
    json: Json = False,
) -> None:
    """Show which peers, data sets and licences hold how much of the model's weight."""
    from cli import damaged
    from cli import lineage as shares
    from cli.opened import opened

    with damaged.reading(bundle, json=json), opened(bundle) as read:
        found, facts = shares.of(read, snapshot)
        if json:
            render.document(facts)
        else:
            damaged.warn(read.report.findings)
            shares.show(found, facts)
    raise typer.Exit(damaged.code(read.report.findings))


@app.command()
def attendance(
    source: Source = None,
    json: Json = False,
) -> None:
    """Show who took part, who was absent and when, and who published nothing."""
    from cli import attendance as roll
    from cli import damaged

    with damaged.reading(source, json=json):
        found, findings = roll.of(source)
    if json:
        render.document({**found.as_json(), "summary": list(roll.summary(found)), "findings": damaged.listed(findings)})
    else:
        damaged.warn(findings)
        roll.show(found)
    raise typer.Exit(damaged.code(findings))


@app.command()
def without(
    bundle: Bundle,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="Its name, or first digits of its id.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", metavar="FILE...", help="Labelled rows to score both models on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the model without that peer.")
    ] = None,
    json: Json = False,
) -> None:
    """Fold again as if that peer's updates had never been admitted."""
    from cli import damaged
    from cli import lineage as shares
    from cli.opened import opened

    settings.check_output("--out", out, [bundle, *(data or ())])
    with damaged.reading(bundle, json=json), opened(bundle) as read:
        if read.replica.has_genesis and not read.report.model_hash:
            read.require_whole()
            lost = read.report.too_large or f"{render.many(len(read.report.missing), 'blob')} missing"
            why = f"{lost}: not replayable, so there is no model to take anything from"
            if json:
                render.document({"error": why, "findings": []})
            else:
                render.complain(why)
            raise typer.Exit(exits.INCONCLUSIVE)
        found, facts = shares.less(read, peer, data or ())
        if out is not None:
            shares.write_less(read, found, out)
        if json:
            render.document(facts)
        else:
            damaged.warn(read.report.findings)
            shares.show_less(facts)
            if out is not None:
                render.say(f"wrote   {out}")
    raise typer.Exit(damaged.code(read.report.findings))


@app.command()
def state(
    bundle: Bundle,
    snapshot: Annotated[str, typer.Argument(metavar="PEER/SEQ", help="A snapshot.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the document there.")],
    json: Json = False,
) -> None:
    """Write out what a snapshot's `state` is the hash of: all that it takes to weigh what comes after."""
    from cli import damaged
    from cli.opened import opened
    from ledger.state_document import state_document

    settings.check_output("--out", out, [bundle])
    with damaged.reading(bundle, json=json), opened(bundle) as read:
        log, seq = read.find(snapshot)
        document = state_document(read.replica, log, seq)
        out.write_bytes(document)
        if json:
            told = {"bytes": len(document), "file": str(out), "log": log, "seq": seq}
            render.document({**told, "findings": damaged.listed(read.report.findings)})
        else:
            damaged.warn(read.report.findings)
            render.say(f"wrote   {out} ({render.size(len(document))})")
    raise typer.Exit(damaged.code(read.report.findings))


@app.command()
def prove(
    entry: Annotated[
        str | None, typer.Argument(metavar="ENTRY", help="PEER/SEQ, or the first digits of an entry's hash.")
    ] = None,
    source: Source = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the proof there, and the entry to FILE.entry.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Check this proof instead of making one.")
    ] = None,
    entry_file: Annotated[
        Path | None, typer.Option("--entry", metavar="FILE", help="With --check: the entry's bytes. FILE.entry.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="With --check: a C2SP tlog-policy to satisfy.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VKEY", help="With --check: the verifier key of the log's author.")
    ] = None,
    json: Json = False,
) -> None:
    """Prove one entry to somebody who has neither the log nor this program, or check such a proof."""
    from cli import proving

    if check is not None:
        told = proving.check(check, entry_file or check.with_name(check.name + ".entry"), policy, key)
        if json:
            render.document(told)
        else:
            proving.show_check(told)
        codes = {proving.GOOD: exits.OK, proving.BAD: exits.FINDINGS, proving.OPEN: exits.INCONCLUSIVE}
        raise typer.Exit(codes[told["verdict"]])
    if entry is None:
        raise LocalError("which entry?", next_step="name one as PEER/SEQ, or a proof to check with --check FILE")
    from cli import damaged, sources

    with damaged.reading(source, json=json), sources.opened(source) as opened:
        proved = proving.prove(opened, entry)
    if out is not None:
        proving.write(proved, out)
    damaged.warn(() if json else opened.findings)
    proving.show(proved, out, opened.findings, json=json)
    raise typer.Exit(damaged.code(opened.findings))


@app.command()
def bundle(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A peer's directory or a swarm's name.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of SOURCE.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PLACE", help="A folder, or FILE.zip or FILE.tar.gz. ./NAME-bundle if left out."),
    ] = None,
    json: Json = False,
) -> None:
    """Export this peer's whole ledger for an auditor: a plain folder, or an archive of one."""
    from cli import auditing, sources

    if source is not None and sources.is_bundle(Path(source)):
        raise LocalError(f"{source} is a bundle already", next_step="hand it on as it is, or name a peer's directory")
    place = sources.peer_of(source) if directory is None else settings.existing_directory(source, directory)
    from gossip.directory import store_path

    target = out if out is not None else Path(f"{place.name}-bundle")
    made = auditing.export(store_path(place), target)
    if json:
        render.document(made)
        return
    render.say(f"wrote {made['bundle']}: {render.many(made['entries'], 'entry')}, {render.many(made['blobs'], 'blob')}")
    render.say(f"Next    gossip ledger verify {shlex.quote(str(target))} --swarm {made['swarm']}")
    render.say(
        "An auditor takes the swarm's id from somewhere else than the bundle: from a member, or a published page."
    )
