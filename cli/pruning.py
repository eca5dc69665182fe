"""`gossip ledger prune`: let go of deltas that a final snapshot holds, or say what that would free.

    gossip ledger prune --dry-run
    would let go of 2,976 deltas, 14.9 MB: of the updates before the newest 1,024 that snapshot 4f1c22ab/812 holds
    ...

What may go is gossip/peer/shedding.py's business, what happens on disk gossip/node/shed.py's; here it becomes words.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import render, settings

if TYPE_CHECKING:
    from gossip.node.shed import Shed

KEEP = 1024


def prune(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A peer's directory or a swarm's name.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of SOURCE.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="Keep the deltas of the newest N updates all the same.")
    ] = KEEP,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let go of old deltas that a final snapshot holds, while the node does not run. Entries all stay."""
    from cli import sources
    from gossip.node import shed

    place = sources.peer_of(source) if directory is None else settings.existing_directory(source, directory)
    found = shed.prune(place, keep, dry_run=dry_run)
    if json:
        render.document(told(found, dry_run=dry_run))
        return
    for line in lines(found, keep, dry_run=dry_run):
        render.say(line)


def kept_line(blobs: dict[str, Any]) -> str:
    """What `gossip status` says of what is kept."""
    said = f"blobs {render.size(blobs['bytes'])} in {blobs['count']:,}: "
    if blobs["archive"]:
        said += "an archive, nothing was let go of"
    else:
        base = blobs["base"] or {"peer": "", "seq": 0, "updates": 0}
        said += (
            f"no archive: it begins from final snapshot {base['peer'][:8]}/{base['seq']}, {base['updates']:,} updates"
        )
    if blobs["owed"]:
        said += f"; {blobs['owed']:,} deltas that a revocation moves are asked for"
    if blobs["lacking"]:
        said += f"; {blobs['lacking']:,} wanted that nobody linked here has: an archive must come online"
    return said


def told(found: Shed, *, dry_run: bool) -> dict[str, Any]:
    return {**asdict(found), "dry_run": dry_run}


def lines(found: Shed, keep: int, *, dry_run: bool) -> list[str]:
    """The same for people."""
    snapshot = f"final snapshot {found.peer[:8]}/{found.seq} ({render.many(found.updates, 'update')})"
    if not found.deltas:
        return [
            f"nothing to let go of: beyond the newest {keep:,} updates {snapshot} holds no deltas here that take more "
            "room than its sums (what a start begins from) would; --keep N keeps fewer"
        ]
    said = [
        f"{'would let' if dry_run else 'let'} go of {render.many(found.deltas, 'delta')}, {render.size(found.bytes)}: "
        f"all that {snapshot} holds, but for the newest {keep:,} updates",
        f"stays   every entry, {render.many(found.kept, 'blob')} ({render.size(found.kept_bytes)}), and the sums of "
        "that snapshot, right by its hash",
        "still   this peer trains, witnesses, serves the newest model, and proves and shows every entry",
        "not     it cannot replay from the beginning any more, nor make a bundle for an auditor, nor give newcomers "
        "the old deltas: for these some member has to keep everything (its gossip status says: an archive)",
    ]
    if not dry_run:
        said.append(f"disk    {render.size(found.file_before)} before, {render.size(found.file_after)} now")
    return said
