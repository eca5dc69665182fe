"""`gossip ledger`: read, export, verify and replay what the peers published.

For an auditor: it loads neither jax nor any network code, and numpy only where it is installed and only to
replay faster. Where a command reads "SOURCE" it takes a bundle, a peer's directory or a swarm's name. What
verifying means is `ledger.audit`'s business; here the report becomes lines, JSON and an exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli import exits, render, settings
from cli.group import Gossip
from cli.plain import plain
from ledger.errors import LocalError

app = typer.Typer(cls=Gossip, help="Read, export, verify and replay the ledger.")

Source = Annotated[str | None, typer.Argument(metavar="SOURCE", help="A bundle, a peer's directory or a swarm's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder made by gossip ledger bundle.")]
SwarmAnchor = Annotated[
    str | None, typer.Option("--swarm", metavar="ID", help="The swarm's id, as you know it from elsewhere.")
]
ModelAnchor = Annotated[
    str | None, typer.Option("--model-hash", metavar="HASH", help="The model's hash, as you know it from elsewhere.")
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
    """List entries, newest last."""
    from cli import entries

    with _rows(source) as rows:
        lines = list(entries.read(rows))
    names = entries.names_of(lines)
    if peer is not None:
        logs = entries.matching(lines, peer)
        if not logs:
            raise LocalError(
                f"no peer {plain(peer)!r} here",
                why="there are " + ", ".join(sorted(names.values())),
                next_step="name one of them, or the first digits of its id",
            )
        lines = [line for line in lines if line.log in logs]
    shown = lines[-last:] if last else lines
    if json:
        render.document({"entries": [entries.facts(line) for line in shown], "total": len(lines)})
        return
    rows_shown = [
        (f"{line.log[:8]}/{line.seq}", names.get(line.log, "?"), type(line.entry).__name__.lower(),
         render.moment(line.entry.time), entries.summary(line.entry, names))
        for line in shown
    ]  # fmt: skip
    render.table(("entry", "peer", "kind", "claimed time", "says"), rows_shown)
    if len(shown) < len(lines):
        render.say(f"({len(shown)} of {render.many(len(lines), 'entry')}; -n 0 lists all)")


@app.command()
def show(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="PEER/SEQ, or the first digits of an entry's hash.")],
    source: Source = None,
    json: Json = False,
) -> None:
    """Show one entry, whole."""
    from cli import entries

    with _rows(source) as rows:
        found = entries.pick(entries.read(rows), entry)
    facts = entries.facts(found)
    if json:
        render.document(facts)
        return
    import json as jsonlib

    render.say(f"log   {found.log}")
    render.say(f"index {found.seq}")
    render.say(f"hash  {found.hash}  (SHA-256 of the {render.many(len(found.data), 'byte')} of the entry)")
    render.say(jsonlib.dumps(facts["entry"], indent=2, ensure_ascii=True))


@app.command()
def verify(bundle: Bundle, swarm: SwarmAnchor = None, model_hash: ModelAnchor = None, json: Json = False) -> None:
    """Check all of it against what you know from elsewhere."""
    from cli import auditing

    report, used = auditing.run(bundle, swarm=swarm, model_hash=model_hash)
    if json:
        render.document(auditing.as_json(report, used))
    else:
        auditing.print_report(report)
    raise typer.Exit({"clean": exits.OK, "findings": exits.FINDINGS}.get(report.verdict, exits.INCONCLUSIVE))


@app.command()
def replay(bundle: Bundle, json: Json = False) -> None:
    """Recompute the model, and every snapshot, from the deltas."""
    from cli import auditing

    report, used = auditing.run(bundle, swarm=None, model_hash=None)
    jax = "jax" in sys.modules  # looked up, not promised
    if json:
        render.document({**auditing.as_json(report, used), "jax": jax})
    else:
        auditing.print_findings(report)
        render.say(f"model   {report.model_hash or '(not replayable)'}")
        counts = f"{render.many(report.updates, 'update')} and {render.many(report.snapshots, 'snapshot')}"
        render.say(f"replayed {counts} with {used}, {'after jax was loaded' if jax else 'without jax'}")
    raise typer.Exit(exits.FINDINGS if report.findings else exits.OK if report.model_hash else exits.INCONCLUSIVE)


@app.command()
def bundle(
    source: Source = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of SOURCE.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write it. ./NAME-bundle if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Export this peer's whole ledger as a plain folder, for an auditor."""
    place = settings.existing_directory(source, directory)
    from cli import auditing
    from gossip.directory import store_path

    target = out if out is not None else Path(f"{place.name}-bundle")
    made = auditing.export(store_path(place), target)
    if json:
        render.document(made)
        return
    render.say(f"wrote {made['bundle']}: {render.many(made['entries'], 'entry')}, {render.many(made['blobs'], 'blob')}")
    render.say(f"Next    gossip ledger verify {target} --swarm {made['swarm']}")
    render.say(
        "An auditor takes the swarm's id from somewhere else than the bundle: from a member, or a published page."
    )


@contextmanager
def _rows(source: str | None) -> Iterator[Iterator[tuple[str, int, bytes]]]:
    """Every entry of a bundle or a store as (log, seq, bytes); a store in the order of admission."""
    path = Path(source) if source is not None else None
    if path is not None and (path / "bundle.json").is_file():
        from cli import auditing

        yield auditing.bundle_rows(path)
        return
    is_peer = path is not None and (path / settings.STORE).is_file()
    place = settings.existing_directory(None if is_peer else source, path if is_peer else None)
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        yield store.history()
